#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 900
# The debug guest's checkers are on: each defect of seeds/, put into a copy of this tree, is found there, by the checker that is to
# find it, while a test that passes without it is run. Without any of them nothing is found. Virtual time, as most is waiting.
set -u
. "$(dirname "$0")/../net/lib.sh"
cd "$KT_SRC" || exit 1

mkdir -p "$T/build/tests/kernel"
for p in ktx krx_life; do cp "$KT_BUILD/tests/kernel/$p" "$T/build/tests/kernel/"; done

# seeded NAME PROGRAM CASE: builds the module with this defect, and runs that; what guest.sh says goes to $got, its status to $status.
seeded() {
	local tree=$T/$1
	mkdir "$tree" && cp -a Kbuild Makefile core include kernel scripts tests "$tree/" || return 1
	if [ "$1" != none ]; then
		patch -s -d "$tree" -p1 < "tests/uml/seeds/$1.patch" || { not_ok "$1: its patch applies"; return 1; }
	fi
	got=$(KT_GUEST_CACHE=${KT_GUEST_CACHE:-$PWD/build/guest} KT_BUILD=$T/build "$tree/tests/kernel/guest.sh" build uml . 2>&1) ||
		{ not_ok "$1: the module builds" "$got"; return 1; }
	got=$(KT_GUEST_CACHE=${KT_GUEST_CACHE:-$PWD/build/guest} KT_BUILD=$T/build "$tree/tests/kernel/guest.sh" run uml-tt --timeout 120 bash -c "
		insmod /ko/ktrxer.ko && build/tests/kernel/$2 $3; status=\$?; rmmod ktrxer; exit \$status" 2>&1)
	status=$?
}

# finds NAME PROGRAM CASE REGEX
finds() {
	seeded "$1" "$2" "$3" || return
	if [ "$status" != 0 ] && grep -qE "^# kernel: .*$4" <<< "$got"; then
		ok "$1: $(grep -m 1 -oE "$4" <<< "$got")"
	else
		not_ok "$1 is found" "status $status:" "$got"
	fi
}

for c in "ktx t_eventfd" "ktx t_flood_here" "krx_life t_no_wake_is_lost"; do
	rm -rf "${T:?}/none"
	read -r program case <<< "$c"
	seeded none "$program" "$case" && same "without a seed, $c" "$status $(grep -v '^ok ' <<< "$got")" "0 1..1"
done
finds leak ktx t_eventfd 'unreferenced object 0x'
finds use-after-free ktx t_eventfd 'BUG: KASAN: use-after-free'
finds race ktx t_flood_here 'WARNING: suspicious RCU usage'
finds inversion krx_life t_no_wake_is_lost 'WARNING: possible circular locking dependency'
done_testing

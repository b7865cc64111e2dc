#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 1200
# The contract of both devices, fuzzed for KT_FUZZ_SECONDS (20) with the kernel's coverage (scripts/fuzz-kernel.sh; for longer by
# make fuzz-kernel): it has nothing to say. That the fuzzer finds what there is to be found shows a check that is left out. What it has
# found once is run again each time: findings/.
set -u
. "$(dirname "$0")/../net/lib.sh"
cd "$KT_SRC" || exit 1
export KT_SEED=${KT_SEED:-1}

got=$(scripts/fuzz-kernel.sh --build "$KT_BUILD" --seconds "${KT_FUZZ_SECONDS:-20}" --rounds 1 "$T/out" 2>&1)
status=$?
if [ $status = 0 ]; then
	ok "$(grep -m 1 -oE '[0-9]+ programs, .*' <<< "$got")"
else
	not_ok "the contract, fuzzed" "status $status:" "$got" "$(cat "$T"/out/found-1*)"
fi

# What is found is a program that finds it again.
mkdir "$T/tree" && cp -a Kbuild Makefile core include kernel scripts tests "$T/tree/" && patch -s -d "$T/tree" -p1 < tests/uml/seeds/length.patch
check "a check is left out" test $? = 0
got=$(scripts/fuzz-kernel.sh --build "$KT_BUILD" --seconds 120 --rounds 1 --module-from "$T/tree" "$T/seeded" 2>&1)
same "that is found" "$?" 1
matches "KASAN finds it" "$(cat "$T/seeded/found-1.log")" 'kernel: .*BUG: KASAN: .*out-of-bounds'
matches "by a program with such a descriptor" "$(cat "$T/seeded/found-1")" '^DESC [01] '

# run FILE...: these programs in a guest, with the tree's module.
run_found() {
	rm -rf "${T:?}/overlay" && mkdir -p "$T/overlay/found" && cp "$@" "$T/overlay/found/"
	tests/kernel/guest.sh run uml-tt --timeout 300 --overlay "$T/overlay" bash -c \
		'insmod /ko/ktrxer.ko; build/tests/kernel/fuzz_contract run /found/*; status=$?; rmmod ktrxer; exit $status' 2>&1
}
check "ktrxer.ko builds" tests/kernel/guest.sh build uml .
got=$(run_found "$T/seeded/found-1")
same "with the check that program is harmless" "$? $(grep -c '^ok ' <<< "$got")" "0 1"
if compgen -G 'tests/uml/findings/*' > /dev/null; then
	got=$(run_found tests/uml/findings/*)
	same "what was found once" "$? $(grep -c '^ok ' <<< "$got")" "0 $(find tests/uml/findings -type f | wc -l)"
fi
done_testing

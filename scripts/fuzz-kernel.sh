#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# fuzz-kernel.sh [--build DIR] [--seconds N] [--rounds N] [--module-from TREE] OUT
#
# The contract of /dev/ktx and /dev/krx, fuzzed in the debug guest (tests/kernel/fuzz_contract.c says how), with a module that tells
# where it was. In OUT:
#
#   corpus/       programs that got where none had been; each round begins with them
#   found-N       a program of which the kernel complained, as text
#   found-N.log   what it said
#
# A round is a guest that fuzzes for N seconds (600); without --rounds they go on until something is found or one ends
# this. Exit 0: nothing found; 1: something; 2: it could not run. KT_SEED: of the first round's random numbers.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 2

build=$PWD/build seconds=600 rounds='' tree=$PWD out=''
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=$(realpath "${2:?--build needs a directory}"); shift 2 ;;
	--seconds) seconds=${2:?--seconds needs a number}; shift 2 ;;
	--rounds) rounds=${2:?--rounds needs a number}; shift 2 ;;
	--module-from) tree=$(realpath "${2:?--module-from needs a directory}"); shift 2 ;;
	-*) echo "fuzz-kernel.sh: unknown option $1 (--build, --seconds, --rounds, --module-from)" >&2; exit 2 ;;
	*) out=$1; shift ;;
	esac
done
[ -n "$out" ] || { echo "usage: fuzz-kernel.sh [--build DIR] [--seconds N] [--rounds N] [--module-from TREE] OUT" >&2; exit 2; }
mkdir -p "$out/corpus" && out=$(realpath "$out") || exit 2
work=$(mktemp -d)
trap 'rm -rf "${work:?}"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# The module that tells is a build of its own.
export KT_BUILD=$work/build KT_GUEST_CACHE=${KT_GUEST_CACHE:-$PWD/build/guest}
fuzzer=$build/tests/kernel/fuzz_contract
mkdir -p "$KT_BUILD/tests/kernel" "$work/overlay/corpus" && cp "$fuzzer" "$KT_BUILD/tests/kernel/" || exit 2
"$tree/tests/kernel/guest.sh" build uml . KCOV_INSTRUMENT=y > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 2; }

for ((round = 1; ; round++)); do
	rm -rf "${work:?}/overlay/corpus" && cp -r "$out/corpus" "$work/overlay/corpus" || exit 2
	# It ends with the program that is on the disk then.
	truncate -s 0 "$work/disk" && truncate -s 4096 "$work/disk"
	tests/kernel/guest.sh run uml --timeout $((seconds * 2 + 200)) --overlay "$work/overlay" --disk "$work/disk" --out "$work/out" \
		--append "panic_on_warn=1 kasan.fault=panic" bash -c "
		insmod /ko/ktrxer.ko || exit 99
		KT_LIVE=/dev/ubdb KT_CORPUS=/out/corpus KT_SECONDS=$seconds ${KT_SEED:+KT_SEED=$((KT_SEED + round - 1))} \
			bash -c 'mkdir -p /out && cp -r /corpus /out/ && exec build/tests/kernel/fuzz_contract'
		status=\$?; rmmod ktrxer || exit 98; exit \$status" > "$work/log" 2>&1
	status=$?
	grep -E '^# [0-9]+ programs|KT_SEED' "$work/log"
	if [ $status != 0 ]; then
		n=1
		while [ -e "$out/found-$n.log" ]; do n=$((n + 1)); done
		cp "$work/log" "$out/found-$n.log"
		"$fuzzer" show "$work/disk" > "$out/found-$n"
		echo "found after round $round, status $status: $out/found-$n and .log: $(grep -m 1 -E '^# kernel: .*(BUG|WARNING|INFO|unreferenced)|^not ok|^# ' "$work/log")"
		exit 1
	fi
	rm -rf "${out:?}/corpus" && cp -r "$work/out/corpus" "$out/corpus" || exit 2
	echo "round $round: nothing found; $(find "$out/corpus" -type f | wc -l) programs kept"
	[ -z "$rounds" ] || [ "$round" -lt "$rounds" ] || exit 0
done

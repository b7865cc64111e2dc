#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 900
# Every allocation of the module fails once. Debian's kernels have no fault
# injection, so the module is built once more, aside, with faults/faults.h before each of its sources.
set -u
. "$(dirname "$0")/lib.sh"
f=${KT_FLAVOURS%% *}
programs=$KT_BUILD/tests/kernel
export KT_BUILD=$KT_BUILD/faults
mkdir -p "$KT_BUILD/tests/kernel"
cp "$programs/abuse_faults" "$KT_BUILD/tests/kernel/"
check "$f: a module that fails allocations builds" $guest build "$f" tests/kernel/faults
check "$f: ktrxer.ko builds with it" $guest build "$f" . KCFLAGS="-include $KT_SRC/tests/kernel/faults/faults.h" \
	KBUILD_EXTRA_SYMBOLS="$KT_BUILD/kmod/$f/tests/kernel/faults/Module.symvers"
$guest run "$f" --timeout 480 --append slub_debug=FZPU bash -c '
insmod /ko/ktfaults.ko && build/tests/kernel/abuse_faults; status=$?
rmmod ktfaults || exit 98
exit $status' > "$T/tap" 2>&1
status=$?
mapfile -t lines < "$T/tap"
for i in "${!lines[@]}"; do
	line=${lines[i]}
	case $line in
	"ok "*) ok "$f: ${line#ok *- }" ;;
	"not ok "*) not_ok "$f: ${line#not ok *- }" "${lines[i + 1]-}" ;;
	esac
done
same "$f: the guest and its kernel log" "$status$([ $status = 0 ] || grep -v '^ok ' "$T/tap" | tail -n 30)" 0
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 5400
# /dev/ktx and /dev/krx asked directly on other machines; and by programs of 32 bits on a kernel of 64, as whose contract is the
# same: armhf's on arm64.
set -u
. "$(dirname "$0")/../kernel/lib.sh"
cases=("ktx" "ktx_flood" "krx" "krx_rules" "krx_life" "abuse_ioctl t_order")
for m in $KT_MACHINES; do
	programs "$m"
	module "$m"
	in_guest "$m" --timeout 1500 -- env KT_RULES=100000 bash tests/kernel/each.sh "${cases[@]}"
	[ "$m" = arm64 ] || continue
	check "armhf: programs of 32 bits build" $guest programs armhf BARE=1 LDFLAGS=-static BUILD="$KT_BUILD/armhf" test-programs
	in_guest arm64 --programs "$KT_BUILD/armhf" --timeout 1500 -- env KT_RULES=100000 bash tests/kernel/each.sh "${cases[@]}"
	in_guest arm64 --programs "$KT_BUILD/armhf" --timeout 600 -- bash tests/kernel/programs.sh build/tests/conform/kmod build/tests/core/uapi
done
done_testing

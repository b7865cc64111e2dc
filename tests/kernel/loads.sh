#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 3600
# Load and unload under traffic, KT_LOADS times (20; 1,000 take about ten minutes): loads.c.
set -u
. "$(dirname "$0")/lib.sh"
rounds=${KT_LOADS:-20}
f=${KT_FLAVOURS%% *}
module "$f"
# The first and the last hook patch the kernel's code, which QEMU under a flood does not survive (krx_bed.h says why): this
# one is there before and after.
$guest run "$f" --timeout $((200 + 3 * rounds)) --append slub_debug=FZPU bash -c '
ip link add kla type veth peer name klb && ip link set kla up && ip link set klb up &&
nft "add table netdev kl; add chain netdev kl hold { type filter hook ingress device kla priority 100; }" &&
build/tests/kernel/loads kla klb /ko/ktrxer.ko "$1"' loads "$rounds" > "$T/tap" 2>&1
status=$?
if [ $status = 0 ]; then
	ok "$f: the module loaded and unloaded under traffic: $(sed -n 's/^# rounds //p' "$T/tap")"
	grep -E '^# (before|after)' "$T/tap"
else
	not_ok "$f: the module loaded and unloaded under traffic" "status $status" "$(tail -n 60 "$T/tap")"
fi
done_testing

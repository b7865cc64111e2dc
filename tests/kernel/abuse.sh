#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 1500
# Abuse, on kernels that check their slabs (slub_debug): every ioctl wrong in every way, shared memory
# scribbled and torn, processes killed. On the first kernel all of it; on the others less long, and not what no kernel can
# answer otherwise (each size, each bit).
set -u
. "$(dirname "$0")/lib.sh"
seconds=${KT_SECONDS:-4}
ioctl=(abuse_ioctl)
for f in $KT_FLAVOURS; do
	module "$f"
	in_guest "$f" --timeout 480 --append slub_debug=FZPU -- env KT_SECONDS="$seconds" ${KT_SEED:+KT_SEED="$KT_SEED"} bash tests/kernel/each.sh \
		"${ioctl[@]}" abuse_inner abuse_random abuse_share
	seconds=2
	ioctl=("abuse_ioctl t_order" "abuse_ioctl t_compat")
done
done_testing

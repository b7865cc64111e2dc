#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 3600
# The sending contract against a device that refuses, drops, stalls and leaves, also where interrupts launch.
# A million frames on the first kernel (KT_HOSTILE_FRAMES; ten million take about half an hour), a hundred thousand on the others.
set -u
. "$(dirname "$0")/lib.sh"
frames=${KT_HOSTILE_FRAMES:-1000000}
for f in $KT_FLAVOURS; do
	module "$f" tests/kernel/hostile
	in_guest "$f" --timeout $((480 + frames / 5000)) -- env KT_HOSTILE_FRAMES="$frames" bash tests/kernel/each.sh hostile hostile_flood ontime
	frames=100000
done
done_testing

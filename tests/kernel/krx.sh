#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 3600
# The receiver of the module, asked directly, in guests.
set -u
. "$(dirname "$0")/lib.sh"
# A million rules on the first kernel: there is nothing of a kernel's in how long they take.
rules=1000000
for f in $KT_FLAVOURS; do
	module "$f"
	in_guest "$f" --timeout 900 --mem 2048 -- env KT_RULES=$rules bash tests/kernel/each.sh krx krx_rules krx_first krx_life
	rules=200000
done
done_testing

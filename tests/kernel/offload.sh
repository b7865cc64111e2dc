#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 900
# What the module leaves to devices, and what it tells those who look.
set -u
. "$(dirname "$0")/lib.sh"
for f in $KT_FLAVOURS; do
	module "$f" tests/kernel/hostile
	in_guest "$f" --timeout 200 -- bash tests/kernel/each.sh offload wishes traces
done
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 1500
# /dev/ktx without the library; then floods made by the module.
set -u
. "$(dirname "$0")/lib.sh"
for f in $KT_FLAVOURS; do
	module "$f"
	in_guest "$f" --timeout 480 -- bash tests/kernel/each.sh ktx ktx_flood
done
done_testing

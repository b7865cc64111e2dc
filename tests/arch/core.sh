#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 3600
# The core's and the library's tests on other machines: big-endian, of 32 bits, strict about alignment.
set -u
. "$(dirname "$0")/../kernel/lib.sh"
for m in $KT_MACHINES; do
	programs "$m"
	module "$m"
	in_guest "$m" --timeout 1200 -- bash tests/kernel/programs.sh build/tests/core build/tests/unit
done
done_testing

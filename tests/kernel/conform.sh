#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 1500
# The conformance suite on engine kmod, in guests, on veth.
set -u
. "$(dirname "$0")/lib.sh"
for f in $KT_FLAVOURS; do
	module "$f"
	in_guest "$f" --timeout 480 -- build/tests/conform/kmod
done
done_testing

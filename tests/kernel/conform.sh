#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 5400
# The conformance suite in guests, on veth: on engine kmod, or on what KT_ENGINES names.
set -u
. "$(dirname "$0")/lib.sh"
read -r -a engines <<< "${KT_ENGINES:-kmod}"
for f in $KT_FLAVOURS; do
	programs "$f"
	module "$f"
	in_guest "$f" --timeout $((480 * ${#engines[@]})) -- bash tests/kernel/programs.sh "${engines[@]/#/build/tests/conform/}"
done
done_testing

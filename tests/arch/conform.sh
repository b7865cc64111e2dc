#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 5400
# The conformance suite on other machines, on every engine, or on what KT_ENGINES names.
set -u
. "$(dirname "$0")/lib.sh"
read -r -a engines <<< "${KT_ENGINES:-mem packet xdp_generic xdp_native kmod}"
for m in $KT_MACHINES; do
	machine "$m"
	in_guest "$m" --timeout $((480 * ${#engines[@]})) -- bash tests/kernel/programs.sh "${engines[@]/#/build/tests/conform/}"
done
done_testing

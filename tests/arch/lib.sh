# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# For tests on other machines: guests whose programs are cross-built. Source it in place of ../kernel/lib.sh, and say which:
#
#   for m in $KT_MACHINES; do
#     machine "$m"                  # programs and module are built
#     in_guest "$m" -- …
#   done
. "$(dirname "${BASH_SOURCE[0]}")/../kernel/lib.sh"
KT_MACHINES=${KT_MACHINES:-arm64 armhf mipsel s390x}

# machine MACHINE [DIR...]: its programs, ktrxer.ko and modules of tests.
machine() {
	local m=$1
	if $guest programs "$m" > "$T/said" 2>&1; then
		ok "$m: programs build"
	else
		not_ok "$m: programs build" "$(tail -n 20 "$T/said")"
	fi
	module "$@"
}

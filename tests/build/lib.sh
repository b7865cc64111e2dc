# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# TAP for tests of the build; the network helpers bring the rest.
. "$(dirname "${BASH_SOURCE[0]}")/../net/lib.sh"
cd "$KT_SRC" || exit 1
make_quiet() { make --no-print-directory -s BUILD="$KT_BUILD" "$@"; }

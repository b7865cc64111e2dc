#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 5400
# The conformance suite on other machines, on every engine, or on what KT_ENGINES names.
. "$(dirname "$0")/../kernel/lib.sh"
KT_FLAVOURS=$KT_MACHINES KT_ENGINES=${KT_ENGINES:-mem packet xdp_generic xdp_native kmod} exec tests/kernel/conform.sh

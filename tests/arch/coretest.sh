#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 1200
# The core's suites inside other machines' kernels; and the module's size there.
. "$(dirname "$0")/../kernel/lib.sh"
KT_FLAVOURS=$KT_MACHINES exec tests/kernel/coretest.sh

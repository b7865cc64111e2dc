#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 600
# The core's suites under every checker.
KT_FLAVOURS=uml exec "$(dirname "$0")/../kernel/coretest.sh"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 1200
# The core's suites inside other machines' kernels; and the module's size there.
KT_FLAVOURS=${KT_MACHINES:-arm64 armhf mipsel s390x} exec "$(dirname "$0")/../kernel/coretest.sh"

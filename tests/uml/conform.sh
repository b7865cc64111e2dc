#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 1200
# The conformance suite of the module under every checker, in virtual time, which is the shortest.
KT_FLAVOURS=uml-tt KT_ENGINES=kmod exec "$(dirname "$0")/../kernel/conform.sh"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 900
# Who may use the module, whose memory it takes, and what becomes of contexts whose interface, namespace or CPU goes.
set -u
. "$(dirname "$0")/lib.sh"
# On the first kernel: what it shows is the same on all.
for f in ${KT_FLAVOURS%% *}; do
	module "$f"
	in_guest "$f" --timeout 480 --append slub_debug=FZPU -- build/tests/kernel/conduct
done
done_testing

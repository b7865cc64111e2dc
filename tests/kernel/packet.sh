#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 1500
# The engine that needs no module keeps the contract on an older kernel as well: the first of KT_FLAVOURS.
set -u
. "$(dirname "$0")/../net/lib.sh"
cd "$KT_SRC" || exit 1

KT_FLAVOURS=${KT_FLAVOURS:-6.1}
for f in ${KT_FLAVOURS%% *}; do
	got=$(KT_SLOW=4 tests/kernel/guest.sh run "$f" --timeout 480 tests/run.sh --filter conform/packet conform 2>&1)
	status=$?
	matches "$f: engine packet" "$got" '^[1-9][0-9]+ passed, 0 failed'
	same "$f: the guest ended well" $status 0
done
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 900
# Launches in virtual time: each is at its time, to the clock's tick. KT_SECONDS (10) of the guest's time for each interval; a minute of
# launches each millisecond takes about 40 s of ours.
set -u
. "$(dirname "$0")/../kernel/lib.sh"
module uml-tt tests/kernel/hostile
in_guest uml-tt --timeout 600 -- env KT_SECONDS="${KT_SECONDS:-10}" build/tests/kernel/exact
grep '^# [0-9]* launches' "$T/tap"
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 900
# The main job with the module loaded: engine auto is kmod then, in all of its probes and in its emulators. An emulated
# machine is slow, so its time is stretched (mainjob.sh --slow KT_JOB_SLOW, 4).
set -u
if [ -z "${KT_ROLE:-}" ]; then
	. "$(dirname "$0")/lib.sh"
	f=${KT_FLAVOURS%% *}
	module "$f"
	in_guest "$f" --tshark --icount 2 --timeout 480 -- env KT_JOB_SLOW="${KT_JOB_SLOW:-4}" tests/kernel/mainjob.sh
	done_testing
fi
. "$(dirname "$0")/../tap.sh"
scripts/mainjob.sh --build "$KT_BUILD" --out /tmp/run --slow "$KT_JOB_SLOW" > /tmp/report 2>&1
status=$?
matches "the main job's engine" "$(head -n 1 /tmp/report)" 'engine kmod$'
same "every probe's engine" "$(jq -r '.port.engine' /tmp/run/*.meta.json | sort -u)" kmod
while read -r line; do
	case $line in
	"as expected "*) ok "${line#as expected *}" ;;
	UNEXPECTED*) not_ok "${line#UNEXPECTED *}" ;;
	esac
done < /tmp/report
same "the main job ended well" $status 0
[ $status = 0 ] || sed 's/^/# /' /tmp/report
done_testing

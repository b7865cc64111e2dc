# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# In a guest, by bash: programs whose output is TAP, each a case "NAME: CASE"; one that tells of nothing is one case.
#   programs.sh DIR[/PROGRAM]...
failed=0
for p in "$@"; do
	for program in $(if [ -d "$p" ]; then find "$p" -maxdepth 1 -type f -perm -100 | sort; else echo "$p"; fi); do
		"$program" > /tmp/out 2>&1 < /dev/null
		status=$?
		sed -n -E "s/^((not )?ok)( [0-9]+)?( - )?/\1 - ${program##*/}: /p; t; s/^# /# /p" /tmp/out
		[ $status -le 1 ] && grep -qE '^(not )?ok' /tmp/out || echo "not ok - ${program##*/}: ended with status $status: $(tail -n 1 /tmp/out)"
		[ $status = 0 ] || failed=1
	done
done
exit $failed

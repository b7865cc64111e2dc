# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# In a guest, by bash: each of these programs in turn ("NAME CASES" for those of its cases whose names contain
# that), whatever becomes of the one before. Booting costs more than most of them. The status is the worst. One that
# did not end by itself is a case that failed: whose, and by what, its own output may not say.
worst=0
for line in "$@"; do
	read -r -a p <<< "$line"
	"build/tests/kernel/${p[0]}" "${p[@]:1}"
	status=$?
	[ $status -le 1 ] || echo "not ok 1 - $line: ended with status $status$([ $status -le 128 ] || echo ", SIG$(kill -l $((status - 128)))")"
	[ $status -le $worst ] || worst=$status
done
exit $worst

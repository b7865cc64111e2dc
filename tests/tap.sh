# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# TAP for test scripts: each case is one line, and done_testing ends the script.
kt_n=0 kt_bad=0

ok() {
	kt_n=$((kt_n + 1))
	echo "ok $kt_n - $1"
}

not_ok() {
	kt_n=$((kt_n + 1)) kt_bad=1
	echo "not ok $kt_n - $1"
	shift
	[ $# = 0 ] || printf '%s\n' "$*" | sed 's/^/# /'
}

skip() {
	kt_n=$((kt_n + 1))
	echo "ok $kt_n - $1 # SKIP $2"
}

# check NAME COMMAND...: passes when the command succeeds; shows its output when not.
check() {
	local name=$1 out command
	shift
	command=$*
	if out=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "exit $? of: ${command:0:200}" $'\n'"$out"; fi
}

# same NAME GOT WANTED
same() {
	if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "is:     $2" $'\n'"wanted: $3"; fi
}

# matches NAME TEXT REGEX
matches() {
	if grep -qE -- "$3" <<< "$2"; then ok "$1"; else not_ok "$1" "no match for: $3" $'\n'"in: $2"; fi
}

# between NAME VALUE LOW HIGH (numbers, ends included)
between() {
	if awk -v v="$2" -v l="$3" -v h="$4" 'BEGIN { exit !(v != "" && v + 0 >= l && v + 0 <= h) }'; then
		ok "$1"
	else
		not_ok "$1" "$2 is not between $3 and $4"
	fi
}

done_testing() {
	echo "1..$kt_n"
	exit $kt_bad
}

# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# For tests that run in guests with the module loaded. Source it behind ../net/lib.sh's place:
#
#   . "$(dirname "$0")/lib.sh"
#   for f in $KT_FLAVOURS; do
#     module "$f" tests/kernel/hostile               # builds ktrxer.ko and these
#     in_guest "$f" --timeout 100 -- build/tests/kernel/hostile
#   done
#   done_testing
. "$(dirname "${BASH_SOURCE[0]}")/../net/lib.sh"
cd "$KT_SRC" || exit 1
guest=tests/kernel/guest.sh
. tests/kernel/machine.sh
KT_FLAVOURS=${KT_FLAVOURS:-6.1 6.12 6.12-rt}
KT_MACHINES=${KT_MACHINES:-${machines[*]}}

# builds NAME COMMAND...: a case; what the command prints on standard output is in $T/built.
builds() {
	local name=$1
	shift
	if "$@" > "$T/built" 2> "$T/said"; then ok "$name"; else not_ok "$name" "$(tail -n 20 "$T/said")"; fi
}

# programs FLAVOUR: those that it runs, unless it runs this machine's own.
programs() { ! is_foreign "$1" || builds "$1: programs build" $guest programs "$1"; }

# module FLAVOUR [DIR...]: ktrxer.ko and modules of tests, built for it, as in kt_paths; what in_guest loads from then on.
module() {
	local f=$1 d ko
	shift
	kt_modules=() kt_paths=()
	for d in . "$@"; do
		builds "$f: $([ "$d" = . ] && echo ktrxer.ko || echo "$d") builds" $guest build "$f" "$d"
		while read -r ko; do
			kt_paths+=("$ko")
			kt_modules+=("$(basename "$ko" .ko)")
		done < "$T/built"
	done
}

# in_guest FLAVOUR [OPTION of guest.sh run...] -- COMMAND...: loads the modules, runs a command whose
# output is TAP, and gives its cases as ours. What the guest and its kernel say of each other is a case of its own.
in_guest() {
	local f=$1 flavour=$1 options=() out=$T/tap status lines=() line n i
	shift
	while [ "$1" != -- ]; do
		[ "$1" != --programs ] || f="$f by $(basename "$2")"
		options+=("$1")
		shift
	done
	shift
	$guest run "$flavour" "${options[@]}" bash -c '
modules=$1; shift
for k in $modules; do
	options=
	# There a nanosecond costs a look at the clock, and nobody comes late.
	[ "$k $KT_FLAVOUR" != "ktrxer uml-tt" ] || options=spin_ns=2000
	insmod "/ko/$k.ko" $options || exit 99
done
"$@"; status=$?
for k in $modules; do rmmod "$k" || exit 98; done
exit $status' guest "${kt_modules[*]}" "$@" > "$out" 2>&1
	status=$?
	mapfile -t lines < "$out"
	for ((n = i = 0; i < ${#lines[@]}; i++)); do
		line=${lines[i]}
		case $line in
		"ok "*) ok "$f: ${line#ok *- }"; n=$((n + 1)) ;;
		"not ok "*) not_ok "$f: ${line#not ok *- }" "${lines[i + 1]-}"; n=$((n + 1)) ;;
		"# guest: "*) echo "$line" ;;
		esac
	done
	if [ $status = 0 ] || { [ $status = 1 ] && grep -q '^not ok' "$out"; }; then
		ok "$f: the guest and its kernel log ($n cases)"
	else
		# A kernel says at the beginning what it complains of, everybody else at the end.
		not_ok "$f: the guest and its kernel log" "status $status" $'\n'"$(grep '^# kernel: ' "$out" | head -n 40)" \
			$'\n'"$(grep -vE '^(ok|# kernel:) ' "$out" | tail -n 20)"
	fi
}

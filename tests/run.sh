#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Runs test programs, which print TAP, and tells what became of them.
#
#   run.sh [--build DIR] [--filter TEXT] [-j N] [-v] SUITE[/PROGRAM]...
#
# A suite is a directory of tests/: its programs in DIR/tests/SUITE and its
# scripts tests/SUITE/*.sh. "witness" is tests/net/witness_*.sh. NAME:SUITE
# takes the programs from DIR/NAME, a build of its own kind (asan:unit).
# Per program one line; a failed one shows its output. The last line is
# "N passed, N failed", with ", N skipped" if any was. Exit 1 when any failed.
#
# Two programs (-j 2) run side by side, each in a world of its own, and are told
# of as they end; one with "test-alone: WHY" in its source has the machine for
# itself.
#
# A program fails by "not ok", a signal, a sanitizer's report, its time limit
# (120 s, or "test-timeout: N" in its source; times KT_SLOW, for machines that
# are emulated), a plan that was not kept, a
# complaint in the kernel log meanwhile, or by leaving something behind.
set -u
cd "$(dirname "$0")/.." || exit 2

build=build filter='' jobs=1 verbose=0 suites=()
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=${2:?--build needs a directory}; shift 2 ;;
	--filter) filter=${2:?--filter needs a text}; shift 2 ;;
	-j) jobs=${2:?-j needs a number}; shift 2 ;;
	-j*) jobs=${1#-j}; shift ;;
	-v) verbose=1; shift ;;
	-*) echo "run.sh: unknown option $1 (allowed: --build, --filter, -j, -v)" >&2; exit 2 ;;
	*) suites+=("$1"); shift ;;
	esac
done
[ ${#suites[@]} -gt 0 ] || { echo "usage: tests/run.sh [--build DIR] [--filter TEXT] [-j N] [-v] SUITE[/PROGRAM]..." >&2; exit 2; }
case $build in /*) ;; *) build=$PWD/$build ;; esac

results=$build/test-results
mkdir -p "$results" || exit 2
exec {only}< "$results"
flock -n "$only" || { echo "run.sh: another one is running the tests of $build; give this one a --build of its own" >&2; exit 2; }
find "$results" -mindepth 1 -delete || exit 2
trap 'rm -rf "$results"/*/tmp' EXIT

# Programs of a suite, one a line: BUILD-DIR PROGRAM SOURCE
programs() {
	local dir=$build suite=$1 f b
	case $suite in *:*) dir=$build/${suite%%:*} suite=${suite#*:} ;; esac
	if [ "$suite" = witness ]; then
		for f in tests/net/witness_*.sh; do
			[ -x "$f" ] && echo "$dir $f $f"
		done
		return
	fi
	[ -d "tests/$suite" ] || { echo "run.sh: no suite $suite in tests/" >&2; return 1; }
	for f in tests/"$suite"/*.c; do
		b=$dir/${f%.c}
		# Those of fuzz have engines of their own, those of kernel run in guests, which a script boots.
		case $suite in fuzz | kernel) continue ;; esac
		[ -e "$f" ] && echo "$dir $b $f"
	done
	for f in tests/"$suite"/*.sh; do
		case $f in */lib.sh | */guest.sh | */witness_*) continue ;; esac
		[ -x "$f" ] && echo "$dir $f $f"
	done
	return 0
}

kernel_time() {
	dmesg 2>/dev/null | tail -n 1 | sed -n 's/^\[ *\([0-9.]*\)\].*/\1/p'
}

# What the kernel complained about since then: from the first complaint on, 60 lines.
kernel_complaints() {
	dmesg 2>/dev/null | awk -v since="${1:-0}" -f tests/complaints.awk
}

# run_one DIR PROGRAM SOURCE RESULT-DIR: leaves files out, left, status, time there.
run_one() {
	local dir=$1 program=$2 source=$3 res=$4 seconds log start
	local run=()

	mkdir -p "$res/tmp"
	seconds=$(sed -n '1,20s/^[# *\/]*test-timeout: \([0-9]*\).*/\1/p' "$source" | head -n 1)
	case $dir in */tsan) run=(setarch -R) ;; esac
	start=${EPOCHREALTIME/./}
	log=$(kernel_time)
	env -i PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME="$res/tmp" TMPDIR="$res/tmp" \
		LC_ALL=C TZ=UTC KT_BUILD="$dir" KT_SRC="$PWD" ${FUZZ_SECONDS:+FUZZ_SECONDS="$FUZZ_SECONDS"} ${CC:+CC="$CC"} \
		KT_SLOW="${KT_SLOW:-1}" ${KT_FLAVOURS:+KT_FLAVOURS="$KT_FLAVOURS"} ${KT_GUEST_CACHE:+KT_GUEST_CACHE="$KT_GUEST_CACHE"} \
		${KT_SECONDS:+KT_SECONDS="$KT_SECONDS"} ${KT_HOSTILE_FRAMES:+KT_HOSTILE_FRAMES="$KT_HOSTILE_FRAMES"} \
		${KT_LOADS:+KT_LOADS="$KT_LOADS"} ${KT_CHANGES:+KT_CHANGES="$KT_CHANGES"} ${KT_CARD:+KT_CARD="$KT_CARD"} \
		${KT_CARDS_ON:+KT_CARDS_ON="$KT_CARDS_ON"} ${KT_SEED:+KT_SEED="$KT_SEED"} \
		${KT_MACHINES:+KT_MACHINES="$KT_MACHINES"} ${KT_ENGINES:+KT_ENGINES="$KT_ENGINES"} \
		${KT_FUZZ_SECONDS:+KT_FUZZ_SECONDS="$KT_FUZZ_SECONDS"} \
		ASAN_OPTIONS="log_path=$res/sanitizer:exitcode=99:detect_leaks=1" \
		UBSAN_OPTIONS="log_path=$res/sanitizer:print_stacktrace=1:halt_on_error=1:exitcode=99" \
		TSAN_OPTIONS="log_path=$res/sanitizer:exitcode=99:second_deadlock_stack=1" \
		"${run[@]}" bash tests/world.sh "$res/left" $((${seconds:-120} * ${KT_SLOW:-1})) "$program" \
		> "$res/out" 2>&1 < /dev/null {only}<&- {ended}>&-
	echo $? > "$res/status"
	echo $(((${EPOCHREALTIME/./} - start) / 1000)) > "$res/ms"
	kernel_complaints "$log" > "$res/kernel"
	rm -rf "$res/tmp"
}

passed=0 failed=0 skipped=0
failures=()

# Reads what run_one left and adds it up.
report() {
	local name=$1 res=$2 status ms ok not_ok skip plan reasons=() r
	if [ ! -s "$res/status" ] || [ ! -e "$res/kernel" ]; then
		failed=$((failed + 1)) failures+=("$name")
		printf 'FAIL %-36s its results are gone\n' "$name"
		return
	fi
	status=$(cat "$res/status") ms=$(cat "$res/ms")
	ok=$(grep -cE '^ok\b' "$res/out")
	skip=$(grep -cE '^ok\b.*# SKIP' "$res/out")
	not_ok=$(grep -cE '^not ok\b' "$res/out")
	plan=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$res/out" | tail -n 1)
	ok=$((ok - skip))

	if compgen -G "$res/sanitizer*" > /dev/null; then
		cat "$res"/sanitizer* >> "$res/out"
		reasons+=("sanitizer: $(grep -hoE '(AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error):.*' "$res"/sanitizer* | head -n 1)")
	fi
	case $status in
	0) ;;
	77) [ $((ok + not_ok + skip)) = 0 ] && skip=1 ;;
	124 | 137) reasons+=("time ran out after $((ms / 1000)) s") ;;
	13[0-9] | 14[0-9] | 15[0-9]) reasons+=("killed by SIG$(kill -l $((status - 128)))") ;;
	*) [ "$not_ok" = 0 ] && [ ${#reasons[@]} = 0 ] && reasons+=("exit status $status: $(tail -n 1 "$res/out")") ;;
	esac
	if [ ${#reasons[@]} = 0 ] && [ "$status" != 77 ]; then
		if [ -n "$plan" ] && [ "$plan" != $((ok + not_ok + skip)) ]; then
			reasons+=("planned $plan cases, ran $((ok + not_ok + skip))")
		elif [ -z "$plan" ] && [ $((ok + not_ok + skip)) -gt 0 ]; then
			reasons+=("ended without its plan (1..N)")
		fi
	fi
	while read -r r; do reasons+=("left behind: $r"); done < "$res/left"
	[ -s "$res/kernel" ] && reasons+=("kernel log: $(head -n 1 "$res/kernel")")
	# A program without a case of its own counts as one.
	[ $((ok + not_ok + skip + ${#reasons[@]})) = 0 ] && ok=1

	passed=$((passed + ok)) skipped=$((skipped + skip)) failed=$((failed + not_ok + ${#reasons[@]}))
	local verdict=ok cases="$ok passed"
	[ "$skip" -gt 0 ] && cases+=", $skip skipped"
	if [ $((not_ok + ${#reasons[@]})) -gt 0 ]; then
		verdict=FAIL cases+=", $((not_ok + ${#reasons[@]})) failed"
		failures+=("$name")
	fi
	printf '%-4s %-36s %4d.%03d s  %s\n' "$verdict" "$name" $((ms / 1000)) $((ms % 1000)) "$cases"
	if [ $verdict = FAIL ]; then
		for r in "${reasons[@]}"; do echo "     $r"; done
		[ -s "$res/kernel" ] && sed 's/^/     kernel: /' "$res/kernel"
		# What went well tells nothing, and whoever sees only the beginning of this is to see the cause.
		awk '/^(not )?ok/ { bad = /^not/; n = 0 } bad && n++ < 8' "$res/out" | head -n 60 | sed 's/^/     | /'
		echo "     and all it printed, but what went well:"
		grep -vE '^ok\b' "$res/out" | tail -n 100 | sed 's/^/     | /'
	elif [ $verbose = 1 ]; then
		sed 's/^/     | /' "$res/out"
	elif [ "$skip" -gt 0 ]; then
		grep -E '# SKIP' "$res/out" | sed -E 's/^ok [0-9]* -? ?/     skipped: /'
	fi
}

# --- lanes ----------------------------------------------------------------------

# What runs now: by name, the process. Whoever has ended says its name here.
declare -A lanes=()
mkfifo "$results/.ended" || exit 2
exec {ended}<> "$results/.ended"

place() { echo "$results/${1//[:\/]/_}"; }

# lanes_below N: reports programs as they end, until fewer than N run.
lanes_below() {
	local name
	while [ ${#lanes[@]} -ge "$1" ]; do
		read -r -u "$ended" name
		wait "${lanes[$name]}"
		unset "lanes[$name]"
		report "$name" "$(place "$name")"
	done
}

# Their worlds go with whoever made them: unshare(1), which hears nothing but this while it waits.
lanes_end() {
	local pid
	for pid in "${lanes[@]}"; do pkill -KILL -P "$pid"; done
	wait
	exit "$1"
}
trap 'lanes_end 130' INT
trap 'lanes_end 143' TERM HUP

for suite in "${suites[@]}"; do
	wanted='' found=''
	case $suite in
	*/*) wanted=${suite#*/} suite=${suite%%/*} ;;
	esac
	list=$(programs "$suite") || { failed=$((failed + 1)); continue; }
	while read -r dir program source; do
		[ -n "$dir" ] || continue
		name=$suite/$(basename "${source%.*}")
		case $name in *"$filter"*) ;; *) continue ;; esac
		[ -z "$wanted" ] || [ "$name" = "$suite/$wanted" ] || continue
		found=yes
		res=$(place "$name")
		mkdir -p "$res"
		if [ ! -x "$program" ]; then
			echo "$program is not built (make tests)" > "$res/out"
			echo 1 > "$res/status"; echo 0 > "$res/ms"; : > "$res/left"; : > "$res/kernel"
			report "$name" "$res"
			continue
		fi
		# One that wants the machine for itself waits until nobody else has it, and keeps it.
		alone=$(sed -n '1,20s/^[# *\/]*test-alone: .*/1/p' "$source")
		lanes_below "$([ -n "$alone" ] && echo 1 || echo "$jobs")"
		{
			# Told to end with all of us, it stays until its world has been ended.
			trap : TERM INT HUP
			run_one "$dir" "$program" "$source" "$res"
			echo "$name" >&"$ended"
		} &
		lanes[$name]=$!
		[ -z "$alone" ] || lanes_below 1
	done <<< "$list"
	[ -z "$wanted" ] || [ -n "$found" ] || { echo "run.sh: there is no $suite/$wanted" >&2; failed=$((failed + 1)); }
done
lanes_below 1

[ ${#failures[@]} = 0 ] || printf 'failed: %s\n' "${failures[@]}"
line="$passed passed, $failed failed"
[ $skipped = 0 ] || line+=", $skipped skipped"
echo "$line"
[ $failed = 0 ]

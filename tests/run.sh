#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Runs test programs, which print TAP, and tells what became of them.
#
#   run.sh [--build DIR] [--filter TEXT] [-j N] [-v] SUITE...
#
# A suite is a directory of tests/: its programs in DIR/tests/SUITE and its
# scripts tests/SUITE/*.sh. "witness" is tests/net/witness_*.sh. NAME:SUITE
# takes the programs from DIR/NAME, a build of its own kind (asan:unit).
# Per program one line; a failed one shows its output. The last line is
# "N passed, N failed", with ", N skipped" if any was. Exit 1 when any failed.
#
# A program fails by "not ok", a signal, a sanitizer's report, its time limit
# (120 s, or "test-timeout: N" in its source), a plan that was not kept, a
# complaint in the kernel log, or by leaving something behind.
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
[ ${#suites[@]} -gt 0 ] || { echo "usage: tests/run.sh [--build DIR] [--filter TEXT] [-j N] [-v] SUITE..." >&2; exit 2; }
case $build in /*) ;; *) build=$PWD/$build ;; esac

results=$build/test-results
rm -rf "$results"
mkdir -p "$results" || exit 2
trap 'rm -rf "$results"/*/tmp' EXIT
trap 'exit 130' INT TERM

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
		[ "$suite" = fuzz ] || { [ -e "$f" ] && echo "$dir $b $f"; }
	done
	for f in tests/"$suite"/*.sh; do
		case $f in */lib.sh | */witness_*) continue ;; esac
		[ -x "$f" ] && echo "$dir $f $f"
	done
	return 0
}

kernel_time() {
	dmesg 2>/dev/null | tail -n 1 | sed -n 's/^\[ *\([0-9.]*\)\].*/\1/p'
}

# What the kernel complained about since then: from the first complaint on, 60 lines.
kernel_complaints() {
	dmesg 2>/dev/null | awk -v since="${1:-0}" '
		{ t = $0; sub(/^\[ */, "", t); sub(/\].*/, "", t) }
		t + 0 > since + 0 && /BUG|WARNING:|Oops|Call Trace|lockdep|INFO: (possible|suspicious|task|rcu)|RCU|refcount_t|use-after-free|unregister_netdevice: waiting|general protection|soft lockup|page allocation failure/ { bad = 1 }
		bad && n++ < 60'
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
		LC_ALL=C TZ=UTC KT_BUILD="$dir" KT_SRC="$PWD" FUZZ_SECONDS="${FUZZ_SECONDS:-10}" ${CC:+CC="$CC"} \
		ASAN_OPTIONS="log_path=$res/sanitizer:exitcode=99:detect_leaks=1" \
		UBSAN_OPTIONS="log_path=$res/sanitizer:print_stacktrace=1:halt_on_error=1:exitcode=99" \
		TSAN_OPTIONS="log_path=$res/sanitizer:exitcode=99:second_deadlock_stack=1" \
		"${run[@]}" bash tests/world.sh "$res/left" "${seconds:-120}" "$program" > "$res/out" 2>&1 < /dev/null
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
		tail -n 100 "$res/out" | sed 's/^/     | /'
	elif [ $verbose = 1 ]; then
		sed 's/^/     | /' "$res/out"
	elif [ "$skip" -gt 0 ]; then
		grep -E '# SKIP' "$res/out" | sed -E 's/^ok [0-9]* -? ?/     skipped: /'
	fi
}

for suite in "${suites[@]}"; do
	list=$(programs "$suite") || { failed=$((failed + 1)); continue; }
	names=() dirs=()
	# Only tests without a clock or a network may share the machine.
	case $suite in core | unit | *:core | *:unit) n=$jobs ;; *) n=1 ;; esac
	while read -r dir program source; do
		[ -n "$dir" ] || continue
		name=$suite/$(basename "${source%.*}")
		case $name in *"$filter"*) ;; *) continue ;; esac
		res=$results/${name//[:\/]/_}
		mkdir -p "$res"
		names+=("$name") dirs+=("$res")
		if [ ! -x "$program" ]; then
			echo "$program is not built (make tests)" > "$res/out"
			echo 1 > "$res/status"; echo 0 > "$res/ms"; : > "$res/left"; : > "$res/kernel"
		elif [ "$n" -gt 1 ]; then
			while [ "$(jobs -rp | wc -l)" -ge "$n" ]; do wait -n; done
			run_one "$dir" "$program" "$source" "$res" &
			continue
		else
			run_one "$dir" "$program" "$source" "$res"
		fi
		[ "$n" -gt 1 ] || { report "$name" "$res"; names=() dirs=(); }
	done <<< "$list"
	wait
	for i in "${!names[@]}"; do report "${names[i]}" "${dirs[i]}"; done
done

[ ${#failures[@]} = 0 ] || printf 'failed: %s\n' "${failures[@]}"
line="$passed passed, $failed failed"
[ $skipped = 0 ] || line+=", $skipped skipped"
echo "$line"
[ $failed = 0 ]

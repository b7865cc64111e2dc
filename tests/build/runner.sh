#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The test runner must notice every way in which a program can fail.
set -u
src=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/tests/x" "$dir/tests/net"
cp "$src/tests/run.sh" "$src/tests/world.sh" "$src/tests/complaints.awk" "$dir/tests/"
n=0 bad=0

# expect WHAT LAST-LINE TEXT SCRIPT: a program SCRIPT gives this last line, and output that matches TEXT.
expect() {
	local got
	n=$((n + 1))
	rm -f "$dir"/tests/x/*
	printf '#!/bin/bash\n%s\n' "$4" > "$dir/tests/x/p.sh"
	chmod +x "$dir/tests/x/p.sh"
	got=$("$dir/tests/run.sh" --build "$dir/build" x 2>&1)
	if [ "$(tail -n 1 <<< "$got")" = "$2" ] && grep -qE -- "$3" <<< "$got"; then
		echo "ok $n - $1"
	else
		bad=1
		echo "not ok $n - $1"
		sed 's/^/# /' <<< "$got"
	fi
}

expect "cases are counted" "2 passed, 0 failed" "2 passed" 'echo "ok 1 - a"; echo "ok 2 - b"; echo 1..2'
expect "a failed case" "1 passed, 1 failed" "^ +\| not ok 2 - b" 'echo "ok 1 - a"; echo "not ok 2 - b"; echo 1..2; exit 1'
expect "a skipped case" "1 passed, 0 failed, 1 skipped" "skipped: a # SKIP no tun" \
	'echo "ok 1 - a # SKIP no tun"; echo "ok 2 - b"; echo 1..2'
expect "exit 77" "0 passed, 0 failed, 1 skipped" "1 skipped" 'exit 77'
expect "no case at all" "1 passed, 0 failed" "ok " 'exit 0'
expect "a signal" "1 passed, 1 failed" "killed by SIGSEGV" 'echo "ok 1 - a"; kill -SEGV $$'
expect "an exit status" "0 passed, 1 failed" "exit status 3: hello" 'echo hello; exit 3'
expect "a time limit" "0 passed, 1 failed" "time ran out" '# test-timeout: 1
sleep 20'
expect "results that are gone" "0 passed, 1 failed" "FAIL x/p .*results are gone" 'rm -rf "${HOME%/tmp}"'
expect "a second one beside it" "1 passed, 0 failed" "ok " "! $dir/tests/run.sh --build $dir/build x"
expect "a broken plan" "1 passed, 1 failed" "planned 2 cases, ran 1" 'echo "ok 1 - a"; echo 1..2'
expect "no plan" "1 passed, 1 failed" "ended without its plan" 'echo "ok 1 - a"'
expect "a sanitizer's report" "0 passed, 1 failed" "sanitizer: .*AddressSanitizer: leak" \
	'log=${ASAN_OPTIONS#log_path=}; echo "ERROR: AddressSanitizer: leak" > ${log%%:*}.1; exit 0'
expect "a file left behind" "1 passed, 1 failed" "left behind: file /dev/shm/kt-runner" \
	'touch /dev/shm/kt-runner; echo "ok 1 - a"; echo 1..1'
rm -f /dev/shm/kt-runner

# pair WHAT LAST-LINE SCRIPT OTHER-SCRIPT: two programs with -j 2, which meet in $dir.
pair() {
	local got
	n=$((n + 1))
	rm -rf "$dir"/tests/x/* "$dir/meet"
	mkdir "$dir/meet"
	printf '#!/bin/bash\n%s\n' "$3" > "$dir/tests/x/a.sh"
	printf '#!/bin/bash\n%s\n' "$4" > "$dir/tests/x/b.sh"
	chmod +x "$dir"/tests/x/*.sh
	got=$("$dir/tests/run.sh" --build "$dir/build" -j 2 x 2>&1)
	if [ "$(tail -n 1 <<< "$got")" = "$2" ] && [ "$(grep -cE '^(ok|FAIL) +x/[ab] ' <<< "$got")" = 2 ]; then
		echo "ok $n - $1"
	else
		bad=1
		echo "not ok $n - $1"
		sed 's/^/# /' <<< "$got"
	fi
}
# Each waits for the other, which nobody does who runs by himself.
meets() { echo "touch $dir/meet/$1; for i in {1..200}; do [ -e $dir/meet/$2 ] && exit 0; sleep 0.1; done; exit 1"; }
# Nobody is there while it is, and it is there for a while.
alone() { echo "# test-alone: a test of it
mkdir $dir/meet/one || exit 1; sleep 1; rmdir $dir/meet/one"; }
pair "side by side" "2 passed, 0 failed" "$(meets a b)" "$(meets b a)"
pair "side by side, one fails" "1 passed, 1 failed" "$(meets a b)" "touch $dir/meet/b; exit 3"
pair "one after the other, where one wants to be alone" "2 passed, 0 failed" "mkdir $dir/meet/one; sleep 1; rmdir $dir/meet/one" \
	"$(alone)"
if [ "$(id -u)" = 0 ]; then
	expect "a namespace left behind" "0 passed, 1 failed" "left behind: network namespace kt-left" 'ip netns add kt-left'
	expect "an interface left behind" "0 passed, 2 failed" "left behind: interface kt-v0" \
		'ip link add kt-v0 type veth peer name kt-v1'
	expect "a process left behind" "0 passed, 1 failed" "left behind: process.*sleep 300" 'sleep 300 &'
	# A program's processes go with a runner that is told to end.
	n=$((n + 1))
	printf '#!/bin/bash\ntouch %s/meet/one; exec sleep 4%s\n' "$dir" "$$" > "$dir/tests/x/p.sh"
	rm -f "$dir/meet/one" "$dir/tests/x/q.sh"
	setsid "$dir/tests/run.sh" --build "$dir/build" x > /dev/null 2>&1 &
	runner=$!
	for _ in {1..100}; do [ -e "$dir/meet/one" ] && break; sleep 0.1; done
	kill -TERM -- -$runner
	wait $runner
	status=$?
	for _ in {1..50}; do pgrep -f "sleep 4$$" > /dev/null || break; sleep 0.1; done
	if [ $status = 143 ] && [ -e "$dir/meet/one" ] && ! pgrep -f "sleep 4$$" > /dev/null; then
		echo "ok $n - a runner that is ended"
	else
		bad=1
		echo "not ok $n - a runner that is ended"
		echo "# status $status, left: $(pgrep -af "sleep 4$$")"
	fi
	expect "a private network" "0 passed, 1 failed" "exit status 1: lo" \
		'ip -o link | awk -F": " "/UP/ { print \$2 }"; exit 1'
fi
echo "1..$n"
exit $bad

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The test runner must notice every way in which a program can fail.
set -u
src=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/tests/x" "$dir/tests/net"
cp "$src/tests/run.sh" "$src/tests/world.sh" "$dir/tests/"
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
expect "a failed case" "1 passed, 1 failed" "FAIL x/p" 'echo "ok 1 - a"; echo "not ok 2 - b"; echo 1..2; exit 1'
expect "a skipped case" "1 passed, 0 failed, 1 skipped" "skipped: a # SKIP no tun" \
	'echo "ok 1 - a # SKIP no tun"; echo "ok 2 - b"; echo 1..2'
expect "exit 77" "0 passed, 0 failed, 1 skipped" "1 skipped" 'exit 77'
expect "no case at all" "1 passed, 0 failed" "ok " 'exit 0'
expect "a signal" "1 passed, 1 failed" "killed by SIGSEGV" 'echo "ok 1 - a"; kill -SEGV $$'
expect "an exit status" "0 passed, 1 failed" "exit status 3: hello" 'echo hello; exit 3'
expect "a time limit" "0 passed, 1 failed" "time ran out" '# test-timeout: 1
sleep 20'
expect "a broken plan" "1 passed, 1 failed" "planned 2 cases, ran 1" 'echo "ok 1 - a"; echo 1..2'
expect "no plan" "1 passed, 1 failed" "ended without its plan" 'echo "ok 1 - a"'
expect "a sanitizer's report" "0 passed, 1 failed" "sanitizer: .*AddressSanitizer: leak" \
	'log=${ASAN_OPTIONS#log_path=}; echo "ERROR: AddressSanitizer: leak" > ${log%%:*}.1; exit 0'
expect "a file left behind" "1 passed, 1 failed" "left behind: file /dev/shm/kt-runner" \
	'touch /dev/shm/kt-runner; echo "ok 1 - a"; echo 1..1'
rm -f /dev/shm/kt-runner
if [ "$(id -u)" = 0 ]; then
	expect "a namespace left behind" "0 passed, 1 failed" "left behind: network namespace kt-left" 'ip netns add kt-left'
	expect "an interface left behind" "0 passed, 2 failed" "left behind: interface kt-v0" \
		'ip link add kt-v0 type veth peer name kt-v1'
	expect "a process left behind" "0 passed, 1 failed" "left behind: process.*sleep 300" 'sleep 300 &'
	expect "a private network" "0 passed, 1 failed" "exit status 1: lo" \
		'ip -o link | awk -F": " "/UP/ { print \$2 }"; exit 1'
fi
echo "1..$n"
exit $bad

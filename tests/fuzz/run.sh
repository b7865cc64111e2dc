#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 3600
# Runs every fuzzer for FUZZ_SECONDS (6) from the seeds in corpus/WHAT.
# Inputs that crash one stay in out/fuzz/, as does what it learned.
set -u
. "$(dirname "$0")/../build/lib.sh"

seconds=${FUZZ_SECONDS:-6}
build=$KT_BUILD/fuzzing
check "fuzzers build" make --no-print-directory -s -j2 CC=clang O=1 SAN=fuzzer-no-link,address,undefined BUILD="$build" \
	fuzzers
unset ASAN_OPTIONS # crashes are told by libFuzzer itself
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

for src in tests/fuzz/fuzz_*.c; do
	what=$(basename "$src" .c) what=${what#fuzz_}
	[ -x "$build/fuzz/fuzz_$what" ] || continue
	seeds=tests/fuzz/corpus/$what
	mkdir -p "out/fuzz/$what"
	if [ ! -d "$seeds" ]; then
		not_ok "$what has seeds" "no directory $seeds"
		continue
	fi
	if "$build/fuzz/fuzz_$what" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="out/fuzz/$what-" "out/fuzz/$what" "$seeds" > "$T/log" 2>&1; then
		ok "$what: $(sed -n 's/^stat::number_of_executed_units: *//p' "$T/log") inputs in $seconds s"
	else
		not_ok "$what" "$(tail -n 40 "$T/log")"
	fi
done
done_testing

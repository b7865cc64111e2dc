#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# All benchmarks: JSON lines per question and one results.json with the
# medians and ratios under OUT, and a table for people.
#
#   run.sh [--build DIR] [--quick] [OUT]      (root; default build and out/bench)
set -u
cd "$(dirname "$0")/.." || exit 1
rounds=5 window=1000 count=2000 build=build rules=
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=$2; shift 2 ;;
	--quick) rounds=2 window=400 count=400 rules=100000; shift ;;
	-*) echo "bench/run.sh: $1 is not an option; there are --build DIR and --quick" >&2; exit 2 ;;
	*) break ;;
	esac
done
out=${1:-out/bench}
export BUILD=$build
mkdir -p "$out"

[ "$(id -u)" = 0 ] || { echo "bench/run.sh: needs root: it makes network namespaces" >&2; exit 1; }

echo "transmit rate: every sender in turn, $rounds rounds" >&2
# A process namespace too: whatever a peer leaves running ends with it.
unshare -n -p -f --mount-proc --kill-child bench/tx.sh $rounds $window > "$out/tx.jsonl"
echo "launch error, $count launches each" >&2
bench/launch.sh $count > "$out/launch.jsonl"
if [ -x "$build/bench/classify" ]; then
	echo "classifier" >&2
	"$build/bench/classify" ${rules:+$rules} > "$out/classify.jsonl" 2> "$out/classify.txt"
fi
for b in core_packet core_ring probe_fill; do
	[ -x "$build/bench/$b" ] && "$build/bench/$b" > "$out/$b.jsonl"
done

jq -n --slurpfile tx "$out/tx.jsonl" --slurpfile launch "$out/launch.jsonl" \
	--arg kernel "$(uname -r)" --arg cpu "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)" \
	--arg date "$(date -u +%FT%TZ)" --arg commit "$(git rev-parse --short HEAD 2>/dev/null)" -f bench/summary.jq > "$out/results.json"
jq -r -f bench/table.jq "$out/results.json"
[ -s "$out/classify.txt" ] && cat "$out/classify.txt"
echo "results: $out/results.json" >&2

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# How exactly do probes leave? bench/launch for each engine and interval, on an
# idle machine, beside a busy loop on every CPU, and beside a TCP stream.
# JSON lines on stdout.
#
#   launch.sh COUNT          (bounds: each run takes COUNT * interval, 3000 at most at 10 ms)
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
count=$1
load=()
stop_load() {
	for pid in "${load[@]}"; do kill "$pid" 2>/dev/null; done
	wait "${load[@]}" 2>/dev/null
	load=()
}
trap stop_load EXIT

start_load() {
	case $1 in
	cpu)
		for _ in $(seq "$(nproc)"); do
			timeout 300 bash -c 'while :; do :; done' & load+=($!)
		done ;;
	net)
		timeout 300 unshare -n bash -c 'ip link set lo up; iperf3 -s >/dev/null & sleep 1 # the server says nothing when it listens
			iperf3 -c 127.0.0.1 -t 290 >/dev/null; kill %1' & load+=($!) ;;
	esac
}

for condition in idle cpu net; do
	start_load $condition
	for engine in packet xdp; do
		for interval in 10000000 1000000 100000; do
			n=$count
			[ $interval = 10000000 ] && n=$((count / 4))
			timeout 120 "$build/bench/launch" $engine $interval "$n" 50 0 |
				jq -c --arg condition $condition '. + {condition: $condition}'
		done
	done
	stop_load
done

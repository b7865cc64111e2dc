#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The main job: a network of namespaces with real services behind an emulated
# path, probed in every way at exact times, and a report of what was found.
#
#   mainjob.sh [--build DIR] [--out DIR] [--slow N]
#
# --slow N is for machines that are N times too slow for it (emulated ones): every interval, delay and tolerance is N
# times as long, every rate 1/N, and of most probes there are 1/N as many, so that it takes no longer.
#
# Everything runs in network, mount and process namespaces of its own, so
# nothing outlives it, whatever happens. Exit 0: every expectation was met;
# 1: one was not; 3: the machine lacks something.
set -u
cd "$(dirname "$0")/.." || exit 2
build=build out=out/run slow=1
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=${2:?--build needs a directory}; shift 2 ;;
	--out) out=${2:?--out needs a directory}; shift 2 ;;
	--slow) slow=${2:?--slow needs a number}; shift 2 ;;
	*) echo "mainjob.sh: unknown option $1 (allowed: --build, --out, --slow)" >&2; exit 2 ;;
	esac
done

[[ $slow =~ ^([1-9]|1[0-9]|20)$ ]] || { echo "mainjob.sh: --slow takes a number from 1 to 20, not \"$slow\"" >&2; exit 2; }

if [ "$(id -u)" != 0 ]; then
	echo "the main job makes network namespaces and needs root: sudo make run" >&2
	exit 3
fi
[ -x "$build/ktrxer" ] || { echo "there is no $build/ktrxer: run make first" >&2; exit 3; }

rm -rf "$out"
mkdir -p "$out" || exit 2
# Ctrl-C reaches the job inside, which tidies up and ends; we and unshare wait for it.
trap : INT TERM
if unshare -n -m -p -f --mount-proc true 2> /dev/null; then
	(
		trap '' INT TERM
		exec unshare -n -m -p -f --kill-child --mount-proc env --default-signal=INT,TERM \
			"$BASH" -c 'mount --make-rprivate / && mkdir -p /run/netns && mount -t tmpfs kt /run/netns &&
				ip link set lo up; . "$0"' scripts/mainjob-run.sh "$build" "$out" "$slow"
	)
else
	"$BASH" scripts/mainjob-run.sh "$build" "$out" "$slow"
fi

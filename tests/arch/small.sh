#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 1800
# What fails on small devices, on purpose: 128 MiB of memory, a static command below 1 MiB (with musl, as a router would have it),
# no unaligned access, no atomics of 64 bits, clocks beyond 2038.
set -u
if [ -z "${KT_ROLE:-}" ]; then
	. "$(dirname "$0")/../kernel/lib.sh"
	for m in mipsel armhf; do
		case " $KT_MACHINES " in *" $m "*) ;; *) continue ;; esac
		dir=$KT_BUILD/$m-small
		check "$m: the command builds with musl" $guest musl "$m"
		musl=$(programs_of "$m" "$KT_BUILD")-musl
		same "$m: static" "$(file -b "$musl/ktrxer" | grep -c 'statically linked')" 1
		between "$m: bytes of the command" "$(stat -c %s "$musl/ktrxer")" 100000 1048575
		mkdir -p "$dir/tests/tools" && cp "$musl/ktrxer" "$dir/" && cp "$musl/tests/tools/settime" "$dir/tests/tools/"
		# What needs a lock for 64 bits at a time would call for it by these names.
		same "$m: no atomics that the machine has not" "$("$(triplet_of "$m")-nm" "$musl/libktrxer.a" 2> /dev/null | grep -c '__atomic_.*_8')" 0
		module "$m"
		in_guest "$m" --programs "$dir" --lean --mem 128 --out "$T/$m" --timeout 200 -- bash tests/arch/small.sh
		# tcpdump cannot print what is beyond 2038, on no machine.
		for engine in packet kmod; do
			for year in "$(date +%Y)" 2040; do
				same "$m: $engine: years of packets in the file" "$(tshark -r "$T/$m/$year-$engine.pcapng" -T fields -e frame.time_epoch 2> /dev/null |
					sed 's/^/@/' | date -u -f - +%Y | uniq -c | awk '{ print $1, $2 }')" "5 $year"
			done
		done
	done
	done_testing
fi
# As on a router: what has no program of its own there is busybox's.
busybox mkdir /applets && busybox --install -s /applets
PATH=$PATH:/applets
. "$(dirname "$0")/../tap.sh"
kt=build/ktrxer T=$(mktemp -d)
# What the kernel had to mend because a program, or the module, took a word from where it may not lie.
unaligned() {
	if [ -e /sys/kernel/debug/mips/unaligned_instructions ]; then
		cat /sys/kernel/debug/mips/unaligned_instructions
	else
		awk '/^(User|System):/ { n += $2 } END { print n + 0 }' /proc/cpu/alignment
	fi
}
between "MiB of memory" "$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)" 60 128
before=$(unaligned)
ip netns add far
ip link add a0 type veth peer name b0 netns far
ip addr add 10.9.0.1/24 dev a0 && ip link set a0 up
ip netns exec far sh -c 'ip addr add 10.9.0.2/24 dev b0; ip link set b0 up; ip link set lo up'
for _ in 1 2 3 4 5 6 7 8 9 10; do ip netns exec far ping -c 1 -W 1 10.9.0.1 > /dev/null && break; done
# probe YEAR ENGINE: answers come, and are captured. What is looked at is looked at today, as other programs cannot tell the time of a
# file of 2040.
probe() {
	local today
	today=$(date +%s)
	[ "$1" != 2040 ] || build/tests/tools/settime 2225145600
	"$kt" probe -i "$2:a0" --json -c 20 -I 20ms 10.9.0.2 > "$T/out" 2> "$T/err"
	probed=$?
	"$kt" capture -i "$2:a0" -q -c 5 --rule 'capture proto icmp' -w "$T/file" 2>> "$T/err" &
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		kill -0 $! 2> /dev/null && ip netns exec far ping -c 1 -W 1 10.9.0.1 > /dev/null
	done
	wait $!
	captured=$?
	[ "$1" != 2040 ] || build/tests/tools/settime "$today"
	same "$1: $2: exit codes" "$probed $captured $(cat "$T/err")" "0 0 "
	same "$1: $2: all answered" "$(jq -r 'select(.type == "summary") | "\(.sent) \(.answered) \(.lost)"' < "$T/out")" "20 20 0"
	between "$1: $2: round trips, ms" "$(jq -rs '[.[] | select(.type == "answer") | .rtt_ns] | max / 1e6 | floor' < "$T/out")" 0 900
	cat "$T/file" > "/out/$1-$2.pcapng"
	rm -f "$T"/{out,err,file}
}
year=$(date +%Y)
for engine in packet kmod; do
	probe "$year" $engine
	probe 2040 $engine
done
# More than there is: a sentence, and nothing is lost.
"$kt" capture -i kmod:a0 --ring 1Gi -d 1s -w "$T/none.pcapng" > "$T/out" 2>&1
status=$?
same "a ring of 1 GiB: refused" "$([ $status != 0 ] && wc -l < "$T/out")" 1
matches "a ring of 1 GiB: by a sentence" "$(cat "$T/out")" '^ktrxer capture: no memory for a ring of 1073741824 bytes'
probe "$year" kmod
same "words taken from where they may not lie" $(($(unaligned) - before)) 0
done_testing

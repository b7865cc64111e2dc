#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 240
# Every command is interrupted at moments spread over its start and its run:
# it ends by itself with the documented exit code, what it wrote is whole, and
# no XDP program, promiscuity, socket or file stays.
#
#   a a0 10.9.0.1 ---- b0 10.9.0.2 b b1 ---- c0 c
set -u
. "$(dirname "$0")/lib.sh"
need_root

ns a
ns b
ns c
for x in a b c; do in_ns $x sysctl -qw net.ipv6.conf.all.disable_ipv6=1; done
wire a a0 b b0
wire b b1 c c0
addr a a0 10.9.0.1/24
addr b b0 10.9.0.2/24
awk 'BEGIN { for (i = 0; i < 10; i++) {
	printf "1 %d 02000000000b02000000000a08004500002e%04x0000401100000a0900010a090002", i * 1000000, i
	printf "%04x0009001a0000%036d\n", 1000 + i, i } }' | pcap_write "$T/ten.pcap"

# What a command may leave at a device: nothing.
left_at() {
	ip -n "$(name_of "$1")" -d -j link show |
		jq -r '.[] | select(.xdp != null or (.promiscuity // 0) > 0) | "\(.ifname) xdp \(.xdp != null) promiscuity \(.promiscuity)"'
	in_ns "$1" awk 'NR > 1 { print "a packet socket" }' /proc/net/packet
}

# shellcheck disable=SC2317
begun() { ended "$1" || [ "$(cat "/proc/$1/comm")" = ktrxer ]; }
# shellcheck disable=SC2317
ended() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

# sweep NAME EXIT-CODES NS COMMAND...: SIGINT after 0, 60, 120, ... ms. A shell's background jobs ignore it unless told not to.
sweep() {
	local name=$1 codes=$2 space=$3 code wrong='' left='' broken='' seconds
	shift 3
	for seconds in 0 0.02 0.06 0.12 0.2 0.31 0.43 0.6 0.8; do
		in_ns_bg job "$space" env --default-signal=INT "$@" > "$T/out" 2> "$T/err"
		wait_for 10 begun "$job"
		sleep $seconds # the moment is what is tried
		kill -INT "$job" 2> /dev/null
		if ! wait_for 20 ended "$job"; then
			kill -9 "$job"
			wrong+="after $seconds s it hangs "
		fi
		wait "$job"
		code=$?
		# Before main() has asked for it, the signal just kills: 130 too, as a shell tells it.
		case " $codes 130 " in *" $code "*) ;; *) wrong+="after $seconds s: $code ($(tail -n 1 "$T/err")) " ;; esac
		jq -e . "$T/out" > /dev/null 2> "$T/jq" || [ ! -s "$T/out" ] || broken+="after $seconds s: $(head -n 1 "$T/jq") "
		[ ! -s "$T/c.pcapng" ] || tcpdump --count -r "$T/c.pcapng" > "$T/jq" 2>&1 ||
			broken+="after $seconds s: $(tail -n 1 "$T/jq") "
		rm -f "$T/c.pcapng"
		left+=$(left_at a; left_at b; left_at c; ls "$T"/*.sock 2> /dev/null)
	done
	same "$name: exit code" "$wrong" ""
	same "$name: every line is whole" "$broken" ""
	same "$name: nothing stays" "$left" ""
}

for engine in packet xdp; do
	sweep "probe, $engine" "1" a "$KT" probe -i a0 --engine $engine -c 100000 -I 1ms --json 10.9.0.2
	sweep "send, $engine" "" a "$KT" send -i a0 --engine $engine --rate 1k --loop 100000 --json "$T/ten.pcap"
	sweep "capture, $engine" "0" b "$KT" capture -i b0 --engine $engine --share-path "$T/c.sock" --json
	sweep "capture with an end, $engine" "" b "$KT" capture -i b0 --engine $engine -d 1h --json -w "$T/c.pcapng"
	sweep "emulate, $engine" "0" b "$KT" emulate -i b0 -o b1 --engine $engine --json
done
sweep "rule" "3" b "$KT" rule list -i b0 --json
sweep "info" "0" b "$KT" info --json
done_testing

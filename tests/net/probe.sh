#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 300
# ktrxer probe against real stacks and services, with witnesses that nobody
# here wrote: tcpdump, tshark, ping, nmap, scamper.
#
#   a a0 10.9.0.1 ---- 10.9.0.2 b0 b   b also answers for 10.99.0.0/16
set -u
. "$(dirname "$0")/lib.sh"
need_root

ns a
ns b
wire a a0 b b0
addr a a0 10.9.0.1/24 fd09::1/64
addr b b0 10.9.0.2/24 fd09::2/64
route b local 10.99.0.0/16 dev lo
route a 10.99.0.0/16 via 10.9.0.2
in_ns b sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 net.ipv4.icmp_msgs_per_sec=1000000
in_ns_bg service b "$KT_BUILD/tests/tools/service" udp:7 tcp:80 tcp:443 > /dev/null
wait_for 10 in_ns a ping -c1 -W1 10.9.0.2
wait_for 10 in_ns a ping -c1 -W1 fd09::2
wait_for 5 in_ns b sh -c 'ss -ltn | grep -q :443'

# probe ARGUMENT...: JSON Lines in $T/out, sentences in $T/err
probe() {
	in_ns a "$KT" probe -i a0 --json "$@" > "$T/out" 2> "$T/err"
}

# summary FILTER: of the last run
summary() { jq -r "select(.type == \"summary\") | $1" "$T/out"; }
answers() { jq -r "select(.type == \"answer\") | $1" "$T/out" | sort | uniq -c | awk '{ $1 = $1 } 1' | paste -sd,; }

for engine in packet xdp; do
	e="--engine $engine"
	# shellcheck disable=SC2086
	{
		probe $e -c 20 -I 5ms 10.9.0.2 fd09::2
		same "$engine: ping: exit code" $? 0
		same "$engine: ping: all answered" "$(summary '"\(.sent) \(.answered) \(.lost) \(.duplicates) \(.reordered)"')" "40 40 0 0 0"
		same "$engine: ping: by both" "$(answers '.target + " " + .answer')" "20 10.9.0.2 reply,20 fd09::2 reply"
		same "$engine: ping: never early" "$(jq -r 'select(.launch_ns? and .launch_ns < .scheduled_ns)' "$T/out")" ""
		same "$engine: ping: the schedule is exact" "$(jq -rs '[.[] | select(.type == "answer") | .scheduled_ns] | sort | .[-1] - .[0]' "$T/out")" 195000000

		probe $e -k udp -p 7,9 -c 3 -I 5ms 10.9.0.2 fd09::2
		same "$engine: udp: echo and closed port" "$(answers '"\(.target) \(.port) \(.answer)"')" \
			"3 10.9.0.2 7 reply,3 10.9.0.2 9 unreach-port,3 fd09::2 7 reply,3 fd09::2 9 unreach-port"

		sniff dump b b0 "$T/$engine.pcap"
		probe $e -k syn -p 79-81,443 -I 5ms 10.9.0.2 fd09::2
		same "$engine: syn: open and closed" "$(answers '"\(.port) \(.answer)"')" "2 443 syn-ack,2 79 rst,2 80 syn-ack,2 81 rst"
		sniffed "$dump" "$T/$engine.pcap"
		rst=$(tshark -n -r "$T/$engine.pcap" -Y 'tcp.flags.reset == 1 and (ip.src == 10.9.0.1 or ipv6.src == fd09::1)' 2> /dev/null | wc -l)
		if [ $engine = xdp ]; then
			same "$engine: syn: the target saw no RST of ours" "$rst" 0
		else
			matches "$engine: syn: it is said that the host will send RST" "$(cat "$T/err")" "it will send a RST"
		fi
		same "$engine: tshark finds nothing wrong with the probes" "$(tshark_complaints "$T/$engine.pcap" | grep -v 'RST\|SYN')" ""

		probe $e -c 3 -I 10ms -w "$T/own.pcapng" 10.9.0.2
		same "$engine: the file of the run holds probes and answers" "$(tshark -n -r "$T/own.pcapng" -T fields -e icmp.type 2> /dev/null | sort | uniq -c | xargs)" "3 0 3 8"
		same "$engine: and tshark finds nothing wrong with it" "$(tshark_complaints "$T/own.pcapng")" ""

		sniff dump b b0 "$T/train.pcap" icmp and dst 10.9.0.2
		probe $e --train 20 --interval 50ms --trains 3 10.9.0.2
		sniffed "$dump" "$T/train.pcap"
		same "$engine: trains: all answered" "$(summary '"\(.sent) \(.answered)"')" "60 60"
		same "$engine: trains: three as tcpdump saw them" "$(pcap_read "$T/train.pcap" |
			awk '{ if (NR > 1 && $1 - p > 25000000) n++; p = $1 } END { print n + 1, NR }')" "3 60"

		# A firewall that drops everything does not come before the capture.
		in_ns a nft 'add table inet kt; add chain inet kt in { type filter hook input priority 0; policy drop; }'
		probe $e -c 2 -I 10ms 10.9.0.2
		same "$engine: a dropping firewall hides no answer" "$(summary .answered)" 2
		in_ns a nft delete table inet kt

		in_ns b nft 'add table inet kt; add chain inet kt in { type filter hook input priority 0; };
			add rule inet kt in icmp type echo-request numgen inc mod 3 == 1 drop'
		probe $e -c 30 -I 2ms -W 200ms 10.9.0.2
		same "$engine: every third is lost" "$(summary '"\(.sent) \(.answered) \(.lost)"')" "30 20 10"
		probe $e -c 30 -I 2ms -W 100ms -R 5 10.9.0.2
		same "$engine: and got by trying again" "$(summary '"\(.answered) \(.retried > 9)"')" "30 true"
		in_ns b nft delete table inet kt
	}
done

# --- Witnesses -----------------------------------------------------------------------
probe -k syn -p 1-500 --rate 2k 10.9.0.2
open=$(jq -r 'select(.answer == "syn-ack") | .port' "$T/out" | sort -n | xargs)
same "nmap finds the same open ports" "$open" \
	"$(in_ns a nmap -n -sS -p 1-500 10.9.0.2 2> /dev/null | sed -n 's|^\([0-9]*\)/tcp *open.*|\1|p' | xargs)"
probe -I 2ms 10.9.0.0/29
up=$(jq -r 'select(.type == "answer") | .target' "$T/out" | xargs)
same "scamper finds the same host" "$(in_ns a scamper -O json -c 'ping -c 1' -i 10.9.0.2 2> /dev/null | jq -r 'select(.type == "ping" and .statistics.replies == 1) | .dst')" "$up"

# --- Scans -----------------------------------------------------------------------------
# Each address of a /16 once, half by each shard, within 32 MiB; seen by a counter that the kernel keeps.
# Capacity of tcpdump's file would be the limit at full speed, so this runs at 20,000 a second.
sniff dump b b0 "$T/scan.pcap" -s 64 tcp and dst net 10.99.0.0/16
for shard in 0 1; do
	in_ns a /usr/bin/time -f %M -o "$T/rss$shard" "$KT" probe -i a0 --engine xdp -k syn -p 80 --order random --seed 5 \
		--shard $shard/2 -r 15k --json 10.99.0.0/16 > "$T/out" 2> "$T/err"
	same "scan: shard $shard: sent" "$(summary .sent)" 32768
	if nm "$KT" 2> /dev/null | grep -qE ' (__asan|__tsan)_init'; then
		skip "scan: shard $shard: memory (KiB)" "a sanitizer's own memory is in it"
	else
		between "scan: shard $shard: memory (KiB)" "$(tail -1 "$T/rss$shard")" 1 32767
	fi
done
sniffed "$dump" "$T/scan.pcap"
same "scan: tcpdump lost nothing" $? 0
same "scan: every address of the /16, none twice" \
	"$(tshark -n -r "$T/scan.pcap" -Y 'tcp.flags == 2' -T fields -e ip.dst 2> /dev/null | sort | uniq -c | awk '$1 == 1' | wc -l)" 65536

# --- Interrupted, resumed, full ----------------------------------------------------------
in_ns_bg pid a "$KT" probe -i a0 -I 1ms --order random --resume "$T/state" -o "$T/part1" -q 10.99.0.0/21
wait_for 10 grep -q '"answer"' "$T/part1"
stop "$pid" TERM
same "a signal ends it with 143" $? 143
same "with a summary" "$(jq -r 'select(.type == "summary") | .interrupted' "$T/part1")" true
in_ns a "$KT" probe -i a0 --rate 5k --order random --resume "$T/state" -o "$T/part2" -q 10.99.0.0/21
same "resumed to its end" $? 0
same "both parts together are the whole" \
	"$(cat "$T/part1" "$T/part2" | jq -r 'select(.type == "answer") | .target' | sort -u | wc -l)" 2048
between "and next to nothing was probed twice" \
	"$(cat "$T/part1" "$T/part2" | jq -r 'select(.type == "answer") | .target' | wc -l)" 2048 2100
in_ns a "$KT" probe -i a0 -c 3 -I 1ms -q -w /dev/full 10.9.0.2 2> "$T/err"
same "a full disk ends it with 4" $? 4
same "and one sentence" "$(cat "$T/err")" "ktrxer probe: /dev/full: No space left on device; what was written before is whole"
in_ns a "$KT" probe -i a0 -c 1 10.9.0.77 > "$T/out" 2>&1
same "no neighbour: exit code 1" $? 1
matches "no neighbour: a sentence" "$(cat "$T/out")" 'not sent: 10.9.0.77 does not answer on "a0" \(no ARP reply\)'
ip -n "$(name_of b)" link set b0 down
in_ns a "$KT" probe -i a0 -c 1 10.9.0.78 > "$T/out" 2>&1
matches "no carrier: a sentence" "$(cat "$T/out")" 'not sent: no path to 10.9.0.78: interface "a0" has no carrier'
ip -n "$(name_of b)" link set b0 up
wait_for 10 in_ns a ping -c1 -W1 10.9.0.2

# Answers that come while nobody reads are not taken for targets that do not answer.
in_ns_bg pid a "$KT" probe -i a0 --engine packet -c 2 -I 10s --fifo 0 --json 10.9.0.2 > "$T/out"
wait_for 10 grep -q '"answer"' "$T/out"
kill -STOP "$pid"
in_ns b "$KT" send -i b0 --engine packet --fast --loop 50000 -q "$T/own.pcapng"
kill -CONT "$pid"
stop "$pid"
between "what we lost ourselves is told beside the lost" "$(summary .lost_by_ourselves)" 1 300000

# Frames of one's own: an ARP request.
mac=$(mac_of a a0 | tr -d :)
probe --hex "ffffffffffff${mac}08060001080006040001${mac}0a0900010000000000000a090002" -c 2 -I 10ms
same "an ARP request in hex is answered" "$(answers '"\(.answer) \(.from)"')" "2 reply 10.9.0.2"
# --- An interface that goes --------------------------------------------------------------
for engine in packet xdp; do
	wire a gone b far
	addr a gone 10.10.0.1/24
	addr b far 10.10.0.2/24
	wait_for 10 in_ns a ping -c1 -W1 10.10.0.2
	in_ns_bg pid a "$KT" probe -i gone --engine $engine -k udp -p 9 --fast -c 1000000000 --status yes --json 10.10.0.2 > /dev/null 2> "$T/err"
	wait_for 10 grep -q '^sent [1-9]' "$T/err"
	ip -n "$(name_of a)" link del gone
	wait "$pid"
	same "$engine: the interface goes in the middle of --fast: exit code" $? 4
	matches "$engine: and why" "$(tail -n 1 "$T/err")" '^ktrxer probe: .*(gone.* went away|No such device)'
done

# --- This host ------------------------------------------------------------------------
probe -i lo --engine packet -c 2 -I 10ms 127.0.0.1
same "127.0.0.1: exit code" $? 1
matches "127.0.0.1: why it cannot be reached" "$(jq -r 'select(.reason) | .reason' "$T/out")" "drops IPv4 frames .*accept_local=1.*route_localnet=1"
in_ns a sysctl -qw net.ipv4.conf.lo.accept_local=1 net.ipv4.conf.lo.route_localnet=1
probe -i lo --engine packet -c 2 -I 10ms 127.0.0.1 ::1
same "127.0.0.1 and ::1 answer when the kernel may take their frames" "$(answers '.target + " " + .answer')" "2 127.0.0.1 reply,2 ::1 reply"
done_testing

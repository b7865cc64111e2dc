#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# ktrxer send: rounds, rates, rewriting, and what happens when frames cannot leave.
#
#   a a0 ---- b0 b
set -u
. "$(dirname "$0")/lib.sh"
need_root

ns a
ns b
wire a a0 b b0
for x in a b; do in_ns $x sysctl -qw net.ipv6.conf.all.disable_ipv6=1; done

# Ten UDP datagrams 10.9.0.1:1000+i > 10.9.0.2:9, 1 ms apart, checksums right.
frames() { # LENGTH
	awk -v len="${1:-60}" 'BEGIN {
		for (i = 0; i < 10; i++) {
			n = len - 14
			printf "%d %d 02000000000b02000000000a0800", 1700000000, i * 1000000
			s = 17664 + n + i + 16401 + 2569 + 1 + 2569 + 2
			while (s > 65535) s = s % 65536 + int(s / 65536)
			printf "4500%04x%04x00004011%04x0a0900010a090002", n, i, 65535 - s
			printf "%04x0009%04x0000", 1000 + i, n - 20
			for (k = 0; k < n - 28; k++) printf "00"
			printf "\n"
		}
	}'
}
frames | pcap_write "$T/ten.pcap"
frames 1600 | pcap_write "$T/long.pcap"

# run ENGINE-AND-OPTIONS...: sends from a; leaves $T/json, the exit code in $code and what b saw in $T/seen.
run() {
	sniff dump b b0 "$T/seen"
	in_ns a "$KT" send -i a0 --json "$@" > "$T/json" 2> "$T/err"
	code=$?
	sniffed "$dump" "$T/seen"
}
sum() { jq -r "select(.type == \"summary\") | $1" "$T/json"; }
# From the first to the last frame, as scheduled: the plan is exact on the busiest machine.
span() { jq -rs '[.[] | select(.type == "frame") | .scheduled_ns] | .[-1] - .[0]' "$T/json"; }
seen() { tshark -n -r "$T/seen" "$@" 2> /dev/null; }

run --engine packet --each --loop 3 "$T/ten.pcap"
same "three rounds: exit code" "$code" 0
same "three rounds: sent" "$(sum .sent)" 30
same "three rounds: seen" "$(seen | wc -l)" 30
# Nine gaps of 1 ms and the mean gap between rounds: 29 ms in all.
same "three rounds: the pause between them is the mean gap (ns)" "$(span)" 29000000

run --engine packet --each --rate 2k --loop 20 "$T/ten.pcap"
same "2000 a second: sent" "$(sum .sent)" 200
same "2000 a second: 199 gaps (ns)" "$(span)" 99500000

run --engine packet --each --bit-rate 480kbit "$T/ten.pcap"
same "480 kbit/s of 60 bytes: 1000 a second (ns)" "$(span)" 9000000

for engine in packet xdp; do
	run --engine $engine --fast --loop 500 "$T/ten.pcap"
	same "$engine, fast: sent" "$(sum .sent)" 5000
	same "$engine, fast: sum of fates" "$(sum '.submitted - .sent - .failed - .late - .cancelled')" 0
	same "$engine, fast: seen" "$(pcap_read "$T/seen" | wc -l)" 5000
done

run --engine packet --duration 5.5ms "$T/ten.pcap"
same "a duration ends the file early" "$(sum .sent)" 6
# What the engine cannot do is said, and the frames leave all the same.
run --engine packet --clock tai --tap --zero-copy --nic-launch "$T/ten.pcap"
same "wishes that are not granted: exit code, sent, by the NIC" "$code $(sum .sent) $(sum .nic_launched)" "0 10 0"
same "they are named" "$(grep -c 'is not in force: engine packet on a0 has no such thing' "$T/err")" 3
run --engine packet --nic-launch "$T/ten.pcap"
same "a NIC launches by TAI" "$code $(cat "$T/err")" \
	"2 ktrxer send: --nic-launch is for --clock tai: by no other clock does a NIC launch"

run --engine packet --count 4 "$T/ten.pcap"
same "a count too" "$(sum .sent)" 4

run --engine packet --src-ip 10.9.0.0/24=172.16.5.0/24 --dst-ip 10.9.0.2/32=172.16.6.9/32 --vlan 77 --vlan-priority 3 \
	--src-mac 02:aa:00:00:00:01 --dst-mac 02:aa:00:00:00:02 "$T/ten.pcap"
same "rewritten" "$(seen -T fields -e eth.src -e eth.dst -e vlan.id -e vlan.priority -e ip.src -e ip.dst | sort -u)" \
	$'02:aa:00:00:00:01\t02:aa:00:00:00:02\t77\t3\t172.16.5.1\t172.16.6.9'
same "rewritten frames have no fault" "$(tshark_complaints "$T/seen")" ""
run --engine packet --fix-checksums --dst-ip 10.0.0.9 "$T/ten.pcap"
same "checksums that were not there" "$(seen -o udp.check_checksum:TRUE -T fields -e udp.checksum.status -e ip.dst | sort -u)" $'1\t10.0.0.9'

in_ns a "$KT" send --dry-run "$T/ten.pcap" > "$T/list"
same "a dry run lists" "$(wc -l < "$T/list") $(head -n 1 "$T/list" | cut -d' ' -f1-4)" "10 0.000000000 10.9.0.1:1000 > 10.9.0.2:9"

# What cannot leave.
run --engine packet "$T/long.pcap"
same "too long: exit code" "$code" 1
same "too long: by reason" "$(sum '.reasons | tojson')" '{"longer than the interface can send":10}'
run --engine packet --truncated skip "$T/ten.pcap"
same "whole frames are not skipped" "$(sum .sent)" 10
ip -n "$(name_of a)" link set a0 down
run --engine packet "$T/ten.pcap"
same "down: exit code" "$code" 1
same "down: by reason" "$(sum '.reasons | tojson')" '{"the interface is down":10}'
ip -n "$(name_of a)" link set a0 up
wait_for 5 sh -c "ip -n $(name_of a) link show a0 | grep -q LOWER_UP"

tx_of_a() { ip -n "$(name_of a)" -s -j link show dev a0 | jq '.[0].stats64.tx.packets'; }
# shellcheck disable=SC2317
on_its_way() { [ "$(tx_of_a)" -ge $((tx_before + 100)) ]; }

# Interrupted before the end: 130, and every frame has its fate.
tx_before=$(tx_of_a)
in_ns_bg sender a "$KT" send -i a0 --engine packet --rate 1k --loop 100000 --json "$T/ten.pcap" > "$T/json"
wait_for 5 on_its_way
stop "$sender" TERM
same "interrupted: exit code" "$?" 143
same "interrupted: says so" "$(sum .interrupted)" true
same "interrupted: sum of fates" "$(sum '.submitted - .sent - .failed - .late - .cancelled')" 0

# The interface goes away.
tx_before=$(tx_of_a)
in_ns_bg sender a "$KT" send -i a0 --engine packet --rate 1k --loop 100000 --json "$T/ten.pcap" > "$T/json" 2> "$T/err"
wait_for 5 on_its_way
ip -n "$(name_of a)" link del a0
wait "$sender"
same "gone: exit code" "$?" 4
matches "gone: a sentence" "$(cat "$T/err")" 'the interface is gone'
same "gone: what was sent is told" "$(sum '.sent > 0 and (.submitted - .sent - .failed - .late - .cancelled) == 0')" true
done_testing

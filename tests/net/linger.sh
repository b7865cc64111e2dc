#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# ktrxer probe --linger: a listener whose SYN-ACK is never acknowledged repeats
# it after a second. While the probe lingers, no RST leaves; without it one does.
#
#   a a0 10.9.0.1 ---- 10.9.0.2 b0 b   tcp 443, repeats its SYN-ACK once
set -u
. "$(dirname "$0")/lib.sh"
need_root

ns a
ns b
wire a a0 b b0
addr a a0 10.9.0.1/24
addr b b0 10.9.0.2/24
in_ns b sysctl -qw net.ipv4.tcp_synack_retries=1
in_ns_bg service b "$KT_BUILD/tests/tools/service" tcp:443 > /dev/null
wait_for 10 in_ns a ping -c1 -W1 10.9.0.2
wait_for 5 in_ns b sh -c 'ss -ltn | grep -q :443'

probe() {
	in_ns a timeout 60 "$KT" probe -i a0 --engine xdp --json -k syn -p 443 -W 100ms "$@" 10.9.0.2 > "$T/out" 2> "$T/err"
}
summary() { jq -r "select(.type == \"summary\") | $1" "$T/out"; }

# seen FILTER: packets of the capture at b
seen() { tshark -n -r "$T/b.pcap" -Y "$1" 2> /dev/null | wc -l; }
# shellcheck disable=SC2317
half_open() { [ "$(in_ns b ss -tn state syn-recv | wc -l)" -gt 1 ]; }
# shellcheck disable=SC2317
none_half_open() { ! half_open; }

sniff dump b b0 "$T/b.pcap" tcp
probe
wait_for 10 none_half_open
sniffed "$dump" "$T/b.pcap"
same "without lingering: one answer" "$(summary '"\(.answered) \(.duplicates)"')" "1 0"
same "and the repeated one meets the host, which sends a RST" "$(seen 'tcp.flags == 0x12'),$(seen 'tcp.flags.reset == 1')" "2,1"

sniff dump b b0 "$T/b.pcap" tcp
probe --linger 2s
same "lingering: exit code" $? 0
sniffed "$dump" "$T/b.pcap"
same "lingering: the repeated answer is a duplicate" "$(summary '"\(.answered) \(.duplicates) \(.lost)"')" "1 1 0"
same "and no RST left" "$(seen 'tcp.flags == 0x12'),$(seen 'tcp.flags.reset == 1')" "2,0"
wait_for 10 none_half_open

sniff dump b b0 "$T/b.pcap" tcp
probe --linger 2s --fast --track no
sniffed "$dump" "$T/b.pcap"
same "lingering behind a flood" "$(summary '"\(.answered) \(.duplicates)"')" "1 1"
same "and no RST left either" "$(seen 'tcp.flags == 0x12'),$(seen 'tcp.flags.reset == 1')" "2,0"

in_ns_bg pid a "$KT" probe -i a0 --engine xdp --json -k icmp --linger 1h 10.9.0.2 > "$T/out"
wait_for 10 grep -q '"answer"' "$T/out"
stop "$pid" # TERM: a shell lets background jobs ignore the interrupt
same "an interrupt ends lingering, and nothing else" "$?,$(summary '"\(.answered) \(.interrupted)"')" "0,1 false"

done_testing

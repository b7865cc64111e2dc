#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 240
# Scans of a network on the link where nearly all are silent: neighbours are
# asked for ahead, many at once, and the kernel's table has no part in it.
#
#   a a0 10.8.0.1/20 ---- b0 b: 10.8.0.2 and a few more
set -u
. "$(dirname "$0")/lib.sh"
need_root

ns a
ns b
wire a a0 b b0
addr a a0 10.8.0.1/20 fd08::1/64
addr b b0 10.8.0.2/20 10.8.3.4/20 10.8.7.200/20 10.8.15.254/20 fd08::2/64 fd08::e77/64
in_ns b sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
wait_for 10 in_ns a ping -c1 -W1 fd08::e77
# The kernel knows this one without asking, and it is not there.
ip -n "$(name_of a)" neigh add 10.8.9.9 lladdr 02:00:00:00:00:99 nud permanent dev a0
for v in 4 6; do in_ns a sysctl -qw "net.ipv$v.neigh.default.gc_thresh3=1024"; done 2> /dev/null

# scan OPTION... NETWORK: JSON Lines in $T/out
scan() {
	local start=$EPOCHREALTIME
	in_ns a "$KT" probe -i a0 --json -q "$@" > "$T/out" 2> "$T/err"
	code=$?
	echo "# ${*}: $(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }') s"
}
answers() { jq -r 'select(.type == "answer") | "\(.target)\(if .port then ":\(.port)" else "" end)"' "$T/out" | sort | paste -sd' '; }
summary() { jq -r "select(.type == \"summary\") | $1" "$T/out"; }
silent() { jq -r 'select(.reason) | .reason' "$T/out" | grep -c 'does not answer on "a0"'; }

# 4096 addresses: 4 answer, one is in the kernel's table, one is our own, the last is the broadcast address.
sniff dump b b0 "$T/arp.pcap" arp
scan --fast 10.8.0.0/20
sniffed "$dump" "$T/arp.pcap"
same "a /20, as fast as possible: exit code" "$code" 1
same "all that are there answer" "$(answers)" "10.8.0.2 10.8.15.254 10.8.3.4 10.8.7.200"
same "and all others are told as silent" "$(silent) $(summary '"\(.sent) \(.no_path)"')" "4089 6 4090"
asked=$(tshark -n -r "$T/arp.pcap" -Y 'arp.opcode == 1 and arp.src.proto_ipv4 == 10.8.0.1' -T fields -e arp.dst.proto_ipv4 2> /dev/null | sort | uniq -c)
same "each of the silent was asked three times, as tcpdump saw it" "$(awk '$1 == 3' <<< "$asked" | wc -l)" 4089
between "those that answer once or twice" "$(grep -Ew '10.8.(0.2|3.4|7.200|15.254)' <<< "$asked" | awk '{ n += $1 } END { print n }')" 4 8
same "who is in the kernel's table not at all" "$(grep -cw '10.8.9.9' <<< "$asked")" 0
between "questions leave at no more than 10,000 a second, after a burst" "$(pcap_read "$T/arp.pcap" |
	awk '{ s = sprintf("%.0f", int($1 / 1e8)); if (++n[s] > max) max = n[s] } END { print max }')" 1 1100
between "the kernel's table has few of them" "$(ip -n "$(name_of a)" neigh show dev a0 | wc -l)" 1 20

scan --rate 2k --order random --seed 7 10.8.0.0/20
same "a /20 in random order at a rate: all that are there answer" "$(answers)" "10.8.0.2 10.8.15.254 10.8.3.4 10.8.7.200"
same "and all others are told as silent" "$(silent) $(summary '"\(.sent) \(.no_path)"')" "4089 6 4090"

scan --fast -k syn -p 80,81 10.8.0.0/20
same "two ports: each target twice" "$(answers)" \
	"10.8.0.2:80 10.8.0.2:81 10.8.15.254:80 10.8.15.254:81 10.8.3.4:80 10.8.3.4:81 10.8.7.200:80 10.8.7.200:81"
same "and the silent twice, too" "$(silent) $(summary '"\(.sent) \(.no_path)"')" "8178 12 8180"

scan --fast fd08::/117 fd08::e00/119
same "IPv6: all that are there answer" "$(answers)" "fd08::2 fd08::e77"
same "and all others are told as silent" "$(silent) $(summary .no_path)" "2557 2558"
between "the kernel's table has few of them" "$(ip -n "$(name_of a)" neigh show dev a0 | wc -l)" 1 30

# One /27: every round.
scan -c 3 -I 1ms 10.8.3.0/27
same "three rounds: one answers each time" "$(answers)" "10.8.3.4 10.8.3.4 10.8.3.4"
same "and the silent are told each time" "$(silent)" 93
ip -n "$(name_of b)" link set b0 down
scan --fast 10.8.4.0/24
matches "no carrier: the reason is told" "$(jq -r 'select(.reason) | .reason' "$T/out" | sort | uniq -c )" 'has no carrier'
ip -n "$(name_of b)" link set b0 up
done_testing

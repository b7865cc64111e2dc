#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The examples do on a network what their first comment says.
#
#   prober p0 10.9.0.1, fd09::1 ---- h0 10.9.0.2, fd09::2 host
set -u
. "$(dirname "$0")/lib.sh"
need_root

ex=$KT_BUILD/examples
ns prober
ns host
wire prober p0 host h0
addr prober p0 10.9.0.1/24 fd09::1/64
addr host h0 10.9.0.2/24 fd09::2/64
in_ns_bg service host "$KT_BUILD/tests/tools/service" tcp:22 tcp:80 udp:7 > "$T/service"
wait_for 5 grep -q ready "$T/service"

for a in 10.9.0.2 fd09::2; do
	out=$(in_ns prober "$ex/ping" p0 $a 20 2>&1)
	matches "ping $a: every probe is answered" "$out" '^20 sent, 20 answered, by engine [a-z]+$'
	same "ping $a: one line an answer, ttl 64" "$(grep -cE '^reply seq=[0-9]+ ttl=64 time=[0-9.]+ ms$' <<< "$out")" 20
	same "ping $a: no time is negative" "$(grep -c 'time=-' <<< "$out")" 0
done

sniff dump host h0 "$T/scan.pcap" tcp
out=$(in_ns prober "$ex/synscan" p0 10.9.0.2 20-90 2>&1)
sniffed "$dump" "$T/scan.pcap"
matches "synscan: every port answers, two are open" "$out" '^71 ports probed, 71 answered, 2 open$'
same "synscan: which ones" "$(awk '/ open$/ && NF == 3 { print $2 }' <<< "$out" | sort -n | xargs)" "22 80"
same "synscan: the target saw every port once" \
	"$(tcpdump -nr "$T/scan.pcap" 'src 10.9.0.1 and tcp[tcpflags] & tcp-syn != 0' 2> /dev/null | wc -l)" 71
same "synscan: no RST tells the target of it" \
	"$(tcpdump -nr "$T/scan.pcap" 'src 10.9.0.1 and tcp[tcpflags] & tcp-rst != 0' 2> /dev/null | wc -l)" 0

out=$(in_ns prober "$ex/packetpair" p0 10.9.0.2 20 2>&1)
matches "packetpair: all pairs come back" "$out" '^20 pairs sent, 20 came back, median [0-9.]+ Mbit/s$'

in_ns_bg listening prober "$ex/listener" p0 "capture proto icmp from 10.9.0.2" 5 > "$T/listener" 2>&1
wait_for 5 grep -q '^listening' "$T/listener"
in_ns host ping -q -c 5 -i 0.02 10.9.0.1 > /dev/null
wait "$listening"
same "listener: ends after its count" $? 0
same "listener: prints the packets" "$(grep -cE '^[0-9]+\.[0-9]{9} #[0-4] 98 of 98 bytes:( [0-9a-f]{2}){16}$' "$T/listener")" 5
matches "listener: counts them" "$(cat "$T/listener")" '^seen [0-9]+, delivered 5, lost by the kernel 0, by this listener 0$'
matches "listener: a wrong rule is one sentence" "$(in_ns prober "$ex/listener" p0 "capture sideways" 2>&1)" '^listener: .*sideways'
done_testing

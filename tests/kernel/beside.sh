#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 400
# Beside the host: a terminal's TCP connection and iperf3 both ways through a card, while trains leave through it as fast
# as it takes them and the rules of a receiver on it change. Nothing of the host's is lost or, but for a few, overtaken: what TCP's
# receivers see out of order they count (TCPOFOQueue), and tcpdump sees the terminal's bytes come in their order.
# KT_SECONDS (10) is how long, KT_CHANGES (5000) how many changes of rules, KT_CARD (virtio) the card.
#
#   +---- guest ----------+                    +---- namespace far ----+
#   | eth0 10.9.0.1       |--- QEMU's wire ----| eth1 10.9.0.2         |
#   | trains, rules, ask  |                    | answer, iperf3 -s     |
#   +---------------------+                    +-----------------------+
set -u
if [ -z "${KT_ROLE:-}" ]; then
	. "$(dirname "$0")/lib.sh"
	f=${KT_FLAVOURS%% *} card=${KT_CARD:-virtio}
	module "$f"
	in_guest "$f" --timeout $((120 + 3 * ${KT_SECONDS:-10} + ${KT_CHANGES:-5000} / 500)) --net "$card:$card" -- \
		env KT_SECONDS="${KT_SECONDS:-10}" KT_CHANGES="${KT_CHANGES:-5000}" tests/kernel/beside.sh
	done_testing
fi
. "$(dirname "$0")/../net/lib.sh"
beside=$KT_BUILD/tests/kernel/beside

# fq_codel drops what has waited for 5 ms: queueing, but no queue of ours. A plain one, long enough, drops nothing.
sysctl -qw net.core.default_qdisc=pfifo
ns far
far=$(name_of far)
ip link set eth0 txqueuelen 10000
ip link set eth1 txqueuelen 10000
ip link set eth1 netns "$far"
ip addr add 10.9.0.1/24 dev eth0
ip link set eth0 up
addr far eth1 10.9.0.2/24
ip -n "$far" link set eth1 up
check "the wire" wait_for 30 ping -c 1 -W 1 10.9.0.2
mac=$(mac_of far eth1)

# counts far|near COUNTER...: of the TCP of that namespace
counts() {
	local where=() c
	[ "$1" = near ] || where=(ip netns exec "$far")
	shift
	for c in "$@"; do
		"${where[@]}" cat /proc/net/snmp /proc/net/netstat | awk -v c="$c" '{ if (!($1 in h)) { h[$1] = $0; next }
			n = split(h[$1], k); for (i = 2; i <= n; i++) if (k[i] == c) print $i }'
	done | xargs
}

in_ns_bg answer_pid far "$beside" answer 7022
in_ns_bg iperf_pid far iperf3 -s -J > "$T/server.json" 2>&1
sniff near_pid far eth1 "$T/far.pcap" -s 128 tcp port 7022
wait_for 20 eval "in_ns far ss -tln | grep -q :7022" && wait_for 20 eval "in_ns far ss -tln | grep -q :5201"

# The same without anybody beside it, for comparison.
alone=$("$beside" ask 10.9.0.2 7022 2)
matches "a terminal, alone: $alone" "$alone" 'every byte right'

bg rules_pid "$beside" rules eth0 "$KT_CHANGES" > "$T/rules"
bg trains_pid "$beside" trains eth0 "$mac" "$KT_SECONDS" > "$T/trains"
bg bulk_pid iperf3 -c 10.9.0.2 --bidir -t "$KT_SECONDS" -J > "$T/bulk.json"
got=$("$beside" ask 10.9.0.2 7022 "$KT_SECONDS")
matches "a terminal, beside it all: $got" "$got" 'every byte right'
wait "$trains_pid"
same "trains: $(cat "$T/trains")" $? 0
wait "$rules_pid"
same "rules: $(cat "$T/rules")" $? 0
wait "$bulk_pid"
same "iperf3 ended well" $? 0
between "iperf3, each way, Mbit/s: $(jq -c '[.end.sum_received, .end.sum_received_bidir_reverse | .bits_per_second / 1e6 | floor]' "$T/bulk.json")" \
	"$(jq '[.end.sum_received, .end.sum_received_bidir_reverse | .bytes] | min' "$T/bulk.json")" 100000 1e15
check "what tcpdump saw is whole" sniffed "$near_pid" "$T/far.pcap"

same "frames of the host that its queues dropped, near and far" "$(tc -s -j qdisc show dev eth0 | jq 'map(.drops) | add') $(in_ns far tc -s -j qdisc show dev eth1 | jq 'map(.drops) | add')" "0 0"

# Of each direction of each connection: bytes that came before those in front of them.
tcpdump -nr "$T/far.pcap" -S 2> /dev/null | awk '{ for (i = 1; i < NF; i++) if ($i == "seq" && split($(i + 1), s, "[:,]") >= 2 && s[2] != "") {
	k = $3 $5; n++; if (k in next_seq && s[1] + 0 > next_seq[k]) early++; if (!(k in next_seq) || s[2] + 0 > next_seq[k]) next_seq[k] = s[2] + 0 } }
	END { print n + 0, early + 0 }' > "$T/order"
read -r segments early < "$T/order"
between "tcpdump saw the terminal's segments: $segments" "$segments" 100 1e9
same "none of them before those in front of it" "$early" 0
# Not none, so far: I believe that a frame of the host's which its queueing discipline puts back, as the card was full, goes to the
# end of those put back (dev_requeue_skb) when we have filled the card since it looked. Bounded by how often we fill it.
trained=$(awk '{ print $2 }' "$T/trains")
ofo="$(counts near TCPOFOQueue) $(counts far TCPOFOQueue)"
between "segments out of order that TCP has seen, near and far: $ofo" $((${ofo% *} + ${ofo#* })) 0 $((5 + trained / 2000))
same "retransmissions that were lost" "$(counts near TCPLostRetransmit) $(counts far TCPLostRetransmit)" "0 0"
echo "# retransmitted for a late answer: $(counts near RetransSegs) there, $(counts far RetransSegs) back"
kill "$answer_pid" "$iperf_pid" 2> /dev/null
wait "$answer_pid" "$iperf_pid" 2> /dev/null
ip -n "$far" link set eth1 netns 1
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 240
# ktrxer emulate on a network: what the kernel's own counters, ping and tcpdump say of it.
#
#   a a0 10.9.0.1, fd09::1 ---- e0 emulator e1 ---- b0 10.9.0.2, fd09::2 b
set -u
. "$(dirname "$0")/lib.sh"
need_root

ns a
ns emulator
ns b
# Silence: a host that speaks without being asked would disturb the counts.
for n in a emulator b; do
	in_ns $n sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
done
wire a a0 emulator e0
wire b b0 emulator e1
addr a a0 10.9.0.1/24
addr b b0 10.9.0.2/24
in_ns a ip neigh replace 10.9.0.2 lladdr "$(mac_of b b0)" dev a0 nud permanent
in_ns b ip neigh replace 10.9.0.1 lladdr "$(mac_of a a0)" dev b0 nud permanent

# emulator OPTION...: runs until the link works; ends by end_link.
start_link() {
	in_ns_bg link emulator "$KT" emulate -i e0 -o e1 --json "$@" > "$T/link" 2> "$T/link.err"
	wait_for 10 grep -q '"type":"run"' "$T/link"
}

end_link() {
	stop "$link"
	link_exit=$?
}

# value FROM KEY
value() { jq -r "select(.type == \"link\" and .from == \"$1\") | .$2" "$T/link"; }
kernel() { ip -n "$(name_of "$1")" -s -j link show dev "$2" | jq ".[0].stats64.$3.packets"; }
# shellcheck disable=SC2317
arrived() { [ "$(kernel b b0 rx)" -ge "$1" ]; }
# Everything is accounted for. check() calls it.
# shellcheck disable=SC2317
balanced() {
	jq -e 'select(.type == "link") | .seen + .duplicated == .departed + .lost + .no_room + .too_long + .full
		+ .failed + .pending and .missed == 0' "$T/link" > "$T/balance" &&
		[ "$(grep -c true "$T/balance")" = 2 ]
}

awk 'BEGIN {
	for (i = 0; i < 200; i++) {
		printf "1 %d 02000000000b02000000000a08004500002e%04x0000401100000a0900010a090002", i * 1000000, i
		printf "%04x0009001a0000%036d\n", 1000 + i, i
	}
}' | pcap_write "$T/train.pcap"

for engine in packet xdp; do
	if ! in_ns emulator "$KT" emulate -i e0 -o e1 --engine $engine -d 1ms > "$T/probe" 2>&1; then
		skip "$engine" "$(tail -n 1 "$T/probe")"
		continue
	fi
	a_sent=$(kernel a a0 tx) b_got=$(kernel b b0 rx)
	start_link --engine $engine --delay 20ms --back-delay 5ms
	out=$(in_ns a ping -n -c 20 -i 0.02 -W 3 10.9.0.2)
	end_link
	same "$engine: ends when interrupted" $link_exit 0
	matches "$engine: every ping is answered" "$out" '20 received, 0% packet loss'
	between "$engine: no answer is faster than the link" "$(sed -n 's|^rtt.* = \([0-9.]*\)/.*|\1|p' <<< "$out")" 25 1000
	check "$engine: everything is accounted for" balanced
	same "$engine: it saw what a's kernel sent" "$(value e0 seen)" $(($(kernel a a0 tx) - a_sent))
	same "$engine: b's kernel got what it sent" "$(value e0 departed)" $(($(kernel b b0 rx) - b_got))
	same "$engine: never early" "$(value e0 'late.min_ns >= 0')" true

	# The same seed loses the same packets, and what is lost is not seen behind the link.
	answers=()
	for _ in 1 2; do
		start_link --engine $engine --loss 30% --back-loss 0 --seed 42
		answers+=("$(in_ns a ping -n -c 100 -i 0.003 -W 1 10.9.0.2 |
			sed -n 's/.*icmp_seq=\([0-9]*\) .*/\1/p' | xargs)")
		end_link
	done
	same "$engine: the same seed, the same fates" "${answers[0]}" "${answers[1]}"
	lost=$(value e0 lost)
	same "$engine: loss is what is missing" $((lost + $(wc -w <<< "${answers[1]}"))) "$(value e0 seen)"
	between "$engine: and about what was asked" "$lost" 15 45
	same "$engine: none on the way back" "$(value e1 lost)" 0

	start_link --engine $engine --duplicate 100% --back-duplicate 0
	out=$(in_ns a ping -n -c 5 -i 0.02 -W 1 10.9.0.2)
	end_link
	matches "$engine: duplicates come twice" "$out" '\+[45] duplicates'

	sniff dump b b0 "$T/bits.pcap" icmp
	start_link --engine $engine --corrupt 100% --back-corrupt 0
	out=$(in_ns a ping -n -c 20 -i 0.02 -W 1 10.9.0.2)
	end_link
	sniffed "$dump" "$T/bits.pcap"
	same "$engine: a flipped bit in every packet" "$(value e0 corrupted)" "$(value e0 seen)"
	between "$engine: and no checksum forgives" "$(sed -n 's/.* \([0-9]*\) received.*/\1/p' <<< "$out")" 0 1

	# 1 Mbit/s, 1066 bytes with overhead: 8.5 ms each, at once; 4 of 40 fit the queue and one the transmitter.
	start_link --engine $engine --rate 1M --room-packets 4
	in_ns a ping -n -q -c 40 -i 0.001 -l 40 -s 1000 -W 1 10.9.0.2 > /dev/null
	end_link
	check "$engine: a full queue is accounted for" balanced
	between "$engine: and drops what finds no room" "$(value e0 no_room)" 20 36

	# 200 datagrams 1 ms apart, numbered by their source port: those held for 5 ms are overtaken.
	sniff dump b b0 "$T/held.pcap" udp
	start_link --engine $engine --hold 10% --hold-time 5ms --seed 1
	b_got=$(kernel b b0 rx)
	in_ns a "$KT" send -q -i a0 --engine packet "$T/train.pcap"
	wait_for 10 arrived $((b_got + 200))
	end_link
	sniffed "$dump" "$T/held.pcap"
	same "$engine: hold: all leave" "$(value e0 departed)" 200
	between "$engine: hold: about as many as were asked for" "$(value e0 held)" 8 40
	between "$engine: hold: and come out of order" \
		"$(tshark -n -r "$T/held.pcap" -T fields -e udp.srcport 2> /dev/null | awk '$1 < max { n++ } $1 > max { max = $1 } END { print n + 0 }')" \
		5 "$(value e0 held)"

	start_link --engine $engine
	ip -n "$(name_of emulator)" link set e1 down
	in_ns a ping -n -q -c 3 -i 0.05 -W 1 10.9.0.2 > /dev/null
	wait_for 10 grep -q 'interface e1 is down' "$T/link.err"
	ip -n "$(name_of emulator)" link set e1 up
	wait_for 10 grep -q 'interface e1 is up again' "$T/link.err"
	check "$engine: goes on after a link was down" wait_for 10 in_ns a ping -n -q -c 1 -W 1 10.9.0.2
	end_link
	same "$engine: that it was down is said and counted once" \
		"$(grep -c 'interface e1 is down' "$T/link.err") $(value e1 times_down) $(value e0 times_down)" "1 1 0"
	same "$engine: what could not leave meanwhile is told" "$(value e0 failed)" 3
	check "$engine: and accounted for" balanced
done

# With neighbour discovery and all that hosts say unasked.
in_ns a sysctl -qw net.ipv6.conf.a0.disable_ipv6=0
in_ns b sysctl -qw net.ipv6.conf.b0.disable_ipv6=0
addr a a0 fd09::1/64
addr b b0 fd09::2/64
start_link --delay 5ms --jitter 2ms --jitter-kind exponential --rate 10M --room 64Ki
out=$(in_ns a ping -n -c 20 -i 0.02 -W 3 fd09::2)
end_link
matches "IPv6: every ping is answered" "$out" '20 received, 0% packet loss'
check "IPv6: everything is accounted for" balanced

# --- what is wrong is one sentence -------------------------------------------------------

# wrong NAME EXIT REGEX OPTION...
wrong() {
	local name=$1 code=$2 text=$3 out
	shift 3
	out=$(in_ns emulator timeout 10 "$KT" emulate "$@" 2>&1)
	same "$name: exit code" $? "$code"
	matches "$name: one sentence" "$out" "$text"
}
wrong "no second interface" 2 '^ktrxer emulate: --out is needed' -i e0
wrong "no first interface" 2 '^ktrxer emulate: --interface is needed' -o e0
wrong "the same twice" 2 'two interfaces' -i e0 -o e0 --engine packet
wrong "unknown interface" 3 'nosuch' -i e0 -o nosuch
wrong "impossible chance" 2 'loss' -i e0 -o e1 --loss 120%
wrong "room without a rate" 2 'needs a rate' -i e0 -o e1 --room 5k
wrong "operand" 2 '"x" is not needed' -i e0 -o e1 x

# --- the manual ---------------------------------------------------------------------------

while read -r line; do
	check "manual: $line" in_ns emulator sh -c "\"$KT\" ${line#ktrxer }"
done < <(sed -n 's/^\.Dl \(ktrxer emulate.*\)/\1/p' "$KT_SRC/man/ktrxer-emulate.1")

start_link --engine packet
ip -n "$(name_of emulator)" link del e1
wait "$link"
same "an interface is deleted: exit code" $? 4
matches "an interface is deleted: one sentence" "$(grep -v 'keep frames' "$T/link.err")" '^ktrxer emulate: .*e1'
same "an interface is deleted: the results are there" "$(grep -c '"type":"link"' "$T/link")" 2
done_testing

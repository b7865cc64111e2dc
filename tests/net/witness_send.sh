#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# tcpdump in the far namespace sees exactly the frames, in the order and with
# the spacing, that ktrxer send reports; by every engine.
#
#   a a0 ---- b0 b
set -u
. "$(dirname "$0")/lib.sh"
need_root

ns a
ns b
wire a a0 b b0
# Nobody else says anything on this wire.
ip -n "$(name_of a)" link set a0 addrgenmode none
ip -n "$(name_of b)" link set b0 addrgenmode none
in_ns a sysctl -qw net.ipv6.conf.a0.disable_ipv6=1
in_ns b sysctl -qw net.ipv6.conf.b0.disable_ipv6=1

# 300 frames of an experimental ethertype, every length from 60 to 1514, no two alike, unevenly spaced.
awk 'BEGIN {
	srand(7); t = 0
	for (i = 0; i < 300; i++) {
		len = i < 2 ? 60 + 1454 * i : 60 + int(rand() * 1455)
		hex = "02000000000b02000000000a88b5" sprintf("%08x", i)
		while (length(hex) < 2 * len) hex = hex sprintf("%02x", int(rand() * 256))
		printf "%d %d %s\n", t / 1e9, t % 1e9, hex
		t += 200000 + int(rand() * 5) * 300000
	}
}' > "$T/frames"
pcap_write "$T/frames.pcap" < "$T/frames"
same "tcpdump reads the file that we made" "$(tcpdump --count -r "$T/frames.pcap" 2> /dev/null)" "300 packets"

for engine in packet xdp; do
	sniff dump b b0 "$T/$engine.pcap"
	if ! in_ns a "$KT" send -i a0 --engine $engine --json --each "$T/frames.pcap" > "$T/$engine.json" 2> "$T/err"; then
		not_ok "$engine: sends" "$(cat "$T/err")"
		stop "$dump"
		continue
	fi
	sniffed "$dump" "$T/$engine.pcap"
	same "$engine: tcpdump lost nothing" $? 0
	check "$engine: the same bytes in the same order" diff \
		<(cut -d' ' -f3 "$T/frames") <(pcap_read "$T/$engine.pcap" | cut -d' ' -f3)
	same "$engine: all reported as sent" "$(jq -r 'select(.type == "frame") | .status' "$T/$engine.json" | sort | uniq -c | xargs)" "300 sent"
	same "$engine: the summary agrees" "$(jq -r 'select(.type == "summary") | "\(.submitted) \(.sent) \(.failed)"' "$T/$engine.json")" "300 300 0"
	same "$engine: no launch before its time" \
		"$(jq -r 'select(.type == "frame" and .launch_ns < .scheduled_ns) | .number' "$T/$engine.json")" ""
	# Both clocks run at one speed: reported and seen gaps differ by what the wire and the tap take.
	paste <(jq -r 'select(.type == "frame") | .launch_ns' "$T/$engine.json") <(pcap_read "$T/$engine.pcap" | cut -d' ' -f1) |
		awk '{ if (NR > 1) { d = ($2 - s) - ($1 - l); print d < 0 ? -d : d } l = $1; s = $2 }' > "$T/gaps"
	between "$engine: seen gaps are the reported ones (median difference, ns)" "$(quantile 500 < "$T/gaps")" 0 500000
	same "$engine: the schedule is the file's own times, exactly" \
		"$(jq -r 'select(.type == "frame") | .scheduled_ns' "$T/$engine.json" | awk 'NR == 1 { f = $1 } { print $1 - f }' | cksum)" \
		"$(awk '{ print $1 * 1000000000 + $2 }' "$T/frames" | cksum)"
done
done_testing

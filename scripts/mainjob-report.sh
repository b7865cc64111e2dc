# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The main job's report: sourced by mainjob-run.sh, which sets out, T, KT and the figures of the path.

if [ -t 1 ]; then
	bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m' wipe=$'\r\e[K'
else
	bold='' dim='' green='' red='' plain='' wipe=''
fi
met=0 unmet=0

# put FORMAT ARGUMENT...: on the terminal, and plainly into the report's file
put() {
	local text
	# shellcheck disable=SC2059
	printf -v text "$@"
	printf '%s%s' "$wipe" "$text"
	printf '%s' "$text" | sed $'s/\e\\[[0-9;]*m//g' >&3
}

# A line that the next one replaces, for people who watch.
say() { [ -z "$wipe" ] || printf '%s%s%s ...%s' "$wipe" "$dim" "$1" "$plain"; }

die() {
	printf '%s%s\n' "$wipe" "$1"
	shift
	tail -n 5 "$@"
	exit 3
}

headline() {
	local engine
	engine=$("$KT" info --json 2> /dev/null | jq -rs '[.. | objects | select(.works? == true) | .name?] | first // "?"')
	put '%sktrxer %s%s  main job on Linux %s, %s CPUs, engine %s\n' "$bold" \
		"$("$KT" --version | awk '{ print $NF; exit }')" "$plain" "$(uname -r)" "$(nproc)" "$engine"
}

topology() {
	local left right
	printf -v left '%s ms, loss %s%%' "$DELAY_MS" "$LOSS"
	printf -v right '%s Mbit/s' "$RATE_MBIT"
	put '%s' "$(printf '%s\n' "" \
		"  prober         emulated paths         router        LAN $LAN4.0/24, $LAN6:/64" \
		" +------+      +----------------+      +------+     +-- web   .10  TCP 80, 443; UDP echo" \
		" |   p0 |------| $(printf '%-14s' "$left") |------| r0   |     +-- dns   .20  unbound" \
		" |      |      +----------------+      |      |-----+-- echo  .30  UDP echo" \
		" |   p1 |------| $(printf '%-14s' "$right") |------| r1   |     +-- wall  .40  nftables drops everything" \
		" +------+      +----------------+      +------+     +-- quiet .50  only its kernel")"$'\n'
}

heading() {
	put '\n%s%-26s %-9s %6s %8s %7s  %-26s %s%s\n' "$bold" "probes" "to" "sent" "answered" "silent" \
		"round trip p50 / p90 / p99" "launched late p50 / p99" "$plain"
}

# summary NAME FILTER: from the summary of a run
summary() { jq -r "select(.type == \"summary\") | $2" "$out/$1.jsonl" 2> /dev/null; }

ms() { awk -v v="$1" 'BEGIN { if (v == "" || v == "null") print "-"; else printf "%.2f", v / 1e6 }'; }
us() { awk -v v="$1" 'BEGIN { if (v == "" || v == "null") print "-"; else printf "%.1f", v / 1e3 }'; }

# Exact percentiles, from the lines of single probes; a retry's launch has no time of its own to be late for.
rtts() { jq -r 'select(.type == "answer" and .too_late == false and .duplicate == false and .answer != "unreach-host") | .rtt_ns' "$out/$1.jsonl"; }
lates() { jq -r 'select(.launch_ns? and .tries == 0) | .launch_ns - .scheduled_ns' "$out/$1.jsonl"; }

# row NAME TITLE WHERE
row() {
	local name=$1 sent answered loss
	read -r sent answered loss < <(summary "$name" '"\(.sent) \(.answered) \(.loss_ratio * 100)"')
	if [ -z "${sent:-}" ]; then
		put '%-26s %s\n' "$2" "$red$(tail -n 1 "$out/$name.txt")$plain"
		unmet=$((unmet + 1))
		return
	fi
	rtts "$name" > "$T/rtt"
	lates "$name" > "$T/late"
	put '%-26s %-9s %6d %8d %6.1f%%  %-26s %s\n' "$2" "$3" "$sent" "$answered" "$loss" \
		"$(ms "$(quantile 500 < "$T/rtt")") / $(ms "$(quantile 900 < "$T/rtt")") / $(ms "$(quantile 990 < "$T/rtt")") ms" \
		"$(us "$(quantile 500 < "$T/late")") / $(us "$(quantile 990 < "$T/late")") us"
}

# expect TEXT CONDITION: an awk condition on numbers
expect() {
	if awk "BEGIN { exit !($2) }" 2> /dev/null; then
		met=$((met + 1))
		put '  %sas expected%s  %s\n' "$green" "$plain" "$1"
	else
		unmet=$((unmet + 1))
		put '  %sUNEXPECTED%s   %s   (%s)\n' "$red" "$plain" "$1" "$2"
	fi
}

# The ports of one kind of answer: "10.7.1.10:80 ..."
ports() {
	jq -r "select(.type == \"answer\" and .answer == \"$2\") | \"\(.target):\(.port)\"" "$out/$1.jsonl" | sort -uV | xargs
}

# One link of the emulated path: emulated FROM FILTER
emulated() { jq -r "select(.type == \"link\" and .from == \"$1\") | $2" "$out/emulator-path.jsonl"; }

# Echo requests of a capture: "IDENT/SEQ SECONDS"
requests() {
	tshark -n -r "$1" -Y "icmp.type == 8 && ip.dst == $2" -T fields -e icmp.ident -e icmp.seq -e frame.time_epoch 2> /dev/null |
		awk '{ print $1 "/" $2, $3 }'
}

# Where each of the first series was lost, and when it arrived behind the path, by tcpdump alone.
witness_timing() {
	local mac sent there back answered
	mac=$(mac_of router r0)
	requests "$out/icmp4.pcapng" "$LAN4.10" > "$T/launched"
	requests "$out/far.pcap" "$LAN4.10" > "$T/arrived"
	sent=$(summary icmp4 .sent) answered=$(summary icmp4 .answered)
	awk 'NR == FNR { l[$1] = $2; next } $1 in l { printf "%.0f\n", ($2 - l[$1]) * 1e9 }' "$T/launched" "$T/arrived" > "$T/oneway"
	there=$(wc -l < "$T/oneway")
	awk -v s="$SLOW" 'NR > 1 { d = ($2 - t) * 1e9 - 1e7 * s; if (d < 5e6 * s) printf "%.0f\n", d < 0 ? -d : d } { t = $2 }' \
		<(awk 'NR == FNR { l[$1]; next } $1 in l' "$T/launched" "$T/arrived") > "$T/spacing"
	back=$((there - answered))
	put '  of %s echo requests %s arrived behind the path, %s answers came back: lost %s there, %s on the way back\n' \
		"$sent" "$there" "$answered" "$((sent - there))" "$back"
	put '  one way, launch to tcpdump: p50 %s, p99 %s ms; spacing off by p50 %s, p99 %s us\n' \
		"$(ms "$(quantile 500 < "$T/oneway")")" "$(ms "$(quantile 990 < "$T/oneway")")" \
		"$(us "$(quantile 500 < "$T/spacing")")" "$(us "$(quantile 990 < "$T/spacing")")"
	local in_frames out_frames
	in_frames=$(tcpdump --count -nr "$out/far.pcap" "not ether src $mac" 2> /dev/null | awk '{ print $1 }')
	out_frames=$(tcpdump --count -nr "$out/far.pcap" "ether src $mac" 2> /dev/null | awk '{ print $1 }')
	put '  the emulator let %s of %s frames through there and %s of %s back; tcpdump saw %s arrive and %s leave\n\n' \
		"$(emulated e0 .departed)" "$(emulated e0 .seen)" "$(emulated e1 .departed)" "$(emulated e1 .seen)" \
		"$in_frames" "$out_frames"
	expect "tcpdump saw what the emulator let through" \
		"$in_frames - $(emulated e0 .departed) <= 3 && $(emulated e0 .departed) - $in_frames <= 3"
	expect "every lost probe is one that the emulator lost" "$((sent - there)) <= $(emulated e0 .lost) && $back <= $(emulated e1 .lost) && $back >= 0"
	expect "one-way delay is the emulated $DELAY_MS ms, up to $SLOW ms" \
		"$(quantile 500 < "$T/oneway") >= ${DELAY_MS}e6 && $(quantile 500 < "$T/oneway") < (${DELAY_MS} + $SLOW) * 1e6"
}

capacity() {
	jq -r 'select(.type == "answer" and .duplicate == false) | "\(.seq) \(.received_ns)"' "$out/pair.jsonl" |
		awk '{ t[$1] = $2 } END { for (s in t) if (s % 2 == 0 && (s + 1) in t && t[s + 1] > t[s])
			printf "%.3f\n", (14 + 20 + 8 + 1400 + 24) * 8e3 / (t[s + 1] - t[s]) }' | quantile 500
}

# our_rsts NAME: RSTs that left the prober while this run went on: until the last frame that it sent or received.
# Later ones are the host's own, to SYN-ACKs that a target repeats when nobody scans any more.
our_rsts() {
	local last
	last=$(tcpdump -ttnr "$out/$1.pcapng" 2> /dev/null | awk 'END { print $1 }')
	tcpdump -ttnr "$out/far.pcap" 'src 10.7.0.2 and tcp[tcpflags] & tcp-rst != 0' 2> /dev/null |
		awk -v from="${began[$1]}" -v to="$last" '$1 >= from && $1 <= to' | wc -l
}

findings() {
	local found open closed name mbit good complaints=0 series=(icmp4 icmp6 poisson train udp4 udp6 dns4 dns6)
	put '\n%swhat was found%s\n' "$bold" "$plain"
	found=$(jq -r 'select(.type == "answer" and .answer == "reply") | .target' "$out/scan.jsonl" | sort -uV | xargs)
	open=$(ports syn4 syn-ack) closed=$(ports syn4 rst) mbit=$(capacity)
	put '  hosts that answer the scan: %s; the router said of %s others that nobody is there\n' "$found" \
		"$(jq -r 'select(.type == "answer" and .answer == "unreach-host") | .target' "$out/scan.jsonl" | sort -u | wc -l)"
	put '  open: %s; closed: %s; silent: all of %s.40\n' "$open" "$closed" "$LAN4"
	put '  www.ktrxer.test is %s and %s\n' "$(jq -r 'select(.rcode == 0) | .address' "$out/dns4.jsonl" | sort -u | xargs)" \
		"$(jq -r 'select(.rcode == 0) | .address' "$out/dns6.jsonl" | sort -u | xargs)"
	put '  capacity of the narrow path by packet pairs: %s Mbit/s of %s\n' "$mbit" "$RATE_MBIT"
	witness_timing
	expect "the scan finds every host, and no other" "\"$found\" == \"$LAN4.1 $LAN4.10 $LAN4.20 $LAN4.30 $LAN4.50\""
	expect "open and closed ports are told apart, the wall stays silent" \
		"\"$open/$closed\" == \"$LAN4.10:80 $LAN4.10:443/$LAN4.10:22 $LAN4.10:8080\""
	expect "while the SYN scan ran, no RST of ours told anybody of it" "$(our_rsts syn4) == 0"
	expect "packet pairs tell the capacity within 5 %" "$mbit > 0.95 * $RATE_MBIT && $mbit < 1.05 * $RATE_MBIT"
	good=0
	for name in "${series[@]}"; do
		summary "$name" '"\(.sent) \(.planned) \(.sent - .answered) \(.rtt.min_ns) \(.rtt.p50_ns)"' |
			awk -v d="$DELAY_MS" -v p="$LOSS" -v s="$SLOW" '{ n = $1 * 2 * p / 100; exit !($1 == $2 && $3 <= n + 5 * sqrt(n) + 1 &&
				$4 >= 2e6 * d && $4 < 2e6 * d + 1e6 * s && $5 < 2e6 * d + 5e6 * s) }' && good=$((good + 1))
	done
	expect "in ${#series[@]} of ${#series[@]} series all were sent, losses are as chance allows, RTTs start at $((2 * DELAY_MS)) ms" \
		"$good == ${#series[@]}"
	# All in one, as tshark takes its time to start.
	mergecap -w "$T/all.pcapng" "$out"/*.pcapng "$out/far.pcap" 2> "$T/complaints" &&
		tshark_complaints "$T/all.pcapng" > "$T/complaints" || complaints=1
	[ ! -s "$T/complaints" ] || { complaints=1; head -n 3 "$T/complaints" | sed 's/^/    /'; }
	expect "tshark decodes every frame of every file, checksums included" "$complaints == 0"
	expect "nothing was lost by ourselves" "$(cat "$out"/*.jsonl | jq -rs '[.[] | .receiver? // empty | .lost_ring + .lost_engine + .lost_error] | add') == 0"
}

files() {
	put '\n%s%s%s: per run .jsonl (jq), .csv, .pcapng (tshark, ns), .meta.json; far.pcap, report.txt, commands.txt\n' \
		"$bold" "${out#"$KT_SRC"/}" "$plain"
}

verdict() {
	put '%s of %s as expected; set up in %s s, probed in %s s\n' "$met" "$((met + unmet))" "$((ready - started))" "$((ended - ready))"
	[ $unmet = 0 ]
}

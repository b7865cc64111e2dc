#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# What mainjob.sh runs in its own namespaces: builds the network, probes it,
# writes the report.   mainjob-run.sh BUILD OUT SLOW
set -u
KT_BUILD=$(cd "$1" && pwd)
out=$(cd "$2" && pwd)
KT_SRC=$PWD
. tests/net/lib.sh
. scripts/mainjob-net.sh
. scripts/mainjob-report.sh

exec 4>&1 # the handler may run while a command's output goes to a file
interrupted() {
	printf '\ninterrupted; what was measured is in %s\n' "${out#"$KT_SRC"/}" >&4
	exit 130
}
trap interrupted INT TERM

SLOW=$3
DELAY_MS=$((10 * SLOW)) LOSS=1 RATE_MBIT=$(awk -v s="$SLOW" 'BEGIN { printf "%g", 20 / s }')
# every MS: an interval; few N [MIN]: a number of probes; rate N: a number a second
every() { echo "$(($1 * SLOW))ms"; }
few() { echo $(($1 / SLOW > ${2:-1} ? $1 / SLOW : ${2:-1})); }
rate() { awk -v n="$1" -v s="$SLOW" 'BEGIN { printf "%g", n / s }'; }
started=$SECONDS
exec 3> "$out/report.txt"

headline
topology
say "setting up"
net_prober
net_lan
net_services "$T" "$KT_BUILD/tests/tools/service" || die "a service did not start:" "$T"/*.log
sniff far_pid router r0 "$out/far.pcap"
in_ns_bg path_pid path "$KT" emulate -i e0 -o e1 --delay ${DELAY_MS}ms --loss $LOSS% --seed 42 --json \
	> "$out/emulator-path.jsonl" 2> "$T/path.log"
in_ns_bg narrow_pid narrow "$KT" emulate -i n0 -o n1 --rate "${RATE_MBIT}M" --delay "$(every 1)" --seed 42 --json \
	> "$out/emulator-narrow.jsonl" 2> "$T/narrow.log"
wait_for $((15 * SLOW)) in_ns prober ping -c 1 -W 1 10.7.0.1 || die "the emulated path carries nothing:" "$T/path.log"
wait_for $((15 * SLOW)) in_ns prober ping -c 1 -W 1 10.7.9.1 || die "the narrow path carries nothing:" "$T/narrow.log"
wait_for $((15 * SLOW)) in_ns prober ping -c 1 -W 1 fd07::1
ready=$SECONDS

declare -A began
# probe NAME TITLE OPTION...: one run; its files are OUT/NAME.{jsonl,csv,pcapng} and so on.
probe() {
	local name=$1 title=$2
	shift 2
	say "$title"
	echo "ktrxer probe $*" >> "$out/commands.txt"
	began[$name]=$EPOCHREALTIME
	in_ns prober "$KT" probe --status no --results "$out/$name.jsonl" --csv "$out/$name.csv" \
		--write "$out/$name.pcapng" --meta "$out/$name.meta.json" "$@" > "$out/$name.txt" 2>&1
}

P=(-i p0) DENSE="$((10 * SLOW)) ms"
heading
probe icmp4 "ICMP echo, IPv4" "${P[@]}" -k icmp -I "$(every 10)" -c "$(few 400)" "$LAN4.10"
row icmp4 "ICMP echo, every $DENSE" "web"
probe icmp6 "ICMP echo, IPv6" "${P[@]}" -k icmp -I "$(every 10)" -c "$(few 200)" "$LAN6:10"
row icmp6 "ICMPv6 echo, every $DENSE" "web"
probe poisson "ICMP echo, Poisson" "${P[@]}" -k icmp --poisson "$(rate 200)" --seed 7 -c "$(few 400)" "$LAN4.50"
row poisson "ICMP echo, Poisson $(rate 200)/s" "quiet"
probe train "ICMP trains" "${P[@]}" -k icmp --train 10 --trains "$(few 20)" -c 0 -I "$(every 50)" "$LAN4.10"
row train "ICMP, $(few 20) trains of 10" "web"
probe udp4 "UDP to an echo service" "${P[@]}" -k udp -p 7 -I "$(every 10)" -c "$(few 200)" "$LAN4.30"
row udp4 "UDP echo, every $DENSE" "echo"
probe udp6 "UDP to an echo service, IPv6" "${P[@]}" -k udp -p 7 -I "$(every 10)" -c "$(few 100)" "$LAN6:30"
row udp6 "UDP echo over IPv6" "echo"
probe dns4 "DNS queries" "${P[@]}" -k dns --dns-name www.ktrxer.test -I "$(every 10)" -c "$(few 200)" "$LAN4.20"
row dns4 "DNS, A www.ktrxer.test" "dns"
probe dns6 "DNS queries, IPv6" "${P[@]}" -k dns --dns-name www.ktrxer.test -I "$(every 10)" -c "$(few 100)" "$LAN6:20"
row dns6 "DNS, AAAA over IPv6" "dns"
probe syn4 "TCP SYN to open, closed and filtered ports" "${P[@]}" -k syn -p 22,80,443,8080 -I "$(every 10)" -c 5 "$LAN4.10" "$LAN4.40"
row syn4 "TCP SYN, 2 hosts x 4 ports" "web, wall"
probe syn6 "TCP SYN, IPv6" "${P[@]}" -k syn -p 22,80,443,8080 -I "$(every 10)" -c 5 "$LAN6:10"
row syn6 "TCP SYN over IPv6" "web"
probe scan "scan of a /24, patient enough for the router" "${P[@]}" -k icmp -r "$(rate 500)" -R 1 --order random --seed 11 --path-of 10.7.0.1 --timeout "$((3480 + 20 * SLOW))ms" "$LAN4.0/24"
row scan "scan of $LAN4.0/24" "LAN"
probe pair "packet pairs through the narrow path" -i p1 -k icmp --train 2 --trains "$(few 50 10)" -c 0 -I "$(every 20)" -s 1400 10.7.9.1
row pair "packet pairs, 1400 bytes" "router"

say "reading the witnesses"
stop "$path_pid"
stop "$narrow_pid"
sniffed "$far_pid" "$out/far.pcap"
ended=$SECONDS
findings
files
verdict

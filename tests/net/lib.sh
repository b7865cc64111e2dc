# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Networks made of namespaces, for tests and for the main job. Source it:
#
#   . "$(dirname "$0")/lib.sh"
#   ns a; ns b; wire a a0 b b0
#   addr a a0 10.9.0.1/24; in_ns a ping -c1 10.9.0.2
#   check "a sees b" in_ns a ping -c1 -W2 10.9.0.2
#   done_testing
#
# Namespaces are called kt-PID-NAME; they and every process started by bg or
# in_ns_bg go away when the script ends, however it ends.

. "$(dirname "${BASH_SOURCE[0]}")/../tap.sh"

KT_BUILD=${KT_BUILD:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build}
KT_SRC=${KT_SRC:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
# shellcheck disable=SC2034
KT=$KT_BUILD/ktrxer
export KT_BUILD KT_SRC LC_ALL=C
kt_tag=$$
kt_spaces=()
kt_jobs=()
kt_made_tmp=$(mktemp -d)
# shellcheck disable=SC2034
T=$kt_made_tmp # scratch files

kt_cleanup() {
	local p s
	trap '' INT TERM
	for p in "${kt_jobs[@]}"; do kill "$p" 2> /dev/null; done
	# Whatever still runs inside a namespace of ours keeps it alive.
	for s in "${kt_spaces[@]}"; do
		for p in $(ip netns pids "$s" 2> /dev/null); do kill "$p" 2> /dev/null; done
	done
	for s in "${kt_spaces[@]}"; do
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			[ -n "$(ip netns pids "$s" 2> /dev/null)" ] || break
			sleep 0.1
		done
		for p in $(ip netns pids "$s" 2> /dev/null); do kill -9 "$p" 2> /dev/null; done
		ip netns del "$s" 2> /dev/null
	done
	rm -rf "$kt_made_tmp"
}
trap kt_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

need_root() {
	[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit 77; }
}

# --- namespaces and wires -------------------------------------------------------

name_of() { echo "kt-$kt_tag-$1"; }

# ns NAME: a network namespace with its loopback up, ready for addresses without delay.
ns() {
	local s
	s=$(name_of "$1")
	ip netns add "$s" || exit 1
	kt_spaces+=("$s")
	ip -n "$s" link set lo up
	ip netns exec "$s" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
		net.ipv6.conf.default.router_solicitations=0 net.ipv6.conf.all.forwarding=0
}

in_ns() {
	local s=$1
	shift
	ip netns exec "$(name_of "$s")" "$@"
}

# bg VARIABLE COMMAND...: starts it, puts its pid into VARIABLE.
bg() {
	local -n kt_pid_ref=$1
	shift
	"$@" &
	# shellcheck disable=SC2034
	kt_pid_ref=$!
	kt_jobs+=("$!")
}

# in_ns_bg VARIABLE NS COMMAND...: the same inside a namespace; the pid is the command's own.
in_ns_bg() {
	local kt_var=$1 kt_ns=$2
	shift 2
	bg "$kt_var" ip netns exec "$(name_of "$kt_ns")" "$@"
}

# stop PID [SIGNAL]: ends what bg started and waits for it; its exit status.
stop() {
	kill "-${2:-TERM}" "$1" 2> /dev/null
	wait "$1" 2> /dev/null
}

# wire NS1 DEV1 NS2 DEV2 [MTU]: a veth pair, up. Checksums are computed, as a real wire needs them.
wire() {
	local a b
	a=$(name_of "$1") b=$(name_of "$3")
	ip link add "$2" netns "$a" mtu "${5:-1500}" type veth peer name "$4" netns "$b" mtu "${5:-1500}" || exit 1
	ip netns exec "$a" ethtool -K "$2" tx off tso off gso off gro off > /dev/null 2>&1
	ip netns exec "$b" ethtool -K "$4" tx off tso off gso off gro off > /dev/null 2>&1
	ip -n "$a" link set "$2" up
	ip -n "$b" link set "$4" up
}

# addr NS DEV ADDRESS/LEN...
addr() {
	local s=$1 dev=$2 a
	shift 2
	for a in "$@"; do
		case $a in
		*:*) ip -n "$(name_of "$s")" addr add "$a" dev "$dev" nodad ;;
		*) ip -n "$(name_of "$s")" addr add "$a" dev "$dev" ;;
		esac || exit 1
	done
}

route() {
	local s=$1
	shift
	case $* in *:*) ip -n "$(name_of "$s")" -6 route add "$@" ;; *) ip -n "$(name_of "$s")" route add "$@" ;; esac
}

mac_of() { ip -n "$(name_of "$1")" -j link show dev "$2" | jq -r '.[0].address'; }

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@" > /dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# sniff VARIABLE NS DEV FILE [TCPDUMP-ARGUMENT...]: tcpdump with ns stamps; returns when it listens.
sniff() {
	local kt_var=$1 kt_ns=$2 dev=$3 file=$4
	shift 4
	in_ns_bg "$kt_var" "$kt_ns" tcpdump -Z root -i "$dev" --immediate-mode --time-stamp-precision=nano -U -B 16384 -w "$file" "$@" 2> "$file.log"
	wait_for 10 grep -q 'listening on' "$file.log"
}

# sniff_counts PID FILE: tcpdump's own "CAPTURED RECEIVED": how many it wrote, how many its tap has seen.
sniff_counts() {
	local before
	before=$(grep -c 'dropped by kernel' "$2.log")
	kill -USR1 "$1" || return
	wait_for 5 eval "[ \$(grep -c 'dropped by kernel' '$2.log') -gt $before ]"
	sed -n 's/^tcpdump: \([0-9]*\) packets* captured, \([0-9]*\) packets* received by filter.*/\1 \2/p' "$2.log" | tail -n 1
}

# sniffed PID FILE: ends it; everything seen is in the file: all that the tap saw is written, and no more comes.
sniffed() {
	local now='' before=none
	for _ in {1..100}; do
		now=$(sniff_counts "$1" "$2")
		[ -n "$now" ] && [ "$now" = "$before" ] && [ "${now% *}" = "${now#* }" ] && break
		before=$now
		sleep 0.05 # that no more comes can only be seen over a time
	done
	stop "$1"
	grep -q '^0 packets dropped by kernel' "$2.log"
}

# pcap_write FILE < lines "SECONDS NANOSECONDS HEX": a capture file with ns stamps.
pcap_write() {
	perl -ane 'BEGIN { binmode STDOUT; print pack("VvvVVVV", 0xa1b23c4d, 2, 4, 0, 0, 262144, 1) }
		$f = pack("H*", $F[2]); print pack("VVVV", $F[0], $F[1], length $f, length $f), $f' > "$1"
}

# pcap_read FILE: lines "STAMP_NS WIRE-LENGTH HEX", for the files that sniff and pcap_write make.
pcap_read() {
	perl -e 'binmode STDIN; local $/; $_ = <STDIN>; $o = 24;
		while ($o + 16 <= length) { ($s, $n, $c, $w) = unpack("VVVV", substr($_, $o, 16));
			printf "%d%09d %d %s\n", $s, $n, $w, unpack("H*", substr($_, $o + 16, $c)); $o += 16 + $c }' < "$1"
}

# tshark_complaints FILE: frames with a wrong checksum or that wireshark's dissectors cannot make sense of.
tshark_complaints() {
	tshark -n -r "$1" -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE -o tcp.check_checksum:TRUE \
		-Y '_ws.expert.group == 0x01000000 || _ws.expert.group == 0x07000000' -T fields -e frame.number \
		-e _ws.col.Protocol -e _ws.col.Info -e _ws.expert.message 2>&1 | grep -v '^Running as user'
	return 0
}

# quantile PERMILLE < numbers, nearest rank
quantile() {
	sort -n | awk -v q="$1" '{ v[NR] = $1 } END { i = int(NR * q / 1000 + 0.999999); if (i < 1) i = 1; print v[i] }'
}

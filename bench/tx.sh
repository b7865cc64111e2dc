#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# How many packets a second leave? Every sender in turn, ours, the bare loops
# of the same system calls, and the peers, through the same veth pair into the
# same XDP drop, counted by the kernel at the far end; ROUNDS times over, so
# that a machine that changes its speed changes it for all. JSON lines on stdout.
#
#   tx.sh ROUNDS WINDOW_MS          (in a network namespace of its own: bench/run.sh does that)
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
rounds=$1 window=$2
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT

ip link set lo up
sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.all.disable_ipv6=1
ip link add bench0 type veth peer name bench1 || exit 1
ip link set bench1 xdpdrv obj "$build/bench/drop.bpf.o" sec xdp || exit 1
ip link set bench0 up
ip link set bench1 up
ip addr add 10.99.0.1/24 dev bench0
ip neigh add 10.99.0.2 lladdr 02:00:00:00:00:02 dev bench0
ip route add default via 10.99.0.2

for bytes in 60 1514; do
	"$build/bench/mkpcap" "$tmp/$bytes.pcap" $bytes 1000 || exit 1
	echo "{ 0x02,0,0,0,0,2, 0x02,0,0,0,0,1, 0x88,0xb5, dinc(0,255), fill(0,$((bytes - 15))) }" > "$tmp/$bytes.cfg"
done

# row NAME KIND BYTES WARMUP_MS COMMAND...: one measurement, with what it is a measurement of.
row() {
	local name=$1 kind=$2 bytes=$3 warmup=$4
	shift 4
	if [ ! -x "$(command -v "$1")" ]; then
		echo "bench/tx.sh: $1 is not here: $name is left out (scripts/deps.sh bench installs the peers)" >&2
		return
	fi
	"$build/bench/measure" "$name" bench1 "$warmup" "$window" "$@" |
		jq -c --arg kind "$kind" --argjson bytes "$bytes" '{bench: "tx", kind: $kind, bytes: $bytes} + .'
}

for _ in $(seq "$rounds"); do
	for bytes in 60 1514; do
		row bare-packet limit $bytes 300 "$build/bench/bare_packet" bench0 $bytes
		row bare-send limit $bytes 300 "$build/bench/bare_packet" bench0 $bytes send
		row ktrxer-packet-flood ours $bytes 300 "$build/bench/tx" packet:bench0 $bytes flood
		row ktrxer-packet-trains ours $bytes 300 "$build/bench/tx" packet:bench0 $bytes batch
		[ -x "$build/bench/bare_xsk" ] && row bare-xsk limit $bytes 300 "$build/bench/bare_xsk" bench0 $bytes
		[ -x "$build/bench/bare_live" ] && row bare-live limit $bytes 300 "$build/bench/bare_live" bench0 $bytes
		row ktrxer-xdp-flood ours $bytes 300 "$build/bench/tx" xdp:bench0 $bytes flood
		row ktrxer-xdp-trains ours $bytes 300 "$build/bench/tx" xdp:bench0 $bytes batch
		row ktrxer-send ours $bytes 700 "$build/ktrxer" send "$tmp/$bytes.pcap" -i bench0 --fast --loop 0 -q
		row tcpreplay peer $bytes 700 tcpreplay --topspeed --preload-pcap --loop=0 --intf1=bench0 "$tmp/$bytes.pcap"
		row trafgen peer $bytes 1000 trafgen -o bench0 -i "$tmp/$bytes.cfg" -P 1 -q
	done
	row ktrxer-probe-syn ours 60 700 "$build/ktrxer" probe -i bench0 --kind syn --port 80 --fast -q -o /dev/null \
		--gateway-mac 02:00:00:00:00:02 --source 10.99.0.1 10.0.0.0/8
	row zmap peer 54 2500 zmap --interface=bench0 --gateway-mac=02:00:00:00:00:02 --source-ip=10.99.0.1 -p 80 -B 10G \
		-T 1 -b /dev/null -o /dev/null --cores=0 10.0.0.0/8
	# masscan writes paused.conf where it is interrupted
	row masscan peer 54 2500 env -C "$tmp" masscan --adapter bench0 --adapter-ip 10.99.0.1 --adapter-mac 02:00:00:00:00:01 \
		--router-mac 02:00:00:00:00:02 --rate 100000000 -p80 10.0.0.0/8 --wait 0
done

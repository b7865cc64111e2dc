#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# What bench/kernel.sh has done in a guest, whose interfaces are all its own. JSON lines on stdout.
#
#   kernel_guest.sh trains IFNAME TRAIN ROUNDS FLOOD
#   kernel_guest.sh launches IFNAME idle|busy COUNT
set -u
bench=build/bench

say() { echo "bench: $*" >&2; }

# address IFNAME: so that 10.9.0.2 is reached through it, as the test frames have it.
address() {
	ip link set "$1" up && ip addr add 10.9.0.1/24 dev "$1" || exit 1
	ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:02 dev "$1" || exit 1
	for _ in $(seq 100); do
		[ "$(cat "/sys/class/net/$1/carrier")" = 1 ] && return
		sleep 0.05
	done
	say "$1 gets no carrier"
	exit 1
}

# pktgen IFNAME BYTES NAME BURST CLONE COUNT: the kernel's own generator; its frames are numbered when it does not repeat them.
pktgen() {
	local p=/proc/net/pktgen dev=$1 line us
	[ -e $p ] || modprobe pktgen || exit 1
	echo rem_device_all > $p/kpktgend_0
	echo "add_device $dev" > $p/kpktgend_0
	for line in "count $6" "pkt_size $2" "delay 0" "clone_skb $5" "burst $4" "dst 10.9.0.2" "dst_mac 02:00:00:00:00:02" \
		"udp_dst_min 9" "udp_dst_max 9"; do
		echo "$line" > "$p/$dev" || { say "pktgen on $dev refuses $line"; return; }
	done
	echo start > $p/pgctrl
	us=$(sed -n 's/^Result: OK: \([0-9]*\)(.*/\1/p' "$p/$dev")
	line=$(sed -n 's/^ *pkts-sofar: \([0-9]*\) *errors: \([0-9]*\)$/\1 \2/p' "$p/$dev")
	echo "{\"bench\":\"train\",\"if\":\"$dev\",\"way\":\"$3\",\"bytes\":$2,\"all_ns\":$((us * 1000 / ${line% *})),\"failed\":${line#* }}"
	echo rem_device_all > $p/kpktgend_0
}

# Short trains, since the UDP socket is not to wait for room; long enough floods.
trains() {
	local dev=$1 n=$2 rounds=$3 flood=$4 bytes
	address "$dev"
	for bytes in 70 1470; do
		"$bench/train" "$dev" $bytes "$n" "$rounds" udp raw packet bypass engine:packet engine:kmod engine:xdp \
			"flood:$flood:kmod" "template:$flood" "template-done:$flood" "flood:$flood:packet" || exit 1
		pktgen "$dev" $bytes pktgen 1 0 "$flood"
		pktgen "$dev" $bytes pktgen-burst 32 0 "$flood"
		pktgen "$dev" $bytes pktgen-clone 32 1000 "$flood"
	done
}

# Senders one after another: the module, the module's SCHED_FIFO thread, and user space with and without SCHED_FIFO.
launches() {
	local dev=$1 condition=$2 count=$3 sender engine fifo interval
	for interval in 100000 1000000 10000000; do
		for sender in kmod:0 kmod:50 packet:50 packet:0; do
			engine=${sender%:*} fifo=${sender#*:}
			"$bench/launch" "$engine" $interval "$count" "$fifo" 0 "$dev" |
				sed "s/^{/{\"condition\":\"$condition\",\"sender\":\"$sender\",/"
		done
	done
}

# beside IFNAME OTHER: a hog on each CPU, 36,000 UDP packets a second that arrive from the other card, and 100 rules that
# each of them passes.
beside() {
	local cpu i
	for cpu in $(seq 0 $(($(nproc) - 1))); do
		taskset -c "$cpu" bash -c 'while :; do :; done' &
		load+=($!)
	done
	ip netns add far && ip link set "$2" netns far && ip -n far link set lo up || exit 1
	ip -n far link set "$2" up && ip -n far addr add 10.9.0.2/24 dev "$2" || exit 1
	ip -n far neigh replace 10.9.0.1 lladdr "$(cat "/sys/class/net/$1/address")" dev "$2"
	{
		echo '*filter'
		for i in $(seq 100); do echo "-A INPUT -p udp --dport $((20000 + i)) -j DROP"; done
		echo '-A INPUT -p udp --dport 9999 -j DROP'
		echo COMMIT
	} | iptables-restore || exit 1
	ip netns exec far "$bench/cross" 10.9.0.1 64 36000 &
	load+=($!)
}

load=()
insmod /ko/ktrxer.ko || exit 1
echo "{\"bench\":\"kernel\",\"release\":\"$(uname -r)\"}"
case $1 in
trains)
	shift
	[ "$1" = dummy0 ] && { modprobe dummy; ip link show dummy0 > /dev/null 2>&1 || ip link add dummy0 type dummy; }
	trains "$@"
	"$bench/held" "$1"
	;;
launches)
	address "$2"
	[ "$3" = idle ] || beside "$2" eth1
	launches "$2" "$3" "$4"
	for pid in "${load[@]}"; do kill "$pid"; done
	wait
	;;
esac
rmmod ktrxer

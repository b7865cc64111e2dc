#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 600
# The guests themselves: every flavour boots, loads a module and brings back
# what it should, and whatever goes wrong in one is noticed.
set -u
. "$(dirname "$0")/../net/lib.sh"
cd "$KT_SRC" || exit 1
guest=tests/kernel/guest.sh

# guest FLAVOUR [OPTION...] COMMAND...: its output in $got, its status in $status.
guest() {
	got=$($guest run "$@" 2>&1)
	status=$?
}
# ends NAME STATUS REGEX: how the last guest ended and what was said of it.
ends() {
	if [ "$status" = "$2" ] && grep -qE -- "$3" <<< "$got"; then
		ok "$1"
	else
		not_ok "$1" "status $status, wanted $2 and $3 in:" "$got"
	fi
}

# In the guest: the module is there, does its work, and goes; files come back, and the status.
job='set -e; uname -r; cat /sys/devices/system/cpu/online; insmod /ko/kt_selftest.ko; grep ^kt_selftest /proc/modules
rmmod kt_selftest; ip link add kt-a type veth peer name kt-b; ip -br link show kt-a; head -c 3000000 /dev/urandom > /out/data
sha256sum < /out/data; exit 7'
for f in ${KT_FLAVOURS:-6.1 6.12 6.12-rt}; do
	check "$f: module builds" $guest build "$f" tests/kernel/selftest
	guest "$f" --timeout 60 --out "$T/$f" bash -c "$job"
	release=$(cat "${KT_GUEST_CACHE:-build/guest}/$f/release")
	ends "$f: exit status comes back" 7 "^${release/+/.}$"
	matches "$f: two CPUs" "$got" '^0-1$'
	matches "$f: module in /proc/modules" "$got" '^kt_selftest .* Live'
	matches "$f: veth" "$got" '^kt-a@kt-b '
	matches "$f: file comes back" "$got" "^$(sha256sum < "$T/$f/data")$"
done

# What is noticed does not depend on the flavour: once each, on the first.
first=${KT_FLAVOURS:-6.1} first=${first%% *}
does() { echo "insmod /ko/kt_selftest.ko; echo $1 > /sys/module/kt_selftest/parameters/do; sleep ${2:-0}; rmmod kt_selftest"; }
guest "$first" --timeout 60 bash -c 'insmod /ko/kt_selftest.ko; echo warn > /sys/module/kt_selftest/parameters/do'
ends "a WARN" 71 'kernel: .*WARNING: CPU.*kt_selftest'
guest "$first" --timeout 60 bash -c "$(does panic)"
ends "a panic" 70 'Kernel panic - not syncing: kt_selftest'
guest "$first" --timeout 60 bash -c "$(does oops)"
ends "an oops" 70 'BUG: kernel NULL pointer dereference'
guest "$first" --timeout 60 bash -c "$(does leak)"
ends "a leaked object" 71 'kernel: .*kt_selftest'
guest "$first" --timeout 60 bash -c "$(does atomic)"
ends "sleeping in atomic context" 71 'scheduling while atomic'
guest "$first" --timeout 25 --cpus 1 bash -c "$(does hang)"
ends "a CPU that hangs" 124 'time ran out'
matches "a CPU that hangs: its last words" "$got" '# kernel: .'
guest "$first" --timeout 60 bash -c "$(does breakpoint)"
ends "a breakpoint" 70 'int3: 0000'
same "a breakpoint that is there is not QEMU's" "$(grep -c 'booted once more' <<< "$got")" 0

# One that is not: of such a guest's kernel log, and of what differs from it in one thing.
# shellcheck source=tests/kernel/boot.sh
. tests/kernel/boot.sh
oops() {
	printf '[   21.1] veth: link up\r\n%s\r\n[   21.%s\r\n' "[   21.2] $1 PREEMPT SMP NOPTI" "3] CPU: 1 PID: 7 Comm: abuse Not tainted"
	printf '[   21.4] RIP: 0010:%s\r\n[   21.4] Code: 48 89 df e8 %s 44 00 00\r\n' "$2" "$3"
} > "$T/console"
oops 'int3: 0000 [#1]' netif_rx+0x5/0x80 '0f <1f>'
same "a breakpoint that QEMU made up" "$(stale_breakpoint "$T/console")" 0010:netif_rx+0x5/0x80
oops 'Oops: int3: 0000 [#1]' netif_rx+0x5/0x80 'e9 <1f>'
same "the same on 6.12" "$(stale_breakpoint "$T/console")" 0010:netif_rx+0x5/0x80
oops 'int3: 0000 [#1]' netif_rx+0x5/0x80 'cc <1f>'
same "one that is in memory" "$(stale_breakpoint "$T/console")" ""
oops 'int3: 0000 [#1]' 'kt_tx_enter+0x5/0x80 [ktrxer]' '0f <1f>'
same "one in a module" "$(stale_breakpoint "$T/console")" ""
oops 'invalid opcode: 0000 [#1]' netif_rx+0x5/0x80 '0f <1f>'
same "another trap" "$(stale_breakpoint "$T/console")" ""
oops 'int3: 0000 [#1]' netif_rx+0x5/0x80 '0f <1f>'
sed -i '1i [   20.0] BUG: something before' "$T/console"
same "after another complaint" "$(stale_breakpoint "$T/console")" ""

# Before the job begins there is nothing of ours.
printf '[    9.1] WARNING: CPU: 1\r\n[    9.2] kt-guest: job starts\r\n[   21.1] veth: link up\r\n' > "$T/console"
same "a complaint before the job" "$(complaints "$T/console")" ""
printf '[   21.2] BUG: ours\r\n' >> "$T/console"
matches "and one after it began" "$(complaints "$T/console")" '^\[   21.2\] BUG: ours'

start=$SECONDS
guest "$first" --timeout 12 sleep 100
ends "a time limit" 124 'time ran out after 12 s'
between "a time limit is kept" $((SECONDS - start)) 12 40

# Time as instructions: two runs of one guest agree, but for when QEMU's own thread came in between, which has been seen to
# make 310 ns on a busy machine.
when() { sed -n 's/^\(17040672[0-9]*\)\.\([0-9]*\)$/\1\2/p' <<< "$1"; }
for i in 1 2; do
	guest "$first" --timeout 120 --icount 3 bash -c 'cat /proc/uptime; date +%s.%N; nproc'
	counted[i]=$got
done
matches "icount: one CPU, the date as set" "${counted[1]}" '^17040672[0-9]*\.'
apart=$(($(when "${counted[1]}") - $(when "${counted[2]}")))
between "icount: runs agree to 10 us" "${apart#-}" 0 10000
same "icount: and in the rest of what they say" "$(grep -v '^17040672' <<< "${counted[1]}")" "$(grep -v '^17040672' <<< "${counted[2]}")"

# Wires: two cards of one guest, a card alone with a witness, two guests.
wire='ip netns add far; ip link set eth1 netns far; ip addr add 10.9.0.1/24 dev eth0; ip link set eth0 up
ip -n far addr add 10.9.0.2/24 dev eth1; ip -n far link set eth1 up
for i in {1..100}; do [ $(cat /sys/class/net/eth0/carrier)$(ip netns exec far cat /sys/class/net/eth1/carrier) = 11 ] && break; sleep 0.1; done
ping -c 3 -W 5 -i 0.2 10.9.0.2'
for card in e1000e e1000 virtio; do
	guest "$first" --timeout 60 --net $card:$card --pcap "$T/$card.pcap" bash -c "$wire"
	ends "$card to $card in one guest" 0 '3 received'
	same "$card: what QEMU saw" "$(tcpdump -nr "$T/$card.pcap" icmp 2> /dev/null | wc -l)" 6
done
guest "$first" --timeout 60 --net pair --peer 'ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 up; echo here; sleep 1000 & trap "kill $!; echo asked; exit 0" TERM; wait' \
	bash -c 'ip addr add 10.9.0.1/24 dev eth0; ip link set eth0 up
	for i in {1..60}; do ping -c 1 -W 1 10.9.0.2 > /dev/null && break; done; ping -c 3 -i 0.2 10.9.0.2'
ends "two guests" 0 '3 received'
matches "the second guest is asked to end" "$got" '^# far: asked'
done_testing

#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=dash
# The guest's process 1. The kernel log is on the console; the job's output goes to
# ttyS1, how it ended to ttyS2, and what comes in on ttyS3 asks it to end; or to virtio's ports 1 to 3.
bb=/bin/busybox
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C TZ=UTC
$bb mkdir -p /proc /sys /dev /run /tmp /root /var/tmp /var/run /out
$bb mount -t proc proc /proc
$bb mount -t sysfs sys /sys
$bb mount -t devtmpfs dev /dev
$bb mkdir -p /dev/shm /dev/pts
$bb mount -t devpts pts /dev/pts
$bb mount -t tmpfs shm /dev/shm
$bb mount -t tmpfs run /run
$bb mount -t bpf bpf /sys/fs/bpf
$bb mount -t debugfs debug /sys/kernel/debug
$bb mount -t tracefs tracing /sys/kernel/tracing
$bb ln -s /proc/self/fd /dev/fd
$bb ln -s /proc/self/fd/0 /dev/stdin
$bb ln -s /proc/self/fd/1 /dev/stdout
$bb ln -s /proc/self/fd/2 /dev/stderr
$bb mkdir -p /run/netns /run/ktrxer
$bb chmod 1777 /tmp /var/tmp /dev/shm
# shellcheck source=/dev/null
. /job/env
if [ "$KT_LINES" = virtio ]; then
	for m in virtio_pci virtio_console; do modprobe $m; done
	until [ -c /dev/vport0p3 ]; do $bb usleep 10000; done # the ports come one by one, by messages
	exec 7> /dev/vport0p1 8> /dev/vport0p2 9< /dev/vport0p3
else
	# Open for good, as each opening by itself has the driver try out the port and its interrupt again.
	exec 7<> /dev/ttyS1 8<> /dev/ttyS2 9<> /dev/ttyS3
	for n in 7 8 9; do $bb stty raw -echo <&$n; done
fi
# flush DESCRIPTOR: waits until all is out; of virtio's ports a write does.
flush() { [ "$KT_LINES" = virtio ] || $bb stty raw <&"$1"; }
echo up >&8

for m in $KT_MODULES; do
	modprobe "$m" || echo "kt-guest: module $m does not load" > /dev/kmsg
done
ip link set lo up
# A CPU that is emulated may be away for longer than it takes to fill a veth's backlog of 1,000 frames.
sysctl -qw net.core.netdev_max_backlog=30000 net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
	net.ipv6.conf.default.router_solicitations=0 kernel.hung_task_timeout_secs=60

leaks=/sys/kernel/debug/kmemleak
# What the kernel has lost by itself until here is not ours.
[ ! -e $leaks ] || echo clear > $leaks

# Not from the leader of a session: the line must not become its terminal, to be hung up when it ends.
echo "kt-guest: job starts" > /dev/kmsg
setsid bash /job/run < /dev/null >&7 2>&1 7>&- 8>&- 9>&- &
job=$!
(
	read -r _ <&9
	kill -TERM -- -$job
) &
wait $job
status=$?
echo "kt-guest: job ended, $status" > /dev/kmsg
flush 7

if [ -e $leaks ]; then
	# It takes no object for lost that is younger than five seconds, nor one whose address was on a stack just now. Addresses that
	# the kernel keeps with something in their lowest bits it does not recognize: what counts is allocated by way of a module of
	# ours, or by one that has gone, whose functions have no names any more.
	sleep 6
	echo scan > $leaks
	echo scan > $leaks
	awk '
		function tell() { if (ours) printf "%s", text > "/dev/kmsg"; close("/dev/kmsg"); text = ""; ours = 0 }
		/^unreferenced object/ { tell() }
		/^ +\[<[0-9a-f]+>\]/ && (/\[kt[a-z_]*\]$/ || / 0x[0-9a-f]+$/) { ours = 1 }
		length(text) < 800 { text = text $0 "; " } # a message has its limit
		END { tell() }' $leaks
fi

if [ -n "$($bb ls -A /out)" ]; then
	disk=/dev/ubda # User Mode Linux's
	[ -b $disk ] || { modprobe virtio_pci && modprobe virtio_blk && disk=/dev/vda; }
	if ! [ -b $disk ] || ! $bb tar -C /out -cf $disk . || ! sync; then
		echo "cannot bring back what is in /out" >&8
	fi
fi
echo "exit $status" >&8
flush 8
$bb poweroff -f

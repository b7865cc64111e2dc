#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Runs one test program in a world of its own and writes what it left behind.
#
#   world.sh LEFT_FILE SECONDS PROGRAM [ARGUMENT...]
#
# As root the world is a fresh network, mount and process namespace with empty
# /run/netns, /dev/shm, /run/ktrxer and /sys/fs/bpf, so tests cannot meet each
# other or the host's network, and whatever hangs dies with it. Without root
# the program runs as it is, and the comparison of before and after remains.
# The exit status is the program's; 124 or 137 when its time ran out.
set -u

left_file=$1 seconds=$2
shift 2

# One line per thing that a program could forget.
things() {
	ip netns list 2>/dev/null | awk '/^kt-/ { print "network namespace " $1 }'
	ip -o link 2>/dev/null | awk -F': ' '{ sub(/@.*/, "", $2); print "interface " $2 }'
	ip -o link 2>/dev/null | awk -F': ' '/ xdp|prog\/xdp/ { sub(/@.*/, "", $2); print "XDP program on " $2 }'
	find /dev/shm /run/ktrxer /sys/fs/bpf -mindepth 1 ! -type d -printf 'file %p\n' 2>/dev/null
	if [ $$ = 1 ]; then
		ps -e -o pid=,stat=,args= | awk '$1 != 1 && $2 !~ /^Z/ && !/ps -e -o|awk|world\.sh|sort|find/ {
			$1 = $2 = ""; print "process" $0 }'
	fi
}

inside() {
	if [ $$ = 1 ]; then
		mount --make-rprivate /
		mkdir -p /run/netns /run/ktrxer
		for dir in /run/netns /run/ktrxer /dev/shm; do
			mount -t tmpfs -o mode=1777 kt-test $dir || exit 70
		done
		mount -t bpf kt-test /sys/fs/bpf 2>/dev/null
		mount -t sysfs kt-test /sys 2>/dev/null && mount -t bpf kt-test /sys/fs/bpf 2>/dev/null
		ip link set lo up
	fi
	things | sort > "$left_file.before"
	timeout -k 5 "$seconds" "$@"
	status=$?
	# The kernel takes interfaces of a deleted namespace away a moment later.
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		things | sort > "$left_file.after"
		comm -13 "$left_file.before" "$left_file.after" > "$left_file"
		[ -s "$left_file" ] || break
		sleep 0.2
	done
	rm -f "$left_file.before" "$left_file.after"
	exit $status
}

if [ "${KT_WORLD:-}" = inside ]; then
	unset KT_WORLD
	inside "$@"
fi
if [ "$(id -u)" = 0 ] && unshare -n -m -p -f --mount-proc true 2>/dev/null; then
	export KT_WORLD=inside
	exec unshare -n -m -p -f --kill-child --mount-proc "$BASH" "$0" "$left_file" "$seconds" "$@"
fi
inside "$@"

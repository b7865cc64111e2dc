#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The second guest's job (guest.sh --net pair:CARD:CARD --peer): whatever comes in at one of its cards goes out at the
# other, unseen by its own stack, in order, and none is dropped for want of room. Ends when it is asked to.
set -eu
ip link add kt-br type bridge mcast_snooping 0
# Nothing that thinks it knows better which frames to keep.
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.core.default_qdisc=pfifo_fast
for card in eth0 eth1; do
	ip link set "$card" mtu 9200 txqueuelen 10000 master kt-br up
done
ip link set kt-br mtu 9200 up
echo "bridging $(cat /sys/class/net/kt-br/carrier)"
# Shell words only: at the end every process of the guest is sent SIGTERM.
trap 'while read -r line; do echo "$line"; done < /proc/net/dev; exit 0' TERM
# A wait that the signal ends is no error that ends the script before its trap.
while :; do sleep 1000 & wait $! || :; done

# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The network of the main job: a prober, two emulated paths, a router and a
# LAN of hosts with real services. Sourced by mainjob.sh; needs tests/net/lib.sh.
#
#   prober p0 ---- e0 path e1 ---- r0 router r-br ---+---- web    .10  TCP 80 and 443 open, UDP 7 echoes
#       10.7.0.2                 10.7.0.1  10.7.1.1  +---- dns    .20  unbound
#        fd07::2                  fd07::1  fd07:1::1 +---- echo   .30  UDP 7 echoes
#   prober p1 -- n0 narrow n1 -- r1 router           +---- wall   .40  drops everything (nftables)
#       10.7.9.2                 10.7.9.1            +---- quiet  .50  nothing but its kernel

LAN4=10.7.1 LAN6=fd07:1:
HOSTS=(web:10 dns:20 echo:30 wall:40 quiet:50)

net_prober() {
	ns prober
	ns path
	ns narrow
	ns router
	wire prober p0 path e0
	wire path e1 router r0
	wire prober p1 narrow n0
	wire narrow n1 router r1
	addr prober p0 10.7.0.2/24 fd07::2/64
	addr prober p1 10.7.9.2/24
	addr router r0 10.7.0.1/24 fd07::1/64
	addr router r1 10.7.9.1/24
	route prober $LAN4.0/24 via 10.7.0.1
	route prober $LAN6:/64 via fd07::1
	# Interfaces that only carry frames across have no address and say nothing of their own.
	local s i
	for s in path:e0 path:e1 narrow:n0 narrow:n1; do
		i=${s#*:}
		in_ns "${s%:*}" sysctl -qw "net.ipv6.conf.$i.disable_ipv6=1"
	done
}

net_lan() {
	local s=router h n
	ip -n "$(name_of $s)" link add r-br type bridge
	in_ns $s sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 \
		net.ipv6.icmp.ratelimit=0
	for h in "${HOSTS[@]}"; do
		n=${h#*:} h=${h%:*}
		ns "$h"
		wire router "r-$h" "$h" h0
		ip -n "$(name_of $s)" link set "r-$h" master r-br
		addr "$h" h0 $LAN4."$n"/24 $LAN6:"$n"/64
		route "$h" default via $LAN4.1
		route "$h" default via $LAN6:1
		in_ns "$h" sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
	done
	ip -n "$(name_of $s)" link set r-br up
	addr $s r-br $LAN4.1/24 $LAN6:1/64
}

# The DNS server: unbound with a zone of its own, asking nobody.
dns_conf() {
	cat <<-END
		server:
		  interface: 0.0.0.0
		  interface: ::0
		  access-control: 0.0.0.0/0 allow
		  access-control: ::/0 allow
		  username: ""
		  chroot: ""
		  directory: "$1"
		  pidfile: "$1/unbound.pid"
		  use-syslog: no
		  do-daemonize: no
		  num-threads: 1
		  module-config: "iterator"
		  local-zone: "ktrxer.test." static
		  local-data: "www.ktrxer.test. 3600 IN A $LAN4.10"
		  local-data: "www.ktrxer.test. 3600 IN AAAA $LAN6:10"
		remote-control:
		  control-enable: no
	END
}

net_services() {
	local dir=$1 service=$2
	dns_conf "$dir" > "$dir/unbound.conf"
	in_ns_bg dns_pid dns unbound -d -c "$dir/unbound.conf" > "$dir/unbound.log" 2>&1
	in_ns_bg web_pid web "$service" tcp:80 tcp:443 udp:7 > "$dir/web.log" 2>&1
	in_ns_bg echo_pid echo "$service" udp:7 > "$dir/echo.log" 2>&1
	in_ns wall nft -f - <<-END
		table inet wall {
			chain input {
				type filter hook input priority 0; policy drop;
				icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
			}
		}
	END
	wait_for $((10 * SLOW)) grep -q ready "$dir/web.log" && wait_for $((10 * SLOW)) grep -q ready "$dir/echo.log" &&
		wait_for $((10 * SLOW)) grep -q 'start of service' "$dir/unbound.log"
}

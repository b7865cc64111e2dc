#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 300
# Runs the examples of the manual pages of commands. The convention: a line
# ".Dl ktrxer …", or in a literal display (.Bd -literal) a line that starts
# with "$ ", is a command, run by bash; one that ends in a backslash goes on in
# the next. The commands of one display run in order in one shell and must all
# succeed; what is left in the background ends with it. They find
#
#   eth0           192.0.2.10/24 and 2001:db8::10/64; all other addresses of 192.0.2.0/24 answer on it, send
#                  pings, echo UDP at port 7, serve TCP port 80
#   e0, e1         two more interfaces, up, without addresses
#   trace.pcap     a capture of ten frames        rules.txt       some rules
#   targets.txt    addresses to probe             networks.txt    a network to scan
#
# in a directory of their own, as root.
set -u
. "$(dirname "$0")/lib.sh"
need_root

ns host
ns net
wire host eth0 net wire0
wire host e0 net wire1
wire host e1 net wire2
addr host eth0 192.0.2.10/24 2001:db8::10/64
addr net wire0 192.0.2.1/24 2001:db8::1/64
# Everything but the host's own address is at home in net.
for n in 0/29 8/31 11/32 12/30 16/28 32/27 64/26 128/25; do route net local "192.0.2.$n" dev lo; done
mkdir -p /run/ktrxer "$T/work" "$T/bin"
ln -s "$KT" "$T/bin/ktrxer"
awk 'BEGIN { for (i = 0; i < 10; i++) printf "1 %d 02000000000b02000000000a08004500002e%04x0000401100000a0900010a090002%04x0009001a0000%036d\n", i * 1000000, i, 1000 + i, i }' |
	pcap_write "$T/work/trace.pcap"
printf '# DNS is captured, the rest is forwarded\ncapture proto udp sport 53 tag 53\nforward\n' > "$T/work/rules.txt"
printf '192.0.2.1\n' > "$T/work/targets.txt"
printf '192.0.2.32/28\n' > "$T/work/networks.txt"

# The services of the other end.
in_ns_bg p net socat -T 1 UDP4-RECVFROM:7,fork EXEC:cat 2> /dev/null
in_ns_bg p net socat TCP-LISTEN:80,fork,reuseaddr EXEC:true 2> /dev/null
in_ns_bg p net ping -i 0.05 192.0.2.10 > /dev/null
wait_for 5 in_ns host ping -c 1 -W 1 192.0.2.1

# displays PAGE: its literal displays that hold commands, each into a file $T/example.N.
displays() {
	rm -f "$T"/example.*
	sed -e 's/\\e/\\/g' -e 's/\\-/-/g' -e 's/\\&//g' "$1" | awk -v t="$T/example." '
		/^\.Dl ktrxer / { n++; sub(/^\.Dl /, ""); print > (t n); next }
		/^\.Bd -literal/ { inside = 1; n++; next }
		/^\.Ed/ { inside = 0; more = 0 }
		inside && (more || /^\$ /) { more = /\\$/; sub(/^\$ /, ""); print > (t n) }'
}

for page in "$KT_SRC"/man/*.1; do
	displays "$page"
	for example in "$T"/example.*; do
		[ -f "$example" ] || continue
		name="$(basename "$page"): $(head -n 1 "$example")"
		# A session of its own, so that what an example leaves in the background ends with it.
		if (cd "$T/work" && PATH=$T/bin:$PATH in_ns host timeout -k 2 20 setsid -w bash -e -o pipefail -c '
			trap "code=\$?; trap \"\" TERM; kill -TERM -- -\$\$; exit \$code" EXIT
			# A scan that finds silent addresses ends with 1, as its page says.
			ktrxer() { command ktrxer "$@" || { c=$?; [ "$1" = probe ] && [ $c = 1 ]; }; }
			source "$0"
			wait' "$example") > "$T/log" 2>&1; then
			ok "$name"
		else
			not_ok "$name" "exit $?" "$(cat "$T/log")"
		fi
	done
done
[ "$kt_n" -gt 5 ] || not_ok "there are examples" "$kt_n"
done_testing

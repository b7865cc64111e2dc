#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The module's figures, in guests under QEMU's -icount, where an instruction takes 1 ns: the same on any machine, whatever
# else it does. A table on stdout; kernel.json and what it was made of in OUT.
#
#   kernel.sh [--build DIR] [--quick] [OUT]      (default build and out/bench)
#
# Trains and floods: on dummy, virtio-net and e1000; every frame of the latter two is looked for in QEMU's dump.
# Launches: out of an idle e1000, and out of one beside a CPU hog, 36,000 packets a second and 100 rules.
set -u
cd "$(dirname "$0")/.." || exit 1
rounds=50 flood=20000 count=1000 build=build flavour=${KT_FLAVOUR:-6.1}
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=$2; shift 2 ;;
	--quick) rounds=10 flood=5000 count=200; shift ;;
	-*) echo "bench/kernel.sh: $1 is not an option; there are --build DIR and --quick" >&2; exit 2 ;;
	*) break ;;
	esac
done
out=${1:-out/bench}
mkdir -p "$out"
[[ $build = /* ]] || build=$PWD/$build
export KT_BUILD=$build
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/overlay/src/bench" && cp bench/kernel_guest.sh "$tmp/overlay/src/bench/"

# guest NAME [OPTION of guest.sh run...] -- ARGUMENT of kernel_guest.sh...
guest() {
	local name=$1 options=()
	shift
	while [ "$1" != -- ]; do options+=("$1"); shift; done
	shift
	echo "guest, $name: $*" >&2
	tests/kernel/guest.sh run --icount 0 --timeout 1800 --overlay "$tmp/overlay" "${options[@]}" "$flavour" \
		bench/kernel_guest.sh "$@" > "$tmp/$name.out" 2>&1 || failed+=("$name")
	grep '^{' "$tmp/$name.out" | jq -c --arg guest "$name" '{guest: $guest} + .' >> "$tmp/lines"
	grep -v '^{' "$tmp/$name.out" >&2
}
# witness NAME ARGUMENT...: what the dump of that guest says.
witness() {
	local name=$1
	shift
	"$build/bench/witness" "$@" "$tmp/$name.pcap" | jq -c --arg guest "$name" '{guest: $guest} + .' >> "$tmp/lines"
}

failed=()
ko=$(tests/kernel/guest.sh build "$flavour" .) || exit 1
: > "$tmp/lines"
guest dummy -- trains dummy0 100 $rounds $flood
for card in virtio e1000; do
	guest $card --net $card --pcap "$tmp/$card.pcap" -- trains eth0 100 $rounds $flood
	witness $card trains 100
done
guest idle --net e1000 --pcap "$tmp/idle.pcap" -- launches eth0 idle $count
witness idle launches
guest busy --net e1000:e1000 --pcap "$tmp/busy.pcap" -- launches eth0 busy $count
witness busy launches

# Code alone, and with what is only read and only at the start.
size -A "$ko" | awk '$1 == ".text" { t = $2 } $1 ~ /^\.(text|init\.text|exit\.text|rodata|text\.unlikely)/ { a += $2 }
	END { printf "{\"bench\":\"size\",\"text_bytes\":%d,\"text_and_constants_bytes\":%d}\n", t, a }' >> "$tmp/lines"
jq -s --arg kernel "$(sed -n 's/^{"bench":"kernel","release":"\(.*\)"}$/\1/p' "$tmp/dummy.out")" --arg qemu "$(qemu-system-x86_64 --version | head -n 1)" \
	--arg date "$(date -u +%FT%TZ)" --arg commit "$(git rev-parse --short HEAD 2> /dev/null)" \
	'{date: $date, commit: $commit, kernel: $kernel, qemu: $qemu, lines: .}' "$tmp/lines" > "$out/kernel.json"
jq -r -f bench/kernel_table.jq "$out/kernel.json"
jq -r -f bench/kernel_launch.jq "$out/kernel.json"
echo "results: $out/kernel.json" >&2
if [ ${#failed[@]} -gt 0 ]; then
	echo "bench/kernel.sh: not right in these guests: ${failed[*]}" >&2
	exit 1
fi

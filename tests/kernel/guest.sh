#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Debian's kernels as guests, under QEMU without KVM, with this machine's own
# programs as their userland and this tree, built, in /src.
#
#   guest.sh prepare FLAVOUR...         unpack kernel, modules and headers
#   guest.sh build FLAVOUR DIR [MAKE-ARGUMENT...]
#                                       modules from DIR (its Kbuild, in this tree; it may use core/ and
#                                       include/); they go to BUILD/kmod/FLAVOUR/DIR/, and their paths are printed.
#                                       DIR . is the tree itself: ktrxer.ko
#   guest.sh programs MACHINE [MAKE-ARGUMENT...]
#                                       library, command and test programs for another machine: BUILD/TRIPLET
#   guest.sh musl MACHINE               the command alone, static, with musl: BUILD/TRIPLET-musl
#   guest.sh run [OPTION...] FLAVOUR COMMAND [ARGUMENT...]
#                                       boot, run COMMAND in /src, show its output; options may follow FLAVOUR too
#
# FLAVOUR: 6.1, 6.1-rt, 6.1-cloud, 6.12, 6.12-rt, 6.12-cloud; arm64, armhf, mipsel, s390x (machine.sh); uml, uml-tt (um.sh).
#   --cpus N        virtual CPUs (2)
#   --cpu MODEL     QEMU's processor model (qemu64)
#   --mem MB        (768)
#   --icount SHIFT  an instruction takes 2^SHIFT ns of the guest's time; one CPU
#   --net CARD      one card (e1000e, e1000, virtio) on a wire with nobody else
#   --net CARD:CARD two cards in the one guest, eth0 and eth1, wired to each other
#   --net pair      two guests, a virtio card each, wired to each other; pair:CARD for another card, and
#                   pair:CARD:CARD for two cards in each, the first to the first and the second to the second
#   --peer COMMAND  what the second guest runs, until the first has ended (then it gets SIGTERM)
#   --pcap FILE     what went over the wire, written by QEMU, by the guest's time in us
#   --out DIR       receives what the guest leaves in /out (--out-mb 64)
#   --disk FILE     the guest's second disk, as it is at any time, also when the guest has died; uml only: /dev/ubdb
#   --console FILE  receives the kernel log
#   --programs DIR  the build whose programs it gets, if not its machine's own
#   --overlay DIR   copied over the guest's /
#   --append TEXT   for the kernel's command line
#   --timeout S     (300)
#   --tshark        tshark is there too; more memory
#   --lean          of the userland what a small test wants; other machines than amd64
#
# In the guest all modules built for FLAVOUR are in /ko, KT_FLAVOUR, KT_ROLE
# (near, far), KT_BUILD, KT_SRC and KT_SLOW are set. The exit status is the
# command's; 124: time ran out; 70: the guest died; 71: the command was
# content but the kernel complained; 125: no guest.
#
# KT_GUEST_CACHE: where kernels are kept, to share them between trees (build/guest).
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 125
build=${KT_BUILD:-$PWD/build}
cache=${KT_GUEST_CACHE:-$PWD/build/guest}
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin

die() {
	echo "guest.sh: $*" >&2
	exit 125
}
usage() {
	sed -n 's/^#   \(guest.sh .*\)/\1/p' "$0" >&2
	exit 125
}

undo=()
cleanup() {
	local p
	trap '' INT TERM HUP
	for d in "${undo[@]}"; do
		for p in "$d"/*/pid; do
			[ -e "$p" ] && [ ! -e "${p%pid}status" ] && kill "$(cat "$p")" 2> /dev/null
		done
	done
	wait
	rm -rf "${undo[@]}"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

. tests/kernel/machine.sh
. tests/kernel/prepare.sh
. tests/kernel/build.sh
. tests/kernel/boot.sh
. tests/kernel/um.sh


cpus=2 cpu=qemu64 mem=768 icount='' net=none cards=() peer='' pcap='' out='' out_mb=64 console='' disk='' programs='' overlay='' extra_append='' limit=300
flavour='' modules=() userlands=() tshark='' lean=''
options() {
	while [ $# -gt 0 ]; do
		case $1 in
		--tshark) tshark=tshark mem=1536; shift; continue ;;
		--lean) lean=-lean; shift; continue ;;
		-*) [ $# -gt 1 ] || die "$1 needs a value" ;;
		esac
		case $1 in
		--cpus) cpus=$2 ;;
		--cpu) cpu=$2 ;;
		--mem) mem=$2 ;;
		--icount) icount=$2 ;;
		--net) net=$2 ;;
		--peer) peer=$2 ;;
		--pcap) pcap=$2 ;;
		--out) out=$2 ;;
		--out-mb) out_mb=$2 ;;
		--disk) disk=$2 ;;
		--console) console=$2 ;;
		--programs) programs=$2 ;;
		--overlay) overlay=$2 ;;
		--append) extra_append=$2 ;;
		--timeout) limit=$2 ;;
		-*) die "unknown option $1" ;;
		*)
			[ -z "$flavour" ] || { command=("$@"); return; }
			flavour=$1
			shift
			continue
			;;
		esac
		shift 2
	done
}

# The cards that --net names, and the drivers they need.
network() {
	case $net in
	none) ;;
	pair) cards=(virtio) ;;
	pair:*) IFS=: read -r -a cards <<< "${net#pair:}" && net=pair ;;
	*:*) cards=("${net%%:*}" "${net#*:}") ;;
	*) cards=("$net") ;;
	esac
	for c in "${cards[@]}"; do
		case $c in
		virtio) modules+=(virtio_pci virtio_net) ;;
		e1000 | e1000e) modules+=("$c") ;;
		*) die "no card $c (e1000e, e1000, virtio)" ;;
		esac
	done
	[ "$net" = pair ] || [ -z "$peer" ] || die "--peer wants --net pair"
	[ "$net" != pair ] || [ -n "$peer" ] || die "--net pair wants --peer"
}

case ${1:-} in
prepare)
	shift
	[ $# -gt 0 ] || usage
	for f in "$@"; do
		prepare "$f"
		# What needs the network.
		! is_foreign "$f" || { userland "$(userland_of "$f")" && sysroot "$f"; }
	done
	;;
build)
	[ $# -ge 3 ] || usage
	prepare "$2"
	shift
	build_module "$@"
	;;
programs)
	[ $# -ge 2 ] || usage
	is_foreign "$2" || die "no machine $2 (${machines[*]})"
	prepare "$2"
	sysroot "$2"
	shift
	build_programs "$@"
	;;
musl)
	[ $# = 2 ] || usage
	is_foreign "$2" || die "no machine $2 (${machines[*]})"
	prepare "$2"
	sysroot "$2"
	build_musl "$2"
	;;
run)
	shift
	command=()
	options "$@"
	[ ${#command[@]} -gt 0 ] || usage
	prepare "$flavour"
	is_um "$flavour" || [ -z "$disk" ] || die "--disk wants uml or uml-tt"
	! is_um "$flavour" || [ "$net" = none ] || die "$flavour has no cards, so no --net"
	network
	! is_foreign "$flavour" || [ -z "$tshark" ] || die "--tshark is for amd64"
	is_foreign "$flavour" || [ -z "$lean" ] || die "--lean is for other machines than amd64"
	for u in "$(userland_of "$flavour")$lean" $tshark; do userland "$u"; done
	work=$(mktemp -d)
	undo+=("$work")
	run "$work" "${command[*]@Q}"
	exit $?
	;;
*) usage ;;
esac

# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Kernels for guests: Debian's own packages, unpacked, not installed. Sourced
# by guest.sh. Of a flavour, $cache/FLAVOUR holds afterwards:
#
#   release            the kernel's release, as uname -r says it there
#   root/boot          the kernel
#   root/usr/lib/modules, root/usr/src, root/usr/lib/linux-kbuild-*
#   modules.cpio       the modules that tests can want, ready for an initramfs

# What is taken of a kernel's thousands of modules; a guest loads from these by itself.
module_dirs=(net/{802,8021q,bridge,core,ife,ipv4,ipv6,key,llc,mpls,netfilter,nsh,openvswitch,packet,psample,sched,xdp,xfrm}
	drivers/net/{bonding,dummy,ethernet/intel/e1000,ethernet/intel/e1000e,ethernet/intel/igb,geneve,ifb,ipvlan,macvlan,mdio,net_failover}
	drivers/net/{netdevsim,nlmon,phy,tap,team,tun,veth,virtio_net,vrf,vxlan,wireguard}
	drivers/{block/virtio_blk,char/virtio_console,char/hw_random,dca,i2c/algos,i2c/i2c-core,pps,ptp,virtio}
	arch/x86/crypto/crc32 crypto/crc32 drivers/net/mii fs/overlayfs lib net/devlink net/dsa net/sctp net/tls)
# Without these a test would have to skip, so they must be there, built in or not.
modules_needed=(veth dummy ifb tun tap macvlan bridge 8021q vxlan virtio_pci virtio_net virtio_blk e1000 e1000e pktgen
	nf_tables nft_compat nft_ct nft_limit nft_fwd_netdev x_tables ip_tables ip6_tables iptable_raw iptable_mangle iptable_filter ip6table_raw
	ip6table_mangle xt_conntrack xt_mark nf_conntrack sch_netem sch_fq sch_etf sch_htb sch_tbf sch_ingress act_mirred
	act_gact cls_bpf cls_u32 cls_flower cls_matchall crc32c_generic)

# metas FLAVOUR: the packages that name the newest kernel and its headers.
metas() {
	case $1 in
	6.1) echo linux-image-amd64 linux-headers-amd64 ;;
	6.1-rt) echo linux-image-rt-amd64 linux-headers-rt-amd64 ;;
	6.12) echo linux-image-6.12-amd64 linux-headers-6.12-amd64 ;;
	6.12-rt) echo linux-image-6.12-rt-amd64 linux-headers-6.12-rt-amd64 ;;
	*) die "no flavour $1 (6.1, 6.1-rt, 6.12, 6.12-rt)" ;;
	esac
}

# depends PACKAGE PATTERN: what it depends on, among names that match.
depends() {
	apt-cache depends "$1" 2> /dev/null | sed -n 's/^[ |]*Depends: \([^<]*\)$/\1/p' | grep -xE -- "$2"
}

# packages FLAVOUR: the image first, then what building a module needs.
packages() {
	local image headers meta
	read -r -a meta <<< "$(metas "$1")"
	image=$(depends "${meta[0]}" 'linux-image-.*' | head -n 1)
	headers=$(depends "${meta[1]}" 'linux-headers-.*' | head -n 1)
	[ -n "$image" ] && [ -n "$headers" ] || return 1
	[ "${image#linux-image-}" = "${headers#linux-headers-}" ] ||
		die "$image and $headers are of different releases: apt-get update"
	case $image in
	linux-image-"${1%-rt}".*) ;;
	*) die "${meta[0]} is $image here, not a ${1%-rt}: guests want Debian 12" ;;
	esac
	echo "$image" "$headers"
	depends "$headers" 'linux-headers-.*-common.*|linux-kbuild-.*'
}

# download DIRECTORY PACKAGE...
download() {
	local dir=$1 log
	shift
	log=$(cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download "$@" 2>&1) ||
		{ apt-get -qq update > /dev/null 2>&1 && log=$(cd "$dir" && apt-get -qq -o APT::Sandbox::User=root download "$@" 2>&1); } ||
		die "cannot download $*: $log"
}

# unpack DEB ROOT [PATTERN...]: into a merged /usr, modules decompressed.
unpack() {
	local deb=$1 root=$2
	shift 2
	# tar complains of patterns that match nothing, as some are built in here and there; prepare looks for what is missing.
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --wildcards --transform 's,^\./lib\(/\|$\),./usr/lib\1,' "$@" 2> /dev/null
	[ "${PIPESTATUS[0]}" = 0 ] || die "cannot unpack ${deb##*/}"
	find "$root" -name '*.ko.xz' -exec xz -d {} +
}

prepare() {
	local flavour=$1 dir=$cache/$1 work list release m wanted=('./boot/vmlinuz-*' '*/modules.builtin*' '*/modules.order')
	if is_um "$1"; then
		um_prepare
		return
	fi
	[ ! -e "$dir/release" ] || return 0
	[ "$(dpkg --print-architecture 2> /dev/null)" = amd64 ] || die "guests want Debian on amd64"
	mkdir -p "$cache"
	exec 9> "$cache/.lock"
	flock 9
	[ ! -e "$dir/release" ] || { exec 9>&-; return 0; }
	rm -rf "$dir"
	work=$(mktemp -d "$cache/.$flavour.XXXXXX")
	undo+=("$work")

	list=$(packages "$flavour") || { apt-get -qq update > /dev/null 2>&1; list=$(packages "$flavour"); } ||
		die "apt knows no kernel $flavour ($(metas "$flavour")); Debian 12 has 6.12 in bookworm-security"
	echo "guest $flavour: unpacking ${list//$'\n'/ }" >&2
	mkdir "$work/debs" "$work/root"
	# shellcheck disable=SC2086
	download "$work/debs" $list
	mkdir -p "$work/root/usr/lib" && ln -s usr/lib "$work/root/lib"
	for m in "${module_dirs[@]}"; do wanted+=("*/modules/*/kernel/$m*"); done
	for m in "$work"/debs/*.deb; do
		case ${m##*/} in
		linux-image-*) unpack "$m" "$work/root" "${wanted[@]}" ;;
		*) unpack "$m" "$work/root" ;;
		esac
	done
	rm -rf "$work/debs"

	release=$(cd "$work/root/usr/lib/modules" && echo *)
	[ -e "$work/root/boot/vmlinuz-$release" ] || die "no kernel $release in its package"
	depmod -b "$work/root" "$release" || die "depmod"
	for m in "${modules_needed[@]}"; do
		modprobe -d "$work/root" -S "$release" --show-depends "$m" > /dev/null 2>&1 ||
			die "kernel $release lacks module $m"
	done
	(cd "$work/root" && pack usr/lib/modules < <(find usr/lib/modules)) > "$work/modules.cpio" || die "cpio"
	echo "$release" > "$work/release"
	mv "$work" "$dir"
	exec 9>&-
}

# pack [NAMES] < paths: an initramfs segment of them, owned by root, in a fixed order, with the directories above them.
pack() {
	awk -F/ '{ p = $1; for (i = 2; i <= NF; i++) { print p; p = p "/" $i } print p }' | LC_ALL=C sort -u |
		cpio -o -H newc -R 0:0 --reproducible --quiet
}

# --- the guests' userland: this machine's own programs ---------------------------------

commands=(awk basename bash cat chmod chrt cmp comm cp cut date dd df diff dirname dmesg du echo env expr false find flock free
	grep head hostname id insmod install ionice jq kill ln ls lsmod md5sum mkdir mkfifo mknod mktemp modinfo modprobe mount
	mountpoint mv nproc nsenter od paste perl pgrep pkill printf prlimit ps pwd readlink realpath renice rm rmdir rmmod
	script sed seq setarch setpriv setsid sh sha256sum sleep sort split stat stdbuf stty sync sysctl tac tail tar taskset tee
	test timeout top touch tr true truncate tty umount uname uniq unshare uptime wc which xargs
	arping bridge ethtool ip ip6tables iperf3 iptables iptables-save iptables-restore nft ping socat ss tc tcpdump unbound)
# What programs open by name at run time.
userland_paths=(/usr/lib/x86_64-linux-gnu/{perl-base,xtables,libgcc_s.so.1} /etc/iproute2 /usr/lib/tc /etc/protocols /etc/services
	/bin/busybox /usr/sbin/{iptables,ip6tables}-legacy /usr/sbin/xtables-legacy-multi)

# chain: each path of the input without links in its directory, and every link on its way.
chain() {
	local p
	while read -r p; do
		while :; do
			p=$(realpath -e -- "$(dirname -- "$p")" 2> /dev/null)/${p##*/}
			[ -e "$p" ] || break
			echo "${p#/}"
			[ -L "$p" ] || break
			case $(readlink "$p") in
			/*) p=$(readlink "$p") ;;
			*) p=${p%/*}/$(readlink "$p") ;;
			esac
		done
	done
}

# files_of COMMAND... -- PATH...: those commands, paths and what is under them, and the libraries of all.
files_of() {
	local paths=()
	while [ "$1" != -- ]; do
		mapfile -t -O ${#paths[@]} paths < <(PATH=/usr/sbin:/usr/bin:/sbin:/bin type -P "$1")
		shift
	done
	shift
	mapfile -t -O ${#paths[@]} paths < <(find "$@" ! -type d 2> /dev/null)
	{
		printf '%s\n' "${paths[@]}"
		ldd "${paths[@]}" 2> /dev/null | sed -nE 's/.*=> (\/[^ ]*) .*/\1/p; s/^[ \t]*(\/[^ :]*ld-linux[^ ]*) .*/\1/p'
	} | sort -u | chain | sort -u
}

# userland NAME: $cache/NAME.cpio, made again when packages or this list change.
userland() {
	local out=$cache/$1.cpio
	userlands+=("$out")
	[ "$out" -nt tests/kernel/prepare.sh ] && [ "$out" -nt /var/lib/dpkg/status ] && return
	exec 9> "$cache/.lock"
	flock 9
	case $1 in
	userland)
		files_of "${commands[@]}" -- "${userland_paths[@]}" "$build/ktrxer"
		# Merged /usr: the links at the top.
		(cd / && find bin sbin lib lib64 -maxdepth 0 -type l)
		;;
	tshark) files_of tshark mergecap -- /usr/share/wireshark /usr/lib/x86_64-linux-gnu/wireshark ;;
	esac | (cd / && pack) > "$out.new" || die "cannot pack $1"
	mv "$out.new" "$out"
	exec 9>&-
}

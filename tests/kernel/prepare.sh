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
	arch/{x86,arm64,arm,mips,s390}/crypto/crc32 crypto/crc32 drivers/s390/virtio drivers/net/mii fs/overlayfs lib net/devlink net/dsa net/sctp net/tls)
# Without these a test would have to skip, so they must be there, built in or not.
modules_needed=(veth dummy ifb tun tap macvlan bridge 8021q vxlan pktgen
	nf_tables nft_compat nft_ct nft_limit nft_fwd_netdev x_tables ip_tables ip6_tables iptable_raw iptable_mangle iptable_filter ip6table_raw
	ip6table_mangle xt_conntrack xt_mark nf_conntrack sch_netem sch_fq sch_etf sch_htb sch_tbf sch_ingress act_mirred
	act_gact cls_bpf cls_u32 cls_flower cls_matchall crc32c_generic)

# What those who have such a card load; a machine without that bus has none.
cards_needed() { if [ "$(machine_of "$1")" = s390x ]; then echo virtio_net virtio_blk; else echo virtio_pci virtio_net virtio_blk e1000 e1000e; fi; }

# depends MACHINE PACKAGE PATTERN: what it depends on, among names that match.
depends() {
	apt_of "$1" apt-cache depends "$2" 2> /dev/null | sed -n 's/^[ |]*Depends: \([^<:]*\)\(:any\)\{0,1\}$/\1/p' | grep -xE -- "$3"
}

# packages FLAVOUR: the image first, then what building a module needs.
packages() {
	local image headers meta m
	m=$(machine_of "$1")
	read -r -a meta <<< "$(metas "$1")"
	image=$(depends "$m" "${meta[0]}" 'linux-image-.*' | head -n 1)
	headers=$(depends "$m" "${meta[1]}" 'linux-headers-.*' | head -n 1)
	[ -n "$image" ] && [ -n "$headers" ] || return 1
	[ "${image#linux-image-}" = "${headers#linux-headers-}" ] ||
		die "$image and $headers are of different releases: apt-get update"
	case $image in
	linux-image-"$(version_of "$1")".*) ;;
	*) die "${meta[0]} is $image here, not a $(version_of "$1"): guests want Debian 12" ;;
	esac
	echo "$image" "$headers"
	# The programs that build modules are this machine's.
	depends "$m" "$headers" "linux-headers-.*-common.*$(is_foreign "$1" || echo '|linux-kbuild-.*')"
}

# apt_get MACHINE ARGUMENT...: once more with fresh lists, if it fails.
apt_get() {
	local m=$1 log
	shift
	log=$(apt_of "$m" apt-get -qq "$@" 2>&1) ||
		{ apt_of "$m" apt-get -qq update > /dev/null 2>&1 && log=$(apt_of "$m" apt-get -qq "$@" 2>&1); } ||
		die "apt-get $* for $m: $log"
}

# download MACHINE DIRECTORY PACKAGE...
download() {
	local m=$1 dir=$2
	shift 2
	(cd "$dir" && apt_get "$m" download "$@") || exit
}

# with_depends MACHINE PACKAGE...: those and all that they depend on are where debs_of says, and nothing else is.
debs_of() { echo "$cache/apt-$1/cache/archives"; }
with_depends() {
	local m=$1
	shift
	rm -rf "${cache:?}/apt-$m/cache/archives"
	apt_get "$m" -y --no-install-recommends --download-only install "$@"
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

# kernel_image DIRECTORY RELEASE
kernel_image() { echo "$1"/vmlinu[xz]-"$2"; }

prepare() {
	local flavour=$1 dir=$cache/$1 work list release m wanted=('./boot/vmlinu[xz]-*' '*/modules.builtin*' '*/modules.order')
	if is_um "$1"; then
		um_prepare
		return
	fi
	[ ! -e "$dir/release" ] || return 0
	[ "$(dpkg --print-architecture 2> /dev/null)" = amd64 ] || die "guests want Debian on amd64"
	# Its modules are built by amd64's programs.
	! is_foreign "$flavour" || prepare 6.1
	mkdir -p "$cache"
	exec 9> "$cache/.lock"
	flock 9
	[ ! -e "$dir/release" ] || { exec 9>&-; return 0; }
	rm -rf "$dir"
	work=$(mktemp -d "$cache/.$flavour.XXXXXX")
	undo+=("$work")

	m=$(machine_of "$flavour")
	list=$(packages "$flavour") || { apt_of "$m" apt-get -qq update > /dev/null 2>&1; list=$(packages "$flavour"); } ||
		die "apt knows no kernel $flavour ($(metas "$flavour")); Debian 12 has 6.12 in bookworm-security"
	echo "guest $flavour: unpacking ${list//$'\n'/ }" >&2
	mkdir "$work/debs" "$work/root"
	# shellcheck disable=SC2086
	download "$m" "$work/debs" $list
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
	[ -e "$(kernel_image "$work/root/boot" "$release")" ] || die "no kernel $release in its package"
	! is_foreign "$flavour" || ln -s "$(realpath "$cache"/6.1/root/usr/lib/linux-kbuild-6.1)" "$work/root/usr/lib/linux-kbuild-6.1" || die "no kbuild"
	depmod -b "$work/root" "$release" || die "depmod"
	for m in "${modules_needed[@]}" $(cards_needed "$flavour"); do
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

commands=(awk basename bash busybox cat chmod chrt cmp comm cp cut date dd df diff dirname dmesg du echo env expr false find flock free
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

# Of other machines: the packages that hold the same, unpacked with all that they depend on.
foreign_packages=(bash busybox-static coreutils dash diffutils ethtool findutils grep iproute2 iptables iputils-arping iputils-ping
	iperf3 jq kmod libbpf1 libpcap0.8 mawk mount nftables perl-base procps sed socat tar tcpdump unbound util-linux
	util-linux-extra bsdutils hostname netbase)

# closure ROOT LIBRARIES: of the programs that the input names, and what they need: links, and libraries, which are in LIBRARIES.
closure() {
	local root=$1 libraries=$2 p needed
	local -A seen=()
	local queue=()
	mapfile -t queue
	while [ ${#queue[@]} -gt 0 ]; do
		p=${queue[-1]}
		unset 'queue[-1]'
		if [ -n "${seen[$p]-}" ] || [ ! -e "$root/$p" ]; then continue; fi
		seen[$p]=yes
		echo "$p"
		if [ -L "$root/$p" ]; then
			queue+=("$(realpath -s --relative-to="$root" "$root/$(dirname "$p")/$(readlink "$root/$p")")")
			continue
		fi
		while read -r needed; do queue+=("$libraries/$needed"); done \
			< <(readelf -d "$root/$p" 2> /dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p')
	done
}

# What init.sh and a small test want: for guests with as little memory as a router has (--lean).
lean_commands=(bash busybox grep head ip jq kmod modprobe insmod rmmod setsid sysctl tcpdump)

# pack_commands MACHINE ROOT COMMAND...: a segment of those and what they need. A machine may have 256 MB for all of it.
pack_commands() {
	local libraries root=$2 name
	libraries=usr/lib/$(triplet_of "$1")
	shift 2
	(
		cd "$root" || exit
		{
			for name in "$@"; do find usr/bin/"$name" usr/sbin/"$name"; done
			find usr/lib/ld*.so* "$libraries"/ld*.so* "$libraries"/libgcc_s.so.1 etc/iproute2 etc/protocols etc/services ! -type d
			case " $* " in
			*" perl "*) find "$libraries"/{perl-base,xtables} usr/lib/tc ! -type d ;;
			esac
		} 2> /dev/null | closure "$root" "$libraries" | cat - <(printf '%s\n' bin sbin lib lib64) | pack
	)
}

# sysroot MACHINE: $cache/MACHINE/sysroot, with the libraries that we link with besides libc, which is the cross compiler's; and musl.
sysroot() {
	local m=$1 dir=$cache/$1/sysroot deb
	[ ! -e "$dir" ] || return 0
	exec 9> "$cache/.lock"
	flock 9
	[ ! -e "$dir" ] || { exec 9>&-; return 0; }
	rm -rf "$dir.new"
	with_depends "$m" libpcap-dev libbpf-dev musl-dev
	mkdir -p "$dir.new/usr/lib"
	ln -s usr/lib "$dir.new/lib" || die "cannot make $dir"
	for deb in "$(debs_of "$m")"/*.deb; do
		case ${deb##*/} in
		libc6* | libc-dev* | linux-libc-dev* | gcc-* | libgcc* | libcrypt*) continue ;;
		esac
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir.new" --keep-directory-symlink --wildcards './usr/include/*' './usr/lib/*' './lib/*' 2> /dev/null
	done
	rm -rf "${cache:?}/apt-$m/cache"
	for deb in include/bpf/libbpf.h include/pcap.h lib/"$(musl_of "$m")"/libc.a; do
		[ -e "$dir.new/usr/$deb" ] || die "there is no $deb in the packages of $m"
	done
	mv "$dir.new" "$dir"
	exec 9>&-
}

# foreign_userland MACHINE FILE
foreign_userland() {
	local m=$1 out=$2 root deb sum
	sum=$({ echo "${foreign_packages[*]} ${commands[*]} ${lean_commands[*]}"; declare -f closure pack_commands foreign_userland; } | sha256sum)
	[ -e "$out" ] && [ "$(cat "$out.made-from" 2> /dev/null)" = "$sum" ] && return
	exec 9> "$cache/.lock"
	flock 9
	[ -e "$out" ] && [ "$(cat "$out.made-from" 2> /dev/null)" = "$sum" ] && { exec 9>&-; return; }
	echo "guest $m: unpacking what it runs" >&2
	root=$(mktemp -d "$cache/.userland.XXXXXX")
	undo+=("$root")
	with_depends "$m" "${foreign_packages[@]}"
	mkdir -p "$root"/usr/{bin,sbin,lib,lib64}
	for deb in bin sbin lib lib64; do ln -s "usr/$deb" "$root/$deb"; done
	for deb in "$(debs_of "$m")"/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --keep-directory-symlink --exclude=./usr/share/{doc,man,locale,info,lintian,i18n,bash-completion} \
			--exclude='./usr/lib/*/gconv' --exclude='./usr/lib/*/perl/*' --exclude='./usr/lib/python3*' || die "cannot unpack $deb"
	done
	rm -rf "${cache:?}/apt-$m/cache"
	# What packages do when they are installed.
	ln -sf mawk "$root/usr/bin/awk"
	for deb in iptables ip6tables iptables-save iptables-restore; do ln -sf xtables-nft-multi "$root/usr/sbin/$deb"; done
	pack_commands "$m" "$root" "${commands[@]}" > "$out.new" || die "cannot pack $out"
	pack_commands "$m" "$root" "${lean_commands[@]}" > "${out%.cpio}-lean.cpio" || die "cannot pack $out"
	rm -rf "${root:?}"
	mv "$out.new" "$out"
	echo "$sum" > "$out.made-from"
	exec 9>&-
}

# userland NAME: $cache/NAME.cpio, made again when packages or this list change.
userland() {
	local out=$cache/$1.cpio m=${1%-lean}
	userlands+=("$out")
	if [ "$m" != "${m#userland-}" ]; then
		m=${m#userland-}
		foreign_userland "$m" "$cache/userland-$m.cpio"
		return
	fi
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

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# chroot.sh prepare
# chroot.sh unpack DIRECTORY
# chroot.sh in DIRECTORY COMMAND...
#
# A Debian with nothing but apt in it, from the sources of this machine's own apt, for tests of packages. It is made once, with the
# network, as KT_GUEST_CACHE/debian.tar (build/guest), and brings the archives of what such tests install along: in it, apt works
# without the network. Nobody starts services there. Mounts are those of one command, and gone with it. Wants root.
set -eu
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${KT_GUEST_CACHE:-$PWD/build/guest}
export LC_ALL=C

die() {
	echo "chroot.sh: $*" >&2
	exit 1
}

# What our packages depend on, what DKMS builds for, and what a program is compiled with.
archives=(dkms "linux-headers-$(dpkg --print-architecture)" gcc libc6-dev libpcap-dev libbpf-dev pkg-config)

# sources: this machine's Debian, one a line; whatever else apt gets its packages from stays outside.
sources() {
	apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Origin: Debian' 'Created-By: Packages' | sort -u
}

prepare() {
	local script list
	script=$(sha256sum < "scripts/chroot.sh")
	mkdir -p "$cache"
	exec 9> "$cache/.debian.lock"
	flock 9
	[ "$(cat "$cache/debian.made-by" 2> /dev/null)" != "$script" ] || return 0
	rm -f "$cache/debian.made-by"
	list=$(sources)
	[ -n "$list" ] || { apt-get -qq update && list=$(sources); }
	[ -n "$list" ] || die "apt has no source that is Debian's"
	echo "chroot: unpacking Debian, downloading ${archives[*]}" >&2
	work=$(mktemp -d "$cache/.debian.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	# How this machine reaches its sources, and what it makes of their dates.
	apt-config dump | grep -E '^Acquire::(Check-|Max-|https?::|Retries)' > "$work/apt.conf" || true
	cat >> "$work/apt.conf" <<-'END'
		APT::Install-Recommends "false";
		Acquire::Languages "none";
		Binary::apt::APT::Keep-Downloaded-Packages "true";
	END
	printf '#!/bin/sh\nexit 101\n' > "$work/policy-rc.d"
	chmod 755 "$work/policy-rc.d"
	# shellcheck disable=SC2016
	mmdebstrap --quiet --mode=root --variant=apt --aptopt="$work/apt.conf" --dpkgopt=force-unsafe-io \
		--skip=cleanup/apt/lists,cleanup/apt/cache --customize-hook="copy-in $work/policy-rc.d /usr/sbin" \
		--customize-hook='APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -qq -y --download-only install '"${archives[*]}" \
		"$(. /etc/os-release && echo "$VERSION_CODENAME")" "$work/debian.tar" - <<< "$list" > "$work/log" 2>&1 ||
		{ tail -n 20 "$work/log" >&2; die "cannot make it"; }
	mv "$work/debian.tar" "$cache/"
	echo "$script" > "$cache/debian.made-by"
}

# in_chroot DIRECTORY COMMAND...
in_chroot() {
	# shellcheck disable=SC2016
	exec unshare -m -n bash -c '
		set -e
		root=$1; shift
		mount -t proc kt-chroot "$root/proc"
		mount -t tmpfs -o mode=755 kt-chroot "$root/dev"
		mkdir "$root/dev/shm" "$root/dev/pts"
		mount -t devpts -o newinstance,ptmxmode=666 kt-chroot "$root/dev/pts"
		ln -s pts/ptmx "$root/dev/ptmx"
		ln -s /proc/self/fd "$root/dev/fd"
		for f in null zero full random urandom tty; do touch "$root/dev/$f"; mount --bind "/dev/$f" "$root/dev/$f"; done
		exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C TZ=UTC \
			DEBIAN_FRONTEND=noninteractive "$@"' chroot "$@"
}

case ${1:-} in
prepare) prepare ;;
unpack)
	[ -e "$cache/debian.tar" ] || die "there is none; as root: scripts/chroot.sh prepare"
	mkdir -p "$2"
	tar -x --numeric-owner -C "$2" --exclude='./dev/*' -f "$cache/debian.tar"
	;;
in)
	shift
	[ $# -ge 2 ] || die "a directory and a command, please"
	in_chroot "$@"
	;;
*) die "usage: chroot.sh prepare|unpack DIRECTORY|in DIRECTORY COMMAND..." ;;
esac

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
#
# module-cross.sh [MACHINE...]
#
# ktrxer.ko for Debian's 6.1 on other machines, without a warning: arm64, armhf, mipsel, s390x. Their headers are downloaded and
# unpacked, once, into KT_GUEST_CACHE (build/guest); this machine's list of architectures stays as it is. The compilers
# are those of scripts/deps.sh, and gcc-arm-linux-gnueabihf. Needs the network; not part
# of any suite.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
build=${KT_BUILD:-$PWD/build}
cache=${KT_GUEST_CACHE:-$PWD/build/guest}/cross
export LC_ALL=C

die() {
	echo "module-cross.sh: $*" >&2
	exit 1
}

# apt_of MACHINE COMMAND...: with package lists of its own.
apt_of() {
	local m=$1 command=$2
	shift 2
	"$command" -o Dir::State::lists="$cache/apt-$m/lists" -o Dir::Cache="$cache/apt-$m/cache" -o APT::Architecture="$m" \
		-o APT::Architectures="$m" -o APT::Sandbox::User=root "$@"
}

# depends MACHINE PACKAGE PATTERN
depends() {
	apt_of "$1" apt-cache depends "$2" 2> /dev/null | sed -n 's/^ *Depends: \([^<:]*\).*$/\1/p' | grep -xE -- "$3"
}

# fetch_headers MACHINE FLAVOUR: into $cache/MACHINE, with a file that names them.
fetch_headers() {
	local m=$1 dir=$cache/$1 headers common deb
	[ ! -e "$dir/headers" ] || return 0
	rm -rf "$dir"
	mkdir -p "$dir/debs" "$dir/usr/lib" "$cache/apt-$m/lists/partial" "$cache/apt-$m/cache/archives/partial"
	# One index may be missing, as while a mirror is being updated; what counts is whether the headers are in another.
	apt_of "$m" apt-get -qq update 2> "$dir/apt.log"
	headers=$(depends "$m" "linux-headers-$2" 'linux-headers-.*')
	common=$(depends "$m" "$headers" 'linux-headers-.*-common')
	[ -n "$common" ] || { cat "$dir/apt.log" >&2; return 1; }
	(cd "$dir/debs" && apt_of "$m" apt-get -qq download "$headers" "$common") || return 1
	for deb in "$dir"/debs/*.deb; do dpkg -x "$deb" "$dir" || return 1; done
	rm -rf "$dir/debs" "$cache/apt-$m"
	# The programs that build are this machine's: scripts and tools in the headers are links to there.
	ln -s "$kbuild" "$dir/usr/lib/linux-kbuild-6.1"
	echo "$headers" > "$dir/headers"
}

# One machine: compiler's prefix and flavour of its headers.
build_for() {
	local m=$1 log=$build/module-cross/$1.log headers
	fetch_headers "$m" "$3" || die "cannot get the headers for $m"
	command -v "$2-gcc-12" > /dev/null || die "no $2-gcc-12: apt-get install gcc-$2"
	headers=$cache/$m/usr/src/$(cat "$cache/$m/headers")
	mkdir -p "${log%/*}"
	make --no-print-directory -s module BUILD="$build/module-cross/$m" KDIR="$headers" CROSS_COMPILE="$2-" > "$log" 2>&1 ||
		{ cat "$log" >&2; die "ktrxer.ko does not build for $m"; }
	if grep -E 'warning:|WARNING: modpost' "$log" >&2; then die "ktrxer.ko builds with warnings for $m"; fi
	echo "$m: $(file -bL "$(sed -n 's/^ *KO *//p' "$log")" 2> /dev/null | cut -d, -f1,2)"
}

# amd64's own kbuild makes modules of either byte order and word size; the guests' headers have one.
kbuild=/usr/lib/linux-kbuild-6.1
if [ ! -d $kbuild ]; then
	tests/kernel/guest.sh prepare 6.1 || exit 1
	kbuild=$(realpath "${KT_GUEST_CACHE:-$PWD/build/guest}/6.1/root/usr/lib/linux-kbuild-6.1")
fi
[ $# -gt 0 ] || set -- arm64 armhf mipsel s390x
for m in "$@"; do
	case $m in
	arm64) build_for arm64 aarch64-linux-gnu arm64 ;;
	armhf) build_for armhf arm-linux-gnueabihf armmp ;;
	mipsel) build_for mipsel mipsel-linux-gnu 4kc-malta ;;
	s390x) build_for s390x s390x-linux-gnu s390x ;;
	*) die "no machine $m (arm64, armhf, mipsel, s390x)" ;;
	esac
done

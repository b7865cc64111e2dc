#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 600
# The Debian packages: built out of a clean checkout without root, and installed, used and purged in a Debian that has nothing else
# (scripts/chroot.sh), without the network.
set -u
. "$(dirname "$0")/lib.sh"
need_root
version=$(sed -n 's/^VERSION := //p' Makefile)
machine=$(dpkg --print-architecture)
same "debian/changelog has the Makefile's version" "$(dpkg-parsechangelog -S Version)" "$version"

# --- building ---------------------------------------------------------------------

# What runner's HOME is, nobody may not read.
chmod 755 "$T"
src=$T/src/ktrxer-$version
mkdir -p "$src"
(git ls-files && git ls-files -o --exclude-standard) | cpio -pdm --quiet "$src"
chown -R nobody "$T/src"
# Where the tests' directory lies, nobody need not be allowed to go: the build has it as /mnt. The tests in it are other suites'.
# shellcheck disable=SC2317 # by check
build() {
	unshare -m bash -c '
		mount --bind "$1" /mnt && cd "/mnt/${2##*/}" && exec setpriv --reuid=nobody --regid=nogroup --clear-groups env -i \
			PATH=/usr/bin:/bin HOME=/nonexistent LC_ALL=C DEB_BUILD_OPTIONS="nocheck noautodbgsym parallel=$(nproc)" \
			dpkg-buildpackage -us -uc' build "$T/src" "$src" > "$T/log" 2>&1 || { tail -n 30 "$T/log"; return 1; }
}
check "the packages build without root" build
debs=(libktrxer0 libktrxer-dev ktrxer ktrxer-dkms)
same "they are these" "$(cd "$T/src" && echo *.deb)" "ktrxer-dkms_${version}_all.deb ktrxer_${version}_$machine.deb \
libktrxer-dev_${version}_$machine.deb libktrxer0_${version}_$machine.deb"
check "and a source package" test -s "$T/src/ktrxer_$version.dsc" -a -s "$T/src/ktrxer_$version.tar.xz"
same "without a warning" "$(grep -iE 'warning[: ]' "$T/log")" ""
check "lintian has neither error nor warning" env HOME="$T" lintian --allow-root --fail-on error,warning \
	"$T/src/ktrxer_${version}_$machine.changes"

# --- a Debian of its own ----------------------------------------------------------------

root=$T/root
in_root() { scripts/chroot.sh in "$root" "$@"; }
# What is there besides what apt and dpkg write about.
things() { (cd "$root" && find . -path ./proc -prune -o -path ./dev -prune -o -path './var/*/apt/*' -prune -o -path ./var/log -prune -o -print | sort); }
check "a Debian is unpacked" scripts/chroot.sh unpack "$root"
[ -x "$root/usr/bin/apt-get" ] || done_testing
mkdir "$root/debs"
cp "$T"/src/*.deb "$root/debs/"
# shellcheck disable=SC2317 # by check
apt_install() { in_root apt-get -qq -y install "$@"; }

check "apt installs the command, and what it needs" apt_install "/debs/ktrxer_${version}_$machine.deb"
same "it runs there" "$(in_root ktrxer --version | head -n 1)" "$("$KT_BUILD/ktrxer" --version | head -n 1)"
check "it sees what is to be seen there" grep -q '^Engines' <(in_root ktrxer info)
matches "with the libraries of Debian" "$(in_root ktrxer info)" 'libpcap version [0-9.]+.*; libbpf: v[0-9]'
matches "without the module it says whose package that is" "$(in_root ktrxer info)" 'ktrxer-dkms'
for page in "$src"/man/*.[157]; do
	page=${page##*/}
	check "man page $page" test -s "$root/usr/share/man/man${page##*.}/$page.gz"
done
check "bash completes it" in_root bash -c '. /usr/share/bash-completion/completions/ktrxer && complete -p ktrxer'

check "apt installs libktrxer-dev and a compiler" apt_install "/debs/libktrxer0_${version}_$machine.deb" \
	"/debs/libktrxer-dev_${version}_$machine.deb" gcc libc6-dev pkg-config
for how in '' --static; do
	check "a program compiles with pkg-config $how" in_root sh -c "cd /usr/share/doc/libktrxer-dev/examples && gcc -o /tmp/listener \
		listener.c \$(pkg-config --cflags libktrxer) $([ -z "$how" ] || echo -Wl,-Bstatic -lktrxer -Wl,-Bdynamic) \$(pkg-config $how --libs libktrxer)"
	matches "and runs" "$(in_root /tmp/listener 2>&1)" '^listener: usage'
	same "with the library that it is to have" "$(readelf -d "$root/tmp/listener" | grep -c 'NEEDED.*libktrxer\.so\.0')" \
		"$([ -z "$how" ] && echo 1 || echo 0)"
done
check "man page ktrxer.3" test -s "$root/usr/share/man/man3/ktrxer.3.gz"

check "apt installs headers of a kernel, and DKMS" apt_install "linux-headers-$machine" dkms
release=$(cd "$root/lib/modules" && echo *)
check "the headers' kernel has lists of its modules" in_root depmod "$release"
things > "$T/before-dkms"
check "apt installs the module's package" apt_install "/debs/ktrxer-dkms_${version}_all.deb"
matches "DKMS has built the module for $release" "$(in_root dkms status ktrxer)" \
	"^ktrxer/$version, $release, [a-z0-9_]*: installed"
ko=/lib/modules/$release/updates/dkms/ktrxer.ko
same "it is this version's" "$(in_root modinfo -F version "$ko")" "$version"
same "for that kernel" "$(in_root modinfo -F vermagic "$ko" | cut -d' ' -f1)" "$release"
check "man page ktrxer.4" test -s "$root/usr/share/man/man4/ktrxer.4.gz"

check "apt removes the module's package" in_root apt-get -qq -y purge ktrxer-dkms
same "and all that came with it" "$(things | diff "$T/before-dkms" - | grep '^[<>]')" ""
check "apt purges the rest" in_root apt-get -qq -y purge "${debs[@]}"
rm -r "$root/debs" "$root/tmp/listener"
same "which leaves no file" "$(things | grep -iE 'ktrxer|krx|ktx')" ""
same "and no mention" "$(cd "$root" && grep -rliE 'ktrxer' etc lib/modules usr/lib/dkms var/lib/dkms var/lib/dpkg)" ""
same "nothing of the chroot is mounted here" "$(grep -c kt-chroot /proc/mounts)" 0
done_testing

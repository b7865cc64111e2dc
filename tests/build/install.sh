#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# What make install puts in place is enough to build and run a program with.
set -u
. "$(dirname "$0")/lib.sh"

root=$T/root
check "make install" make_quiet install DESTDIR="$root" PREFIX=/usr
for f in bin/ktrxer include/ktrxer.h lib/libktrxer.a lib/libktrxer.so lib/libktrxer.so.0 lib/pkgconfig/libktrxer.pc \
	share/man/man1/ktrxer.1 share/bash-completion/completions/ktrxer; do
	check "installs $f" test -s "$root/usr/$f"
done
check "the command runs from there" "$root/usr/bin/ktrxer" --version

export PKG_CONFIG_PATH=$root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
same "pkg-config tells the version" "$(pkg-config --modversion libktrxer)" "$("$root/usr/bin/ktrxer" --version | awk '{ print $NF; exit }')"
read -ra cflags <<< "$(pkg-config --cflags libktrxer)"
read -ra libs <<< "$(pkg-config --libs libktrxer)"
# The private libraries are the system's: no prefix of ours for them.
read -ra static <<< "$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --static --libs libktrxer | sed 's/-lktrxer//')"

check "a program links with the shared library" gcc "${cflags[@]}" -o "$T/shared" examples/listener.c "${libs[@]}"
check "and asks for it by its major version" grep -q 'NEEDED.*libktrxer\.so\.0' <(readelf -d "$T/shared")
matches "and runs" "$(LD_LIBRARY_PATH=$root/usr/lib "$T/shared" 2>&1)" '^listener: usage'
check "a program links with the static library" gcc "${cflags[@]}" -o "$T/static" examples/listener.c \
	"$root/usr/lib/libktrxer.a" "${static[@]}"
matches "and runs without ours installed" "$("$T/static" 2>&1)" '^listener: usage'

check "make uninstall" make_quiet uninstall DESTDIR="$root" PREFIX=/usr
same "leaves nothing" "$(find "$root" ! -type d)" ""
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 600
# The module as it is given away: how large it is, make module-install, and DKMS. Against the headers of the first kernel's
# guest, in trees of this test's own; no guest is booted.
set -u
. "$(dirname "$0")/lib.sh"
f=${KT_FLAVOURS%% *}
module "$f"
release=$(cat "${KT_GUEST_CACHE:-build/guest}/$f/release")
src=$(realpath "${KT_GUEST_CACHE:-build/guest}/$f/root/usr/src")
version=$(sed -n 's/^VERSION := //p' Makefile)
quiet=(make --no-print-directory -s)

# The budget is 100 KiB of instructions. What else stays in memory is tables: data, strings, symbols' versions, and how to unwind.
ko=$(find "$KT_BUILD/kmod/$f" -maxdepth 1 -name ktrxer.ko)
read -r text tables < <(size -A "$ko" | awk '
	/^\.(debug|comment)/ { next }
	/^\.?[a-z_.0-9]*text / { text += $2; next }
	/^[._a-z]/ { tables += $2 }
	END { print text, tables }')
echo "# $f: $text bytes of instructions, $tables of tables"
check "less than 100 KiB of instructions" test "$text" -gt 10000 -a "$text" -lt 102400
check "less than 64 KiB of tables" test "$tables" -gt 1000 -a "$tables" -lt 65536

# Debian's headers say where the common part is installed; here both were unpacked elsewhere.
headers=$T/headers
mkdir "$headers"
find "$src/linux-headers-$release" -mindepth 1 -maxdepth 1 ! -name Makefile -exec ln -s -t "$headers" {} +
echo "include $(echo "$src"/linux-headers-*-common*)/Makefile" > "$headers/Makefile"

# lies_in DIRECTORY: one module, of this version, for that kernel.
# shellcheck disable=SC2317 # by check
lies_in() {
	local found
	found=$(find "$1" -name 'ktrxer.ko*')
	[ "$(wc -l <<< "$found")" = 1 ] && [ "$(modinfo -F version "$found")" = "$version" ] &&
		[ "$(modinfo -F vermagic "$found" | cut -d' ' -f1)" = "$release" ]
}

check "make module-install" "${quiet[@]}" module-install KDIR="$headers" BUILD="$T/build" DESTDIR="$T/root"
check "puts the module in place" lies_in "$T/root/lib/modules/$release"

check "make module-source" "${quiet[@]}" module-source DESTDIR="$T/root"
check "takes no more than is needed" test "$(du -sk "$T/root/usr/src" | cut -f1)" -lt 2048
# DKMS makes a key to sign with where it likes, which is to be nowhere.
mkdir "$T/tree" "$T/installed"
dkms() {
	# shellcheck disable=SC2016
	unshare -m sh -c 'mount -t tmpfs none /var/lib/dkms && exec dkms "$@"' dkms "$@" --dkmstree "$T/tree" \
		--sourcetree "$T/root/usr/src" --installtree "$T/installed" --kernelsourcedir "$headers"
}
check "dkms add" dkms add "ktrxer/$version"
check "dkms build" dkms build "ktrxer/$version" -k "$release/x86_64"
check "it is the module" lies_in "$T/tree/ktrxer/$version/$release"
# Not "dkms install": that runs depmod in this machine's own /lib/modules.
matches "dkms status" "$(dkms status "ktrxer/$version")" "^ktrxer/$version, $release, x86_64: built"
check "dkms remove" dkms remove "ktrxer/$version" --all
same "leaves nothing" "$(find "$T/tree" -name 'ktrxer*')" ""
done_testing

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# test-timeout: 600
#
# headers.sh [--table]
#
# The module compiles with headers of kernels that Debian 12 does not have: copies of those of 6.1 and 6.12, altered to have the
# names of older and newer ones. For each alteration the probe (kernel/compat.sh) has to give the other answer, the module has to
# compile with it, and not without it. --table prints which kernels that makes, which README.md repeats.
# shellcheck disable=SC2317 # by check, and by a row
set -u

# A row: what the probe tells; the kernel since which it is so; what changed, for people; the altered headers, or "-" where Debian's
# 6.1 has the old shape and 6.12 the new one; the alteration; the file of the module that cares.
rows() {
	cat <<-'END'
		NETDEV_LOCK_OPS|6.15|`netdev_lock_ops()`, a device's own lock around calls of its driver|6.12|netdev_lock|tx_offer
		HRTIMER_SETUP|6.13|`hrtimer_setup()` for `hrtimer_init()`, which is gone since 6.15|6.12|hrtimer_setup|tx_launch
		NETDEV_LLTX|6.12|`dev->lltx` for the feature `NETIF_F_LLTX`|-||
		KERNEL_ETHTOOL_TS_INFO|6.11|`struct kernel_ethtool_ts_info`|-||
		SKB_TSTAMP_TYPE|6.11|`skb->tstamp_type` for `skb->mono_delivery_time`|-||
		UBUF_OPS|6.10|`struct ubuf_info_ops` for a callback|-||
		EVENTFD_SIGNAL_N|6.8|`eventfd_signal()` without a number|-||
		VM_FLAGS_SET|6.3|`vm_flags_set()`|-||
		VM_FLAGS_SET|6.3|the same, carried back by a distribution|6.1|vm_flags_set|ringmem
		NETDEV_HOLD|6.0|`netdev_hold()` for `dev_hold_track()`|6.1|rename netdev_hold dev_hold_track netdev_put dev_put_track|netdev
		HWTSTAMP_NETDEV|5.19|`netdev_get_tstamp()`|6.1|rename SKBTX_HW_TSTAMP_NETDEV KT_1 netdev_get_tstamp kt_2|rx_judge
		SKB_TSTAMP|5.18|`skb_tstamp()`, as a time of departure can be there|6.1|rename skb_tstamp kt_3 skb_clear_tstamp kt_4|rx_judge
		NETDEVICE_TRACKER|5.17|`netdevice_tracker`|6.1|rename netdevice_tracker kt_5 netdev_hold kt_6 netdev_put kt_7|netdev
	END
}

# What is booted and what compiled, before the change and after it, is where the shapes come from.
table() {
	local since what from
	echo "| since | what changed in the kernel's headers | older ones | newer ones |"
	echo "|---|---|---|---|"
	rows | while IFS='|' read -r _ since what from _ _; do
		case $from in
		-) echo "| $since | $what | run on 6.1 | run on 6.12 |" ;;
		6.12) echo "| $since | $what | run on 6.1, 6.12 | compiled |" ;;
		6.1)
			case $since in
			5.* | 6.0) echo "| $since | $what | compiled | run on 6.1, 6.12 |" ;;
			*) echo "| $since | $what | | compiled |" ;;
			esac
			;;
		esac
	done
}
if [ "${1:-}" = --table ]; then
	table
	exit
fi

. "$(dirname "$0")/lib.sh"
cache=${KT_GUEST_CACHE:-$PWD/build/guest}

# --- altered copies ---------------------------------------------------------------------

common_of() { realpath "$cache/$1"/root/usr/src/linux-headers-*-common; }

# copy FLAVOUR DIRECTORY: its headers, as links.
copy() {
	local common
	common=$(common_of "$1")
	mkdir -p "$2/arch/x86"
	cp -rs "$common/include" "$2/" && cp -rs "$common/arch/x86/include" "$2/arch/x86/"
}

# own FILE: a copy of its own where a link was.
own() { cp --remove-destination "$(realpath "$1")" "$1"; }

# rename DIRECTORY OLD NEW [OLD NEW...]: in all headers.
rename() {
	local dir=$1 f
	shift
	while [ $# -gt 0 ]; do
		grep -rlw --include='*.h' "$1" "$(realpath "$dir/include/linux/mm.h" | sed 's|/include/linux/.*|/include|')" |
			sed "s|.*/include/|$dir/include/|" | while read -r f; do
			[ ! -L "$f" ] || own "$f"
			sed -i "s/\b$1\b/$2/g" "$f"
		done
		shift 2
	done
}

hrtimer_setup() {
	own "$1/include/linux/hrtimer.h"
	# Declared under its new name and shape; what else initialized one with the old name goes.
	perl -0pi -e 's/extern void hrtimer_init\(.*?\);/extern void hrtimer_setup(struct hrtimer *timer, enum hrtimer_restart (*function)(struct hrtimer *),\n\t\t\t  clockid_t clock_id, enum hrtimer_mode mode);/s; s/\thrtimer_init\([^;]*;\n//g' \
		"$1/include/linux/hrtimer.h"
	# 6.15 calls the function of a timer its own business.
	[ ! -e "$1/include/linux/hrtimer_types.h" ] || own "$1/include/linux/hrtimer_types.h"
	sed -i 's/(\*function)(struct hrtimer \*);$/(*private_function)(struct hrtimer *);/; s/timer->function/timer->private_function/' \
		"$1"/include/linux/hrtimer*.h
}

netdev_lock() {
	cat > "$1/include/net/netdev_lock.h" <<-'END'
		#ifndef _NET_NETDEV_LOCK_H
		#define _NET_NETDEV_LOCK_H
		#include <linux/netdevice.h>
		static inline void netdev_lock_ops(struct net_device *dev)
		{
		}
		static inline void netdev_unlock_ops(struct net_device *dev)
		{
		}
		#endif
	END
	own "$1/include/linux/rtnetlink.h"
	sed -i '$i #include <net/netdev_lock.h>' "$1/include/linux/rtnetlink.h"
}

vm_flags_set() {
	own "$1/include/linux/mm.h"
	sed -i '$i static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags) { vma->vm_flags |= flags; }\
static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags) { vma->vm_flags &= ~flags; }' "$1/include/linux/mm.h"
}

# --- compiling with them -------------------------------------------------------------------

answers() { sh kernel/compat.sh "$1"; }

# compiles FLAVOUR HEADERS ANSWERS FILE...: as that kernel's makefiles compiled it, but with these headers and answers.
compiles() {
	local f=$1 headers=$2 made=$3 build=$KT_BUILD/kmod/$1 common own=$2-module command file
	shift 3
	common=$(common_of "$f")
	mkdir -p "$own/kernel"
	cp kernel/*.[ch] "$own/kernel/"
	ln -sfn "$PWD/core" "$PWD/include" "$own/"
	cp "$made" "$own/kernel/compat-made.h"
	for file in "$@"; do
		command=$(sed -n '1s/^[^=]*:= *//p' "$build/kernel/.$file.o.cmd" | sed -E 's/ -Wp,-MMD,[^ ]*//; s/ ;.*//; s/ -c -o [^ ]*/ -fsyntax-only -Werror/')
		command=${command//"$common"/$headers}
		echo "cd '$cache/$f/root/usr/src/linux-headers-$(cat "$cache/$f/release")' && ${command//"$build"/$own}"
	done | xargs -d '\n' -P "$(nproc)" -n 1 sh -c > "$own.log" 2>&1 || { head -n 12 "$own.log"; return 1; }
}

for f in 6.1 6.12; do
	module "$f"
	answers "$(common_of "$f")" > "$T/$f"
done
flags=$(sed -nE 's/^(need|have) ([A-Z_]+) .*/\2/p' kernel/compat.sh | sort)
same "each answer of the probe has its row" "$(rows | cut -d'|' -f1 | sort -u)" "$flags"
for flag in $flags; do
	check "the module asks for $flag" grep -qE "(NEED|HAVE)_$flag\b" kernel/[!c]*.[ch] kernel/compat.h kernel/chardev.c
done

n=0
while IFS='|' read -r flag since what from alteration file; do
	if [ "$from" = - ]; then
		check "$flag, $since: 6.1 and 6.12 answer differently" test "$(grep -c "_$flag " "$T/6.1")" != "$(grep -c "_$flag " "$T/6.12")"
		continue
	fi
	n=$((n + 1))
	headers=$T/altered-$n
	copy "$from" "$headers"
	read -ra words <<< "$alteration"
	"${words[0]}" "$headers" "${words[@]:1}"
	answers "$headers" > "$headers.made"
	check "$flag, $since: altered headers of $from change the answer" test "$(grep -c "_$flag " "$T/$from")" != \
		"$(grep -c "_$flag " "$headers.made")"
	check "and $file.c compiles" compiles "$from" "$headers" "$headers.made" "$file"
	check "which it does not with the answer for $from" eval "! compiles $from '$headers' '$T/$from' $file"
done < <(rows)

# Everything that a row says of newer kernels at once, then of older ones: all of the module.
for from in 6.12 6.1; do
	headers=$T/all-$from
	copy "$from" "$headers"
	while IFS='|' read -r _ since _ row alteration _; do
		if [ "$row" = "$from" ] && [ "$since" != 6.3 ]; then
			read -ra words <<< "$alteration"
			"${words[0]}" "$headers" "${words[@]:1}"
		fi
	done < <(rows)
	answers "$headers" > "$headers.made"
	mapfile -t files < <(basename -s .c kernel/*.c)
	check "the module compiles with all that is $([ "$from" = 6.12 ] && echo newer than 6.12 || echo older than 6.1) at once" \
		compiles "$from" "$headers" "$headers.made" "${files[@]}"
done

check "README.md has this table" diff <(table) <(sed -n '/^| since /,/^$/p' README.md | sed '/^$/d')
done_testing

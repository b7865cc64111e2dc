#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# compat.sh SRCTREE
#
# Asks the headers of a kernel what they have, and prints it as a header:
#
#   NEED_x   they lack x, which compat.h supplies
#   HAVE_x   they shape x differently, and code has to choose
#
# Never asks for a version: distributions carry changes back.
set -eu
inc=$1/include

# has FILE PATTERN: is there a line, comments aside, that matches? A header that is not there has nothing.
has() {
	[ -r "$inc/$1" ] && grep -vE '^[[:space:]]*(\*|/\*|//)' "$inc/$1" | grep -qE -- "$2"
}
need() {
	if ! has "$2" "$3"; then echo "#define NEED_$1 1"; fi
}
have() {
	if has "$2" "$3"; then echo "#define HAVE_$1 1"; fi
}

echo "/* SPDX-License-Identifier: GPL-2.0-only */"
echo "/* Made by compat.sh from the kernel's headers. */"

need NETDEVICE_TRACKER net/net_trackers.h '\bnetdevice_tracker;'
need NETDEV_HOLD linux/netdevice.h '\bnetdev_hold\('
need VM_FLAGS_SET linux/mm.h '\bvm_flags_set\('
need HRTIMER_SETUP linux/hrtimer.h '\bhrtimer_setup\('

have EVENTFD_SIGNAL_N linux/eventfd.h '\beventfd_signal\(struct eventfd_ctx \*ctx, __u64 n\)'
have SKB_TSTAMP_TYPE linux/skbuff.h '\btstamp_type:'
have NETDEV_LLTX linux/netdevice.h '\blltx:1'
need SKB_TSTAMP linux/skbuff.h '\bskb_tstamp\('
need NETDEV_LOCK_OPS net/netdev_lock.h '\bnetdev_lock_ops\('
need KERNEL_ETHTOOL_TS_INFO linux/ethtool.h '\bstruct kernel_ethtool_ts_info \{'
have UBUF_OPS linux/skbuff.h '\bstruct ubuf_info_ops \{'
have HWTSTAMP_NETDEV linux/skbuff.h '\bSKBTX_HW_TSTAMP_NETDEV\b'

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Today's kernel for yesterday's. Force-included into every file of the
 * module; compat.sh asks the headers and makes compat-made.h. The code beside
 * this file is written for the newest kernel and names no version.
 */
#ifndef KT_COMPAT_H
#define KT_COMPAT_H

#include "compat-made.h"

#include <linux/eventfd.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#ifndef NEED_NETDEV_LOCK_OPS
#include <net/netdev_lock.h>
#endif

#ifdef NEED_NETDEVICE_TRACKER
typedef struct {
} netdevice_tracker;
#endif

#ifdef NEED_NETDEV_HOLD
static inline void netdev_hold(struct net_device *dev, netdevice_tracker *tracker, gfp_t gfp)
{
#ifdef NEED_NETDEVICE_TRACKER
	dev_hold(dev);
#else
	dev_hold_track(dev, tracker, gfp);
#endif
}

static inline void netdev_put(struct net_device *dev, netdevice_tracker *tracker)
{
#ifdef NEED_NETDEVICE_TRACKER
	dev_put(dev);
#else
	dev_put_track(dev, tracker);
#endif
}
#endif

#ifdef NEED_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#ifdef NEED_HRTIMER_SETUP
static inline void hrtimer_setup(struct hrtimer *t, enum hrtimer_restart (*fn)(struct hrtimer *), clockid_t clock,
				 enum hrtimer_mode mode)
{
	hrtimer_init(t, clock, mode);
	t->function = fn;
}
#endif

static inline void kt_eventfd_signal(struct eventfd_ctx *e)
{
#ifdef HAVE_EVENTFD_SIGNAL_N
	eventfd_signal(e, 1);
#else
	eventfd_signal(e);
#endif
}

#ifdef NEED_SKB_TSTAMP
/* Before a time of departure could be kept there, too. */
static inline ktime_t skb_tstamp(const struct sk_buff *skb)
{
	return skb->tstamp;
}

static inline void skb_clear_tstamp(struct sk_buff *skb)
{
	skb->tstamp = 0;
}
#endif

#ifdef NEED_NETDEV_LOCK_OPS
/* Before drivers could ask for a lock of the device's own around calls of theirs, inside RTNL. */
static inline void netdev_lock_ops(struct net_device *dev)
{
}

static inline void netdev_unlock_ops(struct net_device *dev)
{
}
#endif

#ifdef NEED_KERNEL_ETHTOOL_TS_INFO
#define kernel_ethtool_ts_info ethtool_ts_info
#endif

/* The NIC is to launch it at ns of CLOCK_TAI; 0: at once. */
static inline void kt_skb_set_launch(struct sk_buff *skb, u64 ns)
{
	skb->tstamp = ns_to_ktime(ns);
#ifdef HAVE_SKB_TSTAMP_TYPE
	skb->tstamp_type = ns ? SKB_CLOCK_TAI : SKB_CLOCK_REALTIME;
#endif
}

/* The NIC's time of arrival; 0: it gave none. */
static inline u64 kt_skb_hwtstamp(const struct sk_buff *skb)
{
	const struct skb_shared_hwtstamps *hw = skb_hwtstamps((struct sk_buff *)skb);

#ifdef HAVE_HWTSTAMP_NETDEV
	/* Then it is the driver who knows what is kept there. */
	if (skb_shinfo(skb)->tx_flags & SKBTX_HW_TSTAMP_NETDEV && skb->dev)
		return (u64)ktime_to_ns(netdev_get_tstamp(skb->dev, hw, false));
#endif
	return (u64)ktime_to_ns(hw->hwtstamp);
}

#endif

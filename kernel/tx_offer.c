// SPDX-License-Identifier: GPL-2.0-only
/*
 * What devices offer a sender, beyond taking frames: to gather them from pages, to say when they left, and to launch
 * them by their own clock. All under RTNL; drivers may want to be called under the lock of their device, too.
 */
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/rtnetlink.h>
#include <net/pkt_sched.h>

#include "ktx.h"

/* Senders whose queue launches by time. Two may share one; the last to leave switches it back. RTNL. */
static LIST_HEAD(launching);

static bool can_gather(const struct ktx *tx, const struct net_device *dev)
{
	/* Some of our pages may be out of the reach of a device that says so. */
	return dev->features & NETIF_F_SG && (!IS_ENABLED(CONFIG_HIGHMEM) || dev->features & NETIF_F_HIGHDMA) &&
	       tx->setup.slot_bytes >= KTX_ZEROCOPY_MIN;
}

/* Does its driver, or the NIC, say when a frame leaves? */
static bool can_stamp(struct net_device *dev)
{
	struct kernel_ethtool_ts_info info = {};
	int ret;

	if (!dev->ethtool_ops || !dev->ethtool_ops->get_ts_info)
		return false;
	netdev_lock_ops(dev);
	ret = dev->ethtool_ops->get_ts_info(dev, &info);
	netdev_unlock_ops(dev);
	return !ret && info.so_timestamping & (SOF_TIMESTAMPING_TX_HARDWARE | SOF_TIMESTAMPING_TX_SOFTWARE);
}

/* As qdisc etf asks for it. */
static int switch_queue(struct net_device *dev, u32 queue, bool on)
{
	struct tc_etf_qopt_offload o = { .enable = on, .queue = (s32)queue };
	int ret;

	if (!dev->netdev_ops->ndo_setup_tc)
		return -EOPNOTSUPP;
	netdev_lock_ops(dev);
	ret = dev->netdev_ops->ndo_setup_tc(dev, TC_SETUP_QDISC_ETF, &o);
	netdev_unlock_ops(dev);
	return ret;
}

static bool is_shared(const struct ktx *tx)
{
	const struct ktx *other;

	list_for_each_entry(other, &launching, launching_link)
	{
		if (other != tx && other->ctx.dev == tx->ctx.dev && other->setup.queue == tx->setup.queue)
			return true;
	}
	return false;
}

/* Without a queue of the user's choice the last one, where the least of the host's own traffic is. */
static bool start_launching(struct ktx *tx, struct net_device *dev)
{
	u32 queue = tx->setup.flags & KTX_SETUP_QUEUE ? tx->setup.queue : dev->real_num_tx_queues - 1;
	u32 asked = tx->setup.queue;

	tx->setup.queue = queue;
	if (!is_shared(tx) && switch_queue(dev, queue, true)) {
		tx->setup.queue = asked;
		return false;
	}
	tx->setup.flags |= KTX_SETUP_QUEUE;
	list_add(&tx->launching_link, &launching);
	return true;
}

void kt_tx_offers(struct ktx *tx, struct net_device *dev)
{
	u32 *flags = &tx->setup.flags;

	if (*flags & KTX_SETUP_ZEROCOPY && !can_gather(tx, dev))
		*flags &= ~(u32)KTX_SETUP_ZEROCOPY;
	if (*flags & KTX_SETUP_STAMPS && !can_stamp(dev))
		*flags &= ~(u32)KTX_SETUP_STAMPS;
	if (*flags & KTX_SETUP_LAUNCH && !start_launching(tx, dev))
		*flags &= ~(u32)KTX_SETUP_LAUNCH;
}

void kt_tx_offers_end(struct ktx *tx)
{
	ASSERT_RTNL();
	if (list_empty(&tx->launching_link))
		return;
	list_del_init(&tx->launching_link);
	if (tx->ctx.dev && !is_shared(tx))
		switch_queue(tx->ctx.dev, tx->setup.queue, false);
}

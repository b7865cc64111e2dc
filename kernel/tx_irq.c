// SPDX-License-Identifier: GPL-2.0-only
/*
 * Launches by the timer's own interrupt. A tasklet comes when the softirq that runs on its CPU has ended: behind as many
 * packets of others as that one receives, which takes milliseconds on a busy host. The interrupt comes in between.
 *
 * May a driver be called there? Its ndo_start_xmit() "will be called with interrupts disabled by netconsole"
 * (Documentation/networking/netdevices.rst), and from wherever a message was printed, interrupts included. So it frees by
 * dev_kfree_skb_any() and enables no interrupts. We ask for what netconsole asks for (IFF_DISABLE_NETPOLL is not set), and more:
 *
 * - The queue's lock must be free. Whoever holds it, maybe the very code that we have interrupted, is in the driver's
 *   transmit path, or cleans behind it under that lock, as virtio_net does; then the launcher has to do it.
 * - A device with locks of its own instead (LLTX) could be anywhere in them: not here. Nor one without a queueing
 *   discipline or without hardware below it, which passes frames on to others (veth, bridges, tunnels), nor
 *   wireless ones, whose stack has locks in between.
 * - No other lock that the transmit function waits for may be held by what was interrupted. Such locks are taken with bottom
 *   halves disabled at least, so on top of user space, an idle CPU, and whatever else has them enabled, nothing of
 *   the kind is held. On top of the rest it may be: mtk_eth_soc has one lock for the rings of several interfaces,
 *   taken without disabling interrupts. netconsole would hang there once in a while; we would soon. So there it is done with
 *   drivers only in whose transmit path a search for locks has found none (is_known), or by the word of the administrator,
 *   irq_launch=2.
 *
 * The context's own lock is taken with bottom halves disabled elsewhere, so here it is only tried. When it was had once
 * in an interrupt, what was interrupted does not have it, so others will give it back: a little later it is worth a few
 * more tries. Whatever cannot be done here is left to the launcher: what is refused (buffers are freed there), what
 * comes for an earlier time meanwhile, long trains behind their first KT_TX_STRETCH.
 *
 * The interrupt spins for IRQ_SPIN_NS at most. It comes spin_ns before a launch, as for the launcher, so that the CPU is awake, and
 * once more when it is nearly time.
 */
#include <linux/if_arp.h>
#include <linux/netdevice.h>
#include <linux/preempt.h>
#include <linux/string.h>

#include "ktx.h"

#define IRQ_SPIN_NS 10000u
/* Launches close together keep the interrupt for no longer than this. */
#define IRQ_BUDGET_NS 100000u
#define LOCK_TRIES 1000

static bool passes_on(const struct net_device *dev)
{
#ifdef HAVE_NETDEV_LLTX
	bool lltx = dev->lltx;
#else
	bool lltx = dev->features & NETIF_F_LLTX;
#endif

	return lltx || !dev->dev.parent || dev->priv_flags & (IFF_NO_QUEUE | IFF_DISABLE_NETPOLL);
}

static bool is_wireless(const struct net_device *dev)
{
#if IS_ENABLED(CONFIG_CFG80211)
	return dev->ieee80211_ptr;
#else
	return false;
#endif
}

/*
 * A kernel for one CPU has no locks, only what is disabled meanwhile, so there trying one says yes also when what was interrupted
 * holds it. On top of what has bottom halves enabled none of ours is held, nor the queue's.
 */
static bool are_locks_real(void)
{
	return IS_ENABLED(CONFIG_SMP);
}

/* Drivers whose transmit function waits for no lock but the queue's, or one that nobody takes with interrupts enabled: Linux 6.1. */
static bool is_known(const struct net_device *dev)
{
	static const char *const names[] = { "e1000", "e1000e", "igb", "igc", "ixgbe", "r8169", "virtio_net" };
	const struct device_driver *driver = dev->dev.parent->driver;

	return driver && match_string(names, ARRAY_SIZE(names), driver->name) >= 0;
}

enum kt_tx_irq kt_tx_irq_allowed(const struct ktx *tx, const struct net_device *dev)
{
	const u32 others = KTX_SETUP_TAP | KTX_SETUP_ZEROCOPY | KTX_SETUP_FIFO | KTX_SETUP_STAMPS | KTX_SETUP_LAUNCH;
	unsigned int wanted = READ_ONCE(kt_irq_launch);

	if (IS_ENABLED(CONFIG_PREEMPT_RT) || !wanted || tx->setup.flags & others || dev->type != ARPHRD_ETHER ||
	    passes_on(dev) || is_wireless(dev))
		return KT_IRQ_NEVER;
	return are_locks_real() && (wanted > 1 || is_known(dev)) ? KT_IRQ_ALWAYS : KT_IRQ_OUTSIDE;
}

/* Behind a lock that this interrupt has had: others on other CPUs have it, for a short time. */
static bool lock_again(struct ktx *tx)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (spin_trylock(&tx->lock))
			return true;
		cpu_relax();
	}
	return false;
}

/* Both lists are the launcher's, who settles what was tried and puts the rest back. launching stays set until then. */
static void hand_over(struct ktx *tx, const struct kt_tx_list *b, const struct kt_tx_list *tried)
{
	tx->left = *b;
	tx->left_tried = *tried;
	kt_store_release(&tx->handed, true);
}

/* A refusal ends a stretch, so it can only be the last. */
static bool is_done(const struct ktx *tx, const struct kt_tx_list *b, const struct kt_tx_list *tried)
{
	return !b->n && tried->n && tx->probes[tried->last].outcome != KT_TX_REFUSED;
}

/*
 * Launches b at its time. True, and the lock is held, when all of it has been tried and none was refused; else it has been handed
 * over. launching is ours, the lock is not held.
 */
static bool launch(struct ktx *tx, struct kt_tx_list *b, u64 at, u32 kick)
{
	struct kt_tx_list tried;
	bool progress;

	kt_tx_list_init(&tried);
	if (!kt_tx_spin(tx, at, kick) || !kt_tx_stretch_irq(tx, b, &tried, at) || !lock_again(tx)) {
		hand_over(tx, b, &tried);
		return false;
	}
	if (!is_done(tx, b, &tried)) {
		hand_over(tx, b, &tried);
		spin_unlock(&tx->lock);
		return false;
	}
	tx->st.batches++;
	tx->st.irq_batches++;
	kt_tx_settle(tx, b, &tried, false, &progress);
	tx->pauses = 0;
	return true;
}

bool kt_tx_irq_launch(struct ktx *tx)
{
	u64 at, end = kt_tx_clock(tx) + IRQ_BUDGET_NS;
	struct kt_tx_list b;
	u32 kick;

	/* In an interrupt, this is what was interrupted: BH disabled, or a softirq. */
	if ((tx->by_irq != KT_IRQ_ALWAYS && in_softirq()) || !spin_trylock(&tx->lock))
		return false;
	if (tx->launching) {
		spin_unlock(&tx->lock);
		return false;
	}
	kt_tx_list_init(&b);
	while (kt_tx_clock(tx) < end) {
		at = kt_tx_take_due(tx, &b, min(tx->setup.spin_ns, IRQ_SPIN_NS));
		if (!at) {
			spin_unlock(&tx->lock);
			return true;
		}
		tx->launching = true;
		kick = tx->kick;
		spin_unlock(&tx->lock);
		if (!launch(tx, &b, at, kick))
			return false;
		tx->launching = false;
	}
	spin_unlock(&tx->lock);
	return false;
}

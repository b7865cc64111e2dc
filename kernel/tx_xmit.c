// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames to the driver: what net/core/dev.c does behind the qdisc, and nothing of what it does before.
 *
 * The driver's answer to a frame:
 *   NETDEV_TX_OK              it has it                                    sent
 *   NET_XMIT_CN               it has it, and sees congestion               sent, reason ENOBUFS
 *   NET_XMIT_DROP, negative   it has freed it                              refused
 *   NETDEV_TX_BUSY            it has not touched it, it is still ours      refused
 *
 * `more` promises the driver another frame under the same lock, so that it rings its doorbell once. It is
 * said only of a frame whose successor has already been found good, and a refusal
 * is followed by another call at once, until the last one, whose more is false. A queue that
 * stops in between has been rung by its driver, who looks at that and not at more alone.
 */
#include <linux/if_vlan.h>
#include <linux/netdevice.h>

#include "ktx.h"
#include "trace.h"

static u16 choose_queue(const struct ktx *tx, const struct net_device *dev)
{
	u32 n = max(READ_ONCE(dev->real_num_tx_queues), 1u);
	u32 q = tx->setup.flags & KTX_SETUP_QUEUE ? tx->setup.queue : (u32)smp_processor_id();

	return (u16)(q < n ? q : q % n);
}

/* Not down, without carrier, or detached by its driver, as for suspend or a reset. */
static bool is_up(const struct net_device *dev)
{
	return netif_running(dev) && netif_carrier_ok(dev) && netif_device_present(dev);
}

/* What a call is to know; false with the reason when there is nobody to call. On one CPU, in an RCU read-side section. */
static bool get_ready(struct ktx *tx, struct kt_tx_call *c)
{
	c->dev = rcu_dereference_check(tx->dev, rcu_read_lock_bh_held() || rcu_read_lock_held());
	c->reason = !c->dev ? ENODEV : !is_up(c->dev) ? ENETDOWN : 0;
	if (c->reason)
		return false;
	c->queue = choose_queue(tx, c->dev);
	c->txq = netdev_get_tx_queue(c->dev, c->queue);
	c->tap = tx->setup.flags & KTX_SETUP_TAP && dev_nit_active(c->dev);
	c->keep = tx->recycle && !c->tap;
	c->max_len = READ_ONCE(c->dev->mtu) + c->dev->hard_header_len;
	return true;
}

bool kt_tx_enter(struct ktx *tx, struct kt_tx_call *c)
{
	rcu_read_lock_bh();
	if (!get_ready(tx, c)) {
		rcu_read_unlock_bh();
		return false;
	}
	dev_xmit_recursion_inc();
	HARD_TX_LOCK(c->dev, c->txq, smp_processor_id());
	return true;
}

void kt_tx_leave(struct kt_tx_call *c)
{
	HARD_TX_UNLOCK(c->dev, c->txq);
	dev_xmit_recursion_dec();
	rcu_read_unlock_bh();
}

bool kt_tx_stopped(struct ktx *tx)
{
	struct net_device *dev;
	bool stopped = false;

	rcu_read_lock_bh();
	dev = rcu_dereference_bh(tx->dev);
	if (dev && is_up(dev))
		stopped = netif_xmit_frozen_or_drv_stopped(netdev_get_tx_queue(dev, choose_queue(tx, dev)));
	rcu_read_unlock_bh();
	return stopped;
}

enum kt_tx_outcome kt_tx_judge(struct kt_tx_call *c, netdev_tx_t answer)
{
	if (answer == NETDEV_TX_OK)
		return KT_TX_SENT;
	if (answer == NETDEV_TX_BUSY)
		c->reason = EBUSY;
	else if (answer < 0)
		c->reason = (u16)min(-(int)answer, MAX_ERRNO);
	else
		c->reason = ENOBUFS;
	return answer == (netdev_tx_t)NET_XMIT_CN ? KT_TX_SENT : KT_TX_REFUSED;
}

enum kt_tx_outcome kt_tx_give_away(struct kt_tx_call *c, struct sk_buff **skb, bool more)
{
	struct sk_buff *s = *skb, *copy = c->tap ? skb_clone(s, GFP_ATOMIC) : NULL;
	netdev_tx_t answer = netdev_start_xmit(s, c->dev, c->txq, more);
	enum kt_tx_outcome outcome = kt_tx_judge(c, answer);

	if (dev_xmit_complete(answer))
		*skb = NULL;
	if (unlikely(copy)) {
		if (outcome == KT_TX_SENT)
			dev_queue_xmit_nit(copy, c->dev);
		consume_skb(copy);
	}
	return outcome;
}

static bool is_late(const struct kt_tx_probe *p, u64 now)
{
	return p->window_ns && now > p->scheduled_ns && now - p->scheduled_ns > p->window_ns;
}

/* Is there a reason not to hand this probe over at all? */
static inline bool is_bad(struct kt_tx_probe *p, const struct kt_tx_call *c)
{
	if (unlikely(is_late(p, c->now))) {
		p->outcome = KT_TX_LATE;
		return true;
	}
	if (unlikely(p->len - p->vlan_bytes > c->max_len)) {
		p->outcome = KT_TX_FATAL;
		p->reason = EMSGSIZE;
		return true;
	}
	return false;
}

/* The first so many of a list. */
struct prefix {
	u32 n;
	u32 last;
};

/* The first probe from slot on that will be handed over; those before it have their outcomes, and are added to *past. */
static inline u32 find_good(struct ktx *tx, u32 slot, const struct kt_tx_call *c, struct prefix *past)
{
	while (slot != KT_NO_SLOT && is_bad(&tx->probes[slot], c)) {
		past->n++;
		past->last = slot;
		slot = tx->probes[slot].next;
	}
	return slot;
}

/* From b to the end of `tried`: at once, as one by one would cost more than the loop around it. */
static void move(struct ktx *tx, struct kt_tx_list *b, struct kt_tx_list *tried, const struct prefix *p)
{
	if (!p->n)
		return;
	if (tried->n)
		tx->probes[tried->last].next = b->first;
	else
		tried->first = b->first;
	tried->last = p->last;
	tried->n += p->n;
	b->first = tx->probes[p->last].next;
	b->n -= p->n;
	if (!b->n)
		b->last = KT_NO_SLOT;
	tx->probes[p->last].next = KT_NO_SLOT;
}

static void refuse(struct ktx *tx, struct kt_tx_list *b, struct kt_tx_list *tried, enum kt_tx_outcome outcome,
		   u16 reason)
{
	u32 slot = kt_tx_list_get(tx, b);
	struct kt_tx_probe *p = &tx->probes[slot];

	p->attempts += outcome == KT_TX_REFUSED;
	p->outcome = outcome;
	p->reason = reason;
	kt_tx_list_put(tx, tried, slot);
}

static inline enum kt_tx_outcome try_one(struct ktx *tx, struct kt_tx_call *c, struct kt_tx_probe *p, bool more)
{
	enum kt_tx_outcome outcome;
	bool pages = skb_is_nonlinear(p->skb), stamp = p->skb->destructor;

	p->zero_copy = pages;
	if (unlikely(pages))
		set_bit(KT_TX_PAGES, &p->waits);
	if (stamp)
		set_bit(KT_TX_STAMP, &p->waits);
	if (tx->setup.flags & KTX_SETUP_LAUNCH) {
		p->offloaded = p->due_ns > c->now;
		kt_skb_set_launch(p->skb, p->offloaded ? p->due_ns : 0);
	}
	p->attempts++;
	p->launch_ns = c->now;
	outcome = kt_tx_hand_over(c, &p->skb, more);
	c->now = kt_tx_clock(tx);
	p->returned_ns = c->now;
	p->outcome = outcome;
	if (trace_ktx_launch_enabled())
		trace_ktx_launch(tx->setup.ifindex, p->id, p->scheduled_ns, p->launch_ns, p->attempts, p->len,
				 outcome == KT_TX_SENT ? 0 : -(int)c->reason);
	/* What the driver has had may not be as it was; a busy one has not touched it. */
	p->filled = unlikely(outcome == KT_TX_REFUSED) && c->reason == EBUSY && p->skb;
	if (unlikely(pages) && p->filled)
		clear_bit(KT_TX_PAGES, &p->waits);
	if (stamp && p->filled)
		clear_bit(KT_TX_STAMP, &p->waits);
	if (unlikely(c->reason)) {
		p->reason = c->reason;
		c->reason = 0;
	}
	return outcome;
}

/* A device whose administrator has switched scatter-gather off since SETUP gets one piece. */
static bool is_taken_by(const struct net_device *dev, struct sk_buff *skb)
{
	return likely(!skb_is_nonlinear(skb) || dev->features & NETIF_F_SG) || !__skb_linearize(skb);
}

static inline bool is_prepared(const struct kt_tx_call *c, const struct kt_tx_probe *p)
{
	return likely(p->filled) && is_taken_by(c->dev, p->skb);
}

/*
 * Hands over from b's first on, to a refusal or KT_TX_STRETCH frames; those move to `tried`. Returns why the next one,
 * b's first, cannot be handed over, or 0. Under the queue lock.
 */
static u16 give_all(struct ktx *tx, struct kt_tx_call *c, struct kt_tx_list *b, struct kt_tx_list *tried)
{
	struct prefix done = { .last = KT_NO_SLOT };
	u32 slot = find_good(tx, b->first, c, &done);
	bool more = slot != KT_NO_SLOT;
	u16 reason = 0;

	if (more && unlikely(!is_prepared(c, &tx->probes[slot]))) {
		reason = netif_xmit_frozen_or_drv_stopped(c->txq) ? ENOBUFS : ENOMEM;
		more = false;
	}
	while (more) {
		struct kt_tx_probe *p = &tx->probes[slot];

		if (unlikely(netif_xmit_frozen_or_drv_stopped(c->txq))) {
			reason = ENOBUFS;
			break;
		}
		done.last = slot;
		slot = p->next;
		/* Behind one that is not handed over, which is rare, the rest comes with another stretch. */
		more = ++done.n < KT_TX_STRETCH && slot != KT_NO_SLOT && !is_bad(&tx->probes[slot], c) &&
		       likely(is_prepared(c, &tx->probes[slot]));
		if (unlikely(try_one(tx, c, p, more) == KT_TX_REFUSED))
			break;
	}
	move(tx, b, tried, &done);
	return reason;
}

static void try_all(struct ktx *tx, struct kt_tx_call *c, struct kt_tx_list *b, struct kt_tx_list *tried, bool *stopped)
{
	u16 reason = give_all(tx, c, b, tried);

	if (reason == ENOBUFS && stopped)
		*stopped = true;
	else if (reason)
		refuse(tx, b, tried, KT_TX_REFUSED, reason);
}

static void await(struct ktx *tx, struct kt_tx_call *c, u64 at_ns)
{
	while ((c->now = kt_tx_clock(tx)) < at_ns)
		cpu_relax();
}

bool kt_tx_stretch(struct ktx *tx, struct kt_tx_list *b, struct kt_tx_list *tried, u64 at_ns, bool *stopped)
{
	struct kt_tx_call c;

	if (unlikely(!kt_tx_enter(tx, &c))) {
		c.now = kt_tx_clock(tx);
		if (c.reason == ENODEV)
			refuse(tx, b, tried, KT_TX_FATAL, ENODEV);
		else if (is_late(&tx->probes[b->first], c.now))
			refuse(tx, b, tried, KT_TX_LATE, tx->probes[b->first].reason);
		else if (c.now < at_ns)
			return false; /* its time has not come; the last moment is spun here only with the lock */
		else
			refuse(tx, b, tried, KT_TX_REFUSED, c.reason);
		return false;
	}
	await(tx, &c, at_ns);
	try_all(tx, &c, b, tried, stopped);
	kt_tx_leave(&c);
	return true;
}

bool kt_tx_stretch_irq(struct ktx *tx, struct kt_tx_list *b, struct kt_tx_list *tried, u64 at_ns)
{
	struct kt_tx_call c;
	bool ready;

	rcu_read_lock();
	ready = get_ready(tx, &c) && HARD_TX_TRYLOCK(c.dev, c.txq);
	if (ready) {
		dev_xmit_recursion_inc();
		await(tx, &c, at_ns);
		try_all(tx, &c, b, tried, NULL);
		dev_xmit_recursion_dec();
		HARD_TX_UNLOCK(c.dev, c.txq);
	}
	rcu_read_unlock();
	return ready;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a device still has of a sender's when its call has returned: the slot's pages, of frames that are not copied; and a
 * packet whose time it will tell. The probe is held until the device has let go; then its completion comes.
 *
 * A device may take as long as it likes, longer than the file is open. So what tells us (the packet's ubuf_info,
 * its destructor, the socket that times are told to) lives in a struct kt_tx_hold of its own: each packet that refers to it has a reference, and so has
 * the file; the last one takes back the charge for the memory, and lets the module go. The pages
 * themselves have the packet's references.
 *
 * Who passes a packet on to somebody who may keep it (veth, tap, packet taps) copies what it
 * refers to first, as the kernel's own zero-copy senders expect it of them; then the device has let go.
 *
 * Drivers tell the time of a packet to its socket, before they let go of the packet. Ours is a socket that nobody can
 * send or receive by; what comes into its queue of errors is taken out at once, maybe in a hard interrupt.
 */
#include <linux/errqueue.h>
#include <linux/module.h>
#include <linux/net_tstamp.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "ktx.h"

/* Of one slot. */
struct kt_tx_held {
	struct ubuf_info ubuf; /* refcnt: pieces of the packet that refer to the pages */
	u32 slot;
	u8 stamp_clock;
	u64 stamp_ns; /* stamp_lock, until the packet's end */
};

struct kt_tx_hold {
	struct rcu_head rcu;
	refcount_t refs;
	spinlock_t lock; /* tx; outside tx->lock, inside that of a device's queue */
	struct ktx *tx; /* NULL: the file is closed */
	struct kt_charge charge; /* the context's, once it is closed */
	struct socket *sock; /* the file's; each packet has a reference to its struct sock */
	spinlock_t stamp_lock;
	u32 n;
	struct kt_tx_held slots[];
};

/* Did any device ever have a way back to us? */
static bool was_used;

u64 kt_tx_hold_bytes(u32 n)
{
	return sizeof(struct kt_tx_hold) + n * (u64)sizeof(struct kt_tx_held);
}

static void put(struct kt_tx_hold *h)
{
	if (!refcount_dec_and_test(&h->refs))
		return;
	kt_charge_drop(&h->charge);
	kvfree_rcu(h, rcu);
	module_put(THIS_MODULE); /* kt_tx_hold_quiesce waits for us to return */
}

static void let_go(struct kt_tx_hold *h, u32 slot, enum kt_tx_wait what)
{
	unsigned long flags;

	spin_lock_irqsave(&h->lock, flags);
	if (h->tx && what == KT_TX_STAMP) {
		h->tx->probes[slot].stamp_ns = h->slots[slot].stamp_ns;
		h->tx->probes[slot].stamp_clock = h->slots[slot].stamp_clock;
	}
	if (h->tx)
		kt_tx_back(h->tx, slot, what);
	spin_unlock_irqrestore(&h->lock, flags);
	put(h);
}

/* A piece of the packet does not need the pages any more: sent, dropped or copied. */
static void pages_back(struct sk_buff *skb, struct ubuf_info *ubuf, bool success)
{
	struct kt_tx_held *held = container_of(ubuf, struct kt_tx_held, ubuf);

	if (refcount_dec_and_test(&ubuf->refcnt))
		let_go(container_of(held - held->slot, struct kt_tx_hold, slots[0]), held->slot, KT_TX_PAGES);
}

#ifdef HAVE_UBUF_OPS
static const struct ubuf_info_ops pages_ops = { .complete = pages_back };
#endif

static void init_ubuf(struct ubuf_info *u)
{
#ifdef HAVE_UBUF_OPS
	u->ops = &pages_ops;
#else
	u->callback = pages_back;
#endif
	u->flags = SKBFL_ZEROCOPY_FRAG; /* the user may write there while it is sent */
	refcount_set(&u->refcnt, 1);
}

bool kt_tx_hold_pages(struct ktx *tx, u32 slot, struct sk_buff *skb, u32 at, u32 len)
{
	size_t off = (size_t)tx->setup.slot_off + (size_t)slot * tx->setup.slot_bytes + at;
	struct kt_tx_held *held = &tx->hold->slots[slot];
	u32 n = (u32)DIV_ROUND_UP(offset_in_page(off) + len, PAGE_SIZE);

	if (n > MAX_SKB_FRAGS || test_bit(KT_TX_PAGES, &tx->probes[slot].waits))
		return false;
	for (u32 i = 0; i < n; i++) {
		u32 bytes = min_t(u32, len, PAGE_SIZE - offset_in_page(off));
		struct page *page = tx->mem.pages[off >> PAGE_SHIFT];

		get_page(page);
		skb_fill_page_desc(skb, (int)i, page, (int)offset_in_page(off), (int)bytes);
		off += bytes;
		len -= bytes;
		skb->len += bytes;
		skb->data_len += bytes;
		skb->truesize += PAGE_SIZE;
	}
	init_ubuf(&held->ubuf);
	refcount_inc(&tx->hold->refs);
	skb_zcopy_init(skb, &held->ubuf);
	return true;
}

/* A driver says when a packet has left. Any context; the packet is alive, and so are we. */
static void stamp_comes(struct sock *sk)
{
	struct kt_tx_hold *h = sk->sk_user_data;
	unsigned long flags;
	struct sk_buff *skb;

	/* Whoever finds the queue empty knows that its own time has been noted. */
	spin_lock_irqsave(&h->stamp_lock, flags);
	while ((skb = skb_dequeue(&sk->sk_error_queue))) {
		const struct sock_extended_err *e = &SKB_EXT_ERR(skb)->ee;
		u64 hardware = (u64)ktime_to_ns(skb_hwtstamps(skb)->hwtstamp);

		if (e->ee_origin == SO_EE_ORIGIN_TIMESTAMPING && e->ee_info == SCM_TSTAMP_SND && e->ee_data < h->n) {
			struct kt_tx_held *held = &h->slots[e->ee_data];

			held->stamp_ns = hardware ? hardware : (u64)ktime_to_ns(skb->tstamp);
			held->stamp_clock = hardware ? KTRXER_ABI_HARDWARE : KTRXER_ABI_REALTIME;
		}
		dev_kfree_skb_any(skb);
	}
	spin_unlock_irqrestore(&h->stamp_lock, flags);
}

/* The packet ends, or somebody has it who tells no times. */
static void packet_back(struct sk_buff *skb)
{
	struct sock *sk = skb->sk;

	let_go(sk->sk_user_data, skb_shinfo(skb)->tskey, KT_TX_STAMP);
	sock_put(sk);
}

void kt_tx_hold_stamp(struct ktx *tx, u32 slot, struct sk_buff *skb)
{
	struct kt_tx_hold *h = tx->hold;

	if (test_bit(KT_TX_STAMP, &tx->probes[slot].waits))
		return;
	h->slots[slot].stamp_ns = 0;
	h->slots[slot].stamp_clock = 0;
	refcount_inc(&h->refs);
	sock_hold(h->sock->sk);
	skb->sk = h->sock->sk;
	skb->destructor = packet_back;
	skb_shinfo(skb)->tskey = slot;
	skb_shinfo(skb)->tx_flags |= SKBTX_HW_TSTAMP | SKBTX_SW_TSTAMP;
}

/* In the first namespace, as it is not the namespace's: it is nowhere bound and cannot be reached. */
static int new_socket(struct kt_tx_hold *h)
{
	int r = sock_create_kern(&init_net, AF_INET, SOCK_DGRAM, IPPROTO_UDP, &h->sock);

	if (r)
		return r;
	h->sock->sk->sk_user_data = h;
	h->sock->sk->sk_error_report = stamp_comes;
	/* Of each packet its number and time, and nothing else. */
	WRITE_ONCE(h->sock->sk->sk_tsflags, SOF_TIMESTAMPING_TX_HARDWARE | SOF_TIMESTAMPING_TX_SOFTWARE |
						    SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY);
	return 0;
}

int kt_tx_hold_new(struct ktx *tx)
{
	u32 n = tx->setup.n_slots;
	struct kt_tx_hold *h = kvzalloc(kt_tx_hold_bytes(n), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);

	if (!h)
		return -ENOMEM;
	h->n = n;
	refcount_set(&h->refs, 1);
	spin_lock_init(&h->lock);
	spin_lock_init(&h->stamp_lock);
	if (tx->setup.flags & KTX_SETUP_STAMPS) {
		int r = new_socket(h);

		if (r) {
			kvfree(h);
			return r;
		}
	}
	h->tx = tx;
	for (u32 i = 0; i < n; i++)
		h->slots[i].slot = i;
	__module_get(THIS_MODULE);
	WRITE_ONCE(was_used, true);
	tx->hold = h;
	return 0;
}

void kt_tx_hold_close(struct ktx *tx)
{
	struct kt_tx_hold *h = tx->hold;

	if (!h)
		return;
	tx->hold = NULL;
	spin_lock_irq(&h->lock);
	h->tx = NULL;
	h->charge = tx->charge;
	tx->charge = (struct kt_charge){};
	spin_unlock_irq(&h->lock);
	if (h->sock)
		sock_release(h->sock);
	put(h);
}

/*
 * Whoever dropped the last reference to the module may have to return from here yet: in a softirq or with preemption
 * disabled, which RCU waits for, or in a task that was preempted on its way, which RCU-tasks waits for.
 */
void kt_tx_hold_quiesce(void)
{
	if (!was_used)
		return;
	synchronize_rcu();
	synchronize_rcu_tasks();
}

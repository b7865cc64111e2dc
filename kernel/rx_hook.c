// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where packets are met. Of hooks with the same priority netfilter asks the
 * one first that was registered last. So whoever registers behind us with the lowest priority stands
 * before us. That is looked for ten times a second, at each change of rules,
 * and for each packet that still comes to us; then our place's other hook is registered, and the old one removed when
 * it is there: no packet in between is missed.
 *
 * Nor is one judged twice. The CPU notes the newest hook of a place that it
 * met. A packet that meets an older one there has passed the newer one already:
 * CPUs do not go back to the list of hooks from before a registration.
 */
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/rtnetlink.h>

#include "krx.h"

#define WATCH_INTERVAL (HZ / 10)

static const u8 families[KT_RX_N_POINTS] = { NFPROTO_NETDEV, NFPROTO_IPV4, NFPROTO_IPV6 };
static const u8 numbers[KT_RX_N_POINTS] = { NF_NETDEV_INGRESS, NF_INET_PRE_ROUTING, NF_INET_PRE_ROUTING };

/* --- Meeting packets: RCU -------------------------------------------------------------- */

/* Will PRE_ROUTING show it to us as this interface's? */
static bool comes_again(const struct sk_buff *skb)
{
	if (skb->protocol != htons(ETH_P_IP) && skb->protocol != htons(ETH_P_IPV6))
		return false;
	/* A tag belongs to another interface; so does what a bridge, bond or macvlan takes. */
	return skb->pkt_type != PACKET_OTHERHOST && !skb_vlan_tag_present(skb) &&
	       !rcu_access_pointer(skb->dev->rx_handler);
}

static unsigned int meet(struct krx *rx, struct kt_rx_hook *h, struct sk_buff *skb)
{
	u32 *turn = &this_cpu_ptr(rx->cpu)->turn[h->point];

	if ((s32)(*turn - h->turn) > 0)
		return NF_ACCEPT;
	*turn = h->turn;
	if (h->point == KT_RX_INGRESS && rx->flags & KRX_SETUP_PREROUTING && comes_again(skb))
		return NF_ACCEPT;
	if (unlikely(!kt_rx_hooks_first(rx)))
		mod_delayed_work(system_wq, &rx->watch, 0);
	return kt_rx_judge(rx, skb, false);
}

static unsigned int meet_hook(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct kt_rx_hook *h = priv;
	unsigned int verdict;

	if (state->in != h->rx->dev || !skb_mac_header_was_set(skb))
		return NF_ACCEPT;
	/* Behind another hook that queues packets to user space we are called from there, in process context. */
	local_bh_disable();
	verdict = meet(h->rx, h, skb);
	local_bh_enable();
	return verdict;
}

static int meet_outgoing(struct sk_buff *skb, struct net_device *dev, struct packet_type *pt,
			 struct net_device *orig_dev)
{
	struct krx *rx = container_of(pt, struct krx, tap);

	if (skb->pkt_type == PACKET_OUTGOING && skb_mac_header_was_set(skb)) {
		local_bh_disable();
		kt_rx_judge(rx, skb, true);
		local_bh_enable();
	}
	consume_skb(skb);
	return 0;
}

/* --- Being first -------------------------------------------------------------------------- */

static const struct nf_hook_entries *entries(const struct krx *rx, enum kt_rx_point point)
{
	switch (point) {
	case KT_RX_INGRESS:
#ifdef CONFIG_NETFILTER_INGRESS
		return rcu_dereference(rx->dev->nf_hooks_ingress);
#else
		return NULL;
#endif
	case KT_RX_PRE4:
		return rcu_dereference(rx->net->nf.hooks_ipv4[NF_INET_PRE_ROUTING]);
	default:
		return rcu_dereference(rx->net->nf.hooks_ipv6[NF_INET_PRE_ROUTING]);
	}
}

/* Several receivers of ours do not contend for the place. RCU. */
static bool is_first(const struct krx *rx, enum kt_rx_point point)
{
	const struct nf_hook_entries *e = entries(rx, point);

	for (u32 i = 0; e && i < e->num_hook_entries; i++) {
		const struct kt_rx_hook *h = e->hooks[i].priv;

		if (e->hooks[i].hook != meet_hook)
			return false;
		if (h->rx == rx)
			return true;
	}
	return true;
}

bool kt_rx_hooks_first(struct krx *rx)
{
	bool first = true;

	rcu_read_lock();
	for (u32 i = 0; i < KT_RX_N_POINTS && kt_load_acquire(&rx->running); i++)
		first &= !rx->place[i].on || is_first(rx, i);
	rcu_read_unlock();
	return first;
}

/* hook_lock held. The hook that is not in use is free: nobody has met it since the grace period of its removal. */
static int register_next(struct krx *rx, struct kt_rx_place *p)
{
	struct kt_rx_hook *next = &p->hook[!p->current_hook];
	int ret;

	next->turn = p->hook[p->current_hook].turn + 1;
	next->ops.dev = next->point == KT_RX_INGRESS ? rx->dev : NULL;
	ret = nf_register_net_hook(rx->net, &next->ops);
	if (!ret)
		p->current_hook = !p->current_hook;
	return ret;
}

static void mend(struct krx *rx, enum kt_rx_point point)
{
	struct kt_rx_place *p = &rx->place[point];
	struct kt_rx_hook *old = &p->hook[p->current_hook];
	bool first;

	rcu_read_lock();
	first = is_first(rx, point);
	rcu_read_unlock();
	/* If it cannot be, we stay where we are: the counters say so, and the next look tries again. */
	if (first || register_next(rx, p))
		return;
	nf_unregister_net_hook(rx->net, &old->ops);
	synchronize_rcu();
	atomic64_inc(&rx->displaced);
}

void kt_rx_hooks_mend(struct krx *rx)
{
	mutex_lock(&rx->hook_lock);
	for (u32 i = 0; i < KT_RX_N_POINTS && rx->running; i++) {
		if (rx->place[i].on)
			mend(rx, i);
	}
	mutex_unlock(&rx->hook_lock);
}

static void watch(struct work_struct *work)
{
	struct krx *rx = container_of(to_delayed_work(work), struct krx, watch);

	kt_rx_hooks_mend(rx);
	queue_delayed_work(system_wq, &rx->watch, WATCH_INTERVAL);
}

/* --- Coming and going ----------------------------------------------------------------------- */

void kt_rx_hooks_init(struct krx *rx)
{
	mutex_init(&rx->hook_lock);
	INIT_DELAYED_WORK(&rx->watch, watch);
	for (u32 i = 0; i < KT_RX_N_POINTS; i++) {
		for (u32 j = 0; j < 2; j++) {
			rx->place[i].hook[j] = (struct kt_rx_hook){
				.rx = rx,
				.point = i,
				.ops = {
					.hook = meet_hook,
					.priv = &rx->place[i].hook[j],
					.pf = families[i],
					.hooknum = numbers[i],
					.priority = INT_MIN,
				},
			};
		}
	}
}

static void remove_places(struct krx *rx)
{
	mutex_lock(&rx->hook_lock);
	for (u32 i = 0; i < KT_RX_N_POINTS; i++) {
		struct kt_rx_place *p = &rx->place[i];

		if (p->on)
			nf_unregister_net_hook(rx->net, &p->hook[p->current_hook].ops);
		p->on = false;
	}
	mutex_unlock(&rx->hook_lock);
}

int kt_rx_hooks_add(struct krx *rx)
{
	u32 n = rx->flags & KRX_SETUP_PREROUTING ? KT_RX_N_POINTS : 1;
	int ret = 0;

	mutex_lock(&rx->hook_lock);
	for (u32 i = 0; i < n && !ret; i++) {
		ret = register_next(rx, &rx->place[i]);
		rx->place[i].on = !ret;
	}
	mutex_unlock(&rx->hook_lock);
	if (ret) {
		remove_places(rx);
		synchronize_net();
		return ret;
	}
	if (rx->flags & KRX_SETUP_OUTGOING) {
		rx->tap = (struct packet_type){ .type = htons(ETH_P_ALL), .dev = rx->dev, .func = meet_outgoing };
		dev_add_pack(&rx->tap);
	}
	kt_store_release(&rx->running, true);
	queue_delayed_work(system_wq, &rx->watch, WATCH_INTERVAL);
	return 0;
}

void kt_rx_hooks_remove(struct krx *rx)
{
	if (rx->flags & KRX_SETUP_OUTGOING)
		__dev_remove_pack(&rx->tap);
	/* Under hook_lock nobody mends what is being removed; the watch takes no other lock. */
	mutex_lock(&rx->hook_lock);
	WRITE_ONCE(rx->running, false);
	mutex_unlock(&rx->hook_lock);
	remove_places(rx);
	/* Packets first: they could start the watch again. */
	synchronize_net();
	cancel_delayed_work_sync(&rx->watch);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Addresses that are not the host's, and that the link is to bring to it nevertheless: who asks
 * for one by ARP (RFC 826) or neighbour solicitation (RFC 4861) gets the interface's address. Asked
 * before the rules are, so no rule can take these questions away, and the host's own
 * stack does not hear them.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/rtnetlink.h>
#include <linux/uaccess.h>

#include "krx.h"

#define MAX_PREFIXES 1024u
#define ARP_BYTES 42u
#define NS_TARGET 8u /* from the ICMPv6 header */
#define NS_OPTIONS 24u
#define ANSWER_BYTES 128u

enum icmp6_type {
	SOLICITATION = 135,
	ADVERTISEMENT = 136,
};

struct kt_rx_addresses {
	struct rcu_head rcu;
	u32 n;
	bool v6;
	struct krx_prefix_abi prefixes[];
};

/* --- The list: lock held ------------------------------------------------------------------ */

int kt_rx_allmulti(struct krx *rx, bool on)
{
	int ret;

	ASSERT_RTNL();
	if (rx->allmulti == on)
		return 0;
	ret = dev_set_allmulti(rx->dev, on ? 1 : -1);
	if (!ret)
		rx->allmulti = on;
	return ret;
}

static bool prefix_ok(const struct krx_prefix_abi *p)
{
	u32 bits = p->version == 4 ? 32 : 128;

	if ((p->version != 4 && p->version != 6) || p->plen > bits || memchr_inv(p->reserved, 0, sizeof(p->reserved)))
		return false;
	/* What is behind the prefix has no meaning, so it must say nothing. */
	for (u32 i = p->plen; i < 128; i++) {
		if (p->addr[i / 8] & (0x80 >> i % 8))
			return false;
	}
	return true;
}

static struct kt_rx_addresses *get_list(const struct krx_addresses *arg)
{
	struct kt_rx_addresses *a = kvmalloc(struct_size(a, prefixes, arg->n), GFP_KERNEL_ACCOUNT);
	int ret = 0;

	if (!a)
		return ERR_PTR(-ENOMEM);
	a->n = arg->n;
	a->v6 = false;
	if (copy_from_user(a->prefixes, u64_to_user_ptr(arg->prefixes), arg->n * sizeof(a->prefixes[0])))
		ret = -EFAULT;
	for (u32 i = 0; i < a->n && !ret; i++) {
		ret = prefix_ok(&a->prefixes[i]) ? 0 : -EINVAL;
		a->v6 |= a->prefixes[i].version == 6;
	}
	if (!ret)
		return a;
	kvfree(a);
	return ERR_PTR(ret);
}

int kt_rx_addresses_set(struct krx *rx, const struct krx_addresses *arg)
{
	struct kt_rx_addresses *new = NULL, *old;
	int ret = 0;

	if (arg->n > MAX_PREFIXES)
		return -E2BIG;
	if (arg->n) {
		new = get_list(arg);
		if (IS_ERR(new))
			return PTR_ERR(new);
	}
	/* Solicitations go to a multicast group for each address, which a NIC brings only if told. */
	rtnl_lock();
	if (rx->running)
		ret = kt_rx_allmulti(rx, new &&new->v6);
	rtnl_unlock();
	if (ret) {
		kvfree(new);
		return ret;
	}
	old = rcu_replace_pointer(rx->addresses, new, lockdep_is_held(&rx->lock));
	synchronize_rcu();
	kvfree(old);
	return 0;
}

void kt_rx_addresses_end(struct krx *rx)
{
	kvfree(rcu_dereference_protected(rx->addresses, true));
}

/* --- Answering: RCU, BH disabled ------------------------------------------------------------ */

static bool prefix_has(const struct krx_prefix_abi *p, const u8 *addr)
{
	u32 bytes = p->plen / 8, bits = p->plen % 8;

	return !memcmp(p->addr, addr, bytes) && (!bits || !((p->addr[bytes] ^ addr[bytes]) >> (8 - bits)));
}

static bool is_ours(const struct kt_rx_addresses *a, u8 version, const u8 *addr)
{
	for (u32 i = 0; i < a->n; i++) {
		if (a->prefixes[i].version == version && prefix_has(&a->prefixes[i], addr))
			return true;
	}
	return false;
}

static bool send_answer(struct krx *rx, const struct kt_rx_frame *f, const u8 *frame, int bytes)
{
	struct sk_buff *skb;

	if (bytes <= 0)
		return false;
	skb = alloc_skb(LL_RESERVED_SPACE(rx->dev) + (u32)bytes + rx->dev->needed_tailroom, GFP_ATOMIC);
	if (!skb)
		return false;
	skb_reserve(skb, LL_RESERVED_SPACE(rx->dev));
	skb_put_data(skb, frame, (u32)bytes);
	skb->dev = rx->dev;
	skb_reset_mac_header(skb);
	skb_set_network_header(skb, ETH_HLEN);
	skb->protocol = eth_hdr(skb)->h_proto;
	skb->priority = TC_PRIO_CONTROL;
	/* On the VLAN that the question came by. */
	if (f->tag_bytes)
		__vlan_hwaccel_put_tag(skb, f->skb->vlan_proto, skb_vlan_tag_get(f->skb));
	return !kt_rx_xmit(skb);
}

static bool answer_arp(struct krx *rx, const struct kt_rx_addresses *a, const struct kt_rx_frame *f)
{
	static const u8 request[8] = { 0, 1, 8, 0, 6, 4, 0, 1 };
	u8 arp[28], answer[ARP_BYTES];

	if (!kt_rx_frame_copy(f, f->p.l3_off, arp, sizeof(arp)) || memcmp(arp, request, sizeof(request)))
		return false;
	/* An announcement asks nobody. */
	if (!is_ours(a, 4, arp + 24) || !memcmp(arp + 14, arp + 24, 4))
		return false;
	return send_answer(rx, f, answer,
			   kt_packet_build_arp(answer, sizeof(answer), 2, rx->dev->dev_addr, arp + 8, arp + 24, arp + 8,
					       arp + 14));
}

/* Where to send the answer: the option that says so, or whence the question came. */
static void find_asker(const struct kt_rx_frame *f, const u8 *icmp, u32 bytes, u8 mac[ETH_ALEN])
{
	kt_rx_frame_copy(f, ETH_ALEN, mac, ETH_ALEN);
	for (u32 i = NS_OPTIONS; i + 8 <= bytes && icmp[i + 1]; i += icmp[i + 1] * 8u) {
		if (icmp[i] == 1 && icmp[i + 1] == 1) {
			memcpy(mac, icmp + i + 2, ETH_ALEN);
			return;
		}
	}
}

/* All of it is in one piece. */
static bool gather(struct kt_rx_frame *f)
{
	if (f->head_bytes == f->len)
		return true;
	if (f->len > KT_RX_SCRATCH || !kt_rx_frame_copy(f, 0, f->cpu->scratch, f->len))
		return false;
	f->head = f->cpu->scratch;
	f->head_bytes = f->len;
	return true;
}

/* A router cannot have passed one on; one whose sum is wrong, or that is cut off, is none. */
static bool is_solicitation(struct kt_rx_frame *f)
{
	return f->p.flow.dport == SOLICITATION << 8 && f->p.ttl == 255 && f->p.payload_off && gather(f) &&
	       f->len - f->p.l4_off >= NS_OPTIONS &&
	       (f->skb->ip_summed == CHECKSUM_PARTIAL || kt_packet_checksums_ok(f->head, f->head_bytes));
}

static bool answer_solicitation(struct krx *rx, const struct kt_rx_addresses *a, const struct kt_rx_frame *f)
{
	static const u8 all_nodes[16] = { 0xff, 2, [15] = 1 };
	static const u8 all_nodes_mac[ETH_ALEN] = { 0x33, 0x33, 0, 0, 0, 1 };
	const struct kt_packet *p = &f->p;
	u32 bytes = f->len - p->l4_off;
	const u8 *icmp = f->head + p->l4_off;
	u8 payload[24], answer[ANSWER_BYTES];
	struct kt_packet_spec s = {
		.ttl = 255,
		.flow = { .version = 6, .proto = KT_PROTO_ICMPV6, .dport = ADVERTISEMENT << 8 },
		.icmp_id = 0x2000, /* override */
		.payload = payload,
		.payload_bytes = sizeof(payload),
	};

	if (!is_ours(a, 6, icmp + NS_TARGET))
		return false;
	memcpy(payload, icmp + NS_TARGET, 16);
	payload[16] = 2; /* target link-layer address */
	payload[17] = 1;
	ether_addr_copy(payload + 18, rx->dev->dev_addr);
	ether_addr_copy(s.src_mac, rx->dev->dev_addr);
	memcpy(s.flow.src, icmp + NS_TARGET, 16);
	if (memchr_inv(p->flow.src, 0, 16)) {
		s.icmp_id |= 0x4000; /* solicited */
		memcpy(s.flow.dst, p->flow.src, 16);
		find_asker(f, icmp, bytes, s.dst_mac);
	} else { /* somebody is about to take this address and asks whether he may */
		memcpy(s.flow.dst, all_nodes, 16);
		memcpy(s.dst_mac, all_nodes_mac, ETH_ALEN);
	}
	return send_answer(rx, f, answer, kt_packet_build(&s, answer, sizeof(answer)));
}

bool kt_rx_answer(struct krx *rx, struct kt_rx_frame *f)
{
	const struct kt_rx_addresses *a = rcu_dereference(rx->addresses);

	if (likely(!a) || f->skb->pkt_type == PACKET_OTHERHOST)
		return false;
	if (f->p.flow.ethertype == KT_ETHERTYPE_ARP)
		return answer_arp(rx, a, f);
	return f->p.flow.version == 6 && f->p.flow.proto == KT_PROTO_ICMPV6 && is_solicitation(f) &&
	       answer_solicitation(rx, a, f);
}

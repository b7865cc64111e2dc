// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packet buffers. A frame is copied once, from its slot into a linear buffer with the room before and behind
 * it that the device asks for, so that no driver has a reason to move it. Of a long frame whose
 * sender wants that (KTX_SETUP_ZEROCOPY), only what may hold headers is copied; the rest stays in the slot's pages.
 *
 * Allocating and freeing a buffer costs more than sending it does, so a slot
 * keeps its buffer: for the driver call it takes a second reference, and
 * when the driver has dropped its own, the buffer serves the slot's next probe. IFF_TX_SKB_SHARING is the
 * device's promise that it leaves a shared buffer as it is (pktgen builds on it too). Other devices get a buffer of
 * their own for each frame, and so does a frame that packet taps look at, as they keep its data, or that
 * lies in the slot's pages or is to be stamped, as its end must be told.
 */
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_vlan.h>
#include <linux/log2.h>

#include "ktx.h"

/* Drivers pad short frames in place, to this. */
#define MIN_ROOM 64u
/* Copied even of a frame whose pages the device gets: all headers that there are in practice. */
#define LINEAR_BYTES 128u

/* Where words that lie across two are trapped, the network header begins with one (NET_IP_ALIGN): veth hands it to this host's stack. */
static u32 alignment(const struct net_device *dev)
{
	return NET_IP_ALIGN ? -(u32)dev->hard_header_len & 3 : 0;
}

void kt_tx_skb_device(struct ktx *tx, const struct net_device *dev)
{
	tx->headroom = ALIGN(LL_RESERVED_SPACE(dev), 16) + alignment(dev);
	tx->tailroom = dev->needed_tailroom;
	tx->min_len = max_t(u32, dev->hard_header_len, 1);
	tx->ether = dev->type == ARPHRD_ETHER || dev->type == ARPHRD_LOOPBACK;
	tx->recycle = dev->priv_flags & IFF_TX_SKB_SHARING;
}

static u32 room_for(const struct ktx *tx, u32 len)
{
	return max(len, MIN_ROOM) + tx->headroom + tx->tailroom;
}

u64 kt_tx_skb_bytes(const struct ktx *tx, u32 bytes)
{
	size_t data = SKB_DATA_ALIGN(room_for(tx, bytes)) + SKB_DATA_ALIGN(sizeof(struct skb_shared_info));

	return roundup_pow_of_two(data) + SKB_DATA_ALIGN(sizeof(struct sk_buff));
}

struct sk_buff *kt_tx_skb_get(const struct ktx *tx, struct sk_buff *old, u32 len, gfp_t gfp)
{
	struct sk_buff *skb;

	if (old && kt_tx_skb_is_ours(old) && skb_end_offset(old) >= room_for(tx, len)) {
		kt_tx_skb_clean(old);
		old->data = old->head + tx->headroom;
		skb_reset_tail_pointer(old);
		old->len = 0;
		return old;
	}
	skb = alloc_skb(room_for(tx, len), gfp);
	if (!skb) {
		consume_skb(old);
		return NULL;
	}
	consume_skb(old);
	skb_reserve(skb, tx->headroom);
	return skb;
}

/* Network header of an Ethernet frame, behind at most two tags. */
static u32 ether_network(struct sk_buff *skb, u32 *vlan_bytes)
{
	const u8 *f = skb->data;
	u32 off = ETH_HLEN;
	__be16 proto;

	memcpy(&proto, f + ETH_HLEN - 2, 2);
	skb->protocol = proto;
	*vlan_bytes = 0;
	while (eth_type_vlan(proto) && *vlan_bytes < 2 * VLAN_HLEN && off + VLAN_HLEN <= skb->len) {
		memcpy(&proto, f + off + 2, 2);
		off += VLAN_HLEN;
		*vlan_bytes += VLAN_HLEN;
	}
	return off;
}

u32 kt_tx_skb_headers(const struct ktx *tx, struct sk_buff *skb)
{
	u32 vlan_bytes = 0, off = 0;
	u8 version;

	if (tx->ether)
		off = ether_network(skb, &vlan_bytes);
	version = off < skb->len ? skb->data[off] >> 4 : 0;
	if (!tx->ether)
		skb->protocol = version == 6 ? htons(ETH_P_IPV6) : htons(ETH_P_IP);
	skb_reset_mac_header(skb);
	skb_set_network_header(skb, (int)off);
	if (version == 4)
		off += min_t(u32, (skb->data[off] & 15) * 4, skb->len - off);
	else if (version == 6)
		off += min_t(u32, 40, skb->len - off);
	skb_set_transport_header(skb, (int)off);
	return vlan_bytes;
}

/* How much of the frame is copied: all, or what precedes the pages that the device gets. */
static u32 copied_bytes(const struct ktx *tx, const struct kt_tx_probe *p)
{
	bool by_reference = tx->setup.flags & KTX_SETUP_ZEROCOPY && p->len >= KTX_ZEROCOPY_MIN && !p->plain;

	return by_reference ? LINEAR_BYTES : p->len;
}

int kt_tx_fill(struct ktx *tx, u32 slot, gfp_t gfp)
{
	const u8 *frame = tx->slots + (size_t)slot * tx->setup.slot_bytes;
	struct kt_tx_probe *p = &tx->probes[slot];
	u32 copied = copied_bytes(tx, p);

	p->filled = false;
	p->skb = kt_tx_skb_get(tx, p->skb, copied, gfp);
	if (!p->skb)
		return -ENOMEM;
	if (copied < p->len && !kt_tx_hold_pages(tx, slot, p->skb, copied, p->len - copied)) {
		copied = p->len;
		p->skb = kt_tx_skb_get(tx, p->skb, copied, gfp);
		if (!p->skb)
			return -ENOMEM;
	}
	/* In front of the pages, if there are any: skb_put() is for buffers that are linear. */
	memcpy(p->skb->data, frame, copied);
	p->skb->tail += copied;
	p->skb->len += copied;
	p->vlan_bytes = (u8)kt_tx_skb_headers(tx, p->skb);
	if (tx->setup.flags & KTX_SETUP_STAMPS && !p->plain)
		kt_tx_hold_stamp(tx, slot, p->skb);
	p->filled = true;
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * One packet judged, as lib/pump.c does it: parse, first rule that matches and has
 * quota left, deliver a slice, rewrite, send on or drop. Nothing here waits, and
 * a packet that cannot be worked on is counted as lost_error.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <net/checksum.h>
#include <net/ip6_checksum.h>
#include <net/xfrm.h>

#include "../core/rewrite.h"
#include "krx.h"
#include "trace.h"

#define FIRST_LOOK 256 /* bytes that nearly all headers fit in */

/* --- The frame -------------------------------------------------------------------- */

/* Without the tag that lies beside it. */
static bool copy_untagged(const struct kt_rx_frame *f, u32 off, void *dst, u32 bytes)
{
	return !bytes || !skb_copy_bits(f->skb, (int)off - (int)f->mac_bytes, dst, (int)bytes);
}

bool kt_rx_frame_copy(const struct kt_rx_frame *f, u32 off, void *dst, u32 bytes)
{
	const u32 tag_at = 2 * ETH_ALEN;
	struct vlan_hdr tag;
	u8 *to = dst, t[VLAN_HLEN];
	u32 n;

	if (!f->tag_bytes)
		return copy_untagged(f, off, dst, bytes);
	n = off < tag_at ? min(bytes, tag_at - off) : 0;
	if (!copy_untagged(f, off, to, n))
		return false;
	kt_put_be16(t, ntohs(f->skb->vlan_proto));
	kt_put_be16(t + 2, skb_vlan_tag_get(f->skb));
	for (; n < bytes && off + n < tag_at + sizeof(tag); n++)
		to[n] = t[off + n - tag_at];
	return copy_untagged(f, off + n - VLAN_HLEN, to + n, bytes - n);
}

/* Parses what lies in one piece; if that cuts a header off, a copy of more. */
static void parse(struct kt_rx_frame *f)
{
	u8 *scratch = f->cpu->scratch;

	if (!f->tag_bytes) {
		f->head = f->skb->data - f->mac_bytes;
		f->head_bytes = f->mac_bytes + skb_headlen(f->skb);
		kt_packet_parse(&f->p, f->head, f->head_bytes, f->len);
		if (!(f->p.flags & KT_PKT_TRUNCATED) || f->head_bytes == f->len)
			return;
	}
	for (u32 max = FIRST_LOOK;; max = KT_RX_SCRATCH) {
		u32 n = min(f->len, max);

		if (!kt_rx_frame_copy(f, 0, scratch, n))
			n = 0;
		f->head = scratch;
		f->head_bytes = n;
		kt_packet_parse(&f->p, scratch, n, f->len);
		if (!(f->p.flags & KT_PKT_TRUNCATED) || n < max || max == KT_RX_SCRATCH)
			return;
	}
}

/* When it arrived: as packet taps say it, and to the ns the same. */
static void stamp(struct kt_rx_frame *f, bool hardware)
{
	u64 hw = hardware ? kt_skb_hwtstamp(f->skb) : 0;

	f->stamp_ns = hw ? hw : (u64)ktime_to_ns(skb_tstamp(f->skb));
	f->clock = hw ? KTRXER_ABI_HARDWARE : KTRXER_ABI_REALTIME;
	f->stampless = !f->stamp_ns;
	if (f->stampless)
		f->stamp_ns = ktime_get_real_ns();
}

static u32 count_segments(const struct kt_rx_frame *f)
{
	u32 n = skb_shinfo(f->skb)->gso_segs;

	if (!skb_is_gso(f->skb))
		return 0;
	/* A guest's packets may come without: what its payload makes. */
	return n ? n : DIV_ROUND_UP(f->p.payload_bytes, (u32)skb_shinfo(f->skb)->gso_size);
}

static void begin(struct kt_rx_frame *f, struct krx *rx, struct sk_buff *skb, bool outgoing)
{
	f->skb = skb;
	f->cpu = this_cpu_ptr(rx->cpu);
	f->mac_bytes = (u32)(skb->data - skb_mac_header(skb));
	f->tag_bytes = skb_vlan_tag_present(skb) ? VLAN_HLEN : 0;
	f->len = f->mac_bytes + f->tag_bytes + skb->len;
	f->ifindex = rx->ifindex;
	f->flags = (outgoing ? KT_RECORD_OUTGOING : 0) | (skb_is_gso(skb) ? KT_RECORD_MERGED : 0);
	stamp(f, rx->flags & KRX_SETUP_HW_STAMPS);
	parse(f);
	f->p.flow.ifindex = f->ifindex;
	f->segments = count_segments(f);
}

void kt_rx_count(struct kt_rx_frame *f, enum kt_fate fate, bool answered)
{
	struct kt_rx_cpu *c = f->cpu;

	u64_stats_update_begin(&c->sync);
	u64_stats_inc(&c->n[fate]);
	u64_stats_add(&c->n[KT_RX_BYTES], f->len);
	if (f->flags & KT_RECORD_MERGED) {
		u64_stats_inc(&c->n[KT_RX_MERGED]);
		u64_stats_add(&c->n[KT_RX_SEGMENTS], f->segments);
	}
	if (f->p.flags & KT_PKT_MALFORMED)
		u64_stats_inc(&c->n[KT_RX_MALFORMED]);
	if (f->stampless)
		u64_stats_inc(&c->n[KT_RX_STAMPLESS]);
	if (answered)
		u64_stats_inc(&c->n[KT_RX_ANSWERED]);
	u64_stats_update_end(&c->sync);
}

static void count_forwarded(struct kt_rx_cpu *c)
{
	u64_stats_update_begin(&c->sync);
	u64_stats_inc(&c->n[KT_RX_FORWARDED]);
	u64_stats_update_end(&c->sync);
}

/* --- Rewriting ---------------------------------------------------------------------- */

/* The sum that whoever cuts a merged packet into segments starts from: the pseudo header's. */
static void set_pseudo_sum(struct sk_buff *skb, const u8 *frame, const struct kt_packet *p)
{
	const u8 *ip = frame + p->l3_off;
	u32 len = skb_tail_pointer(skb) - (frame + p->l4_off) + skb->data_len;
	__sum16 sum;

	if (p->flow.version == 4) {
		__be32 src, dst;

		memcpy(&src, ip + 12, 4);
		memcpy(&dst, p->final_dst_off ? frame + p->final_dst_off : ip + 16, 4);
		sum = ~csum_tcpudp_magic(src, dst, len, p->flow.proto, 0);
	} else {
		struct in6_addr src, dst;

		memcpy(&src, ip + 8, 16);
		memcpy(&dst, p->final_dst_off ? frame + p->final_dst_off : ip + 24, 16);
		sum = ~csum_ipv6_magic(&src, &dst, len, p->flow.proto, 0);
	}
	memcpy(skb->head + skb->csum_start + skb->csum_offset, &sum, 2);
}

/* As if it had come from the driver like this. */
static void set_pkt_type(struct sk_buff *skb)
{
	const u8 *dst = skb_mac_header(skb);

	if (skb->pkt_type > PACKET_OTHERHOST)
		return;
	if (is_broadcast_ether_addr(dst))
		skb->pkt_type = PACKET_BROADCAST;
	else if (is_multicast_ether_addr(dst))
		skb->pkt_type = PACKET_MULTICAST;
	else
		skb->pkt_type = ether_addr_equal(dst, skb->dev->dev_addr) ? PACKET_HOST : PACKET_OTHERHOST;
}

/* The packet's headers, without the tag beside them. */
static struct kt_packet untagged(const struct kt_rx_frame *f)
{
	struct kt_packet p = f->p;

	p.l3_off -= p.l3_off ? f->tag_bytes : 0;
	p.l4_off -= p.l4_off ? f->tag_bytes : 0;
	p.payload_off -= p.payload_off ? f->tag_bytes : 0;
	p.final_dst_off -= p.final_dst_off ? f->tag_bytes : 0;
	return p;
}

/* Changes the packet's headers in place. 0 or -errno. */
static int rewrite(struct kt_rx_frame *f, const struct kt_rewrite *rw)
{
	struct kt_packet p = untagged(f);
	struct sk_buff *skb = f->skb;
	u32 headers = p.payload_off > f->mac_bytes ? p.payload_off - f->mac_bytes : 0;
	bool partial;
	int ret = skb_shared(skb) ? -EBUSY : 0; /* somebody else has it, too: then it is not ours to change */

	if (!ret && skb->ip_summed == CHECKSUM_PARTIAL && !skb_is_gso(skb))
		ret = skb_checksum_help(skb);
	if (!ret)
		ret = skb_ensure_writable(skb, (int)headers);
	if (ret)
		return ret;
	if (skb->ip_summed == CHECKSUM_COMPLETE)
		skb->ip_summed = CHECKSUM_NONE;
	partial = skb->ip_summed == CHECKSUM_PARTIAL && p.l4_off && p.payload_off &&
		  skb_checksum_start_offset(skb) == (int)p.l4_off - (int)f->mac_bytes;
	kt_rewrite_apply(skb_mac_header(skb), &p, rw);
	if (partial)
		set_pseudo_sum(skb, skb_mac_header(skb), &p);
	skb_clear_hash(skb);
	if (rw->flags & KT_REWRITE_DST_MAC)
		set_pkt_type(skb);
	return 0;
}

/* --- Sending on ------------------------------------------------------------------------ */

int kt_rx_xmit(struct sk_buff *skb)
{
	int ret = dev_queue_xmit(skb);

	return ret > 0 ? net_xmit_errno(ret) : ret;
}

/* Can this packet leave there? */
static int check_out(const struct net_device *out, struct sk_buff *skb)
{
	if (!out)
		return -ENODEV;
	if (!(out->flags & IFF_UP))
		return -ENETDOWN;
	return skb_cow_head(skb, LL_RESERVED_SPACE(out));
}

/* Takes the packet over, whatever comes of it. 0 or -errno. */
static int send_out(struct krx *rx, struct kt_rx_frame *f, u32 out_ifindex)
{
	struct net_device *out = dev_get_by_index_rcu(rx->net, (int)out_ifindex);
	struct sk_buff *skb = skb_share_check(f->skb, GFP_ATOMIC);
	int ret;

	if (!skb)
		return -ENOMEM;
	ret = check_out(out, skb);
	if (ret)
		goto err;
	skb_push(skb, f->mac_bytes);
	if (!is_skb_forwardable(out, skb)) {
		ret = -EMSGSIZE;
		goto err;
	}
	skb_forward_csum(skb);
	skb->pkt_type = PACKET_HOST;
	skb_dst_drop(skb);
	nf_reset_ct(skb);
	secpath_reset(skb);
	skb_clear_tstamp(skb);
	skb->dev = out;
	return kt_rx_xmit(skb);

err:
	kfree_skb(skb);
	return ret;
}

/* What a rule wants done with a frame that goes on, and the verdict on it. 0 or -errno. */
static int handle(struct krx *rx, const struct kt_rx_set *set, struct kt_rx_frame *f, const struct kt_rx_rule *r,
		  unsigned int *verdict)
{
	int ret = r->rewrite ? rewrite(f, &set->rewrites[r->rewrite - 1]) : 0;

	if (ret || !r->out_ifindex) {
		*verdict = ret ? NF_DROP : NF_ACCEPT;
		return ret;
	}
	*verdict = NF_STOLEN;
	ret = send_out(rx, f, r->out_ifindex);
	if (!ret)
		count_forwarded(f->cpu);
	return ret;
}

/* --- Judging ----------------------------------------------------------------------- */

/* The first rule that matches and has quota left; told of the match. */
static struct kt_rx_rule *find_rule(const struct kt_rx_set *set, const struct kt_rx_frame *f, u64 *nth)
{
	u32 rule = kt_classify(&set->image, &f->p.flow, 0);

	while (rule && !kt_rx_rule_claim(&set->rules[rule - 1], f->len, nth))
		rule = kt_classify(&set->image, &f->p.flow, rule);
	return rule ? &set->rules[rule - 1] : NULL;
}

/* One in sample_n, the first of them first. */
static bool in_sample(const struct kt_rx_rule *r, u64 nth)
{
	u64 rem = 0;

	if (r->sample_n > 1)
		kt_div_rem(nth, r->sample_n, &rem);
	return !rem;
}

/* Packets that leave are shown, and nothing else is done to them. */
static unsigned int act_outgoing(struct krx *rx, struct kt_rx_frame *f, const struct kt_rx_rule *r, u64 nth)
{
	if (kt_op_captures(r->op) && in_sample(r, nth))
		kt_rx_deliver(rx, f, r);
	else
		kt_rx_count(f, KT_FATE_PASSED, false);
	return NF_ACCEPT;
}

static unsigned int act(struct krx *rx, const struct kt_rx_set *set, struct kt_rx_frame *f, const struct kt_rx_rule *r,
			u64 nth)
{
	bool captured = kt_op_captures(r->op) && in_sample(r, nth), delivered = false;
	unsigned int verdict = kt_op_passes(r->op) ? NF_ACCEPT : NF_DROP;
	int ret = 0;

	if (captured)
		delivered = kt_rx_deliver(rx, f, r);
	if (kt_op_handles(r->op, r->rewrite, r->out_ifindex))
		ret = handle(rx, set, f, r, &verdict);
	if (ret)
		trace_krx_loss(f->ifindex, r->id, f->len, ret);
	if (!captured)
		kt_rx_count(f, kt_fate_undelivered(r->op, !ret), false);
	if (delivered && verdict == NF_DROP && !ret) {
		/* It has arrived: nothing that a drop monitor should report. */
		consume_skb(f->skb);
		return NF_STOLEN;
	}
	return verdict;
}

unsigned int kt_rx_judge(struct krx *rx, struct sk_buff *skb, bool outgoing)
{
	const struct kt_rx_set *set = rcu_dereference(rx->set);
	struct kt_rx_rule *r;
	struct kt_rx_frame f;
	u64 nth = 0;

	begin(&f, rx, skb, outgoing);
	if (!outgoing && kt_rx_answer(rx, &f)) {
		kt_rx_count(&f, KT_FATE_DROPPED, true);
		consume_skb(skb);
		return NF_STOLEN;
	}
	r = find_rule(set, &f, &nth);
	if (!r) {
		kt_rx_count(&f, KT_FATE_PASSED, false);
		return NF_ACCEPT;
	}
	trace_krx_verdict(f.ifindex, r->id, r->op, f.len, f.stamp_ns);
	return outgoing ? act_outgoing(rx, &f, r, nth) : act(rx, set, &f, r, nth);
}

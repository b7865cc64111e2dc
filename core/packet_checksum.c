/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The checksums of a whole frame: where each lies, which bytes it covers,
 * set or verified by the same walk, so that the two cannot disagree.
 */
#include "packet.h"
#include "checksum.h"

/* The transport's checksum: at off, over bytes from start, plus the pseudo header's sum. */
struct sum_place {
	u32 off; /* 0: the transport has none that we know */
	u32 start;
	u32 bytes;
	u64 pseudo;
};

static u16 load16(const u8 *p)
{
	u16 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* IPv4 header's checksum as it should be; the header is whole. */
static u16 ipv4_sum(const u8 *h)
{
	u64 sum = kt_checksum_add(0, h, 10);

	return kt_checksum_fold(kt_checksum_add(sum, h + 12, (h[0] & 15) * 4u - 12));
}

static bool ipv4_whole(const struct kt_packet *p, const u8 *frame, u32 len)
{
	u32 hlen = (frame[p->l3_off] & 15) * 4u;

	return hlen >= 20 && p->l3_off + hlen <= len;
}

/* 0 with *place filled, or -EINVAL when the sum cannot be computed from this frame. */
static int find_sum(const struct kt_packet *p, const u8 *frame, struct sum_place *place)
{
	const u8 *src = frame + p->l3_off + (p->flow.version == 4 ? 12 : 8);
	u8 proto = p->flow.proto;

	place->off = 0;
	if (p->flags & (KT_PKT_FRAGMENT | KT_PKT_TRUNCATED | KT_PKT_MALFORMED))
		return -EINVAL;
	if (!p->l4_off)
		return 0; /* no next header */
	place->start = p->l4_off;
	place->bytes = p->l3_off + p->l3_bytes - p->l4_off;
	place->pseudo = 0;
	if (proto == KT_PROTO_ICMP && p->flow.version == 4) {
		place->off = p->l4_off + 2;
		return 0;
	}
	if (proto == KT_PROTO_TCP) {
		place->off = p->l4_off + 16;
	} else if (proto == KT_PROTO_UDP) {
		place->off = p->l4_off + 6;
		place->bytes = p->payload_off + p->payload_bytes - p->l4_off;
	} else if (proto == KT_PROTO_ICMPV6 && p->flow.version == 6) {
		place->off = p->l4_off + 2;
	} else {
		return 0;
	}
	if (!p->final_dst_off)
		return -EINVAL;
	place->pseudo = kt_checksum_pseudo(p->flow.version, src, frame + p->final_dst_off, proto, place->bytes);
	return 0;
}

/* As it should be, the field itself left out. */
static u16 transport_sum(const struct kt_packet *p, const u8 *frame, const struct sum_place *place)
{
	u64 sum = kt_checksum_add(place->pseudo, frame + place->start, place->off - place->start);
	u16 want;

	sum = kt_checksum_add(sum, frame + place->off + 2, place->bytes - (place->off + 2 - place->start));
	want = kt_checksum_fold(sum);
	return !want && p->flow.proto == KT_PROTO_UDP ? 0xffff : want;
}

/* 0x0000 and 0xffff are the same number; senders that update incrementally may leave either. */
static bool same_sum(u16 a, u16 b)
{
	return a == b || ((a == 0 || a == 0xffff) && (b == 0 || b == 0xffff));
}

int kt_packet_fix_checksums(u8 *frame, u32 len)
{
	struct sum_place place;
	struct kt_packet p;
	u16 sum;
	int err = kt_packet_parse(&p, frame, len, len);

	if (err)
		return err;
	if (!p.flow.version)
		return p.flags & (KT_PKT_TRUNCATED | KT_PKT_MALFORMED) ? -EINVAL : 0;
	if (p.flow.version == 4 && ipv4_whole(&p, frame, len)) {
		sum = ipv4_sum(frame + p.l3_off);
		memcpy(frame + p.l3_off + 10, &sum, 2);
	}
	err = find_sum(&p, frame, &place);
	if (err || !place.off)
		return err;
	sum = transport_sum(&p, frame, &place);
	memcpy(frame + place.off, &sum, 2);
	return 0;
}

bool kt_packet_checksums_ok(const u8 *frame, u32 len)
{
	struct sum_place place;
	struct kt_packet p;
	u16 have;

	if (kt_packet_parse(&p, frame, len, len) || p.flags & (KT_PKT_TRUNCATED | KT_PKT_MALFORMED))
		return false;
	if (!p.flow.version)
		return true;
	if (p.flow.version == 4 && !same_sum(load16(frame + p.l3_off + 10), ipv4_sum(frame + p.l3_off)))
		return false;
	if (p.flags & KT_PKT_FRAGMENT)
		return true;
	if (find_sum(&p, frame, &place))
		return false;
	if (!place.off)
		return true;
	have = load16(frame + place.off);
	if (!have && p.flow.proto == KT_PROTO_UDP)
		return p.flow.version == 4;
	return same_sum(have, transport_sum(&p, frame, &place));
}

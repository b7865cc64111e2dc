/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The packet parser for XDP programs. It says of every frame what
 * kt_packet_parse() says (core/packet_parse.c, same order, same names), as far
 * as rules, slices and rewriting need it; every read is
 * proved to the verifier by at(). Functions that are not static are verified
 * by themselves, once, instead of on every path that leads to them.
 * tests/net/xdp_parse.c holds the two parsers together.
 */
#ifndef KT_XDP_PARSE_H
#define KT_XDP_PARSE_H

#include "../core/packet.h"

/* A kernel without BTF does not know a context that is given to such a function, so there each path is verified whole. */
#ifdef KT_WITHOUT_BTF
#define KT_VERIFIED_ALONE static __noinline
#else
#define KT_VERIFIED_ALONE __noinline
#endif

#define MAX_TAGS 8
#define MAX_EXTENSIONS 32
#define MAX_OFF 2047u /* headers end before this */

struct parse {
	struct kt_packet p;
	u32 end; /* where the lengths told so far say that the packet ends */
	u32 off; /* how far the parser has come; 0: it stopped */
	u32 proto; /* IPv6: of the header at off */
	u32 zero; /* for the verifier any number */
};

/* The frame as the verifier knows it, and what is said of it. */
struct view {
	void *data;
	void *data_end;
	u32 end;
};

static __always_inline struct view view_of(const struct xdp_md *ctx, const struct parse *s)
{
	return (struct view){ (void *)(long)ctx->data, (void *)(long)ctx->data_end, s->end };
}

/* n bytes at off, or NULL with the flag that says why. n is constant. */
static __always_inline void *at(struct kt_packet *p, const struct view *v, u32 off, u32 n)
{
	void *h;

	if (off + n > v->end)
		p->flags |= KT_PKT_MALFORMED;
	if (off > MAX_OFF)
		goto cut;
	h = v->data + off;
	if (h + n > v->data_end)
		goto cut;
	return off + n > v->end ? NULL : h;
cut:
	p->flags |= KT_PKT_TRUNCATED;
	return NULL;
}

/* The same without judging. */
static __always_inline void *peek(const struct view *v, u32 off, u32 n)
{
	void *h;

	if (off > MAX_OFF || off + n > v->end)
		return NULL;
	h = v->data + off;
	return h + n > v->data_end ? NULL : h;
}

/* Is the header whole, n bytes of variable length? */
static __always_inline bool whole(struct kt_packet *p, const struct view *v, u32 off, u32 n)
{
	bool past_end = off + n > v->end, cut = off + n > (u32)(v->data_end - v->data);

	if (past_end)
		p->flags |= KT_PKT_MALFORMED;
	if (cut)
		p->flags |= KT_PKT_TRUNCATED;
	return !past_end && !cut;
}

static __always_inline u32 parse_tcp(struct kt_packet *p, const struct view *v, u32 off)
{
	const u8 *h = peek(v, off, 4);
	u32 bytes;

	if (h) {
		p->flow.sport = kt_get_be16(h);
		p->flow.dport = kt_get_be16(h + 2);
	}
	h = at(p, v, off, 20);
	if (!h)
		return 0;
	bytes = (h[12] >> 4) * 4u;
	if (bytes < 20) {
		p->flags |= KT_PKT_MALFORMED;
		return 0;
	}
	return whole(p, v, off, bytes) ? bytes : 0;
}

static __always_inline u32 parse_udp(struct kt_packet *p, const struct view *v, u32 off, u32 *end)
{
	const u8 *h = peek(v, off, 4);
	u32 bytes;

	if (h) {
		p->flow.sport = kt_get_be16(h);
		p->flow.dport = kt_get_be16(h + 2);
	}
	h = at(p, v, off, 8);
	if (!h)
		return 0;
	bytes = kt_get_be16(h + 4);
	if (p->flags & KT_PKT_FRAGMENT)
		return 8;
	if (bytes < 8 || bytes > v->end - off)
		p->flags |= KT_PKT_MALFORMED;
	else
		*end = off + bytes;
	return bytes < 8 ? 0 : 8;
}

static __always_inline u32 parse_icmp(struct kt_packet *p, const struct view *v, u32 off)
{
	const u8 *h = peek(v, off, 2);

	if (h)
		p->flow.dport = kt_get_be16(h);
	return at(p, v, off, 8) ? 8 : 0;
}

/* From s->off on. */
KT_VERIFIED_ALONE int parse_transport(struct xdp_md *ctx, struct parse *s)
{
	struct kt_packet *p = &s->p;
	u32 end, bytes = 0, off;
	struct view v;
	u8 proto;

	if (!ctx || !s)
		return 0;
	v = view_of(ctx, s);
	end = v.end;
	off = s->off;
	proto = p->flow.proto;
	if (!(p->flags & KT_PKT_LATER_FRAGMENT)) {
		p->l4_off = off;
		if (proto == KT_PROTO_TCP)
			bytes = parse_tcp(p, &v, off);
		else if (proto == KT_PROTO_UDP)
			bytes = parse_udp(p, &v, off, &end);
		else if (proto == (p->flow.version == 4 ? KT_PROTO_ICMP : KT_PROTO_ICMPV6))
			bytes = parse_icmp(p, &v, off);
		else
			goto no_header;
		if (!bytes)
			return 0;
	}
no_header:
	p->payload_off = off + bytes;
	p->payload_bytes = end - p->payload_off;
	return 0;
}

KT_VERIFIED_ALONE int parse_ipv4(struct xdp_md *ctx, struct parse *s)
{
	struct kt_packet *p = &s->p;
	u32 hlen, total, fragment, off;
	struct view v;
	const u8 *h;

	if (!ctx || !s)
		return 0;
	v = view_of(ctx, s);
	off = s->off;
	s->off = 0;
	h = at(p, &v, off, 20);
	if (!h)
		return 0;
	if (h[0] >> 4 != 4) {
		p->flags |= KT_PKT_MALFORMED;
		return 0;
	}
	p->flow.version = 4;
	p->flow.proto = h[9];
	memcpy(p->flow.src, h + 12, 4);
	memcpy(p->flow.dst, h + 16, 4);
	p->final_dst_off = off + 16;
	p->tos = h[1];
	p->ttl = h[8];
	fragment = kt_get_be16(h + 6) & 0x3fff;
	if (fragment)
		p->flags |= KT_PKT_FRAGMENT | (fragment & 0x1fff ? KT_PKT_LATER_FRAGMENT : 0);
	hlen = (h[0] & 15) * 4u;
	total = kt_get_be16(h + 2);
	if (!total && v.end - off > 0xffff)
		total = v.end - off;
	p->l3_bytes = total;
	if (hlen < 20 || total < hlen) {
		p->flags |= KT_PKT_MALFORMED;
		return 0;
	}
	if (off + total > v.end)
		p->flags |= KT_PKT_MALFORMED;
	s->end = v.end = off + total;
	if (whole(p, &v, off, hlen))
		s->off = off + hlen;
	return 0;
}

enum ip_proto {
	PROTO_HOP_BY_HOP = 0,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_AH = 51,
	PROTO_NONE = 59,
	PROTO_DST_OPTS = 60,
};

static __always_inline bool is_extension(u8 proto)
{
	return proto == PROTO_HOP_BY_HOP || proto == PROTO_ROUTING || proto == PROTO_FRAGMENT || proto == PROTO_AH ||
	       proto == PROTO_DST_OPTS;
}

/* Segments left: the transport checksum covers another destination. */
static __always_inline void parse_routing(struct kt_packet *p, const u8 *h, u32 bytes, u32 off)
{
	u32 left = h[3], n = (bytes - 8) / 16;

	if (!left)
		return;
	p->final_dst_off = 0;
	if (h[2] != 0 && h[2] != 2 && h[2] != 4)
		return;
	if (!n || (h[2] != 4 && left > n))
		p->flags |= KT_PKT_MALFORMED;
	else
		p->final_dst_off = off + 8 + (h[2] == 4 ? 0 : (n - 1) * 16);
}

/* Steps over the extension header at s->off, which becomes 0 when it is cut off. */
KT_VERIFIED_ALONE int parse_extension(struct xdp_md *ctx, struct parse *s)
{
	struct kt_packet *p = &s->p;
	u32 bytes, fragment, off;
	struct view v;
	const u8 *h;

	if (!ctx || !s)
		return 0;
	v = view_of(ctx, s);
	off = s->off;
	s->off = 0;
	h = at(p, &v, off, 8);
	if (!h)
		return 0;
	if (s->proto == PROTO_FRAGMENT) {
		fragment = kt_get_be16(h + 2) & 0xfff9;
		if (fragment)
			p->flags |= KT_PKT_FRAGMENT | (fragment & 0xfff8 ? KT_PKT_LATER_FRAGMENT : 0);
		bytes = 8;
	} else {
		bytes = s->proto == PROTO_AH ? (h[1] + 2u) * 4 : (h[1] + 1u) * 8;
		if (!whole(p, &v, off, bytes))
			return 0;
		if (s->proto == PROTO_ROUTING)
			parse_routing(p, h, bytes, off);
	}
	s->proto = h[0];
	s->off = off + bytes;
	return 0;
}

KT_VERIFIED_ALONE int parse_ipv6(struct xdp_md *ctx, struct parse *s)
{
	struct kt_packet *p = &s->p;
	struct view v;
	const u8 *h;
	u32 total, off;

	if (!ctx || !s)
		return 0;
	v = view_of(ctx, s);
	off = s->off;
	s->off = 0;
	h = at(p, &v, off, 40);
	if (!h)
		return 0;
	if (h[0] >> 4 != 6) {
		p->flags |= KT_PKT_MALFORMED;
		return 0;
	}
	p->flow.version = 6;
	s->proto = h[6];
	memcpy(p->flow.src, h + 8, 16);
	memcpy(p->flow.dst, h + 24, 16);
	p->final_dst_off = off + 24;
	p->tos = (u8)(h[0] << 4 | h[1] >> 4);
	p->ttl = h[7];
	total = 40u + kt_get_be16(h + 4);
	if (total == 40 && v.end - off > 0xffff + 40)
		total = v.end - off;
	p->l3_bytes = total;
	if (off + total > v.end)
		p->flags |= KT_PKT_MALFORMED;
	s->end = off + total;
	s->off = off + 40;
	return 0;
}

/* The extension headers behind IPv6's. */
static __always_inline void parse_extensions(struct xdp_md *ctx, struct parse *s)
{
	struct kt_packet *p = &s->p;

	for (u32 i = 0; i < MAX_EXTENSIONS; i++) {
		if (!s->off || !is_extension((u8)s->proto) || (p->flags & KT_PKT_LATER_FRAGMENT))
			break;
		parse_extension(ctx, s);
	}
	p->flow.proto = (u8)s->proto;
	if (!s->off || (p->flags & KT_PKT_LATER_FRAGMENT))
		return;
	if (is_extension((u8)s->proto)) {
		p->flags |= KT_PKT_MALFORMED;
		s->off = 0;
	} else if (s->proto == PROTO_NONE) {
		p->payload_off = s->off;
		p->payload_bytes = s->end - s->off;
		s->off = 0;
	}
}

static __always_inline bool is_tag(u32 ethertype)
{
	return ethertype == KT_ETHERTYPE_VLAN || ethertype == KT_ETHERTYPE_QINQ || ethertype == 0x9100;
}

static __always_inline void parse_arp(struct kt_packet *p, const struct view *v, u32 off)
{
	const u8 *h = at(p, v, off, 8);

	if (!h)
		return;
	p->l3_bytes = 8u + 2u * h[4] + 2u * h[5];
	whole(p, v, off, p->l3_bytes);
}

/* The link header; s is zero. Returns false when there is nothing behind it to look at. */
KT_VERIFIED_ALONE int parse_link(struct xdp_md *ctx, struct parse *s, u32 wirelen)
{
	struct kt_packet *p = &s->p;
	u32 off = KT_ETH_BYTES, tags = 0;
	struct view v;
	const u8 *h;

	if (!ctx || !s)
		return 0;
	s->end = wirelen;
	v = view_of(ctx, s);
	h = at(p, &v, 0, KT_ETH_BYTES);
	if (!h)
		return 0;
	p->flow.ethertype = kt_get_be16(h + 12);
	for (u32 i = 0; i < MAX_TAGS; i++) {
		if (!is_tag(p->flow.ethertype))
			break;
		h = at(p, &v, off, KT_VLAN_BYTES);
		if (!h)
			return 0;
		p->flow.ethertype = kt_get_be16(h + 2);
		off += KT_VLAN_BYTES;
		tags++;
	}
	if (tags > KT_MAX_VLANS)
		p->flags |= KT_PKT_DEEP_VLANS;
	p->l3_off = off;
	p->l3_bytes = v.end - off;
	if (p->flow.ethertype == KT_ETHERTYPE_ARP)
		parse_arp(p, &v, off);
	s->off = off;
	return 0;
}

static __always_inline void parse_frame(struct xdp_md *ctx, struct parse *s, u32 wirelen)
{
	parse_link(ctx, s, wirelen);
	if (!s->off)
		return;
	if (s->p.flow.ethertype == KT_ETHERTYPE_IPV4) {
		parse_ipv4(ctx, s);
	} else if (s->p.flow.ethertype == KT_ETHERTYPE_IPV6) {
		parse_ipv6(ctx, s);
		parse_extensions(ctx, s);
	} else {
		return;
	}
	if (s->off)
		parse_transport(ctx, s);
}

#endif

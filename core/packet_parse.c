/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The packet parser, from the link header inwards. Every read is preceded by
 * have(), which holds it against two limits: what was captured (cap) and where
 * the lengths told so far say that the packet ends (end: the wire's, then the datagram's).
 */
#include "packet.h"

#define ETHERTYPE_QINQ_OLD 0x9100
#define MAX_TAGS 8 /* deeper than any network; bounds the work */
#define MAX_EXTENSIONS 32
#define MAX_BYTES 0x7fffffff /* keeps sums of offsets inside u32 */

enum ip_proto {
	PROTO_HOP_BY_HOP = 0,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_AH = 51,
	PROTO_NONE = 59,
	PROTO_DST_OPTS = 60,
};

struct cursor {
	const u8 *frame;
	u32 cap;
	u32 end;
};

/* May bytes at off be read? If not, the flags say why. */
static inline bool have(struct kt_packet *p, const struct cursor *c, u32 off, u32 bytes)
{
	if (KT_LIKELY(off + bytes <= c->cap && off + bytes <= c->end))
		return true;
	if (off + bytes > c->cap)
		p->flags |= KT_PKT_TRUNCATED;
	if (off + bytes > c->end)
		p->flags |= KT_PKT_MALFORMED;
	return false;
}

/* Readable bytes from off on, without judging. */
static inline u32 room(const struct cursor *c, u32 off)
{
	u32 limit = c->cap < c->end ? c->cap : c->end;

	return off < limit ? limit - off : 0;
}

/* --- Transport: each returns its header's length, 0 when that is not whole --- */

static u32 parse_tcp(struct kt_packet *p, const struct cursor *c, u32 off)
{
	const u8 *h = c->frame + off;
	u32 n = room(c, off), bytes;

	if (n >= 4) {
		p->flow.sport = kt_get_be16(h);
		p->flow.dport = kt_get_be16(h + 2);
	}
	if (n >= 8)
		p->tcp_seq = kt_get_be32(h + 4);
	if (!have(p, c, off, 20))
		return 0;
	p->tcp_ack = kt_get_be32(h + 8);
	p->tcp_flags = h[13];
	bytes = (h[12] >> 4) * 4u;
	if (bytes < 20) {
		p->flags |= KT_PKT_MALFORMED;
		return 0;
	}
	return have(p, c, off, bytes) ? bytes : 0;
}

/* *end moves to the end of the UDP datagram: what lies behind it is no payload (RFC 9868). */
static u32 parse_udp(struct kt_packet *p, const struct cursor *c, u32 off, u32 *end)
{
	const u8 *h = c->frame + off;
	u32 bytes;

	if (room(c, off) >= 4) {
		p->flow.sport = kt_get_be16(h);
		p->flow.dport = kt_get_be16(h + 2);
	}
	if (!have(p, c, off, 8))
		return 0;
	bytes = kt_get_be16(h + 4);
	if (p->flags & KT_PKT_FRAGMENT)
		return 8; /* its length is the whole datagram's */
	if (bytes < 8 || bytes > c->end - off)
		p->flags |= KT_PKT_MALFORMED;
	else
		*end = off + bytes;
	return bytes < 8 ? 0 : 8;
}

static bool is_icmp_error(u8 version, u8 type)
{
	if (version == 6)
		return type >= 1 && type < 128;
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static u32 parse_icmp(struct kt_packet *p, const struct cursor *c, u32 off)
{
	const u8 *h = c->frame + off;

	if (room(c, off) >= 2)
		p->flow.dport = kt_get_be16(h);
	if (!have(p, c, off, 8))
		return 0;
	if (p->flow.version == 6 ? h[0] == 128 || h[0] == 129 : h[0] == 8 || h[0] == 0) {
		p->icmp_id = kt_get_be16(h + 4);
		p->icmp_seq = kt_get_be16(h + 6);
	} else if (is_icmp_error(p->flow.version, h[0])) {
		p->flags |= KT_PKT_ICMP_ERROR;
	}
	return 8;
}

static void parse_transport(struct kt_packet *p, const struct cursor *c, u32 off)
{
	u8 proto = p->flow.proto;
	u32 end = c->end, bytes = 0;

	if (!(p->flags & KT_PKT_LATER_FRAGMENT)) {
		p->l4_off = off;
		if (proto == KT_PROTO_TCP)
			bytes = parse_tcp(p, c, off);
		else if (proto == KT_PROTO_UDP)
			bytes = parse_udp(p, c, off, &end);
		else if (proto == (p->flow.version == 4 ? KT_PROTO_ICMP : KT_PROTO_ICMPV6))
			bytes = parse_icmp(p, c, off);
		else
			goto no_header;
		if (!bytes)
			return;
	}
no_header:
	p->payload_off = off + bytes;
	p->payload_bytes = end - p->payload_off;
}

/* --- IPv4 --- */

/* A loose or strict source route that still has hops to go ends at the true destination. */
static void parse_source_route(struct kt_packet *p, const u8 *h, u32 hlen, u32 off)
{
	for (u32 i = 20; i + 1 < hlen && h[i];) {
		u32 bytes = h[i + 1];

		if (h[i] == 1) {
			i++;
			continue;
		}
		if (bytes < 2 || i + bytes > hlen) {
			p->flags |= KT_PKT_MALFORMED;
			return;
		}
		if ((h[i] == 131 || h[i] == 137) && bytes >= 7 && h[i + 2] + 3u <= bytes)
			p->final_dst_off = off + i + bytes - 4;
		i += bytes;
	}
}

static void parse_ipv4(struct kt_packet *p, struct cursor *c, u32 off)
{
	const u8 *h = c->frame + off;
	u32 hlen, total, fragment;

	if (!have(p, c, off, 20))
		return;
	if (h[0] >> 4 != 4) {
		p->flags |= KT_PKT_MALFORMED;
		return;
	}
	p->flow.version = 4;
	p->flow.proto = h[9];
	memcpy(p->flow.src, h + 12, 4);
	memcpy(p->flow.dst, h + 16, 4);
	p->final_dst_off = off + 16;
	p->tos = h[1];
	p->ttl = h[8];
	p->ip_id = kt_get_be16(h + 4);
	fragment = kt_get_be16(h + 6) & 0x3fff;
	if (fragment)
		p->flags |= KT_PKT_FRAGMENT | (fragment & 0x1fff ? KT_PKT_LATER_FRAGMENT : 0);
	hlen = (h[0] & 15) * 4u;
	total = kt_get_be16(h + 2);
	if (!total && c->end - off > 0xffff)
		total = c->end - off; /* Linux joins packets to more than the field can say and writes 0 */
	p->l3_bytes = total;
	if (hlen < 20 || total < hlen) {
		p->flags |= KT_PKT_MALFORMED;
		return;
	}
	if (off + total > c->end)
		p->flags |= KT_PKT_MALFORMED;
	c->end = off + total;
	if (!have(p, c, off, hlen))
		return;
	if (hlen > 20)
		parse_source_route(p, h, hlen, off);
	parse_transport(p, c, off + hlen);
}

/* --- IPv6 --- */

/* Where the final destination lies while segments are left (RFC 8200 section 4.4, RFC 6275, RFC 8754). */
static void parse_routing(struct kt_packet *p, const u8 *h, u32 bytes, u32 off)
{
	u32 left = h[3], n = (bytes - 8) / 16;

	if (!left)
		return;
	p->final_dst_off = 0;
	if (h[2] != 0 && h[2] != 2 && h[2] != 4)
		return;
	if (left > n)
		p->flags |= KT_PKT_MALFORMED;
	else
		p->final_dst_off = off + 8 + (h[2] == 4 ? 0 : (n - 1) * 16);
}

/* Steps over one extension header at off; returns its length, 0 when it is cut off. */
static u32 parse_extension(struct kt_packet *p, const struct cursor *c, u32 off, u8 type)
{
	const u8 *h = c->frame + off;
	u32 bytes, fragment;

	if (!have(p, c, off, 8))
		return 0;
	if (type == PROTO_FRAGMENT) {
		fragment = kt_get_be16(h + 2) & 0xfff9;
		if (fragment) /* offset 0 and no more to come is whole: an atomic fragment, RFC 6946 */
			p->flags |= KT_PKT_FRAGMENT | (fragment & 0xfff8 ? KT_PKT_LATER_FRAGMENT : 0);
		return 8;
	}
	bytes = type == PROTO_AH ? (h[1] + 2u) * 4 : (h[1] + 1u) * 8;
	if (!have(p, c, off, bytes))
		return 0;
	if (type == PROTO_ROUTING)
		parse_routing(p, h, bytes, off);
	return bytes;
}

static bool is_extension(u8 proto)
{
	return proto == PROTO_HOP_BY_HOP || proto == PROTO_ROUTING || proto == PROTO_FRAGMENT || proto == PROTO_AH ||
	       proto == PROTO_DST_OPTS;
}

static void parse_ipv6_payload(struct kt_packet *p, const struct cursor *c, u32 off)
{
	for (u32 i = 0; is_extension(p->flow.proto) && !(p->flags & KT_PKT_LATER_FRAGMENT); i++) {
		u32 bytes = i < MAX_EXTENSIONS ? parse_extension(p, c, off, p->flow.proto) : 0;

		if (!bytes) {
			if (i == MAX_EXTENSIONS)
				p->flags |= KT_PKT_MALFORMED;
			return;
		}
		p->flow.proto = c->frame[off];
		off += bytes;
	}
	if (p->flow.proto == PROTO_NONE && !(p->flags & KT_PKT_LATER_FRAGMENT)) {
		p->payload_off = off;
		p->payload_bytes = c->end - off;
		return;
	}
	parse_transport(p, c, off);
}

static void parse_ipv6(struct kt_packet *p, struct cursor *c, u32 off)
{
	const u8 *h = c->frame + off;
	u32 total;

	if (!have(p, c, off, 40))
		return;
	if (h[0] >> 4 != 6) {
		p->flags |= KT_PKT_MALFORMED;
		return;
	}
	p->flow.version = 6;
	p->flow.proto = h[6];
	memcpy(p->flow.src, h + 8, 16);
	memcpy(p->flow.dst, h + 24, 16);
	p->final_dst_off = off + 24;
	p->tos = (u8)(h[0] << 4 | h[1] >> 4);
	p->ttl = h[7];
	total = 40u + kt_get_be16(h + 4);
	if (total == 40 && c->end - off > 0xffff + 40)
		total = c->end - off; /* a jumbogram, as Linux joins packets */
	p->l3_bytes = total;
	if (off + total > c->end)
		p->flags |= KT_PKT_MALFORMED;
	c->end = off + total;
	parse_ipv6_payload(p, c, off + 40);
}

/* --- Link --- */

static void parse_arp(struct kt_packet *p, const struct cursor *c, u32 off)
{
	const u8 *h = c->frame + off;

	if (!have(p, c, off, 8))
		return;
	p->l3_bytes = 8u + 2u * h[4] + 2u * h[5];
	have(p, c, off, p->l3_bytes);
}

static bool is_tag(u32 ethertype)
{
	return ethertype == KT_ETHERTYPE_VLAN || ethertype == KT_ETHERTYPE_QINQ || ethertype == ETHERTYPE_QINQ_OLD;
}

/* Returns the offset behind the link header, 0 when a tag is cut off. */
static u32 parse_link(struct kt_packet *p, const struct cursor *c)
{
	u32 off = KT_ETH_BYTES;

	p->flow.ethertype = kt_get_be16(c->frame + 12);
	for (u32 i = 0; KT_UNLIKELY(is_tag(p->flow.ethertype)) && i < MAX_TAGS; i++) {
		if (!have(p, c, off, KT_VLAN_BYTES))
			return 0;
		if (i < KT_MAX_VLANS)
			p->vlan[p->n_vlans++] = kt_get_be16(c->frame + off);
		else
			p->flags |= KT_PKT_DEEP_VLANS;
		p->flow.ethertype = kt_get_be16(c->frame + off + 2);
		off += KT_VLAN_BYTES;
	}
	return off;
}

int kt_packet_parse(struct kt_packet *p, const u8 *frame, u32 caplen, u32 wirelen)
{
	struct cursor c = { .frame = frame, .cap = caplen < MAX_BYTES ? caplen : MAX_BYTES };

	memset(p, 0, sizeof(*p));
	c.end = wirelen < MAX_BYTES ? wirelen : MAX_BYTES;
	if (c.end < c.cap)
		c.end = c.cap;
	if (!have(p, &c, 0, KT_ETH_BYTES))
		return -EINVAL;
	p->l3_off = parse_link(p, &c);
	if (!p->l3_off)
		return 0;
	p->l3_bytes = c.end - p->l3_off;
	if (p->flow.ethertype == KT_ETHERTYPE_IPV4)
		parse_ipv4(p, &c, p->l3_off);
	else if (p->flow.ethertype == KT_ETHERTYPE_IPV6)
		parse_ipv6(p, &c, p->l3_off);
	else if (p->flow.ethertype == KT_ETHERTYPE_ARP)
		parse_arp(p, &c, p->l3_off);
	return 0;
}

int kt_packet_parse_ip(struct kt_packet *p, const u8 *ip, u32 caplen)
{
	struct cursor c = { .frame = ip, .cap = caplen < MAX_BYTES ? caplen : MAX_BYTES };

	memset(p, 0, sizeof(*p));
	/* How long the quoted packet was nobody says but itself. */
	c.end = 0xffff;
	if (!have(p, &c, 0, 1))
		return -EINVAL;
	if (ip[0] >> 4 == 4) {
		p->flow.ethertype = KT_ETHERTYPE_IPV4;
		parse_ipv4(p, &c, 0);
	} else if (ip[0] >> 4 == 6) {
		p->flow.ethertype = KT_ETHERTYPE_IPV6;
		c.end = 40 + 0xffff;
		parse_ipv6(p, &c, 0);
	} else {
		p->flags |= KT_PKT_MALFORMED;
		return -EINVAL;
	}
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The packet builder: one frame from one specification, lengths first, so
 * that nothing is written unless all of it fits.
 */
#include "packet.h"
#include "checksum.h"

#define MAX_DATAGRAM 65535

/* What the layers take, computed before the first byte is written. */
struct layout {
	u32 link;
	u32 ip;
	u32 l4; /* transport header */
	u32 total;
};

static u32 transport_bytes(const struct kt_packet_spec *s)
{
	switch (s->flow.proto) {
	case KT_PROTO_TCP:
		return s->tcp_mss_option ? 24 : 20;
	case KT_PROTO_UDP:
	case KT_PROTO_ICMP:
	case KT_PROTO_ICMPV6:
		return 8;
	default:
		return 0;
	}
}

static int lay_out(const struct kt_packet_spec *s, struct layout *l)
{
	u32 version = s->flow.version;

	if (s->n_vlans > KT_MAX_VLANS || (version && version != 4 && version != 6))
		return -EINVAL;
	if (!version && s->flow.ethertype < 0x600)
		return -EINVAL;
	if ((s->flow.proto == KT_PROTO_ICMP && version == 6) || (s->flow.proto == KT_PROTO_ICMPV6 && version == 4))
		return -EINVAL; /* the other version's ICMP: nobody would answer it */
	l->link = KT_ETH_BYTES + s->n_vlans * (u32)KT_VLAN_BYTES;
	l->ip = version == 4 ? 20 : version == 6 ? 40 : 0;
	l->l4 = version ? transport_bytes(s) : 0;
	if (s->payload_bytes > MAX_DATAGRAM ||
	    l->ip + l->l4 + s->payload_bytes > MAX_DATAGRAM + (version == 6 ? 40 : 0))
		return -EINVAL;
	l->total = l->link + l->ip + l->l4 + s->payload_bytes;
	return 0;
}

static void build_link(const struct kt_packet_spec *s, u8 *b)
{
	u16 ethertype = s->flow.version == 4   ? KT_ETHERTYPE_IPV4
			: s->flow.version == 6 ? KT_ETHERTYPE_IPV6
					       : s->flow.ethertype;

	memcpy(b, s->dst_mac, 6);
	memcpy(b + 6, s->src_mac, 6);
	b += 12;
	for (u32 i = 0; i < s->n_vlans; i++, b += KT_VLAN_BYTES) {
		kt_put_be16(b, i + 1 < s->n_vlans ? KT_ETHERTYPE_QINQ : KT_ETHERTYPE_VLAN);
		kt_put_be16(b + 2, s->vlan[i]);
	}
	kt_put_be16(b, ethertype);
}

static void build_ipv4(const struct kt_packet_spec *s, u8 *b, u32 total)
{
	u16 sum;

	b[0] = 0x45;
	b[1] = s->tos;
	kt_put_be16(b + 2, (u16)total);
	kt_put_be16(b + 4, s->ip_id);
	kt_put_be16(b + 6, s->dont_fragment ? 0x4000 : 0);
	b[8] = s->ttl ? s->ttl : 64;
	b[9] = s->flow.proto;
	memset(b + 10, 0, 2);
	memcpy(b + 12, s->flow.src, 4);
	memcpy(b + 16, s->flow.dst, 4);
	sum = kt_checksum(b, 20);
	memcpy(b + 10, &sum, 2);
}

static void build_ipv6(const struct kt_packet_spec *s, u8 *b, u32 total)
{
	kt_put_be32(b, 6u << 28 | (u32)s->tos << 20);
	kt_put_be16(b + 4, (u16)(total - 40));
	b[6] = s->flow.proto;
	b[7] = s->ttl ? s->ttl : 64;
	memcpy(b + 8, s->flow.src, 16);
	memcpy(b + 24, s->flow.dst, 16);
}

static void build_tcp(const struct kt_packet_spec *s, u8 *b, u32 hlen)
{
	kt_put_be16(b, s->flow.sport);
	kt_put_be16(b + 2, s->flow.dport);
	kt_put_be32(b + 4, s->tcp_seq);
	kt_put_be32(b + 8, s->tcp_ack);
	b[12] = (u8)(hlen / 4 << 4);
	b[13] = s->tcp_flags;
	kt_put_be16(b + 14, s->tcp_window ? s->tcp_window : 65535);
	memset(b + 16, 0, 4); /* checksum, urgent pointer */
	if (hlen > 20)
		kt_put_be32(b + 20, 0x02040000u | (s->flow.version == 4 ? 1460 : 1440));
}

/* Writes the transport header; returns the offset of its checksum, 0 if it has none. */
static u32 build_transport(const struct kt_packet_spec *s, u8 *b, u32 hlen)
{
	switch (s->flow.proto) {
	case KT_PROTO_TCP:
		build_tcp(s, b, hlen);
		return 16;
	case KT_PROTO_UDP:
		kt_put_be16(b, s->flow.sport);
		kt_put_be16(b + 2, s->flow.dport);
		kt_put_be16(b + 4, (u16)(8 + s->payload_bytes));
		memset(b + 6, 0, 2);
		return 6;
	case KT_PROTO_ICMP:
	case KT_PROTO_ICMPV6:
		kt_put_be16(b, s->flow.dport);
		memset(b + 2, 0, 2);
		kt_put_be16(b + 4, s->icmp_id);
		kt_put_be16(b + 6, s->icmp_seq);
		return 2;
	default:
		return 0;
	}
}

int kt_packet_build(const struct kt_packet_spec *s, u8 *buf, u32 cap)
{
	struct layout l;
	u32 sum_off, l4_bytes;
	u64 pseudo = 0;
	u16 sum;
	u8 *l4;
	int err = lay_out(s, &l);

	if (err)
		return err;
	if (l.total > cap)
		return -EMSGSIZE;
	l4 = buf + l.link + l.ip;
	l4_bytes = l.l4 + s->payload_bytes;
	build_link(s, buf);
	if (s->payload_bytes && s->payload)
		memcpy(l4 + l.l4, s->payload, s->payload_bytes);
	else if (s->payload_bytes)
		memset(l4 + l.l4, 0, s->payload_bytes);
	if (!s->flow.version)
		return (int)l.total;
	if (s->flow.version == 4)
		build_ipv4(s, buf + l.link, l.ip + l4_bytes);
	else
		build_ipv6(s, buf + l.link, l.ip + l4_bytes);
	sum_off = build_transport(s, l4, l.l4);
	if (!sum_off)
		return (int)l.total;
	if (s->flow.proto != KT_PROTO_ICMP)
		pseudo = kt_checksum_pseudo(s->flow.version, s->flow.src, s->flow.dst, s->flow.proto, l4_bytes);
	sum = kt_checksum_fold(kt_checksum_add(pseudo, l4, l4_bytes));
	if (!sum && s->flow.proto == KT_PROTO_UDP)
		sum = 0xffff;
	memcpy(l4 + sum_off, &sum, 2);
	return (int)l.total;
}

int kt_packet_build_arp(u8 *buf, u32 cap, u16 op, const u8 src_mac[6], const u8 dst_mac[6], const u8 sender_ip[4],
			const u8 target_mac[6], const u8 target_ip[4])
{
	if (op != 1 && op != 2)
		return -EINVAL;
	if (cap < 42)
		return -EMSGSIZE;
	memcpy(buf, dst_mac, 6);
	memcpy(buf + 6, src_mac, 6);
	kt_put_be16(buf + 12, KT_ETHERTYPE_ARP);
	kt_put_be16(buf + 14, 1); /* Ethernet */
	kt_put_be16(buf + 16, KT_ETHERTYPE_IPV4);
	buf[18] = 6;
	buf[19] = 4;
	kt_put_be16(buf + 20, op);
	memcpy(buf + 22, src_mac, 6);
	memcpy(buf + 28, sender_ip, 4);
	memcpy(buf + 32, target_mac, 6);
	memcpy(buf + 38, target_ip, 4);
	return 42;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A frame in one line; see frametext.h. */
#include "frametext.h"

#include <stdarg.h>
#include <stdio.h>

#include "../include/ktrxer.h"

#define PROTO_ICMP 1
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_ICMP6 58

struct line {
	char *buf;
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void put(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int w;

	va_start(ap, fmt);
	w = vsnprintf(l->buf + l->n, FRAME_TEXT - l->n, fmt, ap);
	va_end(ap);
	if (w > 0)
		l->n += (size_t)w < FRAME_TEXT - l->n ? (size_t)w : FRAME_TEXT - l->n - 1;
}

static const char *address(char *buf, u8 version, const u8 *bytes)
{
	struct ktrxer_addr a = { .version = version };

	memcpy(a.bytes, bytes, version == 4 ? 4 : 16);
	return ktrxer_addr_format(&a, buf);
}

static void mac(struct line *l, const u8 *m)
{
	put(l, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

static const char *flags_text(char *buf, u8 flags)
{
	static const char letters[] = "FSRPAUEC";
	char *p = buf;

	for (unsigned int i = 0; i < 8; i++)
		if (flags >> i & 1)
			*p++ = letters[i];
	*p = 0;
	return buf;
}

static const char *icmp_text(u8 version, u16 dport)
{
	static const struct {
		u8 version, type;
		const char *name;
	} names[] = {
		{ 4, 0, "echo reply" },
		{ 4, 3, "unreachable" },
		{ 4, 5, "redirect" },
		{ 4, 8, "echo request" },
		{ 4, 11, "time exceeded" },
		{ 6, 1, "unreachable" },
		{ 6, 2, "packet too big" },
		{ 6, 3, "time exceeded" },
		{ 6, 128, "echo request" },
		{ 6, 129, "echo reply" },
		{ 6, 133, "router solicitation" },
		{ 6, 134, "router advertisement" },
		{ 6, 135, "neighbour solicitation" },
		{ 6, 136, "neighbour advertisement" },
	};

	for (unsigned int i = 0; i < KT_ARRAY_LEN(names); i++)
		if (names[i].version == version && names[i].type == dport >> 8)
			return names[i].name;
	return NULL;
}

static bool has_ports(const struct kt_packet *p)
{
	return (p->flow.proto == PROTO_TCP || p->flow.proto == PROTO_UDP) && !(p->flags & KT_PKT_LATER_FRAGMENT) &&
	       p->payload_off;
}

static void endpoint(struct line *l, const struct kt_packet *p, const u8 *addr, u16 port)
{
	char text[48];

	address(text, p->flow.version, addr);
	if (!has_ports(p))
		put(l, "%s", text);
	else
		put(l, p->flow.version == 6 ? "[%s]:%u" : "%s:%u", text, port);
}

static void transport(struct line *l, const struct kt_packet *p)
{
	char flags[9];
	const char *name;

	switch (p->flow.proto) {
	case PROTO_TCP:
		put(l, " tcp %s seq %u", flags_text(flags, p->tcp_flags), p->tcp_seq);
		if (p->tcp_flags & KT_TCP_ACK)
			put(l, " ack %u", p->tcp_ack);
		put(l, ", %u bytes", p->payload_bytes);
		break;
	case PROTO_UDP:
		put(l, " udp %u bytes", p->payload_bytes);
		break;
	case PROTO_ICMP:
	case PROTO_ICMP6:
		name = icmp_text(p->flow.version, p->flow.dport);
		put(l, " %s ", p->flow.proto == PROTO_ICMP ? "icmp" : "icmp6");
		if (name)
			put(l, "%s", name);
		else
			put(l, "type %u", p->flow.dport >> 8);
		if (name && strstr(name, "echo"))
			put(l, " id %u seq %u", p->icmp_id, p->icmp_seq);
		else if (p->flow.dport & 0xff)
			put(l, " code %u", p->flow.dport & 0xff);
		break;
	default:
		put(l, " protocol %u, %u bytes", p->flow.proto, p->payload_bytes);
	}
}

static bool arp(struct line *l, const struct kt_packet *p, const u8 *frame, u32 caplen)
{
	const u8 *a = frame + p->l3_off;
	char text[48];

	if (p->flow.ethertype != KT_ETHERTYPE_ARP || caplen < p->l3_off + 28 || a[4] != 6 || a[5] != 4)
		return false;
	if (kt_get_be16(a + 6) == 1) {
		put(l, "arp who has %s", address(text, 4, a + 24));
		put(l, " tell %s", address(text, 4, a + 14));
	} else {
		put(l, "arp %s is at ", address(text, 4, a + 14));
		mac(l, a + 8);
	}
	return true;
}

const char *frame_text(char *buf, const u8 *frame, u32 caplen, u32 wirelen)
{
	struct line l = { buf, 0 };
	struct kt_packet p;

	*buf = 0;
	if (kt_packet_parse(&p, frame, caplen, wirelen)) {
		put(&l, "%u bytes, too short for a frame", wirelen);
		return buf;
	}
	for (unsigned int i = 0; i < p.n_vlans; i++)
		put(&l, "vlan %u ", p.vlan[i] & 0xfff);
	if (p.flow.version) {
		endpoint(&l, &p, p.flow.src, p.flow.sport);
		put(&l, " > ");
		endpoint(&l, &p, p.flow.dst, p.flow.dport);
		if (p.flags & KT_PKT_LATER_FRAGMENT)
			put(&l, " protocol %u, later fragment", p.flow.proto);
		else
			transport(&l, &p);
		put(&l, ", ttl %u", p.ttl);
	} else if (!arp(&l, &p, frame, caplen)) {
		mac(&l, frame + 6);
		put(&l, " > ");
		mac(&l, frame);
		put(&l, " type 0x%04x", p.flow.ethertype);
	}
	if (p.flags & KT_PKT_MALFORMED)
		put(&l, ", malformed");
	put(&l, ", length %u", wirelen);
	return buf;
}

void frame_json(struct json *j, const u8 *frame, u32 caplen, u32 wirelen)
{
	char text[48], flags[9];
	struct kt_packet p;

	if (kt_packet_parse(&p, frame, caplen, wirelen))
		return;
	if (p.n_vlans)
		json_u64(j, "vlan", p.vlan[0] & 0xfff);
	json_u64(j, "ethertype", p.flow.ethertype);
	if (!p.flow.version)
		return;
	json_text(j, "src", address(text, p.flow.version, p.flow.src));
	json_text(j, "dst", address(text, p.flow.version, p.flow.dst));
	json_u64(j, "proto", p.flow.proto);
	json_u64(j, "ttl", p.ttl);
	if (has_ports(&p)) {
		json_u64(j, "sport", p.flow.sport);
		json_u64(j, "dport", p.flow.dport);
	}
	if (p.flow.proto == PROTO_TCP && has_ports(&p)) {
		json_text(j, "tcp_flags", flags_text(flags, p.tcp_flags));
		json_u64(j, "tcp_seq", p.tcp_seq);
		json_u64(j, "tcp_ack", p.tcp_ack);
	}
	if (p.flow.proto == PROTO_ICMP || p.flow.proto == PROTO_ICMP6) {
		json_u64(j, "icmp_type", p.flow.dport >> 8);
		json_u64(j, "icmp_code", p.flow.dport & 0xff);
		json_u64(j, "icmp_id", p.icmp_id);
		json_u64(j, "icmp_seq", p.icmp_seq);
	}
	json_u64(j, "payload_bytes", p.payload_bytes);
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Rewriting. Both checksums are loaded, follow every change, and are stored
 * once at the end.
 */
#include "rewrite.h"
#include "checksum.h"

struct edit {
	u8 *ip; /* IP header */
	u8 *l4; /* NULL: no transport header here */
	u8 *sum_at; /* the transport's checksum; NULL: none, or a UDP 0 */
	u16 ip_sum;
	u16 l4_sum;
};

static inline u16 load16(const u8 *p)
{
	u16 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void store16(u8 *p, u16 v)
{
	memcpy(p, &v, sizeof(v));
}

static bool has_ports(const struct kt_packet *p)
{
	return p->flow.proto == KT_PROTO_TCP || p->flow.proto == KT_PROTO_UDP;
}

static void begin(struct edit *e, u8 *frame, const struct kt_packet *p)
{
	e->ip = frame + p->l3_off;
	e->l4 = p->l4_off ? frame + p->l4_off : NULL;
	e->sum_at = NULL;
	e->ip_sum = p->flow.version == 4 ? load16(e->ip + 10) : 0;
	e->l4_sum = 0;
	if (!e->l4)
		return;
	if (p->flow.proto == KT_PROTO_TCP)
		e->sum_at = e->l4 + 16;
	else if (p->flow.proto == KT_PROTO_UDP && load16(e->l4 + 6))
		e->sum_at = e->l4 + 6;
	else if (p->flow.proto == KT_PROTO_ICMPV6 && p->flow.version == 6)
		e->sum_at = e->l4 + 2;
	if (e->sum_at)
		e->l4_sum = load16(e->sum_at);
}

static void end(struct edit *e, const struct kt_packet *p)
{
	if (p->flow.version == 4)
		store16(e->ip + 10, e->ip_sum);
	if (e->sum_at)
		store16(e->sum_at, e->l4_sum || p->flow.proto != KT_PROTO_UDP ? e->l4_sum : 0xffff);
}

/* covered: by the transport's checksum. */
static void set_address(struct edit *e, u8 *at, const u8 *to, u32 bytes, bool covered)
{
	e->ip_sum = kt_checksum_update(e->ip_sum, at, to, bytes);
	if (covered)
		e->l4_sum = kt_checksum_update(e->l4_sum, at, to, bytes);
	memcpy(at, to, bytes);
}

static void set_port(struct edit *e, u8 *at, u16 port)
{
	port = kt_be16(port);
	e->l4_sum = kt_checksum_update16(e->l4_sum, load16(at), port);
	store16(at, port);
}

/* TTL and TOS share a checksummed word with a neighbour byte; IPv6 has no sum over them. */
static void set_ttl(struct edit *e, u8 version, u8 ttl)
{
	u16 before = load16(e->ip + 8);

	if (version == 6) {
		e->ip[7] = ttl;
		return;
	}
	e->ip[8] = ttl;
	e->ip_sum = kt_checksum_update16(e->ip_sum, before, load16(e->ip + 8));
}

static void set_tos(struct edit *e, u8 version, u8 tos)
{
	u16 before = load16(e->ip);

	if (version == 6) {
		e->ip[0] = (u8)(0x60 | tos >> 4);
		e->ip[1] = (u8)(tos << 4 | (e->ip[1] & 15));
		return;
	}
	e->ip[1] = tos;
	e->ip_sum = kt_checksum_update16(e->ip_sum, before, load16(e->ip));
}

static u32 rewrite_ip(u8 *frame, const struct kt_packet *p, const struct kt_rewrite *rw)
{
	u8 version = p->flow.version;
	u32 src_at = version == 4 ? 12 : 8, dst_at = version == 4 ? 16 : 24, bytes = version == 4 ? 4 : 16;
	u32 can = KT_REWRITE_SRC_IP | KT_REWRITE_DST_IP | KT_REWRITE_TTL | KT_REWRITE_TOS;
	u32 flags;
	struct edit e;

	begin(&e, frame, p);
	if (e.l4 && has_ports(p))
		can |= KT_REWRITE_SPORT | KT_REWRITE_DPORT;
	flags = rw->flags & can;
	if (flags & KT_REWRITE_SRC_IP)
		set_address(&e, e.ip + src_at, rw->src, bytes, true);
	if (flags & KT_REWRITE_DST_IP)
		set_address(&e, e.ip + dst_at, rw->dst, bytes, p->final_dst_off == p->l3_off + dst_at);
	if (flags & KT_REWRITE_SPORT)
		set_port(&e, e.l4, rw->sport);
	if (flags & KT_REWRITE_DPORT)
		set_port(&e, e.l4 + 2, rw->dport);
	if (flags & KT_REWRITE_TTL)
		set_ttl(&e, version, rw->ttl);
	if (flags & KT_REWRITE_TOS)
		set_tos(&e, version, rw->tos);
	end(&e, p);
	return flags;
}

u32 kt_rewrite_apply(u8 *frame, const struct kt_packet *p, const struct kt_rewrite *rw)
{
	u32 done = rw->flags & (KT_REWRITE_SRC_MAC | KT_REWRITE_DST_MAC);

	if (done & KT_REWRITE_DST_MAC)
		memcpy(frame, rw->dst_mac, 6);
	if (done & KT_REWRITE_SRC_MAC)
		memcpy(frame + 6, rw->src_mac, 6);
	if (p->flow.version && p->payload_off && rw->flags & ~done)
		done |= rewrite_ip(frame, p, rw);
	return done;
}

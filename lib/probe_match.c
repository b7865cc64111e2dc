/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Answers: is this packet the answer to a probe of ours, and to which? What
 * an answer returns is taken to be a claim; the keyed hash over the addresses
 * decides. Errors are matched by the packet that they quote, of which only eight bytes
 * behind the IP header can be relied on (RFC 792).
 */
#include "probe.h"

#include "dns.h"

/* The answer being judged: who probed whom, and where in the frame the returned bytes lie. */
struct claim {
	const struct ktrxer_probe *p;
	struct kt_series series;
	struct ktrxer_match *m;
	u8 version;
	const u8 *us;
	const u8 *target;
	u16 sport; /* ours */
	u16 dport; /* the target's */
	const u8 *payload;
	u32 payload_bytes; /* captured */
	bool quoted; /* all of it is a quotation of our own packet */
};

static void note_seq(struct claim *c, u64 seq, unsigned int bits)
{
	c->m->seq = bits == 64 ? seq : (u16)seq;
	c->m->seq_bits = bits;
}

static u64 claim_hash(const struct claim *c, u16 seq16)
{
	return kt_series_hash(&c->series, c->version, c->us, c->target, c->dport, seq16);
}

/* 1: the payload is ours and told the whole seq; 0: it is too short to tell; -1: it is not ours. */
static int check_payload(struct claim *c, u64 h)
{
	bool with_time = c->p->payload_bytes >= KT_SERIES_TIME_PAYLOAD;
	u32 need = with_time ? KT_SERIES_TIME_PAYLOAD : KT_SERIES_SEQ_PAYLOAD;
	u64 seq, time_ns = 0;

	if (c->p->payload_bytes < KT_SERIES_SEQ_PAYLOAD || c->payload_bytes < need)
		return 0;
	seq = kt_get_be64(c->payload + 8);
	if (with_time)
		time_ns = kt_get_be64(c->payload + 16);
	if (kt_get_be64(c->payload) != kt_series_mac(&c->series, h, seq, time_ns, with_time))
		return -1;
	note_seq(c, seq, 64);
	c->m->sent_ns = time_ns;
	return 1;
}

static bool claim_icmp(struct claim *c, u16 id, u16 seq16)
{
	u64 h = claim_hash(c, 0);
	int payload;

	if (id != kt_series_icmp_id(h))
		return false;
	note_seq(c, seq16, 16);
	payload = check_payload(c, h);
	return payload == 0 || (payload > 0 && (u16)c->m->seq == seq16);
}

/* DNS returns our bits of seq; a UDP service that answers with bytes of its own returns none. */
static bool claim_udp(struct claim *c, const u16 *ip_id)
{
	u64 h = claim_hash(c, 0);

	if (c->sport != kt_series_sport(&c->series, h))
		return false;
	if (ip_id)
		note_seq(c, *ip_id, 16);
	if (c->p->kind == KTRXER_PROBE_DNS) {
		if (c->payload_bytes >= 2)
			note_seq(c, (u16)(kt_get_be16(c->payload) ^ kt_series_dns_id(h, 0)), 16);
		return true;
	}
	return check_payload(c, h) >= 0 || !c->quoted;
}

static bool claim_tcp(struct claim *c, u32 tcp_seq)
{
	u16 seq16 = (u16)(tcp_seq >> 16);
	u64 h = claim_hash(c, seq16);

	if (tcp_seq != kt_series_tcp_seq(h, seq16) || c->sport != kt_series_sport(&c->series, h))
		return false;
	note_seq(c, seq16, 16);
	return true;
}

/* --- Direct answers ---------------------------------------------------------- */

static enum ktrxer_answer match_echo(struct claim *c, const struct kt_packet *k)
{
	u16 reply = c->version == 4 ? 0 : 129 << 8;

	if (k->flow.dport != reply || !k->payload_off)
		return KTRXER_ANSWER_NONE;
	return claim_icmp(c, k->icmp_id, k->icmp_seq) ? KTRXER_ANSWER_REPLY : KTRXER_ANSWER_NONE;
}

static enum ktrxer_answer match_tcp(struct claim *c, const struct kt_packet *k)
{
	u8 flags = k->tcp_flags & (KT_TCP_SYN | KT_TCP_RST | KT_TCP_ACK | KT_TCP_FIN);
	enum ktrxer_answer answer = KTRXER_ANSWER_NONE;

	if (!k->payload_off)
		return KTRXER_ANSWER_NONE;
	if (flags == (KT_TCP_SYN | KT_TCP_ACK))
		answer = KTRXER_ANSWER_SYNACK;
	else if (flags == (KT_TCP_RST | KT_TCP_ACK))
		answer = KTRXER_ANSWER_RST;
	if (!answer || !claim_tcp(c, k->tcp_ack - 1))
		return KTRXER_ANSWER_NONE;
	return answer;
}

static enum ktrxer_answer match_dns(struct claim *c)
{
	struct kt_dns_response r;
	u8 name[KT_DNS_MAX_NAME];
	int name_bytes = kt_dns_encode_name(name, c->p->dns_name);

	if (name_bytes < 0 || kt_dns_parse_response(&r, c->payload, c->payload_bytes))
		return KTRXER_ANSWER_NONE;
	if (!kt_dns_is_about(&r, c->payload, c->payload_bytes, name, (u32)name_bytes,
			     kt_probe_dns_type(c->p, c->version)))
		return KTRXER_ANSWER_NONE;
	c->m->dns_rcode = r.rcode;
	return claim_udp(c, NULL) ? KTRXER_ANSWER_REPLY : KTRXER_ANSWER_NONE;
}

static enum ktrxer_answer match_direct(struct claim *c, const struct kt_packet *k)
{
	c->us = k->flow.dst;
	c->target = k->flow.src;
	switch (c->p->kind) {
	case KTRXER_PROBE_ICMP:
		if (k->flow.proto != (c->version == 4 ? KT_PROTO_ICMP : KT_PROTO_ICMPV6))
			return KTRXER_ANSWER_NONE;
		return match_echo(c, k);
	case KTRXER_PROBE_SYN:
		c->sport = k->flow.dport;
		c->dport = k->flow.sport;
		return k->flow.proto == KT_PROTO_TCP ? match_tcp(c, k) : KTRXER_ANSWER_NONE;
	default:
		c->sport = k->flow.dport;
		c->dport = k->flow.sport;
		if (k->flow.proto != KT_PROTO_UDP || !k->payload_off)
			return KTRXER_ANSWER_NONE;
		if (c->p->kind == KTRXER_PROBE_DNS)
			return match_dns(c);
		return claim_udp(c, NULL) ? KTRXER_ANSWER_REPLY : KTRXER_ANSWER_NONE;
	}
}

/* --- ICMP errors --------------------------------------------------------------- */

static enum ktrxer_answer error_v4(u8 type, u8 code)
{
	if (type == 11)
		return KTRXER_ANSWER_TTL_EXCEEDED;
	if (type != 3)
		return type == 12 ? KTRXER_ANSWER_UNREACH_OTHER : KTRXER_ANSWER_NONE;
	switch (code) {
	case 3:
		return KTRXER_ANSWER_UNREACH_PORT;
	case 0:
	case 6:
	case 11:
		return KTRXER_ANSWER_UNREACH_NET;
	case 1:
	case 7:
	case 12:
		return KTRXER_ANSWER_UNREACH_HOST;
	case 9:
	case 10:
	case 13:
		return KTRXER_ANSWER_UNREACH_ADMIN;
	default:
		return KTRXER_ANSWER_UNREACH_OTHER;
	}
}

static enum ktrxer_answer error_v6(u8 type, u8 code)
{
	if (type == 3)
		return KTRXER_ANSWER_TTL_EXCEEDED;
	if (type != 1)
		return type == 2 || type == 4 ? KTRXER_ANSWER_UNREACH_OTHER : KTRXER_ANSWER_NONE;
	switch (code) {
	case 4:
		return KTRXER_ANSWER_UNREACH_PORT;
	case 0:
		return KTRXER_ANSWER_UNREACH_NET;
	case 3:
		return KTRXER_ANSWER_UNREACH_HOST;
	case 1:
	case 5:
	case 6:
		return KTRXER_ANSWER_UNREACH_ADMIN;
	default:
		return KTRXER_ANSWER_UNREACH_OTHER;
	}
}

enum ktrxer_answer kt_probe_error_kind(const struct kt_packet *k)
{
	u8 type = (u8)(k->flow.dport >> 8), code = (u8)k->flow.dport;

	return k->flow.version == 4 ? error_v4(type, code) : error_v6(type, code);
}

static bool match_quoted_transport(struct claim *c, const struct kt_packet *q, const u8 *quote)
{
	u8 proto = q->flow.proto;
	u16 request = c->version == 4 ? 8 << 8 : 128 << 8;

	switch (c->p->kind) {
	case KTRXER_PROBE_ICMP:
		return proto == (c->version == 4 ? KT_PROTO_ICMP : KT_PROTO_ICMPV6) && q->flow.dport == request &&
		       claim_icmp(c, q->icmp_id, q->icmp_seq);
	case KTRXER_PROBE_SYN:
		return proto == KT_PROTO_TCP && claim_tcp(c, q->tcp_seq);
	case KTRXER_PROBE_UDP:
		if (kt_get_be16(quote + q->l4_off + 4) != 8 + c->p->payload_bytes)
			return false;
		/* fall through */
	default:
		return proto == KT_PROTO_UDP && claim_udp(c, c->version == 4 ? &q->ip_id : NULL);
	}
}

static enum ktrxer_answer match_error(struct claim *c, const struct kt_packet *k, const u8 *frame, u32 caplen)
{
	const u8 *quote = frame + k->payload_off;
	enum ktrxer_answer answer = kt_probe_error_kind(k);
	u32 bytes = k->payload_bytes;
	struct kt_packet q;

	if (!answer || !k->payload_off || k->payload_off >= caplen)
		return KTRXER_ANSWER_NONE;
	if (bytes > caplen - k->payload_off)
		bytes = caplen - k->payload_off;
	if (kt_packet_parse_ip(&q, quote, bytes) || q.flow.version != c->version || !q.l4_off || q.l4_off + 8 > bytes)
		return KTRXER_ANSWER_NONE;
	if (memcmp(q.flow.src, k->flow.dst, 16))
		return KTRXER_ANSWER_NONE; /* an error is sent to whom it quotes */
	c->quoted = true;
	c->us = q.flow.src;
	c->target = q.flow.dst;
	c->sport = q.flow.sport;
	c->dport = c->p->kind == KTRXER_PROBE_ICMP ? 0 : q.flow.dport;
	c->payload = quote + (q.payload_off && q.payload_off < bytes ? q.payload_off : bytes);
	c->payload_bytes = (u32)(quote + bytes - c->payload);
	memcpy(c->m->target.bytes, q.flow.dst, 16);
	return match_quoted_transport(c, &q, quote) ? answer : KTRXER_ANSWER_NONE;
}

/* --- All ------------------------------------------------------------------------- */

static void set_addresses(struct ktrxer_match *m, const struct kt_packet *k)
{
	m->from.version = m->target.version = k->flow.version;
	memcpy(m->from.bytes, k->flow.src, 16);
	memcpy(m->target.bytes, k->flow.src, 16);
	m->ttl = k->ttl;
}

enum ktrxer_answer kt_probe_match(const struct ktrxer_probe *p, const struct kt_packet *k, const u8 *frame, u32 caplen,
				  bool any_port, struct ktrxer_match *m)
{
	struct claim c = { .p = p, .series = kt_probe_series(p), .m = m, .version = k->flow.version };
	enum ktrxer_answer answer;

	memset(m, 0, sizeof(*m));
	if (!c.version || !k->l4_off || (k->flags & (KT_PKT_LATER_FRAGMENT | KT_PKT_MALFORMED)))
		return KTRXER_ANSWER_NONE;
	set_addresses(m, k);
	c.payload = frame + caplen;
	if (k->payload_off && k->payload_off < caplen) {
		c.payload = frame + k->payload_off;
		c.payload_bytes = caplen - k->payload_off;
		if (c.payload_bytes > k->payload_bytes)
			c.payload_bytes = k->payload_bytes;
	}
	answer = k->flags & KT_PKT_ICMP_ERROR ? match_error(&c, k, frame, caplen) : match_direct(&c, k);
	if (answer && p->kind != KTRXER_PROBE_ICMP && !any_port && kt_probe_dport(p) && c.dport != kt_probe_dport(p))
		answer = KTRXER_ANSWER_NONE;
	if (!answer) {
		memset(m, 0, sizeof(*m));
		return answer;
	}
	m->answer = answer;
	m->port = c.dport;
	return answer;
}

KTRXER_API enum ktrxer_answer ktrxer_probe_match(const struct ktrxer_probe *p, const uint8_t *frame, uint32_t caplen,
						 struct ktrxer_match *m)
{
	struct kt_packet k;

	memset(m, 0, sizeof(*m));
	if (p->sz != sizeof(*p) || kt_packet_parse(&k, frame, caplen, caplen))
		return KTRXER_ANSWER_NONE;
	return kt_probe_match(p, &k, frame, caplen, false, m);
}

/* --- Rules ------------------------------------------------------------------------- */

static struct krx_rule icmp_rule(u8 version, u8 first_type, u8 last_type, enum krx_op op)
{
	return (struct krx_rule){
		.version = version,
		.proto = version == 4 ? KT_PROTO_ICMP : KT_PROTO_ICMPV6,
		.dport_lo = (u16)(first_type << 8),
		.dport_hi = (u16)(last_type << 8 | 0xff),
		.op = op,
	};
}

int kt_probe_rules(const struct ktrxer_probe *p, u8 version, enum krx_op op, bool any_port, struct krx_rule *rules,
		   unsigned int max)
{
	struct krx_rule r[3];
	unsigned int n = 0;

	if (p->kind == KTRXER_PROBE_ICMP) {
		r[n++] = version == 4 ? icmp_rule(4, 0, 0, op) : icmp_rule(6, 129, 129, op);
	} else {
		r[n++] = (struct krx_rule){
			.version = version,
			.proto = p->kind == KTRXER_PROBE_SYN ? KT_PROTO_TCP : KT_PROTO_UDP,
			.sport_lo = any_port ? 0 : kt_probe_dport(p),
			.sport_hi = any_port ? 0 : kt_probe_dport(p),
			.dport_lo = kt_probe_sport_lo(p),
			.dport_hi = kt_probe_sport_hi(p),
			.op = op,
		};
	}
	if (version == 4) {
		r[n++] = icmp_rule(4, 3, 3, KRX_CAPTURE);
		r[n++] = icmp_rule(4, 11, 12, KRX_CAPTURE);
	} else {
		r[n++] = icmp_rule(6, 1, 4, KRX_CAPTURE);
	}
	for (unsigned int i = 0; i < n && i < max; i++)
		rules[i] = r[i];
	return (int)n;
}

KTRXER_API int ktrxer_probe_rules(const struct ktrxer_probe *p, uint8_t version, enum krx_op op, struct krx_rule *rules,
				  unsigned int max)
{
	const char *why;

	if (kt_probe_check(p, &why) || (version != 4 && version != 6))
		return -EINVAL;
	return kt_probe_rules(p, version, op, false, rules, max);
}

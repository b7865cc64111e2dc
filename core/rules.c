/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a single rule means: whether it makes sense, and whether a flow
 * matches it. This is the definition that the compiled form (compile.c,
 * classify.h) is tested against.
 */
#include "rules.h"

#define CAPTURES(op) ((op) == KT_OP_CAPTURE || (op) == KT_OP_CAPTURE_DROP)
#define FORWARDS(op) ((op) == KT_OP_FORWARD || (op) == KT_OP_CAPTURE)
#define REWRITE_IP (KT_REWRITE_SRC_IP | KT_REWRITE_DST_IP)
#define REWRITE_PORTS (KT_REWRITE_SPORT | KT_REWRITE_DPORT)
#define REWRITE_ALL ((KT_REWRITE_TOS << 1) - 1)

/* Are all bits behind the first plen of these 16 bytes zero? */
static bool tail_is_zero(const u8 addr[16], u32 plen)
{
	for (u32 i = plen / 8; i < 16; i++) {
		u32 keep = i == plen / 8 ? plen % 8 : 0;

		if (addr[i] & (0xff >> keep))
			return false;
	}
	return true;
}

static const char *check_match(const struct kt_match *m)
{
	u32 max_plen = m->version == 6 ? 128 : 32;

	if (m->version != 0 && m->version != 4 && m->version != 6)
		return "the IP version is 4, 6, or 0 for any frame";
	if (m->version == 0 && (m->src_plen || m->dst_plen))
		return "a rule with addresses names their IP version";
	if (m->src_plen > max_plen)
		return m->version == 6 ? "the source prefix is longer than 128 bits"
				       : "the source prefix is longer than 32 bits";
	if (m->dst_plen > max_plen)
		return m->version == 6 ? "the destination prefix is longer than 128 bits"
				       : "the destination prefix is longer than 32 bits";
	if (!tail_is_zero(m->src, m->src_plen))
		return "the source address has bits set behind its prefix length";
	if (!tail_is_zero(m->dst, m->dst_plen))
		return "the destination address has bits set behind its prefix length";
	if (m->sport_lo > m->sport_hi)
		return "the source port range ends before it begins";
	if (m->dport_lo > m->dport_hi)
		return "the destination port range ends before it begins";
	if (m->reserved)
		return "the reserved field of the match is not zero";
	return NULL;
}

static const char *check_rewrite(const struct kt_rule *rule)
{
	const struct kt_rewrite *w = &rule->action.rewrite;
	u8 version = rule->match.version, proto = rule->match.proto;

	if (w->flags & ~(u32)REWRITE_ALL)
		return "an unknown field is to be rewritten";
	if (w->reserved)
		return "the reserved field of the rewriting is not zero";
	if (w->flags && !FORWARDS(rule->action.op))
		return "rewriting needs an operation that forwards: forward or capture";
	if ((w->flags & REWRITE_IP) && version == 0)
		return "rewriting an address needs a rule for one IP version";
	if ((w->flags & REWRITE_PORTS) && proto != KT_PROTO_TCP && proto != KT_PROTO_UDP)
		return "rewriting a port needs a rule for protocol tcp or udp";
	if ((w->flags & KT_REWRITE_SRC_IP) && version == 4 && !tail_is_zero(w->src, 32))
		return "the new source address is longer than IPv4's four bytes";
	if ((w->flags & KT_REWRITE_DST_IP) && version == 4 && !tail_is_zero(w->dst, 32))
		return "the new destination address is longer than IPv4's four bytes";
	return NULL;
}

static const char *check_action(const struct kt_rule *rule)
{
	const struct kt_action *a = &rule->action;

	if (a->op > KT_OP_CAPTURE_DROP)
		return "the operation is none of forward, capture, drop, capture+drop";
	if (a->slice_base > KT_SLICE_PAYLOAD)
		return "the slice starts at none of link, network, transport, payload";
	if ((a->slice_base || a->slice_off || a->slice_bytes) && !CAPTURES(a->op))
		return "a slice needs an operation that captures: capture or capture+drop";
	if (a->sample_n > 1 && !CAPTURES(a->op))
		return "sampling needs an operation that captures: capture or capture+drop";
	if (a->out_ifindex && !FORWARDS(a->op))
		return "an outgoing interface needs an operation that forwards: forward or capture";
	return check_rewrite(rule);
}

int kt_rule_check(const struct kt_rule *rule, const char **why)
{
	*why = check_match(&rule->match);
	if (!*why)
		*why = check_action(rule);
	return *why ? -EINVAL : 0;
}

static bool prefix_matches(const u8 a[16], const u8 b[16], u32 plen)
{
	u32 whole = plen / 8, rest = plen % 8;

	for (u32 i = 0; i < whole; i++) {
		if (a[i] != b[i])
			return false;
	}
	return !rest || !((a[whole] ^ b[whole]) >> (8 - rest));
}

static bool port_matches(u16 lo, u16 hi, u16 port)
{
	return hi == 0 || (lo <= port && port <= hi); /* hi = 0 implies lo = 0: any */
}

bool kt_match_flow(const struct kt_match *m, const struct kt_flow *f)
{
	if (m->version && m->version != f->version)
		return false;
	if (m->proto && m->proto != f->proto)
		return false;
	if (m->ethertype && m->ethertype != f->ethertype)
		return false;
	if (m->ifindex && m->ifindex != f->ifindex)
		return false;
	return port_matches(m->sport_lo, m->sport_hi, f->sport) && port_matches(m->dport_lo, m->dport_hi, f->dport) &&
	       prefix_matches(m->src, f->src, m->src_plen) && prefix_matches(m->dst, f->dst, m->dst_plen);
}

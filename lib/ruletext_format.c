/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Rules written as text: the line that ruletext.c reads as the same rule.
 * Interfaces are written by number, which is right in every namespace.
 */
#include "ruletext.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct writer {
	char *buf;
	size_t cap;
	size_t len; /* that there would be, were there room */
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *w, const char *fmt, ...)
{
	bool room = w->len < w->cap;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(room ? w->buf + w->len : NULL, room ? w->cap - w->len : 0, fmt, ap);
	va_end(ap);
	w->len += n > 0 ? (size_t)n : 0;
}

static const char *addr_text(char text[64], u8 version, const u8 bytes[16])
{
	struct ktrxer_addr a = { .version = version };

	memcpy(a.bytes, bytes, version == 4 ? 4 : 16);
	return ktrxer_addr_format(&a, text);
}

static void put_prefix(struct writer *w, const char *word, const struct krx_rule *r, const u8 addr[16], u8 plen)
{
	char text[64];

	if (!plen)
		return;
	put(w, " %s %s", word, addr_text(text, r->version, addr));
	if (plen != (r->version == 4 ? 32 : 128))
		put(w, "/%u", plen);
}

/* A name if there is one, else the number. */
static void put_named(struct writer *w, const char *word, const struct kt_word *names, u32 value, const char *number)
{
	const char *name = kt_word_name(names, value);

	if (name)
		put(w, " %s %s", word, name);
	else
		put(w, number, word, value);
}

static void put_ports(struct writer *w, const char *word, u16 lo, u16 hi)
{
	if (!hi)
		return;
	put(w, " %s %u", word, lo);
	if (hi != lo)
		put(w, "-%u", hi);
}

static void put_dport(struct writer *w, const struct krx_rule *r)
{
	u16 lo = r->dport_lo, hi = r->dport_hi;
	bool whole_type = !(lo & 0xff) && hi == (lo | 0xff);

	if (!hi || (r->proto != 1 && r->proto != 58) || (!whole_type && lo != hi)) {
		put_ports(w, "dport", lo, hi);
		return;
	}
	put_named(w, "type", r->proto == 1 ? kt_rule_icmp_types : kt_rule_icmp6_types, lo >> 8, " %s %u");
	if (!whole_type)
		put(w, " code %u", lo & 0xff);
}

static void put_match(struct writer *w, const struct krx_rule *r)
{
	if (r->version && !r->src_plen && !r->dst_plen)
		put(w, " version %u", r->version);
	if (r->ethertype)
		put_named(w, "ethertype", kt_rule_ethertypes, r->ethertype, " %s 0x%04x");
	if (r->proto)
		put_named(w, "proto", kt_rule_protos, r->proto, " %s %u");
	put_prefix(w, "from", r, r->src, r->src_plen);
	put_prefix(w, "to", r, r->dst, r->dst_plen);
	put_ports(w, "sport", r->sport_lo, r->sport_hi);
	put_dport(w, r);
	if (r->ifindex)
		put(w, " ifindex %u", r->ifindex);
}

static void put_mac(struct writer *w, const char *field, const u8 m[6])
{
	put(w, " set %s %02x:%02x:%02x:%02x:%02x:%02x", field, m[0], m[1], m[2], m[3], m[4], m[5]);
}

static void put_rewrite(struct writer *w, const struct krx_rule *r)
{
	char text[64];

	if (r->rewrite & KRX_REWRITE_SRC_MAC)
		put_mac(w, "src-mac", r->new_src_mac);
	if (r->rewrite & KRX_REWRITE_DST_MAC)
		put_mac(w, "dst-mac", r->new_dst_mac);
	if (r->rewrite & KRX_REWRITE_SRC_IP)
		put(w, " set src %s", addr_text(text, r->version, r->new_src));
	if (r->rewrite & KRX_REWRITE_DST_IP)
		put(w, " set dst %s", addr_text(text, r->version, r->new_dst));
	if (r->rewrite & KRX_REWRITE_SPORT)
		put(w, " set sport %u", r->new_sport);
	if (r->rewrite & KRX_REWRITE_DPORT)
		put(w, " set dport %u", r->new_dport);
	if (r->rewrite & KRX_REWRITE_TTL)
		put(w, " set ttl %u", r->new_ttl);
	if (r->rewrite & KRX_REWRITE_TOS)
		put(w, " set tos %u", r->new_tos);
}

static void put_action(struct writer *w, const struct krx_rule *r)
{
	const char *base = kt_word_name(kt_rule_slices, (u32)r->slice);

	if (r->slice || r->slice_off || r->slice_bytes) {
		put(w, " slice %s", base ? base : "?");
		if (r->slice_off)
			put(w, "+%u", r->slice_off);
		if (r->slice_bytes)
			put(w, " %u", r->slice_bytes);
	}
	if (r->sample_n)
		put(w, " sample %u", r->sample_n);
	if (r->quota_pkts)
		put(w, " quota %" PRIu64, r->quota_pkts);
	if (r->out_ifindex)
		put(w, " out-ifindex %u", r->out_ifindex);
	put_rewrite(w, r);
}

KTRXER_API int krx_rule_format(const struct krx_rule *rule, char *buf, size_t cap)
{
	struct writer w = { .buf = buf, .cap = cap };
	const char *op = kt_word_name(kt_rule_ops, (u32)rule->op);

	if (cap)
		buf[0] = 0;
	put(&w, "%s", op ? op : "?");
	put_match(&w, rule);
	put_action(&w, rule);
	if (rule->priority)
		put(&w, " prio %d", rule->priority);
	if (rule->tag)
		put(&w, " tag %u", rule->tag);
	if (rule->id)
		put(&w, " id %u", rule->id);
	return (int)w.len;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Rules read from text: an operation, then words with their values in any
 * order, each once. One table names the words and who reads them; a sentence
 * that refuses says which word is wrong and what is allowed there.
 */
#include "ruletext.h"

#include <stdio.h>
#include <string.h>

#include "engine.h"
#include "ruleconv.h"

/* The next word, or NULL at the end or a comment. */
static char *next_word(struct kt_ruletext *p)
{
	char *w = p->next + strspn(p->next, " \t\r\n\v\f"), *end;

	if (!*w || *w == '#')
		return NULL;
	end = w + strcspn(w, " \t\r\n\v\f");
	p->next = end + (*end != 0);
	*end = 0;
	return w;
}

static const char *peek_word(const struct kt_ruletext *p)
{
	return p->next + strspn(p->next, " \t\r\n\v\f");
}

/* --- One function a word ------------------------------------------------------ */

static int on_id(struct kt_ruletext *p, char *v)
{
	return kt_ruletext_u32(p, v, 1, &p->rule->id, "a number from 1 to 4294967295 is meant");
}

static int on_prio(struct kt_ruletext *p, char *v)
{
	bool negative = *v == '-';
	u64 n;

	if (kt_ruletext_number(v + negative, 0x7fffffffull + negative, &n))
		return kt_ruletext_refuse(p, v, "a whole number from -2147483648 to 2147483647 is meant");
	p->rule->priority = (int32_t)(negative ? -(int64_t)n : (int64_t)n);
	return 0;
}

static int on_version(struct kt_ruletext *p, char *v)
{
	if (strcmp(v, "4") && strcmp(v, "6"))
		return kt_ruletext_refuse(p, v, "4 or 6 is meant");
	return kt_ruletext_version(p, v, *v == '4' ? 4 : 6);
}

static int on_from(struct kt_ruletext *p, char *v)
{
	return kt_ruletext_prefix(p, v, p->rule->src, &p->rule->src_plen);
}

static int on_to(struct kt_ruletext *p, char *v)
{
	return kt_ruletext_prefix(p, v, p->rule->dst, &p->rule->dst_plen);
}

static int on_proto(struct kt_ruletext *p, char *v)
{
	u32 value;
	u64 n;

	if (!strcmp(v, "any"))
		return 0;
	if (kt_word_value(kt_rule_protos, v, &value)) {
		if (kt_ruletext_number(v, 255, &n) || !n)
			return kt_ruletext_refuse(
				p, v, "icmp, icmp6, tcp, udp, gre, esp, sctp and the like, 1 to 255, or any is meant");
		value = (u32)n;
	}
	p->rule->proto = (u8)value;
	return 0;
}

static int on_sport(struct kt_ruletext *p, char *v)
{
	return kt_ruletext_ports(p, v, &p->rule->sport_lo, &p->rule->sport_hi);
}

static int on_dport(struct kt_ruletext *p, char *v)
{
	return kt_ruletext_ports(p, v, &p->rule->dport_lo, &p->rule->dport_hi);
}

static int on_type(struct kt_ruletext *p, char *v)
{
	if (strlen(v) >= sizeof(p->type))
		return kt_ruletext_refuse(p, v, "an ICMP type from 0 to 255 or its name is meant");
	strcpy(p->type, v);
	p->has_type = true;
	return 0;
}

static int on_code(struct kt_ruletext *p, char *v)
{
	u64 n;
	int ret = kt_ruletext_ranged(p, v, 0, 255, &n, "an ICMP code from 0 to 255 is meant");

	p->code = (u8)(ret ? 0 : n);
	p->has_code = true;
	return ret;
}

static int on_ethertype(struct kt_ruletext *p, char *v)
{
	u32 value;
	u64 n;

	if (!strcmp(v, "any"))
		return 0;
	if (kt_word_value(kt_rule_ethertypes, v, &value)) {
		if (kt_ruletext_number(v, 0xffff, &n) || !n)
			return kt_ruletext_refuse(
				p, v, "ipv4, ipv6, arp, lldp, ptp and the like, 0x0001 to 0xffff, or any is meant");
		value = (u32)n;
	}
	p->rule->ethertype = (u16)value;
	return 0;
}

static int on_iface(struct kt_ruletext *p, char *v)
{
	return kt_ruletext_iface(p, v, &p->rule->ifindex);
}

static int on_ifindex(struct kt_ruletext *p, char *v)
{
	return kt_ruletext_u32(p, v, 1, &p->rule->ifindex, "the number of an interface is meant, 1 or more");
}

static int on_out(struct kt_ruletext *p, char *v)
{
	return kt_ruletext_iface(p, v, &p->rule->out_ifindex);
}

static int on_out_ifindex(struct kt_ruletext *p, char *v)
{
	return kt_ruletext_u32(p, v, 1, &p->rule->out_ifindex, "the number of an interface is meant, 1 or more");
}

/* BASE[+OFFSET] [BYTES] */
static int on_slice(struct kt_ruletext *p, char *v)
{
	char *plus = strchr(v, '+');
	const char *peek = peek_word(p);
	u64 off = 0;
	u32 base;
	int ret;

	if (plus)
		*plus = 0;
	ret = kt_word_value(kt_rule_slices, v, &base);
	if (plus)
		*plus = '+';
	if (ret || (plus && kt_ruletext_number(plus + 1, 65535, &off)))
		return kt_ruletext_refuse(
			p, v, "link, network, transport or payload is meant, and +OFFSET up to 65535 if need be");
	p->rule->slice = (enum krx_slice)base;
	p->rule->slice_off = (u16)off;
	if (*peek < '0' || *peek > '9')
		return 0;
	v = next_word(p);
	return kt_ruletext_u32(p, v, 1, &p->rule->slice_bytes,
			       "a number of bytes is meant, 1 or more; without one, all");
}

static int on_sample(struct kt_ruletext *p, char *v)
{
	return kt_ruletext_u32(p, v, 1, &p->rule->sample_n, "one packet in how many? a number of 1 or more is meant");
}

static int on_quota(struct kt_ruletext *p, char *v)
{
	return kt_ruletext_ranged(p, v, 1, ~0ull, &p->rule->quota_pkts, "a number of packets is meant, 1 or more");
}

static int on_tag(struct kt_ruletext *p, char *v)
{
	return kt_ruletext_u32(p, v, 0, &p->rule->tag, "a number from 0 to 4294967295 is meant");
}

static int set_port(struct kt_ruletext *p, char *v, uint16_t *port)
{
	u64 n = 0;
	int ret = kt_ruletext_ranged(p, v, 0, 65535, &n, "a port from 0 to 65535 is meant");

	*port = (uint16_t)n;
	return ret;
}

static int set_byte(struct kt_ruletext *p, char *v, uint8_t *byte)
{
	u64 n = 0;
	int ret = kt_ruletext_ranged(p, v, 0, 255, &n, "a number from 0 to 255 is meant");

	*byte = (uint8_t)n;
	return ret;
}

static int on_set(struct kt_ruletext *p, char *field)
{
	static const struct kt_word fields[] = {
		{ "src-mac", KRX_REWRITE_SRC_MAC }, { "dst-mac", KRX_REWRITE_DST_MAC }, { "src", KRX_REWRITE_SRC_IP },
		{ "dst", KRX_REWRITE_DST_IP },	    { "sport", KRX_REWRITE_SPORT },	{ "dport", KRX_REWRITE_DPORT },
		{ "ttl", KRX_REWRITE_TTL },	    { "tos", KRX_REWRITE_TOS },		{ NULL, 0 },
	};
	struct krx_rule *r = p->rule;
	char *v;
	u32 flag;

	if (kt_word_value(fields, field, &flag))
		return kt_ruletext_refuse(p, field, "src-mac, dst-mac, src, dst, sport, dport, ttl or tos is meant");
	if (r->rewrite & flag)
		return kt_ruletext_refuse(p, field, "this field is set twice");
	snprintf(p->field, sizeof(p->field), "set %s", field);
	p->word = p->field;
	v = next_word(p);
	if (!v)
		return kt_err(p->err, EINVAL, "%s: the value is missing", p->word);
	r->rewrite |= flag;
	switch (flag) {
	case KRX_REWRITE_SRC_MAC:
		return kt_ruletext_mac(p, v, r->new_src_mac);
	case KRX_REWRITE_DST_MAC:
		return kt_ruletext_mac(p, v, r->new_dst_mac);
	case KRX_REWRITE_SRC_IP:
		return kt_ruletext_addr(p, v, r->new_src);
	case KRX_REWRITE_DST_IP:
		return kt_ruletext_addr(p, v, r->new_dst);
	case KRX_REWRITE_SPORT:
		return set_port(p, v, &r->new_sport);
	case KRX_REWRITE_DPORT:
		return set_port(p, v, &r->new_dport);
	case KRX_REWRITE_TTL:
		return set_byte(p, v, &r->new_ttl);
	default:
		return set_byte(p, v, &r->new_tos);
	}
}

static const struct {
	const char *name;
	int (*on)(struct kt_ruletext *p, char *value);
} words[] = {
	{ "from", on_from },
	{ "to", on_to },
	{ "proto", on_proto },
	{ "sport", on_sport },
	{ "dport", on_dport },
	{ "type", on_type },
	{ "code", on_code },
	{ "version", on_version },
	{ "ethertype", on_ethertype },
	{ "iface", on_iface },
	{ "ifindex", on_ifindex },
	{ "prio", on_prio },
	{ "slice", on_slice },
	{ "sample", on_sample },
	{ "quota", on_quota },
	{ "tag", on_tag },
	{ "id", on_id },
	{ "out", on_out },
	{ "out-ifindex", on_out_ifindex },
	{ "set", on_set },
};

static int read_word(struct kt_ruletext *p, const char *name)
{
	u32 i = 0;
	char *value;

	while (i < KT_ARRAY_LEN(words) && strcmp(words[i].name, name))
		i++;
	if (i == KT_ARRAY_LEN(words))
		return kt_err(p->err, EINVAL,
			      "\"%.60s\" is no word of a rule; there are from, to, proto, sport, dport, type, code, "
			      "version, ethertype, iface, ifindex, prio, slice, sample, quota, tag, id, out, set",
			      name);
	if ((p->seen & 1u << i) && words[i].on != on_set)
		return kt_err(p->err, EINVAL, "%s stands there twice", words[i].name);
	p->seen |= 1u << i;
	p->word = words[i].name;
	value = next_word(p);
	if (!value)
		return kt_err(p->err, EINVAL, "%s: the value is missing", p->word);
	return words[i].on(p, value);
}

/* Type and code become what struct kt_flow holds in place of the destination port. */
static int finish_icmp(struct kt_ruletext *p)
{
	struct krx_rule *r = p->rule;
	bool v6 = r->proto == 58;
	u64 type;
	u32 named;

	if (!p->has_type)
		return p->has_code ? kt_err(p->err, EINVAL, "code needs a type") : 0;
	p->word = "type";
	if (r->proto != 1 && !v6)
		return kt_ruletext_refuse(p, p->type, "only a rule with proto icmp or icmp6 has one");
	if (r->dport_hi)
		return kt_ruletext_refuse(p, p->type, "dport says the same; one of them is enough");
	if (!kt_word_value(v6 ? kt_rule_icmp6_types : kt_rule_icmp_types, p->type, &named))
		type = named;
	else if (kt_ruletext_number(p->type, 255, &type))
		return kt_ruletext_refuse(
			p, p->type, "a type from 0 to 255, or a name such as echo-reply or time-exceeded is meant");
	if (p->has_code && !type && !p->code)
		return kt_err(p->err, EINVAL, "code 0 of type 0 cannot be matched alone; leave the code out");
	r->dport_lo = (u16)(type << 8 | (p->has_code ? p->code : 0));
	r->dport_hi = (u16)(type << 8 | (p->has_code ? p->code : 0xff));
	return 0;
}

static int parse(struct kt_ruletext *p)
{
	const char *op = next_word(p), *why, *name;
	struct kt_rule rule;
	u32 value;
	int ret = 0;

	if (!op)
		return -ENOENT;
	if (kt_word_value(kt_rule_ops, op, &value))
		return kt_err(p->err, EINVAL,
			      "a rule begins with forward, capture, drop or capture+drop, not with \"%.60s\"", op);
	p->rule->op = (enum krx_op)value;
	while (!ret && (name = next_word(p)))
		ret = read_word(p, name);
	if (!ret)
		ret = finish_icmp(p);
	if (ret)
		return ret;
	kt_rule_from_public(&rule, p->rule);
	return kt_rule_check(&rule, &why) ? kt_err(p->err, EINVAL, "%s", why) : 0;
}

KTRXER_API int krx_rule_parse(struct krx_rule *rule, const char *line, struct ktrxer_err *err)
{
	struct kt_ruletext p = { .rule = rule, .err = err };
	size_t len = strlen(line);

	memset(rule, 0, sizeof(*rule));
	if (len >= sizeof(p.line))
		return kt_err(err, EINVAL, "a rule has at most %zu characters, not %zu", sizeof(p.line) - 1, len);
	for (size_t i = 0; i < len; i++) { /* so that a sentence can quote it */
		u8 c = (u8)line[i];

		p.line[i] = c == '\t' || c == '\r' || c == '\n' || (c >= 32 && c < 127) ? (char)c : '?';
	}
	p.next = p.line;
	return parse(&p);
}

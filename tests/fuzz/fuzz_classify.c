/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Fuzzes compiler and classifier: an input is 8 bytes of seed and rules of 12
 * bytes each, which name few addresses and ports so that rules overlap. Flows
 * that hit or just miss them are looked up in every way there is and compared
 * with a search rule by rule.
 */
#include <stdlib.h>

#include "../../lib/classifier.h"
#include "../rulegen.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define SEED_BYTES 8
#define RULE_BYTES 12
#define MAX_FUZZ_RULES 512u
#define N_FLOWS 48u

/* A trap keeps the line in the sanitizer's report. */
#define PROMISE(cond) \
	do { \
		if (!(cond)) \
			__builtin_trap(); \
	} while (0)

static u16 port_of(u8 b)
{
	return b < 128 ? (u16)(b * 3) : (u16)(65535 - (255 - b) * 257);
}

static void rule_from(struct kt_rule *rule, const u8 *b)
{
	static const u8 versions[4] = { 4, 4, 6, 0 }, protos[4] = { 0, 6, 17, 58 };
	struct kt_match *m = &rule->match;
	u16 s[2] = { port_of(b[6]), port_of(b[7]) }, d[2] = { port_of(b[8]), port_of(b[9]) };
	u32 max;

	memset(rule, 0, sizeof(*rule));
	rule->priority = b[0] >> 6;
	m->version = versions[b[0] & 3];
	m->proto = protos[b[0] >> 2 & 3];
	m->ifindex = b[0] >> 4 & 1;
	m->ethertype = b[0] & 0x20 ? (m->version == 4	? 0x0800
				      : m->version == 6 ? 0x86dd
							: (u16)(0x0806 + (b[1] & 1)))
				   : 0;
	max = m->version == 4 ? 32 : m->version == 6 ? 128 : 0;
	m->src_plen = (u8)(max ? b[1] % (max + 1) : 0);
	m->dst_plen = (u8)(max ? b[2] % (max + 1) : 0);
	for (u32 i = 0; i < 16; i++) {
		m->src[i] = b[3 + i % 2] & (u8)(i % 5 ? 0x11 : 0xff);
		m->dst[i] = b[4 + i % 2] & (u8)(i % 3 ? 0x81 : 0xff);
	}
	gen_trim(m->src, m->src_plen);
	gen_trim(m->dst, m->dst_plen);
	if (b[10] & 1) {
		m->sport_lo = s[0] < s[1] ? s[0] : s[1];
		m->sport_hi = s[0] < s[1] ? s[1] : s[0];
	}
	if (b[10] & 2) {
		m->dport_lo = d[0] < d[1] ? d[0] : d[1];
		m->dport_hi = d[0] < d[1] ? d[1] : d[0];
	}
}

static u32 linear(const struct kt_classifier *c, const struct kt_flow *f, u32 start)
{
	for (u32 i = start; i < c->n_rules; i++) {
		if (kt_match_flow(&c->rules[i].match, f))
			return i + 1;
	}
	return 0;
}

static void compare(const struct kt_classifier *c, u64 rng)
{
	struct kt_flow flows[N_FLOWS];
	u32 out[N_FLOWS];

	for (u32 i = 0; i < N_FLOWS; i++) {
		u32 start = gen_below(&rng, c->n_rules + 1);

		gen_flow_in(&flows[i], &c->rules[gen_below(&rng, c->n_rules)].match, &rng);
		if (i & 1)
			gen_nudge(&flows[i], &rng);
		PROMISE(kt_classify(&c->image, &flows[i], start) == linear(c, &flows[i], start));
	}
	kt_classify_batch(&c->image, flows, N_FLOWS, out);
	for (u32 i = 0; i < N_FLOWS; i++)
		PROMISE(out[i] == linear(c, &flows[i], 0));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct kt_rule rules[MAX_FUZZ_RULES];
	struct kt_classifier *c;
	const char *why;
	u64 seed;
	u32 n, bad;

	if (size < SEED_BYTES + RULE_BYTES)
		return 0;
	memcpy(&seed, data, sizeof(seed));
	n = (u32)((size - SEED_BYTES) / RULE_BYTES);
	n = n < MAX_FUZZ_RULES ? n : MAX_FUZZ_RULES;
	for (u32 i = 0; i < n; i++)
		rule_from(&rules[i], data + SEED_BYTES + (size_t)i * RULE_BYTES);
	PROMISE(!kt_classifier_new(&c, rules, n, &why, &bad));
	PROMISE(c->n_rules == n);
	for (u32 i = 1; i < n; i++)
		PROMISE(c->rules[i - 1].priority >= c->rules[i].priority);
	compare(c, seed);
	kt_classifier_free(c);
	return 0;
}

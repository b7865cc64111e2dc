/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What does a lookup cost with 10 to 1,000,000 rules? All sets come from one
 * generator: prefixes of many lengths, crowded in some networks and spread
 * over the rest, exact and ranged ports, protocols, wildcards, some IPv6,
 * some frames that are not IP. Traffic: three packets in four are drawn from
 * a rule, all rules alike; of the others one half just misses a rule.
 *
 * All sizes are timed in turn, several rounds long, each set under several
 * hash keys, and what is printed is the median: neither a lucky key nor a
 * quiet second makes the figure.
 *
 * Prints one JSON object a line on stdout and a table on stderr. Arguments:
 * the largest number of rules (1000000), the share of IPv6 in percent (15).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/compile.h"
#include "lib/classifier.h"
#include "tests/rulegen.h"

#define N_FLOWS 262144u
#define BATCH 256u
#define ROUNDS 7
#define KEYS 3 /* sets compiled from the same rules, each with a random key of its own */
#define MAX_SIZES 8

static u32 v6_percent = 15;

/* CPU time, so that what else runs here counts as little as possible. */
static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (u64)t.tv_sec * KT_NSEC_PER_SEC + (u64)t.tv_nsec;
}

/* Prefix lengths and how often they occur, in percent; what is missing to 100 is "any". */
struct share {
	u8 lo;
	u8 hi;
	u8 percent;
};

static const struct share src4[] = { { 8, 15, 5 },   { 16, 16, 10 }, { 17, 23, 15 },
				     { 24, 24, 20 }, { 25, 31, 10 }, { 32, 32, 25 } };
static const struct share dst4[] = { { 8, 15, 2 },   { 16, 16, 5 },  { 17, 23, 14 },
				     { 24, 24, 20 }, { 25, 31, 14 }, { 32, 32, 40 } };
static const struct share src6[] = { { 20, 31, 5 }, { 32, 32, 10 }, { 33, 47, 10 },  { 48, 48, 20 },
				     { 49, 63, 5 }, { 64, 64, 20 }, { 128, 128, 15 } };
static const struct share dst6[] = { { 32, 32, 10 }, { 33, 47, 10 }, { 48, 48, 20 }, { 64, 64, 20 }, { 128, 128, 35 } };

static u8 draw_plen(const struct share *s, u32 n, u64 *rng)
{
	u32 r = gen_below(rng, 100);

	for (u32 i = 0; i < n; i++) {
		if (r < s[i].percent)
			return (u8)(s[i].lo + gen_below(rng, (u32)s[i].hi - s[i].lo + 1));
		r -= s[i].percent;
	}
	return 0;
}

/* Half of all addresses lie in one of n_sites networks (/16, /32 in IPv6). */
static void draw_addr(u8 addr[16], u32 version, u32 n_sites, u64 *rng)
{
	u64 bits[2] = { kt_hash_next(rng), kt_hash_next(rng) };
	u64 site = gen_below(rng, n_sites) + (u64)version * 1000003;

	memset(addr, 0, 16);
	memcpy(addr, bits, version == 4 ? 4 : 16);
	if (kt_hash_next(rng) & 1) {
		site = kt_hash_mix64(site);
		memcpy(addr, &site, version == 4 ? 2 : 4);
	}
	if (version == 6)
		addr[0] = 0x20 | (addr[0] & 0x0f);
	else if (addr[0] >= 224 || !addr[0])
		addr[0] = 100;
}

static u16 draw_port(u64 *rng)
{
	static const u16 common[] = { 80, 443, 22, 53, 25, 123, 161, 3306, 5060, 8080 };

	return gen_below(rng, 2) ? common[gen_below(rng, 10)] : (u16)(1 + gen_below(rng, 65535));
}

static void draw_ports(u16 *lo, u16 *hi, u32 any, u32 exact, u64 *rng)
{
	static const u16 usual[][2] = { { 1024, 65535 }, { 1, 1023 },  { 6000, 6063 },
					{ 8000, 8099 },	 { 135, 139 }, { 33434, 33523 } };
	u32 r = gen_below(rng, 100);

	*lo = *hi = 0;
	if (r < any)
		return;
	if (r < any + exact) {
		*lo = *hi = draw_port(rng);
	} else if (gen_below(rng, 3)) {
		u32 i = gen_below(rng, gen_below(rng, 2) ? 1 : 6);

		*lo = usual[i][0];
		*hi = usual[i][1];
	} else {
		*lo = (u16)(1 + gen_below(rng, 65000));
		*hi = (u16)(*lo + gen_below(rng, 65536u - *lo));
	}
}

static void draw_rule(struct kt_rule *rule, u32 n, u64 *rng)
{
	struct kt_match *m = &rule->match;
	u32 r = gen_below(rng, 100), sites = n / 64 + 4;

	memset(rule, 0, sizeof(*rule));
	rule->action.op = KT_OP_CAPTURE;
	rule->priority = 1 + (s32)gen_below(rng, 1000);
	if (!gen_below(rng, 200)) { /* a protocol that is not IP, on an interface */
		m->ethertype = (u16)(0x8800 + gen_below(rng, 256));
		m->ifindex = 1 + gen_below(rng, 64);
		return;
	}
	if (gen_below(rng, 100) < v6_percent) {
		m->version = 6;
		m->src_plen = draw_plen(src6, KT_ARRAY_LEN(src6), rng);
		m->dst_plen = draw_plen(dst6, KT_ARRAY_LEN(dst6), rng);
	} else {
		m->version = 4;
		m->src_plen = draw_plen(src4, KT_ARRAY_LEN(src4), rng);
		m->dst_plen = draw_plen(dst4, KT_ARRAY_LEN(dst4), rng);
	}
	draw_addr(m->src, m->version, sites, rng);
	draw_addr(m->dst, m->version, sites, rng);
	gen_trim(m->src, m->src_plen);
	gen_trim(m->dst, m->dst_plen);
	m->proto = r < 60 ? 6 : r < 85 ? 17 : r < 90 ? (m->version == 6 ? 58 : 1) : 0;
	if (!gen_below(rng, 50))
		m->ifindex = 1 + gen_below(rng, 4);
	if (m->proto == 6 || m->proto == 17) {
		draw_ports(&m->sport_lo, &m->sport_hi, 85, 4, rng);
		draw_ports(&m->dport_lo, &m->dport_hi, 25, 50, rng);
	}
	if (m->src_plen + m->dst_plen < 20) { /* for nearly everybody: one service, judged last */
		m->proto = gen_below(rng, 3) ? 6 : 17;
		m->dport_lo = m->dport_hi = (u16)(1 + gen_below(rng, 65535));
		rule->priority = 0;
	}
}

static void draw_flow(struct kt_flow *f, const struct kt_rule *rules, u32 n, u64 *rng)
{
	const struct kt_match *m = &rules[gen_below(rng, n)].match;

	gen_flow_in(f, m, rng);
	if (gen_below(rng, 4))
		return;
	if (gen_below(rng, 2)) {
		gen_nudge(f, rng);
		gen_nudge(f, rng);
	} else if (f->version) {
		draw_addr(f->src, f->version, n / 64 + 4, rng);
		draw_addr(f->dst, f->version, n / 64 + 4, rng);
		f->dport = draw_port(rng);
	}
}

/* Rules of one size, with their traffic and what was measured. */
struct set {
	u32 n;
	struct kt_classifier *c[KEYS];
	struct kt_flow *flows;
	double single_ns[KEYS * ROUNDS];
	double batch_ns[KEYS * ROUNDS];
	double linear_ns[ROUNDS]; /* up to 1000 rules */
	double build_s[KEYS];
	double hits; /* share */
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, u32 n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

/* ns per packet of one run. */
static double time_it(u64 (*run)(const struct kt_classifier *, const struct kt_flow *, u32),
		      const struct kt_classifier *c, const struct kt_flow *flows, u32 n, u64 *sum)
{
	u64 t = now_ns();

	*sum = run(c, flows, n);
	return (double)(now_ns() - t) / n;
}

static u64 run_single(const struct kt_classifier *c, const struct kt_flow *flows, u32 n)
{
	u64 sum = 0;

	for (u32 i = 0; i < n; i++)
		sum += kt_classify(&c->image, &flows[i], 0);
	return sum;
}

static u64 run_batch(const struct kt_classifier *c, const struct kt_flow *flows, u32 n)
{
	u32 out[BATCH];
	u64 sum = 0;

	for (u32 i = 0; i < n; i += BATCH) {
		kt_classify_batch(&c->image, flows + i, BATCH, out);
		for (u32 j = 0; j < BATCH; j++)
			sum += out[j];
	}
	return sum;
}

static u64 run_linear(const struct kt_classifier *c, const struct kt_flow *flows, u32 n)
{
	u64 sum = 0;

	for (u32 i = 0; i < n; i++) {
		for (u32 j = 0; j < c->n_rules; j++) {
			if (kt_match_flow(&c->rules[j].match, &flows[i])) {
				sum += j + 1;
				break;
			}
		}
	}
	return sum;
}

static void die(const char *what)
{
	fprintf(stderr, "bench/classify: %s\n", what);
	exit(1);
}

static void make_set(struct set *s, u32 n)
{
	struct kt_rule *rules = calloc(n, sizeof(*rules));
	const char *why = "out of memory";
	u64 rng = n;
	u32 bad, hits = 0;

	s->n = n;
	s->flows = calloc(N_FLOWS, sizeof(*s->flows));
	if (!rules || !s->flows)
		die(why);
	for (u32 i = 0; i < n; i++)
		draw_rule(&rules[i], n, &rng);
	for (u32 k = 0; k < KEYS; k++) {
		u64 t = now_ns();

		if (kt_classifier_new(&s->c[k], rules, n, &why, &bad))
			die(why);
		s->build_s[k] = (double)(now_ns() - t) / 1e9;
	}
	for (u32 i = 0; i < N_FLOWS; i++) {
		draw_flow(&s->flows[i], rules, n, &rng);
		hits += kt_classify(&s->c[0]->image, &s->flows[i], 0) != 0;
	}
	s->hits = (double)hits / N_FLOWS;
	free(rules);
}

static void measure_round(struct set *s, u32 round)
{
	u64 single, batch, linear;

	for (u32 k = 0; k < KEYS; k++) {
		u32 i = round * KEYS + k;

		s->single_ns[i] = time_it(run_single, s->c[k], s->flows, N_FLOWS, &single);
		s->batch_ns[i] = time_it(run_batch, s->c[k], s->flows, N_FLOWS, &batch);
		if (single != batch || (s->n <= 1000 && !round && single != run_linear(s->c[k], s->flows, N_FLOWS)))
			die("the ways to look up disagree");
	}
	if (s->n <= 1000)
		s->linear_ns[round] = time_it(run_linear, s->c[0], s->flows, N_FLOWS / 16, &linear);
}

static void report(struct set *s)
{
	const struct kt_image_head *head = (const void *)s->c[0]->image.cells;
	u32 tables = head->n_tables[0] + head->n_tables[1] + head->n_tables[2];
	double single = median(s->single_ns, KEYS * ROUNDS), batch = median(s->batch_ns, KEYS * ROUNDS);
	double build = median(s->build_s, KEYS), linear = median(s->linear_ns, ROUNDS);

	printf("{\"bench\":\"classify\",\"rules\":%u,\"v6_percent\":%u,\"hit_share\":%.3f,\"tables\":%u,"
	       "\"tables_v4\":%u,\"entries\":%u,\"longest_chain\":%u,\"max_steps\":%u,\"image_bytes\":%llu,"
	       "\"build_s\":%.3f,\"single_ns\":%.1f,\"batch_ns\":%.1f",
	       s->n, v6_percent, s->hits, tables, head->n_tables[1], head->n_entries, head->longest_chain,
	       head->max_steps, (unsigned long long)s->c[0]->image_bytes, build, single, batch);
	if (linear > 0)
		printf(",\"linear_ns\":%.1f", linear);
	printf("}\n");
	fprintf(stderr, "%9u %6u %5u %6u %9.1f %8.3f %7.0f%% %9.1f %9.1f ", s->n, tables, head->longest_chain,
		head->max_steps, (double)s->c[0]->image_bytes / 1048576, build, 100 * s->hits, single, batch);
	if (linear > 0)
		fprintf(stderr, "%9.1f\n", linear);
	else
		fprintf(stderr, "%9s\n", "-");
}

int main(int argc, char **argv)
{
	u32 max = argc > 1 ? (u32)strtoul(argv[1], NULL, 10) : 1000000, n_sets = 0;
	static struct set sets[MAX_SIZES];
	const struct set *last;
	double batch, single;

	if (argc > 2)
		v6_percent = (u32)strtoul(argv[2], NULL, 10);
	for (u32 n = 10; n <= max && n <= KT_MAX_RULES; n *= 10)
		make_set(&sets[n_sets++], n);
	if (!n_sets)
		die("at least 10 rules");
	for (u32 round = 0; round < ROUNDS; round++) {
		for (u32 i = 0; i < n_sets; i++)
			measure_round(&sets[i], round);
	}
	fprintf(stderr, "%9s %6s %5s %6s %9s %8s %8s %9s %9s %9s\n", "rules", "tables", "chain", "steps", "MiB",
		"build s", "hits", "single ns", "batch ns", "linear ns");
	for (u32 i = 0; i < n_sets; i++)
		report(&sets[i]);
	last = &sets[n_sets - 1];
	batch = last->batch_ns[KEYS * ROUNDS / 2] / sets[0].batch_ns[KEYS * ROUNDS / 2]; /* sorted by report() */
	single = last->single_ns[KEYS * ROUNDS / 2] / sets[0].single_ns[KEYS * ROUNDS / 2];
	fprintf(stderr, "most rules cost %.1f times ten (batch), %.1f times (single)\n", batch, single);
	printf("{\"bench\":\"classify\",\"ratio_batch\":%.2f,\"ratio_single\":%.2f}\n", batch, single);
	for (u32 i = 0; i < n_sets; i++) {
		for (u32 k = 0; k < KEYS; k++)
			kt_classifier_free(sets[i].c[k]);
		free(sets[i].flows);
	}
	return 0;
}

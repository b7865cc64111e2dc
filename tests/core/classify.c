/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The compiled classifier against the definition of a match, tried rule by
 * rule: random sets of every kind, and sets made to hurt.
 *
 * test-timeout: 300
 */
#include "../test.h"

#include "../../core/compile.h"
#include "../rulegen.h"

#define BATCH 600u /* more than two groups of a batch lookup */

static size_t allocated, most_allocated;
static int allocations_left = -1; /* then alloc fails; -1: never */

static void *test_alloc(void *ctx, size_t bytes)
{
	void *p;

	(void)ctx;
	if (!allocations_left || posix_memalign(&p, 64, bytes ? bytes : 64))
		return NULL;
	allocations_left -= allocations_left > 0;
	memset(p, 0xa5, bytes);
	allocated += bytes;
	if (allocated > most_allocated)
		most_allocated = allocated;
	return p;
}

static void test_free(void *ctx, void *p, size_t bytes)
{
	(void)ctx;
	allocated -= bytes;
	free(p);
}

static u32 pauses, last_pause; /* at which -EINTR is said; 0: never */

static int test_pause(void *ctx)
{
	return ++pauses == last_pause ? -EINTR : 0;
}

static const struct kt_memory memory = { .alloc = test_alloc, .free = test_free };

static void make_key(struct kt_image_key *key, u64 seed)
{
	for (u32 i = 0; i < KT_NH_WORDS; i++)
		key->nh[i] = (u32)kt_hash_next(&seed);
	key->spread = kt_hash_next(&seed);
}

static u32 linear(const struct kt_rule *rules, u32 n, const struct kt_flow *f, u32 start)
{
	for (u32 i = start; i < n; i++) {
		if (kt_match_flow(&rules[i].match, f))
			return i + 1;
	}
	return 0;
}

static const struct kt_image_head *head_of(const struct kt_image *img)
{
	return (const void *)img->cells;
}

static void compile(struct kt_image *img, const struct kt_rule *rules, u32 n, u64 seed)
{
	struct kt_image_key key;

	make_key(&key, seed);
	most_allocated = allocated;
	CHECK_EQ(kt_compile(img, rules, n, &key, &memory), 0);
	CHECK_EQ(head_of(img)->n_cells, img->n_cells);
	CHECK_EQ(head_of(img)->n_rules, n);
}

static void discard(struct kt_image *img)
{
	memory.free(NULL, (void *)(uintptr_t)img->cells, img->n_cells * sizeof(struct kt_cell));
	CHECK_EQ(allocated, 0);
}

/* Steps counted as a BPF program would. */
static u32 steps_of(const struct kt_image *img, const struct kt_flow *f, u32 start)
{
	struct kt_search s;
	u32 n = 0;

	if (!kt_search_begin(&s, img, f, start))
		return 0;
	do
		n++;
	while (!kt_search_step(&s, img));
	return n;
}

/* The module does not have it, for it wants more stack than kernels give. */
static void compare_batch(const struct kt_image *img, const struct kt_flow *flows, u32 n)
{
#ifndef __KERNEL__
	static u32 out[BATCH];

	memset(out, 0xa5, sizeof(out));
	kt_classify_batch(img, flows, n, out);
	for (u32 i = 0; i < n; i++)
		CHECK_EQ(out[i], kt_classify(img, &flows[i], 0));
#endif
}

/* Compares both on n_flows flows made from the rules, one by one, in a batch and from a later start. */
static void compare(const struct kt_rule *rules, u32 n, u64 seed, u32 n_flows)
{
	static struct kt_flow flows[BATCH];
	struct kt_image img;
	u32 batch = 0;

	compile(&img, rules, n, seed);
	for (u32 i = 0; i < n_flows; i++) {
		struct kt_flow *f = &flows[batch];
		u32 start = gen_below(&seed, n + 2);

		gen_flow_in(f, &rules[gen_below(&seed, n)].match, &seed);
		for (u32 k = gen_below(&seed, 4); k > 1; k--)
			gen_nudge(f, &seed);
		CHECK_EQ(kt_classify(&img, f, 0), linear(rules, n, f, 0));
		CHECK_EQ(kt_classify(&img, f, start), linear(rules, n, f, start));
		CHECK(steps_of(&img, f, 0) <= head_of(&img)->max_steps);
		CHECK(steps_of(&img, f, start) <= head_of(&img)->max_steps);
		if (++batch < KT_ARRAY_LEN(flows) - seed % 3 && i + 1 < n_flows)
			continue;
		compare_batch(&img, flows, batch);
		batch = 0;
	}
	discard(&img);
}

static struct kt_rule *rules_of(u32 n)
{
	struct kt_rule *rules = calloc(n, sizeof(*rules));

	if (!rules)
		TEST_FAIL("no memory");
	return rules;
}

static void t_empty(void)
{
	struct kt_flow f = { .version = 4 };
	struct kt_image img;

	compile(&img, NULL, 0, 1);
	CHECK_EQ(kt_classify(&img, &f, 0), 0);
	compare_batch(&img, &f, 1);
	compare_batch(&img, &f, 0);
	discard(&img);
}

static void t_match_all(void)
{
	struct kt_rule rules[3] = { { .match = { .ethertype = 0x0806 } }, { .id = 2 }, { .id = 3 } };
	struct kt_flow arp = { .ethertype = 0x0806 }, v4 = { .version = 4, .ethertype = 0x0800 },
		       v6 = { .version = 6, .ethertype = 0x86dd };
	struct kt_image img;

	compile(&img, rules, 3, 1);
	CHECK_EQ(kt_classify(&img, &arp, 0), 1);
	CHECK_EQ(kt_classify(&img, &arp, 1), 2);
	CHECK_EQ(kt_classify(&img, &v4, 0), 2);
	CHECK_EQ(kt_classify(&img, &v6, 0), 2);
	CHECK_EQ(kt_classify(&img, &v6, 2), 3);
	CHECK_EQ(kt_classify(&img, &v6, 3), 0);
	discard(&img);
}

/* Thousands of small sets, each with flows that hit, just miss and overlap. */
static void t_random_sets(void)
{
	u64 rng = 2026;

	for (u32 set = 0; set < TEST_ROUNDS(1500); set++) {
		u32 n = 1 + gen_below(&rng, set % 10 ? 40 : 400), spread = gen_below(&rng, 9);
		struct kt_rule *rules = rules_of(n);

		for (u32 i = 0; i < n; i++) {
			gen_match(&rules[i].match, &rng, spread);
			if (i && !gen_below(&rng, 10))
				rules[i].match = rules[gen_below(&rng, i)].match;
		}
		compare(rules, n, kt_hash_next(&rng), 100);
		free(rules);
	}
}

static void t_random_large(void)
{
	u64 rng = 7;

	for (u32 spread = 0; spread < 9; spread += 2) {
		struct kt_rule *rules = rules_of(5000);

		for (u32 i = 0; i < 5000; i++)
			gen_match(&rules[i].match, &rng, spread);
		compare(rules, 5000, spread, TEST_ROUNDS(1000));
		free(rules);
	}
}

/* One prefix, n ranges that overlap in every way. */
static void t_same_prefix(void)
{
	struct kt_rule *rules = rules_of(3000);
	u64 rng = 5;

	for (u32 i = 0; i < 3000; i++) {
		u32 a = gen_below(&rng, 65536), b = gen_below(&rng, 65536);

		rules[i].match = (struct kt_match){ .version = 4, .src = { 10 }, .src_plen = 8, .proto = 6 };
		rules[i].match.dport_lo = (u16)(a < b ? a : b);
		rules[i].match.dport_hi = (u16)(a < b ? b : a);
		if (i % 3 == 1) {
			rules[i].match.dport_lo = (u16)i;
			rules[i].match.dport_hi = (u16)(65535 - i);
		} else if (i % 3 == 2) {
			rules[i].match.dport_lo = (u16)(20 * i);
			rules[i].match.dport_hi = (u16)(20 * i + 21 > 65535 ? 65535 : 20 * i + 21);
		}
	}
	compare(rules, 3000, 5, TEST_ROUNDS(3000));
	free(rules);
}

static void t_nested(void)
{
	for (u32 version = 4; version <= 6; version += 2) {
		u32 max = version == 4 ? 32 : 128, n = 0;
		struct kt_rule *rules = rules_of((max + 1) * (max + 1));

		for (u32 s = max + 1; s-- > 0;) {
			for (u32 d = max + 1; d-- > 0;) {
				struct kt_match *m = &rules[n++].match;

				memset(m->src, 0xaa, version == 4 ? 4 : 16);
				memset(m->dst, 0x55, version == 4 ? 4 : 16);
				m->version = (u8)version;
				m->src_plen = (u8)s;
				m->dst_plen = (u8)d;
				gen_trim(m->src, s);
				gen_trim(m->dst, d);
			}
		}
		compare(rules, n, version, TEST_ROUNDS(2000));
		for (u32 i = 0; i < n / 2; i++) { /* widest first */
			struct kt_rule r = rules[i];

			rules[i] = rules[n - 1 - i];
			rules[n - 1 - i] = r;
		}
		compare(rules, n, version, TEST_ROUNDS(500));
		free(rules);
	}
}

/* 65,536 rules that differ in one port only are told apart by it. */
static void t_ports_only(void)
{
	struct kt_rule *rules = rules_of(65536);
	struct kt_image img;

	for (u32 i = 0; i < 65536; i++)
		rules[i].match = (struct kt_match){ .dport_lo = (u16)i, .dport_hi = (u16)i };
	rules[0].match.dport_hi = 1; /* 0-0 would be any */
	compile(&img, rules, 65536, 3);
	CHECK(head_of(&img)->longest_chain <= 16);
	CHECK(head_of(&img)->max_steps <= 64);
	for (u32 i = 0; i < 65536; i++) {
		struct kt_flow f = { .version = 4, .proto = 6, .dport = (u16)i };

		CHECK_EQ(kt_classify(&img, &f, 0), i < 2 ? 1 : i + 1);
	}
	discard(&img);
	free(rules);
}

/* Rules that nothing can tell apart make one long bucket, and stay in order. */
static void t_identical(void)
{
	struct kt_rule *rules = rules_of(1000);
	struct kt_flow f = { .version = 4, .proto = 17, .dport = 53 };
	struct kt_image img;

	for (u32 i = 0; i < 1000; i++)
		rules[i].match = (struct kt_match){ .version = 4, .proto = 17, .dport_lo = 50, .dport_hi = 60 };
	compile(&img, rules, 1000, 3);
	for (u32 i = 0; i < 1000; i++)
		CHECK_EQ(kt_classify(&img, &f, i), i + 1);
	CHECK_EQ(kt_classify(&img, &f, 1000), 0);
	f.dport = 61;
	CHECK_EQ(kt_classify(&img, &f, 0), 0);
	discard(&img);
	free(rules);
}

/*
 * Rules with few address bits crowd behind a few ports: packets for other
 * networks must not have to compare them all.
 */
static void t_few_bits(void)
{
	static const u8 plens[] = { 0, 0, 9, 17, 22, 24, 24, 30, 32, 32 };
	u32 n = 24000, n_flows = 20000, steps = 0;
	struct kt_rule *rules = rules_of(n);
	struct kt_image img;
	u64 rng = 6;

	for (u32 i = 0; i < n; i++) {
		struct kt_match *m = &rules[i].match;
		u64 bits = kt_hash_next(&rng);

		*m = (struct kt_match){ .version = 4, .proto = 6 };
		m->src_plen = plens[gen_below(&rng, KT_ARRAY_LEN(plens))];
		m->dst_plen = plens[gen_below(&rng, KT_ARRAY_LEN(plens))];
		memcpy(m->src, &bits, 4);
		memcpy(m->dst, (u8 *)&bits + 4, 4);
		gen_trim(m->src, m->src_plen);
		gen_trim(m->dst, m->dst_plen);
		if (gen_below(&rng, 4) || m->src_plen + m->dst_plen < 20)
			m->dport_lo = (u16)(80 + gen_below(&rng, 10));
		if (m->src_plen + m->dst_plen < 12)
			m->dport_lo = (u16)(1 + gen_below(&rng, 65535));
		m->dport_hi = m->dport_lo;
	}
	compare(rules, n, 6, 300);
	compile(&img, rules, n, 6);
	for (u32 i = 0; i < n_flows; i++) {
		struct kt_flow f;

		gen_flow_in(&f, &rules[gen_below(&rng, n)].match, &rng);
		steps += steps_of(&img, &f, 0);
	}
	CHECK(steps < n_flows * 7 / 2);
	discard(&img);
	free(rules);
}

/* Interfaces and ethertypes are told apart by hash too. */
static void t_interfaces(void)
{
	struct kt_rule *rules = rules_of(4096);
	struct kt_image img;

	for (u32 i = 0; i < 4096; i++)
		rules[i].match = (struct kt_match){ .ifindex = 1 + i / 2, .ethertype = (u16)(0x800 + i % 2) };
	compile(&img, rules, 4096, 3);
	CHECK(head_of(&img)->max_steps <= 40);
	for (u32 i = 0; i < 4096; i++) {
		struct kt_flow f = { .ifindex = 1 + i / 2, .ethertype = (u16)(0x800 + i % 2) };

		CHECK_EQ(kt_classify(&img, &f, 0), i + 1);
		f.ethertype = 0x900;
		CHECK_EQ(kt_classify(&img, &f, 0), 0);
	}
	discard(&img);
	free(rules);
}

/* Memory stays within a few hundred bytes a rule, whatever the ranges. */
static void t_memory(void)
{
	struct kt_rule *rules = rules_of(100000);
	struct kt_image img;
	u64 rng = 1;

	for (u32 i = 0; i < 100000; i++) {
		struct kt_match *m = &rules[i].match;

		*m = (struct kt_match){ .version = 4, .src = { 10 }, .src_plen = 8, .proto = 6 };
		m->sport_lo = (u16)(1 + gen_below(&rng, 30000));
		m->sport_hi = (u16)(33000 + gen_below(&rng, 30000));
		m->dport_lo = (u16)(1 + gen_below(&rng, 30000));
		m->dport_hi = (u16)(33000 + gen_below(&rng, 30000));
	}
	compile(&img, rules, 100000, 3);
	CHECK(most_allocated < 100000 * (size_t)1000);
	discard(&img);
	free(rules);
}

static void t_out_of_memory(void)
{
	struct kt_rule *rules = rules_of(500);
	struct kt_image_key key;
	struct kt_image img;
	u64 rng = 4;
	int ret = -ENOMEM;

	make_key(&key, 4);
	for (u32 i = 0; i < 500; i++) {
		gen_match(&rules[i].match, &rng, 0);
		rules[i].match.src_plen = rules[i].match.dst_plen = 0;
		memset(rules[i].match.src, 0, sizeof(rules[i].match.src));
		memset(rules[i].match.dst, 0, sizeof(rules[i].match.dst));
	}
	for (int i = 0; ret; i++) {
		CHECK(i < 100);
		allocations_left = i;
		ret = kt_compile(&img, rules, 500, &key, &memory);
		allocations_left = -1;
		CHECK(!ret || ret == -ENOMEM);
		CHECK(!ret || !allocated);
	}
	discard(&img);
	CHECK_EQ(kt_compile(&img, rules, KT_MAX_RULES + 1, &key, &memory), -E2BIG);
	free(rules);
}

/* Whoever lends the memory gets the CPU back often, and its word ends the work wherever that is. */
static void t_pause(void)
{
	static const struct kt_memory kind = { .alloc = test_alloc, .free = test_free, .pause = test_pause };
	enum { N = 4500 };
	struct kt_rule *rules = rules_of(N);
	struct kt_image_key key;
	u64 rng = 5;

	make_key(&key, 5);
	for (u32 half = 0; half < 2; half++) {
		struct kt_image img = { 0 };
		u32 all;

		for (u32 i = 0; i < N; i++) {
			gen_match(&rules[i].match, &rng, 0);
			/* With nothing but ports the second half of them makes a table of pieces. */
			if (half)
				memset(&rules[i].match, 0, offsetof(struct kt_match, version));
		}
		pauses = last_pause = 0;
		CHECK_EQ(kt_compile(&img, rules, N, &key, &kind), 0);
		discard(&img);
		all = pauses;
		CHECK(all > 40);
		for (last_pause = 1; last_pause <= all;
		     last_pause += last_pause < 4 ? 1 : 1 + all / (1 + TEST_ROUNDS(4))) {
			struct kt_image none = { 0 };

			pauses = 0;
			CHECK_EQ(kt_compile(&none, rules, N, &key, &kind), -EINTR);
			CHECK_EQ(pauses, last_pause);
			CHECK(!allocated && !none.cells);
		}
	}
	free(rules);
}

TEST_MAIN(T(t_empty), T(t_match_all), T(t_random_sets), T(t_random_large), T(t_same_prefix), T(t_nested),
	  T(t_ports_only), T(t_identical), T(t_few_bits), T(t_interfaces), T(t_memory), T(t_out_of_memory), T(t_pause))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Percentiles against a sorted array, exactness of what is said to be exact, floods that fill a bucket. */
#include "core/histogram.h"
#include "core/hash.h"
#include "tests/test.h"

#define S64_LEAST (-0x7fffffffffffffffll - 1)
#define S64_MOST 0x7fffffffffffffffll

static struct kt_histogram h, g;

static int by_value(const void *a, const void *b)
{
	s64 x = *(const s64 *)a, y = *(const s64 *)b;

	return x < y ? -1 : x > y;
}

static void check_percentiles(s64 *values, u32 n)
{
	qsort(values, n, sizeof(*values), by_value);
	for (u32 permille = 0; permille <= 1000; permille++) {
		u32 rank = (u32)(((u64)n * permille + 999) / 1000);
		s64 want = values[rank ? rank - 1 : 0], got = kt_histogram_quantile(&h, permille);
		u64 off = got > want ? (u64)got - (u64)want : (u64)want - (u64)got;
		u64 size = want < 0 ? 0 - (u64)want : (u64)want;

		if (got < want || off > size / 125)
			TEST_FAIL("permille %u of %u values is %lld, not %lld", permille, n, (long long)got,
				  (long long)want);
	}
}

/* Values of every size and sign. */
static void t_percentiles(void)
{
	static s64 values[20000];
	static const u32 counts[] = { 1, 2, 3, 7, 999, 1000, 1001, 20000 };
	u64 seed = 1;

	for (u32 c = 0; c < KT_ARRAY_LEN(counts); c++) {
		s64 sum = 0;

		kt_histogram_init(&h);
		for (u32 i = 0; i < counts[c]; i++) {
			u32 shift = (u32)(kt_hash_next(&seed) % 48) + 15;

			values[i] = (s64)(kt_hash_next(&seed) >> shift) * (kt_hash_next(&seed) & 1 ? 1 : -1);
			kt_histogram_add(&h, values[i]);
			sum += values[i];
		}
		CHECK_EQ(h.n, counts[c]);
		CHECK_EQ(h.sum, sum);
		CHECK_EQ(kt_histogram_mean(&h), sum / counts[c]);
		check_percentiles(values, counts[c]);
		CHECK_EQ(h.min, values[0]);
		CHECK_EQ(h.max, values[counts[c] - 1]);
	}
}

static void t_small_values_are_exact(void)
{
	for (s64 v = -255; v <= 255; v++) {
		kt_histogram_init(&h);
		kt_histogram_add(&h, -1000);
		kt_histogram_add(&h, v);
		kt_histogram_add(&h, 1000);
		CHECK_EQ(kt_histogram_quantile(&h, 500), v);
	}
}

static void t_extremes(void)
{
	kt_histogram_init(&h);
	CHECK_EQ(kt_histogram_quantile(&h, 500), 0);
	CHECK_EQ(kt_histogram_mean(&h), 0);
	kt_histogram_add(&h, S64_LEAST);
	kt_histogram_add(&h, S64_LEAST);
	kt_histogram_add(&h, S64_LEAST + 1);
	CHECK_EQ(h.sum, S64_LEAST);
	CHECK_EQ(h.n_negative, 3);
	CHECK_EQ(kt_histogram_quantile(&h, 0), S64_LEAST);
	CHECK_EQ(kt_histogram_quantile(&h, 1000), S64_LEAST + 1);
	kt_histogram_init(&h);
	kt_histogram_add(&h, S64_MOST);
	kt_histogram_add(&h, S64_MOST);
	CHECK_EQ(h.sum, S64_MOST);
	CHECK_EQ(kt_histogram_mean(&h), S64_MOST / 2);
	kt_histogram_add(&h, 0);
	CHECK_EQ(kt_histogram_quantile(&h, 500), S64_MOST);
	for (int shift = 0; shift < 63; shift++) {
		s64 v = (s64)1 << shift;

		kt_histogram_init(&h);
		kt_histogram_add(&h, 0);
		kt_histogram_add(&h, v - 1);
		kt_histogram_add(&h, v);
		kt_histogram_add(&h, S64_MOST);
		CHECK(kt_histogram_quantile(&h, 500) >= v - 1);
		CHECK(kt_histogram_quantile(&h, 750) >= v);
		CHECK(kt_histogram_quantile(&h, 750) - v <= v / 128);
		CHECK_EQ(kt_histogram_quantile(&h, 500), v - 1); /* the last value of its bucket */
	}
}

static void t_merge_is_adding_all(void)
{
	static struct kt_histogram all;
	u64 seed = 2;

	kt_histogram_init(&h);
	kt_histogram_init(&g);
	kt_histogram_init(&all);
	kt_histogram_merge(&h, &g);
	CHECK_EQ(h.n, 0);
	for (u32 i = 0; i < 10000; i++) {
		s64 v = (s64)kt_hash_next(&seed) >> (kt_hash_next(&seed) % 60 + 4);

		kt_histogram_add(i % 3 ? &h : &g, v);
		kt_histogram_add(&all, v);
	}
	kt_histogram_merge(&h, &g);
	CHECK_MEM(&h, &all, sizeof(h));
	kt_histogram_init(&g);
	kt_histogram_merge(&g, &h);
	CHECK_MEM(&g, &all, sizeof(g));
}

/* What billions of equal values leave behind, without adding them one by one. */
static void make_full(struct kt_histogram *full)
{
	kt_histogram_init(full);
	kt_histogram_add(full, 100);
	kt_histogram_add(full, 200);
	kt_histogram_add(full, 250);
	full->up[100] = 0xffffffff;
	full->up[200] = 0x80000000;
	full->n = 0x17fffffffull;
}

static void t_full_bucket_keeps_the_shape(void)
{
	make_full(&h);
	kt_histogram_add(&h, 100);
	CHECK_EQ(h.scale, 1);
	CHECK_EQ(h.n, 0x180000000ull);
	CHECK_EQ(h.up[250], 1); /* what was seen once is still there */
	CHECK_EQ(kt_histogram_quantile(&h, 666), 100);
	CHECK_EQ(kt_histogram_quantile(&h, 667), 200);
	kt_histogram_add(&h, 5000000);
	CHECK_EQ(kt_histogram_quantile(&h, 999), 200);
	CHECK_EQ(kt_histogram_quantile(&h, 1000), 5000000);
	for (u32 i = 0, before = h.up[100]; i < 1000; i++) {
		kt_histogram_add(&h, 100);
		CHECK(h.up[100] - before == (i + 1) / 2 || h.up[100] - before == (i + 2) / 2);
	}
}

static void t_merge_of_full_ones(void)
{
	make_full(&h);
	make_full(&g);
	kt_histogram_merge(&h, &g);
	CHECK_EQ(h.scale, 2);
	CHECK_EQ(h.n, 0x2fffffffeull);
	CHECK_EQ(kt_histogram_quantile(&h, 666), 100);
	CHECK_EQ(kt_histogram_quantile(&h, 667), 200);
	kt_histogram_init(&g);
	kt_histogram_add(&g, -7);
	kt_histogram_merge(&g, &h);
	CHECK_EQ(g.scale, 2);
	CHECK_EQ(g.n, 0x2ffffffffull);
	CHECK_EQ(g.down[7], 1);
	CHECK_EQ(kt_histogram_quantile(&g, 0), -7);
	CHECK_EQ(kt_histogram_quantile(&g, 666), 100);
	kt_histogram_merge(&g, &h);
	CHECK_EQ(g.scale, 3);
	CHECK_EQ(g.n, 0x5fffffffdull);
	CHECK_EQ(kt_histogram_quantile(&g, 666), 100);
	CHECK_EQ(kt_histogram_quantile(&g, 667), 200);
}

static void t_at_most(void)
{
	kt_histogram_init(&h);
	CHECK_EQ(kt_histogram_at_most(&h, 5), 0);
	for (s64 v = -100; v <= 100; v++)
		kt_histogram_add(&h, v);
	kt_histogram_add(&h, 1000000);
	CHECK_EQ(kt_histogram_at_most(&h, -101), 0);
	CHECK_EQ(kt_histogram_at_most(&h, -100), 1);
	CHECK_EQ(kt_histogram_at_most(&h, -1), 100);
	CHECK_EQ(kt_histogram_at_most(&h, 0), 101);
	CHECK_EQ(kt_histogram_at_most(&h, 100), 201);
	CHECK_EQ(kt_histogram_at_most(&h, 900000), 201);
	CHECK_EQ(kt_histogram_at_most(&h, 1000000), 202);
}

TEST_MAIN(T(t_percentiles), T(t_small_values_are_exact), T(t_extremes), T(t_merge_is_adding_all),
	  T(t_full_bucket_keeps_the_shape), T(t_merge_of_full_ones), T(t_at_most))

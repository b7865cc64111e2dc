/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Pacing: exact times over long runs, and the exponential distribution against the formula. */
#include <math.h>

#include "core/hash.h"
#include "core/pace.h"
#include "tests/test.h"

static struct kt_pace p;

static void init(struct kt_pace_opts o)
{
	const char *why = NULL;

	CHECK_EQ(kt_pace_init(&p, &o, &why), 0);
	CHECK(!why);
}

static void t_refuses_nonsense(void)
{
	static const struct {
		struct kt_pace_opts o;
		const char *word;
	} t[] = {
		{ { .kind = KT_PACE_INTERVAL }, "interval" },
		{ { .kind = KT_PACE_INTERVAL, .interval_ns = KT_PACE_MAX_NS + 1 }, "interval" },
		{ { .kind = KT_PACE_POISSON }, "interval" },
		{ { .kind = KT_PACE_TRAIN, .train_pkts = 2 }, "interval" },
		{ { .kind = KT_PACE_RATE }, "rate" },
		{ { .kind = KT_PACE_RATE, .rate_num = 1ull << 63 }, "rate" },
		{ { .kind = KT_PACE_RATE, .rate_num = 1, .rate_den = 18446744074ull }, "denominator" },
		{ { .kind = KT_PACE_TRAIN, .interval_ns = 5 }, "train" },
		{ { .kind = KT_PACE_TRAIN, .interval_ns = 5, .train_pkts = 3, .gap_ns = 2 }, "train" },
		{ { .kind = KT_PACE_TRAIN, .interval_ns = 5, .train_pkts = 0xffffffff, .gap_ns = ~0ull }, "train" },
		{ { .kind = (enum kt_pace_kind)77 }, "kind" },
	};

	for (u32 i = 0; i < KT_ARRAY_LEN(t); i++) {
		const char *why = "";

		CHECK_EQ(kt_pace_init(&p, &t[i].o, &why), -EINVAL);
		CHECK(strstr(why, t[i].word));
		CHECK_EQ(kt_pace_init(&p, &t[i].o, NULL), -EINVAL);
	}
}

static void t_asap(void)
{
	init((struct kt_pace_opts){ .start_ns = 5 });
	for (int i = 0; i < 10; i++)
		CHECK_EQ(kt_pace_next(&p), 0);
	CHECK_EQ(p.n, 10);
}

static void t_interval(void)
{
	init((struct kt_pace_opts){ .kind = KT_PACE_INTERVAL, .start_ns = 7, .interval_ns = 333 });
	for (u64 i = 0; i < 1000; i++)
		CHECK_EQ(kt_pace_next(&p), 7 + i * 333);
}

static void t_rates_never_drift(void)
{
	static const struct {
		u64 num, den;
	} t[] = { { 1, 0 },	     { 3, 1 },		{ 7, 1 },	 { 1000000007, 1 },   { 1, 3 },
		  { 2, 7 },	     { 30, 1 },		{ 14880952, 1 }, { 1488095238, 100 }, { 999999999, 1 },
		  { 3000000000, 1 }, { 1ull << 62, 1 }, { 44100, 1001 } };

	for (u32 i = 0; i < KT_ARRAY_LEN(t); i++) {
		u64 num = t[i].num, den = t[i].den ? t[i].den : 1;

		init((struct kt_pace_opts){
			.kind = KT_PACE_RATE, .start_ns = 11, .rate_num = t[i].num, .rate_den = t[i].den });
		for (u64 n = 0; n < 100000; n++)
			CHECK_EQ(kt_pace_next(&p), 11 + n * KT_NSEC_PER_SEC * den / num);
	}
}

static void t_trains(void)
{
	init((struct kt_pace_opts){
		.kind = KT_PACE_TRAIN, .start_ns = 100, .interval_ns = 1000, .train_pkts = 3, .gap_ns = 10 });
	for (u64 i = 0; i < 300; i++)
		CHECK_EQ(kt_pace_next(&p), 100 + i / 3 * 1000 + i % 3 * 10);
	init((struct kt_pace_opts){ .kind = KT_PACE_TRAIN, .interval_ns = 1, .train_pkts = 2 });
	for (u64 i = 0; i < 300; i++)
		CHECK_EQ(kt_pace_next(&p), i / 2);
}

static void t_time_ends_and_does_not_wrap(void)
{
	static const struct kt_pace_opts t[] = {
		{ .kind = KT_PACE_INTERVAL, .interval_ns = KT_PACE_MAX_NS },
		{ .kind = KT_PACE_RATE, .rate_num = 1, .rate_den = 18446744073ull },
		{ .kind = KT_PACE_POISSON, .interval_ns = KT_PACE_MAX_NS },
		{ .kind = KT_PACE_TRAIN, .interval_ns = KT_PACE_MAX_NS, .train_pkts = 2, .gap_ns = 1000 },
	};

	for (u32 i = 0; i < KT_ARRAY_LEN(t); i++) {
		struct kt_pace_opts o = t[i];
		u64 last = 0;

		o.start_ns = ~0ull - KT_PACE_MAX_NS * 3;
		init(o);
		for (int n = 0; n < 1000; n++) {
			u64 now = kt_pace_next(&p);

			CHECK(now >= last);
			last = now;
		}
		CHECK_EQ(last, ~0ull);
	}
}

static void t_poisson_repeats_with_its_seed(void)
{
	u64 first[100], differ = 0;
	struct kt_pace_opts o = { .kind = KT_PACE_POISSON, .start_ns = 1, .interval_ns = 1000000, .seed = 42 };

	init(o);
	for (int i = 0; i < 100; i++)
		first[i] = kt_pace_next(&p);
	CHECK_EQ(first[0], 1);
	init(o);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(kt_pace_next(&p), first[i]);
	o.seed = 43;
	init(o);
	for (int i = 0; i < 100; i++)
		differ += kt_pace_next(&p) != first[i];
	CHECK(differ > 90);
}

/* The state whose next random bits are these: splitmix64 backwards. */
static u64 state_before(u64 bits)
{
	bits = (bits ^ bits >> 31 ^ bits >> 62) * 0x319642b2d24d8ec3ull;
	bits = (bits ^ bits >> 27 ^ bits >> 54) * 0x96de1b173f119089ull;
	return (bits ^ bits >> 30 ^ bits >> 60) - 0x9e3779b97f4a7c15ull;
}

/* Against libm, for random bits of every magnitude. */
static void t_exponential_is_accurate(void)
{
	u64 rng = 9, mean = 1ull << 56;
	double worst = 0;

	for (int i = 0; i < 200000; i++) {
		u64 bits = kt_hash_next(&rng) >> i % 48, state = state_before(bits);
		double want = -log((double)bits * 0x1p-64);
		double got = (double)kt_pace_exponential(&state, mean) / (double)mean;

		worst = fmax(worst, fabs(got - want));
	}
	if (worst > 4e-9)
		TEST_FAIL("worst error %g", worst);
}

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* Kolmogorov and Smirnov: the largest distance of the empirical from the true distribution. */
static void t_exponential_is_exponential(void)
{
	enum { N = 200000 };
	static u64 v[N];
	static const u64 means[] = { 1000, 1000000, 123456789012ull };

	for (u32 m = 0; m < KT_ARRAY_LEN(means); m++) {
		u64 rng = 1234 + m;
		double sum = 0, squares = 0, distance = 0, mean = (double)means[m];

		for (int i = 0; i < N; i++) {
			double x;

			v[i] = kt_pace_exponential(&rng, means[m]);
			x = (double)v[i] / mean;
			sum += x;
			squares += x * x;
		}
		qsort(v, N, sizeof(v[0]), by_value);
		for (int i = 0; i < N; i++) {
			/* Values are rounded, so the step is half a ns on. */
			double f = 1 - exp(-((double)v[i] + 0.5) / mean);

			if (i + 1 < N && v[i + 1] == v[i])
				continue;
			distance = fmax(distance, fabs(f - (i + 1.0) / N));
		}
		/* 1.63 / sqrt(N) is the 1 % point; the seed is fixed, so this passes always or never. */
		CHECK(distance < 1.63 / sqrt(N));
		CHECK(fabs(sum / N - 1) < 4 / sqrt(N));
		CHECK(fabs(squares / N - 2) < 4 * sqrt(20.0 / N));
	}
}

static void t_exponential_ends(void)
{
	static const u64 bits[] = { 0, 1, 2, 3, 0xffffffff, 1ull << 63, ~0ull - 1, ~0ull };

	for (u32 i = 0; i < KT_ARRAY_LEN(bits); i++) {
		static const u64 means[] = { 0, 1, 2, 1000000000, KT_PACE_MAX_NS };
		u64 rng;

		for (u32 m = 0; m < KT_ARRAY_LEN(means); m++) {
			rng = state_before(bits[i]);
			CHECK(kt_pace_exponential(&rng, means[m]) <= 46 * means[m]);
		}
		/* Absurd means are clamped and do not overflow. */
		rng = state_before(bits[i]);
		CHECK(kt_pace_exponential(&rng, ~0ull) <= 46 * KT_PACE_MAX_NS);
	}
	CHECK_EQ(kt_hash_next(&(u64){ state_before(12345) }), 12345);
}

TEST_MAIN(T(t_refuses_nonsense), T(t_asap), T(t_interval), T(t_rates_never_drift), T(t_trains),
	  T(t_time_ends_and_does_not_wrap), T(t_poisson_repeats_with_its_seed), T(t_exponential_is_accurate),
	  T(t_exponential_is_exponential), T(t_exponential_ends))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The log-linear histogram. A bucket counts up to 2^32 - 1; when one is full
 * all are halved and from then on stand for 2^scale values each, so that floods
 * of any length keep their shape.
 */
#include "histogram.h"

#define SUB_BITS KT_HISTOGRAM_SUB_BITS
#define FULL 0xffffffffu
#define S64_LARGEST 0x7fffffffffffffffll

static inline u64 magnitude(s64 v)
{
	return v < 0 ? 0 - (u64)v : (u64)v;
}

/* Values below 2^(SUB_BITS + 1) have a bucket each. The magnitude of the least s64 shares the last bucket. */
static inline u32 bucket_of(u64 v)
{
	u32 shift;

	if (v < 1u << SUB_BITS)
		return (u32)v;
	if (v >> 63)
		v = ~0ull >> 1;
	shift = 63 - (u32)__builtin_clzll(v) - SUB_BITS;
	return (shift << SUB_BITS) + (u32)(v >> shift);
}

/* The least magnitude that the bucket counts. */
static u64 bucket_low(u32 i)
{
	u32 shift = i >> SUB_BITS;

	if (shift < 2)
		return i;
	shift--;
	return (u64)(i - (shift << SUB_BITS)) << shift;
}

static u64 bucket_high(u32 i)
{
	return i + 1 < KT_HISTOGRAM_BUCKETS ? bucket_low(i + 1) - 1 : ~0ull >> 1;
}

static s64 add_saturated(s64 a, s64 b)
{
	s64 sum;

	if (__builtin_add_overflow(a, b, &sum))
		return b < 0 ? -S64_LARGEST - 1 : S64_LARGEST;
	return sum;
}

/* Rounds up: what was seen once must not vanish from the tail. */
static void halve(struct kt_histogram *h)
{
	for (u32 i = 0; i < KT_HISTOGRAM_BUCKETS; i++) {
		h->up[i] = h->up[i] / 2 + (h->up[i] & 1);
		h->down[i] = h->down[i] / 2 + (h->down[i] & 1);
	}
	h->scale++;
}

void kt_histogram_init(struct kt_histogram *h)
{
	memset(h, 0, sizeof(*h));
}

void kt_histogram_add(struct kt_histogram *h, s64 value)
{
	u32 *bucket = value < 0 ? &h->down[bucket_of(magnitude(value))] : &h->up[bucket_of((u64)value)];

	if (!h->n || value < h->min)
		h->min = value;
	if (!h->n || value > h->max)
		h->max = value;
	h->n++;
	h->n_negative += value < 0;
	h->sum = add_saturated(h->sum, value);
	if (KT_UNLIKELY(*bucket == FULL))
		halve(h);
	/* Of a scaled histogram every 2^scale-th value counts; a first one always does. */
	if (KT_LIKELY(!(h->n & ((1ull << h->scale) - 1))) || !*bucket)
		++*bucket;
}

static void add_buckets(u32 *to, const u32 *from, u32 shift)
{
	for (u32 i = 0; i < KT_HISTOGRAM_BUCKETS; i++) {
		u64 v = ((u64)from[i] + (1ull << shift) - 1) >> shift;

		to[i] += (u32)v;
	}
}

/* Would adding other, scaled down by shift, fill a bucket? */
static bool overflows(const u32 *to, const u32 *from, u32 shift)
{
	for (u32 i = 0; i < KT_HISTOGRAM_BUCKETS; i++)
		if (to[i] + (((u64)from[i] + (1ull << shift) - 1) >> shift) > FULL)
			return true;
	return false;
}

void kt_histogram_merge(struct kt_histogram *h, const struct kt_histogram *other)
{
	if (!other->n)
		return;
	if (!h->n || other->min < h->min)
		h->min = other->min;
	if (!h->n || other->max > h->max)
		h->max = other->max;
	h->n += other->n;
	h->n_negative += other->n_negative;
	h->sum = add_saturated(h->sum, other->sum);
	while (h->scale < other->scale)
		halve(h);
	while (overflows(h->up, other->up, h->scale - other->scale) ||
	       overflows(h->down, other->down, h->scale - other->scale))
		halve(h);
	add_buckets(h->up, other->up, h->scale - other->scale);
	add_buckets(h->down, other->down, h->scale - other->scale);
}

/* The rank-th smallest counted value, by its bucket's upper end. */
static s64 value_at(const struct kt_histogram *h, u64 rank)
{
	u64 seen = 0;

	for (u32 i = KT_HISTOGRAM_BUCKETS; i-- > 0;) {
		seen += h->down[i];
		if (seen >= rank)
			return -(s64)bucket_low(i);
	}
	for (u32 i = 0; i < KT_HISTOGRAM_BUCKETS; i++) {
		seen += h->up[i];
		if (seen >= rank)
			return (s64)bucket_high(i);
	}
	return h->max;
}

s64 kt_histogram_quantile(const struct kt_histogram *h, u32 permille)
{
	u64 counted = 0, rank, rem;
	s64 v;

	if (!h->n)
		return 0;
	if (permille >= 1000)
		return h->max;
	for (u32 i = 0; i < KT_HISTOGRAM_BUCKETS; i++)
		counted += (u64)h->up[i] + h->down[i];
	rank = kt_div_rem(counted, 1000, &rem) * permille;
	rank += kt_div(rem * permille + 999, 1000);
	if (rank <= 1)
		return h->min;
	v = value_at(h, rank);
	return v < h->min ? h->min : v > h->max ? h->max : v;
}

s64 kt_histogram_mean(const struct kt_histogram *h)
{
	u64 mean;

	if (!h->n)
		return 0;
	mean = kt_div(magnitude(h->sum), h->n);
	return h->sum < 0 ? -(s64)mean : (s64)mean;
}

u64 kt_histogram_at_most(const struct kt_histogram *h, s64 value)
{
	u64 n = 0;

	if (!h->n || value >= h->max)
		return h->n;
	for (u32 i = 0; i < KT_HISTOGRAM_BUCKETS; i++) {
		if (-(s64)bucket_low(i) <= value)
			n += h->down[i];
		if ((s64)bucket_high(i) <= value)
			n += h->up[i];
	}
	n <<= h->scale;
	return n < h->n ? n : h->n;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A histogram of signed ns values, log-linear with 128 steps per power of
 * two: a percentile is at most 0.8 % off, minimum, maximum, count and sum are exact.
 * About 60 KiB, no allocation; two of them can be added.
 */
#ifndef KT_HISTOGRAM_H
#define KT_HISTOGRAM_H

#include "env.h"

#define KT_HISTOGRAM_SUB_BITS 7
#define KT_HISTOGRAM_BUCKETS ((64 - KT_HISTOGRAM_SUB_BITS) << KT_HISTOGRAM_SUB_BITS)

struct kt_histogram {
	u64 n;
	u64 n_negative;
	s64 min;
	s64 max;
	s64 sum; /* saturates */
	u32 scale; /* an entry of up and down stands for 2^scale values; 0 until one of them was full */
	u32 reserved;
	u32 up[KT_HISTOGRAM_BUCKETS]; /* values >= 0 */
	u32 down[KT_HISTOGRAM_BUCKETS]; /* values < 0, by magnitude */
};

void kt_histogram_init(struct kt_histogram *h);
void kt_histogram_add(struct kt_histogram *h, s64 value);
void kt_histogram_merge(struct kt_histogram *h, const struct kt_histogram *other);

/*
 * Value at or below which permille / 1000 of all values lie (nearest rank).
 * 0 gives the minimum, 1000 the maximum; of an empty histogram all are 0.
 */
s64 kt_histogram_quantile(const struct kt_histogram *h, u32 permille);
s64 kt_histogram_mean(const struct kt_histogram *h);
/* How many values are at or below value, as far as the steps tell: a step that value cuts does not count. */
u64 kt_histogram_at_most(const struct kt_histogram *h, s64 value);

#endif

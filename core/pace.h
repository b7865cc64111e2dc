/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Pacing: launch times as a pure function of the position in the stream.
 * Absolute and exact: the n-th time of a rate is start + floor(n * 10^9 /
 * rate), never a chain of rounded gaps. Poisson gaps are drawn with integer
 * arithmetic from a seed, so a run can be repeated bit by bit.
 */
#ifndef KT_PACE_H
#define KT_PACE_H

#include "env.h"

#define KT_PACE_MAX_NS (1ull << 57) /* longest interval or mean, some 4.5 years, so that no sum overflows */

enum kt_pace_kind {
	KT_PACE_ASAP = 0, /* every time is 0: at once */
	KT_PACE_INTERVAL, /* every interval_ns */
	KT_PACE_RATE, /* rate_num / rate_den packets a second */
	KT_PACE_POISSON, /* exponential gaps with mean interval_ns (RFC 2330 section 11.1.1) */
	KT_PACE_TRAIN, /* train_pkts packets, gap_ns apart, every interval_ns */
};

struct kt_pace_opts {
	enum kt_pace_kind kind;
	u64 start_ns; /* first launch */
	u64 interval_ns;
	u64 rate_num;
	u64 rate_den; /* 0: 1 */
	u64 seed; /* Poisson */
	u32 train_pkts;
	u64 gap_ns; /* 0: back-to-back, equal launch times */
};

struct kt_pace {
	struct kt_pace_opts o;
	u64 n; /* packets so far */
	u64 next_ns; /* train: when it begins */
	u64 frac; /* remainder of the rate division, in 1/rate_num ns */
	u64 step_ns;
	u64 step_rem;
	u64 rng;
};

/* 0, or -EINVAL with *why a constant sentence. */
int kt_pace_init(struct kt_pace *p, const struct kt_pace_opts *o, const char **why);

/* Launch time of the next packet. Stays at the end of time (2^64 - 1) once it is there. */
u64 kt_pace_next(struct kt_pace *p);

/* An exponential variate with the given mean (at most KT_PACE_MAX_NS), rounded to ns, from the stream *rng. Below 46 means. */
u64 kt_pace_exponential(u64 *rng, u64 mean_ns);

#endif

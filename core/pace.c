/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Pacing, as core/pace.h describes it, and the exponential distribution in
 * integers.
 */
#include "pace.h"

#include "hash.h"

#define ONE (1ull << 32) /* 1 in the fixed point of this file */
#define LN2 2977044472ull /* ln(2) */

/* A stream that reaches the end of time stays there. */
static u64 add_sat(u64 a, u64 b)
{
	return a + b < a ? ~0ull : a + b;
}

/*
 * -ln(x / 2^64), with the upper 33 significant bits of x, absolute error below
 * 2^-27: halvings, and twice the area tangent of (1 - m) / (1 + m).
 */
static u64 minus_ln(u64 x)
{
	/* 1 / (2 i + 1), highest term first; the next would add less than 2^-34, as s <= 1/3. */
	static const u32 odd[] = { (u32)(ONE / 19), (u32)(ONE / 17), (u32)(ONE / 15), (u32)(ONE / 13), (u32)(ONE / 11),
				   (u32)(ONE / 9),  (u32)(ONE / 7),  (u32)(ONE / 5),  (u32)(ONE / 3) };
	u32 halvings;
	u64 m, s, s2, sum = 0;

	if (!x)
		return 64 * LN2;
	halvings = (u32)__builtin_clzll(x);
	m = ((x << halvings) >> 32) * 2 + 1; /* 2^33 is 1: from 1/2 to 1, both excluded */
	s = kt_div((2 * ONE - m) << 32, 2 * ONE + m);
	s2 = (s * s) >> 32;
	for (u32 i = 0; i < KT_ARRAY_LEN(odd); i++)
		sum = ((sum + odd[i]) * s2) >> 32;
	return halvings * LN2 + 2 * (s + ((sum * s) >> 32));
}

u64 kt_pace_exponential(u64 *rng, u64 mean_ns)
{
	u64 l = minus_ln(kt_hash_next(rng)), whole = l >> 32, part = l & (ONE - 1);
	u64 low;

	if (mean_ns > KT_PACE_MAX_NS)
		mean_ns = KT_PACE_MAX_NS;
	low = (mean_ns & (ONE - 1)) * part;
	/* mean * l / 2^32, rounded, in pieces that fit 64 bits */
	return mean_ns * whole + (mean_ns >> 32) * part + (low >> 32) + ((low >> 31) & 1);
}

static const char *why_not(const struct kt_pace_opts *o)
{
	bool has_interval = o->kind == KT_PACE_INTERVAL || o->kind == KT_PACE_POISSON || o->kind == KT_PACE_TRAIN;

	if (has_interval && (!o->interval_ns || o->interval_ns > KT_PACE_MAX_NS))
		return "the interval must be from 1 ns to 2^57 ns";
	if (o->kind == KT_PACE_RATE && (!o->rate_num || o->rate_num > 1ull << 62))
		return "the rate must be above 0 and its numerator at most 2^62";
	if (o->kind == KT_PACE_RATE && o->rate_den > ~0ull / KT_NSEC_PER_SEC)
		return "the rate's denominator must be at most 18446744073";
	if (o->kind == KT_PACE_TRAIN && !o->train_pkts)
		return "a train needs at least one packet";
	if (o->kind == KT_PACE_TRAIN && o->gap_ns > kt_div(o->interval_ns, o->train_pkts))
		return "a train must end before the next begins: packets times gap is more than the interval";
	return o->kind > KT_PACE_TRAIN ? "no such kind of pacing" : NULL;
}

int kt_pace_init(struct kt_pace *p, const struct kt_pace_opts *o, const char **why)
{
	const char *bad = why_not(o);

	memset(p, 0, sizeof(*p));
	if (bad) {
		if (why)
			*why = bad;
		return -EINVAL;
	}
	p->o = *o;
	p->rng = o->seed;
	p->next_ns = o->start_ns;
	if (o->kind == KT_PACE_RATE)
		p->step_ns = kt_div_rem(KT_NSEC_PER_SEC * (o->rate_den ? o->rate_den : 1), o->rate_num, &p->step_rem);
	return 0;
}

/* From the packet just launched to the one behind it, where the gap is not 0. */
static u64 gap(struct kt_pace *p)
{
	switch (p->o.kind) {
	case KT_PACE_INTERVAL:
		return p->o.interval_ns;
	case KT_PACE_POISSON:
		return kt_pace_exponential(&p->rng, p->o.interval_ns);
	case KT_PACE_RATE:
		p->frac += p->step_rem;
		if (p->frac < p->o.rate_num)
			return p->step_ns;
		p->frac -= p->o.rate_num;
		return add_sat(p->step_ns, 1);
	default:
		return 0;
	}
}

static u64 next_of_train(struct kt_pace *p)
{
	u64 car;

	kt_div_rem(p->n++, p->o.train_pkts, &car);
	if (car == 0 && p->n > 1)
		p->next_ns = add_sat(p->next_ns, p->o.interval_ns);
	return add_sat(p->next_ns, car * p->o.gap_ns);
}

u64 kt_pace_next(struct kt_pace *p)
{
	u64 now = p->next_ns;

	if (p->o.kind == KT_PACE_ASAP) {
		p->n++;
		return 0;
	}
	if (p->o.kind == KT_PACE_TRAIN)
		return next_of_train(p);
	p->n++;
	p->next_ns = add_sat(now, gap(p));
	return now;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Sets of addresses as sorted, disjoint intervals: what remains of a target
 * list when everything denied has been taken out. Memory follows the number
 * of lines in the lists, not the number of addresses.
 */
#ifndef KT_INTERVAL_H
#define KT_INTERVAL_H

#include "../core/env.h"

/* An address as a number: IPv4 in lo alone. */
struct kt_u128 {
	u64 hi;
	u64 lo;
};

/* first .. last, both included. */
struct kt_interval {
	struct kt_u128 first;
	struct kt_u128 last;
	u8 version; /* 4 or 6 */
};

struct kt_intervals {
	struct kt_interval *v;
	size_t n;
	size_t cap;
};

static inline int kt_u128_compare(struct kt_u128 a, struct kt_u128 b)
{
	if (a.hi != b.hi)
		return a.hi < b.hi ? -1 : 1;
	return a.lo < b.lo ? -1 : a.lo > b.lo;
}

static inline struct kt_u128 kt_u128_add(struct kt_u128 a, u64 b)
{
	struct kt_u128 r = { a.hi, a.lo + b };

	r.hi += r.lo < b;
	return r;
}

static inline struct kt_u128 kt_u128_sub(struct kt_u128 a, struct kt_u128 b)
{
	return (struct kt_u128){ a.hi - b.hi - (a.lo < b.lo), a.lo - b.lo };
}

/* 0 or -ENOMEM. */
int kt_intervals_add(struct kt_intervals *s, const struct kt_interval *i);
void kt_intervals_free(struct kt_intervals *s);

/* Sorts by version and address and joins what overlaps or touches. The next two want both sets so. */
void kt_intervals_normalize(struct kt_intervals *s);

/* a becomes a without b, or what a and b have in common. 0 or -ENOMEM (a is unchanged). */
int kt_intervals_subtract(struct kt_intervals *a, const struct kt_intervals *b);
int kt_intervals_intersect(struct kt_intervals *a, const struct kt_intervals *b);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Interval sets: union by sorting, difference and intersection by one merge pass. */
#include <stdlib.h>

#include "interval.h"

int kt_intervals_add(struct kt_intervals *s, const struct kt_interval *i)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 16;
		struct kt_interval *v = realloc(s->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = *i;
	return 0;
}

void kt_intervals_free(struct kt_intervals *s)
{
	free(s->v);
	memset(s, 0, sizeof(*s));
}

static int by_first(const void *a, const void *b)
{
	const struct kt_interval *x = a, *y = b;

	if (x->version != y->version)
		return x->version - y->version;
	return kt_u128_compare(x->first, y->first);
}

static bool is_end(struct kt_u128 a)
{
	return a.hi == UINT64_MAX && a.lo == UINT64_MAX;
}

void kt_intervals_normalize(struct kt_intervals *s)
{
	size_t out = 0;

	if (!s->n)
		return;
	qsort(s->v, s->n, sizeof(*s->v), by_first);
	for (size_t i = 1; i < s->n; i++) {
		struct kt_interval *top = &s->v[out];
		const struct kt_interval *next = &s->v[i];

		if (next->version == top->version &&
		    (is_end(top->last) || kt_u128_compare(next->first, kt_u128_add(top->last, 1)) <= 0)) {
			if (kt_u128_compare(next->last, top->last) > 0)
				top->last = next->last;
		} else {
			s->v[++out] = *next;
		}
	}
	s->n = out + 1;
}

/* Does x lie wholly before y? */
static bool is_before(const struct kt_interval *x, const struct kt_interval *y)
{
	if (x->version != y->version)
		return x->version < y->version;
	return kt_u128_compare(x->last, y->first) < 0;
}

int kt_intervals_subtract(struct kt_intervals *a, const struct kt_intervals *b)
{
	struct kt_intervals out = { 0 };
	size_t j = 0;

	for (size_t i = 0; i < a->n; i++) {
		struct kt_interval rest = a->v[i];
		bool left = true;

		while (j < b->n && is_before(&b->v[j], &rest))
			j++;
		/* b[k] may reach into the next a as well, so j stays where it is. */
		for (size_t k = j; left && k < b->n && !is_before(&rest, &b->v[k]); k++) {
			const struct kt_interval *cut = &b->v[k];

			if (kt_u128_compare(cut->first, rest.first) > 0) {
				struct kt_interval head = rest;

				head.last = kt_u128_sub(cut->first, (struct kt_u128){ 0, 1 });
				if (kt_intervals_add(&out, &head))
					goto err_memory;
			}
			if (kt_u128_compare(cut->last, rest.last) >= 0)
				left = false;
			else
				rest.first = kt_u128_add(cut->last, 1);
		}
		if (left && kt_intervals_add(&out, &rest))
			goto err_memory;
	}
	kt_intervals_free(a);
	*a = out;
	return 0;
err_memory:
	kt_intervals_free(&out);
	return -ENOMEM;
}

int kt_intervals_intersect(struct kt_intervals *a, const struct kt_intervals *b)
{
	struct kt_intervals out = { 0 };
	size_t i = 0, j = 0;

	while (i < a->n && j < b->n) {
		const struct kt_interval *x = &a->v[i], *y = &b->v[j];
		struct kt_interval common = *x;

		if (is_before(x, y)) {
			i++;
			continue;
		}
		if (is_before(y, x)) {
			j++;
			continue;
		}
		if (kt_u128_compare(y->first, common.first) > 0)
			common.first = y->first;
		if (kt_u128_compare(y->last, common.last) < 0)
			common.last = y->last;
		if (kt_intervals_add(&out, &common)) {
			kt_intervals_free(&out);
			return -ENOMEM;
		}
		if (kt_u128_compare(x->last, y->last) < 0)
			i++;
		else
			j++;
	}
	kt_intervals_free(a);
	*a = out;
	return 0;
}

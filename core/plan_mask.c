/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which mask is worth a table? Candidates are all combinations of a few
 * levels in each dimension; the levels follow the rules that are left, so
 * that what a coarse mask refuses (many rules behind one short prefix) is
 * offered finer ones. How many rules a mask can serve at most is known from
 * sums over the grid of levels; only the most promising are tried on the rules
 * themselves, and compared by what they take for what they cost a packet.
 */
#include "plan.h"

#define WORTH_FIRST 16u /* of a rule that has a key of its own */
#define SCALE 1024u
#define HOT 2u /* packets of the sample that halve what may share their key */
#define SLACK 48u /* part of a score that a coarser mask may lose: it leaves fewer rules behind */
#define MIN_LIMIT 2u
#define MIN_COST 70u /* in tenths of a nanosecond */
#define PASS_COST 100u
#define ENTRY_COST 30u

static u32 prefix_mask(u32 plen)
{
	return plen ? 0xffffffffu << (32 - plen) : 0;
}

void kt_tuple_mask(struct kt_words *mask, const struct kt_tuple *t, u32 class)
{
	memset(mask, 0, sizeof(*mask));
	for (u32 i = 0; i < (class == KT_CLASS_V6 ? 4u : 1u); i++) {
		u32 src = t->d[KT_DIM_SRC] > 32 * i ? t->d[KT_DIM_SRC] - 32 * i : 0;
		u32 dst = t->d[KT_DIM_DST] > 32 * i ? t->d[KT_DIM_DST] - 32 * i : 0;

		mask->src[i] = prefix_mask(src < 32 ? src : 32);
		mask->dst[i] = prefix_mask(dst < 32 ? dst : 32);
	}
	mask->ports = prefix_mask(t->d[KT_DIM_SPORT]) | prefix_mask(t->d[KT_DIM_DPORT]) >> 16;
	mask->kind = (t->d[KT_DIM_PROTO] ? 0xffffu : 0) | (t->d[KT_DIM_ETHERTYPE] ? 0xffff0000u : 0);
	mask->ifindex = t->d[KT_DIM_IFINDEX] ? 0xffffffffu : 0;
}

static u32 random_in(u64 *rng, u32 lo, u32 hi)
{
	return lo + (u32)((kt_hash_next(rng) >> 32) * (hi - lo + 1) >> 32);
}

void kt_plan_sample(struct kt_plan_work *w)
{
	const struct kt_plan *p = w->plan;
	u32 n = p->n_items < KT_PLAN_SAMPLE ? p->n_items : KT_PLAN_SAMPLE;
	u64 rng = p->key->spread;

	for (u32 i = 0; i < n; i++) {
		const struct kt_item *it = &p->items[kt_div((u64)i * p->n_items, n)];
		struct kt_words *s = &w->sample[i], mask;

		kt_tuple_mask(&mask, &it->tuple, p->class);
		*s = it->v;
		for (u32 j = 0; j < (p->class == KT_CLASS_V6 ? 4u : p->class == KT_CLASS_V4 ? 1u : 0u); j++) {
			s->src[j] |= (u32)kt_hash_next(&rng) & ~mask.src[j];
			s->dst[j] |= (u32)kt_hash_next(&rng) & ~mask.dst[j];
		}
		s->ports = random_in(&rng, it->v.ports >> 16, it->sport_hi) << 16 |
			   random_in(&rng, it->v.ports & 0xffff, it->dport_hi);
		if (!(s->kind & 0xffff))
			s->kind |= KT_PROTO_TCP;
	}
	w->n_sample = n;
}

/* Levels of one dimension: the values that occur, the rarest joined to those below until there are few enough. */
static void choose_levels(struct kt_plan_work *w, u32 dim)
{
	u32 max = dim < KT_DIM_SPORT ? KT_PLAN_ADDR_LEVELS : dim < KT_DIM_PROTO ? KT_PLAN_PORT_LEVELS : 2;
	u32 count[129] = { 0 }, n = 0, next = 0;
	u8 values[129];

	for (u32 i = 0; i < w->n_left && !kt_breath_ended(w->plan->breath, i); i++)
		count[w->plan->items[w->left[i]].tuple.d[dim]]++;
	for (u32 v = 0; v < 129; v++) {
		if (count[v])
			values[n++] = (u8)v;
	}
	while (n > max) {
		u32 rarest = 1;

		for (u32 i = 2; i < n; i++) {
			if (count[values[i]] < count[values[rarest]])
				rarest = i;
		}
		count[values[rarest - 1]] += count[values[rarest]];
		n--;
		for (u32 i = rarest; i < n; i++)
			values[i] = values[i + 1];
	}
	w->n_levels[dim] = n;
	for (u32 i = 0; i < n; i++)
		w->level[dim][i] = values[i];
	for (u32 v = 0; v < 129; v++) {
		while (next + 1 < n && values[next + 1] <= v)
			next++;
		w->level_of[dim][v] = (u8)next;
	}
}

static struct kt_tuple tuple_at(const struct kt_plan_work *w, u32 at)
{
	struct kt_tuple t;

	for (u32 i = 0; i < KT_N_DIMS; i++)
		t.d[i] = w->level[i][at / w->stride[i] % w->n_levels[i]];
	return t;
}

/* How many of the items left does each mask of the grid serve? */
static void sum_grid(struct kt_plan_work *w)
{
	w->n_grid = 1;
	for (u32 i = 0; i < KT_N_DIMS; i++) {
		choose_levels(w, i);
		w->stride[i] = w->n_grid;
		w->n_grid *= w->n_levels[i];
	}
	memset(w->serves, 0, w->n_grid * sizeof(w->serves[0]));
	for (u32 i = 0; i < w->n_left && !kt_breath_ended(w->plan->breath, i); i++) {
		const struct kt_tuple *t = &w->plan->items[w->left[i]].tuple;
		u32 at = 0;

		for (u32 j = 0; j < KT_N_DIMS; j++)
			at += w->level_of[j][t->d[j]] * w->stride[j];
		w->serves[at]++;
	}
	for (u32 j = 0; j < KT_N_DIMS; j++) {
		for (u32 at = w->n_grid; at-- > 0;) {
			if (at / w->stride[j] % w->n_levels[j] + 1 < w->n_levels[j])
				w->serves[at] += w->serves[at + w->stride[j]];
		}
	}
}

void kt_plan_set_limit(struct kt_plan_work *w, u32 limit)
{
	for (u32 i = 0; i < 256; i++) {
		u32 l = limit == KT_PLAN_NO_LIMIT ? limit : limit * HOT / (HOT + i);

		w->limits[i] = (u8)(l < MIN_LIMIT ? MIN_LIMIT : l);
	}
}

/* What one more rule of a key is worth. */
static u32 worth(const struct kt_plan_work *w, const struct kt_plan_key *k)
{
	u32 limit = w->limits[k->traffic];

	return k->n_rules < limit ? WORTH_FIRST * (limit - k->n_rules) / limit : 0;
}

u32 kt_tuple_bits(const struct kt_tuple *t)
{
	return (u32)t->d[KT_DIM_SRC] + t->d[KT_DIM_DST] + t->d[KT_DIM_SPORT] + t->d[KT_DIM_DPORT] +
	       8 * t->d[KT_DIM_PROTO] + 16 * t->d[KT_DIM_ETHERTYPE] + 32 * t->d[KT_DIM_IFINDEX];
}

/* The most that each mask can score; 0 for those that a longer one replaces without loss. */
static void bound_grid(struct kt_plan_work *w)
{
	w->n_open = 0;
	for (u32 at = 0; at < w->n_grid; at++) {
		u64 bound = (u64)w->serves[at] * WORTH_FIRST;
		struct kt_tuple t;
		u32 bits;

		for (u32 j = 0; bound && j < KT_N_DIMS; j++) {
			if (at / w->stride[j] % w->n_levels[j] + 1 < w->n_levels[j] &&
			    w->serves[at + w->stride[j]] == w->serves[at])
				bound = 0;
		}
		w->bound[at] = bound;
		if (!bound)
			continue;
		t = tuple_at(w, at);
		bits = kt_tuple_bits(&t);
		if (bits < 24 && bound > (u64)WORTH_FIRST * w->limits[0] << bits)
			w->bound[at] = (u64)WORTH_FIRST * w->limits[0] << bits;
		w->open[w->n_open++] = (u16)at;
	}
}

void kt_plan_clear(struct kt_plan_work *w, const struct kt_words *mask, u32 n)
{
	w->keys_log2 = KT_PLAN_KEYS_LOG2_MIN;
	while (w->keys_log2 < w->keys_log2_max && 1ull << w->keys_log2 < 8ull * n)
		w->keys_log2++;
	memset(w->keys, 0, sizeof(w->keys[0]) << w->keys_log2);
	for (u32 i = 0; i < w->n_sample; i++) {
		struct kt_plan_key *k = kt_plan_key(w, &w->sample[i], mask);

		k->traffic += k->traffic < 255;
		w->sample_key[i] = (u32)(k - w->keys);
	}
}

/*
 * What a table costs a packet, in tenths of a nanosecond on a common CPU:
 * the hash and the filter always, a bucket fetched from memory when the
 * filter lets the packet pass, and the further entries of that bucket. The
 * packets are those of the sample; the keys hold the rules.
 */
static u32 cost(const struct kt_plan_work *w)
{
	u32 pass = 0, entries = 0;

	for (u32 i = 0; i < w->n_sample; i++) {
		u32 n = w->keys[w->sample_key[i]].n_rules;

		pass += n != 0;
		entries += n;
	}
	return MIN_COST + (PASS_COST * pass + ENTRY_COST * entries) / (w->n_sample + 1);
}

/* What a mask gains for what it costs. */
static u64 score(struct kt_plan_work *w, const struct kt_tuple *t, u32 n_serves)
{
	struct kt_words mask;
	u64 sum = 0;

	if (w->plan->breath->ret)
		return 0;
	kt_tuple_mask(&mask, t, w->plan->class);
	kt_plan_clear(w, &mask, n_serves);
	for (u32 i = 0; i < w->n_left && !kt_breath_ended(w->plan->breath, i); i++) {
		const struct kt_item *it = &w->plan->items[w->left[i]];
		struct kt_plan_key *k;

		if (!kt_tuple_serves(t, &it->tuple))
			continue;
		k = kt_plan_key(w, &it->v, &mask);
		sum += worth(w, k);
		k->n_rules += k->n_rules < w->limits[k->traffic];
	}
	return kt_div(sum * SCALE, cost(w));
}

static u32 count_served(const struct kt_plan_work *w, const struct kt_tuple *t)
{
	u32 n = 0;

	for (u32 i = 0; i < w->n_left && !kt_breath_ended(w->plan->breath, i); i++)
		n += kt_tuple_serves(t, &w->plan->items[w->left[i]].tuple);
	return n;
}

/* Moves one dimension of a mask while its score grows, or may_lose from the best. Returns the best score. */
static u64 slide(struct kt_plan_work *w, struct kt_tuple *t, u32 dim, int step, u64 best_score, u64 may_lose)
{
	u64 least = best_score - may_lose;

	while (t->d[dim] && t->d[dim] < (w->plan->class == KT_CLASS_V6 ? 128 : 32)) {
		struct kt_tuple next = *t;
		u64 s;

		next.d[dim] = (u8)(next.d[dim] + step);
		s = score(w, &next, w->n_left);
		if (s < least || (!may_lose && s == least))
			break;
		if (s > best_score)
			best_score = s;
		if (!may_lose)
			least = s;
		*t = next;
	}
	return best_score;
}

/* Levels are few: looks for a better mask between them, and for a coarser one that is nearly as good. */
static void refine(struct kt_plan_work *w, struct kt_tuple *t, u64 best)
{
	for (u32 dim = KT_DIM_SRC; dim <= KT_DIM_DST; dim++)
		best = slide(w, t, dim, 1, best, 0);
	for (u32 dim = KT_DIM_SRC; dim <= KT_DIM_DST; dim++)
		best = slide(w, t, dim, -1, best, kt_div(best, SLACK));
}

struct kt_tuple kt_plan_choose(struct kt_plan_work *w, u32 *n_serves)
{
	u32 tries = w->n_left < 16384 ? 96 : w->n_left < 131072 ? 64 : 32, best = 0;
	u64 best_score = 0;
	struct kt_tuple t_best = { { 0 } };

	*n_serves = 0;
	sum_grid(w);
	if (w->plan->breath->ret) /* levels may be missing */
		return t_best;
	bound_grid(w);
	while (tries--) {
		u32 top = 0;
		struct kt_tuple t;
		u64 s;

		for (u32 i = 0; i < w->n_open; i++) {
			if (w->bound[w->open[i]] > w->bound[top])
				top = w->open[i];
		}
		if (kt_div(w->bound[top] * SCALE, MIN_COST) <= best_score)
			break;
		t = tuple_at(w, top);
		s = score(w, &t, w->serves[top]);
		w->bound[top] = 0;
		if (s > best_score) {
			best_score = s;
			best = top;
		}
	}
	t_best = tuple_at(w, best);
	refine(w, &t_best, best_score);
	*n_serves = count_served(w, &t_best);
	return t_best;
}

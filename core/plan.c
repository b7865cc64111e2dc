/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which tables are worth having? Every table costs each packet a hash and a
 * look into a filter, and every entry that shares a bucket with others costs
 * a comparison. Tables are chosen one after the other: the mask that takes
 * most of the rules that are left, where the eighth rule in a bucket gains
 * almost nothing and a ninth is refused.
 *
 * Candidates are all combinations of a few levels in each dimension; the
 * levels follow the rules that are left, so that what a coarse mask refuses
 * (many rules behind one short prefix) is offered finer ones. How many rules
 * a mask can serve at most is known from sums over the grid of levels; only
 * the most promising are tried on the rules themselves.
 */
#include "plan.h"

#define LIMIT 8u /* rules that may share a key */
#define SETTLE_LIMIT 16u /* when a few rules would otherwise need a table of their own */
#define ADDR_LEVELS 8u
#define PORT_LEVELS 4u
#define MAX_GRID (ADDR_LEVELS * ADDR_LEVELS * PORT_LEVELS * PORT_LEVELS * 2 * 2 * 2)
#define NO_LIMIT 0xffu
#define COUNTERS_LOG2_MIN 8u
#define COUNTERS_LOG2_MAX 23u

struct work {
	struct kt_plan *plan;
	u32 *left; /* items without a table, ascending */
	u32 n_left;
	u8 *counters; /* rules per key, by hash */
	u32 counters_log2; /* in use */
	u32 counters_log2_max;
	u32 n_levels[KT_N_DIMS];
	u8 level[KT_N_DIMS][ADDR_LEVELS];
	u8 level_of[KT_N_DIMS][129]; /* highest level not above a value */
	u32 stride[KT_N_DIMS];
	u32 n_grid;
	u32 serves[MAX_GRID]; /* items left that a mask can serve */
	u64 bound[MAX_GRID]; /* no mask scores more; 0: tried or not worth it */
};

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

static bool serves(const struct kt_tuple *mask, const struct kt_tuple *rule)
{
	u32 longer = 0;

	for (u32 i = 0; i < KT_N_DIMS; i++)
		longer |= mask->d[i] > rule->d[i];
	return !longer;
}

/* Levels of one dimension: the values that occur, the rarest joined to those below until there are few enough. */
static void choose_levels(struct work *w, u32 dim)
{
	u32 max = dim < KT_DIM_SPORT ? ADDR_LEVELS : dim < KT_DIM_PROTO ? PORT_LEVELS : 2;
	u32 count[129] = { 0 }, n = 0, values[129], next = 0;

	for (u32 i = 0; i < w->n_left; i++)
		count[w->plan->items[w->left[i]].tuple.d[dim]]++;
	for (u32 v = 0; v < 129; v++) {
		if (count[v])
			values[n++] = v;
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
		w->level[dim][i] = (u8)values[i];
	for (u32 v = 0; v < 129; v++) {
		while (next + 1 < n && values[next + 1] <= v)
			next++;
		w->level_of[dim][v] = (u8)next;
	}
}

static struct kt_tuple tuple_at(const struct work *w, u32 at)
{
	struct kt_tuple t;

	for (u32 i = 0; i < KT_N_DIMS; i++)
		t.d[i] = w->level[i][at / w->stride[i] % w->n_levels[i]];
	return t;
}

/* How many of the items left does each mask of the grid serve? */
static void sum_grid(struct work *w)
{
	w->n_grid = 1;
	for (u32 i = 0; i < KT_N_DIMS; i++) {
		choose_levels(w, i);
		w->stride[i] = w->n_grid;
		w->n_grid *= w->n_levels[i];
	}
	memset(w->serves, 0, w->n_grid * sizeof(w->serves[0]));
	for (u32 i = 0; i < w->n_left; i++) {
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

/* What the (n + 1)st rule of a key is worth. */
static u32 worth(u32 n)
{
	return n < LIMIT ? 2 * (LIMIT - n) : 0;
}

#define WORTH_FIRST (2 * LIMIT)
#define WORTH_KEY (LIMIT * (LIMIT + 1)) /* a key with LIMIT rules */

static u32 bits_of(const struct kt_tuple *t)
{
	return (u32)t->d[KT_DIM_SRC] + t->d[KT_DIM_DST] + t->d[KT_DIM_SPORT] + t->d[KT_DIM_DPORT] +
	       8 * t->d[KT_DIM_PROTO] + 16 * t->d[KT_DIM_ETHERTYPE] + 32 * t->d[KT_DIM_IFINDEX];
}

/* The most that each mask can score; 0 for those that a longer one replaces without loss. */
static void bound_grid(struct work *w)
{
	for (u32 at = 0; at < w->n_grid; at++) {
		struct kt_tuple t = tuple_at(w, at);
		u32 bits = bits_of(&t);
		u64 bound = (u64)w->serves[at] * WORTH_FIRST;

		for (u32 j = 0; j < KT_N_DIMS; j++) {
			if (at / w->stride[j] % w->n_levels[j] + 1 < w->n_levels[j] &&
			    w->serves[at + w->stride[j]] == w->serves[at])
				bound = 0;
		}
		if (bits < 24 && bound > (u64)WORTH_KEY << bits)
			bound = (u64)WORTH_KEY << bits;
		w->bound[at] = bound;
	}
}

static u8 *counter(struct work *w, const struct kt_item *it, const struct kt_words *mask)
{
	u64 h = kt_words_hash(&it->v, mask, w->plan->key, w->plan->class);

	return &w->counters[h >> (64 - w->counters_log2)];
}

/* Sets as many counters to zero as n items need to be told apart. */
static void clear_counters(struct work *w, u32 n)
{
	w->counters_log2 = COUNTERS_LOG2_MIN;
	while (w->counters_log2 < w->counters_log2_max && 1ull << w->counters_log2 < 8ull * n)
		w->counters_log2++;
	memset(w->counters, 0, (size_t)1 << w->counters_log2);
}

static u64 score(struct work *w, const struct kt_tuple *t, u32 n_serves)
{
	struct kt_words mask;
	u64 sum = 0;

	kt_tuple_mask(&mask, t, w->plan->class);
	clear_counters(w, n_serves);
	for (u32 i = 0; i < w->n_left; i++) {
		const struct kt_item *it = &w->plan->items[w->left[i]];
		u8 *c;

		if (!serves(t, &it->tuple))
			continue;
		c = counter(w, it, &mask);
		sum += worth(*c);
		*c += *c < LIMIT;
	}
	return sum;
}

/* The best mask for what is left. */
static struct kt_tuple choose_mask(struct work *w, u32 *n_serves)
{
	u32 tries = w->n_left < 16384 ? 256 : w->n_left < 131072 ? 64 : 32, best = 0;
	u64 best_score = 0;

	sum_grid(w);
	bound_grid(w);
	while (tries--) {
		u32 top = 0;
		struct kt_tuple t;
		u64 s;

		for (u32 at = 1; at < w->n_grid; at++) {
			if (w->bound[at] > w->bound[top])
				top = at;
		}
		if (w->bound[top] <= best_score)
			break;
		t = tuple_at(w, top);
		s = score(w, &t, w->serves[top]);
		w->bound[top] = 0;
		if (s > best_score) {
			best_score = s;
			best = top;
		}
	}
	*n_serves = w->serves[best];
	return tuple_at(w, best);
}

static void add_item(struct kt_plan *p, struct kt_item *it, u32 table)
{
	struct kt_planned *t = &p->tables[table];

	it->table = (u8)table;
	t->n_items++;
	if (it->index < t->best)
		t->best = it->index;
}

/* Gives table the items that its mask serves and whose key is below limit, and forgets them. */
static void take_left(struct work *w, u32 table, u32 limit)
{
	struct kt_planned *t = &w->plan->tables[table];
	u32 kept = 0;

	for (u32 i = 0; i < w->n_left; i++) {
		struct kt_item *it = &w->plan->items[w->left[i]];
		u8 *c = serves(&t->tuple, &it->tuple) ? counter(w, it, &t->mask) : NULL;

		if (c && *c < limit) {
			t->n_keys += !*c;
			*c += *c < NO_LIMIT - 1;
			add_item(w->plan, it, table);
		} else {
			w->left[kept++] = w->left[i];
		}
	}
	w->n_left = kept;
}

static void add_table(struct work *w, const struct kt_tuple *t, u32 n_serves, u32 limit)
{
	struct kt_planned *table = &w->plan->tables[w->plan->n_tables];

	memset(table, 0, sizeof(*table));
	table->tuple = *t;
	table->best = KT_NO_RULE;
	kt_tuple_mask(&table->mask, t, w->plan->class);
	clear_counters(w, n_serves);
	take_left(w, w->plan->n_tables++, limit);
}

/* Finds room for items in tables that exist, with longer buckets. */
static void settle(struct work *w)
{
	struct kt_plan *p = w->plan;

	for (u32 t = 0; t < p->n_tables && w->n_left; t++) {
		clear_counters(w, p->tables[t].n_items);
		for (u32 i = 0; i < p->n_items; i++) {
			u8 *c;

			if (p->items[i].table != t)
				continue;
			c = counter(w, &p->items[i], &p->tables[t].mask);
			*c += *c < NO_LIMIT - 1;
		}
		take_left(w, t, SETTLE_LIMIT);
	}
}

static int list_left(struct work *w)
{
	const struct kt_plan *p = w->plan;

	if (!w->left)
		return -ENOMEM;
	w->n_left = 0;
	for (u32 i = 0; i < p->n_items; i++) {
		if (p->items[i].table == KT_NO_TABLE)
			w->left[w->n_left++] = i;
	}
	return 0;
}

/* The table that has this mask already, or n_tables. */
static u32 find_table(const struct kt_plan *p, const struct kt_tuple *t)
{
	u32 i = 0;

	while (i < p->n_tables && memcmp(&p->tables[i].tuple, t, sizeof(*t)))
		i++;
	return i;
}

/* Splits ranges and lists what is left anew. */
static int split_left(struct work *w)
{
	struct kt_plan *p = w->plan;
	u32 old_cap = p->cap_items;
	int ret = kt_plan_split(p);

	if (ret)
		return ret;
	if (p->cap_items != old_cap) {
		p->mem->free(p->mem->ctx, w->left, (size_t)old_cap * sizeof(u32));
		w->left = p->mem->alloc(p->mem->ctx, (size_t)p->cap_items * sizeof(u32));
	}
	return list_left(w);
}

/* What no good table takes goes into tables that exist, with ranges split, and at last anyhow. */
static int place_rest(struct work *w)
{
	struct kt_plan *p = w->plan;
	int ret;

	settle(w);
	ret = w->n_left ? split_left(w) : 0;
	while (w->n_left && !ret) {
		u32 n_serves, before = w->n_left, room = KT_MAX_TABLES - p->n_tables;
		struct kt_tuple t = choose_mask(w, &n_serves);
		u32 table = find_table(p, &t);

		if (table < p->n_tables) {
			take_left(w, table, NO_LIMIT);
			continue;
		}
		if (room == 1)
			memset(&t, 0, sizeof(t)); /* serves everything */
		add_table(w, &t, before, room < 8 ? NO_LIMIT : LIMIT);
		if (before - w->n_left < before / 64)
			take_left(w, p->n_tables - 1, NO_LIMIT);
	}
	return ret;
}

static int place(struct work *w)
{
	struct kt_plan *p = w->plan;
	u32 small = p->n_items / 64;

	while (w->n_left && p->n_tables < KT_MAX_TABLES / 2) {
		u32 n_serves, before = w->n_left;
		struct kt_tuple t = choose_mask(w, &n_serves);

		if (n_serves < small || find_table(p, &t) < p->n_tables)
			break;
		add_table(w, &t, n_serves, LIMIT);
		if (before - w->n_left < small)
			break;
	}
	return w->n_left ? place_rest(w) : 0;
}

int kt_plan_tables(struct kt_plan *p)
{
	const struct kt_memory *mem = p->mem;
	struct work *w = mem->alloc(mem->ctx, sizeof(*w));
	int ret = -ENOMEM;

	if (!w)
		return -ENOMEM;
	memset(w, 0, sizeof(*w));
	w->plan = p;
	w->counters_log2_max = COUNTERS_LOG2_MIN;
	while (w->counters_log2_max < COUNTERS_LOG2_MAX && 1ull << w->counters_log2_max < 8ull * p->n_items)
		w->counters_log2_max++;
	w->counters = mem->alloc(mem->ctx, (size_t)1 << w->counters_log2_max);
	w->left = mem->alloc(mem->ctx, (size_t)p->cap_items * sizeof(u32));
	if (w->counters)
		ret = list_left(w);
	if (!ret)
		ret = place(w);
	if (w->left)
		mem->free(mem->ctx, w->left, (size_t)p->cap_items * sizeof(u32));
	if (w->counters)
		mem->free(mem->ctx, w->counters, (size_t)1 << w->counters_log2_max);
	mem->free(mem->ctx, w, sizeof(*w));
	return ret;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which rule goes to which table? Every table costs each packet that has to
 * ask it a hash and a look into a filter, and every entry that shares a
 * bucket with others costs a comparison. Tables are chosen one after the
 * other: the mask that takes most of the rules that are left for what it
 * costs (plan_mask.c), where each further rule in a bucket gains less
 * and none is taken above a limit.
 */
#include "plan.h"

#define LIMIT 16u /* rules that may share a key */

static void add_item(struct kt_plan *p, struct kt_item *it, u32 table)
{
	struct kt_planned *t = &p->tables[table];

	it->table = (u8)table;
	t->n_items++;
	if (it->index < t->best)
		t->best = it->index;
}

/* Gives table the items that its mask serves and whose key is below limit, and forgets them. */
static void take_left(struct kt_plan_work *w, u32 table, u32 limit)
{
	struct kt_planned *t = &w->plan->tables[table];
	u32 kept = 0;

	for (u32 i = 0; i < w->n_left; i++) {
		struct kt_item *it = &w->plan->items[w->left[i]];
		u8 *c = kt_tuple_serves(&t->tuple, &it->tuple) ? kt_plan_counter(w, &it->v, &t->mask) : NULL;

		if (c && *c < limit) {
			t->n_keys += !*c;
			*c += *c < KT_PLAN_NO_LIMIT - 1;
			add_item(w->plan, it, table);
		} else {
			w->left[kept++] = w->left[i];
		}
	}
	w->n_left = kept;
}

static void add_table(struct kt_plan_work *w, const struct kt_tuple *t, u32 n_serves, u32 limit)
{
	struct kt_planned *table = &w->plan->tables[w->plan->n_tables];

	memset(table, 0, sizeof(*table));
	table->tuple = *t;
	table->best = KT_NO_RULE;
	kt_tuple_mask(&table->mask, t, w->plan->class);
	kt_plan_clear(w, n_serves);
	take_left(w, w->plan->n_tables++, limit);
}

/* Finds room for items in tables that exist, with longer buckets; the most specific masks first. */
static void settle(struct kt_plan_work *w, u32 limit)
{
	struct kt_plan *p = w->plan;
	bool tried[KT_MAX_TABLES] = { false };

	for (u32 n = 0; n < p->n_tables && w->n_left; n++) {
		u32 t = p->n_tables;

		for (u32 i = 0; i < p->n_tables; i++) {
			if (!tried[i] && (t == p->n_tables ||
					  kt_tuple_bits(&p->tables[i].tuple) > kt_tuple_bits(&p->tables[t].tuple)))
				t = i;
		}
		tried[t] = true;
		kt_plan_clear(w, p->tables[t].n_items);
		for (u32 i = 0; i < p->n_items; i++) {
			u8 *c;

			if (p->items[i].table != t)
				continue;
			c = kt_plan_counter(w, &p->items[i].v, &p->tables[t].mask);
			*c += *c < KT_PLAN_NO_LIMIT - 1;
		}
		take_left(w, t, limit);
	}
}

static int list_left(struct kt_plan_work *w)
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
static int split_left(struct kt_plan_work *w)
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

/* Adds tables as long as each takes at least enough of what is left. */
static void place_best(struct kt_plan_work *w, u32 enough, u32 max_tables)
{
	struct kt_plan *p = w->plan;

	while (w->n_left && p->n_tables < max_tables) {
		u32 n_serves, before = w->n_left;
		struct kt_tuple t = kt_plan_choose(w, &n_serves);

		if (n_serves < enough || find_table(p, &t) < p->n_tables)
			break;
		add_table(w, &t, n_serves, w->limit);
		if (before - w->n_left < enough)
			break;
	}
}

/* Places all that is left, with buckets as long as they must be. */
static void place_all(struct kt_plan_work *w)
{
	struct kt_plan *p = w->plan;

	while (w->n_left) {
		u32 n_serves, before = w->n_left, room = KT_MAX_TABLES - p->n_tables;
		struct kt_tuple t = kt_plan_choose(w, &n_serves);
		u32 table = find_table(p, &t);

		if (table < p->n_tables) {
			take_left(w, table, KT_PLAN_NO_LIMIT);
			continue;
		}
		if (room == 1)
			memset(&t, 0, sizeof(t)); /* serves everything */
		add_table(w, &t, before, room < 8 ? KT_PLAN_NO_LIMIT : w->limit);
		if (before - w->n_left < before / 64)
			take_left(w, p->n_tables - 1, KT_PLAN_NO_LIMIT);
	}
}

/*
 * Good tables first. A small rest goes into longer buckets of these, because
 * its own tables would cost every packet; a large one has ranges that only
 * pieces can tell apart.
 */
static int place(struct kt_plan_work *w)
{
	struct kt_plan *p = w->plan;
	u32 n = w->n_left;
	int ret = 0;

	kt_plan_sample(w);
	w->limit = LIMIT;
	place_best(w, n / 64, KT_MAX_TABLES / 2);
	w->limit = 4 * LIMIT;
	place_best(w, w->n_left / 4, p->n_tables + 4);
	settle(w, 2 * LIMIT);
	if (w->n_left <= n / 256)
		settle(w, 8 * LIMIT);
	else
		ret = split_left(w);
	if (!ret)
		place_all(w);
	return ret;
}

int kt_plan_tables(struct kt_plan *p)
{
	const struct kt_memory *mem = p->mem;
	struct kt_plan_work *w = mem->alloc(mem->ctx, sizeof(*w));
	int ret = -ENOMEM;

	if (!w)
		return -ENOMEM;
	memset(w, 0, sizeof(*w));
	w->plan = p;
	w->counters_log2_max = KT_PLAN_COUNTERS_LOG2_MIN;
	while (w->counters_log2_max < KT_PLAN_COUNTERS_LOG2_MAX && 1ull << w->counters_log2_max < 8ull * p->n_items)
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

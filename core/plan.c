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

/* Gives table the items that its mask serves and whose key has room, and forgets them. */
static void take_left(struct kt_plan_work *w, u32 table)
{
	struct kt_planned *t = &w->plan->tables[table];
	u32 kept = 0;

	for (u32 i = 0; i < w->n_left && !kt_breath_ended(w->plan->breath, i); i++) {
		struct kt_item *it = &w->plan->items[w->left[i]];
		bool serves = kt_tuple_serves(&t->tuple, &it->tuple);
		struct kt_plan_key *k = serves ? kt_plan_key(w, &it->v, &t->mask) : NULL;

		if (k && k->n_rules < w->limits[k->traffic]) {
			t->n_keys += !k->n_rules;
			k->n_rules += k->n_rules < KT_PLAN_NO_LIMIT - 1;
			add_item(w->plan, it, table);
		} else {
			w->left[kept++] = w->left[i];
		}
	}
	w->n_left = kept;
}

static void add_table(struct kt_plan_work *w, const struct kt_tuple *t, u32 n_serves)
{
	struct kt_planned *table = &w->plan->tables[w->plan->n_tables];

	memset(table, 0, sizeof(*table));
	table->tuple = *t;
	table->best = KT_NO_RULE;
	kt_tuple_mask(&table->mask, t, w->plan->class);
	kt_plan_clear(w, &table->mask, n_serves);
	take_left(w, w->plan->n_tables++);
}

/* Finds room for items in tables that exist, with longer buckets; the most specific masks first. */
static void settle(struct kt_plan_work *w, u32 limit)
{
	struct kt_plan *p = w->plan;
	bool tried[KT_MAX_TABLES] = { false };

	kt_plan_set_limit(w, limit);
	for (u32 n = 0; n < p->n_tables && w->n_left && !p->breath->ret; n++) {
		u32 t = p->n_tables;

		for (u32 i = 0; i < p->n_tables; i++) {
			if (!tried[i] && (t == p->n_tables ||
					  kt_tuple_bits(&p->tables[i].tuple) > kt_tuple_bits(&p->tables[t].tuple)))
				t = i;
		}
		tried[t] = true;
		kt_plan_clear(w, &p->tables[t].mask, p->tables[t].n_items);
		for (u32 i = 0; i < p->n_items && !kt_breath_ended(p->breath, i); i++) {
			struct kt_plan_key *k;

			if (p->items[i].table != t)
				continue;
			k = kt_plan_key(w, &p->items[i].v, &p->tables[t].mask);
			k->n_rules += k->n_rules < KT_PLAN_NO_LIMIT - 1;
		}
		take_left(w, t);
	}
}

static int list_left(struct kt_plan_work *w)
{
	const struct kt_plan *p = w->plan;

	if (!w->left)
		return -ENOMEM;
	w->n_left = 0;
	for (u32 i = 0; i < p->n_items && !kt_breath_ended(p->breath, i); i++) {
		if (p->items[i].table == KT_NO_TABLE)
			w->left[w->n_left++] = i;
	}
	return p->breath->ret;
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

	while (w->n_left && p->n_tables < max_tables && !p->breath->ret) {
		u32 n_serves, before = w->n_left;
		struct kt_tuple t = kt_plan_choose(w, &n_serves);

		if (n_serves < enough || find_table(p, &t) < p->n_tables)
			break;
		add_table(w, &t, n_serves);
		if (before - w->n_left < enough)
			break;
	}
}

/* Places all that is left, with buckets as long as they must be. */
static void place_all(struct kt_plan_work *w)
{
	struct kt_plan *p = w->plan;

	while (w->n_left && !p->breath->ret) {
		u32 n_serves, before = w->n_left, room = KT_MAX_TABLES - p->n_tables;
		struct kt_tuple t;
		u32 table;

		kt_plan_set_limit(w, 4 * LIMIT);
		t = kt_plan_choose(w, &n_serves);
		table = find_table(p, &t);

		if (table < p->n_tables) {
			kt_plan_set_limit(w, KT_PLAN_NO_LIMIT);
			take_left(w, table);
			continue;
		}
		if (room == 1)
			memset(&t, 0, sizeof(t)); /* serves everything */
		if (room < 8)
			kt_plan_set_limit(w, KT_PLAN_NO_LIMIT);
		add_table(w, &t, before);
		if (before - w->n_left < before / 64) {
			kt_plan_set_limit(w, KT_PLAN_NO_LIMIT);
			take_left(w, p->n_tables - 1);
		}
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
	kt_plan_set_limit(w, LIMIT);
	place_best(w, n / 64, KT_MAX_TABLES / 2);
	kt_plan_set_limit(w, 4 * LIMIT);
	place_best(w, w->n_left / 4, p->n_tables + 4);
	settle(w, 2 * LIMIT);
	if (w->n_left <= n / 256)
		settle(w, 8 * LIMIT);
	else
		ret = split_left(w);
	if (!ret)
		place_all(w);
	if (!ret)
		kt_plan_carve(w);
	return ret ? ret : p->breath->ret;
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
	w->keys_log2_max = KT_PLAN_KEYS_LOG2_MIN;
	while (w->keys_log2_max < KT_PLAN_KEYS_LOG2_MAX && 1ull << w->keys_log2_max < 8ull * p->n_items)
		w->keys_log2_max++;
	w->keys = mem->alloc(mem->ctx, sizeof(w->keys[0]) << w->keys_log2_max);
	w->left = mem->alloc(mem->ctx, (size_t)p->cap_items * sizeof(u32));
	if (w->keys)
		ret = list_left(w);
	if (!ret)
		ret = place(w);
	if (w->left)
		mem->free(mem->ctx, w->left, (size_t)p->cap_items * sizeof(u32));
	if (w->keys)
		mem->free(mem->ctx, w->keys, sizeof(w->keys[0]) << w->keys_log2_max);
	mem->free(mem->ctx, w, sizeof(*w));
	return ret;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Once every rule has a table: which tables had better be two? A coarse mask
 * takes many kinds of rules, and packets that ask for it compare what is not
 * for them. Those rules that a longer mask serves can go to a table of their
 * own, and mostly that costs nobody a hash: the prune arrays send there only
 * packets with an address and port that one of its rules has. This cost is not
 * known before rules have tables, so tables are chosen first (plan_mask.c)
 * and divided here.
 */
#include "plan.h"

#define MAX_TABLES 16u /* more would make the lanes of the prune arrays larger */
#define MIN_ITEMS 64u /* fewer are compared in no time */
/* What things cost a packet of a batch, in tenths of a nanosecond on a common CPU. */
#define ASK_COST 60u
#define PASS_COST 60u
#define CELL_COST 80u
#define TABLE_COST 10u /* of each packet, whatever it asks */
#define MIN_GAIN 5u

/* Prefix lengths to try; 0: as the mask has it. Few, for a set of rules is waited for. */
static const u8 lens[] = { 0, 8, 16, 24, 32, 48 };
#define N_LENS ((u32)KT_ARRAY_LEN(lens))

/* Rules that could make up a table. */
struct part {
	const struct kt_tuple *tuple; /* their mask */
	const struct kt_tuple *finer; /* only those that this mask serves, or does not serve; NULL: all */
	bool served;
	u32 n;
	u64 cost; /* of all packets of the sample */
};

/* The best way to divide a table. */
struct carve {
	struct kt_tuple finer; /* mask of what goes to a new table */
	u64 gain; /* of all packets of the sample; 0: none */
};

static bool in_part(const struct part *part, const struct kt_item *it)
{
	return !part->finer || kt_tuple_serves(part->finer, &it->tuple) == part->served;
}

/* Adds an item to the lanes of the prune arrays that would send packets to its table. */
static void add_lanes(struct kt_plan_work *w, const struct kt_item *it, u32 log2, bool all[KT_N_PRUNE])
{
	u32 first, last;

	for (u32 i = 0; i < KT_N_PRUNE; i++) {
		if (all[i])
			continue;
		if (!kt_prune_lanes(it, w->plan->class, log2, i, &first, &last)) {
			all[i] = true;
			continue;
		}
		for (u32 j = first, end; j <= last; j = end + 1) {
			end = last < (j | 63) ? last : j | 63;
			w->lanes[i][j / 64] |= ~0ull >> (63 - (end - j)) << j % 64;
		}
	}
}

/* Is a packet sent to the table at all? */
static bool asks(const struct kt_plan_work *w, const struct kt_words *packet, u32 log2, const bool all[KT_N_PRUNE])
{
	const u32 first[KT_N_PRUNE] = { packet->src[0], packet->dst[0], packet->ports << 16 };

	for (u32 i = 0; i < KT_N_PRUNE; i++) {
		u32 lane = kt_prune_lane(first[i], log2, w->plan->class, i);

		if (!all[i] && !(w->lanes[i][lane / 64] >> lane % 64 & 1))
			return false;
	}
	return true;
}

/* What a table of the part would cost; w->left lists the items. */
static void weigh(struct kt_plan_work *w, struct part *part)
{
	u32 log2 = kt_prune_log2(w->plan), slots = w->plan->class == KT_CLASS_V6 ? 1 : 2;
	bool all[KT_N_PRUNE] = { false };
	struct kt_words mask;

	part->n = 0;
	part->cost = TABLE_COST * w->n_sample;
	kt_tuple_mask(&mask, part->tuple, w->plan->class);
	kt_plan_clear(w, &mask, w->n_left);
	for (u32 i = 0; i < KT_N_PRUNE; i++)
		memset(w->lanes[i], 0, (1u << log2) / 8);
	for (u32 i = 0; i < w->n_left && !kt_breath_ended(w->plan->breath, i); i++) {
		const struct kt_item *it = &w->plan->items[w->left[i]];
		struct kt_plan_key *k;

		if (!in_part(part, it))
			continue;
		k = kt_plan_key(w, &it->v, &mask);
		k->n_rules += k->n_rules < KT_PLAN_NO_LIMIT;
		add_lanes(w, it, log2, all);
		part->n++;
	}
	for (u32 i = 0; i < w->n_sample && part->n; i++) {
		u32 n;

		if (!asks(w, &w->sample[i], log2, all))
			continue;
		n = w->keys[w->sample_key[i]].n_rules;
		part->cost += ASK_COST + (n ? PASS_COST : 0) + CELL_COST * ((n + slots - 1) / slots);
	}
}

static void list_table(struct kt_plan_work *w, u32 table)
{
	w->n_left = 0;
	for (u32 i = 0; i < w->plan->n_items && !kt_breath_ended(w->plan->breath, i); i++) {
		if (w->plan->items[i].table == table)
			w->left[w->n_left++] = i;
	}
}

/* Makes a mask longer: which is the variant. False: it is as long already. */
static bool make_finer(struct kt_tuple *finer, const struct kt_tuple *t, u32 variant)
{
	u32 src = lens[variant / 2 % N_LENS], dst = lens[variant / 2 / N_LENS];

	*finer = *t;
	if ((src && src <= t->d[KT_DIM_SRC]) || (dst && dst <= t->d[KT_DIM_DST]))
		return false;
	if (src)
		finer->d[KT_DIM_SRC] = (u8)src;
	if (dst)
		finer->d[KT_DIM_DST] = (u8)dst;
	if (variant % 2) {
		if (t->d[KT_DIM_DPORT] == 16)
			return false;
		finer->d[KT_DIM_DPORT] = 16;
		finer->d[KT_DIM_PROTO] = 1;
	}
	return variant;
}

/* Tries all ways to divide a table. One with a good part of the rules has the mask that they need. */
static void find_carve(struct kt_plan_work *w, u32 table, struct carve *best)
{
	const struct kt_tuple *t = &w->plan->tables[table].tuple;
	struct part whole = { .tuple = t };

	best->gain = 0;
	list_table(w, table);
	if (w->n_left > w->plan->n_items / 8)
		return;
	weigh(w, &whole);
	if (whole.cost < (u64)(2 * TABLE_COST + MIN_GAIN) * w->n_sample)
		return;
	for (u32 i = 0; i < N_LENS * N_LENS * 2; i++) {
		struct kt_tuple finer;
		struct part in = { .tuple = &finer, .finer = &finer, .served = true };
		struct part out = { .tuple = t, .finer = &finer };

		if (!make_finer(&finer, t, i))
			continue;
		weigh(w, &in);
		if (!in.n || in.n == w->n_left || in.cost + best->gain >= whole.cost)
			continue;
		weigh(w, &out);
		if (in.cost + out.cost + best->gain < whole.cost) {
			best->gain = whole.cost - in.cost - out.cost;
			best->finer = finer;
		}
	}
}

/* What a table says of its items, once some of them left or came. */
static void recount(struct kt_plan_work *w, u32 table)
{
	struct kt_planned *t = &w->plan->tables[table];

	list_table(w, table);
	kt_plan_clear(w, &t->mask, w->n_left);
	t->best = KT_NO_RULE;
	t->n_items = w->n_left;
	t->n_keys = 0;
	for (u32 i = 0; i < w->n_left && !kt_breath_ended(w->plan->breath, i); i++) {
		const struct kt_item *it = &w->plan->items[w->left[i]];
		struct kt_plan_key *k = kt_plan_key(w, &it->v, &t->mask);

		t->n_keys += !k->n_rules;
		k->n_rules = 1;
		if (it->index < t->best)
			t->best = it->index;
	}
}

static void carve(struct kt_plan_work *w, u32 table, const struct kt_tuple *finer)
{
	struct kt_plan *p = w->plan;
	u32 new = p->n_tables++;

	for (u32 i = 0; i < p->n_items && !kt_breath_ended(p->breath, i); i++) {
		struct kt_item *it = &p->items[i];

		if (it->table == table && kt_tuple_serves(finer, &it->tuple))
			it->table = (u8) new;
	}
	memset(&p->tables[new], 0, sizeof(p->tables[new]));
	p->tables[new].tuple = *finer;
	kt_tuple_mask(&p->tables[new].mask, finer, p->class);
	recount(w, table);
	recount(w, new);
}

void kt_plan_carve(struct kt_plan_work *w)
{
	struct kt_plan *p = w->plan;
	struct carve carves[MAX_TABLES];
	u32 known = 0;

	if (p->n_items < MIN_ITEMS)
		return;
	while (p->n_tables < MAX_TABLES && !p->breath->ret) {
		u32 best = 0;

		for (; known < p->n_tables; known++)
			find_carve(w, known, &carves[known]);
		for (u32 i = 1; i < p->n_tables; i++) {
			if (carves[i].gain > carves[best].gain)
				best = i;
		}
		if (carves[best].gain < MIN_GAIN * w->n_sample)
			break;
		carve(w, best, &carves[best].finer);
		find_carve(w, best, &carves[best]);
	}
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The compiler's middle: which table does each rule go to? Private to
 * compile.c, plan*.c and prune.c.
 */
#ifndef KT_PLAN_H
#define KT_PLAN_H

#include "compile.h"

/* What a mask can look at. A mask serves a rule if it is not longer in any dimension. */
enum kt_dim {
	KT_DIM_SRC, /* prefix lengths */
	KT_DIM_DST,
	KT_DIM_SPORT, /* leading bits that all ports of a range share */
	KT_DIM_DPORT,
	KT_DIM_PROTO, /* 0 or 1 */
	KT_DIM_ETHERTYPE,
	KT_DIM_IFINDEX,
	KT_N_DIMS,
};

struct kt_tuple {
	u8 d[KT_N_DIMS];
};

/* A rule on its way into a table; several of one index when its port ranges were split. */
struct kt_item {
	struct kt_words v; /* bits to match, zero where any; ports are the ends of the ranges */
	u32 index;
	u16 sport_hi;
	u16 dport_hi;
	struct kt_tuple tuple;
	u8 table; /* KT_NO_TABLE: not placed yet */
};

#define KT_NO_TABLE 0xffu

struct kt_planned {
	struct kt_words mask;
	struct kt_tuple tuple;
	u32 n_items;
	u32 n_keys; /* about: different values under the mask */
	u32 best;
};

/* What the compiler asks between two stretches of work: may it go on? */
struct kt_breath {
	const struct kt_memory *mem;
	int ret; /* of the pause that ended it */
};

#define KT_BREATH_ITEMS 4096u /* each takes up to 100 ns */

/* For loops over items, once for each i. True: it has been ended, and whoever returns an error returns ret. */
static inline bool kt_breath_ended(struct kt_breath *b, u32 i)
{
	if (i % KT_BREATH_ITEMS == 0 && !b->ret && b->mem->pause)
		b->ret = b->mem->pause(b->mem->ctx);
	return b->ret != 0;
}

/* One class of flows. Items are in order of judgement. */
struct kt_plan {
	const struct kt_memory *mem;
	struct kt_breath *breath;
	const struct kt_image_key *key;
	u32 class;
	struct kt_item *items; /* room for cap_items; owned */
	u32 n_items;
	u32 cap_items;
	struct kt_planned tables[KT_MAX_TABLES];
	u32 n_tables;
};

#define KT_PLAN_ADDR_LEVELS 8u
#define KT_PLAN_PORT_LEVELS 4u
#define KT_PLAN_GRID (KT_PLAN_ADDR_LEVELS * KT_PLAN_ADDR_LEVELS * KT_PLAN_PORT_LEVELS * KT_PLAN_PORT_LEVELS * 2 * 2 * 2)
#define KT_PLAN_SAMPLE 2048u
#define KT_PLAN_LANES 65536u
#define KT_PLAN_NO_LIMIT 0xffu
#define KT_PLAN_KEYS_LOG2_MIN 8u
#define KT_PLAN_KEYS_LOG2_MAX 23u

/* Rules that agree under a mask. */
struct kt_plan_key {
	u8 n_rules;
	u8 traffic; /* packets of the sample */
};

/* Planning of one class. */
struct kt_plan_work {
	struct kt_plan *plan;
	u32 *left; /* items without a table, ascending */
	u32 n_left;
	struct kt_plan_key *keys; /* by hash */
	u32 keys_log2; /* in use */
	u32 keys_log2_max;
	u32 n_levels[KT_N_DIMS];
	u8 level[KT_N_DIMS][KT_PLAN_ADDR_LEVELS];
	u8 level_of[KT_N_DIMS][129]; /* highest level not above a value */
	u32 stride[KT_N_DIMS];
	u32 n_grid;
	u32 serves[KT_PLAN_GRID]; /* items left that a mask can serve */
	u64 bound[KT_PLAN_GRID]; /* no mask gains more; 0: tried or not worth it */
	u16 open[KT_PLAN_GRID]; /* masks with a bound, ascending */
	u32 n_open;
	struct kt_words sample[KT_PLAN_SAMPLE]; /* packets: one for each rule, or each of some rules */
	u32 sample_key[KT_PLAN_SAMPLE]; /* under the mask that keys were emptied for */
	u32 n_sample;
	u8 limits[256]; /* rules that may share a key, by its traffic */
	u64 lanes[KT_N_PRUNE][KT_PLAN_LANES / 64]; /* of the prune arrays, for one table */
};

static inline bool kt_tuple_serves(const struct kt_tuple *mask, const struct kt_tuple *rule)
{
	u32 longer = 0;

	for (u32 i = 0; i < KT_N_DIMS; i++)
		longer |= mask->d[i] > rule->d[i];
	return !longer;
}

static inline struct kt_plan_key *kt_plan_key(struct kt_plan_work *w, const struct kt_words *v,
					      const struct kt_words *mask)
{
	u64 h = kt_words_hash(v, mask, w->plan->key, w->plan->class);

	return &w->keys[h >> (64 - w->keys_log2)];
}

/* Empties as many keys as n items need to be told apart under a mask; only their traffic is known. */
void kt_plan_clear(struct kt_plan_work *w, const struct kt_words *mask, u32 n);
/* How many rules may share a key: fewer if many packets have it. */
void kt_plan_set_limit(struct kt_plan_work *w, u32 limit);
/* Packets as rules describe them; where a rule says any, anything. */
void kt_plan_sample(struct kt_plan_work *w);
/* The best mask for what is left, and how many of these it serves. */
struct kt_tuple kt_plan_choose(struct kt_plan_work *w, u32 *n_serves);
u32 kt_tuple_bits(const struct kt_tuple *t);

/* Divides tables in which packets find much that is not for them. */
void kt_plan_carve(struct kt_plan_work *w);

/* Gives every item a table; may split items. 0, -ENOMEM, or what ended it. */
int kt_plan_tables(struct kt_plan *p);

/* Replaces unplaced items by pieces whose port ranges are prefixes, if there is no more than room for. 0, -ENOMEM, or what ended it. */
int kt_plan_split(struct kt_plan *p);

/* Lanes per prune array of a class, bits per lane, both as a power of two; and their content, once tables have their final numbers. */
u8 kt_prune_log2(const struct kt_plan *p);
u32 kt_prune_lane_bits_log2(const struct kt_plan *p);
/* The lanes of an item in one prune array, without its table's bit. False: all of them, or too many to list. */
bool kt_prune_lanes(const struct kt_item *it, u32 class, u32 log2, enum kt_prune_by by, u32 *first, u32 *last);
void kt_prune_fill(struct kt_cell *cells, u32 log2, const struct kt_plan *p);

void kt_tuple_mask(struct kt_words *mask, const struct kt_tuple *t, u32 class);

/* Leading bits that lo and hi have in common, 0 to 16. */
static inline u8 kt_port_bits(u16 lo, u16 hi)
{
	u32 diff = lo ^ hi, n = 16;

	while (diff) {
		diff >>= 1;
		n--;
	}
	return (u8)n;
}

#endif

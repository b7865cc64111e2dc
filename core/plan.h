/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The compiler's middle: which table does each rule go to? Private to
 * compile.c and plan*.c.
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

/* One class of flows. Items are in order of judgement. */
struct kt_plan {
	const struct kt_memory *mem;
	const struct kt_image_key *key;
	u32 class;
	struct kt_item *items; /* room for cap_items; owned */
	u32 n_items;
	u32 cap_items;
	struct kt_planned tables[KT_MAX_TABLES];
	u32 n_tables;
};

/* Gives every item a table; may split items. 0 or -ENOMEM. */
int kt_plan_tables(struct kt_plan *p);

/* Replaces unplaced items by pieces whose port ranges are prefixes, if there is no more than room for. 0 or -ENOMEM. */
int kt_plan_split(struct kt_plan *p);

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

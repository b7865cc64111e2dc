/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The prune arrays: for the first bits of a source address, of a destination
 * address and of a destination port, the set of tables with a rule for them.
 * Large enough to tell small tables apart, small enough for the CPU's second
 * cache.
 */
#include "plan.h"

#define MIN_LOG2 6u /* a cell of the smallest lanes */
#define MAX_BITS_LOG2 20u /* in one array: 128 KiB */
#define MAX_LOG2 16u /* no port has more bits */
#define WIDE 512u /* lanes; a rule for more counts for all, so that building stays quick */

/* One array under construction. */
struct array {
	u64 *words;
	u32 log2; /* lanes */
	u32 bits_log2; /* of a lane */
	u64 all; /* tables of rules for all lanes */
};

u32 kt_prune_lane_bits_log2(const struct kt_plan *p)
{
	return p->n_tables <= 8 ? 3 : p->n_tables <= 16 ? 4 : p->n_tables <= 32 ? 5 : 6;
}

u8 kt_prune_log2(const struct kt_plan *p)
{
	u32 log2 = MIN_LOG2, max = MAX_BITS_LOG2 - kt_prune_lane_bits_log2(p);

	while (log2 < max && log2 < MAX_LOG2 && 1u << log2 < p->n_items)
		log2++;
	return (u8)log2;
}

bool kt_prune_lanes(const struct kt_item *it, u32 class, u32 log2, enum kt_prune_by by, u32 *first, u32 *last)
{
	u32 lo, any_bits, plen;

	if (by == KT_PRUNE_DPORT) {
		lo = it->v.ports << 16;
		any_bits = ((u32)it->dport_hi << 16) - lo; /* so that the sum is the last port */
	} else {
		plen = it->tuple.d[by == KT_PRUNE_SRC ? KT_DIM_SRC : KT_DIM_DST];
		lo = by == KT_PRUNE_SRC ? it->v.src[0] : it->v.dst[0];
		any_bits = plen < 32 ? (u32)(0xffffffffull >> plen) : 0;
		if (!plen || (class == KT_CLASS_V6 && any_bits))
			return false;
	}
	*first = kt_prune_lane(lo, log2, class, by);
	*last = kt_prune_lane(lo + any_bits, log2, class, by);
	return *last - *first < WIDE;
}

/* Puts an item's table into its lanes of one array. */
static void mark(struct array *a, const struct kt_item *it, u32 class, enum kt_prune_by by)
{
	u64 table = 1ull << it->table;
	u32 first, last;

	if (a->all & table)
		return;
	if (!kt_prune_lanes(it, class, a->log2, by, &first, &last)) {
		a->all |= table;
		return;
	}
	for (u32 i = first; i <= last; i++)
		a->words[kt_prune_word(i, a->bits_log2)] |= table << kt_prune_shift(i, a->bits_log2);
}

void kt_prune_fill(struct kt_cell *cells, u32 log2, const struct kt_plan *p)
{
	u32 bits_log2 = kt_prune_lane_bits_log2(p), n_words = (1u << log2) >> (6 - bits_log2);
	u64 *words = (u64 *)(void *)cells; /* of many cells: not of the first one's array */
	struct array a[KT_N_PRUNE];

	memset(cells, 0, KT_N_PRUNE * n_words * sizeof(u64));
	for (u32 i = 0; i < KT_N_PRUNE; i++)
		a[i] = (struct array){ .words = words + i * n_words, .log2 = log2, .bits_log2 = bits_log2 };
	for (u32 i = 0; i < p->n_items && !kt_breath_ended(p->breath, i); i++) {
		for (u32 j = 0; j < KT_N_PRUNE; j++)
			mark(&a[j], &p->items[i], p->class, j);
	}
	for (u32 i = 0; i < KT_N_PRUNE; i++) {
		u64 all = 0;

		for (u32 j = 0; j < 64; j += 1u << bits_log2)
			all |= a[i].all << j;
		for (u32 j = 0; j < n_words; j++)
			a[i].words[j] |= all;
	}
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The prune arrays: for the first bits of a source address, of a destination
 * address and of a destination port, the set of tables with a rule for them.
 * Large enough to tell small tables apart, small enough for the CPU's second
 * cache.
 */
#include "plan.h"

#define MIN_LOG2 3u /* one cell */
#define MAX_LOG2 14u
#define WIDE 256u /* words; a rule for more counts for all, so that building stays quick */

u8 kt_prune_log2(const struct kt_plan *p)
{
	u32 log2 = MIN_LOG2;

	while (log2 < MAX_LOG2 && 1u << log2 < p->n_items)
		log2++;
	return (u8)log2;
}

/* Puts a table into words first..last, or into all. */
static void mark(u64 *words, u32 first, u32 last, u64 table, u64 *all)
{
	if (*all & table)
		return;
	if (last - first >= WIDE)
		*all |= table;
	for (u32 i = first; i <= last && last - first < WIDE; i++)
		words[i] |= table;
}

static void mark_addr(u64 *words, u32 log2, u32 addr, u32 plen, u64 table, u64 *all, const struct kt_plan *p,
		      enum kt_prune_by by)
{
	u32 any_bits = plen < 32 ? 0xffffffffu >> plen : 0;

	if (!plen || (p->class == KT_CLASS_V6 && any_bits))
		*all |= table;
	else
		mark(words, kt_prune_word(addr, log2, p->class, by), kt_prune_word(addr | any_bits, log2, p->class, by),
		     table, all);
}

void kt_prune_fill(struct kt_cell *cells, u32 log2, const struct kt_plan *p)
{
	u64 *src = cells[0].w, *dst = src + (1u << log2), *dport = dst + (1u << log2);
	u64 all[KT_N_PRUNE] = { 0 };

	memset(cells, 0, (size_t)KT_N_PRUNE << (log2 + 3));
	for (u32 i = 0; i < p->n_items; i++) {
		const struct kt_item *it = &p->items[i];
		u64 table = 1ull << it->table;

		mark_addr(src, log2, it->v.src[0], it->tuple.d[KT_DIM_SRC], table, &all[0], p, KT_PRUNE_SRC);
		mark_addr(dst, log2, it->v.dst[0], it->tuple.d[KT_DIM_DST], table, &all[1], p, KT_PRUNE_DST);
		mark(dport, kt_prune_word(it->v.ports << 16, log2, p->class, KT_PRUNE_DPORT),
		     kt_prune_word((u32)it->dport_hi << 16, log2, p->class, KT_PRUNE_DPORT), table, &all[2]);
	}
	for (u32 i = 0; i < (u32)KT_N_PRUNE << log2; i++)
		src[i] |= all[i >> log2];
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Port ranges as prefixes: 1024-65535 is 1024/6, 2048/5, 4096/4, 8192/3,
 * 16384/2 and 32768/1. A prefix can be hashed, a range cannot; the price is
 * up to 30 entries for one range.
 */
#include "plan.h"

/* The longest aligned block that starts at lo and ends not behind hi. Returns its last port. */
static u32 block_end(u32 lo, u32 hi)
{
	u32 size = 1;

	while (!(lo & size) && size < 65536 && lo + 2 * size - 1 <= hi)
		size *= 2;
	return lo + size - 1;
}

static u32 count_blocks(u32 lo, u32 hi)
{
	u32 n = 0;

	for (; lo <= hi; lo = block_end(lo, hi) + 1)
		n++;
	return n;
}

static u32 count_pieces(const struct kt_item *it)
{
	return count_blocks(it->v.ports >> 16, it->sport_hi) * count_blocks(it->v.ports & 0xffff, it->dport_hi);
}

/* Writes the pieces of one item. Returns their number. */
static u32 split(struct kt_item *out, const struct kt_item *it)
{
	u32 n = 0, s_end, d_end;

	for (u32 s = it->v.ports >> 16; s <= it->sport_hi; s = s_end + 1) {
		s_end = block_end(s, it->sport_hi);
		for (u32 d = it->v.ports & 0xffff; d <= it->dport_hi; d = d_end + 1) {
			struct kt_item *piece = &out[n++];

			d_end = block_end(d, it->dport_hi);
			*piece = *it;
			piece->v.ports = s << 16 | d;
			piece->sport_hi = (u16)s_end;
			piece->dport_hi = (u16)d_end;
			piece->tuple.d[KT_DIM_SPORT] = kt_port_bits((u16)s, (u16)s_end);
			piece->tuple.d[KT_DIM_DPORT] = kt_port_bits((u16)d, (u16)d_end);
		}
	}
	return n;
}

int kt_plan_split(struct kt_plan *p)
{
	u64 total = 0;
	struct kt_item *items;
	u32 n = 0;

	for (u32 i = 0; i < p->n_items && !kt_breath_ended(p->breath, i); i++)
		total += p->items[i].table == KT_NO_TABLE ? count_pieces(&p->items[i]) : 1;
	if (p->breath->ret)
		return p->breath->ret;
	if (total == p->n_items || total > 4ull * p->n_items + 65536)
		return 0;
	items = p->mem->alloc(p->mem->ctx, (size_t)total * sizeof(*items));
	if (!items)
		return -ENOMEM;
	for (u32 i = 0; i < p->n_items && !kt_breath_ended(p->breath, i); i++) {
		if (p->items[i].table == KT_NO_TABLE)
			n += split(&items[n], &p->items[i]);
		else
			items[n++] = p->items[i];
	}
	if (p->breath->ret) {
		p->mem->free(p->mem->ctx, items, (size_t)total * sizeof(*items));
		return p->breath->ret;
	}
	p->mem->free(p->mem->ctx, p->items, (size_t)p->cap_items * sizeof(*p->items));
	p->items = items;
	p->n_items = n;
	p->cap_items = (u32)total;
	return 0;
}

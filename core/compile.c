/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * From rules to an image: rules become items (one per class of flow that
 * they can match), plan.c gives each item a table, and what comes out is
 * laid out here. The layout is computed before the image is allocated, so it
 * has exactly the cells that it needs.
 */
#include "plan.h"

#define MIN_FILTER_LOG2 3u /* one cell */
#define MAX_FILTER_LOG2 20u

_Static_assert(sizeof(struct kt_cell) == 64, "cell");
_Static_assert(sizeof(struct kt_image_head) == sizeof(struct kt_cell), "head");
_Static_assert(sizeof(struct kt_image_key) == sizeof(struct kt_cell), "key");
_Static_assert(sizeof(struct kt_table) == sizeof(struct kt_cell), "table");
_Static_assert(sizeof(struct kt_bucket4) == sizeof(struct kt_cell), "bucket4");
_Static_assert(sizeof(struct kt_bucket6) == sizeof(struct kt_cell), "bucket6");
_Static_assert(KT_MAX_TABLES <= 64 && KT_MAX_TABLES < KT_NO_TABLE, "table numbers");

struct build {
	const struct kt_memory *mem;
	struct kt_breath breath;
	struct kt_image_key key;
	struct kt_plan plans[KT_N_CLASSES];
	struct kt_planned sorted[KT_MAX_TABLES]; /* room for sort_tables: too much for a kernel's stack */
	struct kt_table tables[KT_N_CLASSES][KT_MAX_TABLES];
	struct kt_image_head head;
	u32 first_bucket[KT_N_CLASSES]; /* where a class begins; it ends where the next thing begins */
	u32 end_bucket[KT_N_CLASSES];
	u32 first_more; /* cells that continue buckets */
	u32 *tails; /* per bucket cell: entries in it, later its last cell */
	u32 n_tails;
	struct kt_cell *cells;
};

static u32 slots(u32 class)
{
	return class == KT_CLASS_V6 ? 1 : 2;
}

/* Can the rule match flows of this class? The ethertype tells too: an IP version is never found behind another's. */
static bool in_class(const struct kt_match *m, u32 class)
{
	static const u8 versions[KT_N_CLASSES] = { 0, 4, 6 };
	static const u16 ethertypes[KT_N_CLASSES] = { 0, 0x0800, 0x86dd };

	if (m->version && m->version != versions[class])
		return false;
	return !m->ethertype || !ethertypes[class] || m->ethertype == ethertypes[class];
}

static void item_from(struct kt_item *it, const struct kt_match *m, u32 index)
{
	bool any_sport = !m->sport_hi, any_dport = !m->dport_hi;

	memset(it, 0, sizeof(*it));
	for (u32 i = 0; i < 4; i++) {
		it->v.src[i] = kt_get_be32(m->src + 4 * i);
		it->v.dst[i] = kt_get_be32(m->dst + 4 * i);
	}
	it->v.ports = (u32)m->sport_lo << 16 | m->dport_lo;
	it->v.kind = (u32)m->ethertype << 16 | m->proto;
	it->v.ifindex = m->ifindex;
	it->index = index;
	it->sport_hi = any_sport ? 0xffff : m->sport_hi;
	it->dport_hi = any_dport ? 0xffff : m->dport_hi;
	it->tuple.d[KT_DIM_SRC] = m->src_plen;
	it->tuple.d[KT_DIM_DST] = m->dst_plen;
	it->tuple.d[KT_DIM_SPORT] = kt_port_bits(m->sport_lo, it->sport_hi);
	it->tuple.d[KT_DIM_DPORT] = kt_port_bits(m->dport_lo, it->dport_hi);
	it->tuple.d[KT_DIM_PROTO] = m->proto != 0;
	it->tuple.d[KT_DIM_ETHERTYPE] = m->ethertype != 0;
	it->tuple.d[KT_DIM_IFINDEX] = m->ifindex != 0;
	it->table = KT_NO_TABLE;
}

static int make_plan(struct build *b, u32 class, const struct kt_rule *rules, u32 n)
{
	struct kt_plan *p = &b->plans[class];

	p->mem = b->mem;
	p->breath = &b->breath;
	p->key = &b->key;
	p->class = class;
	for (u32 i = 0; i < n && !kt_breath_ended(p->breath, i); i++)
		p->cap_items += in_class(&rules[i].match, class);
	if (!p->cap_items || b->breath.ret)
		return b->breath.ret;
	p->items = b->mem->alloc(b->mem->ctx, (size_t)p->cap_items * sizeof(*p->items));
	if (!p->items)
		return -ENOMEM;
	for (u32 i = 0; i < n && !kt_breath_ended(p->breath, i); i++) {
		if (in_class(&rules[i].match, class))
			item_from(&p->items[p->n_items++], &rules[i].match, i);
	}
	return b->breath.ret ? b->breath.ret : kt_plan_tables(p);
}

/* Tables are searched in the order of their best rule. Few, so sorted by insertion; items are renumbered. */
static void sort_tables(struct build *b, struct kt_plan *p)
{
	u8 new_of[KT_MAX_TABLES];

	for (u32 i = 0; i < p->n_tables; i++) {
		u32 place = 0;

		for (u32 j = 0; j < p->n_tables; j++)
			place += p->tables[j].best < p->tables[i].best ||
				 (p->tables[j].best == p->tables[i].best && j < i);
		new_of[i] = (u8)place;
		b->sorted[place] = p->tables[i];
	}
	memcpy(p->tables, b->sorted, p->n_tables * sizeof(b->sorted[0]));
	for (u32 i = 0; i < p->n_items && !kt_breath_ended(p->breath, i); i++)
		p->items[i].table = new_of[p->items[i].table];
}

/* Filter and bucket cells of each table of a class, from *cell on. */
static void place_tables(struct build *b, u32 class, u32 *cell)
{
	struct kt_plan *p = &b->plans[class];

	for (u32 i = 0; i < p->n_tables; i++) {
		struct kt_table *t = &b->tables[class][i];
		u32 log2 = MIN_FILTER_LOG2;

		while (log2 < MAX_FILTER_LOG2 && (8u << log2) < p->tables[i].n_keys)
			log2++;
		t->mask = p->tables[i].mask;
		t->best = p->tables[i].best;
		t->filter_log2 = log2;
		t->filter = *cell;
		*cell += 1u << (log2 - 3);
	}
	b->first_bucket[class] = *cell;
	for (u32 i = 0; i < p->n_tables; i++) {
		struct kt_table *t = &b->tables[class][i];
		u32 n = p->tables[i].n_items;

		t->buckets = *cell;
		t->n_buckets = class == KT_CLASS_V6 ? n + n / 2 : n;
		*cell += t->n_buckets;
	}
	b->end_bucket[class] = *cell;
}

/* Counts what each bucket will hold: how many cells continue buckets, and how long can a search be? */
static u32 count_buckets(struct build *b, u32 class)
{
	const struct kt_plan *p = &b->plans[class];
	u32 first = b->first_bucket[class], more = 0, steps = 0;

	for (u32 i = 0; i < p->n_items && !kt_breath_ended(p->breath, i); i++) {
		const struct kt_table *t = &b->tables[class][p->items[i].table];

		b->tails[kt_hash_bucket(kt_words_hash(&p->items[i].v, &t->mask, &b->key, class), t) - first]++;
	}
	for (u32 i = 0; i < p->n_tables; i++) {
		const struct kt_table *t = &b->tables[class][i];
		u32 longest = 0;

		for (u32 j = 0; j < t->n_buckets && !kt_breath_ended(p->breath, j); j++) {
			u32 n = (b->tails[t->buckets + j - first] + slots(class) - 1) / slots(class);

			more += n > 1 ? n - 1 : 0;
			longest = n > longest ? n : longest;
		}
		steps += 1 + longest;
		b->head.longest_chain = longest > b->head.longest_chain ? longest : b->head.longest_chain;
	}
	b->head.max_steps = steps > b->head.max_steps ? steps : b->head.max_steps;
	return more;
}

static int lay_out(struct build *b, u32 n_rules)
{
	u32 cell = 2, more = 0, lane_bits;

	b->head.magic = KT_IMAGE_MAGIC;
	b->head.n_rules = n_rules;
	for (u32 c = 0; c < KT_N_CLASSES; c++) {
		sort_tables(b, &b->plans[c]);
		b->head.first_table[c] = cell;
		b->head.n_tables[c] = b->plans[c].n_tables;
		b->head.n_entries += b->plans[c].n_items;
		cell += b->plans[c].n_tables;
	}
	if (b->breath.ret) /* then not every item has the number of its table */
		return b->breath.ret;
	for (u32 c = 0; c < KT_N_CLASSES; c++) {
		b->head.prune[c] = cell;
		b->head.prune_log2[c] = kt_prune_log2(&b->plans[c]);
		lane_bits = kt_prune_lane_bits_log2(&b->plans[c]);
		b->head.prune_lanes |= (u8)((lane_bits - 3) << (2 * c));
		cell += (KT_N_PRUNE << b->head.prune_log2[c]) >> (9 - lane_bits);
		place_tables(b, c, &cell);
		if (b->end_bucket[c] - b->first_bucket[c] > b->n_tails)
			b->n_tails = b->end_bucket[c] - b->first_bucket[c];
	}
	if (b->n_tails) {
		b->tails = b->mem->alloc(b->mem->ctx, (size_t)b->n_tails * sizeof(u32));
		if (!b->tails)
			return -ENOMEM;
	}
	for (u32 c = 0; c < KT_N_CLASSES; c++) {
		if (!b->plans[c].n_items)
			continue;
		memset(b->tails, 0, (size_t)b->n_tails * sizeof(u32));
		more += count_buckets(b, c);
	}
	b->first_more = cell;
	b->head.n_cells = cell + more;
	return b->breath.ret;
}

static void entry_from(struct kt_entry *e, const struct kt_item *it, u32 class)
{
	u32 bits = class == KT_CLASS_V6 ? 128 : 32;
	u16 link = e->link;

	memset(e, 0, sizeof(*e));
	e->link = link;
	e->sport_lo = (u16)(it->v.ports >> 16);
	e->sport_span = (u16)(it->sport_hi - e->sport_lo);
	e->dport_lo = (u16)it->v.ports;
	e->dport_span = (u16)(it->dport_hi - e->dport_lo);
	e->index = it->index;
	e->ifindex = it->v.ifindex;
	e->ethertype = (u16)(it->v.kind >> 16);
	e->proto = (u8)it->v.kind;
	e->src_drop = (u8)(bits - it->tuple.d[KT_DIM_SRC]);
	e->dst_drop = (u8)(bits - it->tuple.d[KT_DIM_DST]);
}

static void clear_bucket(struct kt_cell *c, u32 class)
{
	memset(c, 0, sizeof(*c));
	if (class == KT_CLASS_V6) {
		((struct kt_bucket6 *)c)->e.index = KT_NO_RULE;
	} else {
		((struct kt_bucket4 *)c)->slot[0].e.index = KT_NO_RULE;
		((struct kt_bucket4 *)c)->slot[1].e.index = KT_NO_RULE;
	}
}

/* Puts the item behind all others of its bucket. False: cell is full. */
static bool put_item(struct kt_cell *cell, const struct kt_item *it, u32 class)
{
	if (class == KT_CLASS_V6) {
		struct kt_bucket6 *k = (void *)cell;

		if (k->e.index != KT_NO_RULE)
			return false;
		memcpy(k->src, it->v.src, sizeof(k->src));
		memcpy(k->dst, it->v.dst, sizeof(k->dst));
		entry_from(&k->e, it, class);
	} else {
		struct kt_bucket4 *k = (void *)cell;
		struct kt_entry4 *s = &k->slot[k->slot[0].e.index != KT_NO_RULE];

		if (s->e.index != KT_NO_RULE)
			return false;
		s->src = it->v.src[0];
		s->dst = it->v.dst[0];
		entry_from(&s->e, it, class);
	}
	return true;
}

static void link_cell(struct kt_cell *cell, u32 next, u32 class)
{
	if (class == KT_CLASS_V6) {
		((struct kt_bucket6 *)cell)->next = next;
	} else {
		((struct kt_bucket4 *)cell)->slot[0].e.link = (u16)next;
		((struct kt_bucket4 *)cell)->slot[1].e.link = (u16)(next >> 16);
	}
}

static void fill_class(struct build *b, u32 class, u32 *more)
{
	const struct kt_plan *p = &b->plans[class];
	u32 first = b->first_bucket[class];

	for (u32 i = first; i < b->end_bucket[class] && !kt_breath_ended(p->breath, i); i++) {
		b->tails[i - first] = i;
		clear_bucket(&b->cells[i], class);
	}
	for (u32 i = 0; i < p->n_items && !kt_breath_ended(p->breath, i); i++) {
		const struct kt_item *it = &p->items[i];
		const struct kt_table *t = &b->tables[class][it->table];
		u64 h = kt_words_hash(&it->v, &t->mask, &b->key, class);
		u32 *tail = &b->tails[kt_hash_bucket(h, t) - first], word = kt_hash_filter_word(h, t);

		b->cells[t->filter + word / 8].w[word % 8] |= kt_hash_filter_bits(h);
		if (put_item(&b->cells[*tail], it, class))
			continue;
		link_cell(&b->cells[*tail], *more, class);
		*tail = (*more)++;
		clear_bucket(&b->cells[*tail], class);
		put_item(&b->cells[*tail], it, class);
	}
}

static int fill_image(struct build *b)
{
	u32 more = b->first_more;

	b->cells = b->mem->alloc(b->mem->ctx, (size_t)b->head.n_cells * sizeof(struct kt_cell));
	if (!b->cells)
		return -ENOMEM;
	memcpy(&b->cells[0], &b->head, sizeof(b->head));
	memcpy(&b->cells[1], &b->key, sizeof(b->key));
	for (u32 c = 0; c < KT_N_CLASSES; c++) {
		struct kt_cell *tables = &b->cells[b->head.first_table[c]];
		u32 filters = b->plans[c].n_tables ? b->tables[c][0].filter : b->first_bucket[c];

		memcpy(tables, b->tables[c], b->plans[c].n_tables * sizeof(b->tables[c][0]));
		memset(&b->cells[filters], 0, (size_t)(b->first_bucket[c] - filters) * sizeof(struct kt_cell));
		kt_prune_fill(&b->cells[b->head.prune[c]], b->head.prune_log2[c], &b->plans[c]);
		fill_class(b, c, &more);
	}
	return b->breath.ret;
}

int kt_compile(struct kt_image *img, const struct kt_rule *rules, u32 n, const struct kt_image_key *key,
	       const struct kt_memory *mem)
{
	struct build *b;
	int ret = 0;

	if (n > KT_MAX_RULES)
		return -E2BIG;
	b = mem->alloc(mem->ctx, sizeof(*b));
	if (!b)
		return -ENOMEM;
	memset(b, 0, sizeof(*b));
	b->mem = mem;
	b->breath.mem = mem;
	b->key = *key;
	b->key.spread |= 1;
	b->key.reserved = 0;
	for (u32 c = 0; c < KT_N_CLASSES && !ret; c++)
		ret = make_plan(b, c, rules, n);
	if (!ret)
		ret = lay_out(b, n);
	if (!ret)
		ret = fill_image(b);
	if (!ret) {
		img->cells = b->cells;
		img->n_cells = b->head.n_cells;
	} else if (b->cells) {
		mem->free(mem->ctx, b->cells, (size_t)b->head.n_cells * sizeof(struct kt_cell));
	}
	if (b->tails)
		mem->free(mem->ctx, b->tails, (size_t)b->n_tails * sizeof(u32));
	for (u32 c = 0; c < KT_N_CLASSES; c++) {
		struct kt_plan *p = &b->plans[c];

		if (p->items)
			mem->free(mem->ctx, p->items, (size_t)p->cap_items * sizeof(*p->items));
	}
	mem->free(mem->ctx, b, sizeof(*b));
	return ret;
}

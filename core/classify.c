/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Many flows looked up together. For each table the whole group is hashed
 * and asked of the filter first; the buckets that remain are fetched in
 * advance and compared one table later, so that neither the arithmetic nor
 * the comparison waits for memory.
 */
#include "classify.h"

#define GROUP 32u
/* The class is a constant in each copy. */
#define INLINE inline __attribute__((always_inline))
#define MAX_LOOKS (4 * GROUP)

/* A bucket cell that a member of the group has to look at. */
struct look {
	u32 cell;
	u32 member;
};

struct group {
	const struct kt_image *img;
	const struct kt_image_key *key;
	u32 n;
	struct kt_words words[GROUP];
	u32 best[GROUP];
	u64 tables; /* that any member has to ask, one bit each */
	u8 asking[KT_MAX_TABLES][GROUP]; /* the members that have to ask a table */
	u8 n_asking[KT_MAX_TABLES];
	struct look looks[2][MAX_LOOKS]; /* fetched a table ago; and now */
	u32 n_looks[2];
};

/* What a table's mask looks at besides addresses. */
enum {
	LOOKS_AT_PORTS = 1 << 0, /* and the kind */
	LOOKS_AT_IFINDEX = 1 << 1,
};

/*
 * Asks the filter of one table about the members that have to ask it; those
 * that pass and can gain are written to looks, with the hash for the cell.
 * Returns how many. What the
 * mask looks at is a constant in each copy of the loop, and the loop has no
 * branch that depends on a packet.
 */
static INLINE u32 ask_filter(const struct group *g, const struct kt_table *t, u32 table, struct look *looks, u32 class,
			     u32 looks_at)
{
	const struct kt_words m = t->mask;
	const struct kt_image_key key = *g->key;
	const u64 *filter = g->img->cells[t->filter].w;
	u32 last_word = (1u << t->filter_log2) - 1, best = t->best, n = 0;

	for (u32 i = 0; i < g->n_asking[table]; i++) {
		u32 member = g->asking[table][i];
		const struct kt_words *w = &g->words[member];
		u64 bits, h;

		h = (u64)(u32)((w->src[0] & m.src[0]) + key.nh[0]) * (u32)((w->dst[0] & m.dst[0]) + key.nh[1]);
		if (looks_at & LOOKS_AT_PORTS)
			h += (u64)(u32)((w->ports & m.ports) + key.nh[2]) * (u32)((w->kind & m.kind) + key.nh[3]);
		if (looks_at & LOOKS_AT_IFINDEX)
			h += (u64)(u32)(w->ifindex + key.nh[4]) * key.nh[5];
		for (u32 j = 1; class == KT_CLASS_V6 && j < 4; j++)
			h += (u64)(u32)((w->src[j] & m.src[j]) + key.nh[4 + 2 * j]) *
			     (u32)((w->dst[j] & m.dst[j]) + key.nh[5 + 2 * j]);
		h = kt_hash_spread(h, key.spread);
		bits = kt_hash_filter_bits(h);
		looks[n].cell = (u32)(h >> 32);
		looks[n].member = member;
		n += (best < g->best[member]) & ((filter[(u32)h & last_word] & bits) == bits);
	}
	return n;
}

/* Finds the members that have to look into a table, and fetches what they will look at. */
static INLINE void ask_table(struct group *g, const struct kt_table *t, u32 table, u32 now, u32 class)
{
	struct look *looks = g->looks[now];
	bool ports = t->mask.ports | t->mask.kind;
	u32 n;

	if (t->mask.ifindex)
		n = ask_filter(g, t, table, looks, class, ports ? LOOKS_AT_PORTS | LOOKS_AT_IFINDEX : LOOKS_AT_IFINDEX);
	else if (ports)
		n = ask_filter(g, t, table, looks, class, LOOKS_AT_PORTS);
	else
		n = ask_filter(g, t, table, looks, class, 0);
	for (u32 i = 0; i < n; i++) {
		looks[i].cell = t->buckets + (u32)((u64)looks[i].cell * t->n_buckets >> 32);
		__builtin_prefetch(&g->img->cells[looks[i].cell]);
	}
	g->n_looks[now] = n;
}

/* Compares the cells fetched a table ago; buckets that go on are fetched for the next time. */
static INLINE void take_looks(struct group *g, u32 old, u32 class)
{
	struct look *next = g->looks[!old];

	for (u32 i = 0; i < g->n_looks[old]; i++) {
		struct look l = g->looks[old][i];

		do {
			l.cell = kt_bucket_look(&g->img->cells[l.cell], &g->words[l.member], class, 0,
						&g->best[l.member]);
		} while (l.cell && g->n_looks[!old] >= MAX_LOOKS - GROUP);
		if (l.cell) {
			__builtin_prefetch(&g->img->cells[l.cell]);
			next[g->n_looks[!old]++] = l;
		}
	}
	g->n_looks[old] = 0;
}

static INLINE void search(struct group *g, u32 class)
{
	const struct kt_image_head *head = (const void *)g->img->cells;
	const struct kt_table *t = (const void *)&g->img->cells[head->first_table[class]];
	u32 now = 0;

	g->n_looks[0] = 0;
	g->n_looks[1] = 0;
	for (u64 left = g->tables; left; left &= left - 1) {
		u32 table = kt_lowest_bit(left);

		ask_table(g, &t[table], table, now, class);
		now = !now;
		take_looks(g, now, class);
	}
	while (g->n_looks[0] | g->n_looks[1]) {
		now = !now;
		take_looks(g, now, class);
	}
}

/* Lists for each table the members that it may hold something for. */
static INLINE void prune(struct group *g, u32 class)
{
	const struct kt_image_head *head = (const void *)g->img->cells;
	u32 log2 = head->prune_log2[class];
	const u64 *array = g->img->cells[head->prune[class]].w, *word[GROUP][KT_N_PRUNE];

	for (u32 i = 0; i < g->n; i++) {
		const struct kt_words *w = &g->words[i];

		word[i][0] = array + kt_prune_word(w->src[0], log2, class, KT_PRUNE_SRC);
		word[i][1] = array + (1u << log2) + kt_prune_word(w->dst[0], log2, class, KT_PRUNE_DST);
		word[i][2] = array + (2u << log2) + kt_prune_word(w->ports << 16, log2, class, KT_PRUNE_DPORT);
	}
	memset(g->n_asking, 0, sizeof(g->n_asking));
	g->tables = 0;
	for (u32 i = 0; i < g->n; i++) {
		u64 tables = *word[i][0] & *word[i][1] & *word[i][2];

		for (g->tables |= tables; tables; tables &= tables - 1) {
			u32 table = kt_lowest_bit(tables);

			g->asking[table][g->n_asking[table]++] = (u8)i;
		}
	}
}

/* The flows of one class, a full group at a time. */
static INLINE void classify_class(struct group *g, const struct kt_flow *flows, u32 n, u32 *out, u32 class)
{
	u32 who[GROUP];

	for (u32 i = 0; i < n;) {
		g->n = 0;
		for (; i < n && g->n < GROUP; i++) {
			if (kt_flow_class(&flows[i]) != class)
				continue;
			who[g->n] = i;
			g->best[g->n] = KT_NO_RULE;
			kt_flow_words(&g->words[g->n++], &flows[i]);
		}
		prune(g, class);
		search(g, class);
		for (u32 j = 0; j < g->n; j++)
			out[who[j]] = g->best[j] + 1;
	}
}

void kt_classify_batch(const struct kt_image *img, const struct kt_flow *flows, u32 n, u32 *out)
{
	struct group g;

	g.img = img;
	g.key = (const void *)&img->cells[1];
	classify_class(&g, flows, n, out, KT_CLASS_V4);
	classify_class(&g, flows, n, out, KT_CLASS_V6);
	classify_class(&g, flows, n, out, KT_CLASS_OTHER);
}

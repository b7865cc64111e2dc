/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Many flows looked up together. For each table the whole group is hashed
 * and asked of the filter first; the buckets that remain are fetched in
 * advance and compared one table later, so that neither the arithmetic nor
 * the comparison waits for memory.
 */
#include "classify.h"

#define GROUP 32u
#define MAX_LOOKS (4 * GROUP)

/* A bucket cell that a member of the group has to look at. */
struct look {
	u32 cell;
	u32 member;
};

struct group {
	const struct kt_image *img;
	const struct kt_image_key *key;
	u32 class;
	u32 n;
	struct kt_words words[GROUP];
	u32 best[GROUP];
	struct look looks[2][MAX_LOOKS]; /* fetched a table ago; and now */
	u32 n_looks[2];
};

/* Asks the filter of one table about every member. False when no member can gain anything from it. */
static inline bool ask_table(struct group *g, const struct kt_table *t, struct look *looks, u32 *n_looks, u32 class)
{
	const u64 *filter = g->img->cells[t->filter].w;
	struct kt_table table = *t;
	u32 n = *n_looks, alive = 0;

	for (u32 i = 0; i < g->n; i++) {
		u64 h = kt_words_hash(&g->words[i], &table.mask, g->key, class);
		u64 bits = kt_hash_filter_bits(h);
		u32 can_gain = table.best < g->best[i];

		alive |= can_gain;
		looks[n].cell = kt_hash_bucket(h, &table);
		looks[n].member = i;
		n += can_gain & ((filter[kt_hash_filter_word(h, &table)] & bits) == bits);
	}
	for (u32 i = *n_looks; i < n; i++)
		__builtin_prefetch(&g->img->cells[looks[i].cell]);
	*n_looks = n;
	return alive;
}

/* Compares the cells fetched a table ago; buckets that go on are fetched for the next time. */
static inline void take_looks(struct group *g, u32 old, u32 class)
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

static inline void search(struct group *g, u32 class)
{
	const struct kt_image_head *head = (const void *)g->img->cells;
	const struct kt_table *t = (const void *)&g->img->cells[head->first_table[class]];
	const struct kt_table *end = t + head->n_tables[class];
	u32 now = 0;

	g->n_looks[0] = 0;
	g->n_looks[1] = 0;
	for (; t < end; t++) {
		bool more = ask_table(g, t, g->looks[now], &g->n_looks[now], class);

		take_looks(g, !now, class);
		now = !now;
		if (!more)
			break;
	}
	while (g->n_looks[0] | g->n_looks[1]) {
		now = !now;
		take_looks(g, now, class);
	}
}

/* Up to GROUP flows: the members of each class in turn. */
static void classify_group(struct group *g, const struct kt_flow *flows, u32 n, u32 *out)
{
	for (u32 class = 0; class < KT_N_CLASSES; class ++) {
		u8 who[GROUP];

		g->n = 0;
		for (u32 i = 0; i < n; i++) {
			if (kt_flow_class(&flows[i]) != class)
				continue;
			who[g->n] = (u8)i;
			g->best[g->n] = KT_NO_RULE;
			kt_flow_words(&g->words[g->n++], &flows[i]);
		}
		if (!g->n)
			continue;
		if (class == KT_CLASS_V6)
			search(g, KT_CLASS_V6);
		else
			search(g, class);
		for (u32 i = 0; i < g->n; i++)
			out[who[i]] = g->best[i] + 1;
	}
}

void kt_classify_batch(const struct kt_image *img, const struct kt_flow *flows, u32 n, u32 *out)
{
	struct group g;

	g.img = img;
	g.key = (const void *)&img->cells[1];
	for (u32 i = 0; i < n; i += GROUP)
		classify_group(&g, flows + i, n - i < GROUP ? n - i : GROUP, out + i);
}

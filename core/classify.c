/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Many flows looked up together. The whole group is hashed for a table, which
 * fetches the words of its filter, before the filter of the table in front is
 * asked; the buckets that remain wait in a queue and are fetched some buckets
 * before they are compared, so that neither the arithmetic nor the comparison
 * waits for memory.
 */
#include "classify.h"

/*
 * Flows at once. Where a group ends nothing is left to do while its last
 * cells come from memory, and each of its loops ends where no CPU foretells
 * it: so as large as batches are. A group takes about 40 KiB of stack. The
 * module, which is given packets one by one, goes without.
 */
#define GROUP 256u
/* The class is a constant in each copy. */
#define INLINE inline __attribute__((always_inline))
#define FETCHING 24u /* cells on their way from memory; of many more the CPU would stop and wait */
#define MAX_LOOKS 512u /* power of two, above FETCHING + GROUP */

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
	u16 n_asking[KT_MAX_TABLES];
	u64 hash[2][GROUP]; /* of the members that ask a table: of the one at hand, and of the next */
	struct look looks[MAX_LOOKS]; /* in order, the first FETCHING being fetched; indices run free, masked on use */
	u32 first_look;
	u32 end_look;
};

/* What a table's mask looks at besides addresses. */
enum {
	LOOKS_AT_PORTS = 1 << 0, /* and the kind */
	LOOKS_AT_IFINDEX = 1 << 1,
};

/*
 * Hashes the members that have to ask a table, and fetches the words of the
 * filter that they will ask for. What the mask looks at is a constant in each
 * copy of the loop.
 */
static INLINE void hash_members(struct group *g, const struct kt_table *t, u32 table, u32 turn, u32 class, u32 looks_at)
{
	const struct kt_words m = t->mask;
	const struct kt_image_key key = *g->key;
	const u64 *filter = g->img->cells[t->filter].w;
	u32 last_word = (1u << t->filter_log2) - 1;

	for (u32 i = 0; i < g->n_asking[table]; i++) {
		const struct kt_words *w = &g->words[g->asking[table][i]];
		u64 h;

		h = (u64)(u32)((w->src[0] & m.src[0]) + key.nh[0]) * (u32)((w->dst[0] & m.dst[0]) + key.nh[1]);
		if (looks_at & LOOKS_AT_PORTS)
			h += (u64)(u32)((w->ports & m.ports) + key.nh[2]) * (u32)((w->kind & m.kind) + key.nh[3]);
		if (looks_at & LOOKS_AT_IFINDEX)
			h += (u64)(u32)(w->ifindex + key.nh[4]) * key.nh[5];
		for (u32 j = 1; class == KT_CLASS_V6 && j < 4; j++)
			h += (u64)(u32)((w->src[j] & m.src[j]) + key.nh[4 + 2 * j]) *
			     (u32)((w->dst[j] & m.dst[j]) + key.nh[5 + 2 * j]);
		h = kt_hash_spread(h, key.spread);
		g->hash[turn][i] = h;
		/* Into the second cache: the first one holds the group. */
		__builtin_prefetch(&filter[(u32)h & last_word], 0, 2);
	}
}

/* Fetches the cell of a look that has come under the first FETCHING. It is read once, and drives no filter out. */
static INLINE void fetch(const struct group *g, u32 look)
{
	__builtin_prefetch(&g->img->cells[g->looks[look % MAX_LOOKS].cell], 0, 0);
}

/*
 * Asks the filter of a table about the members hashed for it; those that
 * pass and can gain look into its buckets. Every member's look is written,
 * and counts only if it passed: no branch depends on a packet.
 */
static INLINE void ask_filter(struct group *g, const struct kt_table *t, u32 table, u32 turn)
{
	const u64 *filter = g->img->cells[t->filter].w, *hash = g->hash[turn];
	u32 last_word = (1u << t->filter_log2) - 1, best = t->best, end = g->end_look;

	for (u32 i = 0; i < g->n_asking[table]; i++) {
		u32 member = g->asking[table][i];
		u64 h = hash[i], bits = kt_hash_filter_bits(h);
		struct look *l = &g->looks[end % MAX_LOOKS];

		l->cell = t->buckets + (u32)((u64)(u32)(h >> 32) * t->n_buckets >> 32);
		l->member = member;
		end += (best < g->best[member]) & ((filter[(u32)h & last_word] & bits) == bits);
	}
	for (u32 i = g->end_look; i != end && i - g->first_look < FETCHING; i++)
		fetch(g, i);
	g->end_look = end;
}

static INLINE void hash_table(struct group *g, const struct kt_table *t, u32 table, u32 turn, u32 class)
{
	bool ports = t->mask.ports | t->mask.kind;

	if (t->mask.ifindex)
		hash_members(g, t, table, turn, class, ports ? LOOKS_AT_PORTS | LOOKS_AT_IFINDEX : LOOKS_AT_IFINDEX);
	else if (ports)
		hash_members(g, t, table, turn, class, LOOKS_AT_PORTS);
	else
		hash_members(g, t, table, turn, class, 0);
}

/*
 * Compares the cells fetched first until no more than max are left; for each
 * the next one is fetched, so that not more are under way than the CPU can
 * keep. A bucket that goes on waits behind the others.
 */
static INLINE void take_looks(struct group *g, u32 max, u32 class)
{
	while (g->end_look - g->first_look > max) {
		struct look l = g->looks[g->first_look++ % MAX_LOOKS];
		u32 next;

		if (g->end_look - g->first_look >= FETCHING)
			fetch(g, g->first_look + FETCHING - 1);
		next = kt_bucket_look(&g->img->cells[l.cell], &g->words[l.member], class, 0, &g->best[l.member]);
		if (next) {
			g->looks[g->end_look % MAX_LOOKS] = (struct look){ next, l.member };
			if (g->end_look - g->first_look < FETCHING)
				fetch(g, g->end_look);
			g->end_look++;
		}
	}
}

static INLINE void search(struct group *g, u32 class)
{
	const struct kt_image_head *head = (const void *)g->img->cells;
	const struct kt_table *t = (const void *)&g->img->cells[head->first_table[class]];
	u32 turn = 0; /* hashes of the table at hand */

	g->first_look = 0;
	g->end_look = 0;
	if (g->tables)
		hash_table(g, &t[kt_lowest_bit(g->tables)], kt_lowest_bit(g->tables), turn, class);
	for (u64 left = g->tables; left;) {
		u32 table = kt_lowest_bit(left);

		left &= left - 1;
		if (left)
			hash_table(g, &t[kt_lowest_bit(left)], kt_lowest_bit(left), !turn, class);
		ask_filter(g, &t[table], table, turn);
		take_looks(g, FETCHING, class);
		turn = !turn;
	}
	take_looks(g, 0, class);
}

/* Lists for each table the members that it may hold something for. */
static INLINE void prune(struct group *g, u32 class)
{
	const struct kt_image_head *head = (const void *)g->img->cells;
	u32 log2 = head->prune_log2[class], bits = kt_prune_bits_log2(head, class);
	/* Of many cells: not of the first one's array. */
	const u64 *first = (const void *)&g->img->cells[head->prune[class]], *array[KT_N_PRUNE];
	u64 of[GROUP], mask = kt_prune_mask(bits);

	for (u32 i = 0; i < KT_N_PRUNE; i++)
		array[i] = first + ((u64)i << log2 >> (6 - bits));
	g->tables = 0;
	for (u32 i = 0; i < g->n; i++) {
		const struct kt_words *w = &g->words[i];
		u32 src = kt_prune_lane(w->src[0], log2, class, KT_PRUNE_SRC);
		u32 dst = kt_prune_lane(w->dst[0], log2, class, KT_PRUNE_DST);
		u32 dport = kt_prune_lane(w->ports << 16, log2, class, KT_PRUNE_DPORT);

		of[i] = array[0][kt_prune_word(src, bits)] >> kt_prune_shift(src, bits) &
			array[1][kt_prune_word(dst, bits)] >> kt_prune_shift(dst, bits) &
			array[2][kt_prune_word(dport, bits)] >> kt_prune_shift(dport, bits) & mask;
		g->tables |= of[i];
	}
	for (u64 left = g->tables; left;) {
		u32 a = kt_lowest_bit(left), b, n = 0, m = 0;

		left &= left - 1;
		b = left ? kt_lowest_bit(left) : a;
		left &= left - 1;
		/* Table by table, two at a time, and not flow by flow: no branch depends on a packet. */
		for (u32 i = 0; i < g->n; i++) {
			u64 x = of[i];

			g->asking[a][n] = (u8)i;
			n += x >> a & 1;
			g->asking[b][m] = (u8)i;
			m += x >> b & 1;
		}
		g->n_asking[a] = (u16)n;
		g->n_asking[b] = (u16)m;
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

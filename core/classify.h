/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A compiled rule set and how a flow is looked up in it: one piece of code
 * for user space, the kernel module and BPF programs. compile.c writes what
 * is read here.
 *
 * The image is an array of 64-byte cells that refer to each other by index:
 * it has no pointers, is never changed, and can be an array in memory or a BPF
 * array map of 64-byte values. Whoever reads it otherwise than from memory
 * defines KT_CELL(img, i) before including this file; it may give NULL.
 *
 *   cell 0      struct kt_image_head
 *   cell 1      struct kt_image_key
 *   tables      struct kt_table, for each class of flow (IPv4, IPv6, neither)
 *               in the order of the best rule that they hold
 *   per class   three prune arrays (see below)
 *   per table   filter cells (bits), then bucket cells, then cells that
 *               continue a bucket
 *
 * This is a tuple space (Srinivasan, Suri, Varghese 1999) with merged tuples
 * (Daly et al., TupleMerge, 2019). A table has a mask; rules that agree under
 * the mask share a bucket, and each entry of a bucket is compared in full
 * (ranges, ethertype, interface), so a mask may be less specific than the
 * rules that it holds. A search visits tables until no later one can hold a
 * better rule. Most tables are never asked: the prune arrays tell for the
 * first bits of each address and of the destination port which tables hold a
 * rule for them at all (one bit a table), and only those in all three sets
 * count. Of the tables that are asked, two bits in one word of a small filter
 * dismiss most that have nothing for the flow, without touching a bucket.
 *
 * Rules are told by their index in order of judgement. Entries in a bucket
 * ascend, so the first that matches is the bucket's best.
 *
 * The hash is NH (Black et al., UMAC, 1999) over the masked words and one
 * multiplication to spread it. With a secret random key two different inputs
 * collide with a chance of 2^-32, whatever they are, which is what one needs
 * against somebody who chooses packets and sees no hashes; the same promise
 * from SipHash costs several times as much, for every table and packet, and
 * every rotation of it is three instructions in BPF.
 */
#ifndef KT_CLASSIFY_H
#define KT_CLASSIFY_H

#include "rules.h"

#define KT_IMAGE_MAGIC 0x6b545243u /* "kTRC" */
#define KT_MAX_TABLES 64u /* per class */
#define KT_MAX_RULES (1u << 24)
#define KT_NO_RULE 0xffffffffu
#define KT_NH_WORDS 12

enum kt_flow_class {
	KT_CLASS_OTHER = 0, /* not IP */
	KT_CLASS_V4 = 1,
	KT_CLASS_V6 = 2,
	KT_N_CLASSES = 3,
};

struct kt_cell {
	u64 w[8];
};

struct kt_image_head {
	u32 magic;
	u32 n_cells;
	u32 n_rules;
	u32 max_steps; /* no search takes more steps (see kt_search_step) */
	u32 first_table[KT_N_CLASSES]; /* cell */
	u32 n_tables[KT_N_CLASSES];
	u32 n_entries; /* a rule for any frame is in several classes */
	u32 longest_chain; /* cells */
	u32 prune[KT_N_CLASSES]; /* first cell of the class's three prune arrays */
	u8 prune_log2[KT_N_CLASSES]; /* lanes in each of them; 6 to 16 */
	u8 prune_lanes; /* log2 of the bits in a lane less 3, two bits for each class */
};

struct kt_image_key {
	u32 nh[KT_NH_WORDS];
	u64 spread; /* odd */
	u64 reserved;
};

/* A flow, or the mask of a table, as the words that are hashed; host order. */
struct kt_words {
	u32 src[4]; /* IPv4: the first word */
	u32 dst[4];
	u32 ports; /* source port << 16 | destination port */
	u32 kind; /* ethertype << 16 | proto */
	u32 ifindex;
};

struct kt_table {
	struct kt_words mask;
	u32 best; /* lowest index of a rule in this table */
	u32 filter; /* first filter cell */
	u32 buckets; /* first bucket cell */
	u32 n_buckets : 27;
	u32 filter_log2 : 5; /* words in the filter */
	u32 reserved;
};

/* What entries of both kinds say apart from addresses. */
struct kt_entry {
	u16 sport_lo;
	u16 sport_span; /* matches lo .. lo + span */
	u16 dport_lo;
	u16 dport_span;
	u32 index; /* KT_NO_RULE: free, and so are those behind */
	u32 ifindex; /* 0 any */
	u16 ethertype; /* 0 any */
	u8 proto; /* 0 any */
	u8 src_drop; /* address bits that do not matter: 32 - plen, or 128 - plen */
	u8 dst_drop;
	u8 reserved;
	u16 link; /* part of the index of the bucket's next cell */
};

struct kt_entry4 {
	u32 src;
	u32 dst;
	struct kt_entry e;
};

/* Flows that are not IP use this one too, with addresses that are zero. */
struct kt_bucket4 {
	struct kt_entry4 slot[2]; /* link of slot 0 is the low half, of slot 1 the high half; 0: no more */
};

struct kt_bucket6 {
	u32 src[4];
	u32 dst[4];
	struct kt_entry e;
	u32 next; /* 0: no more */
	u32 reserved;
};

/* Where an image is; see lib/classifier.h for who owns it. */
struct kt_image {
	const struct kt_cell *cells;
	u32 n_cells;
};

#ifndef KT_CELL
#define KT_CELL(img, i) ((img)->cells + (i))
#endif

static inline u32 kt_flow_class(const struct kt_flow *f)
{
	return f->version == 4 ? KT_CLASS_V4 : f->version == 6 ? KT_CLASS_V6 : KT_CLASS_OTHER;
}

static inline void kt_flow_words(struct kt_words *w, const struct kt_flow *f)
{
	w->src[0] = kt_get_be32(f->src);
	w->dst[0] = kt_get_be32(f->dst);
	w->ports = (u32)f->sport << 16 | f->dport;
	w->kind = (u32)f->ethertype << 16 | f->proto;
	w->ifindex = f->ifindex;
	if (f->version != 6)
		return;
	for (u32 i = 1; i < 4; i++) {
		w->src[i] = kt_get_be32(f->src + 4 * i);
		w->dst[i] = kt_get_be32(f->dst + 4 * i);
	}
}

static inline u64 kt_hash_spread(u64 h, u64 spread)
{
	h = (h ^ (h >> 32)) * spread;
	return h ^ (h >> 32);
}

/* Only what the mask looks at is hashed. */
static inline u64 kt_words_hash(const struct kt_words *w, const struct kt_words *m, const struct kt_image_key *key,
				u32 class)
{
	const u32 *k = key->nh;
	u64 h = (u64)(u32)((w->src[0] & m->src[0]) + k[0]) * (u32)((w->dst[0] & m->dst[0]) + k[1]);

	if (m->ports | m->kind)
		h += (u64)(u32)((w->ports & m->ports) + k[2]) * (u32)((w->kind & m->kind) + k[3]);
	if (m->ifindex)
		h += (u64)(u32)(w->ifindex + k[4]) * k[5];
	if (class == KT_CLASS_V6) {
		h += (u64)(u32)((w->src[1] & m->src[1]) + k[6]) * (u32)((w->dst[1] & m->dst[1]) + k[7]);
		h += (u64)(u32)((w->src[2] & m->src[2]) + k[8]) * (u32)((w->dst[2] & m->dst[2]) + k[9]);
		h += (u64)(u32)((w->src[3] & m->src[3]) + k[10]) * (u32)((w->dst[3] & m->dst[3]) + k[11]);
	}
	return kt_hash_spread(h, key->spread);
}

/* Number of the lowest bit that is set; there is one. */
static inline u32 kt_lowest_bit(u64 x)
{
#ifdef __bpf__ /* has no such instruction, and clang 14 fails to do without */
	u32 n = 0;

	for (u32 half = 32; half; half /= 2) {
		u64 low = x & ((1ull << half) - 1);

		n += low ? 0 : half;
		x = low ? low : x >> half;
	}
	return n;
#else
	return (u32)__builtin_ctzll(x);
#endif
}

enum kt_prune_by {
	KT_PRUNE_SRC,
	KT_PRUNE_DST,
	KT_PRUNE_DPORT,
	KT_N_PRUNE,
};

/*
 * A lane of a prune array: as few bits as there can be tables, so that the
 * arrays stay in the CPU's second cache. IPv6 addresses all begin alike, so
 * there the first 32 bits are scattered; a rule with a shorter prefix counts
 * for every lane.
 */
static inline u32 kt_prune_lane(u32 first_bits, u32 log2, u32 class, enum kt_prune_by by)
{
	if (class == KT_CLASS_V6 && by != KT_PRUNE_DPORT)
		first_bits *= 0x9e3779b1u;
	return first_bits >> (32 - log2);
}

/* Bits of a lane, as a power of two: 3 to 6. */
static inline u32 kt_prune_bits_log2(const struct kt_image_head *head, u32 class)
{
	return 3 + (head->prune_lanes >> (2 * class) & 3);
}

/* Lanes lie in words from the low bits on: where is one, and how far up? */
static inline u32 kt_prune_word(u32 lane, u32 bits_log2)
{
	return lane >> (6 - bits_log2);
}

static inline u32 kt_prune_shift(u32 lane, u32 bits_log2)
{
	return lane << bits_log2 & 63;
}

static inline u64 kt_prune_mask(u32 bits_log2)
{
	return ~0ull >> (64 - (1u << bits_log2));
}

/* The three uses of a hash: word of the filter, bits in that word, bucket. */
static inline u32 kt_hash_filter_word(u64 h, const struct kt_table *t)
{
	return (u32)h & ((1u << t->filter_log2) - 1);
}

static inline u64 kt_hash_filter_bits(u64 h)
{
	return 1ull << ((h >> 20) & 63) | 1ull << ((h >> 26) & 63);
}

static inline u32 kt_hash_bucket(u64 h, const struct kt_table *t)
{
	return t->buckets + (u32)((u64)(u32)(h >> 32) * t->n_buckets >> 32);
}

/* x >> n for n up to 32. */
static inline u32 kt_shift_out(u32 x, u32 n)
{
	return (u32)((u64)x >> n);
}

static inline bool kt_entry_matches(const struct kt_entry *e, const struct kt_words *w)
{
	if ((u16)((w->ports >> 16) - e->sport_lo) > e->sport_span || (u16)(w->ports - e->dport_lo) > e->dport_span)
		return false;
	if (e->proto && e->proto != (u8)w->kind)
		return false;
	if (e->ethertype && e->ethertype != (u16)(w->kind >> 16))
		return false;
	return !e->ifindex || e->ifindex == w->ifindex;
}

static inline bool kt_entry4_matches(const struct kt_entry4 *s, const struct kt_words *w)
{
	if (kt_shift_out(s->src ^ w->src[0], s->e.src_drop) | kt_shift_out(s->dst ^ w->dst[0], s->e.dst_drop))
		return false;
	return kt_entry_matches(&s->e, w);
}

/* Do a and b agree in all but their last drop bits of 128? */
static inline bool kt_prefix6_matches(const u32 a[4], const u32 b[4], u32 drop)
{
	u32 diff = 0;

	for (u32 i = 0; i < 4; i++) {
		u32 behind = 96 - 32 * i; /* bits in the words that follow */
		u32 n = drop <= behind ? 0 : drop - behind > 32 ? 32 : drop - behind;

		diff |= kt_shift_out(a[i] ^ b[i], n);
	}
	return !diff;
}

static inline bool kt_bucket6_matches(const struct kt_bucket6 *b, const struct kt_words *w)
{
	return kt_entry_matches(&b->e, w) && kt_prefix6_matches(b->src, w->src, b->e.src_drop) &&
	       kt_prefix6_matches(b->dst, w->dst, b->e.dst_drop);
}

/*
 * Compares the entries of one cell. Lowers *best if one of them is better and
 * at or behind start. Returns the cell where the bucket goes on, or 0 when
 * nothing behind can be better.
 */
static inline u32 kt_bucket_look(const void *cell, const struct kt_words *w, u32 class, u32 start, u32 *best)
{
	if (class == KT_CLASS_V6) {
		const struct kt_bucket6 *b = cell;

		if (b->e.index >= *best)
			return 0;
		if (b->e.index >= start && kt_bucket6_matches(b, w)) {
			*best = b->e.index;
			return 0;
		}
		return b->next;
	} else {
		const struct kt_bucket4 *b = cell;

		for (u32 i = 0; i < 2; i++) {
			const struct kt_entry4 *s = &b->slot[i];

			if (s->e.index >= *best)
				return 0;
			if (s->e.index >= start && kt_entry4_matches(s, w)) {
				*best = s->e.index;
				return 0;
			}
		}
		return (u32)b->slot[1].e.link << 16 | b->slot[0].e.link;
	}
}

/* --- One flow, one step at a time: for BPF, whose loops need a bound ------- */

struct kt_search {
	struct kt_words words;
	u32 class;
	u32 start;
	u32 best; /* so far */
	u32 cell; /* bucket cell to look at next; 0: next table */
	u32 first_table; /* cell */
	u64 tables; /* still to be asked, one bit each */
	u64 all_tables; /* that can hold something for the flow */
};

/* The tables that one prune array leaves, and what else is in the word above them. */
static inline u64 kt_search_prune(const struct kt_image *img, u32 first, u32 lane, u32 bits_log2)
{
	u32 word = kt_prune_word(lane, bits_log2);
	const struct kt_cell *c = KT_CELL(img, first + word / 8);

	return c ? c->w[word % 8] >> kt_prune_shift(lane, bits_log2) : 0;
}

/* Prepares a search for the best rule with index >= start. False: there is nothing to search. */
static inline bool kt_search_begin(struct kt_search *s, const struct kt_image *img, const struct kt_flow *f, u32 start)
{
	const struct kt_image_head *head = (const void *)KT_CELL(img, 0);
	u32 log2, bits, prune, cells, n_tables;

	s->start = start;
	s->best = KT_NO_RULE;
	s->cell = 0;
	s->all_tables = 0;
	s->class = kt_flow_class(f);
	kt_flow_words(&s->words, f);
	if (!head)
		return false;
	if (s->class == KT_CLASS_V4) {
		s->first_table = head->first_table[KT_CLASS_V4];
		n_tables = head->n_tables[KT_CLASS_V4];
		prune = head->prune[KT_CLASS_V4];
		log2 = head->prune_log2[KT_CLASS_V4];
	} else if (s->class == KT_CLASS_V6) {
		s->first_table = head->first_table[KT_CLASS_V6];
		n_tables = head->n_tables[KT_CLASS_V6];
		prune = head->prune[KT_CLASS_V6];
		log2 = head->prune_log2[KT_CLASS_V6];
	} else {
		s->first_table = head->first_table[KT_CLASS_OTHER];
		n_tables = head->n_tables[KT_CLASS_OTHER];
		prune = head->prune[KT_CLASS_OTHER];
		log2 = head->prune_log2[KT_CLASS_OTHER];
	}
	if (n_tables <= 1) { /* whose filter is as quick to ask */
		s->tables = s->all_tables = n_tables;
		return n_tables;
	}
	log2 &= 31;
	bits = kt_prune_bits_log2(head, s->class);
	cells = (1u << log2) >> (9 - bits);
	s->all_tables =
		kt_search_prune(img, prune, kt_prune_lane(s->words.src[0], log2, s->class, KT_PRUNE_SRC), bits) &
		kt_search_prune(img, prune + cells, kt_prune_lane(s->words.dst[0], log2, s->class, KT_PRUNE_DST),
				bits) &
		kt_search_prune(img, prune + 2 * cells,
				kt_prune_lane(s->words.ports << 16, log2, s->class, KT_PRUNE_DPORT), bits) &
		kt_prune_mask(bits);
	s->tables = s->all_tables;
	return s->tables;
}

/* Searches anew for the best rule with index >= start: the one before had its quota used up. */
static inline void kt_search_again(struct kt_search *s, u32 start)
{
	s->start = start;
	s->best = KT_NO_RULE;
	s->cell = 0;
	s->tables = s->all_tables;
}

/* Looks into one table or one bucket cell. True when the search is over; s->best + 1 is its result. */
static inline bool kt_search_step(struct kt_search *s, const struct kt_image *img)
{
	const struct kt_image_key *key = (const void *)KT_CELL(img, 1);
	const struct kt_cell *filter;
	const struct kt_table *t;
	u32 word;
	u64 h, bits;

	if (s->cell) {
		const struct kt_cell *c = KT_CELL(img, s->cell);

		s->cell = c ? kt_bucket_look(c, &s->words, s->class, s->start, &s->best) : 0;
		return !s->cell && !s->tables;
	}
	if (!s->tables)
		return true;
	t = (const void *)KT_CELL(img, s->first_table + kt_lowest_bit(s->tables));
	if (!t || !key || t->best >= s->best)
		return true;
	s->tables &= s->tables - 1;
	h = kt_words_hash(&s->words, &t->mask, key, s->class);
	word = kt_hash_filter_word(h, t);
	bits = kt_hash_filter_bits(h);
	filter = KT_CELL(img, t->filter + word / 8);
	if (filter && (filter->w[word % 8] & bits) == bits)
		s->cell = kt_hash_bucket(h, t);
	return !s->cell && !s->tables;
}

/* --- In memory -------------------------------------------------------------- */

#ifndef __bpf__

/*
 * Any context. The best rule with index >= start that matches f: its index
 * + 1, or 0 for none. Ask again with start = index + 1 to pass over a rule
 * whose quota is used up.
 */
static inline u32 kt_classify(const struct kt_image *img, const struct kt_flow *f, u32 start)
{
	struct kt_search s;

	if (kt_search_begin(&s, img, f, start)) {
		while (!kt_search_step(&s, img))
			;
	}
	return s.best + 1; /* KT_NO_RULE + 1 is 0 */
}

/* Any context. The same, from the first rule on, for n flows at once: what memory takes to answer overlaps. */
void kt_classify_batch(const struct kt_image *img, const struct kt_flow *flows, u32 n, u32 *out);

#endif

#endif

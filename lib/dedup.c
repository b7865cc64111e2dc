/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The window: a ring of hashes in order of arrival, and an open hash table over them with linear probing. */
#include <stdlib.h>

#include "dedup.h"

struct kt_dedup {
	struct kt_hash_key key;
	u32 n; /* size of the window */
	u32 mask; /* of the table, which is at least twice as large */
	u32 used;
	u32 next; /* where in the ring the next goes */
	u64 forgotten;
	u64 *ring;
	u64 *table; /* 0: empty */
};

int kt_dedup_new(struct kt_dedup **out, u32 n, const struct kt_hash_key *key)
{
	struct kt_dedup *d;
	u32 slots = 4;

	*out = NULL;
	if (!n || n > 1u << 30)
		return -EINVAL;
	while (slots < 2 * n)
		slots *= 2;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->key = *key;
	d->n = n;
	d->mask = slots - 1;
	d->ring = calloc(n, sizeof(*d->ring));
	d->table = calloc(slots, sizeof(*d->table));
	if (!d->ring || !d->table) {
		kt_dedup_free(d);
		return -ENOMEM;
	}
	*out = d;
	return 0;
}

void kt_dedup_free(struct kt_dedup *d)
{
	if (!d)
		return;
	free(d->ring);
	free(d->table);
	free(d);
}

/* The slot of h, or the empty one where it would go. */
static u32 find(const struct kt_dedup *d, u64 h)
{
	u32 i = (u32)h & d->mask;

	while (d->table[i] && d->table[i] != h)
		i = (i + 1) & d->mask;
	return i;
}

/* Empties a slot and moves up what had to pass over it. */
static void take_out(struct kt_dedup *d, u64 h)
{
	u32 hole = find(d, h);

	for (u32 i = (hole + 1) & d->mask; d->table[i]; i = (i + 1) & d->mask) {
		u32 home = (u32)d->table[i] & d->mask;

		if (((i - home) & d->mask) >= ((i - hole) & d->mask)) {
			d->table[hole] = d->table[i];
			hole = i;
		}
	}
	d->table[hole] = 0;
}

bool kt_dedup_seen(struct kt_dedup *d, const void *thing, u32 bytes)
{
	u64 h = kt_hash_siphash13(&d->key, thing, bytes);

	if (!h)
		h = 1;
	if (d->table[find(d, h)])
		return true;
	if (d->used == d->n) {
		take_out(d, d->ring[d->next]);
		d->forgotten++;
	} else {
		d->used++;
	}
	d->table[find(d, h)] = h;
	d->ring[d->next] = h;
	d->next = d->next + 1 == d->n ? 0 : d->next + 1;
	return false;
}

u64 kt_dedup_forgotten(const struct kt_dedup *d)
{
	return d->forgotten;
}

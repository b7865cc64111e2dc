/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A walk over the target numbers 0 .. last: in order or in a random one, one
 * shard of several, from any position. Shard i of n takes the positions whose
 * remainder by n is i: disjoint, together complete, and alike in size.
 * A walk is saved as "key = value" lines and resumed where it was.
 */
#ifndef KT_WALK_H
#define KT_WALK_H

#include "../include/ktrxer.h"

#include "../core/permute.h"

struct kt_walk_opts {
	bool random;
	u64 seed;
	u32 shard; /* 0 .. n_shards - 1 */
	u32 n_shards; /* 0: 1 */
};

struct kt_walk {
	struct kt_walk_opts o;
	struct kt_permute permute;
	u64 last; /* the last target number */
	u64 digest; /* of the targets */
	u64 pos; /* next position of the whole walk, this shard's residue */
	u64 n_given; /* numbers given out, since the very start */
	bool done;
};

/* digest: kt_targets_digest(), or anything that names the set. -EINVAL: a shard that does not exist. */
int kt_walk_init(struct kt_walk *w, const struct kt_walk_opts *o, u64 last, u64 digest, struct ktrxer_err *err);

/* Back to the first position. */
void kt_walk_rewind(struct kt_walk *w);

/* The next number. False at the end. */
bool kt_walk_next(struct kt_walk *w, u64 *number);

/* How many numbers this shard has, 2^64 told as UINT64_MAX. */
u64 kt_walk_count(const struct kt_walk *w);

/* Text for a file; returns the length as snprintf does. */
int kt_walk_save(const struct kt_walk *w, char *buf, size_t cap);

/*
 * Takes the position (and seed, order, shard) from saved text into a walk
 * that was set up over the same targets. where names the file in messages.
 * -EINVAL: a line is wrong; -ESTALE: it was saved over other targets. Keys it does not know are left to the caller.
 */
int kt_walk_restore(struct kt_walk *w, const char *text, const char *where, struct ktrxer_err *err);

#endif

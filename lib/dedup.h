/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Have I seen this before? A window over the last n distinct things, in
 * memory fixed at the start. A thing that comes back after n others have come between is
 * taken for new, as in zmap's sliding window: the larger the window, the rarer. Two things
 * whose 64-bit keyed hashes agree count as one: 1 in 10^13 for a window of a million.
 */
#ifndef KT_DEDUP_H
#define KT_DEDUP_H

#include "../core/hash.h"

struct kt_dedup;

/* n: things remembered, 1 to 2^30; 16 bytes each, rounded up to a power of two. -EINVAL, -ENOMEM. */
int kt_dedup_new(struct kt_dedup **d, u32 n, const struct kt_hash_key *key);
void kt_dedup_free(struct kt_dedup *d);

/* Remembers it; true when it was in the window. */
bool kt_dedup_seen(struct kt_dedup *d, const void *thing, u32 bytes);

/* Things that have left the window. */
u64 kt_dedup_forgotten(const struct kt_dedup *d);

#endif

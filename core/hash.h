/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Keyed hash: SipHash (Aumasson, Bernstein 2012). 2-4 for cookies that the
 * network sees, 1-3 for tables that an attacker might try to unbalance.
 */
#ifndef KT_HASH_H
#define KT_HASH_H

#include "env.h"

struct kt_hash_key {
	u64 k0;
	u64 k1;
};

u64 kt_hash_siphash24(const struct kt_hash_key *key, const void *data, u32 len);
u64 kt_hash_siphash13(const struct kt_hash_key *key, const void *data, u32 len);

/* One permutation-quality 64-bit mix (splitmix64): for seeded choices, not for secrets. */
static inline u64 kt_hash_mix64(u64 x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* The next 64 random bits of a stream whose whole state is *state. */
static inline u64 kt_hash_next(u64 *state)
{
	u64 x = *state;

	*state = x + 0x9e3779b97f4a7c15ull;
	return kt_hash_mix64(x);
}

#endif

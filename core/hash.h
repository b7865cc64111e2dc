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

/*
 * SipHash-2-4 in steps, for messages that begin alike: the state behind their common part is kept, and a copy of it
 * goes on. Words are the message's bytes, eight at a time, little-endian; the last one has the rest of them and the
 * length of all in its top byte.
 */
struct kt_sip {
	u64 v0;
	u64 v1;
	u64 v2;
	u64 v3;
};

static inline u64 kt_sip_rotl(u64 x, unsigned int n)
{
	return x << n | x >> (64 - n);
}

static inline void kt_sip_round(struct kt_sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = kt_sip_rotl(s->v1, 13) ^ s->v0;
	s->v3 = kt_sip_rotl(s->v3, 16) ^ s->v2;
	s->v0 = kt_sip_rotl(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = kt_sip_rotl(s->v1, 17) ^ s->v2;
	s->v3 = kt_sip_rotl(s->v3, 21) ^ s->v0;
	s->v2 = kt_sip_rotl(s->v2, 32);
}

static inline struct kt_sip kt_sip_start(const struct kt_hash_key *key)
{
	return (struct kt_sip){
		.v0 = key->k0 ^ 0x736f6d6570736575ull,
		.v1 = key->k1 ^ 0x646f72616e646f6dull,
		.v2 = key->k0 ^ 0x6c7967656e657261ull,
		.v3 = key->k1 ^ 0x7465646279746573ull,
	};
}

/* c compression rounds, one or two: 2 in SipHash-2-4. */
static inline void kt_sip_add(struct kt_sip *s, u64 word, int c)
{
	s->v3 ^= word;
	kt_sip_round(s);
	if (c > 1)
		kt_sip_round(s);
	s->v0 ^= word;
}

static inline u64 kt_sip_end(struct kt_sip *s, u64 last, int c, int d)
{
	kt_sip_add(s, last, c);
	s->v2 ^= 0xff;
	for (int i = 0; i < d; i++)
		kt_sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static inline u64 kt_hash_le64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

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

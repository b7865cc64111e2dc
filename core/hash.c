/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * SipHash after the paper of Aumasson and Bernstein: 64-bit words of the
 * message, little-endian, each mixed by c rounds; the last word carries the
 * length; d rounds finish.
 */
#include "hash.h"

struct sip {
	u64 v0;
	u64 v1;
	u64 v2;
	u64 v3;
};

static inline u64 rotl(u64 x, unsigned int n)
{
	return x << n | x >> (64 - n);
}

static inline u64 load_le64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 = rotl(s->v2, 32);
}

/* Inlined twice with constant c and d, so that the loops over them unroll. */
static inline __attribute__((always_inline)) u64 siphash(const struct kt_hash_key *key, const u8 *p, u32 len, int c,
							 int d)
{
	struct sip s = {
		.v0 = key->k0 ^ 0x736f6d6570736575ull,
		.v1 = key->k1 ^ 0x646f72616e646f6dull,
		.v2 = key->k0 ^ 0x6c7967656e657261ull,
		.v3 = key->k1 ^ 0x7465646279746573ull,
	};
	u64 last = (u64)(len & 0xff) << 56;
	u32 left;

	for (left = len; left >= 8; left -= 8, p += 8) {
		u64 m = load_le64(p);

		s.v3 ^= m;
		for (int i = 0; i < c; i++)
			sip_round(&s);
		s.v0 ^= m;
	}
	while (left--)
		last |= (u64)p[left] << (8 * left);
	s.v3 ^= last;
	for (int i = 0; i < c; i++)
		sip_round(&s);
	s.v0 ^= last;
	s.v2 ^= 0xff;
	for (int i = 0; i < d; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

u64 kt_hash_siphash24(const struct kt_hash_key *key, const void *data, u32 len)
{
	return siphash(key, data, len, 2, 4);
}

u64 kt_hash_siphash13(const struct kt_hash_key *key, const void *data, u32 len)
{
	return siphash(key, data, len, 1, 3);
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * SipHash after the paper of Aumasson and Bernstein: 64-bit words of the
 * message, little-endian, each mixed by c rounds; the last word carries the
 * length; d rounds finish.
 */
#include "hash.h"

/* Inlined twice with constant c and d, so that the loops over them unroll. */
static inline __attribute__((always_inline)) u64 siphash(const struct kt_hash_key *key, const u8 *p, u32 len, int c,
							 int d)
{
	struct kt_sip s = kt_sip_start(key);
	u64 last = (u64)(len & 0xff) << 56;
	u32 left;

	for (left = len; left >= 8; left -= 8, p += 8)
		kt_sip_add(&s, kt_hash_le64(p), c);
	while (left--)
		last |= (u64)p[left] << (8 * left);
	return kt_sip_end(&s, last, c, d);
}

u64 kt_hash_siphash24(const struct kt_hash_key *key, const void *data, u32 len)
{
	return siphash(key, data, len, 2, 4);
}

u64 kt_hash_siphash13(const struct kt_hash_key *key, const void *data, u32 len)
{
	return siphash(key, data, len, 1, 3);
}

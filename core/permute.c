/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Random order without a table: an alternating Feistel network with cycle walking. */
#include "permute.h"

#include "hash.h"

void kt_permute_init(struct kt_permute *p, u64 last, u64 seed)
{
	unsigned int bits = 0;

	memset(p, 0, sizeof(*p));
	p->last = last;
	while (bits < 64 && (last >> bits))
		bits++;
	p->low_bits = (u8)(bits / 2);
	p->high_bits = (u8)(bits - p->low_bits);
	for (unsigned int i = 0; i < KT_PERMUTE_ROUNDS; i++)
		p->keys[i] = kt_hash_next(&seed);
}

/* bits of the hash of a half; any function would do for a bijection. */
static u64 scramble(u64 half, u64 key, unsigned int bits)
{
	u64 x = half ^ key;

	if (!bits)
		return 0;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 32;
	x *= 0x94d049bb133111ebull;
	return x >> (64 - bits);
}

static u64 encrypt(const struct kt_permute *p, u64 v)
{
	u64 low = v & ((1ull << p->low_bits) - 1);
	u64 high = v >> p->low_bits;

	for (unsigned int r = 0; r < KT_PERMUTE_ROUNDS; r += 2) {
		high ^= scramble(low, p->keys[r], p->high_bits);
		low ^= scramble(high, p->keys[r + 1], p->low_bits);
	}
	return high << p->low_bits | low;
}

static u64 decrypt(const struct kt_permute *p, u64 v)
{
	u64 low = v & ((1ull << p->low_bits) - 1);
	u64 high = v >> p->low_bits;

	for (unsigned int r = KT_PERMUTE_ROUNDS; r > 0; r -= 2) {
		low ^= scramble(high, p->keys[r - 1], p->low_bits);
		high ^= scramble(low, p->keys[r - 2], p->high_bits);
	}
	return high << p->low_bits | low;
}

u64 kt_permute_at(const struct kt_permute *p, u64 i)
{
	do
		i = encrypt(p, i);
	while (i > p->last);
	return i;
}

u64 kt_permute_position(const struct kt_permute *p, u64 v)
{
	do
		v = decrypt(p, v);
	while (v > p->last);
	return v;
}

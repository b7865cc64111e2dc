/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A random order of 0 .. n - 1 without a table: kt_permute_at(i) is the
 * number at position i, for any n from 1 to 2^64.
 *
 * Why a block cipher and not a cyclic group as zmap has it: a group of prime
 * order needs a prime and a generator for every size, gives its elements only
 * one after the other, and its state is an element, not a position. A Feistel
 * network is a bijection of b-bit numbers whatever its round function is, and
 * can be asked for any position: shards are residues of the position, a
 * resumed run is a number, and the inverse proves that nothing is visited
 * twice. b is the smallest with 2^b >= n, so fewer than half of the results
 * lie outside 0 .. n - 1; those are sent through again until one is inside
 * ("cycle walking", Black and Rogaway 2002), which keeps it a bijection: every
 * walk stays on one cycle of the b-bit permutation and stops at the next
 * element of the range on it. The order is random to the eye and to the
 * networks probed, and not a secret.
 */
#ifndef KT_PERMUTE_H
#define KT_PERMUTE_H

#include "env.h"

#define KT_PERMUTE_ROUNDS 6

struct kt_permute {
	u64 last; /* n - 1 */
	u64 keys[KT_PERMUTE_ROUNDS];
	u8 low_bits; /* of the b bits, how many form the low half */
	u8 high_bits;
};

/* An order of 0 .. last; the same seed gives the same order everywhere. */
void kt_permute_init(struct kt_permute *p, u64 last, u64 seed);

/* The number at position i, and the position of a number; i and v at most last. Any thread. */
u64 kt_permute_at(const struct kt_permute *p, u64 i);
u64 kt_permute_position(const struct kt_permute *p, u64 v);

#endif

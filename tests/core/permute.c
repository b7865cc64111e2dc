/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Every number of a space comes exactly once, for every small size and by the inverse for the large ones. */
#include "core/permute.h"

#include "core/hash.h"
#include "tests/test.h"

/* True when positions 0 .. n - 1 give each of 0 .. n - 1 once. seen has n bits, zeroed. */
static bool visits_all(u64 n, u64 seed, unsigned char *seen)
{
	struct kt_permute p;

	memset(seen, 0, (size_t)(n + 7) / 8);
	kt_permute_init(&p, n - 1, seed);
	for (u64 i = 0; i < n; i++) {
		u64 v = kt_permute_at(&p, i);

		if (v >= n || (seen[v / 8] & (1u << (v % 8))))
			return false;
		seen[v / 8] |= (unsigned char)(1u << (v % 8));
	}
	return true;
}

static void t_every_small_size(void)
{
	static unsigned char seen[640];

	for (u64 n = 1; n <= 5000; n++)
		if (!visits_all(n, n * 7 + 1, seen))
			TEST_FAIL("size %d is not visited exactly once", (int)n);
}

static void t_larger_sizes(void)
{
	static const u64 sizes[] = { 1u << 16, (1u << 16) + 1, 99991, 1000003, (1u << 20) - 1, 1u << 24 };
	unsigned char *seen = malloc(1u << 21);

	CHECK(seen);
	for (size_t i = 0; i < KT_ARRAY_LEN(sizes); i++) {
		bool ok = visits_all(sizes[i], 42, seen);

		if (!ok)
			free(seen);
		CHECK(ok);
	}
	free(seen);
}

/* An inverse on both sides is what makes a function a bijection: here on all of IPv4 and beyond. */
static void t_inverse_of_huge_spaces(void)
{
	static const u64 lasts[] = { 0xffffffffull,	    0xffffffffull * 3 + 2,
				     (1ull << 48) - 1,	    (1ull << 48) + 12345,
				     3702258432ull * 65535, 1ull << 63,
				     ~0ull - 4000,	    ~0ull };
	u64 rng = 1;

	for (size_t k = 0; k < KT_ARRAY_LEN(lasts); k++) {
		struct kt_permute p;

		kt_permute_init(&p, lasts[k], 5 + k);
		for (int i = 0; i < 100000; i++) {
			u64 v = kt_hash_next(&rng);

			if (v > lasts[k])
				kt_div_rem(v, lasts[k], &v);
			CHECK(kt_permute_at(&p, v) <= lasts[k]);
			CHECK(kt_permute_position(&p, kt_permute_at(&p, v)) == v);
			CHECK(kt_permute_at(&p, kt_permute_position(&p, v)) == v);
		}
		CHECK(kt_permute_position(&p, kt_permute_at(&p, lasts[k])) == lasts[k]);
	}
}

static void t_seeds_differ_and_repeat(void)
{
	struct kt_permute a, b, c;
	unsigned int same = 0;

	kt_permute_init(&a, 999999, 1);
	kt_permute_init(&b, 999999, 2);
	kt_permute_init(&c, 999999, 1);
	for (u64 i = 0; i < 1000; i++) {
		CHECK(kt_permute_at(&a, i) == kt_permute_at(&c, i));
		same += kt_permute_at(&a, i) == kt_permute_at(&b, i);
	}
	CHECK(same < 10);
}

/* Neighbours in the order are not neighbours in the space, and each of 256 blocks gets its share of any stretch. */
static void t_order_is_spread(void)
{
	struct kt_permute p;
	unsigned int block[256] = { 0 };
	unsigned int near = 0;
	u64 before = 0;

	kt_permute_init(&p, (1u << 24) - 1, 9);
	for (u64 i = 0; i < 65536; i++) {
		u64 v = kt_permute_at(&p, i);

		block[v >> 16]++;
		near += v - before + 256 < 512;
		before = v;
	}
	CHECK(near < 20);
	for (int i = 0; i < 256; i++)
		CHECK(block[i] > 160 && block[i] < 352);
}

TEST_MAIN(T(t_every_small_size), T(t_larger_sizes), T(t_inverse_of_huge_spaces), T(t_seeds_differ_and_repeat),
	  T(t_order_is_spread))

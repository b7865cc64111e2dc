/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Full against byte-wise reference, incremental against full, and the corners of one's complement. */
#include "core/checksum.h"
#include "core/hash.h"
#include "tests/test.h"

/* RFC 1071 as it reads: big-endian words, one at a time, end-around carry at once. */
static u16 reference(const u8 *p, u32 len)
{
	u32 sum = 0;

	for (u32 i = 0; i < len; i++) {
		sum += i & 1 ? p[i] : (u32)p[i] << 8;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return (u16)~sum;
}

static void fill(u8 *p, u32 len, u64 *seed)
{
	for (u32 i = 0; i < len; i++)
		p[i] = (u8)kt_hash_next(seed);
}

static void t_rfc1071_example(void)
{
	static const u8 data[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };

	CHECK_EQ(kt_be16(kt_checksum(data, sizeof(data))), 0xffff - 0xddf2);
}

/* The IPv4 header that RFC 1624 and every textbook shows. */
static void t_known_header(void)
{
	static const u8 header[] = { 0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
				     0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7 };

	CHECK_EQ(kt_be16(kt_checksum(header, sizeof(header))), 0xb861);
}

static void t_every_length_and_alignment(void)
{
	u8 buf[300];
	u64 seed = 1;

	fill(buf, sizeof(buf), &seed);
	for (u32 off = 0; off < 9; off++)
		for (u32 len = 0; len < 280; len++)
			CHECK_EQ(kt_be16(kt_checksum(buf + off, len)), reference(buf + off, len));
}

static void t_split_anywhere_even(void)
{
	u8 buf[129];
	u64 seed = 2;

	fill(buf, sizeof(buf), &seed);
	for (u32 cut = 0; cut < sizeof(buf); cut += 2) {
		u64 sum = kt_checksum_add(0, buf, cut);

		sum = kt_checksum_add(sum, buf + cut, sizeof(buf) - cut);
		CHECK_EQ(kt_checksum_fold(sum), kt_checksum(buf, sizeof(buf)));
	}
}

/* All ones give the most carries there can be. */
static void t_carries(void)
{
	static u8 ones[65536];
	u64 sum = ~0ull;

	memset(ones, 0xff, sizeof(ones));
	CHECK_EQ(kt_checksum(ones, sizeof(ones)), 0);
	CHECK_EQ(kt_checksum(ones, sizeof(ones) - 1), kt_be16(reference(ones, sizeof(ones) - 1)));
	CHECK_EQ(kt_checksum_fold(~0ull), 0);
	for (int i = 0; i < 100; i++)
		sum = kt_checksum_add(sum, ones, sizeof(ones));
	CHECK_EQ(kt_checksum_fold(sum), 0);
	CHECK_EQ(kt_checksum_fold(0x1ffffffffull), (u16)~1);
	CHECK_EQ(kt_checksum_fold(0), 0xffff);
	CHECK_EQ(kt_checksum_fold(0xffff0000ffff0001ull), (u16)~1);
}

static void t_pseudo_header(void)
{
	u8 v4[12] = { 192, 0, 2, 1, 198, 51, 100, 7, 0, 17, 0x12, 0x34 };
	u8 v6[40];
	u64 seed = 3;

	CHECK_EQ(kt_checksum_fold(kt_checksum_pseudo(4, v4, v4 + 4, 17, 0x1234)), kt_checksum(v4, 12));
	fill(v6, 32, &seed);
	kt_put_be32(v6 + 32, 0x00012345);
	kt_put_be32(v6 + 36, 58);
	CHECK_EQ(kt_checksum_fold(kt_checksum_pseudo(6, v6, v6 + 16, 58, 0x00012345)), kt_checksum(v6, 40));
}

/* The header is never all zero, as no IPv4 header is; everything else happens, all ones and all zeros too. */
static void t_update_is_recomputation(void)
{
	u64 seed = 4;

	for (u32 i = 0; i < 200000; i++) {
		u8 header[20];
		u32 at = (u32)(kt_hash_next(&seed) % 8) * 2 + 2, from, to = (u32)kt_hash_next(&seed);
		u16 sum, half;

		fill(header, sizeof(header), &seed);
		if (i % 3 == 0)
			memset(header + at, i & 1 ? 0xff : 0, 4);
		if (i % 5 == 0)
			to = i & 1 ? 0xffffffff : 0;
		if (i % 7 == 0)
			memset(header + 2, i & 1 ? 0xff : 0, 18);
		header[0] = 0x45;
		sum = kt_checksum(header, sizeof(header));
		memcpy(&from, header + at, 4);
		memcpy(header + at, &to, 4);
		CHECK_EQ(kt_checksum_update32(sum, from, to), kt_checksum(header, sizeof(header)));
		CHECK_EQ(kt_checksum_update(sum, &from, &to, 4), kt_checksum(header, sizeof(header)));
		sum = kt_checksum(header, sizeof(header));
		memcpy(&half, header + at, 2);
		memcpy(header + at, &(u16){ (u16)from }, 2);
		CHECK_EQ(kt_checksum_update16(sum, half, (u16)from), kt_checksum(header, sizeof(header)));
	}
}

/* RFC 1624 section 4: the example on which equation 2 gives 0xffff instead of 0. */
static void t_rfc1624_corner(void)
{
	CHECK_EQ(kt_checksum_update16(kt_be16(0xdd2f), kt_be16(0x5555), kt_be16(0x3285)), 0);
	CHECK_EQ(kt_checksum_update16(0, 0xffff, 0xffff), 0);
	CHECK_EQ(kt_checksum_update16(0, 0, 0xffff), 0);
	CHECK_EQ(kt_checksum_update16(0, 0xffff, 0), 0);
}

TEST_MAIN(T(t_rfc1071_example), T(t_known_header), T(t_every_length_and_alignment), T(t_split_anywhere_even),
	  T(t_carries), T(t_pseudo_header), T(t_update_is_recomputation), T(t_rfc1624_corner))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The Internet checksum. One's complement addition does not care in which
 * order or width the words are added, nor in which byte order, as long as
 * it is the same for all of them (RFC 1071, section 2): so we add 32-bit words as
 * they lie in memory into 64-bit sums, which leaves the carries for the end.
 */
#include "checksum.h"

static inline u32 load32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Two sums, so that one addition need not wait for the other. */
static u64 add_blocks(u64 sum, const u8 *p, u32 n_blocks)
{
	u64 a = sum, b = 0;

	for (; n_blocks; n_blocks--, p += 32) {
		a += load32(p);
		b += load32(p + 4);
		a += load32(p + 8);
		b += load32(p + 12);
		a += load32(p + 16);
		b += load32(p + 20);
		a += load32(p + 24);
		b += load32(p + 28);
	}
	return kt_checksum_narrow(a) + kt_checksum_narrow(b);
}

u64 kt_checksum_add(u64 sum, const void *data, u32 len)
{
	const u8 *p = data;
	u16 half = 0;

	sum = kt_checksum_narrow(sum);
	if (len >= 32) {
		sum = add_blocks(sum, p, len / 32);
		p += len & ~31u;
	}
	if (len & 16) {
		sum += (u64)load32(p) + load32(p + 4) + load32(p + 8) + load32(p + 12);
		p += 16;
	}
	if (len & 8) {
		sum += (u64)load32(p) + load32(p + 4);
		p += 8;
	}
	if (len & 4) {
		sum += load32(p);
		p += 4;
	}
	if (len & 2) {
		memcpy(&half, p, 2);
		sum += half;
		p += 2;
	}
	if (len & 1) {
		half = 0;
		memcpy(&half, p, 1); /* the missing byte is a zero behind it, on either byte order */
		sum += half;
	}
	return sum;
}

u64 kt_checksum_pseudo(u8 version, const u8 *src, const u8 *dst, u8 proto, u32 l4_bytes)
{
	u32 bytes = version == 4 ? 4 : 16;
	u64 sum = kt_checksum_add((u64)kt_be32(l4_bytes) + kt_be32(proto), src, bytes);

	return kt_checksum_add(sum, dst, bytes);
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624,
 * equation 3). The only checksum code of the project: always folded until
 * no carry is left.
 */
#ifndef KT_CHECKSUM_H
#define KT_CHECKSUM_H

#include "env.h"

/*
 * Adds len bytes to a running one's complement sum. Only the last piece of a
 * message may have an odd length. Sums are kept unfolded, in native order.
 */
u64 kt_checksum_add(u64 sum, const void *data, u32 len);

/* Any 64-bit sum as an equal one below 2^33: room for another 2^31 words. */
static inline u64 kt_checksum_narrow(u64 sum)
{
	return (sum & 0xffffffff) + (sum >> 32);
}

/* Folds and complements: the value to store, as it lies in memory. */
static inline u16 kt_checksum_fold(u64 sum)
{
	u32 s = (u32)kt_checksum_narrow(kt_checksum_narrow(sum));

	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (u16)~s;
}

static inline u16 kt_checksum(const void *data, u32 len)
{
	return kt_checksum_fold(kt_checksum_add(0, data, len));
}

/* The pseudo header of TCP, UDP and ICMPv6 (RFC 793, RFC 8200 section 8.1). */
u64 kt_checksum_pseudo(u8 version, const u8 *src, const u8 *dst, u8 proto, u32 l4_bytes);

/* New checksum after a field changed; all three as they lie in memory. */
static inline u16 kt_checksum_update16(u16 sum, u16 from, u16 to)
{
	u32 s = (u32)(u16)~sum + (u16)~from + to;

	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (u16)~s;
}

static inline u16 kt_checksum_update32(u16 sum, u32 from, u32 to)
{
	sum = kt_checksum_update16(sum, (u16)from, (u16)to);
	return kt_checksum_update16(sum, (u16)(from >> 16), (u16)(to >> 16));
}

/* The same for a field of bytes, an even number up to 64, at an even offset of what is summed. */
static inline u16 kt_checksum_update(u16 sum, const void *from, const void *to, u32 bytes)
{
	u32 s = (u16)~sum;

	for (u32 i = 0; i < bytes; i += 2) {
		u16 a, b;

		memcpy(&a, (const u8 *)from + i, 2);
		memcpy(&b, (const u8 *)to + i, 2);
		s += (u16)~a + (u32)b;
	}
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return (u16)~s;
}

#endif

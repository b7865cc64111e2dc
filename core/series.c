/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Series: the hashes in one go. */
#include "series.h"

u64 kt_series_hash(const struct kt_series *s, u8 version, const u8 *src, const u8 *dst, u16 dport, u16 seq16)
{
	return kt_series_hash_end(kt_series_hash_start(s, version, src, dport), s, version, src, dst, seq16);
}

u64 kt_series_mac(const struct kt_series *s, u64 h, u64 seq, u64 time_ns, bool with_time)
{
	return kt_series_mac_end(kt_series_mac_start(s, h), seq, with_time ? time_ns : 0);
}

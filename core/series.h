/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A series of probes: how each is derived from key, addresses and number, for
 * whoever makes probes (the library's builder, the template) and whoever
 * recognises their answers.
 *
 * Where the number (seq) and the proof that we sent it travel. h is SipHash-2-4 of
 * kind, addresses, target port and (SYN) the low 16 bits of seq, under the
 * run's key; seq16 are those bits.
 *
 *          source port    ip id   further
 *   ICMP        -         seq16   echo id = h, echo seq = seq16
 *   UDP         h         seq16
 *   SYN         h         seq16   TCP seq = seq16 << 16 | h
 *   DNS         h         seq16   DNS id = seq16 ^ h
 *
 * ICMP and UDP payloads of 16 bytes or more begin with
 *   mac (8) seq (8) [time (8), from 24 bytes on]
 * where mac is SipHash-2-4 of h, seq and time; the rest counts up, as ping's does.
 */
#ifndef KT_SERIES_H
#define KT_SERIES_H

#include "env.h"
#include "hash.h"

#define KT_SERIES_SEQ_PAYLOAD 16
#define KT_SERIES_TIME_PAYLOAD 24
#define KT_SERIES_MAX_PAYLOAD 9216

enum kt_series_kind { /* as enum ktrxer_probe_kind of ktrxer.h */
		      KT_SERIES_ICMP = 0,
		      KT_SERIES_UDP = 1,
		      KT_SERIES_SYN = 2,
		      KT_SERIES_DNS = 3,
		      KT_SERIES_KINDS,
};

/* Nothing is left to a default here. */
struct kt_series {
	u64 key[2];
	u32 payload_bytes; /* ICMP, UDP: behind the header */
	u16 sport_lo; /* at most sport_hi */
	u16 sport_hi;
	u16 dport; /* 0: each target has its own */
	u8 kind; /* enum kt_series_kind */
};

/* The source port of a hash: spreads 32 of its bits over the range. */
static inline u16 kt_series_sport(const struct kt_series *s, u64 h)
{
	u32 lo = s->sport_lo, n = (u32)s->sport_hi - lo + 1;

	return (u16)(lo + (u32)(((h >> 16 & 0xffffffff) * n) >> 32));
}

static inline u16 kt_series_icmp_id(u64 h)
{
	return (u16)h;
}

static inline u32 kt_series_tcp_seq(u64 h, u16 seq16)
{
	return (u32)seq16 << 16 | (u16)h;
}

static inline u16 kt_series_dns_id(u64 h, u16 seq16)
{
	return (u16)(seq16 ^ (u16)(h >> 48));
}

/*
 * h in two steps, for the first of which the target's address is not needed: its message is
 * version, kind, target port (2), source address, target address, seq16 (2; 0 unless SYN).
 * Addresses in network order, 4 or 16 bytes.
 */
static inline struct kt_sip kt_series_hash_start(const struct kt_series *s, u8 version, const u8 *src, u16 dport)
{
	struct kt_sip h = kt_sip_start(&(struct kt_hash_key){ s->key[0], s->key[1] });
	u8 b[16] = { version, s->kind, (u8)(dport >> 8), (u8)dport };

	memcpy(b + 4, src, version == 4 ? 4 : 12);
	kt_sip_add(&h, kt_hash_le64(b), 2);
	if (version == 6)
		kt_sip_add(&h, kt_hash_le64(b + 8), 2);
	return h;
}

static inline u64 kt_series_hash_end(struct kt_sip h, const struct kt_series *s, u8 version, const u8 *src,
				     const u8 *dst, u16 seq16)
{
	u8 b[24] = { 0 };
	u64 seq = s->kind == KT_SERIES_SYN ? ((u64)(seq16 & 0xff) << 8 | seq16 >> 8) : 0;

	if (version == 4) {
		memcpy(b, dst, 4);
		return kt_sip_end(&h, kt_hash_le64(b) | seq << 32 | 14ull << 56, 2, 4);
	}
	memcpy(b, src + 12, 4);
	memcpy(b + 4, dst, 16);
	kt_sip_add(&h, kt_hash_le64(b), 2);
	kt_sip_add(&h, kt_hash_le64(b + 8), 2);
	return kt_sip_end(&h, kt_hash_le64(b + 16) | seq << 32 | 38ull << 56, 2, 4);
}

/* h: src and dst in network order, 4 or 16 bytes each. */
u64 kt_series_hash(const struct kt_series *s, u8 version, const u8 *src, const u8 *dst, u16 dport, u16 seq16);

/*
 * The proof in front of a payload in two steps, of which the first needs only h. Its words are in network order, of which
 * SipHash reads the first byte as the lowest: on any machine turned around. Its input is 24 bytes long, that of h
 * 14 or 38: the two never hash the same message.
 */
static inline struct kt_sip kt_series_mac_start(const struct kt_series *s, u64 h)
{
	struct kt_sip mac = kt_sip_start(&(struct kt_hash_key){ s->key[0], s->key[1] });

	kt_sip_add(&mac, __builtin_bswap64(h), 2);
	return mac;
}

/* time_ns: 0 where time is left out. */
static inline u64 kt_series_mac_end(struct kt_sip mac, u64 seq, u64 time_ns)
{
	kt_sip_add(&mac, __builtin_bswap64(seq), 2);
	kt_sip_add(&mac, __builtin_bswap64(time_ns), 2);
	return kt_sip_end(&mac, 24ull << 56, 2, 4);
}

/* with_time false: time is left out. */
u64 kt_series_mac(const struct kt_series *s, u64 h, u64 seq, u64 time_ns, bool with_time);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Probes and their answers, for the library's own parts: how a probe is
 * derived from key, addresses and number, shared by the builder (probe.c), the
 * fast path (template.c) and the matcher (probe_match.c).
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
#ifndef KT_PROBE_H
#define KT_PROBE_H

#include "../include/ktrxer.h"

#include "../core/packet.h"

#define KT_PROBE_SEQ_PAYLOAD 16
#define KT_PROBE_TIME_PAYLOAD 24
#define KT_PROBE_MAX_PAYLOAD 9216
#define KT_PROBE_SPORT_LO 32768
#define KT_PROBE_SPORT_HI 61000

static inline u16 kt_probe_dport(const struct ktrxer_probe *p)
{
	if (p->kind == KTRXER_PROBE_ICMP)
		return 0;
	return p->kind == KTRXER_PROBE_DNS && !p->dport ? 53 : p->dport;
}

static inline u16 kt_probe_dns_type(const struct ktrxer_probe *p, u8 version)
{
	return p->dns_type ? p->dns_type : version == 4 ? 1 : 28;
}

static inline u16 kt_probe_sport_lo(const struct ktrxer_probe *p)
{
	return p->sport_lo ? p->sport_lo : KT_PROBE_SPORT_LO;
}

static inline u16 kt_probe_sport_hi(const struct ktrxer_probe *p)
{
	return p->sport_lo ? p->sport_hi : KT_PROBE_SPORT_HI;
}

/* The source port of a hash: spreads 32 of its bits over the range. */
static inline u16 kt_probe_sport(const struct ktrxer_probe *p, u64 h)
{
	u32 lo = kt_probe_sport_lo(p), n = kt_probe_sport_hi(p) - lo + 1;

	return (u16)(lo + (u32)(((h >> 16 & 0xffffffff) * n) >> 32));
}

static inline u16 kt_probe_icmp_id(u64 h)
{
	return (u16)h;
}

static inline u32 kt_probe_tcp_seq(u64 h, u16 seq16)
{
	return (u32)seq16 << 16 | (u16)h;
}

static inline u16 kt_probe_dns_id(u64 h, u16 seq16)
{
	return (u16)(seq16 ^ (u16)(h >> 48));
}

/* h: src and dst in network order, 4 or 16 bytes each. */
u64 kt_probe_hash(const struct ktrxer_probe *p, u8 version, const u8 *src, const u8 *dst, u16 dport, u16 seq16);

/* The proof in front of a payload; with_time false: time is left out. */
u64 kt_probe_mac(const struct ktrxer_probe *p, u64 h, u64 seq, u64 time_ns, bool with_time);

/* Can this series be sent to addresses of that version? 0, or -EINVAL with *why a constant sentence. */
int kt_probe_check(const struct ktrxer_probe *p, const char **why);

/* As ktrxer_probe_match(), for a frame that is already parsed; any_port: the series probes more ports than p->dport. */
enum ktrxer_answer kt_probe_match(const struct ktrxer_probe *p, const struct kt_packet *k, const u8 *frame, u32 caplen,
				  bool any_port, struct ktrxer_match *m);

/* What an ICMP error says became of the probe that it quotes; none for redirects and the like. */
enum ktrxer_answer kt_probe_error_kind(const struct kt_packet *k);

/* As ktrxer_probe_rules(), likewise. */
int kt_probe_rules(const struct ktrxer_probe *p, u8 version, enum krx_op op, bool any_port, struct krx_rule *rules,
		   unsigned int max);

#endif

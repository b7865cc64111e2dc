/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Probes and their answers, for the library's own parts: how a probe is
 * derived from key, addresses and number is in core/series.h.
 */
#ifndef KT_PROBE_H
#define KT_PROBE_H

#include "../include/ktrxer.h"

#include "../core/packet.h"
#include "../core/series.h"
#include "../core/template.h"

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

static inline struct kt_series kt_probe_series(const struct ktrxer_probe *p)
{
	return (struct kt_series){
		.key = { p->key[0], p->key[1] },
		.payload_bytes = p->payload_bytes,
		.sport_lo = kt_probe_sport_lo(p),
		.sport_hi = kt_probe_sport_hi(p),
		.dport = kt_probe_dport(p),
		.kind = (u8)p->kind,
	};
}

/* The template of a series on a path. 0, or what ktrxer_probe_build() says. */
int kt_probe_template(struct kt_template *t, const struct ktrxer_probe *p, const struct ktrxer_path *path);

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

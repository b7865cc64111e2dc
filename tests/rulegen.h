/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Random rules and flows that hit them, for tests, fuzzers and benchmarks of
 * the classifier. Everything follows from a seed.
 */
#ifndef KT_RULEGEN_H
#define KT_RULEGEN_H

#include "../core/rules.h"

static inline u32 gen_below(u64 *rng, u32 n)
{
	return (u32)((kt_hash_next(rng) >> 32) * n >> 32);
}

/* Clears the bits of addr behind the first plen. */
static inline void gen_trim(u8 addr[16], u32 plen)
{
	for (u32 i = 0; i < 16; i++) {
		if (8 * i >= plen)
			addr[i] = 0;
		else if (8 * i + 8 > plen)
			addr[i] &= (u8)(0xff00 >> (plen - 8 * i));
	}
}

static inline void gen_range(u64 *rng, u16 *lo, u16 *hi)
{
	u32 a = gen_below(rng, 65536), b = gen_below(rng, 65536);

	switch (gen_below(rng, 6)) {
	case 0:
		a = b = 1 + gen_below(rng, 1000);
		break;
	case 1:
		a = gen_below(rng, 64);
		b = a + gen_below(rng, 8);
		break;
	case 2:
		a = 1024;
		b = 65535;
		break;
	case 3:
		break;
	default:
		a = b = 0;
	}
	*lo = (u16)(a < b ? a : b);
	*hi = (u16)(a < b ? b : a);
}

/* A match of every kind; spread: how many bits of an address vary (few: many rules overlap). */
static inline void gen_match(struct kt_match *m, u64 *rng, u32 spread)
{
	static const u8 protos[] = { 0, 1, 6, 17, 58 }, versions[] = { 0, 4, 4, 4, 6, 6 };
	u32 max;

	memset(m, 0, sizeof(*m));
	m->version = versions[gen_below(rng, sizeof(versions))];
	max = m->version == 4 ? 32 : m->version == 6 ? 128 : 0;
	m->src_plen = gen_below(rng, 3) ? (u8)gen_below(rng, max + 1) : 0;
	m->dst_plen = gen_below(rng, 3) ? (u8)gen_below(rng, max + 1) : 0;
	if (!gen_below(rng, 3))
		m->dst_plen = (u8)max;
	for (u32 i = 0; i < 16; i++) {
		m->src[i] = (u8)(gen_below(rng, 256) & ((1u << gen_below(rng, spread + 1)) - 1));
		m->dst[i] = (u8)(gen_below(rng, 256) & ((1u << gen_below(rng, spread + 1)) - 1));
	}
	gen_trim(m->src, m->src_plen);
	gen_trim(m->dst, m->dst_plen);
	m->proto = protos[gen_below(rng, sizeof(protos))];
	gen_range(rng, &m->sport_lo, &m->sport_hi);
	gen_range(rng, &m->dport_lo, &m->dport_hi);
	if (!gen_below(rng, 6) && m->version)
		m->ethertype = m->version == 4 ? 0x0800 : 0x86dd;
	else if (!gen_below(rng, 6))
		m->ethertype = (u16)(gen_below(rng, 2) ? 0x0800 : gen_below(rng, 2) ? 0x86dd : 0x0806);
	if (!gen_below(rng, 6))
		m->ifindex = 1 + gen_below(rng, 3);
}

static inline u16 gen_port_in(u64 *rng, u16 lo, u16 hi)
{
	return (u16)(hi ? lo + gen_below(rng, (u32)hi - lo + 1) : gen_below(rng, 65536));
}

/* A flow that m matches. */
static inline void gen_flow_in(struct kt_flow *f, const struct kt_match *m, u64 *rng)
{
	static const u8 protos[] = { 1, 6, 17 };
	u32 bytes;

	memset(f, 0, sizeof(*f));
	f->version = m->version ? m->version : (u8)(2 * gen_below(rng, 4));
	if (f->version == 2)
		f->version = 0;
	if (m->ethertype)
		f->version = m->ethertype == 0x0800 ? 4 : m->ethertype == 0x86dd ? 6 : 0;
	bytes = f->version == 4 ? 4 : f->version == 6 ? 16 : 0;
	for (u32 i = 0; i < bytes; i++) {
		u32 keep_src = m->src_plen >= 8 * i + 8 ? 0 : 0xffu >> (m->src_plen > 8 * i ? m->src_plen % 8 : 0);
		u32 keep_dst = m->dst_plen >= 8 * i + 8 ? 0 : 0xffu >> (m->dst_plen > 8 * i ? m->dst_plen % 8 : 0);

		f->src[i] = (u8)(m->src[i] | (gen_below(rng, 256) & keep_src));
		f->dst[i] = (u8)(m->dst[i] | (gen_below(rng, 256) & keep_dst));
	}
	f->ethertype = m->ethertype ? m->ethertype
				    : (u16)(f->version == 4   ? 0x0800
					    : f->version == 6 ? 0x86dd
							      : 0x0806);
	f->ifindex = m->ifindex ? m->ifindex : 1 + gen_below(rng, 3);
	if (!f->version && !m->proto && !m->sport_lo && !m->dport_lo)
		return;
	f->proto = m->proto ? m->proto : protos[gen_below(rng, sizeof(protos))];
	f->sport = gen_port_in(rng, m->sport_lo, m->sport_hi);
	f->dport = gen_port_in(rng, m->dport_lo, m->dport_hi);
}

/* Changes one thing, so that a flow just misses or meets another rule. */
static inline void gen_nudge(struct kt_flow *f, u64 *rng)
{
	u32 bit = gen_below(rng, f->version == 4 ? 32 : f->version == 6 ? 128 : 1);

	switch (gen_below(rng, 6)) {
	case 0:
		f->src[bit / 8] ^= f->version ? (u8)(0x80 >> bit % 8) : 0;
		break;
	case 1:
		f->dst[bit / 8] ^= f->version ? (u8)(0x80 >> bit % 8) : 0;
		break;
	case 2:
		f->sport = (u16)(f->sport + (gen_below(rng, 2) ? 1 : -1));
		break;
	case 3:
		f->dport = (u16)(f->dport + (gen_below(rng, 2) ? 1 : -1));
		break;
	case 4:
		f->proto = (u8)(f->proto ^ 17);
		break;
	default:
		f->ifindex ^= 1;
	}
}

#endif

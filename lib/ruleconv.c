/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Copies rules between their public and their internal layout, field by
 * field. A value that the narrower internal field cannot hold becomes one
 * that kt_rule_check() refuses.
 */
#include "ruleconv.h"

static u8 narrow(u32 v)
{
	return v > 0xff ? 0xff : (u8)v;
}

void kt_rule_from_public(struct kt_rule *rule, const struct krx_rule *pub)
{
	struct kt_match *m = &rule->match;
	struct kt_action *a = &rule->action;
	struct kt_rewrite *w = &a->rewrite;

	memset(rule, 0, sizeof(*rule));
	rule->id = pub->id;
	rule->priority = pub->priority;

	memcpy(m->src, pub->src, sizeof(m->src));
	memcpy(m->dst, pub->dst, sizeof(m->dst));
	m->src_plen = pub->src_plen;
	m->dst_plen = pub->dst_plen;
	m->version = pub->version;
	m->proto = pub->proto;
	m->sport_lo = pub->sport_lo;
	m->sport_hi = pub->sport_hi;
	m->dport_lo = pub->dport_lo;
	m->dport_hi = pub->dport_hi;
	m->ethertype = pub->ethertype;
	m->ifindex = pub->ifindex;

	a->op = narrow((u32)pub->op);
	a->slice_base = narrow((u32)pub->slice);
	a->slice_off = pub->slice_off;
	a->slice_bytes = pub->slice_bytes;
	a->out_ifindex = pub->out_ifindex;
	a->sample_n = pub->sample_n;
	a->quota_pkts = pub->quota_pkts;
	a->tag = pub->tag;

	w->flags = pub->rewrite;
	memcpy(w->src_mac, pub->new_src_mac, sizeof(w->src_mac));
	memcpy(w->dst_mac, pub->new_dst_mac, sizeof(w->dst_mac));
	memcpy(w->src, pub->new_src, sizeof(w->src));
	memcpy(w->dst, pub->new_dst, sizeof(w->dst));
	w->sport = pub->new_sport;
	w->dport = pub->new_dport;
	w->ttl = pub->new_ttl;
	w->tos = pub->new_tos;
}

void kt_rule_to_public(struct krx_rule *pub, const struct kt_rule *rule)
{
	const struct kt_match *m = &rule->match;
	const struct kt_action *a = &rule->action;
	const struct kt_rewrite *w = &a->rewrite;

	memset(pub, 0, sizeof(*pub));
	pub->id = rule->id;
	pub->priority = rule->priority;

	memcpy(pub->src, m->src, sizeof(pub->src));
	memcpy(pub->dst, m->dst, sizeof(pub->dst));
	pub->src_plen = m->src_plen;
	pub->dst_plen = m->dst_plen;
	pub->version = m->version;
	pub->proto = m->proto;
	pub->sport_lo = m->sport_lo;
	pub->sport_hi = m->sport_hi;
	pub->dport_lo = m->dport_lo;
	pub->dport_hi = m->dport_hi;
	pub->ethertype = m->ethertype;
	pub->ifindex = m->ifindex;

	pub->op = (enum krx_op)a->op;
	pub->slice = (enum krx_slice)a->slice_base;
	pub->slice_off = a->slice_off;
	pub->slice_bytes = a->slice_bytes;
	pub->out_ifindex = a->out_ifindex;
	pub->sample_n = a->sample_n;
	pub->quota_pkts = a->quota_pkts;
	pub->tag = a->tag;

	pub->rewrite = w->flags;
	memcpy(pub->new_src_mac, w->src_mac, sizeof(pub->new_src_mac));
	memcpy(pub->new_dst_mac, w->dst_mac, sizeof(pub->new_dst_mac));
	memcpy(pub->new_src, w->src, sizeof(pub->new_src));
	memcpy(pub->new_dst, w->dst, sizeof(pub->new_dst));
	pub->new_sport = w->sport;
	pub->new_dport = w->dport;
	pub->new_ttl = w->ttl;
	pub->new_tos = w->tos;
}

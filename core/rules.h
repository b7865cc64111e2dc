/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Rules: what to match and what to do (kTRxer 2014, section II-D: a 5-tuple
 * mapped to capture, drop, capture and drop, or forward). A rule set is
 * compiled once into a flat image that is never changed afterwards, so that
 * replacing all rules is the exchange of one pointer. classify.h reads it.
 */
#ifndef KT_RULES_H
#define KT_RULES_H

#include "env.h"
#include "flow.h"
#include "hash.h"

enum kt_op {
	KT_OP_FORWARD = 0, /* on to the host stack, or out of out_ifindex */
	KT_OP_CAPTURE = 1, /* deliver a copy, then forward */
	KT_OP_DROP = 2, /* the host never sees it */
	KT_OP_CAPTURE_DROP = 3, /* deliver, the host never sees it */
};

enum kt_slice_base {
	KT_SLICE_LINK = 0,
	KT_SLICE_NETWORK = 1,
	KT_SLICE_TRANSPORT = 2,
	KT_SLICE_PAYLOAD = 3,
};

/* Zero matches everything. Addresses as in struct kt_flow, bits behind the prefix must be zero. */
struct kt_match {
	u8 src[16];
	u8 dst[16];
	u8 src_plen;
	u8 dst_plen;
	u8 version; /* 0 any frame, 4 or 6; a rule with addresses names its version */
	u8 proto; /* 0 any */
	u16 sport_lo; /* inclusive; lo = hi = 0 means any */
	u16 sport_hi;
	u16 dport_lo;
	u16 dport_hi;
	u16 ethertype; /* 0 any */
	u16 reserved; /* zero */
	u32 ifindex; /* 0 any */
};

enum kt_rewrite_flag {
	KT_REWRITE_SRC_MAC = 1 << 0,
	KT_REWRITE_DST_MAC = 1 << 1,
	KT_REWRITE_SRC_IP = 1 << 2,
	KT_REWRITE_DST_IP = 1 << 3,
	KT_REWRITE_SPORT = 1 << 4,
	KT_REWRITE_DPORT = 1 << 5,
	KT_REWRITE_TTL = 1 << 6,
	KT_REWRITE_TOS = 1 << 7,
};

/* Applied before forwarding; the delivered copy shows the packet as it came. */
struct kt_rewrite {
	u32 flags; /* enum kt_rewrite_flag */
	u8 src_mac[6];
	u8 dst_mac[6];
	u8 src[16]; /* same version as the rule's match */
	u8 dst[16];
	u16 sport;
	u16 dport;
	u8 ttl;
	u8 tos;
	u16 reserved; /* zero */
};

struct kt_action {
	u8 op; /* enum kt_op */
	u8 slice_base; /* enum kt_slice_base */
	u16 slice_off; /* bytes behind the base */
	u32 slice_bytes; /* 0: all that follows */
	u32 out_ifindex; /* for forward; 0: the host stack */
	u32 sample_n; /* deliver one in n; 0 and 1: all */
	u64 quota_pkts; /* after so many matches the rule no longer matches; 0: no limit */
	u32 tag; /* the user's own, in every record */
	struct kt_rewrite rewrite;
};

struct kt_rule {
	u32 id; /* unique in a set, chosen by the owner */
	s32 priority; /* higher wins; equal: the earlier in the array */
	struct kt_match match;
	struct kt_action action;
};

/* 0, or -EINVAL with *why a constant sentence that says what is wrong. */
int kt_rule_check(const struct kt_rule *rule, const char **why);

bool kt_match_flow(const struct kt_match *m, const struct kt_flow *f);

#endif

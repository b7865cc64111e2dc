/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What follows from a rule for one frame: the same in the library's pump and
 * in the module. Each frame has exactly one fate.
 */
#ifndef KT_JUDGE_H
#define KT_JUDGE_H

#include "rules.h"

enum kt_fate {
	KT_FATE_DELIVERED = 0,
	KT_FATE_DROPPED,
	KT_FATE_PASSED, /* on to the host or out of an interface, and nobody has a copy */
	KT_FATE_LOST_RING, /* to be delivered, but the ring had no room */
	KT_FATE_LOST_ERROR, /* to be sent on, which failed */
};

static inline bool kt_op_captures(u8 op)
{
	return op == KT_OP_CAPTURE || op == KT_OP_CAPTURE_DROP;
}

/* Does the frame go on: to the host, or out of the rule's interface? */
static inline bool kt_op_passes(u8 op)
{
	return op == KT_OP_FORWARD || op == KT_OP_CAPTURE;
}

/* Is something to be done with the frame before the host gets it, or instead? */
static inline bool kt_op_handles(u8 op, u32 rewrite_flags, u32 out_ifindex)
{
	return kt_op_passes(op) && (rewrite_flags || out_ifindex);
}

/* May a rule that has matched this often match once more? */
static inline bool kt_quota_left(u64 quota, u64 used)
{
	return !quota || used < quota;
}

/* The fate of a frame that was not to be delivered. forwarded: what was to be done could be done. */
static inline enum kt_fate kt_fate_undelivered(u8 op, bool forwarded)
{
	if (!forwarded)
		return KT_FATE_LOST_ERROR;
	return kt_op_passes(op) ? KT_FATE_PASSED : KT_FATE_DROPPED;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints, /sys/kernel/tracing/events/ktrxer: a no-op where it stands
 * until somebody looks. Interfaces by number, for a context may have lost its
 * device. Any context.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ktrxer

#if !defined(KT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KT_TRACE_H

#include <linux/tracepoint.h>

#include "../include/uapi/ktrxer.h"

/* These are not calls. */
/* clang-format off */

/* One call of the driver's for one frame. ret: 0 taken; negative: errno of the refusal. */
TRACE_EVENT(ktx_launch,
	TP_PROTO(u32 ifindex, u64 id, u64 scheduled_ns, u64 launch_ns, u32 attempt, u32 len, int ret),
	TP_ARGS(ifindex, id, scheduled_ns, launch_ns, attempt, len, ret),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, scheduled_ns)
		__field(u64, launch_ns)
		__field(u32, ifindex)
		__field(u32, attempt)
		__field(u32, len)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->scheduled_ns = scheduled_ns;
		__entry->launch_ns = launch_ns;
		__entry->ifindex = ifindex;
		__entry->attempt = attempt;
		__entry->len = len;
		__entry->ret = ret;
	),
	TP_printk("ifindex=%u id=%llu scheduled=%llu launch=%llu attempt=%u len=%u ret=%d",
		  __entry->ifindex, __entry->id, __entry->scheduled_ns, __entry->launch_ns,
		  __entry->attempt, __entry->len, __entry->ret)
);

/* A probe's completion, about to be published. */
TRACE_EVENT(ktx_done,
	TP_PROTO(u32 ifindex, const struct ktx_done_abi *done),
	TP_ARGS(ifindex, done),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, scheduled_ns)
		__field(u64, launch_ns)
		__field(u64, returned_ns)
		__field(u32, ifindex)
		__field(u32, attempts)
		__field(u32, status)
		__field(u32, reason)
	),
	TP_fast_assign(
		__entry->id = done->id;
		__entry->scheduled_ns = done->scheduled_ns;
		__entry->launch_ns = done->launch_ns;
		__entry->returned_ns = done->returned_ns;
		__entry->ifindex = ifindex;
		__entry->attempts = done->attempts;
		__entry->status = done->status;
		__entry->reason = done->reason;
	),
	TP_printk("ifindex=%u id=%llu status=%s reason=%u attempts=%u scheduled=%llu launch=%llu returned=%llu",
		  __entry->ifindex, __entry->id,
		  __print_symbolic(__entry->status, { KTX_DONE_SENT, "sent" }, { KTX_DONE_FAILED, "failed" },
				   { KTX_DONE_LATE, "late" }, { KTX_DONE_CANCELLED, "cancelled" }),
		  __entry->reason, __entry->attempts, __entry->scheduled_ns, __entry->launch_ns,
		  __entry->returned_ns)
);

/* A packet was judged by a rule. Packets that no rule matches are not shown. op: enum kt_op of core/rules.h. */
TRACE_EVENT(krx_verdict,
	TP_PROTO(u32 ifindex, u32 rule_id, u32 op, u32 len, u64 stamp_ns),
	TP_ARGS(ifindex, rule_id, op, len, stamp_ns),
	TP_STRUCT__entry(
		__field(u64, stamp_ns)
		__field(u32, ifindex)
		__field(u32, rule_id)
		__field(u32, op)
		__field(u32, len)
	),
	TP_fast_assign(
		__entry->stamp_ns = stamp_ns;
		__entry->ifindex = ifindex;
		__entry->rule_id = rule_id;
		__entry->op = op;
		__entry->len = len;
	),
	TP_printk("ifindex=%u rule=%u op=%s len=%u stamp=%llu", __entry->ifindex, __entry->rule_id,
		  __print_symbolic(__entry->op, { 0, "forward" }, { 1, "capture" }, { 2, "drop" },
				   { 3, "capture+drop" }),
		  __entry->len, __entry->stamp_ns)
);

/* A packet that should have been delivered or forwarded was not. cause: errno; -ENOBUFS: no room in the ring. */
TRACE_EVENT(krx_loss,
	TP_PROTO(u32 ifindex, u32 rule_id, u32 len, int cause),
	TP_ARGS(ifindex, rule_id, len, cause),
	TP_STRUCT__entry(
		__field(u32, ifindex)
		__field(u32, rule_id)
		__field(u32, len)
		__field(int, cause)
	),
	TP_fast_assign(
		__entry->ifindex = ifindex;
		__entry->rule_id = rule_id;
		__entry->len = len;
		__entry->cause = cause;
	),
	TP_printk("ifindex=%u rule=%u len=%u cause=%d", __entry->ifindex, __entry->rule_id, __entry->len,
		  __entry->cause)
);

/* clang-format on */

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

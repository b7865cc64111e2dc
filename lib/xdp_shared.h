/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What engine `xdp` and its BPF programs say to each other.
 *
 * A rule set in force is one array map of 64-byte cells, exchanged whole:
 *
 *   cell 0                  the classifier's image (core/classify.h), n_cells of its head
 *   behind it               struct kt_xdp_set
 *   set.actions             per rule: struct kt_xdp_action, struct kt_rewrite; 2 cells
 *   set.states              four rules a cell: struct kt_xdp_state
 *   set.counts              a column for each CPU; four rules a cell: struct kt_xdp_count
 *
 * Captured frames come through one BPF ring buffer, each as a struct
 * kt_xdp_record and its bytes.
 */
#ifndef KT_XDP_SHARED_H
#define KT_XDP_SHARED_H

#include "../core/env.h"
#include "../core/rules.h"

#define KT_XDP_CELL_BYTES 64u
#define KT_XDP_PER_CELL 4u /* states or counts in a cell */

struct kt_xdp_set {
	u32 n_rules;
	u32 actions; /* first cell of each part */
	u32 states;
	u32 counts;
	u32 column_cells; /* of counts, for one CPU */
	u32 n_columns; /* power of two */
	u32 shared_columns; /* fewer columns than CPUs: count by atomic additions */
	u32 reserved[9];
};

struct kt_xdp_action {
	u8 op; /* enum kt_op */
	u8 slice_base;
	u16 slice_off;
	u32 slice_bytes;
	u32 out_ifindex;
	u32 sample_n; /* 0: all */
	u64 quota_pkts;
	u32 tag;
	u32 rule_id;
	u32 rewrite; /* enum kt_rewrite_flag; not 0: the next cell says to what */
	u32 reserved[7];
};

/* Changed by atomic additions only. */
struct kt_xdp_state {
	u64 used; /* matches against the quota */
	u32 sample; /* counts down to the next one delivered */
	u32 reserved;
};

struct kt_xdp_count {
	u64 pkts;
	u64 bytes;
};

/* In front of a captured frame's bytes. */
struct kt_xdp_record {
	u64 stamp_ns;
	u32 caplen;
	u32 wirelen;
	u32 ifindex;
	u32 rule_id;
	u32 tag;
	u32 slice_off;
	u8 op;
	u8 flags; /* enum kt_record_flag */
	u16 reserved[3];
};

/* Per CPU: frames that were not captured, by what became of them. */
struct kt_xdp_totals {
	u64 seen_bytes;
	u64 dropped;
	u64 passed;
	u64 forwarded;
	u64 lost_engine;
	u64 lost_error;
	u64 malformed; /* captured ones too */
};

/* Shared memory of the program and the library: the program's variables. */
struct kt_xdp_control {
	u32 asleep; /* the reader waits: wake it, once */
	u32 prog_id; /* the rest tells the watching programs which frames are ours */
	u32 port_ifindex;
	u32 reserved;
	u64 net_cookie; /* of the port's namespace */
};

/* And its constants, set before it is loaded. */
struct kt_xdp_consts {
	u32 use_tai;
	u32 reserved;
};

/* Floods: the i-th frame to build. struct kt_flood_frame of engine.h. */
struct kt_xdp_frame {
	u32 cell; /* of the array that it is built from */
	u32 len;
};

/* What became of each frame that was built. */
enum kt_xdp_fate {
	KT_XDP_QUEUED = 0, /* for the device; the bulks say whether it took it */
	KT_XDP_UNFIT = 1, /* could not be given its length */
	/* or -errno of the redirection */
};

/* What the device made of one bulk: it took the first so many, in the order in which they were queued. */
struct kt_xdp_bulk {
	u32 sent;
	u32 dropped;
	s32 err; /* 0, or why it took none */
	u32 reserved;
};

struct kt_xdp_flood_control {
	u32 n; /* frames of this run */
	u32 next; /* frames built so far */
	u32 odd; /* of these, frames that were not queued */
	u32 told; /* frames that bulks told of; the others wait in one: all leave before the CPU does anything else */
	u32 sent; /* of these */
	u32 n_bulks;
	u32 prog_id;
	u32 ifindex; /* where they go */
};

struct kt_xdp_flood_consts {
	u32 data_bytes; /* room in each cell */
	u32 reserved;
};

#endif

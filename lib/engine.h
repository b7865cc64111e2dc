/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * An engine is one constant row of functions. It moves frames between memory
 * and one interface and keeps their times; schedules, retries, rules, rings
 * and counters are the library's (tx.c, rx.c). A method that is NULL makes the
 * library answer -EOPNOTSUPP with a sentence.
 */
#ifndef KT_ENGINE_H
#define KT_ENGINE_H

#include <stdarg.h>

#include "../core/packet.h"
#include "../core/rules.h"
#include "../include/ktrxer.h"
#include "classifier.h"

/* Sets *err (may be NULL) and returns -code, so that "return kt_err(…)" reads well. */
__attribute__((format(printf, 3, 4))) int kt_err(struct ktrxer_err *err, int code, const char *fmt, ...);

#define KT_NO_SLOT 0xffffffffu

enum kt_tx_state {
	KT_TX_READY = 0, /* filled, not yet tried in this call */
	KT_TX_SENT,
	KT_TX_REFUSED, /* the driver did not take it, or dropped it and said so; err says why; may be tried again */
	KT_TX_FAILED, /* no use trying again: err says why */
	KT_TX_PENDING, /* the device has it; tx_reap will tell (zero copy only) */
};

/* Memory for one outgoing frame. Engine owns data, cap and cookie; tx.c the rest. */
struct kt_txslot {
	u8 *data;
	u32 cap;
	u32 len;
	u64 cookie;
	u8 state; /* enum kt_tx_state, written by tx_launch */
	int err; /* positive errno */
	u64 launch_ns; /* clock just before the driver call, written by tx_launch */
	u64 returned_ns; /* and just after */
	u64 stamp_ns; /* driver's stamp, 0 if none */
	u8 stamp_clock; /* enum ktrxer_clock */
	bool nic_launched; /* as in ktx_done */
};

/* A probe for an engine that launches by itself. Times are of the launch clock. */
struct kt_txorder {
	u32 item; /* its slot: an index into those given to tx_open */
	bool train; /* leaves back-to-back with the next */
	u64 launch_ns;
	u64 window_ns;
	u32 max_attempts; /* at least 1 */
	u32 retry_ns;
};

/* What became of it. */
struct kt_txfate {
	u32 item;
	enum ktx_status status;
	int reason; /* positive errno of the last refusal */
	u32 attempts;
	u64 launch_ns;
	u64 returned_ns;
	u64 stamp_ns;
	u8 stamp_clock;
	bool nic_launched;
};

struct kt_tx_counts {
	u64 batches;
	bool fifo;
	bool tap;
	bool zero_copy;
	bool nic_launch;
};

/* One frame of a flood's batch. */
struct kt_flood_frame {
	u32 cell; /* where it lies */
	u32 len;
};

/*
 * A flood's frames lie in cells of equal size; what is written there stays until it is written again. What
 * an engine and flood.c say of each frame is kept dense and apart from the frames' bytes, and frames that
 * were all sent are not spoken of one by one: floods are bound by memory.
 */
struct kt_flood {
	u32 n; /* cells, and frames of a batch at most */
	u8 *cells; /* the engine's, as stride and frames */
	size_t stride;
	struct kt_flood_frame *frames; /* of the batch; no two have the same cell */
	/* Written by tx_flood about the frames it tried: */
	u64 launch_ns; /* clock just before the driver call */
	u64 returned_ns; /* and just after */
	bool all_sent; /* each of them */
	s32 *fates; /* if not: 0 sent; errno, refused, may be tried again; -errno, no use trying again. flood.c's memory */
};

/* One frame as the engine received it. */
struct kt_rxframe {
	u8 *data; /* engine's memory, may be written (checksums), until rx_release */
	u32 caplen;
	u32 wirelen;
	u32 ifindex;
	u64 stamp_ns;
	u8 clock; /* enum ktrxer_clock */
	u8 flags; /* enum kt_record_flag */
	/* Set by engines that judge frames themselves (rx_rules); they peek at frames to be delivered only. */
	u32 rule_id; /* of the rule that asked for the frame */
	u32 tag;
	u8 op; /* enum kt_op */
	u32 slice_off; /* data[0] is this byte of the frame; caplen counts from there */
	u64 cookie; /* engine's */
};

struct kt_rule_count {
	u64 pkts;
	u64 bytes;
};

/* Counts that only the engine knows; added to those of rx.c. All grow. */
struct kt_rx_counts {
	u64 seen; /* frames that never reached rx_peek, by what became of them: */
	u64 seen_bytes;
	u64 dropped;
	u64 passed;
	u64 forwarded; /* of passed */
	u64 lost_engine;
	u64 lost_error;
	u64 malformed; /* among seen */
	/* engines with a ring of their own */
	u64 delivered;
	u64 lost_ring;
	u64 merged; /* among seen */
	u64 displaced;
	bool not_first;
};

struct kt_ring_memory; /* receiver.h */

struct kt_engine {
	const char *name;
	const char *needs; /* for `ktrxer info` */
	size_t priv_bytes; /* zeroed at open, in port->priv */
	u32 ops; /* bit (1 << enum kt_op) that rules may use */

	/* Can it work here, on ifname if not NULL? 0, or -errno with err. Leaves nothing behind. */
	int (*probe)(const char *ifname, struct ktrxer_err *err);

	/*
	 * port->ifname, ifindex, mtu, mac and opts are set. Sets port->mode and
	 * may set rx_clock. close undoes everything, after open succeeded, and cannot fail.
	 */
	int (*open)(struct ktrxer *port, struct ktrxer_err *err);
	void (*close)(struct ktrxer *port);

	/* Clock and waiting; NULL: the system's. */
	u64 (*now)(struct ktrxer *port);
	int (*wait_until)(struct ktrxer *port, u64 ns);

	/* Transmit. One context at a time. Slots are allocated once: n of them, each for frames of frame_bytes. */
	int (*tx_open)(struct ktrxer *port, struct kt_txslot *slots, u32 n, u32 frame_bytes, bool kernel_stamps,
		       struct ktrxer_err *err);
	void (*tx_close)(struct ktrxer *port);
	/*
	 * Hands frames to the driver in order, as one batch, and sets state,
	 * err, launch_ns, returned_ns of each that it tried. It should stop at the
	 * first that was refused, so that a retry keeps the order; the rest stay
	 * KT_TX_READY. The last of a batch rings the doorbell. Returns how many
	 * were tried (the first so many, at least one), or -errno when the device
	 * is gone (then none was).
	 */
	int (*tx_launch)(struct ktrxer *port, struct kt_txslot *const *slots, u32 n);
	/*
	 * Before a launch that is some time away: does what tx_launch of these slots need not do then, so that
	 * its code and data are in the CPU's caches. Nothing leaves, and nothing is decided. NULL: there is no such thing.
	 */
	void (*tx_ready)(struct ktrxer *port, struct kt_txslot *const *slots, u32 n);
	/* Collects slots that were KT_TX_PENDING; returns how many became SENT or FAILED. NULL if launch is synchronous. */
	int (*tx_reap)(struct ktrxer *port);
	/*
	 * Engines with a schedule of their own have these instead of tx_launch and tx_reap. tx_order takes orders, in
	 * order, and the frames in their slots, which are the engine's until their fate is told; it returns how many,
	 * or -errno if it will not have the first. tx_fates tells of up to max, in the order in which they happened.
	 * tx_recall cancels item (KT_NO_SLOT: all) if it still waits; its fate follows. tx_wait returns when there may
	 * be fates, or at until_ns: 0 or -EINTR. tx_options is called before tx_open, with nothing left at default.
	 */
	void (*tx_options)(struct ktrxer *port, const struct ktx_opts *o);
	int (*tx_order)(struct ktrxer *port, const struct kt_txorder *orders, u32 n);
	int (*tx_fates)(struct ktrxer *port, struct kt_txfate *fates, u32 max);
	void (*tx_recall)(struct ktrxer *port, u32 item);
	int (*tx_wait)(struct ktrxer *port, u64 until_ns);
	void (*tx_counts)(struct ktrxer *port, struct kt_tx_counts *counts);
	/*
	 * Floods, where the engine has a faster way for many frames; NULL: tx_launch
	 * serves. Frames [from, n) of the batch go by one driver call. Returns how many were tried (the first so
	 * many, at least one), or -errno when the device is gone (then none was). flood_max bounds n and the length.
	 */
	int (*tx_flood)(struct ktrxer *port, struct kt_flood *flood, u32 from, u32 n);
	u32 (*tx_flood_max)(struct ktrxer *port, u32 *frame_bytes);
	/* Memory for flood->n frames of frame_bytes, until tx_close or the next tx_flood_open. */
	int (*tx_flood_open)(struct ktrxer *port, struct kt_flood *flood, u32 frame_bytes, struct ktrxer_err *err);

	/* Receive. One context at a time, except rx_rules. */
	int (*rx_open)(struct ktrxer *port, const struct krx_opts *opts, struct ktrxer_err *err);
	void (*rx_close)(struct ktrxer *port);
	/* Up to max frames that have arrived. Returns the number, or -ENETDOWN / -ENODEV. */
	int (*rx_peek)(struct ktrxer *port, struct kt_rxframe *frames, u32 max);
	/*
	 * Gives them back. verdict[i] (enum kt_op) tells the engine whether the host gets frame i, if it decides
	 * that late (mem); engines that cannot hold back a frame ignore it.
	 */
	void (*rx_release)(struct ktrxer *port, const u8 *verdict, u32 n);
	/* Waits for a frame until the launch clock shows until_ns. 1, 0 or -errno. */
	int (*rx_wait)(struct ktrxer *port, u64 until_ns);
	/* Virtual time: when the next frame that is on its way arrives, 0 if none is. NULL: nobody can know. */
	u64 (*rx_next)(struct ktrxer *port);
	int (*rx_fd)(struct ktrxer *port);
	/*
	 * An engine that keeps the ring itself (kmod): listeners read it where the engine has it. rx_ring is called
	 * after rx_open and fills *m, which kt_ring_memory_free() frees; rx_join and rx_leave are kt_ring_join()
	 * and kt_ring_leave() there. rx_peek then has no frames to show and tells the interface's state only; rx_counts counts what is delivered, too.
	 */
	int (*rx_ring)(struct ktrxer *port, struct kt_ring_memory *m, struct ktrxer_err *err);
	int (*rx_join)(struct ktrxer *port, bool lossless);
	void (*rx_leave)(struct ktrxer *port, u32 cursor);
	/*
	 * An engine that judges frames itself (sampling, quotas, slices, rewriting and forwarding included) is given
	 * every new set before it comes into force; it switches at once, all or nothing. The set stays valid until
	 * the next call. replaced, if not NULL, gets the final counts of the set that was in force, in its order
	 * (n_replaced of them); quotas of the new set start used[i] matches down. NULL: rx.c classifies.
	 */
	int (*rx_rules)(struct ktrxer *port, const struct kt_classifier *set, const u64 *used,
			struct kt_rule_count *replaced, u32 n_replaced, struct ktrxer_err *err);
	/* Matches of the set in force since it came into force, in its order. */
	void (*rx_rule_counts)(struct ktrxer *port, struct kt_rule_count *counts, u32 n);
	void (*rx_counts)(struct ktrxer *port, struct kt_rx_counts *counts);
	/* Sends a forwarded (and perhaps rewritten) frame out of another interface; for engines that rx.c classifies for. */
	int (*rx_forward)(struct ktrxer *port, u32 ifindex, const u8 *frame, u32 len);
};

/* An open port. Engines read it and keep their own in priv. */
struct ktrxer {
	const struct kt_engine *engine;
	void *priv;
	struct ktrxer_opts opts; /* engine, if set, points into names */
	char ifname[64];
	char mode[64];
	char why[400];
	u32 ifindex;
	u32 mtu;
	u8 mac[6];
	int ctl_fd; /* routing netlink of the namespace where the port was opened, ioctls too; the port user's thread; -1: mem */
	enum ktrxer_clock clock;
	enum ktrxer_clock rx_clock;
};

extern const struct kt_engine kt_engine_kmod;
extern const struct kt_engine kt_engine_packet;
extern const struct kt_engine kt_engine_xdp;
extern const struct kt_engine kt_engine_mem;

#endif

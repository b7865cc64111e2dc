/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The inside of engine kmod: the module's devices, opened. Only engine_kmod*.c see the contract, uapi/ktrxer.h. */
#ifndef KT_ENGINE_KMOD_H
#define KT_ENGINE_KMOD_H

#include "port.h"

/* A sender of the module's, mapped. */
struct kt_kmod_tx {
	int fd; /* -1: none */
	u8 *map;
	size_t map_bytes;
	struct ktx_shared *shared;
	struct ktx_desc *desc;
	const struct ktx_done_abi *done;
	u8 *slots;
	u32 mask; /* of both rings */
	u32 slot_bytes;
	u32 submit; /* our own copies of the indices that we write */
	u32 done_read;
	u32 flags; /* in force */
};

struct kt_kmod_priv {
	struct ktx_opts tx_opts;
	const struct kt_txslot *tx_slots; /* given to tx_open */
	struct kt_kmod_tx tx; /* with a schedule */
	struct kt_kmod_tx flood;
	struct kt_flood_frame *flood_frames;
	int rx_fd;
	int rx_event; /* signalled when the ring's head moves or the interface changes */
	u32 n_units;
	const struct kt_ring_shared *ring; /* mapped by the receiver, for as long as it waits */
	u32 head_told; /* the ring's end when a wait last returned */
};

static inline struct kt_kmod_priv *kt_kmod_of(struct ktrxer *port)
{
	return port->priv;
}

/* Opens a device of the module: the descriptor, or -errno with a sentence that says how to get it. */
int kt_kmod_device(const char *name, struct ktrxer_err *err);
/* The sentence for a refused SETUP. */
int kt_kmod_setup_err(struct ktrxer *port, const char *what, int code, u32 abi, struct ktrxer_err *err);

void kt_kmod_tx_options(struct ktrxer *port, const struct ktx_opts *o);
int kt_kmod_tx_open(struct ktrxer *port, struct kt_txslot *slots, u32 n, u32 frame_bytes, bool kernel_stamps,
		    struct ktrxer_err *err);
void kt_kmod_tx_close(struct ktrxer *port);
int kt_kmod_tx_order(struct ktrxer *port, const struct kt_txorder *orders, u32 n);
int kt_kmod_tx_fates(struct ktrxer *port, struct kt_txfate *fates, u32 max);
void kt_kmod_tx_recall(struct ktrxer *port, u32 item);
int kt_kmod_tx_wait(struct ktrxer *port, u64 until_ns);
void kt_kmod_tx_counts(struct ktrxer *port, struct kt_tx_counts *counts);
int kt_kmod_tx_flood_open(struct ktrxer *port, struct kt_flood *flood, u32 frame_bytes, struct ktrxer_err *err);
u32 kt_kmod_tx_flood_max(struct ktrxer *port, u32 *frame_bytes);
int kt_kmod_tx_flood(struct ktrxer *port, struct kt_flood *flood, u32 from, u32 n);

int kt_kmod_rx_open(struct ktrxer *port, const struct krx_opts *opts, struct ktrxer_err *err);
void kt_kmod_rx_close(struct ktrxer *port);
int kt_kmod_rx_ring(struct ktrxer *port, struct kt_ring_memory *m, struct ktrxer_err *err);
int kt_kmod_rx_join(struct ktrxer *port, bool lossless);
void kt_kmod_rx_leave(struct ktrxer *port, u32 cursor);
int kt_kmod_rx_peek(struct ktrxer *port, struct kt_rxframe *frames, u32 max);
void kt_kmod_rx_release(struct ktrxer *port, const u8 *verdict, u32 n);
int kt_kmod_rx_wait(struct ktrxer *port, u64 until_ns);
int kt_kmod_rx_fd(struct ktrxer *port);
int kt_kmod_rx_rules(struct ktrxer *port, const struct kt_classifier *set, const u64 *used,
		     struct kt_rule_count *replaced, u32 n_replaced, struct ktrxer_err *err);
void kt_kmod_rx_rule_counts(struct ktrxer *port, struct kt_rule_count *counts, u32 n);
void kt_kmod_rx_counts(struct ktrxer *port, struct kt_rx_counts *counts);

/* Is this descriptor a receiver of the module's? For rings that come from another process. */
bool kt_kmod_is_ring(int fd);
/* Maps the ring and the cursors of a receiver's descriptors m->ring_fd and cursor_fd, m->n_units of it. 0 or -errno. */
int kt_kmod_ring_map(struct kt_ring_memory *m);

#endif

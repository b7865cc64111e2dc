/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the files of engine `xdp` share: an open port's private part. Sending
 * (engine_xdp_tx.c), flooding (…_flood.c) and receiving (…_rx.c) each own one
 * member and nothing else.
 */
#ifndef KT_ENGINE_XDP_H
#define KT_ENGINE_XDP_H

#include "engine.h"
#include "port.h"

struct bpf_object;
struct xdp_desc;

/* One of the four rings that AF_XDP shares with the kernel; positions run free. */
struct kt_xdp_ring {
	u32 *producer;
	u32 *consumer;
	u32 *flags;
	void *entries;
	u32 size;
	void *map;
	size_t map_bytes;
};

struct kt_xdp_tx {
	int fd;
	bool open;
	u8 *umem;
	size_t umem_bytes;
	u32 chunk_bytes; /* 1 << chunk_shift */
	u32 chunk_shift;
	u32 chunks; /* per frame; more than one needs multi-buffer */
	u32 budget; /* descriptors that one system call sends at most */
	u32 produced; /* position behind the last descriptor written */
	u32 completed; /* position in the completion ring */
	u64 invalid; /* the kernel's count of descriptors that it refused, as last read */
	struct kt_xdp_ring tx, fill, completion;
	u32 n_frames; /* twice the slots: one that was sent goes on with a fresh frame */
	u32 *incomplete; /* per frame: descriptors that the kernel has taken and not completed */
	u32 *free_frames;
	u32 n_free;
	u32 mtu; /* as last heard of */
	u64 checked_ns;
};

struct kt_xdp_flood;
struct kt_xdp_rx;

struct kt_xdp {
	int netns_fd; /* where the port lives, whatever the caller's thread does later */
	int control_fd; /* a socket of that namespace, for questions about the interface */
	int promiscuous_fd; /* or -1 */
	struct kt_xdp_tx tx;
	struct kt_xdp_flood *flood;
	struct kt_xdp_rx *rx;
};

static inline struct kt_xdp *kt_xdp(const struct ktrxer *port)
{
	return port->priv;
}

/* Moves the calling thread into the port's namespace and back. Returns what leave needs: -1 if it was there already. */
int kt_xdp_enter(struct ktrxer *port);
void kt_xdp_leave(int back_fd);
/* Into a fresh namespace, which lasts as long as *netns_fd is open. -1: not allowed. */
int kt_xdp_enter_new(int *netns_fd);

/* The interface now: 0, -ENETDOWN (down, or no carrier and need_carrier) or -ENODEV. *mtu may be NULL. */
int kt_xdp_iface(struct ktrxer *port, bool need_carrier, u32 *mtu);

enum kt_xdp_obj { KT_XDP_OBJ_RX, KT_XDP_OBJ_RX_UNWATCHED, KT_XDP_OBJ_FLOOD, KT_XDP_OBJ_CALLBACK };

/* The embedded BPF object, opened and not yet loaded; NULL and errno. */
struct bpf_object *kt_xdp_bpf_open(enum kt_xdp_obj which);

/* The object's constants, before it is loaded; its variables, afterwards, as memory to be unmapped. NULL: none. */
int kt_xdp_set_consts(struct bpf_object *obj, const void *consts, size_t bytes);
void *kt_xdp_map_variables(struct bpf_object *obj, size_t bytes);

/* Between begin and end this thread's first complaint of libbpf's is kept instead of printed. */
void kt_xdp_log_begin(void);
void kt_xdp_log_end(void);

/* kt_err with that complaint, and what to do about a missing right. */
int kt_xdp_bpf_err(struct ktrxer_err *err, int code, const char *what);

/* Does the kernel have ktime_get_tai_ns, loop or xdp_load_bytes for XDP programs? */
bool kt_xdp_has_helper(u32 helper);
/* 0, or -EOPNOTSUPP: what of this kernel receiving lacks, and what there is instead. */
int kt_xdp_probe_rx(struct ktrxer_err *err);

int kt_xdp_tx_open(struct ktrxer *port, struct kt_txslot *slots, u32 n, u32 frame_bytes, bool kernel_stamps,
		   struct ktrxer_err *err);
void kt_xdp_tx_close(struct ktrxer *port);
void kt_xdp_tx_ready(struct ktrxer *port, struct kt_txslot *const *slots, u32 n);
int kt_xdp_tx_launch(struct ktrxer *port, struct kt_txslot *const *slots, u32 n);

int kt_xdp_flood_open(struct ktrxer *port, struct kt_flood *flood, u32 frame_bytes, struct ktrxer_err *err);
void kt_xdp_flood_close(struct ktrxer *port);
int kt_xdp_flood(struct ktrxer *port, struct kt_flood *flood, u32 from, u32 n);
u32 kt_xdp_flood_max(struct ktrxer *port, u32 *frame_bytes);

int kt_xdp_rx_open(struct ktrxer *port, const struct krx_opts *opts, struct ktrxer_err *err);
void kt_xdp_rx_close(struct ktrxer *port);
int kt_xdp_rx_peek(struct ktrxer *port, struct kt_rxframe *frames, u32 max);
void kt_xdp_rx_release(struct ktrxer *port, const u8 *verdict, u32 n);
int kt_xdp_rx_wait(struct ktrxer *port, u64 until_ns);
int kt_xdp_rx_fd(struct ktrxer *port);
int kt_xdp_rx_rules(struct ktrxer *port, const struct kt_classifier *set, const u64 *used,
		    struct kt_rule_count *replaced, u32 n_replaced, struct ktrxer_err *err);
void kt_xdp_rx_rule_counts(struct ktrxer *port, struct kt_rule_count *counts, u32 n);
void kt_xdp_rx_counts(struct ktrxer *port, struct kt_rx_counts *counts);

#endif

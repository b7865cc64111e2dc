/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Wires in memory, as engine_mem.c and mem.c share them. Everything in a
 * world, its wires and their ends is guarded by the world's mutex; the lists
 * of worlds and wires, names and reference counts by one mutex of their own,
 * taken first.
 */
#ifndef KT_MEM_WIRE_H
#define KT_MEM_WIRE_H

#include <pthread.h>

#include "engine.h"
#include "mem.h"

struct kt_mem_frame {
	struct kt_mem_frame *next;
	u64 arrival_ns; /* at the far end, on the world's clock */
	u32 len;
	u8 data[];
};

struct kt_mem_queue {
	struct kt_mem_frame *first;
	struct kt_mem_frame **end; /* where the next one is linked */
	u32 n;
};

struct kt_mem_world {
	struct kt_mem_world *next;
	char name[64];
	u32 n_wires;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a frame came, time moved, or an interface changed */
	u64 now_ns;
};

struct kt_mem_end {
	struct kt_mem_wire *wire;
	struct ktrxer *port; /* NULL: nobody opened this end */
	u32 ifindex;
	u32 mtu;
	u8 mac[6];
	bool up;
	bool carrier;
	bool removed;
	bool receiving; /* rx_open */
	bool fail_memory;
	u32 refuse_n;
	int refuse_code;
	u32 refuse_ppb;
	int refuse_ppb_code;
	u64 refuse_rng;
	u32 rx_room;
	struct kt_mem_queue rx; /* in flight or arrived, for the receiver; in order of arrival */
	struct kt_mem_queue held; /* peeked and not yet released */
	struct kt_mem_queue host; /* what the host got */
	u64 host_count;
	u64 last_arrival_ns;
	struct kt_rx_counts counts;
};

struct kt_mem_wire {
	struct kt_mem_wire *next;
	struct kt_mem_world *world;
	char name[64];
	u32 n_ports;
	u64 delay_ns;
	struct kt_mem_end ends[2];
};

/* Opens one end for port, creating wire and world if need be. -EINVAL: not a name; -EBUSY: open already. */
int kt_mem_end_open(struct kt_mem_end **end, const char *name, struct ktrxer *port, struct ktrxer_err *err);
void kt_mem_end_close(struct kt_mem_end *end);

/* The named end, or the one with this ifindex, with its world locked; NULL if there is none. */
struct kt_mem_end *kt_mem_end_lock(const char *name);
struct kt_mem_end *kt_mem_ifindex_lock(u32 ifindex);
void kt_mem_lock(struct kt_mem_end *end);
void kt_mem_unlock(struct kt_mem_end *end);

/* The rest wants the world locked. */

struct kt_mem_end *kt_mem_peer(struct kt_mem_end *end);
void kt_mem_push(struct kt_mem_queue *q, struct kt_mem_frame *f);
struct kt_mem_frame *kt_mem_pop(struct kt_mem_queue *q);
void kt_mem_clear(struct kt_mem_queue *q);

/* The host at this end gets the frame. */
void kt_mem_to_host(struct kt_mem_end *end, struct kt_mem_frame *f);
/* All that a receiver has not judged goes to the host, as if it had never been there. */
void kt_mem_rx_to_host(struct kt_mem_end *end);

/* Sends a frame from this end. 0, or -errno as a driver would: see struct kt_engine, tx_launch. */
int kt_mem_carry(struct kt_mem_end *from, const u8 *frame, u32 len);

#endif

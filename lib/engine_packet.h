/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Engine packet's private parts, shared by its open/close, sending and receiving files. */
#ifndef KT_ENGINE_PACKET_H
#define KT_ENGINE_PACKET_H

#include <linux/if_packet.h>
#include <pthread.h>
#include <sys/socket.h>

#include "engine.h"

#define KT_PACKET_FLOOD 256u /* frames per sendmmsg */

struct kt_packet_tx {
	u8 *memory;
	u8 *flood_memory;
	struct kt_flood_frame *flood_frames; /* KT_PACKET_FLOOD of them */
	struct mmsghdr *messages; /* KT_PACKET_FLOOD of them */
	struct iovec *iov;
	bool stamps;
	u32 next_key; /* number that the kernel gives to the next frame's stamp */
};

struct kt_packet_rx {
	u8 *map;
	size_t map_bytes;
	u32 slot_bytes;
	u32 block_bytes;
	u32 slots_per_block;
	u32 n_slots;
	u32 next; /* slot to look at next */
	u32 oldest; /* first slot peeked and not yet released */
	u32 n_held; /* slots peeked and not yet released */
	u32 mtu; /* longer frames were merged by the host; refreshed when one is seen */
	bool outgoing;
	bool ignores_outgoing; /* the kernel leaves them out for us */
	u8 *whole; /* KT_PACKET_WHOLE_BYTES: the frame that was too long for its slot */
	bool whole_used;
	int state; /* 0, -ENETDOWN or -ENODEV when last asked */
	u64 checked_ns; /* CLOCK_MONOTONIC_COARSE */
	pthread_mutex_t counts_lock; /* statistics may be asked for by any thread; reading them clears the kernel's */
	u64 lost;
};

struct kt_packet_priv {
	int tx_fd; /* bound to the interface, receives nothing; holds the promiscuous membership */
	int rx_fd; /* bound when receiving begins */
	int tx_nl; /* routing netlink of this namespace; one for each direction, which are different threads' */
	int rx_nl;
	struct kt_packet_tx tx;
	struct kt_packet_rx rx;
};

/* The longest frame that GRO can make (BIG TCP), with headers. */
#define KT_PACKET_WHOLE_BYTES (540u * 1024)

static inline struct kt_packet_priv *kt_packet_of(struct ktrxer *port)
{
	return port->priv;
}

int kt_packet_tx_open(struct ktrxer *port, struct kt_txslot *slots, u32 n, u32 frame_bytes, bool kernel_stamps,
		      struct ktrxer_err *err);
void kt_packet_tx_close(struct ktrxer *port);
int kt_packet_tx_launch(struct ktrxer *port, struct kt_txslot *const *slots, u32 n);
int kt_packet_tx_flood(struct ktrxer *port, struct kt_flood *flood, u32 from, u32 n);
u32 kt_packet_tx_flood_max(struct ktrxer *port, u32 *frame_bytes);
int kt_packet_tx_flood_open(struct ktrxer *port, struct kt_flood *flood, u32 frame_bytes, struct ktrxer_err *err);

/* The interface now: 0, -ENETDOWN or -ENODEV. */
int kt_packet_link_state(struct kt_packet_priv *p, u32 ifindex);

int kt_packet_rx_open(struct ktrxer *port, const struct krx_opts *opts, struct ktrxer_err *err);
void kt_packet_rx_close(struct ktrxer *port);
int kt_packet_rx_peek(struct ktrxer *port, struct kt_rxframe *frames, u32 max);
void kt_packet_rx_release(struct ktrxer *port, const u8 *verdict, u32 n);
int kt_packet_rx_wait(struct ktrxer *port, u64 until_ns);
int kt_packet_rx_fd(struct ktrxer *port);
void kt_packet_rx_counts(struct ktrxer *port, struct kt_rx_counts *counts);

#endif

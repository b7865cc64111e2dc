/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * One direction of an emulated link, as arithmetic: for each packet it
 * decides, in this order, loss, hold (reordering), room, rate (transmission
 * time) and delay, and answers with one absolute departure time. The order is that of netmap's
 * tlem; the model that of dummynet (dummynet-netmap-2014, section 2).
 *
 *   arrives --> lost? --> room? --> [ queue ] --> transmitter --> delay (+ hold) --> departs
 *
 * A packet leaves the queue when its transmission begins and departs delay
 * after its last bit. Transmission times are exact: a busy transmitter's n-th end is rounded
 * down once, never summed up from rounded parts. A held packet takes its turn at the transmitter like any other and
 * is kept hold_ns longer behind it, so that the others overtake it.
 *
 * Every packet draws its own random numbers, one for each decision, from the
 * seed and its number. So a run can be repeated bit by bit, and switching one impairment on
 * does not change which packets meet another.
 */
#ifndef KT_LINK_H
#define KT_LINK_H

#include "env.h"

#define KT_LINK_PPB 1000000000u /* probabilities are parts per billion */
#define KT_LINK_MAX_NS (1ull << 57) /* longest delay, jitter or hold */
#define KT_LINK_MAX_BPS 1000000000000000000ull
#define KT_LINK_MAX_OVERHEAD 65536u

enum kt_link_delay {
	KT_DELAY_CONSTANT = 0,
	KT_DELAY_UNIFORM, /* delay_ns .. delay_ns + jitter_ns */
	KT_DELAY_EXPONENTIAL, /* delay_ns + exponential of mean jitter_ns */
};

/* Zero is a perfect wire. */
struct kt_link_opts {
	u32 loss_ppb; /* chance to be lost behind a packet that was not */
	u32 loss_burst_ppb; /* chance to be lost behind one that was (Gilbert); 0: independent, as loss_ppb says */
	u32 hold_ppb; /* chance that a packet is held back hold_ns, so that others overtake it */
	u64 hold_ns;
	u64 room_bytes; /* of packets waiting in front of the transmitter; 0: no limit */
	u32 room_pkts; /* same, in packets; 0: no limit */
	u64 rate_bps; /* bits per second; 0: infinite */
	u32 overhead_bytes; /* added to each packet's length for its transmission time (Ethernet: 24) */
	u32 duplicate_ppb;
	u32 corrupt_ppb; /* chance that one bit behind the 14 bytes of the link header is flipped */
	enum kt_link_delay delay_kind;
	u64 delay_ns;
	u64 jitter_ns;
	bool keep_order; /* a jittered departure is never before the previous one; held packets do not count */
	u64 seed;
};

enum kt_link_fate {
	KT_LINK_DEPARTS = 0,
	KT_LINK_LOST, /* by loss_ppb */
	KT_LINK_NO_ROOM, /* queue full */
};

/* What was decided for one packet. */
struct kt_link_verdict {
	enum kt_link_fate fate;
	bool duplicate; /* depart twice, at the same time */
	bool held;
	bool corrupt;
	u32 corrupt_bit; /* which one, below 8 * len */
	u64 depart_ns;
};

struct kt_link_stats {
	u64 seen_pkts;
	u64 seen_bytes;
	u64 departed_pkts; /* without duplicates */
	u64 lost_pkts;
	u64 no_room_pkts;
	u64 held_pkts;
	u64 duplicated_pkts;
	u64 corrupted_pkts;
};

/*
 * The queue in front of the transmitter is kept as a list of the times at
 * which each packet leaves it, in the caller's memory.
 */
struct kt_link_slot {
	u64 gone_ns; /* its transmission begins */
	u32 bytes;
};

struct kt_link {
	struct kt_link_opts o;
	struct kt_link_stats stats;
	struct kt_link_slot *slots;
	u32 n_slots; /* power of two */
	u32 first; /* waiting packets, free-running */
	u32 last;
	u64 queued_bytes;
	u64 arrive_ns; /* of the packet before */
	u64 free_ns; /* when the transmitter is idle again */
	u64 frac; /* behind free_ns, in 1/rate ns */
	u64 last_depart_ns;
	u64 rng;
	bool in_loss;
};

/*
 * slots: n_slots of them (power of two), owned by the caller; the queue holds
 * at most that many packets. None is needed (NULL, 0) without room limits; then
 * the queue has no end. 0, or -EINVAL with *why a constant sentence.
 */
int kt_link_init(struct kt_link *l, const struct kt_link_opts *o, struct kt_link_slot *slots, u32 n_slots,
		 const char **why);

/*
 * A packet of len bytes (below 2^28) arrives at now_ns; arrivals must not go back in time (they are
 * clamped). The end of time (2^64 - 1) is departure enough for what would be later.
 */
void kt_link_pass(struct kt_link *l, u64 now_ns, u32 len, struct kt_link_verdict *v);

#endif

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The inside of a receiver: one file of /dev/krx.
 *
 *   rx.c        the file: ioctls, set-up, end, counters
 *   rx_hook.c   where packets are met, and staying first there
 *   rx_judge.c  one packet: rule, fate, verdict
 *   rx_rules.c  sets of rules and their exchange
 *   rx_ring.c   delivery to listeners, and waking them
 *   rx_neigh.c  ARP and neighbour answers for addresses that are not ours
 *
 * Contexts. Packets are judged with BH disabled, on any CPU at once, under
 * RCU. What they read is exchanged by RCU (set, addresses) or fixed while the receiver runs.
 *
 * Locks, in this order: lock (ioctls that change something), RTNL, hook_lock,
 * ring_lock (BH), wake_lock (BH). No lock is held while a packet is sent on.
 */
#ifndef KT_KRX_H
#define KT_KRX_H

#include <linux/atomic.h>
#include <linux/interrupt.h>
#include <linux/mutex.h>
#include <linux/netfilter.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/u64_stats_sync.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../core/classify.h"
#include "../core/judge.h"
#include "../core/packet.h"
#include "../core/ring.h"
#include "kt.h"

struct eventfd_ctx;
struct krx;

/* --- Counters -------------------------------------------------------------------- */

/* The fates first, as in enum kt_fate: each packet counts once among them, and "seen" is their sum. */
enum kt_rx_counter {
	KT_RX_DELIVERED = KT_FATE_DELIVERED,
	KT_RX_DROPPED = KT_FATE_DROPPED,
	KT_RX_PASSED = KT_FATE_PASSED,
	KT_RX_LOST_RING = KT_FATE_LOST_RING,
	KT_RX_LOST_ERROR = KT_FATE_LOST_ERROR,
	KT_RX_BYTES,
	KT_RX_FORWARDED,
	KT_RX_MERGED,
	KT_RX_SEGMENTS,
	KT_RX_MALFORMED,
	KT_RX_ANSWERED,
	KT_RX_STAMPLESS,
	KT_RX_N_COUNTERS,
};

enum kt_rx_point {
	KT_RX_INGRESS,
	KT_RX_PRE4,
	KT_RX_PRE6,
	KT_RX_N_POINTS,
};

/* Headers longer than this are judged by what is in front. */
#define KT_RX_SCRATCH 2048

/* Of one CPU; BH disabled. */
struct kt_rx_cpu {
	u64_stats_t n[KT_RX_N_COUNTERS];
	struct u64_stats_sync sync;
	u32 turn[KT_RX_N_POINTS]; /* of the newest hook that was met here */
	u8 scratch[KT_RX_SCRATCH]; /* headers that do not lie in one piece, or have their VLAN tag beside them */
};

/* --- Rules ------------------------------------------------------------------------ */

/* What judging needs of a rule: one cache line, counters included. */
struct kt_rx_rule {
	u32 id;
	u32 tag;
	u8 op; /* enum kt_op */
	u8 slice_base;
	u16 slice_off;
	u32 slice_bytes;
	u32 out_ifindex;
	u32 sample_n;
	u32 rewrite; /* place in the set's rewrites, from 1; 0: none */
	u32 reserved;
	u64 quota;
	u64 used; /* matches under earlier sets */
	atomic64_t pkts; /* under this one */
	atomic64_t bytes;
};

struct kt_rx_set {
	struct kt_image image;
	struct kt_rx_rule *rules; /* in order of judgement */
	struct kt_rewrite *rewrites;
	u32 n;
	u32 n_rewrites;
};

/* --- Hooks ------------------------------------------------------------------------- */

/* One registration. priv of the netfilter hook. */
struct kt_rx_hook {
	struct krx *rx;
	enum kt_rx_point point;
	u32 turn; /* grows with each registration at this point */
	struct nf_hook_ops ops;
};

/* A place where packets are met. To get to the front again, the other hook takes over. */
struct kt_rx_place {
	struct kt_rx_hook hook[2];
	u32 current_hook;
	bool on;
};

/* --- A receiver -------------------------------------------------------------------- */

struct kt_rx_addresses;

struct krx {
	struct kt_ctx ctx;
	struct mutex lock;
	bool ready; /* set up, once; read without the lock by acquire */
	bool running; /* packets are met: from ready() to gone() or the end; changed under RTNL */
	bool gone;
	bool down;
	u32 flags; /* enum krx_setup_flag in force */
	u32 ifindex;
	struct net *net; /* while running */
	struct net_device *dev; /* while running */
	struct kt_rx_cpu __percpu *cpu;
	struct kt_charge charge;

	struct mutex hook_lock;
	struct kt_rx_place place[KT_RX_N_POINTS];
	struct delayed_work watch;
	struct packet_type tap;
	atomic64_t displaced;

	struct kt_rx_set __rcu *set;
	struct kt_rx_addresses __rcu *addresses;
	bool allmulti; /* we asked the device for all multicast; RTNL */

	struct kt_mem ring_mem;
	struct kt_mem cursor_mem;
	spinlock_t ring_lock;
	struct kt_ring ring;
	u32 told[KT_RING_MAX_CURSORS]; /* head when this listener was last woken; ring_lock */
	struct tasklet_struct wake;
	wait_queue_head_t wait;
	spinlock_t wake_lock;
	struct eventfd_ctx *eventfd; /* wake_lock */
};

/* --- rx_judge.c -------------------------------------------------------------------- */

/*
 * A packet as the wire had it: what the driver took off in front (mac_bytes)
 * and the VLAN tag that lies beside it (tag_bytes) included. On the stack of whoever judges it.
 */
struct kt_rx_frame {
	struct sk_buff *skb;
	struct kt_rx_cpu *cpu;
	struct kt_packet p;
	const u8 *head; /* of the frame, as far as it was parsed */
	u32 head_bytes;
	u32 mac_bytes; /* between the MAC header and skb->data */
	u32 tag_bytes;
	u32 len;
	u32 ifindex;
	u32 segments; /* that were merged; 0: it is one */
	u64 stamp_ns;
	u8 clock;
	u8 flags; /* enum kt_record_flag */
	bool stampless;
};

/* Returns a netfilter verdict. RCU, BH disabled. */
unsigned int kt_rx_judge(struct krx *rx, struct sk_buff *skb, bool outgoing);
/* Queues it at its device, which has it whatever comes of it. 0 or -errno. */
int kt_rx_xmit(struct sk_buff *skb);
/* Copies a part of the frame; false if that is not there. */
bool kt_rx_frame_copy(const struct kt_rx_frame *f, u32 off, void *dst, u32 bytes);
/* Gives the frame its fate. Once. */
void kt_rx_count(struct kt_rx_frame *f, enum kt_fate fate, bool answered);

/* --- rx_hook.c --------------------------------------------------------------------- */

void kt_rx_hooks_init(struct krx *rx);
int kt_rx_hooks_add(struct krx *rx); /* RTNL; dev and net are set */
void kt_rx_hooks_remove(struct krx *rx); /* RTNL; on return no packet is being judged */
/* Does nobody stand before us? Any context. */
bool kt_rx_hooks_first(struct krx *rx);
/* Gets to the front if somebody else is. Process context. */
void kt_rx_hooks_mend(struct krx *rx);

/* --- rx_rules.c -------------------------------------------------------------------- */

int kt_rx_rules_init(struct krx *rx);
void kt_rx_rules_end(struct krx *rx); /* no packet is being judged any more */
int kt_rx_rules_replace(struct krx *rx, struct krx_rules *arg);
int kt_rx_rules_counts(struct krx *rx, struct krx_counts *arg);
/*
 * Tells of a match: false if the rule's quota is used up. *nth gets how many there were before.
 */
bool kt_rx_rule_claim(struct kt_rx_rule *r, u32 bytes, u64 *nth);

/* --- rx_ring.c --------------------------------------------------------------------- */

void kt_rx_ring_init(struct krx *rx); /* the file is opened */
int kt_rx_ring_new(struct krx *rx, u32 n_units); /* it is set up */
void kt_rx_ring_free(struct krx *rx); /* or fails to be */
void kt_rx_ring_end(struct krx *rx); /* the file is closed, no packet is being judged */
/* Counts the frame as delivered or lost_ring; true if delivered. */
bool kt_rx_deliver(struct krx *rx, struct kt_rx_frame *f, const struct kt_rx_rule *r);
int kt_rx_listen(struct krx *rx, bool lossless);
int kt_rx_unlisten(struct krx *rx, u32 cursor);
bool kt_rx_unread(struct krx *rx);
int kt_rx_eventfd_set(struct krx *rx, int fd);
/* Wakes everybody: the state changed. */
void kt_rx_wake_all(struct krx *rx);

/* --- rx_neigh.c -------------------------------------------------------------------- */

int kt_rx_addresses_set(struct krx *rx, const struct krx_addresses *arg);
void kt_rx_addresses_end(struct krx *rx); /* no packet is being judged any more */
/* Asks the device for all multicast packets, or no longer. RTNL, running. */
int kt_rx_allmulti(struct krx *rx, bool on);
/* If it asks for an address of ours: answers it, and true. */
bool kt_rx_answer(struct krx *rx, struct kt_rx_frame *f);

#endif

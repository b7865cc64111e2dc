/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The inside of a sender: one open /dev/ktx.
 *
 *   tx.c         the file: set up, mapped, polled, closed; and what befalls its interface
 *   tx_submit.c  descriptors are read, checked and taken
 *   tx_launch.c  when: schedule, timer, spin; and what becomes of a refusal
 *   tx_irq.c     launches by the timer's interrupt itself, where the device allows that
 *   tx_xmit.c    how: frames to the driver under the lock of its queue
 *   tx_done.c    completions, in the order in which things happened; cancelling
 *   tx_skb.c     packet buffers
 *   tx_offer.c   what the device can do for us
 *   tx_hold.c    what a device still has of a probe, or owes it: pages, and the time when it left
 *   tx_flood.c   probes made in the kernel
 *
 * A probe lives in the slot that holds its frame, from SUBMIT until its completion is published:
 *
 *   free -> scheduled -> launching -> free
 *               ^            |          ^
 *               +-- pause ---+ (refused)|
 *                            +-> held --+ (the device has let go)
 *
 * Who owns what: mutex makes SETUP, SUBMIT, EVENTFD and FLOOD one at a time, so
 * `taken` and every free slot are the caller's of SUBMIT. lock (BH disabled) protects the schedule, the probes in it,
 * the completion ring and the counters. A probe that is launching belongs to
 * whoever launches it: the one launcher (`launching`; the timer's interrupt, and behind it what it leaves that to), or the caller of SUBMIT with KTX_SUBMIT_HERE. One that
 * is held is nobody's: only its device can end it.
 *
 * dev is used inside rcu_read_lock_bh() only; the interface's end clears it and waits for a grace period.
 */
#ifndef KT_KTX_H
#define KT_KTX_H

#include <linux/hrtimer.h>
#include <linux/if_vlan.h>
#include <linux/interrupt.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <linux/wait.h>

#include "kt.h"

#include "../core/ring.h"
#include "../core/schedule.h"

#define KT_NO_SLOT 0xffffffffu
/* Frames between two rings of the doorbell: longer trains let the host's own frames in here. */
#define KT_TX_STRETCH 256u

enum kt_tx_place {
	KT_TX_FREE = 0, /* the user's; kept in a word of its own, as SUBMIT reads it without the lock */
	KT_TX_TAKEN, /* being prepared by SUBMIT */
	KT_TX_SCHEDULED, /* in the schedule, or behind its train's first */
	KT_TX_LAUNCHING,
	KT_TX_HELD, /* over, but for what the device still has */
};

/* What a device may have of a probe when its call returns: bits of `waits`. */
enum kt_tx_wait {
	KT_TX_PAGES, /* the slot's pages */
	KT_TX_STAMP, /* the frame that it may yet say the time of */
};

/* What one attempt came to. */
enum kt_tx_outcome {
	KT_TX_SENT,
	KT_TX_REFUSED, /* reason; the retry policy decides */
	KT_TX_FATAL, /* reason; no retry can help */
	KT_TX_LATE,
};

/* When the timer's own interrupt launches: tx_irq.c. */
enum kt_tx_irq {
	KT_IRQ_NEVER = 0,
	KT_IRQ_OUTSIDE, /* on top of what runs with bottom halves enabled */
	KT_IRQ_ALWAYS,
};

/* The probe in a slot. */
struct kt_tx_probe {
	struct sk_buff *skb; /* packet buffer of the slot, kept from probe to probe where the device allows; or NULL */
	u64 id;
	u64 scheduled_ns;
	u64 due_ns; /* scheduled_ns, later that of the next attempt; all of a train: the first one's */
	u64 order; /* of the schedule's entry, to go back to its place */
	u64 window_ns;
	u64 launch_ns;
	u64 returned_ns;
	u64 stamp_ns;
	unsigned long waits; /* enum kt_tx_wait; set before the driver's call, cleared with the lock held */
	u32 next; /* in a list, or in its train */
	u32 place; /* enum kt_tx_place */
	u32 len;
	u32 attempts;
	u32 max_attempts;
	u32 retry_ns;
	u16 reason;
	u8 outcome; /* enum kt_tx_outcome */
	u8 status; /* enum ktx_status_abi, once held */
	u8 stamp_clock; /* enum ktrxer_abi_clock */
	u8 vlan_bytes; /* of len: tags, that the MTU does not count */
	bool filled; /* skb holds the frame, ready to go */
	bool head; /* has the schedule's entry for its train */
	bool train; /* the next one follows back-to-back */
	bool plain; /* its completion may not wait for the device: copied */
	bool offloaded; /* it was given ahead of its time, which the device knows */
	bool zero_copy; /* the frame that the driver was given last lay in the slot's pages */
};

/* Probes one after another, linked by next. */
struct kt_tx_list {
	u32 first;
	u32 last;
	u32 n;
};

struct ktx {
	struct kt_ctx ctx;
	struct mutex mutex;
	bool ready; /* set up: written once, by release */
	struct net_device __rcu *dev;

	/* constant from SETUP on */
	struct ktx_setup setup;
	struct kt_mem mem;
	struct kt_charge charge;
	struct ktx_shared *shared;
	const struct ktx_desc *desc;
	struct ktx_done_abi *done;
	const u8 *slots;
	struct kt_tx_probe *probes; /* n_slots */
	void *schedule_mem;
	struct kt_tx_hold *hold; /* or NULL: all frames are copied */
	struct list_head launching_link; /* RTNL; tx_offer.c */
	char ifname[IFNAMSIZ]; /* at SETUP, for the thread's name */
	u32 headroom; /* that the device wants before a frame */
	u32 tailroom;
	u32 min_len; /* a whole link header */
	bool ether;
	enum kt_tx_irq by_irq; /* the timer's interrupt launches, where it can */
	bool recycle; /* the device leaves buffers as they were, so that they can be used again */

	/* mutex */
	u32 taken;
	struct flood *flood; /* what the next call of FLOOD goes on with, or NULL; tx_flood.c */

	/* launching */
	struct hrtimer timer; /* HARD: only wakes what follows */
	struct tasklet_struct tasklet; /* launches, or */
	struct task_struct *thread; /* this does */
	bool poked; /* the thread has something to look at */
	u32 kick; /* grows when a spinning launcher must look again */
	struct kt_tx_list left; /* what the interrupt has taken and not tried, */
	struct kt_tx_list left_tried; /* and what it has tried; valid once */
	bool handed; /* is set, by release */
	u32 pauses; /* the last pause for refusals, in REFUSED_PAUSE_NS; 0: none since a probe has ended. The launcher's */

	spinlock_t lock ____cacheline_aligned_in_smp;
	struct kt_schedule schedule;
	bool launching;
	bool stop; /* the file closes: nothing is armed any more */
	bool gone; /* the device is: everything fails */
	u64 target_ns; /* what the launcher spins for */
	u32 done_end;
	u32 done_read; /* last valid position of the user's */
	struct ktx_stats_abi st;
	struct eventfd_ctx *eventfd;
	wait_queue_head_t wait;
};

static inline u64 kt_tx_clock(const struct ktx *tx)
{
	return tx->setup.clock == KTRXER_ABI_TAI ? ktime_get_clocktai_ns() : ktime_get_ns();
}

static inline void kt_tx_list_init(struct kt_tx_list *l)
{
	l->first = l->last = KT_NO_SLOT;
	l->n = 0;
}

static inline void kt_tx_list_put(struct ktx *tx, struct kt_tx_list *l, u32 slot)
{
	tx->probes[slot].next = KT_NO_SLOT;
	if (l->n++)
		tx->probes[l->last].next = slot;
	else
		l->first = slot;
	l->last = slot;
}

static inline u32 kt_tx_list_get(struct ktx *tx, struct kt_tx_list *l)
{
	u32 slot = l->first;

	if (slot == KT_NO_SLOT)
		return slot;
	l->first = tx->probes[slot].next;
	if (!--l->n)
		l->last = KT_NO_SLOT;
	return slot;
}

static inline void kt_tx_list_push(struct ktx *tx, struct kt_tx_list *l, u32 slot)
{
	tx->probes[slot].next = l->first;
	l->first = slot;
	if (!l->n++)
		l->last = slot;
}

/* --- tx_skb.c ------------------------------------------------------------------- */

/* What every packet buffer of a device has, read under RTNL. */
void kt_tx_skb_device(struct ktx *tx, const struct net_device *dev);
/* Kernel memory that one packet buffer for frames of up to bytes takes at most. */
u64 kt_tx_skb_bytes(const struct ktx *tx, u32 bytes);
/* A buffer with room for len bytes, or NULL. old, which may be NULL, is used again where nobody else has it, else given up. */
struct sk_buff *kt_tx_skb_get(const struct ktx *tx, struct sk_buff *old, u32 len, gfp_t gfp);
/* Ours alone, as it was when we made it? Pairs with the driver's release of its reference: what it did before is over. */
static inline bool kt_tx_skb_is_ours(const struct sk_buff *skb)
{
	return kt_load_acquire(&skb->users.refs.counter) == 1 && !skb_cloned(skb) && !skb_is_nonlinear(skb);
}

/* Undoes what a driver may have left in a buffer that it was allowed to read only. */
static inline void kt_tx_skb_clean(struct sk_buff *skb)
{
	skb_orphan(skb);
	skb_ext_reset(skb);
	nf_reset_ct(skb);
	skb->ip_summed = CHECKSUM_NONE;
	__vlan_hwaccel_clear_tag(skb);
	skb_shinfo(skb)->tx_flags = 0;
}

/*
 * For much the same frame of len bytes again: true when skb, which the driver has had, is ours alone and has it where it was.
 * Else kt_tx_skb_get.
 */
static inline bool kt_tx_skb_again(const struct ktx *tx, struct sk_buff *skb, u32 len)
{
	if (!kt_tx_skb_is_ours(skb) || skb->data != skb->head + tx->headroom || skb->len != len)
		return false;
	kt_tx_skb_clean(skb);
	return true;
}
/* The headers' places, once the frame is in. Returns the bytes of VLAN tags. */
u32 kt_tx_skb_headers(const struct ktx *tx, struct sk_buff *skb);
/*
 * The slot's frame into the probe's buffer, copied or by reference: 0 or -ENOMEM. Owner of the probe; gfp says which
 * context.
 */
int kt_tx_fill(struct ktx *tx, u32 slot, gfp_t gfp);

/* --- tx_offer.c ----------------------------------------------------------------- */

/* Clears the flags that the device cannot fulfil, and has it launch by time if it is to. Under RTNL. */
void kt_tx_offers(struct ktx *tx, struct net_device *dev);
/* Idempotent. Under RTNL, before the context lets go of the device. */
void kt_tx_offers_end(struct ktx *tx);

/* --- tx_hold.c ------------------------------------------------------------------ */

/* Kernel memory for n slots' worth of what a device may hold. */
u64 kt_tx_hold_bytes(u32 n);
int kt_tx_hold_new(struct ktx *tx); /* 0 or an error; process context */
/* The file closes, and nothing is launched any more. What devices have keeps its memory, the charge for it, and the module. */
void kt_tx_hold_close(struct ktx *tx);
/*
 * The slot's bytes from at on, at the end of skb, by reference: false when they would be too many pieces or the device has some of
 * an earlier attempt yet. Owner of the probe; any context.
 */
bool kt_tx_hold_pages(struct ktx *tx, u32 slot, struct sk_buff *skb, u32 at, u32 len);
/* Has the time of the slot's frame told, as the driver or the NIC sees it leave. Owner of the probe; any context. */
void kt_tx_hold_stamp(struct ktx *tx, u32 slot, struct sk_buff *skb);
/* Module exit, no file is open: whoever told us last that something is back has returned. */
void kt_tx_hold_quiesce(void);

/* --- tx_xmit.c ------------------------------------------------------------------ */

/* One frame to the driver, once. */
struct kt_tx_call {
	struct net_device *dev;
	struct netdev_queue *txq;
	u16 queue;
	bool tap; /* somebody captures */
	bool keep; /* buffers stay ours */
	u32 max_len; /* of a frame, tags not counted */
	u64 now; /* the caller's */
	u16 reason;
};

/*
 * Enters the queue of the device: BH disabled, RCU, queue lock held. False, with the reason, when there is no device
 * (ENODEV) or it is down or has no carrier (ENETDOWN); then nothing is held.
 */
bool kt_tx_enter(struct ktx *tx, struct kt_tx_call *c);
void kt_tx_leave(struct kt_tx_call *c);
/* What an answer other than NETDEV_TX_OK means. */
enum kt_tx_outcome kt_tx_judge(struct kt_tx_call *c, netdev_tx_t answer);
/* Hands over a buffer that is not kept. */
enum kt_tx_outcome kt_tx_give_away(struct kt_tx_call *c, struct sk_buff **skb, bool more);
/*
 * Hands *skb, ours alone, over. What remains in *skb is ours: the frame when the driver
 * was busy; the buffer, for another frame once it is no longer shared, where the device lets us keep it; else NULL.
 */
static inline enum kt_tx_outcome kt_tx_hand_over(struct kt_tx_call *c, struct sk_buff **skb, bool more)
{
	struct sk_buff *s = *skb;
	netdev_tx_t answer;

	s->dev = c->dev;
	skb_set_queue_mapping(s, c->queue);
	/* What is not ours alone, down to its pages, cannot serve again. */
	if (unlikely(!c->keep || skb_is_nonlinear(s) || s->destructor))
		return kt_tx_give_away(c, skb, more);
	refcount_set(&s->users, 2); /* nobody else counts it before the call */
	answer = netdev_start_xmit(s, c->dev, c->txq, more);
	if (likely(answer == NETDEV_TX_OK))
		return KT_TX_SENT;
	if (!dev_xmit_complete(answer))
		refcount_set(&s->users, 1);
	return kt_tx_judge(c, answer);
}
/*
 * As kt_tx_stretch, in a hard interrupt: false, and nothing tried, when there is no device to be had, or somebody has the
 * queue.
 */
bool kt_tx_stretch_irq(struct ktx *tx, struct kt_tx_list *b, struct kt_tx_list *tried, u64 at_ns);
/* Is the device's queue stopped, so that it is worth waiting for? Any context. */
bool kt_tx_stopped(struct ktx *tx);

/*
 * Tries probes of b in order, from at_ns on (spinning the last moment under the queue lock; 0: at
 * once), until one is refused or KT_TX_STRETCH have been tried. Those tried move to `tried`, with their outcomes. Returns whether
 * the lock was taken. patient: a stopped queue is no refusal; then *stopped is set and nothing is tried.
 */
bool kt_tx_stretch(struct ktx *tx, struct kt_tx_list *b, struct kt_tx_list *tried, u64 at_ns, bool *stopped);

/* --- tx_launch.c ---------------------------------------------------------------- */

int kt_tx_launcher_start(struct ktx *tx);
/* After return nothing is launched and nothing will be: timer, then tasklet or thread, in the order in which they wake each other. */
void kt_tx_launcher_stop(struct ktx *tx);
/* Puts trains into the schedule. Lock held; returns whether kt_tx_poke has to follow when it is not. */
bool kt_tx_schedule(struct ktx *tx, u32 head);
/* Makes the launcher look at the schedule. Process context, no lock held. */
void kt_tx_poke(struct ktx *tx);
/* Launches b in the caller's context until every probe of it has ended. Process context. */
void kt_tx_launch_here(struct ktx *tx, struct kt_tx_list *b);
/* Sleeps until a refused frame may be tried again. Process context; false: a signal came. */
bool kt_tx_pause(u32 ns);
/* Waits while the device's queue is stopped: true when it no longer is. Process context. */
bool kt_tx_await_queue(struct ktx *tx);

/*
 * Takes what is due at the schedule's first time into b, if that is no more than spin_ns away; else arms the timer. Returns
 * that time, or 0. Lock held.
 */
u64 kt_tx_take_due(struct ktx *tx, struct kt_tx_list *b, u32 spin_ns);
/* Spins until shortly before at. False when the schedule has something earlier, or everything ends. Any context. */
bool kt_tx_spin(struct ktx *tx, u64 at, u32 kick);
/*
 * What becomes of those tried: completed, or in b or the schedule again for another attempt, with `here` in b always. Returns
 * how long to wait before going on with b (here only); sets *progress when any has ended. Lock held; in a hard interrupt only
 * without refusals.
 */
u32 kt_tx_settle(struct ktx *tx, struct kt_tx_list *b, struct kt_tx_list *tried, bool here, bool *progress);

/* --- tx_irq.c ------------------------------------------------------------------- */

/* When may the timer's interrupt launch? Under RTNL, at SETUP. */
enum kt_tx_irq kt_tx_irq_allowed(const struct ktx *tx, const struct net_device *dev);
/* The timer's interrupt. True: nothing is left to do, and the timer is armed for what comes next; else the launcher has to look. */
bool kt_tx_irq_launch(struct ktx *tx);

/* --- tx_done.c ------------------------------------------------------------------ */

/* Ends a probe: counts it, frees its slot, writes its completion. Lock held; kt_tx_publish follows. */
void kt_tx_end(struct ktx *tx, u32 slot, enum ktx_status_abi status);
/* A completion that has been written; call it only where somebody looks. Lock held. */
void kt_tx_trace_done(const struct ktx *tx, const struct ktx_done_abi *told);
/* As kt_tx_end, or later, when its device has let go of it. Lock held; kt_tx_publish follows. */
void kt_tx_finish(struct ktx *tx, u32 slot, enum ktx_status_abi status);
/* The device has let go. Any context that may take a spin lock, BH or interrupts disabled. */
void kt_tx_back(struct ktx *tx, u32 slot, enum kt_tx_wait what);
/* Shows the user what was written, and wakes who waits. Lock held. */
void kt_tx_publish(struct ktx *tx);
/* Everything in the schedule fails for want of a device. Lock held. */
void kt_tx_fail_all(struct ktx *tx, u16 reason);
/* Process context. Returns how many. */
u32 kt_tx_cancel(struct ktx *tx, bool all, u64 id);
/*
 * Completions that there is room for, by what the user says to have read, beside those of probes that have not ended.
 * Lock held. Who holds the mutex too is the only one who can use it up.
 */
u32 kt_tx_room(struct ktx *tx);
/* The same, without the lock. */
u32 kt_tx_find_room(struct ktx *tx);

/* --- tx_submit.c, tx_flood.c ------------------------------------------------------- */

/* Mutex held. 0 or an error of the call; what became of the descriptors is in *s. */
int kt_tx_submit(struct ktx *tx, struct ktx_submit *s);
/* Mutex held. 0, or why it ended before its end; what was done is in *a either way. */
int kt_tx_flood(struct ktx *tx, struct ktx_flood_abi *a);
/* Frees what a flood that may go on has kept. Mutex held, or the file closes. */
void kt_tx_flood_end(struct ktx *tx);

#endif

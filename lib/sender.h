/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The inside of a sender. A probe lives in one slot from submission until its
 * completion is fetched, so there is always room for its completion:
 *
 *   free -> (train being collected) -> scheduled -> launching -> [in flight] -> done -> free
 *
 * lock protects everything but the slots that are launching, which belong to
 * the launching context; launch_lock makes that one context at a time.
 */
#ifndef KT_SENDER_H
#define KT_SENDER_H

#include <pthread.h>

#include "../core/schedule.h"
#include "lead.h"
#include "port.h"

enum kt_probe_place {
	KT_PLACE_FREE = 0,
	KT_PLACE_TRAIN,
	KT_PLACE_SCHEDULED,
	KT_PLACE_LAUNCHING,
	KT_PLACE_IN_FLIGHT,
	KT_PLACE_DONE,
};

/* What the library knows of the probe in slot i; the frame itself is the engine's. */
struct kt_pending {
	u64 window_ns;
	u32 max_attempts;
	u32 retry_ns;
	u32 next; /* in the list that its place has; scheduled: the next of its train */
	u32 prev; /* scheduled: the one before it in its train. Only a train's first is in the schedule itself */
	u8 place; /* enum kt_probe_place */
	struct ktx_done done; /* id, scheduled_ns, len, attempts from the start; the rest at the end */
};

struct kt_fifo {
	u32 first;
	u32 last;
	u32 n;
};

struct ktx {
	struct ktrxer *port;
	struct ktx_opts o;
	u32 n_slots;
	struct kt_txslot *slots;
	struct kt_pending *pending;
	struct kt_txslot **batch; /* n_slots of them, for the launching context */
	u32 *batch_items;
	struct kt_schedule schedule;
	void *schedule_mem;
	struct kt_txorder *orders; /* offload: accepted, to be handed to the engine at the end of this submission */
	u32 n_orders;
	bool offload; /* the engine launches by itself */
	struct kt_fifo free; /* last in, first out: a slot just used is still in the cache */
	struct kt_fifo train; /* submitted with KTX_TRAIN, its end still to come */
	struct kt_fifo in_flight;
	struct kt_fifo done;
	struct ktx_stats stats;
	pthread_mutex_t lock;
	pthread_mutex_t launch_lock;
	pthread_cond_t work; /* something was submitted or the thread must end */
	pthread_cond_t news; /* something completed */
	pthread_t thread;
	bool has_thread;
	bool stop;
	struct kt_lead lead; /* of the thread, or of ktx_run() */
	u32 kick; /* grows when the schedule got an earlier first; read by a spinning launcher */
	struct ktrxer_err why;
};

static inline void kt_fifo_init(struct kt_fifo *f)
{
	f->first = f->last = KT_NO_SLOT;
	f->n = 0;
}

static inline void kt_fifo_put(struct ktx *tx, struct kt_fifo *f, u32 item, enum kt_probe_place place)
{
	tx->pending[item].next = KT_NO_SLOT;
	tx->pending[item].place = (u8)place;
	if (f->n++)
		tx->pending[f->last].next = item;
	else
		f->first = item;
	f->last = item;
}

/* In front of all others. */
static inline void kt_fifo_push(struct ktx *tx, struct kt_fifo *f, u32 item, enum kt_probe_place place)
{
	tx->pending[item].next = f->first;
	tx->pending[item].place = (u8)place;
	if (!f->n++)
		f->last = item;
	f->first = item;
}

static inline u32 kt_fifo_get(struct ktx *tx, struct kt_fifo *f)
{
	u32 item = f->first;

	if (!f->n)
		return KT_NO_SLOT;
	f->first = tx->pending[item].next;
	if (!--f->n)
		f->last = KT_NO_SLOT;
	return item;
}

/* Launches what is due now; takes and leaves no lock. */
void kt_launch_due(struct ktx *tx);

/* Makes the probes due at ns ready, spins until then, launches them. For ns a short time ahead. */
void kt_launch_at(struct ktx *tx, u64 ns);

/* Moves in-flight probes that the device has finished to done. Lock held. */
void kt_launch_reap(struct ktx *tx);

/* Ends a probe: counts it and queues its completion. Lock held. */
void kt_probe_end(struct ktx *tx, u32 item, enum ktx_status status, int reason);

/* When to wake for the next launch; 0 if nothing is scheduled. Lock held. */
u64 kt_launch_next(struct ktx *tx);

/* How long to spin before a launch at ns, given that it is now and the caller's lead. */
u64 kt_launch_spin(const struct ktx *tx, const struct kt_lead *lead, u64 now, u64 ns);

/* Sleeps until it is time to spin for a launch at ns; the lead learns from how late that ended. 0, or -EINTR. */
int kt_launch_sleep(struct ktx *tx, struct kt_lead *lead, u64 ns);

/* Senders whose engine launches by itself (offload.c). Lock held, but for init, run and wait. */
int kt_offload_init(struct ktx *tx, struct ktrxer_err *err);
void kt_offload_train(struct ktx *tx, u64 launch_ns);
void kt_offload_flush(struct ktx *tx);
u32 kt_offload_collect(struct ktx *tx); /* returns the number of completions waiting */
int kt_offload_run(struct ktx *tx, u64 until_ns);
int kt_offload_wait(struct ktx *tx, u64 until_ns, bool for_ever);
int kt_offload_recall(struct ktx *tx, bool all, u64 id);
void kt_offload_stats(struct ktx *tx, struct ktx_stats *stats);

int kt_launcher_start(struct ktx *tx, struct ktrxer_err *err);
void kt_launcher_stop(struct ktx *tx);

#endif

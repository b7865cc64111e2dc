// SPDX-License-Identifier: GPL-2.0-only
/*
 * Completions: one for each probe, in the order in which things happened.
 * There is always room: SUBMIT takes no probe, and FLOOD makes none, for whose completion there is none.
 */
#include <linux/eventfd.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>

#include "ktx.h"
#include "trace.h"

/* Probes that are cancelled between two releases of the lock, with which nothing can be launched. */
#define CANCEL_BATCH 64u

/*
 * The trust boundary of done_read. Invariant: last <= read <= end in
 * free-running arithmetic, where last is what was valid before and end what
 * has been written.
 */
static bool is_read_valid(u32 last, u32 end, u32 read)
{
	return end - read <= end - last;
}

u32 kt_tx_room(struct ktx *tx)
{
	u32 read = kt_load_acquire(&tx->shared->done_read);

	if (is_read_valid(tx->done_read, tx->done_end, read))
		tx->done_read = read;
	else
		tx->st.refused++;
	return tx->setup.n_desc - (tx->done_end - tx->done_read) - (u32)tx->st.pending;
}

u32 kt_tx_find_room(struct ktx *tx)
{
	u32 room;

	spin_lock_bh(&tx->lock);
	room = kt_tx_room(tx);
	spin_unlock_bh(&tx->lock);
	return room;
}

static void count(struct ktx *tx, const struct kt_tx_probe *p, enum ktx_status_abi status)
{
	struct ktx_stats_abi *st = &tx->st;

	st->pending--;
	if (p->attempts > 1)
		st->retries += p->attempts - 1;
	switch (status) {
	case KTX_DONE_SENT:
		st->sent++;
		st->bytes += p->len;
		st->early += p->launch_ns < p->scheduled_ns && !p->offloaded;
		break;
	case KTX_DONE_FAILED:
		st->failed++;
		break;
	case KTX_DONE_LATE:
		st->late++;
		break;
	case KTX_DONE_CANCELLED:
		st->cancelled++;
		break;
	}
}

/* What is shown is what the user was told, unless he scribbles there. */
noinline void kt_tx_trace_done(const struct ktx *tx, const struct ktx_done_abi *told)
{
	struct ktx_done_abi d = *told;

	trace_ktx_done(tx->setup.ifindex, &d);
}

void kt_tx_end(struct ktx *tx, u32 slot, enum ktx_status_abi status)
{
	struct kt_tx_probe *p = &tx->probes[slot];
	struct ktx_done_abi *done = &tx->done[tx->done_end++ & (tx->setup.n_desc - 1)];

	count(tx, p, status);
	/* In place, field by field: built elsewhere and copied it is twice the work. Never read again. */
	done->id = p->id;
	done->scheduled_ns = p->scheduled_ns;
	done->launch_ns = p->launch_ns;
	done->returned_ns = p->returned_ns;
	done->stamp_ns = p->stamp_ns;
	done->slot = slot;
	done->len = p->len;
	done->attempts = p->attempts;
	done->reason = p->reason;
	done->status = (u8)status;
	done->stamp_clock = p->stamp_clock;
	done->flags = (p->zero_copy ? KTX_DONE_ZEROCOPY : 0u) | (p->offloaded ? KTX_DONE_LAUNCHED : 0u);
	done->reserved = 0;
	if (trace_ktx_done_enabled())
		kt_tx_trace_done(tx, done);
	kt_store_release(&p->place, (u32)KT_TX_FREE);
}

void kt_tx_finish(struct ktx *tx, u32 slot, enum ktx_status_abi status)
{
	struct kt_tx_probe *p = &tx->probes[slot];

	if (likely(!READ_ONCE(p->waits))) {
		kt_tx_end(tx, slot, status);
		return;
	}
	p->status = (u8)status;
	p->place = KT_TX_HELD;
}

void kt_tx_back(struct ktx *tx, u32 slot, enum kt_tx_wait what)
{
	struct kt_tx_probe *p = &tx->probes[slot];

	spin_lock(&tx->lock);
	clear_bit(what, &p->waits);
	if (p->place == KT_TX_HELD && !READ_ONCE(p->waits)) {
		kt_tx_end(tx, slot, p->status);
		kt_tx_publish(tx);
	}
	spin_unlock(&tx->lock);
}

void kt_tx_publish(struct ktx *tx)
{
	kt_store_release(&tx->shared->done, tx->done_end);
	if (wq_has_sleeper(&tx->wait))
		wake_up_interruptible_poll(&tx->wait, EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM);
	if (tx->eventfd)
		kt_eventfd_signal(tx->eventfd);
}

/* Ends the probes of a train from slot on. Lock held. */
static u32 end_train(struct ktx *tx, u32 slot, enum ktx_status_abi status, u16 reason)
{
	u32 n = 0, next;

	for (; slot != KT_NO_SLOT; slot = next, n++) {
		struct kt_tx_probe *p = &tx->probes[slot];

		next = p->train ? p->next : KT_NO_SLOT;
		if (reason)
			p->reason = reason;
		kt_tx_finish(tx, slot, status);
	}
	return n;
}

void kt_tx_fail_all(struct ktx *tx, u16 reason)
{
	u32 slot;

	if (!tx->schedule.n)
		return;
	while ((slot = kt_schedule_pop(&tx->schedule)) != KT_SCHEDULE_NONE)
		end_train(tx, slot, KTX_DONE_FAILED, reason);
	kt_tx_publish(tx);
}

/* Takes the probes with that id out of the train that begins at head. Lock held. */
static u32 cancel_in_train(struct ktx *tx, u32 head, u64 id)
{
	u32 slot, next, before = KT_NO_SLOT, n = 0;

	for (slot = head; slot != KT_NO_SLOT; slot = next) {
		struct kt_tx_probe *p = &tx->probes[slot];

		next = p->train ? p->next : KT_NO_SLOT;
		if (p->id != id) {
			before = slot;
			continue;
		}
		if (before != KT_NO_SLOT) {
			tx->probes[before].next = next;
			tx->probes[before].train = next != KT_NO_SLOT;
		} else if (next != KT_NO_SLOT) {
			kt_schedule_replace(&tx->schedule, slot, next);
			tx->probes[next].head = true;
		} else {
			kt_schedule_remove(&tx->schedule, slot);
		}
		kt_tx_finish(tx, slot, KTX_DONE_CANCELLED);
		n++;
	}
	return n;
}

static u32 cancel_id(struct ktx *tx, u64 id)
{
	u32 n = 0;

	for (u32 i = 0; i < tx->setup.n_slots;) {
		u32 batch = min(i + CANCEL_BATCH, tx->setup.n_slots), before = n;

		spin_lock_bh(&tx->lock);
		for (; i < batch; i++)
			if (tx->probes[i].place == KT_TX_SCHEDULED && tx->probes[i].head)
				n += cancel_in_train(tx, i, id);
		if (n != before)
			kt_tx_publish(tx);
		spin_unlock_bh(&tx->lock);
		cond_resched();
	}
	return n;
}

static u32 cancel_some(struct ktx *tx)
{
	u32 slot, n = 0;

	spin_lock_bh(&tx->lock);
	while (n < CANCEL_BATCH && (slot = kt_schedule_pop(&tx->schedule)) != KT_SCHEDULE_NONE)
		n += end_train(tx, slot, KTX_DONE_CANCELLED, 0);
	if (n)
		kt_tx_publish(tx);
	spin_unlock_bh(&tx->lock);
	return n;
}

u32 kt_tx_cancel(struct ktx *tx, bool all, u64 id)
{
	u32 n = 0, some;

	if (!all)
		return cancel_id(tx, id);
	/* Somebody else may submit as fast as we cancel. */
	while (!fatal_signal_pending(current) && (some = cancel_some(tx))) {
		n += some;
		cond_resched();
	}
	return n;
}

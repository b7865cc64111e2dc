/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Launching: takes what is due from the schedule, hands it to the engine in
 * one batch, tries again what the driver refused, and ends every probe
 * exactly once. Also the library's own launching thread.
 */
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "../core/ring.h"
#include "sender.h"

void kt_fifo_init(struct kt_fifo *f)
{
	f->first = f->last = KT_NO_SLOT;
	f->n = 0;
}

void kt_fifo_put(struct ktx *tx, struct kt_fifo *f, u32 item, enum kt_probe_place place)
{
	tx->pending[item].next = KT_NO_SLOT;
	tx->pending[item].place = (u8)place;
	if (f->n++)
		tx->pending[f->last].next = item;
	else
		f->first = item;
	f->last = item;
}

u32 kt_fifo_get(struct ktx *tx, struct kt_fifo *f)
{
	u32 item = f->first;

	if (!f->n)
		return KT_NO_SLOT;
	f->first = tx->pending[item].next;
	if (!--f->n)
		f->last = KT_NO_SLOT;
	return item;
}

void kt_probe_end(struct ktx *tx, u32 item, enum ktx_status status, int reason)
{
	struct ktx_done *d = &tx->pending[item].done;
	struct kt_txslot *slot = &tx->slots[item];

	d->status = status;
	d->reason = reason;
	if (d->attempts) {
		d->launch_ns = slot->launch_ns;
		d->returned_ns = slot->returned_ns;
		d->stamp_ns = slot->stamp_ns;
		d->stamp_clock = slot->stamp_clock;
	}
	switch (status) {
	case KTX_SENT:
		tx->stats.sent++;
		tx->stats.bytes += d->len;
		break;
	case KTX_FAILED:
		tx->stats.failed++;
		break;
	case KTX_LATE:
		tx->stats.late++;
		break;
	case KTX_CANCELLED:
		tx->stats.cancelled++;
		break;
	}
	tx->stats.pending--;
	kt_fifo_put(tx, &tx->done, item, KT_PLACE_DONE);
}

u64 kt_launch_next(struct ktx *tx)
{
	const struct kt_schedule_entry *e = kt_schedule_first(&tx->schedule);

	/* "At once" is scheduled for the time of submission, which is 0 at the start of virtual time only. */
	return e ? (e->time_ns ? e->time_ns : 1) : 0;
}

/*
 * A real-time thread that spins without pause is stopped by the kernel's
 * real-time throttling for 50 ms in every second, so it sleeps at least two fifths of each gap.
 */
u64 kt_launch_spin(const struct ktx *tx, u64 now, u64 ns)
{
	u64 spin = tx->o.spin_ns;

	if (tx->stats.fifo && ns > now && spin > (ns - now) / 5 * 3)
		spin = (ns - now) / 5 * 3;
	return tx->o.no_spin ? 0 : spin;
}

/* Probes due at until_ns into tx->batch, behind the at that are there. Returns how many there are then. Lock held. */
static u32 collect(struct ktx *tx, u32 at, u64 until_ns)
{
	const struct kt_schedule_entry *e;

	while ((e = kt_schedule_first(&tx->schedule)) && e->time_ns <= until_ns) {
		u32 item = kt_schedule_pop(&tx->schedule);

		tx->pending[item].place = KT_PLACE_LAUNCHING;
		tx->slots[item].state = KT_TX_READY;
		tx->batch[at] = &tx->slots[item];
		tx->batch_items[at++] = item;
	}
	return at;
}

static bool is_late(const struct kt_pending *p, u64 now)
{
	return p->window_ns && now > p->done.scheduled_ns && now - p->done.scheduled_ns > p->window_ns;
}

/*
 * Those of the batch whose window has passed end as late; the others move
 * together. Without the lock, which is taken only if there is one: this is
 * the last thing before the driver call.
 */
static u32 drop_late(struct ktx *tx, u32 from, u32 n, u64 now)
{
	u32 kept = from;

	for (u32 i = from; i < n; i++) {
		u32 item = tx->batch_items[i];

		if (KT_UNLIKELY(is_late(&tx->pending[item], now))) {
			pthread_mutex_lock(&tx->lock);
			kt_probe_end(tx, item, KTX_LATE, tx->pending[item].done.reason);
			pthread_mutex_unlock(&tx->lock);
			continue;
		}
		tx->batch[kept] = tx->batch[i];
		tx->batch_items[kept++] = item;
	}
	return kept;
}

/* What became of one try. Returns true if the same slot must be tried again at once. Lock held. */
static bool settle(struct ktx *tx, u32 item)
{
	struct kt_pending *p = &tx->pending[item];
	struct kt_txslot *slot = &tx->slots[item];

	p->done.attempts++;
	if (p->done.attempts > 1)
		tx->stats.retries++;
	switch (slot->state) {
	case KT_TX_SENT:
		kt_probe_end(tx, item, KTX_SENT, p->done.reason);
		return false;
	case KT_TX_PENDING:
		kt_fifo_put(tx, &tx->in_flight, item, KT_PLACE_IN_FLIGHT);
		return false;
	case KT_TX_REFUSED:
		p->done.reason = slot->err;
		if (p->done.attempts >= p->max_attempts)
			break;
		slot->state = KT_TX_READY;
		if (!p->retry_ns)
			return true;
		p->place = KT_PLACE_SCHEDULED;
		kt_schedule_add(&tx->schedule, item, kt_port_now(tx->port) + p->retry_ns);
		return false;
	default:
		p->done.reason = slot->err;
	}
	kt_probe_end(tx, item, KTX_FAILED, p->done.reason);
	return false;
}

/* The device is gone: every probe of the batch from i on fails with its error. Lock held. */
static void fail_rest(struct ktx *tx, u32 i, u32 n, int code)
{
	for (; i < n; i++)
		kt_probe_end(tx, tx->batch_items[i], KTX_FAILED, code);
}

/*
 * Settles the slots from i on that the engine tried. Those to be tried again
 * at once are moved together in front of the untried ones, in order. Returns
 * where the batch goes on. Lock held.
 */
static u32 settle_tried(struct ktx *tx, u32 i, u32 tried)
{
	u32 again = 0, to = i + tried;

	for (u32 k = i; k < i + tried; k++)
		again += settle(tx, tx->batch_items[k]);
	for (u32 k = i + tried; again && k-- > i;) {
		u32 item = tx->batch_items[k];

		if (tx->pending[item].place != KT_PLACE_LAUNCHING)
			continue;
		to--;
		tx->batch[to] = &tx->slots[item];
		tx->batch_items[to] = item;
	}
	return to;
}

/* The batch's probes from i to n to the driver, until each is settled. launch_lock held. */
static void launch_batch(struct ktx *tx, u32 i, u32 n)
{
	n = drop_late(tx, i, n, kt_port_now(tx->port));
	while (i < n) {
		int tried = tx->port->engine->tx_launch(tx->port, tx->batch + i, n - i);

		pthread_mutex_lock(&tx->lock);
		tx->stats.batches++;
		if (tried <= 0) { /* 0 would never end: an engine must try at least one */
			fail_rest(tx, i, n, tried ? -tried : EIO);
			i = n;
		} else {
			i = settle_tried(tx, i, (u32)tried);
		}
		pthread_mutex_unlock(&tx->lock);
	}
}

static void tell_news(struct ktx *tx)
{
	pthread_mutex_lock(&tx->lock);
	kt_launch_reap(tx);
	if (tx->done.n)
		pthread_cond_broadcast(&tx->news);
	pthread_mutex_unlock(&tx->lock);
}

void kt_launch_due(struct ktx *tx)
{
	u32 n;

	pthread_mutex_lock(&tx->launch_lock);
	pthread_mutex_lock(&tx->lock);
	n = collect(tx, 0, kt_port_now(tx->port));
	pthread_mutex_unlock(&tx->lock);
	launch_batch(tx, 0, n);
	tell_news(tx);
	pthread_mutex_unlock(&tx->launch_lock);
}

/*
 * Whatever was submitted meanwhile for an earlier time than ns leaves first,
 * behind the n that wait in the batch. Returns false when the sender closes. launch_lock held.
 */
static bool launch_earlier(struct ktx *tx, u32 n, u64 ns)
{
	const struct kt_schedule_entry *e;
	u64 earlier = 0;
	u32 end = n;
	bool open;

	pthread_mutex_lock(&tx->lock);
	open = !tx->stop;
	e = kt_schedule_first(&tx->schedule);
	if (e && e->time_ns < ns) {
		earlier = e->time_ns;
		end = collect(tx, n, earlier);
	}
	pthread_mutex_unlock(&tx->lock);
	if (end > n) {
		kt_port_wait(tx->port, earlier, UINT64_MAX, NULL, 0);
		launch_batch(tx, n, end);
	}
	return open;
}

void kt_launch_at(struct ktx *tx, u64 ns)
{
	bool open = true;
	u32 n;

	pthread_mutex_lock(&tx->launch_lock);
	pthread_mutex_lock(&tx->lock);
	n = collect(tx, 0, ns);
	pthread_mutex_unlock(&tx->lock);
	/* Everything is ready: between the clock showing ns and the driver call lies next to nothing. */
	while (open) {
		u32 seen = kt_load_acquire(&tx->kick);

		open = launch_earlier(tx, n, ns);
		kt_port_wait(tx->port, ns, tx->o.no_spin ? 0 : UINT64_MAX, open ? &tx->kick : NULL, seen);
		if (kt_port_now(tx->port) >= ns)
			break;
	}
	launch_batch(tx, 0, n);
	tell_news(tx);
	pthread_mutex_unlock(&tx->launch_lock);
}

void kt_launch_reap(struct ktx *tx)
{
	u32 n = tx->in_flight.n;

	if (!n || !tx->port->engine->tx_reap || tx->port->engine->tx_reap(tx->port) <= 0)
		return;
	while (n--) {
		u32 item = kt_fifo_get(tx, &tx->in_flight);

		if (tx->slots[item].state == KT_TX_PENDING)
			kt_fifo_put(tx, &tx->in_flight, item, KT_PLACE_IN_FLIGHT);
		else if (tx->slots[item].state == KT_TX_SENT)
			kt_probe_end(tx, item, KTX_SENT, tx->pending[item].done.reason);
		else
			kt_probe_end(tx, item, KTX_FAILED, tx->slots[item].err);
	}
}

/* Waits, lock held, until there is something to launch soon. Returns the launch time, 0 to stop. */
static u64 await_work(struct ktx *tx)
{
	for (;;) {
		u64 next = kt_launch_next(tx), now, sleep_until;
		struct timespec ts;

		if (tx->stop)
			return 0;
		if (!next && !tx->in_flight.n) {
			pthread_cond_wait(&tx->work, &tx->lock);
			continue;
		}
		now = kt_port_now(tx->port);
		if (!next || (tx->in_flight.n && next > now + 1000000))
			next = now + 1000000; /* ask the device again within 1 ms */
		if (next <= now)
			return next;
		sleep_until = next - kt_launch_spin(tx, now, next);
		if (sleep_until <= now)
			return next;
		/* The condition's clock is monotonic; a TAI launch time is told in it. */
		ts = kt_ns_timespec(ktrxer_convert(tx->port, sleep_until, tx->port->clock, KTRXER_CLOCK_MONOTONIC));
		if (pthread_cond_timedwait(&tx->work, &tx->lock, &ts) == ETIMEDOUT)
			return kt_launch_next(tx) ? kt_launch_next(tx) : next;
	}
}

static void *launcher(void *arg)
{
	struct ktx *tx = arg;
	u64 next;

	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	prctl(PR_SET_NAME, "ktx-launch", 0, 0, 0);
	pthread_mutex_lock(&tx->lock);
	while ((next = await_work(tx))) {
		pthread_mutex_unlock(&tx->lock);
		kt_launch_at(tx, next);
		pthread_mutex_lock(&tx->lock);
	}
	pthread_mutex_unlock(&tx->lock);
	return NULL;
}

int kt_launcher_start(struct ktx *tx, struct ktrxer_err *err)
{
	struct sched_param sp = { .sched_priority = tx->o.fifo_priority };
	sigset_t all, before;
	int ret;

	/* Signals are the program's business: its own threads take them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&tx->thread, NULL, launcher, tx);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		return kt_err(err, ret, "the launching thread cannot be made: %s", strerror(ret));
	tx->has_thread = true;
	if (tx->o.cpu) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((size_t)tx->o.cpu - 1, &set);
		ret = pthread_setaffinity_np(tx->thread, sizeof(set), &set);
		if (ret) {
			kt_launcher_stop(tx);
			return kt_err(err, ret, "the launching thread cannot run on CPU %d: %s", tx->o.cpu - 1,
				      strerror(ret));
		}
	}
	if (tx->o.fifo_priority && !pthread_setschedparam(tx->thread, SCHED_FIFO, &sp)) {
		pthread_mutex_lock(&tx->lock);
		tx->stats.fifo = true;
		pthread_mutex_unlock(&tx->lock);
	}
	return 0;
}

void kt_launcher_stop(struct ktx *tx)
{
	if (!tx->has_thread)
		return;
	pthread_mutex_lock(&tx->lock);
	tx->stop = true;
	kt_store_release(&tx->kick, tx->kick + 1);
	pthread_cond_signal(&tx->work);
	pthread_mutex_unlock(&tx->lock);
	pthread_join(tx->thread, NULL);
	tx->has_thread = false;
}

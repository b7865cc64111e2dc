/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Launching: takes what is due from the schedule, hands it to the engine in
 * one batch, tries again what the driver refused, and ends every probe
 * exactly once. launcher.c has the thread that does so by itself.
 */
#include "../core/ring.h"
#include "sender.h"

#define READY_NS 20000u /* before a launch that is nearer nothing else is begun */

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
		d->nic_launched = slot->nic_launched;
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
u64 kt_launch_spin(const struct ktx *tx, const struct kt_lead *lead, u64 now, u64 ns)
{
	u64 spin = kt_lead_ns(lead);

	if (tx->stats.fifo && ns > now && spin > (ns - now) / 5 * 3)
		spin = (ns - now) / 5 * 3;
	return tx->o.no_spin ? 0 : spin;
}

int kt_launch_sleep(struct ktx *tx, struct kt_lead *lead, u64 ns)
{
	u64 now = kt_port_now(tx->port), wake;
	int ret;

	if (ns <= now || kt_port_virtual(tx->port))
		return 0;
	wake = ns - kt_launch_spin(tx, lead, now, ns);
	if (wake <= now)
		return 0;
	ret = kt_port_wait(tx->port, wake, 0, NULL, 0);
	if (!ret)
		kt_lead_learn(lead, wake, kt_port_now(tx->port));
	return ret;
}

/* Probes due at until_ns into tx->batch, behind the at that are there. Returns how many there are then. Lock held. */
static u32 collect(struct ktx *tx, u32 at, u64 until_ns)
{
	const struct kt_schedule_entry *e;

	while ((e = kt_schedule_first(&tx->schedule)) && e->time_ns <= until_ns) {
		/* A train has one entry. */
		for (u32 item = kt_schedule_pop(&tx->schedule); item != KT_NO_SLOT; item = tx->pending[item].next) {
			tx->pending[item].place = KT_PLACE_LAUNCHING;
			tx->slots[item].state = KT_TX_READY;
			tx->batch[at] = &tx->slots[item];
			tx->batch_items[at++] = item;
		}
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
		p->next = p->prev = KT_NO_SLOT;
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

/* The sender closes: the batch's probes from i on are not launched any more. Lock held. */
static void cancel_batch(struct ktx *tx, u32 i, u32 n)
{
	for (; i < n; i++)
		kt_probe_end(tx, tx->batch_items[i], KTX_CANCELLED, tx->pending[tx->batch_items[i]].done.reason);
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
	/* Tries without a pause take time too, so each round asks whether it is too late. */
	while ((n = drop_late(tx, i, n, kt_port_now(tx->port))) > i) {
		int tried = tx->port->engine->tx_launch(tx->port, tx->batch + i, n - i);

		pthread_mutex_lock(&tx->lock);
		tx->stats.batches++;
		if (tried <= 0) { /* 0 would never end: an engine must try at least one */
			fail_rest(tx, i, n, tried ? -tried : EIO);
			i = n;
		} else {
			i = settle_tried(tx, i, (u32)tried);
		}
		if (tx->stop) {
			cancel_batch(tx, i, n);
			i = n;
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
 * What was submitted meanwhile for an earlier time than ns leaves first, behind
 * the n that wait in the batch. Returns when to look again: ns at the latest, 0
 * when the sender closes. launch_lock held.
 */
static u64 launch_earlier(struct ktx *tx, u32 n, u64 ns)
{
	const struct kt_schedule_entry *e;
	u64 now = kt_port_now(tx->port);
	u32 end;

	pthread_mutex_lock(&tx->lock);
	if (tx->stop)
		ns = 0;
	end = ns ? collect(tx, n, now < ns ? now : ns - 1) : n;
	e = kt_schedule_first(&tx->schedule);
	if (ns && e && e->time_ns < ns)
		ns = e->time_ns;
	pthread_mutex_unlock(&tx->lock);
	if (end > n) {
		launch_batch(tx, n, end);
		tell_news(tx);
	}
	return ns;
}

/* A CPU that has slept has forgotten the way to the driver; what comes just before the launch is to remember it. */
static void get_ready(struct ktx *tx, u32 n, u64 ns)
{
	if (n && tx->port->engine->tx_ready && kt_port_now(tx->port) + READY_NS < ns)
		tx->port->engine->tx_ready(tx->port, tx->batch, n);
}

void kt_launch_at(struct ktx *tx, u64 ns)
{
	u64 wake;
	u32 n;

	pthread_mutex_lock(&tx->launch_lock);
	pthread_mutex_lock(&tx->lock);
	n = collect(tx, 0, ns);
	pthread_mutex_unlock(&tx->lock);
	/* Everything is ready: between the clock showing ns and the driver call lies next to nothing. */
	do {
		u32 seen = kt_load_acquire(&tx->kick);

		wake = launch_earlier(tx, n, ns);
		get_ready(tx, n, ns);
		kt_port_wait(tx->port, wake, tx->o.no_spin ? 0 : UINT64_MAX, &tx->kick, seen);
	} while (wake && kt_port_now(tx->port) < ns);
	if (wake) {
		launch_batch(tx, 0, n);
	} else {
		pthread_mutex_lock(&tx->lock);
		cancel_batch(tx, 0, n);
		pthread_mutex_unlock(&tx->lock);
	}
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

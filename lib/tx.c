/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The sending contract: takes probes, keeps them until their time, answers
 * for each with exactly one completion. launch.c does the launching.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/ring.h"
#include "sender.h"

#define DEFAULT_PENDING 4096u
#define MAX_PENDING (1u << 20)

static int alloc_slots(struct ktx *tx, struct ktrxer_err *err)
{
	u32 n = tx->n_slots;

	tx->slots = calloc(n, sizeof(*tx->slots));
	tx->pending = calloc(n, sizeof(*tx->pending));
	tx->batch = calloc(n, sizeof(struct kt_txslot *));
	tx->batch_items = calloc(n, sizeof(*tx->batch_items));
	tx->schedule_mem = malloc(kt_schedule_bytes(n));
	if (!tx->slots || !tx->pending || !tx->batch || !tx->batch_items || !tx->schedule_mem)
		return kt_err(err, ENOMEM, "no memory for %u pending probes", n);
	kt_schedule_init(&tx->schedule, tx->schedule_mem, n);
	kt_fifo_init(&tx->free);
	kt_fifo_init(&tx->train);
	kt_fifo_init(&tx->in_flight);
	kt_fifo_init(&tx->done);
	for (u32 i = 0; i < n; i++)
		kt_fifo_put(tx, &tx->free, i, KT_PLACE_FREE);
	return 0;
}

static void free_slots(struct ktx *tx)
{
	free(tx->orders);
	free(tx->schedule_mem);
	free(tx->batch_items);
	free(tx->batch);
	free(tx->pending);
	free(tx->slots);
}

static int check_opts(struct ktx *tx, const struct ktx_opts *opts, struct ktrxer_err *err)
{
	struct ktrxer_info info;

	if (opts && opts->sz > sizeof(tx->o))
		return kt_err(err, EINVAL, "options are of a newer version of the library");
	if (opts)
		memcpy(&tx->o, opts, opts->sz);
	if (tx->o.max_pending > MAX_PENDING)
		return kt_err(err, EINVAL, "at most %u probes can be pending, not %u", MAX_PENDING, tx->o.max_pending);
	if (tx->o.fifo_priority < 0 || tx->o.fifo_priority > 99)
		return kt_err(err, EINVAL, "a real-time priority is 1 to 99, not %d", tx->o.fifo_priority);
	if (tx->o.nic_launch && tx->port->clock != KTRXER_CLOCK_TAI)
		return kt_err(err, EINVAL, "a NIC launches by TAI, and the port's clock is %s",
			      ktrxer_clock_name(tx->port->clock));
	if (tx->o.cpu < 0 || tx->o.cpu > 1024)
		return kt_err(err, EINVAL, "no CPU %d", tx->o.cpu - 1);
	if (tx->o.thread && kt_port_virtual(tx->port))
		return kt_err(err, EOPNOTSUPP, "virtual time has no launching thread; call ktx_run()");
	if (!tx->o.max_pending)
		tx->o.max_pending = DEFAULT_PENDING;
	tx->lead.fixed_ns = tx->o.spin_ns;
	if (!tx->o.max_frame) {
		int ret = ktrxer_get_info(tx->port, &info);

		if (ret)
			return kt_err(err, -ret, "interface \"%s\" went away", tx->port->ifname);
		tx->o.max_frame = info.max_frame + KT_MAX_VLANS * KT_VLAN_BYTES;
	}
	tx->n_slots = tx->o.max_pending;
	return 0;
}

static void init_sync(struct ktx *tx)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&tx->lock, NULL);
	pthread_mutex_init(&tx->launch_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&tx->work, &attr);
	pthread_cond_init(&tx->news, &attr);
	pthread_condattr_destroy(&attr);
}

static void destroy_sync(struct ktx *tx)
{
	pthread_cond_destroy(&tx->news);
	pthread_cond_destroy(&tx->work);
	pthread_mutex_destroy(&tx->launch_lock);
	pthread_mutex_destroy(&tx->lock);
}

KTRXER_API int ktx_open(struct ktx **out, struct ktrxer *port, const struct ktx_opts *opts, struct ktrxer_err *err)
{
	struct ktx *tx = calloc(1, sizeof(*tx));
	int ret;

	*out = NULL;
	if (!tx)
		return kt_err(err, ENOMEM, "no memory for a sender");
	tx->port = port;
	init_sync(tx);
	ret = check_opts(tx, opts, err);
	if (ret)
		goto err_tx;
	ret = alloc_slots(tx, err);
	if (ret)
		goto err_slots;
	if (!port->engine->tx_open) {
		ret = kt_err(err, EOPNOTSUPP, "engine %s cannot send", port->engine->name);
		goto err_slots;
	}
	ret = kt_offload_init(tx, err);
	if (ret)
		goto err_slots;
	if (port->engine->tx_options)
		port->engine->tx_options(port, &tx->o);
	ret = port->engine->tx_open(port, tx->slots, tx->n_slots, tx->o.max_frame, tx->o.kernel_stamps, err);
	if (ret)
		goto err_slots;
	if (tx->o.thread && !tx->offload) {
		ret = kt_launcher_start(tx, err);
		if (ret)
			goto err_engine;
	}
	*out = tx;
	return 0;

err_engine:
	port->engine->tx_close(port);
err_slots:
	free_slots(tx);
err_tx:
	destroy_sync(tx);
	free(tx);
	return ret;
}

KTRXER_API void ktx_close(struct ktx *tx)
{
	if (!tx)
		return;
	kt_launcher_stop(tx);
	tx->port->engine->tx_close(tx->port);
	free_slots(tx);
	destroy_sync(tx);
	free(tx);
}

/* 0, or why this probe is not taken. Lock held. */
static int check_probe(struct ktx *tx, const struct ktx_probe *p)
{
	if (p->flags & ~(u32)KTX_TRAIN)
		return kt_err(&tx->why, EINVAL, "probe flags 0x%x are unknown", p->flags & ~(u32)KTX_TRAIN);
	if (!p->frame || p->len < KT_ETH_BYTES)
		return kt_err(&tx->why, EINVAL, "a frame of %u bytes has no link header; %u are the least", p->len,
			      KT_ETH_BYTES);
	if (p->len > tx->o.max_frame)
		return kt_err(&tx->why, EMSGSIZE, "a frame of %u bytes is too long; this sender takes up to %u", p->len,
			      tx->o.max_frame);
	return 0;
}

/* Puts a finished train into the schedule, all members at the first one's time. Lock held. */
static void schedule_train(struct ktx *tx)
{
	u64 first = kt_launch_next(tx), launch;
	u32 head = tx->train.first, prev = KT_NO_SLOT;

	launch = tx->pending[head].done.scheduled_ns;
	if (tx->offload) {
		kt_offload_train(tx, launch);
		return;
	}
	for (u32 item = head; item != KT_NO_SLOT; item = tx->pending[item].next) {
		tx->pending[item].done.scheduled_ns = launch;
		tx->pending[item].place = KT_PLACE_SCHEDULED;
		tx->pending[item].prev = prev;
		prev = item;
	}
	kt_schedule_add(&tx->schedule, head, launch);
	kt_fifo_init(&tx->train);
	if (!first || launch < first)
		kt_store_release(&tx->kick, tx->kick + 1);
}

static void accept(struct ktx *tx, const struct ktx_probe *p, u64 now)
{
	u32 item = kt_fifo_get(tx, &tx->free);
	struct kt_pending *q = &tx->pending[item];
	struct kt_txslot *slot = &tx->slots[item];

	memcpy(slot->data, p->frame, p->len);
	slot->len = p->len;
	slot->launch_ns = slot->returned_ns = slot->stamp_ns = 0;
	memset(&q->done, 0, sizeof(q->done));
	q->done.id = p->id;
	q->done.len = p->len;
	q->done.scheduled_ns = p->launch_ns ? p->launch_ns : now;
	q->window_ns = p->window_ns;
	q->max_attempts = p->max_attempts ? p->max_attempts : 1;
	q->retry_ns = p->retry_ns;
	kt_fifo_put(tx, &tx->train, item, KT_PLACE_TRAIN);
	tx->stats.submitted++;
	tx->stats.pending++;
	if (!(p->flags & KTX_TRAIN))
		schedule_train(tx);
}

KTRXER_API int ktx_submit(struct ktx *tx, const struct ktx_probe *probes, unsigned int n)
{
	u64 now = kt_port_now(tx->port);
	unsigned int i;
	int ret = 0;

	pthread_mutex_lock(&tx->lock);
	for (i = 0; i < n; i++) {
		ret = check_probe(tx, &probes[i]);
		if (!ret && !tx->free.n)
			ret = kt_err(&tx->why, EAGAIN,
				     "%u probes are pending or not fetched; that is all there is room for",
				     tx->n_slots);
		if (ret)
			break;
		accept(tx, &probes[i], now);
	}
	tx->stats.refused += n - i;
	/* A train that fills the sender can never be closed by another probe: its end is here. */
	if (!tx->free.n && tx->train.n == tx->n_slots)
		schedule_train(tx);
	if (tx->n_orders)
		kt_offload_flush(tx);
	if (i && tx->has_thread)
		pthread_cond_signal(&tx->work);
	pthread_mutex_unlock(&tx->lock);
	return i ? (int)i : ret;
}

/*
 * Without a thread: waits for the next launch, if it comes before until_ns,
 * and launches; else waits until until_ns. 0, or -EINTR.
 */
static int step(struct ktx *tx, u64 until_ns)
{
	u64 next = ktx_next_launch(tx), now = kt_port_now(tx->port), wake;
	bool launch = next && next <= until_ns;

	wake = launch ? next : until_ns;
	/* Devices that finish later are asked again within 100 us. */
	if (tx->in_flight.n && wake > now + 100000) {
		wake = now + 100000;
		launch = false;
	}
	if (!launch)
		return kt_port_wait(tx->port, wake, 0, NULL, 0);
	if (kt_launch_sleep(tx, &tx->lead, wake))
		return -EINTR;
	kt_launch_at(tx, wake);
	return 0;
}

static u32 done_count(struct ktx *tx, bool *idle)
{
	u32 n;

	pthread_mutex_lock(&tx->lock);
	n = tx->done.n;
	*idle = !kt_launch_next(tx) && !tx->in_flight.n;
	pthread_mutex_unlock(&tx->lock);
	return n;
}

KTRXER_API int ktx_run(struct ktx *tx, uint64_t until_ns)
{
	bool idle;
	u32 n;

	if (tx->o.thread)
		return -EINVAL;
	if (tx->offload)
		return kt_offload_run(tx, until_ns);
	for (;;) {
		kt_launch_due(tx);
		n = done_count(tx, &idle);
		if (!until_ns || idle || kt_port_now(tx->port) >= until_ns || step(tx, until_ns))
			return (int)n;
	}
}

KTRXER_API uint64_t ktx_next_launch(struct ktx *tx)
{
	u64 next;

	pthread_mutex_lock(&tx->lock);
	next = kt_launch_next(tx);
	pthread_mutex_unlock(&tx->lock);
	return next;
}

KTRXER_API int ktx_complete(struct ktx *tx, struct ktx_done *done, unsigned int max)
{
	unsigned int n = 0;

	pthread_mutex_lock(&tx->lock);
	if (tx->offload)
		kt_offload_collect(tx);
	while (n < max && tx->done.n) {
		u32 item = kt_fifo_get(tx, &tx->done);

		done[n++] = tx->pending[item].done;
		kt_fifo_push(tx, &tx->free, item, KT_PLACE_FREE);
	}
	pthread_mutex_unlock(&tx->lock);
	return (int)n;
}

static int wait_threaded(struct ktx *tx, u64 until)
{
	struct timespec ts = kt_ns_timespec(ktrxer_convert(tx->port, until, tx->port->clock, KTRXER_CLOCK_MONOTONIC));
	int n;

	pthread_mutex_lock(&tx->lock);
	while (!tx->done.n)
		if (pthread_cond_timedwait(&tx->news, &tx->lock, &ts) == ETIMEDOUT)
			break;
	n = (int)tx->done.n;
	pthread_mutex_unlock(&tx->lock);
	return n;
}

KTRXER_API int ktx_wait(struct ktx *tx, uint64_t timeout_ns)
{
	u64 until = kt_port_now(tx->port) + timeout_ns;
	bool for_ever = until < timeout_ns || timeout_ns == UINT64_MAX;

	if (for_ever)
		until = INT64_MAX;
	if (tx->offload)
		return kt_offload_wait(tx, until, for_ever);
	if (tx->has_thread)
		return wait_threaded(tx, until);
	for (;;) {
		bool idle;
		int n = ktx_run(tx, 0);

		/* Nobody launches but this thread: with nothing pending, nothing can ever complete. */
		done_count(tx, &idle);
		if (n || (for_ever && idle) || kt_port_now(tx->port) >= until || step(tx, until))
			return n ? n : (int)done_count(tx, &idle);
	}
}

/* Takes probes out of the train that is still being submitted. Lock held. */
static int cancel_in_train(struct ktx *tx, bool all, u64 id)
{
	int n = 0;

	for (u32 left = tx->train.n; left; left--) {
		u32 item = kt_fifo_get(tx, &tx->train);

		if (all || tx->pending[item].done.id == id) {
			kt_probe_end(tx, item, KTX_CANCELLED, 0);
			n++;
		} else {
			kt_fifo_put(tx, &tx->train, item, KT_PLACE_TRAIN);
		}
	}
	return n;
}

/* Takes one probe out of the schedule; the others of its train stay. Lock held. */
static void unschedule(struct ktx *tx, u32 item)
{
	const struct kt_pending *p = &tx->pending[item];

	if (p->next != KT_NO_SLOT)
		tx->pending[p->next].prev = p->prev;
	if (p->prev != KT_NO_SLOT)
		tx->pending[p->prev].next = p->next;
	else if (p->next != KT_NO_SLOT)
		kt_schedule_replace(&tx->schedule, item, p->next);
	else
		kt_schedule_remove(&tx->schedule, item);
}

/* Cancels scheduled probes; those being launched are beyond recall. */
static int cancel(struct ktx *tx, bool all, u64 id)
{
	int n;

	pthread_mutex_lock(&tx->lock);
	n = cancel_in_train(tx, all, id);
	if (tx->offload)
		n += kt_offload_recall(tx, all, id);
	for (u32 i = 0; i < tx->n_slots && !tx->offload; i++) {
		struct kt_pending *p = &tx->pending[i];

		if (p->place != KT_PLACE_SCHEDULED || (!all && p->done.id != id))
			continue;
		unschedule(tx, i);
		kt_probe_end(tx, i, KTX_CANCELLED, p->done.reason);
		n++;
	}
	if (n)
		pthread_cond_broadcast(&tx->news);
	pthread_mutex_unlock(&tx->lock);
	return n;
}

KTRXER_API int ktx_cancel(struct ktx *tx, uint64_t id)
{
	return cancel(tx, false, id);
}

KTRXER_API int ktx_cancel_all(struct ktx *tx)
{
	return cancel(tx, true, 0);
}

KTRXER_API int ktx_get_stats(struct ktx *tx, struct ktx_stats *stats)
{
	pthread_mutex_lock(&tx->lock);
	if (tx->offload)
		kt_offload_collect(tx);
	*stats = tx->stats;
	if (tx->offload)
		kt_offload_stats(tx, stats);
	pthread_mutex_unlock(&tx->lock);
	return 0;
}

KTRXER_API const char *ktx_why(struct ktx *tx)
{
	return tx->why.text;
}

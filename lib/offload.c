/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Senders whose engine launches by itself: probes are handed over as soon as
 * they are submitted, and what became of them is collected. The schedule here
 * only remembers who is pending and when; the engine keeps the times.
 */
#include <stdlib.h>

#include "sender.h"

int kt_offload_init(struct ktx *tx, struct ktrxer_err *err)
{
	if (!tx->port->engine->tx_order)
		return 0;
	tx->orders = calloc(tx->n_slots, sizeof(*tx->orders));
	if (!tx->orders)
		return kt_err(err, ENOMEM, "no memory for %u pending probes", tx->n_slots);
	tx->offload = true;
	return 0;
}

void kt_offload_train(struct ktx *tx, u64 launch_ns)
{
	u32 item;

	while ((item = kt_fifo_get(tx, &tx->train)) != KT_NO_SLOT) {
		struct kt_pending *p = &tx->pending[item];

		p->done.scheduled_ns = launch_ns;
		p->place = KT_PLACE_SCHEDULED;
		kt_schedule_add(&tx->schedule, item, launch_ns);
		tx->orders[tx->n_orders++] = (struct kt_txorder){
			.item = item,
			.train = tx->train.n > 0,
			.launch_ns = launch_ns,
			.window_ns = p->window_ns,
			.max_attempts = p->max_attempts,
			.retry_ns = p->retry_ns,
		};
	}
}

static void end(struct ktx *tx, u32 item, enum ktx_status status, int reason)
{
	kt_schedule_remove(&tx->schedule, item);
	kt_probe_end(tx, item, status, reason);
}

void kt_offload_flush(struct ktx *tx)
{
	const struct kt_engine *e = tx->port->engine;
	u32 from = 0;

	while (from < tx->n_orders) {
		int n = e->tx_order(tx->port, tx->orders + from, tx->n_orders - from);

		/* The engine says no to the first of them: that one ends, the rest is asked again. */
		if (n <= 0)
			end(tx, tx->orders[from++].item, KTX_FAILED, n ? -n : EIO);
		else
			from += (u32)n;
	}
	tx->n_orders = 0;
}

u32 kt_offload_collect(struct ktx *tx)
{
	struct kt_txfate f[64];
	int n;

	while ((n = tx->port->engine->tx_fates(tx->port, f, KT_ARRAY_LEN(f))) > 0) {
		for (int i = 0; i < n; i++) {
			struct kt_pending *p;
			struct kt_txslot *slot;

			if (f[i].item >= tx->n_slots || tx->pending[f[i].item].place != KT_PLACE_SCHEDULED)
				continue; /* not one of ours: an engine's mistake must not end a probe twice */
			p = &tx->pending[f[i].item];
			slot = &tx->slots[f[i].item];
			p->done.attempts = f[i].attempts;
			tx->stats.retries += f[i].attempts > 1 ? f[i].attempts - 1 : 0;
			slot->launch_ns = f[i].launch_ns;
			slot->returned_ns = f[i].returned_ns;
			slot->stamp_ns = f[i].stamp_ns;
			slot->stamp_clock = f[i].stamp_clock;
			slot->nic_launched = f[i].nic_launched;
			end(tx, f[i].item, f[i].status, f[i].reason);
		}
	}
	return tx->done.n;
}

/* Collects under the lock; *idle: nothing is pending that could still complete. */
static u32 look(struct ktx *tx, bool *idle)
{
	u32 n;

	pthread_mutex_lock(&tx->lock);
	n = kt_offload_collect(tx);
	*idle = !kt_launch_next(tx);
	pthread_mutex_unlock(&tx->lock);
	return n;
}

int kt_offload_run(struct ktx *tx, u64 until_ns)
{
	bool idle;
	u32 n;

	for (;;) {
		n = look(tx, &idle);
		if (!until_ns || idle || kt_port_now(tx->port) >= until_ns ||
		    tx->port->engine->tx_wait(tx->port, until_ns) == -EINTR)
			return (int)n;
	}
}

int kt_offload_wait(struct ktx *tx, u64 until_ns, bool for_ever)
{
	bool idle;
	u32 n;

	for (;;) {
		n = look(tx, &idle);
		if (n || (for_ever && idle && !tx->o.thread) || kt_port_now(tx->port) >= until_ns ||
		    tx->port->engine->tx_wait(tx->port, until_ns) == -EINTR)
			return (int)(n ? n : look(tx, &idle));
	}
}

int kt_offload_recall(struct ktx *tx, bool all, u64 id)
{
	u64 before = tx->stats.cancelled;

	if (all)
		tx->port->engine->tx_recall(tx->port, KT_NO_SLOT);
	for (u32 i = 0; !all && i < tx->n_slots; i++)
		if (tx->pending[i].place == KT_PLACE_SCHEDULED && tx->pending[i].done.id == id)
			tx->port->engine->tx_recall(tx->port, i);
	kt_offload_collect(tx);
	return (int)(tx->stats.cancelled - before);
}

void kt_offload_stats(struct ktx *tx, struct ktx_stats *stats)
{
	struct kt_tx_counts c = { 0 };

	tx->port->engine->tx_counts(tx->port, &c);
	stats->batches += c.batches;
	stats->fifo = c.fifo;
	stats->tap = c.tap;
	stats->zero_copy = c.zero_copy;
	stats->nic_launch = c.nic_launch;
}

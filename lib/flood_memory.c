/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Where a flood's frames lie: in memory that the engine has for floods, or,
 * where it has none or cannot use it here, in slots of the sender's that nobody uses.
 */
#include <stdlib.h>
#include <string.h>

#include "flooder.h"

#define FALLBACK_BATCH 256u

/* --- The ordinary way -------------------------------------------------------------- */

/* Zero-copy devices finish later: wait for them, since the slots are used again. */
static void reap(struct kt_flooder *f, u32 from, u32 end)
{
	struct ktrxer *port = f->tx->port;
	u64 deadline = kt_port_now(port) + KT_NSEC_PER_SEC;

	for (u32 i = from; i < end; i++) {
		while (f->batch[i]->state == KT_TX_PENDING && !f->reap_failed) {
			f->reap_failed = !port->engine->tx_reap || kt_port_now(port) > deadline;
			if (!f->reap_failed)
				port->engine->tx_reap(port);
		}
	}
}

static int launch_plain(struct kt_flooder *f, u32 from, u32 n)
{
	int tried;

	for (u32 i = from; i < n; i++) {
		f->batch[i] = f->cells[f->mem.frames[i].cell];
		f->batch[i]->len = f->mem.frames[i].len;
		f->batch[i]->state = KT_TX_READY;
	}
	tried = f->tx->port->engine->tx_launch(f->tx->port, f->batch + from, n - from);
	f->mem.all_sent = false; /* each has times of its own */
	if (tried > 0)
		reap(f, from, from + (u32)tried);
	for (u32 i = from; tried > 0 && i < from + (u32)tried; i++) {
		const struct kt_txslot *slot = f->batch[i];

		f->mem.fates[i] = slot->state == KT_TX_SENT ? 0 : slot->state == KT_TX_REFUSED ? slot->err : -slot->err;
		if (slot->state == KT_TX_PENDING)
			f->mem.fates[i] = -EIO;
	}
	return tried;
}

int kt_flooder_launch(struct kt_flooder *f, u32 from, u32 n)
{
	return f->plain ? launch_plain(f, from, n) : f->tx->port->engine->tx_flood(f->tx->port, &f->mem, from, n);
}

/* --- Opening ----------------------------------------------------------------------- */

/* What either way needs, for n frames. */
static int alloc_arrays(struct kt_flooder *f, u32 n)
{
	f->mem.n = n;
	f->mem.fates = calloc(n, sizeof(*f->mem.fates));
	f->number = calloc(n, sizeof(*f->number));
	f->attempts = calloc(n, sizeof(*f->attempts));
	return f->mem.fates && f->number && f->attempts ? 0 : -ENOMEM;
}

static void free_arrays(struct kt_flooder *f)
{
	free(f->mem.fates);
	free(f->number);
	free(f->attempts);
	f->mem.fates = NULL;
	f->number = NULL;
	f->attempts = NULL;
}

/* The engine's own flood memory. 0, or -errno when floods go the ordinary way. */
static int open_fast(struct kt_flooder *f)
{
	const struct kt_engine *e = f->tx->port->engine;
	u32 frame = f->o->max_frame, max;
	int ret;

	if (!e->tx_flood || !e->tx_flood_max || !e->tx_flood_open)
		return -EOPNOTSUPP;
	max = e->tx_flood_max(f->tx->port, &frame);
	if (!max || frame < f->o->max_frame)
		return -EOPNOTSUPP;
	ret = alloc_arrays(f, f->o->batch && f->o->batch < max ? f->o->batch : max);
	if (!ret)
		ret = e->tx_flood_open(f->tx->port, &f->mem, f->o->max_frame, &f->tx->why);
	if (ret) {
		free_arrays(f);
		return ret;
	}
	for (u32 i = 0; i < f->mem.n; i++)
		f->mem.frames[i].cell = i;
	if (f->o->period && f->o->period <= f->mem.n)
		f->held = calloc(f->mem.n, sizeof(*f->held)); /* without it all frames are written each time */
	return 0;
}

static void borrow(struct kt_flooder *f)
{
	struct ktx *tx = f->tx;

	for (u32 i = 0; i < f->mem.n; i++) {
		f->borrowed[i] = kt_fifo_get(tx, &tx->free);
		tx->pending[f->borrowed[i]].place = KT_PLACE_LAUNCHING;
		f->cells[i] = &tx->slots[f->borrowed[i]];
		f->mem.frames[i].cell = i;
	}
}

/* Slots of the sender's that nobody uses, for the duration of the flood. */
static int open_plain(struct kt_flooder *f)
{
	struct ktx *tx = f->tx;
	u32 n = f->o->batch ? f->o->batch : FALLBACK_BATCH;
	bool ok;

	f->plain = true;
	if (f->o->max_frame > tx->o.max_frame)
		return kt_err(&tx->why, EMSGSIZE, "frames of %u bytes are too long; this sender takes up to %u",
			      f->o->max_frame, tx->o.max_frame);
	pthread_mutex_lock(&tx->lock);
	n = n < tx->free.n ? n : tx->free.n;
	ok = n && !alloc_arrays(f, n);
	if (ok) {
		f->mem.frames = calloc(n, sizeof(*f->mem.frames));
		f->cells = calloc(n, sizeof(struct kt_txslot *));
		f->batch = calloc(n, sizeof(struct kt_txslot *));
		f->borrowed = calloc(n, sizeof(*f->borrowed));
		ok = f->mem.frames && f->cells && f->batch && f->borrowed;
	}
	if (ok)
		borrow(f);
	else
		f->mem.n = 0;
	pthread_mutex_unlock(&tx->lock);
	if (ok)
		return 0;
	kt_flooder_close(f);
	return n ? kt_err(&tx->why, ENOMEM, "no memory for a flood")
		 : kt_err(&tx->why, EAGAIN, "no free slot: fetch completions first");
}

int kt_flooder_open(struct kt_flooder *f)
{
	const struct kt_engine *e = f->tx->port->engine;
	int ret = open_fast(f);

	/* An engine with a schedule of its own has no other way. */
	if (ret && !e->tx_launch)
		return kt_err(&f->tx->why, -ret, "engine %s cannot flood frames of %u bytes: %s", e->name,
			      f->o->max_frame, strerror(-ret));
	return ret ? open_plain(f) : 0;
}

void kt_flooder_close(struct kt_flooder *f)
{
	if (f->borrowed) {
		pthread_mutex_lock(&f->tx->lock);
		for (u32 i = 0; i < f->mem.n; i++)
			kt_fifo_push(f->tx, &f->tx->free, f->borrowed[i], KT_PLACE_FREE);
		pthread_mutex_unlock(&f->tx->lock);
	}
	if (f->plain)
		free(f->mem.frames); /* else the engine's */
	free(f->borrowed);
	free(f->batch);
	free(f->cells);
	free(f->held);
	free_arrays(f);
}

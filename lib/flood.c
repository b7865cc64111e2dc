/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Floods: numbered frames, written in place by the caller and launched in
 * large batches by the engine's fastest way. Every number that was not
 * skipped has exactly one fate; refused frames go to the front of the next
 * batch until their attempts are used up.
 */
#include <stdlib.h>
#include <string.h>

#include "sender.h"

#define FALLBACK_BATCH 256u
#define BURST_NS 100000u /* at a rate, no batch holds more than this much time */
#define WAIT_SLICE_NS 100000000u /* how often stop() is asked during a long wait */
#define MAX_NUMBERS 65536u /* asked of fill() for one batch */
#define MAX_RATE_NUM 10000000000ull /* keeps remainder * 10^9 within 64 bits */

struct flood {
	struct ktx *tx;
	const struct ktx_flood_opts *o;
	int (*launch)(struct ktrxer *port, struct kt_txslot *const *slots, u32 n);
	struct kt_txslot *own; /* slots of the engine's flood memory, or NULL */
	struct kt_txslot **slots; /* cap of them; [0, n_again) hold frames to try again */
	u64 *number;
	u32 *attempts;
	u32 *borrowed; /* items taken from the sender's free list, when own is NULL */
	u32 cap;
	u32 n_again;
	u64 next; /* number to fill next */
	u64 start_ns;
	bool too_long; /* fill() gave a frame that its slot cannot hold */
};

/* A run of numbers with one fate, reported when it ends. */
struct run {
	u64 first;
	u64 n;
	enum ktx_status status;
	int reason;
	u64 launch_ns;
	u64 returned_ns;
};

static void report(const struct flood *f, struct run *r)
{
	if (r->n && f->o->done)
		f->o->done(f->o->ctx, r->first, r->n, r->status, r->reason, r->launch_ns, r->returned_ns);
	r->n = 0;
}

static void extend(const struct flood *f, struct run *r, u64 number, enum ktx_status status, int reason,
		   const struct kt_txslot *slot)
{
	if (r->n && r->first + r->n == number && r->status == status && r->reason == reason &&
	    (!slot || r->launch_ns == slot->launch_ns)) {
		r->n++;
		return;
	}
	report(f, r);
	*r = (struct run){ number, 1, status, reason, slot ? slot->launch_ns : 0, slot ? slot->returned_ns : 0 };
}

static u64 due_ns(const struct flood *f, u64 number)
{
	u64 den = f->o->rate_den ? f->o->rate_den : 1, rem, s;

	/* number * den / rate seconds, whole seconds apart so that nothing overflows or drifts */
	s = kt_div_rem(number * den, f->o->rate_num, &rem);
	if (s >= kt_div(UINT64_MAX - f->start_ns, KT_NSEC_PER_SEC))
		return UINT64_MAX; /* beyond the end of time */
	return f->start_ns + s * KT_NSEC_PER_SEC + kt_div(rem * KT_NSEC_PER_SEC, f->o->rate_num);
}

/*
 * Fills free slots behind those to try again. Returns the batch's size. Skipped
 * numbers have their time too, so at a rate they count for the burst; without one
 * there is an end as well, for stop() wants to be asked.
 */
static u32 fill(struct flood *f, u32 max)
{
	u64 numbers = f->o->rate_num ? max - f->n_again : MAX_NUMBERS;
	u32 n = f->n_again;

	while (n < max && f->next < f->o->count && numbers--) {
		struct kt_txslot *slot = f->slots[n];
		u64 i = f->next++;

		slot->len = f->o->fill(f->o->ctx, i, slot->data);
		if (!slot->len)
			continue;
		if (slot->len > f->o->max_frame) {
			f->next--; /* cancelled with the rest */
			f->too_long = true;
			break;
		}
		slot->state = KT_TX_READY;
		slot->launch_ns = slot->returned_ns = 0;
		f->number[n] = i;
		f->attempts[n] = 0;
		n++;
	}
	return n;
}

static void count(struct ktx *tx, const struct ktx_stats *d)
{
	pthread_mutex_lock(&tx->lock);
	tx->stats.batches++;
	tx->stats.retries += d->retries;
	tx->stats.sent += d->sent;
	tx->stats.bytes += d->bytes;
	tx->stats.failed += d->failed;
	tx->stats.pending -= d->sent + d->failed;
	pthread_mutex_unlock(&tx->lock);
}

/* Sorts one batch into sent, failed and again. Without the lock: done() may ask the sender whatever it likes. */
static void settle(struct flood *f, u32 n, u32 tried, int device_error)
{
	struct ktx_stats sum = { 0 }, *st = &sum;
	u32 max = f->o->max_attempts ? f->o->max_attempts : 1, again = 0;
	struct run r = { 0 };

	for (u32 i = 0; i < n; i++) {
		struct kt_txslot *slot = f->slots[i];
		u32 attempts = f->attempts[i] + (i < tried);
		u64 number = f->number[i];

		if (i < tried && f->attempts[i])
			st->retries++;
		if (i < tried && slot->state == KT_TX_SENT) {
			extend(f, &r, number, KTX_SENT, 0, slot);
			st->sent++;
			st->bytes += slot->len;
		} else if (device_error) {
			extend(f, &r, number, KTX_FAILED, device_error, NULL);
			st->failed++;
		} else if (i < tried && (slot->state == KT_TX_FAILED || attempts >= max)) {
			extend(f, &r, number, KTX_FAILED, slot->err, slot);
			st->failed++;
		} else {
			struct kt_txslot *spare = f->slots[again];

			f->slots[again] = slot;
			f->slots[i] = spare;
			f->number[again] = number;
			f->attempts[again++] = attempts;
		}
	}
	report(f, &r);
	count(f->tx, &sum);
	f->n_again = again;
}

/* Zero-copy devices finish later: wait for them, since the slots are used again. */
static int reap(struct flood *f, u32 tried)
{
	struct ktrxer *port = f->tx->port;
	u64 deadline = kt_port_now(port) + KT_NSEC_PER_SEC;

	for (u32 i = 0; i < tried; i++) {
		while (f->slots[i]->state == KT_TX_PENDING) {
			if (!port->engine->tx_reap || kt_port_now(port) > deadline)
				return -EIO;
			port->engine->tx_reap(port);
		}
	}
	return 0;
}

static u32 batch_limit(const struct flood *f)
{
	u64 burst;

	if (!f->o->rate_num)
		return f->cap;
	burst = kt_div(f->o->rate_num / (f->o->rate_den ? f->o->rate_den : 1) * BURST_NS, KT_NSEC_PER_SEC);
	if (burst <= f->n_again)
		burst = (u64)f->n_again + 1;
	return burst < f->cap ? (u32)burst : f->cap;
}

/*
 * Until the launch clock shows ns. A signal ends a sleep early, which is no reason
 * to launch early; stop() is asked now and then. 0, or -EINTR when it said so.
 */
static int wait_for(struct flood *f, u64 ns)
{
	struct ktrxer *port = f->tx->port;
	u64 now;

	while ((now = kt_port_now(port)) < ns) {
		u64 until = ns;

		if (f->o->stop && f->o->stop(f->o->ctx))
			return -EINTR;
		if (ns - now > WAIT_SLICE_NS && !kt_port_virtual(port))
			until = now + WAIT_SLICE_NS;
		kt_port_wait(port, until, until == ns ? kt_launch_spin(f->tx, now, ns) : 0, NULL, 0);
	}
	return 0;
}

static int flood_batch(struct flood *f)
{
	struct ktx *tx = f->tx;
	u64 before = f->next;
	u32 n = fill(f, batch_limit(f)), fresh = n - f->n_again;
	int tried, device_error = 0;

	pthread_mutex_lock(&tx->lock);
	tx->stats.submitted += fresh;
	tx->stats.pending += fresh;
	pthread_mutex_unlock(&tx->lock);
	if (f->too_long) {
		f->n_again = n; /* to be cancelled */
		return -EMSGSIZE;
	}
	if (!n)
		return 0;
	/* Not before the time of the last of the batch: late by less than a burst, never early. */
	if (f->o->rate_num && f->next > before && wait_for(f, due_ns(f, f->next - 1))) {
		f->n_again = n; /* to be cancelled */
		return -EINTR;
	}
	pthread_mutex_lock(&tx->launch_lock);
	tried = f->launch(tx->port, f->slots, n);
	if (tried > 0 && reap(f, (u32)tried))
		device_error = EIO;
	else if (tried <= 0)
		device_error = tried ? -tried : EIO;
	pthread_mutex_unlock(&tx->launch_lock);
	settle(f, n, tried > 0 ? (u32)tried : 0, device_error);
	return -device_error;
}

/* What was filled but not sent when the flood was stopped. */
static void cancel_rest(struct flood *f)
{
	struct run r = { 0 };

	for (u32 i = 0; i < f->n_again; i++)
		extend(f, &r, f->number[i], KTX_CANCELLED, 0, NULL);
	report(f, &r);
	pthread_mutex_lock(&f->tx->lock);
	f->tx->stats.cancelled += f->n_again;
	f->tx->stats.pending -= f->n_again;
	pthread_mutex_unlock(&f->tx->lock);
	f->n_again = 0;
	/* Numbers never filled were never submitted; they are reported as one run. */
	if (f->next < f->o->count && f->o->done)
		f->o->done(f->o->ctx, f->next, f->o->count - f->next, KTX_CANCELLED, 0, 0, 0);
}

static int alloc_arrays(struct flood *f)
{
	f->slots = calloc(f->cap, sizeof(struct kt_txslot *));
	f->number = calloc(f->cap, sizeof(*f->number));
	f->attempts = calloc(f->cap, sizeof(*f->attempts));
	f->borrowed = calloc(f->cap, sizeof(*f->borrowed));
	return f->slots && f->number && f->attempts && f->borrowed ? 0 : -ENOMEM;
}

/* The engine's own flood memory. 0, or -errno when floods go the ordinary way. */
static int open_fast(struct flood *f)
{
	const struct kt_engine *e = f->tx->port->engine;
	u32 frame = f->o->max_frame, max;
	int ret;

	if (!e->tx_flood || !e->tx_flood_max || !e->tx_flood_open)
		return -EOPNOTSUPP;
	max = e->tx_flood_max(f->tx->port, &frame);
	if (!max || frame < f->o->max_frame)
		return -EOPNOTSUPP;
	f->cap = f->o->batch && f->o->batch < max ? f->o->batch : max;
	f->own = calloc(f->cap, sizeof(*f->own));
	ret = f->own ? alloc_arrays(f) : -ENOMEM;
	if (!ret)
		ret = e->tx_flood_open(f->tx->port, f->own, f->cap, f->o->max_frame, &f->tx->why);
	if (ret)
		return ret;
	for (u32 i = 0; i < f->cap; i++)
		f->slots[i] = &f->own[i];
	f->launch = e->tx_flood;
	return 0;
}

static void free_arrays(struct flood *f)
{
	free(f->borrowed);
	free(f->attempts);
	free(f->number);
	free(f->slots);
	free(f->own);
	f->borrowed = NULL;
	f->attempts = NULL;
	f->number = NULL;
	f->slots = NULL;
	f->own = NULL;
}

/* Slots of the sender's that nobody uses, for the duration of the flood. */
static int open_plain(struct flood *f)
{
	struct ktx *tx = f->tx;
	u32 want = f->o->batch ? f->o->batch : FALLBACK_BATCH;
	int ret;

	if (f->o->max_frame > tx->o.max_frame)
		return kt_err(&tx->why, EMSGSIZE, "frames of %u bytes are too long; this sender takes up to %u",
			      f->o->max_frame, tx->o.max_frame);
	pthread_mutex_lock(&tx->lock);
	f->cap = want < tx->free.n ? want : tx->free.n;
	ret = f->cap ? alloc_arrays(f) : 0;
	if (f->cap && !ret) {
		for (u32 i = 0; i < f->cap; i++) {
			f->borrowed[i] = kt_fifo_get(tx, &tx->free);
			tx->pending[f->borrowed[i]].place = KT_PLACE_LAUNCHING;
			f->slots[i] = &tx->slots[f->borrowed[i]];
		}
	}
	pthread_mutex_unlock(&tx->lock);
	if (!f->cap)
		return kt_err(&tx->why, EAGAIN, "no free slot: fetch completions first");
	if (ret)
		return kt_err(&tx->why, ENOMEM, "no memory for a flood");
	f->launch = tx->port->engine->tx_launch;
	return 0;
}

static void close_flood(struct flood *f)
{
	if (!f->own && f->borrowed) {
		pthread_mutex_lock(&f->tx->lock);
		for (u32 i = 0; i < f->cap; i++)
			kt_fifo_put(f->tx, &f->tx->free, f->borrowed[i], KT_PLACE_FREE);
		pthread_mutex_unlock(&f->tx->lock);
	}
	free_arrays(f);
}

KTRXER_API int ktx_flood(struct ktx *tx, const struct ktx_flood_opts *opts)
{
	KTRXER_OPTS(ktx_flood_opts, o);
	struct flood f = { .tx = tx, .o = &o };
	int ret;

	if (opts->sz > sizeof(o))
		return kt_err(&tx->why, EINVAL, "options are of a newer version of the library");
	memcpy(&o, opts, opts->sz);
	if (!o.fill || o.max_frame < KT_ETH_BYTES)
		return kt_err(&tx->why, EINVAL, "a flood needs fill() and frames of at least %u bytes", KT_ETH_BYTES);
	if (o.rate_num > MAX_RATE_NUM)
		return kt_err(&tx->why, EINVAL, "a rate's numerator is at most %llu", (unsigned long long)MAX_RATE_NUM);
	if (o.rate_num && o.count > UINT64_MAX / (o.rate_den ? o.rate_den : 1))
		return kt_err(&tx->why, EINVAL, "the rate's denominator is too large for so many frames");
	if (open_fast(&f)) {
		free_arrays(&f);
		ret = open_plain(&f);
		if (ret) {
			free_arrays(&f);
			return ret;
		}
	}
	f.start_ns = o.start_ns ? o.start_ns : kt_port_now(tx->port);
	ret = wait_for(&f, f.start_ns);
	while (!ret && (f.next < o.count || f.n_again)) {
		if (o.stop && o.stop(o.ctx))
			ret = -EINTR;
		else
			ret = flood_batch(&f);
	}
	if (ret)
		cancel_rest(&f);
	if (f.too_long)
		kt_err(&tx->why, EMSGSIZE, "fill() said that frame %llu is longer than max_frame, %u bytes",
		       (unsigned long long)f.next, o.max_frame);
	else if (ret && ret != -EINTR)
		kt_err(&tx->why, -ret, "interface \"%s\": %s", tx->port->ifname, strerror(-ret));
	close_flood(&f);
	return ret;
}

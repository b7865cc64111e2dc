/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Floods: numbered frames, written in place by the caller and launched in
 * large batches by the engine's fastest way. Every number that was not
 * skipped has exactly one fate; refused frames go to the front of the next
 * batch until their attempts are used up.
 */
#include <string.h>

#include "flooder.h"

#define BURST_NS 100000u /* at a rate, no batch holds more than this much time */
#define WAIT_SLICE_NS 100000000u /* how often stop() is asked during a long wait */
#define MAX_NUMBERS 65536u /* asked of fill() for one batch */
#define MAX_RATE_NUM 10000000000ull /* keeps remainder * 10^9 within 64 bits */

/* A run of numbers with one fate, reported when it ends. */
struct run {
	u64 first;
	u64 n;
	enum ktx_status status;
	int reason;
	u64 launch_ns;
	u64 returned_ns;
};

static void report(const struct kt_flooder *f, struct run *r)
{
	if (r->n && f->o->done)
		f->o->done(f->o->ctx, r->first, r->n, r->status, r->reason, r->launch_ns, r->returned_ns);
	r->n = 0;
}

/* n more numbers from first with this fate; launch_ns 0: no try of theirs. */
static void extend(const struct kt_flooder *f, struct run *r, const struct run *more)
{
	if (r->n && r->first + r->n == more->first && r->status == more->status && r->reason == more->reason &&
	    (!more->launch_ns || r->launch_ns == more->launch_ns)) {
		r->n += more->n;
		return;
	}
	report(f, r);
	*r = *more;
}

static u64 due_ns(const struct kt_flooder *f, u64 number)
{
	u64 den = f->o->rate_den ? f->o->rate_den : 1, rem, s;

	/* number * den / rate seconds, whole seconds apart so that nothing overflows or drifts */
	s = kt_div_rem(number * den, f->o->rate_num, &rem);
	if (s >= kt_div(UINT64_MAX - f->start_ns, KT_NSEC_PER_SEC))
		return UINT64_MAX; /* beyond the end of time */
	return f->start_ns + s * KT_NSEC_PER_SEC + kt_div(rem * KT_NSEC_PER_SEC, f->o->rate_num);
}

/* Writes the next number's frame, unless its cell has just that one from an earlier period. Returns its length. */
static u32 fill_cell(struct kt_flooder *f, u32 cell)
{
	u64 i = f->next++;
	struct kt_flood_held *held;

	if (!f->held)
		return f->o->fill(f->o->ctx, i, kt_flooder_cell(f, cell));
	held = &f->held[cell];
	f->place = f->place == f->o->period ? 1 : f->place + 1;
	if (held->place != f->place) {
		held->len = f->o->fill(f->o->ctx, i, kt_flooder_cell(f, cell));
		held->place = f->place;
	}
	return held->len;
}

/*
 * Fills free cells behind those to try again. Returns the batch's size. Skipped
 * numbers have their time too, so at a rate they count for the burst; without one
 * there is an end as well, for stop() wants to be asked.
 */
static u32 fill(struct kt_flooder *f, u32 max, u64 *bytes)
{
	u64 numbers = f->o->rate_num ? max - f->n_again : MAX_NUMBERS, sum = 0;
	u32 n = f->n_again;

	while (n < max && f->next < f->o->count && numbers--) {
		u64 i = f->next;
		u32 len = fill_cell(f, f->mem.frames[n].cell);

		if (!len)
			continue;
		if (len > f->o->max_frame) {
			f->next--; /* cancelled with the rest */
			f->too_long = true;
			break;
		}
		f->mem.frames[n].len = len;
		f->number[n++] = i;
		sum += len;
	}
	*bytes = sum;
	return n;
}

static void count(struct ktx *tx, const struct ktx_stats *d)
{
	pthread_mutex_lock(&tx->lock);
	tx->stats.batches += d->batches;
	tx->stats.retries += d->retries;
	tx->stats.sent += d->sent;
	tx->stats.bytes += d->bytes;
	tx->stats.failed += d->failed;
	tx->stats.pending -= d->sent + d->failed;
	pthread_mutex_unlock(&tx->lock);
}

/* Moves frame i of the batch to those to try again. */
static void again(struct kt_flooder *f, u32 i, u32 attempts)
{
	struct kt_flood_frame frame = f->mem.frames[i];

	f->mem.frames[i] = f->mem.frames[f->n_again];
	f->mem.frames[f->n_again] = frame;
	f->number[f->n_again] = f->number[i];
	f->attempts[f->n_again++] = attempts;
}

static u32 attempts_of(const struct kt_flooder *f, u32 i)
{
	return i < f->n_retried ? f->attempts[i] : 0;
}

/* Fresh frames [from, n), all sent by one call: as many runs as there are gaps between their numbers. */
static void settle_all_sent(struct kt_flooder *f, u32 from, u32 n, u64 bytes)
{
	const struct ktx_stats sum = { .batches = 1, .sent = n - from, .bytes = bytes };
	const u64 *number = f->number;
	struct run r = { .status = KTX_SENT, .launch_ns = f->mem.launch_ns, .returned_ns = f->mem.returned_ns };

	while (from < n) {
		u32 end = number[n - 1] - number[from] == n - 1 - from ? n : from + 1;

		while (end < n && number[end] - number[from] == end - from)
			end++;
		r.first = number[from];
		r.n = end - from;
		report(f, &r);
		from = end;
	}
	count(f->tx, &sum);
}

/* What became of frame i, which was tried; its times too. */
static s32 fate_of(const struct kt_flooder *f, u32 i, struct run *r)
{
	r->launch_ns = f->plain ? f->batch[i]->launch_ns : f->mem.launch_ns;
	r->returned_ns = f->plain ? f->batch[i]->returned_ns : f->mem.returned_ns;
	return f->mem.all_sent ? 0 : f->mem.fates[i];
}

/*
 * Sorts frames [from, end), which one call tried, into sent, failed and again. Without the lock: done() may
 * ask the sender whatever it likes.
 */
static void settle(struct kt_flooder *f, u32 from, u32 end, int device_error)
{
	u32 max = f->o->max_attempts ? f->o->max_attempts : 1;
	struct ktx_stats sum = { .batches = 1 };
	struct run r = { 0 };

	for (u32 i = from; i < end; i++) {
		struct run more = { .first = f->number[i], .n = 1, .status = KTX_FAILED };
		s32 fate = fate_of(f, i, &more);
		u32 before = attempts_of(f, i);

		sum.retries += before != 0;
		if (!fate) {
			more.status = KTX_SENT;
			sum.sent++;
			sum.bytes += f->mem.frames[i].len;
		} else if (device_error) {
			more = (struct run){ f->number[i], 1, KTX_FAILED, device_error, 0, 0 };
			sum.failed++;
		} else if (fate < 0 || before + 1 >= max) {
			more.reason = fate < 0 ? -fate : fate;
			sum.failed++;
		} else {
			again(f, i, before + 1);
			continue;
		}
		extend(f, &r, &more);
	}
	report(f, &r);
	count(f->tx, &sum);
}

/* Frames [from, n) of the batch, which the device was not asked about: it is gone. */
static void fail(struct kt_flooder *f, u32 from, u32 n, int device_error)
{
	const struct ktx_stats sum = { .batches = !f->reap_failed, .failed = n - from };
	struct run r = { 0 };

	for (u32 i = from; i < n; i++)
		extend(f, &r, &(struct run){ f->number[i], 1, KTX_FAILED, device_error, 0, 0 });
	report(f, &r);
	count(f->tx, &sum);
}

/*
 * Launches the batch. What is refused and may be tried again comes before the
 * frames behind it, so these wait with it. 0 or the device's -errno.
 */
static int launch(struct kt_flooder *f, u32 n, u64 fresh_bytes)
{
	int tried, device_error;

	f->n_retried = f->n_again;
	f->n_again = 0;
	for (u32 at = 0; at < n; at += (u32)tried) {
		pthread_mutex_lock(&f->tx->launch_lock);
		tried = kt_flooder_launch(f, at, n);
		pthread_mutex_unlock(&f->tx->launch_lock);
		device_error = f->reap_failed ? EIO : tried > 0 ? 0 : tried ? -tried : EIO;
		if (tried > 0 && f->mem.all_sent && !f->n_retried && (u32)tried == n) {
			settle_all_sent(f, 0, n, fresh_bytes);
			return 0;
		}
		if (tried > 0)
			settle(f, at, at + (u32)tried, device_error);
		if (device_error) {
			fail(f, at + (tried > 0 ? (u32)tried : 0), n, device_error);
			f->n_again = 0;
			return -device_error;
		}
		if (!f->n_again)
			continue;
		for (u32 i = at + (u32)tried; i < n; i++)
			again(f, i, attempts_of(f, i));
		break;
	}
	return 0;
}

static u32 batch_limit(const struct kt_flooder *f)
{
	u32 cap = f->mem.n;
	u64 burst;

	if (!f->o->rate_num) /* whole periods, so that each cell gets the frame again that it has */
		return f->held ? cap - (u32)(cap % f->o->period) : cap;
	burst = kt_div(f->o->rate_num / (f->o->rate_den ? f->o->rate_den : 1) * BURST_NS, KT_NSEC_PER_SEC);
	if (burst <= f->n_again)
		burst = (u64)f->n_again + 1;
	return burst < cap ? (u32)burst : cap;
}

/*
 * Until the launch clock shows ns. A signal ends a sleep early, which is no reason
 * to launch early; stop() is asked now and then. 0, or -EINTR when it said so.
 */
static int wait_for(struct kt_flooder *f, u64 ns)
{
	struct ktrxer *port = f->tx->port;
	u64 now;

	while ((now = kt_port_now(port)) < ns) {
		u64 until = ns;

		if (f->o->stop && f->o->stop(f->o->ctx))
			return -EINTR;
		if (ns - now > WAIT_SLICE_NS && !kt_port_virtual(port))
			until = now + WAIT_SLICE_NS;
		if (until != ns)
			kt_port_wait(port, until, 0, NULL, 0);
		else if (!kt_launch_sleep(f->tx, &f->lead, ns))
			kt_port_wait(port, ns, f->tx->o.no_spin ? 0 : UINT64_MAX, NULL, 0);
	}
	return 0;
}

static int flood_batch(struct kt_flooder *f)
{
	struct ktx *tx = f->tx;
	u64 before = f->next, bytes;
	u32 n = fill(f, batch_limit(f), &bytes), fresh = n - f->n_again;

	pthread_mutex_lock(&tx->lock);
	tx->stats.submitted += fresh;
	tx->stats.pending += fresh;
	pthread_mutex_unlock(&tx->lock);
	if (f->too_long) {
		f->n_again = n; /* to be cancelled */
		return -EMSGSIZE;
	}
	/* Not before the time of the last of the batch: late by less than a burst, never early. */
	if (n && f->o->rate_num && f->next > before && wait_for(f, due_ns(f, f->next - 1))) {
		f->n_again = n; /* to be cancelled */
		return -EINTR;
	}
	return launch(f, n, bytes);
}

/* What was filled but not sent when the flood was stopped. */
static void cancel_rest(struct kt_flooder *f)
{
	struct run r = { 0 };

	for (u32 i = 0; i < f->n_again; i++)
		extend(f, &r, &(struct run){ f->number[i], 1, KTX_CANCELLED, 0, 0, 0 });
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

KTRXER_API int ktx_flood(struct ktx *tx, const struct ktx_flood_opts *opts)
{
	KTRXER_OPTS(ktx_flood_opts, o);
	struct kt_flooder f = { .tx = tx, .o = &o, .lead = { .fixed_ns = tx->o.spin_ns } };
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
	ret = kt_flooder_open(&f);
	if (ret)
		return ret;
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
	kt_flooder_close(&f);
	return ret;
}

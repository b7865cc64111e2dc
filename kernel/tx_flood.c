// SPDX-License-Identifier: GPL-2.0-only
/*
 * Floods: the probes of a series (core/series.h), made here one after another from a template and
 * launched in batches in the caller's context. No descriptors and no slots: counters, and with KTX_FLOOD_DONE a completion for
 * each probe. Those of a batch are written together when it has left, and a batch is no larger than the room for them.
 *
 * Where the device leaves buffers as they were, a pool of them serves again and again: a batch takes those that served
 * first, once the driver has let go of them, and else others, so there are as many as the driver holds.
 * In a buffer that was one of our probes before, only what differs is written. A flood that ends for want of room for
 * completions leaves its pool to the call that goes on with it.
 */
#include <linux/math64.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../core/permute.h"
#include "../core/template.h"
#include "ktx.h"
#include "trace.h"

#define POOL 512u
#define DEFAULT_BATCH 128u
#define MAX_BATCH 256u
/* Waiting for a time closer than this is done on the clock. */
#define SPIN_NS 10000u

/* When the next probe is due: whole ns, and parts of one by interval_den. */
struct pace {
	u64 ns;
	u64 rem;
	u64 step;
	u64 step_rem;
};

/* The attempts of a frame that has not ended: refusals. */
struct tries {
	u64 launch_ns; /* of the last one that got as far as the driver; 0: none did */
	u64 returned_ns;
	u32 n;
	u16 reason; /* of the last */
};

struct flood {
	struct ktx *tx;
	struct ktx_flood_abi a;
	struct kt_template template;
	struct kt_permute order;
	struct kt_charge charge;
	struct sk_buff *pool[POOL];
	DECLARE_BITMAP(made, POOL); /* those that, if they are still there, hold a probe of this template */
	u32 at; /* in the pool: the next frame to be handed over; those of a batch stand together */
	u64 lap; /* a number whose target is the first */
	struct pace pace; /* of the next number */
	u64 due[MAX_BATCH]; /* of the batch's numbers; what leaves at once is due when the batch is made */
	u64 base; /* the first of them */
	struct tries tries; /* of the batch's first frame that has not ended */
	bool tells; /* completions are asked for; then, of the frames handed over together: */
	u64 clock[MAX_BATCH + 1]; /* before the first call of the driver, and after each */
	u16 why[MAX_BATCH]; /* errno with which the driver took the frame, until it is told */
	bool refused; /* the last call took none */
};

/* first + number, in network order. */
static void target_of(const struct flood *f, u64 number, u8 *target)
{
	u64 low, sum;

	if (f->template.version == 4) {
		kt_put_be32(target, kt_get_be32(f->a.first_target) + (u32)number);
		return;
	}
	low = kt_get_be64(f->a.first_target + 8);
	sum = low + number;
	kt_put_be64(target, kt_get_be64(f->a.first_target) + (sum < low));
	kt_put_be64(target + 8, sum);
}

static u64 position(struct flood *f, u64 number)
{
	u64 rem = number - f->lap;

	/* Numbers come one after another, but for those of a second attempt. */
	if (unlikely(rem >= f->a.n_targets)) {
		kt_div_rem(number, f->a.n_targets, &rem);
		f->lap = number - rem;
	}
	return f->a.permute ? kt_permute_at(&f->order, rem) : rem;
}

static void pace_init(struct pace *p, const struct ktx_flood_abi *a, u64 now)
{
	*p = (struct pace){ .ns = now };
	if (a->interval_num)
		p->step = kt_div_rem(a->interval_num, a->interval_den, &p->step_rem);
}

static void pace_step(struct pace *p, u64 den)
{
	u64 room = den - p->step_rem;
	bool carry = p->step_rem && p->rem >= room;

	p->rem = carry ? p->rem - room : p->rem + p->step_rem;
	/* Beyond the end of time is at the end of time. */
	if (check_add_overflow(p->ns, p->step, &p->ns) || check_add_overflow(p->ns, (u64)carry, &p->ns))
		p->ns = U64_MAX;
}

/* Writes the probe with that number into the pool's buffer i. */
static bool make(struct flood *f, u32 i, u64 number)
{
	struct sk_buff *skb = f->pool[i];
	u64 now = f->due[number - f->base];
	u8 target[16];

	target_of(f, position(f, number), target);
	if (likely(skb && test_bit(i, f->made) && kt_tx_skb_again(f->tx, skb, f->template.len))) {
		kt_template_refill(&f->template, target, 0, number, now, skb->data);
		return true;
	}
	__clear_bit(i, f->made);
	skb = kt_tx_skb_get(f->tx, skb, f->template.len, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	f->pool[i] = skb;
	if (!skb)
		return false;
	__set_bit(i, f->made);
	kt_template_fill(&f->template, target, 0, number, now, skb_put(skb, f->template.len));
	/* As kt_tx_skb_headers would find them. */
	skb->protocol = *(__be16 *)(skb->data + 12);
	skb_reset_mac_header(skb);
	skb_set_network_header(skb, (int)f->template.l3);
	skb_set_transport_header(skb, (int)f->template.l4);
	return true;
}

/* When the driver has answered to the i-th of the frames handed over together, and what it complained of. */
static inline void note_call(struct flood *f, u32 i, struct kt_tx_call *c, enum kt_tx_outcome outcome)
{
	struct ktx *tx = f->tx;

	f->clock[i + 1] = kt_tx_clock(tx);
	if (trace_ktx_launch_enabled())
		trace_ktx_launch(tx->setup.ifindex, f->a.number + i, f->due[f->a.number + i - f->base], f->clock[i],
				 1 + (i ? 0 : f->tries.n), f->template.len,
				 outcome == KT_TX_SENT ? 0 : -(int)c->reason);
	if (likely(!c->reason))
		return;
	f->a.reason = c->reason;
	f->why[i] = outcome == KT_TX_SENT ? c->reason : 0;
	c->reason = 0;
}

/*
 * The n prepared frames to the driver. Returns how many it took; fewer when
 * one was refused (*outcome, f->a.reason), or the queue is stopped and `patient`.
 */
static u32 hand_over_all(struct flood *f, u32 n, bool *stopped, enum kt_tx_outcome *outcome)
{
	struct ktx *tx = f->tx;
	struct kt_tx_call c;
	u32 i = 0;

	*outcome = KT_TX_REFUSED;
	f->refused = false;
	if (!kt_tx_enter(tx, &c)) {
		f->a.reason = c.reason;
		if (c.reason == ENODEV)
			*outcome = KT_TX_FATAL;
		return 0;
	}
	if (f->template.len - (f->template.l3 - tx->min_len) > c.max_len) {
		c.reason = EMSGSIZE;
		*outcome = KT_TX_FATAL;
		goto out;
	}
	f->clock[0] = kt_tx_clock(tx);
	if (!f->a.first_ns)
		f->a.first_ns = f->clock[0];
	for (; i < n; i++) {
		if (netif_xmit_frozen_or_drv_stopped(c.txq)) {
			if (stopped)
				*stopped = true;
			else
				c.reason = ENOBUFS;
			break;
		}
		*outcome = kt_tx_hand_over(&c, &f->pool[f->at + i], i + 1 < n);
		if (f->tells)
			note_call(f, i, &c, *outcome);
		if (*outcome != KT_TX_SENT) {
			f->refused = true;
			break;
		}
	}
	f->a.last_ns = kt_tx_clock(tx);
out:
	if (c.reason)
		f->a.reason = c.reason;
	kt_tx_leave(&c);
	return i;
}

/* The completion of the i-th frame that has not ended. Field by field: clearing all of it before costs more than the rest. */
static inline void tell(const struct flood *f, u32 i, struct ktx_done_abi *to, struct tries t, u8 status)
{
	u64 number = f->a.number + i;

	to->id = number;
	to->scheduled_ns = f->due[number - f->base];
	to->launch_ns = t.launch_ns;
	to->returned_ns = t.returned_ns;
	to->stamp_ns = 0;
	to->slot = KTX_NO_SLOT;
	to->len = f->template.len;
	to->attempts = t.n;
	to->reason = t.reason;
	to->status = status;
	to->stamp_clock = 0;
	to->flags = to->reserved = 0;
	if (trace_ktx_done_enabled())
		kt_tx_trace_done(f->tx, to);
}

/* Lock held. */
static void tell_sent(struct flood *f, u32 n)
{
	struct ktx *tx = f->tx;
	struct ktx_done_abi *ring = tx->done;
	u32 mask = tx->setup.n_desc - 1, end = tx->done_end, refusals = f->tries.n;
	u16 reason = f->tries.reason;

	for (u32 i = 0; i < n; i++) {
		if (unlikely(f->why[i])) {
			reason = f->why[i];
			f->why[i] = 0;
		}
		tell(f, i, &ring[(end + i) & mask],
		     (struct tries){ .launch_ns = f->clock[i],
				     .returned_ns = f->clock[i + 1],
				     .n = refusals + 1,
				     .reason = reason },
		     KTX_DONE_SENT);
		refusals = reason = 0; /* all but the first are sent at once */
	}
	tx->done_end = end + n;
}

/* One that is given up, or, when nothing can help any of them, all that there are. Lock held. */
static void tell_failed(struct flood *f, u32 n)
{
	struct ktx *tx = f->tx;
	struct tries t = f->tries;

	for (u32 i = 0; i < n; i++) {
		t.reason = (u16)f->a.reason;
		tell(f, i, &tx->done[tx->done_end++ & (tx->setup.n_desc - 1)], t, KTX_DONE_FAILED);
		t = (struct tries){};
	}
}

/* sent or failed probes, one after another, into the caller's counters, the context's, and completions. */
static void count(struct flood *f, u32 sent, u32 failed, u32 retries, bool locked)
{
	struct ktx_stats_abi *st = &f->tx->st;
	u64 bytes = (u64)sent * f->template.len;

	spin_lock_bh(&f->tx->lock);
	st->submitted += sent + failed;
	st->sent += sent;
	st->failed += failed;
	st->bytes += bytes;
	st->retries += retries;
	st->batches += locked;
	if (f->tells && sent + failed) {
		tell_sent(f, sent);
		tell_failed(f, failed);
		kt_tx_publish(f->tx);
	}
	spin_unlock_bh(&f->tx->lock);
	f->a.number += sent + failed;
	f->a.sent += sent;
	f->a.failed += failed;
	f->a.bytes += bytes;
	f->a.retries += retries;
	f->at += sent + failed;
	if (sent + failed)
		f->tries = (struct tries){};
}

/*
 * The frame that is first now, behind so many that were taken, was refused. Is it tried again? What a driver took and dropped
 * is written anew. Returns how many were given up.
 */
static u32 try_again(struct flood *f, u32 behind)
{
	if (f->refused) {
		f->tries.launch_ns = f->clock[behind];
		f->tries.returned_ns = f->clock[behind + 1];
	}
	f->tries.reason = (u16)f->a.reason;
	if (++f->tries.n < max(f->a.max_attempts, 1u) && make(f, f->at, f->a.number)) {
		count(f, 0, 0, 1, false);
		return 0;
	}
	count(f, 0, 1, 0, false);
	return 1;
}

/* Launches n prepared frames until each has been sent or has failed. 0, -EINTR, or an error that ends everything. */
static int launch(struct flood *f, u32 n)
{
	bool patient = true;

	while (n) {
		enum kt_tx_outcome outcome;
		bool stopped = false;
		u32 sent = hand_over_all(f, n, patient ? &stopped : NULL, &outcome);

		n -= sent;
		count(f, sent, 0, 0, true);
		if (outcome == KT_TX_FATAL) {
			count(f, 0, n, 0, false);
			return -f->a.reason;
		}
		patient = !stopped || kt_tx_await_queue(f->tx);
		if (n && !stopped)
			n -= try_again(f, sent);
		cond_resched();
		if (n && signal_pending(current))
			return -EINTR;
	}
	return 0;
}

/* Until the next probe is due. False: a signal came. */
static bool await(struct flood *f, u64 ns)
{
	for (;;) {
		u64 now = kt_tx_clock(f->tx);

		if (now >= ns)
			return true;
		if (signal_pending(current))
			return false;
		if (ns - now > SPIN_NS)
			kt_tx_pause((u32)min_t(u64, ns - now - SPIN_NS, 100000000));
		else
			cpu_relax();
	}
}

/*
 * How many to make now: a batch, what is left, of a paced flood what is due, and no more than there is room to tell of. Their times
 * are in due.
 */
static u32 next_batch(struct flood *f, u32 room)
{
	u32 n = (u32)min_t(u64, min(f->a.rate_batch, room), f->a.count - f->a.number), i;
	u64 now = kt_tx_clock(f->tx);

	f->base = f->a.number;
	f->tries = (struct tries){};
	for (i = 0; i < n; i++) {
		f->due[i] = now;
		if (!f->a.interval_num)
			continue;
		if (i && f->pace.ns > now)
			break;
		f->due[i] = f->pace.ns;
		pace_step(&f->pace, f->a.interval_den);
	}
	return i;
}

static bool is_free(const struct sk_buff *skb)
{
	return !skb || !skb_shared(skb);
}

/* Buffers for a batch of n: those at the beginning as soon as they have come back, which they do in order. */
static void find_buffers(struct flood *f, u32 n)
{
	BUILD_BUG_ON(MAX_BATCH > POOL);
	if (f->at + n > POOL || (is_free(f->pool[0]) && is_free(f->pool[n - 1])))
		f->at = 0;
}

static int run_batch(struct flood *f)
{
	u32 n, room;

	if (f->a.interval_num && !await(f, f->pace.ns))
		return -EINTR;
	/* Behind the wait, so that who comes back with room goes on at the same pace. */
	room = f->tells ? kt_tx_find_room(f->tx) : MAX_BATCH;
	if (!room)
		return -EAGAIN;
	n = next_batch(f, room);
	find_buffers(f, n);
	for (u32 i = 0; i < n; i++)
		if (!make(f, f->at + i, f->a.number + i))
			return -ENOMEM;
	return launch(f, n);
}

static int run(struct flood *f)
{
	int r = 0;

	pace_init(&f->pace, &f->a, kt_tx_clock(f->tx));
	while (!r && f->a.number < f->a.count) {
		r = run_batch(f);
		if (!r && signal_pending(current) && f->a.number < f->a.count)
			r = -EINTR;
	}
	return r;
}

static int check(const struct ktx_flood_abi *a, const struct ktx *tx)
{
	if (a->flags & ~(u32)KTX_FLOOD_DONE || a->reserved || a->reserved2)
		return -EINVAL;
	if (a->permute > 1 || a->rate_batch > MAX_BATCH || !a->n_targets)
		return -EINVAL;
	if (a->interval_num && !a->interval_den)
		return -EINVAL;
	if (a->pattern_len > KT_TEMPLATE_MAX_FRAME || a->pattern_len > tx->setup.slot_bytes)
		return -EMSGSIZE;
	return tx->ether ? 0 : -EINVAL;
}

static int prepare(struct flood *f, u8 *frame)
{
	struct ktx_flood_abi *a = &f->a;
	struct kt_series s = {
		.key = { a->key[0], a->key[1] },
		.payload_bytes = a->payload_bytes,
		.sport_lo = a->sport_lo,
		.sport_hi = a->sport_hi,
		.dport = a->dport,
		.kind = (u8)a->kind,
	};
	int r;

	if (a->kind >= KT_SERIES_KINDS)
		return -EINVAL;
	if (copy_from_user(frame, u64_to_user_ptr(a->pattern), a->pattern_len))
		return -EFAULT;
	r = kt_template_init(&f->template, &s, frame, a->pattern_len);
	if (r)
		return r;
	if (!a->rate_batch)
		a->rate_batch = DEFAULT_BATCH;
	kt_permute_init(&f->order, a->n_targets - 1, a->permute_seed);
	a->first_ns = a->last_ns = 0;
	a->reason = 0;
	return 0;
}

static void put(struct flood *f)
{
	struct kt_charge charge;

	if (!f)
		return;
	charge = f->charge;
	for (u32 i = 0; i < POOL; i++)
		consume_skb(f->pool[i]);
	kvfree(f);
	kt_charge_drop(&charge);
}

void kt_tx_flood_end(struct ktx *tx)
{
	put(tx->flood);
	tx->flood = NULL;
}

/* A new one, or what the call before has left to go on with, where frames have the same length. */
static struct flood *get(struct ktx *tx, u32 frame_bytes)
{
	struct kt_charge charge = {};
	struct flood *f = tx->flood;
	int r;

	if (f && f->template.len == frame_bytes) {
		tx->flood = NULL;
		f->lap = 0;
		bitmap_zero(f->made, POOL); /* perhaps by another template */
		return f;
	}
	kt_tx_flood_end(tx);
	r = kt_charge_add(&charge, sizeof(*f) + KT_TEMPLATE_MAX_FRAME + POOL * kt_tx_skb_bytes(tx, frame_bytes));
	if (r)
		return ERR_PTR(r);
	f = kvzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f) {
		kt_charge_drop(&charge);
		return ERR_PTR(-ENOMEM);
	}
	f->tx = tx;
	f->charge = charge;
	return f;
}

int kt_tx_flood(struct ktx *tx, struct ktx_flood_abi *a)
{
	struct flood *f;
	u8 *frame;
	int r = check(a, tx);

	if (r)
		return r;
	f = get(tx, a->pattern_len);
	if (IS_ERR(f))
		return PTR_ERR(f);
	frame = kvmalloc(KT_TEMPLATE_MAX_FRAME, GFP_KERNEL_ACCOUNT);
	r = -ENOMEM;
	if (!frame)
		goto out;
	f->a = *a;
	f->tells = a->flags & KTX_FLOOD_DONE;
	r = prepare(f, frame);
	if (r)
		goto out;
	r = run(f);
	*a = f->a;
out:
	kvfree(frame);
	if (r == -EAGAIN)
		tx->flood = f;
	else
		put(f);
	return r;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Floods: the probes of a series (core/series.h), made here one after another from a template and
 * launched in batches in the caller's context. No descriptors, no slots, no completions: counters.
 *
 * Where the device leaves buffers as they were, a pool of them serves again and again: a batch takes those that served
 * first, once the driver has let go of them, and else others, so there are as many as the driver holds.
 * In a buffer that was one of our probes before, only what differs is written.
 */
#include <linux/math64.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../core/permute.h"
#include "../core/template.h"
#include "ktx.h"

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

struct flood {
	struct ktx *tx;
	struct ktx_flood_abi a;
	struct kt_template template;
	struct kt_permute order;
	struct sk_buff *pool[POOL];
	u32 at; /* in the pool: the next frame to be handed over; those of a batch stand together */
	u64 lap; /* a number whose target is the first */
	struct pace pace; /* of the next number */
	u64 due[MAX_BATCH]; /* of the batch's numbers; 0: at once */
	u32 attempts; /* of the frame that was refused last */
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
static bool make(struct flood *f, u32 i, u64 number, u64 now)
{
	struct sk_buff *skb = f->pool[i];
	u8 target[16];

	target_of(f, position(f, number), target);
	if (likely(skb && kt_tx_skb_again(f->tx, skb, f->template.len))) {
		kt_template_refill(&f->template, target, 0, number, now, skb->data);
		return true;
	}
	skb = kt_tx_skb_get(f->tx, skb, f->template.len, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	f->pool[i] = skb;
	if (!skb)
		return false;
	kt_template_fill(&f->template, target, 0, number, now, skb_put(skb, f->template.len));
	/* As kt_tx_skb_headers would find them. */
	skb->protocol = *(__be16 *)(skb->data + 12);
	skb_reset_mac_header(skb);
	skb_set_network_header(skb, (int)f->template.l3);
	skb_set_transport_header(skb, (int)f->template.l4);
	return true;
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
	c.now = kt_tx_clock(tx);
	if (!f->a.first_ns)
		f->a.first_ns = c.now;
	for (; i < n; i++) {
		if (netif_xmit_frozen_or_drv_stopped(c.txq)) {
			if (stopped)
				*stopped = true;
			else
				c.reason = ENOBUFS;
			break;
		}
		*outcome = kt_tx_hand_over(&c, &f->pool[f->at + i], i + 1 < n);
		if (*outcome != KT_TX_SENT)
			break;
	}
	f->a.last_ns = kt_tx_clock(tx);
out:
	if (c.reason)
		f->a.reason = c.reason;
	kt_tx_leave(&c);
	return i;
}

/* sent and failed probes, one after another, into the caller's counters and the context's. */
static void count(struct flood *f, u32 sent, u32 failed, u32 retries, bool locked)
{
	struct ktx_stats_abi *st = &f->tx->st;
	u64 bytes = (u64)sent * f->template.len;

	f->a.number += sent + failed;
	f->a.sent += sent;
	f->a.failed += failed;
	f->a.bytes += bytes;
	f->a.retries += retries;
	f->at += sent + failed;
	spin_lock_bh(&f->tx->lock);
	st->submitted += sent + failed;
	st->sent += sent;
	st->failed += failed;
	st->bytes += bytes;
	st->retries += retries;
	st->batches += locked;
	spin_unlock_bh(&f->tx->lock);
}

/*
 * The frame that is first now was refused. Is it tried again? What a driver took and dropped is written anew. Returns how
 * many were given up.
 */
static u32 try_again(struct flood *f, u64 now)
{
	if (++f->attempts < max(f->a.max_attempts, 1u) && make(f, f->at, f->a.number, now)) {
		count(f, 0, 0, 1, false);
		return 0;
	}
	f->attempts = 0;
	count(f, 0, 1, 0, false);
	return 1;
}

/* Launches n prepared frames until each has been sent or has failed. 0, -EINTR, or an error that ends everything. */
static int launch(struct flood *f, u32 n, u64 now)
{
	bool patient = true;

	f->attempts = 0;
	while (n) {
		enum kt_tx_outcome outcome;
		bool stopped = false;
		u32 sent = hand_over_all(f, n, patient ? &stopped : NULL, &outcome);

		if (sent)
			f->attempts = 0;
		n -= sent;
		count(f, sent, 0, 0, true);
		if (outcome == KT_TX_FATAL) {
			count(f, 0, n, 0, false);
			return -f->a.reason;
		}
		patient = !stopped || kt_tx_await_queue(f->tx);
		if (n && !stopped)
			n -= try_again(f, now);
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

/* How many to make now: a batch, what is left, and of a paced flood what is due. Their times are in due. */
static u32 next_batch(struct flood *f, u64 now)
{
	u32 n = (u32)min_t(u64, f->a.rate_batch, f->a.count - f->a.number), i;

	if (!f->a.interval_num)
		return n;
	for (i = 0; i < n && (!i || f->pace.ns <= now); i++) {
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
	u64 now;
	u32 n;

	if (f->a.interval_num && !await(f, f->pace.ns))
		return -EINTR;
	now = kt_tx_clock(f->tx);
	n = next_batch(f, now);
	find_buffers(f, n);
	for (u32 i = 0; i < n; i++)
		if (!make(f, f->at + i, f->a.number + i, f->due[i] ? f->due[i] : now))
			return -ENOMEM;
	return launch(f, n, now);
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
	if (a->flags || a->reserved || a->reserved2 || a->permute > 1 || a->rate_batch > MAX_BATCH || !a->n_targets)
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

static void put_pool(struct flood *f)
{
	for (u32 i = 0; i < POOL; i++)
		consume_skb(f->pool[i]);
}

int kt_tx_flood(struct ktx *tx, struct ktx_flood_abi *a)
{
	struct kt_charge charge = {};
	struct flood *f = NULL;
	u8 *frame = NULL;
	int r = check(a, tx);

	if (r)
		return r;
	r = kt_charge_add(&charge, sizeof(*f) + KT_TEMPLATE_MAX_FRAME + POOL * kt_tx_skb_bytes(tx, a->pattern_len));
	if (r)
		goto out;
	f = kvzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	frame = kvmalloc(KT_TEMPLATE_MAX_FRAME, GFP_KERNEL_ACCOUNT);
	r = -ENOMEM;
	if (!f || !frame)
		goto out;
	f->tx = tx;
	f->a = *a;
	r = prepare(f, frame);
	if (r)
		goto out;
	r = run(f);
	*a = f->a;
	put_pool(f);
out:
	kvfree(frame);
	kvfree(f);
	kt_charge_drop(&charge);
	return r;
}

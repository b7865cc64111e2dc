/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The emulated link of core/link.h. One function for each decision, in the
 * order in which a packet meets them.
 */
#include "link.h"

#include "hash.h"
#include "pace.h"

#define LINK_HEADER_BYTES 14u
#define MAX_LEN (1u << 28)

/* One random stream for each decision, so that none disturbs another. */
enum purpose {
	LOSS = 1,
	HOLD,
	DELAY,
	DUPLICATE,
	CORRUPT,
};

static u64 add_sat(u64 a, u64 b)
{
	return a + b < a ? ~0ull : a + b;
}

/* State of the stream of one decision about one packet; base is the packet's own random number. */
static u64 stream(u64 base, enum purpose purpose)
{
	return base ^ kt_hash_mix64(purpose);
}

/* A random number below n, or 0; each as likely as another up to 2^-64 * n. */
static u64 below(u64 *rng, u64 n)
{
	u64 r = kt_hash_next(rng), hi = r >> 32, lo = (u32)r, nh = n >> 32, nl = (u32)n;
	u64 mid = hi * nl + ((lo * nl) >> 32);
	u64 mid2 = lo * nh + (u32)mid;

	return hi * nh + (mid >> 32) + (mid2 >> 32);
}

static bool happens(u64 base, enum purpose purpose, u32 ppb)
{
	u64 rng;

	if (!ppb)
		return false;
	rng = stream(base, purpose);
	return below(&rng, KT_LINK_PPB) < ppb;
}

static const char *why_not(const struct kt_link_opts *o, u32 n_slots)
{
	const u32 ppb[] = { o->loss_ppb, o->loss_burst_ppb, o->hold_ppb, o->duplicate_ppb, o->corrupt_ppb };

	for (u32 i = 0; i < KT_ARRAY_LEN(ppb); i++) {
		if (ppb[i] > KT_LINK_PPB)
			return "a probability must be at most 1";
	}
	if (o->delay_ns > KT_LINK_MAX_NS || o->jitter_ns > KT_LINK_MAX_NS || o->hold_ns > KT_LINK_MAX_NS)
		return "delay, jitter and hold must be at most 2^57 ns";
	if (o->rate_bps > KT_LINK_MAX_BPS)
		return "the rate must be at most 10^18 bits per second";
	if (o->overhead_bytes > KT_LINK_MAX_OVERHEAD)
		return "the overhead must be at most 65536 bytes per packet";
	if (o->delay_kind > KT_DELAY_EXPONENTIAL)
		return "no such kind of delay";
	if (o->delay_kind == KT_DELAY_CONSTANT && o->jitter_ns)
		return "a constant delay has no jitter: uniform and exponential ones do";
	if (o->hold_ppb && !o->hold_ns)
		return "packets cannot be held for no time";
	if (o->loss_burst_ppb && !o->loss_ppb)
		return "bursts of loss need a chance to begin";
	if ((o->room_bytes || o->room_pkts) && !o->rate_bps)
		return "room is for packets that wait for the transmitter: it needs a rate";
	if ((o->room_bytes || o->room_pkts) && !n_slots)
		return "a queue with a limit needs memory";
	if (o->room_pkts > n_slots)
		return "the queue's memory is too small for so many packets";
	return n_slots & (n_slots - 1) ? "the number of slots must be a power of two" : NULL;
}

int kt_link_init(struct kt_link *l, const struct kt_link_opts *o, struct kt_link_slot *slots, u32 n_slots,
		 const char **why)
{
	const char *bad = why_not(o, n_slots);

	memset(l, 0, sizeof(*l));
	if (bad) {
		if (why)
			*why = bad;
		return -EINVAL;
	}
	l->o = *o;
	l->slots = slots;
	l->n_slots = n_slots;
	l->rng = o->seed;
	return 0;
}

static bool lose(struct kt_link *l, u64 base)
{
	u32 ppb = l->in_loss && l->o.loss_burst_ppb ? l->o.loss_burst_ppb : l->o.loss_ppb;

	l->in_loss = happens(base, LOSS, ppb);
	return l->in_loss;
}

/* Lets go of the packets whose transmission has begun; is there room for one more? */
static bool has_room(struct kt_link *l, u64 now, u32 len)
{
	while (l->first != l->last) {
		struct kt_link_slot *s = &l->slots[l->first & (l->n_slots - 1)];

		if (s->gone_ns > now)
			break;
		l->queued_bytes -= s->bytes;
		l->first++;
	}
	if (l->free_ns <= now || !l->n_slots)
		return true; /* does not wait, or nobody looks at how many do */
	if (l->last - l->first >= (l->o.room_pkts ? l->o.room_pkts : l->n_slots))
		return false;
	return !l->o.room_bytes || l->queued_bytes + len <= l->o.room_bytes;
}

/* Takes its turn at the transmitter; returns when its last bit has left. */
static u64 transmit(struct kt_link *l, u64 now, u32 len)
{
	u64 bits_ns = ((u64)len + l->o.overhead_bytes) * 8 * KT_NSEC_PER_SEC;

	if (!l->o.rate_bps)
		return now;
	if (l->free_ns <= now) {
		/* The fraction of a ns for which it was still busy does not move a packet that came behind it. */
		if (l->free_ns < now)
			l->frac = 0;
		l->free_ns = now;
	} else if (l->n_slots) {
		struct kt_link_slot *s = &l->slots[l->last++ & (l->n_slots - 1)];

		s->gone_ns = l->free_ns;
		s->bytes = len;
		l->queued_bytes += len;
	}
	l->free_ns = add_sat(l->free_ns, kt_div_rem(bits_ns + l->frac, l->o.rate_bps, &l->frac));
	return l->free_ns;
}

static u64 delay(const struct kt_link *l, u64 base)
{
	u64 rng = stream(base, DELAY);

	switch (l->o.delay_kind) {
	case KT_DELAY_UNIFORM:
		return l->o.delay_ns + below(&rng, l->o.jitter_ns + 1);
	case KT_DELAY_EXPONENTIAL:
		return add_sat(l->o.delay_ns, kt_pace_exponential(&rng, l->o.jitter_ns));
	default:
		return l->o.delay_ns;
	}
}

static void corrupt(struct kt_link *l, u64 base, u32 len, struct kt_link_verdict *v)
{
	u64 rng = stream(base, CORRUPT);

	if (len <= LINK_HEADER_BYTES || !happens(base, CORRUPT, l->o.corrupt_ppb))
		return;
	kt_hash_next(&rng); /* that one decided whether */
	v->corrupt = true;
	v->corrupt_bit = LINK_HEADER_BYTES * 8 + (u32)below(&rng, (u64)(len - LINK_HEADER_BYTES) * 8);
	l->stats.corrupted_pkts++;
}

static void depart(struct kt_link *l, u64 now, u32 len, u64 base, struct kt_link_verdict *v)
{
	v->held = happens(base, HOLD, l->o.hold_ppb);
	v->depart_ns = add_sat(transmit(l, now, len), delay(l, base));
	if (v->held) {
		v->depart_ns = add_sat(v->depart_ns, l->o.hold_ns);
		l->stats.held_pkts++;
	} else {
		if (l->o.keep_order && v->depart_ns < l->last_depart_ns)
			v->depart_ns = l->last_depart_ns;
		l->last_depart_ns = v->depart_ns;
	}
	v->duplicate = happens(base, DUPLICATE, l->o.duplicate_ppb);
	l->stats.duplicated_pkts += v->duplicate;
	corrupt(l, base, len, v);
	l->stats.departed_pkts++;
}

void kt_link_pass(struct kt_link *l, u64 now_ns, u32 len, struct kt_link_verdict *v)
{
	u64 base = kt_hash_next(&l->rng);

	memset(v, 0, sizeof(*v));
	if (now_ns < l->arrive_ns)
		now_ns = l->arrive_ns;
	if (len >= MAX_LEN)
		len = MAX_LEN - 1;
	l->arrive_ns = now_ns;
	l->stats.seen_pkts++;
	l->stats.seen_bytes += len;
	if (lose(l, base)) {
		v->fate = KT_LINK_LOST;
		l->stats.lost_pkts++;
	} else if (!has_room(l, now_ns, len)) {
		v->fate = KT_LINK_NO_ROOM;
		l->stats.no_room_pkts++;
	} else {
		depart(l, now_ns, len, base, v);
	}
}

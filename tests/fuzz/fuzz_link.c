/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Fuzzes the emulated link: an input is its options and a series of packets.
 * Whatever they are: nothing departs before it came, everything is accounted
 * for, and the same run again gives the same verdicts.
 */
#include <stdlib.h>

#include "../../core/link.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* A trap keeps the line in the sanitizer's report. */
#define PROMISE(cond) \
	do { \
		if (!(cond)) \
			__builtin_trap(); \
	} while (0)

struct input {
	const u8 *at;
	const u8 *end;
};

static u64 number(struct input *in, u32 bytes)
{
	u64 v = 0;

	while (bytes-- && in->at < in->end)
		v = v << 8 | *in->at++;
	return v;
}

static u32 ppb(struct input *in)
{
	u32 v = (u32)number(in, 2);

	return v & 0x8000 ? v * 40000u : v; /* large, small, and more than 1 */
}

/* 0 to 2^63 and beyond, small ones more often. */
static u64 any(struct input *in)
{
	u32 bits = (u32)number(in, 1) % 65;

	return bits ? number(in, 8) >> (64 - bits) : 0;
}

static struct kt_link_opts options(struct input *in)
{
	struct kt_link_opts o = { 0 };
	u32 flags = (u32)number(in, 2);

	if (flags & 1)
		o.loss_ppb = ppb(in);
	if (flags & 2)
		o.loss_burst_ppb = ppb(in);
	if (flags & 4)
		o.hold_ppb = ppb(in), o.hold_ns = any(in);
	if (flags & 8)
		o.room_bytes = any(in);
	if (flags & 16)
		o.room_pkts = (u32)number(in, 1);
	if (flags & 32)
		o.rate_bps = any(in);
	if (flags & 64)
		o.overhead_bytes = (u32)number(in, 3);
	if (flags & 128)
		o.duplicate_ppb = ppb(in);
	if (flags & 256)
		o.corrupt_ppb = ppb(in);
	if (flags & 512)
		o.delay_kind = (enum kt_link_delay)(number(in, 1) % 4), o.jitter_ns = any(in);
	if (flags & 1024)
		o.delay_ns = any(in);
	o.keep_order = flags & 2048;
	o.seed = number(in, 1);
	return o;
}

static void check_verdict(const struct kt_link *l, const struct kt_link_verdict *v, u64 arrived, u32 len, u64 last)
{
	const struct kt_link_stats *s = &l->stats;

	PROMISE(s->seen_pkts == s->departed_pkts + s->lost_pkts + s->no_room_pkts);
	if (v->fate != KT_LINK_DEPARTS) {
		PROMISE(!v->duplicate && !v->held && !v->corrupt && !v->depart_ns);
		PROMISE(v->fate != KT_LINK_LOST || l->o.loss_ppb);
		PROMISE(v->fate != KT_LINK_NO_ROOM || l->n_slots);
		return;
	}
	PROMISE(v->depart_ns >= arrived);
	PROMISE(v->depart_ns - arrived >= l->o.delay_ns || v->depart_ns == ~0ull);
	PROMISE(!l->o.keep_order || v->held || v->depart_ns >= last);
	if (v->corrupt)
		PROMISE(v->corrupt_bit >= 14 * 8 && v->corrupt_bit < 8ull * len);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct input in = { data, data + size };
	struct kt_link_opts o = options(&in);
	u32 n_slots = (u32)number(&in, 1) % 40;
	struct kt_link_slot *slots = calloc(n_slots ? n_slots : 1, sizeof(*slots));
	struct kt_link_slot *slots2 = calloc(n_slots ? n_slots : 1, sizeof(*slots));
	struct kt_link l, again;
	struct kt_link_verdict v, v2;
	const char *why = NULL;
	u64 now = any(&in), arrived = 0, last = 0;
	int ret = kt_link_init(&l, &o, slots, n_slots, &why);

	PROMISE(slots && slots2);
	PROMISE(ret ? ret == -EINVAL && why : !why);
	PROMISE(kt_link_init(&again, &o, slots2, n_slots, NULL) == ret);
	while (!ret && in.at < in.end) {
		u32 len = (u32)number(&in, 2);
		u64 step = any(&in);

		now += step; /* may wrap: then time goes back */
		arrived = now > arrived ? now : arrived;
		kt_link_pass(&l, now, len, &v);
		kt_link_pass(&again, now, len, &v2);
		PROMISE(!memcmp(&v, &v2, sizeof(v)));
		check_verdict(&l, &v, arrived, len, last);
		if (v.fate == KT_LINK_DEPARTS && !v.held)
			last = v.depart_ns;
		PROMISE(l.last - l.first <= n_slots);
		PROMISE(l.last != l.first || !l.queued_bytes);
		PROMISE(!o.room_bytes || l.queued_bytes <= o.room_bytes);
		PROMISE(!o.room_pkts || l.last - l.first <= o.room_pkts);
	}
	free(slots2);
	free(slots);
	return 0;
}

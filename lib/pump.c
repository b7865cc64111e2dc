/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The pump: from the engine, through the rules, into the ring. Each frame ends
 * in exactly one of delivered, dropped, passed and lost.
 */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../core/classify.h"
#include "../core/judge.h"
#include "../core/packet.h"
#include "../core/rewrite.h"
#include "../core/slice.h"
#include "pcapfilter.h"
#include "receiver.h"

#define PUMP_ROUNDS 16 /* batches per call, so that a flood does not keep a listener waiting */

/* One batch: the frames, what they are, and which rule each met. */
struct batch {
	struct kt_rxframe frames[KT_PUMP_BATCH];
	struct kt_packet packets[KT_PUMP_BATCH];
	struct kt_flow flows[KT_PUMP_BATCH];
	u32 rule[KT_PUMP_BATCH]; /* index + 1, 0 none */
	u8 verdict[KT_PUMP_BATCH];
};

/* The first rule from start on that matches and whose quota is not used up. */
static u32 skip_exhausted(const struct kt_rule_set *set, const struct kt_flow *flow, u32 rule)
{
	while (rule) {
		u64 quota = set->classifier->rules[rule - 1].action.quota_pkts;

		if (kt_quota_left(quota, set->state[rule - 1].used))
			break;
		rule = kt_classify(&set->classifier->image, flow, rule);
	}
	return rule;
}

static void judge(struct krx *rx, struct batch *b, u32 n)
{
	struct kt_rule_set *set = rx->set;

	for (u32 i = 0; i < n; i++) {
		struct kt_rxframe *f = &b->frames[i];

		kt_packet_parse(&b->packets[i], f->data, f->caplen, f->wirelen);
		b->flows[i] = b->packets[i].flow;
		b->flows[i].ifindex = f->ifindex;
		rx->stats.malformed += !!(b->packets[i].flags & KT_PKT_MALFORMED);
	}
	kt_classify_batch(&set->classifier->image, b->flows, n, b->rule);
}

/* Is it among what goes into the ring? What begins inside a frame matches no filter. */
static bool wanted(const struct krx *rx, const struct kt_rxframe *f)
{
	return !rx->wanted || (!f->slice_off && kt_pcapfilter_match(rx->wanted, f->data, f->caplen, f->wirelen));
}

/* Puts one frame, or the slice of it, into the ring. */
static void deliver(struct krx *rx, const struct kt_rxframe *f, u32 off, u32 bytes, const u8 *data, u8 op, u32 rule_id,
		    u32 tag)
{
	struct kt_record *rec = kt_ring_reserve(&rx->ring, bytes, NULL);

	if (!rec) {
		rx->stats.lost_ring++; /* the host still gets it, or not, as the rule says */
		return;
	}
	rec->flags = f->flags;
	rec->clock = f->clock;
	rec->op = op;
	rec->wirelen = f->wirelen;
	rec->stamp_ns = f->stamp_ns;
	rec->ifindex = f->ifindex;
	rec->tag = tag;
	rec->rule_id = rule_id;
	rec->slice_off = off;
	rec->lost_before = (u32)rx->stats.lost_ring;
	memcpy(rec + 1, data, bytes);
	kt_ring_submit(&rx->ring);
	rx->stats.delivered++;
}

/* Sends a frame on: rewritten, and out of another interface if the rule says so. False if that failed. */
static bool forward(struct krx *rx, struct kt_rxframe *f, const struct kt_packet *p, const struct kt_action *a)
{
	const struct kt_engine *e = rx->port->engine;

	if (a->rewrite.flags)
		kt_rewrite_apply(f->data, p, &a->rewrite);
	if (!a->out_ifindex)
		return true;
	if (!e->rx_forward || e->rx_forward(rx->port, a->out_ifindex, f->data, f->caplen))
		return false;
	rx->stats.forwarded++;
	return true;
}

static void count_undelivered(struct krx_stats *stats, enum kt_fate fate)
{
	stats->passed += fate == KT_FATE_PASSED;
	stats->dropped += fate == KT_FATE_DROPPED;
	stats->lost_error += fate == KT_FATE_LOST_ERROR;
}

/* Carries out the rule that a frame met; returns the verdict for the host. */
static u8 act(struct krx *rx, struct kt_rxframe *f, const struct kt_packet *p, u32 rule)
{
	struct kt_rule_set *set = rx->set;
	const struct kt_rule *r;
	struct kt_rule_state *st;
	bool captured = false, forwarded = true;

	if (!rule) {
		rx->stats.passed++;
		return KT_OP_FORWARD;
	}
	r = &set->classifier->rules[rule - 1];
	st = &set->state[rule - 1];
	st->count.pkts++;
	st->count.bytes += f->wirelen;
	st->used++;
	if (kt_op_captures(r->action.op)) {
		if (!st->sample && wanted(rx, f)) {
			struct kt_slice s = kt_slice_of(p, r->action.slice_base, r->action.slice_off,
							r->action.slice_bytes, f->caplen);

			captured = true;
			deliver(rx, f, s.off, s.bytes, f->data + s.off, r->action.op, r->id, r->action.tag);
		}
		if (++st->sample >= r->action.sample_n)
			st->sample = 0;
	}
	if (kt_op_handles(r->action.op, r->action.rewrite.flags, r->action.out_ifindex))
		forwarded = forward(rx, f, p, &r->action);
	if (!captured)
		count_undelivered(&rx->stats, kt_fate_undelivered(r->action.op, forwarded));
	return forwarded && kt_op_passes(r->action.op) && !r->action.out_ifindex ? KT_OP_FORWARD : KT_OP_DROP;
}

/* Frames that the engine has judged already go straight into the ring. */
static void take_judged(struct krx *rx, const struct kt_rxframe *f, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		if (wanted(rx, &f[i]))
			deliver(rx, &f[i], f[i].slice_off, f[i].caplen, f[i].data, f[i].op, f[i].rule_id, f[i].tag);
		else if (f[i].op == KT_OP_CAPTURE)
			rx->stats.passed++;
		else
			rx->stats.dropped++;
	}
}

static int pump_batch(struct krx *rx, struct batch *b)
{
	const struct kt_engine *e = rx->port->engine;
	int n = e->rx_peek(rx->port, b->frames, KT_PUMP_BATCH);

	if (n <= 0)
		return n;
	for (int i = 0; i < n; i++) {
		rx->stats.seen++;
		rx->stats.seen_bytes += b->frames[i].wirelen;
		rx->stats.merged += !!(b->frames[i].flags & KT_RECORD_MERGED);
	}
	if (e->rx_rules) {
		take_judged(rx, b->frames, (u32)n);
		memset(b->verdict, KT_OP_FORWARD, (size_t)n);
	} else {
		judge(rx, b, (u32)n);
		for (int i = 0; i < n; i++) {
			u32 rule = b->rule[i];

			if (rx->set->any_quota)
				rule = skip_exhausted(rx->set, &b->flows[i], rule);
			b->verdict[i] = act(rx, &b->frames[i], &b->packets[i], rule);
		}
	}
	e->rx_release(rx->port, b->verdict, (u32)n);
	return n;
}

void kt_rx_want(struct krx *rx, const struct kt_pcapfilter *filter)
{
	pthread_mutex_lock(&rx->pump_lock);
	rx->wanted = filter;
	pthread_mutex_unlock(&rx->pump_lock);
}

void kt_rx_wake(struct krx *rx)
{
	u64 one = 1;

	pthread_mutex_lock(&rx->listen_lock);
	rx->moved++;
	if (rx->n_waiting)
		pthread_cond_broadcast(&rx->news);
	pthread_mutex_unlock(&rx->listen_lock);
	if (rx->wake_fd >= 0 && write(rx->wake_fd, &one, sizeof(one)) < 0) {
		/* EAGAIN: the counter is full, so whoever polls it is awake already */
	}
	if (rx->share)
		kt_share_wake(rx);
}

int kt_rx_pump(struct krx *rx)
{
	static _Thread_local struct batch b;
	u64 before;
	int total = 0, n = 0, state;
	bool moved;

	pthread_mutex_lock(&rx->pump_lock);
	before = rx->stats.delivered;
	for (int round = 0; round < PUMP_ROUNDS; round++) {
		n = pump_batch(rx, &b);
		if (n <= 0)
			break;
		total += n;
	}
	state = n < 0 ? n : 0;
	moved = rx->stats.delivered != before;
	if (rx->port->engine->rx_ring) {
		u32 head = kt_load_acquire(&rx->mem.shared->head);

		moved = head != rx->head_seen;
		rx->head_seen = head;
		total = moved;
	}
	if (moved || state != rx->state) {
		rx->state = state;
		kt_rx_wake(rx);
	}
	pthread_mutex_unlock(&rx->pump_lock);
	return total ? total : n;
}

bool kt_rx_begin_pumping(struct krx *rx)
{
	bool mine;

	if (rx->has_thread)
		return false;
	pthread_mutex_lock(&rx->listen_lock);
	mine = !rx->pumping;
	rx->pumping = true;
	pthread_mutex_unlock(&rx->listen_lock);
	return mine;
}

void kt_rx_end_pumping(struct krx *rx)
{
	pthread_mutex_lock(&rx->listen_lock);
	rx->pumping = false;
	rx->moved++; /* one of those who wait takes over */
	if (rx->n_waiting)
		pthread_cond_broadcast(&rx->news);
	pthread_mutex_unlock(&rx->listen_lock);
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Listeners: each reads the ring at its own pace. A lossless one reads in
 * place and holds the ring; a lossy one reads from a copy that is checked
 * for having been overwritten meanwhile.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "receiver.h"

#define WAIT_SLICE_NS 20000000u /* how long one waits for another thread's pump before asking again */

static int join_local(struct krx_listener *l, struct krx *rx, struct ktrxer_err *err)
{
	int n = kt_rx_join(rx, l->lossless);

	if (n == -ENOSPC)
		return kt_err(err, -n, "%u programs listen already; that is all there is room for",
			      KT_RING_MAX_CURSORS);
	if (n < 0)
		return kt_err(err, -n, "cannot listen: %s", strerror(-n));
	l->cursor = (u32)n;
	return kt_ring_reader_init(&l->reader, rx->mem.shared, rx->mem.cursors, rx->mem.data, l->cursor);
}

KTRXER_API int krx_listen(struct krx_listener **out, struct krx *rx, const struct krx_listen_opts *opts,
			  struct ktrxer_err *err)
{
	struct krx_listener *l;
	int ret;

	*out = NULL;
	if (opts && opts->sz > sizeof(*opts))
		return kt_err(err, EINVAL, "options are of a newer version of the library");
	l = calloc(1, sizeof(*l));
	if (!l)
		return kt_err(err, ENOMEM, "no memory for a listener");
	l->rx = rx;
	l->wake_fd = -1;
	l->mem.ring_fd = l->mem.cursor_fd = -1;
	l->lossless = opts && opts->lossless;
	ret = rx->remote ? kt_remote_listen(l, rx, err) : join_local(l, rx, err);
	if (ret) {
		free(l);
		return ret;
	}
	*out = l;
	return 0;
}

KTRXER_API void krx_unlisten(struct krx_listener *l)
{
	if (!l)
		return;
	if (l->rx->remote) {
		kt_remote_unlisten(l);
	} else {
		pthread_mutex_lock(&l->rx->pump_lock);
		kt_rx_leave(l->rx, l->cursor);
		pthread_mutex_unlock(&l->rx->pump_lock);
	}
	free(l->copy);
	free(l);
}

/* A lossy listener's own copy of the record at data. False if it was overwritten while it was copied. */
static bool copy_record(struct krx_listener *l, const u8 *data)
{
	if (l->hdr.caplen > l->copy_bytes) {
		u8 *bigger = realloc(l->copy, l->hdr.caplen);

		if (!bigger)
			return false; /* counted as lost, as one that came too fast */
		l->copy = bigger;
		l->copy_bytes = l->hdr.caplen;
	}
	kt_ring_copy(l->copy, data, l->hdr.caplen);
	return kt_ring_valid(&l->reader);
}

static void fill_packet(struct krx_packet *p, const struct kt_record *r, const u8 *data)
{
	*p = (struct krx_packet){
		.data = data,
		.caplen = r->caplen,
		.wirelen = r->wirelen,
		.slice_off = r->slice_off,
		.stamp_ns = r->stamp_ns,
		.clock = (enum ktrxer_clock)r->clock,
		.seq = r->seq,
		.ifindex = r->ifindex,
		.rule_id = r->rule_id,
		.tag = r->tag,
		.op = (enum krx_op)r->op,
		.outgoing = r->flags & KT_RECORD_OUTGOING,
		.truncated = r->flags & KT_RECORD_TRUNCATED,
		.merged = r->flags & KT_RECORD_MERGED,
		.checksum_fixed = r->flags & KT_RECORD_CSUM_FIXED,
		.lost_before = r->lost_before,
	};
}

/* The next record, if there is one. */
static bool take(struct krx_listener *l, struct krx_packet *p)
{
	const u8 *data;

	if (l->holding) {
		kt_ring_release(&l->reader, &l->hdr, true);
		l->holding = false;
	}
	while ((data = kt_ring_peek(&l->reader, &l->hdr))) {
		bool ok = true;

		if (!l->lossless) {
			ok = copy_record(l, data);
			kt_ring_release(&l->reader, &l->hdr, ok);
			data = l->copy;
		}
		if (!ok)
			continue;
		l->holding = l->lossless;
		l->delivered++;
		fill_packet(p, &l->hdr, data);
		return true;
	}
	return false;
}

/* Somebody else pumps: wait for news of the ring, a slice of time at most. */
static void wait_for_news(struct krx *rx, u32 seen, u64 until)
{
	u64 now = kt_clock_now(KTRXER_CLOCK_MONOTONIC), left, port_now = kt_port_now(rx->port);
	struct timespec ts;

	left = until > port_now ? until - port_now : 0;
	if (left > WAIT_SLICE_NS)
		left = WAIT_SLICE_NS;
	ts = kt_ns_timespec(now + left);
	pthread_mutex_lock(&rx->listen_lock);
	rx->n_waiting++;
	while (rx->moved == seen)
		if (pthread_cond_timedwait(&rx->news, &rx->listen_lock, &ts) == ETIMEDOUT)
			break;
	rx->n_waiting--;
	pthread_mutex_unlock(&rx->listen_lock);
}

static u32 moved_count(struct krx *rx)
{
	u32 moved;

	pthread_mutex_lock(&rx->listen_lock);
	moved = rx->moved;
	pthread_mutex_unlock(&rx->listen_lock);
	return moved;
}

static int state_of(struct krx *rx)
{
	int state;

	pthread_mutex_lock(&rx->pump_lock);
	state = rx->state;
	pthread_mutex_unlock(&rx->pump_lock);
	return state;
}

/* One look at what there is, and if need be one wait. 1, 0 nothing yet, -ETIMEDOUT, or -errno. */
static int look(struct krx_listener *l, struct krx_packet *p, u64 until, bool pumping, u32 moved)
{
	struct krx *rx = l->rx;
	int ret = pumping ? kt_rx_pump(rx) : rx->has_thread ? state_of(rx) : 0;

	if (take(l, p))
		return 1;
	if (ret < 0)
		return ret;
	if (kt_port_now(rx->port) >= until)
		return -ETIMEDOUT; /* also when packets keep coming, but none for us */
	if (ret > 0)
		return 0;
	if (pumping) {
		ret = rx->port->engine->rx_wait(rx->port, until);
		return ret < 0 ? ret : 0;
	}
	wait_for_news(rx, moved, until);
	return 0;
}

/* 1, 0 when time is up, or -errno. */
static int next_local(struct krx_listener *l, struct krx_packet *p, u64 until)
{
	for (;;) {
		u32 moved = moved_count(l->rx);
		bool pumping = kt_rx_begin_pumping(l->rx);
		int ret = look(l, p, until, pumping, moved);

		if (pumping)
			kt_rx_end_pumping(l->rx);
		if (ret)
			return ret == -ETIMEDOUT || ret == -EINTR ? 0 : ret;
	}
}

/* Why nothing more can be heard, for krx_why(). */
static int no_more(struct krx *rx, int ret)
{
	if (rx->remote)
		return kt_rx_err(rx, -ret, ret == -EPIPE ? "the process that shares this receiver is gone" : "%s",
				 strerror(-ret));
	if (ret == -ENODEV)
		return kt_rx_err(rx, ENODEV, "interface \"%s\" went away", rx->port->ifname);
	if (ret == -ENETDOWN)
		return kt_rx_err(rx, ENETDOWN, "interface \"%s\" is down", rx->port->ifname);
	return kt_rx_err(rx, -ret, "%s", strerror(-ret));
}

static int next(struct krx_listener *l, struct krx_packet *p, u64 timeout_ns)
{
	u64 now, until;
	int ret;

	if (take(l, p))
		return 1;
	if (l->rx->remote) {
		now = kt_clock_now(KTRXER_CLOCK_MONOTONIC);
		until = now + timeout_ns < now ? UINT64_MAX : now + timeout_ns;
		do {
			ret = kt_remote_wait(l, until);
			if (take(l, p))
				return 1;
		} while (ret > 0 && kt_clock_now(KTRXER_CLOCK_MONOTONIC) < until); /* however often it wakes us */
		return ret > 0 ? 0 : ret;
	}
	now = kt_port_now(l->rx->port);
	return next_local(l, p, now + timeout_ns < now ? UINT64_MAX : now + timeout_ns);
}

KTRXER_API int krx_next(struct krx_listener *l, struct krx_packet *p, uint64_t timeout_ns)
{
	int ret = next(l, p, timeout_ns);

	return ret < 0 ? no_more(l->rx, ret) : ret;
}

KTRXER_API int krx_listener_get_stats(struct krx_listener *l, struct krx_listener_stats *stats)
{
	const struct kt_ring_cursor *c = l->reader.cursor;

	*stats = (struct krx_listener_stats){
		.delivered = l->delivered,
		.lost_overrun = l->reader.lost,
		.held = kt_ring_held(c),
		.unread_bytes = kt_ring_unread_bytes(&l->reader),
	};
	return 0;
}

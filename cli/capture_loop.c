/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer capture: the loop that serves the listeners until the end. */
#include "capture.h"

#include <time.h>

#include "meta.h"
#include "signals.h"
#include "status.h"

#define BURST 256 /* packets of one listener before the next has its turn */
#define NAP_NS 50000000ull /* how long an interrupt may go unnoticed */
#define DRAIN_MAX (1u << 20)
#define FLUSH_NS 200000000ull /* while packets keep coming, files are brought out this often */

static bool complete(const struct capture *cap)
{
	return cap->c->count && cap->stream[0].packets >= cap->c->count;
}

static void nap(u64 ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / KT_NSEC_PER_SEC), .tv_nsec = (long)(ns % KT_NSEC_PER_SEC) };

	nanosleep(&t, NULL);
}

enum { STOP = 1 << 20 };

/* One turn of a stream. Returns the packets read, -errno of the receiver, or STOP + exit code. */

static int turn(struct capture *cap, struct stream *s, u64 wait_ns)
{
	struct krx_packet p;
	int n = 0;

	while (n < BURST && (s != &cap->stream[0] || !complete(cap))) {
		int r = krx_next(s->listener, &p, n ? 0 : wait_ns);

		if (r <= 0)
			return r < 0 && !n ? r : n;
		n++;
		if (s == &cap->stream[0])
			cap->last_seq = p.seq;
		r = stream_take(s, cap, &p);
		if (r)
			return STOP + r;
		if (cap->out->err)
			return STOP + out_check(cap->out);
	}
	return n;
}

static int flush_all(struct capture *cap)
{
	int r = CLI_OK;

	for (unsigned int i = 0; !r && i < cap->n_streams; i++)
		r = stream_flush(&cap->stream[i]);
	if (!r && out_flush(cap->out))
		r = out_check(cap->out);
	return r;
}

/* What a receiver's error means: CLI_OK goes on. */
static int receiver_failed(struct capture *cap, int error, bool *end)
{
	switch (error) {
	case -EINTR:
	case -EAGAIN:
		return CLI_OK;
	case -ENETDOWN: /* it may come up again */
		return CLI_OK;
	case -EPIPE:
		*end = true;
		if (!cap->c->common.quiet)
			cli_warn("the process that shared the receiver has ended");
		return CLI_OK;
	case -ENODEV:
		return cli_fail(CLI_FAILURE, "the interface %s is gone", cap->ifname);
	default:
		return cli_fail(cli_exit_for(error), "%s", krx_why(cap->rx));
	}
}

/* All streams one turn each. Returns an exit code; *idle: nothing was waiting. */
static int round_of(struct capture *cap, bool *idle, bool *end)
{
	int total = 0;

	for (unsigned int i = 0; i < cap->n_streams; i++) {
		int n = turn(cap, &cap->stream[i], 0);

		if (n >= STOP)
			return n - STOP;
		if (n > 0)
			total += n;
		if (n < 0) {
			int r = receiver_failed(cap, n, end);

			if (r || *end)
				return r;
		}
	}
	*idle = !total;
	return CLI_OK;
}

static int wait_for_more(struct capture *cap, u64 wait_ns, bool *end)
{
	int n = turn(cap, &cap->stream[0], wait_ns);

	if (n >= STOP)
		return n - STOP;
	/* A device that is down answers at once. */
	if (n == -ENETDOWN)
		nap(wait_ns);
	return n < 0 ? receiver_failed(cap, n, end) : CLI_OK;
}

static int ticks(struct capture *cap, u64 now_ns)
{
	int r = CLI_OK;

	for (unsigned int i = 0; !r && i < cap->n_streams; i++)
		r = stream_tick(&cap->stream[i], cap, now_ns);
	if (cap->port)
		downs_watch(&cap->downs, cap->port, cap->ifname, cap->c->common.quiet);
	if (status_due())
		capture_status(cap);
	return r;
}

/*
 * What is in the ring when the end comes belongs to the capture. Ended by --count, the other listeners get up to
 * the packet that was the last; else bounded, since packets may keep coming.
 */
static int drain(struct capture *cap)
{
	u64 last = complete(cap) ? cap->last_seq : UINT64_MAX;
	struct krx_packet p;
	int r = CLI_OK;

	for (unsigned int i = 0; !r && i < cap->n_streams; i++) {
		struct stream *s = &cap->stream[i];

		if (!i && complete(cap))
			continue;
		for (u32 k = 0; !r && k < DRAIN_MAX && krx_next(s->listener, &p, 0) > 0 && p.seq <= last; k++)
			if (i || !complete(cap))
				r = stream_take(s, cap, &p);
	}
	return r;
}

int capture_loop(struct capture *cap)
{
	u64 end_ns = cap->c->duration ? cap->start_ns + cap->c->duration : UINT64_MAX, flushed_ns = cap->start_ns;
	bool end = false;
	int r = CLI_OK;

	while (!r && !end && !complete(cap)) {
		u64 now_ns = meta_now(), left = end_ns > now_ns ? end_ns - now_ns : 0;
		bool idle = false;

		if (interrupted()) {
			cap->ended_early = true;
			break;
		}
		if (!left)
			break;
		r = round_of(cap, &idle, &end);
		if (!r && (idle || now_ns - flushed_ns >= FLUSH_NS)) {
			r = flush_all(cap);
			flushed_ns = now_ns;
		}
		if (!r)
			r = ticks(cap, now_ns);
		if (!r && idle && !end)
			r = wait_for_more(cap, left < NAP_NS ? left : NAP_NS, &end);
	}
	if (!r)
		r = drain(cap);
	return r ? r : flush_all(cap);
}

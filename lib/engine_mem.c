/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Engine mem: two ends of a wire within the process, in virtual time that
 * starts at 0 and moves only when somebody waits. The plainest reading of the
 * contract in engine.h: every other engine is compared with this one.
 *
 * A wait moves the clock of its world at once: to the next arrival, or to the
 * time waited for. So a single thread that plays all parts sees an exact and
 * repeatable run; of several threads, whoever waits moves the time for all.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mem_wire.h"

struct priv {
	struct kt_mem_end *end;
	u8 *tx_memory;
	bool stamps;
};

static struct kt_mem_end *end_of(struct ktrxer *port)
{
	return ((struct priv *)port->priv)->end;
}

static int mem_open(struct ktrxer *port, struct ktrxer_err *err)
{
	struct priv *p = port->priv;
	int ret = kt_mem_end_open(&p->end, port->ifname, port, err);

	if (ret)
		return ret;
	port->ifindex = p->end->ifindex;
	kt_mem_lock(p->end);
	port->mtu = p->end->mtu;
	kt_mem_unlock(p->end);
	memcpy(port->mac, p->end->mac, 6);
	memcpy(port->mode, "virtual", sizeof("virtual"));
	port->clock = port->rx_clock = KTRXER_CLOCK_VIRTUAL;
	return 0;
}

static void mem_close(struct ktrxer *port)
{
	kt_mem_end_close(end_of(port));
}

/* --- Time ----------------------------------------------------------------------- */

static u64 mem_now(struct ktrxer *port)
{
	struct kt_mem_end *e = end_of(port);
	u64 now;

	kt_mem_lock(e);
	now = e->wire->world->now_ns;
	kt_mem_unlock(e);
	return now;
}

/* The world is locked. Time never goes back. */
static void move_to(struct kt_mem_end *e, u64 ns)
{
	if (e->wire->world->now_ns < ns) {
		e->wire->world->now_ns = ns;
		pthread_cond_broadcast(&e->wire->world->changed);
	}
}

static int mem_wait_until(struct ktrxer *port, u64 ns)
{
	struct kt_mem_end *e = end_of(port);

	kt_mem_lock(e);
	move_to(e, ns);
	kt_mem_unlock(e);
	return 0;
}

/* --- Sending -------------------------------------------------------------------- */

static bool memory_fails(struct kt_mem_end *e)
{
	bool fails;

	kt_mem_lock(e);
	fails = e->fail_memory;
	e->fail_memory = false;
	kt_mem_unlock(e);
	return fails;
}

static int mem_tx_open(struct ktrxer *port, struct kt_txslot *slots, u32 n, u32 frame_bytes, bool kernel_stamps,
		       struct ktrxer_err *err)
{
	struct priv *p = port->priv;

	p->stamps = kernel_stamps;
	p->tx_memory = memory_fails(p->end) ? NULL : calloc(n, frame_bytes);
	if (!p->tx_memory)
		return kt_err(err, ENOMEM, "no memory for %u frames of %u bytes", n, frame_bytes);
	for (u32 i = 0; i < n; i++) {
		slots[i].data = p->tx_memory + (size_t)i * frame_bytes;
		slots[i].cap = frame_bytes;
	}
	return 0;
}

static void mem_tx_close(struct ktrxer *port)
{
	struct priv *p = port->priv;

	free(p->tx_memory);
	p->tx_memory = NULL;
}

/* Trying again helps when the cause can pass. */
static u8 state_of(int code)
{
	return code == EMSGSIZE || code == EINVAL || code == ENODEV ? KT_TX_FAILED : KT_TX_REFUSED;
}

static int mem_tx_launch(struct ktrxer *port, struct kt_txslot *const *slots, u32 n)
{
	struct priv *p = port->priv;
	struct kt_mem_end *e = p->end;
	u32 tried = 0;

	kt_mem_lock(e);
	if (e->removed) {
		kt_mem_unlock(e);
		return -ENODEV;
	}
	while (tried < n) {
		struct kt_txslot *s = slots[tried++];

		s->launch_ns = s->returned_ns = e->wire->world->now_ns;
		s->err = -kt_mem_carry(e, s->data, s->len);
		s->state = s->err ? state_of(s->err) : KT_TX_SENT;
		s->stamp_ns = p->stamps && !s->err ? s->launch_ns : 0;
		s->stamp_clock = KTRXER_CLOCK_VIRTUAL;
		if (s->err)
			break; /* as sendmmsg does; the caller must cope */
	}
	kt_mem_unlock(e);
	return (int)tried;
}

/* --- Receiving ------------------------------------------------------------------ */

static int mem_rx_open(struct ktrxer *port, const struct krx_opts *opts, struct ktrxer_err *err)
{
	struct kt_mem_end *e = end_of(port);

	if (opts->outgoing)
		return kt_err(err, EOPNOTSUPP, "engine mem does not show what its own end sends");
	if (memory_fails(e))
		return kt_err(err, ENOMEM, "no memory for receiving on \"%s\"", port->ifname);
	kt_mem_lock(e);
	e->receiving = true;
	memset(&e->counts, 0, sizeof(e->counts));
	kt_mem_unlock(e);
	return 0;
}

static void mem_rx_close(struct ktrxer *port)
{
	struct kt_mem_end *e = end_of(port);

	kt_mem_lock(e);
	e->receiving = false;
	kt_mem_rx_to_host(e);
	kt_mem_unlock(e);
}

/* The world is locked. */
static bool arrived(const struct kt_mem_end *e)
{
	return e->rx.first && e->rx.first->arrival_ns <= e->wire->world->now_ns;
}

static int state_of_end(const struct kt_mem_end *e)
{
	return e->removed ? -ENODEV : e->up ? 0 : -ENETDOWN;
}

static int mem_rx_peek(struct ktrxer *port, struct kt_rxframe *frames, u32 max)
{
	struct kt_mem_end *e = end_of(port);
	int n = 0;

	kt_mem_lock(e);
	for (; (u32)n < max && arrived(e); n++) {
		struct kt_mem_frame *f = kt_mem_pop(&e->rx);

		kt_mem_push(&e->held, f);
		memset(&frames[n], 0, sizeof(frames[n]));
		frames[n].data = f->data;
		frames[n].caplen = frames[n].wirelen = f->len;
		frames[n].ifindex = e->ifindex;
		frames[n].stamp_ns = f->arrival_ns;
		frames[n].clock = KTRXER_CLOCK_VIRTUAL;
	}
	if (!n)
		n = state_of_end(e);
	kt_mem_unlock(e);
	return n;
}

static void mem_rx_release(struct ktrxer *port, const u8 *verdict, u32 n)
{
	struct kt_mem_end *e = end_of(port);

	kt_mem_lock(e);
	for (u32 i = 0; i < n; i++) {
		struct kt_mem_frame *f = kt_mem_pop(&e->held);

		if (verdict[i] == KT_OP_DROP || verdict[i] == KT_OP_CAPTURE_DROP)
			free(f);
		else
			kt_mem_to_host(e, f);
	}
	kt_mem_unlock(e);
}

/* For "for ever" nobody can move the time but others, so we really wait; a little, to let the caller look around. */
static void wait_for_others(struct kt_mem_end *e)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 50 * 1000 * 1000;
	if (ts.tv_nsec >= (long)KT_NSEC_PER_SEC) {
		ts.tv_nsec -= (long)KT_NSEC_PER_SEC;
		ts.tv_sec++;
	}
	pthread_cond_timedwait(&e->wire->world->changed, &e->wire->world->lock, &ts);
}

static int mem_rx_wait(struct ktrxer *port, u64 until_ns)
{
	struct kt_mem_end *e = end_of(port);
	int ret;

	kt_mem_lock(e);
	if (!arrived(e) && !state_of_end(e)) {
		if (e->rx.first && e->rx.first->arrival_ns <= until_ns)
			move_to(e, e->rx.first->arrival_ns);
		else if (until_ns != UINT64_MAX)
			move_to(e, until_ns);
		else
			wait_for_others(e);
	}
	ret = arrived(e) ? 1 : state_of_end(e);
	kt_mem_unlock(e);
	return ret;
}

static u64 mem_rx_next(struct ktrxer *port)
{
	struct kt_mem_end *e = end_of(port);
	u64 ns;

	kt_mem_lock(e);
	ns = e->rx.first ? e->rx.first->arrival_ns : 0;
	kt_mem_unlock(e);
	return ns;
}

static void mem_rx_counts(struct ktrxer *port, struct kt_rx_counts *counts)
{
	struct kt_mem_end *e = end_of(port);

	kt_mem_lock(e);
	*counts = e->counts;
	kt_mem_unlock(e);
}

/* Leaves the other interface as if its host had sent it. */
static int mem_rx_forward(struct ktrxer *port, u32 ifindex, const u8 *frame, u32 len)
{
	struct kt_mem_end *e = kt_mem_ifindex_lock(ifindex);
	int ret;

	(void)port;
	if (!e)
		return -ENODEV;
	ret = kt_mem_carry(e, frame, len);
	kt_mem_unlock(e);
	return ret;
}

const struct kt_engine kt_engine_mem = {
	.name = "mem",
	.needs = "nothing",
	.priv_bytes = sizeof(struct priv),
	.ops = 1u << KT_OP_FORWARD | 1u << KT_OP_CAPTURE | 1u << KT_OP_DROP | 1u << KT_OP_CAPTURE_DROP,
	.open = mem_open,
	.close = mem_close,
	.now = mem_now,
	.wait_until = mem_wait_until,
	.tx_open = mem_tx_open,
	.tx_close = mem_tx_close,
	.tx_launch = mem_tx_launch,
	.rx_open = mem_rx_open,
	.rx_close = mem_rx_close,
	.rx_peek = mem_rx_peek,
	.rx_release = mem_rx_release,
	.rx_wait = mem_rx_wait,
	.rx_next = mem_rx_next,
	.rx_counts = mem_rx_counts,
	.rx_forward = mem_rx_forward,
};

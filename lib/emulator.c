/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The link emulator of emulator.h: a receiver in front of each link and a
 * sender behind it, both of the public contracts; no frame path of its own.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "emulator.h"
#include "engine.h"
#include "port.h"

#define DEFAULT_PENDING 16384u
#define MAX_PENDING (1u << 20)
#define DEFAULT_SPIN_NS 100000u
#define BATCH 64 /* frames taken in before departures are looked at again */
#define NAP_NS 100000000u /* longest sleep: stop() is asked, and links that were down are looked at */
#define ATTEMPTS 4u
#define RETRY_NS 20000u

struct side {
	struct ktrxer *port;
	struct krx *rx;
	struct krx_listener *listener;
	struct ktx *tx;
	bool drops; /* the host does not see what we take in */
	bool down; /* when last looked at */
};

/* From one side to the other. */
struct direction {
	struct side *in;
	struct side *out;
	struct kt_link link;
	struct kt_link_slot *slots;
	struct kt_emulator_stats stats; /* departed, failed and late_ns are counted when launched */
};

struct kt_emulator {
	struct kt_emulator_opts o;
	struct side side[2];
	struct direction dir[2];
	bool is_virtual;
	u8 *scratch; /* a frame with a flipped bit */
	u32 scratch_bytes;
	struct ktrxer_err why;
};

/* --- Opening ------------------------------------------------------------------- */

/* Virtual time is one per world: what stands before the first dot or slash of an end's name. */
static bool same_world(const char *a, const char *b)
{
	size_t n = strcspn(a, "./");

	return n == strcspn(b, "./") && !memcmp(a, b, n);
}

static int check_ports(struct kt_emulator *e, struct ktrxer *a, struct ktrxer *b, struct ktrxer_err *err)
{
	if (a == b || a->ifindex == b->ifindex)
		return kt_err(err, EINVAL, "an emulated link needs two interfaces, not %s twice", a->ifname);
	if (a->clock != b->clock)
		return kt_err(err, EINVAL, "%s launches by clock %s and %s by clock %s; both must use the same",
			      a->ifname, ktrxer_clock_name(a->clock), b->ifname, ktrxer_clock_name(b->clock));
	e->is_virtual = kt_port_virtual(a);
	if (e->is_virtual && !same_world(a->ifname, b->ifname))
		return kt_err(err, EINVAL,
			      "%s and %s live in different virtual times; name them WORLD.x/0 and WORLD.y/0", a->ifname,
			      b->ifname);
	return 0;
}

static int open_side(struct kt_emulator *e, struct side *s, struct ktrxer_err *err)
{
	KTRXER_OPTS(krx_opts, rx_opts);
	KTRXER_OPTS(ktx_opts, tx_opts);
	KTRXER_OPTS(krx_listen_opts, listen_opts);
	struct krx_rule all = { 0 };
	int ret;

	s->drops = s->port->engine->ops >> KRX_CAPTURE_DROP & 1;
	all.op = s->drops ? KRX_CAPTURE_DROP : KRX_CAPTURE;
	rx_opts.ring_bytes = e->o.ring_bytes;
	ret = krx_open(&s->rx, s->port, &rx_opts, err);
	if (ret)
		return ret;
	listen_opts.lossless = true;
	ret = krx_listen(&s->listener, s->rx, &listen_opts, err);
	if (ret)
		return ret;
	tx_opts.max_pending = e->o.max_pending;
	ret = ktx_open(&s->tx, s->port, &tx_opts, err);
	if (ret)
		return ret;
	ret = krx_rule_add(s->rx, &all, NULL);
	return ret < 0 ? kt_err(err, -ret, "%s: %s", s->port->ifname, krx_why(s->rx)) : 0;
}

static int open_direction(struct kt_emulator *e, int i, struct ktrxer_err *err)
{
	struct direction *d = &e->dir[i];
	const char *why;
	u32 n_slots = 1;

	d->in = &e->side[i];
	d->out = &e->side[!i];
	kt_histogram_init(&d->stats.late_ns);
	while (n_slots < e->o.max_pending)
		n_slots *= 2;
	d->slots = calloc(n_slots, sizeof(*d->slots));
	if (!d->slots)
		return kt_err(err, ENOMEM, "no memory for a queue of %u packets", n_slots);
	if (kt_link_init(&d->link, &e->o.link[i], d->slots, n_slots, &why))
		return kt_err(err, EINVAL, "%s to %s: %s", d->in->port->ifname, d->out->port->ifname, why);
	return 0;
}

int kt_emulator_open(struct kt_emulator **out, struct ktrxer *a, struct ktrxer *b, const struct kt_emulator_opts *opts,
		     struct ktrxer_err *err)
{
	struct kt_emulator *e = calloc(1, sizeof(*e));
	int ret;

	*out = NULL;
	if (!e)
		return kt_err(err, ENOMEM, "no memory for an emulator");
	e->o = *opts;
	if (!e->o.max_pending)
		e->o.max_pending = DEFAULT_PENDING;
	if (e->o.max_pending > MAX_PENDING)
		ret = kt_err(err, EINVAL, "at most %u frames can be on the way, not %u", MAX_PENDING, e->o.max_pending);
	else
		ret = check_ports(e, a, b, err);
	if (ret)
		goto err_free;
	if (e->o.no_spin)
		e->o.spin_ns = 0;
	else if (!e->o.spin_ns)
		e->o.spin_ns = DEFAULT_SPIN_NS;
	e->side[0].port = a;
	e->side[1].port = b;
	for (int i = 0; i < 2 && !ret; i++)
		ret = open_direction(e, i, err);
	for (int i = 0; i < 2 && !ret; i++)
		ret = open_side(e, &e->side[i], err);
	if (ret)
		goto err_free;
	*out = e;
	return 0;

err_free:
	kt_emulator_close(e);
	return ret;
}

void kt_emulator_close(struct kt_emulator *e)
{
	if (!e)
		return;
	for (int i = 0; i < 2; i++) {
		ktx_close(e->side[i].tx);
		krx_unlisten(e->side[i].listener);
		krx_close(e->side[i].rx);
		free(e->dir[i].slots);
	}
	free(e->scratch);
	free(e);
}

bool kt_emulator_is_alone(const struct kt_emulator *e)
{
	return e->side[0].drops && e->side[1].drops;
}

/* --- Frames -------------------------------------------------------------------- */

static const u8 *flip(struct kt_emulator *e, const struct krx_packet *p, u32 bit)
{
	if (p->caplen > e->scratch_bytes) {
		u8 *bigger = realloc(e->scratch, p->caplen);

		if (!bigger)
			return NULL;
		e->scratch = bigger;
		e->scratch_bytes = p->caplen;
	}
	memcpy(e->scratch, p->data, p->caplen);
	e->scratch[bit / 8] ^= (u8)(1u << bit % 8);
	return e->scratch;
}

static void submit(struct direction *d, const u8 *frame, u32 len, u64 depart_ns)
{
	struct ktx_probe probe = {
		.frame = frame,
		.len = len,
		.launch_ns = depart_ns,
		.max_attempts = ATTEMPTS,
		.retry_ns = RETRY_NS,
	};
	int ret = frame ? ktx_submit(d->out->tx, &probe, 1) : -EAGAIN;

	if (ret == -EAGAIN)
		d->stats.full++;
	else if (ret == -EMSGSIZE)
		d->stats.too_long++;
	else if (ret < 0)
		d->stats.failed++;
}

/* One frame through the link. */
static void pass(struct kt_emulator *e, struct direction *d, const struct krx_packet *p)
{
	u64 arrived = ktrxer_convert(d->in->port, p->stamp_ns, p->clock, d->in->port->clock);
	const u8 *frame = p->data;
	struct kt_link_verdict v;

	d->stats.seen++;
	d->stats.seen_bytes += p->wirelen;
	if (p->caplen < p->wirelen) {
		d->stats.too_long++;
		return;
	}
	kt_link_pass(&d->link, arrived, p->wirelen, &v);
	if (v.fate != KT_LINK_DEPARTS)
		return; /* counted by the link */
	if (v.corrupt)
		frame = flip(e, p, v.corrupt_bit);
	submit(d, frame, p->caplen, v.depart_ns);
	if (v.duplicate)
		submit(d, frame, p->caplen, v.depart_ns);
}

static int take_in(struct kt_emulator *e, struct direction *d)
{
	struct krx_packet p;
	int ret = 0;

	for (int i = 0; i < BATCH; i++) {
		ret = krx_next(d->in->listener, &p, 0);
		if (ret <= 0)
			break;
		pass(e, d, &p);
	}
	d->in->down = ret == -ENETDOWN;
	if (ret == -ENODEV)
		return kt_err(&e->why, ENODEV, "interface %s is gone", d->in->port->ifname);
	return ret < 0 && ret != -ENETDOWN
		       ? kt_err(&e->why, -ret, "receiving on %s: %s", d->in->port->ifname, strerror(-ret))
		       : 0;
}

static void send_due(struct direction *d)
{
	struct ktx_done done[BATCH];
	int n;

	ktx_run(d->out->tx, 0);
	while ((n = ktx_complete(d->out->tx, done, BATCH)) > 0) {
		for (int i = 0; i < n; i++) {
			if (done[i].status != KTX_SENT) {
				d->stats.failed++;
				continue;
			}
			d->stats.departed++;
			d->stats.departed_bytes += done[i].len;
			kt_histogram_add(&d->stats.late_ns, (s64)(done[i].launch_ns - done[i].scheduled_ns));
		}
	}
}

/* --- Time ---------------------------------------------------------------------- */

static u64 earlier(u64 a, u64 b)
{
	return !a || (b && b < a) ? b : a;
}

int kt_emulator_step(struct kt_emulator *e, u64 *next_ns)
{
	*next_ns = 0;
	for (int i = 0; i < 2; i++) {
		int ret = take_in(e, &e->dir[i]);

		if (ret)
			return ret;
	}
	for (int i = 0; i < 2; i++)
		send_due(&e->dir[i]);
	for (int i = 0; i < 2; i++) {
		const struct side *s = &e->side[i];

		*next_ns = earlier(*next_ns, ktx_next_launch(s->tx));
		if (s->port->engine->rx_next)
			*next_ns = earlier(*next_ns, s->port->engine->rx_next(s->port));
	}
	return 0;
}

/* Sleeps until shortly before ns or until a frame comes. The last spin_ns go by in steps, which look at both. */
static void wait_real(struct kt_emulator *e, u64 now, u64 ns)
{
	struct pollfd fds[2];
	struct timespec ts;
	nfds_t n = 0;

	if (ns < now || ns - now <= e->o.spin_ns)
		return;
	ns -= now + e->o.spin_ns;
	ts = kt_ns_timespec(ns < NAP_NS ? ns : NAP_NS);
	for (int i = 0; i < 2; i++) {
		/* A link that is down keeps its descriptor readable. */
		if (e->side[i].down)
			continue;
		fds[n].fd = krx_fd(e->side[i].rx);
		fds[n++].events = POLLIN;
	}
	ppoll(fds, n, &ts, NULL);
}

int kt_emulator_run(struct kt_emulator *e, u64 until_ns, bool (*stop)(void *ctx), void *ctx)
{
	struct ktrxer *clock = e->side[0].port;

	for (;;) {
		u64 next, now;
		int ret = kt_emulator_step(e, &next);

		now = kt_port_now(clock);
		if (ret || now >= until_ns || (stop && stop(ctx)))
			return ret;
		if (!next && e->is_virtual && until_ns == UINT64_MAX)
			return 0; /* nothing will ever happen */
		if (!next || next > until_ns)
			next = until_ns;
		if (e->is_virtual)
			kt_port_wait(clock, next, 0, NULL, 0);
		else
			wait_real(e, now, next);
	}
}

void kt_emulator_get_stats(struct kt_emulator *e, int direction, struct kt_emulator_stats *stats)
{
	struct direction *d = &e->dir[direction];
	const struct kt_link_stats *l = &d->link.stats;
	struct krx_stats rx = { 0 };
	struct ktx_stats tx = { 0 };

	krx_get_stats(d->in->rx, &rx);
	ktx_get_stats(d->out->tx, &tx);
	*stats = d->stats;
	stats->duplicated = l->duplicated_pkts;
	stats->lost = l->lost_pkts;
	stats->no_room = l->no_room_pkts;
	stats->held = l->held_pkts;
	stats->corrupted = l->corrupted_pkts;
	stats->pending = tx.pending;
	stats->missed = rx.lost_ring + rx.lost_engine + rx.lost_error;
}

u64 kt_emulator_now(const struct kt_emulator *e)
{
	return kt_port_now(e->side[0].port);
}

const char *kt_emulator_why(const struct kt_emulator *e)
{
	return e->why.text;
}

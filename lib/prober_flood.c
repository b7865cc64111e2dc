/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Scans by flood: probes are written by template where the engine wants them, and launched in its batches. */
#include "prober_impl.h"

#define CLOCK_EVERY 64 /* probes: reading it costs as much as a third of one */
#define STEP_BITS 10 /* of fractions of a ns: beyond them, some ns in the last of a batch */
#define BATCH 2048 /* answers wait in the ring while a batch is launched: it must have room for them */

/* --- Floods ------------------------------------------------------------------------------ */

/* When a probe without a time of its own was made, which is what its payload says. */
static u64 made_ns(struct kt_prober *p, u64 seq)
{
	if (!p->flood_now || seq % CLOCK_EVERY == 0)
		p->flood_now = ktrxer_now(p->port);
	return p->flood_now;
}

static uint32_t flood_fill(void *ctx, uint64_t i, uint8_t *buf)
{
	struct kt_prober *p = ctx;
	struct ktrxer_err err = { 0 };
	struct kt_probe_entry *e;
	struct kt_prober_job job;
	int len;

	if (!kt_prober_next_job(p, &job))
		return 0; /* then p->given_out: no number comes after it */
	e = kt_prober_add(p, &job);
	e->scheduled_ns = p->o.pace.kind == KT_PACE_ASAP ? made_ns(p, e->seq) : kt_pace_next(&p->pace);
	len = kt_prober_render(p, e, buf, &err);
	if (len > 0 && p->exact)
		kt_exact_sent(p->exact, buf, (u32)len, e->seq, e->scheduled_ns);
	if (len > 0)
		return (u32)len;
	kt_prober_no_path(p, e, &err);
	return 0;
}

/* Within a batch frames leave one after the other: the i-th of n a share of i / n into the call. */
static void flood_done(void *ctx, uint64_t first, uint64_t n, enum ktx_status status, int reason, uint64_t launch_ns,
		       uint64_t returned_ns)
{
	struct kt_prober *p = ctx;
	u64 step = n ? kt_div((returned_ns - launch_ns) << STEP_BITS, n) : 0;

	for (u64 i = 0; i < n && p->flood_base + first + i < p->out.next; i++) {
		struct kt_probe_entry *e = kt_outstanding_get(&p->out, p->flood_base + first + i);

		if (e && launch_ns) {
			e->launch_ns = launch_ns + (step * i >> STEP_BITS);
			e->returned_ns = returned_ns;
			e->attempts = 1;
		}
		kt_prober_settle(p, e, status, reason);
	}
}

static bool flood_stop(void *ctx)
{
	struct kt_prober *p = ctx;

	p->flood_now = 0;
	while (kt_prober_receive(p, 0) > 0 && !kt_prober_stopping(p))
		;
	kt_prober_expire(p, ktrxer_now(p->port));
	return kt_prober_stopping(p);
}

int kt_prober_flood(struct kt_prober *p, struct ktrxer_err *err)
{
	KTRXER_OPTS(ktx_flood_opts, f);
	struct ktx_stats before, after;
	const char *why;
	int ret;

	if (!p->o.pace.start_ns)
		p->o.pace.start_ns = ktrxer_now(p->port);
	kt_pace_init(&p->pace, &p->o.pace, &why); /* was tried at the start */

	f.count = p->st.planned;
	f.max_frame = p->max_frame;
	f.batch = BATCH;
	f.max_attempts = p->o.max_attempts;
	f.start_ns = p->o.pace.start_ns;
	f.fill = flood_fill;
	f.done = flood_done;
	f.stop = flood_stop;
	f.ctx = p;
	if (p->o.pace.kind == KT_PACE_RATE) {
		f.rate_num = p->o.pace.rate_num;
		f.rate_den = p->o.pace.rate_den;
	} else if (p->o.pace.kind == KT_PACE_INTERVAL) {
		f.rate_num = KT_NSEC_PER_SEC;
		f.rate_den = p->o.pace.interval_ns;
	}
	p->flood_base = p->out.next;
	ktx_get_stats(p->tx, &before);
	ret = ktx_flood(p->tx, &f);
	ktx_get_stats(p->tx, &after);
	p->st.bytes += after.bytes - before.bytes;
	p->st.launch_retries += after.retries - before.retries;
	p->given_out = true;
	return ret && ret != -EINTR ? kt_err(err, -ret, "%s", ktx_why(p->tx)) : 0;
}

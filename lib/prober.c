/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The prober's life and its loop: submit what is due soon, hear what comes, give up what is over, until all is. */
#include "prober.h"

#include <stdlib.h>

#include "port.h"
#include "prober_impl.h"

#define SLICE_NS 10000000ull /* longest sleep: completions, signals and status wait no longer */
#define IDLE_NS 1000000ull /* while launches are on their way and may be answered at any time */

static int check_opts(const struct kt_prober_opts *o, struct ktrxer_err *err)
{
	struct kt_pace pace;
	const char *why;

	if (!o->n_frames && (!o->targets || !o->walk))
		return kt_err(err, EINVAL, "there is nothing to send: neither targets nor frames");
	if (o->retries && !o->track)
		return kt_err(err, EINVAL, "retries need tracking, which knows the probes without answer");
	if (o->retries > 100)
		return kt_err(err, EINVAL, "at most 100 retries, not %u", o->retries);
	if (o->ring_bits && (o->ring_bits < 10 || o->ring_bits > 22))
		return kt_err(err, EINVAL, "2^10 to 2^22 probes can be remembered");
	if (o->flood && (o->times || o->pace.kind == KT_PACE_POISSON || o->pace.kind == KT_PACE_TRAIN))
		return kt_err(err, EINVAL,
			      "floods have a rate or none; trains, Poisson and explicit times have launches");
	if (o->flood && !o->rounds)
		return kt_err(err, EINVAL, "a flood needs an end: say how many probes each target gets");
	if (!o->times && kt_pace_init(&pace, &o->pace, &why))
		return kt_err(err, EINVAL, "%s", why);
	return 0;
}

static bool probes_other_ports(const struct kt_prober_opts *o)
{
	return o->targets && o->targets->ports && o->probe.kind != KTRXER_PROBE_ICMP;
}

/* TCP and ICMP return bits of the number; a UDP service may return nothing of ours. */
static bool answers_lack_numbers(const struct kt_prober_opts *o)
{
	return !o->n_frames && (o->probe.kind == KTRXER_PROBE_UDP || o->probe.kind == KTRXER_PROBE_DNS);
}

int kt_prober_new(struct kt_prober **out, struct ktrxer *port, const struct kt_prober_opts *o, struct ktrxer_err *err)
{
	struct kt_prober *p;
	int ret = check_opts(o, err);

	*out = NULL;
	if (ret)
		return ret;
	p = calloc(1, sizeof(*p));
	if (!p || kt_outstanding_init(&p->out, o->ring_bits ? o->ring_bits : 16, answers_lack_numbers(o))) {
		free(p);
		return kt_err(err, ENOMEM, "no memory for a prober");
	}
	p->o = *o;
	p->port = port;
	p->any_port = probes_other_ports(o);
	if (!p->o.timeout_ns)
		p->o.timeout_ns = KT_NSEC_PER_SEC;
	if (!p->o.dedup)
		p->o.dedup = 1u << 17;
	kt_histogram_init(&p->rtt);
	kt_histogram_init(&p->launch_error);
	ret = kt_prober_tx_init(p, err);
	if (!ret)
		ret = kt_prober_rx_init(p, err);
	if (ret) {
		kt_prober_free(p);
		return ret;
	}
	*out = p;
	return 0;
}

void kt_prober_free(struct kt_prober *p)
{
	if (!p)
		return;
	krx_unlisten(p->listener);
	krx_close(p->rx);
	ktx_close(p->tx);
	if (p->paths)
		kt_path_cache_free(p->paths);
	kt_exact_free(p->exact);
	kt_dedup_free(p->seen);
	kt_outstanding_free(&p->out);
	free(p->highest);
	free(p->again);
	free(p->buf);
	free(p);
}

bool kt_prober_stopping(struct kt_prober *p)
{
	if (!p->stopping && p->o.stop && p->o.stop(p->o.ctx)) {
		p->stopping = true;
		p->st.interrupted = !p->lingering;
	}
	return p->stopping;
}

/* Takes back what has not left yet. */
static void halt(struct kt_prober *p)
{
	p->given_out = true;
	p->again_n = 0;
	for (u32 i = 0; i < p->n_batch; i++) {
		struct kt_probe_entry *e = kt_outstanding_get(&p->out, p->batch[i].id);

		if (e)
			e->state = KT_PROBE_ENDED;
		p->st.cancelled++;
	}
	p->n_batch = 0;
	ktx_cancel_all(p->tx);
}

/* How long nothing can happen but answers. */
static u64 sleep_ns(struct kt_prober *p, u64 now, u64 wake)
{
	u64 until = now + SLICE_NS, next;

	if (p->in_flight && p->threaded && now + IDLE_NS < until)
		until = now + IDLE_NS;
	if (wake && wake < until)
		until = wake;
	if (!p->threaded && (next = ktx_next_launch(p->tx)) && next < until)
		until = next;
	return until > now ? until - now : 0;
}

static bool all_known(const struct kt_prober *p, u64 now)
{
	if (!kt_prober_all_sent(p))
		return false;
	if (p->stopping || !p->st.sent)
		return true;
	return p->o.track ? !p->waiting : now >= p->last_launch_ns + p->o.timeout_ns;
}

/* A target repeats what nobody acknowledges. As long as the rules are there, the host's stack does not meet it. */
static bool is_over(struct kt_prober *p, u64 now)
{
	if (!all_known(p, now))
		return false;
	p->lingering = !p->stopping && p->st.sent && p->o.linger_ns &&
		       now < p->last_launch_ns + p->o.timeout_ns + p->o.linger_ns;
	return !p->lingering;
}

static int loop(struct kt_prober *p, struct ktrxer_err *err)
{
	for (;;) {
		u64 wake, now, retried;
		int ret;

		if (kt_prober_stopping(p))
			halt(p);
		ret = kt_prober_submit(p, &wake, err);
		if (ret)
			return ret;
		if (!p->threaded)
			ktx_run(p->tx, 0);
		kt_prober_completions(p);
		now = ktrxer_now(p->port);
		retried = p->st.retried;
		/* What arrived in time is heard first, however long all that took. */
		ret = kt_prober_receive(p, 0);
		if (ret >= 0)
			kt_prober_expire(p, now);
		if (is_over(p, now))
			return 0;
		/* New retries are submitted first. */
		ret = kt_prober_receive(p, p->st.retried == retried ? sleep_ns(p, now, wake) : 0);
		if (ret < 0)
			return kt_err(err, -ret, "%s", krx_why(p->rx));
	}
}

int kt_prober_run(struct kt_prober *p, struct ktrxer_err *err)
{
	int ret = 0;

	kt_prober_find_paths(p);
	if (p->o.flood)
		ret = kt_prober_flood(p, err);
	if (!ret)
		ret = loop(p, err);
	kt_prober_receive(p, 0);
	kt_prober_completions(p);
	return !ret && p->st.interrupted ? -EINTR : ret;
}

void kt_prober_get_stats(struct kt_prober *p, struct kt_prober_stats *stats)
{
	ktx_get_stats(p->tx, &p->st.tx);
	krx_get_stats(p->rx, &p->st.rx);
	p->st.evicted = p->o.track ? p->out.evicted : 0;
	p->st.forgotten = p->seen ? kt_dedup_forgotten(p->seen) : 0;
	*stats = p->st;
}

const struct kt_histogram *kt_prober_rtt(const struct kt_prober *p)
{
	return &p->rtt;
}

const struct kt_histogram *kt_prober_launch_error(const struct kt_prober *p)
{
	return &p->launch_error;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Probes out, one by one: made a little ahead of their time, so that the
 * sender only has to launch them, and never further ahead than its window;
 * and what became of each launch.
 */
#include <stdlib.h>
#include <sys/random.h>

#include "../core/hash.h"
#include "dns.h"
#include "port.h"
#include "prober_impl.h"

#define LEAD_NS 20000000ull /* probes are made this long before their launch */
#define MAX_IN_FLIGHT 1024 /* 50,000 a second, LEAD_NS ahead; beyond, floods serve */
#define MAX_BESIDE_FLOOD 128 /* retries behind a flood */
#define MANY_TARGETS 16 /* from here on a silent neighbour is waited for only briefly */
#define PATH_NS KT_NSEC_PER_SEC
#define PATH_SOME_NS 200000000ull
#define PATH_MANY_NS 50000000ull
#define PATH_RUNNING_NS 5000000ull /* once the schedule runs, nobody is waited for long: the kernel goes on asking */
#define WARM_TARGETS 1024
#define WARM_NS (10 * KT_NSEC_PER_SEC)

/* --- One by one ------------------------------------------------------------------------ */

/* Makes one probe at the end of the batch. False: nothing came of that job. */
static bool make(struct kt_prober *p, const struct kt_prober_job *job)
{
	struct ktx_probe *q = &p->batch[p->n_batch];
	u8 *frame = p->buf + (size_t)p->n_batch * p->max_frame;
	struct kt_probe_entry *e = kt_prober_add(p, job);
	struct ktrxer_err err = { 0 };
	u64 launch_ns;
	int len;

	/* Its turn passes even when there is no way to its target. */
	if (!kt_prober_draw_launch(p)) {
		e->state = KT_PROBE_ENDED;
		p->st.given--;
		p->given_out = true;
		p->again_n = 0;
		return false;
	}
	launch_ns = kt_prober_take_launch(p, job);
	e->scheduled_ns = launch_ns ? launch_ns : ktrxer_now(p->port);
	len = kt_prober_render(p, e, frame, &err);
	if (len < 0) {
		kt_prober_no_path(p, e, &err);
		return false;
	}
	*q = (struct ktx_probe){
		.frame = frame,
		.len = (u32)len,
		.id = e->seq,
		.launch_ns = launch_ns,
		.window_ns = p->o.window_ns,
		.max_attempts = p->o.max_attempts,
		.retry_ns = p->o.retry_ns,
	};
	if (p->n_batch && q->launch_ns && q[-1].launch_ns == q->launch_ns)
		q[-1].flags = KTX_TRAIN;
	p->n_batch++;
	return true;
}

/* Gives n of the batch to the sender; what it does not take stays in front. */
static int hand_over(struct kt_prober *p, u32 n, struct ktrxer_err *err)
{
	int taken = n ? ktx_submit(p->tx, p->batch, n) : 0;
	u32 left;

	if (taken == -EAGAIN)
		taken = 0;
	if (taken < 0)
		return kt_err(err, -taken, "%s", ktx_why(p->tx));
	left = p->n_batch - (u32)taken;
	for (u32 i = 0; i < (u32)taken; i++) {
		const struct kt_probe_entry *e = kt_outstanding_get(&p->out, p->batch[i].id);

		if (p->exact && e)
			kt_exact_sent(p->exact, p->batch[i].frame, p->batch[i].len, e->seq, e->scheduled_ns);
	}
	p->in_flight += (u32)taken;
	if (taken) {
		memmove(p->batch, p->batch + taken, left * sizeof(p->batch[0]));
		memmove(p->buf, p->buf + (size_t)taken * p->max_frame, (size_t)left * p->max_frame);
		for (u32 i = 0; i < left; i++)
			p->batch[i].frame = p->buf + (size_t)i * p->max_frame;
	}
	p->n_batch = left;
	return taken;
}

int kt_prober_submit(struct kt_prober *p, u64 *wake, struct ktrxer_err *err)
{
	struct kt_prober_job job;
	int ret = 1;

	*wake = 0;
	/* Known to be the last: no turn is waited for that nobody takes. */
	if (p->st.given - p->st.retried >= p->st.planned)
		p->given_out = true;
	while (ret > 0 && p->in_flight < p->max_in_flight) {
		u64 horizon = ktrxer_now(p->port) + LEAD_NS;
		bool more = true, open;

		while (p->n_batch < KT_PROBER_SUBMIT && more) {
			if (p->base_ns && (p->again_n || !p->given_out) && kt_prober_draw_launch(p) &&
			    p->next_launch_ns > horizon) {
				*wake = p->next_launch_ns - LEAD_NS;
				more = false;
			} else if (!kt_prober_next_job(p, &job)) {
				more = false;
			} else if (!make(p, &job)) {
				*wake = horizon - LEAD_NS; /* that may have taken time: what is ready goes first */
				more = false;
			}
		}
		/* A train that goes on keeps its last probe back until the next is known. */
		open = more && p->n_batch == KT_PROBER_SUBMIT && !p->given_out && kt_prober_draw_launch(p) &&
		       p->next_launch_ns && p->next_launch_ns == p->batch[p->n_batch - 1].launch_ns;
		ret = hand_over(p, p->n_batch - (open ? 1 : 0), err);
		if (!more)
			break;
	}
	return ret < 0 ? ret : 0;
}

bool kt_prober_all_sent(const struct kt_prober *p)
{
	return p->given_out && !p->again_n && !p->n_batch && !p->in_flight;
}

static void show_frame(struct kt_prober *p, const struct kt_probe_entry *e)
{
	u8 *frame = p->buf + (size_t)KT_PROBER_SUBMIT * p->max_frame;
	int len;

	if (!p->o.frame)
		return;
	len = kt_prober_render(p, e, frame, NULL);
	if (len > 0)
		p->o.frame(p->o.ctx, true, frame, (u32)len, (u32)len, e->launch_ns);
}

/* A launch is over; e may be forgotten already. */
void kt_prober_settle(struct kt_prober *p, struct kt_probe_entry *e, enum ktx_status status, int reason)
{
	struct kt_prober_event ev;

	p->st.sent += status == KTX_SENT;
	p->st.failed += status == KTX_FAILED;
	p->st.late += status == KTX_LATE;
	p->st.cancelled += status == KTX_CANCELLED;
	if (!e)
		return;
	e->state = status == KTX_SENT ? KT_PROBE_SENT : KT_PROBE_ENDED;
	if (status == KTX_SENT) {
		p->waiting += !e->answers;
		if (p->st.sent == 1 || e->launch_ns < p->st.start_ns)
			p->st.start_ns = e->launch_ns;
		if (e->launch_ns > p->last_launch_ns)
			p->last_launch_ns = p->st.end_ns = e->launch_ns;
		if (!e->nic_launched && (!p->o.flood || p->o.pace.kind != KT_PACE_ASAP))
			kt_histogram_add(&p->launch_error, (s64)(e->launch_ns - e->scheduled_ns));
		show_frame(p, e);
	}
	if (!p->o.event || (p->o.quiet && status == KTX_SENT))
		return;
	kt_prober_event_of(&ev, KT_PROBER_SENT, e);
	ev.status = status;
	ev.reason = reason;
	kt_prober_tell(p, &ev);
}

void kt_prober_completions(struct kt_prober *p)
{
	struct ktx_done done[64];
	int n;

	while ((n = ktx_complete(p->tx, done, KT_ARRAY_LEN(done))) > 0) {
		for (int i = 0; i < n; i++) {
			struct kt_probe_entry *e = kt_outstanding_get(&p->out, done[i].id);

			p->in_flight--;
			p->st.launch_retries += done[i].attempts > 1 ? done[i].attempts - 1 : 0;
			p->st.nic_launched += done[i].nic_launched;
			p->st.bytes += done[i].status == KTX_SENT ? done[i].len : 0;
			if (e) {
				e->launch_ns = done[i].launch_ns;
				e->returned_ns = done[i].returned_ns;
				e->attempts = done[i].attempts;
				e->nic_launched = done[i].nic_launched;
			}
			kt_prober_settle(p, e, done[i].status, done[i].reason);
		}
	}
}

/* --- Set-up -------------------------------------------------------------------------------- */

/* The secret of this run, unless the caller has one. */
static void seed_key(struct kt_prober *p)
{
	u64 *key = p->o.probe.key, state = ktrxer_now(p->port) ^ (u64)(uintptr_t)p;

	if (key[0] || key[1] || getrandom(key, 16, 0) == 16)
		return;
	key[0] = kt_hash_next(&state);
	key[1] = kt_hash_next(&state);
}

static int longest_frame(struct kt_prober *p, struct ktrxer_err *err)
{
	u8 dns[KT_DNS_MAX_QUERY];
	u32 l4 = p->o.probe.kind == KTRXER_PROBE_SYN ? 24 : 8 + p->o.probe.payload_bytes;
	const char *why;
	u32 ip;

	for (u32 i = 0; i < p->o.n_frames; i++)
		p->max_frame = p->o.frames[i].len > p->max_frame ? p->o.frames[i].len : p->max_frame;
	if (p->o.n_frames)
		return 0;
	if (kt_probe_check(&p->o.probe, &why))
		return kt_err(err, EINVAL, "%s", why);
	if (p->o.probe.kind == KTRXER_PROBE_DNS)
		l4 += (u32)kt_dns_encode_query(dns, 0, p->o.probe.dns_name, 1);
	ip = kt_targets_has_version(p->o.targets, 6) ? 40 : 20;
	p->max_frame = KT_ETH_BYTES + KT_VLAN_BYTES * (u32)p->o.probe.n_vlans + ip + l4;
	return 0;
}

static void plan(struct kt_prober *p)
{
	u64 n = p->o.n_frames ? p->o.n_frames : kt_walk_count(p->o.walk) - p->o.walk->n_given;

	p->st.planned = !p->o.rounds || n > UINT64_MAX / p->o.rounds ? UINT64_MAX : n * p->o.rounds;
	if (p->o.walk && !p->o.n_frames && p->o.rounds > 1 && p->st.planned != UINT64_MAX)
		p->st.planned = n + (p->o.rounds - 1) * kt_walk_count(p->o.walk);
	if (p->o.times && p->o.n_times < p->st.planned)
		p->st.planned = p->o.n_times;
	if (!p->o.path_timeout_ns)
		p->o.path_timeout_ns = n > MANY_TARGETS ? PATH_MANY_NS : n > 1 ? PATH_SOME_NS : PATH_NS;
}

void kt_prober_find_paths(struct kt_prober *p)
{
	u64 end = ktrxer_now(p->port) + WARM_NS, number;
	struct kt_walk walk;
	struct ktrxer_path path;
	bool many = false;

	if (!p->o.n_frames && !p->o.one_path) {
		many = kt_walk_count(p->o.walk) > MANY_TARGETS;
		if (many)
			kt_path_cache_look_ahead(p->paths, kt_prober_expected, p, true);
		walk = *p->o.walk;
		for (int i = 0; i < WARM_TARGETS && kt_walk_next(&walk, &number); i++) {
			struct kt_target target;

			kt_targets_get(p->o.targets, number, &target);
			kt_path_cache_find(p->paths, &target.addr, &path, p->o.path_timeout_ns, NULL);
			if (i >= MANY_TARGETS && kt_path_cache_looks_ahead(p->paths))
				break; /* the others are being asked for */
			if (ktrxer_now(p->port) > end || kt_prober_stopping(p))
				break;
		}
	}
	if (p->o.path_timeout_ns > PATH_RUNNING_NS)
		p->o.path_timeout_ns = PATH_RUNNING_NS;
	if (many && (p->o.times || p->o.pace.kind != KT_PACE_ASAP))
		kt_path_cache_look_ahead(p->paths, kt_prober_expected, p, false);
}

int kt_prober_tx_init(struct kt_prober *p, struct ktrxer_err *err)
{
	KTRXER_OPTS(ktx_opts, o);
	struct ktrxer_info info;
	int ret = longest_frame(p, err);

	if (ret)
		return ret;
	seed_key(p);
	plan(p);
	ret = ktrxer_get_info(p->port, &info);
	if (ret)
		return kt_err(err, -ret, "interface \"%s\" went away", p->port->ifname);
	if (p->max_frame > info.max_frame + KT_VLAN_BYTES * KT_MAX_VLANS)
		return kt_err(err, EMSGSIZE, "probes of %u bytes are too long for \"%s\", which takes up to %u",
			      p->max_frame, info.ifname, info.max_frame);
	p->buf = malloc((size_t)(KT_PROBER_SUBMIT + 1) * p->max_frame);
	p->again = p->o.retries ? calloc((size_t)p->out.mask + 1, sizeof(*p->again)) : NULL;
	if (!p->buf || (p->o.retries && !p->again))
		return kt_err(err, ENOMEM, "no memory for probes");
	p->max_in_flight = p->o.flood ? MAX_BESIDE_FLOOD : MAX_IN_FLIGHT;
	if (p->max_in_flight > (p->out.mask + 1) / 4)
		p->max_in_flight = (p->out.mask + 1) / 4;
	p->is_virtual = kt_port_virtual(p->port);
	p->threaded = !p->is_virtual && !p->o.flood;
	o.max_pending = p->max_in_flight + KT_PROBER_SUBMIT;
	o.max_frame = p->max_frame;
	o.spin_ns = p->o.spin_ns;
	o.thread = p->threaded;
	o.cpu = p->o.cpu;
	o.fifo_priority = p->threaded ? p->o.fifo_priority : 0;
	o.tap = p->o.tap;
	o.zero_copy = p->o.zero_copy;
	o.nic_launch = p->o.nic_launch;
	ret = ktx_open(&p->tx, p->port, &o, err);
	return ret ? ret : kt_path_cache_new(&p->paths, p->port, err);
}

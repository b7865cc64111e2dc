/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which probe is next, when it leaves, and its bytes: fresh targets or frames
 * in their order, retries before them; the schedule; the path and template of each target.
 */
#include "prober_impl.h"

#define START_NS 2000000ull /* from the first probe being made to its launch */
#define RETRY_NS 1000000ull /* from the decision to probe again to the launch, which can be exact then */

/* --- What is next --------------------------------------------------------------- */

static bool next_frame(struct kt_prober *p, struct kt_prober_job *job)
{
	u64 at, round = kt_div_rem(p->frame, p->o.n_frames, &at);

	if (p->o.rounds && round >= p->o.rounds)
		return false;
	p->frame++;
	*job = (struct kt_prober_job){ at, (u32)round, 0, 0 };
	return true;
}

/* One step of a walk through all rounds. */
static bool step(const struct kt_prober *p, struct kt_walk *w, u32 *round, u64 *number)
{
	if (kt_walk_next(w, number))
		return true;
	if (p->o.rounds && *round + 1 >= p->o.rounds)
		return false;
	++*round;
	kt_walk_rewind(w);
	return kt_walk_next(w, number);
}

static bool next_target(struct kt_prober *p, struct kt_prober_job *job)
{
	u64 number;

	if (!step(p, p->o.walk, &p->round, &number))
		return false;
	p->n_ahead -= p->n_ahead > 0;
	*job = (struct kt_prober_job){ number, p->round, 0, 0 };
	return true;
}

bool kt_prober_expected(void *ctx, struct ktrxer_addr *addr)
{
	struct kt_prober *p = ctx;
	struct kt_target target;
	u64 number;

	if (!p->n_ahead) {
		p->ahead = *p->o.walk;
		p->ahead_round = p->round;
	}
	/* All of them once: those of the next round are known then, or asked for in their turn. */
	if (p->n_ahead >= kt_walk_count(p->o.walk) || !step(p, &p->ahead, &p->ahead_round, &number))
		return false;
	p->n_ahead++;
	kt_targets_get(p->o.targets, number, &target);
	*addr = target.addr;
	return true;
}

bool kt_prober_next_job(struct kt_prober *p, struct kt_prober_job *job)
{
	if (p->again_n) {
		*job = p->again[p->again_head];
		p->again_head = (p->again_head + 1) & p->out.mask;
		p->again_n--;
		return true;
	}
	if (!p->given_out && !(p->o.n_frames ? next_frame(p, job) : next_target(p, job)))
		p->given_out = true;
	return !p->given_out;
}

bool kt_prober_retry(struct kt_prober *p, const struct kt_probe_entry *e, u64 now_ns)
{
	u32 at = (p->again_head + p->again_n) & p->out.mask;

	if (e->tries >= p->o.retries || p->again_n > p->out.mask || p->stopping ||
	    (p->o.times && p->next_time >= p->o.n_times))
		return false;
	p->again[at] = (struct kt_prober_job){ e->number, e->round, (u8)(e->tries + 1), now_ns + RETRY_NS };
	p->again_n++;
	p->st.retried++;
	return true;
}

/* Draws the next launch time if need be. False: there are none left. The first fixes the start. */
bool kt_prober_draw_launch(struct kt_prober *p)
{
	const char *why;

	if (p->has_next_launch)
		return true;
	if (!p->base_ns) {
		p->base_ns = p->o.pace.start_ns ? p->o.pace.start_ns : ktrxer_now(p->port) + START_NS;
		p->o.pace.start_ns = p->base_ns;
		kt_pace_init(&p->pace, &p->o.pace, &why); /* was tried at the start */
	}
	if (p->o.times) {
		if (p->next_time == p->o.n_times)
			return false;
		p->next_launch_ns = p->base_ns + p->o.times[p->next_time++];
	} else {
		p->next_launch_ns = kt_pace_next(&p->pace);
		p->next_launch_ns += p->next_launch_ns ? p->shift_ns : 0;
	}
	p->has_next_launch = true;
	return true;
}

/*
 * A turn that passed before there was anything to probe again is no time for which a retry could be late: its own
 * time counts. Where only retries are left, the schedule goes on from there, so that its gaps hold.
 */
u64 kt_prober_take_launch(struct kt_prober *p, const struct kt_prober_job *job)
{
	u64 at = p->next_launch_ns;

	p->has_next_launch = false;
	if (!at || at >= job->due_ns)
		return at;
	if (p->given_out)
		p->shift_ns += job->due_ns - at;
	return job->due_ns;
}

/* --- Frames ------------------------------------------------------------------------ */

/* The template for the way to a target. -errno with err when there is no way. */
static int find_path(struct kt_prober *p, const struct ktrxer_addr *target, struct kt_template **out,
		     struct ktrxer_err *err)
{
	u32 v = target->version == 4 ? 0 : 1;
	struct kt_template *t = &p->template[v];
	struct ktrxer_path path = p->o.path;
	int ret;

	*out = t;
	if (!p->o.one_path || path.src.version != target->version) {
		ret = kt_path_cache_find(p->paths, target, &path, p->o.path_timeout_ns, err);
		if (ret)
			return ret;
	}
	if (!p->has_template[v] || memcmp(t->src, path.src.bytes, 16)) {
		p->has_template[v] = false;
		ret = kt_probe_template(t, &p->o.probe, &path);
		if (ret)
			return kt_err(err, -ret,
				      ret == -EMSGSIZE ? "the probe is longer than the path's MTU of %u bytes"
						       : "the probe cannot be built (MTU %u)",
				      path.mtu);
		p->has_template[v] = true;
		memcpy(p->hop_mac[v], path.dst_mac, 6);
	} else if (memcmp(p->hop_mac[v], path.dst_mac, 6)) {
		kt_template_set_next_hop(t, path.dst_mac);
		memcpy(p->hop_mac[v], path.dst_mac, 6);
	}
	return 0;
}

/* Writes the frame of an entry. Its length, or -errno. */
int kt_prober_render(struct kt_prober *p, const struct kt_probe_entry *e, u8 *buf, struct ktrxer_err *err)
{
	struct kt_template *t;
	int ret;

	if (p->o.n_frames) {
		const struct kt_prober_frame *f = &p->o.frames[e->number];

		memcpy(buf, f->data, f->len);
		return (int)f->len;
	}
	ret = find_path(p, &e->addr, &t, err);
	if (ret)
		return ret;
	if (t->len > p->max_frame)
		return kt_err(err, EMSGSIZE, "the probe of %u bytes is longer than %u", t->len, p->max_frame);
	return (int)kt_template_fill(t, e->addr.bytes, e->port, e->seq, e->scheduled_ns, buf);
}

static void target_of(struct kt_prober *p, u64 number, struct kt_target *target)
{
	struct kt_packet k;

	memset(target, 0, sizeof(*target));
	if (!p->o.n_frames) {
		kt_targets_get(p->o.targets, number, target);
		if (p->o.probe.kind != KTRXER_PROBE_ICMP && !target->port)
			target->port = kt_probe_dport(&p->o.probe);
		if (p->o.probe.kind == KTRXER_PROBE_ICMP)
			target->port = 0;
		return;
	}
	if (kt_packet_parse(&k, p->o.frames[number].data, p->o.frames[number].len, p->o.frames[number].len))
		return;
	target->addr.version = k.flow.version;
	memcpy(target->addr.bytes, k.flow.dst, 16);
	if (k.flow.proto == KT_PROTO_TCP || k.flow.proto == KT_PROTO_UDP)
		target->port = k.flow.dport;
}

struct kt_probe_entry *kt_prober_add(struct kt_prober *p, const struct kt_prober_job *job)
{
	struct kt_probe_entry *e;
	struct kt_target target;

	if (p->o.track && kt_outstanding_full(&p->out)) {
		e = kt_outstanding_get(&p->out, p->out.first);
		if (e && e->state == KT_PROBE_SENT && !e->answers)
			p->waiting--;
	}
	target_of(p, job->number, &target);
	e = kt_outstanding_add(&p->out, &target.addr, target.port);
	e->number = job->number;
	e->round = job->round;
	e->tries = job->tries;
	p->st.given++;
	return e;
}

void kt_prober_no_path(struct kt_prober *p, struct kt_probe_entry *e, const struct ktrxer_err *err)
{
	struct kt_prober_event ev;

	e->state = KT_PROBE_ENDED;
	p->st.no_path++;
	p->st.too_long += err->code == EMSGSIZE;
	kt_prober_event_of(&ev, KT_PROBER_NO_PATH, e);
	ev.reason = err->code;
	ev.why = err->text;
	kt_prober_tell(p, &ev);
}

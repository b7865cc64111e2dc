/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer send: frames through a sender, by a schedule or as a flood. */
#include "send.h"

#include "frametext.h"
#include "signals.h"
#include "status.h"
#include "units.h"

#define PENDING 4096u
#define BLOCK 64u
#define SLICE_NS 50000000ull /* how long an interrupt may go unnoticed */

/* One run. */
struct run {
	struct send_result *r;
	struct send_plan *p;
	struct ktrxer *port;
	struct ktx *tx;
	struct out *out; /* a line for each frame; or NULL */
	u32 max_frame;
	bool more;
	u64 times[PENDING]; /* launch times of the last frames submitted, by their number */
	u64 submitted;
	u64 lengths; /* bytes of the flood so far */
	u64 stop_ns; /* flood: duration is over */
};

void send_count_reason(struct send_result *r, int error, u64 n)
{
	unsigned int i = 0;

	while (i < r->n_reasons && r->reason_errno[i] != error)
		i++;
	if (i == SEND_REASONS)
		i--;
	else if (i == r->n_reasons)
		r->reason_errno[r->n_reasons++] = error;
	r->reasons[i] += n;
}

static int open_sender(struct run *run, struct ktrxer_err *err)
{
	const struct send_config *c = run->p->c;
	struct ktrxer_info info;
	struct ktx_stats s;
	KTRXER_OPTS(ktx_opts, o);
	int ret;

	ktrxer_get_info(run->port, &info);
	run->max_frame = info.max_frame;
	o.max_pending = PENDING;
	o.max_frame = run->p->frames->max_len < info.max_frame ? run->p->frames->max_len : info.max_frame;
	o.no_spin = c->no_spin;
	o.fifo_priority = (int)c->fifo_priority;
	o.kernel_stamps = c->kernel_stamps;
	o.tap = c->common.tap;
	o.zero_copy = c->common.zero_copy;
	o.nic_launch = c->common.nic_launch;
	ret = ktx_open(&run->tx, run->port, &o, err);
	if (!ret && !ktx_get_stats(run->tx, &s))
		cli_tell_wishes(&c->common, run->port, &s);
	return ret;
}

/* Opening a sender may take long; without a time of one's own the schedule begins behind it. */
static int set_start(struct run *run)
{
	struct send_plan *p = run->p;

	return p->c->start ? CLI_OK : send_plan_init(p, p->frames, p->c, ktrxer_now(run->port) + SEND_LEAD_NS);
}

static void show_status(struct run *run)
{
	char a[UNIT_CHARS], b[UNIT_CHARS];
	struct ktx_stats s;

	if (!status_due())
		return;
	ktx_get_stats(run->tx, &s);
	status_show("sent %s (%s), failed %llu, retried %llu, late %llu, pending %llu", unit_count(a, s.sent),
		    unit_bytes(b, s.bytes), (unsigned long long)(s.failed + run->r->too_long),
		    (unsigned long long)s.retries, (unsigned long long)s.late, (unsigned long long)s.pending);
}

static void write_each(struct run *run, const struct ktx_done *d)
{
	struct json j;

	if (!run->out)
		return;
	json_init(&j, run->out);
	json_object(&j, NULL);
	json_text(&j, "type", "frame");
	json_u64(&j, "number", d->id + 1);
	json_text(&j, "status", ktx_status_name(d->status));
	if (d->reason)
		json_text(&j, "reason", strerror(d->reason));
	json_u64(&j, "attempts", d->attempts);
	json_u64(&j, "bytes", d->len);
	json_u64(&j, "scheduled_ns", d->scheduled_ns);
	json_u64(&j, "launch_ns", d->launch_ns);
	json_u64(&j, "returned_ns", d->returned_ns);
	json_bool(&j, "nic_launched", d->nic_launched);
	if (d->stamp_ns) {
		json_u64(&j, "stamp_ns", d->stamp_ns);
		json_text(&j, "stamp_clock", ktrxer_clock_name(d->stamp_clock));
	}
	json_end(&j);
}

static void note_launch(struct send_result *r, u64 ns, u32 len)
{
	if (!r->first_ns || ns < r->first_ns)
		r->first_ns = ns;
	if (ns >= r->last_ns) {
		r->last_ns = ns;
		r->last_len = len;
	}
}

static void fetch(struct run *run)
{
	struct send_result *r = run->r;
	struct ktx_done done[BLOCK];
	int n;

	while ((n = ktx_complete(run->tx, done, BLOCK)) > 0) {
		for (int i = 0; i < n; i++) {
			const struct ktx_done *d = &done[i];

			if (d->status == KTX_SENT) {
				note_launch(r, d->launch_ns, d->len);
				r->nic_launched += d->nic_launched;
				if (!d->nic_launched) {
					kt_histogram_add(r->error, (s64)(d->launch_ns - d->scheduled_ns));
					kt_histogram_add(r->call, (s64)(d->returned_ns - d->launch_ns));
				}
			} else if (d->status == KTX_FAILED) {
				send_count_reason(r, d->reason, 1);
				r->device_gone |= d->reason == ENODEV;
			}
			write_each(run, d);
		}
	}
	if (run->out)
		out_flush(run->out);
}

/* Fills the sender as far as it goes. 0 or -errno. */
static int submit(struct run *run)
{
	const struct send_config *c = run->p->c;
	struct ktx_stats s;

	ktx_get_stats(run->tx, &s);
	for (u64 room = PENDING - s.pending; room && run->more; room--) {
		const struct send_frame *frame;
		struct ktx_probe probe = { .max_attempts = (u32)c->retries + 1,
					   .retry_ns = (u32)c->retry_pause,
					   .window_ns = c->late_window };
		int r;

		run->more = send_plan_next(run->p, &frame, &probe.launch_ns);
		if (!run->more)
			break;
		if (frame->len > run->max_frame) {
			run->r->too_long++;
			continue;
		}
		probe.frame = frame->data;
		probe.len = frame->len;
		probe.id = run->p->n - 1;
		r = ktx_submit(run->tx, &probe, 1);
		if (r < 0)
			return r;
		run->times[run->submitted++ % PENDING] = probe.launch_ns;
	}
	return 0;
}

/* Until when to launch before more can be submitted: when half of what waits has left. */
static u64 next_refill(struct run *run)
{
	u64 limit = ktrxer_now(run->port) + SLICE_NS, half;
	struct ktx_stats s;

	ktx_get_stats(run->tx, &s);
	if (!run->more || s.pending < 2)
		return limit;
	half = run->times[(run->submitted - s.pending / 2) % PENDING];
	return half < limit ? half : limit;
}

static int run_schedule(struct run *run)
{
	struct ktx_stats s;
	int r;

	run->more = true;
	for (;;) {
		r = submit(run);
		if (r)
			return r;
		ktx_get_stats(run->tx, &s);
		if (!run->more && !s.pending)
			return 0;
		if (s.pending) {
			r = ktx_run(run->tx, next_refill(run));
			if (r < 0)
				return r;
		}
		fetch(run);
		show_status(run);
		if (run->out && run->out->err)
			return run->out->err;
		if (run->r->device_gone)
			return -ENODEV;
		if (interrupted())
			return -EINTR;
	}
}

/* What is pending never leaves; every frame submitted has its completion. */
static void cancel(struct run *run)
{
	ktx_cancel_all(run->tx);
	fetch(run);
}

static int finish(struct run *run, int r)
{
	int code = CLI_OK;

	if (r)
		cancel(run);
	if (r == -EINTR)
		run->r->ended_early = true;
	else if (r == -ENODEV || r == -ENETDOWN)
		code = cli_fail(CLI_FAILURE, "the interface is gone");
	else if (run->out && run->out->err)
		code = out_check(run->out);
	else if (r)
		code = cli_fail(cli_exit_for(r), "%s", ktx_why(run->tx));
	ktx_get_stats(run->tx, &run->r->tx);
	if (run->r->too_long)
		send_count_reason(run->r, EMSGSIZE, run->r->too_long);
	return code;
}

int send_run(struct send_result *r, struct send_plan *p, struct ktrxer *port, struct out *out)
{
	static struct run run;
	struct ktrxer_err err = { 0 };
	int code;

	run = (struct run){ .r = r, .p = p, .port = port, .out = p->c->each ? out : NULL };
	if (open_sender(&run, &err))
		return cli_fail_err(&err, NULL);
	code = set_start(&run);
	if (!code)
		code = finish(&run, run_schedule(&run));
	ktx_close(run.tx);
	return code;
}

static u32 flood_fill(void *ctx, uint64_t i, uint8_t *buf)
{
	struct run *run = ctx;
	const struct send_frame *frame = &run->p->frames->v[i % run->p->frames->n];

	if (frame->len > run->max_frame) {
		run->r->too_long++;
		return 0;
	}
	memcpy(buf, frame->data, frame->len);
	return frame->len;
}

static void flood_done(void *ctx, uint64_t first, uint64_t n, enum ktx_status status, int reason, uint64_t launch_ns,
		       uint64_t returned_ns)
{
	struct run *run = ctx;

	if (status == KTX_FAILED)
		send_count_reason(run->r, reason, n);
	if (status != KTX_SENT)
		return;
	note_launch(run->r, launch_ns, 0);
	note_launch(run->r, returned_ns, 0);
	kt_histogram_add(run->r->call, (s64)(returned_ns - launch_ns));
}

static bool flood_stop(void *ctx)
{
	struct run *run = ctx;

	show_status(run);
	return interrupted() || (run->stop_ns && ktrxer_now(run->port) >= run->stop_ns);
}

int send_flood(struct send_result *r, struct send_plan *p, struct ktrxer *port)
{
	static struct run run;
	struct ktrxer_err err = { 0 };
	KTRXER_OPTS(ktx_flood_opts, o);
	int code, ret;

	run = (struct run){ .r = r, .p = p, .port = port };
	if (open_sender(&run, &err))
		return cli_fail_err(&err, NULL);
	code = set_start(&run);
	if (code) {
		ktx_close(run.tx);
		return code;
	}
	run.stop_ns = p->c->duration ? p->start_ns + p->c->duration : 0;
	o.count = p->total;
	o.period = p->frames->n;
	o.max_frame = p->frames->max_len < run.max_frame ? p->frames->max_len : run.max_frame;
	o.start_ns = p->start_ns;
	o.max_attempts = (u32)p->c->retries + 1;
	o.fill = flood_fill;
	o.done = flood_done;
	o.stop = flood_stop;
	o.ctx = &run;
	ret = ktx_flood(run.tx, &o);
	if (ret == -EINTR && !interrupted())
		ret = 0;
	code = finish(&run, ret);
	ktx_close(run.tx);
	return code;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer send: when each frame leaves. Absolute times, computed from the start, so that nothing drifts. */
#include "send.h"

#define NS 1e9

/* The file's own time of a frame, stretched. */
static u64 own_time(const struct send_plan *p, u64 at_ns)
{
	return p->c->times == 1 ? at_ns : (u64)((double)at_ns / p->c->times + 0.5);
}

static bool own_times(const struct send_config *c)
{
	return !c->rate.num && !c->bit_rate && !c->interval && !c->fast;
}

int send_plan_init(struct send_plan *p, const struct send_frames *f, const struct send_config *c, u64 start_ns)
{
	struct kt_pace_opts o = { .kind = KT_PACE_ASAP, .start_ns = start_ns };
	const char *why = "";
	u64 last = f->v[f->n - 1].at_ns;

	*p = (struct send_plan){ .frames = f, .c = c, .start_ns = start_ns };
	p->rounds = c->loop;
	p->total = c->loop && c->loop < UINT64_MAX / f->n ? f->n * c->loop : UINT64_MAX;
	/* Between rounds: the mean gap, as if the file went on. */
	p->round_ns = own_time(p, last) + (c->loop_gap ? c->loop_gap : f->n > 1 ? own_time(p, last / (f->n - 1)) : 0);
	if (c->rate.num) {
		o.kind = KT_PACE_RATE;
		o.rate_num = c->rate.num;
		o.rate_den = c->rate.den;
	} else if (c->interval) {
		o.kind = KT_PACE_INTERVAL;
		o.interval_ns = c->interval;
	}
	if (kt_pace_init(&p->pace, &o, &why))
		return cli_fail(CLI_USAGE, "this rate cannot be kept: %s", why);
	if (own_times(c) && c->loop != 1 && !p->round_ns)
		return cli_fail(CLI_USAGE,
				"all frames have the same time: give --loop-gap, --rate, --interval or --fast");
	return CLI_OK;
}

static u64 launch_time(struct send_plan *p, u64 round, u32 i)
{
	const struct send_config *c = p->c;

	if (c->fast)
		return 0;
	if (c->bit_rate) {
		u64 rem, s = kt_div_rem(p->bits, c->bit_rate, &rem);

		return p->start_ns + s * KT_NSEC_PER_SEC + (u64)((double)rem * NS / (double)c->bit_rate);
	}
	if (!own_times(c))
		return kt_pace_next(&p->pace);
	return p->start_ns + round * p->round_ns + own_time(p, p->frames->v[i].at_ns);
}

bool send_plan_next(struct send_plan *p, const struct send_frame **frame, u64 *launch_ns)
{
	u64 round = p->n / p->frames->n;
	u32 i = (u32)(p->n % p->frames->n);

	if (p->n >= p->total)
		return false;
	*frame = &p->frames->v[i];
	*launch_ns = launch_time(p, round, i);
	if (p->c->duration && !p->c->fast && *launch_ns - p->start_ns >= p->c->duration)
		return false;
	p->n++;
	p->bits += 8ull * (*frame)->len;
	return true;
}

double send_plan_rate(const struct send_plan *p, double *bits)
{
	const struct send_config *c = p->c;
	double mean = 8 * (double)p->frames->bytes / p->frames->n, rate = 0;

	if (c->rate.num)
		rate = (double)c->rate.num / (double)c->rate.den;
	else if (c->bit_rate)
		rate = (double)c->bit_rate / mean;
	else if (c->interval)
		rate = NS / (double)c->interval;
	else if (!c->fast && p->round_ns)
		rate = (double)p->frames->n / ((double)p->round_ns / NS);
	*bits = rate * mean;
	return rate;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* --dry-run: the probes that would be sent, in their order, at their times, without a port or any right. */
#include "probe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../lib/probe.h"
#include "signals.h"
#include "units.h"

struct dry {
	struct probe_run *r;
	struct kt_pace pace;
	struct out *out;
	struct json json;
	u64 seq;
	u8 frame[KT_SERIES_MAX_PAYLOAD + 128];
};

/* Addresses that are not known without a port are zero. */
static int frame_of(struct dry *d, const struct kt_target *target, const u8 **data)
{
	struct ktrxer_path path = { .src = { .version = target->addr.version } };
	struct ktrxer_probe p = d->r->o.probe;

	*data = d->frame;
	if (target->port)
		p.dport = target->port;
	if (d->r->c->source)
		ktrxer_addr_parse(&path.src, d->r->c->source);
	path.src.version = target->addr.version;
	return ktrxer_probe_build(&p, &path, &target->addr, d->seq, 0, d->frame, sizeof(d->frame));
}

static void put(struct dry *d, u64 at_ns, u64 number)
{
	const struct probe_run *r = d->r;
	struct kt_target target = { .port = 0 };
	const u8 *data;
	char text[64], at[UNIT_CHARS];
	int len;

	if (r->o.n_frames) {
		data = r->frames[number].data;
		len = (int)r->frames[number].len;
	} else {
		kt_targets_get(&r->targets, number, &target);
		if (r->o.probe.kind == KTRXER_PROBE_ICMP)
			target.port = 0;
		else if (!target.port)
			target.port = kt_probe_dport(&r->o.probe);
		len = frame_of(d, &target, &data);
	}
	if (r->c->common.json) {
		json_object(&d->json, NULL);
		json_text(&d->json, "type", "would-send");
		json_u64(&d->json, "seq", d->seq);
		json_u64(&d->json, "at_ns", at_ns);
		json_text(&d->json, "target", target.addr.version ? ktrxer_addr_format(&target.addr, text) : NULL);
		json_u64(&d->json, "port", target.port);
		json_u64(&d->json, "bytes", len > 0 ? (u64)len : 0);
		json_hex(&d->json, "frame", data, len > 0 ? (size_t)len : 0);
		json_end(&d->json);
	} else {
		out_printf(d->out, "%6" PRIu64 "  +%-10s  %-*s  %d bytes\n", d->seq, unit_ns(at, (s64)at_ns),
			   (int)r->address_width + 6, probe_target_text(text, &target.addr, target.port), len);
		for (int i = 0; r->c->common.verbose && i < len; i++)
			out_printf(d->out, "%s%02x%s", i % 16 ? " " : "          ", data[i],
				   i % 16 == 15 || i + 1 == len ? "\n" : "");
	}
	d->seq++;
}

static bool next_number(struct probe_run *r, u64 *number, u64 *round)
{
	if (r->o.n_frames) {
		u64 at = (*round)++; /* counts frames here */

		*number = at % r->o.n_frames;
		return !r->o.rounds || at < r->o.rounds * r->o.n_frames;
	}
	if (kt_walk_next(&r->walk, number))
		return true;
	if (r->o.rounds && *round + 1 >= r->o.rounds)
		return false;
	++*round;
	kt_walk_rewind(&r->walk);
	return kt_walk_next(&r->walk, number);
}

int probe_dry(struct probe_run *r)
{
	static struct out out;
	static struct dry d;
	const char *why;
	u64 number, round = 0, start = 1; /* 0 would mean "at once" to a schedule */
	char plan[256];

	d = (struct dry){ .r = r, .out = &out };
	r->o.pace.start_ns = start;
	if (!r->times && kt_pace_init(&d.pace, &r->o.pace, &why))
		return cli_fail(CLI_USAGE, "%s", why);
	out_open(&out, NULL);
	json_init(&d.json, &out);
	if (!r->c->common.json) {
		probe_plan_text(r, plan, sizeof(plan));
		out_printf(&out, "would send %s\n\n", plan);
	}
	while (!interrupted() && !out.err && next_number(r, &number, &round)) {
		u64 at;

		if (r->times && d.seq == r->o.n_times)
			break;
		at = r->times ? r->times[d.seq] : kt_pace_next(&d.pace);
		put(&d, r->times || !at ? at : at - start, number);
	}
	return out_close(&out) ? CLI_FAILURE : interrupted_exit();
}

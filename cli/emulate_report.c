/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer emulate: what the link is and what it did, for people and for programs. */
#include "emulate.h"

#include <inttypes.h>
#include <stdio.h>

#include "json.h"
#include "plot.h"
#include "status.h"
#include "table.h"
#include "units.h"

#define NS 1e9

static void describe_chance(struct out *out, const char *what, double p)
{
	if (p > 0)
		out_printf(out, ", %s %g %%", what, 100 * p);
}

/* One direction in words. */
static void describe(struct out *out, const struct emulate_run *r, int i)
{
	const struct emulate_link *l = &r->c->link[i];
	char text[UNIT_CHARS];

	out_printf(out, "%s to %s: delay %s", r->port[i].ifname, r->port[!i].ifname, unit_ns(text, (s64)l->delay));
	if (l->jitter)
		out_printf(out, " + %s (%s%s)", unit_ns(text, (s64)l->jitter),
			   l->jitter_kind ? "exponential" : "uniform", l->keep_order ? ", in order" : "");
	if (l->rate)
		out_printf(out, ", %s", unit_si(text, (double)l->rate, "bit/s"));
	if (l->room)
		out_printf(out, ", room %s", unit_bytes(text, l->room));
	if (l->room_packets)
		out_printf(out, ", room %" PRIu64 " packets", l->room_packets);
	describe_chance(out, "loss", l->loss);
	describe_chance(out, "again after a loss", l->loss_burst);
	describe_chance(out, "hold", l->hold);
	if (l->hold > 0)
		out_printf(out, " for %s", unit_ns(text, (s64)l->hold_time));
	describe_chance(out, "duplicates", l->duplicate);
	describe_chance(out, "bit errors", l->corrupt);
	out_puts(out, "\n");
}

void emulate_text_start(struct out *out, const struct emulate_run *r)
{
	out_printf(out, "emulating by engine %s (%s), seed %" PRIu64 "\n", r->port[0].engine, r->port[0].mode,
		   r->c->seed);
	describe(out, r, 0);
	describe(out, r, 1);
}

static void row(struct table *t, const char *what, u64 forth, u64 back)
{
	char a[UNIT_CHARS], b[UNIT_CHARS];

	table_row(t, "%s\t%s\t%s", what, unit_count(a, forth), unit_count(b, back));
}

static void row_if(struct table *t, const char *what, u64 forth, u64 back)
{
	if (forth || back)
		row(t, what, forth, back);
}

void emulate_text_end(struct out *out, const struct emulate_run *r)
{
	const struct kt_emulator_stats *f = &r->stats[0], *b = &r->stats[1];
	char heading[256], time[UNIT_CHARS];
	struct table t;

	snprintf(heading, sizeof(heading), "after %s\t>%s to %s\t>%s to %s",
		 unit_ns(time, (s64)(r->ended_ns - r->started_ns)), r->port[0].ifname, r->port[1].ifname,
		 r->port[1].ifname, r->port[0].ifname);
	table_init(&t, heading);
	row(&t, "arrived", f->seen, b->seen);
	row(&t, "departed", f->departed, b->departed);
	row_if(&t, "duplicates among these", f->duplicated, b->duplicated);
	row_if(&t, "held back", f->held, b->held);
	row_if(&t, "with a flipped bit", f->corrupted, b->corrupted);
	row(&t, "lost by chance", f->lost, b->lost);
	row_if(&t, "no room in the queue", f->no_room, b->no_room);
	row_if(&t, "too long for the other side", f->too_long, b->too_long);
	row_if(&t, "too many on the way (--pending)", f->full, b->full);
	row_if(&t, "refused by the other side", f->failed, b->failed);
	row_if(&t, "still on the way", f->pending, b->pending);
	row_if(&t, "missed, never taken in", f->missed, b->missed);
	table_end(&t, out, 0);
	for (int i = 0; i < 2; i++) {
		if (!r->stats[i].late_ns.n)
			continue;
		out_printf(out, "departures after their time, %s to %s: ", r->port[i].ifname, r->port[!i].ifname);
		plot_summary(out, &r->stats[i].late_ns);
	}
}

static void json_chance(struct json *j, const char *key, double p)
{
	if (p > 0)
		json_double(j, key, p);
}

static void json_nonzero(struct json *j, const char *key, u64 v)
{
	if (v)
		json_u64(j, key, v);
}

static void json_link(struct json *j, const struct emulate_link *l)
{
	json_object(j, "link");
	json_u64(j, "delay_ns", l->delay);
	json_nonzero(j, "jitter_ns", l->jitter);
	if (l->jitter)
		json_text(j, "jitter_kind", l->jitter_kind ? "exponential" : "uniform");
	json_bool(j, "keep_order", l->keep_order);
	json_nonzero(j, "rate_bps", l->rate);
	if (l->rate)
		json_u64(j, "overhead_bytes", l->overhead);
	json_nonzero(j, "room_bytes", l->room);
	json_nonzero(j, "room_packets", l->room_packets);
	json_chance(j, "loss", l->loss);
	json_chance(j, "loss_burst", l->loss_burst);
	json_chance(j, "hold", l->hold);
	json_nonzero(j, "hold_ns", l->hold_time);
	json_chance(j, "duplicate", l->duplicate);
	json_chance(j, "corrupt", l->corrupt);
	json_end(j);
}

void emulate_json_end(struct out *out, const struct emulate_run *r)
{
	for (int i = 0; i < 2; i++) {
		const struct kt_emulator_stats *s = &r->stats[i];
		struct json j;

		json_init(&j, out);
		json_object(&j, NULL);
		json_text(&j, "type", "link");
		json_text(&j, "from", r->port[i].ifname);
		json_text(&j, "to", r->port[!i].ifname);
		json_link(&j, &r->c->link[i]);
		json_u64(&j, "seed", r->c->seed);
		json_u64(&j, "duration_ns", r->ended_ns - r->started_ns);
		json_u64(&j, "seen", s->seen);
		json_u64(&j, "seen_bytes", s->seen_bytes);
		json_u64(&j, "departed", s->departed);
		json_u64(&j, "departed_bytes", s->departed_bytes);
		json_u64(&j, "duplicated", s->duplicated);
		json_u64(&j, "lost", s->lost);
		json_u64(&j, "no_room", s->no_room);
		json_u64(&j, "too_long", s->too_long);
		json_u64(&j, "full", s->full);
		json_u64(&j, "failed", s->failed);
		json_u64(&j, "pending", s->pending);
		json_u64(&j, "held", s->held);
		json_u64(&j, "corrupted", s->corrupted);
		json_u64(&j, "missed", s->missed);
		json_u64(&j, "times_down", r->downs[i].n); /* of the interface that it comes from */
		plot_json(&j, "late", &s->late_ns);
		json_end(&j);
	}
}

void emulate_status(struct emulate_run *r)
{
	static struct kt_emulator_stats s; /* histograms are large */
	static u64 last_ns;
	char line[2][160], rate[UNIT_CHARS], bits[UNIT_CHARS];
	u64 now = r->started_ns;

	for (int i = 0; i < 2; i++) {
		double seconds;

		kt_emulator_get_stats(r->emulator, i, &s);
		now = kt_emulator_now(r->emulator);
		seconds = (double)(now - (last_ns ? last_ns : r->started_ns)) / NS;
		snprintf(line[i], sizeof(line[i]), "%s: %s %s lost %" PRIu64 " on the way %" PRIu64, r->port[i].ifname,
			 unit_si(rate, (double)(s.departed - r->stats[i].departed) / seconds, "pps"),
			 unit_si(bits, 8 * (double)(s.departed_bytes - r->stats[i].departed_bytes) / seconds, "bit/s"),
			 s.seen + s.duplicated - s.departed - s.pending, s.pending);
		r->stats[i] = s;
	}
	last_ns = now;
	status_show("%s | %s", line[0], line[1]);
}

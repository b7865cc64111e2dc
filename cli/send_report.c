/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer send: what was sent, for people and for programs. */
#include "send.h"

#include "frametext.h"
#include "plot.h"
#include "table.h"
#include "units.h"

#define NS 1e9

/* Frames a second between the first and the last launch; a flood's last launch ends a batch. */
static double reached(const struct send_plan *p, const struct send_result *r, double *bits)
{
	double seconds = (double)(r->last_ns - r->first_ns) / NS;
	u64 n = p->c->fast ? r->tx.sent : r->tx.sent - 1;

	*bits = 0;
	if (r->tx.sent < 2 || seconds <= 0)
		return 0;
	*bits = 8 * (double)(r->tx.bytes - (p->c->fast ? 0 : r->last_len)) / seconds;
	return (double)n / seconds;
}

/* Why a frame did not leave, in words. */
static const char *reason_text(int error)
{
	switch (error) {
	case EMSGSIZE:
		return "longer than the interface can send";
	case ENETDOWN:
		return "the interface is down";
	case ENODEV:
	case ENXIO:
		return "the interface is gone";
	case ENOBUFS:
	case EAGAIN:
		return "the driver had no room";
	default:
		return strerror(error);
	}
}

void send_text(struct out *out, const struct send_plan *p, const struct send_result *r)
{
	char a[UNIT_CHARS], b[UNIT_CHARS], c[UNIT_CHARS];
	double asked_bits, bits, asked = send_plan_rate(p, &asked_bits), rate = reached(p, r, &bits);
	struct table t;

	table_init(&t, "\t");
	table_row(&t, "sent\t%s frames, %s", unit_count(a, r->tx.sent), unit_bytes(b, r->tx.bytes));
	if (r->tx.failed + r->too_long)
		table_row(&t, "failed\t%s", unit_count(a, r->tx.failed + r->too_long));
	for (unsigned int i = 0; i < r->n_reasons; i++)
		table_row(&t, "\t%s: %s", unit_count(a, r->reasons[i]), reason_text(r->reason_errno[i]));
	if (r->tx.late)
		table_row(&t, "late\t%s not sent", unit_count(a, r->tx.late));
	if (r->tx.cancelled)
		table_row(&t, "cancelled\t%s", unit_count(a, r->tx.cancelled));
	if (r->tx.retries)
		table_row(&t, "retries\t%s", unit_count(a, r->tx.retries));
	if (asked > 0)
		table_row(&t, "asked\t%s, %s", unit_si(a, asked, "frames/s"), unit_si(b, asked_bits, "bit/s"));
	if (rate > 0)
		table_row(&t, "reached\t%s, %s in %s", unit_si(a, rate, "frames/s"), unit_si(b, bits, "bit/s"),
			  unit_ns(c, (s64)(r->last_ns - r->first_ns)));
	table_end(&t, out, 0);
	if (r->error->n) {
		out_puts(out, "launch error: ");
		plot_summary(out, r->error);
		if (r->error->n > 1 && p->c->common.verbose)
			plot_histogram(out, r->error, 16, 80);
	}
}

void send_json(struct out *out, const struct send_plan *p, const struct send_result *r)
{
	double asked_bits, bits, asked = send_plan_rate(p, &asked_bits), rate = reached(p, r, &bits);
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	json_text(&j, "type", "summary");
	json_u64(&j, "frames_in_file", p->frames->n);
	json_u64(&j, "truncated_in_file", p->frames->n_truncated);
	json_u64(&j, "submitted", r->tx.submitted + r->too_long);
	json_u64(&j, "sent", r->tx.sent);
	json_u64(&j, "bytes", r->tx.bytes);
	json_u64(&j, "failed", r->tx.failed + r->too_long);
	json_u64(&j, "late", r->tx.late);
	json_u64(&j, "cancelled", r->tx.cancelled);
	json_u64(&j, "retries", r->tx.retries);
	json_object(&j, "reasons");
	for (unsigned int i = 0; i < r->n_reasons; i++)
		json_u64(&j, reason_text(r->reason_errno[i]), r->reasons[i]);
	json_end(&j);
	json_double(&j, "asked_per_s", asked);
	json_double(&j, "asked_bits_per_s", asked_bits);
	json_double(&j, "reached_per_s", rate);
	json_double(&j, "reached_bits_per_s", bits);
	json_u64(&j, "duration_ns", r->last_ns - r->first_ns);
	json_bool(&j, "interrupted", r->ended_early);
	json_bool(&j, "fifo", r->tx.fifo);
	json_u64(&j, "nic_launched", r->nic_launched);
	plot_json(&j, "launch_error", r->error);
	plot_json(&j, "driver_call", r->call);
	json_end(&j);
}

/* --dry-run: what would be sent, one round of it. */
void send_list(struct out *out, struct send_plan *p)
{
	bool as_json = p->c->common.json;
	const struct send_frame *frame;
	char text[FRAME_TEXT];
	u64 at;

	while (p->n < p->frames->n && !out->err && send_plan_next(p, &frame, &at)) {
		struct json j;

		if (!as_json) {
			out_printf(out, "%llu.%09llu %s\n", (unsigned long long)(at / KT_NSEC_PER_SEC),
				   (unsigned long long)(at % KT_NSEC_PER_SEC),
				   frame_text(text, frame->data, frame->len, frame->len));
			continue;
		}
		json_init(&j, out);
		json_object(&j, NULL);
		json_text(&j, "type", "frame");
		json_u64(&j, "number", p->n);
		json_u64(&j, "at_ns", at);
		json_u64(&j, "bytes", frame->len);
		frame_json(&j, frame->data, frame->len, frame->len);
		json_end(&j);
	}
}

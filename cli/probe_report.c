/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The end of a run: counts, losses, order, distributions; and the line while it goes on. */
#include "probe.h"

#include <inttypes.h>
#include <stdio.h>

#include "meta.h"
#include "plot.h"
#include "signals.h"
#include "status.h"
#include "table.h"
#include "units.h"

static double seconds(const struct kt_prober_stats *st)
{
	return (double)(st->end_ns - st->start_ns) / 1e9;
}

static u64 missing(const struct kt_prober_stats *st)
{
	return st->sent > st->answered ? st->sent - st->answered : 0;
}

/* Packets among which answers may have been: the network did not lose those. */
static u64 missed(const struct kt_prober_stats *st)
{
	return st->rx.lost_ring + st->rx.lost_engine;
}

static double percent(u64 part, u64 whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* --- For people ---------------------------------------------------------------------- */

static void sent_rows(struct table *t, const struct kt_prober_stats *st)
{
	char a[UNIT_CHARS], b[UNIT_CHARS], c[UNIT_CHARS];

	table_row(t, "sent\t%s\t%s in %s%s", unit_count(a, st->sent), unit_bytes(b, st->bytes),
		  unit_ns(c, (s64)(st->end_ns - st->start_ns)), st->retried ? ", retries among them" : "");
	if (st->sent > 2 && seconds(st) > 0)
		table_row(t, "\t\t%s", unit_si(a, (double)(st->sent - 1) / seconds(st), "probes/s"));
	if (st->retried)
		table_row(t, "retried\t%s\tno answer in time", unit_count(a, st->retried));
	if (st->launch_retries)
		table_row(t, "refused\t%s\tlaunches tried again", unit_count(a, st->launch_retries));
	if (st->failed)
		table_row(t, "failed\t%s\tthe driver did not take them", unit_count(a, st->failed));
	if (st->late)
		table_row(t, "late\t%s\tnot sent: their window had passed", unit_count(a, st->late));
	if (st->cancelled)
		table_row(t, "cancelled\t%s\t", unit_count(a, st->cancelled));
	if (st->no_path)
		table_row(t, "no path\t%s\tno route, or the next hop is silent", unit_count(a, st->no_path));
}

static void answer_rows(struct table *t, const struct kt_prober_stats *st)
{
	char a[UNIT_CHARS];

	table_row(t, "answered\t%s\t%.2f %%", unit_count(a, st->answered), percent(st->answered, st->sent));
	for (int i = 1; i < KT_PROBER_ANSWERS; i++)
		if (st->kinds[i])
			table_row(t, "  %s\t%s\t", ktrxer_answer_name((enum ktrxer_answer)i),
				  unit_count(a, st->kinds[i]));
	table_row(t, "lost\t%s\t%.2f %%", unit_count(a, missing(st)), percent(missing(st), st->sent));
	if (missed(st))
		table_row(t, "  by ourselves\t%s\tpackets came and found no room: up to so many answers among the lost",
			  unit_count(a, missed(st)));
	if (st->duplicates)
		table_row(t, "duplicates\t%s\t", unit_count(a, st->duplicates));
	if (st->too_late)
		table_row(t, "too late\t%s\tanswers after the timeout", unit_count(a, st->too_late));
	if (st->in_order)
		table_row(t, "reordered\t%s\t%.2f %% (RFC 4737)", unit_count(a, st->reordered),
			  percent(st->reordered, st->in_order));
	if (st->strangers)
		table_row(t, "not ours\t%s\tpackets that answer none of these probes", unit_count(a, st->strangers));
	if (st->evicted)
		table_row(t, "given up\t%s\tbefore the timeout: too many were open", unit_count(a, st->evicted));
}

static void distribution(struct out *out, const char *what, const struct kt_histogram *h, bool bars)
{
	if (!h->n)
		return;
	out_printf(out, "\n%s\n  ", what);
	plot_summary(out, h);
	if (bars && h->n >= 10)
		plot_histogram(out, h, 10, terminal_width());
}

void probe_report_text(struct probe_run *r, struct out *out)
{
	struct kt_prober_stats st;
	struct table t;

	kt_prober_get_stats(r->prober, &st);
	out_puts(out, st.interrupted ? "\ninterrupted\n" : "\n");
	table_init(&t, "\t>\t");
	sent_rows(&t, &st);
	answer_rows(&t, &st);
	table_end(&t, out, 2);
	distribution(out, "round-trip time", kt_prober_rtt(r->prober), true);
	distribution(out, "launch error (executed less scheduled)", kt_prober_launch_error(r->prober), false);
}

void probe_report_status(struct probe_run *r)
{
	struct kt_prober_stats st;
	char of[UNIT_CHARS + 4] = "", a[UNIT_CHARS], b[UNIT_CHARS], c[UNIT_CHARS], d[UNIT_CHARS];

	if (!r->prober)
		return;
	kt_prober_get_stats(r->prober, &st);
	if (st.planned != UINT64_MAX)
		snprintf(of, sizeof(of), " of %s", unit_count(a, st.planned));
	status_show("sent %s%s  answered %s (%.1f %%)  duplicates %s  failed %" PRIu64 "  late %" PRIu64
		    "  lost by us %" PRIu64 "  %s",
		    unit_count(b, st.sent), of, unit_count(c, st.answered), percent(st.answered, st.sent),
		    unit_count(d, st.duplicates), st.failed, st.late, missed(&st),
		    seconds(&st) > 0 ? unit_si(a, (double)st.sent / seconds(&st), "pps") : "");
}

/* --- For programs ------------------------------------------------------------------------ */

static void put_counts(struct json *j, const struct kt_prober_stats *st)
{
	if (st->planned == UINT64_MAX)
		json_null(j, "planned");
	else
		json_u64(j, "planned", st->planned);
	json_u64(j, "given", st->given);
	json_u64(j, "sent", st->sent);
	json_u64(j, "failed", st->failed);
	json_u64(j, "late", st->late);
	json_u64(j, "cancelled", st->cancelled);
	json_u64(j, "no_path", st->no_path);
	json_u64(j, "retried", st->retried);
	json_u64(j, "launch_retries", st->launch_retries);
	json_u64(j, "bytes", st->bytes);
	json_u64(j, "answered", st->answered);
	json_object(j, "answers");
	for (int i = 1; i < KT_PROBER_ANSWERS; i++)
		json_u64(j, ktrxer_answer_name((enum ktrxer_answer)i), st->kinds[i]);
	json_end(j);
	json_u64(j, "lost", missing(st));
	json_u64(j, "lost_by_ourselves", missed(st));
	json_double(j, "loss_ratio", percent(missing(st), st->sent) / 100);
	json_u64(j, "duplicates", st->duplicates);
	json_u64(j, "too_late", st->too_late);
	json_u64(j, "strangers", st->strangers);
	json_u64(j, "evicted", st->evicted);
	json_u64(j, "forgotten", st->forgotten);
	json_u64(j, "reordered", st->reordered);
	if (st->in_order)
		json_double(j, "reordering_ratio", percent(st->reordered, st->in_order) / 100);
	else
		json_null(j, "reordering_ratio");
	json_double(j, "seconds", seconds(st));
	json_bool(j, "interrupted", st->interrupted);
	json_bool(j, "realtime_thread", st->tx.fifo);
	json_u64(j, "nic_launched", st->nic_launched);
}

static void put_receiver(struct json *j, const struct krx_stats *s)
{
	json_object(j, "receiver");
	json_u64(j, "seen", s->seen);
	json_u64(j, "delivered", s->delivered);
	json_u64(j, "dropped", s->dropped);
	json_u64(j, "passed", s->passed);
	json_u64(j, "lost_ring", s->lost_ring);
	json_u64(j, "lost_engine", s->lost_engine);
	json_u64(j, "lost_error", s->lost_error);
	json_end(j);
}

static void put_summary(struct probe_run *r, struct json *j)
{
	struct kt_prober_stats st;

	kt_prober_get_stats(r->prober, &st);
	put_counts(j, &st);
	put_receiver(j, &st.rx);
	plot_json(j, "rtt", kt_prober_rtt(r->prober));
	plot_json(j, "launch_error", kt_prober_launch_error(r->prober));
}

void probe_report_json(struct probe_run *r, struct json *j)
{
	json_object(j, NULL);
	json_text(j, "type", "summary");
	put_summary(r, j);
	json_end(j);
}

void probe_report_meta(struct probe_run *r, struct out *out)
{
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	meta_run(&j, "probe", r->set, r->port);
	json_u64(&j, "targets", r->n_targets);
	json_u64(&j, "seed", r->c->seed);
	json_bool(&j, "tracked", r->o.track);
	json_bool(&j, "flood", r->o.flood);
	json_bool(&j, "answers_kept_from_host", r->o.drop);
	json_object(&j, "summary");
	put_summary(r, &j);
	json_end(&j);
	json_end(&j);
}

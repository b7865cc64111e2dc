/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Results as they come: lines for people, JSON Lines, CSV, and the frames themselves. */
#include "probe.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "meta.h"
#include "status.h"
#include "units.h"

static struct out json_out, csv_out, text_out;

const char *probe_target_text(char *buf, const struct ktrxer_addr *addr, u16 port)
{
	char a[48] = "-";

	if (addr->version)
		ktrxer_addr_format(addr, a);
	if (!port)
		snprintf(buf, 64, "%s", a);
	else
		snprintf(buf, 64, addr->version == 6 ? "[%s]:%u" : "%s:%u", a, port);
	return buf;
}

static const char *kind_text(const struct kt_prober_event *e)
{
	switch (e->kind) {
	case KT_PROBER_SENT:
		return e->status == KTX_SENT ? "sent" : ktx_status_name(e->status);
	case KT_PROBER_ANSWER:
		return "answer";
	case KT_PROBER_LOST:
		return "lost";
	case KT_PROBER_RETRY:
		return "retry";
	default:
		return "no-path";
	}
}

/* --- Text ---------------------------------------------------------------------------- */

static void put_answer(struct out *out, const struct kt_prober_event *e)
{
	char rtt[UNIT_CHARS] = "", launch[UNIT_CHARS] = "", from[48], address[48];

	if (e->rtt_ns >= 0)
		unit_ns(rtt, e->rtt_ns);
	if (e->known && e->attempts)
		unit_ns(launch, (s64)(e->launch_ns - e->scheduled_ns));
	out_printf(out, "%-13s %10s  ttl %3u", ktrxer_answer_name(e->answer), rtt, e->ttl);
	if (*launch)
		out_printf(out, "  launched %8s late", launch);
	if (memcmp(&e->from, &e->target, sizeof(e->from)))
		out_printf(out, "  from %s", ktrxer_addr_format(&e->from, from));
	if (e->dns_rcode)
		out_printf(out, "  rcode %u", e->dns_rcode);
	if (e->has_address)
		out_printf(out, "  = %s", ktrxer_addr_format(&e->address, address));
	if (e->attempts > 1)
		out_printf(out, "  %u attempts", e->attempts);
	out_puts(out, e->duplicate   ? "  duplicate\n"
		      : e->too_late  ? "  after it was given up\n"
		      : e->reordered ? "  out of order\n"
				     : "\n");
}

static void text_event(struct probe_run *r, const struct kt_prober_event *e)
{
	struct out *out = r->text;
	unsigned int width = r->address_width + (r->targets.ports ? r->address_width > 15 ? 8 : 6 : 0);
	char target[64];

	if (e->kind == KT_PROBER_SENT && e->status == KTX_CANCELLED)
		return;
	if (e->kind == KT_PROBER_SENT && e->status == KTX_SENT && !r->c->common.verbose)
		return;
	status_clear();
	probe_target_text(target, &e->target, e->port);
	if (e->known)
		out_printf(out, "%6" PRIu64 "  %-*s  ", e->seq, (int)width, target);
	else
		out_printf(out, "%6s  %-*s  ", "", (int)width, target);
	switch (e->kind) {
	case KT_PROBER_ANSWER:
		put_answer(out, e);
		break;
	case KT_PROBER_LOST:
		out_puts(out, "no answer\n");
		break;
	case KT_PROBER_RETRY:
		out_puts(out, "no answer, trying again\n");
		break;
	case KT_PROBER_NO_PATH:
		out_printf(out, "not sent: %s\n", e->why);
		break;
	default:
		out_printf(out, "%s%s%s\n", kind_text(e), e->reason ? ": " : "", e->reason ? strerror(e->reason) : "");
	}
}

/* --- JSON Lines -------------------------------------------------------------------------- */

static void json_answer(struct json *j, const struct kt_prober_event *e)
{
	char text[48];

	json_text(j, "answer", ktrxer_answer_name(e->answer));
	json_text(j, "from", ktrxer_addr_format(&e->from, text));
	json_u64(j, "received_ns", e->received_ns);
	if (e->rtt_ns >= 0)
		json_s64(j, "rtt_ns", e->rtt_ns);
	else
		json_null(j, "rtt_ns");
	json_u64(j, "ttl", e->ttl);
	json_u64(j, "bytes", e->wirelen);
	json_bool(j, "duplicate", e->duplicate);
	json_bool(j, "reordered", e->reordered);
	json_bool(j, "too_late", e->too_late);
}

static void json_event(struct probe_run *r, const struct kt_prober_event *e)
{
	bool dns = !r->o.n_frames && r->o.probe.kind == KTRXER_PROBE_DNS;
	char text[48];
	struct json j;

	if (e->kind == KT_PROBER_SENT && e->status == KTX_SENT && !r->c->common.verbose)
		return;
	json_init(&j, r->json);
	json_object(&j, NULL);
	json_text(&j, "type", kind_text(e));
	if (e->known)
		json_u64(&j, "seq", e->seq);
	json_text(&j, "target", e->target.version ? ktrxer_addr_format(&e->target, text) : NULL);
	if (e->port)
		json_u64(&j, "port", e->port);
	if (e->known) {
		json_u64(&j, "round", e->round);
		json_u64(&j, "tries", e->tries);
		json_u64(&j, "scheduled_ns", e->scheduled_ns);
	}
	if (e->attempts) {
		json_u64(&j, "launch_ns", e->launch_ns);
		json_u64(&j, "returned_ns", e->returned_ns);
		json_u64(&j, "attempts", e->attempts);
	}
	if (e->kind == KT_PROBER_ANSWER)
		json_answer(&j, e);
	if (e->kind == KT_PROBER_ANSWER && dns && e->answer == KTRXER_ANSWER_REPLY) {
		json_u64(&j, "rcode", e->dns_rcode);
		json_text(&j, "address", e->has_address ? ktrxer_addr_format(&e->address, text) : NULL);
	}
	if (e->reason)
		json_text(&j, "reason", e->why ? e->why : strerror(e->reason));
	json_end(&j);
}

/* --- CSV ------------------------------------------------------------------------------------ */

#define CSV_HEAD \
	"type,seq,target,port,round,tries,scheduled_ns,launch_ns,returned_ns,attempts,answer,from,received_ns,rtt_ns," \
	"ttl," \
	"bytes,duplicate,reordered,rcode,reason\n"

static void csv_event(struct probe_run *r, const struct kt_prober_event *e)
{
	struct out *out = r->csv;
	char target[48] = "", from[48];

	if (e->kind == KT_PROBER_SENT && e->status == KTX_SENT && !r->c->common.verbose)
		return;
	if (e->target.version)
		ktrxer_addr_format(&e->target, target);
	out_printf(out, "%s,", kind_text(e));
	if (e->known)
		out_printf(out, "%" PRIu64, e->seq);
	out_printf(out, ",%s,%u,", target, e->port);
	if (e->known)
		out_printf(out, "%u,%u,%" PRIu64 ",", e->round, e->tries, e->scheduled_ns);
	else
		out_puts(out, ",,,");
	if (e->attempts)
		out_printf(out, "%" PRIu64 ",%" PRIu64 ",%u,", e->launch_ns, e->returned_ns, e->attempts);
	else
		out_puts(out, ",,,");
	if (e->kind == KT_PROBER_ANSWER) {
		out_printf(out, "%s,%s,%" PRIu64 ",", ktrxer_answer_name(e->answer), ktrxer_addr_format(&e->from, from),
			   e->received_ns);
		if (e->rtt_ns >= 0)
			out_printf(out, "%" PRId64, e->rtt_ns);
		out_printf(out, ",%u,%u,%d,%d,%u,", e->ttl, e->wirelen, e->duplicate, e->reordered, e->dns_rcode);
	} else {
		out_puts(out, ",,,,,,,,,");
	}
	if (e->reason)
		out_printf(out, "\"%s\"", e->why ? e->why : strerror(e->reason));
	out_puts(out, "\n");
}

/* --- All of them --------------------------------------------------------------------------------- */

void probe_out_event(void *ctx, const struct kt_prober_event *e)
{
	struct probe_run *r = ctx;

	if (r->text)
		text_event(r, e);
	if (r->json)
		json_event(r, e);
	if (r->csv)
		csv_event(r, e);
}

void probe_out_frame(void *ctx, bool outgoing, const u8 *data, u32 caplen, u32 wirelen, u64 stamp_ns)
{
	struct probe_run *r = ctx;
	struct ktrxer_err err = { 0 };
	struct kt_pcapwrite_packet p = {
		.data = data,
		.caplen = caplen,
		.wirelen = wirelen,
		.stamp_ns = ktrxer_convert(r->port, stamp_ns, r->info.clock, KTRXER_CLOCK_REALTIME),
		.direction = outgoing ? KT_PCAPWRITE_OUT : KT_PCAPWRITE_IN,
	};

	if (kt_pcapwrite_packet(r->pcap, &p, &err) && !r->failed)
		r->failed = cli_fail(CLI_FAILURE, "%s", err.text);
}

static void flush(struct probe_run *r, struct out *out)
{
	if (out && out_flush(out) && !r->failed)
		r->failed = out_check(out);
}

/* What was measured is out before the prober waits again. */
void probe_out_flush(struct probe_run *r)
{
	struct ktrxer_err err = { 0 };

	flush(r, r->text);
	flush(r, r->json);
	flush(r, r->csv);
	if (r->pcap && kt_pcapwrite_flush(r->pcap, &err) && !r->failed)
		r->failed = cli_fail(CLI_FAILURE, "%s", err.text);
}

static int open_capture(struct probe_run *r)
{
	struct kt_pcapwrite_opts o = { .application = "ktrxer " KTRXER_VERSION, .os = "Linux" };
	struct kt_pcapwrite_interface i = { .name = r->info.ifname, .mac = r->info.mac };
	struct ktrxer_err err = { 0 };

	if (kt_pcapwrite_open(&r->pcap, r->c->write, &o, &err) || kt_pcapwrite_interface(r->pcap, &i, &err) < 0)
		return cli_fail(CLI_FAILURE, "%s", err.text);
	return CLI_OK;
}

static bool is_stdout(const char *path)
{
	return path && !strcmp(path, "-");
}

int probe_out_open(struct probe_run *r)
{
	const struct probe_config *c = r->c;
	const char *json = c->common.json ? "-" : c->results;
	char plan[256];
	int taken = is_stdout(json) + is_stdout(c->csv) + is_stdout(c->write) + is_stdout(c->meta);

	if (c->common.json && c->results)
		return cli_fail(CLI_USAGE, "--json writes to standard output and --results to a file: say one of them");
	if (taken > 1)
		return cli_fail(CLI_USAGE, "only one kind of results can go to standard output");
	if (json) {
		if (out_open(&json_out, json))
			return cli_fail(CLI_FAILURE, "%s: %s", json, strerror(errno));
		r->json = &json_out;
		meta_line(r->json, "probe", r->set, r->port);
	}
	if (c->csv) {
		if (out_open(&csv_out, c->csv))
			return cli_fail(CLI_FAILURE, "%s: %s", c->csv, strerror(errno));
		r->csv = &csv_out;
		out_puts(r->csv, CSV_HEAD);
	}
	if (c->write && open_capture(r))
		return CLI_FAILURE;
	if (taken || c->common.quiet)
		return CLI_OK;
	out_open(&text_out, NULL);
	r->text = &text_out;
	probe_plan_text(r, plan, sizeof(plan));
	out_printf(r->text, "%s\nthrough %s by engine %s (%s)\n\n", plan, r->info.ifname, r->info.engine, r->info.mode);
	return CLI_OK;
}

static void finish_capture(struct probe_run *r)
{
	struct kt_pcapwrite_statistics s = { .start_ns = r->start_realtime_ns, .end_ns = meta_now() };
	struct ktrxer_err err = { 0 };
	struct kt_prober_stats st;

	if (r->prober) {
		kt_prober_get_stats(r->prober, &st);
		s.received = st.rx.seen;
		s.dropped = st.rx.lost_ring + st.rx.lost_engine;
		s.delivered = st.rx.delivered;
		kt_pcapwrite_statistics(r->pcap, 0, &s, &err);
	}
	if (kt_pcapwrite_close(r->pcap, &err) && !r->failed)
		r->failed = cli_fail(CLI_FAILURE, "%s", err.text);
}

int probe_out_close(struct probe_run *r)
{
	struct out *outs[] = { r->text, r->json, r->csv };

	if (r->pcap)
		finish_capture(r);
	for (unsigned int i = 0; i < KT_ARRAY_LEN(outs); i++) {
		bool told = outs[i] && outs[i]->err;

		if (outs[i] && !told && out_close(outs[i]))
			r->failed = CLI_FAILURE;
	}
	return r->failed;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer probe: probes to targets at their times, and what came back. */
#include "probe.h"

#include <stdlib.h>

#include "commands.h"
#include "meta.h"
#include "signals.h"
#include "status.h"

#define C struct probe_config

static const struct opt options[] = {
	{ "kind", 'k', OPT_ENUM(C, kind), "icmp|udp|syn|dns", "kind of probe", "icmp", .group = "What to send" },
	{ "port", 'p', OPT_STRING(C, ports), "PORTS",
	  "ports of the targets, 80,443,8000-8010; needed for udp and syn, 53 for dns" },
	{ "size", 's', OPT_SIZE(C, payload), "BYTES",
	  "payload of icmp (56) and udp (24); 16 carry a cookie, 24 the time too", .max = 9216 },
	{ "ttl", 0, OPT_COUNT(C, ttl), "N", "time to live or hop limit", "64", .min = 1, .max = 255 },
	{ "tos", 0, OPT_COUNT(C, tos), "N", "type of service or traffic class", "0", .max = 255 },
	{ "vlan", 0, OPT_STRING(C, vlan), "ID[,ID]", "802.1Q tag, or outer and inner tag" },
	{ "source-port", 0, OPT_STRING(C, source_ports), "A-B",
	  "source ports, which carry cookies; 32768-61000, with --drop 61001-65535" },
	{ "dns-name", 0, OPT_STRING(C, dns_name), "NAME", "name to ask for", "." },
	{ "dns-type", 0, OPT_COUNT(C, dns_type), "N", "type to ask for; A over IPv4, AAAA over IPv6", .max = 65535 },
	{ "hex", 0, OPT_LIST(C, hex), "HEX", "a whole Ethernet frame in hexadecimal, instead of targets" },
	{ "hex-file", 0, OPT_FILES(C, hex_files), "FILE", "the same from a file: hex, xxd or tcpdump -xx" },
	{ "pcap", 0, OPT_FILE(C, pcap), "FILE", "the frames of a capture" },
	{ "targets", 't', OPT_FILES(C, targets), "FILE", "targets, one expression a line", .group = "To whom" },
	{ "deny", 0, OPT_LIST(C, deny), "EXPR", "never probe these" },
	{ "deny-file", 0, OPT_FILES(C, deny_files), "FILE", "the same, from a file" },
	{ "allow", 0, OPT_LIST(C, allow), "EXPR", "probe only what is among these" },
	{ "allow-file", 0, OPT_FILES(C, allow_files), "FILE", "the same, from a file" },
	{ "deny-default", 0, OPT_FLAG(C, deny_default), NULL, "deny 0.0.0.0/8, multicast, 240.0.0.0/4 and broadcast",
	  "yes" },
	{ "order", 0, OPT_ENUM(C, order), "sequential|random", "of the targets", "sequential" },
	{ "seed", 0, OPT_COUNT(C, seed), "N", "of the random order and of Poisson gaps", "1" },
	{ "shard", 0, OPT_STRING(C, shard), "I/N", "only the I-th of N parts of the targets, I from 0" },
	{ "resume", 0, OPT_FILE(C, resume), "FILE", "keep the position there; when it exists, go on from it" },
	{ "count", 'c', OPT_COUNT(C, count), "N", "probes to each target, 0: until interrupted", "1", .group = "When" },
	{ "interval", 'I', OPT_DURATION(C, interval), "TIME",
	  "between one probe and the next; 1s for one target, 10ms for several", .min = 1, .max = 1ull << 60 },
	{ "rate", 'r', OPT_RATE(C, rate), "RATE", "probes a second" },
	{ "poisson", 0, OPT_RATE(C, poisson), "RATE", "probes a second, with exponential gaps" },
	{ "train", 0, OPT_COUNT(C, train), "N", "trains of N probes, one every --interval", .min = 2, .max = 1000000 },
	{ "gap", 0, OPT_DURATION(C, gap), "TIME", "between probes of a train; 0: back-to-back", "0",
	  .max = 1ull << 60 },
	{ "trains", 0, OPT_COUNT(C, trains), "N", "end after N trains, whatever --count says", .min = 1,
	  .max = 1000000 },
	{ "times", 0, OPT_FILE(C, times), "FILE", "launch times from the start, one a line: 0, 1.5ms, 3s" },
	{ "fast", 0, OPT_FLAG(C, fast), NULL, "as fast as possible" },
	{ "start", 0, OPT_TIME(C, start), "TIME", "first launch: 12:30, now+5s, 2026-11-21T06:45:00Z" },
	{ "late-window", 0, OPT_DURATION(C, window), "TIME", "do not send a probe that is later than this", .min = 1,
	  .max = 1ull << 60 },
	{ "attempts", 0, OPT_COUNT(C, attempts), "N", "launches tried when the driver refuses", "3", .min = 1,
	  .max = 1000 },
	{ "retry-pause", 0, OPT_DURATION(C, retry_delay), "TIME", "between them", "50us", .max = 4000000000ull },
	{ "timeout", 'W', OPT_DURATION(C, timeout), "TIME", "how long an answer is waited for", "1s", .min = 1000,
	  .max = 1ull << 60, .group = "Answers" },
	{ "linger", 0, OPT_DURATION(C, linger), "TIME",
	  "stay for so long behind the last timeout: repeated answers are counted and, with --drop, meet no RST", "0",
	  .max = 1ull << 42 },
	{ "retries", 'R', OPT_COUNT(C, retries), "N", "probe again, N times, who does not answer", "0", .max = 100 },
	{ "track", 0, OPT_ENUM(C, track), "auto|yes|no",
	  "tell the fate of every probe; auto: unless it is a scan of more than 16384 probes", "auto" },
	{ "drop", 0, OPT_ENUM(C, drop), "auto|yes|no",
	  "keep answers from the host, so that it sends no RST; auto: for syn, if the engine can", "auto" },
	{ "dedup", 0, OPT_COUNT(C, dedup), "N", "untracked: answers remembered to tell duplicates", "131072", .min = 1,
	  .max = 1 << 30 },
	{ "source", 0, OPT_STRING(C, source), "ADDR", "source address", .group = "Path" },
	{ "gateway-mac", 0, OPT_STRING(C, gateway_mac), "MAC", "send everything to this neighbour, without asking" },
	{ "path-of", 0, OPT_STRING(C, path_of), "ADDR", "find the way to ADDR once and use it for all targets" },
	{ "path-timeout", 0, OPT_DURATION(C, path_timeout), "TIME",
	  "how long a neighbour is waited for; 1s, for several targets 200ms, for many 50ms", .min = 1,
	  .max = 1ull << 40 },
	{ "cpu", 0, OPT_SIGNED(C, cpu), "N", "processor of the launching thread; -1: any", "-1", .min = (u64)-1,
	  .max = 1023, .group = "How" },
	{ "fifo", 0, OPT_COUNT(C, fifo), "N", "real-time priority of the launching thread; 0: none", "10", .max = 99 },
	{ "spin", 0, OPT_DURATION(C, spin), "TIME",
	  "watch the clock for so long before a launch; without it as long as this machine needs", .min = 1,
	  .max = 1000000000ull },
	{ "results", 'o', OPT_FILE(C, results), "FILE", "JSON Lines, as --json writes them; -: standard output",
	  .group = "Where to" },
	{ "csv", 0, OPT_FILE(C, csv), "FILE", "a line for each result" },
	{ "write", 'w', OPT_FILE(C, write), "FILE", "frames sent and answers, as pcapng with ns times" },
	{ "meta", 0, OPT_FILE(C, meta), "FILE", "one JSON object: host, options, clocks, counters" },
	{ 0 },
};

static const char *const exclusive[] = {
	"interval rate poisson times fast",
	"train rate poisson times fast",
	"hex pcap",
	"hex targets",
	"pcap targets",
	"hex-file targets",
	"hex-file pcap",
	"path-of gateway-mac",
	NULL,
};

/* Asked by the prober between packets: the once-a-second things are done here. */
static bool stop(void *ctx)
{
	struct probe_run *r = ctx;

	if (status_due())
		probe_report_status(r);
	if (r->c->resume && meta_now() - r->state_ns > KT_NSEC_PER_SEC)
		probe_state_save(r);
	probe_out_flush(r);
	return r->failed || interrupted();
}

/* What was asked for did not happen: nothing answered, or not all was sent. */
static int verdict(struct probe_run *r)
{
	struct kt_prober_stats st;

	kt_prober_get_stats(r->prober, &st);
	if (!st.answered || st.failed || st.late || st.no_path)
		return CLI_NOT_ACHIEVED;
	return CLI_OK;
}

static int finish(struct probe_run *r, int ret, const struct ktrxer_err *err)
{
	static struct out meta;
	int code = CLI_OK;

	status_clear();
	if (ret && ret != -EINTR)
		code = cli_fail_err(err, NULL);
	if (ret == -ENODEV || ret == -ENETDOWN)
		code = CLI_FAILURE; /* it was there when we began */
	if (r->c->resume)
		probe_state_save(r);
	if (r->text && !r->c->common.quiet)
		probe_report_text(r, r->text);
	if (r->json) {
		struct json j;

		json_init(&j, r->json);
		probe_report_json(r, &j);
	}
	if (r->c->meta) {
		if (out_open(&meta, r->c->meta))
			code = cli_fail(CLI_FAILURE, "%s: %s", r->c->meta, strerror(errno));
		else
			probe_report_meta(r, &meta);
		if (!code)
			code = out_close(&meta);
	}
	if (!code && ret == -EINTR && interrupted())
		code = interrupted_exit();
	return code ? code : verdict(r);
}

static int probe(struct probe_run *r)
{
	struct ktrxer_err err = { 0 };
	int code = probe_plan_port(r), close_code, ret;

	if (code)
		return code;
	code = probe_out_open(r);
	if (!code) {
		r->o.event = probe_out_event;
		r->o.quiet = !r->c->common.verbose;
		r->o.frame = r->pcap ? probe_out_frame : NULL;
		r->o.stop = stop;
		r->o.ctx = r;
		if (kt_prober_new(&r->prober, r->port, &r->o, &err))
			code = cli_fail_err(&err, NULL);
	}
	if (!code) {
		struct kt_prober_stats st;

		kt_prober_get_stats(r->prober, &st);
		cli_tell_wishes(&r->c->common, r->port, &st.tx);
		r->start_realtime_ns = meta_now();
		ret = kt_prober_run(r->prober, &err);
		code = finish(r, ret, &err);
	}
	close_code = probe_out_close(r);
	kt_prober_free(r->prober);
	return close_code ? close_code : code;
}

static int run(const struct optset *set, void *config, int argc, char **argv)
{
	static struct probe_run r;
	int code;

	r = (struct probe_run){ .c = config, .set = set };
	code = probe_plan(&r, argc, argv);
	if (!code)
		code = r.c->common.dry_run ? probe_dry(&r) : probe(&r);
	if (r.port)
		ktrxer_close(r.port);
	probe_plan_free(&r);
	return code;
}

const struct command command_probe = {
	.name = "probe",
	.summary = "send probes to targets at exact times and match the answers",
	.operands = "[TARGET...]",
	.details =
		"A TARGET is an address, a prefix 192.0.2.0/24 or a range 192.0.2.1-20, IPv4 or IPv6. Every probe "
		"carries a keyed cookie, so that only true answers count and memory does not grow with their number. "
		"Exit code 0: all probes were sent and at least one was answered; 1: not so.",
	.flags = CMD_INTERFACE | CMD_PORT | CMD_SEND | CMD_DRY_RUN,
	.options = options,
	.config_bytes = sizeof(struct probe_config),
	.exclusive = exclusive,
	.run = run,
};

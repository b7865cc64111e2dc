/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* From options to a plan: targets, frames, schedule, path. Everything that can be wrong is found before anything is sent. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../lib/hexframe.h"
#include "../lib/pcapfile.h"
#include "../lib/probe.h"
#include "probe.h"
#include "probe_times.h"
#include "units.h"
#include "value.h"

#define MAX_FRAME 65535
#define MAX_FRAMES 65536
#define SCAN 16384 /* with more probes it is a scan: not tracked */
#define MAX_PPS 1000000000ull
#define MAX_FLOOD_NUM 10000000000ull /* rates of more digits are kept probe by probe */
#define FLOOD_PPS 20000 /* from this rate on probes leave in batches */

/* --- The series -------------------------------------------------------------------- */

static int parse_vlans(const char *text, struct ktrxer_probe *p)
{
	unsigned int a = 0, b = 0;
	char tail;
	int n = sscanf(text, "%5u,%5u%c", &a, &b, &tail);

	if (n == 1 && strchr(text, ','))
		n = 0;
	if (n < 1 || n > 2 || a > 4094 || b > 4094)
		return cli_fail(CLI_USAGE, "--vlan \"%s\": write ID or ID,ID; each from 0 to 4094", text);
	p->n_vlans = (u8)n;
	p->vlan[0] = (u16)a;
	p->vlan[1] = (u16)b;
	return CLI_OK;
}

static int parse_source_ports(const char *text, struct ktrxer_probe *p)
{
	unsigned int a = 0, b = 0;
	char tail;
	int n = sscanf(text, "%5u-%5u%c", &a, &b, &tail);

	if (n == 1 && !strchr(text, '-'))
		b = a;
	else if (n != 2)
		a = 0;
	if (!a || a > 65535 || b > 65535 || b < a)
		return cli_fail(CLI_USAGE, "--source-port \"%s\": write A or A-B, from 1 to 65535", text);
	p->sport_lo = (u16)a;
	p->sport_hi = (u16)b;
	return CLI_OK;
}

static int plan_series(struct probe_run *r)
{
	const struct probe_config *c = r->c;
	struct ktrxer_probe *p = &r->o.probe;
	const char *why;
	int code = CLI_OK;

	*p = (struct ktrxer_probe){ .sz = sizeof(*p), .kind = (enum ktrxer_probe_kind)c->kind };
	p->ttl = (u8)c->ttl;
	p->tos = (u8)c->tos;
	p->dns_name = c->dns_name;
	p->dns_type = (u16)c->dns_type;
	if (opt_given(r->set, "size"))
		p->payload_bytes = (u32)c->payload;
	else
		p->payload_bytes = p->kind == KTRXER_PROBE_ICMP ? 56 : p->kind == KTRXER_PROBE_UDP ? 24 : 0;
	if (c->vlan)
		code = parse_vlans(c->vlan, p);
	if (!code && c->source_ports)
		code = parse_source_ports(c->source_ports, p);
	if (!code && kt_probe_check(p, &why))
		code = cli_fail(CLI_USAGE, "%s", why);
	if (!code && c->ports && p->kind == KTRXER_PROBE_ICMP)
		code = cli_fail(CLI_USAGE, "--port means nothing to icmp probes; say --kind udp or --kind syn");
	if (!code && !c->ports && (p->kind == KTRXER_PROBE_UDP || p->kind == KTRXER_PROBE_SYN))
		code = cli_need("port", "the ports to probe, such as --port 80 or --port 80,443,8000-8010");
	return code;
}

/* --- Targets ------------------------------------------------------------------------- */

static int add_all(struct probe_run *r, enum kt_target_list list, const struct opt_list *texts,
		   const struct opt_list *files)
{
	struct ktrxer_err err = { 0 };

	for (unsigned int i = 0; i < texts->n; i++)
		if (kt_targets_add(&r->targets, list, texts->v[i], NULL, &err))
			return cli_fail(CLI_USAGE, "%s", err.text);
	for (unsigned int i = 0; i < files->n; i++)
		if (kt_targets_add_file(&r->targets, list, files->v[i], &err))
			return cli_fail(CLI_USAGE, "%s", err.text);
	return CLI_OK;
}

static int parse_shard(const char *text, struct kt_walk_opts *w)
{
	char tail;

	if (sscanf(text, "%9u/%9u%c", &w->shard, &w->n_shards, &tail) != 2 || !w->n_shards)
		return cli_fail(CLI_USAGE, "--shard \"%s\": write I/N, such as 0/4", text);
	return CLI_OK;
}

static int plan_walk(struct probe_run *r)
{
	struct kt_walk_opts w = { .random = r->c->order == 1, .seed = r->c->seed };
	struct ktrxer_err err = { 0 };
	char text[4096];
	size_t n;
	FILE *f;

	if (r->c->shard && parse_shard(r->c->shard, &w))
		return CLI_USAGE;
	if (kt_walk_init(&r->walk, &w, r->targets.last, kt_targets_digest(&r->targets), &err))
		return cli_fail(CLI_USAGE, "%s", err.text);
	f = r->c->resume ? fopen(r->c->resume, "re") : NULL;
	if (r->c->resume && !f && errno != ENOENT)
		return cli_fail(CLI_USAGE, "%s: %s", r->c->resume, strerror(errno));
	if (!f)
		return CLI_OK;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	if (kt_walk_restore(&r->walk, text, r->c->resume, &err))
		return cli_fail(CLI_USAGE, "%s", err.text);
	return CLI_OK;
}

static int plan_targets(struct probe_run *r, int argc, char **argv)
{
	const struct probe_config *c = r->c;
	const struct opt_list none = { 0 }, operands = { .v = (const char **)(uintptr_t)argv, .n = (unsigned int)argc };
	struct ktrxer_err err = { 0 };
	int code = add_all(r, KT_TARGET_INCLUDE, &operands, &c->targets);

	if (!code)
		code = add_all(r, KT_TARGET_DENY, &c->deny, &c->deny_files);
	if (!code)
		code = add_all(r, KT_TARGET_ALLOW, &c->allow, &none);
	if (!code)
		code = add_all(r, KT_TARGET_ALLOW, &none, &c->allow_files);
	if (!code &&
	    ((c->deny_default && kt_targets_add_default_deny(&r->targets, &err)) ||
	     (c->ports && kt_targets_set_ports(&r->targets, c->ports, &err)) || kt_targets_finish(&r->targets, &err)))
		code = cli_fail(CLI_USAGE, "%s", err.text);
	if (!code)
		code = plan_walk(r);
	if (code)
		return code;
	r->n_targets = kt_walk_count(&r->walk);
	r->address_width = kt_targets_has_version(&r->targets, 6) ? 39 : 15;
	r->o.targets = &r->targets;
	r->o.walk = &r->walk;
	return CLI_OK;
}

/* --- Frames ---------------------------------------------------------------------------- */

static int add_frame(struct probe_run *r, const u8 *data, u32 len)
{
	struct kt_prober_frame *v;
	u8 *copy = malloc(len);

	if (!(r->o.n_frames & (r->o.n_frames - 1))) {
		v = realloc(r->frames, (r->o.n_frames ? 2 * r->o.n_frames : 1) * sizeof(*v));
		if (v)
			r->frames = v;
		else
			copy = (free(copy), NULL);
	}
	if (!copy)
		return cli_fail(CLI_FAILURE, "no memory for frames");
	memcpy(copy, data, len);
	r->frames[r->o.n_frames++] = (struct kt_prober_frame){ copy, len };
	r->o.frames = r->frames;
	return CLI_OK;
}

static int plan_capture(struct probe_run *r, const char *path)
{
	struct ktrxer_err err = { 0 };
	struct kt_pcapfile_packet p;
	struct kt_pcapfile *f;
	int code = CLI_OK, ret;

	if (kt_pcapfile_open(&f, path, &err))
		return cli_fail(err.code == EOPNOTSUPP ? CLI_ENVIRONMENT : CLI_USAGE, "%s", err.text);
	while (!code && (ret = kt_pcapfile_next(f, &p, &err))) {
		if (ret < 0)
			code = cli_fail(CLI_USAGE, "%s", err.text);
		else if (p.caplen < p.wirelen)
			code = cli_fail(CLI_USAGE,
					"%s: record %" PRIu64 " holds %u of %u bytes: it cannot be sent whole", path,
					p.number, p.caplen, p.wirelen);
		else if (p.caplen < 14)
			code = cli_fail(CLI_USAGE, "%s: record %" PRIu64 " has %u bytes: too few for an Ethernet frame",
					path, p.number, p.caplen);
		else if (r->o.n_frames == MAX_FRAMES)
			code = cli_fail(CLI_USAGE,
					"%s: more than %d frames; ktrxer send replays captures of any length", path,
					MAX_FRAMES);
		else
			code = add_frame(r, p.data, p.caplen);
	}
	kt_pcapfile_close(f);
	if (!code && !r->o.n_frames)
		code = cli_fail(CLI_USAGE, "%s: it holds no frames", path);
	return code;
}

static int plan_frames(struct probe_run *r, int argc)
{
	const struct probe_config *c = r->c;
	static u8 frame[MAX_FRAME];
	struct ktrxer_err err = { 0 };
	int code = CLI_OK, n;

	if (argc || c->ports || c->resume || c->shard)
		return cli_fail(CLI_USAGE,
				"frames of your own have their addresses in them: no targets, --port, --shard or "
				"--resume beside --hex, --hex-file or --pcap");
	for (unsigned int i = 0; !code && i < c->hex.n; i++) {
		n = kt_hexframe_parse(frame, sizeof(frame), c->hex.v[i], "--hex", &err);
		code = n < 0 ? cli_fail(CLI_USAGE, "%s", err.text) : add_frame(r, frame, (u32)n);
	}
	for (unsigned int i = 0; !code && i < c->hex_files.n; i++) {
		n = kt_hexframe_read(frame, sizeof(frame), c->hex_files.v[i], &err);
		code = n < 0 ? cli_fail(CLI_USAGE, "%s", err.text) : add_frame(r, frame, (u32)n);
	}
	if (!code && c->pcap)
		code = plan_capture(r, c->pcap);
	r->n_targets = r->o.n_frames;
	r->address_width = 39;
	return code;
}

/* --- Schedule ------------------------------------------------------------------------------ */

static u64 mean_gap(const struct opt_rate *rate)
{
	u64 gap = rate->num ? KT_NSEC_PER_SEC * rate->den / rate->num : 0;

	return gap ? gap : 1;
}

static int plan_trains(struct probe_run *r)
{
	const struct probe_config *c = r->c;
	struct kt_pace_opts *pace = &r->o.pace;

	if (!opt_given(r->set, "interval"))
		return cli_need("interval", "the time from the start of one train to the start of the next");
	pace->kind = KT_PACE_TRAIN;
	pace->train_pkts = (u32)c->train;
	pace->gap_ns = c->gap;
	if (c->gap && c->gap > c->interval / c->train)
		return cli_fail(CLI_USAGE, "trains of %" PRIu64 " probes with such a --gap do not fit into --interval",
				c->train);
	if (c->trains) {
		r->o.rounds = 0;
		return probe_times_trains(r, c->trains, c->train, c->interval, c->gap);
	}
	return CLI_OK;
}

static int plan_schedule(struct probe_run *r)
{
	const struct probe_config *c = r->c;
	struct kt_pace_opts *pace = &r->o.pace;

	r->o.rounds = c->count;
	*pace = (struct kt_pace_opts){ .kind = KT_PACE_INTERVAL, .interval_ns = c->interval, .seed = c->seed };
	if (!c->train && (c->trains || opt_given(r->set, "gap")))
		return cli_need("train", "the number of probes in a train");
	if (c->train)
		return plan_trains(r);
	if (c->times)
		return probe_times_read(r, c->times);
	if (c->fast) {
		pace->kind = KT_PACE_ASAP;
	} else if (c->rate.num) {
		if (c->rate.num / c->rate.den > MAX_PPS)
			return cli_fail(CLI_USAGE,
					"--rate: no more than 1G probes a second; --fast is as fast as possible");
		pace->kind = KT_PACE_RATE;
		pace->rate_num = c->rate.num;
		pace->rate_den = c->rate.den;
	} else if (c->poisson.num) {
		pace->kind = KT_PACE_POISSON;
		pace->interval_ns = mean_gap(&c->poisson);
	} else if (!pace->interval_ns) {
		pace->interval_ns = r->n_targets > 1 ? 10000000 : KT_NSEC_PER_SEC;
	}
	return CLI_OK;
}

/* Probes a second that the schedule asks for on average; 0: as many as possible. */
static double planned_rate(const struct kt_pace_opts *p)
{
	if (p->kind == KT_PACE_RATE)
		return (double)p->rate_num / (double)(p->rate_den ? p->rate_den : 1);
	if (p->kind == KT_PACE_TRAIN)
		return 1e9 * p->train_pkts / (double)p->interval_ns;
	return p->kind == KT_PACE_ASAP ? 0 : 1e9 / (double)p->interval_ns;
}

static void plan_memory(struct probe_run *r)
{
	const struct probe_config *c = r->c;
	double rate = planned_rate(&r->o.pace), needed;
	bool steady = r->o.pace.kind == KT_PACE_RATE || r->o.pace.kind == KT_PACE_INTERVAL || c->fast;
	bool scan = r->o.rounds && r->n_targets > SCAN / r->o.rounds;
	u32 bits = 10;

	r->o.track = c->track == TRI_YES || c->retries || (c->track == TRI_AUTO && !scan);
	r->o.flood = steady && !r->times && r->o.rounds && (c->fast ? scan : rate >= FLOOD_PPS) &&
		     c->rate.num <= MAX_FLOOD_NUM;
	needed = r->o.track && rate > 0 ? 1.5 * rate * ((double)c->timeout / 1e9 + 0.1) : 65536;
	while (bits < 22 && (double)(1u << bits) < needed)
		bits++;
	r->o.ring_bits = bits < 13 ? 13 : bits;
}

static int check_track(struct probe_run *r)
{
	if (r->c->retries && r->c->track == TRI_NO)
		return cli_fail(CLI_USAGE, "--retries needs to know who did not answer: not with --track no");
	if (r->c->resume && r->c->count != 1)
		return cli_fail(CLI_USAGE,
				"--resume keeps the position of one walk over the targets: only with --count 1");
	return CLI_OK;
}

int probe_plan(struct probe_run *r, int argc, char **argv)
{
	const struct probe_config *c = r->c;
	bool own_frames = c->hex.n || c->hex_files.n || c->pcap;
	int code;

	kt_targets_init(&r->targets);
	code = own_frames ? plan_frames(r, argc) : plan_series(r);
	if (!code && !own_frames)
		code = plan_targets(r, argc, argv);
	if (!code)
		code = plan_schedule(r);
	if (!code)
		code = check_track(r);
	if (code)
		return code;
	plan_memory(r);
	r->o.timeout_ns = c->timeout;
	r->o.linger_ns = c->linger;
	r->o.window_ns = c->window;
	r->o.max_attempts = (u32)c->attempts;
	r->o.retry_ns = (u32)c->retry_delay;
	r->o.retries = (u32)c->retries;
	r->o.dedup = (u32)c->dedup;
	r->o.path_timeout_ns = c->path_timeout;
	r->o.cpu = (int)c->cpu + 1;
	r->o.fifo_priority = (int)c->fifo;
	r->o.spin_ns = c->spin;
	r->o.tap = c->common.tap;
	r->o.zero_copy = c->common.zero_copy;
	r->o.nic_launch = c->common.nic_launch;
	return CLI_OK;
}

void probe_plan_free(struct probe_run *r)
{
	for (u32 i = 0; i < r->o.n_frames; i++)
		free(r->frames[i].data);
	free(r->frames);
	free(r->times);
	kt_targets_free(&r->targets);
}

void probe_plan_text(const struct probe_run *r, char *buf, size_t cap)
{
	static const char *const kinds[] = { "ICMP echo", "UDP", "TCP SYN", "DNS" };
	const struct kt_pace_opts *p = &r->o.pace;
	char n[UNIT_CHARS], t[UNIT_CHARS], m[UNIT_CHARS], when[100], before[100] = "";

	if (r->c->times)
		snprintf(when, sizeof(when), "at the times of %.60s", r->c->times);
	else if (r->c->train)
		snprintf(when, sizeof(when), "in trains of %" PRIu64 " every %s", r->c->train,
			 unit_ns(t, (s64)r->c->interval));
	else if (p->kind == KT_PACE_ASAP)
		snprintf(when, sizeof(when), "as fast as possible");
	else if (p->kind == KT_PACE_INTERVAL)
		snprintf(when, sizeof(when), "one every %s", unit_ns(t, (s64)p->interval_ns));
	else
		snprintf(when, sizeof(when), "%s%s", unit_si(t, planned_rate(p), "probes/s"),
			 p->kind == KT_PACE_POISSON ? " on average (Poisson)" : "");
	if (!r->o.n_frames && r->walk.n_given)
		snprintf(before, sizeof(before), " (%s of them before, says %.50s)", unit_count(m, r->walk.n_given),
			 r->c->resume);
	snprintf(buf, cap, "%s%s%s %s%s%s, %s", r->o.n_frames ? "" : kinds[r->c->kind], r->o.n_frames ? "" : " to ",
		 unit_count(n, r->n_targets), r->o.n_frames ? "frame" : "target", r->n_targets == 1 ? "" : "s", before,
		 when);
}

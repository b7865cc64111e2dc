/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * ktrxer probe, in parts: probe.c (options, the run), probe_plan.c (what the
 * options say, checked, as options of the prober), probe_out.c (results as
 * they come), probe_report.c (the end), probe_dry.c (what would be sent).
 */
#ifndef KT_CLI_PROBE_H
#define KT_CLI_PROBE_H

#include "../lib/pcapwrite.h"
#include "../lib/prober.h"
#include "cli.h"
#include "json.h"

struct probe_config {
	struct common common;
	/* what */
	int kind; /* enum ktrxer_probe_kind */
	const char *ports;
	u64 payload;
	u64 ttl;
	u64 tos;
	const char *vlan;
	const char *source_ports;
	const char *dns_name;
	u64 dns_type;
	struct opt_list hex;
	struct opt_list hex_files;
	const char *pcap;
	/* to whom */
	struct opt_list targets;
	struct opt_list deny;
	struct opt_list deny_files;
	struct opt_list allow;
	struct opt_list allow_files;
	bool deny_default;
	int order; /* 0 sequential, 1 random */
	u64 seed;
	const char *shard;
	const char *resume;
	/* when */
	u64 count;
	u64 interval;
	struct opt_rate rate;
	struct opt_rate poisson;
	u64 train;
	u64 gap;
	u64 trains;
	const char *times;
	bool fast;
	u64 start;
	u64 window;
	u64 attempts;
	u64 retry_delay;
	/* answers */
	u64 timeout;
	u64 linger;
	u64 retries;
	int track; /* enum tristate */
	int drop;
	u64 dedup;
	/* way */
	const char *source;
	const char *gateway_mac;
	const char *path_of;
	u64 path_timeout;
	/* how */
	s64 cpu;
	u64 fifo;
	u64 spin;
	/* where to */
	const char *results;
	const char *csv;
	const char *write;
	const char *meta;
};

enum tristate { TRI_AUTO = 0, TRI_YES = 1, TRI_NO = 2 };

/* A run and all that belongs to it. */
struct probe_run {
	const struct probe_config *c;
	const struct optset *set;
	struct kt_targets targets;
	struct kt_walk walk;
	struct kt_prober_opts o;
	struct kt_prober_frame *frames; /* their data is owned here */
	u64 *times;
	u64 n_targets; /* of this shard; frames: how many */
	struct ktrxer *port;
	struct ktrxer_info info;
	struct kt_prober *prober;
	struct out *text; /* NULL: none */
	struct out *json;
	struct out *csv;
	struct kt_pcapwrite *pcap;
	int failed; /* exit code of the first output that failed */
	u64 start_realtime_ns;
	u64 state_ns; /* when the resume file was last written */
	unsigned int address_width;
};

/* probe_plan.c: exit codes; the first needs no port, the second opens it. */
int probe_plan(struct probe_run *r, int argc, char **argv);
int probe_plan_port(struct probe_run *r);
void probe_plan_free(struct probe_run *r);
int probe_state_save(struct probe_run *r);
/* "60 probes to 3 targets, one every 10 ms" */
void probe_plan_text(const struct probe_run *r, char *buf, size_t cap);

/* probe_out.c */
int probe_out_open(struct probe_run *r);
void probe_out_event(void *ctx, const struct kt_prober_event *e);
void probe_out_frame(void *ctx, bool outgoing, const u8 *data, u32 caplen, u32 wirelen, u64 stamp_ns);
int probe_out_close(struct probe_run *r);
void probe_out_flush(struct probe_run *r);
/* "192.0.2.1:80"; returns buf, of at least 64 bytes. */
const char *probe_target_text(char *buf, const struct ktrxer_addr *addr, u16 port);

/* probe_report.c */
void probe_report_text(struct probe_run *r, struct out *out);
void probe_report_json(struct probe_run *r, struct json *j);
void probe_report_status(struct probe_run *r);
void probe_report_meta(struct probe_run *r, struct out *out);

/* probe_dry.c */
int probe_dry(struct probe_run *r);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer capture: what rules or a filter take, into files or lines. */
#include "capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "../lib/receiver.h"
#include "attach.h"
#include "meta.h"
#include "signals.h"
#include "status.h"

static const struct opt options[] = {
	{ "rule", 0, OPT_LIST(struct capture_config, rule), "RULE", "a rule, as ktrxer-rule(5) describes",
	  .group = "What" },
	{ "rules", 'R', OPT_FILES(struct capture_config, rules), "FILE", "rules, one a line" },
	{ "direction", 'D', OPT_ENUM(struct capture_config, direction), "in|out|both",
	  "packets that arrive, that this host sends (engine packet), or both", "in" },
	{ "snaplen", 's', OPT_SIZE(struct capture_config, snaplen), "BYTES",
	  "of each packet, where rules do not say; without it all", .min = 14, .max = 262144 },
	{ "count", 'c', OPT_COUNT(struct capture_config, count), "N", "end after N packets of the first listener",
	  .min = 1 },
	{ "duration", 'd', OPT_DURATION(struct capture_config, duration), "TIME", "end after so long", .min = 1,
	  .max = 1ull << 60 },
	{ "write", 'w', OPT_FILES(struct capture_config, write), "FILE",
	  "a capture file, or - for standard output; without it lines of text", .group = "Where to" },
	{ "format", 0, OPT_ENUM(struct capture_config, format), "auto|pcapng|pcap",
	  "of files; auto: pcap (ns) if the name ends so, else pcapng", "auto" },
	{ "listener", 'L', OPT_LIST(struct capture_config, listeners), "SPEC",
	  "a listener of its own: file=F,tag=N,lossless,rotate-size=S,files=N,filter=EXPRESSION" },
	{ "lossless", 0, OPT_FLAG(struct capture_config, lossless), NULL,
	  "the ring waits for slow listeners, and what finds no room is counted; else they are overrun and told so" },
	{ "rotate-size", 0, OPT_SIZE(struct capture_config, rotate_size), "BYTES", "a new file when one is as large",
	  .min = 1024 },
	{ "rotate-time", 0, OPT_DURATION(struct capture_config, rotate_time), "TIME", "a new file so often",
	  .min = 1000000, .max = 1ull << 60 },
	{ "rotate-count", 0, OPT_COUNT(struct capture_config, rotate_count), "N", "a new file after N packets",
	  .min = 1 },
	{ "files", 0, OPT_COUNT(struct capture_config, files), "N", "keep the last N files only", .min = 1 },
	{ "share", 0, OPT_FLAG(struct capture_config, share), NULL,
	  "let other processes listen and change rules (ktrxer rule, --attach)", .group = "Sharing" },
	{ "share-path", 0, OPT_FILE(struct capture_config, share_path), "PATH",
	  "the socket for that; without it /run/ktrxer/IF.sock" },
	{ "attach", 0, OPT_FILE(struct capture_config, attach), "PATH",
	  "listen to the receiver that another process shares there; an interface name will do" },
	{ "wait", 0, OPT_DURATION(struct capture_config, wait), "TIME",
	  "with --attach: how long to wait for somebody to share one", "0", .max = 1ull << 60 },
	{ "ring", 0, OPT_SIZE(struct capture_config, ring), "BYTES", "size of the ring", "16Mi", .min = 65536,
	  .max = 1ull << 31, .group = "How" },
	{ "cpu", 0, OPT_SIGNED(struct capture_config, cpu), "N", "processor of the receiving thread; -1: any", "-1",
	  .min = (u64)-1, .max = 4095 },
	{ 0 },
};

static const char *const exclusive[] = {
	"attach interface", "attach share", "attach share-path", "attach rule", "attach rules", "attach ring", NULL,
};

static char *join(int argc, char **argv)
{
	size_t n = 1;
	char *text;

	for (int i = 0; i < argc; i++)
		n += strlen(argv[i]) + 1;
	text = calloc(1, n);
	for (int i = 0; text && i < argc; i++) {
		strcat(text, argv[i]);
		if (i + 1 < argc)
			strcat(text, " ");
	}
	return text;
}

static int install_rules(struct capture *cap)
{
	const struct capture_config *c = cap->c;
	struct rule_set set = { 0 };
	struct krx_rule all = { .op = KRX_CAPTURE };
	int r = rules_add_all(&set, &c->rules, &c->rule);

	if (!r) {
		for (unsigned int i = 0; c->snaplen && i < set.n; i++)
			if (!set.v[i].slice_bytes)
				set.v[i].slice_bytes = (u32)c->snaplen;
		all.slice_bytes = (u32)c->snaplen;
		if (c->rules.n || c->rule.n)
			r = krx_rules_replace(cap->rx, set.v, set.n);
		else
			r = krx_rules_replace(cap->rx, &all, 1);
		if (r)
			r = cli_fail(r == -EINVAL ? CLI_USAGE : cli_exit_for(r), "%s", krx_why(cap->rx));
	}
	rules_free(&set);
	return r;
}

/* Once its rules are in force: those that others add are not replaced by ours. */
static int share(struct capture *cap)
{
	const char *path = cap->c->share_path;
	struct ktrxer_err err = { 0 };
	char buf[256];

	if (!path && !cap->c->share)
		return CLI_OK;
	if (!path && mkdir("/run/ktrxer", 0755) && errno != EEXIST)
		return cli_fail(cli_exit_for(errno), "/run/ktrxer: %s", strerror(errno));
	if (!path)
		path = rules_share_path(buf, sizeof(buf), cap->ifname);
	return kt_share_start(cap->rx, path, &err) ? cli_fail_err(&err, NULL) : CLI_OK;
}

static int open_own(struct capture *cap)
{
	const struct capture_config *c = cap->c;
	struct common common = c->common;
	struct ktrxer_err err = { 0 };
	KTRXER_OPTS(krx_opts, o);
	struct ktrxer_info info;
	int r;

	/* Only taps see what the host sends. */
	if (c->direction != CAPTURE_IN && !strcmp(common.engine, "auto"))
		common.engine = "packet";
	r = cli_port_open(&cap->port, &common, NULL);
	if (r)
		return r;
	ktrxer_get_info(cap->port, &info);
	snprintf(cap->ifname, sizeof(cap->ifname), "%s", info.ifname);
	o.ring_bytes = c->ring;
	o.thread = info.clock != KTRXER_CLOCK_VIRTUAL;
	o.cpu = (int)c->cpu + 1;
	o.outgoing = c->direction != CAPTURE_IN;
	if (krx_open(&cap->rx, cap->port, &o, &err))
		return cli_fail_err(&err, NULL);
	if (cap->only_filter)
		kt_rx_want(cap->rx, cap->stream[0].filter);
	r = install_rules(cap);
	return r ? r : share(cap);
}

static int open_attached(struct capture *cap)
{
	const char *where = cap->c->attach;
	char path[256];

	if (!strchr(where, '/'))
		where = rules_share_path(path, sizeof(path), where);
	snprintf(cap->ifname, sizeof(cap->ifname), "%.63s", where);
	return attach(&cap->rx, where, cap->c->wait);
}

static int report(struct capture *cap)
{
	static struct out err_out;

	status_clear();
	if (cap->c->common.json && cap->lines)
		capture_json(cap);
	if (cap->c->common.quiet || (cap->c->common.json && cap->lines))
		return CLI_OK;
	/* Standard output may be a capture or lines: the summary is for the person at the terminal. */
	out_open(&err_out, NULL);
	err_out.fd = 2;
	capture_text(cap, &err_out);
	out_flush(&err_out);
	return CLI_OK;
}

static int capture(struct capture *cap)
{
	const struct capture_config *c = cap->c;
	int r, close_r;

	if (c->wait && !c->attach)
		return cli_fail(CLI_USAGE, "--wait goes with --attach: nobody else is waited for");
	r = capture_streams(cap);
	if (!r)
		r = c->attach ? open_attached(cap) : open_own(cap);
	for (unsigned int i = 0; !r && i < cap->n_streams; i++)
		r = stream_open(&cap->stream[i], cap);
	if (r)
		goto out;
	cap->start_ns = meta_now();
	if (cap->lines && c->common.json)
		meta_line(cap->out, "capture", cap->set, cap->port);
	r = capture_loop(cap);
	report(cap);
	if (!r && cap->ended_early && (c->count || c->duration))
		r = interrupted_exit();
out:
	for (unsigned int i = 0; i < cap->n_streams; i++) {
		close_r = stream_close(&cap->stream[i], cap);
		r = r ? r : close_r;
	}
	if (cap->rx)
		krx_close(cap->rx);
	if (cap->port)
		ktrxer_close(cap->port);
	capture_streams_free(cap);
	return r;
}

static int run(const struct optset *set, void *config, int argc, char **argv)
{
	static struct capture cap;
	static struct out out;
	char *filter = argc ? join(argc, argv) : NULL;
	int r, w;

	cap = (struct capture){ .c = config, .set = set, .out = &out, .filter = filter };
	out_open(&out, NULL);
	r = capture(&cap);
	w = out.err ? CLI_FAILURE : out_close(&out);
	free(filter);
	return r ? r : w;
}

const struct command command_capture = {
	.name = "capture",
	.summary = "capture packets by rules or a filter expression, into files or lines",
	.operands = "[EXPRESSION]",
	.details = "EXPRESSION is that of pcap-filter(7), such as: tcp port 80. Rules choose what reaches the ring and "
		   "what becomes of it; the expression chooses among that. Without rules everything is captured. Ends "
		   "by --count, --duration or an interrupt.",
	.flags = CMD_INTERFACE | CMD_PORT,
	.options = options,
	.config_bytes = sizeof(struct capture_config),
	.exclusive = exclusive,
	.run = run,
};

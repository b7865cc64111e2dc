/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer send: a capture file replayed, exactly when asked. */
#include "send.h"

#include <stdlib.h>

#include "meta.h"
#include "signals.h"
#include "status.h"

static const struct opt options[] = {
	{ "rate", 'r', OPT_RATE(struct send_config, rate), "RATE", "frames per second", .group = "When" },
	{ "bit-rate", 0, OPT_BITRATE(struct send_config, bit_rate), "RATE",
	  "bits per second, of frames without their checksum" },
	{ "interval", 0, OPT_DURATION(struct send_config, interval), "TIME", "between frames", .min = 1,
	  .max = KT_PACE_MAX_NS },
	{ "times", 0, OPT_NUMBER(struct send_config, times), "FACTOR", "the file's own times, so much faster", "1" },
	{ "fast", 0, OPT_FLAG(struct send_config, fast), NULL, "as fast as possible" },
	{ "start", 0, OPT_TIME(struct send_config, start), "CLOCK",
	  "when the first frame leaves, such as 12:30 or now+5s" },
	{ "loop", 'l', OPT_COUNT(struct send_config, loop), "N", "rounds; 0: until interrupted", "1" },
	{ "loop-gap", 0, OPT_DURATION(struct send_config, loop_gap), "TIME",
	  "between rounds, at the file's own times; without it the mean gap" },
	{ "duration", 'd', OPT_DURATION(struct send_config, duration), "TIME", "end after so long", .min = 1,
	  .max = KT_PACE_MAX_NS },
	{ "count", 'c', OPT_COUNT(struct send_config, count), "N", "only the first N frames of the file" },
	{ "truncated", 0, OPT_ENUM(struct send_config, truncated), "send|pad|skip",
	  "frames that the file does not have whole: send that part, pad with zeros, or skip", "send",
	  .group = "What" },
	{ "src-mac", 0, OPT_STRING(struct send_config, src_mac), "MAC", "new source MAC address" },
	{ "dst-mac", 0, OPT_STRING(struct send_config, dst_mac), "MAC", "new destination MAC address" },
	{ "src-ip", 0, OPT_LIST(struct send_config, src_ip), "MAP",
	  "new source address: ADDRESS for all, or PREFIX/LEN=PREFIX/LEN" },
	{ "dst-ip", 0, OPT_LIST(struct send_config, dst_ip), "MAP", "new destination address, likewise" },
	{ "strip-vlan", 0, OPT_FLAG(struct send_config, strip_vlan), NULL, "take VLAN tags off" },
	{ "vlan", 0, OPT_COUNT(struct send_config, vlan), "ID", "put a VLAN tag on, outside of those there are",
	  .min = 1, .max = 4094 },
	{ "vlan-priority", 0, OPT_COUNT(struct send_config, vlan_priority), "N", "its priority", "0", .max = 7 },
	{ "fix-checksums", 0, OPT_FLAG(struct send_config, fix_checksums), NULL,
	  "compute all checksums anew; rewriting alone keeps right ones right and wrong ones wrong" },
	{ "retries", 0, OPT_COUNT(struct send_config, retries), "N", "tries again when the driver refuses a frame", "0",
	  .max = 1000000, .group = "How" },
	{ "retry-pause", 0, OPT_DURATION(struct send_config, retry_pause), "TIME", "between tries", .min = 0,
	  .max = 4000000000 },
	{ "late-window", 0, OPT_DURATION(struct send_config, late_window), "TIME",
	  "do not send what would leave later than this; without it however late" },
	{ "no-spin", 0, OPT_FLAG(struct send_config, no_spin), NULL,
	  "only sleep before launches: spares the processor, costs tens of us" },
	{ "fifo", 0, OPT_COUNT(struct send_config, fifo_priority), "PRIORITY", "real-time priority while sending",
	  .min = 1, .max = 99 },
	{ "kernel-stamps", 0, OPT_FLAG(struct send_config, kernel_stamps), NULL,
	  "ask the driver when each frame left" },
	{ "each", 0, OPT_FLAG(struct send_config, each), NULL, "with --json: a line for each frame" },
	{ 0 },
};

static const char *const exclusive[] = {
	"rate bit-rate interval times fast",
	"fast each",
	"fast late-window",
	NULL,
};

static int check(const struct send_config *c, int argc, char **argv)
{
	if (argc < 1)
		return cli_fail(CLI_USAGE, "the file is missing: a pcap or pcapng file, or - for standard input");
	if (argc > 1)
		return cli_fail(CLI_USAGE, "\"%s\" is one file too many; one is sent at a time", argv[1]);
	if (c->times <= 0)
		return cli_fail(CLI_USAGE, "--times: %g is not a factor; allowed: more than 0", c->times);
	if (!c->common.ifname && !c->common.dry_run)
		return cli_need("interface", "where to send, such as -i eth0");
	if (c->each && !c->common.json)
		return cli_fail(CLI_USAGE, "--each is for --json");
	if (c->vlan_priority && !c->vlan)
		return cli_fail(CLI_USAGE, "--vlan-priority is for --vlan");
	return CLI_OK;
}

static int dry_run(const struct send_config *c, const struct send_frames *f)
{
	static struct out out;
	struct send_plan plan;
	int r = send_plan_init(&plan, f, c, 0);

	if (r)
		return r;
	out_open(&out, NULL);
	send_list(&out, &plan);
	return out_close(&out);
}

/* When the first frame leaves, on the launch clock. */
static u64 start_time(const struct send_config *c, struct ktrxer *port)
{
	struct ktrxer_info info;

	if (!c->start)
		return ktrxer_now(port) + SEND_LEAD_NS;
	ktrxer_get_info(port, &info);
	return ktrxer_convert(port, c->start, KTRXER_CLOCK_REALTIME, info.clock);
}

static int send_on(struct ktrxer *port, const struct optset *set, const struct send_config *c,
		   const struct send_frames *f)
{
	static struct kt_histogram error, call;
	static struct out out;
	struct send_result result = { .error = &error, .call = &call };
	struct send_plan plan;
	int r, w;

	kt_histogram_init(&error);
	kt_histogram_init(&call);
	out_open(&out, NULL);
	if (c->common.json)
		meta_line(&out, "send", set, port);
	/* From here on time counts. */
	r = send_plan_init(&plan, f, c, start_time(c, port));
	if (r)
		return r;
	r = c->fast ? send_flood(&result, &plan, port) : send_run(&result, &plan, port, &out);
	status_clear();
	if (c->common.json)
		send_json(&out, &plan, &result);
	else if (!c->common.quiet)
		send_text(&out, &plan, &result);
	w = out_close(&out);
	if (r || w)
		return r ? r : w;
	/* Interrupted before its end, unless it had none. */
	if (result.ended_early && (c->loop || c->duration))
		return interrupted_exit();
	return result.tx.failed || result.tx.late || result.too_long ? CLI_NOT_ACHIEVED : CLI_OK;
}

static int run(const struct optset *set, void *config, int argc, char **argv)
{
	const struct send_config *c = config;
	struct ktrxer *port = NULL;
	struct send_frames frames;
	int r = check(c, argc, argv);

	if (r)
		return r;
	r = send_load(&frames, argv[0], c);
	if (r)
		goto out;
	if (frames.n_backwards && !c->common.quiet)
		cli_warn("%s: time goes backwards %llu times; those frames follow at once", argv[0],
			 (unsigned long long)frames.n_backwards);
	if (frames.n_truncated && !c->common.quiet)
		cli_warn("%s: %llu frames are not whole (see --truncated)", argv[0],
			 (unsigned long long)frames.n_truncated);
	if (c->common.dry_run) {
		r = dry_run(c, &frames);
		goto out;
	}
	r = cli_port_open(&port, &c->common, NULL);
	if (!r)
		r = send_on(port, set, c, &frames);
	if (port)
		ktrxer_close(port);
out:
	send_unload(&frames);
	return r;
}

const struct command command_send = {
	.name = "send",
	.summary = "send the frames of a pcap or pcapng file, at their times, at a rate, or fast",
	.operands = "FILE",
	.details = "Without an option that says when, frames leave at the file's own times. Times are absolute: "
		   "they do not drift, and the first gap is right.",
	.flags = CMD_INTERFACE | CMD_PORT | CMD_SEND | CMD_DRY_RUN,
	.options = options,
	.config_bytes = sizeof(struct send_config),
	.exclusive = exclusive,
	.complete = "@file",
	.run = run,
};

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer emulate: two interfaces bridged through links with loss, rate and delay. */
#include "emulate.h"

#include <stdlib.h>

#include "commands.h"
#include "meta.h"
#include "signals.h"
#include "status.h"

#define PPB 1e9

#define FORTH(opt, field) OPT_##opt(struct emulate_config, link[0].field)
#define BACK(opt, field) OPT_##opt(struct emulate_config, link[1].field)

static const struct opt options[] = {
	{ "out", 'o', OPT_INTERFACE(struct emulate_config, other), "IF", "the other interface, or ENGINE:IF" },
	{ "delay", 0, FORTH(DURATION, delay), "TIME", "of every packet, behind its transmission", .max = KT_LINK_MAX_NS,
	  .group = "The link, in both directions" },
	{ "jitter", 0, FORTH(DURATION, jitter), "TIME", "random delay on top of it", .max = KT_LINK_MAX_NS },
	{ "jitter-kind", 0, FORTH(ENUM, jitter_kind), "uniform|exponential",
	  "uniform: from 0 to --jitter; exponential: with --jitter as its mean", "uniform" },
	{ "keep-order", 0, FORTH(FLAG, keep_order), NULL, "jitter does not let packets overtake each other" },
	{ "rate", 'r', FORTH(BITRATE, rate), "RATE", "bits per second of the transmitter, such as 100M" },
	{ "overhead", 0, FORTH(COUNT, overhead), "BYTES",
	  "added to each frame for its transmission time; Ethernet has 24", "24", .max = KT_LINK_MAX_OVERHEAD },
	{ "room", 0, FORTH(SIZE, room), "BYTES", "of frames that can wait for the transmitter", .min = 1 },
	{ "room-packets", 0, FORTH(COUNT, room_packets), "N", "the same, in packets", .min = 1, .max = 1 << 20 },
	{ "loss", 0, FORTH(PROBABILITY, loss), "P", "chance of a packet to be lost, such as 0.01 or 1%" },
	{ "loss-burst", 0, FORTH(PROBABILITY, loss_burst), "P",
	  "the same for one behind a lost one; without it as --loss" },
	{ "hold", 0, FORTH(PROBABILITY, hold), "P", "chance of a packet to be held back, so that others overtake it" },
	{ "hold-time", 0, FORTH(DURATION, hold_time), "TIME", "for so long", .max = KT_LINK_MAX_NS },
	{ "duplicate", 0, FORTH(PROBABILITY, duplicate), "P", "chance of a packet to depart twice" },
	{ "corrupt", 0, FORTH(PROBABILITY, corrupt), "P", "chance of one flipped bit behind the link header" },
	{ "back-delay", 0, BACK(DURATION, delay), "TIME", "as without back-, from --out to --interface",
	  .max = KT_LINK_MAX_NS, .group = "The way back, where it differs" },
	{ "back-jitter", 0, BACK(DURATION, jitter), "TIME", "likewise", .max = KT_LINK_MAX_NS },
	{ "back-jitter-kind", 0, BACK(ENUM, jitter_kind), "uniform|exponential", "likewise" },
	{ "back-keep-order", 0, BACK(FLAG, keep_order), NULL, "likewise" },
	{ "back-rate", 0, BACK(BITRATE, rate), "RATE", "likewise" },
	{ "back-overhead", 0, BACK(COUNT, overhead), "BYTES", "likewise", .max = KT_LINK_MAX_OVERHEAD },
	{ "back-room", 0, BACK(SIZE, room), "BYTES", "likewise", .min = 1 },
	{ "back-room-packets", 0, BACK(COUNT, room_packets), "N", "likewise", .min = 1, .max = 1 << 20 },
	{ "back-loss", 0, BACK(PROBABILITY, loss), "P", "likewise" },
	{ "back-loss-burst", 0, BACK(PROBABILITY, loss_burst), "P", "likewise" },
	{ "back-hold", 0, BACK(PROBABILITY, hold), "P", "likewise" },
	{ "back-hold-time", 0, BACK(DURATION, hold_time), "TIME", "likewise", .max = KT_LINK_MAX_NS },
	{ "back-duplicate", 0, BACK(PROBABILITY, duplicate), "P", "likewise" },
	{ "back-corrupt", 0, BACK(PROBABILITY, corrupt), "P", "likewise" },
	{ "duration", 'd', OPT_DURATION(struct emulate_config, duration), "TIME",
	  "end after so long; without it when interrupted", .min = 1, .max = KT_LINK_MAX_NS, .group = "Running" },
	{ "seed", 0, OPT_COUNT(struct emulate_config, seed), "N",
	  "of all chances: the same seed and packets, the same fates; without it another each time" },
	{ "pending", 0, OPT_COUNT(struct emulate_config, pending), "N", "frames on the way in each direction at most",
	  "16384", .min = 1, .max = 1 << 20 },
	{ "ring", 0, OPT_SIZE(struct emulate_config, ring_bytes), "BYTES", "receive ring of each interface", "16Mi",
	  .min = 65536, .max = 1u << 31 },
	{ "spin", 0, OPT_DURATION(struct emulate_config, spin), "TIME", "spin so long before each departure", "100us",
	  .min = 1, .max = 1000000000 },
	{ "no-spin", 0, OPT_FLAG(struct emulate_config, no_spin), NULL,
	  "only sleep before departures: spares the processor, costs tens of us" },
	{ 0 },
};

static const char *const exclusive[] = {
	"spin no-spin",
	NULL,
};

/* The way back is as the way forth where nothing else was said. */
static void inherit(const struct optset *set, struct emulate_config *c)
{
#define FIELD(name, field) \
	{ \
		name, offsetof(struct emulate_link, field), sizeof(((struct emulate_link *)0)->field) \
	}
	static const struct {
		const char *name;
		size_t offset;
		size_t bytes;
	} fields[] = {
		FIELD("back-delay", delay),
		FIELD("back-jitter", jitter),
		FIELD("back-jitter-kind", jitter_kind),
		FIELD("back-keep-order", keep_order),
		FIELD("back-rate", rate),
		FIELD("back-overhead", overhead),
		FIELD("back-room", room),
		FIELD("back-room-packets", room_packets),
		FIELD("back-loss", loss),
		FIELD("back-loss-burst", loss_burst),
		FIELD("back-hold", hold),
		FIELD("back-hold-time", hold_time),
		FIELD("back-duplicate", duplicate),
		FIELD("back-corrupt", corrupt),
	};
#undef FIELD

	for (size_t i = 0; i < KT_ARRAY_LEN(fields); i++)
		if (!opt_given(set, fields[i].name))
			memcpy((char *)&c->link[1] + fields[i].offset, (char *)&c->link[0] + fields[i].offset,
			       fields[i].bytes);
	/* Bursts of a loss that there is not. */
	if (!c->link[1].loss && !opt_given(set, "back-loss-burst"))
		c->link[1].loss_burst = 0;
}

static u32 ppb(double p)
{
	return (u32)(p * PPB + 0.5);
}

static struct kt_link_opts link_opts(const struct emulate_link *l, u64 seed)
{
	return (struct kt_link_opts){
		.loss_ppb = ppb(l->loss),
		.loss_burst_ppb = ppb(l->loss_burst),
		.hold_ppb = ppb(l->hold),
		.hold_ns = l->hold_time,
		.room_bytes = l->room,
		.room_pkts = (u32)l->room_packets,
		.rate_bps = l->rate,
		.overhead_bytes = (u32)l->overhead,
		.duplicate_ppb = ppb(l->duplicate),
		.corrupt_ppb = ppb(l->corrupt),
		.delay_kind = !l->jitter       ? KT_DELAY_CONSTANT
			      : l->jitter_kind ? KT_DELAY_EXPONENTIAL
					       : KT_DELAY_UNIFORM,
		.delay_ns = l->delay,
		.jitter_ns = l->jitter,
		.keep_order = l->keep_order,
		.seed = seed,
	};
}

static int check(const struct emulate_config *c, int argc, char **argv)
{
	if (argc)
		return cli_fail(CLI_USAGE, "\"%s\" is not needed; this command has no operands", argv[0]);
	if (!c->common.ifname)
		return cli_need("interface", "one end of the link, such as -i eth0");
	if (!c->other)
		return cli_need("out", "the other end of the link, such as -o eth1");
	return CLI_OK;
}

/* Prefers an engine that keeps the frames from this host's own network stack. */
static int open_port(struct ktrxer **port, const struct emulate_config *c, const char *ifname)
{
	struct ktrxer_opts opts;
	struct ktrxer_err err = { 0 };
	int ret;

	cli_port_opts(&c->common, &opts);
	opts.promiscuous = true; /* the frames are for others */
	opts.need_drop = !opts.engine || !strcmp(opts.engine, "auto");
	if (opts.need_drop && !ktrxer_open(port, ifname, &opts, &err))
		return CLI_OK;
	opts.need_drop = false;
	ret = ktrxer_open(port, ifname, &opts, &err);
	if (!ret)
		return CLI_OK;
	if (!err.code)
		err.code = -ret;
	return cli_fail_err(&err, NULL);
}

static bool stop_or_show(void *ctx)
{
	struct emulate_run *r = ctx;

	for (int i = 0; i < 2; i++)
		downs_watch(&r->downs[i], r->ports[i], r->port[i].ifname, r->c->common.quiet);
	if (status_due())
		emulate_status(ctx);
	return interrupted();
}

static int emulate(struct emulate_run *r, const struct optset *set, struct ktrxer *const *ports)
{
	static struct out out;
	const struct emulate_config *c = r->c;
	u64 until = UINT64_MAX;
	int ret, w;

	r->ports = ports;
	for (int i = 0; i < 2; i++)
		ktrxer_get_info(ports[i], &r->port[i]);
	if (!kt_emulator_is_alone(r->emulator) && !c->common.quiet)
		cli_warn("engine %s cannot keep frames from this host: its own network stack sees them too",
			 r->port[0].engine);
	out_open(&out, NULL);
	if (c->common.json)
		meta_line(&out, "emulate", set, ports[0]);
	else if (!c->common.quiet)
		emulate_text_start(&out, r);
	out_flush(&out); /* whoever started us may wait for this: the link works from here on */
	r->started_ns = ktrxer_now(ports[0]);
	if (c->duration)
		until = r->started_ns + c->duration;
	ret = out.err ? 0 : kt_emulator_run(r->emulator, until, stop_or_show, r);
	r->ended_ns = ktrxer_now(ports[0]);
	for (int i = 0; i < 2; i++)
		kt_emulator_get_stats(r->emulator, i, &r->stats[i]);
	status_clear();
	if (c->common.json)
		emulate_json_end(&out, r);
	else if (!c->common.quiet)
		emulate_text_end(&out, r);
	w = out_close(&out);
	if (ret)
		return cli_fail(CLI_FAILURE, "%s", kt_emulator_why(r->emulator));
	if (w)
		return w;
	return c->duration ? interrupted_exit() : CLI_OK;
}

static int run(const struct optset *set, void *config, int argc, char **argv)
{
	static struct emulate_run r; /* histograms are large */
	struct emulate_config *c = config;
	struct kt_emulator_opts opts = { 0 };
	struct ktrxer *ports[2] = { NULL };
	struct ktrxer_err err = { 0 };
	int ret = check(c, argc, argv);

	if (ret)
		return ret;
	inherit(set, c);
	if (!opt_given(set, "seed"))
		c->seed = meta_now();
	opts.link[0] = link_opts(&c->link[0], c->seed);
	opts.link[1] = link_opts(&c->link[1], ~c->seed);
	opts.max_pending = (u32)c->pending;
	opts.ring_bytes = c->ring_bytes;
	opts.spin_ns = c->spin;
	opts.no_spin = c->no_spin;
	ret = open_port(&ports[0], c, c->common.ifname);
	if (!ret)
		ret = open_port(&ports[1], c, c->other);
	if (ret)
		goto out;
	r.c = c;
	if (kt_emulator_open(&r.emulator, ports[0], ports[1], &opts, &err)) {
		ret = cli_fail_err(&err, NULL);
		goto out;
	}
	ret = emulate(&r, set, ports);
	kt_emulator_close(r.emulator);
out:
	for (int i = 0; i < 2; i++)
		if (ports[i])
			ktrxer_close(ports[i]);
	return ret;
}

const struct command command_emulate = {
	.name = "emulate",
	.summary = "bridge two interfaces through a link with loss, rate and delay",
	.operands = "",
	.details = "Frames that arrive on one interface leave by the other, and the other way round. A packet meets, "
		   "in this order: loss, hold, room, rate, delay. Departures are absolute times, counted from the "
		   "arrival.",
	.flags = CMD_INTERFACE | CMD_PORT,
	.options = options,
	.config_bytes = sizeof(struct emulate_config),
	.exclusive = exclusive,
	.run = run,
};

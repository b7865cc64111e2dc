/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The port of a run: opening it, and what of the plan depends on it. Also the file to resume from. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "meta.h"
#include "probe.h"

static int parse_mac(const char *text, u8 mac[6])
{
	unsigned int b[6];
	char tail;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &tail) != 6)
		return cli_fail(CLI_USAGE, "--gateway-mac \"%s\": write six bytes as 02:00:00:00:00:01", text);
	for (int i = 0; i < 6; i++)
		mac[i] = (u8)b[i];
	return CLI_OK;
}

/* A path for all targets, if one was asked for. */
static int plan_path(struct probe_run *r)
{
	const struct probe_config *c = r->c;
	struct ktrxer_path *path = &r->o.path;
	struct ktrxer_err err = { 0 };
	struct ktrxer_addr addr;

	if (c->path_of) {
		if (ktrxer_addr_parse(&addr, c->path_of))
			return cli_fail(CLI_USAGE, "--path-of \"%s\" is not an address", c->path_of);
		if (ktrxer_path_find(r->port, &addr, path, c->path_timeout ? c->path_timeout : KT_NSEC_PER_SEC, &err))
			return cli_fail_err(&err, NULL);
		r->o.one_path = true;
	}
	if (c->gateway_mac) {
		if (!c->source)
			return cli_need("source", "the source address, because --gateway-mac asks for no route");
		memcpy(path->src_mac, r->info.mac, 6);
		path->mtu = r->info.mtu;
		r->o.one_path = true;
		if (parse_mac(c->gateway_mac, path->dst_mac))
			return CLI_USAGE;
	}
	if (!c->source)
		return CLI_OK;
	if (!r->o.one_path)
		return cli_fail(CLI_USAGE, "--source needs --path-of or --gateway-mac: else the route decides");
	if (ktrxer_addr_parse(&path->src, c->source))
		return cli_fail(CLI_USAGE, "--source \"%s\" is not an address", c->source);
	return CLI_OK;
}

static int plan_drop(struct probe_run *r)
{
	bool can = r->info.ops & (1u << KRX_CAPTURE_DROP);
	bool syn = !r->o.n_frames && r->o.probe.kind == KTRXER_PROBE_SYN;

	if (r->c->drop == TRI_YES && !can)
		return cli_fail(CLI_ENVIRONMENT,
				"engine %s cannot keep answers from the host; engine xdp can (--engine xdp)",
				r->info.engine);
	r->o.drop = r->c->drop == TRI_YES || (r->c->drop == TRI_AUTO && syn && can);
	if (syn && !can && r->c->drop == TRI_AUTO && !r->c->common.quiet)
		cli_warn("engine %s cannot keep answers from the host: it will send a RST to each open port",
			 r->info.engine);
	/* Not the ports that the host's own connections use: their packets would be dropped too. */
	if (r->o.drop && !r->o.probe.sport_lo) {
		r->o.probe.sport_lo = 61001;
		r->o.probe.sport_hi = 65535;
	}
	return CLI_OK;
}

int probe_plan_port(struct probe_run *r)
{
	int code = cli_port_open(&r->port, &r->c->common, NULL);
	int ret;

	if (code)
		return code;
	ret = ktrxer_get_info(r->port, &r->info);
	if (ret)
		return cli_fail(cli_exit_for(ret), "%s: %s", r->c->common.ifname, strerror(-ret));
	code = plan_path(r);
	if (!code)
		code = plan_drop(r);
	if (!code && r->c->start)
		r->o.pace.start_ns = ktrxer_convert(r->port, r->c->start, KTRXER_CLOCK_REALTIME, r->info.clock);
	return code;
}

/* The position behind the last probe whose fate is known: what is on its way or was cancelled is probed again. */
static int format_state(struct probe_run *r, char *text, size_t cap)
{
	struct kt_walk walk = r->walk;
	struct kt_prober_stats st;
	u64 open;

	kt_prober_get_stats(r->prober, &st);
	open = st.given - st.sent - st.failed - st.late - st.no_path;
	walk.n_given -= open < walk.n_given ? open : walk.n_given;
	return kt_walk_save(&walk, text, cap);
}

/* By another name first, so that there is always a whole one. */
int probe_state_save(struct probe_run *r)
{
	char text[512], name[512];
	int n = format_state(r, text, sizeof(text));
	FILE *f;

	r->state_ns = meta_now();
	snprintf(name, sizeof(name), "%s.new", r->c->resume);
	f = fopen(name, "we");
	if (f && fwrite(text, 1, (size_t)n, f) == (size_t)n && !fclose(f) && !rename(name, r->c->resume))
		return CLI_OK;
	if (!r->failed)
		r->failed = cli_fail(CLI_FAILURE, "%s: %s", name, strerror(errno));
	return CLI_FAILURE;
}

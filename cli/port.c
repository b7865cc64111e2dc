/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Opening ports as the common options say. */
#include "cli.h"

void cli_port_opts(const struct common *c, struct ktrxer_opts *opts)
{
	*opts = (struct ktrxer_opts){
		.sz = sizeof(*opts),
		.engine = c->engine,
		.clock = c->clock ? KTRXER_CLOCK_TAI : KTRXER_CLOCK_MONOTONIC,
		.xdp_mode = (enum ktrxer_xdp_mode)c->xdp_mode,
		.queue = (uint32_t)c->queue,
		.promiscuous = c->promiscuous,
	};
}

int cli_port_open(struct ktrxer **port, const struct common *c, const char *ifname)
{
	struct ktrxer_opts opts;
	struct ktrxer_err err = { 0 };
	int r;

	if (!ifname)
		ifname = c->ifname;
	if (!ifname)
		return cli_need("interface", "the network interface to work on, such as -i eth0");
	cli_port_opts(c, &opts);
	r = ktrxer_open(port, ifname, &opts, &err);
	if (!r)
		return CLI_OK;
	if (!err.code)
		err.code = -r;
	return cli_fail_err(&err, NULL);
}

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
	if (c->nic_launch && !c->clock)
		return cli_fail(CLI_USAGE, "--nic-launch is for --clock tai: by no other clock does a NIC launch");
	cli_port_opts(c, &opts);
	r = ktrxer_open(port, ifname, &opts, &err);
	if (!r)
		return CLI_OK;
	if (!err.code)
		err.code = -r;
	return cli_fail_err(&err, NULL);
}

void cli_tell_wishes(const struct common *c, struct ktrxer *port, const struct ktx_stats *s)
{
	const struct {
		const char *option;
		bool asked;
		bool granted;
	} wishes[] = {
		{ "tap", c->tap, s->tap },
		{ "zero-copy", c->zero_copy, s->zero_copy },
		{ "nic-launch", c->nic_launch, s->nic_launch },
	};
	struct ktrxer_info info = { 0 };

	ktrxer_get_info(port, &info);
	for (unsigned int i = 0; i < KT_ARRAY_LEN(wishes); i++)
		if (wishes[i].asked && !wishes[i].granted)
			cli_warn("--%s is not in force: engine %s on %s has no such thing", wishes[i].option,
				 info.engine, info.ifname);
}

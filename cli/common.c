/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The options that commands share, and what is done with them; see cli.h. */
#include "cli.h"

#include <string.h>

static const struct opt interface_options[] = {
	{ "interface", 'i', OPT_INTERFACE(struct common, ifname), "IF", "network interface, or ENGINE:IF",
	  .group = "Port" },
	{ 0 },
};

static const struct opt port_options[] = {
	{ "engine", 0, OPT_WORD(struct common, engine), "auto|kmod|xdp|packet|mem",
	  "how packets reach the wire; auto takes the best that works here", "auto", .group = "Port" },
	{ "clock", 0, OPT_ENUM(struct common, clock), "monotonic|tai", "clock of launch times", "monotonic" },
	{ "xdp-mode", 0, OPT_ENUM(struct common, xdp_mode), "auto|native|generic", "where engine xdp attaches",
	  "auto" },
	{ "queue", 0, OPT_COUNT(struct common, queue), "N", "queue of the interface to send by", "0",
	  .max = UINT16_MAX },
	{ "promiscuous", 0, OPT_FLAG(struct common, promiscuous), NULL,
	  "also receive what is addressed to others, while running" },
	{ 0 },
};

static const struct opt send_options[] = {
	{ "tap", 0, OPT_FLAG(struct common, tap), NULL, "show tcpdump on the interface a copy of what is sent",
	  .group = "Port" },
	{ "zero-copy", 0, OPT_FLAG(struct common, zero_copy), NULL, "long frames are not copied on their way out" },
	{ "nic-launch", 0, OPT_FLAG(struct common, nic_launch), NULL,
	  "the NIC launches by its own clock; with --clock tai" },
	{ 0 },
};

static const struct opt dry_run_options[] = {
	{ "dry-run", 0, OPT_FLAG(struct common, dry_run), NULL, "show what would be done; send and change nothing",
	  .group = "General" },
	{ 0 },
};

static const struct opt general_options[] = {
	{ "json", 'j', OPT_FLAG(struct common, json), NULL, "write JSON Lines on standard output", .group = "General" },
	{ "status", 0, OPT_ENUM(struct common, status), "auto|yes|no",
	  "a status line each second on standard error; auto: on a terminal", "auto" },
	{ "quiet", 'q', OPT_FLAG(struct common, quiet), NULL, "no status line, no summary" },
	{ "verbose", 'v', OPT_FLAG(struct common, verbose), NULL, "say more" },
	{ "config", 0, OPT_FILE(struct common, config), "FILE", "read options from FILE, after /etc/ktrxer.conf" },
	{ "dump-config", 0, OPT_FLAG(struct common, dump_config), NULL,
	  "print the options in force as a config file and exit" },
	{ "help", 'h', OPT_FLAG(struct common, help), NULL, "show this help and exit" },
	{ 0 },
};

void cli_optset_init(struct optset *set, const struct command *cmd, void *config)
{
	memset(set, 0, sizeof(*set));
	set->config = config;
	set->exclusive = cmd->exclusive;
	if (cmd->flags & CMD_INTERFACE)
		opt_add(set, interface_options);
	if (cmd->options)
		opt_add(set, cmd->options);
	if (cmd->flags & CMD_PORT)
		opt_add(set, port_options);
	if (cmd->flags & CMD_SEND)
		opt_add(set, send_options);
	if (cmd->flags & CMD_DRY_RUN)
		opt_add(set, dry_run_options);
	opt_add(set, general_options);
}

int cli_need(const char *option, const char *what)
{
	return cli_fail(CLI_USAGE, "--%s is needed: %s", option, what);
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * ktrxer: finds the subcommand, reads its options (command line, config
 * files, defaults) and runs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "config.h"
#include "near.h"
#include "signals.h"
#include "status.h"

#define SYSTEM_CONFIG "/etc/ktrxer.conf"

/* argv first, because it may name a file; then files and defaults fill what it left. */
static int read_options(struct optset *set, const struct command *cmd, int argc, char **argv)
{
	const struct common *c = set->config;
	const char *system = getenv("KTRXER_CONF");
	int operands = opt_parse(set, argc, argv);

	if (operands < 0 || c->help)
		return operands;
	if (c->config) {
		int r = config_load(set, cmd, c->config, OPT_FROM_FILE);

		if (r)
			return r;
	}
	if (!system)
		system = SYSTEM_CONFIG;
	if (*system) {
		int r = config_load(set, cmd, system, OPT_FROM_SYSTEM);

		if (r && (r != -ENOENT || getenv("KTRXER_CONF")))
			return r;
	}
	if (opt_defaults(set) || opt_resolve(set))
		return -EINVAL;
	return operands;
}

static int dump(const struct optset *set, const struct command *cmd)
{
	static struct out out;

	out_open(&out, NULL);
	config_dump(&out, set, cmd);
	return out_close(&out);
}

static int run(const struct command *cmd, int argc, char **argv)
{
	static struct optset set;
	struct common *config = calloc(1, cmd->config_bytes);
	int operands, r;

	if (!config)
		return cli_fail(CLI_FAILURE, "out of memory");
	cli_name(cmd->name);
	cli_optset_init(&set, cmd, config);
	operands = read_options(&set, cmd, argc, argv);
	if (config->help)
		r = cli_usage(cmd);
	else if (operands < 0)
		r = cli_fail(CLI_USAGE, "%s", set.why);
	else if (config->dump_config)
		r = dump(&set, cmd);
	else {
		status_init(config);
		r = cmd->run(&set, config, operands, argv + argc - operands);
		status_clear();
	}
	opt_free(&set);
	free(config);
	return r;
}

static int unknown_command(const char *name)
{
	struct near near;

	near_init(&near, name);
	for (const struct command *const *c = cli_commands; *c; c++)
		near_consider(&near, (*c)->name);
	if (near.best)
		return cli_fail(CLI_USAGE, "unknown command \"%s\"; did you mean \"%s\"?", name, near.best);
	return cli_fail(CLI_USAGE, "unknown command \"%s\"; see ktrxer --help", name);
}

/* Every option of a command, one a line: what the check of the man pages reads. */
static int list_options(const char *name)
{
	const struct command *cmd = cli_command(name);
	struct optset set;

	if (!cmd)
		return unknown_command(name);
	cli_optset_init(&set, cmd, NULL);
	for (unsigned int i = 0; i < set.n; i++)
		printf("%s\n", set.row[i]->name);
	return CLI_OK;
}

/*
 * A descriptor that the caller closed must not become that of a socket, which would then be written to. Opened the
 * wrong way round, output fails as it should; sentences alone may go nowhere.
 */
static void fill_closed(void)
{
	static const int flags[] = { O_WRONLY, O_RDONLY, O_WRONLY };

	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", flags[fd]) != fd)
			return;
}

int main(int argc, char **argv)
{
	const struct command *cmd;
	const char *name = argc > 1 ? argv[1] : NULL;

	fill_closed();
	signals_init();
	if (!name)
		return cli_fail(CLI_USAGE, "a command is missing; see ktrxer --help");
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || (!strcmp(name, "help") && argc == 2))
		return cli_overview();
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		printf("ktrxer %s\n", KTRXER_VERSION);
		return CLI_OK;
	}
	if (!strcmp(name, "__options") && argc == 3)
		return list_options(argv[2]);
	if (!strcmp(name, "help")) {
		cmd = cli_command(argv[2]);
		return cmd ? cli_usage(cmd) : unknown_command(argv[2]);
	}
	if (*name == '-')
		return cli_fail(CLI_USAGE, "the command comes first: ktrxer COMMAND %s …; see ktrxer --help", name);
	cmd = cli_command(name);
	if (!cmd)
		return unknown_command(name);
	return run(cmd, argc - 1, argv + 1);
}

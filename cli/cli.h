/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What every subcommand shares: the shape of a command, the options common to
 * all, exit codes, and the one way to tell a person what went wrong.
 */
#ifndef KT_CLI_H
#define KT_CLI_H

#include "../include/ktrxer.h"
#include "opt.h"

/* Documented in ktrxer(7); scripts rely on them. */
enum cli_exit {
	CLI_OK = 0,
	CLI_NOT_ACHIEVED = 1, /* ran to its end, but something asked for did not happen: no answer, frames not sent */
	CLI_USAGE = 2, /* an option, operand, rule or input file is wrong; nothing was done */
	CLI_ENVIRONMENT = 3, /* the machine lacks something: permission, interface, kernel or library feature */
	CLI_FAILURE = 4, /* failed on the way: disk full, output closed, device gone */
	CLI_SIGINT = 130, /* interrupted before its end; what was measured has been written */
	CLI_SIGTERM = 143,
};

/* Every command's configuration starts with this. Options fill it; see common.c. */
struct common {
	bool json;
	bool quiet; /* no status line, no summary */
	bool verbose;
	int status; /* enum cli_status: a live line on stderr */
	const char *config;
	bool dump_config;
	bool help;
	bool dry_run; /* commands with CMD_DRY_RUN */
	/* commands with CMD_INTERFACE */
	const char *ifname;
	/* commands with CMD_PORT */
	const char *engine;
	int clock; /* index in "monotonic|tai" */
	int xdp_mode; /* enum ktrxer_xdp_mode */
	u64 queue;
	bool promiscuous;
	/* commands with CMD_SEND: wishes, see ktx_opts */
	bool tap;
	bool zero_copy;
	bool nic_launch;
};

enum cli_status {
	CLI_STATUS_AUTO = 0, /* when stderr is a terminal */
	CLI_STATUS_YES = 1,
	CLI_STATUS_NO = 2,
};

enum command_flag {
	CMD_INTERFACE = 1 << 0, /* takes -i */
	CMD_PORT = 1 << 1, /* opens ports: engine, clock, XDP mode, queue */
	CMD_DRY_RUN = 1 << 2,
	CMD_SEND = 1 << 3, /* its senders have wishes */
};

struct command {
	const char *name;
	const char *summary; /* one line, no full stop */
	const char *operands; /* for the usage line, such as "FILE..." */
	const char *details; /* paragraphs under the summary; may be NULL */
	unsigned int flags; /* enum command_flag */
	const struct opt *options; /* its own; ends with a row without a name */
	size_t config_bytes; /* of its configuration, which starts with struct common */
	/* Sets of options of which only one can be given, "rate interval"; ends with NULL. May be NULL. */
	const char *const *exclusive;
	const char *complete; /* operands for completion: words, or "@file", "@interface", "@command" */
	/* argv: the operands. Returns enum cli_exit. */
	int (*run)(const struct optset *set, void *config, int argc, char **argv);
};

/* commands.c: the table, in the order of the help text; ends with NULL. */
extern const struct command *const cli_commands[];
const struct command *cli_command(const char *name);

/* common.c */
void cli_optset_init(struct optset *set, const struct command *cmd, void *config);
/* Says that an option must be given: prints and returns CLI_USAGE. */
int cli_need(const char *option, const char *what);

/* port.c */
void cli_port_opts(const struct common *c, struct ktrxer_opts *opts);
/* Opens c->ifname (or ifname, if not NULL) as the options say. 0, or an exit code after having said why. */
int cli_port_open(struct ktrxer **port, const struct common *c, const char *ifname);
/* Tells which of the sender's wishes are not in force. */
void cli_tell_wishes(const struct common *c, struct ktrxer *port, const struct ktx_stats *s);

/* usage.c: generated from the tables */
int cli_usage(const struct command *cmd);
int cli_overview(void);

/* say.c: sentences on stderr, "ktrxer COMMAND: …". The command's name is set once by main. */
void cli_name(const char *command);
__attribute__((format(printf, 1, 2))) void cli_warn(const char *fmt, ...);
/* Says it and returns code: "return cli_fail(CLI_USAGE, …)". */
__attribute__((format(printf, 2, 3))) int cli_fail(int code, const char *fmt, ...);
/* The exit code for an errno (positive or negative). */
int cli_exit_for(int error);
/* Says err's sentence behind what (may be NULL) and returns the exit code for it. */
int cli_fail_err(const struct ktrxer_err *err, const char *what);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The table of subcommands: a new one is a line here and a file of its own. */
#include <string.h>

#include "commands.h"

const struct command *const cli_commands[] = {
	&command_info, &command_probe,	 &command_send,	      &command_capture,
	&command_rule, &command_emulate, &command_completion, NULL,
};

const struct command *cli_command(const char *name)
{
	for (const struct command *const *c = cli_commands; *c; c++)
		if (!strcmp((*c)->name, name))
			return *c;
	return NULL;
}

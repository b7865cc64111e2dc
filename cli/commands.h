/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The subcommands, each defined in a file of its name. */
#ifndef KT_COMMANDS_H
#define KT_COMMANDS_H

#include "cli.h"

extern const struct command command_info;
extern const struct command command_probe;
extern const struct command command_send;
extern const struct command command_capture;
extern const struct command command_rule;
extern const struct command command_emulate;
extern const struct command command_completion;

#endif

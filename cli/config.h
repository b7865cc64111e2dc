/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Config files: lines "option = value" with the words of the options; a line
 * "[probe]" starts the part for that command alone. What stands before the
 * first section is for every command that has such an option. # and ; start
 * comment lines. A value that starts with a double quote ends with one, and
 * \n \t \" \\ inside it are what they are in C.
 */
#ifndef KT_CONFIG_H
#define KT_CONFIG_H

#include "cli.h"
#include "out.h"

/*
 * Reads text (text[len] must be 0; it is changed and must outlive the set) into set, for command cmd. name is
 * for sentences. 0, or -EINVAL with set->why.
 */
int config_read(struct optset *set, const struct command *cmd, const char *name, char *text, size_t len,
		enum opt_source source);
/* The same from a file. -ENOENT too when there is none, with set->why. */
int config_load(struct optset *set, const struct command *cmd, const char *path, enum opt_source source);
/* --dump-config: every option with the value in force, as a file that config_read() takes. */
void config_dump(struct out *out, const struct optset *set, const struct command *cmd);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Interrupts end a command in order: the first SIGINT or SIGTERM sets a flag
 * that loops look at, a second one ends the process at once. SIGPIPE is
 * ignored, so that a closed output is an error of write().
 */
#ifndef KT_SIGNALS_H
#define KT_SIGNALS_H

#include <stdbool.h>

void signals_init(void);
bool interrupted(void);
/* CLI_OK, CLI_SIGINT or CLI_SIGTERM */
int interrupted_exit(void);
/* For tests and for ends that are not signals: as if one had come. */
void signals_raise(int signal);
/* Columns of the terminal on stderr or stdout, 80 if there is none. */
unsigned int terminal_width(void);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The live status line on stderr: shown when stderr is a terminal, or when
 * asked for (then each update is a line of its own).
 */
#ifndef KT_STATUS_H
#define KT_STATUS_H

#include "cli.h"

void status_init(const struct common *c);
bool status_wanted(void);
/* Is a second over since the last one? Then the caller should compose a new line and show it. */
bool status_due(void);
__attribute__((format(printf, 1, 2))) void status_show(const char *fmt, ...);
/* Takes the line away, before anything else is written to the terminal. */
void status_clear(void);

#endif

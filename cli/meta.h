/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What belongs to the results of a run so that they can be judged later: host,
 * kernel, engine, interface, options, clocks, version, start.
 */
#ifndef KT_META_H
#define KT_META_H

#include "cli.h"
#include "host.h"
#include "json.h"

/* Adds keys to the object that is open in j. port may be NULL. */
void meta_run(struct json *j, const char *command, const struct optset *set, struct ktrxer *port);
/* {"type":"run", "command": …}, a line of its own; the first of a --json output. */
void meta_line(struct out *out, const char *command, const struct optset *set, struct ktrxer *port);
void meta_host(struct json *j, const char *key, const struct host *h);
void meta_clocks(struct json *j, const char *key, const struct host *h);
/* CLOCK_REALTIME now. */
u64 meta_now(void);

#endif

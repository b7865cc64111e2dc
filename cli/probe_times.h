/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Explicit launch times, and the position of a run that can be resumed. */
#ifndef KT_CLI_PROBE_TIMES_H
#define KT_CLI_PROBE_TIMES_H

#include "probe.h"

/* Both fill r->times and the prober's options; exit codes. */
int probe_times_read(struct probe_run *r, const char *path);
int probe_times_trains(struct probe_run *r, u64 n_trains, u64 pkts, u64 interval_ns, u64 gap_ns);

#endif

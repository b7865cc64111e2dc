/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* An interface that is down delivers nothing, which must not be taken for silence: it is said, and counted. */
#ifndef KT_DOWNS_H
#define KT_DOWNS_H

#include "cli.h"

struct downs {
	u64 n; /* times that it was down, the start among them */
	bool down; /* as told */
	u32 seen; /* asked in a row and seen otherwise than told */
	u64 asked_ns; /* CLOCK_REALTIME; 0: never */
};

/* As often as one likes: looks every 50 ms. Says each change once, unless quiet; a down that is shorter stays untold. */
void downs_watch(struct downs *d, struct ktrxer *port, const char *ifname, bool quiet);

#endif

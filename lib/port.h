/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A port's clock and waiting, for the parts of the library that launch and receive. */
#ifndef KT_PORT_H
#define KT_PORT_H

#include <time.h>

#include "engine.h"

u64 kt_port_now(struct ktrxer *port);

/* True if the port's time moves only when told to. */
bool kt_port_virtual(const struct ktrxer *port);

/*
 * Waits until the launch clock shows ns, spinning the last spin_ns. *kick, if
 * not NULL, ends the wait early when it no longer holds seen.
 */
int kt_port_wait(struct ktrxer *port, u64 ns, u64 spin_ns, const u32 *kick, u32 seen);

/* The interface as it is now: 0, -ENETDOWN or -ENODEV. */
int kt_port_state(struct ktrxer *port);

static inline u64 kt_timespec_ns(const struct timespec *ts)
{
	return (u64)ts->tv_sec * KT_NSEC_PER_SEC + (u64)ts->tv_nsec;
}

static inline struct timespec kt_ns_timespec(u64 ns)
{
	u64 rem, s = kt_div_rem(ns, KT_NSEC_PER_SEC, &rem);

	/* Where seconds have 32 bits, "for ever" must not become the past. */
	if (sizeof(time_t) == 4 && s > INT32_MAX)
		s = INT32_MAX;
	return (struct timespec){ .tv_sec = (time_t)s, .tv_nsec = (long)rem };
}

clockid_t kt_clock_id(enum ktrxer_clock clock);
u64 kt_clock_now(enum ktrxer_clock clock);

#endif

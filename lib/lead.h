/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How long before a launch to wake. A sleeper comes late by what its timer, a
 * CPU that sleeps deeply, a hypervisor and the scheduler take: 20 us on one
 * machine, 150 us on another, less under load than idle. Who spins for too
 * short a time before the launch launches late; for too long, wastes a CPU.
 * So the lead is learned from how late each sleep ended.
 *
 * The estimate rises by an eighth of what a sleep was later than it, and
 * falls by a 512th with each that was not: it settles where about one sleep
 * in ten is later, and the margin covers most of those. One that ends later
 * than the largest lead could make up for had no CPU, and says nothing of
 * waking: where CPUs are short, to spin for longer would make it worse.
 */
#ifndef KT_LEAD_H
#define KT_LEAD_H

#include "../core/env.h"

#define KT_LEAD_MARGIN_NS 50000u
#define KT_LEAD_MIN_NS 100000u
#define KT_LEAD_MAX_NS 400000u

struct kt_lead {
	u64 fixed_ns; /* asked for; 0: learned */
	u64 late_ns; /* learned: sleeps end later than this seldom */
};

/* How long before its launch time a sleeper should ask to be woken. */
static inline u64 kt_lead_ns(const struct kt_lead *lead)
{
	u64 ns = lead->late_ns + KT_LEAD_MARGIN_NS;

	if (lead->fixed_ns)
		return lead->fixed_ns;
	return ns < KT_LEAD_MIN_NS ? KT_LEAD_MIN_NS : ns > KT_LEAD_MAX_NS ? KT_LEAD_MAX_NS : ns;
}

/* A sleep until meant_ns, which nothing cut short, ended at now_ns. */
static inline void kt_lead_learn(struct kt_lead *lead, u64 meant_ns, u64 now_ns)
{
	u64 late = now_ns < meant_ns ? 0 : now_ns - meant_ns;

	if (late > KT_LEAD_MAX_NS)
		return;
	if (late > lead->late_ns)
		lead->late_ns += (late - lead->late_ns + 7) / 8;
	else
		lead->late_ns -= (lead->late_ns + 511) / 512;
}

#endif

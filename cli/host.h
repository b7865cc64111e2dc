/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What this machine is and may do, as far as timed packets care. Read from the kernel, never changed. */
#ifndef KT_HOST_H
#define KT_HOST_H

#include <string.h>

#include "../core/env.h"

struct host {
	char name[64];
	char kernel[65]; /* release */
	char machine[65];
	bool realtime_kernel; /* PREEMPT_RT */
	bool signed_modules; /* the kernel loads none that is not signed by a key it knows (Secure Boot) */
	/* rights of this process */
	u64 capabilities; /* effective, bit (1 << CAP_…) */
	bool fifo; /* may be scheduled by SCHED_FIFO */
	u64 memlock_bytes; /* UINT64_MAX: no limit */
	/* processors */
	unsigned int cpus;
	char isolated[64]; /* CPU list; "" none */
	char nohz_full[64];
	char governor[32]; /* of CPU 0; "" unknown */
	s64 rt_runtime_us; /* of each rt_period_us real-time tasks may take; -1 all; 0 unknown */
	s64 rt_period_us;
	/* clocks */
	char clocksource[32];
	u64 timer_slack_ns;
	bool clock_synchronized; /* the kernel's clock is being disciplined (NTP, PTP) */
	u64 clock_max_error_ns;
	u64 clock_error_ns; /* estimated */
	s64 clock_frequency_ppb; /* correction in force */
	s64 tai_offset_s; /* 0: nobody has told the kernel */
	/* BPF */
	int bpf_jit; /* 0, 1; -1 unknown */
};

void host_read(struct host *h);
bool host_may(const struct host *h, unsigned int capability);

#endif

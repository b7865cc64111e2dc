/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What this machine is; see host.h. */
#include "host.h"

#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The first line of a file without its newline; "" when there is none. */
static void read_line(const char *path, char *buf, size_t cap)
{
	FILE *f = fopen(path, "re");

	*buf = 0;
	if (!f)
		return;
	if (!fgets(buf, (int)cap, f))
		*buf = 0;
	buf[strcspn(buf, "\n")] = 0;
	fclose(f);
}

static s64 read_number(const char *path, s64 otherwise)
{
	char text[32], *end;
	s64 v;

	read_line(path, text, sizeof(text));
	v = strtoll(text, &end, 10);
	return end == text ? otherwise : v;
}

static void read_kernel(struct host *h)
{
	struct utsname u;

	if (gethostname(h->name, sizeof(h->name) - 1))
		snprintf(h->name, sizeof(h->name), "unknown");
	if (uname(&u))
		return;
	snprintf(h->kernel, sizeof(h->kernel), "%.64s", u.release);
	snprintf(h->machine, sizeof(h->machine), "%.64s", u.machine);
	h->realtime_kernel = strstr(u.version, "PREEMPT_RT") || read_number("/sys/kernel/realtime", 0) == 1;
}

/* By module.sig_enforce, or by lockdown, which Secure Boot switches on; the word in brackets is in force. */
static bool wants_signatures(void)
{
	char line[80];

	read_line("/sys/module/module/parameters/sig_enforce", line, sizeof(line));
	if (!strcmp(line, "Y"))
		return true;
	read_line("/sys/kernel/security/lockdown", line, sizeof(line));
	return *line && !strstr(line, "[none]");
}

/* musl's sched_setscheduler() refuses by design, since POSIX means processes where Linux means threads. */
static int set_scheduler(int policy, const struct sched_param *p)
{
	return (int)syscall(SYS_sched_setscheduler, 0, policy, p);
}

/* Real-time scheduling is tried, since rights, limits and control groups all have a say; then undone. */
static bool try_fifo(void)
{
	struct sched_param old = { 0 }, p = { .sched_priority = 1 };
	int policy = (int)syscall(SYS_sched_getscheduler, 0);

	if (policy == SCHED_FIFO || policy == SCHED_RR)
		return true;
	if (policy < 0 || set_scheduler(SCHED_FIFO, &p))
		return false;
	set_scheduler(policy, &old);
	return true;
}

static void read_rights(struct host *h)
{
	struct rlimit limit;
	char line[128];
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "CapEff:", 7))
			h->capabilities = strtoull(line + 7, NULL, 16);
	if (f)
		fclose(f);
	h->fifo = try_fifo();
	if (!getrlimit(RLIMIT_MEMLOCK, &limit))
		h->memlock_bytes = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : (u64)limit.rlim_cur;
}

static void read_cpus(struct host *h)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	h->cpus = n > 0 ? (unsigned int)n : 1;
	read_line("/sys/devices/system/cpu/isolated", h->isolated, sizeof(h->isolated));
	read_line("/sys/devices/system/cpu/nohz_full", h->nohz_full, sizeof(h->nohz_full));
	if (strspn(h->nohz_full, " (nul)") == strlen(h->nohz_full))
		h->nohz_full[0] = 0;
	read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", h->governor, sizeof(h->governor));
	h->rt_runtime_us = read_number("/proc/sys/kernel/sched_rt_runtime_us", 0);
	h->rt_period_us = read_number("/proc/sys/kernel/sched_rt_period_us", 0);
}

static void read_clocks(struct host *h)
{
	struct timex t = { 0 };
	int slack = prctl(PR_GET_TIMERSLACK);
	int state = adjtimex(&t);

	read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", h->clocksource,
		  sizeof(h->clocksource));
	h->timer_slack_ns = slack > 0 ? (u64)slack : 0;
	h->clock_synchronized = state >= 0 && state != TIME_ERROR && !(t.status & STA_UNSYNC);
	h->clock_max_error_ns = (u64)t.maxerror * 1000;
	h->clock_error_ns = (u64)t.esterror * 1000;
	h->clock_frequency_ppb = (s64)t.freq * 1000 / 65536;
	h->tai_offset_s = t.tai;
}

void host_read(struct host *h)
{
	*h = (struct host){ 0 };
	read_kernel(h);
	h->signed_modules = wants_signatures();
	read_rights(h);
	read_cpus(h);
	read_clocks(h);
	h->bpf_jit = (int)read_number("/proc/sys/net/core/bpf_jit_enable", -1);
}

bool host_may(const struct host *h, unsigned int capability)
{
	return h->capabilities >> capability & 1;
}

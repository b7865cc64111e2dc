/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer info: the machine. */
#include "info.h"

#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#ifdef HAVE_PCAP
#define PCAP_DONT_INCLUDE_PCAP_BPF_H /* the kernel's own says the same */
#include <pcap/pcap.h>
#endif
#ifdef HAVE_XDP
#include <bpf/libbpf.h>
#endif

#include "meta.h"
#include "table.h"
#include "units.h"

#ifndef CAP_BPF
#define CAP_BPF 39
#endif

static const struct {
	unsigned int number;
	const char *name, *what;
} rights[] = {
	{ CAP_NET_RAW, "CAP_NET_RAW", "send and receive whole frames" },
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN", "bypass queueing disciplines, attach XDP, promiscuous mode" },
	{ CAP_BPF, "CAP_BPF", "load XDP programs" },
	{ CAP_SYS_NICE, "CAP_SYS_NICE", "real-time scheduling" },
	{ CAP_IPC_LOCK, "CAP_IPC_LOCK", "lock memory without limit" },
};

static const char *pcap_version(void)
{
#ifdef HAVE_PCAP
	return pcap_lib_version();
#else
	return NULL;
#endif
}

static const char *bpf_version(void)
{
#ifdef HAVE_XDP
	return libbpf_version_string();
#else
	return NULL;
#endif
}

void advise(struct advices *a, const char *command, const char *fmt, ...)
{
	va_list ap;

	if (a->n == ADVICE_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(a->v[a->n].why, sizeof(a->v[0].why), fmt, ap);
	va_end(ap);
	snprintf(a->v[a->n].command, sizeof(a->v[0].command), "%s", command);
	a->n++;
}

static void text_rights(struct table *t, const struct host *h)
{
	char b[UNIT_CHARS];

	for (unsigned int i = 0; i < KT_ARRAY_LEN(rights); i++)
		table_row(t, "%s\t%-3s  %s", rights[i].name, host_may(h, rights[i].number) ? "yes" : "no",
			  rights[i].what);
	table_row(t, "SCHED_FIFO\t%-3s  launching thread in real time", h->fifo ? "yes" : "no");
	table_row(t, "locked memory\t%s",
		  h->memlock_bytes == UINT64_MAX ? "no limit" : unit_bytes(b, h->memlock_bytes));
}

static void text_clocks(struct table *t, const struct host *h)
{
	char b[UNIT_CHARS], e[UNIT_CHARS];

	if (h->clock_synchronized)
		table_row(t, "clock\t%s, synchronized, error about %s, at most %s, corrected by %.3f ppm",
			  h->clocksource, unit_ns(b, (s64)h->clock_error_ns), unit_ns(e, (s64)h->clock_max_error_ns),
			  (double)h->clock_frequency_ppb / 1000);
	else
		table_row(t, "clock\t%s, not synchronized: intervals are right, the time of day may not be",
			  h->clocksource);
	if (h->tai_offset_s)
		table_row(t, "TAI\tUTC + %lld s", (long long)h->tai_offset_s);
	else
		table_row(t, "TAI\tthe kernel was not told the offset to UTC; CLOCK_TAI shows UTC");
	table_row(t, "timer slack\t%s", unit_ns(b, (s64)h->timer_slack_ns));
}

static void text_cpus(struct table *t, const struct host *h)
{
	table_row(t, "processors\t%u%s%s%s%s%s%s", h->cpus, *h->isolated ? ", isolated: " : "", h->isolated,
		  *h->nohz_full ? ", without tick: " : "", h->nohz_full, *h->governor ? ", governor " : "",
		  h->governor);
	if (h->rt_runtime_us > 0)
		table_row(t, "real-time tasks\t%.0f%% of the time at most",
			  h->rt_period_us > 0 ? 100.0 * (double)h->rt_runtime_us / (double)h->rt_period_us : 100.0);
}

void info_host_text(struct out *out, const struct host *h)
{
	const char *pcap = pcap_version(), *bpf = bpf_version();
	struct table t;

	out_puts(out, "Machine\n");
	table_init(&t, "\t");
	table_row(&t, "kernel\t%s, %s%s", h->kernel, h->machine, h->realtime_kernel ? ", PREEMPT_RT" : "");
	if (h->signed_modules)
		table_row(&t, "modules\tonly those signed by a key that the kernel knows");
	text_cpus(&t, h);
	text_clocks(&t, h);
	text_rights(&t, h);
	table_row(&t, "BPF JIT\t%s", h->bpf_jit < 0 ? "unknown" : h->bpf_jit ? "on" : "off");
	table_row(&t, "this build\tktrxer %s; libpcap: %s; libbpf: %s", KTRXER_VERSION, pcap ? pcap : "no",
		  bpf ? bpf : "no");
	table_end(&t, out, 2);
}

void info_host_json(struct json *j, const struct host *h)
{
	meta_host(j, "host", h);
	meta_clocks(j, "clocks", h);
	json_object(j, "rights");
	for (unsigned int i = 0; i < KT_ARRAY_LEN(rights); i++)
		json_bool(j, rights[i].name, host_may(h, rights[i].number));
	json_bool(j, "SCHED_FIFO", h->fifo);
	if (h->memlock_bytes == UINT64_MAX)
		json_null(j, "memlock_bytes");
	else
		json_u64(j, "memlock_bytes", h->memlock_bytes);
	json_end(j);
	if (h->bpf_jit < 0)
		json_null(j, "bpf_jit");
	else
		json_bool(j, "bpf_jit", h->bpf_jit);
	json_bool(j, "signed_modules", h->signed_modules);
	json_object(j, "build");
	json_text(j, "version", KTRXER_VERSION);
	json_text(j, "libpcap", pcap_version());
	json_text(j, "libbpf", bpf_version());
	json_end(j);
}

void info_host_advice(struct advices *a, const struct host *h)
{
	struct ktrxer_engine e;

	if (h->signed_modules && !info_engine_works(NULL, "kmod", &e))
		advise(a, "sudo mokutil --import /var/lib/dkms/mok.pub",
		       "the kernel loads only signed modules: have it know the key of DKMS, or yours (ktrxer.4, SECURE "
		       "BOOT), and reboot");
	if (!host_may(h, CAP_NET_RAW) || !host_may(h, CAP_NET_ADMIN))
		advise(a, "sudo setcap cap_net_raw,cap_net_admin,cap_bpf,cap_sys_nice+ep $(command -v ktrxer)",
		       "without CAP_NET_RAW and CAP_NET_ADMIN only engine mem works");
	if (!h->fifo)
		advise(a, "sudo setcap cap_sys_nice+ep $(command -v ktrxer)",
		       "other tasks can delay launches: real-time scheduling is not allowed");
	if (h->fifo && h->rt_runtime_us > 0 && h->rt_runtime_us < h->rt_period_us)
		advise(a, "sysctl -w kernel.sched_rt_runtime_us=-1",
		       "a real-time thread that spins is stopped for %lld us of every %lld us",
		       (long long)(h->rt_period_us - h->rt_runtime_us), (long long)h->rt_period_us);
	if (h->bpf_jit == 0)
		advise(a, "sysctl -w net.core.bpf_jit_enable=1", "BPF programs are interpreted: engine xdp is slow");
	if (*h->governor && strcmp(h->governor, "performance"))
		advise(a, "cpupower frequency-set -g performance",
		       "processors slow down when idle (governor %s), which makes waking up late", h->governor);
	if (!h->clock_synchronized)
		advise(a, "",
		       "the clock is not synchronized; run chrony or ptp4l to compare times with other machines");
}

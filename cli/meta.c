/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What belongs to the results of a run; see meta.h. */
#include "meta.h"

#include <stdio.h>
#include <time.h>

#include "../lib/iface.h"
#include "units.h"

u64 meta_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (u64)t.tv_sec * KT_NSEC_PER_SEC + (u64)t.tv_nsec;
}

void meta_host(struct json *j, const char *key, const struct host *h)
{
	json_object(j, key);
	json_text(j, "name", h->name);
	json_text(j, "kernel", h->kernel);
	json_text(j, "machine", h->machine);
	json_bool(j, "realtime_kernel", h->realtime_kernel);
	json_u64(j, "cpus", h->cpus);
	json_text(j, "isolated_cpus", h->isolated);
	json_text(j, "nohz_full_cpus", h->nohz_full);
	json_text(j, "governor", *h->governor ? h->governor : NULL);
	json_bool(j, "fifo_allowed", h->fifo);
	json_s64(j, "rt_runtime_us", h->rt_runtime_us);
	json_s64(j, "rt_period_us", h->rt_period_us);
	json_end(j);
}

void meta_clocks(struct json *j, const char *key, const struct host *h)
{
	json_object(j, key);
	json_text(j, "clocksource", h->clocksource);
	json_u64(j, "timer_slack_ns", h->timer_slack_ns);
	json_bool(j, "synchronized", h->clock_synchronized);
	json_u64(j, "max_error_ns", h->clock_max_error_ns);
	json_u64(j, "estimated_error_ns", h->clock_error_ns);
	json_s64(j, "frequency_ppb", h->clock_frequency_ppb);
	json_s64(j, "tai_offset_s", h->tai_offset_s);
	json_end(j);
}

static void put_port(struct json *j, struct ktrxer *port)
{
	struct ktrxer_info info;
	struct kt_iface f;
	char mac[20];

	if (ktrxer_get_info(port, &info))
		return;
	json_object(j, "port");
	json_text(j, "interface", info.ifname);
	json_text(j, "engine", info.engine);
	json_text(j, "mode", info.mode);
	json_text(j, "why", info.why);
	json_u64(j, "mtu", info.mtu);
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", info.mac[0], info.mac[1], info.mac[2], info.mac[3],
		 info.mac[4], info.mac[5]);
	json_text(j, "mac", mac);
	json_text(j, "launch_clock", ktrxer_clock_name(info.clock));
	json_text(j, "arrival_clock", ktrxer_clock_name(info.rx_clock));
	if (strcmp(info.engine, "mem") && !kt_iface_read(&f, info.ifname, NULL)) {
		json_text(j, "kind", f.kind);
		json_text(j, "driver", f.driver);
		json_bool(j, "gro", f.offloads & (KT_OFFLOAD_GRO | KT_OFFLOAD_LRO));
		if (f.coalesce_known)
			json_u64(j, "rx_usecs", f.rx_usecs);
	}
	json_end(j);
}

/* Options as given, by their words; defaults are left out. */
static void put_options(struct json *j, const struct optset *set)
{
	json_object(j, "options");
	for (unsigned int i = 0; i < set->n; i++) {
		const struct opt *o = set->row[i];
		const struct opt_list *list = (const struct opt_list *)((const u8 *)set->config + o->offset);

		if (set->source[i] <= OPT_FROM_DEFAULT)
			continue;
		if (!opt_is_list(o)) {
			json_text(j, o->name, set->text[i]);
			continue;
		}
		json_array(j, o->name);
		for (unsigned int k = 0; k < list->n; k++)
			json_text(j, NULL, list->v[k]);
		json_end(j);
	}
	json_end(j);
}

void meta_run(struct json *j, const char *command, const struct optset *set, struct ktrxer *port)
{
	char start[UNIT_CHARS];
	struct host h;

	host_read(&h);
	json_text(j, "command", command);
	json_text(j, "version", KTRXER_VERSION);
	json_text(j, "start", unit_time(start, meta_now()));
	meta_host(j, "host", &h);
	meta_clocks(j, "clocks", &h);
	if (port)
		put_port(j, port);
	put_options(j, set);
}

void meta_line(struct out *out, const char *command, const struct optset *set, struct ktrxer *port)
{
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	json_text(&j, "type", "run");
	meta_run(&j, command, set, port);
	json_end(&j);
	out_flush(out);
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer info: who sees packets before the module on an interface. */
#include <stdio.h>

#include "../lib/ingress.h"
#include "info.h"

static const struct {
	u32 bit;
	const char *key, *name;
	const char *command; /* shows them; %s: the interface */
} earlier[] = {
	{ KT_INGRESS_XDP, "xdp", "an XDP program", "ip link show %s" },
	{ KT_INGRESS_TCX, "tcx", "BPF programs of tcx", "bpftool net show dev %s" },
	{ KT_INGRESS_TC, "tc", "filters of tc", "tc filter show dev %s ingress" },
};

/* Who comes before the module, where it works. */
static u32 before_module(const struct kt_iface *f)
{
	struct ktrxer_engine e;

	return info_engine_works(f->name, "kmod", &e) ? kt_ingress_earlier(f) : 0;
}

void info_module_text(struct table *t, const struct kt_iface *f)
{
	u32 before = before_module(f);

	for (unsigned int i = 0; i < KT_ARRAY_LEN(earlier); i++)
		if (before & earlier[i].bit)
			table_row(t, "kmod: behind\t%s", earlier[i].name);
}

void info_module_json(struct json *j, const struct kt_iface *f)
{
	u32 before = kt_ingress_earlier(f);

	json_bool(j, "first", !before);
	json_array(j, "behind");
	for (unsigned int i = 0; i < KT_ARRAY_LEN(earlier); i++)
		if (before & earlier[i].bit)
			json_text(j, NULL, earlier[i].key);
	json_end(j);
}

void info_module_advice(struct advices *a, const struct kt_iface *f)
{
	u32 before = before_module(f);

	for (unsigned int i = 0; i < KT_ARRAY_LEN(earlier); i++) {
		char command[120];

		if (!(before & earlier[i].bit))
			continue;
		snprintf(command, sizeof(command), earlier[i].command, f->name);
		advise(a, command, "%s: before the module %s decide%s what it sees", f->name, earlier[i].name,
		       earlier[i].bit == KT_INGRESS_XDP ? "s" : "");
	}
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer info: the parts of its report. */
#ifndef KT_INFO_H
#define KT_INFO_H

#include "../lib/iface.h"
#include "cli.h"
#include "host.h"
#include "json.h"
#include "table.h"

#define ADVICE_MAX 48

/* What would make measurements better: a sentence and, where there is one, the command. */
struct advice {
	char why[160];
	char command[120];
};

struct advices {
	struct advice v[ADVICE_MAX];
	unsigned int n;
};

__attribute__((format(printf, 3, 4))) void advise(struct advices *a, const char *command, const char *fmt, ...);

/* info_host.c */
void info_host_text(struct out *out, const struct host *h);
void info_host_json(struct json *j, const struct host *h);
void info_host_advice(struct advices *a, const struct host *h);

/* info_iface.c */
void info_iface_text(struct out *out, const struct kt_iface *f);
void info_iface_json(struct json *j, const struct kt_iface *f);
void info_iface_advice(struct advices *a, const struct kt_iface *f);
/* Does an engine work there? Without one of that name *e has no reason why not. */
bool info_engine_works(const char *ifname, const char *engine, struct ktrxer_engine *e);

/* info_module.c: of an interface on which the module works; nothing of others. */
void info_module_text(struct table *t, const struct kt_iface *f);
void info_module_json(struct json *j, const struct kt_iface *f); /* into the object of engine kmod */
void info_module_advice(struct advices *a, const struct kt_iface *f);

#endif

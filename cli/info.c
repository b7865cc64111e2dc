/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer info: what this machine can do, what is missing and how to get it. */
#include "info.h"

#include <stdlib.h>

#include "table.h"

struct info_config {
	struct common common;
	bool all;
};

static const struct opt options[] = {
	{ "all", 'a', OPT_FLAG(struct info_config, all), NULL, "also interfaces that are down, and loopback",
	  .group = "Options" },
	{ 0 },
};

struct faces {
	struct kt_iface *v;
	unsigned int n;
	bool all;
};

static int add_face(const struct kt_iface *f, void *ctx)
{
	struct faces *faces = ctx;
	struct kt_iface *v;

	if (!faces->all && (f->loopback || !f->up))
		return 0;
	v = realloc(faces->v, (faces->n + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	faces->v = v;
	v[faces->n++] = *f;
	return 0;
}

static void text_engines(struct out *out)
{
	struct ktrxer_engine e;
	struct table t;

	out_puts(out, "\nEngines, best first\n");
	table_init(&t, "\t\t");
	for (unsigned int i = 0; !ktrxer_engine(i, NULL, &e); i++)
		table_row(&t, "%s\t%s\t%s%s", e.name, e.works ? "works" : "no", e.works ? "by " : "",
			  e.works ? e.needs : e.why);
	table_end(&t, out, 2);
}

static void text(struct out *out, const struct host *h, const struct faces *faces, const struct advices *advices)
{
	info_host_text(out, h);
	text_engines(out);
	for (unsigned int i = 0; i < faces->n; i++)
		info_iface_text(out, &faces->v[i]);
	if (advices->n)
		out_puts(out, "\nFor better measurements\n");
	for (unsigned int i = 0; i < advices->n; i++) {
		const struct advice *a = &advices->v[i];

		out_printf(out, "  * %s\n", a->why);
		if (a->command[0])
			out_printf(out, "      %s\n", a->command);
	}
}

static void json(struct out *out, const struct host *h, const struct faces *faces, const struct advices *advices)
{
	struct ktrxer_engine e;
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	info_host_json(&j, h);
	json_array(&j, "engines");
	for (unsigned int i = 0; !ktrxer_engine(i, NULL, &e); i++) {
		json_object(&j, NULL);
		json_text(&j, "name", e.name);
		json_bool(&j, "works", e.works);
		json_text(&j, "needs", e.needs);
		json_text(&j, "why", e.why[0] ? e.why : NULL);
		json_end(&j);
	}
	json_end(&j);
	json_array(&j, "interfaces");
	for (unsigned int i = 0; i < faces->n; i++)
		info_iface_json(&j, &faces->v[i]);
	json_end(&j);
	json_array(&j, "advice");
	for (unsigned int i = 0; i < advices->n; i++) {
		json_object(&j, NULL);
		json_text(&j, "why", advices->v[i].why);
		json_text(&j, "command", advices->v[i].command[0] ? advices->v[i].command : NULL);
		json_end(&j);
	}
	json_end(&j);
	json_end(&j);
}

/* "ENGINE:IF" is about IF. */
static int read_faces(struct faces *faces, const char *ifname)
{
	struct ktrxer_err err = { 0 };
	struct kt_iface f;
	int r;

	if (!ifname) {
		r = kt_iface_each(add_face, faces);
		return r < 0 ? cli_fail(cli_exit_for(r), "cannot list the interfaces: %s", strerror(-r)) : CLI_OK;
	}
	if (strchr(ifname, ':'))
		ifname = strchr(ifname, ':') + 1;
	if (kt_iface_read(&f, ifname, &err))
		return cli_fail_err(&err, NULL);
	faces->all = true;
	return add_face(&f, faces) ? cli_fail(CLI_FAILURE, "out of memory") : CLI_OK;
}

static int run(const struct optset *set, void *config, int argc, char **argv)
{
	const struct info_config *c = config;
	struct faces faces = { .all = c->all };
	static struct advices advices;
	static struct out out;
	struct host h;
	int r;

	if (argc)
		return cli_fail(CLI_USAGE, "\"%s\" is one word too many; an interface is named by -i", argv[0]);
	host_read(&h);
	r = read_faces(&faces, c->common.ifname);
	if (r)
		goto out;
	info_host_advice(&advices, &h);
	for (unsigned int i = 0; i < faces.n; i++)
		info_iface_advice(&advices, &faces.v[i]);
	out_open(&out, NULL);
	if (c->common.json)
		json(&out, &h, &faces, &advices);
	else
		text(&out, &h, &faces, &advices);
	r = out_close(&out);
out:
	free(faces.v);
	return r;
}

const struct command command_info = {
	.name = "info",
	.summary = "tell what this machine can do, what is missing and how to get it",
	.operands = "",
	.details = "Reads only: it loads nothing, changes nothing and sends nothing. Without -i it tells about all "
		   "interfaces that are up.",
	.flags = CMD_INTERFACE,
	.options = options,
	.config_bytes = sizeof(struct info_config),
	.run = run,
};

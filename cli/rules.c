/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Rule sets as users give them; see rules.h. */
#include "rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static int add(struct rule_set *set, const struct krx_rule *rule)
{
	if (set->n == set->cap) {
		unsigned int cap = set->cap ? set->cap * 2 : 64;
		struct krx_rule *v = realloc(set->v, cap * sizeof(*v));

		if (!v)
			return cli_fail(CLI_FAILURE, "out of memory at %u rules", set->n);
		set->v = v;
		set->cap = cap;
	}
	set->v[set->n++] = *rule;
	return CLI_OK;
}

int rules_add_text(struct rule_set *set, const char *text, const char *where)
{
	struct ktrxer_err err = { 0 };
	struct krx_rule rule;
	int r = krx_rule_parse(&rule, text, &err);

	if (r == -ENOENT)
		return CLI_OK;
	if (r)
		return cli_fail(CLI_USAGE, "%s: %s", where, err.text);
	return add(set, &rule);
}

int rules_add_file(struct rule_set *set, const char *path)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	unsigned int number = 0;
	size_t cap = 0;
	char *line = NULL, where[300];
	ssize_t n;
	int r = CLI_OK;

	if (!f)
		return cli_fail(CLI_USAGE, "%s: %s", path, strerror(errno));
	while (!r && (n = getline(&line, &cap, f)) >= 0) {
		snprintf(where, sizeof(where), "%s:%u", path, ++number);
		if (memchr(line, 0, (size_t)n))
			r = cli_fail(CLI_USAGE, "%s: not a text file", where);
		else
			r = rules_add_text(set, line, where);
	}
	if (!r && ferror(f))
		r = cli_fail(CLI_FAILURE, "%s: cannot be read: %s", path, strerror(errno));
	free(line);
	if (f != stdin)
		fclose(f);
	return r;
}

int rules_add_all(struct rule_set *set, const struct opt_list *files, const struct opt_list *texts)
{
	int r = CLI_OK;

	for (unsigned int i = 0; !r && i < files->n; i++)
		r = rules_add_file(set, files->v[i]);
	for (unsigned int i = 0; !r && i < texts->n; i++)
		r = rules_add_text(set, texts->v[i], "--rule");
	return r;
}

void rules_free(struct rule_set *set)
{
	free(set->v);
	*set = (struct rule_set){ 0 };
}

/* Names of interfaces repeat in network namespaces, while paths are the same everywhere. */
static unsigned long foreign_namespace(void)
{
	struct stat own, first;

	if (stat("/proc/self/ns/net", &own) || stat("/proc/1/ns/net", &first) || own.st_ino == first.st_ino)
		return 0;
	return (unsigned long)own.st_ino;
}

const char *rules_share_path(char *buf, size_t cap, const char *ifname)
{
	const char *colon = strchr(ifname, ':');
	unsigned long ns = foreign_namespace();

	if (colon)
		ifname = colon + 1;
	if (ns)
		snprintf(buf, cap, "/run/ktrxer/%s@%lu.sock", ifname, ns);
	else
		snprintf(buf, cap, "/run/ktrxer/%s.sock", ifname);
	return buf;
}

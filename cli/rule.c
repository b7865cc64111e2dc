/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer rule: the rules of a receiver that another process shares, changed while traffic flows. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "attach.h"
#include "json.h"
#include "rules.h"
#include "table.h"
#include "units.h"

#define TEXT_MAX 512

struct rule_config {
	struct common common;
	const char *to;
	u64 wait;
	struct opt_list rules;
};

static const struct opt options[] = {
	{ "to", 0, OPT_FILE(struct rule_config, to), "PATH",
	  "the socket of the shared receiver; without it that of the interface, /run/ktrxer/IF.sock",
	  .group = "Receiver" },
	{ "wait", 0, OPT_DURATION(struct rule_config, wait), "TIME", "how long to wait for somebody to share one", "0",
	  .max = 1ull << 60 },
	{ "rules", 'R', OPT_FILES(struct rule_config, rules), "FILE", "rules, one a line", .group = "Rules" },
	{ 0 },
};

static const char *const exclusive[] = { "interface to", NULL };

struct job {
	const struct rule_config *c;
	struct krx *rx;
	struct out *out;
	int argc; /* operands behind the action */
	char **argv;
};

static int connect_to(struct job *job)
{
	const struct rule_config *c = job->c;
	const char *path = c->to;
	char buf[256];

	if (!path && !c->common.ifname)
		return cli_fail(CLI_USAGE, "which receiver: name its interface (-i eth0) or its socket (--to PATH)");
	if (!path)
		path = rules_share_path(buf, sizeof(buf), c->common.ifname);
	return attach(&job->rx, path, c->wait);
}

/* What the receiver said no to. */
static int refused(const struct job *job, int r)
{
	return cli_fail(r == -EINVAL || r == -ENOENT || r == -EEXIST ? CLI_USAGE : cli_exit_for(r), "%s",
			krx_why(job->rx));
}

/* Rules of operands, one each, and of --rules. */
static int gather(const struct job *job, struct rule_set *set)
{
	struct opt_list none = { 0 };
	int r = CLI_OK;

	for (int i = 0; !r && i < job->argc; i++)
		r = rules_add_text(set, job->argv[i], job->argv[i]);
	return r ? r : rules_add_all(set, &job->c->rules, &none);
}

static void put_rule_json(struct json *j, const struct krx_rule *rule, const struct krx_rule_stats *stats)
{
	char text[TEXT_MAX];

	krx_rule_format(rule, text, sizeof(text));
	json_object(j, NULL);
	json_text(j, "type", "rule");
	json_u64(j, "id", rule->id);
	json_text(j, "rule", text);
	json_s64(j, "priority", rule->priority);
	json_u64(j, "tag", rule->tag);
	if (stats) {
		json_u64(j, "packets", stats->pkts);
		json_u64(j, "bytes", stats->bytes);
	}
	json_end(j);
}

static void put_list(const struct job *job, const struct krx_rule *rules, const struct krx_rule_stats *stats,
		     unsigned int n)
{
	char text[TEXT_MAX], a[UNIT_CHARS], b[UNIT_CHARS];
	struct json j;
	struct table t;

	json_init(&j, job->out);
	if (!job->c->common.json)
		table_init(&t, ">id\t>packets\t>bytes\trule");
	for (unsigned int i = 0; i < n; i++) {
		if (job->c->common.json) {
			put_rule_json(&j, &rules[i], &stats[i]);
			continue;
		}
		krx_rule_format(&rules[i], text, sizeof(text));
		table_row(&t, "%u\t%s\t%s\t%s", rules[i].id, unit_count(a, stats[i].pkts),
			  unit_count(b, stats[i].bytes), text);
	}
	if (!job->c->common.json)
		table_end(&t, job->out, 0);
}

static int do_list(struct job *job)
{
	struct krx_rule_stats *stats = NULL;
	struct krx_rule *rules = NULL;
	int n = krx_rules_list(job->rx, NULL, NULL, 0), r = CLI_OK;

	if (job->argc)
		return cli_fail(CLI_USAGE, "\"%s\" is one word too many: list takes none", job->argv[0]);
	if (n < 0)
		return refused(job, n);
	rules = calloc((size_t)n + 1, sizeof(*rules));
	stats = calloc((size_t)n + 1, sizeof(*stats));
	if (!rules || !stats) {
		r = cli_fail(CLI_FAILURE, "out of memory");
		goto out;
	}
	n = krx_rules_list(job->rx, rules, stats, (unsigned int)n);
	if (n < 0)
		r = refused(job, n);
	else
		put_list(job, rules, stats, (unsigned int)n);
out:
	free(stats);
	free(rules);
	return r;
}

static int do_add(struct job *job)
{
	struct rule_set set = { 0 };
	int r = gather(job, &set);

	if (!r && !set.n)
		r = cli_fail(CLI_USAGE, "no rule to add: give one in quotes, or --rules FILE");
	for (unsigned int i = 0; !r && i < set.n; i++) {
		uint32_t id = 0;
		int ret = krx_rule_add(job->rx, &set.v[i], &id);

		if (ret) {
			r = refused(job, ret);
			break;
		}
		set.v[i].id = id;
		if (job->c->common.json) {
			struct json j;

			json_init(&j, job->out);
			put_rule_json(&j, &set.v[i], NULL);
		} else if (!job->c->common.quiet) {
			out_printf(job->out, "%u\n", id);
		}
	}
	rules_free(&set);
	return r;
}

static int do_delete(struct job *job)
{
	int r = CLI_OK;

	if (!job->argc)
		return cli_fail(CLI_USAGE, "which rule: give the ids that list shows");
	for (int i = 0; !r && i < job->argc; i++) {
		unsigned long long id;
		char *end;
		int ret;

		id = strtoull(job->argv[i], &end, 10);
		if (*end || end == job->argv[i] || !id || id > UINT32_MAX)
			return cli_fail(CLI_USAGE, "\"%s\" is not the id of a rule; allowed: 1 to %u", job->argv[i],
					UINT32_MAX);
		ret = krx_rule_delete(job->rx, (uint32_t)id);
		if (ret)
			r = refused(job, ret);
	}
	return r;
}

static int do_replace(struct job *job)
{
	struct rule_set set = { 0 };
	int r = CLI_OK, ret;

	/* The operands of replace and check are files. */
	for (int i = 0; !r && i < job->argc; i++)
		r = rules_add_file(&set, job->argv[i]);
	for (unsigned int i = 0; !r && i < job->c->rules.n; i++)
		r = rules_add_file(&set, job->c->rules.v[i]);
	if (!r && !job->argc && !job->c->rules.n)
		r = cli_fail(CLI_USAGE, "no file of rules; an empty one takes all rules away");
	if (!r) {
		ret = krx_rules_replace(job->rx, set.v, set.n);
		if (ret)
			r = refused(job, ret);
		else if (!job->c->common.quiet && !job->c->common.json)
			out_printf(job->out, "%u rules\n", set.n);
	}
	rules_free(&set);
	return r;
}

static int do_check(struct job *job)
{
	struct rule_set set = { 0 };
	struct json j;
	int r = CLI_OK;

	if (!job->argc && !job->c->rules.n)
		return cli_fail(CLI_USAGE, "no file of rules to check");
	for (int i = 0; !r && i < job->argc; i++)
		r = rules_add_file(&set, job->argv[i]);
	for (unsigned int i = 0; !r && i < job->c->rules.n; i++)
		r = rules_add_file(&set, job->c->rules.v[i]);
	json_init(&j, job->out);
	for (unsigned int i = 0; !r && job->c->common.json && i < set.n; i++)
		put_rule_json(&j, &set.v[i], NULL);
	if (!r && !job->c->common.json && !job->c->common.quiet)
		out_printf(job->out, "%u rules, all good\n", set.n);
	rules_free(&set);
	return r;
}

static const struct {
	const char *name;
	int (*fn)(struct job *job);
	bool connects;
} actions[] = {
	{ "list", do_list, true },	 { "add", do_add, true },      { "delete", do_delete, true },
	{ "replace", do_replace, true }, { "check", do_check, false },
};

static int run(const struct optset *set, void *config, int argc, char **argv)
{
	static struct out out;
	struct job job = { .c = config, .out = &out, .argc = argc - 1, .argv = argv + 1 };
	int r = CLI_OK, w;

	if (argc < 1)
		return cli_fail(CLI_USAGE, "what to do is missing; allowed: list, add, delete, replace, check");
	for (unsigned int i = 0; i < KT_ARRAY_LEN(actions); i++) {
		if (strcmp(argv[0], actions[i].name))
			continue;
		out_open(&out, NULL);
		if (actions[i].connects)
			r = connect_to(&job);
		if (!r)
			r = actions[i].fn(&job);
		if (job.rx)
			krx_close(job.rx);
		w = out_close(&out);
		return r ? r : w;
	}
	return cli_fail(CLI_USAGE, "\"%s\" is nothing to do with rules; allowed: list, add, delete, replace, check",
			argv[0]);
}

const struct command command_rule = {
	.name = "rule",
	.summary = "list, add, delete, replace and check the rules of a running capture",
	.operands = "list|add|delete|replace|check [RULE|ID|FILE]...",
	.details =
		"Works on a receiver that another process shares (ktrxer capture --share). Changes are atomic: a "
		"packet is judged by the old rules or by the new ones. check reads files only and needs no receiver.",
	.flags = CMD_INTERFACE,
	.options = options,
	.config_bytes = sizeof(struct rule_config),
	.exclusive = exclusive,
	.complete = "list add delete replace check",
	.run = run,
};

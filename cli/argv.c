/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Reads a command line by getopt_long, with our own sentences. opt_parse() of
 * opt.h; it sets nothing but what argv says, so that config files can be read
 * in between: call it first, files set lower sources afterwards.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "near.h"
#include "opt.h"

static int unknown_long(struct optset *set, const char *arg)
{
	const char *first = NULL, *second = NULL;
	struct near near;
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(arg + 2, "="), arg + 2);
	near_init(&near, name);
	for (unsigned int i = 0; i < set->n; i++) {
		near_consider(&near, set->row[i]->name);
		if (strncmp(set->row[i]->name, name, strlen(name)))
			continue;
		if (first && !second)
			second = set->row[i]->name;
		if (!first)
			first = set->row[i]->name;
	}
	if (second)
		return opt_wrong(set, "--%s could be --%s or --%s; write more of it", name, first, second);
	if (near.best)
		return opt_wrong(set, "unknown option --%s; did you mean --%s?", name, near.best);
	return opt_wrong(set, "unknown option --%s; see --help", name);
}

/* getopt_long() returned '?': which and why. */
static int say_refused(struct optset *set, char *arg)
{
	if (optopt > 0 && optopt < 256 && strchr(arg, optopt) && strncmp(arg, "--", 2))
		return opt_wrong(set, "unknown option -%c; see --help", optopt);
	return unknown_long(set, arg);
}

/* What getopt_long() returns for a long option: this and the index. */
#define LONG 256

static int row_of(const struct optset *set, int letter)
{
	if (letter >= LONG)
		return letter - LONG;
	for (unsigned int i = 0; i < set->n; i++)
		if (set->row[i]->letter == letter)
			return (int)i;
	return -ENOENT;
}

int opt_parse(struct optset *set, int argc, char **argv)
{
	struct option longs[OPT_MAX + 1];
	char shorts[2 * OPT_MAX + 2], *s = shorts;
	int c;

	*s++ = ':';
	memset(longs, 0, sizeof(longs));
	for (unsigned int i = 0; i < set->n; i++) {
		const struct opt *o = set->row[i];
		bool flag = o->type == OPT_TYPE_FLAG;

		longs[i] =
			(struct option){ o->name, flag ? optional_argument : required_argument, NULL, LONG + (int)i };
		if (o->letter) {
			*s++ = o->letter;
			if (!flag)
				*s++ = ':';
		}
	}
	*s = 0;
	opterr = 0;
	optind = 0; /* both C libraries start anew */
	for (;;) {
		const char *text;
		int i;

		c = getopt_long(argc, argv, shorts, longs, NULL);
		if (c == -1)
			return argc - optind;
		if (c == '?')
			return say_refused(set, argv[optind - 1]);
		if (c == ':') {
			i = row_of(set, optopt);
			if (i < 0)
				return opt_wrong(set, "%s needs a value; see --help", argv[optind - 1]);
			return opt_wrong(set, "--%s needs a value: %s", set->row[i]->name, set->row[i]->help);
		}
		i = row_of(set, c);
		text = optarg;
		if (set->row[i]->type == OPT_TYPE_FLAG && !text)
			text = "yes";
		if (opt_set(set, set->row[i]->name, text, OPT_FROM_COMMAND_LINE))
			return -EINVAL;
	}
}

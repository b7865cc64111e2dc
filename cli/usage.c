/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Help texts, from the tables. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "out.h"
#include "signals.h"

#define COLUMN 30 /* where help texts start */

static struct out out;

static unsigned int width(void)
{
	unsigned int w = terminal_width();

	return w < 60 ? 60 : w > 100 ? 100 : w;
}

/* Puts text behind column at (where we stand), wrapped, with lines behind the first indented by COLUMN. */
static void wrap(const char *text, unsigned int at, unsigned int indent)
{
	while (*text) {
		unsigned int n = (unsigned int)strcspn(text, " \n");

		if (at > indent && at + 1 + n > width()) {
			out_printf(&out, "\n%*s", (int)indent, "");
			at = indent;
		} else if (at > indent) {
			out_puts(&out, " ");
			at++;
		}
		out_write(&out, text, n);
		at += n;
		text += n;
		while (*text == ' ' || *text == '\n')
			text++;
	}
	out_puts(&out, "\n");
}

static void option(const struct opt *o)
{
	char left[120], text[400];
	int n;

	n = snprintf(left, sizeof(left), "  %c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
		     o->letter ? "," : " ", o->name, o->type == OPT_TYPE_FLAG ? "" : " ",
		     o->type == OPT_TYPE_FLAG ? "" : o->arg);
	snprintf(text, sizeof(text), "%s%s%s%s%s", o->help, opt_is_list(o) ? "; repeatable" : "",
		 o->def && *o->def ? " (" : "", o->def ? o->def : "", o->def && *o->def ? ")" : "");
	out_puts(&out, left);
	if (n > COLUMN - 2) {
		out_puts(&out, "\n");
		n = 0;
	}
	out_printf(&out, "%*s", COLUMN - n, "");
	wrap(text, COLUMN, COLUMN);
}

/* Options may name a group more than once: common ones join those of the command. */
static void group(const struct optset *set, const char *name)
{
	const char *current = "Options";

	out_printf(&out, "\n%s:\n", name);
	for (unsigned int i = 0; i < set->n; i++) {
		if (set->row[i]->group)
			current = set->row[i]->group;
		if (!strcmp(current, name))
			option(set->row[i]);
	}
}

static void groups(const struct optset *set)
{
	const char *done[16], *current = "Options";
	unsigned int n = 0, k;

	for (unsigned int i = 0; i < set->n; i++) {
		if (set->row[i]->group)
			current = set->row[i]->group;
		for (k = 0; k < n && strcmp(done[k], current); k++)
			;
		if (k < n || n == KT_ARRAY_LEN(done))
			continue;
		done[n++] = current;
		group(set, current);
	}
}

int cli_usage(const struct command *cmd)
{
	struct optset set;
	char summary[200];

	cli_optset_init(&set, cmd, NULL);
	out_open(&out, NULL);
	out_printf(&out, "Usage: ktrxer %s [OPTION]...%s%s\n\n", cmd->name, *cmd->operands ? " " : "", cmd->operands);
	snprintf(summary, sizeof(summary), "%c%s.", cmd->summary[0] & ~32, cmd->summary + 1);
	wrap(summary, 0, 0);
	for (const char *p = cmd->details; p; p = strstr(p, "\n\n") ? strstr(p, "\n\n") + 2 : NULL) {
		char text[1024];
		const char *end = strstr(p, "\n\n");

		snprintf(text, sizeof(text), "%.*s", (int)(end ? end - p : (long)strlen(p)), p);
		out_puts(&out, "\n");
		wrap(text, 0, 0);
	}
	groups(&set);
	out_printf(&out, "\nThe manual is ktrxer-%s(1).\n", cmd->name);
	return out_close(&out);
}

int cli_overview(void)
{
	out_open(&out, NULL);
	out_puts(&out, "Usage: ktrxer COMMAND [OPTION]... [OPERAND]...\n\n"
		       "Sends probes exactly when you say, knows whether they left, and gets the answers first.\n\n"
		       "Commands:\n");
	for (const struct command *const *c = cli_commands; *c; c++)
		out_printf(&out, "  %-12s %s\n", (*c)->name, (*c)->summary);
	out_puts(&out, "\n  ktrxer help COMMAND   the options of a command (or ktrxer COMMAND --help)\n"
		       "  ktrxer --version      the version\n\n"
		       "The manual is ktrxer(1); what clocks, engines and counters mean is in ktrxer(7).\n");
	return out_close(&out);
}

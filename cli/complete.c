/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer completion: a bash script generated from the tables. */
#include <string.h>

#include "commands.h"
#include "out.h"

static struct out out;

static void words(const char *bars)
{
	for (; *bars; bars++)
		out_write(&out, *bars == '|' ? " " : bars, 1);
}

/* What completes the value of an option, as a case of the generated script. */
static void value_case(const struct opt *o)
{
	switch ((enum opt_type)o->type) {
	case OPT_TYPE_ENUM:
	case OPT_TYPE_WORD:
	case OPT_TYPE_FILE:
	case OPT_TYPE_FILES:
	case OPT_TYPE_INTERFACE:
		break;
	default:
		return;
	}
	out_puts(&out, "\t\t");
	if (o->letter)
		out_printf(&out, "-%c | ", o->letter);
	out_printf(&out, "--%s) ", o->name);
	if (o->type == OPT_TYPE_INTERFACE) {
		out_puts(&out, "_ktrxer_interfaces");
	} else if (o->type == OPT_TYPE_FILE || o->type == OPT_TYPE_FILES) {
		out_puts(&out, "_ktrxer_files");
	} else {
		out_puts(&out, "_ktrxer_words \"");
		words(o->arg);
		out_puts(&out, "\"");
	}
	out_puts(&out, "; return ;;\n");
}

/* Options with a value of which nothing is known: complete nothing rather than operands. */
static void opaque_case(const struct optset *set)
{
	const char *bar = "\t\t";

	for (unsigned int i = 0; i < set->n; i++) {
		u8 t = set->row[i]->type;

		if (t == OPT_TYPE_FLAG || t == OPT_TYPE_ENUM || t == OPT_TYPE_WORD || t == OPT_TYPE_FILE ||
		    t == OPT_TYPE_FILES || t == OPT_TYPE_INTERFACE)
			continue;
		if (set->row[i]->letter)
			out_printf(&out, "%s-%c", bar, set->row[i]->letter);
		else
			out_puts(&out, bar);
		out_printf(&out, "%s--%s", set->row[i]->letter ? " | " : "", set->row[i]->name);
		bar = " | ";
	}
	if (*bar == ' ')
		out_puts(&out, ") return ;;\n");
}

static void command_function(const struct command *cmd)
{
	struct optset set;

	cli_optset_init(&set, cmd, NULL);
	out_printf(&out, "_ktrxer_%s()\n{\n\tcase $prev in\n", cmd->name);
	for (unsigned int i = 0; i < set.n; i++)
		value_case(set.row[i]);
	opaque_case(&set);
	out_puts(&out, "\tesac\n\tcase $cur in\n\t-*) _ktrxer_words \"");
	for (unsigned int i = 0; i < set.n; i++)
		out_printf(&out, "%s--%s", i ? " " : "", set.row[i]->name);
	out_puts(&out, "\"; return ;;\n\tesac\n");
	if (!cmd->complete)
		out_puts(&out, "\treturn 0\n");
	else if (!strcmp(cmd->complete, "@file"))
		out_puts(&out, "\t_ktrxer_files\n");
	else if (!strcmp(cmd->complete, "@interface"))
		out_puts(&out, "\t_ktrxer_interfaces\n");
	else
		out_printf(&out, "\t_ktrxer_words \"%s\"\n\t_ktrxer_files_too\n", cmd->complete);
	out_puts(&out, "}\n\n");
}

static const char head[] = "# bash completion for ktrxer, made by: ktrxer completion bash\n"
			   "\n"
			   "_ktrxer_words()\n{\n\tmapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\")\n}\n"
			   "\n"
			   "_ktrxer_files()\n{\n\tcompopt -o filenames 2>/dev/null\n"
			   "\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n}\n"
			   "\n"
			   "_ktrxer_files_too()\n{\n\tcompopt -o filenames 2>/dev/null\n"
			   "\tmapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$cur\")\n}\n"
			   "\n"
			   "_ktrxer_interfaces()\n{\n\tlocal names='' name\n"
			   "\twhile IFS=': ' read -r name _; do\n"
			   "\t\tcase $name in Inter-\\| | face) ;; *) names+=\" $name\" ;; esac\n"
			   "\tdone < /proc/net/dev\n"
			   "\t_ktrxer_words \"$names\"\n}\n\n";

static const char tail[] = "_ktrxer()\n{\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
			   "\n"
			   "\tCOMPREPLY=()\n"
			   "\tif [ \"$cur\" = = ]; then\n\t\tcur=\n"
			   "\telif [ \"$prev\" = = ] && [ \"$COMP_CWORD\" -gt 2 ]; then\n"
			   "\t\tprev=${COMP_WORDS[COMP_CWORD - 2]}\n\tfi\n"
			   "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
			   "\t\t_ktrxer_words \"$_ktrxer_commands help --help --version\"\n\t\treturn\n\tfi\n"
			   "\tif [ \"${COMP_WORDS[1]}\" = help ]; then\n"
			   "\t\t_ktrxer_words \"$_ktrxer_commands\"\n\t\treturn\n\tfi\n"
			   "\tcase \" $_ktrxer_commands \" in\n"
			   "\t*\" ${COMP_WORDS[1]} \"*) \"_ktrxer_${COMP_WORDS[1]}\" ;;\n"
			   "\tesac\n}\n\n"
			   "complete -F _ktrxer ktrxer\n";

static int complete_bash(void)
{
	out_open(&out, NULL);
	out_puts(&out, head);
	for (const struct command *const *c = cli_commands; *c; c++)
		command_function(*c);
	out_puts(&out, "_ktrxer_commands=\"");
	for (const struct command *const *c = cli_commands; *c; c++)
		out_printf(&out, "%s%s", c == cli_commands ? "" : " ", (*c)->name);
	out_puts(&out, "\"\n\n");
	out_puts(&out, tail);
	return out_close(&out);
}

static int run(const struct optset *set, void *config, int argc, char **argv)
{
	if (argc != 1 || strcmp(argv[0], "bash"))
		return cli_fail(CLI_USAGE, "the shell is missing or not known; allowed: ktrxer completion bash");
	return complete_bash();
}

const struct command command_completion = {
	.name = "completion",
	.summary = "print a script that completes ktrxer's words in a shell",
	.operands = "bash",
	.details = "To try it: source <(ktrxer completion bash)",
	.config_bytes = sizeof(struct common),
	.complete = "bash",
	.run = run,
};

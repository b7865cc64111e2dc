/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Config files and --dump-config; see config.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "near.h"

#define CONFIG_BYTES_MAX (1 << 20)

/* Where we are in a file. */
struct place {
	const char *name;
	unsigned int line;
};

__attribute__((format(printf, 3, 4))) static int wrong(struct optset *set, const struct place *at, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(set->why, sizeof(set->why), "%s:%u: %s", at->name, at->line, text);
	return -EINVAL;
}

static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t\r");
	n = strlen(s);
	while (n && strchr(" \t\r", s[n - 1]))
		n--;
	s[n] = 0;
	return s;
}

/* Takes the quotes off in place. */
static int unquote(struct optset *set, const struct place *at, char *s)
{
	char *to = s, *from = s + 1;

	if (*s != '"')
		return 0;
	for (; *from && *from != '"'; from++) {
		if (*from != '\\') {
			*to++ = *from;
			continue;
		}
		from++;
		if (*from == 'n')
			*to++ = '\n';
		else if (*from == 't')
			*to++ = '\t';
		else if (*from == '"' || *from == '\\')
			*to++ = *from;
		else
			return wrong(set, at, "a backslash stands before n, t, a quote or a backslash only");
	}
	if (*from != '"')
		return wrong(set, at, "the quote is not closed");
	if (from[1])
		return wrong(set, at, "there is text behind the closing quote");
	*to = 0;
	return 0;
}

/* Does any command have this option? */
static bool known_anywhere(const char *name, struct near *near)
{
	for (const struct command *const *c = cli_commands; *c; c++) {
		struct optset all = { 0 };

		cli_optset_init(&all, *c, NULL);
		if (opt_index(&all, name) >= 0)
			return true;
		for (unsigned int i = 0; i < all.n; i++)
			near_consider(near, all.row[i]->name);
	}
	return false;
}

static int unknown(struct optset *set, const struct place *at, const char *name, const struct near *near)
{
	if (near->best)
		return wrong(set, at, "unknown option \"%.60s\"; did you mean \"%s\"?", name, near->best);
	return wrong(set, at, "unknown option \"%.60s\"", name);
}

static int read_section(struct optset *set, const struct place *at, char *line, const struct command **section)
{
	char *end = strchr(line, ']');
	struct near near;

	if (!end || *trim(end + 1))
		return wrong(set, at, "a section is one command in brackets, such as [probe]");
	*end = 0;
	*section = cli_command(trim(line + 1));
	if (*section)
		return 0;
	near_init(&near, trim(line + 1));
	for (const struct command *const *c = cli_commands; *c; c++)
		near_consider(&near, (*c)->name);
	return wrong(set, at, "no command is called \"%.60s\"%s%s%s", trim(line + 1),
		     near.best ? "; did you mean \"" : "", near.best ? near.best : "", near.best ? "\"?" : "");
}

static int read_setting(struct optset *set, const struct command *cmd, const struct place *at,
			const struct command *section, char *line, enum opt_source source)
{
	char *equals = strchr(line, '='), *name, *value;
	struct optset other = { 0 };
	struct near near;
	char why[sizeof(set->why)];

	if (!equals)
		return wrong(set, at, "\"%.60s\" is not \"option = value\"", line);
	*equals = 0;
	name = trim(line);
	value = trim(equals + 1);
	if (unquote(set, at, value))
		return -EINVAL;
	near_init(&near, name);
	if (section && section != cmd) {
		cli_optset_init(&other, section, NULL);
		if (opt_index(&other, name) >= 0)
			return 0;
		for (unsigned int i = 0; i < other.n; i++)
			near_consider(&near, other.row[i]->name);
		return unknown(set, at, name, &near);
	}
	if (opt_index(set, name) < 0) {
		if (!section && known_anywhere(name, &near))
			return 0;
		for (unsigned int i = 0; i < set->n; i++)
			near_consider(&near, set->row[i]->name);
		return unknown(set, at, name, &near);
	}
	if (!strcmp(name, "config") || !strcmp(name, "dump-config") || !strcmp(name, "help"))
		return wrong(set, at, "\"%s\" has no place in a file", name);
	if (!opt_set(set, name, value, source))
		return 0;
	snprintf(why, sizeof(why), "%s", set->why);
	return wrong(set, at, "%s", why);
}

int config_read(struct optset *set, const struct command *cmd, const char *name, char *text, size_t len,
		enum opt_source source)
{
	struct place at = { name, 0 };
	const struct command *section = NULL;
	char *next = text;

	if (memchr(text, 0, len)) {
		at.line = 1;
		return wrong(set, &at, "not a text file");
	}
	while (next) {
		char *line = next;
		int r = 0;

		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		at.line++;
		line = trim(line);
		if (!*line || *line == '#' || *line == ';')
			continue;
		if (*line == '[')
			r = read_section(set, &at, line, &section);
		else
			r = read_setting(set, cmd, &at, section, line, source);
		if (r)
			return r;
	}
	return 0;
}

int config_load(struct optset *set, const struct command *cmd, const char *path, enum opt_source source)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
	size_t len = 0;
	char *text;

	if (fd < 0) {
		r = -errno;
		snprintf(set->why, sizeof(set->why), "%s: %s", path, strerror(-r));
		return r;
	}
	text = malloc(CONFIG_BYTES_MAX + 1);
	while (text && len < CONFIG_BYTES_MAX) {
		ssize_t n = read(fd, text + len, CONFIG_BYTES_MAX - len);

		if (n < 0)
			r = -errno;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	close(fd);
	if (!text || r || len == CONFIG_BYTES_MAX) {
		snprintf(set->why, sizeof(set->why), "%s: %s", path,
			 !text ? "out of memory"
			 : r   ? strerror(-r)
			       : "longer than a config file can be (1 MiB)");
		free(text);
		return r ? r : -EINVAL;
	}
	text[len] = 0;
	free(set->file[source == OPT_FROM_FILE]);
	set->file[source == OPT_FROM_FILE] = text;
	return config_read(set, cmd, path, text, len, source);
}

static void put_value(struct out *out, const char *text)
{
	size_t n = strlen(text);

	if (n && !strpbrk(text, "\n\r") && *text != '"' && !strchr(" \t", *text) && !strchr(" \t", text[n - 1])) {
		out_puts(out, text);
		return;
	}
	out_puts(out, "\"");
	for (; *text; text++) {
		char c[3] = { '\\', *text == '\n' ? 'n' : *text, 0 };

		out_puts(out, strchr("\n\"\\", *text) ? c : c + 1);
	}
	out_puts(out, "\"");
}

static void dump_row(struct out *out, const struct optset *set, unsigned int i)
{
	const struct opt *o = set->row[i];
	const struct opt_list *list = (const struct opt_list *)((const u8 *)set->config + o->offset);

	if (set->source[i] == OPT_FROM_NOWHERE) {
		out_printf(out, "# %s =\n", o->name);
		return;
	}
	if (!opt_is_list(o)) {
		out_printf(out, "%s = ", o->name);
		put_value(out, set->text[i]);
		out_puts(out, "\n");
		return;
	}
	for (unsigned int k = 0; k < list->n; k++) {
		out_printf(out, "%s = ", o->name);
		put_value(out, list->v[k]);
		out_puts(out, "\n");
	}
}

void config_dump(struct out *out, const struct optset *set, const struct command *cmd)
{
	out_printf(out, "[%s]\n", cmd->name);
	for (unsigned int i = 0; i < set->n; i++) {
		const char *name = set->row[i]->name;

		if (!strcmp(name, "config") || !strcmp(name, "dump-config") || !strcmp(name, "help"))
			continue;
		dump_row(out, set, i);
	}
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Tables with aligned columns; see table.h. */
#include "table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct table *t, const char *text)
{
	char **row = realloc(t->row, (t->n + 1) * sizeof(*row));

	if (row)
		t->row = row;
	if (row && (row[t->n] = strdup(text)))
		t->n++;
}

void table_init(struct table *t, const char *heading)
{
	*t = (struct table){ 0 };
	add(t, heading);
}

void table_row(struct table *t, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add(t, text);
}

/* Columns that a text takes on a terminal: characters, not bytes. */
static unsigned int columns_of(const char *s, size_t n)
{
	unsigned int w = 0;

	for (size_t i = 0; i < n; i++)
		w += ((unsigned char)s[i] & 0xc0) != 0x80;
	return w;
}

static void put_row(const struct table *t, struct out *out, unsigned int row, unsigned int indent,
		    const unsigned int *width)
{
	const char *cell = t->row[row], *head = t->row[0];

	out_printf(out, "%*s", (int)indent, "");
	for (unsigned int c = 0; c < TABLE_COLUMNS; c++) {
		size_t n = strcspn(cell, "\t");
		bool right = *head == '>', last = !cell[n];
		const char *text = cell + (!row && right);
		size_t len = n - (!row && right);
		unsigned int pad = width[c] - columns_of(text, len);

		if (right)
			out_printf(out, "%*s", (int)pad, "");
		out_write(out, text, len);
		if (last)
			break;
		out_printf(out, "%*s", (int)(right ? 2 : pad + 2), "");
		cell += n + 1;
		head += strcspn(head, "\t");
		head += *head == '\t';
	}
	out_puts(out, "\n");
}

void table_end(struct table *t, struct out *out, unsigned int indent)
{
	unsigned int width[TABLE_COLUMNS] = { 0 };
	bool headed = t->n && strspn(t->row[0], "\t>") < strlen(t->row[0]);

	for (unsigned int i = 0; i < t->n; i++) {
		const char *cell = t->row[i];

		for (unsigned int c = 0; c < TABLE_COLUMNS; c++) {
			size_t n = strcspn(cell, "\t");
			unsigned int w = columns_of(cell, n) - (!i && *cell == '>');

			width[c] = w > width[c] ? w : width[c];
			if (!cell[n])
				break;
			cell += n + 1;
		}
	}
	for (unsigned int i = headed ? 0 : 1; i < t->n; i++)
		put_row(t, out, i, indent, width);
	for (unsigned int i = 0; i < t->n; i++)
		free(t->row[i]);
	free(t->row);
	*t = (struct table){ 0 };
}

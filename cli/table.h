/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Tables with aligned columns. Cells are separated by tabs; a heading that
 * starts with '>' is aligned to the right, with its column.
 *
 *   table_init(&t, "interface\t>packets\t>lost");
 *   table_row(&t, "%s\t%" PRIu64 "\t%" PRIu64, name, packets, lost);
 *   table_end(&t, &out, 2);
 */
#ifndef KT_TABLE_H
#define KT_TABLE_H

#include <stdbool.h>

#include "out.h"

#define TABLE_COLUMNS 16

struct table {
	char **row; /* cells separated by tabs; the first row is the heading, which may be empty */
	unsigned int n;
	unsigned int columns;
};

/* heading: as above; columns without names need their tabs ("\t>\t"): such a heading is not printed. */
void table_init(struct table *t, const char *heading);
__attribute__((format(printf, 2, 3))) void table_row(struct table *t, const char *fmt, ...);
/* Prints with an indent and frees. */
void table_end(struct table *t, struct out *out, unsigned int indent);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* "Did you mean": edit distance with transpositions; see near.h. */
#include "near.h"

#include <string.h>

#define LONGEST 40

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int m = a < b ? a : b;

	return m < c ? m : c;
}

static unsigned int distance(const char *a, const char *b)
{
	unsigned int d[3][LONGEST + 1], n = (unsigned int)strlen(a), m = (unsigned int)strlen(b);

	if (n > LONGEST || m > LONGEST)
		return LONGEST;
	for (unsigned int j = 0; j <= m; j++)
		d[0][j] = j;
	for (unsigned int i = 1; i <= n; i++) {
		unsigned int *row = d[i % 3], *up = d[(i + 2) % 3], *up2 = d[(i + 1) % 3];

		row[0] = i;
		for (unsigned int j = 1; j <= m; j++) {
			row[j] = min3(up[j] + 1, row[j - 1] + 1, up[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && up2[j - 2] + 1 < row[j])
				row[j] = up2[j - 2] + 1;
		}
	}
	return d[n % 3][m];
}

void near_init(struct near *n, const char *text)
{
	n->text = text;
	n->best = NULL;
	n->distance = (unsigned int)strlen(text) / 3 + 2;
}

void near_consider(struct near *n, const char *word)
{
	unsigned int d = distance(n->text, word);

	/* What was typed may be the beginning of it. */
	if (strlen(n->text) > 2 && !strncmp(word, n->text, strlen(n->text)))
		d = 1;
	if (d < n->distance) {
		n->distance = d;
		n->best = word;
	}
}

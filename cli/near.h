/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* "Did you mean": the nearest of some words to one that was mistyped. */
#ifndef KT_NEAR_H
#define KT_NEAR_H

struct near {
	const char *text; /* what was typed */
	const char *best; /* NULL: nothing is near */
	unsigned int distance;
};

void near_init(struct near *n, const char *text);
void near_consider(struct near *n, const char *word);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Fuzzes target lists, port sets and saved walks: an input is lines; the
 * first character of each says what it is: + - & list, p ports, anything else
 * is collected as a saved walk. Whatever is accepted must number its targets without gaps or repetition.
 */
#include <stdlib.h>
#include <string.h>

#include "../../lib/target.h"
#include "../../lib/walk.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define PROMISE(cond) \
	do { \
		if (!(cond)) \
			__builtin_trap(); \
	} while (0)

static int compare(const struct kt_target *a, const struct kt_target *b)
{
	if (a->addr.version != b->addr.version)
		return a->addr.version - b->addr.version;
	if (memcmp(a->addr.bytes, b->addr.bytes, 16))
		return memcmp(a->addr.bytes, b->addr.bytes, 16);
	return a->port - b->port;
}

static void check_numbers(const struct kt_targets *t)
{
	struct kt_target before, one;

	kt_targets_get(t, 0, &before);
	for (u64 i = 1; i <= t->last && i < 300; i++) {
		kt_targets_get(t, i, &one);
		PROMISE(compare(&before, &one) < 0);
		before = one;
	}
	kt_targets_get(t, t->last, &one);
	PROMISE(t->last == 0 || compare(&before, &one) <= 0);
}

static void check_walk(const struct kt_targets *t, const char *saved)
{
	struct kt_walk_opts o = { .random = true };
	struct ktrxer_err err;
	struct kt_walk w;
	u64 number;

	PROMISE(!kt_walk_init(&w, &o, t->last, 1, &err));
	PROMISE(kt_walk_next(&w, &number) && number <= t->last);
	if (!kt_walk_restore(&w, saved, "saved", &err))
		for (int i = 0; i < 100 && kt_walk_next(&w, &number); i++)
			PROMISE(number <= t->last);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	char *text = malloc(size + 1), *saved = calloc(1, size + 2), *line, *rest;
	struct ktrxer_err err;
	struct kt_targets t;

	if (!text || !saved)
		abort();
	memcpy(text, data, size);
	text[size] = 0;
	kt_targets_init(&t);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (*line == '+')
			kt_targets_add(&t, KT_TARGET_INCLUDE, line + 1, "F:1", &err);
		else if (*line == '-')
			kt_targets_add(&t, KT_TARGET_DENY, line + 1, NULL, &err);
		else if (*line == '&')
			kt_targets_add(&t, KT_TARGET_ALLOW, line + 1, NULL, &err);
		else if (*line == 'p')
			kt_targets_set_ports(&t, line + 1, &err);
		else
			strcat(strcat(saved, line), "\n");
	}
	if ((!t.ports || t.ports->n) && !kt_targets_finish(&t, &err)) {
		check_numbers(&t);
		check_walk(&t, saved);
	}
	kt_targets_free(&t);
	free(saved);
	free(text);
	return 0;
}

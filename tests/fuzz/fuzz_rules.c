/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Fuzzes the reader of rules: any text is a rule, nothing, or refused with
 * one printable sentence; and a rule that was read is read again from what
 * krx_rule_format() writes.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../include/ktrxer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A trap keeps the line in the sanitizer's report. */
#define PROMISE(cond) \
	do { \
		if (!(cond)) \
			__builtin_trap(); \
	} while (0)

static void check_sentence(const struct ktrxer_err *err)
{
	size_t len = strnlen(err->text, sizeof(err->text));

	PROMISE(len > 0 && len < sizeof(err->text));
	for (size_t i = 0; i < len; i++)
		PROMISE(err->text[i] >= 32 && err->text[i] < 127);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1), text[1024];
	struct krx_rule rule, again;
	struct ktrxer_err err = { 0 };
	int ret, len;

	if (!line)
		abort();
	memcpy(line, data, size);
	line[size] = 0;
	ret = krx_rule_parse(&rule, line, &err);
	free(line);
	PROMISE(ret == 0 || ret == -EINVAL || ret == -ENOENT);
	if (ret == -EINVAL)
		check_sentence(&err);
	if (ret)
		return 0;
	len = krx_rule_format(&rule, text, sizeof(text));
	PROMISE(len > 0 && (size_t)len == strlen(text));
	PROMISE(!krx_rule_parse(&again, text, &err));
	PROMISE(!memcmp(&rule, &again, sizeof(rule)));
	return 0;
}

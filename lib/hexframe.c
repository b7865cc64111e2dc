/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Hex text to bytes, line by line; offsets in a dump are checked, so that a missing line is noticed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "hexframe.h"

#define MAX_TEXT (1024 * 1024)
#define MIN_FRAME 14

struct reader {
	u8 *frame;
	u32 cap;
	u32 n;
	const char *name;
	unsigned int line;
	struct ktrxer_err *err;
};

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* One group of digits at *text. */
static int read_group(struct reader *r, const char **text)
{
	const char *c = *text;

	for (; digit(c[0]) >= 0; c += 2) {
		if (digit(c[1]) < 0)
			return kt_err(r->err, EINVAL, "%.300s:%u: \"%.*s\" has an odd number of hex digits", r->name,
				      r->line, (int)(c + 1 - *text > 40 ? 40 : c + 1 - *text), *text);
		if (r->n == r->cap)
			return kt_err(r->err, EMSGSIZE, "%.300s:%u: the frame is longer than %u bytes", r->name,
				      r->line, r->cap);
		r->frame[r->n++] = (u8)(digit(c[0]) << 4 | digit(c[1]));
	}
	*text = c;
	return 0;
}

/* Bytes without an offset: everything counts. */
static int read_plain(struct reader *r, const char *c)
{
	int ret = 0;

	if (c[0] == '0' && (c[1] == 'x' || c[1] == 'X'))
		c += 2;
	while (!ret) {
		while (is_blank(*c) || *c == ':' || *c == ',')
			c++;
		if (!*c || *c == '#')
			return 0;
		if (digit(*c) < 0)
			return kt_err(r->err, EINVAL, "%.300s:%u: \"%.20s\" is not hexadecimal", r->name, r->line, c);
		ret = read_group(r, &c);
	}
	return ret;
}

/* Bytes behind an offset, up to the column of characters: two blanks after xxd and tcpdump, a bar after hexdump. */
static int read_dump(struct reader *r, const char *c, bool until_bar)
{
	u32 before = r->n;
	int ret;

	while (is_blank(*c))
		c++;
	while (digit(*c) >= 0) {
		ret = read_group(r, &c);
		if (ret)
			return ret;
		if (is_blank(c[0]) && (until_bar || !is_blank(c[1])))
			while (is_blank(*c))
				c++;
	}
	if (*c && !is_blank(*c) && *c != '#' && !(until_bar && *c == '|'))
		return kt_err(r->err, EINVAL, "%.300s:%u: \"%.20s\" is not hexadecimal", r->name, r->line, c);
	if (r->n == before && !until_bar)
		return kt_err(r->err, EINVAL, "%.300s:%u: no bytes behind the offset", r->name, r->line);
	return 0;
}

/* Is c an offset, "0x0010:", "00000010:" or "00000010  "? Then *rest is what follows. */
static bool is_offset(const char *c, u32 *offset, const char **rest, bool *until_bar)
{
	const char *start;
	u64 v = 0;

	if (c[0] == '0' && c[1] == 'x')
		c += 2;
	for (start = c; digit(*c) >= 0 && c - start < 9; c++)
		v = v << 4 | (u64)digit(*c);
	*offset = (u32)v;
	*rest = c + 1;
	*until_bar = false;
	if (*c == ':')
		return c - start >= 4 && c - start <= 8 && is_blank(c[1]);
	*until_bar = true;
	return c - start == 8 && ((c[0] == ' ' && c[1] == ' ') || !*c);
}

/* tcpdump's line of words above a dump starts with a time of day. */
static bool is_headline(const char *c)
{
	return digit(c[0]) >= 0 && digit(c[1]) >= 0 && c[2] == ':' && digit(c[3]) >= 0 && digit(c[4]) >= 0 &&
	       c[5] == ':' && strchr(c, '.') && strstr(c, " > ");
}

static int read_line(struct reader *r, const char *c, bool *in_dump)
{
	const char *rest;
	bool until_bar;
	u32 offset;

	while (is_blank(*c))
		c++;
	if (!*c || *c == '#')
		return 0;
	if (is_headline(c))
		return r->n ? kt_err(r->err, EINVAL, "%.300s:%u: a second frame begins; one is allowed here", r->name,
				     r->line)
			    : 0;
	if (!is_offset(c, &offset, &rest, &until_bar) || (until_bar && !*in_dump && offset)) {
		if (*in_dump)
			return kt_err(r->err, EINVAL, "%.300s:%u: a line without an offset within a dump", r->name,
				      r->line);
		return read_plain(r, c);
	}
	*in_dump = true;
	if (offset != r->n)
		return kt_err(
			r->err, EINVAL,
			offset ? "%.300s:%u: offset 0x%x, but 0x%x bytes were read before"
			       : "%.300s:%u: offset 0x%x again: a second frame begins after 0x%x bytes; one is allowed",
			r->name, r->line, offset, r->n);
	return *rest && c[8] ? read_dump(r, rest, until_bar) : 0;
}

int kt_hexframe_parse(u8 *frame, u32 cap, const char *text, const char *name, struct ktrxer_err *err)
{
	struct reader r = { .frame = frame, .cap = cap, .name = name, .err = err };
	bool in_dump = false;
	char line[4096];

	while (*text) {
		size_t n = strcspn(text, "\n");
		const char *c = text;
		int ret;

		r.line++;
		text += n + (text[n] == '\n');
		if (n >= sizeof(line) && *text)
			return kt_err(err, EINVAL, "%.300s:%u: the line is longer than %zu characters", name, r.line,
				      sizeof(line) - 1);
		if (n < sizeof(line)) {
			memcpy(line, c, n);
			line[n] = 0;
			c = line;
		}
		ret = read_line(&r, c, &in_dump);
		if (ret)
			return ret;
	}
	if (r.n < MIN_FRAME)
		return kt_err(err, EINVAL, "%.300s: %u bytes are too few for an Ethernet frame: its header has 14",
			      name, r.n);
	return (int)r.n;
}

int kt_hexframe_read(u8 *frame, u32 cap, const char *path, struct ktrxer_err *err)
{
	bool is_stdin = !strcmp(path, "-");
	const char *name = is_stdin ? "standard input" : path;
	FILE *f = is_stdin ? stdin : fopen(path, "re");
	char *text;
	size_t n;
	int ret;

	if (!f)
		return kt_err(err, errno, "%.300s: %s", path, strerror(errno));
	text = malloc(MAX_TEXT + 1);
	n = text ? fread(text, 1, MAX_TEXT, f) : 0;
	if (!text) {
		ret = kt_err(err, ENOMEM, "no memory to read %.180s", name);
	} else if (ferror(f)) {
		ret = kt_err(err, errno ? errno : EIO, "%.300s: %s", name, strerror(errno));
	} else if (n == MAX_TEXT) {
		ret = kt_err(err, EMSGSIZE, "%.300s: more than 1 MiB of text is no frame", name);
	} else {
		text[n] = 0;
		ret = strlen(text) < n ? kt_err(err, EINVAL, "%.300s: holds a zero byte: not a text file", name)
				       : kt_hexframe_parse(frame, cap, text, name, err);
	}
	free(text);
	if (!is_stdin)
		fclose(f);
	return ret;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A JSON writer; see json.h. */
#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_init(struct json *j, struct out *out)
{
	*j = (struct json){ .out = out };
}

/* Length of the UTF-8 character at p, or 0: there is none (too long, surrogate, cut off, beyond U+10FFFF). */
static size_t utf8_len(const unsigned char *p, size_t left)
{
	static const unsigned int smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *p < 0x80 ? 1 : (*p & 0xe0) == 0xc0 ? 2 : (*p & 0xf0) == 0xe0 ? 3 : (*p & 0xf8) == 0xf0 ? 4 : 0;
	unsigned int c = n < 2 ? *p : *p & (0x7f >> n);

	if (!n || n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	return c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : n;
}

static void put_string(struct out *out, const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len;

	out_write(out, "\"", 1);
	for (size_t i = 0; i < n; i += len ? len : 1) {
		len = utf8_len(p + i, n - i);
		if (!len)
			out_puts(out, "\\ufffd");
		else if (p[i] == '"' || p[i] == '\\')
			out_printf(out, "\\%c", p[i]);
		else if (p[i] < 0x20 || p[i] == 0x7f)
			out_printf(out, "\\u%04x", p[i]);
		else
			out_write(out, p + i, len);
	}
	out_write(out, "\"", 1);
}

static void begin(struct json *j, const char *key)
{
	if (j->more)
		out_write(j->out, ",", 1);
	if (key) {
		put_string(j->out, key, strlen(key));
		out_write(j->out, ":", 1);
	}
	j->more = true;
}

static void end_value(struct json *j)
{
	if (j->depth)
		return;
	out_write(j->out, "\n", 1);
	j->more = false;
}

static void open_nested(struct json *j, const char *key, const char *open, char close)
{
	begin(j, key);
	out_puts(j->out, open);
	if (j->depth == JSON_DEPTH)
		abort(); /* keys and nesting are ours: a bug */
	j->close[j->depth++] = close;
	j->more = false;
}

void json_object(struct json *j, const char *key)
{
	open_nested(j, key, "{", '}');
}

void json_array(struct json *j, const char *key)
{
	open_nested(j, key, "[", ']');
}

void json_end(struct json *j)
{
	out_write(j->out, &j->close[--j->depth], 1);
	j->more = true;
	end_value(j);
}

void json_bytes(struct json *j, const char *key, const char *text, size_t n)
{
	begin(j, key);
	put_string(j->out, text, n);
	end_value(j);
}

void json_text(struct json *j, const char *key, const char *text)
{
	if (text)
		json_bytes(j, key, text, strlen(text));
	else
		json_null(j, key);
}

void json_hex(struct json *j, const char *key, const uint8_t *data, size_t n)
{
	begin(j, key);
	out_write(j->out, "\"", 1);
	for (size_t i = 0; i < n; i++)
		out_printf(j->out, "%02x", data[i]);
	out_write(j->out, "\"", 1);
	end_value(j);
}

void json_u64(struct json *j, const char *key, uint64_t v)
{
	begin(j, key);
	out_printf(j->out, "%" PRIu64, v);
	end_value(j);
}

void json_s64(struct json *j, const char *key, int64_t v)
{
	begin(j, key);
	out_printf(j->out, "%" PRId64, v);
	end_value(j);
}

void json_double(struct json *j, const char *key, double v)
{
	begin(j, key);
	if (isfinite(v))
		out_printf(j->out, "%.9g", v);
	else
		out_puts(j->out, "null");
	end_value(j);
}

void json_bool(struct json *j, const char *key, bool v)
{
	begin(j, key);
	out_puts(j->out, v ? "true" : "false");
	end_value(j);
}

void json_null(struct json *j, const char *key)
{
	begin(j, key);
	out_puts(j->out, "null");
	end_value(j);
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Blocks of capture files, put together in a buffer that grows. */
#include "pcapblock.h"

#include <stdlib.h>
#include <string.h>

bool kt_blocks_reserve(struct kt_blocks *b, size_t bytes)
{
	size_t cap = b->cap;
	u8 *buf;

	if (b->n + bytes <= b->cap)
		return true;
	while (cap < b->n + bytes)
		cap *= 2;
	buf = realloc(b->buf, cap);
	if (!buf)
		return false;
	b->buf = buf;
	b->cap = cap;
	return true;
}

void kt_blocks_put(struct kt_blocks *b, const void *data, size_t bytes)
{
	memcpy(b->buf + b->n, data, bytes);
	b->n += bytes;
}

void kt_blocks_put32(struct kt_blocks *b, u32 v)
{
	kt_blocks_put(b, &v, sizeof(v));
}

void kt_blocks_put16(struct kt_blocks *b, u16 v)
{
	kt_blocks_put(b, &v, sizeof(v));
}

/* Zeros up to a multiple of four. */
void kt_blocks_pad(struct kt_blocks *b, size_t bytes)
{
	static const u8 zero[4];

	kt_blocks_put(b, zero, (4 - bytes % 4) % 4);
}

void kt_blocks_begin(struct kt_blocks *b, u32 type)
{
	b->block = b->n;
	kt_blocks_put32(b, type);
	kt_blocks_put32(b, 0);
}

void kt_blocks_put_option(struct kt_blocks *b, u16 code, const void *data, size_t bytes)
{
	kt_blocks_put16(b, code);
	kt_blocks_put16(b, (u16)bytes);
	kt_blocks_put(b, data, bytes);
	kt_blocks_pad(b, bytes);
}

/* As much of a text as an option can hold. */
size_t kt_blocks_text_bytes(const char *text)
{
	size_t n = text ? strlen(text) : 0;

	return n > 4000 ? 4000 : n;
}

void kt_blocks_put_text(struct kt_blocks *b, u16 code, const char *text)
{
	if (text)
		kt_blocks_put_option(b, code, text, kt_blocks_text_bytes(text));
}

/* A time: high half first, whatever the byte order. */
void kt_blocks_put_time(struct kt_blocks *b, u16 code, u64 ns)
{
	u32 v[2] = { (u32)(ns >> 32), (u32)ns };

	if (ns)
		kt_blocks_put_option(b, code, v, sizeof(v));
}

void kt_blocks_end(struct kt_blocks *b)
{
	u32 bytes = (u32)(b->n - b->block + 4);

	memcpy(b->buf + b->block + 4, &bytes, sizeof(bytes));
	kt_blocks_put32(b, bytes);
}

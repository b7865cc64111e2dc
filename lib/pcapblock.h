/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The blocks of a pcapng file in memory, in the byte order of the machine.
 * Before anything is put, room for it is reserved; putting never fails.
 */
#ifndef KT_PCAPBLOCK_H
#define KT_PCAPBLOCK_H

#include "../core/env.h"

struct kt_blocks {
	u8 *buf;
	size_t n;
	size_t cap; /* not 0 */
	size_t block; /* where the open block begins */
};

/* Room for so many bytes more; false when there is no memory. */
bool kt_blocks_reserve(struct kt_blocks *b, size_t bytes);

void kt_blocks_put(struct kt_blocks *b, const void *data, size_t bytes);
void kt_blocks_put16(struct kt_blocks *b, u16 v);
void kt_blocks_put32(struct kt_blocks *b, u32 v);
/* Zeros behind so many bytes, up to a multiple of four. */
void kt_blocks_pad(struct kt_blocks *b, size_t bytes);

/* A block: type and length around what is put in between. */
void kt_blocks_begin(struct kt_blocks *b, u32 type);
void kt_blocks_end(struct kt_blocks *b);

void kt_blocks_put_option(struct kt_blocks *b, u16 code, const void *data, size_t bytes);
/* Nothing when text is NULL, or ns is 0. */
void kt_blocks_put_text(struct kt_blocks *b, u16 code, const char *text);
void kt_blocks_put_time(struct kt_blocks *b, u16 code, u64 ns);
/* As much of a text as an option can hold. */
size_t kt_blocks_text_bytes(const char *text);

#endif

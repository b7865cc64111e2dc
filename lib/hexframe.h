/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A frame from hexadecimal text: "0200 0000 0001 …" with blanks, colons or
 * nothing between the bytes, or a dump of one frame as xxd, hexdump -C or
 * tcpdump -xx print it. # begins a comment.
 */
#ifndef KT_HEXFRAME_H
#define KT_HEXFRAME_H

#include "../include/ktrxer.h"

#include "../core/env.h"

/* name: what sentences call the text, such as a file's name. Returns the length, or -EINVAL / -EMSGSIZE. */
int kt_hexframe_parse(u8 *frame, u32 cap, const char *text, const char *name, struct ktrxer_err *err);

/* The same from a file; "-": standard input. Also -errno of opening and reading. */
int kt_hexframe_read(u8 *frame, u32 cap, const char *path, struct ktrxer_err *err);

#endif

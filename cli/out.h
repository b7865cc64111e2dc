/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Output to stdout or a file that notices at once when it can write no more.
 * Text gathers in a buffer; out_flush() brings it out, and what it brought out
 * is not lost by anything that comes later. The first error stays: the rest
 * of what is written goes nowhere, and out_close() tells. A file then ends
 * behind its last whole line.
 */
#ifndef KT_OUT_H
#define KT_OUT_H

#include <stdarg.h>
#include <stddef.h>

#define OUT_BYTES 65536

struct out {
	int fd;
	int err; /* -errno of the first failure; 0 */
	const char *name; /* for sentences */
	size_t tail; /* bytes brought out since the last newline */
	size_t n;
	char buf[OUT_BYTES];
};

/* path: NULL or "-": stdout. 0, or -errno. An existing file is replaced. */
int out_open(struct out *o, const char *path);
void out_write(struct out *o, const void *data, size_t n);
void out_puts(struct out *o, const char *text);
__attribute__((format(printf, 2, 3))) void out_printf(struct out *o, const char *fmt, ...);
/* 0, or the -errno of the first failure. */
int out_flush(struct out *o);
/* Flushes, closes and, if anything failed, says so: CLI_OK or CLI_FAILURE. */
int out_close(struct out *o);
/* Says why and returns CLI_FAILURE, when o->err is set; else CLI_OK. */
int out_check(const struct out *o);

#endif

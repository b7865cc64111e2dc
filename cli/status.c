/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The live status line; see status.h. */
#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "signals.h"

static bool wanted;
static bool terminal;
static bool shown;
static u64 next_ns;

static u64 now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * KT_NSEC_PER_SEC + (u64)t.tv_nsec;
}

void status_init(const struct common *c)
{
	terminal = isatty(STDERR_FILENO);
	wanted = c->status == CLI_STATUS_YES || (c->status == CLI_STATUS_AUTO && terminal && !c->quiet);
	next_ns = now() + KT_NSEC_PER_SEC;
}

bool status_wanted(void)
{
	return wanted;
}

bool status_due(void)
{
	u64 t;

	if (!wanted)
		return false;
	t = now();
	if (t < next_ns)
		return false;
	next_ns += (t - next_ns) / KT_NSEC_PER_SEC * KT_NSEC_PER_SEC + KT_NSEC_PER_SEC;
	return true;
}

void status_show(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if (!wanted)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (!terminal) {
		fprintf(stderr, "%s\n", line);
		return;
	}
	/* One row only: a wrapped line could not be overwritten. */
	fprintf(stderr, "\r%.*s\033[K", (int)terminal_width() - 1, line);
	fflush(stderr);
	shown = true;
}

void status_clear(void)
{
	if (!shown)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	shown = false;
}

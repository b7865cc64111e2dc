/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Receivers that other processes share; see attach.h. */
#include "attach.h"

#include "../lib/port.h"
#include "rules.h"
#include "signals.h"
#include "units.h"

/*
 * How often one looks. No file event says that a socket is listened at: bind() makes the file, and a socket that a
 * killed owner left stands there all the time.
 */
#define LOOK_NS 20000000u

/* Those that an owner who is starting, or one who is just ending, gives. */
static bool is_nobody(int r)
{
	return r == -ENOENT || r == -ECONNREFUSED || r == -EPIPE;
}

static int nobody(const char *path, u64 wait_ns)
{
	char time[UNIT_CHARS];

	if (interrupted())
		return interrupted_exit();
	if (!wait_ns)
		return cli_fail(CLI_ENVIRONMENT,
				"nobody shares a receiver at %s: start ktrxer capture --share, or --wait for it", path);
	return cli_fail(CLI_ENVIRONMENT, "nobody shared a receiver at %s within %s", path, unit_ns(time, wait_ns));
}

int attach(struct krx **rx, const char *path, u64 wait_ns)
{
	const struct timespec nap = kt_ns_timespec(LOOK_NS);
	u64 start = kt_clock_now(KTRXER_CLOCK_MONOTONIC);
	struct ktrxer_err err = { 0 };
	int r;

	while (is_nobody(r = krx_connect(rx, path, &err))) {
		if (interrupted() || kt_clock_now(KTRXER_CLOCK_MONOTONIC) - start >= wait_ns)
			return nobody(path, wait_ns);
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	}
	return r ? cli_fail_err(&err, NULL) : CLI_OK;
}

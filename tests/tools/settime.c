/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * settime SECONDS: sets CLOCK_REALTIME to so long after the epoch. For guests of 32-bit machines, none of whose own programs can say a
 * time beyond 2038.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	struct timespec ts = { .tv_sec = argc == 2 ? (time_t)strtoll(argv[1], NULL, 10) : 0 };

	if (ts.tv_sec <= 0 || clock_settime(CLOCK_REALTIME, &ts)) {
		perror("settime SECONDS");
		return 1;
	}
	return 0;
}

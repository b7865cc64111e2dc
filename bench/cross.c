/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Cross traffic of the host's own: RATE UDP packets a second of BYTES to an address, until interrupted; then one JSON
 * line with what was sent. What cannot be sent in time is caught up with, up to a millisecond's worth. It runs at nice -20, so
 * that other programs that want all of the CPU do not keep it from its rate.
 *
 *   cross ADDRESS BYTES RATE
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define SECOND 1000000000ull

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / SECOND), (long)(ns % SECOND) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

int main(int argc, char **argv)
{
	static const char payload[1472];
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9999) };
	uint64_t start, next, sent = 0, failed = 0, gap;
	size_t len = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
	unsigned long rate = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 || !rate || rate > 1000000 ||
	    len > sizeof(payload) || fd < 0) {
		fprintf(stderr, "usage: cross ADDRESS BYTES RATE\n");
		return 2;
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	if (setpriority(PRIO_PROCESS, 0, -20))
		fprintf(stderr, "cross: not at nice -20\n");
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	gap = 4 * SECOND / rate;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return 1;
	start = next = now();
	while (!stopped) {
		uint64_t t = now();

		if (t < next) {
			sleep_until(next);
			continue;
		}
		if (t > next + SECOND / 1000)
			next = t - SECOND / 1000;
		next += gap;
		for (int i = 0; i < 4; i++) {
			if (send(fd, payload, len, 0) < 0)
				failed++;
			else
				sent++;
		}
	}
	printf("{\"bench\":\"cross\",\"asked_pps\":%lu,\"pps\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"failed\":%" PRIu64
	       "}\n",
	       rate, sent * 1000000 / ((now() - start) / 1000), sent, failed);
	return 0;
}

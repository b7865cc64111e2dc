/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Packets per second that any program gets through an interface, as the
 * kernel counts them: the same counter for us and for everybody else.
 *
 *   measure NAME IFNAME WARMUP_MS WINDOW_MS COMMAND [ARGUMENT...]
 *
 * Starts the command, waits, reads the far end's receive counter over the
 * window, ends the command by its process id, and prints one JSON line. A command that is over before the window
 * is, or that sends nothing, is reported with what it said.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Receive packets of an interface of this namespace. */
static int counter(const char *ifname, uint64_t *packets)
{
	char line[512];
	FILE *f = fopen("/proc/net/dev", "re");
	int found = 0;

	while (f && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':'), *name = line + strspn(line, " ");
		uint64_t bytes;

		if (!colon)
			continue;
		*colon = '\0';
		if (strcmp(name, ifname) || sscanf(colon + 1, "%" SCNu64 " %" SCNu64, &bytes, packets) != 2)
			continue;
		found = 1;
	}
	if (f)
		fclose(f);
	return found ? 0 : -1;
}

static void nap(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static pid_t start(char **argv, const char *log)
{
	pid_t pid = fork();

	if (!pid) {
		int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), null = open("/dev/null", O_RDONLY);

		setpgid(0, 0); /* with its own children, to be ended together */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(null, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	setpgid(pid, pid); /* here as well: whoever comes first */
	return pid;
}

/* Ends it: politely first. Returns its peak memory in KiB. */
static long finish(pid_t pid)
{
	struct rusage use = { 0 };
	int status;

	bool over = false;

	kill(-pid, SIGINT);
	for (int i = 0; i < 100 && !over; i++) {
		over = wait4(pid, &status, WNOHANG, &use) == pid;
		if (!over)
			nap(10000000);
	}
	kill(-pid, SIGKILL); /* and whatever it left behind */
	if (!over)
		wait4(pid, &status, 0, &use);
	return use.ru_maxrss;
}

static void last_words(const char *log)
{
	char text[400] = "";
	int fd = open(log, O_RDONLY | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);
	ssize_t n;

	lseek(fd, size > 399 ? size - 399 : 0, SEEK_SET);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	for (ssize_t i = 0; i < n; i++)
		putchar(text[i] == '"' || text[i] == '\\' || text[i] < ' ' ? ' ' : text[i]);
}

int main(int argc, char **argv)
{
	char log[64];
	uint64_t before = 0, after = 0, t0, t1;
	long kib;
	pid_t pid;
	bool over;

	if (argc < 6) {
		fprintf(stderr, "usage: measure NAME IFNAME WARMUP_MS WINDOW_MS COMMAND [ARGUMENT...]\n");
		return 2;
	}
	snprintf(log, sizeof(log), "/tmp/kt-measure-%d", getpid());
	pid = start(argv + 5, log);
	nap(strtoull(argv[3], NULL, 10) * 1000000u);
	if (counter(argv[2], &before)) {
		fprintf(stderr, "measure: no interface %s here\n", argv[2]);
		finish(pid);
		return 1;
	}
	t0 = now_ns();
	nap(strtoull(argv[4], NULL, 10) * 1000000u);
	counter(argv[2], &after);
	t1 = now_ns();
	over = waitpid(pid, NULL, WNOHANG) == pid;
	if (over)
		kill(-pid, SIGKILL);
	kib = over ? 0 : finish(pid);
	printf("{\"name\":\"%s\",\"max_rss_kib\":%ld,\"pps\":", argv[1], kib);
	if (over)
		printf("null"); /* what came in the window was not its */
	else
		printf("%.0f", (double)(after - before) * 1e9 / (double)(t1 - t0));
	if (over || after == before) {
		printf(",\"said\":\"");
		last_words(log);
		printf("\"");
	}
	printf("}\n");
	unlink(log);
	return 0;
}

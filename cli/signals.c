/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Interrupts and the terminal's width; see signals.h. */
#include "signals.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	if (caught)
		_exit(128 + number);
	caught = number;
}

void signals_init(void)
{
	/* No SA_RESTART: waiting calls return at once. */
	struct sigaction stop = { .sa_handler = on_signal };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction old;

	sigemptyset(&stop.sa_mask);
	sigaction(SIGTERM, &stop, NULL);
	/* A shell starts background jobs with SIGINT ignored; leave that. */
	if (!sigaction(SIGINT, NULL, &old) && old.sa_handler != SIG_IGN)
		sigaction(SIGINT, &stop, NULL);
	/* Writing tells it too, and then there is time to say so. */
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
}

bool interrupted(void)
{
	return caught;
}

int interrupted_exit(void)
{
	return !caught ? CLI_OK : 128 + caught;
}

void signals_raise(int number)
{
	caught = number;
}

unsigned int terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize w;
	int n;

	if ((!ioctl(STDERR_FILENO, TIOCGWINSZ, &w) || !ioctl(STDOUT_FILENO, TIOCGWINSZ, &w)) && w.ws_col)
		return w.ws_col;
	n = columns ? atoi(columns) : 0;
	return n >= 20 && n <= 1000 ? (unsigned int)n : 80;
}

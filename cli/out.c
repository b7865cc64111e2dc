/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Output that notices when it can write no more; see out.h. */
#include "out.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

int out_open(struct out *o, const char *path)
{
	o->n = 0;
	o->err = 0;
	o->fd = STDOUT_FILENO;
	o->name = "standard output";
	if (!path || !strcmp(path, "-"))
		return 0;
	o->name = path;
	o->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (o->fd < 0)
		o->err = -errno;
	return o->err;
}

/* Everything or an error; someone else may have made the descriptor non-blocking. */
static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w >= 0) {
			p += w;
			n -= (size_t)w;
		} else if (errno == EAGAIN) {
			struct pollfd f = { .fd = fd, .events = POLLOUT };

			poll(&f, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

int out_flush(struct out *o)
{
	if (!o->err && o->n)
		o->err = write_all(o->fd, o->buf, o->n);
	o->n = 0;
	return o->err;
}

void out_write(struct out *o, const void *data, size_t n)
{
	if (n > sizeof(o->buf) - o->n)
		out_flush(o);
	if (n > sizeof(o->buf)) {
		if (!o->err)
			o->err = write_all(o->fd, data, n);
		return;
	}
	memcpy(o->buf + o->n, data, n);
	o->n += n;
}

void out_puts(struct out *o, const char *text)
{
	out_write(o, text, strlen(text));
}

void out_printf(struct out *o, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0)
		out_write(o, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

int out_check(const struct out *o)
{
	if (!o->err)
		return CLI_OK;
	return cli_fail(CLI_FAILURE, "cannot write to %s: %s", o->name, strerror(-o->err));
}

int out_close(struct out *o)
{
	out_flush(o);
	/* Some file systems tell of a full disk only now. */
	if (o->fd >= 0 && o->fd != STDOUT_FILENO && close(o->fd) && !o->err)
		o->err = -errno;
	o->fd = -1;
	return out_check(o);
}

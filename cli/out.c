/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Output that notices when it can write no more; see out.h. */
#include "out.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

int out_open(struct out *o, const char *path)
{
	o->n = 0;
	o->tail = 0;
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

static void count_tail(struct out *o, const char *p, size_t n)
{
	const char *newline = memrchr(p, '\n', n);

	o->tail = newline ? (size_t)(p + n - newline) - 1 : o->tail + n;
}

/* Half a line is no result: a file that nobody else has added to is cut behind its last whole one. */
static void cut_tail(struct out *o)
{
	off_t end = lseek(o->fd, 0, SEEK_CUR);
	struct stat st;

	if (!o->tail || end < (off_t)o->tail || fstat(o->fd, &st) || !S_ISREG(st.st_mode) || st.st_size != end)
		return;
	if (!ftruncate(o->fd, end - (off_t)o->tail))
		lseek(o->fd, end - (off_t)o->tail, SEEK_SET);
	o->tail = 0;
}

/* Everything or an error; someone else may have made the descriptor non-blocking. */
static void write_all(struct out *o, const char *p, size_t n)
{
	while (n && !o->err) {
		ssize_t w = write(o->fd, p, n);

		if (w >= 0) {
			count_tail(o, p, (size_t)w);
			p += w;
			n -= (size_t)w;
		} else if (errno == EAGAIN) {
			struct pollfd f = { .fd = o->fd, .events = POLLOUT };

			poll(&f, 1, -1);
		} else if (errno != EINTR) {
			o->err = -errno;
			cut_tail(o);
		}
	}
}

int out_flush(struct out *o)
{
	write_all(o, o->buf, o->n);
	o->n = 0;
	return o->err;
}

void out_write(struct out *o, const void *data, size_t n)
{
	if (n > sizeof(o->buf) - o->n)
		out_flush(o);
	if (n > sizeof(o->buf)) {
		write_all(o, data, n);
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
	return cli_fail(CLI_FAILURE, "cannot write to %s: %s", o->name,
			o->err == -EBADF ? "it is closed" : strerror(-o->err));
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

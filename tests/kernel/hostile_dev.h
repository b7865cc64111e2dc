/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The hostile device (tests/kernel/hostile, which says what its attributes mean), as tests have it. */
#ifndef KT_TEST_HOSTILE_DEV_H
#define KT_TEST_HOSTILE_DEV_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "tests/test.h"

#define DEV "kth0"

/* 0 or -errno */
static inline int hostile_write(const char *name, const char *text)
{
	char path[96];
	int fd;
	bool ok;

	snprintf(path, sizeof(path), "/sys/class/net/" DEV "/hostile/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok ? 0 : -EIO;
}

/* The same, where a refusal fails the case. */
static inline void hostile_set(const char *name, const char *text)
{
	if (hostile_write(name, text))
		TEST_FAIL("the hostile device does not take \"%s\" as %s", text, name);
}

/* One of the counters in `seen`. */
static inline unsigned long long hostile_seen(const char *what)
{
	char buf[1024] = "", *at;
	int fd = open("/sys/class/net/" DEV "/hostile/seen", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (fd >= 0)
		close(fd);
	at = n > 0 ? strstr(buf, what) : NULL;
	if (!at)
		TEST_FAIL("the device does not say what it has seen");
	return strtoull(at + strlen(what), NULL, 10);
}

#endif

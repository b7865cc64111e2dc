/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A receiver on a wire in memory, shared at a path of its own. For one test program each. */
#ifndef KT_TEST_SHARE_H
#define KT_TEST_SHARE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/share.h"
#include "tests/test.h"

#define END "share/0"
#define FAR_END "share/1"

static char dir[64], path[96];
static struct ktrxer *port;
static struct krx *rx;

static inline void clean_up(void)
{
	krx_close(rx);
	ktrxer_close(port);
	rx = NULL;
	port = NULL;
	if (dir[0]) {
		unlink(path);
		rmdir(dir);
	}
}

static inline void fresh_path(void)
{
	clean_up(); /* of a case that failed */
	alarm(60); /* nothing here may hang */
	snprintf(dir, sizeof(dir), "/tmp/kt-share-XXXXXX");
	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
}

static inline int open_shared(const char *where, struct ktrxer_err *err)
{
	KTRXER_OPTS(krx_opts, o);
	struct ktrxer_err e;

	if (!port && ktrxer_open(&port, END, NULL, &e))
		TEST_FAIL("%s", e.text);
	o.ring_bytes = 65536;
	o.share_path = where;
	return krx_open(&rx, port, &o, err);
}

static inline void set_up(void)
{
	struct ktrxer_err err = { 0 };

	fresh_path();
	if (open_shared(path, &err))
		TEST_FAIL("%s", err.text);
}

/* The owner still answers others. */
static inline void check_alive(void)
{
	struct ktrxer_err err = { 0 };
	struct krx *other;

	if (krx_connect(&other, path, &err))
		TEST_FAIL("%s", err.text);
	krx_close(other);
}

#endif

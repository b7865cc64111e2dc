/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A place to measure in: a network namespace of this process's own with one
 * veth pair, bench0 -> bench1. The far end gets frames for nobody and drops
 * them. All of it is gone when the process is.
 */
#ifndef KT_BENCH_VETH_H
#define KT_BENCH_VETH_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void bench_run(const char *cmd)
{
	if (system(cmd)) {
		fprintf(stderr, "bench: \"%s\" failed\n", cmd);
		exit(1);
	}
}

static inline void bench_veth(void)
{
	int fd;

	if (unshare(CLONE_NEWNET)) {
		fprintf(stderr, "bench: no network namespace: %s (root is needed)\n", strerror(errno));
		exit(1);
	}
	fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "1", 1) != 1)
			fprintf(stderr, "bench: IPv6 stays on\n");
		close(fd);
	}
	bench_run("ip link add bench0 type veth peer name bench1");
	bench_run("ip link set lo up");
	bench_run("ip link set bench0 up");
	bench_run("ip link set bench1 up");
}

/* A minimal UDP-sized frame to nobody, with a number in it. */
static inline unsigned int bench_frame(unsigned char *buf, unsigned int len, unsigned long long i)
{
	static const unsigned char head[14] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };

	memcpy(buf, head, sizeof(head));
	memcpy(buf + 14, &i, sizeof(i));
	return len;
}

#endif

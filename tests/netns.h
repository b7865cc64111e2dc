/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Two network namespaces of this process's own, "near" (where it runs) and
 * "far", joined by a veth pair. They have no names and no processes: they are
 * held by descriptors and vanish with the process, however it ends.
 *
 *      near namespace              far namespace
 *        kta 10.77.0.1/24 ────────── ktb 10.77.0.2/24
 *            fd77::1/64                  fd77::2/64
 */
#ifndef KT_TEST_NETNS_H
#define KT_TEST_NETNS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/test.h"

#define NEAR "kta"
#define FAR "ktb"

static int netns_near = -1, netns_far = -1;

/* Runs the rest of this thread in one of them: sockets opened from now on belong there. */
static inline void netns_enter(int fd)
{
	if (setns(fd, CLONE_NEWNET))
		TEST_FAIL("setns: %s", strerror(errno));
}

/* A shell command in the current namespace; it must succeed. */
__attribute__((format(printf, 1, 2))) static inline void netns_run(const char *fmt, ...)
{
	char cmd[400];
	va_list args;
	int ret;

	va_start(args, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, args);
	va_end(args);
	ret = system(cmd);
	if (ret)
		TEST_FAIL("\"%s\" gave %d", cmd, WIFEXITED(ret) ? WEXITSTATUS(ret) : ret);
}

static inline int netns_new(void)
{
	int fd;

	if (unshare(CLONE_NEWNET))
		SKIP("no new network namespace: %s (needs root)", strerror(errno));
	fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		TEST_FAIL("/proc/thread-self/ns/net: %s", strerror(errno));
	return fd;
}

/* In the current one. */
static inline void netns_no_ipv6(void)
{
	int fd = open("/proc/sys/net/ipv6/conf/all/disable_ipv6", O_WRONLY | O_CLOEXEC);

	CHECK(fd >= 0 && write(fd, "1", 1) == 1);
	close(fd);
}

static inline void netns_drop(void)
{
	if (netns_near >= 0)
		close(netns_near);
	if (netns_far >= 0)
		close(netns_far);
	netns_near = netns_far = -1;
}

/* Quiet: no IPv6, so no packets that nobody sent. Fresh namespaces each time. */
static inline void netns_pair(bool quiet)
{
	if (geteuid())
		SKIP("needs root, for network namespaces");
	netns_drop();
	netns_far = netns_new();
	netns_near = netns_new();
	/* One ip for each end: to start one costs more than its work, and in a guest without KVM a tenth of a second. */
	netns_run("ip -batch - << 'END'\n"
		  "link add " NEAR " type veth peer name " FAR "\n"
		  "link set " FAR " netns /proc/%d/fd/%d\n"
		  "END",
		  (int)getpid(), netns_far);
	for (int i = 0; i < 2; i++) {
		const char *dev = i ? NEAR : FAR;
		char six[64] = "";

		netns_enter(i ? netns_near : netns_far);
		if (quiet)
			netns_no_ipv6();
		else
			snprintf(six, sizeof(six), "addr add fd77::%d/64 dev %s nodad", i ? 1 : 2, dev);
		netns_run("ip -batch - << 'END'\n"
			  "link set lo up\n"
			  "addr add 10.77.0.%d/24 dev %s\n"
			  "%s\n"
			  "link set %s up\n"
			  "END",
			  i ? 1 : 2, dev, six, dev);
	}
}

#define TAP "ktt"

/* A tap device with room for a few frames and nobody who reads: a driver that refuses. Its descriptor, to be closed. */
static inline int netns_tap(unsigned int room)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI, .ifr_name = TAP };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		SKIP("no /dev/net/tun");
	if (ioctl(fd, TUNSETIFF, &ifr))
		TEST_FAIL(TAP ": %s", strerror(errno));
	netns_run("ip link set " TAP " txqueuelen %u up", room);
	return fd;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * /dev/ktx as its users have it, for the tests: a context with its rings, frames with a number in them, and a socket that
 * counts and orders what arrives elsewhere.
 */
#ifndef KT_TEST_SENDER_H
#define KT_TEST_SENDER_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../../include/uapi/ktrxer.h"
#include "../test.h"

#define MS 1000000ull
#define SECOND 1000000000ull
#define ETHERTYPE_TEST 0x88b5 /* for experiments, IEEE 802 */
#define MAX_DONE 65536

struct sender {
	int fd;
	struct ktx_setup s;
	uint8_t *map;
	struct ktx_shared *shared;
	struct ktx_desc *desc;
	struct ktx_done_abi *ring;
	uint32_t submit; /* next descriptor */
	uint32_t read; /* next completion */
};

/* What was answered last, by sender_wait. */
static struct ktx_done_abi got[MAX_DONE];

static inline void run(const char *format, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	if (system(command))
		TEST_FAIL("%s", command);
}

static inline uint64_t now_on(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

static inline uint64_t now(void)
{
	return now_on(CLOCK_MONOTONIC);
}

static inline struct ktx_setup setup_of(const char *ifname, uint32_t n)
{
	return (struct ktx_setup){
		.size = sizeof(struct ktx_setup),
		.abi = KTRXER_ABI,
		.ifindex = if_nametoindex(ifname),
		.n_desc = n,
		.slot_bytes = 2048,
	};
}

/* The answer of SETUP; on 0 everything is mapped. */
static inline int sender_try(struct sender *t, const struct ktx_setup *s)
{
	memset(t, 0, sizeof(*t));
	t->s = *s;
	t->fd = open("/dev/" KTX_DEVICE, O_RDWR | O_CLOEXEC);
	if (t->fd < 0)
		TEST_FAIL("/dev/ktx: %s", strerror(errno));
	if (ioctl(t->fd, KTX_IOC_SETUP, &t->s)) {
		int e = errno;

		close(t->fd);
		t->fd = -1;
		return -e;
	}
	t->map = mmap(NULL, t->s.map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	if (t->map == MAP_FAILED)
		TEST_FAIL("mmap: %s", strerror(errno));
	t->shared = (void *)t->map;
	t->desc = (void *)(t->map + t->s.desc_off);
	t->ring = (void *)(t->map + t->s.done_off);
	return 0;
}

static inline void sender_open(struct sender *t, const char *ifname, uint32_t n)
{
	struct ktx_setup s = setup_of(ifname, n);

	CHECK_EQ(sender_try(t, &s), 0);
}

static inline void sender_close(struct sender *t)
{
	if (t->map)
		munmap(t->map, t->s.map_bytes);
	if (t->fd >= 0)
		close(t->fd);
	memset(t, 0, sizeof(*t));
	t->fd = -1;
}

/* A broadcast frame with a number behind its header. */
static inline void sender_frame(struct sender *t, uint32_t slot, uint32_t number, uint32_t len)
{
	uint8_t *f = t->map + t->s.slot_off + (size_t)slot * t->s.slot_bytes;

	memset(f, 0xff, 6);
	memcpy(f + 6, "\x02\0\0\0\0\1", 6);
	f[12] = ETHERTYPE_TEST >> 8;
	f[13] = ETHERTYPE_TEST & 0xff;
	memcpy(f + 14, &number, 4);
	memset(f + 18, (int)number, len - 18);
}

/* The next descriptor, for a frame that has the number; to be changed before sender_submit. */
static inline struct ktx_desc *sender_put(struct sender *t, uint32_t slot, uint32_t number, uint64_t launch_ns)
{
	struct ktx_desc *d = &t->desc[t->submit++ & (t->s.n_desc - 1)];

	if (slot < t->s.n_slots)
		sender_frame(t, slot, number, 60);
	*d = (struct ktx_desc){ .id = number, .launch_ns = launch_ns, .slot = slot, .len = 60 };
	return d;
}

static inline struct ktx_submit sender_submit_max(struct sender *t, uint32_t flags, uint32_t max)
{
	struct ktx_submit s = { .size = sizeof(s), .flags = flags, .max = max };

	__atomic_store_n(&t->shared->submit, t->submit, __ATOMIC_RELEASE);
	if (ioctl(t->fd, KTX_IOC_SUBMIT, &s))
		TEST_FAIL("SUBMIT: %s", strerror(errno));
	return s;
}

static inline void sender_submit(struct sender *t, uint32_t flags, uint32_t n)
{
	struct ktx_submit s = sender_submit_max(t, flags, 0);

	CHECK_EQ(s.error, 0);
	CHECK_EQ(s.n, n);
}

static inline struct ktx_stats_abi sender_stats(struct sender *t)
{
	struct ktx_stats_abi st = { .size = sizeof(st) };

	CHECK_EQ(ioctl(t->fd, KTX_IOC_STATS, &st), 0);
	CHECK_EQ(st.submitted, st.sent + st.failed + st.late + st.cancelled + st.pending);
	CHECK_EQ(st.early, 0);
	return st;
}

/* Completions that are there, into got from at on. */
static inline uint32_t sender_read(struct sender *t, uint32_t at)
{
	uint32_t end = __atomic_load_n(&t->shared->done, __ATOMIC_ACQUIRE), n = 0;

	while (t->read != end && at + n < MAX_DONE)
		got[at + n++] = t->ring[t->read++ & (t->s.n_desc - 1)];
	__atomic_store_n(&t->shared->done_read, t->read, __ATOMIC_RELEASE);
	return n;
}

/* n completions into got, and no more; fails when they do not come within 10 s. */
static inline void sender_wait(struct sender *t, uint32_t n)
{
	uint64_t end = now() + 10 * SECOND;
	uint32_t have = 0;

	while ((have += sender_read(t, have)) < n) {
		struct pollfd p = { .fd = t->fd, .events = POLLIN };

		if (now() > end)
			TEST_FAIL("%u of %u completions came in 10 s", have, n);
		poll(&p, 1, 100);
	}
	CHECK_EQ(have, n);
}

/* A socket that gets the frames that arrive at (or, with ETH_P_ALL, also leave) an interface. */
static inline int listener_open(const char *ifname, int protocol)
{
	struct sockaddr_ll a = { .sll_family = AF_PACKET,
				 .sll_protocol = htons((uint16_t)protocol),
				 .sll_ifindex = (int)if_nametoindex(ifname) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), bytes = 64 << 20;

	CHECK(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)))
		TEST_FAIL("bind: %s", strerror(errno));
	return fd;
}

/* The number in the next frame of the tests', or -1 after 200 ms without. */
static inline int64_t listener_next(int fd)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint8_t f[2048];
		uint32_t number;
		ssize_t n = recv(fd, f, sizeof(f), 0);

		if (n < 0 && poll(&p, 1, 200) <= 0)
			return -1;
		if (n < 18 || (f[12] << 8 | f[13]) != ETHERTYPE_TEST)
			continue;
		memcpy(&number, f + 14, 4);
		return number;
	}
}

static inline void listener_expect(int fd, uint32_t first, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		CHECK_EQ(listener_next(fd), first + i);
	CHECK_EQ(listener_next(fd), -1);
}

/*
 * A new world for a case: what the one before left is closed, and there are a pair, ktxa and ktxb, and a third interface of
 * some kind, all up, without IPv6. *listener, which is closed unless it is -1, then listens at ktxb.
 */
static inline void bed_new(struct sender *t, int *listener, const char *third, const char *kind, unsigned int mtu,
			   int protocol)
{
	sender_close(t);
	if (*listener >= 0)
		close(*listener);
	*listener = -1;
	if (if_nametoindex("ktxa"))
		run("ip link del ktxa");
	if (if_nametoindex(third))
		run("ip link del %s", third);
	run("ip link add ktxa type veth peer name ktxb");
	run("ip link add %s type %s", third, kind);
	run("for i in ktxa ktxb %s; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; ip link set $i mtu %u up; "
	    "done",
	    third, mtu);
	*listener = listener_open("ktxb", protocol);
}

#endif

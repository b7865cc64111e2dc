/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A client of /dev/krx that goes by the contract alone, without the library:
 * a receiver on the near end of a veth pair, and a raw socket at the far end
 * from which any frame can be sent.
 */
#ifndef KT_TEST_KRX_BED_H
#define KT_TEST_KRX_BED_H

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "core/packet.h"
#include "core/ring.h"
#include "core/rules.h"
#include "include/uapi/ktrxer.h"
#include "tests/netns.h"

#define UNITS 16384u

struct rx {
	int fd;
	u32 n_units;
	struct krx_setup setup;
	u8 *ring;
	struct kt_ring_cursor *cursors;
};

struct listener {
	struct kt_ring_reader rd;
	u32 cursor;
	struct kt_record hdr;
	u8 data[70000];
};

/* ms in which what is to come comes: a guest may get a tenth of a CPU. What is not to come cannot be waited for so. */
#define SOON 60000

/* Until the condition holds. */
#define WAIT_FOR(cond) \
	do { \
		u64 kt_end = clock_of(CLOCK_MONOTONIC) + SOON * 1000000ull; \
		while (!(cond)) { \
			if (clock_of(CLOCK_MONOTONIC) > kt_end) \
				TEST_FAIL("still not true: %s", #cond); \
			usleep(1000); \
		} \
	} while (0)

static u8 near_mac[6], far_mac[6];
static int far_socket = -1, code_held = -1;
static int flood_under_way = -1; /* closed, it ends */

static inline u64 clock_of(clockid_t c)
{
	struct timespec ts;

	clock_gettime(c, &ts);
	return (u64)ts.tv_sec * 1000000000u + (u64)ts.tv_nsec;
}

static inline void get_mac(const char *name, u8 mac[6])
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { 0 };

	strncpy(r.ifr_name, name, IFNAMSIZ - 1);
	CHECK(!ioctl(s, 0x8927 /* SIOCGIFHWADDR */, &r));
	memcpy(mac, r.ifr_hwaddr.sa_data, 6);
	close(s);
}

static inline int packet_socket(const char *name, int protocol)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons((u16)protocol));
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons((u16)protocol),
				  .sll_ifindex = (int)if_nametoindex(name) };

	CHECK(fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof(at)));
	return fd;
}

/*
 * A receiver on the guest's own lo, while the program runs. The first receiver
 * and the last patch the kernel's code (netfilter, stamps), and under a flood QEMU 7.2 without KVM can
 * go on executing, on another CPU, the breakpoint that stood there in between: a
 * kernel that is stuck there, or dies of int3, whoever patched. With this one open nobody else is first or last.
 */
static inline void hold_code(void)
{
	int home, here;
	struct krx_setup s = { .size = sizeof(s), .abi = KTRXER_ABI, .flags = KRX_SETUP_PREROUTING, .n_units = 256 };

	if (code_held >= 0)
		return;
	/* A namespace of the test's own would take its lo with it. */
	home = open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC);
	here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	netns_enter(home);
	s.ifindex = if_nametoindex("lo");
	code_held = open("/dev/krx", O_RDWR | O_CLOEXEC);
	CHECK(code_held >= 0);
	CHECK_EQ(ioctl(code_held, KRX_IOC_SETUP, &s) ? errno : 0, 0);
	netns_enter(here);
	close(home);
	close(here);
	usleep(100000); /* stamps are patched in by a worker, which tells nobody when */
}

/* For who counts what is open, when nothing is sent any more; the next bed has it again. */
static inline void let_code_go(void)
{
	if (code_held >= 0)
		close(code_held);
	code_held = -1;
}

/* The pair, a socket at its far end, and this thread in the near namespace. */
static inline void bed_new(bool quiet)
{
	if (access("/dev/krx", F_OK))
		SKIP("no /dev/krx: this test runs in a guest that has loaded the module");
	hold_code();
	/* One of a case that failed would go on beside the others. */
	if (flood_under_way >= 0)
		close(flood_under_way);
	flood_under_way = -1;
	if (far_socket >= 0)
		close(far_socket);
	netns_pair(quiet);
	netns_enter(netns_far);
	far_socket = packet_socket(FAR, 0);
	get_mac(FAR, far_mac);
	netns_run("ip neigh replace 10.77.0.1 lladdr 02:00:00:00:00:01 dev " FAR " 2>/dev/null; true");
	netns_enter(netns_near);
	get_mac(NEAR, near_mac);
	netns_enter(netns_far);
	netns_run("ip neigh replace 10.77.0.1 lladdr %02x:%02x:%02x:%02x:%02x:%02x dev " FAR, near_mac[0], near_mac[1],
		  near_mac[2], near_mac[3], near_mac[4], near_mac[5]);
	netns_enter(netns_near);
	netns_run("ip neigh replace 10.77.0.2 lladdr %02x:%02x:%02x:%02x:%02x:%02x dev " NEAR, far_mac[0], far_mac[1],
		  far_mac[2], far_mac[3], far_mac[4], far_mac[5]);
}

static inline int rx_setup(struct rx *rx, const char *name, u32 flags, u32 n_units)
{
	rx->ring = NULL;
	rx->n_units = n_units;
	rx->setup = (struct krx_setup){ .size = sizeof(rx->setup),
					.abi = KTRXER_ABI,
					.flags = flags,
					.ifindex = if_nametoindex(name),
					.n_units = n_units };
	return ioctl(rx->fd, KRX_IOC_SETUP, &rx->setup) ? -errno : 0;
}

static inline void rx_map(struct rx *rx)
{
	rx->ring = mmap(NULL, rx->setup.ring_bytes, PROT_READ, MAP_SHARED, rx->fd, (off_t)KRX_MAP_RING);
	rx->cursors =
		mmap(NULL, rx->setup.cursor_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, rx->fd, (off_t)KRX_MAP_CURSORS);
	CHECK(rx->ring != MAP_FAILED && rx->cursors != MAP_FAILED);
}

static inline void rx_open_on(struct rx *rx, const char *name, u32 flags, u32 n_units)
{
	rx->fd = open("/dev/krx", O_RDWR | O_CLOEXEC);
	CHECK(rx->fd >= 0);
	CHECK_EQ(rx_setup(rx, name, flags, n_units), 0);
	rx_map(rx);
}

static inline void rx_open(struct rx *rx, u32 flags)
{
	rx_open_on(rx, NEAR, flags, UNITS);
}

static inline void rx_close(struct rx *rx)
{
	munmap(rx->ring, rx->setup.ring_bytes);
	munmap(rx->cursors, rx->setup.cursor_bytes);
	close(rx->fd);
}

static inline int rx_listen(struct rx *rx, struct listener *l, bool lossless)
{
	struct krx_listen q = { .size = sizeof(q), .lossless = lossless };

	if (ioctl(rx->fd, KRX_IOC_LISTEN, &q))
		return -errno;
	l->cursor = q.cursor;
	return kt_ring_reader_init(&l->rd, (void *)rx->ring, rx->cursors,
				   rx->ring + rx->setup.ring_bytes - (size_t)rx->n_units * KT_RING_UNIT, q.cursor);
}

/* The next record, copied; false if there is none within ms. */
static inline bool next_record(struct rx *rx, struct listener *l, int ms)
{
	struct pollfd p = { .fd = rx->fd, .events = POLLIN };
	u64 until = clock_of(CLOCK_MONOTONIC) + (u64)ms * 1000000u;

	for (;;) {
		const u8 *data = kt_ring_peek(&l->rd, &l->hdr);
		u64 now;
		bool ok;

		if (data) {
			CHECK(l->hdr.caplen <= sizeof(l->data));
			kt_ring_copy(l->data, data, l->hdr.caplen);
			ok = kt_ring_valid(&l->rd);
			kt_ring_release(&l->rd, &l->hdr, ok);
			if (ok)
				return true;
			continue;
		}
		now = clock_of(CLOCK_MONOTONIC);
		if (now >= until)
			return false;
		poll(&p, 1, (int)((until - now) / 1000000u) + 1);
	}
}

static inline struct krx_stats_abi rx_stats(struct rx *rx)
{
	struct krx_stats_abi s = { .size = sizeof(s) };

	CHECK_EQ(ioctl(rx->fd, KRX_IOC_STATS, &s), 0);
	CHECK_EQ(s.seen, s.delivered + s.dropped + s.passed + s.lost_ring + s.lost_error);
	return s;
}

/* What it says when it has judged n packets: who sends may be ahead of who receives. */
static inline struct krx_stats_abi rx_judged(struct rx *rx, u64 n)
{
	WAIT_FOR(rx_stats(rx).seen >= n);
	return rx_stats(rx);
}

static inline int rx_rules(struct rx *rx, const struct krx_rule_abi *rules, u32 n, struct krx_count_abi *counts,
			   u32 n_counts)
{
	struct krx_rules q = { .size = sizeof(q),
			       .n = n,
			       .rules = (uintptr_t)rules,
			       .counts = (uintptr_t)counts,
			       .n_counts = n_counts,
			       .rule_bytes = sizeof(*rules) };

	return ioctl(rx->fd, KRX_IOC_RULES, &q) ? -errno : 0;
}

static inline void one_rule(struct rx *rx, struct krx_rule_abi rule)
{
	if (!rule.id)
		rule.id = 1;
	CHECK_EQ(rx_rules(rx, &rule, 1, NULL, 0), 0);
}

static inline struct krx_count_abi count_of(struct rx *rx, u32 i)
{
	static struct krx_count_abi c[64];
	struct krx_counts q = { .size = sizeof(q), .n = 64, .counts = (uintptr_t)c };

	CHECK_EQ(ioctl(rx->fd, KRX_IOC_COUNTS, &q), 0);
	CHECK(i < q.n);
	return c[i];
}

/* A UDP frame from far to near; its payload says the number. */
static inline u32 udp_frame(u8 *buf, u16 sport, u16 dport, u32 number, u32 payload_bytes)
{
	u8 payload[2000] = { 0 };
	struct kt_packet_spec s = { .flow = { .src = { 10, 77, 0, 2 },
					      .dst = { 10, 77, 0, 1 },
					      .version = 4,
					      .proto = KT_PROTO_UDP,
					      .sport = sport,
					      .dport = dport },
				    .payload = payload,
				    .payload_bytes = payload_bytes };
	int len;

	memcpy(s.src_mac, far_mac, 6);
	memcpy(s.dst_mac, near_mac, 6);
	kt_put_be32(payload, number);
	len = kt_packet_build(&s, buf, 2048);
	CHECK(len > 0);
	return (u32)len;
}

/* A veth whose far side's backlog is full drops the frame and says so (6.12; on RT a thread empties it, when it runs). */
static inline void far_send(const u8 *frame, u32 len)
{
	ssize_t n;

	while ((n = send(far_socket, frame, len, 0)) < 0 && errno == ENOBUFS)
		sched_yield();
	CHECK_EQ(n, len);
}

static inline void far_udp(u16 dport, u32 number)
{
	u8 f[2048];

	far_send(f, udp_frame(f, 4000, dport, number, 20));
}

/* Numbers first, first + 1 …, from one CPU: veth has a queue for each, and keeps no order between two. */
static inline void far_train(u16 dport, u32 first, u32 n)
{
	cpu_set_t all, here;

	CHECK(!sched_getaffinity(0, sizeof(all), &all));
	CPU_ZERO(&here);
	CPU_SET((size_t)sched_getcpu(), &here);
	CHECK(!sched_setaffinity(0, sizeof(here), &here));
	for (u32 i = first; i < first + n; i++)
		far_udp(dport, i);
	CHECK(!sched_setaffinity(0, sizeof(all), &all));
}

/* A socket of the near host. */
static inline int host_udp(u16 port)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), one = 1;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	CHECK(fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof(at)));
	return fd;
}

/* Did the host get a datagram within ms? Its number, or -1. */
static inline long host_got(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	u8 buf[2048];

	if (poll(&p, 1, ms) != 1 || recv(fd, buf, sizeof(buf), 0) < 4)
		return -1;
	return (long)kt_get_be32(buf);
}

static inline struct krx_rule_abi udp_rule(u16 dport, u8 op)
{
	return (struct krx_rule_abi){
		.id = 1, .version = 4, .proto = 17, .dport_lo = dport, .dport_hi = dport, .op = op
	};
}

/* In a process of its own: frames as fast as they go, until the pipe is closed. Returns how many. */
static inline pid_t flood_start(u16 dport, int stop[2], int result[2])
{
	pid_t pid;

	CHECK(!pipe(stop) && !pipe(result));
	fcntl(stop[0], F_SETFL, O_NONBLOCK);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		u64 n = 0;
		u8 f[2048], c;
		u32 len = udp_frame(f, 4000, dport, 0, 20);

		close(stop[1]);
		while (read(stop[0], &c, 1) < 0) {
			for (u32 i = 0; i < 100; i++)
				n += send(far_socket, f, len, 0) == (ssize_t)len;
		}
		_exit(write(result[1], &n, sizeof(n)) != sizeof(n));
	}
	close(stop[0]);
	close(result[1]);
	flood_under_way = stop[1];
	return pid;
}

static inline u64 flood_end(pid_t pid, int stop[2], int result[2])
{
	u64 n = 0;

	close(stop[1]);
	flood_under_way = -1;
	CHECK_EQ(read(result[0], &n, sizeof(n)), sizeof(n));
	close(result[0]);
	waitpid(pid, NULL, 0);
	return n;
}

#endif

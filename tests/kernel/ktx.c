// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * /dev/ktx, asked directly: runs in a guest, as root, with the module
 * loaded. Makes its own interfaces:
 *
 *   ktxa ---- ktxb   (veth)      ktxd   (dummy)
 */
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "sender.h"

static struct sender t;
static int b = -1; /* listens at ktxb */

static void world(void)
{
	bed_new(&t, &b, "ktxd", "dummy", 1500, ETHERTYPE_TEST);
}

static void check_done(uint32_t i, uint64_t id, unsigned int status, unsigned int reason, uint32_t attempts)
{
	CHECK_EQ(got[i].id, id);
	CHECK_EQ(got[i].status, status);
	CHECK_EQ(got[i].reason, reason);
	CHECK_EQ(got[i].attempts, attempts);
	if (status == KTX_DONE_SENT) {
		CHECK(got[i].launch_ns >= got[i].scheduled_ns);
		CHECK(got[i].returned_ns >= got[i].launch_ns);
	}
}

static void t_setup(void)
{
	struct ktx_setup good, s;
	static const struct {
		uint32_t off, value;
		int answer;
	} wrong[] = {
		{ offsetof(struct ktx_setup, size), 8, -EINVAL },
		{ offsetof(struct ktx_setup, abi), 77, -EPROTO },
		{ offsetof(struct ktx_setup, flags), 1u << 31, -EINVAL },
		{ offsetof(struct ktx_setup, ifindex), 9999, -ENODEV },
		{ offsetof(struct ktx_setup, ifindex), ~0u, -ENODEV },
		{ offsetof(struct ktx_setup, n_desc), 0, -EINVAL },
		{ offsetof(struct ktx_setup, n_desc), 3, -EINVAL },
		{ offsetof(struct ktx_setup, n_desc), 1u << 31, -EINVAL },
		{ offsetof(struct ktx_setup, n_slots), 129, -EINVAL },
		{ offsetof(struct ktx_setup, slot_bytes), 0, -EINVAL },
		{ offsetof(struct ktx_setup, slot_bytes), 2000, -EINVAL },
		{ offsetof(struct ktx_setup, slot_bytes), 1u << 30, -EINVAL },
		{ offsetof(struct ktx_setup, clock), 2, -EINVAL },
		{ offsetof(struct ktx_setup, spin_ns), 1000001, -EINVAL },
		{ offsetof(struct ktx_setup, cpu), 1, -EINVAL },
		{ offsetof(struct ktx_setup, queue), 1, -EINVAL },
		{ offsetof(struct ktx_setup, fifo_priority), 100, -EINVAL },
	};

	world();
	good = setup_of("ktxa", 64);
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		s = good;
		memcpy((char *)&s + wrong[i].off, &wrong[i].value, 4);
		CHECK_EQ(sender_try(&t, &s), wrong[i].answer);
	}
	s = good;
	s.flags = KTX_SETUP_CPU;
	s.cpu = 1000;
	CHECK_EQ(sender_try(&t, &s), -EINVAL);
	s = good;
	s.flags = KTX_SETUP_QUEUE;
	s.queue = 1000;
	CHECK_EQ(sender_try(&t, &s), -EINVAL);
	s = good;
	s.flags = KTX_SETUP_ZEROCOPY;
	CHECK_EQ(sender_try(&t, &s), 0);
	CHECK_EQ(t.s.n_slots, 64);
	CHECK(t.s.held_bytes > t.s.map_bytes);
	CHECK_EQ(ioctl(t.fd, KTX_IOC_SETUP, &good), -1);
	CHECK_EQ(errno, EBUSY);
	sender_close(&t);
	s = good;
	s.size = offsetof(struct ktx_setup,
			  desc_off); /* a caller of old: the answer is not written over what it has not */
	CHECK_EQ(ioctl(t.fd = open("/dev/ktx", O_RDWR), KTX_IOC_SETUP, &s), 0);
	CHECK_EQ(s.desc_off, 0);
}

static void t_before_setup(void)
{
	char none[256] = { 0 };

	world();
	t.fd = open("/dev/ktx", O_RDWR);
	for (unsigned int c = KTX_IOC_SUBMIT; c <= KTX_IOC_FLOOD; c++) {
		CHECK_EQ(ioctl(t.fd, c, none), -1);
		CHECK_EQ(errno, ENXIO);
	}
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, t.fd, 0) == MAP_FAILED);
	CHECK_EQ(errno, ENXIO);
}

static void t_at_once(void)
{
	world();
	sender_open(&t, "ktxa", 64);
	for (uint32_t i = 0; i < 64; i++)
		sender_put(&t, i, i, 0);
	sender_submit(&t, 0, 64);
	sender_wait(&t, 64);
	for (uint32_t i = 0; i < 64; i++)
		check_done(i, i, KTX_DONE_SENT, 0, 1);
	listener_expect(b, 0, 64);
	CHECK_EQ(sender_stats(&t).sent, 64);
	CHECK_EQ(sender_stats(&t).bytes, 64 * 60);
}

/* Submitted in any order, launched by time, equal times as submitted; none early. */
static void schedule_on(uint32_t flags, uint32_t clock)
{
	struct ktx_setup s;
	uint64_t start;

	world();
	s = setup_of("ktxa", 256);
	s.flags = flags;
	s.clock = clock;
	CHECK_EQ(sender_try(&t, &s), 0);
	start = now_on(clock == KTRXER_ABI_TAI ? CLOCK_TAI : CLOCK_MONOTONIC) + 50 * MS;
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t at = i * 77 % 200; /* its place in the order */

		sender_put(&t, i, at, start + at / 2 * 500000);
		if (at % 2)
			t.desc[(t.submit - 1) & 255].launch_ns++;
	}
	sender_submit(&t, 0, 200);
	CHECK_EQ(sender_stats(&t).pending, 200);
	CHECK_EQ(sender_stats(&t).next_launch_ns, start);
	sender_wait(&t, 200);
	for (uint32_t i = 0; i < 200; i++) {
		check_done(i, i, KTX_DONE_SENT, 0, 1);
		CHECK_EQ(got[i].scheduled_ns, start + i / 2 * 500000 + i % 2);
	}
	listener_expect(b, 0, 200);
	CHECK_EQ(sender_stats(&t).next_launch_ns, 0);
}

static void t_schedule(void)
{
	schedule_on(0, KTRXER_ABI_MONOTONIC);
}

static void t_schedule_tai(void)
{
	schedule_on(0, KTRXER_ABI_TAI);
}

static void t_schedule_no_spin(void)
{
	schedule_on(KTX_SETUP_NO_SPIN, KTRXER_ABI_MONOTONIC);
}

static void t_schedule_fifo(void)
{
	schedule_on(KTX_SETUP_FIFO, KTRXER_ABI_MONOTONIC);
	CHECK_EQ(t.s.flags & KTX_SETUP_FIFO, KTX_SETUP_FIFO);
	CHECK_EQ(t.s.fifo_priority, 50);
	CHECK_EQ(sender_stats(&t).flags & 1, 1);
}

static void t_schedule_cpu(void)
{
	schedule_on(KTX_SETUP_CPU, KTRXER_ABI_MONOTONIC); /* CPU 0 */
}

static void t_equal_times(void)
{
	uint64_t at;

	world();
	sender_open(&t, "ktxa", 256);
	at = now() + 20 * MS;
	for (uint32_t i = 0; i < 256; i++)
		sender_put(&t, 255 - i, i, at);
	sender_submit(&t, 0, 256);
	sender_wait(&t, 256);
	listener_expect(b, 0, 256);
}

/* Something earlier comes while the launcher spins: it leaves first, and nothing changes its order. */
static void t_earlier_while_spinning(void)
{
	struct ktx_setup s;

	world();
	s = setup_of("ktxa", 64);
	s.spin_ns = 1000000;
	s.flags = KTX_SETUP_FIFO; /* spins in a thread of its own, so that SUBMIT finds a CPU */
	CHECK_EQ(sender_try(&t, &s), 0);
	for (uint32_t round = 0; round < 100; round++) {
		uint64_t at = now() + 900000;

		sender_put(&t, 0, 3 * round + 1, at);
		sender_put(&t, 1, 3 * round + 2, at);
		sender_submit(&t, 0, 2);
		sender_put(&t, 2, 3 * round, at - 300000);
		sender_submit(&t, 0, 1);
		sender_wait(&t, 3);
		for (uint32_t i = 0; i < 3 && got[0].launch_ns < at - 10000; i++)
			CHECK_EQ(got[i].id, 3 * round + i);
	}
}

static void t_train(void)
{
	uint64_t at;

	world();
	sender_open(&t, "ktxa", 1024);
	at = now() + 1 * SECOND; /* all of it is to be there before, on a slow machine too */
	for (uint32_t i = 0; i < 300; i++) {
		struct ktx_desc *d = sender_put(&t, i, i, i ? 5 : at);

		d->flags = i < 299 ? KTX_DESC_TRAIN : 0;
	}
	sender_put(&t, 300, 300, at)->flags = KTX_DESC_TRAIN; /* a train that nobody closes */
	sender_submit(&t, 0, 301);
	sender_wait(&t, 301);
	for (uint32_t i = 0; i < 301; i++) {
		check_done(i, i, KTX_DONE_SENT, 0, 1);
		CHECK_EQ(got[i].scheduled_ns, at);
		if (i && i % 256)
			CHECK_EQ(got[i].launch_ns, got[i - 1].returned_ns); /* nothing in between */
	}
	CHECK_EQ(sender_stats(&t).batches, 2);
	listener_expect(b, 0, 301);
}

static void t_late(void)
{
	world();
	sender_open(&t, "ktxa", 64);
	sender_put(&t, 0, 0, now() - 10 * MS)->window_ns = 1 * MS;
	sender_put(&t, 1, 1, now() - 10 * MS)->window_ns = 10 * SECOND;
	sender_put(&t, 2, 2, now() - 10 * MS);
	sender_put(&t, 3, 3, now() + 10 * MS)->window_ns = 1; /* next to impossible, but never early */
	sender_submit(&t, 0, 4);
	sender_wait(&t, 4);
	check_done(0, 0, KTX_DONE_LATE, 0, 0);
	CHECK_EQ(got[0].launch_ns, 0);
	check_done(1, 1, KTX_DONE_SENT, 0, 1);
	check_done(2, 2, KTX_DONE_SENT, 0, 1);
	CHECK(got[3].status == KTX_DONE_LATE || got[3].launch_ns <= got[3].scheduled_ns + 1);
	CHECK_EQ(sender_stats(&t).late, 1 + (got[3].status == KTX_DONE_LATE));
}

static void t_cancel(void)
{
	struct ktx_cancel c = { .size = sizeof(c), .id = 3 };
	uint64_t at;

	world();
	sender_open(&t, "ktxa", 64);
	at = now() + SECOND / 2;
	for (uint32_t i = 0; i < 10; i++) /* 0-3 4-7 8-9: trains */
		sender_put(&t, i, i % 5, at)->flags = i % 4 == 3 || i == 9 ? 0 : KTX_DESC_TRAIN;
	sender_submit(&t, 0, 10);
	CHECK_EQ(ioctl(t.fd, KTX_IOC_CANCEL, &c), 0);
	CHECK_EQ(c.n, 2);
	c.id = 0; /* the first of a train, and one in the middle */
	CHECK_EQ(ioctl(t.fd, KTX_IOC_CANCEL, &c), 0);
	CHECK_EQ(c.n, 2);
	c.id = 77;
	CHECK_EQ(ioctl(t.fd, KTX_IOC_CANCEL, &c), 0);
	CHECK_EQ(c.n, 0);
	sender_wait(&t, 4);
	for (uint32_t i = 0; i < 4; i++)
		check_done(i, i < 2 ? 3 : 0, KTX_DONE_CANCELLED, 0, 0);
	sender_wait(&t, 6);
	for (uint32_t i = 0; i < 6; i++)
		check_done(i, (const uint32_t[]){ 1, 2, 4, 1, 2, 4 }[i], KTX_DONE_SENT, 0, 1);
	at = now() + 10 * SECOND;
	for (uint32_t i = 0; i < 64; i++)
		sender_put(&t, i, i, at)->flags = i % 3 ? KTX_DESC_TRAIN : 0;
	sender_submit(&t, 0, 64);
	c.all = 1;
	CHECK_EQ(ioctl(t.fd, KTX_IOC_CANCEL, &c), 0);
	CHECK_EQ(c.n, 64);
	sender_wait(&t, 64);
	CHECK_EQ(sender_stats(&t).pending, 0);
	c.all = 2;
	CHECK_EQ(ioctl(t.fd, KTX_IOC_CANCEL, &c), -1);
	CHECK_EQ(errno, EINVAL);
}

/* Each wrong descriptor stays at the head of the ring, with its reason, and is counted. */
static void t_wrong_descriptors(void)
{
	static const struct {
		uint32_t off, value;
		int answer;
	} wrong[] = {
		{ offsetof(struct ktx_desc, flags), 2, -EINVAL },
		{ offsetof(struct ktx_desc, reserved), 1, -EINVAL },
		{ offsetof(struct ktx_desc, reserved[2]), 1, -EINVAL },
		{ offsetof(struct ktx_desc, reserved2), 1, -EINVAL },
		{ offsetof(struct ktx_desc, slot), 64, -EINVAL },
		{ offsetof(struct ktx_desc, slot), ~0u, -EINVAL },
		{ offsetof(struct ktx_desc, len), 0, -EMSGSIZE },
		{ offsetof(struct ktx_desc, len), 13, -EMSGSIZE },
		{ offsetof(struct ktx_desc, len), 2049, -EMSGSIZE },
		{ offsetof(struct ktx_desc, slot), 1, -EBUSY },
	};
	unsigned int n = sizeof(wrong) / sizeof(wrong[0]);
	struct ktx_submit s;

	world();
	sender_open(&t, "ktxa", 64);
	sender_put(&t, 1, 1, now() + 10 * SECOND);
	sender_submit(&t, 0, 1);
	for (unsigned int i = 0; i < n; i++) {
		struct ktx_desc *d = sender_put(&t, 0, 5, 0);
		uint32_t value = wrong[i].value;

		memcpy((char *)d + wrong[i].off, &value, 4);
		s = sender_submit_max(&t, 0, 0);
		CHECK_EQ(s.error, wrong[i].answer);
		CHECK_EQ(s.n, 0);
		CHECK_EQ(t.shared->taken, 1);
		t.submit--;
	}
	__atomic_store_n(&t.shared->submit, 1 + 65, __ATOMIC_RELEASE);
	t.submit = 66;
	CHECK_EQ(sender_submit_max(&t, 0, 0).error, -EINVAL);
	t.submit = 0;
	CHECK_EQ(sender_submit_max(&t, 0, 0).error, -EINVAL);
	t.submit = 1;
	t.shared->done_read = 5; /* read what was not written */
	sender_put(&t, 0, 5, 0);
	sender_submit(&t, 0, 1);
	t.shared->done_read = 0;
	sender_wait(&t, 1);
	check_done(0, 5, KTX_DONE_SENT, 0, 1);
	CHECK_EQ(sender_stats(&t).refused, n + 3);
	sender_put(&t, 0, 5, 1);
	s = sender_submit_max(&t, KTX_SUBMIT_HERE, 0);
	CHECK_EQ(s.error, -EINVAL);
}

/* No more is taken than completions have room, whoever does not read them. */
static void t_full(void)
{
	struct pollfd p;
	struct ktx_submit s;

	world();
	sender_open(&t, "ktxd", 16);
	p = (struct pollfd){ .fd = t.fd, .events = POLLIN | POLLOUT };
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLOUT);
	for (uint32_t i = 0; i < 16; i++)
		sender_put(&t, i, i, 0);
	sender_submit(&t, 0, 16);
	while (sender_stats(&t).pending)
		;
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLIN);
	for (uint32_t i = 0; i < 16; i++)
		sender_put(&t, i, i, 0);
	s = sender_submit_max(&t, 0, 0);
	CHECK_EQ(s.error, -EAGAIN);
	CHECK_EQ(s.n, 0);
	t.read = 3;
	t.shared->done_read = 3;
	s = sender_submit_max(&t, KTX_SUBMIT_HERE, 0);
	CHECK_EQ(s.error, -EAGAIN);
	CHECK_EQ(s.n, 3);
	sender_wait(&t, 16);
	s = sender_submit_max(&t, 0, 4);
	CHECK_EQ(s.error, 0);
	CHECK_EQ(s.n, 4);
	sender_wait(&t, 4);
	CHECK_EQ(sender_stats(&t).sent, 23);
}

static void t_eventfd(void)
{
	struct ktrxer_eventfd e = { .size = sizeof(e) };
	uint64_t count;

	world();
	sender_open(&t, "ktxd", 16);
	e.fd = eventfd(0, EFD_NONBLOCK);
	CHECK(e.fd >= 0);
	CHECK_EQ(ioctl(t.fd, KTX_IOC_EVENTFD, &e), 0);
	sender_put(&t, 0, 0, now() + 5 * MS);
	sender_submit(&t, 0, 1);
	CHECK_EQ(poll(&(struct pollfd){ .fd = e.fd, .events = POLLIN }, 1, 5000), 1);
	CHECK_EQ(read(e.fd, &count, 8), 8);
	sender_wait(&t, 1);
	e.fd = -1;
	CHECK_EQ(ioctl(t.fd, KTX_IOC_EVENTFD, &e), 0);
	e.fd = 0; /* not an eventfd */
	CHECK_EQ(ioctl(t.fd, KTX_IOC_EVENTFD, &e), -1);
	CHECK_EQ(errno, EINVAL);
}

static void t_link_down(void)
{
	int64_t heard;

	world();
	sender_open(&t, "ktxa", 64);
	run("ip link set ktxb down");
	for (uint32_t i = 0; i < 5; i++)
		sender_put(&t, i, i, 0)->max_attempts = i + 1;
	sender_submit(&t, 0, 5);
	sender_wait(&t, 5);
	for (uint32_t i = 0; i < 5; i++) {
		check_done(i, i, KTX_DONE_FAILED, ENETDOWN, i + 1);
		CHECK_EQ(got[i].launch_ns, 0);
	}
	/* Tried again until the link is back. */
	sender_put(&t, 0, 7, 0)->max_attempts = 1000;
	t.desc[5].retry_ns = 5 * MS;
	sender_submit(&t, 0, 1);
	run("sleep 0.1; ip link set ktxb up");
	sender_wait(&t, 1);
	CHECK_EQ(got[0].status, KTX_DONE_SENT);
	CHECK(got[0].reason == ENETDOWN || got[0].reason == ENOBUFS); /* the last moment before the peer is up */
	CHECK(got[0].attempts > 5);
	/* At that moment the peer's socket may not hear yet. */
	sender_put(&t, 0, 9, 0);
	sender_submit(&t, KTX_SUBMIT_HERE, 1);
	sender_wait(&t, 1);
	heard = listener_next(b);
	CHECK_EQ(heard == 7 ? listener_next(b) : heard, 9);
	CHECK_EQ(listener_next(b), -1);
	run("ip link set ktxa down");
	sender_put(&t, 0, 8, 0);
	sender_submit(&t, KTX_SUBMIT_HERE, 1);
	sender_wait(&t, 1);
	check_done(0, 8, KTX_DONE_FAILED, ENETDOWN, 1);
}

static void t_mtu(void)
{
	world();
	sender_open(&t, "ktxa", 64);
	sender_put(&t, 0, 0, 0)->len = 1514;
	sender_put(&t, 1, 1, 0)->len = 1515;
	sender_put(&t, 2, 2, now() + 2 * SECOND)->len = 1514;
	sender_put(&t, 3, 3, now() + 2 * SECOND)->len = 1014;
	sender_submit(&t, 0, 4);
	run("ip link set ktxa mtu 1000");
	sender_wait(&t, 4);
	check_done(0, 0, KTX_DONE_SENT, 0, 1);
	check_done(1, 1, KTX_DONE_FAILED, EMSGSIZE, 0);
	check_done(2, 2, KTX_DONE_FAILED, EMSGSIZE, 0);
	check_done(3, 3, KTX_DONE_SENT, 0, 1);
}

static void t_removed(void)
{
	world();
	sender_open(&t, "ktxa", 64);
	for (uint32_t i = 0; i < 20; i++)
		sender_put(&t, i, i, now() + 10 * SECOND + (uint64_t)(i / 4) * MS)->flags =
			i % 4 < 3 ? KTX_DESC_TRAIN : 0;
	sender_submit(&t, 0, 20);
	run("ip link del ktxa");
	sender_wait(&t, 20);
	for (uint32_t i = 0; i < 20; i++)
		check_done(i, i, KTX_DONE_FAILED, ENODEV, 0);
	CHECK_EQ(poll(&(struct pollfd){ .fd = t.fd, .events = POLLOUT }, 1, 0), 1);
	for (uint32_t here = 0; here < 2; here++) {
		sender_put(&t, 0, here, 0);
		sender_submit(&t, here ? KTX_SUBMIT_HERE : 0, 1);
		sender_wait(&t, 1);
		check_done(0, here, KTX_DONE_FAILED, ENODEV, 0);
	}
	CHECK_EQ(sender_stats(&t).pending, 0);
}

/* The device goes while the launcher spins and floods run. */
static void t_removed_in_the_middle(void)
{
	for (int round = 0; round < 20; round++) {
		struct ktx_setup s;
		pid_t child;
		int status;

		world();
		s = setup_of("ktxa", 4096);
		s.spin_ns = 1000000;
		CHECK_EQ(sender_try(&t, &s), 0);
		for (uint32_t i = 0; i < 4096; i++)
			sender_put(&t, i, i, now() + 2 * MS + i * 3000ull);
		sender_submit(&t, 0, 4096);
		child = fork();
		if (!child) {
			usleep((useconds_t)(1000 + round * 500));
			execlp("ip", "ip", "link", "del", "ktxa", NULL);
			_exit(1);
		}
		sender_wait(&t, 4096);
		waitpid(child, &status, 0);
		CHECK_EQ(status, 0);
		CHECK_EQ(sender_stats(&t).pending, 0);
	}
}

/* Whoever closes, dies or forks with probes pending leaves nothing behind. */
static void t_close_pending(void)
{
	for (int round = 0; round < 40; round++) {
		pid_t child = fork();

		if (!child) {
			struct ktx_setup s = setup_of("ktxd", 1024);

			s.spin_ns = 500000;
			s.flags = round % 2 ? KTX_SETUP_FIFO : 0;
			if (sender_try(&t, &s))
				_exit(1);
			for (uint32_t i = 0; i < 1024; i++)
				sender_put(&t, i, i, now() + MS + i * 20000ull);
			sender_submit_max(&t, 0, 0);
			if (round % 4 < 2 && !fork())
				_exit(0); /* has a copy of the descriptor for a moment */
			usleep((useconds_t)round * 200);
			kill(getpid(), SIGKILL);
		}
		waitpid(child, NULL, 0);
	}
}

static uint64_t count_of(const char *ifname, const char *what)
{
	char path[128];
	unsigned long long v = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/%s", ifname, what);
	f = fopen(path, "r");
	if (f) {
		if (fscanf(f, "%llu", &v) != 1)
			v = 0;
		fclose(f);
	}
	return v;
}

static void flood(const char *ifname, uint32_t rounds)
{
	sender_open(&t, ifname, 1024);
	for (uint32_t r = 0; r < rounds; r++) {
		for (uint32_t i = 0; i < 1024; i++)
			sender_put(&t, i, r * 1024 + i, 0);
		sender_submit(&t, KTX_SUBMIT_HERE, 1024);
		CHECK_EQ(sender_read(&t, 0), 1024); /* each has its completion on return */
		for (uint32_t i = 0; i < 1024; i++)
			check_done(i, r * 1024 + i, KTX_DONE_SENT, 0, 1);
	}
	CHECK_EQ(sender_stats(&t).sent, rounds * 1024);
}

static void t_flood_here(void)
{
	uint64_t before;

	world();
	before = count_of("ktxb", "rx_packets") + count_of("ktxb", "rx_dropped");
	flood("ktxa", 20);
	for (int i = 0; i < 100 && count_of("ktxb", "rx_packets") < before + 20480; i++)
		usleep(10000);
	CHECK_EQ(count_of("ktxb", "rx_packets") + count_of("ktxb", "rx_dropped") - before, 20480);
	sender_close(&t);
	before = count_of("ktxd", "tx_packets");
	flood("ktxd", 50);
	CHECK_EQ(count_of("ktxd", "tx_packets") - before, 51200);
}

/* A buffer that serves again and again carries each frame as it is, long after short and short after long. */
static void t_contents(void)
{
	int all;

	world();
	all = listener_open("ktxd", ETH_P_ALL);
	for (uint32_t tap = 0; tap < 2; tap++) {
		struct ktx_setup s = setup_of("ktxd", 64);

		s.flags = tap ? KTX_SETUP_TAP : 0;
		CHECK_EQ(sender_try(&t, &s), 0);
		for (uint32_t i = 0; i < 100; i++) {
			uint32_t len = 60 + i * 577 % 1400;

			sender_put(&t, i % 3, i, 0)->len = len;
			sender_frame(&t, i % 3, i, len);
			sender_submit(&t, i % 2 ? KTX_SUBMIT_HERE : 0, 1);
			sender_wait(&t, 1);
			check_done(0, i, KTX_DONE_SENT, 0, 1);
			CHECK_EQ(got[0].len, len);
		}
		sender_close(&t);
		for (uint32_t i = 0; i < 100 && tap; i++) {
			uint8_t f[2048];
			ssize_t n;

			while ((n = recv(all, f, sizeof(f), 0)) > 0 && (f[12] << 8 | f[13]) != ETHERTYPE_TEST)
				;
			CHECK_EQ(n, 60 + i * 577 % 1400);
			CHECK_EQ(f[14], i);
			for (ssize_t k = 18; k < n; k++)
				CHECK_EQ(f[k], i);
		}
		CHECK_EQ(listener_next(all), -1); /* without the flag, nothing is shown at all */
	}
	close(all);
}

TEST_MAIN(T(t_setup), T(t_before_setup), T(t_at_once), T(t_schedule), T(t_schedule_tai), T(t_schedule_no_spin),
	  T(t_schedule_fifo), T(t_schedule_cpu), T(t_equal_times), T(t_earlier_while_spinning), T(t_train), T(t_late),
	  T(t_cancel), T(t_wrong_descriptors), T(t_full), T(t_eventfd), T(t_link_down), T(t_mtu), T(t_removed),
	  T(t_removed_in_the_middle), T(t_close_pending), T(t_flood_here), T(t_contents))

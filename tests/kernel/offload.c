// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What /dev/ktx leaves to devices: frames by reference, to say when they left, to launch them by
 * their own clock; and what it does while one is away. Runs in a guest with the module and
 * the hostile device (tests/kernel/hostile) loaded, as root. Interfaces:
 *
 *   ktxa ---- ktxb   (veth)      kth0   (hostile)
 */
#include "sender.h" /* first: musl's headers and the kernel's agree on who defines what in this order only */

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <sys/syscall.h>

#include "hostile_dev.h"

#define LONG 1400u
#define SLOT 9088u /* no multiple of a page: frames begin anywhere in one */

static struct sender t;
static int b = -1; /* listens at ktxb */

static void world(void)
{
	bed_new(&t, &b, "kth0", "kthostile", 9000, ETHERTYPE_TEST);
}

/* The answer's flags. */
static uint32_t open_on(const char *ifname, uint32_t flags)
{
	struct ktx_setup s = setup_of(ifname, 64);

	s.slot_bytes = SLOT;
	s.flags = flags;
	CHECK_EQ(sender_try(&t, &s), 0);
	return t.s.flags;
}

/* A frame of len bytes, its last one the number. */
static struct ktx_desc *put(uint32_t slot, uint32_t number, uint32_t len)
{
	struct ktx_desc *d = sender_put(&t, slot, number, 0);

	sender_frame(&t, slot, number, len);
	d->len = len;
	return d;
}

static uint8_t *slot_at(uint32_t slot)
{
	return t.map + t.s.slot_off + (size_t)slot * t.s.slot_bytes;
}

static void no_completion(void)
{
	struct pollfd p = { .fd = t.fd, .events = POLLIN };

	CHECK_EQ(poll(&p, 1, 30), 0);
}

/* The device comes to hold n frames, and as long as it does they have no completions. */
static void held(unsigned int n)
{
	for (unsigned int ms = 0; hostile_seen("holds") != n; ms++) {
		CHECK(ms < 10000);
		usleep(1000);
	}
	no_completion();
}

static int module_users(void)
{
	FILE *f = fopen("/sys/module/ktrxer/refcnt", "re");
	int n = -1;

	CHECK(f && fscanf(f, "%d", &n) == 1);
	fclose(f);
	return n;
}

static void set_gather(const char *ifname, uint32_t on)
{
	struct ethtool_value v = { .cmd = ETHTOOL_SSG, .data = on };
	struct ifreq r = { .ifr_data = (void *)&v };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", ifname);
	if (ioctl(fd, SIOCETHTOOL, &r))
		TEST_FAIL("scatter-gather of %s: %s", ifname, strerror(errno));
	close(fd);
}

/* The flag is in force where it can be, and nowhere else. */
static void t_flag(void)
{
	struct ktx_setup s;

	world();
	CHECK_EQ(open_on("kth0", 0) & KTX_SETUP_ZEROCOPY, 0);
	sender_close(&t);
	CHECK_EQ(open_on("kth0", KTX_SETUP_ZEROCOPY), KTX_SETUP_ZEROCOPY | (t.s.flags & KTX_SETUP_FIFO));
	sender_close(&t);
	s = setup_of("kth0", 64);
	s.flags = KTX_SETUP_ZEROCOPY;
	s.slot_bytes = KTX_ZEROCOPY_MIN - 64; /* no frame would be long enough */
	CHECK_EQ(sender_try(&t, &s), 0);
	CHECK_EQ(t.s.flags & KTX_SETUP_ZEROCOPY, 0);
	sender_close(&t);
	set_gather("kth0", 0);
	CHECK_EQ(open_on("kth0", KTX_SETUP_ZEROCOPY) & KTX_SETUP_ZEROCOPY, 0);
}

/* Frames of all lengths arrive as they were, by reference or not, and completions say which. */
static void t_arrive(void)
{
	static const uint32_t len[] = { 60, KTX_ZEROCOPY_MIN - 1, KTX_ZEROCOPY_MIN, 1514, 4096, 4097, 8192, 9014 };
	enum { N = sizeof(len) / sizeof(len[0]) };
	uint8_t f[9100];

	world();
	open_on("ktxa", KTX_SETUP_ZEROCOPY);
	for (uint32_t i = 0; i < 64; i++) {
		put(i, i, len[i % N]);
		for (uint32_t k = 18; k < len[i % N]; k++)
			slot_at(i)[k] = (uint8_t)(k * 31 + i);
	}
	sender_submit(&t, 0, 64);
	sender_wait(&t, 64);
	for (uint32_t i = 0; i < 64; i++) {
		struct pollfd p = { .fd = b, .events = POLLIN };
		uint32_t n = len[got[i].id % N];

		CHECK_EQ(got[i].status, KTX_DONE_SENT);
		CHECK_EQ(got[i].flags, n >= KTX_ZEROCOPY_MIN ? KTX_DONE_ZEROCOPY : 0);
		CHECK_EQ(poll(&p, 1, 1000), 1);
		CHECK_EQ(recv(b, f, sizeof(f), 0), len[i % N]);
		CHECK_EQ(memcmp(f, slot_at(i), len[i % N]), 0);
	}
	for (uint32_t i = 0; i < 64; i++) /* the caller waits for those: copied */
		put(i, i, LONG);
	sender_submit(&t, KTX_SUBMIT_HERE, 64);
	CHECK_EQ(sender_read(&t, 0), 64);
	CHECK_EQ(got[0].flags, 0);
}

/* A slot is the device's until it lets go, and what is written there is what it sends. */
static void t_held(void)
{
	struct ktx_cancel c = { .size = sizeof(c), .all = 1 };
	struct ktx_submit s;

	world();
	open_on("kth0", KTX_SETUP_ZEROCOPY);
	hostile_set("script", "hold*0");
	for (uint32_t i = 0; i < 8; i++)
		put(i, i, LONG);
	sender_submit(&t, 0, 8);
	held(8);
	CHECK_EQ(sender_stats(&t).pending, 8);
	put(3, 99, 60);
	s = sender_submit_max(&t, 0, 0);
	CHECK_EQ(s.error, -EBUSY);
	t.submit--;
	CHECK_EQ(ioctl(t.fd, KTX_IOC_CANCEL, &c), 0);
	CHECK_EQ(c.n, 0);
	put(9, 9, 60); /* copied: its completion waits for nobody */
	sender_submit(&t, 0, 1);
	sender_wait(&t, 1);
	CHECK_EQ(got[0].id, 9);
	CHECK_EQ(got[0].flags, 0);
	put(10, 10, LONG);
	sender_submit(&t, 0, 1);
	held(10); /* with the copy */
	slot_at(10)[LONG - 1] = 0xa5;
	hostile_set("release", "1");
	sender_wait(&t, 9);
	for (uint32_t i = 0; i < 9; i++) {
		CHECK_EQ(got[i].id, i < 8 ? i : 10);
		CHECK_EQ(got[i].status, KTX_DONE_SENT);
		CHECK_EQ(got[i].flags, KTX_DONE_ZEROCOPY);
	}
	CHECK_EQ(hostile_seen("last"), 0xa5);
	CHECK_EQ(sender_stats(&t).sent, 10);
	put(3, 100, LONG); /* and it can be used again */
	sender_submit(&t, 0, 1);
	held(1);
	hostile_set("release", "1");
	sender_wait(&t, 1);
}

/* Refused in every way, each frame arrives once; those that were never taken end as they should. */
static void t_refused(void)
{
	struct ktx_desc *d;

	world();
	open_on("kth0", KTX_SETUP_ZEROCOPY);
	hostile_set("script", "busy*2 drop error busy hold*0");
	put(0, 7, LONG)->max_attempts = 9;
	sender_submit(&t, 0, 1);
	held(1);
	hostile_set("release", "1");
	sender_wait(&t, 1);
	CHECK_EQ(got[0].status, KTX_DONE_SENT);
	CHECK_EQ(got[0].attempts, 6);
	CHECK_EQ(got[0].flags, KTX_DONE_ZEROCOPY);
	CHECK_EQ(hostile_seen("taken"), 1);
	hostile_set("script", "busy*0");
	put(0, 8, LONG)->max_attempts = 3;
	d = put(1, 9, LONG);
	d->launch_ns = now() - 10 * MS;
	d->window_ns = 1;
	put(2, 10, LONG)->launch_ns = now() + 10 * SECOND;
	sender_submit(&t, 0, 3);
	{
		struct ktx_cancel c = { .size = sizeof(c), .id = 10 };

		CHECK_EQ(ioctl(t.fd, KTX_IOC_CANCEL, &c), 0);
		CHECK_EQ(c.n, 1);
	}
	sender_wait(&t, 3);
	CHECK_EQ(sender_stats(&t).failed, 1);
	CHECK_EQ(sender_stats(&t).late, 1);
	CHECK_EQ(sender_stats(&t).cancelled, 1);
	hostile_set("script", "ok*0");
	for (uint32_t i = 0; i < 64; i++) /* what those left behind is used again or given up */
		put(i, i, i % 2 ? LONG : 60);
	sender_submit(&t, 0, 64);
	sender_wait(&t, 64);
	CHECK_EQ(hostile_seen("taken"), 64);
}

/* 30 % refusals with every kind of length: nothing is lost, doubled or left behind. */
static void t_many(void)
{
	uint32_t next = 0, done = 0;

	world();
	open_on("kth0", KTX_SETUP_ZEROCOPY);
	hostile_set("script", "flaky:30*0");
	while (done < 6400) {
		for (uint32_t i = 0; i < 64; i++, next++) {
			struct ktx_desc *d = put(i, next, i % 3 ? LONG + i : 60 + i);
			uint8_t *n = slot_at(i) + 42;

			for (int k = 0; k < 8; k++)
				n[k] = k < 4 ? 0 : (uint8_t)(next >> (8 * (7 - k)));
			d->max_attempts = 1000;
		}
		sender_submit(&t, 0, 64);
		sender_wait(&t, 64);
		for (uint32_t i = 0; i < 64; i++, done++)
			CHECK_EQ(got[i].status, KTX_DONE_SENT);
	}
	CHECK_EQ(hostile_seen("taken"), done);
	CHECK_EQ(hostile_seen("duplicates"), 0);
	CHECK_EQ(hostile_seen("gaps"), 0);
	CHECK(sender_stats(&t).retries > done / 4);
}

/* Scatter-gather is switched off behind the sender's back: the frame is made one piece. */
static void t_gather_off(void)
{
	world();
	open_on("kth0", KTX_SETUP_ZEROCOPY);
	hostile_set("script", "hold*0");
	put(0, 5, LONG)->launch_ns = now() + 100 * MS;
	sender_submit(&t, 0, 1);
	set_gather("kth0", 0);
	sender_wait(&t, 1); /* at once: copied */
	CHECK_EQ(got[0].flags, 0);
	CHECK_EQ(hostile_seen("holds"), 1);
	hostile_set("release", "1");
	CHECK_EQ(hostile_seen("last"), 5);
}

/* The file closes, the device does not let go: its pages stay as they were, and the module stays. */
static void t_closed(void)
{
	int users;

	world();
	users = module_users();
	open_on("kth0", KTX_SETUP_ZEROCOPY);
	hostile_set("script", "hold*0");
	for (uint32_t i = 0; i < 64; i++)
		put(i, 0x77, LONG);
	put(0, 0x77, LONG);
	t.submit--;
	sender_submit(&t, 0, 64);
	held(64);
	sender_close(&t);
	run("head -c 60m /dev/zero | cat > /tmp/other; rm /tmp/other"); /* whoever wants the memory cannot have that */
	CHECK_EQ(module_users(), users + 1);
	CHECK_EQ(syscall(SYS_delete_module, "ktrxer", O_NONBLOCK), -1);
	CHECK_EQ(errno, EAGAIN);
	hostile_set("release", "1");
	CHECK_EQ(hostile_seen("last"), 0x77);
	CHECK_EQ(module_users(), users);
}

/* The device is removed while it holds frames: it lets go of them, and so they end. */
static void t_gone(void)
{
	world();
	open_on("kth0", KTX_SETUP_ZEROCOPY);
	hostile_set("script", "hold*0");
	for (uint32_t i = 0; i < 8; i++)
		put(i, i, LONG);
	put(8, 8, LONG)->launch_ns = now() + 10 * SECOND;
	sender_submit(&t, 0, 9);
	held(8);
	run("ip link del kth0");
	sender_wait(&t, 9);
	CHECK_EQ(sender_stats(&t).sent, 8);
	CHECK_EQ(sender_stats(&t).failed, 1);
}

/* Whoever captures gets a copy, and the device too. */
static void t_tap(void)
{
	int tap;

	world();
	open_on("kth0", KTX_SETUP_ZEROCOPY | KTX_SETUP_TAP);
	hostile_set("script", "hold*0");
	tap = listener_open("kth0", 0x0003 /* ETH_P_ALL */);
	put(0, 42, LONG);
	sender_submit(&t, 0, 1);
	sender_wait(&t, 1);
	CHECK_EQ(listener_next(tap), 42);
	close(tap);
	hostile_set("release", "1");
	CHECK_EQ(hostile_seen("last"), 42);
}

/* A frame with the number where the device looks for it. */
static void put_stamped(uint32_t slot, uint32_t number, uint32_t len)
{
	put(slot, number, len);
	for (int k = 0; k < 8; k++)
		slot_at(slot)[42 + k] = k < 4 ? 0 : (uint8_t)(number >> (8 * (7 - k)));
}

/* The NIC's times, of frames copied and not, when the device lets go and not before; each frame's own. */
static void t_hardware_stamps(void)
{
	world();
	CHECK(open_on("kth0", KTX_SETUP_STAMPS | KTX_SETUP_ZEROCOPY) & KTX_SETUP_STAMPS);
	hostile_set("script", "ok*32 hold*0");
	hostile_set("stamps", "1");
	for (uint32_t i = 0; i < 64; i++)
		put_stamped(i, i, i % 2 ? 60 : LONG);
	sender_submit(&t, 0, 64);
	sender_wait(&t, 32);
	for (uint32_t i = 0; i < 32; i++)
		CHECK_EQ(got[i].stamp_ns, 1000000000000ull + i);
	held(32);
	hostile_set("release", "1");
	sender_wait(&t, 32);
	for (uint32_t i = 0; i < 32; i++) {
		CHECK_EQ(got[i].id, 32 + i);
		CHECK_EQ(got[i].stamp_ns, 1000000000000ull + 32 + i);
		CHECK_EQ(got[i].stamp_clock, KTRXER_ABI_HARDWARE);
	}
	hostile_set("script", "busy*3 drop error busy ok*0");
	for (uint32_t i = 0; i < 64; i++) {
		put_stamped(i, 1000 + i, 60);
		t.desc[(t.submit - 1) & 63].max_attempts = 9;
	}
	sender_submit(&t, 0, 64);
	sender_wait(&t, 64);
	for (uint32_t i = 0; i < 64; i++)
		CHECK_EQ(got[i].stamp_ns, 1000000001000ull + i);
	hostile_set("script", "hold*0");
	for (uint32_t i = 0; i < 64; i++)
		put_stamped(i, i, 60);
	sender_submit(&t, 0, 64);
	sender_close(&t);
	hostile_set("release", "1"); /* times that nobody asks for any more */
}

/* The real time less the monotonic one. Who is not on a CPU between the two readings reads again. */
static int64_t real_ahead(void)
{
	uint64_t shortest = ~0ull;
	int64_t ahead = 0;

	for (int i = 0; i < 100; i++) {
		uint64_t before = now(), real = now_on(CLOCK_REALTIME), took = now() - before;

		if (took < shortest) {
			shortest = took;
			ahead = (int64_t)(real - before);
		}
	}
	return ahead;
}

/* Without the NIC's: the driver's, between the two clocks that were read around its call. */
static void t_driver_stamps(void)
{
	static const char *const on[] = { "kth0", "ktxa" };

	for (unsigned int k = 0; k < 2; k++) {
		int64_t ahead;

		world();
		CHECK(open_on(on[k], KTX_SETUP_STAMPS) & KTX_SETUP_STAMPS);
		ahead = real_ahead();
		for (uint32_t i = 0; i < 64; i++)
			put(i, i, 60);
		sender_submit(&t, 0, 64);
		sender_wait(&t, 64);
		for (uint32_t i = 0; i < 64; i++) {
			uint64_t at = got[i].stamp_ns - (uint64_t)ahead;

			CHECK_EQ(got[i].stamp_clock, KTRXER_ABI_REALTIME);
			CHECK(at + MS >= got[i].launch_ns &&
			      at <= got[i].returned_ns + MS); /* the clocks were read apart */
		}
		put(0, 0, 60);
		sender_submit(&t, KTX_SUBMIT_HERE, 1);
		CHECK_EQ(sender_read(&t, 0), 1);
		CHECK_EQ(got[0].stamp_ns, 0);
	}
	sender_close(&t);
	CHECK_EQ(open_on("lo", KTX_SETUP_STAMPS) & ~KTX_SETUP_FIFO, KTX_SETUP_STAMPS);
}

static uint64_t tai(void)
{
	return now_on(CLOCK_TAI);
}

static uint32_t open_launching(uint32_t flags, uint32_t spin_ns)
{
	struct ktx_setup s = setup_of("kth0", 128);

	s.flags = KTX_SETUP_LAUNCH | flags;
	s.clock = KTRXER_ABI_TAI;
	s.spin_ns = spin_ns;
	CHECK_EQ(sender_try(&t, &s), 0);
	return t.s.flags;
}

/* The device launches by its clock: it is switched on and off, gets frames ahead with their times, and says when they left. */
static void t_launch(void)
{
	struct ktx_setup s;
	struct sender other;
	uint64_t start;
	unsigned int ahead = 0;

	world();
	CHECK_EQ(open_launching(0, 0) & (KTX_SETUP_LAUNCH | KTX_SETUP_QUEUE), 0);
	sender_close(&t);
	hostile_set("launch", "1");
	hostile_set("stamps", "1");
	hostile_set("script", "ok*0");
	s = setup_of("kth0", 64);
	s.flags = KTX_SETUP_LAUNCH;
	CHECK_EQ(sender_try(&other, &s), -EINVAL); /* another clock */
	CHECK(open_launching(KTX_SETUP_STAMPS, 1000000) & KTX_SETUP_LAUNCH);
	CHECK_EQ(t.s.flags & KTX_SETUP_QUEUE, KTX_SETUP_QUEUE);
	CHECK_EQ(t.s.queue, 0);
	CHECK_EQ(hostile_seen("launching"), 1);
	s.clock = KTRXER_ABI_TAI;
	CHECK_EQ(sender_try(&other, &s), 0);
	sender_close(&other);
	CHECK_EQ(hostile_seen("launching"), 1); /* the queue is ours yet */
	start = tai() + 100 * MS;
	for (uint32_t i = 0; i < 100; i++)
		sender_put(&t, i, i, start + i * 2 * MS)->window_ns = SECOND;
	sender_put(&t, 100, 100, 0);
	sender_submit(&t, 0, 101);
	sender_wait(&t, 101);
	CHECK_EQ(got[0].id, 100);
	CHECK_EQ(got[0].flags, 0);
	for (uint32_t i = 1; i <= 100; i++) {
		CHECK_EQ(got[i].id, i - 1);
		CHECK_EQ(got[i].status, KTX_DONE_SENT);
		CHECK_EQ(got[i].scheduled_ns, start + (i - 1) * 2 * MS);
		if (!(got[i].flags & KTX_DONE_LAUNCHED)) { /* this machine was not there in time */
			CHECK(got[i].launch_ns >= got[i].scheduled_ns);
			continue;
		}
		ahead++;
		CHECK(got[i].launch_ns < got[i].scheduled_ns && got[i].launch_ns + MS + 1 > got[i].scheduled_ns);
		CHECK_EQ(got[i].stamp_ns, got[i].scheduled_ns);
		CHECK_EQ(got[i].stamp_clock, KTRXER_ABI_HARDWARE);
	}
	CHECK(ahead && hostile_seen("launched") == ahead); /* how many depends on how busy this machine is */
	CHECK_EQ(sender_stats(&t).sent, 101);
	sender_put(&t, 0, 0, tai() + 900000)->window_ns = SECOND;
	sender_submit(&t, 0, 1);
	sender_close(&t);
	CHECK_EQ(hostile_seen("launching"), 0);
}

/* The device goes while it has frames whose time has not come: each ends, and nothing is left behind. */
static void t_launch_gone(void)
{
	world();
	hostile_set("launch", "1");
	CHECK(open_launching(KTX_SETUP_STAMPS, 1000000) & KTX_SETUP_LAUNCH);
	for (uint32_t i = 0; i < 100; i++)
		sender_put(&t, i, i, tai() + i * MS);
	sender_submit(&t, 0, 100);
	run("ip link del kth0");
	sender_wait(&t, 100);
	CHECK_EQ(sender_stats(&t).sent + sender_stats(&t).failed, 100);
}

/* The driver takes its device away, as for suspend. Probes wait as far as attempts and windows go, and end by cause. */
static void t_detached(void)
{
	struct ktx_desc *d;

	world();
	open_on("kth0", 0);
	hostile_set("script", "ok*0");
	hostile_set("detach", "1");
	put(0, 0, 60);
	sender_submit(&t, 0, 1);
	sender_wait(&t, 1);
	CHECK_EQ(got[0].status, KTX_DONE_FAILED);
	CHECK_EQ(got[0].reason, ENETDOWN);
	d = put(1, 1, 60); /* its window passes first */
	d->launch_ns = now();
	d->window_ns = 50 * MS;
	d->max_attempts = 1u << 31;
	d->retry_ns = MS;
	d = put(2, 2, 60); /* waits until the device is back */
	d->launch_ns = now();
	d->max_attempts = 1u << 31;
	d->retry_ns = MS;
	sender_submit(&t, 0, 2);
	sender_wait(&t, 1);
	CHECK_EQ(got[0].id, 1);
	CHECK_EQ(got[0].status, KTX_DONE_LATE);
	CHECK_EQ(got[0].reason, ENETDOWN);
	CHECK(got[0].attempts > 3);
	put(3, 3, 60)->max_attempts = 3; /* the caller is not kept waiting */
	sender_submit(&t, KTX_SUBMIT_HERE, 1);
	CHECK_EQ(sender_read(&t, 0), 1);
	CHECK_EQ(got[0].status, KTX_DONE_FAILED);
	CHECK_EQ(got[0].reason, ENETDOWN);
	CHECK_EQ(hostile_seen("calls"), 0);
	hostile_set("detach", "0");
	sender_wait(&t, 1);
	CHECK_EQ(got[0].id, 2);
	CHECK_EQ(got[0].status, KTX_DONE_SENT);
	CHECK_EQ(hostile_seen("taken"), 1);
	hostile_set("script", "stall ok*0"); /* the queue alone stands still */
	put(4, 4, 60);
	sender_submit(&t, 0, 1);
	sender_wait(&t, 1);
	CHECK_EQ(got[0].status, KTX_DONE_SENT);
	d = put(5, 5, 60);
	d->max_attempts = 1u << 31;
	d->retry_ns = MS;
	d->launch_ns = now();
	sender_submit(&t, 0, 1);
	no_completion();
	hostile_set("wake", "1");
	sender_wait(&t, 1);
	CHECK_EQ(got[0].status, KTX_DONE_SENT);
	CHECK_EQ(got[0].reason, ENOBUFS);
}

int main(int argc, char **argv)
{
	static const struct kt_test tests[] = {
		T(t_flag),	    T(t_arrive), T(t_held),	   T(t_refused),  T(t_many),
		T(t_gather_off),    T(t_closed), T(t_gone),	   T(t_tap),	  T(t_hardware_stamps),
		T(t_driver_stamps), T(t_launch), T(t_launch_gone), T(t_detached),
	};
	int ret = kt_test_run(tests, (int)(sizeof(tests) / sizeof(tests[0])), argc, argv);

	sender_close(&t);
	if (if_nametoindex("kth0"))
		run("ip link del kth0");
	return ret;
}

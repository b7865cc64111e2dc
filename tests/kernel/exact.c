/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Launch times, asserted exactly: in a guest whose clock moves only while somebody waits (User Mode Linux, time-travel=inf-cpu),
 * nothing but the module decides when a frame leaves. Each launch is at its time, or less than one tick of the clock behind it, and
 * so is its arrival. On any other machine the cases fail.
 *
 *   KT_SECONDS  of the guest's time that each interval gets (60)
 *
 * With the hostile device loaded, as root.
 */
#include "include/ktrxer.h"
#include "tests/kernel/hostile_dev.h"
#include "tests/kernel/sender.h"

#include <linux/net_tstamp.h>

#define WINDOW 512u /* probes under way */

static struct sender t;
static int listener = -1;
static uint64_t tick; /* of the clock, ns */
static uint64_t worst; /* behind its time */

static uint64_t seconds(void)
{
	const char *s = getenv("KT_SECONDS");

	return s ? strtoull(s, NULL, 10) : 60;
}

/* Of a clock that only its readers move, what one reading moves it. */
static uint64_t tick_of(void)
{
	uint64_t before, least = UINT64_MAX;

	before = now();
	for (int i = 0; i < 1000; i++) {
		uint64_t after = now();

		if (after - before < least)
			least = after - before;
		before = after;
	}
	return least;
}

static void begin(uint32_t spin_ns)
{
	struct ktx_setup s;

	bed_new(&t, &listener, DEV, "kthostile", 1500, ETHERTYPE_TEST);
	CHECK_EQ(setsockopt(listener, SOL_SOCKET, SO_TIMESTAMPNS, &(int){ 1 }, sizeof(int)), 0);
	tick = tick_of();
	if (tick > 1000)
		TEST_FAIL("a clock that moves %llu ns from one reading to the next is nobody's virtual one",
			  (unsigned long long)tick);
	s = setup_of("ktxa", 2 * WINDOW);
	s.spin_ns = spin_ns;
	CHECK_EQ(sender_try(&t, &s), 0);
	worst = 0;
}

static void is_within(const struct ktx_done_abi *d, uint64_t ticks)
{
	CHECK_EQ(d->status, KTX_DONE_SENT);
	if (d->launch_ns < d->scheduled_ns || d->launch_ns - d->scheduled_ns >= ticks * tick)
		TEST_FAIL("probe %llu of %llu ns left at %llu, and a tick is %llu ns", (unsigned long long)d->id,
			  (unsigned long long)d->scheduled_ns, (unsigned long long)d->launch_ns,
			  (unsigned long long)tick);
	if (d->launch_ns - d->scheduled_ns > worst)
		worst = d->launch_ns - d->scheduled_ns;
}

static void is_exact(const struct ktx_done_abi *d)
{
	is_within(d, 1);
}

/* When the kernel received the next frame, which has that number. */
static uint64_t arrival(uint32_t number)
{
	char control[CMSG_SPACE(sizeof(struct timespec))];
	uint8_t f[128];
	struct iovec iov = { f, sizeof(f) };
	struct pollfd p = { .fd = listener, .events = POLLIN };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
	};
	struct cmsghdr *c;
	struct timespec ts;
	uint32_t n;

	CHECK_EQ(poll(&p, 1, 1000), 1); /* it may be with a softirq that has not run yet */
	CHECK_EQ(recvmsg(listener, &m, 0), 60);
	memcpy(&n, f + 14, 4);
	CHECK_EQ(n, number);
	c = CMSG_FIRSTHDR(&m);
	CHECK(c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS);
	memcpy(&ts, CMSG_DATA(c), sizeof(ts));
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

/* n probes, one each interval; as many as fit are under way, so that many times are in the schedule at once. */
static void every(uint64_t interval, uint64_t n)
{
	uint64_t start = now() + 10 * MS, put = 0, done = 0, first = 0;

	while (done < n) {
		uint32_t fits = (uint32_t)(n - put < WINDOW - (put - done) ? n - put : WINDOW - (put - done));
		struct pollfd p = { .fd = t.fd, .events = POLLIN };
		uint32_t have;

		for (uint32_t i = 0; i < fits; i++, put++)
			sender_put(&t, (uint32_t)put % t.s.n_slots, (uint32_t)put, start + put * interval);
		if (fits)
			sender_submit(&t, 0, fits);
		if (poll(&p, 1, 10000) != 1)
			TEST_FAIL("no completion in 10 s");
		have = sender_read(&t, 0);
		for (uint32_t i = 0; i < have; i++, done++) {
			uint64_t at = arrival((uint32_t)done);

			CHECK_EQ(got[i].id, done);
			CHECK_EQ(got[i].scheduled_ns, start + done * interval);
			is_exact(&got[i]);
			/* Another clock, so only what is between two of them can be said. */
			if (!done)
				first = at;
			else if (at - first + tick <= done * interval || at - first >= done * interval + tick)
				TEST_FAIL("probe %llu came %llu ns behind the first", (unsigned long long)done,
					  (unsigned long long)(at - first));
		}
	}
	printf("# %llu launches, one every %llu ns: at most %llu ns behind their times, a tick is %llu ns\n",
	       (unsigned long long)n, (unsigned long long)interval, (unsigned long long)worst,
	       (unsigned long long)tick);
}

static void t_10_ms(void)
{
	begin(2000);
	every(10 * MS, seconds() * 100 + 1);
}

static void t_1_ms(void)
{
	begin(2000);
	every(1 * MS, seconds() * 1000 + 1);
}

/* Not a multiple of anything: the times lie between two ticks. */
static void t_odd(void)
{
	begin(2000);
	every(999983, seconds() * 1000 + 1);
}

static void t_100_us(void)
{
	begin(2000);
	every(MS / 10, seconds() * 1000 + 1);
}

/* With the module's own spin. */
static void t_default(void)
{
	begin(0);
	every(10 * MS, 101);
}

/* Random times, submitted in any order, some of them equal: launched in that of their times. */
static void t_any_order(void)
{
	static uint64_t at[WINDOW];
	uint64_t start, last = 0;

	begin(2000);
	srandom(7);
	for (unsigned int round = 0; round < 20; round++) {
		start = now() + 5 * MS;
		for (uint32_t i = 0; i < WINDOW; i++) {
			/* Closer together, the next one is missed by what a timer needs at least: here half a microsecond. */
			at[i] = start + (uint64_t)random() % 100000 * 10000;
			sender_put(&t, i, i, at[i]);
		}
		sender_submit(&t, 0, WINDOW);
		sender_wait(&t, WINDOW);
		for (uint32_t i = 0; i < WINDOW; i++) {
			CHECK_EQ(got[i].scheduled_ns, at[got[i].id]);
			CHECK(got[i].scheduled_ns >= last);
			is_exact(&got[i]);
			last = got[i].scheduled_ns;
		}
	}
}

/* A refused probe is tried again when its pause is over, and counts as late from then on that its window has ended. */
static void t_retries(void)
{
	struct ktx_setup s;
	uint64_t start;

	begin(2000);
	sender_close(&t);
	hostile_set("script", "busy*2 ok busy*2 ok busy*2 ok busy*2 ok busy*2 ok busy*2 ok busy*2 ok busy*2 ok");
	s = setup_of(DEV, 64);
	s.spin_ns = 2000;
	CHECK_EQ(sender_try(&t, &s), 0);
	start = now() + 10 * MS;
	for (uint32_t i = 0; i < 8; i++) {
		struct ktx_desc *d = sender_put(&t, i, i, start + i * 100 * MS);

		d->max_attempts = 3;
		d->retry_ns = 7777777;
	}
	sender_submit(&t, 0, 8);
	sender_wait(&t, 8);
	for (uint32_t i = 0; i < 8; i++) {
		uint64_t pauses = got[i].launch_ns - got[i].scheduled_ns;

		CHECK_EQ(got[i].attempts, 3);
		CHECK_EQ(got[i].status, KTX_DONE_SENT);
		/* Each pause begins at the clock's tick in which the refusal came. */
		if (pauses < 2 * 7777777 || pauses > 2 * 7777777 + 4 * tick)
			TEST_FAIL("two pauses of 7777777 ns took %llu", (unsigned long long)pauses);
	}
	hostile_set("script", "busy ok busy ok");
	start = now() + 10 * MS;
	for (uint32_t i = 0; i < 2; i++) {
		struct ktx_desc *d = sender_put(&t, i, i, start + i * 100 * MS);

		d->max_attempts = 2;
		d->retry_ns = MS;
		d->window_ns = i ? MS - 1 : MS + 4 * tick;
	}
	sender_submit(&t, 0, 2);
	sender_wait(&t, 2);
	CHECK_EQ(got[0].status, KTX_DONE_SENT);
	CHECK_EQ(got[1].status, KTX_DONE_LATE);
}

/*
 * Probes that the module makes itself, due between two nanoseconds. Its caller waits for them, whom each look at the clock
 * costs a tick: one that finds that it is time, and the one that says when that was.
 */
static void t_paced_flood(void)
{
	struct ktrxer_path path = { .src = { .version = 4, .bytes = { 10, 1, 2, 3 } } };
	struct ktrxer_addr any = { .version = 4 };
	KTRXER_OPTS(ktrxer_probe, p);
	static uint8_t frame[128];
	struct ktx_flood_abi a;
	int n;

	begin(2000);
	memset(path.dst_mac, 0xff, 6);
	memset(path.src_mac, 2, 6);
	p.kind = KTRXER_PROBE_UDP;
	p.dport = 9;
	n = ktrxer_probe_build(&p, &path, &any, 5, 6, frame, sizeof(frame));
	CHECK(n > 0);
	a = (struct ktx_flood_abi){
		.size = sizeof(a),
		.flags = KTX_FLOOD_DONE,
		.pattern = (uintptr_t)frame,
		.pattern_len = (uint32_t)n,
		.kind = p.kind,
		.sport_lo = 32768,
		.sport_hi = 61000,
		.dport = p.dport,
		.n_targets = 1000,
		.count = WINDOW,
		.interval_num = 1000000,
		.interval_den = 3,
	};
	CHECK_EQ(ioctl(t.fd, KTX_IOC_FLOOD, &a), 0);
	sender_wait(&t, WINDOW);
	for (uint32_t i = 0; i < WINDOW; i++) {
		uint64_t due = got[0].scheduled_ns + i * 1000000ull / 3;

		CHECK_EQ(got[i].id, i);
		if (got[i].scheduled_ns < due || got[i].scheduled_ns > due + 1)
			TEST_FAIL("probe %u was due at %llu, not %llu", i, (unsigned long long)got[i].scheduled_ns,
				  (unsigned long long)due);
		is_within(&got[i], 3);
	}
	printf("# %u probes of a flood: at most %llu ns behind their times\n", WINDOW, (unsigned long long)worst);
}

int main(int argc, char **argv)
{
	static const struct kt_test tests[] = { T(t_default), T(t_10_ms),     T(t_1_ms),    T(t_odd),
						T(t_100_us),  T(t_any_order), T(t_retries), T(t_paced_flood) };
	int ret = kt_test_run(tests, (int)(sizeof(tests) / sizeof(tests[0])), argc, argv);

	sender_close(&t);
	if (if_nametoindex("ktxa"))
		run("ip link del ktxa");
	if (if_nametoindex(DEV))
		run("ip link del " DEV);
	return ret;
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Launches by the timer's own interrupt, against the hostile device, which says that there is hardware below it: they happen,
 * and whatever the interrupt cannot finish ends as by the launcher. Runs in a guest with both modules loaded.
 */
#include <sys/utsname.h>

#include "core/packet.h"
#include "tests/kernel/hostile_dev.h"
#include "tests/kernel/sender.h"

#define N 400u

static struct sender t;
static bool by_irq; /* this kernel can: not PREEMPT_RT, where drivers' locks sleep */

/* A kernel for one CPU cannot tell by a lock that somebody has it. */
static bool has_locks(void)
{
	struct utsname u;

	return !uname(&u) && strstr(u.version, "SMP");
}

static void irq_launch(int value)
{
	run("echo %d > /sys/module/ktrxer/parameters/irq_launch", value);
}

static void begin_with(uint32_t flags)
{
	struct ktx_setup s;

	sender_close(&t);
	if (if_nametoindex(DEV))
		run("ip link del " DEV);
	run("ip link add " DEV " type kthostile && sysctl -qw net.ipv6.conf." DEV ".disable_ipv6=1 && ip link set " DEV
	    " up");
	s = setup_of(DEV, 1024);
	s.flags = flags;
	CHECK_EQ(sender_try(&t, &s), 0);
}

static void begin(void)
{
	begin_with(0);
	by_irq = sender_stats(&t).flags & KTX_STATS_IRQ;
}

static struct ktx_desc *put(uint32_t number, uint64_t at, uint32_t attempts)
{
	uint32_t slot = number % t.s.n_slots;
	struct ktx_desc *d = sender_put(&t, slot, number, at);

	kt_put_be64(t.map + t.s.slot_off + (size_t)slot * t.s.slot_bytes + 42, number);
	d->max_attempts = attempts;
	return d;
}

/* Completions 0 to n - 1 are of these numbers, in order, and of frames that left when they were to. */
static void check_sent(uint32_t n, uint32_t attempts)
{
	for (uint32_t i = 0; i < n; i++) {
		CHECK_EQ(got[i].id, i);
		CHECK_EQ(got[i].status, KTX_DONE_SENT);
		CHECK(got[i].launch_ns >= got[i].scheduled_ns);
		CHECK(got[i].attempts >= 1 && got[i].attempts <= attempts);
	}
	CHECK_EQ(hostile_seen("taken"), n);
	CHECK_EQ(hostile_seen("earlier"), 0);
	CHECK_EQ(hostile_seen("duplicates"), 0);
	CHECK_EQ(hostile_seen("unrung"), 0);
}

/* One after another, with the device's answers. Returns how many batches left by interrupt. */
static uint64_t send_all(const char *script, uint64_t gap_ns, uint32_t train, uint32_t attempts)
{
	uint64_t start;

	begin();
	hostile_set("script", script);
	start = now() + 20 * MS;
	for (uint32_t i = 0; i < N; i++)
		put(i, start + i / train * gap_ns, attempts)->flags = i % train < train - 1 ? KTX_DESC_TRAIN : 0;
	sender_submit(&t, 0, N);
	sender_wait(&t, N);
	check_sent(N, attempts);
	return sender_stats(&t).irq_batches;
}

static void send_at(int value)
{
	static const uint64_t gaps[] = { 1000, 20000, 100000, 1 * MS };

	irq_launch(value);
	for (size_t i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
		uint64_t n = send_all("ok*0", gaps[i], 1, 1);

		printf("# every %llu ns: %llu of %u by interrupt\n", (unsigned long long)gaps[i], (unsigned long long)n,
		       N);
		CHECK(n <= (by_irq ? N : 0));
		/* Of those close together chance decides who comes first. */
		CHECK(n || !by_irq || gaps[i] < MS);
		/* Nobody knows this driver. */
		CHECK_EQ(!!(sender_stats(&t).flags & KTX_STATS_IRQ_ALWAYS), by_irq && value == 2 && has_locks());
	}
	irq_launch(1);
}

static void t_outside(void)
{
	send_at(1);
}

static void t_always(void)
{
	send_at(2);
}

static void t_trains(void)
{
	uint64_t n = send_all("ok*0", 2 * MS, 20, 1);

	CHECK_EQ(n > 0, by_irq);
	CHECK(n <= N / 20);
}

/* What is refused is tried again by the launcher, and keeps its place. */
static void t_refused(void)
{
	static const char *const scripts[] = { "busy*3 ok*7 drop*2 ok*5 error ok*0", "refuse:30", "flaky:30" };

	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		send_all(scripts[i], 50000, 1, 1000);
		send_all(scripts[i], 500000, 20, 1000);
	}
}

/* A probe that has all its attempts refused fails there, too. */
static void t_exhausted(void)
{
	uint64_t start;

	begin();
	hostile_set("script", "busy*0");
	start = now() + 20 * MS;
	for (uint32_t i = 0; i < 10; i++)
		put(i, start + i * MS, 3);
	sender_submit(&t, 0, 10);
	sender_wait(&t, 10);
	for (uint32_t i = 0; i < 10; i++) {
		CHECK_EQ(got[i].id, i);
		CHECK_EQ(got[i].status, KTX_DONE_FAILED);
		CHECK_EQ(got[i].attempts, 3);
		CHECK_EQ(got[i].reason, EBUSY);
	}
	CHECK_EQ(hostile_seen("calls"), 30);
}

/* What comes for an earlier time while the interrupt waits goes first. */
static void t_earlier(void)
{
	uint64_t start;

	begin();
	for (uint32_t round = 0; round < 50; round++) {
		start = now() + 2 * MS;
		put(1, start, 1);
		sender_submit(&t, 0, 1);
		for (uint64_t until = start - round * 1000; now() < until;)
			;
		put(0, start - 20 * MS, 1);
		sender_submit(&t, 0, 1);
		sender_wait(&t, 2);
		CHECK(got[0].launch_ns <= got[1].launch_ns);
		CHECK_EQ(got[0].id + got[1].id, 1);
		CHECK(got[0].launch_ns >= got[0].scheduled_ns && got[1].launch_ns >= got[1].scheduled_ns);
	}
}

/* An interface without carrier, one whose queue stands still, one that goes: as everywhere. */
static void t_trouble(void)
{
	uint64_t start;

	begin();
	hostile_set("script", "ok*5 down ok*0");
	for (uint32_t part = 0; part < 2; part++) {
		start = now() + 20 * MS;
		for (uint32_t i = part * 6; i < 6 + part * 4; i++)
			put(i, start + i * 100000, 2);
		sender_submit(&t, 0, part ? 4 : 6);
		sender_wait(&t, part ? 4 : 6);
		for (uint32_t i = 0; i < (part ? 4 : 6); i++) {
			CHECK_EQ(got[i].status, part ? KTX_DONE_FAILED : KTX_DONE_SENT);
			CHECK_EQ(got[i].reason, part ? ENETDOWN : 0);
		}
	}

	begin();
	hostile_set("script", "ok*5 stall ok*0");
	start = now() + 20 * MS;
	for (uint32_t i = 0; i < 10; i++)
		put(i, start + i * 100000, 1u << 31)->retry_ns = MS;
	sender_submit(&t, 0, 10);
	while (hostile_seen("taken") < 6)
		poll(NULL, 0, 1);
	hostile_set("wake", "1");
	sender_wait(&t, 10);
	CHECK_EQ(hostile_seen("taken"), 10);

	begin();
	hostile_set("script", "ok*5 gone ok*0");
	start = now() + 20 * MS;
	for (uint32_t i = 0; i < 10; i++)
		put(i, start + (i < 6 ? i * 100000 : SECOND), 1);
	sender_submit(&t, 0, 10);
	sender_wait(&t, 10);
	for (uint32_t i = 0; i < 10; i++) {
		CHECK_EQ(got[i].status, i < 6 ? KTX_DONE_SENT : KTX_DONE_FAILED);
		CHECK_EQ(got[i].reason, i < 6 ? 0 : ENODEV);
	}
}

/* Who wants something that the interrupt cannot do, or does not want it at all, has the launcher. */
static void t_not_wanted(void)
{
	static const uint32_t flags[] = { KTX_SETUP_TAP, KTX_SETUP_FIFO, KTX_SETUP_STAMPS, KTX_SETUP_ZEROCOPY };

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		begin_with(flags[i]);
		CHECK(!(sender_stats(&t).flags & KTX_STATS_IRQ));
	}
	irq_launch(0);
	begin();
	irq_launch(1);
	CHECK(!by_irq);
	put(0, now() + MS, 1);
	sender_submit(&t, 0, 1);
	sender_wait(&t, 1);
	CHECK_EQ(sender_stats(&t).irq_batches, 0);
}

static uint32_t below(uint32_t n)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 32) % n);
}

/* A value that means nothing is refused. */
static void t_parameter(void)
{
	CHECK(system("echo 3 > /sys/module/ktrxer/parameters/irq_launch 2> /dev/null"));
	CHECK(!system("test $(cat /sys/module/ktrxer/parameters/irq_launch) = 1"));
}

/* Cancelled, closed, and with the interface gone while interrupts launch: whatever was submitted is told of, once. */
static void t_torn(void)
{
	struct ktx_cancel c = { .size = sizeof(c), .all = 1 };
	uint32_t lives = 0;

	for (uint64_t until = now() + 3 * SECOND; now() < until || lives < 20; lives++) {
		uint32_t submitted = 0;

		irq_launch(1 + (int)(lives & 1));
		begin();
		hostile_set("script", lives % 3 ? "refuse:20" : "ok*0");
		for (uint32_t round = 0; round < 10; round++) {
			uint32_t n = 1 + below(60);

			for (uint32_t i = 0; i < n; i++)
				put(submitted + i, now() + below(500000), 1 + below(5))->flags =
					below(3) ? 0 : KTX_DESC_TRAIN;
			sender_submit(&t, 0, n);
			submitted += n;
			if (!below(4))
				CHECK_EQ(ioctl(t.fd, KTX_IOC_CANCEL, &c), 0);
		}
		if (lives % 4 == 1)
			run("ip link del " DEV);
		if (lives % 4 == 2)
			continue; /* closed as it stands */
		sender_wait(&t, submitted);
		CHECK_EQ(sender_stats(&t).pending, 0);
	}
	irq_launch(1);
	printf("# %u lives\n", lives);
}

TEST_MAIN(T(t_outside), T(t_always), T(t_trains), T(t_refused), T(t_exhausted), T(t_earlier), T(t_trouble),
	  T(t_not_wanted), T(t_parameter), T(t_torn))

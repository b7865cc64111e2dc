/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Floods in virtual time: each number has exactly one fate, at its time, whatever is refused, skipped or stopped. */

#include <signal.h>
#include <sys/time.h>

#include "lib/mem.h"
#include "lib/sender.h"
#include "tests/unit/fake.h"

#define MAX 20000u
#define S 1000000000ull

static struct ktrxer *port;
static struct ktx *tx;
static u8 fate[MAX]; /* status + 1 */
static u64 at[MAX]; /* launch_ns */
static u64 told, skip_n, stop_at, asked;
static bool bad_run;

static void close_all(void)
{
	ktx_close(tx);
	ktrxer_close(port);
	tx = NULL;
	port = NULL;
}

static void reset(void)
{
	close_all(); /* of a case that failed */
	memset(fate, 0, sizeof(fate));
	memset(at, 0, sizeof(at));
	told = asked = skip_n = 0;
	stop_at = UINT64_MAX;
	bad_run = false;
}

static void set_up(void)
{
	KTRXER_OPTS(ktx_opts, o);
	struct ktrxer_err err;

	reset();
	alarm(60);
	if (ktrxer_open(&port, "flood/0", NULL, &err) || ktx_open(&tx, port, &o, &err))
		TEST_FAIL("%s", err.text);
}

static u32 fill(void *ctx, u64 i, uint8_t *buf)
{
	asked++;
	if (skip_n && i % skip_n)
		return 0;
	memset(buf, 0, 60);
	kt_put_be32(buf + 14, (u32)i);
	return 60;
}

static void done(void *ctx, u64 first, u64 n, enum ktx_status status, int reason, u64 launch_ns, u64 returned_ns)
{
	told += n;
	for (u64 i = first; i < first + n && i < MAX; i++) {
		bad_run |= fate[i] != 0;
		fate[i] = (u8)(status + 1);
		at[i] = launch_ns;
	}
	bad_run |= (status == KTX_SENT) != !reason && status != KTX_CANCELLED;
	bad_run |= launch_ns > returned_ns;
}

static bool stop(void *ctx)
{
	return told >= stop_at || (stop_at != UINT64_MAX && asked > stop_at);
}

static struct ktx_flood_opts flood(u64 count)
{
	KTRXER_OPTS(ktx_flood_opts, o);

	o.count = count;
	o.max_frame = 60;
	o.fill = fill;
	o.done = done;
	o.stop = stop;
	return o;
}

/* Every number was told of once; as many of each kind as the counters say. */
static void check_fates(u32 sent, u32 failed, u32 cancelled)
{
	struct ktx_stats s;
	u32 n[5] = { 0 };

	for (u32 i = 0; i < MAX; i++)
		n[fate[i]]++;
	CHECK(!bad_run);
	CHECK_EQ(n[KTX_SENT + 1], sent);
	CHECK_EQ(n[KTX_FAILED + 1], failed);
	CHECK_EQ(n[KTX_CANCELLED + 1], cancelled);
	ktx_get_stats(tx, &s);
	CHECK_EQ(s.sent, sent);
	CHECK_EQ(s.failed, failed);
	CHECK_EQ(s.pending, 0);
	CHECK_EQ(s.submitted, s.sent + s.failed + s.late + s.cancelled);
	CHECK_EQ(s.bytes, sent * 60u);
	CHECK_EQ(tx->free.n, tx->n_slots);
}

static void t_all_sent(void)
{
	struct ktx_flood_opts o = flood(MAX);
	u64 got;

	set_up();
	CHECK_EQ(ktx_flood(tx, &o), 0);
	check_fates(MAX, 0, 0);
	CHECK_EQ(kt_mem_host_count("flood/1", &got), 0);
	CHECK_EQ(got, MAX);
	close_all();
}

static void t_none(void)
{
	struct ktx_flood_opts o = flood(0);

	set_up();
	CHECK_EQ(ktx_flood(tx, &o), 0);
	check_fates(0, 0, 0);
	o = flood(MAX);
	skip_n = UINT64_MAX;
	fate[0] = 1;
	CHECK_EQ(ktx_flood(tx, &o), 0); /* all but number 0 */
	CHECK_EQ(asked, MAX);
	CHECK_EQ(told, 1);
	close_all();
}

static void t_refusals(void)
{
	struct ktx_flood_opts o = flood(1000);

	for (u32 batch = 1; batch < 300; batch = batch * 3 + 1) {
		set_up();
		o.batch = batch;
		o.max_attempts = 4;
		kt_mem_refuse("flood/0", 3, ENOBUFS);
		CHECK_EQ(ktx_flood(tx, &o), 0);
		check_fates(1000, 0, 0);
		CHECK_EQ(tx->stats.retries, 3);
		close_all();
		set_up();
		kt_mem_refuse("flood/0", 7, ENOBUFS);
		o.max_attempts = 2;
		CHECK_EQ(ktx_flood(tx, &o), 0);
		check_fates(997, 3, 0);
		CHECK_EQ(tx->stats.retries, 4);
		close_all();
		set_up();
		kt_mem_refuse_randomly("flood/0", 300000000, ENOBUFS, batch);
		o.max_attempts = 100;
		CHECK_EQ(ktx_flood(tx, &o), 0);
		check_fates(1000, 0, 0);
		CHECK(tx->stats.retries > 200);
		close_all();
	}
}

static void t_stopped(void)
{
	struct ktx_flood_opts o = flood(MAX);
	u32 sent;

	set_up();
	stop_at = 5000;
	kt_mem_refuse_randomly("flood/0", 100000000, ENOBUFS, 1);
	o.max_attempts = 1000;
	CHECK_EQ(ktx_flood(tx, &o), -EINTR);
	sent = (u32)tx->stats.sent;
	CHECK(sent >= 4000 && sent < 6000);
	CHECK_EQ(told, MAX);
	check_fates(sent, 0, MAX - sent);
	close_all();
}

static void t_device_gone(void)
{
	struct ktx_flood_opts o = flood(MAX);

	set_up();
	kt_mem_remove("flood/0");
	CHECK_EQ(ktx_flood(tx, &o), -ENODEV);
	CHECK_EQ(told, MAX);
	check_fates(0, 256, MAX - 256);
	CHECK(strstr(ktx_why(tx), "flood/0"));
	close_all();
}

/* Never early, and late by less than a burst of 100 us, or of one packet at slow rates. */
static void check_rate(u64 num, u64 den, u32 count)
{
	struct ktx_flood_opts o = flood(count);

	set_up();
	o.rate_num = num;
	o.rate_den = den;
	o.start_ns = 5000;
	CHECK_EQ(ktx_flood(tx, &o), 0);
	for (u32 i = 0; i < count; i++) {
		/* floor(i * den * S / num) in 64 bits, as mipsel has no more */
		u64 n = (u64)i * den, due = 5000 + n / num * S + n % num * S / num;

		if (at[i] < due || at[i] > due + 100000)
			TEST_FAIL("number %u of %llu/%llu left at %llu, due at %llu", i, (unsigned long long)num,
				  (unsigned long long)den, (unsigned long long)at[i], (unsigned long long)due);
	}
	check_fates(count, 0, 0);
	close_all();
}

static void t_rates(void)
{
	check_rate(1, 1, 10);
	check_rate(3, 7, 100);
	check_rate(9999, 1, 5000);
	check_rate(10001, 1, 5000);
	check_rate(1000000, 3, 20000);
	check_rate(10000000000ull, 1, 20000);
	check_rate(1, 86400, 100);
}

static struct ktrxer fake;

static void on_alarm(int sig)
{
	asked++;
}

/* A signal while waiting makes nothing leave early. */
static void t_signals_do_not_hurry(void)
{
	struct sigaction sa = { .sa_handler = on_alarm }, old;
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
	KTRXER_OPTS(ktx_opts, o);
	struct ktx_flood_opts f = flood(5);
	u64 start;

	reset();
	fake_port(&fake, &fake_engine);
	o.max_frame = FAKE_FRAME;
	CHECK_EQ(ktx_open(&tx, &fake, &o, NULL), 0);
	CHECK_EQ(sigaction(SIGALRM, &sa, &old), 0);
	start = ktrxer_now(&fake) + 50000000;
	f.start_ns = start;
	f.rate_num = 100;
	setitimer(ITIMER_REAL, &often, NULL);
	CHECK_EQ(ktx_flood(tx, &f), 0);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);
	for (u64 i = 0; i < 5; i++)
		CHECK(at[i] >= start + i * 10000000);
	check_fates(5, 0, 0);
	close_all();
}

/* stop() ends a long wait, and times beyond the end of time are not soon. */
static void t_stop_while_waiting(void)
{
	KTRXER_OPTS(ktx_opts, o);
	struct ktx_flood_opts f = flood(3);

	reset();
	fake_port(&fake, &fake_engine);
	o.max_frame = FAKE_FRAME;
	CHECK_EQ(ktx_open(&tx, &fake, &o, NULL), 0);
	f.rate_num = 1;
	f.rate_den = 1ull << 62;
	stop_at = 1;
	CHECK_EQ(ktx_flood(tx, &f), -EINTR);
	check_fates(1, 0, 2);
	close_all();
	reset();
	fake_port(&fake, &fake_engine);
	CHECK_EQ(ktx_open(&tx, &fake, &o, NULL), 0);
	f.start_ns = UINT64_MAX;
	stop_at = 0;
	CHECK_EQ(ktx_flood(tx, &f), -EINTR);
	check_fates(0, 0, 3);
	close_all();
	set_up();
	stop_at = UINT64_MAX;
	f.start_ns = 0;
	f.rate_den = 10000000000ull;
	CHECK_EQ(ktx_flood(tx, &f), 0);
	CHECK_EQ(at[2], UINT64_MAX); /* 2 * 10^10 s do not fit */
	close_all();
}

static void done_that_asks(void *ctx, u64 first, u64 n, enum ktx_status status, int reason, u64 launch_ns,
			   u64 returned_ns)
{
	struct ktx_stats s;

	ktx_get_stats(tx, &s);
	bad_run |= s.submitted != s.sent + s.failed + s.late + s.cancelled + s.pending;
	done(ctx, first, n, status, reason, launch_ns, returned_ns);
}

static void t_done_may_ask_the_sender(void)
{
	struct ktx_flood_opts o = flood(1000);

	set_up();
	o.done = done_that_asks;
	o.max_attempts = 2;
	kt_mem_refuse("flood/0", 3, ENOBUFS);
	CHECK_EQ(ktx_flood(tx, &o), 0);
	check_fates(999, 1, 0);
	close_all();
}

/* Numbers that are skipped have their time, too: those between them do not wait for a batch to fill. */
static void t_rate_of_few_numbers(void)
{
	struct ktx_flood_opts o = flood(MAX);

	set_up();
	skip_n = 50;
	o.rate_num = 1000000;
	CHECK_EQ(ktx_flood(tx, &o), 0);
	for (u64 i = 0; i < MAX; i += skip_n)
		if (at[i] < i * 1000 || at[i] > i * 1000 + 100000)
			TEST_FAIL("number %llu left at %llu", (unsigned long long)i, (unsigned long long)at[i]);
	check_fates(MAX / 50, 0, 0);
	close_all();
}

/* A flood of nothing but skipped numbers can be stopped. */
static void t_stop_while_skipping(void)
{
	struct ktx_flood_opts o = flood(UINT64_MAX);

	set_up();
	skip_n = UINT64_MAX;
	stop_at = 1000;
	CHECK_EQ(ktx_flood(tx, &o), -EINTR);
	CHECK(asked < 10000000);
	close_all();
}

static u32 fill_too_long(void *ctx, u64 i, uint8_t *buf)
{
	return i == 700 ? (u32)-EINVAL : fill(ctx, i, buf);
}

/* An error code taken for a length must not become a frame of 4 GiB. */
static void t_longer_than_max_frame(void)
{
	struct ktx_flood_opts o = flood(1000);

	set_up();
	o.fill = fill_too_long;
	CHECK_EQ(ktx_flood(tx, &o), -EMSGSIZE);
	CHECK(strstr(ktx_why(tx), "frame 700"));
	CHECK_EQ(told, 1000);
	check_fates(512, 0, 488);
	close_all();
}

/* An engine that knows the times of each frame has them told of each. */
static void t_runs_share_one_call(void)
{
	KTRXER_OPTS(ktx_opts, o);
	struct ktx_flood_opts f = flood(20);

	reset();
	fake_port(&fake, &fake_stepping);
	fake_step = 1000;
	o.max_frame = FAKE_FRAME;
	CHECK_EQ(ktx_open(&tx, &fake, &o, NULL), 0);
	CHECK_EQ(ktx_flood(tx, &f), 0);
	for (u32 i = 1; i < 20; i++)
		CHECK(at[i] > at[i - 1]);
	check_fates(20, 0, 0);
	close_all();
}

/* TESTS */

TEST_MAIN(T(t_all_sent), T(t_none), T(t_refusals), T(t_stopped), T(t_device_gone), T(t_rates),
	  T(t_signals_do_not_hurry), T(t_stop_while_waiting), T(t_done_may_ask_the_sender), T(t_rate_of_few_numbers),
	  T(t_stop_while_skipping), T(t_longer_than_max_frame), T(t_runs_share_one_call))

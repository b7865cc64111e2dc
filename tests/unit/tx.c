/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The sending contract where it is hardest to keep: cancelling, closing, retries, trains, hostile options. */
#include <pthread.h>
#include <time.h>

#include "tests/unit/fake.h"

#define MS 1000000ull
#define S 1000000000ull

static struct ktrxer port;
static struct ktx *tx;
static const u8 frame[60];

static void open_tx(const struct kt_engine *engine, struct ktx_opts o)
{
	struct ktrxer_err err = { 0 };

	ktx_close(tx); /* of a case that failed */
	tx = NULL;
	fake_port(&port, engine);
	o.sz = sizeof(o);
	o.max_frame = FAKE_FRAME;
	if (ktx_open(&tx, &port, &o, &err))
		TEST_FAIL("%s", err.text);
}

static void close_tx(void)
{
	struct ktx_stats s;

	ktx_get_stats(tx, &s);
	CHECK_EQ(s.submitted, s.sent + s.failed + s.late + s.cancelled + s.pending);
	ktx_close(tx);
	tx = NULL;
}

static void submit(struct ktx_probe p)
{
	p.frame = frame;
	p.len = sizeof(frame);
	if (ktx_submit(tx, &p, 1) != 1)
		TEST_FAIL("%s", ktx_why(tx));
}

static struct ktx_done fetch(void)
{
	struct ktx_done d;

	CHECK_EQ(ktx_complete(tx, &d, 1), 1);
	return d;
}

static void nap(u64 ns)
{
	struct timespec ts = kt_ns_timespec(ns);

	nanosleep(&ts, NULL);
}

static void t_one_slot(void)
{
	open_tx(&fake_stepping, (struct ktx_opts){ .max_pending = 1 });
	for (u64 i = 0; i < 10; i++) {
		struct ktx_probe more = { .frame = frame, .len = sizeof(frame) };

		submit((struct ktx_probe){ .id = i, .flags = i & 1 ? KTX_TRAIN : 0 });
		CHECK_EQ(ktx_submit(tx, &more, 1), -EAGAIN);
		CHECK_EQ(ktx_run(tx, 0), 1);
		CHECK_EQ(ktx_submit(tx, &more, 1), -EAGAIN); /* the completion is not fetched */
		CHECK_EQ(fetch().id, i);
	}
	close_tx();
}

static void t_order_of_completions(void)
{
	struct ktx_done d[8];

	open_tx(&fake_stepping, (struct ktx_opts){ 0 });
	for (u64 i = 0; i < 8; i++)
		submit((struct ktx_probe){ .id = i, .launch_ns = 2 * S - i * MS });
	CHECK_EQ(ktx_cancel(tx, 3), 1);
	CHECK_EQ(ktx_run(tx, 3 * S), 8);
	CHECK_EQ(ktx_complete(tx, d, 8), 8);
	CHECK_EQ(d[0].id, 3);
	CHECK_EQ(d[0].status, KTX_CANCELLED);
	for (u64 i = 1, id = 7; i < 8; i++, id -= id == 4 ? 2 : 1)
		CHECK_EQ(d[i].id, id);
	close_tx();
}

static void t_train_across_submissions(void)
{
	open_tx(&fake_stepping, (struct ktx_opts){ .max_pending = 4 });
	submit((struct ktx_probe){ .id = 1, .launch_ns = 5 * MS, .flags = KTX_TRAIN });
	submit((struct ktx_probe){ .id = 2, .launch_ns = 9 * MS, .flags = KTX_TRAIN });
	CHECK_EQ(ktx_next_launch(tx), 0);
	submit((struct ktx_probe){ .id = 3 });
	CHECK_EQ(ktx_next_launch(tx), 5 * MS);
	CHECK_EQ(ktx_run(tx, S), 3);
	CHECK_EQ(fake_calls, 1);
	for (u64 i = 1; i <= 3; i++) {
		struct ktx_done d = fetch();

		CHECK_EQ(d.id, i);
		CHECK_EQ(d.scheduled_ns, 5 * MS);
	}
	/* A train that fills the sender has its end there. */
	for (u64 i = 0; i < 4; i++)
		submit((struct ktx_probe){ .id = i, .flags = KTX_TRAIN });
	CHECK_EQ(ktx_run(tx, 2 * S), 4);
	CHECK_EQ(fake_calls, 2);
	close_tx();
}

/* Tries without a pause use up the window too. */
static void t_window_ends_retries(void)
{
	struct ktx_done d;

	open_tx(&fake_stepping, (struct ktx_opts){ 0 });
	fake_step = 1000;
	fake_refuse = 1000;
	submit((struct ktx_probe){ .window_ns = 100000, .max_attempts = 1000 });
	CHECK_EQ(ktx_run(tx, 0), 1);
	d = fetch();
	CHECK_EQ(d.status, KTX_LATE);
	CHECK_EQ(d.reason, ENOBUFS);
	CHECK(d.attempts > 10 && d.attempts <= 100);
	CHECK(d.launch_ns <= d.scheduled_ns + 100000 + fake_step); /* one look at the clock later */
	close_tx();
}

/* A driver that always refuses does not keep the sender from closing. */
static void t_close_ends_retries(void)
{
	open_tx(&fake_engine, (struct ktx_opts){ .thread = true });
	fake_refuse = UINT32_MAX;
	submit((struct ktx_probe){ .max_attempts = UINT32_MAX });
	while (!kt_load_relaxed(&fake_calls))
		nap(MS);
	close_tx();
}

/* The launching thread woke for a probe that was cancelled meanwhile: the next one is still far, and can be cancelled. */
static void t_cancelled_first_leaves_the_next_alone(void)
{
	u64 now;

	open_tx(&fake_engine, (struct ktx_opts){ .thread = true });
	now = ktrxer_now(&port);
	submit((struct ktx_probe){ .id = 1, .launch_ns = now + 50 * MS });
	submit((struct ktx_probe){ .id = 2, .launch_ns = now + 30 * S });
	nap(MS); /* it sleeps for the first */
	CHECK_EQ(ktx_cancel(tx, 1), 1);
	while (ktrxer_now(&port) < now + 100 * MS)
		nap(10 * MS);
	CHECK_EQ(ktx_cancel(tx, 2), 1);
	close_tx();
}

/* Spinning may be asked for longer than the clock has run. */
static void t_spin_for_ever(void)
{
	open_tx(&fake_engine, (struct ktx_opts){ .thread = true, .spin_ns = INT64_MAX });
	submit((struct ktx_probe){ .launch_ns = ktrxer_now(&port) + 5 * MS });
	CHECK_EQ(ktx_wait(tx, 20 * S), 1);
	close_tx();
}

/* A probe that is being waited for by spinning is cancelled when the sender closes, not sent and not waited for. */
static void t_close_while_spinning(void)
{
	open_tx(&fake_engine, (struct ktx_opts){ .thread = true, .spin_ns = 3600 * S });
	submit((struct ktx_probe){ .launch_ns = ktrxer_now(&port) + 300 * S });
	nap(20 * MS);
	close_tx();
	CHECK_EQ(fake_launched, 0);
}

/* While the thread spins for a probe, one for an earlier time comes, and then one for a still earlier time. */
static void t_earlier_and_still_earlier(void)
{
	struct ktx_done d;
	u64 now;

	open_tx(&fake_engine, (struct ktx_opts){ .thread = true, .spin_ns = 3600 * S });
	now = ktrxer_now(&port);
	submit((struct ktx_probe){ .id = 3, .launch_ns = now + 300 * S });
	nap(20 * MS);
	submit((struct ktx_probe){ .id = 2, .launch_ns = now + 200 * S });
	nap(20 * MS);
	submit((struct ktx_probe){ .id = 1, .launch_ns = now + 100 * MS });
	CHECK_EQ(ktx_wait(tx, 30 * S), 1);
	d = fetch();
	CHECK_EQ(d.id, 1);
	CHECK(d.launch_ns >= now + 100 * MS);
	close_tx();
}

/* Cancelling one probe does not close a train that is still being submitted, and can take a probe out of it. */
static void t_cancel_in_an_open_train(void)
{
	open_tx(&fake_stepping, (struct ktx_opts){ 0 });
	submit((struct ktx_probe){ .id = 1, .launch_ns = 5 * MS, .flags = KTX_TRAIN });
	submit((struct ktx_probe){ .id = 2, .flags = KTX_TRAIN });
	CHECK_EQ(ktx_cancel(tx, 7), 0);
	CHECK_EQ(ktx_next_launch(tx), 0);
	CHECK_EQ(ktx_cancel(tx, 1), 1);
	submit((struct ktx_probe){ .id = 3 });
	CHECK_EQ(ktx_run(tx, S), 3);
	CHECK_EQ(fetch().status, KTX_CANCELLED);
	CHECK_EQ(fetch().id, 2);
	CHECK_EQ(fetch().id, 3);
	CHECK_EQ(fake_calls, 1);
	submit((struct ktx_probe){ .id = 4, .flags = KTX_TRAIN });
	CHECK_EQ(ktx_cancel_all(tx), 1);
	close_tx();
}

/* Probes leave a train that is scheduled, at its head, within and at its end; the others stay together and in order. */
static void t_cancel_in_a_scheduled_train(void)
{
	static const u64 gone[] = { 0, 1, 4, 7 };

	open_tx(&fake_stepping, (struct ktx_opts){ 0 });
	for (u64 i = 0; i < 8; i++)
		submit((struct ktx_probe){ .id = i, .launch_ns = 5 * MS, .flags = i < 7 ? KTX_TRAIN : 0 });
	submit((struct ktx_probe){ .id = 8, .launch_ns = 5 * MS });
	submit((struct ktx_probe){ .id = 9, .launch_ns = 4 * MS });
	for (u32 i = 0; i < KT_ARRAY_LEN(gone); i++) {
		CHECK_EQ(ktx_cancel(tx, gone[i]), 1);
		CHECK_EQ(ktx_cancel(tx, gone[i]), 0);
		CHECK_EQ(fetch().id, gone[i]);
	}
	CHECK_EQ(ktx_cancel(tx, 9), 1);
	CHECK_EQ(fetch().id, 9);
	CHECK_EQ(ktx_next_launch(tx), 5 * MS);
	CHECK_EQ(ktx_run(tx, S), 5);
	CHECK_EQ(fake_calls, 1);
	for (u64 id = 2; id <= 8; id += id == 3 || id == 6 ? 2 : 1)
		CHECK_EQ(fetch().id, id);
	for (u64 i = 0; i < 3; i++)
		submit((struct ktx_probe){ .id = i, .flags = i < 2 ? KTX_TRAIN : 0 });
	CHECK_EQ(ktx_cancel_all(tx), 3);
	CHECK_EQ(ktx_next_launch(tx), 0);
	close_tx();
}

/* Waiting for ever for nothing would hang, or use up all virtual time. */
static void t_wait_for_nothing(void)
{
	u64 before;

	open_tx(&fake_stepping, (struct ktx_opts){ 0 });
	before = ktrxer_now(&port);
	CHECK_EQ(ktx_wait(tx, UINT64_MAX), 0);
	CHECK_EQ(ktrxer_now(&port), before);
	CHECK_EQ(ktx_wait(tx, 5 * MS), 0);
	CHECK_EQ(ktrxer_now(&port), before + 5 * MS);
	submit((struct ktx_probe){ .launch_ns = 100 * S });
	CHECK_EQ(ktx_wait(tx, UINT64_MAX), 1);
	close_tx();
}

static u32 stress_over;

/* Cancels whatever it can while the others submit and launch. */
static void *cancelling(void *arg)
{
	u32 *cancelled = arg;

	for (u64 id = 0; !kt_load_relaxed(&stress_over); id = (id + 7) % 97)
		*cancelled += (u32)ktx_cancel(tx, id);
	return NULL;
}

/* Every probe ends once, whatever a thread launches, one submits and one cancels at the same time. */
static void t_submit_launch_cancel_at_once(void)
{
	u32 n = 0, ended = 0, cancelled = 0, by_status[4] = { 0 };
	struct ktx_stats s;
	pthread_t thread;

	open_tx(&fake_engine, (struct ktx_opts){ .thread = true, .max_pending = 64 });
	fake_refuse = 500;
	kt_store_relaxed(&stress_over, 0);
	CHECK_EQ(pthread_create(&thread, NULL, cancelling, &cancelled), 0);
	while (ended < 20000) {
		u64 now = ktrxer_now(&port);
		struct ktx_probe p = { .frame = frame,
				       .len = sizeof(frame),
				       .id = n % 97,
				       .launch_ns = now + 100000 - n % 7 * 10000,
				       .max_attempts = 3,
				       .retry_ns = n % 3 * 1000,
				       .flags = n % 5 == 1 ? KTX_TRAIN : 0 };
		struct ktx_done d[16];
		int got;

		if (n < 20000 && ktx_submit(tx, &p, 1) == 1)
			n++;
		got = ktx_complete(tx, d, 16);
		for (int i = 0; i < got; i++) {
			by_status[d[i].status]++;
			if (d[i].status == KTX_SENT && d[i].launch_ns < d[i].scheduled_ns)
				TEST_FAIL("launched %llu ns early",
					  (unsigned long long)(d[i].scheduled_ns - d[i].launch_ns));
		}
		ended += (u32)got;
		if (!got && n == 20000)
			ktx_wait(tx, S);
	}
	kt_store_relaxed(&stress_over, 1);
	pthread_join(thread, NULL);
	ktx_get_stats(tx, &s);
	CHECK_EQ(s.submitted, 20000);
	CHECK_EQ(s.pending, 0);
	CHECK_EQ(s.sent, by_status[KTX_SENT]);
	CHECK_EQ(s.sent, kt_load_relaxed(&fake_launched));
	CHECK_EQ(s.failed, by_status[KTX_FAILED]);
	CHECK_EQ(s.cancelled, by_status[KTX_CANCELLED]);
	CHECK_EQ(s.cancelled, cancelled);
	CHECK_EQ(s.late, 0);
	close_tx();
}

/* TESTS */

TEST_MAIN(T(t_one_slot), T(t_order_of_completions), T(t_train_across_submissions), T(t_window_ends_retries),
	  T(t_close_ends_retries), T(t_cancelled_first_leaves_the_next_alone), T(t_spin_for_ever),
	  T(t_close_while_spinning), T(t_earlier_and_still_earlier), T(t_cancel_in_an_open_train),
	  T(t_cancel_in_a_scheduled_train), T(t_wait_for_nothing), T(t_submit_launch_cancel_at_once))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Receiving where threads meet: several listeners without a pump thread, timeouts under flood, rules changed by many. */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "lib/receiver.h"
#include "tests/test.h"

#define S 1000000000ull
#define FRAME 60u

/* --- An engine on the system's clock, fed by hand --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static u64 fed, peeked; /* frames given, frames taken; lock */
static bool for_ever; /* there is always one more */
static u32 inside, waiting, crossed; /* threads in the engine; how often there were two; lock */
static u8 frame[FRAME];

static void enter(void)
{
	pthread_mutex_lock(&lock);
	crossed += inside++ != 0;
	pthread_mutex_unlock(&lock);
}

static void leave(void)
{
	pthread_mutex_lock(&lock);
	inside--;
	pthread_mutex_unlock(&lock);
}

static void nap(u64 ns)
{
	struct timespec ts = kt_ns_timespec(ns);

	nanosleep(&ts, NULL);
}

static int by_hand_open(struct ktrxer *port, struct ktrxer_err *err)
{
	return 0;
}

static void by_hand_close(struct ktrxer *port)
{
}

static int by_hand_rx_open(struct ktrxer *port, const struct krx_opts *opts, struct ktrxer_err *err)
{
	return 0;
}

static int by_hand_peek(struct ktrxer *port, struct kt_rxframe *frames, u32 max)
{
	u32 n = 0;

	enter();
	pthread_mutex_lock(&lock);
	for (; n < max && n < 8 && (for_ever || peeked < fed); n++, peeked++) {
		memset(&frames[n], 0, sizeof(frames[n]));
		frames[n].data = frame;
		frames[n].caplen = frames[n].wirelen = FRAME;
		frames[n].ifindex = 1;
	}
	pthread_mutex_unlock(&lock);
	leave();
	return (int)n;
}

static void by_hand_release(struct ktrxer *port, const u8 *verdict, u32 n)
{
}

/* Looks every 20 ms whether there is something. */
static int by_hand_wait(struct ktrxer *port, u64 until)
{
	bool ready = false;

	enter();
	while (!ready && kt_port_now(port) < until) {
		pthread_mutex_lock(&lock);
		waiting++;
		pthread_mutex_unlock(&lock);
		nap(20000000);
		pthread_mutex_lock(&lock);
		ready = peeked < fed;
		pthread_mutex_unlock(&lock);
	}
	leave();
	return ready;
}

static const struct kt_engine by_hand = {
	.name = "by hand",
	.ops = 0xf,
	.open = by_hand_open,
	.close = by_hand_close,
	.rx_open = by_hand_rx_open,
	.rx_close = by_hand_close,
	.rx_peek = by_hand_peek,
	.rx_release = by_hand_release,
	.rx_wait = by_hand_wait,
};

static void feed(u32 n)
{
	pthread_mutex_lock(&lock);
	fed += n;
	pthread_mutex_unlock(&lock);
}

/* --- The cases --- */

static struct ktrxer port;
static struct krx *rx;

static void set_up(bool capture)
{
	struct krx_rule all = { .op = KRX_CAPTURE };
	struct ktrxer_err err = { 0 };
	KTRXER_OPTS(krx_opts, o);

	krx_close(rx); /* of a case that failed */
	rx = NULL;
	alarm(60); /* nothing here may hang */
	fed = peeked = 0;
	inside = waiting = crossed = 0;
	for_ever = false;
	memset(&port, 0, sizeof(port));
	port.engine = &by_hand;
	if (krx_open(&rx, &port, &o, &err))
		TEST_FAIL("%s", err.text);
	if (capture)
		CHECK_EQ(krx_rules_replace(rx, &all, 1), 0);
}

static struct krx_listener *listen_to(bool lossless)
{
	KTRXER_OPTS(krx_listen_opts, o);
	struct krx_listener *l;

	o.lossless = lossless;
	CHECK_EQ(krx_listen(&l, rx, &o, NULL), 0);
	return l;
}

static void check_identity(void)
{
	struct krx_stats s;

	krx_get_stats(rx, &s);
	CHECK_EQ(s.seen, s.delivered + s.dropped + s.passed + s.lost_ring + s.lost_engine + s.lost_error);
}

static void t_timeouts(void)
{
	struct krx_listener *l;
	struct krx_packet p;

	set_up(true);
	l = listen_to(true);
	CHECK_EQ(krx_next(l, &p, 0), 0);
	CHECK_EQ(krx_next(l, &p, 1000000), 0);
	feed(1);
	CHECK_EQ(krx_next(l, &p, UINT64_MAX), 1);
	CHECK_EQ(p.caplen, FRAME);
	CHECK_EQ(krx_next(l, &p, 0), 0);
	check_identity();
	krx_unlisten(l);
	krx_close(rx);
	rx = NULL;
}

static u32 value(const u32 *v)
{
	u32 x;

	pthread_mutex_lock(&lock);
	x = *v;
	pthread_mutex_unlock(&lock);
	return x;
}

/* Packets that are not for us do not make us stay. */
static void t_timeout_under_flood(void)
{
	struct krx_listener *l;
	struct krx_packet p;

	set_up(false);
	l = listen_to(true);
	for_ever = true;
	CHECK_EQ(krx_next(l, &p, 0), 0);
	CHECK_EQ(krx_next(l, &p, 3000000), 0);
	check_identity();
	krx_unlisten(l);
	krx_close(rx);
	rx = NULL;
}

static void *next_one(void *arg)
{
	struct krx_packet p;
	u64 begin = kt_port_now(&port);

	return krx_next(arg, &p, 30 * S) == 1 && kt_port_now(&port) - begin < 15 * S ? arg : NULL;
}

/* While one waits for the engine another moves the packet: it must not go on waiting for one more. */
static void t_moved_by_another(void)
{
	struct krx_listener *l;
	pthread_t thread;
	void *ok;

	set_up(true);
	l = listen_to(true);
	CHECK_EQ(pthread_create(&thread, NULL, next_one, l), 0);
	while (!value(&waiting))
		nap(100000);
	feed(1);
	krx_pump(rx);
	pthread_join(thread, &ok);
	CHECK(ok == l);
	krx_unlisten(l);
	krx_close(rx);
	rx = NULL;
}

static void *next_many(void *arg)
{
	struct krx_packet p;
	u64 expected = 0;

	while (expected < 20000 && krx_next(arg, &p, 30 * S) == 1)
		if (p.seq != expected++)
			return NULL;
	return expected == 20000 ? arg : NULL;
}

/* Without a pump thread, three listeners in threads of their own: one of them is in the engine at a time. */
static void t_listeners_take_turns(void)
{
	struct krx_listener *l[3];
	pthread_t thread[3];
	struct krx_stats s;
	bool all = true;

	set_up(true);
	for (int i = 0; i < 3; i++)
		l[i] = listen_to(true);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, next_many, l[i]), 0);
	for (u32 i = 0; i < 200; i++) {
		feed(100);
		if (i % 20 == 0)
			nap(1000000);
	}
	for (int i = 0; i < 3; i++) {
		void *ok;

		pthread_join(thread[i], &ok);
		all &= ok == l[i];
	}
	CHECK(all);
	CHECK_EQ(crossed, 0);
	krx_get_stats(rx, &s);
	CHECK_EQ(s.seen, 20000);
	CHECK_EQ(s.delivered, 20000);
	for (int i = 0; i < 3; i++)
		krx_unlisten(l[i]);
	krx_close(rx);
	rx = NULL;
}

static void t_ids_at_the_end_of_numbers(void)
{
	struct krx_rule r[4] = { { .id = UINT32_MAX }, { 0 }, { .id = 2 }, { 0 } };
	struct krx_rule got[5];
	u32 id = 0;

	set_up(false);
	CHECK_EQ(krx_rules_replace(rx, r, 4), 0);
	CHECK_EQ(krx_rules_list(rx, got, NULL, 5), 4);
	CHECK_EQ(got[0].id, UINT32_MAX);
	CHECK_EQ(got[1].id, 1);
	CHECK_EQ(got[2].id, 2);
	CHECK_EQ(got[3].id, 3);
	CHECK_EQ(krx_rule_add(rx, &r[1], &id), 0);
	CHECK_EQ(id, 4);
	CHECK_EQ(krx_rule_delete(rx, 2), 0);
	CHECK_EQ(krx_rule_add(rx, &r[1], &id), 0);
	CHECK_EQ(id, 2);
	CHECK_EQ(krx_rule_add(rx, &r[2], &id), -EINVAL);
	krx_close(rx);
	rx = NULL;
}

static void t_more_rules_than_can_be(void)
{
	struct krx_rule r = { 0 };

	set_up(false);
	CHECK_EQ(krx_rules_replace(rx, &r, UINT32_MAX), -EINVAL);
	CHECK_EQ(krx_rules_replace(rx, &r, KT_MAX_RULES + 1), -EINVAL);
	CHECK(strstr(krx_why(rx), "too many"));
	CHECK_EQ(krx_rules_list(rx, NULL, NULL, 0), 0);
	krx_close(rx);
	rx = NULL;
}

/* Adds and deletes rules, good and bad; each error's sentence must be this thread's own. */
static void *change_rules(void *arg)
{
	u32 me = *(u32 *)arg;

	for (u32 i = 0; i < 300; i++) {
		struct krx_rule good = { .id = me + i, .priority = (s32)i % 3, .op = KRX_DROP };
		struct krx_rule bad = { .id = me + i, .version = 5 };
		char mine[32];

		snprintf(mine, sizeof(mine), "rule %u:", me + i);
		if (krx_rule_add(rx, &good, NULL) || krx_rule_delete(rx, me + i))
			return NULL;
		if (krx_rule_add(rx, &bad, NULL) != -EINVAL)
			return NULL;
		nap(10000); /* the others fail meanwhile */
		if (!strstr(krx_why(rx), mine))
			return NULL;
	}
	return arg;
}

static void t_rules_by_three_threads(void)
{
	u32 base[3] = { 100000, 200000, 300000 };
	pthread_t thread[3];
	bool all = true;

	set_up(true);
	for_ever = true;
	for (int i = 0; i < 3; i++)
		CHECK_EQ(pthread_create(&thread[i], NULL, change_rules, &base[i]), 0);
	for (int i = 0; i < 200; i++)
		krx_pump(rx);
	for (int i = 0; i < 3; i++) {
		void *ok;

		pthread_join(thread[i], &ok);
		all &= ok == &base[i];
	}
	CHECK(all);
	CHECK_EQ(krx_rules_list(rx, NULL, NULL, 0), 1);
	check_identity();
	krx_close(rx);
	rx = NULL;
}

/* A rule that stays has used up what it has used up, whatever comes beside it. */
static void t_quota_outlives_a_change(void)
{
	struct krx_rule r[2] = { { .id = 7, .op = KRX_CAPTURE, .quota_pkts = 5 }, { .id = 8, .priority = -1 } };
	struct krx_stats s;

	set_up(false);
	CHECK_EQ(krx_rules_replace(rx, r, 1), 0);
	feed(3);
	krx_pump(rx);
	CHECK_EQ(krx_rules_replace(rx, r, 2), 0);
	feed(10);
	krx_pump(rx);
	krx_get_stats(rx, &s);
	CHECK_EQ(s.delivered, 5);
	CHECK_EQ(s.passed, 8);
	check_identity();
	krx_close(rx);
	rx = NULL;
}

/* TESTS */

TEST_MAIN(T(t_timeouts), T(t_timeout_under_flood), T(t_moved_by_another), T(t_listeners_take_turns),
	  T(t_ids_at_the_end_of_numbers), T(t_more_rules_than_can_be), T(t_rules_by_three_threads),
	  T(t_quota_outlives_a_change))

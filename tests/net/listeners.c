/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A pump thread on engine packet, listeners in threads of their own, rules that
 * change all the while, at full speed: a lossless listener gets every record, a
 * lossy one knows its loss exactly, and what did not fit is counted.
 */
#include <pthread.h>
#include <time.h>

#include "core/ring.h"
#include "lib/port.h"
#include "tests/netns.h"

#define N 60000u
#define MS 1000000ull

static struct ktrxer *near_port, *far_port;
static struct krx *rx;
static struct ktx *tx;
static u32 over;

struct reader {
	struct krx_listener *l;
	pthread_t thread;
	u64 got;
	u64 gaps; /* by sequence numbers */
	bool wrong;
	bool lossless;
};

static void *reading(void *arg)
{
	struct reader *r = arg;
	u64 next_seq = 0;

	for (;;) {
		bool last = kt_load_acquire(&over);
		struct krx_packet p;
		int ret = krx_next(r->l, &p, 50 * MS);

		if (ret < 0 || (!ret && last))
			break;
		if (!ret)
			continue;
		r->wrong |= p.caplen != 60 || p.seq < next_seq || kt_get_be16(p.data + 12) != 0x88b5 || p.tag > 1;
		r->gaps += p.seq - next_seq;
		next_seq = p.seq + 1;
		if (++r->got % 2000 == 0) { /* slow enough to be overrun, and to hold the ring */
			struct timespec ts = kt_ns_timespec(2 * MS);

			nanosleep(&ts, NULL);
		}
	}
	return NULL;
}

static void *changing(void *arg)
{
	u32 *changes = arg;

	while (!kt_load_acquire(&over)) {
		struct krx_rule r = { .id = 1, .op = KRX_CAPTURE, .ethertype = 0x88b5, .tag = *changes & 1 };

		if (!krx_rules_replace(rx, &r, 1))
			++*changes;
	}
	return NULL;
}

/* Comes and goes; what it saw is exact as well. */
static void *visiting(void *arg)
{
	u32 *visits = arg;

	while (!kt_load_acquire(&over)) {
		KTRXER_OPTS(krx_listen_opts, o);
		struct krx_listener *l;
		struct krx_packet p;

		o.lossless = *visits & 1;
		if (krx_listen(&l, rx, &o, NULL))
			return NULL;
		for (int i = 0; i < 20 && krx_next(l, &p, MS) == 1; i++)
			;
		krx_unlisten(l);
		++*visits;
	}
	return NULL;
}

static u32 fill(void *ctx, u64 i, uint8_t *buf)
{
	memset(buf, 0xff, 12);
	kt_put_be16(buf + 12, 0x88b5);
	memset(buf + 14, 0, 46);
	kt_put_be32(buf + 14, (u32)i);
	return 60;
}

static void tear_down(void)
{
	ktx_close(tx);
	krx_close(rx);
	ktrxer_close(near_port);
	ktrxer_close(far_port);
	tx = NULL;
	rx = NULL;
	near_port = far_port = NULL;
}

static void set_up(void)
{
	struct krx_rule r = { .id = 1, .op = KRX_CAPTURE, .ethertype = 0x88b5 };
	KTRXER_OPTS(krx_opts, o);
	struct ktrxer_err err = { 0 };

	tear_down(); /* of a case that failed */
	netns_pair(true);
	netns_enter(netns_far);
	o.ring_bytes = 65536;
	o.thread = true;
	if (ktrxer_open(&far_port, "packet:" FAR, NULL, &err) || krx_open(&rx, far_port, &o, &err))
		TEST_FAIL("%s", err.text);
	CHECK_EQ(krx_rules_replace(rx, &r, 1), 0);
	netns_enter(netns_near);
	if (ktrxer_open(&near_port, "packet:" NEAR, NULL, &err) || ktx_open(&tx, near_port, NULL, &err))
		TEST_FAIL("%s", err.text);
	over = 0;
}

static void run(struct reader *r, u32 n)
{
	KTRXER_OPTS(ktx_flood_opts, f);
	pthread_t changer, visitor;
	struct krx_stats s;
	u32 changes = 0, visits = 0;
	int ret;

	set_up();
	for (u32 i = 0; i < n; i++) {
		KTRXER_OPTS(krx_listen_opts, o);

		o.lossless = r[i].lossless;
		CHECK_EQ(krx_listen(&r[i].l, rx, &o, NULL), 0);
		CHECK_EQ(pthread_create(&r[i].thread, NULL, reading, &r[i]), 0);
	}
	CHECK_EQ(pthread_create(&changer, NULL, changing, &changes), 0);
	CHECK_EQ(pthread_create(&visitor, NULL, visiting, &visits), 0);
	f.count = N;
	f.max_frame = 60;
	f.max_attempts = 1000;
	f.fill = fill;
	ret = ktx_flood(tx, &f);
	for (u32 tries = 0; tries < 1000; tries++) {
		struct timespec ts = kt_ns_timespec(10 * MS);

		krx_get_stats(rx, &s);
		if (s.seen >= N && changes > 10 && visits > 10)
			break;
		nanosleep(&ts, NULL);
	}
	kt_store_release(&over, 1);
	for (u32 i = 0; i < n; i++)
		pthread_join(r[i].thread, NULL);
	pthread_join(changer, NULL);
	pthread_join(visitor, NULL);
	krx_get_stats(rx, &s);
	CHECK_EQ(ret, 0);
	CHECK(changes > 10 && visits > 10);
	CHECK_EQ(s.seen, N);
	CHECK_EQ(s.seen, s.delivered + s.dropped + s.passed + s.lost_ring + s.lost_engine + s.lost_error);
	CHECK_EQ(s.passed + s.dropped + s.lost_error, 0);
	for (u32 i = 0; i < n; i++) {
		struct krx_listener_stats ls;

		krx_listener_get_stats(r[i].l, &ls);
		CHECK(!r[i].wrong);
		CHECK_EQ(ls.delivered, r[i].got);
		CHECK_EQ(ls.unread_bytes, 0);
		CHECK_EQ(ls.lost_overrun, r[i].gaps);
		CHECK_EQ(ls.delivered + ls.lost_overrun, s.delivered);
		if (r[i].lossless)
			CHECK_EQ(ls.lost_overrun, 0);
		else
			CHECK_EQ(ls.held, 0);
		CHECK(ls.held <= s.lost_ring);
		printf("# listener %u: %llu delivered, %llu overrun, %llu held; ring %llu, lost %llu, kernel lost "
		       "%llu\n",
		       i, (unsigned long long)ls.delivered, (unsigned long long)ls.lost_overrun,
		       (unsigned long long)ls.held, (unsigned long long)s.delivered, (unsigned long long)s.lost_ring,
		       (unsigned long long)s.lost_engine);
		krx_unlisten(r[i].l);
	}
	tear_down();
}

static void t_lossless_and_lossy(void)
{
	struct reader r[2] = { { .lossless = true }, { .lossless = false } };

	run(r, 2);
}

/* With no lossless reader of its own the ring is overrun, though a visitor may hold it for a moment. */
static void t_two_lossy(void)
{
	struct reader r[2] = { { 0 }, { 0 } };

	run(r, 2);
}

TEST_MAIN(T(t_lossless_and_lossy), T(t_two_lossy))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Sending: order, launch times, trains, floods, frame kinds. */
#include <errno.h>

#include "suite.h"

static void both(void)
{
	struct krx_rule r;

	suite_world();
	suite_tx(NULL);
	suite_rx(NULL, true);
	suite_rule(&r, KRX_CAPTURE);
	suite_rules(&r, 1);
}

static void tx_order(void)
{
	both();
	for (unsigned int i = 0; i < 20; i++) {
		suite_send(i * 50, 50, 60 + i * 70);
		suite_complete(i * 50, 50, KTX_SENT);
		suite_expect(W.b.listener, i * 50, 50);
	}
	suite_check_rx();
}

/* Submitted in an order of their own, they leave in the schedule's; equal times in the order of submission. */
static void tx_schedule(void)
{
	enum { N = 60 };
	static uint8_t buf[128];
	struct ktx_done done[N];
	uint64_t start;
	int n = 0;

	both();
	start = ktrxer_now(W.a.port) + 20 * SUITE_MS;
	for (unsigned int i = 0; i < N; i++) {
		unsigned int slot = i * 7 % (N / 3); /* three probes share each time */
		struct ktx_probe p = { .frame = buf, .id = i };

		p.len = suite_frame(buf, sizeof(buf), i, 60);
		p.launch_ns = start + slot * SUITE_MS;
		CHECK_EQ(ktx_submit(W.a.tx, &p, 1), 1);
	}
	CHECK_EQ(ktx_run(W.a.tx, start + 3 * SUITE_SECOND), N); /* returns when nothing is pending */
	CHECK_EQ(n = ktx_complete(W.a.tx, done, N), N);
	for (unsigned int i = 0; i < N; i++) {
		struct krx_packet p;

		CHECK_EQ(done[i].status, KTX_SENT);
		CHECK_EQ(done[i].scheduled_ns, start + i / 3 * SUITE_MS);
		CHECK(done[i].launch_ns >= done[i].scheduled_ns);
		if (!W.engine.real)
			CHECK_EQ(done[i].launch_ns, done[i].scheduled_ns);
		if (i % 3)
			CHECK(done[i].id > done[i - 1].id);
		CHECK(suite_next(W.b.listener, &p, 3 * SUITE_SECOND));
		CHECK_EQ(suite_id(&p), done[i].id);
	}
	suite_check_tx();
}

/* Arrival stamps are not before the launch and not after we had the packet. */
static void tx_stamps(void)
{
	struct ktrxer_info info;

	both();
	ktrxer_get_info(W.b.port, &info);
	for (unsigned int i = 0; i < 50; i++) {
		struct krx_packet p;
		struct ktx_done d;
		uint64_t stamp, slack = 20000; /* converting between two system clocks is not exact to the ns */

		suite_send(i, 1, 60);
		CHECK_EQ(ktx_wait(W.a.tx, SUITE_SECOND), 1);
		CHECK_EQ(ktx_complete(W.a.tx, &d, 1), 1);
		CHECK(suite_next(W.b.listener, &p, 3 * SUITE_SECOND));
		CHECK_EQ(p.clock, info.rx_clock);
		stamp = ktrxer_convert(W.b.port, p.stamp_ns, p.clock, info.clock);
		if (stamp + slack < d.launch_ns || stamp > ktrxer_now(W.b.port) + slack)
			TEST_FAIL("launched %llu, stamped %llu, now %llu", (unsigned long long)d.launch_ns,
				  (unsigned long long)stamp, (unsigned long long)ktrxer_now(W.b.port));
	}
}

/*
 * Transmit times on request: of all frames or, where nobody tells, of none; not before the launch and not after the
 * completion. A card may stamp one frame at a time, and take a second to find that it has not.
 */
static void tx_kernel_stamps(void)
{
	const unsigned int n = suite_cards() ? 3 : 50;
	KTRXER_OPTS(ktx_opts, o);
	unsigned int stamped = 0;
	struct ktrxer_info info;

	o.kernel_stamps = true;
	suite_world();
	suite_tx(&o);
	ktrxer_get_info(W.a.port, &info);
	for (unsigned int i = 0; i < n; i++) {
		uint64_t at, slack = 20000; /* as above */
		struct ktx_done d;

		suite_send(i, 1, i % 2 ? 60 : 1400);
		CHECK_EQ(ktx_wait(W.a.tx, 20 * SUITE_SECOND), 1);
		CHECK_EQ(ktx_complete(W.a.tx, &d, 1), 1);
		CHECK_EQ(d.id, i);
		CHECK_EQ(d.status, KTX_SENT);
		if (!d.stamp_ns)
			continue;
		stamped++;
		if (d.stamp_clock == KTRXER_CLOCK_HARDWARE)
			continue;
		at = ktrxer_convert(W.a.port, d.stamp_ns, d.stamp_clock, info.clock);
		if (at + slack < d.launch_ns || at > ktrxer_now(W.a.port) + slack)
			TEST_FAIL("launched %llu, stamped %llu, now %llu", (unsigned long long)d.launch_ns,
				  (unsigned long long)at, (unsigned long long)ktrxer_now(W.a.port));
	}
	CHECK(!stamped || stamped == n || suite_cards());
	printf("# %u of %u frames were stamped\n", stamped, n);
	suite_check_tx();
}

/* A train is one batch at the time of its first, whatever times the others name. */
static void tx_train(void)
{
	enum { N = 100 };
	static uint8_t buf[N][128];
	struct ktx_probe p[N];
	struct ktx_stats s;

	both();
	for (unsigned int i = 0; i < N; i++) {
		p[i] = (struct ktx_probe){ .frame = buf[i], .id = i, .flags = i < N - 1 ? KTX_TRAIN : 0 };
		p[i].len = suite_frame(buf[i], sizeof(buf[i]), i, 100);
		p[i].max_attempts = suite_attempts();
		p[i].launch_ns = i ? 1 : ktrxer_now(W.a.port) + 5 * SUITE_MS;
	}
	/* Half a train does not leave. */
	CHECK_EQ(ktx_submit(W.a.tx, p, N / 2), N / 2);
	CHECK_EQ(ktx_run(W.a.tx, p[0].launch_ns + SUITE_MS), 0);
	suite_expect_nothing(W.b.listener);
	CHECK_EQ(ktx_submit(W.a.tx, p + N / 2, N / 2), N / 2);
	suite_complete(0, N, KTX_SENT);
	suite_expect(W.b.listener, 0, N);
	ktx_get_stats(W.a.tx, &s);
	CHECK_EQ(s.sent, N);
	CHECK(s.batches <= 8); /* engines may cut a very long batch, not each packet */
}

static void tx_thread(void)
{
	KTRXER_OPTS(ktx_opts, o);
	struct krx_rule r;

	o.thread = true;
	suite_world();
	if (!W.engine.real) {
		struct ktrxer_err err = { 0 };

		CHECK_EQ(ktx_open(&W.a.tx, W.a.port, &o, &err), -EOPNOTSUPP);
		CHECK(strstr(err.text, "virtual time"));
		return;
	}
	suite_tx(&o);
	suite_rx(NULL, true);
	suite_rule(&r, KRX_CAPTURE);
	suite_rules(&r, 1);
	for (unsigned int i = 0; i < 40; i++) {
		uint8_t buf[128];
		struct ktx_probe p = { .frame = buf, .id = i, .launch_ns = ktrxer_now(W.a.port) + 2 * SUITE_MS };

		p.len = suite_frame(buf, sizeof(buf), i, 60);
		CHECK_EQ(ktx_submit(W.a.tx, &p, 1), 1);
		if (i % 2) { /* every second one has an earlier one submitted behind it */
			suite_complete(i - 1, 2, KTX_SENT);
			suite_expect(W.b.listener, i - 1, 2);
		}
	}
}

static void tx_vlan(void)
{
	static uint8_t buf[2048];
	struct krx_rule any = { .op = KRX_CAPTURE };

	both();
	suite_rules(&any, 1);
	for (uint8_t tags = 0; tags <= 2; tags++) {
		struct kt_packet_spec s;
		struct ktx_probe probe = { .frame = buf, .id = tags };
		struct krx_packet p;

		suite_spec(&s);
		s.n_vlans = tags;
		s.vlan[0] = 100;
		s.vlan[1] = 0x6000 | 200;
		probe.len = suite_build(buf, sizeof(buf), &s, tags, KT_ETH_BYTES + 1500 + (tags == 1 ? 4u : 0));
		CHECK_EQ(ktx_submit(W.a.tx, &probe, 1), 1);
		suite_complete(tags, 1, KTX_SENT);
		CHECK(suite_next(W.b.listener, &p, 3 * SUITE_SECOND));
		CHECK_EQ(p.wirelen, probe.len);
		CHECK_EQ(p.caplen, probe.len);
		CHECK_MEM(p.data, buf, probe.len);
	}
}

static void tx_jumbo(void)
{
	struct krx_rule r;
	struct krx_packet p;
	static uint8_t buf[9100];

	suite_world();
	suite_set_mtu(9000);
	suite_tx(NULL);
	suite_rx(NULL, true);
	suite_rule(&r, KRX_CAPTURE);
	suite_rules(&r, 1);
	for (uint64_t id = 0; id < 5; id++) {
		suite_send(id, 1, 9014);
		suite_complete(id, 1, KTX_SENT);
		CHECK(suite_next(W.b.listener, &p, 3 * SUITE_SECOND));
		CHECK_EQ(p.caplen, 9014);
		CHECK_EQ(suite_frame(buf, sizeof(buf), id, 9014), 9014);
		CHECK_MEM(p.data, buf, 9014);
	}
}

/* --- floods --- */

struct flood {
	uint8_t fate[20000];
	uint64_t n_done;
	uint64_t n_sent;
	bool twice;
	uint64_t stop_at;
};

static uint32_t fill(void *ctx, uint64_t i, uint8_t *buf)
{
	return i % 10 == 9 ? 0 : suite_frame(buf, 256, i, 60 + (uint32_t)(i % 3) * 20); /* every tenth is skipped */
}

static void done(void *ctx, uint64_t first, uint64_t n, enum ktx_status status, int reason, uint64_t launch_ns,
		 uint64_t returned_ns)
{
	struct flood *f = ctx;

	for (uint64_t i = first; i < first + n && i < 20000; i++)
		f->twice |= f->fate[i]++ != 0;
	f->n_done += n;
	f->n_sent += status == KTX_SENT ? n : 0;
}

static bool stop(void *ctx)
{
	struct flood *f = ctx;

	return f->stop_at && f->n_done >= f->stop_at;
}

/*
 * Every number that was not skipped has one fate and arrives, in order. A receiver that a busy machine keeps waiting says how many
 * it has lost.
 */
static void tx_flood(void)
{
	static struct flood f;
	KTRXER_OPTS(ktx_flood_opts, o);
	KTRXER_OPTS(krx_opts, ro);
	struct krx_stats rs;
	struct ktx_stats s;
	struct krx_rule r;
	uint64_t last = 0, came = 0;
	struct krx_packet p;
	int ret;

	memset(&f, 0, sizeof(f));
	suite_world();
	suite_tx(NULL);
	ro.ring_bytes = 32 << 20;
	ro.thread = W.engine.real;
	suite_rx(&ro, true);
	suite_rule(&r, KRX_CAPTURE);
	suite_rules(&r, 1);
	o.count = 20000;
	o.max_frame = 256;
	o.rate_num = 50000;
	o.max_attempts = 100;
	o.fill = fill;
	o.done = done;
	o.ctx = &f;
	suite_stay();
	ret = ktx_flood(W.a.tx, &o);
	suite_move();
	CHECK_EQ(ret, 0);
	CHECK(!f.twice);
	for (unsigned int i = 0; i < 20000; i++)
		CHECK_EQ(f.fate[i], i % 10 != 9);
	ktx_get_stats(W.a.tx, &s);
	CHECK_EQ(s.submitted, 18000);
	CHECK_EQ(s.pending, 0);
	CHECK_EQ(s.sent, f.n_sent);
	CHECK_EQ(s.sent, 18000);
	suite_check_tx();
	while (came < s.sent && suite_next(W.b.listener, &p, 3 * SUITE_SECOND)) {
		CHECK(!came || suite_id(&p) > last);
		last = suite_id(&p);
		came++;
	}
	CHECK_EQ(krx_get_stats(W.b.rx, &rs), 0);
	CHECK(came + rs.lost_engine + rs.lost_ring >= s.sent);
	CHECK(came > s.sent / 10);
	suite_check_rx();
}

/* Flat out, then stopped: counters and callbacks agree, what was not sent is cancelled. */
static void tx_flood_stop(void)
{
	static struct flood f;
	KTRXER_OPTS(ktx_flood_opts, o);
	struct ktx_stats s;

	memset(&f, 0, sizeof(f));
	suite_world();
	suite_tx(NULL);
	f.stop_at = 3000;
	o.count = 20000;
	o.max_frame = 256;
	o.batch = 64;
	o.fill = fill;
	o.done = done;
	o.stop = stop;
	o.ctx = &f;
	CHECK_EQ(ktx_flood(W.a.tx, &o), -EINTR);
	CHECK(!f.twice);
	ktx_get_stats(W.a.tx, &s);
	CHECK_EQ(s.sent, f.n_sent);
	CHECK(s.sent + s.failed >= 3000 && s.sent < 10000);
	CHECK_EQ(s.pending, 0);
	suite_check_tx();
	/* The sender works on. */
	suite_send(1, 1, 60);
	suite_complete(1, 1, KTX_SENT);
}

const struct kt_test suite_tx_cases[] = { T(tx_order), T(tx_schedule),	 T(tx_stamps), T(tx_kernel_stamps),
					  T(tx_train), T(tx_thread),	 T(tx_vlan),   T(tx_jumbo),
					  T(tx_flood), T(tx_flood_stop), { 0 } };

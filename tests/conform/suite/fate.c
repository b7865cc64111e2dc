/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What can happen to a probe besides being sent: late, cancelled, refused, failed, turned away. */
#include <errno.h>

#include "lib/mem.h"
#include "suite.h"

static void submit_at(uint64_t id, uint64_t launch, uint64_t window, uint32_t attempts)
{
	uint8_t buf[128];
	struct ktx_probe p = {
		.frame = buf, .id = id, .launch_ns = launch, .window_ns = window, .max_attempts = attempts
	};

	p.len = suite_frame(buf, sizeof(buf), id, 60);
	CHECK_EQ(ktx_submit(W.a.tx, &p, 1), 1);
}

static void fate_late(void)
{
	struct ktx_done d;
	uint64_t now;

	suite_world();
	suite_tx(NULL);
	now = ktrxer_now(W.a.port) + 10 * SUITE_MS;
	ktrxer_wait_until(W.a.port, now, 0);
	submit_at(1, now - 5 * SUITE_MS, SUITE_MS, 1);
	suite_complete(1, 1, KTX_LATE);
	submit_at(2, now - 5 * SUITE_MS, 0, 1); /* no window: however late */
	CHECK_EQ(ktx_wait(W.a.tx, SUITE_SECOND), 1);
	CHECK_EQ(ktx_complete(W.a.tx, &d, 1), 1);
	CHECK_EQ(d.status, KTX_SENT);
	CHECK_EQ(d.scheduled_ns, now - 5 * SUITE_MS);
	suite_check_tx();
}

static void fate_cancelled(void)
{
	uint64_t now;
	struct ktx_stats s;

	suite_world();
	suite_tx(NULL);
	now = ktrxer_now(W.a.port);
	for (uint64_t i = 0; i < 10; i++)
		submit_at(i, now + 3600 * SUITE_SECOND, 0, 1);
	CHECK_EQ(ktx_next_launch(W.a.tx), now + 3600 * SUITE_SECOND);
	CHECK_EQ(ktx_cancel(W.a.tx, 3), 1);
	suite_complete(3, 1, KTX_CANCELLED);
	CHECK_EQ(ktx_cancel(W.a.tx, 3), 0);
	CHECK_EQ(ktx_cancel_all(W.a.tx), 9);
	ktx_get_stats(W.a.tx, &s);
	CHECK_EQ(s.cancelled, 10);
	CHECK_EQ(s.pending, 0);
	CHECK_EQ(ktx_next_launch(W.a.tx), 0);
	suite_check_tx();
}

static void fate_full(void)
{
	KTRXER_OPTS(ktx_opts, o);
	static uint8_t buf[16][128];
	struct ktx_probe p[16] = { 0 };
	struct ktx_done d[16];
	struct ktx_stats s;
	uint64_t launch;

	o.max_pending = 8;
	suite_world();
	suite_tx(&o);
	launch = ktrxer_now(W.a.port) + 3600 * SUITE_SECOND;
	for (unsigned int i = 0; i < 16; i++) {
		p[i].frame = buf[i];
		p[i].len = suite_frame(buf[i], sizeof(buf[i]), i, 60);
		p[i].id = i;
		p[i].launch_ns = launch;
	}
	CHECK_EQ(ktx_submit(W.a.tx, p, 16), 8);
	CHECK_EQ(ktx_submit(W.a.tx, p + 8, 8), -EAGAIN);
	CHECK(strstr(ktx_why(W.a.tx), "8 probes"));
	CHECK_EQ(ktx_cancel_all(W.a.tx), 8);
	CHECK_EQ(ktx_submit(W.a.tx, p + 8, 1), -EAGAIN); /* completions hold their places until fetched */
	CHECK_EQ(ktx_complete(W.a.tx, d, 16), 8);
	CHECK_EQ(ktx_submit(W.a.tx, p + 8, 8), 8);
	ktx_get_stats(W.a.tx, &s);
	CHECK_EQ(s.submitted, 16);
	CHECK_EQ(s.refused, 8 + 8 + 1);
	CHECK_EQ(s.pending, 8);
	suite_check_tx();
}

static void fate_turned_away(void)
{
	static uint8_t buf[70000];
	struct ktx_probe p = { .frame = buf, .len = 13 };
	struct ktrxer_info info;

	suite_world();
	suite_tx(NULL);
	CHECK_EQ(ktx_submit(W.a.tx, &p, 1), -EINVAL);
	CHECK(strstr(ktx_why(W.a.tx), "13 bytes"));
	ktrxer_get_info(W.a.port, &info);
	p.len = info.max_frame + 9; /* room for two VLAN tags is given */
	CHECK_EQ(ktx_submit(W.a.tx, &p, 1), -EMSGSIZE);
	CHECK(strstr(ktx_why(W.a.tx), "too long"));
	p.len = 60;
	p.flags = 0x80000000u;
	CHECK_EQ(ktx_submit(W.a.tx, &p, 1), -EINVAL);
	CHECK(strstr(ktx_why(W.a.tx), "0x80000000"));
	suite_check_tx();
}

/* Longer than the interface takes: failed, with the reason; shorter ones go on. */
static void fate_too_long(void)
{
	struct ktx_done d[3];

	suite_world();
	suite_tx(NULL);
	suite_set_mtu(1000);
	suite_send(1, 1, 900);
	suite_send(2, 1, 1400);
	suite_send(3, 1, 900);
	for (int got = 0; got < 3; got += ktx_complete(W.a.tx, d + got, 3 - (unsigned int)got))
		CHECK(ktx_wait(W.a.tx, 3 * SUITE_SECOND) > 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(d[i].status, d[i].id == 2 ? KTX_FAILED : KTX_SENT);
		CHECK_EQ(d[i].reason, d[i].id == 2 ? EMSGSIZE : 0);
	}
	suite_check_tx();
}

/* The driver refuses: tried again, in order, until the policy is exhausted (engines with a scripted driver). */
static void fate_refused(void)
{
	struct krx_rule r;
	struct ktx_done d[10];
	struct ktx_stats s;

	suite_world();
	if (W.engine.real)
		SKIP("a real driver refuses only when it wants to; engine mem is scripted here, the module has a "
		     "device for it");
	suite_tx(NULL);
	suite_rx(NULL, true);
	suite_rule(&r, KRX_CAPTURE);
	suite_rules(&r, 1);
	kt_mem_refuse("conform/0", 4, ENOBUFS);
	for (uint64_t i = 0; i < 3; i++)
		submit_at(i, 0, 0, 3);
	CHECK_EQ(ktx_run(W.a.tx, 0), 3);
	CHECK_EQ(ktx_complete(W.a.tx, d, 10), 3);
	/* Probe 0 was refused three times and failed, 1 once and left at its second try, 2 at once. */
	CHECK_EQ(d[0].status, KTX_FAILED);
	CHECK_EQ(d[0].reason, ENOBUFS);
	CHECK_EQ(d[0].attempts, 3);
	CHECK_EQ(d[1].status, KTX_SENT);
	CHECK_EQ(d[1].attempts, 2);
	CHECK_EQ(d[2].attempts, 1);
	suite_expect(W.b.listener, 1, 2);
	ktx_get_stats(W.a.tx, &s);
	CHECK_EQ(s.retries, 3);
	suite_check_tx();
}

/* Three in ten refused and retries allowed: everything arrives once, in order. */
static void fate_refused_often(void)
{
	enum { N = 5000 };
	struct krx_rule r;

	suite_world();
	if (W.engine.real)
		SKIP("a real driver refuses only when it wants to; engine mem is scripted here, the module has a "
		     "device for it");
	suite_tx(NULL);
	suite_rx(NULL, true);
	suite_rule(&r, KRX_CAPTURE);
	suite_rules(&r, 1);
	kt_mem_refuse_randomly("conform/0", 300000000, EBUSY, 42);
	for (unsigned int round = 0; round < 5; round++) {
		for (unsigned int i = 0; i < N / 5; i++)
			submit_at(round * (N / 5) + i, 0, 0, 1000);
		suite_complete(round * (N / 5), N / 5, KTX_SENT);
		suite_expect(W.b.listener, round * (N / 5), N / 5);
	}
	kt_mem_refuse_randomly("conform/0", 0, 0, 0);
}

/* A pause between tries: the second try is that much later. */
static void fate_retry_pause(void)
{
	uint8_t buf[128];
	struct ktx_probe p = { .frame = buf, .id = 1, .max_attempts = 2, .retry_ns = 1000000 };
	struct ktx_done d;
	uint64_t start;

	suite_world();
	if (W.engine.real)
		SKIP("a real driver refuses only when it wants to; engine mem is scripted here, the module has a "
		     "device for it");
	suite_tx(NULL);
	p.len = suite_frame(buf, sizeof(buf), 1, 60);
	kt_mem_refuse("conform/0", 1, ENOBUFS);
	start = ktrxer_now(W.a.port);
	p.launch_ns = start + SUITE_MS;
	CHECK_EQ(ktx_submit(W.a.tx, &p, 1), 1);
	CHECK_EQ(ktx_run(W.a.tx, start + 5 * SUITE_MS), 1);
	CHECK_EQ(ktx_complete(W.a.tx, &d, 1), 1);
	CHECK_EQ(d.launch_ns, start + 2 * SUITE_MS);
	CHECK_EQ(d.attempts, 2);
	CHECK_EQ(d.reason, ENOBUFS); /* of the last refusal */
}

const struct kt_test suite_fate_cases[] = { T(fate_late),	   T(fate_cancelled),	T(fate_full),
					    T(fate_turned_away),   T(fate_too_long),	T(fate_refused),
					    T(fate_refused_often), T(fate_retry_pause), { 0 } };

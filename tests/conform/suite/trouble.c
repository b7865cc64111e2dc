/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Trouble: interfaces that go down and away, namespaces that end, memory that is not there, two at once. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
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

/* n completions, whatever they say; how many were sent. */
static unsigned int drain(unsigned int n, int *reason)
{
	unsigned int sent = 0, got = 0;

	*reason = 0;
	while (got < n) {
		struct ktx_done d[64];
		int k;

		if (ktx_wait(W.a.tx, 5 * SUITE_SECOND) <= 0)
			TEST_FAIL("only %u of %u completions came", got, n);
		k = ktx_complete(W.a.tx, d, 64);
		for (int i = 0; i < k; i++, got++) {
			CHECK(d[i].status == KTX_SENT || d[i].status == KTX_FAILED);
			sent += d[i].status == KTX_SENT;
			if (d[i].status == KTX_FAILED)
				*reason = d[i].reason;
		}
	}
	suite_check_tx();
	return sent;
}

static void trouble_sender_down(void)
{
	struct krx_packet p;
	uint64_t until, id = 100;
	int reason;

	both();
	suite_send(0, 10, 60);
	suite_complete(0, 10, KTX_SENT);
	suite_expect(W.b.listener, 0, 10);
	suite_set_up('a', false);
	suite_send(10, 10, 60);
	CHECK_EQ(drain(10, &reason), 0);
	CHECK_EQ(reason, ENETDOWN);
	suite_set_up('a', true);
	until = ktrxer_now(W.a.port) + suite_patience();
	while (ktrxer_now(W.a.port) < until) { /* carrier takes a moment */
		suite_send(id++, 1, 60);
		if (drain(1, &reason) && suite_next(W.b.listener, &p, 20 * SUITE_MS))
			return;
		ktrxer_wait_until(W.a.port, ktrxer_now(W.a.port) + 10 * SUITE_MS, 0);
	}
	TEST_FAIL("nothing arrives after the interface came up again");
}

/* The other end is down: no carrier, and we are told. */
static void trouble_no_carrier(void)
{
	int reason;

	suite_world();
	if (suite_cards())
		SKIP("what lies between two cards keeps up their links when the other is set down");
	suite_tx(NULL);
	suite_set_up('b', false);
	suite_send(0, 5, 60);
	CHECK_EQ(drain(5, &reason), 0);
	CHECK_EQ(reason, ENETDOWN);
}

static void trouble_receiver_down(void)
{
	struct krx_packet p;
	int ret, reason;
	uint64_t id = 100, until;

	both();
	suite_send(0, 10, 60);
	suite_complete(0, 10, KTX_SENT);
	suite_expect(W.b.listener, 0, 10);
	suite_set_up('b', false);
	for (unsigned int i = 0; i < 50; i++) {
		ret = krx_next(W.b.listener, &p, 100 * SUITE_MS);
		if (ret < 0)
			break;
	}
	CHECK_EQ(ret, -ENETDOWN);
	CHECK(strstr(krx_why(W.b.rx), "is down"));
	suite_set_up('b', true);
	until = ktrxer_now(W.a.port) + suite_patience();
	while (ktrxer_now(W.a.port) < until) {
		suite_send(id++, 1, 60);
		drain(1, &reason);
		if (krx_next(W.b.listener, &p, 20 * SUITE_MS) == 1)
			return;
		ktrxer_wait_until(W.a.port, ktrxer_now(W.a.port) + 10 * SUITE_MS, 0);
	}
	TEST_FAIL("nothing is received after the interface came up again");
}

static void trouble_gone(void)
{
	struct ktrxer_info info;
	struct krx_packet p;
	int ret = 0, reason;

	both();
	suite_send(0, 10, 60);
	suite_complete(0, 10, KTX_SENT);
	suite_expect(W.b.listener, 0, 10);
	suite_remove();
	suite_send(10, 10, 60);
	CHECK_EQ(drain(10, &reason), 0);
	CHECK(reason == ENODEV || reason == ENXIO || reason == ENETDOWN);
	for (unsigned int i = 0; i < 50 && ret >= 0; i++)
		ret = krx_next(W.b.listener, &p, 100 * SUITE_MS);
	CHECK_EQ(ret, -ENODEV);
	CHECK(strstr(krx_why(W.b.rx), "went away"));
	if (W.engine.real)
		CHECK_EQ(ktrxer_get_info(W.a.port, &info), -ENODEV);
	/* The ports close as ever: suite_down() does it. */
}

static int go[2]; /* the main thread writes when it is in the middle of sending */
static bool removed; /* read when the thread has ended */

static void *remove_soon(void *arg)
{
	char c;

	(void)!read(go[0], &c, 1);
	removed = suite_cut();
	return arg;
}

/* Deleted in the middle of sending and receiving: everything is accounted for and nothing hangs. */
static void trouble_gone_in_flight(void)
{
	pthread_t thread;
	unsigned int sent = 0, failed = 0;
	struct krx_packet p;
	int reason;

	both();
	if (!W.engine.real)
		SKIP("virtual time stands still while something is in flight; trouble_gone is the same there");
	CHECK_EQ(pipe(go), 0);
	CHECK_EQ(pthread_create(&thread, NULL, remove_soon, NULL), 0);
	for (unsigned int i = 0; i < 100000 && failed < 200; i += 100) {
		unsigned int n;

		suite_send(i, 100, 60);
		n = drain(100, &reason);
		sent += n;
		failed += 100 - n;
		if (i == 2000)
			CHECK_EQ(write(go[1], "x", 1), 1);
		while (krx_next(W.b.listener, &p, 0) == 1)
			;
	}
	pthread_join(thread, NULL);
	close(go[0]);
	close(go[1]);
	CHECK(removed);
	CHECK(sent >= 2000);
	CHECK(failed >= 200);
	suite_check_tx();
	suite_check_rx();
}

/* The far namespace ends, and its end of the link with it. */
static void trouble_namespace_gone(void)
{
	struct krx_packet p;
	int reason, ret = 0;
	unsigned int sent = 10;

	both();
	if (!W.engine.real)
		SKIP("a wire in memory has no namespace");
	/* Nothing may hold it: neither the holder nor our descriptors. */
	close(W.ns_b);
	W.ns_b = -1;
	close(W.host_fd);
	W.host_fd = -1;
	krx_close(NULL);
	kill(W.holder, SIGKILL);
	waitpid(W.holder, NULL, 0);
	/* The receiver's own sockets keep the namespace alive, which is its right; its link can be cut all the same. */
	CHECK(suite_cut());
	suite_send(0, 10, 60);
	sent = drain(10, &reason);
	CHECK_EQ(sent, 0);
	for (unsigned int i = 0; i < 50 && ret >= 0; i++)
		ret = krx_next(W.b.listener, &p, 100 * SUITE_MS);
	CHECK_EQ(ret, -ENODEV);
	CHECK(strstr(krx_why(W.b.rx), "went away"));
	suite_check_tx();
	suite_check_rx();
}

static void trouble_mtu_changes(void)
{
	struct ktrxer_info info;
	KTRXER_OPTS(ktx_opts, o);

	o.max_frame = 9014;
	suite_world();
	suite_tx(&o); /* for frames longer than today's MTU */
	suite_send(0, 5, 1514);
	suite_complete(0, 5, KTX_SENT);
	suite_send(5, 5, 5000);
	suite_complete(5, 5, KTX_FAILED);
	suite_set_mtu(6000);
	ktrxer_get_info(W.a.port, &info);
	CHECK_EQ(info.mtu, 6000);
	CHECK_EQ(info.max_frame, 6014);
	suite_send(10, 5, 5000);
	suite_complete(10, 5, KTX_SENT);
	suite_set_mtu(1500);
	suite_send(15, 5, 5000);
	suite_complete(15, 5, KTX_FAILED);
	suite_check_tx();
}

static void trouble_no_memory(void)
{
	KTRXER_OPTS(krx_opts, o);
	struct ktrxer_err err = { 0 };
	struct krx *rx;
	int ret;

	suite_world();
	o.ring_bytes = 1ull << 40;
	ret = krx_open(&rx, W.b.port, &o, &err);
	suite_rx_possible(ret, &err);
	CHECK(ret == -ENOMEM || ret == -EINVAL);
	CHECK(strlen(err.text) > 10);
	CHECK(!rx);
	if (!W.engine.real) {
		kt_mem_fail_memory("conform/1");
		o.ring_bytes = 0;
		CHECK_EQ(krx_open(&rx, W.b.port, &o, &err), -ENOMEM);
	}
	/* The port is as good as before. */
	suite_tx(NULL);
	suite_rx(NULL, true);
}

static void trouble_no_interface(void)
{
	KTRXER_OPTS(ktrxer_opts, o);
	struct ktrxer_err err = { 0 };
	struct ktrxer *port;

	suite_world();
	if (!W.engine.real)
		SKIP("a wire in memory is made by opening it");
	o.engine = W.engine.name;
	CHECK_EQ(ktrxer_open(&port, "nosuchif0", &o, &err), -ENODEV);
	CHECK(strstr(err.text, "nosuchif0"));
	CHECK(!port);
	CHECK_EQ(ktrxer_open(&port, "a-name-that-is-much-too-long", &o, &err), -ENODEV);
	o.engine = "warp";
	CHECK_EQ(ktrxer_open(&port, "kta", &o, &err), -EINVAL);
	CHECK(strstr(err.text, "warp"));
}

/* A second process on the same interfaces: it works, or is told who has them; we are not disturbed. */
static void trouble_two_processes(void)
{
	int status, pid;

	both();
	if (!W.engine.real)
		SKIP("a wire in memory lives in one process");
	pid = fork();
	if (!pid) {
		KTRXER_OPTS(ktrxer_opts, o);
		struct ktrxer_err err = { 0 };
		struct ktrxer *port = NULL;
		struct ktx *tx = NULL;
		uint8_t buf[128];
		struct ktx_probe p = { .frame = buf, .id = 1 };
		int ret;

		o.engine = W.engine.name;
		o.xdp_mode = W.engine.xdp_mode;
		ret = ktrxer_open(&port, "kta", &o, &err);
		if (!ret)
			ret = ktx_open(&tx, port, NULL, &err);
		if (ret == -EBUSY && strstr(err.text, "kta"))
			_exit(10);
		if (ret)
			_exit(1);
		p.len = suite_frame(buf, sizeof(buf), 1000, 60);
		ret = ktx_submit(tx, &p, 1) == 1 && ktx_wait(tx, SUITE_SECOND) == 1;
		ktx_close(tx);
		ktrxer_close(port);
		_exit(ret ? 0 : 2);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	if (WEXITSTATUS(status) == 0)
		suite_expect(W.b.listener, 1000, 1);
	else
		CHECK_EQ(WEXITSTATUS(status), 10);
	suite_send(0, 10, 60);
	suite_complete(0, 10, KTX_SENT);
	suite_expect(W.b.listener, 0, 10);
}

const struct kt_test suite_trouble_cases[] = { T(trouble_sender_down),
					       T(trouble_no_carrier),
					       T(trouble_receiver_down),
					       T(trouble_gone),
					       T(trouble_gone_in_flight),
					       T(trouble_namespace_gone),
					       T(trouble_mtu_changes),
					       T(trouble_no_memory),
					       T(trouble_no_interface),
					       T(trouble_two_processes),
					       { 0 } };

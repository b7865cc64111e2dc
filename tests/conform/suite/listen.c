/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Listeners: several at their own pace, full rings, other processes that attach and are killed. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

static void world(uint64_t ring_bytes, bool lossless, const char *share)
{
	KTRXER_OPTS(krx_opts, o);
	struct krx_rule r;

	o.ring_bytes = ring_bytes;
	o.share_path = share;
	suite_world();
	suite_tx(NULL);
	suite_rx(&o, lossless);
	suite_rule(&r, KRX_CAPTURE);
	suite_rules(&r, 1);
}

static void send_all(uint64_t first, unsigned int n)
{
	for (unsigned int i = 0; i < n; i += 100) {
		suite_send(first + i, 100, 200);
		suite_complete(first + i, 100, KTX_SENT);
		while (krx_pump(W.b.rx) > 0)
			;
	}
}

/* Where a card or a thread of the kernel is between, the last ones may still be on their way. */
static void all_met(struct krx_stats *s, uint64_t n)
{
	uint64_t until = ktrxer_now(W.b.port) + 3 * SUITE_SECOND;

	do {
		krx_pump(W.b.rx);
		krx_get_stats(W.b.rx, s);
	} while (W.engine.real && s->delivered + s->lost_ring < n && ktrxer_now(W.b.port) < until);
}

static void listen_own_pace(void)
{
	struct krx_listener *slow, *late;

	world(0, true, NULL);
	slow = suite_listen(true);
	send_all(0, 500);
	suite_expect(W.b.listener, 0, 500);
	late = suite_listen(true); /* sees what comes from now on */
	send_all(500, 500);
	suite_expect(W.b.listener, 500, 500);
	suite_expect(slow, 0, 1000);
	suite_expect(late, 500, 500);
}

/* The ring is small and the listener lossless: what does not fit is refused and counted, what is in stays. */
static void listen_lossless(void)
{
	struct krx_listener_stats ls;
	struct krx_stats s;
	struct krx_packet p;
	uint64_t n = 0;

	world(64 << 10, true, NULL);
	send_all(0, 2000);
	all_met(&s, 2000);
	CHECK(s.lost_ring > 0);
	CHECK_EQ(s.delivered + s.lost_ring, 2000);
	krx_listener_get_stats(W.b.listener, &ls);
	CHECK_EQ(ls.held, s.lost_ring);
	CHECK_EQ(ls.lost_overrun, 0);
	CHECK(ls.unread_bytes > 0);
	while (n < s.delivered) {
		CHECK(suite_next(W.b.listener, &p, 3 * SUITE_SECOND));
		CHECK_EQ(suite_id(&p), n);
		CHECK_EQ(p.seq, n);
		n++;
	}
	suite_expect_nothing(W.b.listener);
	send_all(5000, 100); /* there is room again, and the next record tells of the loss */
	CHECK(suite_next(W.b.listener, &p, 3 * SUITE_SECOND));
	CHECK_EQ(suite_id(&p), 5000);
	CHECK_EQ(p.lost_before, (uint32_t)s.lost_ring);
	suite_check_rx();
}

/* A lossy listener never holds the ring, and its loss is exact. */
static void listen_lossy(void)
{
	struct krx_listener_stats ls;
	struct krx_stats s;
	struct krx_packet p;
	uint64_t n = 0, last = 0;

	world(64 << 10, false, NULL);
	send_all(0, 2000);
	all_met(&s, 2000);
	CHECK_EQ(s.lost_ring, 0);
	CHECK_EQ(s.delivered, 2000);
	while (suite_next(W.b.listener, &p, 30 * SUITE_MS)) {
		CHECK_EQ(suite_id(&p), p.seq);
		CHECK(!n || p.seq == last + 1);
		last = p.seq;
		n++;
	}
	krx_listener_get_stats(W.b.listener, &ls);
	CHECK_EQ(last, 1999);
	CHECK_EQ(ls.delivered, n);
	CHECK_EQ(ls.lost_overrun, 2000 - n);
	CHECK(ls.lost_overrun > 0);
}

/* A lossless listener that reads and a lossy one that sleeps do not disturb each other. */
static void listen_mixed(void)
{
	struct krx_listener *lossy;
	struct krx_listener_stats ls;
	struct krx_packet p;
	uint64_t n = 0;

	world(64 << 10, true, NULL);
	lossy = suite_listen(false);
	for (unsigned int i = 0; i < 2000; i += 100) {
		send_all(i, 100);
		suite_expect(W.b.listener, i, 100);
	}
	while (suite_next(lossy, &p, 30 * SUITE_MS))
		n++;
	krx_listener_get_stats(lossy, &ls);
	CHECK_EQ(n + ls.lost_overrun, 2000);
	krx_listener_get_stats(W.b.listener, &ls);
	CHECK_EQ(ls.delivered, 2000);
	CHECK_EQ(ls.held, 0);
}

static void listen_too_many(void)
{
	struct krx_listener *l[128] = { 0 };
	struct ktrxer_err err = { 0 };
	unsigned int n = 0;

	world(0, false, NULL);
	while (n < 128 && !krx_listen(&l[n], W.b.rx, NULL, &err))
		n++;
	for (unsigned int i = 0; i < n; i++)
		krx_unlisten(l[i]);
	CHECK(n >= 63 && n < 128);
	CHECK_EQ(err.code, ENOSPC);
	CHECK_EQ(krx_listen(&l[0], W.b.rx, NULL, &err), 0); /* places come back */
	krx_unlisten(l[0]);
}

/* --- other processes --- */

static const char *share_path(void)
{
	static char path[] = "/tmp/kt-suite-XXXXXX";
	static bool made;

	/* A child uses its parent's. Worlds that run side by side share /tmp, and count their processes from 1. */
	if (!made) {
		int fd = mkstemp(path);

		if (fd < 0)
			TEST_FAIL("%s: %s", path, strerror(errno));
		close(fd);
		unlink(path);
		made = true;
	}
	return path;
}

/* A child that attaches and reads n frames, writing to fd when it listens. Exit status 0: all came in order. */
static int child_listener(int ready, bool lossless, unsigned int n)
{
	KTRXER_OPTS(krx_listen_opts, o);
	struct krx *rx;
	struct krx_listener *l;
	struct krx_packet p;

	o.lossless = lossless;
	if (krx_connect(&rx, share_path(), NULL) || krx_listen(&l, rx, &o, NULL) || write(ready, "x", 1) != 1)
		return 2;
	if (!n)
		for (;;)
			pause();
	for (unsigned int i = 0; i < n; i++) {
		if (krx_next(l, &p, 5 * SUITE_SECOND) != 1 || suite_id(&p) != i)
			return 3;
	}
	krx_unlisten(l);
	krx_close(rx);
	return 0;
}

static int start_child(bool lossless, unsigned int n)
{
	int ready[2], pid;
	char c;

	if (pipe(ready))
		return -1;
	pid = fork();
	if (!pid) {
		close(ready[0]);
		_exit(child_listener(ready[1], lossless, n));
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		TEST_FAIL("the other process could not listen");
	close(ready[0]);
	return pid;
}

static void listen_other_process(void)
{
	int pid, status;

	world(0, true, share_path());
	pid = start_child(true, 500);
	send_all(0, 500);
	suite_expect(W.b.listener, 0, 500);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK_EQ(access(share_path(), F_OK), 0);
	krx_unlisten(NULL);
	suite_down();
	CHECK_EQ(access(share_path(), F_OK), -1);
}

/* Killed while it holds the ring: the ring goes on without it. */
static void listen_killed(void)
{
	struct krx_stats s;
	uint64_t lost;
	int pid;

	world(64 << 10, false, share_path());
	pid = start_child(true, 0);
	send_all(0, 1000);
	all_met(&s, 1000);
	CHECK(s.lost_ring > 0); /* it does hold it */
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	for (unsigned int i = 0; i < 3000; i++) { /* until the owner has seen the connection close */
		lost = s.lost_ring;
		send_all(1000 + i * 1000, 1000);
		krx_get_stats(W.b.rx, &s);
		if (s.lost_ring == lost)
			break;
	}
	CHECK_EQ(s.lost_ring, lost);
	suite_check_rx();
}

/* Rules and counters from another process. */
static void listen_remote_rules(void)
{
	struct krx *remote;
	struct krx_rule r[3], got[4];
	struct krx_rule_stats rs[4];
	struct ktrxer_err err = { 0 };
	struct krx_stats s;
	uint32_t id;

	world(0, true, share_path());
	CHECK_EQ(krx_connect(&remote, share_path(), &err), 0);
	CHECK_EQ(krx_rules_list(remote, got, rs, 4), 1);
	suite_rule(&r[0], KRX_CAPTURE);
	suite_rule(&r[1], KRX_FORWARD);
	r[1].priority = 7;
	r[1].sport_lo = r[1].sport_hi = 40000;
	r[0].id = 1;
	r[1].id = 2;
	CHECK_EQ(krx_rules_replace(remote, r, 2), 0);
	send_all(0, 100);
	suite_expect_nothing(W.b.listener);
	for (unsigned int i = 0; i < 3000; i++) { /* until the last of them has arrived and been judged */
		CHECK_EQ(krx_rules_list(remote, got, rs, 4), 2);
		if (rs[0].pkts >= 100)
			break;
		usleep(1000);
	}
	CHECK_EQ(got[0].id, 2);
	CHECK_EQ(rs[0].pkts, 100);
	CHECK_EQ(krx_rule_delete(remote, 2), 0);
	suite_rule(&r[2], KRX_CAPTURE);
	r[2].dport_lo = 9;
	r[2].dport_hi = 3;
	CHECK_EQ(krx_rule_add(remote, &r[2], &id), -EINVAL);
	CHECK(strlen(krx_why(remote)) > 5);
	r[2].dport_hi = 9;
	CHECK_EQ(krx_rule_add(remote, &r[2], &id), 0);
	send_all(100, 100);
	suite_expect(W.b.listener, 100, 100);
	CHECK_EQ(krx_get_stats(remote, &s), 0);
	CHECK_EQ(s.delivered, 100);
	krx_close(remote);
	CHECK_EQ(krx_connect(&remote, "/tmp/kt-nobody.sock", &err), -ENOENT);
	CHECK(strstr(err.text, "/tmp/kt-nobody.sock"));
}

const struct kt_test suite_listen_cases[] = { T(listen_own_pace), T(listen_lossless),	  T(listen_lossy),
					      T(listen_mixed),	  T(listen_too_many),	  T(listen_other_process),
					      T(listen_killed),	  T(listen_remote_rules), { 0 } };

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Receiving: each operation, slices, sampling, quotas, rewriting, counters. */
#include <errno.h>

#include "suite.h"

static void world(void)
{
	suite_world();
	suite_tx(NULL);
	suite_rx(NULL, true);
}

/* Sends n frames from a source port, ids from first. */
static void send_from(uint16_t sport, uint64_t first, unsigned int n)
{
	static uint8_t buf[256];

	for (unsigned int i = 0; i < n; i++) {
		struct ktx_probe p = { .frame = buf, .id = first + i, .max_attempts = suite_attempts() };
		struct kt_packet_spec s;

		suite_spec(&s);
		s.flow.sport = sport;
		p.len = suite_build(buf, sizeof(buf), &s, first + i, 100);
		CHECK_EQ(ktx_submit(W.a.tx, &p, 1), 1);
	}
	suite_complete(first, n, KTX_SENT);
}

/* What the host got before a sentinel that no rule touches: counts per source port. */
static unsigned int host_got(uint16_t sport)
{
	unsigned int n = 0, tries = 0;
	uint64_t until = ktrxer_now(W.b.port) + 3 * SUITE_SECOND;

	send_from(39999, 999999, 1);
	krx_pump(W.b.rx); /* engines that judge in user space decide now */
	while (ktrxer_now(W.b.port) < until && (W.engine.real || tries++ < 100)) {
		uint64_t id;
		uint16_t from;

		while (suite_host_next(&id, &from)) {
			if (id == 999999)
				return n;
			n += from == sport;
		}
		krx_pump(W.b.rx);
	}
	TEST_FAIL("the host did not get the sentinel");
	return n;
}

static struct krx_rule from_port(uint16_t sport, enum krx_op op)
{
	struct krx_rule r;

	suite_rule(&r, op);
	r.sport_lo = r.sport_hi = sport;
	return r;
}

static void rx_no_rule(void)
{
	struct krx_stats s;

	world();
	send_from(40000, 0, 20);
	suite_expect_nothing(W.b.listener);
	CHECK_EQ(host_got(40000), 20);
	krx_get_stats(W.b.rx, &s);
	CHECK_EQ(s.delivered, 0);
	CHECK(s.passed >= 21);
	suite_check_rx();
}

static void rx_capture(void)
{
	struct krx_rule r;
	struct krx_rule_stats rs;

	world();
	r = from_port(40001, KRX_CAPTURE);
	suite_rules(&r, 1);
	send_from(40001, 0, 30);
	send_from(40002, 100, 5);
	suite_expect(W.b.listener, 0, 30);
	CHECK_EQ(host_got(40001), 30); /* a copy: the host has it too */
	CHECK_EQ(krx_rules_list(W.b.rx, NULL, &rs, 1), 1);
	CHECK_EQ(rs.pkts, 30);
	CHECK_EQ(rs.bytes, 3000);
	suite_check_rx();
}

static void rx_refused_op(enum krx_op op)
{
	struct krx_rule r = from_port(40001, op), kept[2];

	r.id = 77;
	CHECK_EQ(krx_rules_replace(W.b.rx, &r, 1), -EOPNOTSUPP);
	CHECK(strstr(krx_why(W.b.rx), "rule 77"));
	CHECK(strstr(krx_why(W.b.rx), W.engine.name));
	CHECK_EQ(krx_rules_list(W.b.rx, kept, NULL, 2), 0); /* nothing changed */
}

static void rx_drop(void)
{
	struct krx_rule r;
	struct krx_stats s;

	world();
	if (!suite_can(KRX_DROP)) {
		rx_refused_op(KRX_DROP);
		return;
	}
	r = from_port(40001, KRX_DROP);
	suite_rules(&r, 1);
	send_from(40001, 0, 30);
	suite_expect_nothing(W.b.listener);
	CHECK_EQ(host_got(40001), 0);
	krx_get_stats(W.b.rx, &s);
	CHECK_EQ(s.dropped, 30);
	suite_check_rx();
}

static void rx_capture_drop(void)
{
	struct krx_rule r;
	struct krx_packet p;

	world();
	if (!suite_can(KRX_CAPTURE_DROP)) {
		rx_refused_op(KRX_CAPTURE_DROP);
		return;
	}
	r = from_port(40001, KRX_CAPTURE_DROP);
	r.tag = 4711;
	r.id = 12;
	suite_rules(&r, 1);
	send_from(40001, 0, 1);
	CHECK(suite_next(W.b.listener, &p, 3 * SUITE_SECOND));
	CHECK_EQ(p.tag, 4711);
	CHECK_EQ(p.rule_id, 12);
	CHECK_EQ(p.op, KRX_CAPTURE_DROP);
	CHECK_EQ(p.caplen, 100);
	CHECK_EQ(p.wirelen, 100);
	send_from(40001, 1, 30);
	suite_expect(W.b.listener, 1, 30);
	CHECK_EQ(host_got(40001), 0);
	suite_check_rx();
}

/* Forward wins over a capture of lower priority: nothing is delivered. */
static void rx_forward(void)
{
	struct krx_rule r[2];

	world();
	suite_rule(&r[0], KRX_CAPTURE);
	r[1] = from_port(40001, KRX_FORWARD);
	r[1].priority = 1;
	suite_rules(r, 2);
	send_from(40001, 0, 10);
	send_from(40002, 10, 10);
	suite_expect(W.b.listener, 10, 10);
	CHECK_EQ(host_got(40001), 10);
	suite_check_rx();
}

static void rx_slices(void)
{
	static const struct {
		enum krx_slice base;
		uint16_t off;
		uint32_t bytes;
		uint32_t want_off;
		uint32_t want_bytes;
	} table[] = {
		{ KRX_SLICE_LINK, 0, 0, 0, 100 },      { KRX_SLICE_LINK, 0, 64, 0, 64 },
		{ KRX_SLICE_NETWORK, 0, 20, 14, 20 },  { KRX_SLICE_TRANSPORT, 0, 8, 34, 8 },
		{ KRX_SLICE_PAYLOAD, 0, 0, 42, 58 },   { KRX_SLICE_PAYLOAD, 8, 8, 50, 8 },
		{ KRX_SLICE_PAYLOAD, 50, 100, 92, 8 }, { KRX_SLICE_LINK, 99, 1000, 99, 1 },
		{ KRX_SLICE_NETWORK, 2, 2, 16, 2 },
	};
	uint8_t frame[256];

	world();
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct krx_rule r = from_port(40001, KRX_CAPTURE);
		struct kt_packet_spec s;
		struct krx_packet p;

		r.slice = table[i].base;
		r.slice_off = table[i].off;
		r.slice_bytes = table[i].bytes;
		suite_rules(&r, 1);
		send_from(40001, i, 1);
		CHECK_EQ(krx_next(W.b.listener, &p, 3 * SUITE_SECOND), 1);
		CHECK_EQ(p.slice_off, table[i].want_off);
		CHECK_EQ(p.caplen, table[i].want_bytes);
		CHECK_EQ(p.wirelen, 100);
		suite_spec(&s);
		s.flow.sport = 40001;
		CHECK_EQ(suite_build(frame, sizeof(frame), &s, i, 100), 100);
		CHECK_MEM(p.data, frame + p.slice_off, p.caplen);
	}
	suite_check_rx();
}

static void rx_sample(void)
{
	struct krx_rule r;
	struct krx_packet p;
	unsigned int n = 0;

	world();
	r = from_port(40001, KRX_CAPTURE);
	r.sample_n = 5;
	suite_rules(&r, 1);
	send_from(40001, 0, 100);
	while (n < 20 && suite_next(W.b.listener, &p, 3 * SUITE_SECOND))
		n++;
	CHECK_EQ(n, 20);
	suite_expect_nothing(W.b.listener);
	suite_check_rx();
}

/* A used-up rule no longer matches: the next one does. */
static void rx_quota(void)
{
	struct krx_rule r[2];
	struct krx_packet p;

	world();
	r[0] = from_port(40001, KRX_CAPTURE);
	r[0].priority = 1;
	r[0].quota_pkts = 7;
	r[0].tag = 1;
	r[1] = from_port(40001, KRX_CAPTURE);
	r[1].tag = 2;
	suite_rules(r, 2);
	send_from(40001, 0, 10);
	for (unsigned int i = 0; i < 10; i++) {
		CHECK(suite_next(W.b.listener, &p, 3 * SUITE_SECOND));
		CHECK_EQ(p.tag, i < 7 ? 1 : 2);
	}
	suite_check_rx();
}

/* The host gets the packet as rewritten, with right checksums; the copy shows it as it came. */
static void rx_rewrite(void)
{
	struct krx_rule r;
	uint64_t id;
	uint16_t sport = 0;
	struct krx_packet p;
	uint64_t until;
	unsigned int tries = 0;

	world();
	r = from_port(40001, KRX_CAPTURE);
	r.rewrite = KRX_REWRITE_SPORT | KRX_REWRITE_SRC_IP | KRX_REWRITE_TTL;
	r.new_sport = 5555;
	memcpy(r.new_src, "\x0a\x4d\x00\x09", 4);
	r.new_ttl = 33;
	if (krx_rules_replace(W.b.rx, &r, 1)) {
		CHECK(!suite_can(KRX_DROP)); /* only engines that see copies may refuse */
		CHECK(strstr(krx_why(W.b.rx), "cannot rewrite"));
		return;
	}
	send_from(40001, 5, 1);
	CHECK(suite_next(W.b.listener, &p, 3 * SUITE_SECOND));
	CHECK_EQ(p.data[34] << 8 | p.data[35], 40001);
	until = ktrxer_now(W.b.port) + 3 * SUITE_SECOND;
	while (!suite_host_next(&id, &sport) && ktrxer_now(W.b.port) < until && (W.engine.real || tries++ < 100))
		krx_pump(W.b.rx);
	CHECK_EQ(sport, 5555); /* a wrong checksum would not have come through the stack */
	CHECK_EQ(id, 5);
}

/*
 * Out of another interface: what arrives at b leaves through a second link,
 * whose far end is watched; B's host does not get it.
 */
static void rx_forward_out(void)
{
	struct suite_side side;
	struct krx_rule r;
	struct krx_stats s;

	world();
	r = from_port(40001, KRX_FORWARD);
	r.out_ifindex = suite_side(&side);
	if (!suite_can(KRX_DROP)) {
		CHECK_EQ(krx_rules_replace(W.b.rx, &r, 1), -EOPNOTSUPP);
		CHECK(strstr(krx_why(W.b.rx), "forward out of an interface"));
		suite_side_down(&side);
		return;
	}
	suite_rules(&r, 1);
	for (unsigned int i = 0; i < 10; i++) {
		send_from(40001, i, 1);
		krx_pump(W.b.rx);
	}
	suite_expect(side.listener, 0, 10);
	CHECK_EQ(host_got(40001), 0);
	krx_get_stats(W.b.rx, &s);
	CHECK_EQ(s.forwarded, 10);
	suite_check_rx();
	suite_side_down(&side);
}

/* Everything that comes in, of whatever kind, is counted once. */
static void rx_identity(void)
{
	struct krx_rule r[3];
	struct krx_stats s;
	unsigned int n = 2;

	world();
	r[0] = from_port(40001, KRX_CAPTURE);
	r[1] = from_port(40002, KRX_FORWARD);
	if (suite_can(KRX_DROP))
		r[n++] = from_port(40003, KRX_DROP);
	suite_rules(r, n);
	for (unsigned int i = 0; i < 40; i++)
		send_from((uint16_t)(40000 + i % 5), i, 1);
	for (unsigned int i = 0; i < 8; i++) {
		struct krx_packet p;

		CHECK(suite_next(W.b.listener, &p, 3 * SUITE_SECOND));
	}
	host_got(1);
	krx_get_stats(W.b.rx, &s);
	CHECK_EQ(s.delivered, 8);
	CHECK_EQ(s.dropped, n == 3 ? 8 : 0);
	CHECK(s.seen >= 41);
	suite_check_rx();
}

const struct kt_test suite_rx_cases[] = { T(rx_no_rule), T(rx_capture),	    T(rx_drop),	    T(rx_capture_drop),
					  T(rx_forward), T(rx_slices),	    T(rx_sample),   T(rx_quota),
					  T(rx_rewrite), T(rx_forward_out), T(rx_identity), { 0 } };

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Rules: every kind of match, priorities, replacement under traffic, refusals. */
#include <errno.h>
#include <pthread.h>

#include "core/ring.h"
#include "suite.h"

static void world(void)
{
	suite_world();
	suite_tx(NULL);
	suite_rx(NULL, true);
}

static void send_spec(const struct kt_packet_spec *s, uint64_t id)
{
	static uint8_t buf[256];
	struct ktx_probe p = { .frame = buf, .id = id };

	p.len = suite_build(buf, sizeof(buf), s, id, 120);
	CHECK_EQ(ktx_submit(W.a.tx, &p, 1), 1);
	suite_complete(id, 1, KTX_SENT);
}

/* What is sent, and a rule's difference from "everything": whether they meet is known. */
struct match_case {
	const char *what;
	void (*rule)(struct krx_rule *r);
	bool hits[6]; /* which of the frames below */
};

/* The frames: 0 UDP 40000->7777, 1 UDP 40000->7778, 2 TCP 40000->7777, 3 UDP from 10.77.1.1, 4 IPv6 UDP, 5 not IP. */
static void make_frame(unsigned int i, struct kt_packet_spec *s)
{
	suite_spec(s);
	if (i == 1)
		s->flow.dport = 7778;
	if (i == 2) {
		s->flow.proto = KT_PROTO_TCP;
		s->tcp_flags = KT_TCP_ACK;
	}
	if (i == 3)
		s->flow.src[2] = 1;
	if (i == 4) {
		memset(s->flow.src, 0, 16);
		memset(s->flow.dst, 0, 16);
		memcpy(s->flow.src, "\x20\x01\x0d\xb8", 4);
		s->flow.src[15] = 1;
		memcpy(s->flow.dst, "\x20\x01\x0d\xb8", 4);
		s->flow.dst[15] = 2;
		s->flow.version = 6;
	}
}

static void r_any(struct krx_rule *r)
{
}
static void r_v4(struct krx_rule *r)
{
	r->version = 4;
}
static void r_v6(struct krx_rule *r)
{
	r->version = 6;
}
static void r_udp(struct krx_rule *r)
{
	r->proto = KT_PROTO_UDP;
}
static void r_tcp(struct krx_rule *r)
{
	r->version = 4;
	r->proto = KT_PROTO_TCP;
}
static void r_host(struct krx_rule *r)
{
	r->version = 4;
	memcpy(r->src, "\x0a\x4d\x00\x01", 4);
	r->src_plen = 32;
}
static void r_net(struct krx_rule *r)
{
	r->version = 4;
	memcpy(r->src, "\x0a\x4d\x01\x00", 4);
	r->src_plen = 24;
}
static void r_dst6(struct krx_rule *r)
{
	r->version = 6;
	memcpy(r->dst, "\x20\x01\x0d\xb8", 4);
	r->dst_plen = 32;
}
static void r_dport(struct krx_rule *r)
{
	r->proto = KT_PROTO_UDP;
	r->dport_lo = 7778;
	r->dport_hi = 9000;
}
static void r_sports(struct krx_rule *r)
{
	r->proto = KT_PROTO_UDP;
	r->sport_lo = 39000;
	r->sport_hi = 39999;
}
static void r_ethertype(struct krx_rule *r)
{
	r->ethertype = 0x88b5;
}
static void r_ifindex(struct krx_rule *r)
{
	r->ifindex = 4000000000u;
}

static void rules_match(void)
{
	static const struct match_case table[] = {
		{ "anything", r_any, { 1, 1, 1, 1, 1, 1 } },
		{ "IPv4", r_v4, { 1, 1, 1, 1, 0, 0 } },
		{ "IPv6", r_v6, { 0, 0, 0, 0, 1, 0 } },
		{ "UDP", r_udp, { 1, 1, 0, 1, 1, 0 } },
		{ "TCP", r_tcp, { 0, 0, 1, 0, 0, 0 } },
		{ "one source", r_host, { 1, 1, 1, 0, 0, 0 } },
		{ "source /24", r_net, { 0, 0, 0, 1, 0, 0 } },
		{ "IPv6 destination /32", r_dst6, { 0, 0, 0, 0, 1, 0 } },
		{ "destination ports", r_dport, { 0, 1, 0, 0, 0, 0 } },
		{ "source ports", r_sports, { 0, 0, 0, 0, 0, 0 } },
		{ "ethertype", r_ethertype, { 0, 0, 0, 0, 0, 1 } },
		{ "another interface", r_ifindex, { 0, 0, 0, 0, 0, 0 } },
	};

	world();
	for (size_t t = 0; t < sizeof(table) / sizeof(table[0]); t++) {
		struct krx_rule r = { .op = KRX_CAPTURE };

		table[t].rule(&r);
		if (suite_cards())
			suite_cards_settle(); /* what the rule before did not want has come, too */
		suite_rules(&r, 1);
		for (unsigned int i = 0; i < 6; i++) {
			uint64_t id = t * 10 + i;
			struct krx_packet p;
			bool came;

			if (i < 5) {
				struct kt_packet_spec s;

				make_frame(i, &s);
				send_spec(&s, id);
			} else { /* local experimental ethertype (IEEE 802, 88-B5) around our payload */
				static uint8_t buf[128];
				struct ktx_probe probe = { .frame = buf, .id = id, .len = 100 };

				suite_frame(buf, sizeof(buf), id, 100);
				kt_put_be16(buf + 12, 0x88b5);
				CHECK_EQ(ktx_submit(W.a.tx, &probe, 1), 1);
				suite_complete(id, 1, KTX_SENT);
			}
			came = suite_next(W.b.listener, &p, table[t].hits[i] ? 3 * SUITE_SECOND : 5 * SUITE_MS);
			if (came != table[t].hits[i])
				TEST_FAIL("rule \"%s\": frame %u %s", table[t].what, i, came ? "came" : "did not come");
			if (came)
				CHECK_EQ(suite_id(&p), id);
		}
	}
	suite_check_rx();
}

static void rules_priority(void)
{
	struct krx_rule r[4];
	struct krx_packet p;
	static const uint32_t want[] = { 3, 1, 2 }; /* winner, then after deleting it, then after that */

	world();
	for (unsigned int i = 0; i < 4; i++) {
		suite_rule(&r[i], KRX_CAPTURE);
		r[i].id = i + 1;
		r[i].tag = i + 1;
	}
	r[2].priority = 10; /* wins; 1 and 2 are equal: the earlier; 4 comes last */
	r[0].priority = r[1].priority = 5;
	r[3].priority = -5;
	suite_rules(r, 4);
	for (unsigned int i = 0; i < 3; i++) {
		suite_send(i, 1, 60);
		suite_complete(i, 1, KTX_SENT);
		CHECK(suite_next(W.b.listener, &p, 3 * SUITE_SECOND));
		CHECK_EQ(p.tag, want[i]);
		CHECK_EQ(krx_rule_delete(W.b.rx, want[i]), 0);
	}
	CHECK_EQ(krx_rule_delete(W.b.rx, want[0]), -ENOENT);
	CHECK(strstr(krx_why(W.b.rx), "id 3"));
}

/* Counters of a rule whose id stays go on; ids are given to those without. */
static void rules_counters(void)
{
	struct krx_rule r[2], got[3];
	struct krx_rule_stats rs[3];
	uint32_t id = 0;

	world();
	suite_rule(&r[0], KRX_CAPTURE);
	r[0].id = 9;
	suite_rules(r, 1);
	suite_send(0, 5, 60);
	suite_complete(0, 5, KTX_SENT);
	suite_expect(W.b.listener, 0, 5);
	suite_rule(&r[1], KRX_CAPTURE);
	CHECK_EQ(krx_rule_add(W.b.rx, &r[1], &id), 0);
	CHECK(id && id != 9);
	suite_send(5, 5, 60);
	suite_complete(5, 5, KTX_SENT);
	suite_expect(W.b.listener, 5, 5);
	CHECK_EQ(krx_rules_list(W.b.rx, got, rs, 3), 2);
	CHECK_EQ(got[0].id, 9);
	CHECK_EQ(rs[0].pkts, 10);
	CHECK_EQ(rs[0].bytes, 600);
	CHECK_EQ(rs[1].pkts, 0);
	CHECK_EQ(got[1].id, id);
}

static void rules_refused(void)
{
	struct krx_rule r[2];
	struct krx_rule_stats rs;

	world();
	suite_rule(&r[0], KRX_CAPTURE);
	r[0].id = 5;
	suite_rules(r, 1);
	r[1] = r[0];
	CHECK_EQ(krx_rules_replace(W.b.rx, r, 2), -EINVAL); /* the same id twice */
	CHECK(strstr(krx_why(W.b.rx), "id 5"));
	r[1].id = 6;
	r[1].dport_lo = 10;
	r[1].dport_hi = 5;
	CHECK_EQ(krx_rules_replace(W.b.rx, r, 2), -EINVAL);
	CHECK(strstr(krx_why(W.b.rx), "rule 6"));
	suite_rule(&r[1], KRX_CAPTURE);
	r[1].src_plen = 33;
	CHECK_EQ(krx_rules_replace(W.b.rx, r, 2), -EINVAL);
	r[1].src_plen = 0;
	r[1].op = (enum krx_op)17;
	CHECK_EQ(krx_rules_replace(W.b.rx, r, 2), -EINVAL);
	/* The old set still works. */
	CHECK_EQ(krx_rules_list(W.b.rx, NULL, &rs, 1), 1);
	CHECK_EQ(rs.id, 5);
	suite_send(0, 3, 60);
	suite_complete(0, 3, KTX_SENT);
	suite_expect(W.b.listener, 0, 3);
}

/* --- replacement under flood --- */

static uint32_t flood_fill(void *ctx, uint64_t i, uint8_t *buf)
{
	return suite_frame(buf, 128, i, 60);
}

static uint32_t flood_over;

static void *flood(void *arg)
{
	KTRXER_OPTS(ktx_flood_opts, o);

	suite_stay();
	o.count = 30000;
	o.max_frame = 128;
	o.rate_num = 30000;
	/* Nor is a frame tried again: one that veth drops, as that CPU has a thousand waiting, would leave behind the rest of its batch. */
	o.max_attempts = 1;
	o.fill = flood_fill;
	ktx_flood(W.a.tx, &o);
	kt_store_release(&flood_over, 1);
	return NULL;
}

/*
 * Each set has its own tag and catches everything by two rules. Under a flood
 * sets are exchanged all the time: no frame meets no rule, or half a set.
 */
static void rules_replace_under_flood(void)
{
	KTRXER_OPTS(krx_opts, o);
	struct krx_stats s;
	struct ktx_stats ts;
	uint64_t n = 0, changes = 0, last = 0;
	struct krx_packet p;

	o.ring_bytes = 16 << 20;
	o.thread = W.engine.real;
	suite_world();
	suite_tx(NULL);
	suite_rx(&o, true);
	kt_store_release(&flood_over, !W.engine.real);
	if (W.engine.real)
		suite_thread(flood);
	for (;;) {
		struct krx_rule r[2];
		bool more = true, over = kt_load_acquire(&flood_over);

		for (unsigned int i = 0; i < 2; i++) {
			suite_rule(&r[i], KRX_CAPTURE);
			r[i].tag = (uint32_t)changes;
			r[i].sport_lo = i ? 30000 : 1;
			r[i].sport_hi = i ? 65535 : 29999;
		}
		suite_rules(r, 2);
		if (!changes++ && !W.engine.real) {
			suite_send(0, 1000, 60);
			ktx_run(W.a.tx, 0);
		}
		for (unsigned int k = 0; k < 100 && more; k++) {
			more = suite_next(W.b.listener, &p, 200 * SUITE_MS);
			if (!more)
				break;
			CHECK(p.tag < changes);
			if (n && suite_id(&p) <= last)
				TEST_FAIL("frame %llu after %llu", (unsigned long long)suite_id(&p),
					  (unsigned long long)last);
			last = suite_id(&p);
			n++;
		}
		if (!more && n && over)
			break;
		CHECK(changes < 100000);
	}
	suite_thread_end();
	ktx_get_stats(W.a.tx, &ts);
	krx_get_stats(W.b.rx, &s);
	CHECK(changes > 8);
	/* Every frame that came after the first set was in force was delivered or counted as lost. */
	CHECK_EQ(s.delivered, n);
	CHECK(s.passed <= s.seen - n);
	/* Between cards a frame may be lost, where the far one has no room for it. */
	if (W.engine.real && !suite_cards())
		CHECK(s.delivered + s.lost_ring + s.lost_engine + s.passed >= ts.sent);
	suite_check_rx();
}

const struct kt_test suite_rules_cases[] = {
	T(rules_match), T(rules_priority), T(rules_counters), T(rules_refused), T(rules_replace_under_flood), { 0 }
};

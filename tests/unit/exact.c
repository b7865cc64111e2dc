/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Exact matching and the window of duplicates: order, loss, errors, expiry, eviction; a model for the window. */
#include "core/hash.h"
#include "lib/dedup.h"
#include "lib/exact.h"
#include "tests/test.h"

#define MS 1000000ull

static struct kt_exact *x;
static struct ktrxer_match m;
static struct kt_exact_probe found;

static u32 frame(u8 *buf, u8 proto, u8 from, u8 to, u16 sport, u16 dport, u8 tcp_flags, u32 seq, u32 ack)
{
	struct kt_packet_spec s = { .tcp_flags = tcp_flags, .tcp_seq = seq, .tcp_ack = ack };
	int n;

	s.flow.version = 4;
	s.flow.proto = proto;
	s.flow.src[3] = from;
	s.flow.dst[3] = to;
	if (proto == KT_PROTO_ICMP) {
		s.icmp_id = sport;
		s.icmp_seq = dport;
		s.flow.dport = tcp_flags ? 0 : 8 << 8; /* the answer when set */
	} else {
		s.flow.sport = sport;
		s.flow.dport = dport;
	}
	n = kt_packet_build(&s, buf, 256);
	CHECK(n > 0);
	return (u32)n;
}

static enum ktrxer_answer match(const u8 *f, u32 n, u64 now)
{
	struct kt_packet k;

	CHECK_EQ(kt_packet_parse(&k, f, n, n), 0);
	return kt_exact_match(x, &k, f, n, now, &m, &found);
}

static void t_udp_in_order(void)
{
	u8 f[256];
	u32 n;

	CHECK_EQ(kt_exact_new(&x, 8, 100 * MS), 0);
	for (u64 id = 0; id < 3; id++) {
		n = frame(f, KT_PROTO_UDP, 1, 2, 1000, 53, 0, 0, 0);
		CHECK_EQ(kt_exact_sent(x, f, n, id, id), 0);
	}
	n = frame(f, KT_PROTO_UDP, 2, 1, 53, 1000, 0, 0, 0);
	for (u64 id = 0; id < 3; id++) {
		CHECK_EQ(match(f, n, 10), KTRXER_ANSWER_REPLY);
		CHECK(found.id == id && found.answers == 1 && m.port == 53 && m.sent_ns == id);
	}
	CHECK_EQ(match(f, n, 10), KTRXER_ANSWER_REPLY);
	CHECK_EQ(found.answers, 2);
	n = frame(f, KT_PROTO_UDP, 3, 1, 53, 1000, 0, 0, 0);
	CHECK_EQ(match(f, n, 10), KTRXER_ANSWER_NONE);
	kt_exact_free(x);
}

static void t_tcp_by_acknowledgement(void)
{
	u8 f[256];
	u32 n;

	CHECK_EQ(kt_exact_new(&x, 8, 100 * MS), 0);
	for (u32 id = 0; id < 3; id++) {
		n = frame(f, KT_PROTO_TCP, 1, 2, 1000, 80, KT_TCP_SYN, 100 * id, 0);
		CHECK_EQ(kt_exact_sent(x, f, n, id, 0), 0);
	}
	n = frame(f, KT_PROTO_TCP, 2, 1, 80, 1000, KT_TCP_RST | KT_TCP_ACK, 0, 101);
	CHECK_EQ(match(f, n, 1), KTRXER_ANSWER_RST);
	CHECK_EQ(found.id, 1);
	CHECK_EQ(match(f, n, 1), KTRXER_ANSWER_RST);
	CHECK(found.id == 1 && found.answers == 2);
	n = frame(f, KT_PROTO_TCP, 2, 1, 80, 1000, KT_TCP_SYN | KT_TCP_ACK, 5, 201);
	CHECK_EQ(match(f, n, 1), KTRXER_ANSWER_SYNACK);
	CHECK_EQ(found.id, 2);
	kt_exact_free(x);
}

static void t_echo_and_error(void)
{
	struct kt_packet_spec s = { .ttl = 9 };
	u8 f[256], e[256];
	u32 n;
	int len;

	CHECK_EQ(kt_exact_new(&x, 8, 100 * MS), 0);
	n = frame(f, KT_PROTO_ICMP, 1, 2, 7, 8, 0, 0, 0);
	CHECK_EQ(kt_exact_sent(x, f, n, 5, 0), 0);
	s.flow.version = 4;
	s.flow.proto = KT_PROTO_ICMP;
	s.flow.dport = 0x0b00;
	s.flow.src[3] = 99;
	s.flow.dst[3] = 1;
	s.payload = f + 14;
	s.payload_bytes = 28;
	len = kt_packet_build(&s, e, sizeof(e));
	CHECK_EQ(match(e, (u32)len, 1), KTRXER_ANSWER_TTL_EXCEEDED);
	CHECK(found.id == 5 && m.from.bytes[3] == 99 && m.target.bytes[3] == 2);
	n = frame(f, KT_PROTO_ICMP, 2, 1, 7, 8, 1, 0, 0);
	CHECK_EQ(match(f, n, 1), KTRXER_ANSWER_REPLY);
	CHECK_EQ(found.answers, 2);
	n = frame(f, KT_PROTO_ICMP, 2, 1, 7, 9, 1, 0, 0);
	CHECK_EQ(match(f, n, 1), KTRXER_ANSWER_NONE);
	kt_exact_free(x);
}

static void t_arp(void)
{
	static const u8 us[6] = { 2, 0, 0, 0, 0, 1 }, all[6] = { 255, 255, 255, 255, 255, 255 }, none[6];
	static const u8 a[4] = { 10, 0, 0, 1 }, b[4] = { 10, 0, 0, 2 };
	u8 f[64];

	CHECK_EQ(kt_exact_new(&x, 8, 100 * MS), 0);
	CHECK_EQ(kt_packet_build_arp(f, sizeof(f), 1, us, all, a, none, b), 42);
	CHECK_EQ(kt_exact_sent(x, f, 42, 3, 0), 0);
	CHECK_EQ(match(f, 42, 1), KTRXER_ANSWER_NONE);
	CHECK_EQ(kt_packet_build_arp(f, sizeof(f), 2, none, us, b, us, a), 42);
	CHECK_EQ(match(f, 42, 1), KTRXER_ANSWER_REPLY);
	CHECK(found.id == 3 && m.from.bytes[3] == 2);
	f[12] = 0x12;
	CHECK_EQ(kt_exact_sent(x, f, 42, 3, 0), -EINVAL);
	kt_exact_free(x);
}

static void t_expiry_and_eviction(void)
{
	struct kt_exact_stats st;
	u8 f[256];
	u32 n;

	CHECK_EQ(kt_exact_new(&x, 4, 100), 0);
	for (u64 id = 0; id < 6; id++) {
		n = frame(f, KT_PROTO_UDP, 1, (u8)(10 + id), 1, 2, 0, 0, 0);
		CHECK_EQ(kt_exact_sent(x, f, n, id, 10 * id), 0);
	}
	n = frame(f, KT_PROTO_UDP, 13, 1, 2, 1, 0, 0, 0);
	CHECK_EQ(match(f, n, 60), KTRXER_ANSWER_REPLY);
	CHECK(!kt_exact_expire(x, 120, &found));
	CHECK(kt_exact_expire(x, 145, &found) && found.id == 2);
	CHECK(kt_exact_expire(x, 145, &found) && found.id == 4);
	CHECK(!kt_exact_expire(x, 145, &found));
	n = frame(f, KT_PROTO_UDP, 15, 1, 2, 1, 0, 0, 0);
	CHECK_EQ(match(f, n, 151), KTRXER_ANSWER_NONE); /* too late, even before it is taken out */
	CHECK(kt_exact_expire(x, 151, &found) && found.id == 5);
	kt_exact_get_stats(x, &st);
	CHECK(st.remembered == 6 && st.evicted == 2 && st.answered == 1 && st.expired == 3 && st.outstanding == 0);
	kt_exact_free(x);
}

/* Equal and different probes, answered, lost and repeated at random: counts add up and nothing is answered twice. */
static void t_counts_add_up(void)
{
	struct kt_exact_stats st;
	u64 rng = 4, now = 0;
	u8 f[256];

	CHECK_EQ(kt_exact_new(&x, 300, 1000), 0);
	for (u64 id = 0; id < 50000; id++) {
		u8 to = (u8)(2 + kt_hash_next(&rng) % 7);
		u32 n = frame(f, KT_PROTO_UDP, 1, to, 1, 2, 0, 0, 0);

		now += kt_hash_next(&rng) % 8;
		CHECK_EQ(kt_exact_sent(x, f, n, id, now), 0);
		n = frame(f, KT_PROTO_UDP, to, 1, 2, 1, 0, 0, 0);
		for (u64 k = kt_hash_next(&rng) % 3; k; k--)
			match(f, n, now + 1);
		while (kt_exact_expire(x, now, &found))
			;
	}
	while (kt_exact_expire(x, now + 2000, &found))
		;
	kt_exact_get_stats(x, &st);
	CHECK_EQ(st.outstanding, 0);
	CHECK_EQ(st.remembered, st.answered + st.expired + st.evicted);
	kt_exact_free(x);
}

/* A flood of one frame must not become slower and slower: a chain of 60000 would take minutes here. */
static void t_flood_of_one_frame(void)
{
	u8 f[256], a[256];
	u32 n = frame(f, KT_PROTO_UDP, 1, 2, 1, 2, 0, 0, 0), len = frame(a, KT_PROTO_UDP, 2, 1, 2, 1, 0, 0, 0);

	CHECK_EQ(kt_exact_new(&x, 1u << 16, 1000 * MS), 0);
	for (u64 id = 0; id < 1000000; id++) {
		CHECK_EQ(kt_exact_sent(x, f, n, id, id), 0);
		if (id % 2)
			CHECK_EQ(match(a, len, id), KTRXER_ANSWER_REPLY);
	}
	kt_exact_free(x);
}

static void t_window(void)
{
	struct kt_hash_key key = { 1, 2 };
	u64 rng = 8, last[50];
	struct kt_dedup *d;
	u32 n = 0;

	CHECK_EQ(kt_dedup_new(&d, 0, &key), -EINVAL);
	CHECK_EQ(kt_dedup_new(&d, 50, &key), 0);
	for (int i = 0; i < 20000; i++) {
		u64 thing = kt_hash_next(&rng) % 90;
		bool seen = false;

		for (u32 k = 0; k < (n < 50 ? n : 50); k++)
			seen |= last[k] == thing;
		CHECK_EQ(kt_dedup_seen(d, &thing, sizeof(thing)), seen);
		if (!seen)
			last[n++ % 50] = thing;
	}
	CHECK_EQ(kt_dedup_forgotten(d), n - 50);
	kt_dedup_free(d);
}

TEST_MAIN(T(t_udp_in_order), T(t_tcp_by_acknowledgement), T(t_echo_and_error), T(t_arp), T(t_expiry_and_eviction),
	  T(t_counts_add_up), T(t_flood_of_one_frame), T(t_window))

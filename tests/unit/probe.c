/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Probes and their answers: every kind answered, quoted, forged and bent. */
#include "core/hash.h"
#include "lib/dns.h"
#include "lib/probe.h"
#include "tests/test.h"

static u64 rng = 5;
static u8 probe[2048], answer[4096];

static struct ktrxer_addr address(u8 version, u8 last)
{
	struct ktrxer_addr a = { .version = version, .bytes = { 10, 1, 2 } };

	a.bytes[version == 4 ? 3 : 15] = last;
	return a;
}

static struct ktrxer_probe series(enum ktrxer_probe_kind kind)
{
	KTRXER_OPTS(ktrxer_probe, p);

	p.kind = kind;
	p.dport = kind == KTRXER_PROBE_DNS ? 0 : 443;
	p.dns_name = "www.Example.org.";
	p.key[0] = 0x1122334455667788ull;
	p.key[1] = 99;
	return p;
}

static struct ktrxer_path path_of(u8 version)
{
	return (struct ktrxer_path){ .src_mac = { 2, 0, 0, 0, 0, 1 },
				     .dst_mac = { 2, 0, 0, 0, 0, 2 },
				     .src = address(version, 1),
				     .mtu = 1500 };
}

static u32 build(const struct ktrxer_probe *p, u8 version, u64 seq, u64 now)
{
	struct ktrxer_path path = path_of(version);
	struct ktrxer_addr target = address(version, 77);
	int n = ktrxer_probe_build(p, &path, &target, seq, now, probe, sizeof(probe));

	CHECK(n > 0);
	CHECK(kt_packet_checksums_ok(probe, (u32)n));
	return (u32)n;
}

/* The direct answer of a well-behaved host: RST when reset, else the positive one. */
static u32 reply(u32 n, bool reset)
{
	struct kt_packet_spec s = { .ttl = 61, .n_vlans = 1, .vlan = { 5 } };
	struct kt_packet k;
	int len;

	CHECK_EQ(kt_packet_parse(&k, probe, n, n), 0);
	s.flow.version = k.flow.version;
	s.flow.proto = k.flow.proto;
	memcpy(s.flow.src, k.flow.dst, 16);
	memcpy(s.flow.dst, k.flow.src, 16);
	s.flow.sport = k.flow.dport;
	s.flow.dport = k.flow.sport;
	if (k.flow.proto == KT_PROTO_ICMP || k.flow.proto == KT_PROTO_ICMPV6) {
		s.flow.sport = 0;
		s.flow.dport = k.flow.version == 4 ? 0 : 129 << 8;
		s.icmp_id = k.icmp_id;
		s.icmp_seq = k.icmp_seq;
	}
	s.tcp_flags = reset ? KT_TCP_RST | KT_TCP_ACK : KT_TCP_SYN | KT_TCP_ACK;
	s.tcp_seq = reset ? 0 : 1234;
	s.tcp_ack = k.tcp_seq + 1;
	s.payload = probe + k.payload_off;
	s.payload_bytes = k.flow.proto == KT_PROTO_TCP ? 0 : k.payload_bytes;
	len = kt_packet_build(&s, answer, sizeof(answer));
	CHECK(len > 0);
	if (s.flow.sport == 53 && k.flow.proto == KT_PROTO_UDP) /* a DNS server: response, NXDOMAIN */
		answer[len - (int)s.payload_bytes + 2] |= 0x80, answer[len - (int)s.payload_bytes + 3] |= 3;
	return (u32)len;
}

/* An ICMP error from a router, quoting bytes of the probe's datagram. */
static u32 error(u32 n, u16 type_code, u32 quote_bytes)
{
	struct kt_packet_spec s = { .ttl = 250 };
	struct ktrxer_addr router;
	struct kt_packet k;
	int len;

	CHECK_EQ(kt_packet_parse(&k, probe, n, n), 0);
	router = address(k.flow.version, 200);
	s.flow.version = k.flow.version;
	s.flow.proto = k.flow.version == 4 ? KT_PROTO_ICMP : KT_PROTO_ICMPV6;
	memcpy(s.flow.src, router.bytes, 16);
	memcpy(s.flow.dst, k.flow.src, 16);
	s.flow.dport = type_code;
	s.payload = probe + k.l3_off;
	s.payload_bytes = quote_bytes && quote_bytes < k.l3_bytes ? quote_bytes : k.l3_bytes;
	len = kt_packet_build(&s, answer, sizeof(answer));
	CHECK(len > 0);
	return (u32)len;
}

static enum ktrxer_answer match(const struct ktrxer_probe *p, u32 len, struct ktrxer_match *m)
{
	enum ktrxer_answer a = ktrxer_probe_match(p, answer, len, m);

	CHECK_EQ(a, m->answer);
	return a;
}

static void t_echo(void)
{
	static const u32 payloads[] = { 0, 8, 16, 24, 56, 1400 };

	for (u8 version = 4; version <= 6; version += 2) {
		for (size_t i = 0; i < KT_ARRAY_LEN(payloads); i++) {
			struct ktrxer_probe p = series(KTRXER_PROBE_ICMP);
			struct ktrxer_addr target = address(version, 77);
			struct ktrxer_match m;
			u64 seq = 0xabcdef0123456ull;

			p.payload_bytes = payloads[i];
			CHECK_EQ(match(&p, reply(build(&p, version, seq, 777), false), &m), KTRXER_ANSWER_REPLY);
			CHECK_EQ(m.seq_bits, payloads[i] >= 16 ? 64 : 16);
			CHECK(m.seq == (payloads[i] >= 16 ? seq : (u16)seq));
			CHECK_EQ(m.sent_ns, payloads[i] >= 24 ? 777 : 0);
			CHECK_EQ(m.ttl, 61);
			CHECK_EQ(m.port, 0);
			CHECK_MEM(&m.target, &target, sizeof(target));
			CHECK_MEM(&m.from, &target, sizeof(target));
		}
	}
}

static void t_syn(void)
{
	for (u8 version = 4; version <= 6; version += 2) {
		struct ktrxer_probe p = series(KTRXER_PROBE_SYN);
		struct ktrxer_match m;

		CHECK_EQ(match(&p, reply(build(&p, version, 0x54321, 0), false), &m), KTRXER_ANSWER_SYNACK);
		CHECK_EQ(m.seq, 0x4321);
		CHECK_EQ(m.seq_bits, 16);
		CHECK_EQ(m.port, 443);
		CHECK_EQ(match(&p, reply(build(&p, version, 9, 0), true), &m), KTRXER_ANSWER_RST);
		CHECK_EQ(m.seq, 9);
	}
}

static void t_udp(void)
{
	for (u8 version = 4; version <= 6; version += 2) {
		struct ktrxer_probe p = series(KTRXER_PROBE_UDP);
		struct ktrxer_match m;
		u32 n;

		p.payload_bytes = 32;
		n = reply(build(&p, version, 0x9876543210ull, 5), false);
		CHECK_EQ(match(&p, n, &m), KTRXER_ANSWER_REPLY);
		CHECK(m.seq_bits == 64 && m.seq == 0x9876543210ull && m.sent_ns == 5);
		answer[n - 1 - 20] ^= 1; /* a service with words of its own */
		CHECK_EQ(match(&p, n, &m), KTRXER_ANSWER_REPLY);
		CHECK(m.seq_bits == 0 && m.seq == 0 && m.sent_ns == 0);
		p.payload_bytes = 0;
		CHECK_EQ(match(&p, reply(build(&p, version, 3, 5), false), &m), KTRXER_ANSWER_REPLY);
		CHECK_EQ(m.seq_bits, 0);
	}
}

static void t_dns(void)
{
	for (u8 version = 4; version <= 6; version += 2) {
		struct ktrxer_probe p = series(KTRXER_PROBE_DNS);
		struct ktrxer_match m;
		u32 n = reply(build(&p, version, 0x1beef, 5), false);

		CHECK_EQ(match(&p, n, &m), KTRXER_ANSWER_REPLY);
		CHECK(m.seq_bits == 16 && m.seq == 0xbeef && m.dns_rcode == 3 && m.port == 53);
		p.dns_name = "www.example.net";
		CHECK_EQ(match(&p, n, &m), KTRXER_ANSWER_NONE);
		p.dns_name = "WWW.example.ORG";
		CHECK_EQ(match(&p, n, &m), KTRXER_ANSWER_REPLY);
		p.dns_type = 16;
		CHECK_EQ(match(&p, n, &m), KTRXER_ANSWER_NONE);
	}
}

static void t_quoted(void)
{
	for (int kind = 0; kind <= KTRXER_PROBE_DNS; kind++) {
		for (u8 version = 4; version <= 6; version += 2) {
			struct ktrxer_probe p = series((enum ktrxer_probe_kind)kind);
			struct ktrxer_addr target = address(version, 77), router = address(version, 200);
			struct ktrxer_match m;
			u32 n, ip = version == 4 ? 20 : 40;
			bool carries = kind == KTRXER_PROBE_ICMP || kind == KTRXER_PROBE_UDP;

			p.payload_bytes = carries ? 40 : 0;
			n = build(&p, version, 0x71234, 42);
			CHECK_EQ(match(&p, error(n, version == 4 ? 0x0b00 : 0x0300, 0), &m),
				 KTRXER_ANSWER_TTL_EXCEEDED);
			CHECK_EQ(m.seq_bits, carries ? 64 : 16);
			CHECK_EQ(m.seq, carries ? 0x71234 : 0x1234);
			CHECK_MEM(&m.target, &target, sizeof(target));
			CHECK_MEM(&m.from, &router, sizeof(router));
			CHECK_EQ(m.port, kind == KTRXER_PROBE_ICMP ? 0 : kind == KTRXER_PROBE_DNS ? 53 : 443);

			/* Eight bytes are all that one can count on. */
			CHECK_EQ(match(&p, error(n, version == 4 ? 0x0303 : 0x0104, ip + 8), &m),
				 KTRXER_ANSWER_UNREACH_PORT);
			CHECK_EQ(m.seq_bits,
				 version == 4 || kind == KTRXER_PROBE_ICMP || kind == KTRXER_PROBE_SYN ? 16 : 0);
			CHECK_EQ(m.seq, m.seq_bits ? 0x1234 : 0);
			CHECK_EQ(match(&p, error(n, version == 4 ? 0x0303 : 0x0104, ip + 7), &m), KTRXER_ANSWER_NONE);
		}
	}
}

static void t_error_kinds(void)
{
	static const struct {
		u8 version;
		u16 type_code;
		enum ktrxer_answer expected;
	} rows[] = {
		{ 4, 0x0300, KTRXER_ANSWER_UNREACH_NET },   { 4, 0x0301, KTRXER_ANSWER_UNREACH_HOST },
		{ 4, 0x0302, KTRXER_ANSWER_UNREACH_OTHER }, { 4, 0x0304, KTRXER_ANSWER_UNREACH_OTHER },
		{ 4, 0x030d, KTRXER_ANSWER_UNREACH_ADMIN }, { 4, 0x0b01, KTRXER_ANSWER_TTL_EXCEEDED },
		{ 4, 0x0c00, KTRXER_ANSWER_UNREACH_OTHER }, { 4, 0x0501, KTRXER_ANSWER_NONE },
		{ 6, 0x0100, KTRXER_ANSWER_UNREACH_NET },   { 6, 0x0101, KTRXER_ANSWER_UNREACH_ADMIN },
		{ 6, 0x0103, KTRXER_ANSWER_UNREACH_HOST },  { 6, 0x0200, KTRXER_ANSWER_UNREACH_OTHER },
		{ 6, 0x0400, KTRXER_ANSWER_UNREACH_OTHER }, { 6, 0x6400, KTRXER_ANSWER_NONE },
	};
	struct ktrxer_probe p = series(KTRXER_PROBE_SYN);
	struct ktrxer_match m;

	for (size_t i = 0; i < KT_ARRAY_LEN(rows); i++)
		CHECK_EQ(match(&p, error(build(&p, rows[i].version, 1, 0), rows[i].type_code, 0), &m),
			 rows[i].expected);
}

/* Another key, or one bit flipped anywhere that counts: not ours. */
static void t_forged(void)
{
	for (int kind = 0; kind <= KTRXER_PROBE_DNS; kind++) {
		for (u8 version = 4; version <= 6; version += 2) {
			struct ktrxer_probe p = series((enum ktrxer_probe_kind)kind), other = p;
			struct kt_packet k;
			struct ktrxer_match m;
			unsigned int accepted = 0;
			u32 n;

			p.payload_bytes = kind == KTRXER_PROBE_ICMP ? 24 : 0;
			n = reply(build(&p, version, 4242, 1), false);
			other.payload_bytes = p.payload_bytes;
			other.key[1]++;
			CHECK_EQ(match(&other, n, &m), KTRXER_ANSWER_NONE);
			kt_packet_parse(&k, answer, n, n);
			for (u32 bit = 0; bit < 8 * k.l3_bytes; bit++) {
				u32 at = k.l3_off + bit / 8;
				/* Identification, flags, TTL, checksums, window and urgent pointer are the answerer's. */
				bool ours = at < k.l4_off ? at >= k.l3_off + (version == 4 ? 12u : 8u)
					    : k.flow.proto == KT_PROTO_TCP
						    ? at < k.l4_off + 4 || (at >= k.l4_off + 8 && at < k.l4_off + 12)
						    : at < k.l4_off + 2 ||
							      (kind != KTRXER_PROBE_ICMP && at < k.l4_off + 4) ||
							      (kind == KTRXER_PROBE_ICMP && at >= k.l4_off + 4 &&
							       at < k.l4_off + 32);

				if (!ours)
					continue;
				answer[at] ^= (u8)(1u << (bit % 8));
				accepted += match(&p, n, &m) != KTRXER_ANSWER_NONE;
				answer[at] ^= (u8)(1u << (bit % 8));
			}
			CHECK(accepted <= 1); /* 15 bits of source port: 1 in 28,000 per flip */
			CHECK(match(&p, n, &m) != KTRXER_ANSWER_NONE);
		}
	}
}

/* Strangers guess cookies: fewer than the bits of each kind allow. */
static void t_guessing(void)
{
	struct ktrxer_probe p = series(KTRXER_PROBE_SYN);
	struct ktrxer_match m;
	unsigned int accepted = 0;
	u32 n = reply(build(&p, 4, 1, 0), false);
	struct kt_packet k;

	kt_packet_parse(&k, answer, n, n);
	for (int i = 0; i < 1000000; i++) {
		kt_put_be32(answer + k.l4_off + 8, (u32)kt_hash_next(&rng));
		kt_put_be16(answer + k.l4_off + 2, (u16)(32768 + kt_hash_next(&rng) % 28233));
		accepted += match(&p, n, &m) != KTRXER_ANSWER_NONE;
	}
	CHECK(accepted <= 1);
}

static void t_ports_of_a_scan(void)
{
	struct ktrxer_probe p = series(KTRXER_PROBE_SYN), any = p;
	struct ktrxer_match m;
	u32 n;

	p.dport = 8080;
	n = reply(build(&p, 4, 1, 0), false);
	any.dport = 0;
	CHECK_EQ(match(&any, n, &m), KTRXER_ANSWER_SYNACK);
	CHECK_EQ(m.port, 8080);
	p.dport = 8081;
	CHECK_EQ(match(&p, n, &m), KTRXER_ANSWER_NONE);
	CHECK_EQ(ktrxer_probe_build(&any, &(struct ktrxer_path){ .src = address(4, 1) }, &m.target, 1, 0, probe,
				    sizeof(probe)),
		 -EINVAL);
}

static void t_source_ports(void)
{
	struct ktrxer_probe p = series(KTRXER_PROBE_UDP);
	bool low = false, high = false;

	p.sport_lo = 61001;
	p.sport_hi = 61004;
	for (u64 i = 0; i < 200; i++) {
		struct kt_series s = kt_probe_series(&p);
		u16 sport = kt_series_sport(&s, kt_hash_next(&rng));

		CHECK(sport >= 61001 && sport <= 61004);
		low |= sport == 61001;
		high |= sport == 61004;
	}
	CHECK(low && high);
}

static void t_bad_series(void)
{
	static const struct {
		const char *name;
		u32 payload;
		u16 lo, hi;
		u8 n_vlans;
	} rows[] = { { "a..b", 0, 0, 0, 0 },
		     { "a", 10, 0, 0, 0 },
		     { "a", 0, 9, 8, 0 },
		     { "a", 0, 0, 0, 3 },
		     { ".a", 0, 0, 0, 0 },
		     { "0123456789012345678901234567890123456789012345678901234567890123.a", 0, 0, 0, 0 } };

	for (size_t i = 0; i < KT_ARRAY_LEN(rows); i++) {
		struct ktrxer_probe p = series(KTRXER_PROBE_DNS);
		struct ktrxer_path path = path_of(4);
		struct ktrxer_addr target = address(4, 9);
		const char *why;

		p.dns_name = rows[i].name;
		p.payload_bytes = rows[i].payload;
		p.sport_lo = rows[i].lo;
		p.sport_hi = rows[i].hi;
		p.n_vlans = rows[i].n_vlans;
		CHECK_EQ(kt_probe_check(&p, &why), -EINVAL);
		CHECK(why && *why);
		CHECK_EQ(ktrxer_probe_build(&p, &path, &target, 0, 0, probe, sizeof(probe)), -EINVAL);
	}
}

static void t_too_long(void)
{
	struct ktrxer_probe p = series(KTRXER_PROBE_ICMP);
	struct ktrxer_path path = path_of(4);
	struct ktrxer_addr target = address(4, 9), other = address(6, 9);

	p.payload_bytes = 1472;
	CHECK_EQ(ktrxer_probe_build(&p, &path, &target, 0, 0, probe, sizeof(probe)), 1514);
	CHECK_EQ(ktrxer_probe_build(&p, &path, &target, 0, 0, probe, 1513), -EMSGSIZE);
	CHECK_EQ(ktrxer_probe_build(&p, &path, &other, 0, 0, probe, sizeof(probe)), -EINVAL);
	p.payload_bytes = 1473;
	CHECK_EQ(ktrxer_probe_build(&p, &path, &target, 0, 0, probe, sizeof(probe)), -EMSGSIZE);
}

static bool is_matched(const struct krx_rule *r, const struct kt_flow *f)
{
	return r->version == f->version && r->proto == f->proto &&
	       (!r->sport_hi || (f->sport >= r->sport_lo && f->sport <= r->sport_hi)) &&
	       (!r->dport_hi || (f->dport >= r->dport_lo && f->dport <= r->dport_hi));
}

/* Every answer is delivered by some rule, the probe itself by none. */
static void t_rules(void)
{
	for (int kind = 0; kind <= KTRXER_PROBE_DNS; kind++) {
		for (u8 version = 4; version <= 6; version += 2) {
			struct ktrxer_probe p = series((enum ktrxer_probe_kind)kind);
			struct krx_rule r[3];
			struct kt_packet k;
			u32 len, n = build(&p, version, 1, 1);
			int n_rules = ktrxer_probe_rules(&p, version, KRX_CAPTURE_DROP, r, 3);

			CHECK_EQ(n_rules, version == 4 ? 3 : 2);
			kt_packet_parse(&k, probe, n, n);
			for (int i = 0; i < n_rules; i++)
				CHECK(!is_matched(&r[i], &k.flow));
			len = reply(n, false);
			kt_packet_parse(&k, answer, len, len);
			CHECK(is_matched(&r[0], &k.flow));
			CHECK_EQ(r[0].op, KRX_CAPTURE_DROP);
			len = error(n, version == 4 ? 0x0b00 : 0x0300, 0);
			kt_packet_parse(&k, answer, len, len);
			CHECK(is_matched(&r[n_rules - 1], &k.flow));
			CHECK_EQ(r[n_rules - 1].op, KRX_CAPTURE);
		}
	}
}

static void t_dns_answers(void)
{
	/* One CNAME by compression pointer, then an A record. */
	static const u8 msg[] = { 0,  1,    0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0, 1, 'a', 0, 0,	1,
				  0,  1,    0xc0, 12,	0, 5, 0, 1, 0, 0, 0, 9, 0, 4,	1, 'b', 0xc0,
				  12, 0xc0, 12,	  0,	1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2,	7 };
	struct kt_dns_response r;
	struct ktrxer_addr a;
	static const u8 loop[] = {
		0, 1, 0x81, 0x80, 0, 0, 0, 1, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 9, 1
	};

	CHECK_EQ(kt_dns_parse_response(&r, msg, sizeof(msg)), 0);
	CHECK(r.n_answers == 2 && r.rcode == 0 && !r.truncated);
	CHECK_EQ(kt_dns_first_address(&r, msg, sizeof(msg), &a), 0);
	CHECK(a.version == 4 && kt_get_be32(a.bytes) == 0xc0000207);
	for (u32 len = 0; len < sizeof(msg); len++) {
		if (!kt_dns_parse_response(&r, msg, len))
			CHECK(kt_dns_first_address(&r, msg, len, &a) < 0);
	}
	CHECK_EQ(kt_dns_parse_response(&r, loop, sizeof(loop)), 0);
	CHECK_EQ(kt_dns_first_address(&r, loop, sizeof(loop), &a), -EINVAL);
}

TEST_MAIN(T(t_echo), T(t_syn), T(t_udp), T(t_dns), T(t_quoted), T(t_error_kinds), T(t_forged), T(t_guessing),
	  T(t_ports_of_a_scan), T(t_source_ports), T(t_bad_series), T(t_too_long), T(t_rules), T(t_dns_answers))

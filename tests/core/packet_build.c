/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The builder, by the parser and by frames that somebody else built. */
#include "core/packet.h"
#include "core/hash.h"
#include "tests/core/frames.h"
#include "tests/test.h"

static void random_spec(struct kt_packet_spec *s, u8 *payload, u32 cap, u64 *seed)
{
	static const u8 protos[] = { KT_PROTO_TCP, KT_PROTO_UDP, KT_PROTO_ICMP, 47 };
	u8 *raw = (u8 *)s;
	u64 rest;
	u32 i;

	for (i = 0; i < sizeof(*s); i++)
		raw[i] = (u8)kt_hash_next(seed);
	s->n_vlans %= 3;
	s->dont_fragment = kt_hash_next(seed) & 1;
	s->tcp_mss_option = kt_hash_next(seed) & 1;
	s->flow.version = kt_hash_next(seed) & 1 ? 4 : 6;
	s->flow.proto = protos[kt_hash_next(seed) % 4];
	if (s->flow.version == 6 && s->flow.proto == KT_PROTO_ICMP)
		s->flow.proto = KT_PROTO_ICMPV6;
	if (s->flow.version == 4) {
		memset(s->flow.src + 4, 0, 12);
		memset(s->flow.dst + 4, 0, 12);
	}
	s->payload = payload;
	kt_div_rem(kt_hash_next(seed), cap, &rest);
	s->payload_bytes = (u32)rest;
	for (i = 0; i < s->payload_bytes; i++)
		payload[i] = (u8)kt_hash_next(seed);
}

static void check_built(const struct kt_packet_spec *s, const u8 *frame, u32 len)
{
	struct kt_packet p;
	u8 proto = s->flow.proto;
	bool icmp = proto == KT_PROTO_ICMP || proto == KT_PROTO_ICMPV6, tcp = proto == KT_PROTO_TCP;
	bool ports = tcp || proto == KT_PROTO_UDP;
	u8 type = (u8)(s->flow.dport >> 8);
	bool echo = icmp && (s->flow.version == 4 ? type == 8 || type == 0 : type == 128 || type == 129);

	CHECK_EQ(kt_packet_parse(&p, frame, len, len), 0);
	CHECK_EQ(p.flags & ~(u32)KT_PKT_ICMP_ERROR, 0);
	CHECK_EQ(p.l3_off + p.l3_bytes, len);
	CHECK_EQ(p.payload_off + p.payload_bytes, len);
	CHECK_EQ(p.payload_bytes, s->payload_bytes);
	CHECK_MEM(frame + p.payload_off, s->payload, s->payload_bytes);
	CHECK_MEM(frame, s->dst_mac, 6);
	CHECK_MEM(frame + 6, s->src_mac, 6);
	CHECK_EQ(p.n_vlans, s->n_vlans);
	for (u32 i = 0; i < s->n_vlans; i++)
		CHECK_EQ(p.vlan[i], s->vlan[i]);
	CHECK_EQ(p.flow.version, s->flow.version);
	CHECK_EQ(p.flow.proto, proto);
	CHECK_MEM(p.flow.src, s->flow.src, 16);
	CHECK_MEM(p.flow.dst, s->flow.dst, 16);
	CHECK_EQ(p.flow.sport, ports ? s->flow.sport : 0);
	CHECK_EQ(p.flow.dport, ports || icmp ? s->flow.dport : 0);
	CHECK_EQ(p.ttl, s->ttl ? s->ttl : 64);
	CHECK_EQ(p.tos, s->tos);
	CHECK_EQ(p.ip_id, s->flow.version == 4 ? s->ip_id : 0);
	CHECK_EQ(p.tcp_seq, tcp ? s->tcp_seq : 0);
	CHECK_EQ(p.tcp_ack, tcp ? s->tcp_ack : 0);
	CHECK_EQ(p.tcp_flags, tcp ? s->tcp_flags : 0);
	CHECK_EQ(p.icmp_id, echo ? s->icmp_id : 0);
	CHECK_EQ(p.icmp_seq, echo ? s->icmp_seq : 0);
	CHECK(kt_packet_checksums_ok(frame, len));
}

static void t_build_and_parse(void)
{
	static u8 payload[2000], frame[2200], fixed[2200];
	struct kt_packet_spec s;
	u64 seed = 5;

	for (u32 i = 0; i < 20000; i++) {
		int n;

		random_spec(&s, payload, i % 2 ? 64 : sizeof(payload), &seed);
		memset(frame, 0xee, sizeof(frame)); /* the builder must write every byte */
		n = kt_packet_build(&s, frame, sizeof(frame));
		CHECK(n > 0);
		CHECK_EQ(frame[n], 0xee);
		check_built(&s, frame, (u32)n);
		memcpy(fixed, frame, (u32)n);
		CHECK_EQ(kt_packet_fix_checksums(fixed, (u32)n), 0);
		CHECK_MEM(fixed, frame, (u32)n);
		CHECK_EQ(kt_packet_build(&s, fixed, (u32)n), n);
		CHECK_MEM(fixed, frame, (u32)n);
		CHECK_EQ(kt_packet_build(&s, fixed, (u32)n - 1), -EMSGSIZE);
	}
}

static void t_build_equals_sample(void)
{
	const struct sample *s = sample("qinq udp6");
	struct kt_packet_spec spec = {
		.src_mac = { 2, 0, 0, 0, 0, 1 },
		.dst_mac = { 2, 0, 0, 0, 0, 2 },
		.vlan = { 7, 0xe008 },
		.n_vlans = 2,
		.ttl = 3,
		.tos = 0xb8,
		.flow = s->want.flow,
		.payload = (const u8 *)"kTRxer probe payload",
		.payload_bytes = 20,
	};
	u8 frame[100];

	CHECK_EQ(kt_packet_build(&spec, frame, sizeof(frame)), s->len);
	CHECK_MEM(frame, s->bytes, s->len);
	s = sample("icmp4 echo");
	spec = (struct kt_packet_spec){
		.src_mac = { 2, 0, 0, 0, 0, 1 },
		.dst_mac = { 2, 0, 0, 0, 0, 2 },
		.ip_id = 1,
		.icmp_id = 0xbeef,
		.icmp_seq = 7,
		.flow = s->want.flow,
		.payload = (const u8 *)"kTRxer probe payload",
		.payload_bytes = 20,
	};
	CHECK_EQ(kt_packet_build(&spec, frame, sizeof(frame)), s->len);
	CHECK_MEM(frame, s->bytes, s->len);
}

static void t_build_syn(void)
{
	struct kt_packet_spec s = { .flow = { .version = 4, .proto = KT_PROTO_TCP, .sport = 1, .dport = 80 },
				    .tcp_flags = KT_TCP_SYN,
				    .tcp_mss_option = true };
	u8 frame[100];

	CHECK_EQ(kt_packet_build(&s, frame, sizeof(frame)), 58);
	CHECK_EQ(kt_get_be32(frame + 54), 0x020405b4);
	CHECK_EQ(kt_get_be16(frame + 48), 65535);
	s.flow.version = 6;
	CHECK_EQ(kt_packet_build(&s, frame, sizeof(frame)), 78);
	CHECK_EQ(kt_get_be32(frame + 74), 0x020405a0);
}

static void t_build_refuses(void)
{
	static u8 frame[70000];
	struct kt_packet_spec s = { .flow = { .version = 4, .proto = KT_PROTO_UDP } };

	s.payload_bytes = 65535 - 28;
	CHECK_EQ(kt_packet_build(&s, frame, sizeof(frame)), 65535 + 14);
	CHECK(kt_packet_checksums_ok(frame, 65535 + 14));
	s.payload_bytes++;
	CHECK_EQ(kt_packet_build(&s, frame, sizeof(frame)), -EINVAL);
	s.flow.version = 6;
	s.payload_bytes = 65535 - 8;
	CHECK_EQ(kt_packet_build(&s, frame, sizeof(frame)), 65535 + 54);
	CHECK(kt_packet_checksums_ok(frame, 65535 + 54));
	s.payload_bytes++;
	CHECK_EQ(kt_packet_build(&s, frame, sizeof(frame)), -EINVAL);
	s.payload_bytes = 0xffffffff;
	CHECK_EQ(kt_packet_build(&s, frame, sizeof(frame)), -EINVAL);
	s.payload_bytes = 0;
	s.flow.proto = KT_PROTO_ICMP;
	CHECK_EQ(kt_packet_build(&s, frame, sizeof(frame)), -EINVAL);
	s.flow.version = 5;
	CHECK_EQ(kt_packet_build(&s, frame, sizeof(frame)), -EINVAL);
	s.flow.version = 4;
	s.n_vlans = 3;
	CHECK_EQ(kt_packet_build(&s, frame, sizeof(frame)), -EINVAL);
	s.n_vlans = 0;
	s.flow.version = 0;
	CHECK_EQ(kt_packet_build(&s, frame, sizeof(frame)), -EINVAL);
	s.flow.ethertype = 0x88b5;
	CHECK_EQ(kt_packet_build(&s, frame, sizeof(frame)), 14);
}

static void t_build_arp(void)
{
	static const u8 mac[6] = { 2, 0, 0, 0, 0, 1 }, other[6] = { 2, 0, 0, 0, 0, 2 }, zero[6];
	static const u8 ip[4] = { 192, 0, 2, 1 }, target[4] = { 192, 0, 2, 2 };
	const struct sample *s = sample("arp");
	u8 frame[60];

	CHECK_EQ(kt_packet_build_arp(frame, 42, 1, mac, other, ip, zero, target), 42);
	CHECK_MEM(frame, s->bytes, 42);
	CHECK_EQ(kt_packet_build_arp(frame, 41, 1, mac, other, ip, zero, target), -EMSGSIZE);
	CHECK_EQ(kt_packet_build_arp(frame, 60, 3, mac, other, ip, zero, target), -EINVAL);
}

TEST_MAIN(T(t_build_and_parse), T(t_build_equals_sample), T(t_build_syn), T(t_build_refuses), T(t_build_arp))

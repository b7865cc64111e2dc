/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The parser on sample frames whole and cut anywhere, and checksums of whole frames. */
#include "core/packet.h"
#include "core/checksum.h"
#include "core/hash.h"
#include "tests/core/frames.h"
#include "tests/test.h"

#define SAME(name, field) \
	do { \
		if (got->field != want->field) \
			TEST_FAIL("%s: %s is 0x%x, not 0x%x", name, #field, (unsigned int)got->field, \
				  (unsigned int)want->field); \
	} while (0)

static void check_same(const char *name, const struct kt_packet *got, const struct kt_packet *want)
{
	SAME(name, flow.version);
	SAME(name, flow.proto);
	SAME(name, flow.ethertype);
	SAME(name, flow.sport);
	SAME(name, flow.dport);
	SAME(name, l3_off);
	SAME(name, l4_off);
	SAME(name, payload_off);
	SAME(name, payload_bytes);
	SAME(name, l3_bytes);
	SAME(name, final_dst_off);
	SAME(name, vlan[0]);
	SAME(name, vlan[1]);
	SAME(name, n_vlans);
	SAME(name, ttl);
	SAME(name, tos);
	SAME(name, tcp_flags);
	SAME(name, ip_id);
	SAME(name, icmp_id);
	SAME(name, icmp_seq);
	SAME(name, tcp_seq);
	SAME(name, tcp_ack);
	SAME(name, flags);
	if (memcmp(&got->flow, &want->flow, sizeof(got->flow)))
		TEST_FAIL("%s: addresses differ", name);
}

static void t_samples(void)
{
	for (u32 i = 0; i < N_SAMPLES; i++) {
		struct kt_packet p;

		CHECK_EQ(kt_packet_parse(&p, samples[i].bytes, samples[i].len, samples[i].len), 0);
		check_same(samples[i].name, &p, &samples[i].want);
	}
}

/* How many bytes the parser must see to read every header of the sample. */
static u32 headers_end(const struct kt_packet *p)
{
	if (!p->flow.version)
		return p->flow.ethertype == KT_ETHERTYPE_ARP ? p->l3_off + p->l3_bytes : p->l3_off;
	return p->payload_off;
}

static void check_cut(const struct sample *s, u32 cap, u32 wire)
{
	u8 *frame = exact_copy(s->bytes, cap);
	struct kt_packet p;
	int err = kt_packet_parse(&p, frame, cap, wire);

	free(frame);
	CHECK_EQ(err, cap < KT_ETH_BYTES ? -EINVAL : 0);
	if (!!(p.flags & KT_PKT_TRUNCATED) != (cap < headers_end(&s->want)))
		TEST_FAIL("%s cut to %u of %u: flags 0x%x", s->name, cap, wire, p.flags);
	if (wire == s->len && p.flags & KT_PKT_MALFORMED)
		TEST_FAIL("%s cut to %u: malformed", s->name, cap);
	if (p.flags & KT_PKT_TRUNCATED)
		CHECK_EQ(p.payload_off, 0);
	else if (wire == s->len)
		CHECK_EQ(p.payload_bytes, s->want.payload_bytes);
	CHECK(p.l3_off <= cap && p.l4_off <= cap && p.payload_off <= cap);
	CHECK(!p.final_dst_off || p.final_dst_off + (p.flow.version == 4 ? 4 : 16) <= cap);
}

static void t_captured_short(void)
{
	for (u32 i = 0; i < N_SAMPLES; i++)
		for (u32 cap = 0; cap <= samples[i].len; cap++)
			check_cut(&samples[i], cap, samples[i].len);
}

/* Not captured short but short on the wire: that contradicts the IP header's length. */
static void t_short_on_the_wire(void)
{
	for (u32 i = 0; i < N_SAMPLES; i++) {
		const struct sample *s = &samples[i];

		for (u32 cap = 0; cap <= s->len; cap++) {
			struct kt_packet p;
			u32 whole = s->want.flow.version || s->want.flow.ethertype == KT_ETHERTYPE_ARP
					    ? s->want.l3_off + s->want.l3_bytes
					    : s->want.l3_off;

			check_cut(s, cap, cap);
			kt_packet_parse(&p, s->bytes, cap, cap);
			if (!!(p.flags & KT_PKT_MALFORMED) != (cap < whole))
				TEST_FAIL("%s of %u bytes: flags 0x%x", s->name, cap, p.flags);
			if (cap < whole)
				CHECK(!kt_packet_checksums_ok(s->bytes, cap));
		}
	}
}

/* One byte changed, and what the parser must say then. */
static const struct {
	const char *name;
	u32 at;
	u8 to;
	u32 flags;
} contradictions[] = {
	{ "udp4", 14, 0x44, KT_PKT_MALFORMED }, /* header of 16 bytes */
	{ "udp4", 14, 0x4f, KT_PKT_MALFORMED }, /* header longer than the datagram */
	{ "udp4", 14, 0x65, KT_PKT_MALFORMED }, /* version */
	{ "udp4", 17, 19, KT_PKT_MALFORMED }, /* datagram shorter than its header */
	{ "udp4", 17, 47, KT_PKT_MALFORMED }, /* UDP longer than the datagram */
	{ "udp4", 17, 49, KT_PKT_MALFORMED }, /* datagram longer than the frame */
	{ "udp4", 39, 7, KT_PKT_MALFORMED }, /* UDP length without its header */
	{ "udp4", 39, 27, 0 }, /* UDP shorter than the datagram: UDP options */
	{ "tcp4 data", 46, 0x40, KT_PKT_MALFORMED }, /* TCP header of 16 bytes */
	{ "tcp4 options", 46, 0xb0, KT_PKT_MALFORMED | KT_PKT_TRUNCATED }, /* TCP header longer than the datagram */
	{ "ip4 source route", 35, 0, KT_PKT_MALFORMED }, /* option of no bytes */
	{ "ip4 source route", 35, 9, KT_PKT_MALFORMED }, /* option longer than the header */
	{ "ip4 source route", 35, 8, 0 }, /* its addresses are no multiple of four: not ours to judge */
	{ "udp6 segment routing", 57, 5, KT_PKT_MALFORMED }, /* more segments left than there is room for */
	{ "udp6 routing 0", 57, 3, KT_PKT_MALFORMED }, /* more segments left than there are */
	{ "tcp6 extensions", 55, 31,
	  KT_PKT_MALFORMED | KT_PKT_TRUNCATED }, /* extension header longer than the datagram */
	{ "icmp6 echo", 14, 0x40, KT_PKT_MALFORMED }, /* version */
	{ "arp", 18, 200, KT_PKT_MALFORMED | KT_PKT_TRUNCATED }, /* hardware addresses of 200 bytes */
};

static void t_contradictions(void)
{
	for (u32 i = 0; i < KT_ARRAY_LEN(contradictions); i++) {
		const struct sample *s = sample(contradictions[i].name);
		u8 *frame = exact_copy(s->bytes, s->len);
		struct kt_packet p;

		frame[contradictions[i].at] = contradictions[i].to;
		kt_packet_parse(&p, frame, s->len, s->len);
		free(frame);
		if (p.flags != contradictions[i].flags)
			TEST_FAIL("case %u, %s: flags 0x%x", i, s->name, p.flags);
	}
}

static void t_udp_options_are_no_payload(void)
{
	const struct sample *s = sample("udp4");
	u8 *frame = exact_copy(s->bytes, s->len);
	struct kt_packet p;

	frame[39] = 27;
	kt_packet_parse(&p, frame, s->len, s->len);
	free(frame);
	CHECK_EQ(p.payload_bytes, 19);
	CHECK_EQ(p.l3_bytes, 48);
}

/* Linux joins received packets to more than the length fields can say, and writes 0 into them. */
static void t_joined_packets(void)
{
	static u8 frame[90000];
	const struct sample *s = sample("tcp4 data");
	struct kt_packet p;

	memcpy(frame, s->bytes, s->len);
	kt_put_be16(frame + 16, 0);
	kt_packet_parse(&p, frame, 200, sizeof(frame));
	CHECK_EQ(p.flags, 0);
	CHECK_EQ(p.l3_bytes, sizeof(frame) - 14);
	CHECK_EQ(p.payload_bytes, sizeof(frame) - 54);
	kt_packet_parse(&p, frame, 200, 200);
	CHECK_EQ(p.flags, KT_PKT_MALFORMED);
	/* a length that the field can say is not left out */
	kt_packet_parse(&p, frame, 200, 14 + 65535);
	CHECK_EQ(p.flags, KT_PKT_MALFORMED);
	kt_packet_parse(&p, frame, 200, 14 + 65536);
	CHECK_EQ(p.flags, 0);
	s = sample("icmp6 echo");
	memcpy(frame, s->bytes, s->len);
	kt_put_be16(frame + 18, 0);
	kt_packet_parse(&p, frame, 200, 14 + 40 + 65535);
	CHECK_EQ(p.flags & KT_PKT_MALFORMED, KT_PKT_MALFORMED);
	kt_packet_parse(&p, frame, 200, sizeof(frame));
	CHECK_EQ(p.flags, 0);
	CHECK_EQ(p.l3_bytes, sizeof(frame) - 14);
}

static void t_too_many_extensions(void)
{
	u8 frame[14 + 40 + 50 * 8] = { 0 };
	struct kt_packet p;

	kt_put_be16(frame + 12, KT_ETHERTYPE_IPV6);
	frame[14] = 0x60;
	kt_put_be16(frame + 18, 50 * 8);
	frame[20] = 60;
	for (u32 i = 0; i < 50; i++)
		frame[54 + i * 8] = i == 20 ? 59 : 60;
	kt_packet_parse(&p, frame, sizeof(frame), sizeof(frame));
	CHECK_EQ(p.flags, 0);
	CHECK_EQ(p.flow.proto, 59);
	CHECK_EQ(p.payload_off, 54 + 21 * 8);
	frame[54 + 20 * 8] = 60;
	kt_packet_parse(&p, frame, sizeof(frame), sizeof(frame));
	CHECK_EQ(p.flags, KT_PKT_MALFORMED);
}

static void t_quoted_packets(void)
{
	const struct sample *s = sample("icmp4 time exceeded");
	struct kt_packet p, q;

	CHECK_EQ(kt_packet_parse(&p, s->bytes, s->len, s->len), 0);
	CHECK_EQ(kt_packet_parse_ip(&q, s->bytes + p.payload_off, p.payload_bytes), 0);
	CHECK_EQ(q.flow.version, 4);
	CHECK_EQ(q.flow.ethertype, KT_ETHERTYPE_IPV4);
	CHECK_EQ(q.flow.sport, 33000);
	CHECK_EQ(q.flow.dport, 33434);
	CHECK_EQ(q.ip_id, 99);
	CHECK_EQ(q.ttl, 1);
	CHECK_EQ(q.flags, 0);
	CHECK_EQ(q.payload_off, 28);
	CHECK_EQ(q.payload_bytes, 10);
	s = sample("icmp6 unreachable");
	CHECK_EQ(kt_packet_parse(&p, s->bytes, s->len, s->len), 0);
	/* 8 bytes of TCP are the least that is quoted */
	CHECK_EQ(kt_packet_parse_ip(&q, s->bytes + p.payload_off, 48), 0);
	CHECK_EQ(q.flow.version, 6);
	CHECK_EQ(q.flow.sport, 60000);
	CHECK_EQ(q.flow.dport, 80);
	CHECK_EQ(q.tcp_seq, 77);
	CHECK_EQ(q.l4_off, 40);
	CHECK_EQ(q.payload_off, 0);
	CHECK_EQ(q.flags, KT_PKT_TRUNCATED);
	CHECK_EQ(kt_packet_parse_ip(&q, s->bytes, 0), -EINVAL);
	CHECK_EQ(kt_packet_parse_ip(&q, (const u8 *)"\x50", 1), -EINVAL);
}

static void t_quotes_cut_anywhere(void)
{
	for (u32 i = 0; i < N_SAMPLES; i++) {
		const struct sample *s = &samples[i];

		if (!s->want.flow.version)
			continue;
		for (u32 cap = 1; cap <= s->want.l3_bytes; cap++) {
			u8 *ip = exact_copy(s->bytes + s->want.l3_off, cap);
			struct kt_packet p;
			int err = kt_packet_parse_ip(&p, ip, cap);

			free(ip);
			CHECK_EQ(err, 0);
			if (!!(p.flags & KT_PKT_TRUNCATED) != (cap < s->want.payload_off - s->want.l3_off))
				TEST_FAIL("%s quoted by %u bytes: flags 0x%x", s->name, cap, p.flags);
			CHECK_EQ(p.flags & KT_PKT_MALFORMED, 0);
		}
	}
}

static void t_checksums_of_samples(void)
{
	for (u32 i = 0; i < N_SAMPLES; i++) {
		const struct sample *s = &samples[i];
		u8 *frame = exact_copy(s->bytes, s->len);

		if (!kt_packet_checksums_ok(frame, s->len))
			TEST_FAIL("%s: checksum said to be wrong", s->name);
		free(frame);
	}
}

/* Is every byte from which a checksum is computed really covered? */
static void t_every_flipped_bit_is_seen(void)
{
	for (u32 i = 0; i < N_SAMPLES; i++) {
		const struct sample *s = &samples[i];
		const struct kt_packet *w = &s->want;
		bool l4 = w->l4_off && !(w->flags & KT_PKT_FRAGMENT) && w->flow.proto != 47 && w->flow.proto != 50;
		u32 from = w->flow.version == 4 ? w->l3_off : w->l4_off;
		u32 to = l4 ? w->payload_off + w->payload_bytes : w->flow.version == 4 ? w->l3_off + 20 : from;

		if (!w->flow.version || !strcmp(s->name, "udp4 without checksum"))
			continue;
		for (u32 bit = from * 8; bit < to * 8; bit++) {
			u8 *frame = exact_copy(s->bytes, s->len);

			frame[bit / 8] ^= (u8)(1 << bit % 8);
			if (kt_packet_checksums_ok(frame, s->len))
				TEST_FAIL("%s: bit %u of byte %u flipped unseen", s->name, bit % 8, bit / 8);
			free(frame);
		}
	}
}

/* Checksums made by others are what we compute. */
static void t_fix_restores_samples(void)
{
	for (u32 i = 0; i < N_SAMPLES; i++) {
		const struct sample *s = &samples[i];
		const struct kt_packet *w = &s->want;
		u8 *frame = exact_copy(s->bytes, s->len);
		u32 sum_at = w->flow.proto == 6 ? 16 : w->flow.proto == 17 ? 6 : 2;
		int err;

		if (w->flow.version == 4)
			memset(frame + w->l3_off + 10, 0xa5, 2);
		if (w->l4_off && !(w->flags & KT_PKT_FRAGMENT) && w->flow.proto != 47 && w->flow.proto != 50)
			memset(frame + w->l4_off + sum_at, 0x5a, 2);
		err = kt_packet_fix_checksums(frame, s->len);
		CHECK_EQ(err, w->flags & KT_PKT_FRAGMENT ? -EINVAL : 0);
		CHECK(kt_packet_checksums_ok(frame, s->len));
		if (strcmp(s->name, "udp4 without checksum") && memcmp(frame, s->bytes, s->len))
			TEST_FAIL("%s: another checksum than Scapy's", s->name);
		free(frame);
	}
}

/* Of a broken frame nothing is changed but the IPv4 header's checksum, and that only when the header is whole. */
static void check_fix_refused(const struct sample *s, u8 *frame, u32 len)
{
	u8 *before = exact_copy(frame, len);
	u32 sum_at = s->want.l3_off + 10;

	CHECK_EQ(kt_packet_fix_checksums(frame, len), -EINVAL);
	CHECK(!kt_packet_checksums_ok(frame, len));
	if (s->want.flow.version == 4 && sum_at + 10 <= len && (frame[s->want.l3_off] & 15) >= 5)
		memcpy(before + sum_at, frame + sum_at, 2);
	CHECK_MEM(frame, before, len);
	free(before);
}

static void t_fix_refuses_broken_frames(void)
{
	for (u32 i = 0; i < KT_ARRAY_LEN(contradictions); i++) {
		const struct sample *s = sample(contradictions[i].name);
		u8 *frame = exact_copy(s->bytes, s->len);

		frame[contradictions[i].at] = contradictions[i].to;
		if (contradictions[i].flags)
			check_fix_refused(s, frame, s->len);
		free(frame);
	}
	for (u32 i = 0; i < N_SAMPLES; i++)
		for (u32 len = 0;
		     samples[i].want.flow.version && len < samples[i].want.l3_off + samples[i].want.l3_bytes; len++) {
			u8 *frame = exact_copy(samples[i].bytes, len);

			check_fix_refused(&samples[i], frame, len);
			free(frame);
		}
}

/* The destination that the checksum covers, by routing type and segments left; 0: it cannot be told. */
static void t_final_destination(void)
{
	static const struct {
		u8 type;
		u8 left;
		u32 want;
	} cases[] = { { 0, 2, 78 }, { 0, 1, 78 }, { 0, 0, 38 }, { 2, 1, 78 }, { 3, 1, 0 },
		      { 3, 0, 38 }, { 4, 2, 62 }, { 4, 0, 38 }, { 9, 1, 0 } };
	const struct sample *s = sample("udp6 routing 0");
	struct kt_packet p;

	for (u32 i = 0; i < KT_ARRAY_LEN(cases); i++) {
		u8 *frame = exact_copy(s->bytes, s->len);

		frame[56] = cases[i].type;
		frame[57] = cases[i].left;
		kt_packet_parse(&p, frame, s->len, s->len);
		CHECK_EQ(p.flags, 0);
		CHECK_EQ(p.final_dst_off, cases[i].want);
		CHECK_EQ(kt_packet_fix_checksums(frame, s->len), cases[i].want ? 0 : -EINVAL);
		CHECK_EQ(kt_packet_checksums_ok(frame, s->len), cases[i].want != 0);
		free(frame);
	}
}

/* A sum of 0 may arrive as 0xffff, the same number in one's complement. */
static void t_both_zeros_are_right(void)
{
	struct kt_packet_spec s = { .flow = { .version = 4, .proto = KT_PROTO_TCP, .sport = 1, .dport = 2 } };
	u8 frame[60];
	int n = kt_packet_build(&s, frame, sizeof(frame));

	s.tcp_seq = (u32)kt_get_be16(frame + 50);
	n = kt_packet_build(&s, frame, sizeof(frame));
	CHECK_EQ(kt_get_be16(frame + 50), 0);
	CHECK(kt_packet_checksums_ok(frame, (u32)n));
	memset(frame + 50, 0xff, 2);
	CHECK(kt_packet_checksums_ok(frame, (u32)n));
	memset(frame + 50, 0x80, 2);
	CHECK(!kt_packet_checksums_ok(frame, (u32)n));
}

static void t_udp_zero_checksum(void)
{
	struct kt_packet_spec s = { .flow = { .version = 6, .proto = KT_PROTO_UDP, .sport = 1, .dport = 2 } };
	u8 frame[100], payload[2] = { 0, 0 };
	int n = 0;

	/* Choose the payload so that the sum comes out as 0, which must be sent as 0xffff. */
	s.payload = payload;
	s.payload_bytes = 2;
	n = kt_packet_build(&s, frame, sizeof(frame));
	memcpy(payload, frame + 14 + 40 + 6, 2);
	n = kt_packet_build(&s, frame, sizeof(frame));
	CHECK_EQ(n, 64);
	CHECK_EQ(kt_get_be16(frame + 60), 0xffff);
	CHECK(kt_packet_checksums_ok(frame, (u32)n));
	memset(frame + 60, 0, 2);
	CHECK(!kt_packet_checksums_ok(frame, (u32)n)); /* no checksum: not on IPv6 */
	CHECK_EQ(kt_packet_fix_checksums(frame, (u32)n), 0);
	CHECK_EQ(kt_get_be16(frame + 60), 0xffff);
}

TEST_MAIN(T(t_samples), T(t_captured_short), T(t_short_on_the_wire), T(t_contradictions),
	  T(t_udp_options_are_no_payload), T(t_joined_packets), T(t_too_many_extensions), T(t_quoted_packets),
	  T(t_quotes_cut_anywhere), T(t_checksums_of_samples), T(t_every_flipped_bit_is_seen),
	  T(t_fix_restores_samples), T(t_fix_refuses_broken_frames), T(t_final_destination), T(t_both_zeros_are_right),
	  T(t_udp_zero_checksum))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Every combination of fields on every sample, against the parser and against checksums computed anew. */
#include "core/rewrite.h"
#include "core/checksum.h"
#include "core/hash.h"
#include "tests/core/frames.h"
#include "tests/test.h"

#define MACS (KT_REWRITE_SRC_MAC | KT_REWRITE_DST_MAC)
#define PORTS (KT_REWRITE_SPORT | KT_REWRITE_DPORT)
#define ALL 0xff

static void random_rewrite(struct kt_rewrite *rw, u32 flags, u64 *seed)
{
	u8 *raw = (u8 *)rw;

	for (u32 i = 0; i < sizeof(*rw); i++)
		raw[i] = (u8)kt_hash_next(seed);
	if (!(*seed & 7)) /* the corners of one's complement */
		memset(rw->src, 0, 16);
	if (!(*seed & 56))
		memset(rw->dst, 0xff, 16);
	rw->flags = flags;
}

static u32 possible(const struct kt_packet *p)
{
	if (!p->flow.version)
		return MACS;
	if (!p->l4_off || (p->flow.proto != KT_PROTO_TCP && p->flow.proto != KT_PROTO_UDP))
		return ALL & ~(u32)PORTS;
	return ALL;
}

/* What the parser sees afterwards is what was asked for, and the rest is as before. */
static void check_fields(const char *name, const struct kt_packet *before, const struct kt_packet *after,
			 const struct kt_rewrite *rw, u32 done)
{
	struct kt_packet want = *before;
	u32 bytes = before->flow.version == 4 ? 4 : 16;

	if (done & KT_REWRITE_SRC_IP)
		memcpy(want.flow.src, rw->src, bytes);
	if (done & KT_REWRITE_DST_IP)
		memcpy(want.flow.dst, rw->dst, bytes);
	if (done & KT_REWRITE_SPORT)
		want.flow.sport = rw->sport;
	if (done & KT_REWRITE_DPORT)
		want.flow.dport = rw->dport;
	if (done & KT_REWRITE_TTL)
		want.ttl = rw->ttl;
	if (done & KT_REWRITE_TOS)
		want.tos = rw->tos;
	if (memcmp(&want, after, sizeof(want)))
		TEST_FAIL("%s rewritten by 0x%x: the parser sees other fields", name, rw->flags);
}

static void check_rewrite(const struct sample *s, u32 flags, u64 *seed)
{
	u8 frame[256], anew[256];
	struct kt_packet before, after;
	struct kt_rewrite rw;
	u32 done;

	random_rewrite(&rw, flags, seed);
	memcpy(frame, s->bytes, s->len);
	kt_packet_parse(&before, frame, s->len, s->len);
	done = kt_rewrite_apply(frame, &before, &rw);
	if (done != (flags & possible(&before)))
		TEST_FAIL("%s: 0x%x of 0x%x carried out", s->name, done, flags);
	kt_packet_parse(&after, frame, s->len, s->len);
	check_fields(s->name, &before, &after, &rw, done);
	CHECK_MEM(frame, done & KT_REWRITE_DST_MAC ? rw.dst_mac : s->bytes, 6);
	CHECK_MEM(frame + 6, done & KT_REWRITE_SRC_MAC ? rw.src_mac : s->bytes + 6, 6);
	memcpy(anew, frame, s->len);
	kt_packet_fix_checksums(anew, s->len);
	if (!strcmp(s->name, "udp4 without checksum"))
		memset(anew + s->want.l4_off + 6, 0, 2);
	/* incremental is full, to the bit, except that a first fragment's covers what is not here */
	if (memcmp(anew, frame, s->len))
		TEST_FAIL("%s rewritten by 0x%x: another checksum than computed anew", s->name, flags);
	CHECK(kt_packet_checksums_ok(frame, s->len));
}

static void t_every_combination_on_every_sample(void)
{
	u64 seed = 1;

	for (u32 i = 0; i < N_SAMPLES; i++)
		for (u32 flags = 0; flags <= ALL; flags++)
			for (u32 k = 0; k < 20; k++)
				check_rewrite(&samples[i], flags, &seed);
}

/* A fragmented datagram is rewritten piece by piece; put together its checksum must be right. */
static void check_fragments(const char *first, const char *later, u64 *seed)
{
	const struct sample *s[2] = { sample(first), sample(later) };
	u8 whole[256], frame[2][256];
	struct kt_packet p[2];
	struct kt_rewrite rw;
	u32 l4 = 0;
	u64 sum;

	random_rewrite(&rw, ALL, seed);
	for (u32 i = 0; i < 2; i++) {
		memcpy(frame[i], s[i]->bytes, s[i]->len);
		kt_packet_parse(&p[i], frame[i], s[i]->len, s[i]->len);
		kt_rewrite_apply(frame[i], &p[i], &rw);
		kt_packet_parse(&p[i], frame[i], s[i]->len, s[i]->len);
	}
	CHECK_EQ(p[1].ttl, rw.ttl);
	memcpy(whole, frame[0] + p[0].l4_off, 8 + p[0].payload_bytes);
	l4 = 8 + p[0].payload_bytes;
	memcpy(whole + l4, frame[1] + p[1].payload_off, p[1].payload_bytes);
	l4 += p[1].payload_bytes;
	CHECK_EQ(kt_get_be16(whole + 4), l4);
	CHECK_EQ(kt_get_be16(whole), rw.sport);
	sum = kt_checksum_pseudo(p[1].flow.version, p[1].flow.src, p[1].flow.dst, KT_PROTO_UDP, l4);
	CHECK_EQ(kt_checksum_fold(kt_checksum_add(sum, whole, l4)), 0);
}

static void t_fragments(void)
{
	u64 seed = 2;

	for (u32 i = 0; i < 1000; i++) {
		check_fragments("ip4 first fragment", "ip4 later fragment", &seed);
		check_fragments("ip6 first fragment", "ip6 later fragment", &seed);
	}
}

/* A new source that brings the UDP sum to 0: 0xffff must be sent, 0 would say that there is none. */
static void t_udp_sum_of_zero(void)
{
	const struct sample *s = sample("udp4");
	struct kt_rewrite rw = { .flags = KT_REWRITE_SPORT };
	struct kt_packet p;
	u8 frame[64];

	memcpy(frame, s->bytes, s->len);
	kt_packet_parse(&p, frame, s->len, s->len);
	for (u32 port = 0; port < 65536; port++) {
		rw.sport = (u16)port;
		kt_rewrite_apply(frame, &p, &rw);
		CHECK(kt_get_be16(frame + 40) != 0);
		CHECK(kt_packet_checksums_ok(frame, s->len));
	}
}

/* What is cut off or contradicts itself is left alone, except for the MACs. */
static void t_incomplete_headers(void)
{
	struct kt_rewrite rw;
	u64 seed = 3;

	random_rewrite(&rw, ALL, &seed);
	for (u32 i = 0; i < N_SAMPLES; i++)
		for (u32 cap = KT_ETH_BYTES; cap < samples[i].len; cap++) {
			u8 *frame = malloc(cap);
			struct kt_packet p;
			u32 done;

			if (!frame)
				TEST_FAIL("no memory");
			memcpy(frame, samples[i].bytes, cap);
			kt_packet_parse(&p, frame, cap, samples[i].len);
			done = kt_rewrite_apply(frame, &p, &rw);
			CHECK_EQ(done, p.payload_off ? possible(&p) : MACS);
			if (!p.payload_off)
				CHECK_MEM(frame + 12, samples[i].bytes + 12, cap - 12);
			free(frame);
		}
}

TEST_MAIN(T(t_every_combination_on_every_sample), T(t_fragments), T(t_udp_sum_of_zero), T(t_incomplete_headers))

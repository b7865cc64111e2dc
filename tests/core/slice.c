/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Which bytes each base, offset and length delivers, of whole and of cut frames. */
#include "core/slice.h"
#include "tests/core/frames.h"
#include "tests/test.h"

static const struct {
	const char *frame;
	u32 off;
	u32 bytes; /* asked for */
	u8 base;
	u32 want_off;
	u32 want_bytes;
} cases[] = {
	{ "udp4", 0, 0, KT_SLICE_LINK, 0, 62 },
	{ "udp4", 0, 0, KT_SLICE_NETWORK, 14, 48 },
	{ "udp4", 0, 0, KT_SLICE_TRANSPORT, 34, 28 },
	{ "udp4", 0, 0, KT_SLICE_PAYLOAD, 42, 20 },
	{ "udp4", 3, 5, KT_SLICE_PAYLOAD, 45, 5 },
	{ "udp4", 3, 50, KT_SLICE_PAYLOAD, 45, 17 },
	{ "udp4", 20, 0, KT_SLICE_PAYLOAD, 62, 0 },
	{ "udp4", 21, 1, KT_SLICE_PAYLOAD, 62, 0 },
	{ "udp4", 65535, 1, KT_SLICE_LINK, 62, 0 },
	{ "udp4", 0, 0xffffffff, KT_SLICE_LINK, 0, 62 },
	/* padding is the link's only */
	{ "udp4 padded", 0, 0, KT_SLICE_LINK, 0, 60 },
	{ "udp4 padded", 0, 0, KT_SLICE_NETWORK, 14, 30 },
	{ "udp4 padded", 0, 0, KT_SLICE_TRANSPORT, 34, 10 },
	{ "udp4 padded", 0, 0, KT_SLICE_PAYLOAD, 42, 2 },
	/* behind tags and extension headers */
	{ "qinq udp6", 0, 0, KT_SLICE_NETWORK, 22, 68 },
	{ "qinq udp6", 0, 4, KT_SLICE_PAYLOAD, 70, 4 },
	{ "tcp6 extensions", 0, 0, KT_SLICE_TRANSPORT, 70, 20 },
	/* a payload of nothing is there all the same */
	{ "tcp6 extensions", 0, 0, KT_SLICE_PAYLOAD, 90, 0 },
	/* layers that are not there */
	{ "arp", 0, 0, KT_SLICE_PAYLOAD, 14, 28 },
	{ "arp", 8, 6, KT_SLICE_TRANSPORT, 22, 6 },
	{ "lldp", 0, 0, KT_SLICE_PAYLOAD, 14, 9 },
	{ "ip4 later fragment", 0, 0, KT_SLICE_TRANSPORT, 14, 64 },
	{ "ip4 later fragment", 0, 0, KT_SLICE_PAYLOAD, 34, 44 },
	{ "ip6 no next header", 0, 0, KT_SLICE_TRANSPORT, 14, 40 },
	{ "gre4", 0, 0, KT_SLICE_TRANSPORT, 34, 8 },
	{ "gre4", 0, 0, KT_SLICE_PAYLOAD, 34, 8 },
};

static void t_cases(void)
{
	for (u32 i = 0; i < KT_ARRAY_LEN(cases); i++) {
		const struct sample *f = sample(cases[i].frame);
		struct kt_packet p;
		struct kt_slice s;

		kt_packet_parse(&p, f->bytes, f->len, f->len);
		s = kt_slice_of(&p, cases[i].base, cases[i].off, cases[i].bytes, f->len);
		if (s.off != cases[i].want_off || s.bytes != cases[i].want_bytes)
			TEST_FAIL("case %u, %s: %u bytes at %u, not %u at %u", i, f->name, s.bytes, s.off,
				  cases[i].want_bytes, cases[i].want_off);
	}
}

static void t_header_cut_off(void)
{
	const struct sample *f = sample("udp4");
	struct kt_packet p;
	struct kt_slice s;

	kt_packet_parse(&p, f->bytes, 40, f->len);
	s = kt_slice_of(&p, KT_SLICE_PAYLOAD, 0, 0, 40);
	CHECK_EQ(s.off, 34);
	CHECK_EQ(s.bytes, 6);
	kt_packet_parse(&p, f->bytes, 30, f->len);
	s = kt_slice_of(&p, KT_SLICE_PAYLOAD, 0, 0, 30);
	CHECK_EQ(s.off, 14);
	CHECK_EQ(s.bytes, 16);
	kt_packet_parse(&p, f->bytes, 10, f->len);
	s = kt_slice_of(&p, KT_SLICE_PAYLOAD, 0, 0, 10);
	CHECK_EQ(s.off, 0);
	CHECK_EQ(s.bytes, 10);
}

/* Of every frame cut anywhere, by every base and offset, also with a datagram length that lies. */
static void t_never_outside(void)
{
	for (u32 i = 0; i < N_SAMPLES; i++)
		for (u32 cap = 0; cap <= samples[i].len; cap++)
			for (u32 k = 0; k < 4 * 40; k++) {
				struct kt_packet p;
				struct kt_slice s;

				kt_packet_parse(&p, samples[i].bytes, cap, samples[i].len);
				if (k % 3 == 2)
					p.l3_bytes = k;
				s = kt_slice_of(&p, (u8)(k % 4), k / 4 * 5, k % 7 * 9, cap);
				CHECK(s.off <= cap && s.bytes <= cap - s.off);
				CHECK(!(k % 7) || s.bytes <= k % 7 * 9);
			}
}

TEST_MAIN(T(t_cases), T(t_header_cut_off), T(t_never_outside))

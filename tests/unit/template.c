/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The fast path writes what the builder writes, for every kind, version, payload and tag. */
#include "core/hash.h"
#include "core/template.h"
#include "lib/probe.h"
#include "tests/test.h"

static u64 rng = 11;

static struct ktrxer_addr random_address(u8 version)
{
	struct ktrxer_addr a = { .version = version };

	for (int i = 0; i < (version == 4 ? 4 : 16); i++)
		a.bytes[i] = (u8)kt_hash_next(&rng);
	return a;
}

static void compare(const struct ktrxer_probe *p, const struct ktrxer_path *path)
{
	static struct kt_template t;
	static u8 slow[16384], fast[16384];
	struct ktrxer_addr target;

	CHECK_EQ(kt_probe_template(&t, p, path), 0);
	for (int i = 0; i < 300; i++) {
		struct ktrxer_probe one = *p;
		u64 seq = kt_hash_next(&rng) >> (kt_hash_next(&rng) % 64), now = kt_hash_next(&rng);
		u16 port = (u16)(kt_hash_next(&rng) | 1);
		int n;

		if (i % 3 != 2) /* else once more to the last one */
			target = random_address(path->src.version);
		if (p->dport == 0)
			one.dport = port;
		n = ktrxer_probe_build(&one, path, &target, seq, now, slow, sizeof(slow));
		CHECK(n > 0);
		if (i % 2) {
			CHECK_EQ(kt_template_refill(&t, target.bytes, p->dport ? 0 : port, seq, now, fast), n);
		} else {
			memset(fast, 0x55, sizeof(fast));
			CHECK_EQ(kt_template_fill(&t, target.bytes, p->dport ? 0 : port, seq, now, fast), n);
		}
		CHECK_MEM(slow, fast, (size_t)n);
		CHECK_EQ(fast[n], 0x55);
		CHECK(kt_packet_checksums_ok(fast, (u32)n));
	}
}

static void t_equals_builder(void)
{
	static const u32 payloads[] = { 0, 1, 8, 15, 16, 17, 23, 24, 25, 56, 1400 };

	for (int kind = 0; kind <= KTRXER_PROBE_DNS; kind++) {
		for (u8 version = 4; version <= 6; version += 2) {
			for (size_t i = 0; i < KT_ARRAY_LEN(payloads); i++) {
				KTRXER_OPTS(ktrxer_probe, p);
				struct ktrxer_path path = { .src_mac = { 2, 0, 0, 0, 0, 1 },
							    .dst_mac = { 2, 0, 0, 0, 0, 2 } };

				p.kind = (enum ktrxer_probe_kind)kind;
				p.dport = kind == KTRXER_PROBE_DNS || i % 2 ? 53 : 0;
				p.n_vlans = (u8)(i % 3);
				p.vlan[0] = 100;
				p.vlan[1] = 0x2005;
				p.ttl = (u8)(i * 3);
				p.tos = (u8)(i << 2);
				p.dns_name = i % 2 ? "www.example.org" : "ab.c";
				p.key[0] = kt_hash_next(&rng);
				p.key[1] = kt_hash_next(&rng);
				if (kind == KTRXER_PROBE_ICMP || kind == KTRXER_PROBE_UDP)
					p.payload_bytes = payloads[i];
				path.src = random_address(version);
				compare(&p, &path);
			}
		}
	}
}

/* What the number's proof is, by the hash of bytes. */
static void t_mac(void)
{
	for (int i = 0; i < 1000; i++) {
		struct kt_series s = { .key = { kt_hash_next(&rng), kt_hash_next(&rng) } };
		u64 h = kt_hash_next(&rng), seq = kt_hash_next(&rng), now = kt_hash_next(&rng);
		u8 b[24];

		kt_put_be64(b, h);
		kt_put_be64(b + 8, seq);
		kt_put_be64(b + 16, i % 2 ? now : 0);
		CHECK_EQ(kt_series_mac(&s, h, seq, now, i % 2),
			 kt_hash_siphash24(&(struct kt_hash_key){ s.key[0], s.key[1] }, b, sizeof(b)));
	}
}

static void t_next_hop(void)
{
	static const u8 mac[6] = { 2, 9, 9, 9, 9, 9 };
	static struct kt_template t;
	KTRXER_OPTS(ktrxer_probe, p);
	struct ktrxer_path path = { .src = random_address(4) };
	struct ktrxer_addr target = random_address(4);
	u8 a[256], b[256];

	CHECK_EQ(kt_probe_template(&t, &p, &path), 0);
	kt_template_set_next_hop(&t, mac);
	memcpy(path.dst_mac, mac, 6);
	CHECK_EQ(ktrxer_probe_build(&p, &path, &target, 7, 0, a, sizeof(a)), 42);
	CHECK_EQ(kt_template_fill(&t, target.bytes, 0, 7, 0, b), 42);
	CHECK_MEM(a, b, 42);
}

/* What the module gets from a user: any frame that is not of the series, cut anywhere, changed anywhere, is refused or harmless. */
static void t_not_of_the_series(void)
{
	static struct kt_template t;
	static u8 out[KT_TEMPLATE_MAX_FRAME + 8];
	u8 frame[256], bad[256];

	for (int kind = 0; kind <= KTRXER_PROBE_DNS; kind++) {
		for (u8 version = 4; version <= 6; version += 2) {
			KTRXER_OPTS(ktrxer_probe, p);
			struct ktrxer_path path = { .src = random_address(version) };
			struct ktrxer_addr target = random_address(version);
			struct kt_series s, other;
			int n;

			p.kind = (enum ktrxer_probe_kind)kind;
			p.dport = 53;
			p.payload_bytes = kind == KTRXER_PROBE_ICMP || kind == KTRXER_PROBE_UDP ? 24 : 0;
			s = kt_probe_series(&p);
			n = ktrxer_probe_build(&p, &path, &target, 7, 0, frame, sizeof(frame));
			CHECK(n > 0);
			CHECK_EQ(kt_template_init(&t, &s, frame, (u32)n), 0);
			for (int cut = 0; cut < n; cut++)
				CHECK_EQ(kt_template_init(&t, &s, frame, (u32)cut), -EINVAL);
			for (int i = 0; i < 3000; i++) {
				memcpy(bad, frame, sizeof(bad));
				bad[kt_hash_next(&rng) % (u64)n] = (u8)kt_hash_next(&rng);
				bad[kt_hash_next(&rng) % (u64)n] = (u8)kt_hash_next(&rng);
				if (kt_template_init(&t, &s, bad, (u32)n))
					continue;
				out[n] = 0x55;
				CHECK_EQ(kt_template_fill(&t, target.bytes, 0, 7, 0, out), n);
				CHECK_EQ(out[n], 0x55);
			}
			other = s;
			other.kind = (u8)((kind + 1) % KT_SERIES_KINDS);
			other.payload_bytes = 0;
			CHECK_EQ(kt_template_init(&t, &other, frame, (u32)n), -EINVAL);
			other = s;
			other.kind = KT_SERIES_KINDS;
			CHECK_EQ(kt_template_init(&t, &other, frame, (u32)n), -EINVAL);
			other = s;
			other.payload_bytes = 25;
			CHECK_EQ(kt_template_init(&t, &other, frame, (u32)n), -EINVAL);
			other = s;
			other.sport_lo = 2;
			other.sport_hi = 1;
			CHECK_EQ(kt_template_init(&t, &other, frame, (u32)n), -EINVAL);
		}
	}
}

TEST_MAIN(T(t_not_of_the_series), T(t_equals_builder), T(t_mac), T(t_next_hop))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The XDP program's parser says of every frame what core's says: built ones of all kinds, and those with bits turned. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sched.h>
#include <unistd.h>

#include "core/packet.h"
#include "lib/engine_xdp.h"
#include "tests/test.h"

#define ROUNDS 30000u
/* What rules, slices and counters look at. */
#define FLAGS (KT_PKT_FRAGMENT | KT_PKT_LATER_FRAGMENT | KT_PKT_TRUNCATED | KT_PKT_MALFORMED | KT_PKT_DEEP_VLANS)

static struct bpf_object *obj;
static int program, parses;
static u8 *values;
static size_t value_bytes;

static void load(void)
{
	struct bpf_program *prog;
	struct bpf_map *map;
	cpu_set_t set;
	int ret;

	if (geteuid())
		SKIP("needs root, to load programs");
	/* The result lies in the memory of the CPU that ran the program. */
	CPU_ZERO(&set);
	CPU_SET((size_t)sched_getcpu(), &set);
	CHECK_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
	obj = kt_xdp_bpf_open(KT_XDP_OBJ_RX);
	CHECK(obj);
	bpf_object__for_each_program(prog, obj)
		bpf_program__set_autoload(prog, bpf_program__type(prog) == BPF_PROG_TYPE_XDP);
	ret = bpf_object__load(obj);
	CHECK_EQ(ret, 0);
	program = bpf_program__fd(bpf_object__find_program_by_name(obj, "kt_rx"));
	map = bpf_object__find_map_by_name(obj, "parses");
	parses = bpf_map__fd(map);
	value_bytes = KT_ALIGN_UP((size_t)bpf_map__value_size(map), (size_t)8);
	values = malloc(value_bytes * (size_t)libbpf_num_possible_cpus());
}

static const struct kt_packet *bpf_parse(u8 *frame, u32 len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .repeat = 1);
	u32 zero = 0;

	CHECK_EQ(bpf_prog_test_run_opts(program, &opts), 0);
	CHECK_EQ(bpf_map_lookup_elem(parses, &zero, values), 0);
	return (const void *)(values + value_bytes * (size_t)sched_getcpu());
}

static void dump(const u8 *frame, u32 len)
{
	printf("# %u bytes:", len);
	for (u32 i = 0; i < len; i++)
		printf("%s%02x", i % 4 ? "" : " ", frame[i]);
	printf("\n");
}

static void compare(u8 *frame, u32 len)
{
	const struct kt_packet *b = bpf_parse(frame, len);
	struct kt_packet c;
	u32 mask = FLAGS;
	bool same;

	kt_packet_parse(&c, frame, len, len);
	/* Core looks into IPv4 options for source routes, which no rule asks for. */
	if (c.flow.version == 4 && (frame[c.l3_off] & 15) > 5)
		mask &= ~(u32)KT_PKT_MALFORMED;
	c.flow.ifindex = b->flow.ifindex;
	same = !memcmp(&b->flow, &c.flow, sizeof(c.flow)) && b->l3_off == c.l3_off && b->l4_off == c.l4_off &&
	       b->payload_off == c.payload_off && b->payload_bytes == c.payload_bytes && b->l3_bytes == c.l3_bytes &&
	       b->ttl == c.ttl && b->tos == c.tos && (b->flags & mask) == (c.flags & mask);
	if (same)
		return;
	dump(frame, len);
	printf("# bpf:  l3 %u+%u l4 %u payload %u+%u flags %x proto %u ports %u %u\n", b->l3_off, b->l3_bytes,
	       b->l4_off, b->payload_off, b->payload_bytes, b->flags, b->flow.proto, b->flow.sport, b->flow.dport);
	printf("# core: l3 %u+%u l4 %u payload %u+%u flags %x proto %u ports %u %u\n", c.l3_off, c.l3_bytes, c.l4_off,
	       c.payload_off, c.payload_bytes, c.flags, c.flow.proto, c.flow.sport, c.flow.dport);
	TEST_FAIL("the parsers differ");
}

/* A frame of some kind; IPv6 ones may get extension headers. */
static u32 some_frame(u64 *rnd, u8 *buf, u32 cap)
{
	static const u8 protos[] = { KT_PROTO_UDP, KT_PROTO_TCP, KT_PROTO_ICMP, KT_PROTO_ICMPV6 };
	static const u8 extensions[] = { 0, 43, 44, 51, 60 };
	static const u8 payload[256];
	u64 r = kt_hash_next(rnd);
	struct kt_packet_spec s = { .flow = { .version = r & 1 ? 4 : 6 }, .payload = payload };
	int n;

	s.flow.proto = protos[r >> 1 & 3];
	if (s.flow.proto == KT_PROTO_ICMP || s.flow.proto == KT_PROTO_ICMPV6)
		s.flow.proto = s.flow.version == 4 ? KT_PROTO_ICMP : KT_PROTO_ICMPV6;
	s.n_vlans = (u8)((r >> 3) % 3);
	s.flow.dport = (u16)(r >> 8);
	s.flow.sport = s.flow.proto == KT_PROTO_UDP || s.flow.proto == KT_PROTO_TCP ? (u16)(r >> 24) : 0;
	s.payload_bytes = (u32)(r >> 40) % 80;
	s.tos = (u8)(r >> 50);
	n = kt_packet_build(&s, buf, cap);
	CHECK(n > 0);
	if (s.flow.version == 6 && r >> 60 < 12) {
		u32 off = KT_ETH_BYTES + KT_VLAN_BYTES * s.n_vlans + 40, count = 1 + (u32)(r >> 56) % 5;

		for (u32 i = 0; i < count; i++) {
			u8 type = extensions[kt_hash_next(rnd) % 5];

			memmove(buf + off + 8, buf + off, (u32)n - off);
			memset(buf + off, 0, 8);
			buf[off] = buf[off - 34];
			buf[off - 34] = type;
			n += 8;
			kt_put_be16(buf + off - 36, (u16)(kt_get_be16(buf + off - 36) + 8));
		}
	}
	return (u32)n;
}

static void t_same_as_core(void)
{
	u64 rnd = 2026;
	u8 buf[1024];

	load();
	for (u32 i = 0; i < ROUNDS; i++) {
		u32 len = some_frame(&rnd, buf, 512);

		compare(buf, len);
		for (u32 turns = (u32)kt_hash_next(&rnd) % 4; turns; turns--) {
			u64 r = kt_hash_next(&rnd);

			buf[12 + r % (len < 80 ? len - 12 : 68)] ^= (u8)(1 << (r >> 32 & 7));
			compare(buf, len);
		}
		if (i % 3 == 0 && len > 20)
			compare(buf, 14 + (u32)kt_hash_next(&rnd) % (len - 14));
	}
	bpf_object__close(obj);
	free(values);
}

TEST_MAIN(T(t_same_as_core))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Single rules: each thing that cannot be meant gets its sentence, and a
 * match means what core/rules.h says.
 */
#include "../test.h"

#include "../../core/rules.h"

#define MATCH(...) \
	{ \
		.match = { __VA_ARGS__ } \
	}
#define ACTION(...) \
	{ \
		.match = { .version = 4, .proto = 6 }, .action = { __VA_ARGS__ } \
	}

static void t_check(void)
{
	static const struct {
		struct kt_rule rule;
		const char *why; /* NULL: fine */
	} cases[] = {
		{ MATCH(.version = 0), NULL },
		{ MATCH(.version = 4, .src = { 10, 1 }, .src_plen = 16, .dport_lo = 80, .dport_hi = 80), NULL },
		{ MATCH(.version = 6, .dst = { 0x20, 1 }, .dst_plen = 128), NULL },
		{ MATCH(.version = 4, .src = { 10, 0x80 }, .src_plen = 9), NULL },
		{ MATCH(.version = 5), "the IP version is 4, 6, or 0 for any frame" },
		{ MATCH(.src_plen = 8), "a rule with addresses names their IP version" },
		{ MATCH(.version = 4, .src_plen = 33), "the source prefix is longer than 32 bits" },
		{ MATCH(.version = 6, .src_plen = 129), "the source prefix is longer than 128 bits" },
		{ MATCH(.version = 4, .dst_plen = 33), "the destination prefix is longer than 32 bits" },
		{ MATCH(.version = 6, .dst_plen = 129), "the destination prefix is longer than 128 bits" },
		{ MATCH(.version = 4, .src = { 10, 0x40 }, .src_plen = 9),
		  "the source address has bits set behind its prefix length" },
		{ MATCH(.version = 4, .dst = { 10, 0, 0, 0, 1 }, .dst_plen = 32),
		  "the destination address has bits set behind its prefix length" },
		{ MATCH(.dst = { 1 }), "the destination address has bits set behind its prefix length" },
		{ MATCH(.sport_lo = 2, .sport_hi = 1), "the source port range ends before it begins" },
		{ MATCH(.dport_lo = 1), "the destination port range ends before it begins" },
		{ MATCH(.reserved = 1), "the reserved field of the match is not zero" },
		{ ACTION(.op = 4), "the operation is none of forward, capture, drop, capture+drop" },
		{ ACTION(.op = KT_OP_CAPTURE, .slice_base = 4),
		  "the slice starts at none of link, network, transport, payload" },
		{ ACTION(.op = KT_OP_CAPTURE, .slice_base = KT_SLICE_PAYLOAD, .slice_bytes = 8, .sample_n = 2), NULL },
		{ ACTION(.op = KT_OP_DROP, .slice_bytes = 8),
		  "a slice needs an operation that captures: capture or capture+drop" },
		{ ACTION(.op = KT_OP_FORWARD, .sample_n = 2),
		  "sampling needs an operation that captures: capture or capture+drop" },
		{ ACTION(.op = KT_OP_FORWARD, .sample_n = 1), NULL },
		{ ACTION(.op = KT_OP_FORWARD, .out_ifindex = 2), NULL },
		{ ACTION(.op = KT_OP_CAPTURE_DROP, .out_ifindex = 2),
		  "an outgoing interface needs an operation that forwards: forward or capture" },
		{ ACTION(.rewrite = { .flags = 1 << 8 }), "an unknown field is to be rewritten" },
		{ ACTION(.rewrite = { .reserved = 1 }), "the reserved field of the rewriting is not zero" },
		{ ACTION(.rewrite = { .flags = 0xff, .src = { 1, 2, 3, 4 } }), NULL },
		{ ACTION(.op = KT_OP_DROP, .rewrite = { .flags = 1 }),
		  "rewriting needs an operation that forwards: forward or capture" },
		{ { .action.rewrite.flags = KT_REWRITE_SRC_IP },
		  "rewriting an address needs a rule for one IP version" },
		{ { .match = { .version = 4, .proto = 1 }, .action.rewrite.flags = KT_REWRITE_DPORT },
		  "rewriting a port needs a rule for protocol tcp or udp" },
		{ ACTION(.rewrite = { .flags = KT_REWRITE_SRC_IP, .src = { 1, 2, 3, 4, 5 } }),
		  "the new source address is longer than IPv4's four bytes" },
		{ ACTION(.rewrite = { .flags = KT_REWRITE_DST_IP, .dst = { 1, 2, 3, 4, 5 } }),
		  "the new destination address is longer than IPv4's four bytes" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *why = "unset";
		int ret = kt_rule_check(&cases[i].rule, &why);

		if (ret != (cases[i].why ? -EINVAL : 0) || (cases[i].why ? !why || strcmp(why, cases[i].why) : !!why))
			TEST_FAIL("case %zu: %d, \"%s\", not \"%s\"", i, ret, why ? why : "",
				  cases[i].why ? cases[i].why : "");
	}
}

static void t_match(void)
{
	static const struct kt_flow flow = { .src = { 192, 0, 2, 77 },
					     .dst = { 198, 51, 100, 1 },
					     .sport = 40000,
					     .dport = 443,
					     .proto = 6,
					     .version = 4,
					     .ethertype = 0x0800,
					     .ifindex = 3 };
	static const struct {
		struct kt_match m;
		bool matches;
	} cases[] = {
		{ { .version = 0 }, true },
		{ { .version = 4 }, true },
		{ { .version = 6 }, false },
		{ { .version = 4, .src = { 192, 0, 2 }, .src_plen = 24 }, true },
		{ { .version = 4, .src = { 192, 0, 3 }, .src_plen = 24 }, false },
		{ { .version = 4, .src = { 192, 0, 4 }, .src_plen = 23 }, false },
		{ { .version = 4, .src = { 192, 0, 2 }, .src_plen = 23 }, true },
		{ { .version = 4, .src = { 192, 0, 2, 77 }, .src_plen = 32 }, true },
		{ { .version = 4, .src = { 192, 0, 2, 76 }, .src_plen = 32 }, false },
		{ { .version = 4, .src = { 192, 0, 2, 76 }, .src_plen = 31 }, true },
		{ { .version = 4, .src = { 0x80 }, .src_plen = 1 }, true },
		{ { .version = 4, .src = { 0 }, .src_plen = 1 }, false },
		{ { .version = 4, .dst = { 198, 51, 100, 1 }, .dst_plen = 32 }, true },
		{ { .version = 4, .dst = { 198, 51, 100, 2 }, .dst_plen = 32 }, false },
		{ { .dport_lo = 443, .dport_hi = 443 }, true },
		{ { .dport_lo = 444, .dport_hi = 500 }, false },
		{ { .dport_lo = 1, .dport_hi = 442 }, false },
		{ { .dport_lo = 0, .dport_hi = 443 }, true },
		{ { .sport_lo = 1024, .sport_hi = 65535 }, true },
		{ { .sport_lo = 40001, .sport_hi = 65535 }, false },
		{ { .proto = 6 }, true },
		{ { .proto = 17 }, false },
		{ { .ethertype = 0x0800 }, true },
		{ { .ethertype = 0x0806 }, false },
		{ { .ifindex = 3 }, true },
		{ { .ifindex = 4 }, false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (kt_match_flow(&cases[i].m, &flow) != cases[i].matches)
			TEST_FAIL("case %zu should be %d", i, cases[i].matches);
	}
}

TEST_MAIN(T(t_check), T(t_match))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Every ioctl of both devices, and for each an argument that is right. Those of the tests of abuse that call them
 * wrongly begin from there.
 */
#ifndef KT_TEST_ABUSE_CALLS_H
#define KT_TEST_ABUSE_CALLS_H

#include "abuse.h"
#include "include/ktrxer.h"

union argument {
	uint32_t size;
	struct ktrxer_abi_info info;
	struct ktx_setup tx;
	struct ktx_submit submit;
	struct ktx_cancel cancel;
	struct ktx_stats_abi tx_stats;
	struct ktrxer_eventfd eventfd;
	struct ktx_flood_abi flood;
	struct krx_setup rx;
	struct krx_rules rules;
	struct krx_counts counts;
	struct krx_stats_abi rx_stats;
	struct krx_listen listen;
	struct krx_addresses addresses;
	uint32_t word[64];
	uint8_t bytes[2 * A_PAGE];
};

struct call {
	const char *name;
	bool rx;
	uint32_t cmd;
	uint32_t bytes;
	uint32_t min; /* the smallest size that the contract knows */
};

#define ALL(type) sizeof(struct type), sizeof(struct type)
#define SOME(type) sizeof(struct type), 4

/* Every ioctl that there is: tests/build/api.sh holds it. */
static const struct call calls[] = {
	{ "ktx INFO", false, KTRXER_IOC_INFO, SOME(ktrxer_abi_info) },
	{ "krx INFO", true, KTRXER_IOC_INFO, SOME(ktrxer_abi_info) },
	{ "ktx SETUP", false, KTX_IOC_SETUP, sizeof(struct ktx_setup), offsetof(struct ktx_setup, desc_off) },
	{ "SUBMIT", false, KTX_IOC_SUBMIT, ALL(ktx_submit) },
	{ "CANCEL", false, KTX_IOC_CANCEL, ALL(ktx_cancel) },
	{ "ktx STATS", false, KTX_IOC_STATS, SOME(ktx_stats_abi) },
	{ "ktx EVENTFD", false, KTX_IOC_EVENTFD, ALL(ktrxer_eventfd) },
	{ "FLOOD", false, KTX_IOC_FLOOD, ALL(ktx_flood_abi) },
	{ "krx SETUP", true, KRX_IOC_SETUP, ALL(krx_setup) },
	{ "RULES", true, KRX_IOC_RULES, ALL(krx_rules) },
	{ "COUNTS", true, KRX_IOC_COUNTS, ALL(krx_counts) },
	{ "krx STATS", true, KRX_IOC_STATS, SOME(krx_stats_abi) },
	{ "LISTEN", true, KRX_IOC_LISTEN, ALL(krx_listen) },
	{ "UNLISTEN", true, KRX_IOC_UNLISTEN, ALL(krx_listen) },
	{ "krx EVENTFD", true, KRX_IOC_EVENTFD, ALL(ktrxer_eventfd) },
	{ "ADDRESSES", true, KRX_IOC_ADDRESSES, ALL(krx_addresses) },
};
#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

static struct krx_rule_abi call_rule = { .id = 1, .op = 1 };

static inline const struct call *call_of(bool rx, uint32_t cmd)
{
	for (unsigned int i = 0; i < N_CALLS; i++) {
		if (calls[i].rx == rx && calls[i].cmd == cmd)
			return &calls[i];
	}
	TEST_FAIL("no such call");
}

static inline const struct call *setup_of(bool rx)
{
	return call_of(rx, rx ? KRX_IOC_SETUP : KTX_IOC_SETUP);
}

/* One probe, to nobody. */
static inline void right_flood(struct ktx_flood_abi *a)
{
	static const struct ktrxer_path path = { .src = { .version = 4, .bytes = { 10, 77, 0, 1 } },
						 .src_mac = { 2 },
						 .dst_mac = { 2, 0, 0, 0, 0, 9 } };
	static const struct ktrxer_addr to = { .version = 4, .bytes = { 10, 77, 0, 9 } };
	static uint8_t pattern[128];
	KTRXER_OPTS(ktrxer_probe, p);

	p.kind = KTRXER_PROBE_UDP;
	p.dport = 9;
	*a = (struct ktx_flood_abi){
		.size = sizeof(*a),
		.pattern = (uintptr_t)pattern,
		.pattern_len = (uint32_t)ktrxer_probe_build(&p, &path, &to, 0, 0, pattern, sizeof(pattern)),
		.kind = p.kind,
		.sport_lo = 32768,
		.sport_hi = 61000,
		.dport = p.dport,
		.payload_bytes = p.payload_bytes,
		.first_target = { 10, 77, 0, 9 },
		.n_targets = 1,
		.count = 1,
	};
}

static inline bool is_setup(const struct call *c)
{
	return c->cmd == KTX_IOC_SETUP || c->cmd == KRX_IOC_SETUP;
}

/* An argument that is right, for a context that is set up (SETUP: that is not). */
static inline void right(const struct call *c, union argument *a)
{
	memset(a, 0, sizeof(*a));
	a->size = c->bytes;
	switch (c->cmd) {
	case KTX_IOC_SETUP:
		a->tx = a_ktx(NEAR, 16);
		break;
	case KRX_IOC_SETUP:
		a->rx = a_krx(NEAR, 256);
		break;
	case KRX_IOC_RULES:
		a->rules.n = 1;
		a->rules.rules = (uintptr_t)&call_rule;
		a->rules.rule_bytes = sizeof(call_rule);
		break;
	case KTX_IOC_FLOOD:
		right_flood(&a->flood);
		break;
	case KTX_IOC_EVENTFD:
	case KRX_IOC_EVENTFD:
		a->eventfd.fd = -1;
		break;
	}
}

/* Of any argument: what would keep a guest busy for years, or have the kernel write into this program's own memory, is taken out. */
static inline void tame(const struct call *c, union argument *a)
{
	if (c->cmd == KTX_IOC_FLOOD) {
		a->flood.count = a->flood.number + a->flood.count % 300;
		a->flood.interval_num %= 1000;
		a->flood.max_attempts %= 4;
	}
	if (c->cmd == KRX_IOC_RULES && a->rules.counts)
		a->rules.counts = 8;
	if (c->cmd == KRX_IOC_COUNTS && a->counts.counts)
		a->counts.counts = (uintptr_t)-1;
}

static inline int set_up(bool rx)
{
	union argument a;
	int fd = a_open(rx);

	right(setup_of(rx), &a);
	CHECK_EQ(a_call(fd, setup_of(rx)->cmd, &a), 0);
	return fd;
}

/* One context of each device, for the calls that it can answer many of. */
static int common[2] = { -1, -1 };

/* A descriptor for which the call's right argument is right; goes back by done_with. */
static inline int ready_for(const struct call *c)
{
	struct krx_listen l = { .size = sizeof(l) };

	if (is_setup(c))
		return a_open(c->rx);
	if (common[c->rx] < 0)
		common[c->rx] = set_up(c->rx);
	if (c->cmd == KRX_IOC_UNLISTEN)
		CHECK_EQ(a_call(common[1], KRX_IOC_LISTEN, &l), 0);
	return common[c->rx];
}

static inline void done_with(const struct call *c, int fd)
{
	struct krx_listen l = { .size = sizeof(l) };

	if (is_setup(c))
		close(fd);
	else if (c->cmd == KRX_IOC_LISTEN || c->cmd == KRX_IOC_UNLISTEN)
		a_call(fd, KRX_IOC_UNLISTEN, &l);
}

static inline void world(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		if (common[i] >= 0)
			close(common[i]);
		common[i] = -1;
	}
	hold_code();
	if (netns_near < 0)
		netns_pair(false);
}

#endif

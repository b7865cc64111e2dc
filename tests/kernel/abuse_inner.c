// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What arguments point to: pointers that lead nowhere, counts that are not so, and every bit of a rule and of a
 * flood's frame. Runs in a guest that has loaded the module.
 */
#include "abuse_calls.h"

/* Pointers inside of arguments, and how many they point to. The set in force stays. */
static void t_inner_pointers(void)
{
	static struct krx_rule_abi rules[40];
	struct krx_rules q = { .size = sizeof(q), .rule_bytes = sizeof(rules[0]) };
	struct krx_count_abi counts[4];
	struct krx_addresses ad = { .size = sizeof(ad) };
	struct krx_counts co = { .size = sizeof(co) };
	int fd;

	world();
	fd = set_up(true);
	for (unsigned int i = 0; i < 40; i++)
		rules[i] = call_rule;
	q.n = 1;
	q.rules = (uintptr_t)rules;
	CHECK_EQ(a_call(fd, KRX_IOC_RULES, &q), 0);
	q.n = 40;
	q.rules = 8;
	CHECK_EQ(a_call(fd, KRX_IOC_RULES, &q), -EFAULT);
	q.rules = 0xffff888000000000;
	CHECK_EQ(a_call(fd, KRX_IOC_RULES, &q), -EFAULT);
	q.n = ~0u;
	CHECK_EQ(a_call(fd, KRX_IOC_RULES, &q), -E2BIG);
	q.n = 1u << 20; /* as many as may be, where there is nothing but the first */
	q.rules = (uintptr_t)rules;
	CHECK(a_call(fd, KRX_IOC_RULES, &q) < 0);
	q.n = 40;
	for (uint32_t b = 0; b < 70000; b = b < 300 ? b + 1 : 2 * b) {
		int r;

		q.rule_bytes = b;
		r = a_call(fd, KRX_IOC_RULES, &q);
		if (b < sizeof(call_rule) || b > A_PAGE)
			CHECK_EQ(r, -EINVAL);
	}
	q.rule_bytes = sizeof(call_rule);
	rules[39].reserved2[9] = 1;
	CHECK_EQ(a_call(fd, KRX_IOC_RULES, &q), -EINVAL);
	CHECK_EQ(q.bad_rule, 39);
	rules[39].reserved2[9] = 0;
	q.counts = 8;
	q.n_counts = 1;
	CHECK_EQ(a_call(fd, KRX_IOC_RULES, &q), -EFAULT);
	co.n = 4;
	co.counts = (uintptr_t)counts;
	CHECK_EQ(a_call(fd, KRX_IOC_COUNTS, &co), 0);
	CHECK(co.n >= 1);
	co.counts = 8;
	CHECK_EQ(a_call(fd, KRX_IOC_COUNTS, &co), -EFAULT);
	for (ad.n = 1; ad.n; ad.n *= 2)
		CHECK_EQ(a_call(fd, KRX_IOC_ADDRESSES, &ad), ad.n > 1024 ? -E2BIG : -EFAULT);
	close(fd);
}

/* Every bit of one rule: taken or refused, never more. */
static void t_rule_bits(void)
{
	struct krx_rule_abi r;
	struct krx_rules q = { .size = sizeof(q), .n = 1, .rules = (uintptr_t)&r, .rule_bytes = sizeof(r) };
	int fd;

	world();
	fd = set_up(true);
	for (uint32_t bit = 0; bit < sizeof(r) * 8; bit++) {
		int ret;

		r = call_rule;
		((uint8_t *)&r)[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ret = a_call(fd, KRX_IOC_RULES, &q);
		if (ret && ret != -EINVAL)
			TEST_FAIL("bit %u: %d", bit, ret);
	}
	close(fd);
}

/* The frame that a flood is made after: where it is, how long, what it is, and each of its bits. */
static void t_flood_pattern(void)
{
	static const uint64_t bad[] = { 0, 8, 0x7ffffffff000, 0xffff888000000000, (uint64_t)-4096, (uint64_t)-1 };
	static const uint32_t lengths[] = { 0, 1, 13, 14, 33, 41, 43, 4096, 65535, 65536, 0x7fffffff, ~0u };
	struct ktx_flood_abi a, ok;
	uint8_t frame[128];
	int fd;

	world();
	fd = ready_for(call_of(false, KTX_IOC_FLOOD));
	right_flood(&ok);
	memcpy(frame, (const void *)(uintptr_t)ok.pattern, ok.pattern_len);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		a = ok;
		a.pattern = bad[i];
		CHECK_EQ(a_call(fd, KTX_IOC_FLOOD, &a), -EFAULT);
	}
	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		int r;

		a = ok;
		a.pattern_len = lengths[i];
		r = a_call(fd, KTX_IOC_FLOOD, &a);
		if (r != -EINVAL && r != -EMSGSIZE && r != -EFAULT)
			TEST_FAIL("a pattern of %u bytes: %d", lengths[i], r);
	}
	for (uint32_t bit = 0; bit < ok.pattern_len * 8; bit++) {
		int r;

		a = ok;
		a.pattern = (uintptr_t)frame;
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		r = a_call(fd, KTX_IOC_FLOOD, &a);
		if (r && r != -EINVAL)
			TEST_FAIL("bit %u of the pattern: %d", bit, r);
		CHECK(r || (a.number == 1 && a.sent + a.failed == 1));
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	a = ok;
	a.n_targets = 0;
	CHECK_EQ(a_call(fd, KTX_IOC_FLOOD, &a), -EINVAL);
	a = ok;
	a.interval_num = 1;
	CHECK_EQ(a_call(fd, KTX_IOC_FLOOD, &a), -EINVAL);
}

TEST_MAIN(T(t_inner_pointers), T(t_rule_bits), T(t_flood_pattern))

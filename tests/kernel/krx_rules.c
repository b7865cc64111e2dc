/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The receiver's rules: exchanged whole, counted exactly, many of them. Runs in a guest with the module loaded. */
#include "tests/kernel/krx_bed.h"

static void t_rules_all_or_nothing(void)
{
	struct krx_rule_abi r[3] = { udp_rule(700, KT_OP_DROP), udp_rule(701, KT_OP_DROP), udp_rule(702, KT_OP_DROP) };
	struct krx_rules q = { .size = sizeof(q), .n = 3, .rules = (uintptr_t)r, .rule_bytes = sizeof(r[0]) };
	struct rx rx;

	bed_new(true);
	rx_open(&rx, 0);
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_RULES, &q), 0);
	r[2].src_plen = 200;
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_RULES, &q) ? errno : 0, EINVAL);
	CHECK_EQ(q.bad_rule, 2);
	r[2].src_plen = 0;
	r[1].priority = 1; /* not in order */
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_RULES, &q) ? errno : 0, EINVAL);
	CHECK_EQ(q.bad_rule, 1);
	r[1].priority = 0;
	r[0].reserved2[3] = 1;
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_RULES, &q) ? errno : 0, EINVAL);
	CHECK_EQ(q.bad_rule, 0);
	r[0].reserved2[3] = 0;
	q.rules = 4096;
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_RULES, &q) ? errno : 0, EFAULT);
	q.rules = (uintptr_t)r;
	q.counts = 4096;
	q.n_counts = 3;
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_RULES, &q) ? errno : 0, EFAULT);
	q.n = 1u << 30;
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_RULES, &q) ? errno : 0, E2BIG);
	far_udp(701, 1);
	WAIT_FOR(count_of(&rx, 1).pkts == 1);
	rx_close(&rx);
}

static void t_rules_change_under_flood(void)
{
	struct krx_rule_abi r[2] = { udp_rule(700, KT_OP_DROP), udp_rule(701, KT_OP_DROP) };
	struct krx_count_abi c[2];
	struct krx_stats_abi s;
	u64 matched = 0, sent;
	int stop[2], result[2];
	struct rx rx;
	pid_t pid;

	bed_new(true);
	rx_open(&rx, 0);
	CHECK_EQ(rx_rules(&rx, r, 2, NULL, 0), 0);
	pid = flood_start(700, stop, result);
	for (u32 i = 0; i < 300; i++) {
		memset(c, 0xff, sizeof(c));
		r[0].op = i % 2 ? KT_OP_DROP : KT_OP_CAPTURE_DROP;
		CHECK_EQ(rx_rules(&rx, r, 2, c, 2), 0);
		CHECK_EQ(c[1].pkts, 0);
		CHECK_EQ(c[0].bytes, c[0].pkts * 62);
		matched += c[0].pkts;
		rx_stats(&rx);
	}
	sent = flood_end(pid, stop, result);
	rx_judged(&rx, sent);
	matched += count_of(&rx, 0).pkts;
	CHECK_EQ(matched, sent);
	s = rx_stats(&rx);
	CHECK_EQ(s.seen, sent);
	CHECK_EQ(s.delivered + s.dropped + s.lost_ring, sent);
	CHECK(s.delivered && s.dropped);
	printf("# %llu frames through 300 changes of rules\n", (unsigned long long)sent);
	rx_close(&rx);
}

static void many_rules(struct rx *rx, u32 n)
{
	struct krx_rule_abi *r = calloc(n, sizeof(*r));
	u64 t0 = clock_of(CLOCK_MONOTONIC);

	CHECK(r);
	for (u32 i = 0; i < n; i++) {
		r[i] = udp_rule(700, KT_OP_DROP);
		r[i].id = i + 1;
		r[i].src_plen = 32;
		kt_put_be32(r[i].src, 0x0a4e0000u + i);
	}
	CHECK_EQ(rx_rules(rx, r, n, NULL, 0), 0);
	printf("# %u rules in %llu ms\n", n, (unsigned long long)(clock_of(CLOCK_MONOTONIC) - t0) / 1000000);
	free(r);
}

static void t_many_rules(void)
{
	const char *most = getenv("KT_RULES");
	struct krx_counts q = { .size = sizeof(q) };
	u8 f[2048];
	struct rx rx;

	bed_new(true);
	rx_open(&rx, 0);
	many_rules(&rx, 100000);
	udp_frame(f, 4000, 700, 1, 20);
	kt_put_be32(f + 26, 0x0a4e0000u + 77777);
	kt_packet_fix_checksums(f, 62);
	far_send(f, 62);
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_COUNTS, &q), 0);
	CHECK_EQ(q.n, 100000);
	CHECK_EQ(rx_judged(&rx, 1).dropped, 1);
	many_rules(&rx, most ? (u32)atoi(most) : 1000000);
	far_send(f, 62);
	CHECK_EQ(rx_judged(&rx, 2).dropped, 2);
	rx_close(&rx);
}

TEST_MAIN(T(t_rules_all_or_nothing), T(t_rules_change_under_flood), T(t_many_rules))

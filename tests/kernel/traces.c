/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the module tells those who look: its tracepoints against its counters, to the last one, and a NIC's times of
 * arrival. Runs in a guest with the module and the hostile device loaded.
 */
#include "include/ktrxer.h"
#include "tests/kernel/hostile_dev.h"
#include "tests/kernel/krx_bed.h"

#define TRACING "/sys/kernel/tracing/"
#define N 400u

static void put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);

	CHECK(fd >= 0);
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		TEST_FAIL("\"%s\" into %s", text, path);
	close(fd);
}

static void traces_on(void)
{
	put_text(TRACING "buffer_size_kb", "4096");
	put_text(TRACING "trace", "");
	put_text(TRACING "events/ktrxer/enable", "1");
}

static void traces_off(void)
{
	put_text(TRACING "events/ktrxer/enable", "0");
}

/* Lines of the trace with all of these in them; NULL: no more. */
static u64 traced(const char *event, const char *a, const char *b)
{
	FILE *f = fopen(TRACING "trace", "re");
	char line[512];
	u64 n = 0;

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, "LOST"))
			TEST_FAIL("the trace has lost events");
		n += strstr(line, event) && (!a || strstr(line, a)) && (!b || strstr(line, b));
	}
	fclose(f);
	return n;
}

static void new_device(void)
{
	if (if_nametoindex(DEV))
		netns_run("ip link del " DEV);
	netns_run("ip link add " DEV " type kthostile");
	netns_run("echo 1 > /proc/sys/net/ipv6/conf/" DEV "/disable_ipv6; ip link set " DEV " up");
}

static void submit(struct ktx *tx, u64 id, u64 launch_ns, u64 window_ns)
{
	u8 frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };
	struct ktx_probe p = { .frame = frame, .len = sizeof(frame), .id = id, .launch_ns = launch_ns };

	p.window_ns = window_ns;
	p.max_attempts = 3;
	if (ktx_submit(tx, &p, 1) != 1)
		TEST_FAIL("%s", ktx_why(tx));
}

/* Sent, failed, late and cancelled, with every kind of refusal: launches, completions and counters say the same. */
static void t_sender(void)
{
	KTRXER_OPTS(ktrxer_opts, po);
	KTRXER_OPTS(ktx_opts, o);
	struct ktrxer_err err = { 0 };
	struct ktrxer *port;
	struct ktx_stats s;
	struct ktx_done d;
	u64 attempts = 0, now;
	struct ktx *tx;

	new_device();
	hostile_set("script", "flaky:40*0");
	po.engine = "kmod";
	o.max_pending = N;
	o.max_frame = 1514;
	if (ktrxer_open(&port, DEV, &po, &err) || ktx_open(&tx, port, &o, &err))
		TEST_FAIL("%s", err.text);
	traces_on();
	now = ktrxer_now(port);
	for (u64 i = 0; i < N; i++) /* every 8th too late, every 8th to be cancelled */
		submit(tx, 1000 + i, i % 8 == 1 ? now - 1000000 : i % 8 == 2 ? now + 1000000000000u : 0, i % 8 == 1);
	for (u64 i = 2; i < N; i += 8)
		CHECK_EQ(ktx_cancel(tx, 1000 + i), 1);
	for (u32 got = 0; got < N; got++) {
		if (ktx_wait(tx, 10000000000u) < 1 || ktx_complete(tx, &d, 1) != 1)
			TEST_FAIL("no completion within 10 s");
		attempts += d.attempts;
	}
	traces_off();
	ktx_get_stats(tx, &s);
	CHECK(s.sent && s.failed && s.retries);
	CHECK_EQ(s.late, N / 8);
	CHECK_EQ(s.cancelled, N / 8);
	CHECK_EQ(traced("ktx_done:", "status=sent", NULL), s.sent);
	CHECK_EQ(traced("ktx_done:", "status=failed", NULL), s.failed);
	CHECK_EQ(traced("ktx_done:", "status=late", NULL), s.late);
	CHECK_EQ(traced("ktx_done:", "status=cancelled", NULL), s.cancelled);
	CHECK_EQ(traced("ktx_launch:", NULL, NULL), attempts);
	CHECK_EQ(traced("ktx_launch:", "ret=0", NULL), s.sent);
	CHECK_EQ(traced("ktx_launch:", NULL, NULL), s.sent + s.failed + s.retries);
	ktx_close(tx);
	ktrxer_close(port);
	netns_run("ip link del " DEV);
}

/* Every judgement and every loss, for each rule. */
static void t_receiver(void)
{
	static const char *const op[] = { "op=forward", "op=capture ", "op=drop", "op=capture+drop" };
	struct krx_rule_abi r[4];
	struct krx_stats_abi s;
	struct listener l;
	struct rx rx;

	bed_new(true);
	rx_open_on(&rx, NEAR, 0, 256);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	for (u32 i = 0; i < 4; i++) {
		r[i] = udp_rule((u16)(700 + i),
				(const u8[]){ KT_OP_FORWARD, KT_OP_CAPTURE, KT_OP_DROP, KT_OP_CAPTURE_DROP }[i]);
		r[i].id = 10 + i;
	}
	CHECK_EQ(rx_rules(&rx, r, 4, NULL, 0), 0);
	traces_on();
	for (u32 i = 0; i < N; i++) /* the ring holds a few: the rest is lost, and said to be */
		far_udp((u16)(700 + i % 5), i);
	s = rx_judged(&rx, N);
	traces_off();
	CHECK_EQ(s.seen, N);
	CHECK(s.lost_ring);
	for (u32 i = 0; i < 4; i++) {
		char rule[24];

		snprintf(rule, sizeof(rule), "rule=%u ", 10 + i);
		CHECK_EQ(traced("krx_verdict:", rule, op[i]), count_of(&rx, i).pkts);
		CHECK_EQ(count_of(&rx, i).pkts, N / 5);
	}
	CHECK_EQ(traced("krx_verdict:", NULL, NULL), N / 5 * 4);
	CHECK_EQ(traced("krx_loss:", NULL, NULL), s.lost_ring + s.lost_error);
	CHECK_EQ(traced("krx_loss:", "cause=-105", NULL), s.lost_ring);
	CHECK_EQ(traced("krx_verdict:", "op=capture", NULL), s.delivered + s.lost_ring);
	rx_close(&rx);
}

/* The NIC's time of arrival where it is asked for and there; else the kernel's. */
static void t_arrival_stamps(void)
{
	static const u32 flags[] = { KRX_SETUP_HW_STAMPS, 0 };

	new_device();
	for (u32 i = 0; i < 2; i++) {
		struct krx_rule_abi all = { .id = 1, .ethertype = 0x88b5, .op = KT_OP_CAPTURE_DROP };
		struct listener l;
		struct rx rx;

		rx_open_on(&rx, DEV, flags[i], 256);
		CHECK_EQ(rx_listen(&rx, &l, true), 0);
		one_rule(&rx, all);
		hostile_set("inject", "123456789012345");
		hostile_set("inject", "0");
		CHECK(next_record(&rx, &l, SOON));
		if (flags[i]) {
			CHECK_EQ(l.hdr.stamp_ns, 123456789012345u);
			CHECK_EQ(l.hdr.clock, KTRXER_ABI_HARDWARE);
		} else {
			CHECK_EQ(l.hdr.clock, KTRXER_ABI_REALTIME);
			CHECK(l.hdr.stamp_ns > 1000000000000000000u);
		}
		CHECK(next_record(&rx, &l, SOON)); /* this one the NIC has not stamped */
		CHECK_EQ(l.hdr.clock, KTRXER_ABI_REALTIME);
		rx_close(&rx);
	}
	netns_run("ip link del " DEV);
}

TEST_MAIN(T(t_sender), T(t_arrival_stamps), T(t_receiver))

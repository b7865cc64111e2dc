/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A receiver that only wants what a filter matches: what becomes of the rest, and how it is counted. */
#include "lib/mem.h"
#include "lib/pcapfilter.h"
#include "lib/receiver.h"
#include "tests/test.h"

#define END "filter/0"
#define FAR_END "filter/1"

static struct ktrxer *port;
static struct krx *rx;

/* To port 53, or to port 9. */
static void send_one(bool dns)
{
	u8 f[60] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17 };

	f[26] = f[30] = 10;
	kt_put_be16(f + 36, dns ? 53 : 9);
	kt_put_be16(f + 38, 26);
	CHECK_EQ(kt_mem_host_send(FAR_END, f, sizeof(f)), 0);
}

static struct krx_stats send_both(const struct krx_rule *rule)
{
	struct krx_stats s, before;

	CHECK_EQ(krx_rules_replace(rx, rule, 1), 0);
	CHECK_EQ(krx_get_stats(rx, &before), 0);
	for (int i = 0; i < 30; i++)
		send_one(i % 3 == 0);
	krx_pump(rx);
	CHECK_EQ(krx_get_stats(rx, &s), 0);
	CHECK_EQ(s.seen, s.delivered + s.dropped + s.passed + s.lost_ring + s.lost_engine + s.lost_error);
	s.seen -= before.seen;
	s.delivered -= before.delivered;
	s.dropped -= before.dropped;
	s.passed -= before.passed;
	CHECK_EQ(s.seen, 30);
	return s;
}

static u64 at_host(void)
{
	u64 n;

	CHECK_EQ(kt_mem_host_count(END, &n), 0);
	return n;
}

static void t_counts(void)
{
	struct krx_rule capture = { .op = KRX_CAPTURE }, take = { .op = KRX_CAPTURE_DROP };
	struct ktrxer_err err = { 0 };
	struct kt_pcapfilter *filter;
	struct krx_listener *l;
	struct krx_packet p;
	struct krx_stats s;
	u64 host;

	if (kt_pcapfilter_new(&filter, "udp port 53", &err) == -EOPNOTSUPP)
		SKIP("%s", err.text);
	CHECK_EQ(ktrxer_open(&port, END, NULL, &err), 0);
	CHECK_EQ(krx_open(&rx, port, NULL, &err), 0);
	CHECK_EQ(krx_listen(&l, rx, NULL, &err), 0);
	s = send_both(&capture);
	CHECK_EQ(s.delivered, 30);
	kt_rx_want(rx, filter);
	host = at_host();
	s = send_both(&capture);
	CHECK_EQ(s.delivered, 10);
	CHECK_EQ(s.passed, 20);
	CHECK_EQ(at_host() - host, 30);
	host = at_host();
	s = send_both(&take);
	CHECK_EQ(s.delivered, 10);
	CHECK_EQ(s.dropped, 20);
	CHECK_EQ(at_host() - host, 0);
	/* The filter sees the frame, whatever the rule delivers of it. */
	capture.slice = KRX_SLICE_TRANSPORT;
	capture.slice_off = 4;
	s = send_both(&capture);
	CHECK_EQ(s.delivered, 10);
	for (int i = 0; i < 30 + 10 + 10 + 10; i++)
		CHECK_EQ(krx_next(l, &p, 0), 1);
	CHECK_EQ(krx_next(l, &p, 0), 0);
	kt_rx_want(rx, NULL);
	s = send_both(&capture);
	CHECK_EQ(s.delivered, 30);
	krx_unlisten(l);
	krx_close(rx);
	ktrxer_close(port);
	kt_pcapfilter_free(filter);
}

/* TESTS */

TEST_MAIN(T(t_counts))

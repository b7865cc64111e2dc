/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The receiver beside traffic and under hostile circumstances: waking, merged
 * packets, addresses that are not ours, and ends of all kinds. Runs in a guest with the module loaded.
 */
#include <sys/eventfd.h>

#include "tests/kernel/krx_bed.h"

static struct listener l;

/* --- Waking --------------------------------------------------------------------------------------- */

/* One frame at a time, each only when the one before has been read: a wake-up that is lost stops it. */
static void wake_case(bool by_eventfd)
{
	struct ktrxer_eventfd e = { .size = sizeof(e), .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	struct pollfd p = { .events = POLLIN };
	int go[2];
	struct rx rx;
	pid_t pid;
	u64 n;
	u8 c;

	bed_new(true);
	rx_open(&rx, 0);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	one_rule(&rx, udp_rule(700, KT_OP_CAPTURE_DROP));
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_EVENTFD, &e), 0);
	CHECK(!pipe(go));
	pid = fork();
	if (!pid) {
		close(go[1]);
		for (u32 i = 0; read(go[0], &c, 1) == 1; i++)
			far_udp(700, i);
		_exit(0);
	}
	close(go[0]);
	p.fd = by_eventfd ? e.fd : rx.fd;
	for (u32 i = 0; i < 3000; i++) {
		const u8 *data;

		CHECK_EQ(write(go[1], "", 1), 1);
		for (;;) {
			kt_fence_full();
			data = kt_ring_peek(&l.rd, &l.hdr);
			if (data)
				break;
			if (poll(&p, 1, SOON) != 1)
				TEST_FAIL("nobody told of frame %u", i);
			if (by_eventfd)
				(void)!read(e.fd, &n, sizeof(n));
		}
		CHECK_EQ(kt_get_be32(data + 42), i);
		kt_ring_release(&l.rd, &l.hdr, true);
	}
	close(go[1]);
	waitpid(pid, NULL, 0);
	e.fd = -1;
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_EVENTFD, &e), 0);
	rx_close(&rx);
}

static void t_no_wake_is_lost(void)
{
	wake_case(false);
	wake_case(true);
}

/* --- Merged packets ------------------------------------------------------------------------------- */

#define STREAM 2000000

static void send_stream(const char *to)
{
	netns_enter(netns_far);
	netns_run("head -c %d /dev/urandom > /tmp/krx-stream && socat -u OPEN:/tmp/krx-stream TCP4:%s", STREAM, to);
	netns_enter(netns_near);
}

static void listen_stream(u16 port)
{
	netns_run("socat -u TCP4-LISTEN:%u,reuseaddr OPEN:/tmp/krx-got,creat,trunc & "
		  "for i in $(seq 600); do ss -ltn | grep -q :%u && exit 0; sleep 0.1; done; exit 1",
		  port, port);
}

static void t_merged_packets_are_said(void)
{
	struct krx_stats_abi s;
	struct kt_packet k;
	u64 payload = 0, single = 0; /* of this, in packets that nobody merged */
	struct rx rx;

	bed_new(true);
	rx_open_on(&rx, NEAR, 0, 1u << 19);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	one_rule(&rx, (struct krx_rule_abi){
			      .version = 4, .proto = 6, .dport_lo = 700, .dport_hi = 700, .op = KT_OP_CAPTURE });
	listen_stream(700);
	send_stream("10.77.0.1:700");
	netns_run("for i in $(seq 600); do cmp -s /tmp/krx-stream /tmp/krx-got && exit 0; sleep 0.1; done; exit 1");
	while (next_record(&rx, &l, 100)) {
		CHECK_EQ(kt_packet_parse(&k, l.data, l.hdr.caplen, l.hdr.wirelen), 0);
		CHECK_EQ(!!(l.hdr.flags & KT_RECORD_MERGED), l.hdr.wirelen > 1514);
		CHECK(kt_packet_checksums_ok(l.data, l.hdr.caplen));
		payload += k.payload_bytes;
		single += l.hdr.flags & KT_RECORD_MERGED ? 0 : k.payload_bytes;
	}
	CHECK(payload >= STREAM);
	s = rx_stats(&rx);
	CHECK(s.merged > 0);
	CHECK(s.merged_segments > 2 * s.merged);
	CHECK(s.merged_segments * 1460 + single >= STREAM);
	CHECK_EQ(s.lost_ring, 0);
	rx_close(&rx);
}

/* A stream through rewritten ports, both ways, merged as they come. */
static void t_merged_packets_rewritten(void)
{
	struct krx_rule_abi in = { .id = 1,
				   .version = 4,
				   .proto = 6,
				   .dport_lo = 700,
				   .dport_hi = 700,
				   .op = KT_OP_FORWARD,
				   .rewrite = KT_REWRITE_DPORT,
				   .new_dport = 800 };
	struct krx_rule_abi back = { .id = 1,
				     .version = 4,
				     .proto = 6,
				     .sport_lo = 800,
				     .sport_hi = 800,
				     .op = KT_OP_FORWARD,
				     .rewrite = KT_REWRITE_SPORT,
				     .new_sport = 700 };
	struct rx rx, far_rx;

	bed_new(true);
	rx_open(&rx, 0);
	one_rule(&rx, in);
	netns_enter(netns_far);
	rx_open_on(&far_rx, FAR, 0, UNITS);
	one_rule(&far_rx, back);
	netns_enter(netns_near);
	listen_stream(800);
	send_stream("10.77.0.1:700");
	netns_run("for i in $(seq 600); do cmp -s /tmp/krx-stream /tmp/krx-got && exit 0; sleep 0.1; done; exit 1");
	CHECK(rx_stats(&rx).merged > 0);
	rx_close(&rx);
	rx_close(&far_rx);
}

/* --- Addresses that are not ours --------------------------------------------------------------------- */

static void set_addresses(struct rx *rx, const struct krx_prefix_abi *p, u32 n)
{
	struct krx_addresses a = { .size = sizeof(a), .n = n, .prefixes = (uintptr_t)p };

	CHECK_EQ(ioctl(rx->fd, KRX_IOC_ADDRESSES, &a) ? -errno : 0, 0);
}

/* An echo request from one of them, to the far host. */
static void echo_from(int fd, u8 version, u32 i)
{
	struct kt_packet_spec s = { .flow = { .version = version,
					      .proto = version == 4 ? KT_PROTO_ICMP : KT_PROTO_ICMPV6,
					      .dport = version == 4 ? 8 << 8 : 128 << 8 },
				    .icmp_id = 77,
				    .icmp_seq = (u16)i,
				    .payload_bytes = 8 };
	static const u8 src4[4] = { 10, 80, 0, 0 }, dst4[4] = { 10, 77, 0, 2 };
	static const u8 src6[16] = { 0xfd, 0x80 }, dst6[16] = { 0xfd, 0x77, [15] = 2 };
	u8 f[200];
	int len;

	memcpy(s.src_mac, near_mac, 6);
	memcpy(s.dst_mac, far_mac, 6);
	memcpy(s.flow.src, version == 4 ? src4 : src6, version == 4 ? 4 : 16);
	memcpy(s.flow.dst, version == 4 ? dst4 : dst6, version == 4 ? 4 : 16);
	kt_put_be16(s.flow.src + (version == 4 ? 2 : 14), (u16)(i + 1));
	len = kt_packet_build(&s, f, sizeof(f));
	CHECK(len > 0);
	CHECK_EQ(send(fd, f, (size_t)len, 0), len);
}

static void addresses_case(u8 version, u32 n, u32 flags)
{
	struct krx_prefix_abi p[2] = { { .addr = { 10, 80 }, .version = 4, .plen = 20 },
				       { .addr = { 0xfd, 0x80 }, .version = 6, .plen = 64 } };
	static bool got[2000];
	struct krx_stats_abi s;
	struct kt_packet k;
	struct rx rx;
	u32 n_got = 0;
	int fd;

	bed_new(version == 4);
	fd = packet_socket(NEAR, 0);
	rx_open(&rx, flags);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	one_rule(&rx, (struct krx_rule_abi){ .version = version,
					     .proto = version == 4 ? 1 : 58,
					     .op = KT_OP_CAPTURE_DROP,
					     .dst = { version == 4 ? 10 : 0xfd, version == 4 ? 80 : 0x80 },
					     .dst_plen = 16 });
	set_addresses(&rx, p, 2);
	netns_enter(netns_far);
	netns_run("ip %s route add %s dev " FAR, version == 4 ? "" : "-6", version == 4 ? "10.80.0.0/20" : "fd80::/64");
	netns_enter(netns_near);
	memset(got, 0, sizeof(got));
	for (u32 i = 0; i < n; i++) {
		echo_from(fd, version, i);
		while (next_record(&rx, &l, i % 50 == 49 ? 50 : 0) ||
		       (i == n - 1 && n_got < n && next_record(&rx, &l, SOON))) {
			CHECK_EQ(kt_packet_parse(&k, l.data, l.hdr.caplen, l.hdr.wirelen), 0);
			if (k.icmp_id != 77 || got[k.icmp_seq])
				continue;
			got[k.icmp_seq] = true;
			n_got++;
		}
	}
	CHECK_EQ(n_got, n);
	s = rx_stats(&rx);
	CHECK(s.answered >= n);
	CHECK_EQ(s.dropped, s.answered);
	/* No longer ours: nobody answers, so nothing comes. */
	set_addresses(&rx, NULL, 0);
	echo_from(fd, version, n);
	CHECK(!next_record(&rx, &l, 500));
	rx_close(&rx);
	close(fd);
}

static void t_a_thousand_addresses(void)
{
	addresses_case(4, 1000, KRX_SETUP_INGRESS);
	addresses_case(4, 50, KRX_SETUP_PREROUTING);
}

static void t_addresses_v6(void)
{
	addresses_case(6, 200, KRX_SETUP_INGRESS);
	addresses_case(6, 50, KRX_SETUP_PREROUTING);
}

static void t_addresses_are_checked(void)
{
	struct krx_prefix_abi p = { .addr = { 10, 80, 0, 1 }, .version = 4, .plen = 24 };
	struct krx_addresses a = { .size = sizeof(a), .n = 1, .prefixes = (uintptr_t)&p };
	struct rx rx;

	bed_new(true);
	rx_open(&rx, 0);
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_ADDRESSES, &a) ? errno : 0, EINVAL);
	p.plen = 33;
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_ADDRESSES, &a) ? errno : 0, EINVAL);
	p.plen = 32;
	p.version = 5;
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_ADDRESSES, &a) ? errno : 0, EINVAL);
	p.version = 4;
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_ADDRESSES, &a) ? errno : 0, 0);
	a.n = 1025;
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_ADDRESSES, &a) ? errno : 0, E2BIG);
	rx_close(&rx);
}

/* --- Ends --------------------------------------------------------------------------------------------- */

static const u32 some_flags[] = { 0, KRX_SETUP_PREROUTING, KRX_SETUP_PROMISC, KRX_SETUP_OUTGOING | KRX_SETUP_PROMISC,
				  KRX_SETUP_PREROUTING | KRX_SETUP_OUTGOING };

static void t_opened_and_closed_under_traffic(void)
{
	struct krx_prefix_abi p = { .addr = { 0xfd, 0x80 }, .version = 6, .plen = 64 };
	int stop[2], result[2];
	struct rx rx;
	pid_t pid;

	bed_new(true);
	pid = flood_start(700, stop, result);
	for (u32 i = 0; i < 60; i++) {
		rx_open(&rx, some_flags[i % KT_ARRAY_LEN(some_flags)]);
		if (i % 2)
			CHECK_EQ(rx_listen(&rx, &l, i % 4 == 1), 0);
		if (i % 3)
			one_rule(&rx, udp_rule(700, (u8)(i % 4)));
		if (i % 5 == 1)
			set_addresses(&rx, &p, 1);
		if (i % 7 == 1)
			usleep(3000);
		rx_stats(&rx);
		rx_close(&rx);
	}
	CHECK(flood_end(pid, stop, result));
}

/* Killed while it listens, lossless, with its memory mapped. */
static void t_killed_under_traffic(void)
{
	int stop[2], result[2];
	pid_t pid;

	bed_new(true);
	pid = flood_start(700, stop, result);
	for (u32 i = 0; i < 20; i++) {
		pid_t child = fork();
		int status;

		if (!child) {
			struct rx rx;

			if (setjmp(kt_test_exit)) /* the cases behind this one are the parent's */
				_exit(1);
			rx_open(&rx, some_flags[i % KT_ARRAY_LEN(some_flags)]);
			rx_listen(&rx, &l, true);
			one_rule(&rx, udp_rule(700, KT_OP_CAPTURE));
			for (;;)
				next_record(&rx, &l, 10);
		}
		usleep(20000 + 1000 * i);
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		CHECK(WIFSIGNALED(status));
	}
	CHECK(flood_end(pid, stop, result));
}

static void t_interface_removed_under_traffic(void)
{
	for (u32 i = 0; i < 10; i++) {
		int stop[2], result[2];
		struct krx_stats_abi s;
		struct rx rx;
		pid_t pid;

		bed_new(true);
		rx_open(&rx, some_flags[i % KT_ARRAY_LEN(some_flags)]);
		CHECK_EQ(rx_listen(&rx, &l, false), 0);
		one_rule(&rx, udp_rule(700, KT_OP_CAPTURE));
		pid = flood_start(700, stop, result);
		WAIT_FOR(rx_stats(&rx).delivered);
		netns_run("ip link del " NEAR);
		s = rx_stats(&rx);
		CHECK(s.flags & KRX_STATS_GONE);
		CHECK(s.delivered > 0);
		flood_end(pid, stop, result);
		CHECK_EQ(rx_stats(&rx).seen, s.seen);
		rx_close(&rx);
	}
}

static void t_interface_moves_to_another_namespace(void)
{
	struct rx rx;

	bed_new(true);
	rx_open(&rx, KRX_SETUP_PREROUTING | KRX_SETUP_OUTGOING);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	one_rule(&rx, (struct krx_rule_abi){ .op = KT_OP_CAPTURE });
	netns_run("ip link set " NEAR " netns /proc/%d/fd/%d", (int)getpid(), netns_far);
	CHECK(rx_stats(&rx).flags & KRX_STATS_GONE);
	rx_close(&rx);
}

static void t_namespace_ends(void)
{
	struct rx rx;
	int fd;

	for (u32 i = 0; i < KT_ARRAY_LEN(some_flags); i++) {
		bed_new(true);
		fd = netns_new();
		netns_run("ip link add kx type veth peer name ky && ip link set kx up && ip link set ky up");
		rx_open_on(&rx, "kx", some_flags[i], UNITS);
		CHECK_EQ(rx_listen(&rx, &l, true), 0);
		one_rule(&rx, (struct krx_rule_abi){ .op = KT_OP_CAPTURE_DROP });
		netns_enter(netns_near);
		close(fd);
		WAIT_FOR(rx_stats(&rx).flags & KRX_STATS_GONE);
		rx_close(&rx);
	}
}

TEST_MAIN(T(t_no_wake_is_lost), T(t_merged_packets_are_said), T(t_merged_packets_rewritten), T(t_a_thousand_addresses),
	  T(t_addresses_v6), T(t_addresses_are_checked), T(t_opened_and_closed_under_traffic),
	  T(t_killed_under_traffic), T(t_interface_removed_under_traffic), T(t_interface_moves_to_another_namespace),
	  T(t_namespace_ends))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The receiver of the module: operations, counters, ring. Runs in a guest with the module loaded. */
/* test-timeout: 300 */
#include "tests/kernel/krx_bed.h"

static struct listener l, l2;

static void t_setup_checks_its_argument(void)
{
	struct rx rx = { .fd = open("/dev/krx", O_RDWR | O_CLOEXEC) };
	struct krx_stats_abi s = { .size = sizeof(s) };
	struct krx_setup q;

	bed_new(true);
	rx.fd = open("/dev/krx", O_RDWR | O_CLOEXEC);
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_STATS, &s) ? errno : 0, ENXIO);
	CHECK_EQ(rx_setup(&rx, "nowhere", 0, UNITS), -ENODEV);
	CHECK_EQ(rx_setup(&rx, NEAR, 1u << 31, UNITS), -EINVAL);
	CHECK_EQ(rx_setup(&rx, NEAR, KRX_SETUP_INGRESS | KRX_SETUP_PREROUTING, UNITS), -EINVAL);
	CHECK_EQ(rx_setup(&rx, NEAR, 0, 1000), -EINVAL);
	CHECK_EQ(rx_setup(&rx, NEAR, 0, 128), -EINVAL);
	q = (struct krx_setup){ .size = sizeof(q), .abi = 77, .ifindex = if_nametoindex(NEAR), .n_units = UNITS };
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_SETUP, &q) ? errno : 0, EPROTO);
	CHECK_EQ(q.abi, KTRXER_ABI);
	CHECK_EQ(rx_setup(&rx, NEAR, 0, UNITS), 0);
	CHECK_EQ(rx.setup.flags, KRX_SETUP_INGRESS);
	CHECK_EQ(rx_setup(&rx, NEAR, 0, UNITS), -EBUSY);
	CHECK_EQ(ioctl(rx.fd, _IO('K', 0x99), &q) ? errno : 0, ENOTTY);
	close(rx.fd);
}

static void t_without_rules_all_passes(void)
{
	struct krx_stats_abi s;
	struct rx rx;
	int host;

	bed_new(true);
	host = host_udp(700);
	rx_open(&rx, 0);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	far_udp(700, 1);
	CHECK_EQ(host_got(host, SOON), 1);
	CHECK(!next_record(&rx, &l, 50));
	s = rx_stats(&rx);
	CHECK_EQ(s.seen, 1);
	CHECK_EQ(s.passed, 1);
	CHECK_EQ(s.seen_bytes, 62);
	rx_close(&rx);
	close(host);
}

static void op_case(u32 setup_flags, u8 op, bool captured, bool host_sees)
{
	struct krx_stats_abi s;
	u64 before, after;
	struct rx rx;
	int host;
	u8 f[2048];

	bed_new(true);
	host = host_udp(700);
	rx_open(&rx, setup_flags);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	one_rule(&rx,
		 (struct krx_rule_abi){
			 .id = 5, .version = 4, .proto = 17, .dport_lo = 700, .dport_hi = 700, .op = op, .tag = 99 });
	before = clock_of(CLOCK_REALTIME);
	far_udp(700, 7);
	CHECK_EQ(next_record(&rx, &l, captured ? SOON : 50), captured);
	after = clock_of(CLOCK_REALTIME);
	CHECK_EQ(host_got(host, host_sees ? SOON : 50), host_sees ? 7 : -1);
	s = rx_judged(&rx, 1);
	CHECK_EQ(s.seen, 1);
	CHECK_EQ(s.delivered, captured);
	CHECK_EQ(s.dropped, op == KT_OP_DROP);
	CHECK_EQ(s.passed, op == KT_OP_FORWARD);
	CHECK_EQ(count_of(&rx, 0).pkts, 1);
	CHECK_EQ(count_of(&rx, 0).bytes, 62);
	if (captured) {
		CHECK_EQ(l.hdr.caplen, udp_frame(f, 4000, 700, 7, 20));
		CHECK_MEM(l.data, f, l.hdr.caplen);
		CHECK_EQ(l.hdr.wirelen, 62);
		CHECK_EQ(l.hdr.rule_id, 5);
		CHECK_EQ(l.hdr.tag, 99);
		CHECK_EQ(l.hdr.op, op);
		CHECK_EQ(l.hdr.ifindex, if_nametoindex(NEAR));
		CHECK_EQ(l.hdr.clock, KTRXER_ABI_REALTIME);
		CHECK(l.hdr.stamp_ns >= before && l.hdr.stamp_ns <= after);
		CHECK_EQ(l.hdr.seq, 0);
	}
	rx_close(&rx);
	close(host);
}

static void t_forward(void)
{
	op_case(0, KT_OP_FORWARD, false, true);
}

static void t_capture(void)
{
	op_case(0, KT_OP_CAPTURE, true, true);
}

static void t_drop(void)
{
	op_case(0, KT_OP_DROP, false, false);
}

static void t_capture_drop(void)
{
	op_case(0, KT_OP_CAPTURE_DROP, true, false);
}

static void t_prerouting_ops(void)
{
	op_case(KRX_SETUP_PREROUTING, KT_OP_FORWARD, false, true);
	op_case(KRX_SETUP_PREROUTING, KT_OP_CAPTURE, true, true);
	op_case(KRX_SETUP_PREROUTING, KT_OP_DROP, false, false);
	op_case(KRX_SETUP_PREROUTING, KT_OP_CAPTURE_DROP, true, false);
}

static void t_ring_goes_round(void)
{
	struct krx_stats_abi s;
	struct rx rx;
	u8 f[2048];

	bed_new(true);
	rx_open_on(&rx, NEAR, 0, 256);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	one_rule(&rx, (struct krx_rule_abi){ .op = KT_OP_CAPTURE_DROP });
	for (u32 i = 0; i < 2000; i++) {
		far_send(f, udp_frame(f, 1, 2, i, 4 + i % 900));
		CHECK(next_record(&rx, &l, SOON));
		CHECK_EQ(l.hdr.seq, i);
		CHECK_EQ(kt_get_be32(l.data + 42), i);
		CHECK_EQ(l.hdr.caplen, 46 + i % 900);
	}
	s = rx_stats(&rx);
	CHECK_EQ(s.delivered, 2000);
	CHECK_EQ(s.lost_ring, 0);
	rx_close(&rx);
}

static void t_lossless_holds_and_lossy_is_overrun(void)
{
	struct krx_stats_abi s;
	u64 n = 0, m = 0;
	struct rx rx;

	bed_new(true);
	rx_open_on(&rx, NEAR, 0, 256);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	CHECK_EQ(rx_listen(&rx, &l2, false), 0);
	one_rule(&rx, (struct krx_rule_abi){ .op = KT_OP_CAPTURE_DROP });
	for (u32 i = 0; i < 100; i++)
		far_udp(700, i);
	s = rx_judged(&rx, 100);
	while (next_record(&rx, &l, 0))
		n++;
	CHECK_EQ(n, s.delivered);
	CHECK(s.lost_ring > 0);
	CHECK_EQ(s.delivered + s.lost_ring, 100);
	CHECK_EQ(kt_ring_held(&rx.cursors[l.cursor]), s.lost_ring);
	/* Without the lossless one the ring goes on, over the lossy one's unread records. */
	CHECK_EQ(ioctl(rx.fd, KRX_IOC_UNLISTEN,
		       &(struct krx_listen){ .size = sizeof(struct krx_listen), .cursor = l.cursor }),
		 0);
	for (u32 i = 0; i < 100; i++)
		far_udp(700, i);
	rx_judged(&rx, 200);
	while (next_record(&rx, &l2, 0))
		m++;
	CHECK_EQ(m + l2.rd.lost, n + 100);
	CHECK(l2.rd.lost > 0);
	CHECK_EQ(rx_stats(&rx).lost_ring, s.lost_ring);
	rx_close(&rx);
}

static void t_down_and_gone(void)
{
	struct pollfd p = { .events = POLLIN };
	struct rx rx;

	bed_new(true);
	rx_open(&rx, KRX_SETUP_PROMISC | KRX_SETUP_OUTGOING);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	CHECK_EQ(rx_stats(&rx).flags, 0);
	netns_run("ip link set " NEAR " down");
	CHECK_EQ(rx_stats(&rx).flags, KRX_STATS_DOWN);
	netns_run("ip link set " NEAR " up");
	CHECK_EQ(rx_stats(&rx).flags, 0);
	netns_run("ip link del " NEAR);
	CHECK(rx_stats(&rx).flags & KRX_STATS_GONE);
	p.fd = rx.fd;
	CHECK_EQ(poll(&p, 1, SOON), 1);
	CHECK(p.revents & POLLHUP && p.revents & POLLERR);
	one_rule(&rx, (struct krx_rule_abi){ .op = KT_OP_DROP });
	rx_close(&rx);
}

static void t_slices(void)
{
	/* base, offset, bytes: what is delivered of a frame of 14 + 20 + 8 + 100 bytes */
	static const u32 want[][5] = {
		{ KT_SLICE_LINK, 0, 0, 0, 142 },       { KT_SLICE_LINK, 0, 60, 0, 60 },
		{ KT_SLICE_NETWORK, 0, 0, 14, 128 },   { KT_SLICE_NETWORK, 12, 8, 26, 8 },
		{ KT_SLICE_TRANSPORT, 0, 8, 34, 8 },   { KT_SLICE_PAYLOAD, 0, 0, 42, 100 },
		{ KT_SLICE_PAYLOAD, 90, 20, 132, 10 }, { KT_SLICE_PAYLOAD, 100, 1, 142, 0 },
	};
	struct krx_rule_abi r = udp_rule(700, KT_OP_CAPTURE_DROP);
	struct rx rx;
	u8 f[2048];

	bed_new(true);
	rx_open(&rx, 0);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	for (u32 i = 0; i < KT_ARRAY_LEN(want); i++) {
		r.slice_base = (u8)want[i][0];
		r.slice_off = (u16)want[i][1];
		r.slice_bytes = want[i][2];
		one_rule(&rx, r);
		far_send(f, udp_frame(f, 4000, 700, i, 100));
		CHECK(next_record(&rx, &l, SOON));
		CHECK_EQ(l.hdr.slice_off, want[i][3]);
		CHECK_EQ(l.hdr.caplen, want[i][4]);
		CHECK_EQ(l.hdr.wirelen, 142);
		CHECK_MEM(l.data, f + want[i][3], want[i][4]);
	}
	rx_close(&rx);
}

static void t_quota_and_sample(void)
{
	struct krx_rule_abi r[2] = { udp_rule(700, KT_OP_CAPTURE_DROP), udp_rule(700, KT_OP_DROP) };
	struct krx_count_abi c[2];
	struct krx_stats_abi s;
	struct rx rx;

	bed_new(true);
	rx_open(&rx, 0);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	r[1].id = 2;
	r[0].quota_pkts = 5;
	r[0].used = 2;
	CHECK_EQ(rx_rules(&rx, r, 2, NULL, 0), 0);
	far_train(700, 0, 10);
	rx_judged(&rx, 10);
	for (u32 i = 0; i < 3; i++) {
		CHECK(next_record(&rx, &l, SOON));
		CHECK_EQ(kt_get_be32(l.data + 42), i);
	}
	CHECK(!next_record(&rx, &l, 50));
	CHECK_EQ(count_of(&rx, 0).pkts, 3);
	CHECK_EQ(count_of(&rx, 1).pkts, 7);
	/* One in four, the first of them first; two matches before this set are two on the way to the fourth. */
	r[0].quota_pkts = 0;
	r[0].used = 2;
	r[0].sample_n = 4;
	CHECK_EQ(rx_rules(&rx, r, 1, c, 2), 0);
	CHECK_EQ(c[0].pkts, 3);
	CHECK_EQ(c[1].pkts, 7);
	CHECK_EQ(c[1].bytes, 7 * 62);
	far_train(700, 0, 12);
	rx_judged(&rx, 22);
	for (u32 i = 2; i < 12; i += 4) {
		CHECK(next_record(&rx, &l, SOON));
		CHECK_EQ(kt_get_be32(l.data + 42), i);
	}
	CHECK(!next_record(&rx, &l, 50));
	s = rx_stats(&rx);
	CHECK_EQ(s.delivered, 6);
	CHECK_EQ(s.dropped, 16);
	rx_close(&rx);
}

/* The host gets a datagram that was sent to another port, address and TTL, with checksums that it believes. */
static void t_rewrite_for_the_host(void)
{
	struct krx_rule_abi r = udp_rule(700, KT_OP_CAPTURE);
	static const u8 new_dst[4] = { 10, 77, 0, 1 };
	struct rx rx;
	int host;
	u8 f[2048];

	bed_new(true);
	host = host_udp(800);
	rx_open(&rx, 0);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	r.dst[0] = 99;
	r.dst_plen = 8;
	r.rewrite = KT_REWRITE_DST_IP | KT_REWRITE_DPORT | KT_REWRITE_TTL | KT_REWRITE_TOS | KT_REWRITE_SPORT |
		    KT_REWRITE_DST_MAC;
	memcpy(r.new_dst, new_dst, 4);
	memcpy(r.new_dst_mac, near_mac, 6);
	r.new_dport = 800;
	r.new_sport = 4711;
	r.new_ttl = 9;
	r.new_tos = 0x10;
	one_rule(&rx, r);
	udp_frame(f, 4000, 700, 55, 20);
	f[0] = 2; /* somebody else's */
	f[5] ^= 1;
	f[30] = 99;
	kt_packet_fix_checksums(f, 62);
	far_send(f, 62);
	CHECK_EQ(host_got(host, SOON), 55);
	/* The copy shows it as it came. */
	CHECK(next_record(&rx, &l, SOON));
	CHECK_EQ(l.hdr.caplen, 62);
	CHECK_MEM(l.data, f, 62);
	CHECK_EQ(rx_stats(&rx).delivered, 1);
	rx_close(&rx);
	close(host);
}

/* The far kernel leaves the checksum to a NIC that there is none of. */
static void send_partial(u16 dport, u32 number, u32 bytes)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(dport),
				  .sin_addr.s_addr = inet_addr("10.77.0.1") };
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_port = htons(4000) };
	u8 payload[1400] = { 0 };
	int fd;

	netns_enter(netns_far);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK(!bind(fd, (struct sockaddr *)&from, sizeof(from)));
	netns_enter(netns_near);
	kt_put_be32(payload, number);
	memset(payload + 4, 0x5a, bytes - 4);
	CHECK_EQ(sendto(fd, payload, bytes, 0, (struct sockaddr *)&to, sizeof(to)), bytes);
	close(fd);
}

static void t_checksum_left_to_the_nic(void)
{
	struct krx_rule_abi r = udp_rule(700, KT_OP_CAPTURE);
	struct rx rx;
	int host, host2;
	u8 sum[2];

	bed_new(true);
	host = host_udp(700);
	host2 = host_udp(800);
	rx_open(&rx, 0);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	one_rule(&rx, r);
	for (u32 i = 0; i < 64; i++) {
		send_partial(700, i, 100 + i);
		CHECK(next_record(&rx, &l, SOON));
		CHECK(l.hdr.flags & KT_RECORD_CSUM_FIXED);
		CHECK_EQ(l.hdr.caplen, 142 + i);
		CHECK(kt_packet_checksums_ok(l.data, l.hdr.caplen));
		CHECK_EQ(host_got(host, SOON), i);
	}
	/* A slice that ends inside the checksum, and one that begins there, have its halves. */
	memcpy(sum, l.data + 40, 2);
	for (u32 i = 0; i < 2; i++) {
		r.slice_bytes = i ? 0 : 41;
		r.slice_off = i ? 41 : 0;
		one_rule(&rx, r);
		send_partial(700, 63, 163);
		CHECK(next_record(&rx, &l, SOON));
		CHECK_EQ(l.data[i ? 0 : 40], sum[i]);
		CHECK_EQ(host_got(host, SOON), 63);
	}
	r.slice_off = 0;
	/* And rewritten: the host checks what we made of it. */
	r.op = KT_OP_FORWARD;
	r.rewrite = KT_REWRITE_DPORT;
	r.new_dport = 800;
	one_rule(&rx, r);
	send_partial(700, 77, 200);
	CHECK_EQ(host_got(host2, SOON), 77);
	rx_close(&rx);
	close(host);
	close(host2);
}

static void t_forward_out_of_an_interface(void)
{
	struct krx_rule_abi r = udp_rule(700, KT_OP_FORWARD);
	u8 f[2048], got[2048], want[2048];
	struct krx_stats_abi s;
	struct rx rx;
	int out, host, n;

	bed_new(true);
	netns_run("ip link add kto type veth peer name ktp && ip link set kto up && ip link set ktp up");
	out = packet_socket("ktp", 0x0800);
	host = host_udp(700);
	rx_open(&rx, 0);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	r.out_ifindex = if_nametoindex("kto");
	r.rewrite = KT_REWRITE_SRC_MAC | KT_REWRITE_DST_MAC | KT_REWRITE_SRC_IP | KT_REWRITE_DPORT | KT_REWRITE_TTL;
	memset(r.new_src_mac, 2, 6);
	memset(r.new_dst_mac, 4, 6);
	memset(r.new_src, 10, 4);
	r.new_dport = 999;
	r.new_ttl = 3;
	one_rule(&rx, r);
	udp_frame(f, 4000, 700, 1, 20);
	memcpy(want, f, 62);
	memset(want, 4, 6);
	memset(want + 6, 2, 6);
	memset(want + 26, 10, 4);
	kt_put_be16(want + 36, 999);
	want[22] = 3;
	kt_packet_fix_checksums(want, 62);
	far_send(f, 62);
	{
		struct pollfd p = { .fd = out, .events = POLLIN };

		CHECK_EQ(poll(&p, 1, SOON), 1);
	}
	n = (int)recv(out, got, sizeof(got), 0);
	CHECK_EQ(n, 62);
	CHECK_MEM(got, want, 62);
	CHECK_EQ(host_got(host, 50), -1);
	s = rx_stats(&rx);
	CHECK_EQ(s.passed, 1);
	CHECK_EQ(s.forwarded, 1);
	/* With a checksum left to the NIC, as the host's own would be. */
	r.rewrite = KT_REWRITE_DST_MAC;
	one_rule(&rx, r);
	send_partial(700, 5, 300);
	{
		struct pollfd p = { .fd = out, .events = POLLIN };

		CHECK_EQ(poll(&p, 1, SOON), 1);
	}
	CHECK_EQ(recv(out, got, sizeof(got), 0), 342);
	CHECK(got[0] == 4 && kt_packet_checksums_ok(got, 342));
	/* Captured before it is rewritten. */
	r.op = KT_OP_CAPTURE;
	one_rule(&rx, r);
	far_send(f, 62);
	CHECK(next_record(&rx, &l, SOON));
	CHECK_MEM(l.data, f, 62);
	WAIT_FOR(rx_stats(&rx).forwarded == 3);
	/* Where it cannot go it is lost, and the host does not get it instead. */
	r.op = KT_OP_FORWARD;
	netns_run("ip link set kto down");
	one_rule(&rx, r);
	far_send(f, 62);
	rx_judged(&rx, 4);
	r.out_ifindex = 4242;
	one_rule(&rx, r);
	far_send(f, 62);
	rx_judged(&rx, 5);
	CHECK_EQ(host_got(host, 50), -1);
	s = rx_stats(&rx);
	CHECK_EQ(s.lost_error, 2);
	CHECK_EQ(s.forwarded, 3);
	rx_close(&rx);
	close(out);
	close(host);
}

static void t_vlan(void)
{
	struct krx_stats_abi s;
	u8 f[2048], tagged[2048];
	struct rx rx;

	bed_new(true);
	rx_open(&rx, 0);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	one_rule(&rx, (struct krx_rule_abi){
			      .version = 4, .proto = 17, .dport_lo = 700, .dport_hi = 700, .op = KT_OP_CAPTURE_DROP });
	/* Written into the frame, one and two deep. */
	udp_frame(f, 4000, 700, 1, 20);
	for (u32 depth = 1; depth <= 2; depth++) {
		memcpy(tagged, f, 12);
		for (u32 i = 0; i < depth; i++) {
			kt_put_be16(tagged + 12 + 4 * i, depth == 2 && !i ? 0x88a8 : 0x8100);
			kt_put_be16(tagged + 14 + 4 * i, (u16)(0x6000 + 100 + i));
		}
		memcpy(tagged + 12 + 4 * depth, f + 12, 50);
		far_send(tagged, 62 + 4 * depth);
		CHECK(next_record(&rx, &l, SOON));
		CHECK_EQ(l.hdr.caplen, 62 + 4 * depth);
		CHECK_EQ(l.hdr.wirelen, 62 + 4 * depth);
		CHECK_MEM(l.data, tagged, 62 + 4 * depth);
	}
	/* By a VLAN interface: it goes beside the frame. */
	netns_enter(netns_far);
	netns_run("modprobe 8021q; ip link add link " FAR
		  " name ktv type vlan id 7 && ip addr add 10.78.0.2/24 dev ktv && ip link set ktv up && "
		  "ip neigh add 10.78.0.1 lladdr 02:00:00:00:00:09 dev ktv");
	netns_run("echo hello | socat -u - UDP4:10.78.0.1:700");
	netns_enter(netns_near);
	CHECK(next_record(&rx, &l, SOON));
	CHECK_EQ(kt_get_be16(l.data + 12), 0x8100);
	CHECK_EQ(kt_get_be16(l.data + 14), 7);
	CHECK_EQ(kt_get_be16(l.data + 16), 0x0800);
	CHECK_EQ(l.hdr.caplen, 14 + 4 + 20 + 8 + 6);
	CHECK(kt_packet_checksums_ok(l.data, l.hdr.caplen));
	CHECK_MEM(l.data + 46, "hello\n", 6);
	s = rx_stats(&rx);
	CHECK_EQ(s.delivered, 3);
	rx_close(&rx);
}

static void t_outgoing(void)
{
	struct krx_stats_abi s;
	struct rx rx;

	bed_new(true);
	rx_open(&rx, KRX_SETUP_OUTGOING);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	one_rule(&rx, (struct krx_rule_abi){
			      .version = 4, .proto = 17, .dport_lo = 700, .dport_hi = 700, .op = KT_OP_CAPTURE_DROP });
	netns_run("echo hello | socat -u - UDP4:10.77.0.2:700");
	CHECK(next_record(&rx, &l, SOON));
	CHECK_EQ(l.hdr.flags, KT_RECORD_OUTGOING | KT_RECORD_CSUM_FIXED);
	CHECK_EQ(l.hdr.caplen, 14 + 20 + 8 + 6);
	CHECK(kt_packet_checksums_ok(l.data, l.hdr.caplen));
	s = rx_stats(&rx);
	CHECK_EQ(s.delivered, 1);
	CHECK_EQ(s.dropped, 0);
	rx_close(&rx);
}

TEST_MAIN(T(t_setup_checks_its_argument), T(t_without_rules_all_passes), T(t_forward), T(t_capture), T(t_drop),
	  T(t_capture_drop), T(t_prerouting_ops), T(t_ring_goes_round), T(t_lossless_holds_and_lossy_is_overrun),
	  T(t_down_and_gone), T(t_slices), T(t_quota_and_sample), T(t_rewrite_for_the_host),
	  T(t_checksum_left_to_the_nic), T(t_forward_out_of_an_interface), T(t_vlan), T(t_outgoing))

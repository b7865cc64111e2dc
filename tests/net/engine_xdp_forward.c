/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Engine xdp, sending on: packets rewritten on their way to the host, and out of another interface. */
#include "tests/xdp_bed.h"

/* Rewritten frames reach the host with right checksums. */
static void t_rewrite_to_host(void)
{
	struct kt_packet_spec s = spec(5, 6);
	u8 buf[200];

	set_up();
	RULE(.op = KRX_FORWARD, .sport_lo = 5, .rewrite = KRX_REWRITE_SRC_IP | KRX_REWRITE_DPORT | KRX_REWRITE_SPORT,
	     .new_src = { 10, 77, 0, 77 }, .new_dport = PORT, .new_sport = 99);
	in_force();
	read_mac(s.dst_mac);
	for (u32 i = 0; i < 50; i++) {
		struct sockaddr_in from = { 0 };
		socklen_t len = sizeof(from);

		emit(buf, build(buf, sizeof(buf), &s, i * 7919, 40 + i % 3));
		{
			struct pollfd pfd = { .fd = host, .events = POLLIN };

			CHECK_EQ(poll(&pfd, 1, 1000), 1);
		}
		CHECK(recvfrom(host, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len) >= 40);
		CHECK_EQ(kt_get_be32(buf), i * 7919);
		CHECK_EQ(ntohs(from.sin_port), 99);
		CHECK_EQ(ntohl(from.sin_addr.s_addr), 0x0a4d004d);
	}
	tear_down();
}

/* A third interface, "kto", in far; what leaves there arrives at "ktp". GRO lets veth take redirected frames. */
static int out_interface(u32 *ifindex)
{
	netns_enter(netns_far);
	netns_run("ip link add kto type veth peer name ktp");
	netns_run("ethtool -K ktp gro on > /dev/null");
	netns_run("ip link set kto up");
	netns_run("ip link set ktp up");
	*ifindex = if_nametoindex("kto");
	return packet_socket("ktp");
}

static void t_forward_out(void)
{
	struct pollfd pfd = { .events = POLLIN };
	struct krx_stats st;
	u32 ifindex;
	u8 buf[200];

	set_up();
	pfd.fd = out_interface(&ifindex);
	RULE(.op = KRX_FORWARD, .sport_lo = 1, .out_ifindex = ifindex,
	     .rewrite = KRX_REWRITE_DST_MAC | KRX_REWRITE_DST_IP, .new_dst_mac = { 2, 3, 4, 5, 6, 7 },
	     .new_dst = { 10, 9, 8, 7 });
	RULE(.op = KRX_CAPTURE, .sport_lo = 2, .out_ifindex = ifindex);
	in_force();
	for (u32 i = 0; i < 20; i++)
		send_udp((u16)(1 + i % 2), PORT, i);
	for (u32 i = 0; i < 20; i++) {
		struct kt_packet p;

		CHECK_EQ(poll(&pfd, 1, 1000), 1);
		CHECK_EQ(recv(pfd.fd, buf, sizeof(buf), 0), 82);
		CHECK_EQ(kt_get_be32(buf + 42), i);
		CHECK_EQ(buf[5], i % 2 ? buf[5] : 7);
		CHECK(kt_packet_checksums_ok(buf, 82));
		kt_packet_parse(&p, buf, 82, 82);
		CHECK_EQ(p.flow.dst[1], i % 2 ? 77 : 9);
	}
	CHECK_EQ(host_number(20), -1);
	for (u32 i = 1; i < 20; i += 2) {
		struct krx_packet p = next();

		CHECK_EQ(number_of(&p), i);
	}
	st = stats_of(20);
	CHECK_EQ(st.passed, 10);
	CHECK_EQ(st.forwarded, 10);
	CHECK_EQ(st.lost_error, 0);
	close(pfd.fd);
	tear_down();
}

/* What could not be sent on is lost and said to be; what was delivered before is not lost. */
static void t_forward_lost(void)
{
	struct krx_stats st;
	u32 ifindex;

	set_up();
	close(out_interface(&ifindex));
	RULE(.op = KRX_FORWARD, .sport_lo = 1, .out_ifindex = ifindex);
	RULE(.op = KRX_CAPTURE, .sport_lo = 2, .out_ifindex = ifindex);
	in_force();
	netns_run("ip link set kto down");
	for (u32 i = 0; i < 20; i++)
		send_udp((u16)(1 + i % 2), PORT, i);
	for (u32 i = 1; i < 20; i += 2)
		next();
	st = stats_of(20);
	CHECK_EQ(st.lost_error, 10);
	CHECK_EQ(st.passed, 0);
	CHECK_EQ(st.forwarded, 0);
	CHECK_EQ(st.delivered, 10);
	netns_run("ip link del kto");
	for (u32 i = 0; i < 20; i++)
		send_udp((u16)(1 + i % 2), PORT, i);
	for (u32 i = 1; i < 20; i += 2)
		next();
	st = stats_of(40);
	CHECK_EQ(st.lost_error, 20);
	CHECK_EQ(st.delivered, 20);
	tear_down();
}

#define CASES T(t_rewrite_to_host), T(t_forward_out), T(t_forward_lost)

TEST_MAIN(T(mode_native), CASES, T(mode_generic), CASES)

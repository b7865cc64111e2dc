/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Engine xdp, receiving, native and generic: what rules deliver and what the host gets, by the witness of a packet
 * socket on a third interface and of sockets behind the stack. Frames leave "near" by a packet socket.
 */
#include "tests/xdp_bed.h"

static void t_no_rules(void)
{
	struct ktrxer_info info;

	set_up();
	CHECK_EQ(ktrxer_get_info(port, &info), 0);
	CHECK(strstr(info.mode, mode == KTRXER_XDP_NATIVE ? "native" : "generic"));
	for (int i = 0; i < 10; i++)
		send_udp(1, PORT, (u32)i);
	for (int i = 0; i < 10; i++)
		CHECK_EQ(host_number(1000), i);
	CHECK_EQ(stats().seen, 10);
	CHECK_EQ(stats().passed, 10);
	tear_down();
}

static void t_verdicts(void)
{
	struct krx_packet p;

	set_up();
	RULE(.op = KRX_CAPTURE, .sport_lo = 1);
	RULE(.op = KRX_DROP, .sport_lo = 2);
	RULE(.op = KRX_CAPTURE_DROP, .sport_lo = 3);
	RULE(.op = KRX_FORWARD, .sport_lo = 4);
	in_force();
	for (u32 i = 0; i < 40; i++)
		send_udp((u16)(1 + i % 4), PORT, i);
	for (u32 i = 0; i < 40; i++) {
		if (i % 4 == 0 || i % 4 == 2) {
			p = next();
			CHECK_EQ(number_of(&p), i);
			CHECK_EQ(p.op, i % 4 == 0 ? KRX_CAPTURE : KRX_CAPTURE_DROP);
			CHECK_EQ(p.caplen, 82);
			CHECK_EQ(p.wirelen, 82);
			CHECK_EQ(p.ifindex, if_nametoindex(FAR));
			CHECK(p.stamp_ns <= ktrxer_now(port) && p.stamp_ns > ktrxer_now(port) - SECOND);
		}
		if (i % 4 == 0 || i % 4 == 3)
			CHECK_EQ(host_number(1000), i);
	}
	CHECK_EQ(host_number(20), -1);
	CHECK_EQ(stats().seen, 40);
	CHECK_EQ(stats().delivered, 20);
	CHECK_EQ(stats().dropped, 10);
	CHECK_EQ(stats().passed, 10);
	tear_down();
}

static void t_rule_counts(void)
{
	struct krx_rule_stats st[4];
	u32 total = 0;

	set_up();
	for (u32 round = 0; round < 5; round++) {
		for (u32 i = 0; i < 3; i++) {
			RULE(.op = KRX_DROP, .sport_lo = 1 + i, .id = 100 + i);
		}
		in_force();
		for (u32 i = 0; i < 30; i++)
			send_udp((u16)(1 + i % 3), PORT, i);
		total += 10;
		for (u32 tries = 0; stats().dropped < 3 * total && tries < 100; tries++)
			usleep(1000);
		CHECK_EQ(krx_rules_list(rx, NULL, st, 4), 3);
		for (u32 i = 0; i < 3; i++) {
			CHECK_EQ(st[i].pkts, total);
			CHECK_EQ(st[i].bytes, total * 82);
		}
	}
	tear_down();
}

static void t_quota_and_sample(void)
{
	struct krx_packet p;

	set_up();
	RULE(.op = KRX_CAPTURE_DROP, .sport_lo = 1, .quota_pkts = 5, .tag = 7);
	RULE(.op = KRX_CAPTURE, .sport_lo = 1, .sample_n = 3, .tag = 8);
	in_force();
	for (u32 i = 0; i < 17; i++)
		send_udp(1, PORT, i);
	for (u32 i = 0; i < 5; i++) {
		p = next();
		CHECK_EQ(number_of(&p), i);
		CHECK_EQ(p.tag, 7);
	}
	for (u32 i = 5; i < 17; i += 3) {
		p = next();
		CHECK_EQ(number_of(&p), i);
		CHECK_EQ(p.tag, 8);
	}
	for (int i = 5; i < 17; i++)
		CHECK_EQ(host_number(1000), i);
	CHECK_EQ(stats().delivered, 9);
	CHECK_EQ(stats().passed, 8);
	tear_down();
}

static void t_slices(void)
{
	struct krx_packet p;

	set_up();
	RULE(.op = KRX_CAPTURE_DROP, .sport_lo = 1, .slice = KRX_SLICE_NETWORK, .slice_off = 0, .slice_bytes = 20);
	RULE(.op = KRX_CAPTURE_DROP, .sport_lo = 2, .slice = KRX_SLICE_PAYLOAD, .slice_off = 0, .slice_bytes = 4);
	RULE(.op = KRX_CAPTURE_DROP, .sport_lo = 3, .slice = KRX_SLICE_TRANSPORT, .slice_off = 2, .slice_bytes = 6);
	RULE(.op = KRX_CAPTURE_DROP, .sport_lo = 4, .slice = KRX_SLICE_LINK, .slice_off = 14, .slice_bytes = 0);
	in_force();
	for (u32 i = 0; i < 4; i++)
		send_udp((u16)(1 + i), PORT, 1000 + i);
	p = next();
	CHECK_EQ(p.caplen, 20);
	CHECK_EQ(p.slice_off, 14);
	CHECK_EQ(p.data[0], 0x45);
	p = next();
	CHECK_EQ(p.caplen, 4);
	CHECK_EQ(kt_get_be32(p.data), 1001);
	p = next();
	CHECK_EQ(p.caplen, 6);
	CHECK_EQ(kt_get_be16(p.data), PORT);
	p = next();
	CHECK_EQ(p.caplen, 68);
	CHECK_EQ(p.wirelen, 82);
	tear_down();
}

/* All sizes, up to the largest frames: each record is whole. */
static void t_sizes(void)
{
	static u8 buf[9100];

	tear_down();
	netns_pair(true);
	netns_run("ip link set " NEAR " mtu 9000");
	netns_enter(netns_far);
	netns_run("ip link set " FAR " mtu 9000");
	host = udp_socket();
	netns_enter(netns_near);
	sender = packet_socket(NEAR);
	open_rx(NULL);
	RULE(.op = KRX_CAPTURE_DROP, .sport_lo = 1);
	in_force();
	for (u32 bytes = 4; bytes + 42 <= 9014; bytes += bytes < 300 ? 1 : 97) {
		struct kt_packet_spec s = spec(1, PORT);
		u32 len = build(buf, sizeof(buf), &s, bytes, bytes);
		struct krx_packet p;

		emit(buf, len);
		p = next();
		CHECK_EQ(p.wirelen, len);
		CHECK_EQ(p.caplen, len);
		CHECK_MEM(p.data, buf, len);
		CHECK(!p.truncated);
	}
	tear_down();
}

/* A SYN to a closed port: with capture+drop the host sends no RST. */
static void t_silence(void)
{
	struct kt_packet_spec s = spec(1000, 9);
	struct pollfd pfd = { .events = POLLIN };
	struct krx_packet p;
	u8 buf[200], got[2000];
	u32 len;
	int rst[2] = { 0 };

	set_up();
	s.flow.proto = KT_PROTO_TCP;
	s.tcp_flags = KT_TCP_SYN;
	read_mac(s.dst_mac);
	netns_enter(netns_far);
	netns_run("ip neigh replace 10.77.0.1 lladdr 02:00:00:00:00:00 dev " FAR);
	for (int silent = 0; silent < 2; silent++) {
		if (silent) {
			RULE(.op = KRX_CAPTURE_DROP, .proto = KT_PROTO_TCP, .dport_lo = 9);
			in_force();
		}
		len = build(buf, sizeof(buf), &s, 1, 0);
		emit(buf, len);
		if (silent) {
			p = next();
			CHECK_EQ(p.caplen, len);
		}
		pfd.fd = sender;
		while (poll(&pfd, 1, 100) > 0) {
			struct kt_packet k;
			int n = (int)recv(sender, got, sizeof(got), 0);

			kt_packet_parse(&k, got, (u32)n, (u32)n);
			rst[silent] += k.flow.proto == KT_PROTO_TCP && (k.tcp_flags & KT_TCP_RST);
		}
	}
	CHECK_EQ(rst[0], 1);
	CHECK_EQ(rst[1], 0);
	tear_down();
}

/* A receiver that is killed leaves no program on the interface. */
static void t_killed(void)
{
	int ready[2], status;
	pid_t pid;
	char c;

	tear_down();
	netns_pair(true);
	CHECK_EQ(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		open_rx(NULL);
		RULE(.op = KRX_DROP, .sport_lo = 1);
		in_force();
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	CHECK_EQ(read(ready[0], &c, 1), 1);
	close(ready[0]);
	netns_enter(netns_far);
	netns_run("ip link show " FAR " | grep -q 'prog/xdp'");
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	netns_run("for i in 1 2 3 4 5 6 7 8 9 10; do ip link show " FAR
		  " | grep -q 'prog/xdp' || exit 0; sleep 0.1; done; exit 1");
}

/* Somebody else's program stays, and the user is told. */
static void t_program_there(void)
{
	KTRXER_OPTS(ktrxer_opts, po);
	struct ktrxer_err err = { 0 };
	struct krx *second = NULL;
	struct ktrxer *p2;

	set_up();
	po.engine = "xdp";
	po.xdp_mode = mode;
	CHECK_EQ(ktrxer_open(&p2, FAR, &po, &err), 0);
	CHECK_EQ(krx_open(&second, p2, NULL, &err), -EBUSY);
	CHECK(strstr(err.text, FAR));
	ktrxer_close(p2);
	CHECK_EQ(kt_engine_xdp.probe(FAR, &err), -EBUSY);
	RULE(.op = KRX_CAPTURE, .sport_lo = 1);
	in_force();
	send_udp(1, PORT, 5);
	next();
	tear_down();
}

/* The set is exchanged under traffic: every packet meets the one or the other, and both count exactly. */
static void t_exchange(void)
{
	struct krx_rule_stats st[2];
	u64 n = 0;

	set_up();
	for (u32 round = 0; round < 30; round++) {
		RULE(.op = round & 1 ? KRX_DROP : KRX_CAPTURE_DROP, .sport_lo = 1, .id = 1,
		     .slice_bytes = round & 1 ? 0 : 64);
		in_force();
		for (u32 i = 0; i < 50; i++, n++)
			send_udp(1, PORT, (u32)n);
		krx_pump(rx);
	}
	CHECK_EQ(stats_of(n).dropped, n / 2);
	CHECK_EQ(stats().delivered, n / 2);
	CHECK_EQ(stats().passed, 0);
	CHECK_EQ(krx_rules_list(rx, NULL, st, 2), 1);
	CHECK_EQ(st[0].pkts, n);
	tear_down();
}

#define CASES \
	T(t_no_rules), T(t_verdicts), T(t_rule_counts), T(t_quota_and_sample), T(t_slices), T(t_sizes), T(t_silence), \
		T(t_killed), T(t_program_there), T(t_exchange)

TEST_MAIN(T(mode_native), CASES, T(mode_generic), CASES)

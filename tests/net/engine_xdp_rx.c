/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Engine xdp, receiving, native and generic: what rules deliver and what the host gets, by the witness of a packet
 * socket on a third interface and of sockets behind the stack. Frames leave "near" by a packet socket.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "core/packet.h"
#include "include/ktrxer.h"
#include "tests/engine.h"
#include "tests/netns.h"

#define SECOND 1000000000ull
#define PORT 7777

static struct ktrxer *port;
static struct krx *rx;
static struct krx_listener *listener;
static int sender = -1, host = -1;
static enum ktrxer_xdp_mode mode = KTRXER_XDP_NATIVE;

static void tear_down(void)
{
	if (listener)
		krx_unlisten(listener);
	if (rx)
		krx_close(rx);
	ktrxer_close(port);
	if (sender >= 0)
		close(sender);
	if (host >= 0)
		close(host);
	listener = NULL;
	rx = NULL;
	port = NULL;
	sender = host = -1;
}

static int packet_socket(const char *ifname)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	ll.sll_ifindex = (int)if_nametoindex(ifname);
	CHECK(fd >= 0 && ll.sll_ifindex);
	CHECK_EQ(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	return fd;
}

static int udp_socket(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHECK_EQ(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

static void open_rx(const struct krx_opts *opts)
{
	KTRXER_OPTS(ktrxer_opts, po);
	KTRXER_OPTS(krx_listen_opts, lo);
	struct ktrxer_err err = { 0 };

	po.engine = "xdp";
	po.xdp_mode = mode;
	lo.lossless = true;
	netns_enter(netns_far);
	if (ktrxer_open(&port, FAR, &po, &err) || krx_open(&rx, port, opts, &err) ||
	    krx_listen(&listener, rx, &lo, &err))
		TEST_FAIL("%s", err.text);
}

static void set_up(void)
{
	tear_down();
	netns_pair(true);
	/* The stack answers to any MAC address, and near never asks who has one. */
	sender = packet_socket(NEAR);
	netns_enter(netns_far);
	host = udp_socket();
	open_rx(NULL);
}

static struct krx_rule rules[16];
static u32 n_rules;

/* Collected, then in force with in_force(). */
static void rule(struct krx_rule r)
{
	r.version = r.version ? r.version : 4;
	r.proto = r.proto ? r.proto : KT_PROTO_UDP;
	r.sport_hi = r.sport_lo;
	r.dport_hi = r.dport_lo;
	rules[n_rules++] = r;
}

#define RULE(...) rule((struct krx_rule){ __VA_ARGS__ })

static void in_force(void)
{
	if (krx_rules_replace(rx, rules, n_rules))
		TEST_FAIL("%s", krx_why(rx));
	n_rules = 0;
}

/* A UDP packet from 10.77.0.1:sport to 10.77.0.2:dport with the number in front of its payload. */
static struct kt_packet_spec spec(u16 sport, u16 dport)
{
	struct kt_packet_spec s = { .flow = { .version = 4, .proto = KT_PROTO_UDP, .sport = sport, .dport = dport } };

	memset(s.dst_mac, 0xff, 6);
	s.src_mac[0] = 2;
	inet_pton(AF_INET, "10.77.0.1", s.flow.src);
	inet_pton(AF_INET, "10.77.0.2", s.flow.dst);
	return s;
}

static void read_mac(u8 mac[6]);

static u32 build(u8 *buf, u32 cap, struct kt_packet_spec *s, u32 number, u32 payload_bytes)
{
	static u8 payload[9000];
	int n;

	for (u32 i = 4; i < sizeof(payload); i++)
		payload[i] = (u8)(i + number);
	kt_put_be32(payload, number);
	s->payload = payload;
	s->payload_bytes = payload_bytes;
	n = kt_packet_build(s, buf, cap);
	CHECK(n > 0);
	return (u32)n;
}

static void emit(const void *frame, u32 len)
{
	CHECK_EQ(send(sender, frame, len, 0), (int)len);
}

static void send_udp(u16 sport, u16 dport, u32 number)
{
	struct kt_packet_spec s = spec(sport, dport);
	u8 buf[200];

	read_mac(s.dst_mac);
	emit(buf, build(buf, sizeof(buf), &s, number, 40));
}

static void read_mac(u8 mac[6])
{
	struct ktrxer_info info;

	CHECK_EQ(ktrxer_get_info(port, &info), 0);
	memcpy(mac, info.mac, 6);
}

/* The next captured packet of ours within a second, or fails. */
static struct krx_packet next(void)
{
	struct krx_packet p;

	CHECK_EQ(krx_next(listener, &p, SECOND), 1);
	return p;
}

static u32 number_of(const struct krx_packet *p)
{
	CHECK(p->caplen >= 46);
	return kt_get_be32(p->data + 42);
}

/* What the UDP socket behind the stack got within ms. -1: nothing. */
static int host_number(int ms)
{
	struct pollfd pfd = { .fd = host, .events = POLLIN };
	u8 buf[2000];

	if (poll(&pfd, 1, ms) <= 0)
		return -1;
	CHECK(recv(host, buf, sizeof(buf), 0) >= 4);
	return (int)kt_get_be32(buf);
}

static struct krx_stats stats(void)
{
	struct krx_stats s;

	CHECK_EQ(krx_get_stats(rx, &s), 0);
	CHECK_EQ(s.seen, s.delivered + s.dropped + s.passed + s.lost_ring + s.lost_engine + s.lost_error);
	return s;
}

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

/* Waits until the engine has accounted for n packets. */
static struct krx_stats stats_of(u64 n)
{
	for (u32 i = 0; i < 500 && stats().seen < n; i++) {
		krx_pump(rx);
		usleep(1000);
	}
	return stats();
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

/* The cases behind these run in the mode that they set. */
static void mode_native(void)
{
	mode = KTRXER_XDP_NATIVE;
}

static void mode_generic(void)
{
	mode = KTRXER_XDP_GENERIC;
}

#define CASES \
	T(t_no_rules), T(t_verdicts), T(t_rule_counts), T(t_quota_and_sample), T(t_slices), T(t_sizes), T(t_silence), \
		T(t_rewrite_to_host), T(t_forward_out), T(t_forward_lost), T(t_killed), T(t_program_there), \
		T(t_exchange)

TEST_MAIN(T(mode_native), CASES, T(mode_generic), CASES)

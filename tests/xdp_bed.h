/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A receiver of engine xdp in "far", frames for it from "near", and a socket of the host behind it. */
#ifndef KT_TEST_XDP_BED_H
#define KT_TEST_XDP_BED_H

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

static inline void tear_down(void)
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

static inline int packet_socket(const char *ifname)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	ll.sll_ifindex = (int)if_nametoindex(ifname);
	CHECK(fd >= 0 && ll.sll_ifindex);
	CHECK_EQ(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	return fd;
}

static inline int udp_socket(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHECK_EQ(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

static inline void open_rx(const struct krx_opts *opts)
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

static inline void set_up(void)
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
static inline void rule(struct krx_rule r)
{
	r.version = r.version ? r.version : 4;
	r.proto = r.proto ? r.proto : KT_PROTO_UDP;
	r.sport_hi = r.sport_lo;
	r.dport_hi = r.dport_lo;
	rules[n_rules++] = r;
}

#define RULE(...) rule((struct krx_rule){ __VA_ARGS__ })

static inline void in_force(void)
{
	if (krx_rules_replace(rx, rules, n_rules))
		TEST_FAIL("%s", krx_why(rx));
	n_rules = 0;
}

/* A UDP packet from 10.77.0.1:sport to 10.77.0.2:dport with the number in front of its payload. */
static inline struct kt_packet_spec spec(u16 sport, u16 dport)
{
	struct kt_packet_spec s = { .flow = { .version = 4, .proto = KT_PROTO_UDP, .sport = sport, .dport = dport } };

	memset(s.dst_mac, 0xff, 6);
	s.src_mac[0] = 2;
	inet_pton(AF_INET, "10.77.0.1", s.flow.src);
	inet_pton(AF_INET, "10.77.0.2", s.flow.dst);
	return s;
}

static inline void read_mac(u8 mac[6]);

static inline u32 build(u8 *buf, u32 cap, struct kt_packet_spec *s, u32 number, u32 payload_bytes)
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

static inline void emit(const void *frame, u32 len)
{
	CHECK_EQ(send(sender, frame, len, 0), (int)len);
}

static inline void send_udp(u16 sport, u16 dport, u32 number)
{
	struct kt_packet_spec s = spec(sport, dport);
	u8 buf[200];

	read_mac(s.dst_mac);
	emit(buf, build(buf, sizeof(buf), &s, number, 40));
}

static inline void read_mac(u8 mac[6])
{
	struct ktrxer_info info;

	CHECK_EQ(ktrxer_get_info(port, &info), 0);
	memcpy(mac, info.mac, 6);
}

/* The next captured packet of ours within a second, or fails. */
static inline struct krx_packet next(void)
{
	struct krx_packet p;

	CHECK_EQ(krx_next(listener, &p, SECOND), 1);
	return p;
}

static inline u32 number_of(const struct krx_packet *p)
{
	CHECK(p->caplen >= 46);
	return kt_get_be32(p->data + 42);
}

/* What the UDP socket behind the stack got within ms. -1: nothing. */
static inline int host_number(int ms)
{
	struct pollfd pfd = { .fd = host, .events = POLLIN };
	u8 buf[2000];

	if (poll(&pfd, 1, ms) <= 0)
		return -1;
	CHECK(recv(host, buf, sizeof(buf), 0) >= 4);
	return (int)kt_get_be32(buf);
}

static inline struct krx_stats stats(void)
{
	struct krx_stats s;

	CHECK_EQ(krx_get_stats(rx, &s), 0);
	CHECK_EQ(s.seen, s.delivered + s.dropped + s.passed + s.lost_ring + s.lost_engine + s.lost_error);
	return s;
}

/* Waits until the engine has accounted for n packets. */
static inline struct krx_stats stats_of(u64 n)
{
	for (u32 i = 0; i < 500 && stats().seen < n; i++) {
		krx_pump(rx);
		usleep(1000);
	}
	return stats();
}

/* The cases behind these run in the mode that they set. */
static inline void mode_native(void)
{
	mode = KTRXER_XDP_NATIVE;
}

static inline void mode_generic(void)
{
	mode = KTRXER_XDP_GENERIC;
}

#endif

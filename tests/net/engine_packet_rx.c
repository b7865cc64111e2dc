/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Engine packet, receiving: whole frames with true stamps, and every loss counted. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "core/ring.h"
#include "lib/port.h"
#include "tests/engine.h"

#define N 64u
#define E (&kt_engine_packet)
#define PATIENCE (2 * KT_NSEC_PER_SEC)

static struct ktrxer *a, *b; /* a sends in near, b receives in far */
static struct kt_txslot slots[N];
static struct kt_txslot *batch[N];
static struct kt_rxframe frames[N];
static const u8 verdict[N];

static void close_ports(void)
{
	close_pair(&a, &b);
}

static void set_up_opts(bool quiet, const struct krx_opts *opts)
{
	struct ktrxer_err err = { 0 };

	close_ports();
	netns_pair(quiet);
	netns_enter(netns_far);
	b = must_open(E, FAR);
	if (E->rx_open(b, opts, &err))
		TEST_FAIL("%s", err.text);
	netns_enter(netns_near);
	a = must_open(E, NEAR);
	CHECK_EQ(E->tx_open(a, slots, N, FRAME_BYTES, false, NULL), 0);
	for (u32 i = 0; i < N; i++) {
		batch[i] = &slots[i];
		put_frame(&slots[i], i, 60);
	}
}

static void set_up(void)
{
	struct krx_opts opts = { .sz = sizeof(opts) };

	set_up_opts(true, &opts);
}

static void launch(u32 n)
{
	CHECK_EQ(E->tx_launch(a, batch, n), n);
	for (u32 i = 0; i < n; i++)
		CHECK_EQ(slots[i].state, KT_TX_SENT);
}

/* Waits for frames[0 .. n); the caller releases them. */
static void receive(u32 n)
{
	u32 got = 0;

	while (got < n) {
		int k;

		CHECK_EQ(E->rx_wait(b, kt_clock_now(KTRXER_CLOCK_MONOTONIC) + PATIENCE), 1);
		k = E->rx_peek(b, frames + got, n - got);
		CHECK(k > 0);
		got += (u32)k;
	}
}

static void t_whole_frames(void)
{
	u64 before, after, last = 0;

	set_up();
	before = kt_clock_now(KTRXER_CLOCK_REALTIME);
	launch(N);
	receive(N);
	after = kt_clock_now(KTRXER_CLOCK_REALTIME);
	for (u32 i = 0; i < N; i++) {
		CHECK_EQ(frames[i].caplen, 60);
		CHECK_EQ(frames[i].wirelen, 60);
		CHECK_EQ(frames[i].ifindex, b->ifindex);
		CHECK_EQ(frames[i].clock, KTRXER_CLOCK_REALTIME);
		CHECK_EQ(frames[i].flags, 0);
		CHECK_MEM(frames[i].data, slots[i].data, 60);
		CHECK(before <= frames[i].stamp_ns && frames[i].stamp_ns <= after);
		CHECK(last <= frames[i].stamp_ns);
		last = frames[i].stamp_ns;
	}
	E->rx_release(b, verdict, N);
	CHECK_EQ(E->rx_peek(b, frames, N), 0);
	CHECK_EQ(E->rx_wait(b, kt_clock_now(KTRXER_CLOCK_MONOTONIC) + 1000000), 0);
	close_ports();
}

/* Round the ring several times, in batches that do not divide it. */
static void t_ring_wraps(void)
{
	struct krx_opts opts = { .sz = sizeof(opts), .ring_bytes = 1 };
	struct kt_rx_counts c;
	u32 next = 0;

	set_up_opts(true, &opts);
	for (u32 round = 0; round < 60; round++) {
		for (u32 i = 0; i < 37; i++)
			put_frame(&slots[i], round * 37 + i, 60);
		launch(37);
		receive(37);
		for (u32 i = 0; i < 37; i++)
			CHECK_EQ(frame_number(frames[i].data), next++);
		E->rx_release(b, verdict, 37);
	}
	E->rx_counts(b, &c);
	CHECK_EQ(c.lost_engine, 0);
	close_ports();
}

/* Nobody reads: what did not fit is counted, exactly. */
static void t_losses_are_counted(void)
{
	struct krx_opts opts = { .sz = sizeof(opts), .ring_bytes = 1 };
	struct kt_rx_counts c;
	u32 sent = 0, got = 0;
	int k;

	set_up_opts(true, &opts);
	for (u32 round = 0; round < 30; round++, sent += N)
		launch(N);
	while ((k = E->rx_peek(b, frames, N)) > 0) {
		got += (u32)k;
		E->rx_release(b, verdict, (u32)k);
	}
	E->rx_counts(b, &c);
	CHECK(c.lost_engine > 0);
	CHECK_EQ(got + c.lost_engine, sent);
	CHECK_EQ(c.seen, c.lost_engine);
	E->rx_counts(b, &c); /* reading the kernel's count clears it; ours stays */
	CHECK_EQ(got + c.lost_engine, sent);
	close_ports();
}

/* All slots peeked at and none given back: nothing is shown twice. */
static void t_held_ring(void)
{
	struct krx_opts opts = { .sz = sizeof(opts), .ring_bytes = 1 };
	u32 held = 0;
	int k;

	set_up_opts(true, &opts);
	for (u32 round = 0; round < 30; round++)
		launch(N);
	while ((k = E->rx_peek(b, frames, N)) > 0)
		held += (u32)k;
	CHECK(held >= 256 && held < 30 * N);
	while (held) {
		u32 n = held < N ? held : N;

		E->rx_release(b, verdict, n);
		held -= n;
	}
	launch(1);
	receive(1);
	E->rx_release(b, verdict, 1);
	close_ports();
}

/* The kernel takes the outer tag out of the frame; it must come back, whatever its protocol. */
static void t_vlan_tags(void)
{
	static const u16 tpid[3] = { KT_ETHERTYPE_VLAN, KT_ETHERTYPE_QINQ, KT_ETHERTYPE_VLAN };

	set_up();
	for (u32 i = 0; i < 3; i++) {
		kt_put_be16(slots[i].data + 12, tpid[i]);
		kt_put_be16(slots[i].data + 14, (u16)(0xa000 | (i + 5)));
		kt_put_be16(slots[i].data + 16, i ? KT_ETHERTYPE_VLAN : 0x88b5);
		kt_put_be16(slots[i].data + 18, 0x0007);
		kt_put_be16(slots[i].data + 20, 0x88b5);
	}
	put_frame(&slots[2], 2, 1518);
	kt_put_be16(slots[2].data + 12, KT_ETHERTYPE_VLAN);
	kt_put_be16(slots[2].data + 14, 0);
	kt_put_be16(slots[2].data + 16, 0x88b5);
	launch(3);
	receive(3);
	for (u32 i = 0; i < 3; i++) {
		CHECK_EQ(frames[i].caplen, slots[i].len);
		CHECK_EQ(frames[i].wirelen, slots[i].len);
		CHECK_EQ(frames[i].flags, 0);
		CHECK_MEM(frames[i].data, slots[i].data, slots[i].len);
	}
	E->rx_release(b, verdict, 3);
	close_ports();
}

static int udp_socket(const char *to, u16 port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	inet_pton(AF_INET, to, &addr.sin_addr);
	CHECK_EQ(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Until an IPv4 frame of this protocol and direction comes; frames[0], unreleased. */
static void receive_proto(u8 proto, u8 direction)
{
	for (;;) {
		receive(1);
		if (kt_get_be16(frames[0].data + 12) == KT_ETHERTYPE_IPV4 && frames[0].data[23] == proto &&
		    (frames[0].flags & KT_RECORD_OUTGOING) == direction)
			return;
		E->rx_release(b, verdict, 1);
	}
}

/* A veth leaves checksums to a NIC that there is not. */
static void t_checksum_of_offload(void)
{
	int fd;

	set_up();
	fd = udp_socket("10.77.0.2", 9);
	CHECK_EQ(send(fd, "hello", 5, 0), 5);
	receive_proto(KT_PROTO_UDP, 0);
	CHECK(frames[0].flags & KT_RECORD_CSUM_FIXED);
	CHECK(kt_packet_checksums_ok(frames[0].data, frames[0].caplen));
	E->rx_release(b, verdict, 1);
	close(fd);
	close_ports();
}

static void t_outgoing(void)
{
	struct krx_opts opts = { .sz = sizeof(opts), .outgoing = true };
	int fd;

	for (int i = 0; i < 2; i++) {
		opts.outgoing = i;
		set_up_opts(true, &opts);
		netns_enter(netns_far);
		fd = udp_socket("10.77.0.1", 9);
		CHECK_EQ(send(fd, "hello", 5, 0), 5);
		if (i) {
			receive_proto(KT_PROTO_UDP, KT_RECORD_OUTGOING);
			E->rx_release(b, verdict, 1);
		}
		receive_proto(KT_PROTO_ICMP, 0); /* port unreachable: the answer */
		E->rx_release(b, verdict, 1);
		close(fd);
		close_ports();
	}
}

/* TCP over veth comes in pieces of up to 64 KiB, larger than any slot. */
static void t_merged(void)
{
	static char data[200000];
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(5001) };
	u64 bytes = 0, merged = 0, fixed = 0;
	int server, client, conn, one = 1;

	set_up();
	netns_enter(netns_far);
	server = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	CHECK_EQ(bind(server, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CHECK_EQ(listen(server, 1), 0);
	netns_enter(netns_near);
	client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	inet_pton(AF_INET, "10.77.0.2", &addr.sin_addr);
	connect(client, (struct sockaddr *)&addr, sizeof(addr));
	conn = accept(server, NULL, NULL);
	CHECK(conn >= 0);
	for (size_t sent = 0; sent < sizeof(data);) {
		struct pollfd pfd = { .fd = client, .events = POLLOUT };
		ssize_t k;

		CHECK_EQ(poll(&pfd, 1, 2000), 1);
		k = send(client, data, sizeof(data) - sent, 0);
		CHECK(k > 0);
		sent += (size_t)k;
		while (recv(conn, data, sizeof(data), MSG_DONTWAIT) > 0)
			;
	}
	while (bytes < sizeof(data)) {
		struct kt_packet p;

		receive_proto(KT_PROTO_TCP, 0);
		CHECK_EQ(frames[0].caplen, frames[0].wirelen);
		CHECK_EQ(kt_packet_parse(&p, frames[0].data, frames[0].caplen, frames[0].wirelen), 0);
		bytes += p.payload_bytes;
		CHECK_EQ(!!(frames[0].flags & KT_RECORD_MERGED), frames[0].wirelen > 1522 || p.payload_bytes > 1448);
		merged += !!(frames[0].flags & KT_RECORD_MERGED);
		fixed += !!(frames[0].flags & KT_RECORD_CSUM_FIXED);
		E->rx_release(b, verdict, 1);
	}
	CHECK_EQ(bytes, sizeof(data));
	CHECK(merged > 0 && fixed > 0);
	close(client);
	close(conn);
	close(server);
	close_ports();
}

static void t_down_up_and_gone(void)
{
	set_up();
	launch(1);
	netns_enter(netns_far);
	netns_run("ip link set " FAR " down");
	receive(1); /* what came before can be read */
	E->rx_release(b, verdict, 1);
	CHECK_EQ(E->rx_wait(b, UINT64_MAX), -ENETDOWN);
	CHECK_EQ(E->rx_peek(b, frames, N), -ENETDOWN);
	netns_run("ip link set " FAR " up");
	for (int i = 0; E->rx_wait(b, 0) == -ENETDOWN; i++) {
		CHECK(i < 2000);
		usleep(1000);
	}
	launch(1);
	receive(1);
	E->rx_release(b, verdict, 1);
	netns_run("ip link del " FAR);
	CHECK_EQ(E->rx_wait(b, UINT64_MAX), -ENODEV);
	CHECK_EQ(E->rx_peek(b, frames, N), -ENODEV);
	close_ports();
}

/* A receiver that never waits is told, too. */
static void t_down_while_polling(void)
{
	u64 end = kt_clock_now(KTRXER_CLOCK_MONOTONIC) + PATIENCE;

	set_up();
	CHECK_EQ(E->rx_peek(b, frames, N), 0);
	netns_enter(netns_far);
	netns_run("ip link set " FAR " down");
	while (E->rx_peek(b, frames, N) != -ENETDOWN)
		CHECK(kt_clock_now(KTRXER_CLOCK_MONOTONIC) < end);
	close_ports();
}

static void t_opened_again(void)
{
	struct krx_opts opts = { .sz = sizeof(opts) };
	struct kt_rx_counts c;

	set_up();
	for (int i = 0; i < 3; i++) {
		E->rx_close(b);
		launch(N); /* nobody listens: neither delivered later nor lost */
		CHECK_EQ(E->rx_open(b, &opts, NULL), 0);
		CHECK_EQ(E->rx_peek(b, frames, N), 0);
		launch(1);
		receive(1);
		E->rx_release(b, verdict, 1);
		E->rx_counts(b, &c);
		CHECK_EQ(c.lost_engine, 0);
	}
	close_ports();
}

static void t_promiscuous(void)
{
	struct ktrxer port = { .engine = E, .ifname = NEAR, .opts = { .promiscuous = true } };

	close_ports();
	netns_pair(true);
	port.ifindex = if_nametoindex(NEAR);
	port.priv = calloc(1, E->priv_bytes);
	netns_run("ip -d link show " NEAR " | grep -q 'promiscuity 0'");
	CHECK_EQ(E->open(&port, NULL), 0);
	netns_run("ip -d link show " NEAR " | grep -q 'promiscuity 1'");
	E->close(&port);
	netns_run("ip -d link show " NEAR " | grep -q 'promiscuity 0'");
	free(port.priv);
}

TEST_MAIN(T(t_whole_frames), T(t_ring_wraps), T(t_losses_are_counted), T(t_held_ring), T(t_vlan_tags),
	  T(t_checksum_of_offload), T(t_outgoing), T(t_merged), T(t_down_up_and_gone), T(t_down_while_polling),
	  T(t_opened_again), T(t_promiscuous))

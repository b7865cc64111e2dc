/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Engine xdp, sending: every frame has the fate that the other side saw, by the witness of engine packet. */

#include "lib/port.h"
#include "tests/engine.h"

#define N 256u
#define E (&kt_engine_xdp)
#define WITNESS (&kt_engine_packet)

static struct ktrxer *a, *b;
static struct kt_txslot slots[N];
static struct kt_txslot *batch[N];
static struct kt_rxframe frames[N];
static int tap = -1;

static void close_ports(void)
{
	close_pair(&a, &b);
	if (tap >= 0)
		close(tap);
	tap = -1;
}

static void open_tx(const char *name, u32 frame_bytes)
{
	struct ktrxer_err err = { 0 };

	a = must_open(E, name);
	if (E->tx_open(a, slots, N, frame_bytes, false, &err))
		TEST_FAIL("%s", err.text);
	for (u32 i = 0; i < N; i++) {
		batch[i] = &slots[i];
		put_frame(&slots[i], i, 60);
	}
}

static void set_up(u32 frame_bytes)
{
	struct krx_opts opts = { .sz = sizeof(opts) };

	close_ports();
	netns_pair(true);
	netns_enter(netns_far);
	b = must_open(WITNESS, FAR);
	CHECK_EQ(WITNESS->rx_open(b, &opts, NULL), 0);
	netns_enter(netns_near);
	open_tx(NEAR, frame_bytes);
}

/* Tries n slots from first on once, each; a call may stop at the first that is refused. Returns how many were sent. */
static u32 launch(u32 first, u32 n)
{
	u32 sent = 0;

	for (u32 i = 0; i < n;) {
		int k = E->tx_launch(a, batch + first + i, n - i);

		CHECK(k > 0);
		for (u32 j = 0; j < (u32)k; j++) {
			struct kt_txslot *s = batch[first + i + j];

			CHECK(s->state == KT_TX_SENT || s->state == KT_TX_REFUSED || s->state == KT_TX_FAILED);
			CHECK(s->launch_ns && s->launch_ns <= s->returned_ns);
			CHECK_EQ(s->state == KT_TX_SENT, !s->err);
			sent += s->state == KT_TX_SENT;
		}
		i += (u32)k;
	}
	return sent;
}

/* Receives n test frames and checks that their numbers are first, first + step …. */
static void expect(u32 first, u32 n)
{
	static const u8 verdict[N];
	u32 got = 0;

	while (got < n) {
		int k = WITNESS->rx_wait(b, kt_clock_now(KTRXER_CLOCK_MONOTONIC) + 2 * KT_NSEC_PER_SEC);

		CHECK_EQ(k, 1);
		k = WITNESS->rx_peek(b, frames, N);
		CHECK(k >= 0);
		for (int i = 0; i < k; i++)
			if (kt_get_be16(frames[i].data + 12) == 0x88b5)
				CHECK_EQ(frame_number(frames[i].data), first + got++);
		WITNESS->rx_release(b, verdict, (u32)k);
	}
	CHECK_EQ(got, n);
	CHECK_EQ(WITNESS->rx_wait(b, kt_clock_now(KTRXER_CLOCK_MONOTONIC) + 20000000), 0);
}

static void fill(u32 first_number, u32 len)
{
	for (u32 i = 0; i < N; i++)
		put_frame(&slots[i], first_number + i, len);
}

/* Slots are used again and again: no frame may be overwritten while the kernel has it. */
static void t_sent_is_received(void)
{
	set_up(FRAME_BYTES);
	for (u32 round = 0; round < 8; round++) {
		fill(round * N, 60 + round * 200);
		CHECK_EQ(launch(0, N), N);
		expect(round * N, N);
	}
	close_ports();
}

static void t_one_by_one(void)
{
	set_up(FRAME_BYTES);
	for (u32 i = 0; i < N; i++) {
		CHECK_EQ(launch(i, 1), 1);
		CHECK(!i || slots[i - 1].returned_ns <= slots[i].launch_ns);
	}
	expect(0, N);
	close_ports();
}

/* To get ready for a launch is to send nothing: not what comes next, and not twice what comes then. */
static void t_ready(void)
{
	set_up(FRAME_BYTES);
	for (u32 round = 0; round < 8; round++) {
		fill(round * N, 60 + round * 200);
		E->tx_ready(a, batch, N);
		E->tx_ready(a, batch + N / 2, 1);
		expect(round * N, 0);
		CHECK_EQ(launch(0, N), N);
		expect(round * N, N);
	}
	close_ports();
}

static void t_launch_clock_tai(void)
{
	u64 before, after;

	set_up(FRAME_BYTES);
	a->clock = KTRXER_CLOCK_TAI;
	before = kt_clock_now(KTRXER_CLOCK_TAI);
	CHECK_EQ(launch(0, 1), 1);
	after = kt_clock_now(KTRXER_CLOCK_TAI);
	CHECK(before <= slots[0].launch_ns && slots[0].returned_ns <= after);
	close_ports();
}

static void t_too_long(void)
{
	set_up(FRAME_BYTES);
	put_frame(&slots[0], 0, 1514);
	put_frame(&slots[1], 1, 1515);
	put_frame(&slots[2], 1, 1518);
	kt_put_be16(slots[2].data + 12, KT_ETHERTYPE_VLAN);
	put_frame(&slots[3], 3, 1519);
	kt_put_be16(slots[3].data + 12, KT_ETHERTYPE_VLAN);
	put_frame(&slots[4], 1, 13);
	put_frame(&slots[5], 1, 60);
	CHECK_EQ(launch(0, 6), 3);
	CHECK_EQ(slots[1].state, KT_TX_FAILED);
	CHECK_EQ(slots[1].err, EMSGSIZE);
	CHECK_EQ(slots[2].state, KT_TX_SENT);
	CHECK_EQ(slots[3].err, EMSGSIZE);
	CHECK_EQ(slots[4].state, KT_TX_FAILED);
	CHECK_EQ(slots[4].err, EINVAL);
	expect(0, 2);
	/* A larger MTU counts at once. */
	netns_run("ip link set " NEAR " mtu 1600");
	netns_enter(netns_far);
	netns_run("ip link set " FAR " mtu 1600");
	put_frame(&slots[1], 1, 1614);
	CHECK_EQ(launch(1, 1), 1);
	expect(1, 1);
	/* The far end takes less than we may send: the frame is dropped inside the call, and we are told. */
	netns_run("ip link set " FAR " mtu 600");
	fill(0, 60);
	put_frame(&slots[7], 7, 700);
	CHECK_EQ(launch(0, 10), 9);
	CHECK_EQ(slots[7].state, KT_TX_REFUSED);
	CHECK_EQ(slots[7].err, ENOBUFS);
	close_ports();
}

static void t_jumbo(void)
{
	struct ktrxer_err err = { 0 };

	close_ports();
	netns_pair(true);
	a = must_open(E, NEAR);
	if (E->tx_open(a, slots, N, 9014, false, &err)) {
		CHECK_EQ(err.code, EMSGSIZE); /* before Linux 6.6 */
		CHECK(strstr(err.text, "6.6"));
		port_close(a);
		a = NULL;
		return;
	}
	close_ports();
	set_up(9014);
	netns_run("ip link set " NEAR " mtu 9000");
	netns_enter(netns_far);
	netns_run("ip link set " FAR " mtu 9000");
	for (u32 round = 0; round < 3; round++) {
		for (u32 i = 0; i < N; i++)
			put_frame(&slots[i], i, i % 3 == 0 ? 9014 : i % 3 == 1 ? 60 : 4096 + i);
		for (u32 i = 0; i < N; i += 16) {
			CHECK_EQ(launch(i, 16), 16);
			expect(i, 16);
		}
		/* Refused in the middle of a batch, and of frames in several pieces. */
		netns_run("ip link set " FAR " mtu 5000");
		put_frame(&slots[0], 99, 9014);
		put_frame(&slots[1], 0, 60);
		put_frame(&slots[2], 1, 4200);
		put_frame(&slots[3], 99, 9014);
		put_frame(&slots[4], 2, 60);
		CHECK_EQ(launch(0, 5), 3);
		CHECK_EQ(slots[0].state, KT_TX_REFUSED);
		CHECK_EQ(slots[3].state, KT_TX_REFUSED);
		expect(0, 3);
		netns_run("ip link set " FAR " mtu 9000");
	}
	close_ports();
}

static void t_down_and_up(void)
{
	for (int end = 0; end < 2; end++) {
		set_up(FRAME_BYTES);
		for (u32 round = 0; round < 3; round++) {
			netns_enter(end ? netns_far : netns_near);
			netns_run("ip link set %s down", end ? FAR : NEAR);
			CHECK_EQ(launch(0, 3), 0);
			for (u32 i = 0; i < 3; i++) {
				CHECK_EQ(slots[i].state, KT_TX_REFUSED);
				CHECK_EQ(slots[i].err,
					 ENETDOWN); /* the far end's being down is this one's loss of carrier */
			}
			netns_run("ip link set %s up", end ? FAR : NEAR);
			fill(0, 60);
			CHECK_EQ(launch(0, 5), 5);
			WITNESS->rx_wait(b, 0); /* tells of the interruption, if it was its own */
			expect(0, 5);
		}
		close_ports();
	}
}

static void t_removed(void)
{
	set_up(FRAME_BYTES);
	CHECK_EQ(launch(0, 1), 1);
	netns_run("ip link del " NEAR);
	slots[0].state = KT_TX_READY;
	CHECK_EQ(E->tx_launch(a, batch, 2), -ENODEV);
	CHECK_EQ(slots[0].state, KT_TX_READY);
	close_ports();
}

static void open_tap(u32 room)
{
	close_ports();
	netns_pair(true);
	tap = netns_tap(room);
	open_tx(TAP, FRAME_BYTES);
}

/* What is in the tap are the frames said to be sent, and only those. */
static void expect_in_tap(u32 first, u32 n)
{
	u8 buf[FRAME_BYTES];

	for (u32 i = first; i < first + n; i++) {
		if (slots[i].state != KT_TX_SENT)
			continue;
		CHECK_EQ(read(tap, buf, sizeof(buf)), 60);
		CHECK_EQ(frame_number(buf), i);
	}
	CHECK_EQ(read(tap, buf, sizeof(buf)), -1);
}

static void t_driver_refuses(void)
{
	open_tap(10);
	for (u32 round = 0; round < 20; round++) {
		u32 n = 8 + 7 * (round % 5), sent;

		fill(0, 60);
		sent = launch(0, n);
		CHECK_EQ(sent, n < 10 ? n : 10);
		for (u32 i = sent; i < n; i++) {
			CHECK_EQ(slots[i].state, KT_TX_REFUSED);
			CHECK(slots[i].err == ENOBUFS || slots[i].err == EAGAIN);
		}
		expect_in_tap(0, n);
	}
	close_ports();
}

/* One socket a queue: the second sender is told whose fault it is. */
static void t_queue_taken(void)
{
	struct kt_txslot other[4];
	struct ktrxer_err err = { 0 };
	struct ktrxer *second;

	set_up(FRAME_BYTES);
	second = must_open(E, NEAR);
	CHECK_EQ(E->tx_open(second, other, 4, FRAME_BYTES, false, &err), -EBUSY);
	CHECK(strstr(err.text, "queue 0") && strstr(err.text, NEAR));
	second->opts.queue = 7;
	CHECK_EQ(E->tx_open(second, other, 4, FRAME_BYTES, false, &err), -EINVAL);
	CHECK(strstr(err.text, "queue 7"));
	port_close(second);
	CHECK_EQ(launch(0, N), N);
	expect(0, N);
	close_ports();
}

static void t_refused_devices(void)
{
	close_ports();
	check_refused_devices(E);
}

static void t_no_right(void)
{
	check_needs_right(E);
}

/* The port stays where it was opened, whatever its thread does then. */
static void t_namespace_stays(void)
{
	struct krx_opts opts = { .sz = sizeof(opts) };

	close_ports();
	netns_pair(true);
	netns_enter(netns_far);
	b = must_open(WITNESS, FAR);
	CHECK_EQ(WITNESS->rx_open(b, &opts, NULL), 0);
	netns_enter(netns_near);
	a = must_open(E, NEAR);
	netns_enter(netns_far);
	CHECK_EQ(E->tx_open(a, slots, N, FRAME_BYTES, false, NULL), 0);
	for (u32 i = 0; i < N; i++)
		batch[i] = &slots[i];
	fill(0, 60);
	CHECK_EQ(launch(0, N), N);
	expect(0, N);
	close_ports();
}

TEST_MAIN(T(t_sent_is_received), T(t_one_by_one), T(t_ready), T(t_launch_clock_tai), T(t_too_long), T(t_jumbo),
	  T(t_down_and_up), T(t_removed), T(t_driver_refuses), T(t_queue_taken), T(t_refused_devices), T(t_no_right),
	  T(t_namespace_stays))

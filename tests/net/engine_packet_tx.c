/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Engine packet, sending: every frame has the fate that the other side saw. */
#include <linux/capability.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "lib/port.h"
#include "tests/engine.h"

#define N 64u
#define E (&kt_engine_packet)

static struct ktrxer *a, *b;
static struct kt_txslot slots[N];
static struct kt_txslot *batch[N];
static struct kt_flood flood;
static s32 flood_fates[N];
static struct kt_rxframe frames[N];
static int tap = -1;

static void close_ports(void)
{
	close_pair(&a, &b);
	if (tap >= 0)
		close(tap);
	tap = -1;
}

static void open_tx(const char *name, u32 frame_bytes, bool stamps)
{
	struct ktrxer_err err = { 0 };

	a = must_open(E, name);
	if (E->tx_open(a, slots, N, frame_bytes, stamps, &err))
		TEST_FAIL("%s", err.text);
	for (u32 i = 0; i < N; i++) {
		batch[i] = &slots[i];
		put_frame(&slots[i], i, 60);
	}
}

/* near sends, far receives */
static void set_up(u32 frame_bytes, bool stamps)
{
	struct krx_opts opts = { .sz = sizeof(opts) };

	close_ports();
	netns_pair(true);
	netns_enter(netns_far);
	b = must_open(E, FAR);
	CHECK_EQ(E->rx_open(b, &opts, NULL), 0);
	netns_enter(netns_near);
	open_tx(NEAR, frame_bytes, stamps);
}

/* A flood whose cells are taken from the last to the first; slots[i] is frame i of its batch. */
static void open_flood(void)
{
	flood = (struct kt_flood){ .n = N, .fates = flood_fates };
	CHECK_EQ(E->tx_flood_open(a, &flood, FRAME_BYTES, NULL), 0);
	for (u32 i = 0; i < N; i++) {
		flood.frames[i].cell = N - 1 - i;
		slots[i].data = flood.cells + flood.frames[i].cell * flood.stride;
		put_frame(&slots[i], i, 60);
	}
}

/* Launches the N slots' frames, and puts into each slot what is said of its frame. */
static void launch_flood(void)
{
	int tried;

	for (u32 i = 0; i < N; i++)
		flood.frames[i].len = slots[i].len;
	for (u32 at = 0; at < N; at += (u32)tried) {
		tried = E->tx_flood(a, &flood, at, N);
		CHECK(tried >= 1 && (u32)tried <= N - at);
		for (u32 i = at; i < at + (u32)tried; i++) {
			s32 fate = flood.all_sent ? 0 : flood.fates[i];

			slots[i].state = !fate ? KT_TX_SENT : fate < 0 ? KT_TX_FAILED : KT_TX_REFUSED;
			slots[i].err = fate < 0 ? -fate : fate;
			slots[i].launch_ns = flood.launch_ns;
			slots[i].returned_ns = flood.returned_ns;
		}
	}
}

static int launch(u32 n)
{
	for (u32 i = 0; i < n; i++)
		slots[i].state = KT_TX_READY;
	return E->tx_launch(a, batch, n);
}

/* Receives n test frames and checks that their numbers are first, first + 1 …; the kernel's own chatter is left out. */
static void expect(u32 first, u32 n)
{
	static const u8 verdict[N];
	u32 got = 0;

	while (got < n) {
		int k = E->rx_wait(b, kt_clock_now(KTRXER_CLOCK_MONOTONIC) + 2 * KT_NSEC_PER_SEC);

		CHECK_EQ(k, 1);
		k = E->rx_peek(b, frames, N);
		CHECK(k >= 0);
		for (int i = 0; i < k; i++)
			if (kt_get_be16(frames[i].data + 12) == 0x88b5) {
				CHECK_EQ(frame_number(frames[i].data), first + got);
				got++;
			}
		E->rx_release(b, verdict, (u32)k);
	}
	CHECK_EQ(got, n);
}

static void t_sent_is_received(void)
{
	set_up(FRAME_BYTES, false);
	CHECK_EQ(launch(N), N);
	for (u32 i = 0; i < N; i++) {
		CHECK_EQ(slots[i].state, KT_TX_SENT);
		CHECK(slots[i].launch_ns && slots[i].launch_ns <= slots[i].returned_ns);
		CHECK(!i || slots[i - 1].returned_ns <= slots[i].launch_ns);
		CHECK_EQ(slots[i].stamp_ns, 0);
	}
	expect(0, N);
	close_ports();
}

static void t_launch_clock_tai(void)
{
	u64 before, after;

	set_up(FRAME_BYTES, false);
	a->clock = KTRXER_CLOCK_TAI;
	before = kt_clock_now(KTRXER_CLOCK_TAI);
	CHECK_EQ(launch(1), 1);
	after = kt_clock_now(KTRXER_CLOCK_TAI);
	CHECK(before <= slots[0].launch_ns && slots[0].returned_ns <= after);
	close_ports();
}

static void t_too_long(void)
{
	set_up(FRAME_BYTES, false);
	put_frame(&slots[0], 0, 1514);
	put_frame(&slots[1], 1, 1515);
	put_frame(&slots[2], 2, 1518);
	kt_put_be16(slots[2].data + 12, KT_ETHERTYPE_VLAN);
	put_frame(&slots[3], 3, 1519);
	kt_put_be16(slots[3].data + 12, KT_ETHERTYPE_VLAN);
	CHECK_EQ(launch(4), 4);
	CHECK_EQ(slots[0].state, KT_TX_SENT);
	CHECK_EQ(slots[1].state, KT_TX_FAILED);
	CHECK_EQ(slots[1].err, EMSGSIZE);
	CHECK_EQ(slots[2].state, KT_TX_SENT);
	CHECK_EQ(slots[3].err, EMSGSIZE);
	netns_run("ip link set " NEAR " mtu 600");
	put_frame(&slots[0], 0, 615);
	CHECK_EQ(launch(1), 1);
	CHECK_EQ(slots[0].err, EMSGSIZE);
	put_frame(&slots[0], 0, 13);
	CHECK_EQ(launch(1), 1);
	CHECK_EQ(slots[0].state, KT_TX_FAILED);
	CHECK_EQ(slots[0].err, EINVAL);
	close_ports();
}

static void t_jumbo(void)
{
	set_up(9014, false);
	netns_run("ip link set " NEAR " mtu 9000");
	netns_enter(netns_far);
	netns_run("ip link set " FAR " mtu 9000");
	put_frame(&slots[0], 0, 9014);
	CHECK_EQ(launch(1), 1);
	CHECK_EQ(slots[0].state, KT_TX_SENT);
	expect(0, 1); /* its ring was made for 1500: the frame came the other way */
	CHECK_EQ(frames[0].caplen, 9014);
	CHECK_EQ(frames[0].wirelen, 9014);
	CHECK_EQ(frames[0].flags, 0);
	close_ports();
}

static void t_down_and_up(void)
{
	for (int end = 0; end < 2; end++) {
		set_up(FRAME_BYTES, false);
		netns_enter(end ? netns_far : netns_near);
		netns_run("ip link set %s down", end ? FAR : NEAR);
		CHECK_EQ(launch(2), 2);
		CHECK_EQ(slots[1].state, KT_TX_REFUSED);
		CHECK_EQ(slots[1].err, ENETDOWN); /* the far end's being down is this one's loss of carrier */
		netns_run("ip link set %s up", end ? FAR : NEAR);
		CHECK_EQ(launch(2), 2);
		CHECK_EQ(slots[0].state, KT_TX_SENT);
		CHECK_EQ(slots[1].state, KT_TX_SENT);
		close_ports();
	}
}

static void t_removed(void)
{
	set_up(FRAME_BYTES, false);
	CHECK_EQ(launch(1), 1);
	netns_run("ip link del " NEAR);
	CHECK_EQ(launch(2), -ENODEV);
	CHECK_EQ(slots[0].state, KT_TX_READY);
	open_flood();
	CHECK_EQ(E->tx_flood(a, &flood, 0, 2), -ENODEV);
	close_ports();
}

static void open_tap(u32 room)
{
	close_ports();
	netns_pair(true);
	tap = netns_tap(room);
	open_tx(TAP, FRAME_BYTES, false);
}

/* What is in the tap are the frames said to be sent, and only those. */
static void expect_in_tap(u32 n)
{
	u8 buf[FRAME_BYTES];

	for (u32 i = 0; i < n; i++) {
		if (slots[i].state != KT_TX_SENT)
			continue;
		CHECK_EQ(read(tap, buf, sizeof(buf)), 60);
		CHECK_EQ(frame_number(buf), i);
	}
	CHECK_EQ(read(tap, buf, sizeof(buf)), -1);
}

static void t_driver_refuses(void)
{
	u32 sent = 0;

	for (int by_flood = 0; by_flood < 2; by_flood++) {
		open_tap(10);
		if (by_flood) {
			open_flood();
			launch_flood();
		} else {
			CHECK_EQ(launch(N), N);
		}
		sent = 0;
		for (u32 i = 0; i < N; i++) {
			sent += slots[i].state == KT_TX_SENT;
			if (slots[i].state != KT_TX_SENT) {
				CHECK_EQ(slots[i].state, KT_TX_REFUSED);
				CHECK_EQ(slots[i].err, ENOBUFS);
			}
		}
		CHECK(sent >= 5 && sent <= 20);
		expect_in_tap(N);
		CHECK_EQ(launch(1), 1); /* and it goes on when there is room again */
		CHECK_EQ(slots[0].state, KT_TX_SENT);
		close_ports();
	}
}

static void t_flood(void)
{
	u32 total = 0;

	set_up(FRAME_BYTES, false);
	open_flood();
	CHECK(E->tx_flood_max(a, &(u32){ 0 }) >= N);
	for (u32 round = 0; round < 100; round++) {
		u32 first = total;

		for (u32 i = 0; i < N; i++)
			put_frame(&slots[i], i % 16 == 7 ? 0 : total++,
				  i % 16 == 7 ? 1600 : 60); /* some are too long */
		launch_flood();
		for (u32 i = 0; i < N; i++) {
			CHECK_EQ(slots[i].state, i % 16 == 7 ? KT_TX_FAILED : KT_TX_SENT);
			CHECK_EQ(slots[i].err, i % 16 == 7 ? EMSGSIZE : 0);
			CHECK(slots[i].launch_ns && slots[i].launch_ns <= slots[i].returned_ns);
		}
		expect(first, total - first);
	}
	close_ports();
}

static void t_kernel_stamps(void)
{
	static struct {
		u64 before, after;
	} real;

	set_up(FRAME_BYTES, true);
	for (u32 round = 0; round < 4; round++) {
		/* refused frames must not shift the numbers behind them, neither here nor in the middle */
		netns_enter(netns_far);
		netns_run("ip link set " FAR " down");
		CHECK_EQ(launch(3), 3);
		CHECK_EQ(slots[2].err, ENETDOWN);
		netns_run("ip link set " FAR " up");
		put_frame(&slots[5], 5, round & 1 ? 1600 : 60);
		real.before = kt_clock_now(KTRXER_CLOCK_REALTIME);
		CHECK_EQ(launch(N), N);
		real.after = kt_clock_now(KTRXER_CLOCK_REALTIME);
		for (u32 i = 0; i < N; i++) {
			if (slots[i].state == KT_TX_FAILED) {
				CHECK_EQ(slots[i].stamp_ns, 0);
				continue;
			}
			CHECK_EQ(slots[i].stamp_clock, KTRXER_CLOCK_REALTIME);
			CHECK(real.before <= slots[i].stamp_ns && slots[i].stamp_ns <= real.after);
			CHECK(!i || slots[i - 1].stamp_ns < slots[i].stamp_ns);
		}
	}
	close_ports();
}

static void t_refused_devices(void)
{
	close_ports();
	check_refused_devices(E);
	CHECK_EQ(E->probe("lo", NULL), 0);
}

static void t_no_right(void)
{
	check_needs_right(E);
}

/* CAP_NET_RAW is enough for both directions. */
static int send_and_receive_with_net_raw(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { { 0 } };
	struct krx_opts opts = { .sz = sizeof(opts) };
	struct ktrxer_err err = { 0 };

	d[0].effective = d[0].permitted = 1u << CAP_NET_RAW;
	if (syscall(SYS_capset, &h, d))
		return 1;
	a = port_open(E, "lo", &err);
	if (!a || E->tx_open(a, slots, 1, FRAME_BYTES, true, &err) || E->rx_open(a, &opts, &err))
		return 2;
	batch[0] = &slots[0];
	put_frame(&slots[0], 0, 60);
	if (launch(1) != 1 || slots[0].state != KT_TX_SENT || !slots[0].stamp_ns)
		return 3;
	if (E->rx_wait(a, kt_clock_now(KTRXER_CLOCK_MONOTONIC) + 2 * KT_NSEC_PER_SEC) != 1)
		return 4;
	return E->rx_peek(a, frames, N) == 1 && !memcmp(frames[0].data, slots[0].data, 60) ? 0 : 5;
}

static void t_net_raw_is_enough(void)
{
	int status;
	pid_t pid;

	close_ports();
	netns_pair(true);
	pid = fork();
	if (!pid)
		_exit(send_and_receive_with_net_raw());
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

static void t_no_memory(void)
{
	struct krx_opts opts = { .sz = sizeof(opts), .ring_bytes = 64 << 20 };
	struct ktrxer_err err = { 0 };
	struct rlimit old, small;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	SKIP("sanitizers need the address space that this case takes away");
#endif
	close_ports();
	netns_pair(true);
	b = must_open(E, NEAR);
	getrlimit(RLIMIT_AS, &old);
	small = (struct rlimit){ 24 << 20, old.rlim_max };
	setrlimit(RLIMIT_AS, &small);
	CHECK_EQ(E->rx_open(b, &opts, &err), -ENOMEM);
	setrlimit(RLIMIT_AS, &old);
	CHECK(strstr(err.text, "KiB"));
	CHECK_EQ(E->rx_open(b, &opts, &err), 0); /* nothing was left behind */
	close_ports();
}

TEST_MAIN(T(t_sent_is_received), T(t_launch_clock_tai), T(t_too_long), T(t_jumbo), T(t_down_and_up), T(t_removed),
	  T(t_driver_refuses), T(t_flood), T(t_kernel_stamps), T(t_refused_devices), T(t_no_right),
	  T(t_net_raw_is_enough), T(t_no_memory))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Engine mem by hand: what every engine promises, with nothing left to chance. */
#include "lib/mem.h"
#include "tests/engine.h"

#define N 8

static struct ktrxer *a, *b;
static struct kt_txslot slots[N];
static struct kt_txslot *batch[N];
static struct kt_rxframe frames[N];

static struct ktrxer *open_end(const char *name)
{
	struct ktrxer_err err = { 0 };
	struct ktrxer *port = port_open(&kt_engine_mem, name, &err);

	if (!port)
		TEST_FAIL("%s: %s", name, err.text);
	return port;
}

/* Fresh wire "w": a sends, b receives. */
static void set_up(void)
{
	struct krx_opts opts = { .sz = sizeof(opts) };

	if (a)
		port_close(a);
	if (b)
		port_close(b);
	a = open_end("w/0");
	b = open_end("w/1");
	CHECK_EQ(kt_engine_mem.tx_open(a, slots, N, FRAME_BYTES, false, NULL), 0);
	for (u32 i = 0; i < N; i++) {
		batch[i] = &slots[i];
		put_frame(&slots[i], i, 60);
	}
	CHECK_EQ(kt_engine_mem.rx_open(b, &opts, NULL), 0);
}

static void tear_down(void)
{
	kt_engine_mem.tx_close(a);
	port_close(a);
	port_close(b);
	a = b = NULL;
}

static int launch(u32 n)
{
	for (u32 i = 0; i < n; i++)
		slots[i].state = KT_TX_READY;
	return kt_engine_mem.tx_launch(a, batch, n);
}

static void release(u8 op, u32 n)
{
	u8 verdict[N];

	memset(verdict, op, sizeof(verdict));
	kt_engine_mem.rx_release(b, verdict, n);
}

static void t_names(void)
{
	static const char *const bad[] = { "", "w", "w/", "/0", "w/2", "w/00", "w0" };
	struct ktrxer_err err;

	for (size_t i = 0; i < KT_ARRAY_LEN(bad); i++) {
		memset(&err, 0, sizeof(err));
		CHECK(!port_open(&kt_engine_mem, bad[i], &err));
		CHECK_EQ(err.code, EINVAL);
	}
	a = open_end("w/0");
	CHECK(!port_open(&kt_engine_mem, "w/0", &err));
	CHECK_EQ(err.code, EBUSY);
	port_close(a);
	a = NULL;
	CHECK_EQ(kt_mem_set_up("w/0", true), -ENOENT); /* the wire went with its last port */
}

static void t_ends_differ(void)
{
	set_up();
	CHECK(a->ifindex && b->ifindex && a->ifindex != b->ifindex);
	CHECK(memcmp(a->mac, b->mac, 6));
	CHECK_EQ(a->mtu, 1500);
	CHECK_EQ(a->clock, KTRXER_CLOCK_VIRTUAL);
	CHECK_EQ(a->rx_clock, KTRXER_CLOCK_VIRTUAL);
	tear_down();
}

static void t_order_and_stamps(void)
{
	set_up();
	CHECK_EQ(kt_engine_mem.now(a), 0);
	CHECK_EQ(kt_engine_mem.wait_until(a, 1000), 0);
	CHECK_EQ(launch(N), N);
	CHECK_EQ(kt_engine_mem.rx_peek(b, frames, N), N);
	for (u32 i = 0; i < N; i++) {
		CHECK_EQ(slots[i].state, KT_TX_SENT);
		CHECK_EQ(slots[i].launch_ns, 1000);
		CHECK_EQ(slots[i].returned_ns, 1000);
		CHECK_EQ(slots[i].stamp_ns, 0);
		CHECK_EQ(frames[i].stamp_ns, 1000);
		CHECK_EQ(frames[i].wirelen, 60);
		CHECK_EQ(frames[i].caplen, 60);
		CHECK_EQ(frames[i].ifindex, b->ifindex);
		CHECK_MEM(frames[i].data, slots[i].data, 60);
	}
	CHECK_EQ(kt_engine_mem.rx_peek(b, frames, N), 0);
	release(KT_OP_FORWARD, N);
	tear_down();
}

static void t_time_moves_only_when_told(void)
{
	set_up();
	kt_engine_mem.wait_until(a, 500);
	CHECK_EQ(kt_engine_mem.now(b), 500); /* one clock for both ends */
	kt_engine_mem.wait_until(b, 100);
	CHECK_EQ(kt_engine_mem.now(a), 500); /* never back */
	launch(1);
	CHECK_EQ(kt_engine_mem.now(a), 500);
	CHECK_EQ(kt_engine_mem.rx_wait(b, 900), 1); /* a frame is there: no need to wait */
	CHECK_EQ(kt_engine_mem.now(a), 500);
	CHECK_EQ(kt_engine_mem.rx_peek(b, frames, N), 1);
	release(KT_OP_DROP, 1);
	CHECK_EQ(kt_engine_mem.rx_wait(b, 900), 0);
	CHECK_EQ(kt_engine_mem.now(a), 900);
	tear_down();
}

static void t_delay(void)
{
	set_up();
	kt_mem_set_delay("w/0", 2000);
	launch(1);
	kt_mem_set_delay("w/0", 100); /* a shorter way must not overtake */
	launch(1);
	CHECK_EQ(kt_engine_mem.rx_peek(b, frames, N), 0);
	CHECK_EQ(kt_engine_mem.rx_wait(b, 1999), 0);
	CHECK_EQ(kt_engine_mem.rx_wait(b, 1000000), 1);
	CHECK_EQ(kt_engine_mem.now(b), 2000);
	CHECK_EQ(kt_engine_mem.rx_peek(b, frames, N), 2);
	CHECK_EQ(frames[0].stamp_ns, 2000);
	CHECK_EQ(frames[1].stamp_ns, 2000);
	release(KT_OP_FORWARD, 2);
	tear_down();
}

static void t_worlds(void)
{
	struct ktrxer *x = open_end("lab.x/0"), *y = open_end("lab.y/1"), *z = open_end("labz/0");

	kt_engine_mem.wait_until(x, 77);
	CHECK_EQ(kt_engine_mem.now(y), 77);
	CHECK_EQ(kt_engine_mem.now(z), 0);
	port_close(x);
	CHECK_EQ(kt_engine_mem.now(y), 77);
	port_close(y);
	x = open_end("lab.x/1");
	CHECK_EQ(kt_engine_mem.now(x), 0); /* a new world */
	port_close(x);
	port_close(z);
}

static void t_verdicts(void)
{
	const u8 verdict[4] = { KT_OP_FORWARD, KT_OP_CAPTURE, KT_OP_DROP, KT_OP_CAPTURE_DROP };
	u8 buf[64];
	u64 n, stamp;

	set_up();
	launch(5);
	CHECK_EQ(kt_engine_mem.rx_peek(b, frames, 4), 4);
	CHECK_EQ(kt_mem_host_next("w/1", buf, sizeof(buf), NULL), 0);
	kt_engine_mem.rx_release(b, verdict, 4);
	CHECK_EQ(kt_mem_host_next("w/1", buf, sizeof(buf), &stamp), 60);
	CHECK_EQ(frame_number(buf), 0);
	CHECK_EQ(kt_mem_host_next("w/1", buf, sizeof(buf), &stamp), 60);
	CHECK_EQ(frame_number(buf), 1);
	CHECK_EQ(kt_mem_host_next("w/1", buf, sizeof(buf), &stamp), 0);
	kt_engine_mem.rx_close(b);
	CHECK_EQ(kt_mem_host_next("w/1", buf, sizeof(buf), &stamp), 60); /* what nobody judged is the host's */
	CHECK_EQ(frame_number(buf), 4);
	launch(1);
	CHECK_EQ(kt_mem_host_next("w/1", buf, sizeof(buf), &stamp), 60); /* no receiver */
	CHECK_EQ(kt_mem_host_count("w/1", &n), 0);
	CHECK_EQ(n, 4);
	tear_down();
}

static void t_driver_refuses(void)
{
	set_up();
	kt_mem_refuse("w/0", 1, ENOBUFS);
	CHECK_EQ(launch(4), 1); /* stops there, the rest was not touched */
	CHECK_EQ(slots[0].state, KT_TX_REFUSED);
	CHECK_EQ(slots[0].err, ENOBUFS);
	for (u32 i = 1; i < 4; i++)
		CHECK_EQ(slots[i].state, KT_TX_READY);
	CHECK_EQ(launch(4), 4);
	CHECK_EQ(kt_engine_mem.rx_peek(b, frames, N), 4);
	release(KT_OP_FORWARD, 4);
	tear_down();
}

/* Each frame is offered until it is taken: as many sent as arrive, and the same seed refuses the same. */
static void t_driver_refuses_by_chance(void)
{
	u32 refused[2] = { 0 }, sent[2] = { 0 };

	for (int round = 0; round < 2; round++) {
		set_up();
		kt_mem_refuse_randomly("w/0", 300000000, ENOBUFS, 42);
		for (int i = 0; i < 1000; i++) {
			launch(1);
			refused[round] += slots[0].state == KT_TX_REFUSED;
			sent[round] += slots[0].state == KT_TX_SENT;
			if (slots[0].state == KT_TX_SENT) {
				CHECK_EQ(kt_engine_mem.rx_peek(b, frames, N), 1);
				release(KT_OP_DROP, 1);
			}
		}
		tear_down();
	}
	CHECK_EQ(refused[0] + sent[0], 1000);
	CHECK(refused[0] > 200 && refused[0] < 400);
	CHECK_EQ(refused[0], refused[1]);
}

static void t_too_long(void)
{
	set_up();
	put_frame(&slots[0], 0, 1514);
	CHECK_EQ(launch(1), 1);
	CHECK_EQ(slots[0].state, KT_TX_SENT);
	put_frame(&slots[0], 0, 1515);
	launch(1);
	CHECK_EQ(slots[0].state, KT_TX_FAILED);
	CHECK_EQ(slots[0].err, EMSGSIZE);
	put_frame(&slots[0], 0, 1518);
	kt_put_be16(slots[0].data + 12, KT_ETHERTYPE_VLAN); /* a tag may come on top */
	launch(1);
	CHECK_EQ(slots[0].state, KT_TX_SENT);
	kt_mem_set_mtu("w/0", 100);
	CHECK_EQ(a->mtu, 100);
	put_frame(&slots[0], 0, 115);
	launch(1);
	CHECK_EQ(slots[0].state, KT_TX_FAILED);
	put_frame(&slots[0], 0, 13);
	launch(1);
	CHECK_EQ(slots[0].err, EINVAL);
	tear_down();
}

static void t_down_and_up(void)
{
	static int (*const set[2])(const char *, bool) = { kt_mem_set_up, kt_mem_set_carrier };

	for (int how = 0; how < 2; how++) {
		for (int end = 0; end < 2; end++) {
			set_up();
			set[how](end ? "w/1" : "w/0", false);
			CHECK_EQ(launch(2), 1);
			CHECK_EQ(slots[0].state, KT_TX_REFUSED);
			CHECK_EQ(slots[0].err, ENETDOWN);
			if (end && !how) {
				CHECK_EQ(kt_engine_mem.rx_peek(b, frames, N), -ENETDOWN);
				CHECK_EQ(kt_engine_mem.rx_wait(b, 10), -ENETDOWN);
			}
			set[how](end ? "w/1" : "w/0", true);
			CHECK_EQ(launch(2), 2);
			CHECK_EQ(kt_engine_mem.rx_peek(b, frames, N), 2);
			release(KT_OP_FORWARD, 2);
			tear_down();
		}
	}
}

static void t_removed(void)
{
	set_up();
	launch(1);
	kt_mem_remove("w/1");
	CHECK_EQ(launch(1), -ENODEV);
	CHECK_EQ(slots[0].state, KT_TX_READY);
	CHECK_EQ(kt_engine_mem.rx_peek(b, frames, N), 1); /* what came before can be read */
	release(KT_OP_FORWARD, 1);
	CHECK_EQ(kt_engine_mem.rx_peek(b, frames, N), -ENODEV);
	CHECK_EQ(kt_engine_mem.rx_wait(b, UINT64_MAX), -ENODEV);
	tear_down();
}

static void t_no_room(void)
{
	struct kt_rx_counts c;
	u64 n;

	set_up();
	kt_mem_set_rx_room("w/1", 3);
	launch(N);
	kt_engine_mem.rx_counts(b, &c);
	CHECK_EQ(c.lost_engine, N - 3);
	CHECK_EQ(c.seen, N - 3);
	CHECK_EQ(c.seen_bytes, 60 * (N - 3));
	CHECK_EQ(kt_engine_mem.rx_peek(b, frames, N), 3);
	release(KT_OP_DROP, 3);
	kt_mem_host_count("w/1", &n);
	CHECK_EQ(n, N - 3); /* not seen is not dropped: the host got them */
	tear_down();
}

static void t_no_memory(void)
{
	struct krx_opts opts = { .sz = sizeof(opts) };
	struct ktrxer_err err = { 0 };

	set_up();
	kt_engine_mem.rx_close(b);
	kt_mem_fail_memory("w/1");
	CHECK_EQ(kt_engine_mem.rx_open(b, &opts, &err), -ENOMEM);
	CHECK(err.text[0]);
	CHECK_EQ(kt_engine_mem.rx_open(b, &opts, &err), 0);
	tear_down();
}

static void t_forward(void)
{
	struct ktrxer *c;
	u8 buf[64];

	set_up();
	c = open_end("far/0");
	launch(1);
	CHECK_EQ(kt_engine_mem.rx_peek(b, frames, N), 1);
	CHECK_EQ(kt_engine_mem.rx_forward(b, c->ifindex, frames[0].data, frames[0].caplen), 0);
	release(KT_OP_DROP, 1);
	CHECK_EQ(kt_mem_host_next("far/1", buf, sizeof(buf), NULL), 60);
	CHECK_EQ(kt_mem_host_next("w/1", buf, sizeof(buf), NULL), 0);
	CHECK_EQ(kt_engine_mem.rx_forward(b, 1, frames[0].data, 60), -ENODEV);
	port_close(c);
	tear_down();
}

static void t_host_sends(void)
{
	u8 frame[60] = { 0xff };

	set_up();
	CHECK_EQ(kt_mem_host_send("w/0", frame, sizeof(frame)), 0);
	CHECK_EQ(kt_engine_mem.rx_peek(b, frames, N), 1);
	CHECK_MEM(frames[0].data, frame, sizeof(frame));
	release(KT_OP_FORWARD, 1);
	kt_mem_set_up("w/0", false);
	CHECK_EQ(kt_mem_host_send("w/0", frame, sizeof(frame)), -ENETDOWN);
	tear_down();
}

static void t_host_keeps_the_latest(void)
{
	u8 frame[64] = { 0 };
	u64 n;

	set_up();
	for (u32 i = 0; i < KT_MEM_HOST_FRAMES + 3; i++) {
		kt_put_be32(frame + 14, i);
		CHECK_EQ(kt_mem_host_send("w/1", frame, sizeof(frame)), 0);
	}
	kt_mem_host_count("w/0", &n);
	CHECK_EQ(n, KT_MEM_HOST_FRAMES + 3);
	CHECK_EQ(kt_mem_host_next("w/0", frame, sizeof(frame), NULL), 64);
	CHECK_EQ(frame_number(frame), 3);
	tear_down();
}

TEST_MAIN(T(t_names), T(t_ends_differ), T(t_order_and_stamps), T(t_time_moves_only_when_told), T(t_delay), T(t_worlds),
	  T(t_verdicts), T(t_driver_refuses), T(t_driver_refuses_by_chance), T(t_too_long), T(t_down_and_up),
	  T(t_removed), T(t_no_room), T(t_no_memory), T(t_forward), T(t_host_sends), T(t_host_keeps_the_latest))

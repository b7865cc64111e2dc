/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The link emulator in virtual time, where every departure must be exact to
 * the ns: hosts at lab.a/0 and lab.b/1, the emulator on lab.a/1 and lab.b/0.
 */
#include "core/hash.h"
#include "lib/emulator.h"
#include "lib/mem.h"
#include "tests/test.h"

#define HOST_A "lab.a/0"
#define HOST_B "lab.b/1"
#define US 1000ull
#define MS 1000000ull
#define MAX_FRAMES 4000

static struct ktrxer *port_a, *port_b;
static struct kt_emulator *emulator;
static u8 frame[2048], got[2048];

static void stop(void)
{
	kt_emulator_close(emulator);
	ktrxer_close(port_b);
	ktrxer_close(port_a);
	emulator = NULL;
	port_a = port_b = NULL;
}

static void start(struct kt_emulator_opts o)
{
	KTRXER_OPTS(ktrxer_opts, port_opts);
	struct ktrxer_err err = { 0 };

	stop(); /* of a case that failed */
	port_opts.engine = "mem";
	CHECK_EQ(ktrxer_open(&port_a, "lab.a/1", &port_opts, &err), 0);
	CHECK_EQ(ktrxer_open(&port_b, "lab.b/0", &port_opts, &err), 0);
	if (kt_emulator_open(&emulator, port_a, port_b, &o, &err))
		TEST_FAIL("%s", err.text);
	CHECK(kt_emulator_is_alone(emulator));
}

static struct kt_emulator_stats stats(int direction)
{
	struct kt_emulator_stats s;

	kt_emulator_get_stats(emulator, direction, &s);
	CHECK_EQ(s.seen + s.duplicated, s.departed + s.lost + s.no_room + s.too_long + s.full + s.failed + s.pending);
	CHECK_EQ(s.late_ns.n, s.departed);
	CHECK_EQ(s.missed, 0);
	return s;
}

/* Time goes on to ns, and everything until then happens. */
static void run(u64 ns)
{
	int ret = kt_emulator_run(emulator, ns, NULL, NULL);

	if (ret)
		TEST_FAIL("%d: %s", ret, kt_emulator_why(emulator));
	CHECK_EQ(ktrxer_now(port_a), ns);
}

static void fill(u32 number, u32 len)
{
	for (u32 i = 0; i < len; i++)
		frame[i] = (u8)(number + i);
}

/* Host sends frame number, at the time that is. */
static void sends(const char *host, u32 number, u32 len)
{
	fill(number, len);
	CHECK_EQ(kt_mem_host_send(host, frame, len), 0);
}

/* The next frame that host got is this one, at ns. */
static void gets(const char *host, u64 ns, u32 number, u32 len)
{
	u64 stamp;

	CHECK_EQ(kt_mem_host_next(host, got, sizeof(got), &stamp), len);
	CHECK_EQ(stamp, ns);
	fill(number, len);
	CHECK_MEM(got, frame, len);
}

static void gets_nothing(const char *host)
{
	u64 stamp;

	CHECK_EQ(kt_mem_host_next(host, got, sizeof(got), &stamp), 0);
}

static void t_perfect_wire(void)
{
	start((struct kt_emulator_opts){ 0 });
	sends(HOST_A, 1, 60);
	run(0);
	gets(HOST_B, 0, 1, 60);
	run(7);
	sends(HOST_B, 2, 1514);
	run(7);
	gets(HOST_A, 7, 2, 1514);
	/* The hosts at the emulator's own ends saw nothing. */
	gets_nothing("lab.a/1");
	gets_nothing("lab.b/0");
	CHECK_EQ(stats(0).departed, 1);
	CHECK_EQ(stats(1).departed, 1);
	CHECK_EQ(stats(1).seen_bytes, 1514);
	CHECK_EQ(stats(1).departed_bytes, 1514);
	stop();
}

static void t_delay_is_exact_in_both_directions(void)
{
	start((struct kt_emulator_opts){ .link = { { .delay_ns = 10 * MS }, { .delay_ns = 3 * MS + 1 } } });
	for (u32 i = 0; i < 100; i++) {
		run(i * MS + i);
		sends(HOST_A, i, 60 + i);
		sends(HOST_B, 100 + i, 160 - i);
	}
	CHECK_EQ(stats(0).pending, 9); /* the last was not taken in yet */
	run(200 * MS);
	for (u32 i = 0; i < 100; i++) {
		gets(HOST_B, i * MS + i + 10 * MS, i, 60 + i);
		gets(HOST_A, i * MS + i + 3 * MS + 1, 100 + i, 160 - i);
	}
	gets_nothing(HOST_B);
	gets_nothing(HOST_A);
	CHECK_EQ(stats(0).late_ns.max, 0);
	CHECK_EQ(stats(1).late_ns.max, 0);
	stop();
}

/* Frames that are still on the wire in front of the emulator are not jumped over. */
static void t_arrivals_in_the_future(void)
{
	start((struct kt_emulator_opts){ .link = { { .delay_ns = 5 * US }, { .delay_ns = 100 } } });
	CHECK_EQ(kt_mem_set_delay(HOST_A, 777), 0);
	CHECK_EQ(kt_mem_set_delay(HOST_B, 11), 0);
	sends(HOST_A, 1, 60);
	sends(HOST_B, 2, 60);
	run(1 * MS);
	gets(HOST_B, 777 + 5 * US + 11, 1, 60);
	gets(HOST_A, 11 + 100 + 777, 2, 60);
	CHECK_EQ(stats(0).late_ns.max, 0);
	CHECK_EQ(stats(1).late_ns.max, 0);
	stop();
}

/* 10 Mbit/s, 1226 bytes and 24 of overhead: 1 ms each. Two wait, one is being sent. */
static void t_rate_and_room(void)
{
	struct kt_link_opts o = { .rate_bps = 10000000, .overhead_bytes = 24, .room_pkts = 2, .delay_ns = 500 };

	start((struct kt_emulator_opts){ .link = { o } });
	for (u32 i = 0; i < 5; i++)
		sends(HOST_A, i, 1226);
	run(1 * MS);
	CHECK_EQ(stats(0).no_room, 2);
	sends(HOST_A, 5, 1226);
	run(20 * MS);
	gets(HOST_B, 1 * MS + 500, 0, 1226);
	gets(HOST_B, 2 * MS + 500, 1, 1226);
	gets(HOST_B, 3 * MS + 500, 2, 1226);
	gets(HOST_B, 4 * MS + 500, 5, 1226);
	gets_nothing(HOST_B);
	CHECK_EQ(stats(0).departed, 4);
	stop();
}

/* What the far host must get, computed from the link alone. */
struct expected {
	u64 ns;
	u32 order;
	u32 number;
	u32 len;
	u32 bit; /* flipped, if not 0 */
};

static int by_time(const void *a, const void *b)
{
	const struct expected *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns < y->ns ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static u32 foresee(struct kt_link *l, struct expected *want, u32 n, u64 now, u32 number, u32 len)
{
	struct kt_link_verdict v;

	kt_link_pass(l, now, len, &v);
	for (u32 i = 0; v.fate == KT_LINK_DEPARTS && i < 1u + v.duplicate; i++, n++)
		want[n] = (struct expected){ v.depart_ns, n, number, len, v.corrupt ? v.corrupt_bit : 0 };
	return n;
}

static void compare(const char *host, struct expected *want, u32 n)
{
	qsort(want, n, sizeof(*want), by_time);
	for (u32 i = 0; i < n; i++) {
		u64 stamp;

		CHECK_EQ(kt_mem_host_next(host, got, sizeof(got), &stamp), want[i].len);
		CHECK_EQ(stamp, want[i].ns);
		fill(want[i].number, want[i].len);
		if (want[i].bit)
			frame[want[i].bit / 8] ^= (u8)(1u << want[i].bit % 8);
		CHECK_MEM(got, frame, want[i].len);
	}
	gets_nothing(host);
}

static void t_everything_at_once(void)
{
	static struct expected want[2][MAX_FRAMES];
	static struct kt_link_slot slots[2][1024];
	struct kt_emulator_opts o = { .max_pending = 1024 };
	const char *hosts[2] = { HOST_A, HOST_B };
	struct kt_link model[2];
	u32 n[2] = { 0 };
	u64 rng = 99, now = 0;

	for (int i = 0; i < 2; i++) {
		o.link[i] = (struct kt_link_opts){
			.loss_ppb = 50000000,
			.loss_burst_ppb = 500000000,
			.hold_ppb = 30000000,
			.hold_ns = 400 * US,
			.room_bytes = 8000,
			.rate_bps = i ? 33333333 : 30000000,
			.overhead_bytes = 24,
			.duplicate_ppb = 20000000,
			.corrupt_ppb = 100000000,
			.delay_kind = i ? KT_DELAY_EXPONENTIAL : KT_DELAY_UNIFORM,
			.delay_ns = 200 * US,
			.jitter_ns = 150 * US,
			.seed = 7 + (u64)i,
		};
		CHECK_EQ(kt_link_init(&model[i], &o.link[i], slots[i], 1024, NULL), 0);
	}
	start(o);
	for (u32 number = 0; number < 3000; number++) {
		u64 r = kt_hash_next(&rng);
		u32 i = r & 1, len = 60 + (u32)(r >> 8) % 1455;

		now += (r >> 32) % (200 * US);
		run(now);
		sends(hosts[i], number, len);
		n[i] = foresee(&model[i], want[i], n[i], now, number, len);
	}
	run(now + 1000 * MS);
	compare(HOST_B, want[0], n[0]);
	compare(HOST_A, want[1], n[1]);
	for (int i = 0; i < 2; i++) {
		struct kt_emulator_stats s = stats(i);

		CHECK_EQ(s.pending + s.full + s.failed + s.too_long, 0);
		CHECK_EQ(s.departed, n[i]);
		CHECK_EQ(s.late_ns.max, 0);
		CHECK(s.lost && s.no_room && s.duplicated && s.held && s.corrupted);
	}
	stop();
}

static void t_steps_tell_what_comes_next(void)
{
	u64 next;

	start((struct kt_emulator_opts){ .link = { { .delay_ns = 50 }, { .delay_ns = 20 } } });
	CHECK_EQ(kt_emulator_step(emulator, &next), 0);
	CHECK_EQ(next, 0);
	sends(HOST_A, 0, 60);
	CHECK_EQ(kt_emulator_step(emulator, &next), 0);
	CHECK_EQ(next, 50);
	run(10);
	sends(HOST_B, 0, 60);
	CHECK_EQ(kt_emulator_step(emulator, &next), 0);
	CHECK_EQ(next, 30);
	/* For ever ends when nothing can come any more. */
	CHECK_EQ(kt_emulator_run(emulator, UINT64_MAX, NULL, NULL), 0);
	CHECK_EQ(ktrxer_now(port_a), 50);
	CHECK_EQ(stats(0).departed + stats(1).departed, 2);
	stop();
}

static void t_no_more_than_max_pending(void)
{
	start((struct kt_emulator_opts){ .link = { { .delay_ns = 1 * MS } }, .max_pending = 3 });
	for (u32 i = 0; i < 5; i++)
		sends(HOST_A, i, 60);
	run(500 * US);
	CHECK_EQ(stats(0).full, 2);
	CHECK_EQ(stats(0).pending, 3);
	run(2 * MS);
	sends(HOST_A, 5, 60);
	run(4 * MS);
	for (u32 i = 0; i < 3; i++)
		gets(HOST_B, 1 * MS, i, 60);
	gets(HOST_B, 3 * MS, 5, 60);
	stop();
}

static void t_what_cannot_leave_is_counted(void)
{
	start((struct kt_emulator_opts){ .link = { { .delay_ns = 100 } } });
	CHECK_EQ(kt_mem_set_mtu("lab.b/0", 500), 0);
	sends(HOST_A, 0, 1000);
	run(1000);
	CHECK_EQ(stats(0).failed + stats(0).too_long, 1);
	CHECK_EQ(kt_mem_refuse("lab.b/0", 2, 105), 0);
	sends(HOST_A, 1, 60);
	run(1 * MS);
	CHECK_EQ(stats(0).departed, 1); /* at the third try */
	CHECK_EQ(kt_mem_set_up("lab.b/0", false), 0);
	sends(HOST_A, 2, 60);
	run(2 * MS);
	CHECK_EQ(stats(0).departed, 1);
	CHECK_EQ(stats(0).failed + stats(0).too_long, 2);
	CHECK_EQ(kt_mem_set_up("lab.b/0", true), 0);
	sends(HOST_A, 3, 60);
	run(3 * MS);
	CHECK_EQ(stats(0).departed, 2);
	stop();
}

static void t_an_interface_goes_away(void)
{
	start((struct kt_emulator_opts){ .link = { { .delay_ns = 100 } } });
	sends(HOST_A, 0, 60);
	CHECK_EQ(kt_mem_remove("lab.b/0"), 0);
	CHECK_EQ(kt_emulator_run(emulator, 1 * MS, NULL, NULL), -ENODEV);
	CHECK(strstr(kt_emulator_why(emulator), "lab.b/0"));
	stop();
}

static bool stop_at_once(void *ctx)
{
	++*(int *)ctx;
	return true;
}

static void t_stops_when_told(void)
{
	int asked = 0;

	start((struct kt_emulator_opts){ 0 });
	CHECK_EQ(kt_emulator_run(emulator, UINT64_MAX, stop_at_once, &asked), 0);
	CHECK_EQ(asked, 1);
	stop();
}

static void t_refuses_nonsense(void)
{
	KTRXER_OPTS(ktrxer_opts, port_opts);
	struct ktrxer_err err;
	struct ktrxer *other;
	struct kt_emulator *e;
	struct kt_emulator_opts o = { 0 };

	start(o);
	port_opts.engine = "mem";
	CHECK_EQ(ktrxer_open(&other, "elsewhere/0", &port_opts, &err), 0);
	CHECK_EQ(kt_emulator_open(&e, port_a, other, &o, &err), -EINVAL);
	CHECK(strstr(err.text, "virtual times"));
	ktrxer_close(other);
	CHECK_EQ(kt_emulator_open(&e, port_a, port_a, &o, &err), -EINVAL);
	o.max_pending = 1u << 21;
	CHECK_EQ(kt_emulator_open(&e, port_a, port_b, &o, &err), -EINVAL);
	o.max_pending = 0;
	o.link[1].room_pkts = 5;
	CHECK_EQ(kt_emulator_open(&e, port_a, port_b, &o, &err), -EINVAL);
	CHECK(strstr(err.text, "lab.b/0 to lab.a/1") && strstr(err.text, "needs a rate"));
	CHECK(!e);
	stop();
}

TEST_MAIN(T(t_perfect_wire), T(t_delay_is_exact_in_both_directions), T(t_arrivals_in_the_future), T(t_rate_and_room),
	  T(t_everything_at_once), T(t_steps_tell_what_comes_next), T(t_no_more_than_max_pending),
	  T(t_what_cannot_leave_is_counted), T(t_an_interface_goes_away), T(t_stops_when_told), T(t_refuses_nonsense))

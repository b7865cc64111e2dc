/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The sending contract against a device that refuses, drops, stalls and
 * leaves (tests/kernel/hostile), through the library and engine kmod. Runs in
 * a guest with both modules loaded; each case has a device of its own.
 */
#include <time.h>

#include "core/packet.h"
#include "include/ktrxer.h"
#include "tests/kernel/hostile_dev.h"

#define MS 1000000ull
#define SECOND 1000000000ull
#define FRAME 60

static struct ktrxer *port;
static struct ktx *tx;

static void begin(unsigned int max_pending)
{
	KTRXER_OPTS(ktrxer_opts, po);
	KTRXER_OPTS(ktx_opts, o);
	struct ktrxer_err err = { 0 };

	ktx_close(tx);
	ktrxer_close(port);
	tx = NULL;
	port = NULL;
	if (system("ip link del " DEV " 2>/dev/null; ip link add " DEV " type kthostile && "
		   "sysctl -qw net.ipv6.conf." DEV ".disable_ipv6=1 && ip link set " DEV " up"))
		TEST_FAIL("no hostile device: is kthostile.ko loaded?");
	po.engine = "kmod";
	o.max_pending = max_pending;
	o.max_frame = 1514;
	if (ktrxer_open(&port, DEV, &po, &err) || ktx_open(&tx, port, &o, &err))
		TEST_FAIL("%s", err.text);
}

static unsigned int build(uint8_t *buf, uint64_t number)
{
	memset(buf, 0, FRAME);
	memset(buf, 0xff, 6);
	kt_put_be16(buf + 12, 0x0800);
	kt_put_be64(buf + 42, number);
	return FRAME;
}

static void submit(uint64_t number, uint64_t launch_ns, uint32_t flags, uint32_t attempts, uint64_t window_ns)
{
	uint8_t buf[FRAME];
	struct ktx_probe p = {
		.frame = buf, .id = number, .launch_ns = launch_ns, .flags = flags, .max_attempts = attempts
	};

	p.len = build(buf, number);
	p.window_ns = window_ns;
	if (ktx_submit(tx, &p, 1) != 1)
		TEST_FAIL("%s", ktx_why(tx));
}

static void fetch(struct ktx_done *d)
{
	if (ktx_wait(tx, 10 * SECOND) < 1 || ktx_complete(tx, d, 1) != 1)
		TEST_FAIL("no completion within 10 s");
}

static struct ktx_stats check(void)
{
	struct ktx_stats s;

	ktx_get_stats(tx, &s);
	CHECK_EQ(s.submitted, s.sent + s.failed + s.late + s.cancelled + s.pending);
	return s;
}

static void t_refused_then_taken(void)
{
	static const char *const answers[] = { "busy*3 ok*0", "drop*3 ok*0", "error*3 ok*0", "busy drop error ok*0" };

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		struct ktx_done d;

		begin(64);
		hostile_set("script", answers[i]);
		submit(1, 0, 0, 4, 0);
		fetch(&d);
		CHECK_EQ(d.status, KTX_SENT);
		CHECK_EQ(d.attempts, 4);
		CHECK(d.reason);
		CHECK_EQ(hostile_seen("taken"), 1);
		CHECK_EQ(check().retries, 3);
	}
}

static void t_exhausted(void)
{
	struct ktx_done d;

	begin(64);
	hostile_set("script", "busy*2 drop*0");
	submit(1, 0, 0, 5, 0);
	fetch(&d);
	CHECK_EQ(d.status, KTX_FAILED);
	CHECK_EQ(d.attempts, 5);
	CHECK(d.reason);
	CHECK_EQ(hostile_seen("calls"), 5);
	hostile_set("script", "ok*0");
	submit(2, 0, 0, 1, 0);
	fetch(&d);
	CHECK_EQ(d.status, KTX_SENT);
	CHECK_EQ(check().sent, 1);
}

/* "Congestion" means that some packet may be lost, not this one: sending it again could send it twice. */
static void t_congestion_is_sent(void)
{
	struct ktx_done d;

	begin(64);
	hostile_set("script", "cn ok*0");
	submit(1, 0, 0, 5, 0);
	fetch(&d);
	CHECK_EQ(d.status, KTX_SENT);
	CHECK_EQ(d.attempts, 1);
	CHECK_EQ(hostile_seen("taken"), 1);
}

/* Retries keep the order of a train; its last frame rings the doorbell, whoever was refused before. */
static void t_train(void)
{
	static const char *const answers[] = {
		"ok*0", "ok*5 busy*2 ok*0", "ok*99 busy ok*0", "busy ok*98 drop*3 ok*0", "refuse:50*0", "flaky:50*0"
	};

	for (size_t k = 0; k < sizeof(answers) / sizeof(answers[0]); k++) {
		uint64_t start;

		begin(128);
		hostile_set("script", answers[k]);
		start = ktrxer_now(port) + 5 * MS;
		for (uint64_t i = 0; i < 100; i++)
			submit(i, start, i < 99 ? KTX_TRAIN : 0, 1000, 0);
		for (uint64_t i = 0; i < 100; i++) {
			struct ktx_done d;

			fetch(&d);
			if (d.id != i || d.status != KTX_SENT || d.launch_ns < start)
				TEST_FAIL("%s: completion %llu is of probe %llu, %s", answers[k], (unsigned long long)i,
					  (unsigned long long)d.id, ktx_status_name(d.status));
		}
		CHECK_EQ(hostile_seen("taken"), 100);
		CHECK_EQ(hostile_seen("gaps"), 0);
		CHECK_EQ(hostile_seen("earlier"), 0);
		CHECK_EQ(hostile_seen("duplicates"), 0);
		CHECK_EQ(hostile_seen("unrung"), 0);
		check();
	}
}

static void t_retry_pause(void)
{
	struct ktx_probe p;
	struct ktx_done d;
	uint8_t buf[FRAME];
	uint64_t start;

	begin(64);
	hostile_set("script", "busy*4 ok*0");
	start = ktrxer_now(port) + 100 * MS;
	p = (struct ktx_probe){ .frame = buf, .len = build(buf, 1), .id = 1, .launch_ns = start };
	p.max_attempts = 5;
	p.retry_ns = 60 * MS;
	CHECK_EQ(ktx_submit(tx, &p, 1), 1);
	submit(2, start + 20 * MS, 0, 1, 0); /* takes its turn, and a refusal, in between */
	fetch(&d);
	CHECK_EQ(d.id, 2);
	CHECK_EQ(d.status, KTX_FAILED);
	fetch(&d);
	CHECK_EQ(d.id, 1);
	CHECK_EQ(d.status, KTX_SENT);
	CHECK_EQ(d.attempts, 4);
	CHECK(d.launch_ns >= start + 180 * MS);
}

/* 30 % refusals of all kinds: everything arrives once, in order. */
static void t_thirty_percent(void)
{
	enum { N = 20000 };
	uint64_t sent = 0, next = 0;

	begin(1024);
	hostile_set("script", "flaky:30*0");
	while (sent < N) {
		struct ktx_done d[256];
		int n;

		while (next < N && next - sent < 512)
			submit(next++, 0, 0, 200, 0);
		ktx_wait(tx, SECOND);
		while ((n = ktx_complete(tx, d, 256)) > 0) {
			for (int i = 0; i < n; i++, sent++) {
				CHECK_EQ(d[i].status, KTX_SENT);
				CHECK_EQ(d[i].id, sent);
			}
		}
	}
	CHECK_EQ(hostile_seen("taken"), N);
	CHECK_EQ(hostile_seen("gaps"), 0);
	CHECK_EQ(hostile_seen("earlier"), 0);
	CHECK_EQ(hostile_seen("duplicates"), 0);
	CHECK_EQ(check().sent, N);
	CHECK(check().retries > N / 4);
}

/* --- ten million --- */

static uint64_t fated, sent_runs;

static uint32_t fill(void *ctx, uint64_t i, uint8_t *buf)
{
	return build(buf, i);
}

static void done(void *ctx, uint64_t first, uint64_t n, enum ktx_status status, int reason, uint64_t launch_ns,
		 uint64_t returned_ns)
{
	fated += n;
	sent_runs += status == KTX_SENT ? n : 0;
}

static void t_ten_million(void)
{
	const char *env = getenv("KT_HOSTILE_FRAMES");
	uint64_t n = env ? strtoull(env, NULL, 10) : 10000000;
	KTRXER_OPTS(ktx_flood_opts, o);

	begin(1024);
	hostile_set("script", "refuse:30*0");
	fated = sent_runs = 0;
	o.count = n;
	o.max_frame = FRAME;
	o.max_attempts = 1000;
	o.fill = fill;
	o.done = done;
	CHECK_EQ(ktx_flood(tx, &o), 0);
	CHECK_EQ(fated, n);
	CHECK_EQ(sent_runs, n);
	CHECK_EQ(hostile_seen("taken"), n);
	CHECK_EQ(hostile_seen("duplicates"),
		 0); /* in which order is another question: what is refused comes with the next batch */
	CHECK_EQ(hostile_seen("unrung"), 0);
	CHECK_EQ(check().sent, n);
}

/* --- queues and devices --- */

static void t_stopped_queue(void)
{
	struct ktx_done d;

	begin(64);
	/* Long enough that the next probe comes before the queue wakes, on any machine. */
	hostile_set("pause_us", "1000000");
	hostile_set("script", "stop ok*0");
	submit(1, 0, 0, 1, 0);
	fetch(&d);
	CHECK_EQ(d.status, KTX_SENT);
	submit(2, 0, 0, 1, 0); /* the queue is stopped: refused without a call */
	fetch(&d);
	CHECK_EQ(d.status, KTX_FAILED);
	CHECK(d.reason);
	CHECK_EQ(hostile_seen("calls"), 1);
	{
		uint8_t buf[FRAME];
		struct ktx_probe p = { .frame = buf, .len = build(buf, 3), .id = 3 };

		p.max_attempts = 1000000;
		p.retry_ns = MS;
		CHECK_EQ(ktx_submit(tx, &p, 1), 1);
	}
	fetch(&d); /* goes when the queue is awake again */
	CHECK_EQ(d.id, 3);
	CHECK_EQ(d.status, KTX_SENT);
	CHECK(d.attempts > 1);
}

static void t_stalled_queue(void)
{
	struct ktx_done d;
	uint8_t buf[FRAME];
	struct ktx_probe p = { .frame = buf, .len = build(buf, 2), .id = 2 };

	begin(64);
	hostile_set("script", "stall ok*0");
	submit(1, 0, 0, 1, 0);
	fetch(&d);
	p.launch_ns = ktrxer_now(port) + MS;
	p.window_ns = 300 * MS;
	p.max_attempts = 1000000;
	p.retry_ns = MS;
	CHECK_EQ(ktx_submit(tx, &p, 1), 1);
	fetch(&d);
	CHECK_EQ(d.status, KTX_LATE); /* the queue never woke: its window passed while it tried */
	CHECK(d.attempts > 3);
	CHECK_EQ(hostile_write("wake", "1"), 0);
	submit(3, 0, 0, 1, 0);
	fetch(&d);
	CHECK_EQ(d.status, KTX_SENT);
	check();
}

/* A device that takes long makes others late, never early, and a window says when not to bother. */
static void t_slow(void)
{
	enum { N = 400 }; /* they take 360 ms, and may be 100 ms late */
	uint64_t start;
	unsigned int late = 0, sent = 0;

	begin(N);
	hostile_set("pause_us", "900");
	hostile_set("script", "slow*0");
	start = ktrxer_now(port) + 300 * MS;
	for (uint64_t i = 0; i < N; i++)
		submit(i, start + i * 10000, 0, 1, 100 * MS);
	for (unsigned int i = 0; i < N; i++) {
		struct ktx_done d;

		fetch(&d);
		CHECK(d.status == KTX_SENT || d.status == KTX_LATE);
		CHECK(d.status != KTX_SENT || d.launch_ns >= d.scheduled_ns);
		CHECK(d.status != KTX_SENT || d.returned_ns - d.launch_ns >= 800000);
		late += d.status == KTX_LATE;
		sent += d.status == KTX_SENT;
	}
	CHECK(late && sent);
	CHECK_EQ(hostile_seen("taken"), sent);
}

static void t_carrier(void)
{
	struct ktx_done d;

	begin(64);
	hostile_set("script", "down ok*0");
	submit(1, 0, 0, 1, 0);
	fetch(&d);
	CHECK_EQ(d.status, KTX_SENT);
	submit(2, 0, 0, 3, 0);
	fetch(&d);
	CHECK_EQ(d.status, KTX_FAILED);
	CHECK_EQ(d.reason, ENETDOWN);
	CHECK_EQ(hostile_write("wake", "1"), 0);
	submit(3, 0, 0, 3, 0);
	fetch(&d);
	CHECK_EQ(d.status, KTX_SENT);
}

/* The device leaves in the middle of a train: each probe behind it fails once, with the reason. */
static void t_gone(void)
{
	unsigned int sent = 0, failed = 0;
	uint64_t start;

	begin(256);
	hostile_set("script", "ok*30 gone ok*0");
	start = ktrxer_now(port) + 5 * MS;
	for (uint64_t i = 0; i < 200; i++) /* a train, and what is scheduled for later */
		submit(i, i < 100 ? start : start + i * 50 * MS, i < 99 ? KTX_TRAIN : 0, 3, 0);
	for (unsigned int i = 0; i < 200; i++) {
		struct ktx_done d;

		fetch(&d);
		sent += d.status == KTX_SENT;
		failed += d.status == KTX_FAILED && (d.reason == ENODEV || d.reason == ENETDOWN);
	}
	CHECK(sent >= 31);
	CHECK(failed >= 90); /* those of the schedule at least: the train may be faster than the leaving */
	CHECK_EQ(sent + failed, 200);
	check();
	{
		struct ktx_done d;

		submit(1000, 0, 0, 3, 0);
		fetch(&d);
		CHECK_EQ(d.status, KTX_FAILED);
		CHECK_EQ(d.reason, ENODEV);
	}
}

int main(int argc, char **argv)
{
	static const struct kt_test tests[] = {
		T(t_refused_then_taken),
		T(t_exhausted),
		T(t_congestion_is_sent),
		T(t_train),
		T(t_retry_pause),
		T(t_thirty_percent),
		T(t_ten_million),
		T(t_stopped_queue),
		T(t_stalled_queue),
		T(t_slow),
		T(t_carrier),
		T(t_gone),
	};
	int ret = kt_test_run(tests, (int)(sizeof(tests) / sizeof(tests[0])), argc, argv);

	ktx_close(tx);
	ktrxer_close(port);
	if (system("ip link del " DEV " 2>/dev/null"))
		return ret; /* it has left */
	return ret;
}

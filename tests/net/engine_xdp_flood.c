/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Engine xdp, floods: each of a million distinct frames has the fate that the far end saw. There our own
 * XDP program counts, and every frame that it gives us is looked at.
 */
#include <fcntl.h>
#include <pthread.h>

#include "core/ring.h"
#include "include/ktrxer.h"
#include "tests/engine.h"
#include "tests/netns.h"

#define TOTAL 1000000u
#define ETHERTYPE 0x88b5

static struct ktrxer *near_port, *far_port;
static struct ktx *tx;
static struct krx *rx;
static struct krx_listener *listener;

static void tear_down(void)
{
	ktx_close(tx);
	krx_unlisten(listener);
	krx_close(rx);
	ktrxer_close(near_port);
	ktrxer_close(far_port);
	tx = NULL;
	listener = NULL;
	rx = NULL;
	near_port = far_port = NULL;
}

/* far: an XDP program that drops what we send, and delivers it if op says so. */
static void set_up(enum krx_op op, bool far_xdp)
{
	KTRXER_OPTS(ktrxer_opts, po);
	KTRXER_OPTS(krx_opts, ro);
	KTRXER_OPTS(krx_listen_opts, lo);
	struct krx_rule r = { .op = op, .ethertype = ETHERTYPE, .slice_bytes = op == KRX_DROP ? 0 : 24 };
	struct ktrxer_err err = { 0 };

	tear_down();
	netns_pair(true);
	netns_enter(netns_far);
	po.engine = "xdp";
	ro.ring_bytes = 64 << 20;
	lo.lossless = true;
	if (far_xdp && (ktrxer_open(&far_port, FAR, &po, &err) || krx_open(&rx, far_port, &ro, &err) ||
			krx_listen(&listener, rx, &lo, &err)))
		TEST_FAIL("%s", err.text);
	if (far_xdp && krx_rules_replace(rx, &r, 1))
		TEST_FAIL("%s", krx_why(rx));
	netns_enter(netns_near);
	if (ktrxer_open(&near_port, NEAR, &po, &err) || ktx_open(&tx, near_port, NULL, &err))
		TEST_FAIL("%s", err.text);
}

struct flood {
	u8 *fate; /* of each number: 1 + enum ktx_status */
	u8 *seen; /* at the far end */
	u64 told;
	u64 sent;
	u64 period; /* 0: none */
	u64 filled;
	u32 (*len)(u64 i);
	int reason;
};

static u32 same_len(u64 i)
{
	return 60;
}

static u32 other_len(u64 i)
{
	return 60 + (u32)(i * 7919 % 1455);
}

static u32 fill(void *ctx, u64 i, u8 *buf)
{
	struct flood *f = ctx;
	u32 len;

	f->filled++;
	if (f->period)
		i %= f->period;
	len = f->len(i);
	memset(buf, 0xff, 12);
	kt_put_be16(buf + 12, ETHERTYPE);
	kt_put_be32(buf + 14, (u32)i);
	kt_put_be32(buf + 18, (u32)i * 2654435761u);
	memset(buf + 22, (int)i, len - 22);
	return len;
}

static void done(void *ctx, u64 first, u64 n, enum ktx_status status, int reason, u64 launch_ns, u64 returned_ns)
{
	struct flood *f = ctx;

	for (u64 i = first; i < first + n; i++) {
		CHECK_EQ(f->fate[i], 0); /* each is told once */
		f->fate[i] = (u8)(1 + status);
	}
	if (status == KTX_SENT)
		CHECK(launch_ns && launch_ns <= returned_ns);
	f->told += n;
	f->sent += status == KTX_SENT ? n : 0;
	f->reason = reason ? reason : f->reason;
}

static void flood(struct flood *f, u64 count, u32 max_frame, u32 attempts)
{
	KTRXER_OPTS(ktx_flood_opts, o);
	struct ktx_stats st;
	u8 *seen = f->seen;

	*f = (struct flood){ .fate = calloc(count, 1), .seen = seen, .len = f->len, .period = f->period };
	o.count = count;
	o.period = f->period;
	o.max_frame = max_frame;
	o.max_attempts = attempts;
	o.fill = fill;
	o.done = done;
	o.ctx = f;
	if (ktx_flood(tx, &o))
		TEST_FAIL("%s", ktx_why(tx));
	CHECK_EQ(f->told, count);
	CHECK_EQ(ktx_get_stats(tx, &st), 0);
	CHECK_EQ(st.submitted, count);
	CHECK_EQ(st.sent, f->sent);
	CHECK_EQ(st.sent + st.failed + st.late + st.cancelled + st.pending, st.submitted);
}

/* The far end's count of frames, when it stands still. */
static u64 far_count(void)
{
	struct krx_stats s = { 0 };
	u64 before;

	do {
		before = s.dropped + s.delivered + s.lost_engine;
		usleep(20000);
		krx_pump(rx);
		CHECK_EQ(krx_get_stats(rx, &s), 0);
	} while (s.dropped + s.delivered + s.lost_engine != before);
	return before;
}

static void t_million(void)
{
	struct flood f = { .len = same_len };

	set_up(KRX_DROP, true);
	flood(&f, TOTAL, 60, 1);
	CHECK_EQ(far_count(), f.sent);
	CHECK(f.sent > TOTAL / 2);
	printf("# %u of %u sent\n", (u32)f.sent, TOTAL);
	free(f.fate);
	tear_down();
}

static void t_all_lengths(void)
{
	struct flood f = { .len = other_len };

	set_up(KRX_DROP, true);
	flood(&f, TOTAL / 4, 1514, 100);
	CHECK_EQ(far_count(), f.sent);
	CHECK_EQ(f.sent, TOTAL / 4);
	free(f.fate);
	tear_down();
}

static u32 stop_reader;

/* Looks at every frame that arrives: right content, and no number twice. */
static void *reader(void *arg)
{
	struct flood *f = arg;
	struct krx_packet p;
	u64 wrong = 0;

	for (;;) {
		bool stop = kt_load_acquire(&stop_reader);
		int k = krx_next(listener, &p, stop ? 200000000 : 10000000);
		u32 i;

		if (k <= 0 && stop)
			return (void *)(uintptr_t)wrong;
		if (k <= 0)
			continue;
		i = kt_get_be32(p.data + 14);
		if (p.caplen != 24 || i >= TOTAL || f->seen[i]++ || kt_get_be32(p.data + 18) != i * 2654435761u ||
		    p.data[22] != (u8)i)
			wrong++;
	}
}

/* The far end says which numbers came: exactly those whose fate is "sent", if it lost none itself. */
static void t_each_number(void)
{
	struct flood f = { .len = same_len, .seen = calloc(TOTAL, 1) };
	struct krx_stats s;
	pthread_t thread;
	void *wrong;
	u64 missing = 0, extra = 0;

	set_up(KRX_CAPTURE_DROP, true);
	kt_store_release(&stop_reader, 0);
	CHECK_EQ(pthread_create(&thread, NULL, reader, &f), 0);
	flood(&f, TOTAL, 60, 3);
	kt_store_release(&stop_reader, 1);
	pthread_join(thread, &wrong);
	CHECK_EQ((uintptr_t)wrong, 0);
	CHECK_EQ(krx_get_stats(rx, &s), 0);
	CHECK_EQ(s.delivered + s.lost_engine + s.lost_ring, f.sent);
	for (u32 i = 0; i < TOTAL; i++) {
		missing += f.fate[i] == 1 + KTX_SENT && !f.seen[i];
		extra += f.fate[i] != 1 + KTX_SENT && f.seen[i];
	}
	CHECK_EQ(missing, s.lost_engine + s.lost_ring);
	CHECK_EQ(extra, 0);
	printf("# %u sent, %u lost by the reader\n", (u32)f.sent, (u32)missing);
	free(f.fate);
	free(f.seen);
	tear_down();
}

/* Counts how often each place of the period arrived. */
static void *period_reader(void *arg)
{
	u32 *count = arg;
	struct krx_packet p;

	for (;;) {
		bool stop = kt_load_acquire(&stop_reader);
		int k = krx_next(listener, &p, stop ? 200000000 : 10000000);
		u32 i;

		if (k <= 0 && stop)
			return NULL;
		if (k <= 0)
			continue;
		i = kt_get_be32(p.data + 14);
		if (i < 2000 && kt_get_be32(p.data + 18) == i * 2654435761u && p.wirelen == other_len(i))
			count[i]++;
	}
}

/* Frames that repeat stay in their slots, and still each number leaves as what it is, whatever was refused. */
static void check_period(u64 period, u32 attempts)
{
	struct flood f = { .len = other_len, .period = period };
	u32 *count = calloc(2000, sizeof(*count)), *sent = calloc(2000, sizeof(*sent));
	u64 n = 100000 + period / 2, missing = 0, extra = 0;
	struct krx_stats s;
	pthread_t thread;

	set_up(KRX_CAPTURE_DROP, true);
	kt_store_release(&stop_reader, 0);
	CHECK_EQ(pthread_create(&thread, NULL, period_reader, count), 0);
	flood(&f, n, 1514, attempts);
	kt_store_release(&stop_reader, 1);
	pthread_join(thread, NULL);
	CHECK_EQ(krx_get_stats(rx, &s), 0);
	for (u64 i = 0; i < n; i++)
		sent[i % period] += f.fate[i] == 1 + KTX_SENT;
	for (u32 i = 0; i < period; i++) {
		missing += sent[i] > count[i] ? sent[i] - count[i] : 0;
		extra += count[i] > sent[i];
	}
	CHECK_EQ(missing, s.lost_engine + s.lost_ring);
	CHECK_EQ(extra, 0);
	CHECK(f.filled < n / 4);
	printf("# period %u: %u written, %u sent of %u\n", (u32)period, (u32)f.filled, (u32)f.sent, (u32)n);
	free(f.fate);
	free(count);
	free(sent);
	tear_down();
}

static void t_periods(void)
{
	check_period(1, 1);
	check_period(7, 5);
	check_period(1000, 1);
	check_period(1300, 5);
}

static u32 stop_switching;

/* The far end goes down and comes up, again and again. */
static void *switcher(void *arg)
{
	u32 *times = arg;

	netns_enter(netns_far);
	while (!kt_load_acquire(&stop_switching)) {
		netns_run("ip link set " FAR " down");
		netns_run("ip link set " FAR " up");
		++*times;
		usleep(5000);
	}
	return NULL;
}

/* Batches of which the device took a part, whose rest is tried again out of the cells where it lies: each arrives once. */
static void t_refused_and_tried_again(void)
{
	struct flood f = { .len = same_len, .seen = calloc(TOTAL, 1) };
	struct ktx_stats st;
	pthread_t thread, switching;
	u32 times = 0, seen = 0;
	void *wrong;

	set_up(KRX_CAPTURE_DROP, true);
	kt_store_release(&stop_reader, 0);
	kt_store_release(&stop_switching, 0);
	CHECK_EQ(pthread_create(&thread, NULL, reader, &f), 0);
	CHECK_EQ(pthread_create(&switching, NULL, switcher, &times), 0);
	flood(&f, TOTAL, 60, UINT32_MAX);
	kt_store_release(&stop_switching, 1);
	pthread_join(switching, NULL);
	kt_store_release(&stop_reader, 1);
	pthread_join(thread, &wrong);
	CHECK_EQ((uintptr_t)wrong, 0); /* no number twice, none with another's bytes */
	CHECK_EQ(f.sent, TOTAL);
	CHECK_EQ(ktx_get_stats(tx, &st), 0);
	CHECK(times && st.retries);
	for (u32 i = 0; i < TOTAL; i++)
		seen += f.seen[i];
	CHECK(seen > TOTAL / 2); /* what waits in an interface that goes down is lost there */
	printf("# %u sent in %llu tries, %u seen, down %u times\n", TOTAL, (unsigned long long)(TOTAL + st.retries),
	       seen, times);
	free(f.fate);
	free(f.seen);
	tear_down();
}

/* A far end without XDP takes no redirected frames: the flood goes the ordinary way, and is no less exact. */
static void t_peer_cannot(void)
{
	struct flood f = { .len = same_len };
	char line[100] = "";
	FILE *out;

	set_up(KRX_DROP, false);
	flood(&f, 50000, 60, 1);
	CHECK_EQ(f.sent, 50000);
	netns_enter(netns_far);
	out = popen("cat /proc/net/dev | grep " FAR " | awk '{ print $3 }'", "r");
	CHECK(out && fgets(line, sizeof(line), out));
	pclose(out);
	CHECK_EQ(atoi(line), 50000);
	free(f.fate);
	tear_down();
}

static void t_peer_down(void)
{
	struct flood f = { .len = same_len };

	set_up(KRX_DROP, true);
	netns_enter(netns_far);
	netns_run("ip link set " FAR " down");
	netns_enter(netns_near);
	flood(&f, 20000, 60, 1);
	CHECK_EQ(f.sent, 0);
	CHECK_EQ(f.reason, ENETDOWN);
	free(f.fate);
	tear_down();
}

TEST_MAIN(T(t_million), T(t_all_lengths), T(t_each_number), T(t_refused_and_tried_again), T(t_periods),
	  T(t_peer_cannot), T(t_peer_down))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Senders whose engine launches by itself: what is handed over, what is told back, and that every probe ends once. */
#include "tests/unit/fake.h"

#define MS 1000000ull
#define MAX 64

static struct ktrxer port;
static struct ktx *tx;
static u8 frame[60];

/* The engine: keeps orders until its clock shows their time. */
static struct kt_txorder held[MAX];
static u32 n_held;
static int refuse; /* this item; -1: none */
static struct kt_txfate fates[MAX];
static u32 n_fates;
static int lie_about; /* tells this item's fate twice */

static void tell(const struct kt_txorder *o, enum ktx_status status, u32 attempts)
{
	fates[n_fates++] = (struct kt_txfate){
		.item = o->item,
		.status = status,
		.reason = attempts > 1 ? ENOBUFS : 0,
		.attempts = attempts,
		.launch_ns = attempts ? o->launch_ns : 0,
		.returned_ns = attempts ? o->launch_ns + 100 : 0,
	};
}

static int take(struct ktrxer *p, const struct kt_txorder *orders, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		if (refuse >= 0 && orders[i].item == (u32)refuse) /* takes those before it, then says no to it */
			return i ? (int)i : -ENODEV;
		held[n_held++] = orders[i];
	}
	return (int)n;
}

static void launch(u64 until)
{
	u32 kept = 0;

	for (u32 i = 0; i < n_held; i++) {
		if (held[i].launch_ns <= until)
			tell(&held[i], KTX_SENT, held[i].max_attempts);
		else
			held[kept++] = held[i];
	}
	n_held = kept;
}

static int collect(struct ktrxer *p, struct kt_txfate *f, u32 max)
{
	u32 n = n_fates < max ? n_fates : max;

	launch(fake_clock);
	n = n_fates < max ? n_fates : max;
	memcpy(f, fates, n * sizeof(*f));
	memmove(fates, fates + n, (n_fates - n) * sizeof(*f));
	n_fates -= n;
	if (lie_about && n && n < max)
		f[n++] = f[0];
	return (int)n;
}

static void recall(struct ktrxer *p, u32 item)
{
	u32 kept = 0;

	for (u32 i = 0; i < n_held; i++) {
		if (item == KT_NO_SLOT || held[i].item == item)
			tell(&held[i], KTX_CANCELLED, 0);
		else
			held[kept++] = held[i];
	}
	n_held = kept;
}

static int wait_for(struct ktrxer *p, u64 until)
{
	u64 next = until;

	for (u32 i = 0; i < n_held; i++)
		if (held[i].launch_ns < next)
			next = held[i].launch_ns;
	if (fake_clock < next)
		fake_clock = next;
	return 0;
}

static void counts(struct ktrxer *p, struct kt_tx_counts *c)
{
	c->batches = 7;
	c->fifo = c->tap = c->nic_launch = true;
}

static const struct kt_engine engine = {
	.name = "scheduling",
	.open = fake_open,
	.close = fake_close,
	.now = fake_now,
	.tx_open = fake_tx_open,
	.tx_close = fake_tx_close,
	.tx_order = take,
	.tx_fates = collect,
	.tx_recall = recall,
	.tx_wait = wait_for,
	.tx_counts = counts,
};

static void open_tx(bool thread)
{
	KTRXER_OPTS(ktx_opts, o);
	struct ktrxer_err err = { 0 };

	ktx_close(tx);
	tx = NULL;
	fake_port(&port, &engine);
	n_held = n_fates = 0;
	refuse = -1;
	lie_about = 0;
	o.max_frame = FAKE_FRAME;
	o.max_pending = MAX / 2;
	o.thread = thread;
	if (ktx_open(&tx, &port, &o, &err))
		TEST_FAIL("%s", err.text);
}

static struct ktx_stats check(void)
{
	struct ktx_stats s;

	ktx_get_stats(tx, &s);
	CHECK_EQ(s.submitted, s.sent + s.failed + s.late + s.cancelled + s.pending);
	return s;
}

static void submit(u64 id, u64 launch_ns, u32 flags, u32 attempts)
{
	struct ktx_probe p = { .frame = frame, .len = sizeof(frame), .id = id, .launch_ns = launch_ns, .flags = flags };

	p.max_attempts = attempts;
	if (ktx_submit(tx, &p, 1) != 1)
		TEST_FAIL("%s", ktx_why(tx));
}

/* Trains are handed over whole, at the time of their first, marked but for the last. */
static void t_orders(void)
{
	open_tx(false);
	submit(1, 5 * MS, KTX_TRAIN, 3);
	submit(2, 9 * MS, KTX_TRAIN, 0);
	CHECK_EQ(n_held, 0);
	submit(3, 1, 0, 0);
	CHECK_EQ(n_held, 3);
	for (u32 i = 0; i < 3; i++) {
		CHECK_EQ(held[i].launch_ns, 5 * MS);
		CHECK_EQ(held[i].train, i < 2);
		CHECK_EQ(held[i].max_attempts, i ? 1 : 3);
	}
	CHECK_EQ(ktx_next_launch(tx), 5 * MS);
	CHECK_EQ(check().pending, 3);
}

static void t_fates(void)
{
	struct ktx_done d[4];
	struct ktx_stats s;

	open_tx(false);
	submit(1, 2 * MS, 0, 1);
	submit(2, 3 * MS, 0, 4);
	CHECK_EQ(ktx_run(tx, 0), 0);
	CHECK_EQ(ktx_run(tx, 2 * MS), 1);
	CHECK_EQ(ktx_run(tx, 10 * MS), 2);
	CHECK_EQ(fake_clock, 3 * MS); /* nothing pending: no need to wait longer */
	CHECK_EQ(ktx_complete(tx, d, 4), 2);
	CHECK_EQ(d[0].id, 1);
	CHECK_EQ(d[1].id, 2);
	CHECK_EQ(d[1].attempts, 4);
	CHECK_EQ(d[1].reason, ENOBUFS);
	CHECK_EQ(d[1].scheduled_ns, 3 * MS);
	CHECK_EQ(d[1].launch_ns, 3 * MS);
	CHECK_EQ(d[1].returned_ns, 3 * MS + 100);
	s = check();
	CHECK_EQ(s.sent, 2);
	CHECK_EQ(s.retries, 3);
	CHECK_EQ(s.batches, 7);
	CHECK(s.fifo && s.tap && s.nic_launch && !s.zero_copy);
}

/* What the engine will not have fails, once, and those behind it go on. */
static void t_refused(void)
{
	struct ktx_probe p[4];
	struct ktx_done d[4];
	struct ktx_stats s;

	open_tx(false);
	for (u32 i = 0; i < 4; i++)
		p[i] = (struct ktx_probe){ .frame = frame, .len = 60, .id = i, .launch_ns = 2 * MS + i };
	refuse = 2;
	CHECK_EQ(ktx_submit(tx, p, 4), 4);
	CHECK_EQ(n_held, 3);
	CHECK_EQ(ktx_run(tx, 10 * MS), 4);
	CHECK_EQ(ktx_complete(tx, d, 4), 4);
	CHECK_EQ(d[0].id, 2);
	CHECK_EQ(d[0].status, KTX_FAILED);
	CHECK_EQ(d[0].reason, ENODEV);
	CHECK_EQ(d[0].attempts, 0);
	s = check();
	CHECK_EQ(s.sent, 3);
	CHECK_EQ(s.failed, 1);
	CHECK_EQ(s.pending, 0);
}

static void t_cancel(void)
{
	struct ktx_stats s;

	open_tx(false);
	for (u32 i = 0; i < 6; i++)
		submit(i % 3, 5 * MS, 0, 1);
	submit(9, 6 * MS, KTX_TRAIN, 1); /* a train that is not complete */
	CHECK_EQ(ktx_cancel(tx, 1), 2);
	CHECK_EQ(ktx_cancel(tx, 1), 0);
	CHECK_EQ(ktx_cancel_all(tx), 5);
	CHECK_EQ(ktx_cancel_all(tx), 0);
	s = check();
	CHECK_EQ(s.cancelled, 7);
	CHECK_EQ(s.pending, 0);
	CHECK_EQ(ktx_next_launch(tx), 0);
}

/* An engine that tells a fate twice, or of a slot that waits for nothing, ends no probe twice. */
static void t_liar(void)
{
	struct ktx_done d[8];

	open_tx(false);
	lie_about = 1;
	submit(1, 2 * MS, 0, 1);
	submit(2, 2 * MS, 0, 1);
	CHECK_EQ(ktx_run(tx, 3 * MS), 2);
	CHECK_EQ(ktx_complete(tx, d, 8), 2);
	CHECK_EQ(check().sent, 2);
	fates[n_fates++] = (struct kt_txfate){ .item = 4000, .status = KTX_SENT };
	CHECK_EQ(ktx_run(tx, 0), 0);
	CHECK_EQ(check().sent, 2);
}

/* Slots come back: many times as many probes as there is room for. */
static void t_reuse(void)
{
	u64 sent = 0;

	open_tx(true);
	CHECK_EQ(ktx_run(tx, 0), -EINVAL); /* as with a thread of the library's: it launches by itself */
	for (u32 i = 0; i < 1000; i++) {
		struct ktx_probe p = { .frame = frame, .len = 60, .id = i, .launch_ns = fake_clock + i % 5 };
		struct ktx_done d[MAX];
		int n;

		while (ktx_submit(tx, &p, 1) == -EAGAIN) {
			CHECK(ktx_wait(tx, MS) > 0);
			n = ktx_complete(tx, d, MAX);
			CHECK(n > 0);
			sent += (u64)n;
		}
	}
	while (check().pending) {
		struct ktx_done d[MAX];

		CHECK(ktx_wait(tx, MS) > 0);
		sent += (u64)ktx_complete(tx, d, MAX);
	}
	CHECK_EQ(check().sent, 1000);
	CHECK_EQ(sent, 1000);
}

TEST_MAIN(T(t_orders), T(t_fates), T(t_refused), T(t_cancel), T(t_liar), T(t_reuse))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The emulated link in virtual time: exact departures, exact accounts, and the distributions of its dice. */
#include <math.h>

#include "core/hash.h"
#include "core/link.h"
#include "tests/test.h"

#define MS 1000000ull
#define SLOTS 1024u

static struct kt_link l;
static struct kt_link_slot slots[SLOTS];
static struct kt_link_verdict v;

static void init(struct kt_link_opts o)
{
	const char *why = "";

	if (kt_link_init(&l, &o, slots, SLOTS, &why))
		TEST_FAIL("refused: %s", why);
}

static u64 departs(u64 now, u32 len)
{
	kt_link_pass(&l, now, len, &v);
	CHECK_EQ(v.fate, KT_LINK_DEPARTS);
	return v.depart_ns;
}

static void check_identity(void)
{
	CHECK_EQ(l.stats.seen_pkts, l.stats.departed_pkts + l.stats.lost_pkts + l.stats.no_room_pkts);
}

static void t_refuses_nonsense(void)
{
	static const struct {
		struct kt_link_opts o;
		u32 n_slots;
		const char *word;
	} t[] = {
		{ { .loss_ppb = KT_LINK_PPB + 1 }, 8, "probability" },
		{ { .corrupt_ppb = 0xffffffff }, 8, "probability" },
		{ { .delay_ns = KT_LINK_MAX_NS + 1 }, 8, "delay" },
		{ { .delay_kind = KT_DELAY_UNIFORM, .jitter_ns = ~0ull }, 8, "jitter" },
		{ { .rate_bps = KT_LINK_MAX_BPS + 1 }, 8, "rate" },
		{ { .overhead_bytes = 65537 }, 8, "overhead" },
		{ { .delay_kind = (enum kt_link_delay)3 }, 8, "kind" },
		{ { .jitter_ns = 1 }, 8, "jitter" },
		{ { .hold_ppb = 1 }, 8, "held" },
		{ { .loss_burst_ppb = 1 }, 8, "burst" },
		{ { .room_pkts = 1 }, 8, "rate" },
		{ { .room_bytes = 1, .rate_bps = 1 }, 0, "memory" },
		{ { .room_pkts = 9, .rate_bps = 1 }, 8, "small" },
		{ { .delay_ns = 1 }, 9, "power" },
	};

	for (u32 i = 0; i < KT_ARRAY_LEN(t); i++) {
		const char *why = "";

		CHECK_EQ(kt_link_init(&l, &t[i].o, slots, t[i].n_slots, &why), -EINVAL);
		if (!strstr(why, t[i].word))
			TEST_FAIL("\"%s\" does not speak of %s", why, t[i].word);
	}
}

static void t_zero_is_a_perfect_wire(void)
{
	init((struct kt_link_opts){ 0 });
	for (u64 now = 0; now < 1000; now += 7) {
		CHECK_EQ(departs(now, 60), now);
		CHECK(!v.duplicate && !v.held && !v.corrupt);
	}
	check_identity();
}

static void t_constant_delay(void)
{
	init((struct kt_link_opts){ .delay_ns = 10 * MS });
	for (u64 now = 5; now < 100 * MS; now += 999983)
		CHECK_EQ(departs(now, 1514), now + 10 * MS);
}

/* 1 Gbit/s, 1000 bytes: 8000 ns each. */
static void t_rate_takes_turns(void)
{
	init((struct kt_link_opts){ .rate_bps = 1000000000, .delay_ns = 100 });
	CHECK_EQ(departs(1000, 1000), 9100);
	CHECK_EQ(departs(1000, 1000), 17100);
	CHECK_EQ(departs(5000, 1000), 25100);
	CHECK_EQ(departs(25000, 1000), 33100);
	CHECK_EQ(departs(40000, 1000), 48100);
	CHECK_EQ(departs(48000, 125), 49100);
	init((struct kt_link_opts){ .rate_bps = 1000000000, .overhead_bytes = 24 });
	CHECK_EQ(departs(0, 60), 672);
	CHECK_EQ(departs(0, 1514), 672 + 12304);
}

static void t_rate_never_drifts(void)
{
	static const u64 rates[] = { 1,	       7,	  9600,		1544000,      56000,	      10000000,
				     33333333, 999999937, 100000000000, 400000000000, KT_LINK_MAX_BPS };

	for (u32 i = 0; i < KT_ARRAY_LEN(rates); i++) {
		u64 bits = 0, rng = 5, start = 12345;

		init((struct kt_link_opts){ .rate_bps = rates[i], .overhead_bytes = 24 });
		l.n_slots = 0;
		for (u32 n = 0; n < 1000; n++) {
			u32 len = 60 + (u32)(kt_hash_next(&rng) % 1455);

			bits += (len + 24) * 8ull;
			CHECK_EQ(departs(start, len), start + bits * 1000000000 / rates[i]);
		}
	}
}

/* 8 bits at 3 bit/s take 2666666666.67 ns; behind an idle time the fraction starts afresh. */
static void t_fraction_ends_with_the_busy_time(void)
{
	init((struct kt_link_opts){ .rate_bps = 3 });
	CHECK_EQ(departs(0, 1), 2666666666ull);
	CHECK_EQ(departs(0, 1), 5333333333ull);
	CHECK_EQ(departs(5333333333ull, 1), 8000000000ull);
	CHECK_EQ(departs(8000000001ull, 1), 10666666667ull);
	CHECK_EQ(departs(10666666668ull, 1), 13333333334ull);
}

static void t_room_in_packets(void)
{
	init((struct kt_link_opts){ .rate_bps = 8000000000, .room_pkts = 2 });
	CHECK_EQ(departs(0, 100), 100); /* straight into the transmitter */
	CHECK_EQ(departs(0, 100), 200);
	CHECK_EQ(departs(50, 100), 300);
	kt_link_pass(&l, 99, 100, &v);
	CHECK_EQ(v.fate, KT_LINK_NO_ROOM);
	CHECK_EQ(departs(100, 100), 400); /* the second has begun */
	kt_link_pass(&l, 199, 100, &v);
	CHECK_EQ(v.fate, KT_LINK_NO_ROOM);
	CHECK_EQ(departs(400, 100), 500);
	CHECK_EQ(l.stats.no_room_pkts, 2);
	check_identity();
}

static void t_room_in_bytes(void)
{
	init((struct kt_link_opts){ .rate_bps = 8000000000, .room_bytes = 250 });
	CHECK_EQ(departs(0, 1000), 1000);
	CHECK_EQ(departs(0, 100), 1100);
	CHECK_EQ(departs(0, 150), 1250);
	kt_link_pass(&l, 0, 1, &v);
	CHECK_EQ(v.fate, KT_LINK_NO_ROOM);
	kt_link_pass(&l, 1000, 101, &v);
	CHECK_EQ(v.fate, KT_LINK_NO_ROOM);
	CHECK_EQ(departs(1000, 100), 1350);
	check_identity();
}

static void t_slots_bound_the_queue(void)
{
	init((struct kt_link_opts){ .rate_bps = 8, .room_bytes = 1ull << 40 });
	for (u32 i = 0; i < SLOTS + 1; i++)
		departs(0, 1);
	kt_link_pass(&l, 0, 1, &v);
	CHECK_EQ(v.fate, KT_LINK_NO_ROOM);
	for (u32 i = 0; i < 3 * SLOTS; i++)
		departs((i + 1) * KT_NSEC_PER_SEC, 1);
	check_identity();
	/* Without limits and memory there is no end of it. */
	CHECK_EQ(kt_link_init(&l, &(struct kt_link_opts){ .rate_bps = 8 }, NULL, 0, NULL), 0);
	for (u64 i = 0; i < 5000; i++)
		CHECK_EQ(departs(0, 1), (i + 1) * KT_NSEC_PER_SEC);
}

static void t_arrivals_are_clamped(void)
{
	init((struct kt_link_opts){ .delay_ns = 5 });
	CHECK_EQ(departs(100, 60), 105);
	CHECK_EQ(departs(90, 60), 105);
	CHECK_EQ(departs(101, 60), 106);
}

static void t_held_packets_are_overtaken(void)
{
	u64 held = 0;

	init((struct kt_link_opts){ .hold_ppb = KT_LINK_PPB / 10, .hold_ns = 1000, .delay_ns = 7, .keep_order = true });
	for (u64 i = 0; i < 10000; i++) {
		u64 at = departs(i * 100, 60);

		CHECK_EQ(at, i * 100 + 7 + (v.held ? 1000 : 0));
		held += v.held;
	}
	CHECK(held > 900 && held < 1100);
	CHECK_EQ(l.stats.held_pkts, held);
}

static void t_jitter_and_order(void)
{
	static const enum kt_link_delay kinds[] = { KT_DELAY_UNIFORM, KT_DELAY_EXPONENTIAL };

	for (u32 k = 0; k < 2; k++) {
		u64 overtaken = 0, last = 0;
		struct kt_link_opts o = { .delay_kind = kinds[k], .delay_ns = 1000, .jitter_ns = 500 };

		init(o);
		for (u64 i = 0; i < 10000; i++) {
			u64 at = departs(i * 100, 60);

			CHECK(at >= i * 100 + 1000);
			CHECK(k || at <= i * 100 + 1500);
			overtaken += at < last;
			last = at;
		}
		CHECK(overtaken > 2000);
		o.keep_order = true;
		init(o);
		for (u64 i = last = 0; i < 10000; i++) {
			u64 at = departs(i * 100, 60);

			CHECK(at >= last);
			last = at;
		}
	}
}

/* Uniform on both ends, and no bin of 16 off by more than 4 standard deviations. */
static void t_uniform_is_uniform(void)
{
	enum { N = 160000 };
	u32 bins[16] = { 0 };

	init((struct kt_link_opts){ .delay_kind = KT_DELAY_UNIFORM, .jitter_ns = 15, .seed = 3 });
	for (int i = 0; i < N; i++)
		bins[departs(0, 60)]++;
	for (int i = 0; i < 16; i++)
		CHECK(fabs(bins[i] - N / 16.0) < 4 * sqrt(N / 16.0));
}

static void t_loss_rate(void)
{
	static const u32 ppb[] = { 0, 1000000, 10000000, 500000000, 999000000, KT_LINK_PPB };

	for (u32 i = 0; i < KT_ARRAY_LEN(ppb); i++) {
		double n = 200000, p = ppb[i] / 1e9;

		init((struct kt_link_opts){ .loss_ppb = ppb[i], .seed = 77 });
		for (int k = 0; k < n; k++)
			kt_link_pass(&l, 0, 60, &v);
		CHECK(fabs((double)l.stats.lost_pkts - n * p) <= 4 * sqrt(n * p * (1 - p)));
		check_identity();
	}
}

/* Gilbert: mean length of a loss is 1 / (1 - burst), the share lost p / (p + 1 - burst). */
static void t_loss_bursts(void)
{
	double n = 1000000, bursts = 0, lost;
	bool before = false;

	init((struct kt_link_opts){ .loss_ppb = 10000000, .loss_burst_ppb = 750000000, .seed = 1 });
	for (int k = 0; k < n; k++) {
		kt_link_pass(&l, 0, 60, &v);
		bursts += v.fate == KT_LINK_LOST && !before;
		before = v.fate == KT_LINK_LOST;
	}
	lost = (double)l.stats.lost_pkts;
	CHECK(fabs(lost / bursts - 4) < 0.15);
	CHECK(fabs(lost / n - 0.01 / 0.26) < 0.002);
}

static void t_duplicates_and_bit_errors(void)
{
	u64 duplicates = 0, corrupted = 0;
	bool first = false, last = false;

	init((struct kt_link_opts){ .duplicate_ppb = 100000000, .corrupt_ppb = 200000000 });
	for (int i = 0; i < 50000; i++) {
		departs((u64)i, 15);
		duplicates += v.duplicate;
		corrupted += v.corrupt;
		if (!v.corrupt)
			continue;
		CHECK(v.corrupt_bit >= 14 * 8 && v.corrupt_bit < 15 * 8);
		first |= v.corrupt_bit == 14 * 8;
		last |= v.corrupt_bit == 15 * 8 - 1;
	}
	CHECK(first && last);
	CHECK(duplicates > 4700 && duplicates < 5300);
	CHECK(corrupted > 9600 && corrupted < 10400);
	CHECK_EQ(l.stats.duplicated_pkts, duplicates);
	CHECK_EQ(l.stats.corrupted_pkts, corrupted);
	/* Nothing behind the link header, nothing to flip. */
	for (u32 len = 0; len <= 14; len++) {
		departs(1u << 20, len);
		CHECK(!v.corrupt);
	}
}

/* The same dice whatever else is switched on: a packet that is lost alone is lost in company. */
static void t_dice_are_independent(void)
{
	static bool lost[5000];

	init((struct kt_link_opts){ .loss_ppb = 100000000, .seed = 8 });
	for (int i = 0; i < 5000; i++) {
		kt_link_pass(&l, (u64)i, 60, &v);
		lost[i] = v.fate == KT_LINK_LOST;
	}
	init((struct kt_link_opts){ .loss_ppb = 100000000,
				    .seed = 8,
				    .duplicate_ppb = 5000000,
				    .hold_ppb = 1000000,
				    .hold_ns = 5,
				    .corrupt_ppb = 7777777,
				    .delay_kind = KT_DELAY_EXPONENTIAL,
				    .jitter_ns = 1000 });
	for (int i = 0; i < 5000; i++) {
		kt_link_pass(&l, (u64)i, 60, &v);
		CHECK_EQ(v.fate == KT_LINK_LOST, lost[i]);
	}
}

static void t_time_ends_and_does_not_wrap(void)
{
	init((struct kt_link_opts){ .rate_bps = 1,
				    .delay_kind = KT_DELAY_EXPONENTIAL,
				    .delay_ns = KT_LINK_MAX_NS,
				    .jitter_ns = KT_LINK_MAX_NS,
				    .hold_ppb = KT_LINK_PPB,
				    .hold_ns = KT_LINK_MAX_NS,
				    .overhead_bytes = KT_LINK_MAX_OVERHEAD });
	for (int i = 0; i < 100; i++)
		CHECK_EQ(departs(~0ull - 5, ~0u), ~0ull);
	check_identity();
}

TEST_MAIN(T(t_refuses_nonsense), T(t_zero_is_a_perfect_wire), T(t_constant_delay), T(t_rate_takes_turns),
	  T(t_rate_never_drifts), T(t_fraction_ends_with_the_busy_time), T(t_room_in_packets), T(t_room_in_bytes),
	  T(t_slots_bound_the_queue), T(t_arrivals_are_clamped), T(t_held_packets_are_overtaken), T(t_jitter_and_order),
	  T(t_uniform_is_uniform), T(t_loss_rate), T(t_loss_bursts), T(t_duplicates_and_bit_errors),
	  T(t_dice_are_independent), T(t_time_ends_and_does_not_wrap))

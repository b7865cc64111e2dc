/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The ring in one thread: what producer and listeners of both kinds may expect. */
#include "ring_bed.h"

static void t_records_come_in_order_and_whole(void)
{
	struct kt_ring_reader a, b;

	start_at(4 * UNITS, 0);
	a = join(KT_CURSOR_LOSSLESS);
	b = join(KT_CURSOR_LOSSY);
	nothing(&a);
	for (u64 seq = 0; seq < 1000; seq++) {
		CHECK(put((u32)(seq * 7 % 300), NULL));
		if (seq % 2) {
			get(&a, seq - 1);
			get(&a, seq);
			get(&b, seq - 1);
			get(&b, seq);
			nothing(&a);
			nothing(&b);
		}
	}
	CHECK_EQ(a.lost + b.lost, 0);
	CHECK_EQ(ring.refused, 0);
	CHECK_EQ(ring.next_seq, 1000);
	CHECK(kt_ring_drained(&ring));
}

/* 4 units of 64: sixteen empty records fill it. */
static void t_lossless_holds_the_producer(void)
{
	struct kt_ring_reader a, b;
	int why = 5;

	start_at(UNITS, 0);
	a = join(KT_CURSOR_LOSSLESS);
	b = join(KT_CURSOR_LOSSLESS);
	for (int i = 0; i < 16; i++)
		CHECK(put(0, &why));
	CHECK_EQ(why, -1);
	CHECK_EQ(kt_ring_unread_bytes(&a), UNITS * KT_RING_UNIT);
	CHECK(!put(0, &why));
	CHECK_EQ(why, 0);
	get(&a, 0);
	CHECK(!put(0, &why));
	CHECK_EQ(why, 1);
	CHECK(!kt_ring_drained(&ring));
	CHECK_EQ(ring.refused, 2);
	CHECK_EQ(kt_ring_held(&cursors[0]), 1);
	CHECK_EQ(kt_ring_held(&cursors[1]), 2);
	CHECK_EQ(ring.held[1], 2);
	get(&b, 0);
	CHECK(put(0, &why));
	for (u64 seq = 1; seq <= 16; seq++) {
		get(&a, seq);
		get(&b, seq);
	}
	CHECK(kt_ring_drained(&ring));
	CHECK_EQ(a.lost + b.lost, 0);
}

static void t_lost_before_counts_refusals(void)
{
	struct kt_ring_reader a;
	struct kt_record hdr;

	start_at(UNITS, 0);
	a = join(KT_CURSOR_LOSSLESS);
	for (int i = 0; i < 20; i++)
		put(0, NULL);
	get(&a, 0);
	CHECK(put(0, NULL));
	for (u64 seq = 1; seq < 16; seq++)
		get(&a, seq);
	CHECK(kt_ring_peek(&a, &hdr));
	CHECK_EQ(hdr.seq, 16);
	CHECK_EQ(hdr.lost_before, 4);
}

static void t_lossy_is_told_its_exact_loss(void)
{
	struct kt_ring_reader a, b;

	start_at(UNITS, 0);
	a = join(KT_CURSOR_LOSSY);
	for (int i = 0; i < 100; i++)
		CHECK(put(0, NULL));
	b = join(KT_CURSOR_LOSSY);
	CHECK_EQ(kt_ring_unread_bytes(&a), UNITS * KT_RING_UNIT);
	for (u64 seq = 84; seq < 100; seq++)
		get(&a, seq);
	CHECK_EQ(a.lost, 84);
	nothing(&a);
	for (int i = 0; i < 17; i++)
		CHECK(put(0, NULL));
	/* Joined late: what was there before does not count as lost. */
	for (u64 seq = 101; seq < 117; seq++)
		get(&b, seq);
	CHECK_EQ(b.lost, 1);
	CHECK_EQ(ring.refused, 0);
}

static void t_lossy_finds_out_what_was_torn(void)
{
	struct kt_ring_reader a;
	struct kt_record hdr;
	u8 copy[64];
	const u8 *from;

	start_at(UNITS, 0);
	a = join(KT_CURSOR_LOSSY);
	CHECK(put(64, NULL));
	from = kt_ring_peek(&a, &hdr);
	CHECK(from);
	kt_ring_copy(copy, from, 64);
	CHECK(kt_ring_valid(&a));
	for (int i = 0; i < 16; i++)
		CHECK(put(0, NULL));
	CHECK(!kt_ring_valid(&a));
	kt_ring_release(&a, &hdr, false);
	for (u64 seq = 1; seq <= 16; seq++)
		get(&a, seq);
	CHECK_EQ(a.lost, 1);
	/* Not released: it is still counted, once. */
	CHECK(put(0, NULL));
	CHECK(kt_ring_peek(&a, &hdr));
	for (int i = 0; i < 16; i++)
		CHECK(put(0, NULL));
	get(&a, 18);
	CHECK_EQ(a.lost, 2);
}

static void t_lossless_protects_lossy_too(void)
{
	struct kt_ring_reader slow, lossy;

	start_at(UNITS, 0);
	slow = join(KT_CURSOR_LOSSLESS);
	lossy = join(KT_CURSOR_LOSSY);
	for (int i = 0; i < 16; i++)
		CHECK(put(0, NULL));
	CHECK(!put(0, NULL));
	get(&lossy, 0);
	for (u64 seq = 0; seq < 16; seq++)
		get(&slow, seq);
	for (int i = 0; i < 4; i++)
		CHECK(put(0, NULL));
	get(&lossy, 4);
	CHECK_EQ(lossy.lost, 3);
}

static void t_no_listeners_no_refusal(void)
{
	start_at(UNITS, 0);
	for (int i = 0; i < 10000; i++)
		CHECK(put((u32)i % 400, NULL));
	CHECK_EQ(ring.refused, 0);
	join(KT_CURSOR_LOSSY);
	for (int i = 0; i < 10000; i++)
		CHECK(put((u32)i % 400, NULL));
	CHECK_EQ(ring.refused, 0);
}

static void t_too_long_never_fits(void)
{
	struct kt_ring_reader a;
	int why = 5;
	u32 max = kt_ring_max_caplen(UNITS);

	CHECK_EQ(max, 32 * 16 - sizeof(struct kt_record));
	/* The longest record fits an empty ring wherever head is. */
	for (u32 at = 0; at < UNITS; at++) {
		start_at(UNITS, at);
		a = join(KT_CURSOR_LOSSLESS);
		CHECK(put(max, &why));
		get(&a, 0);
		CHECK(put(max, &why));
		get(&a, 1);
		CHECK(!put(max + 1, &why));
		CHECK_EQ(why, -1);
		CHECK(!put(0xffffffff, &why));
		CHECK_EQ(ring.refused, 2);
		CHECK_EQ(kt_ring_held(&cursors[0]), 0);
	}
}

static void t_pad_fills_the_end(void)
{
	struct kt_ring_reader a, b;

	/* Every distance to the end, one unit included, where a header does not fit any more. */
	for (u32 left = 1; left <= 32; left++) {
		start_at(UNITS, UNITS - left);
		a = join(KT_CURSOR_LOSSLESS);
		b = join(KT_CURSOR_LOSSY);
		CHECK(put(400, NULL));
		CHECK(put(0, NULL));
		/* 29 units of the first, 4 of the second, and a pad before either. */
		CHECK_EQ(ring.head - (UNITS - left), 29 + 4 + (left < 29 ? left : left < 33 ? left - 29 : 0));
		get(&a, 0);
		get(&b, 0);
		get(&a, 1);
		get(&b, 1);
	}
}

static void t_shrink_and_cancel(void)
{
	struct kt_ring_reader a;
	struct kt_record *rec, hdr;

	start_at(UNITS, 60);
	a = join(KT_CURSOR_LOSSLESS);
	rec = kt_ring_reserve(&ring, 200, NULL);
	CHECK(rec);
	kt_ring_cancel(&ring);
	kt_ring_submit(&ring);
	nothing(&a);
	CHECK_EQ(ring.next_seq, 0);
	rec = kt_ring_reserve(&ring, 200, NULL);
	memset(rec + 1, 7, 200);
	kt_ring_shrink(&ring, rec, 300);
	CHECK_EQ(rec->caplen, 200);
	kt_ring_shrink(&ring, rec, 10);
	kt_ring_submit(&ring);
	CHECK(kt_ring_peek(&a, &hdr));
	CHECK_EQ(hdr.caplen, 10);
	CHECK_EQ(hdr.units, kt_record_units(10));
	kt_ring_release(&a, &hdr, true);
	CHECK_EQ(a.pos, ring.head);
	CHECK(put(50, NULL));
	get(&a, 1);
}

TEST_MAIN(T(t_records_come_in_order_and_whole), T(t_lossless_holds_the_producer), T(t_lost_before_counts_refusals),
	  T(t_lossy_is_told_its_exact_loss), T(t_lossy_finds_out_what_was_torn), T(t_lossless_protects_lossy_too),
	  T(t_no_listeners_no_refusal), T(t_too_long_never_fits), T(t_pad_fills_the_end), T(t_shrink_and_cancel))

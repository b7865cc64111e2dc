/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The ring where it could break: positions that wrap, hostile and damaged
 * memory, counters that carry, cursors that run out.
 */
#include "ring_bed.h"

static void t_refuses_bad_sizes(void)
{
	static const u32 bad[] = { 0, 1, 32, 63, 65, 96, KT_RING_MAX_UNITS + 1, 1u << 28, 1u << 31, 0xffffffff };

	for (u32 i = 0; i < KT_ARRAY_LEN(bad); i++)
		CHECK_EQ(kt_ring_init(&ring, &shared, cursors, data, bad[i]), -EINVAL);
	CHECK_EQ(kt_ring_init(&ring, &shared, cursors, data, 64), 0);
	CHECK_EQ(kt_ring_init(&ring, &shared, cursors, data, KT_RING_MAX_UNITS), 0);
}

static void t_check_is_the_trust_boundary(void)
{
	static const struct {
		u32 last, head, pos;
		int ret;
		u32 unread;
	} t[] = {
		{ 0, 0, 0, 0, 0 },
		{ 0, 10, 0, 0, 10 },
		{ 0, 10, 10, 0, 0 },
		{ 0, 10, 11, -EINVAL, 0 },
		{ 5, 10, 4, -EINVAL, 0 },
		{ 5, 10, 0xffffffff, -EINVAL, 0 },
		{ 0xfffffff0, 4, 0xfffffff0, 0, 20 },
		{ 0xfffffff0, 4, 0, 0, 4 },
		{ 0xfffffff0, 4, 5, -EINVAL, 0 },
		{ 0xfffffff0, 4, 0xffffffef, -EINVAL, 0 },
		{ 10, 10, 9, -EINVAL, 0 },
		{ 10, 10, 11, -EINVAL, 0 },
	};

	for (u32 i = 0; i < KT_ARRAY_LEN(t); i++) {
		u32 unread = 0;

		CHECK_EQ(kt_ring_check(t[i].last, t[i].head, t[i].pos, &unread), t[i].ret);
		CHECK_EQ(unread, t[i].unread);
	}
}

static void t_held_counts_past_32_bits(void)
{
	start_at(UNITS, 0);
	join(KT_CURSOR_LOSSLESS);
	for (int i = 0; i < 16; i++)
		CHECK(put(0, NULL));
	ring.held[0] = 0xfffffffe;
	CHECK(!put(0, NULL));
	CHECK_EQ(kt_ring_held(&cursors[0]), 0xffffffffll);
	CHECK(!put(0, NULL));
	CHECK_EQ(kt_ring_held(&cursors[0]), 0x100000000ll);
}

static void t_positions_wrap(void)
{
	static const u64 starts[] = { 0xffffffffull - 200, 0x7fffffffull - 200, 0x17fffffffull - 201,
				      0x7fffffffffffull - 13 };

	for (u32 s = 0; s < KT_ARRAY_LEN(starts); s++) {
		struct kt_ring_reader a, b, slow;
		u64 lost = 0;

		start_at(UNITS, starts[s]);
		a = join(KT_CURSOR_LOSSLESS);
		b = join(KT_CURSOR_LOSSY);
		slow = join(KT_CURSOR_LOSSY);
		for (u64 seq = 0; seq < 500; seq++) {
			struct kt_record hdr;

			CHECK(put((u32)(seq * 13 % 100), NULL));
			get(&a, seq);
			get(&b, seq);
			if (seq % 50)
				continue;
			CHECK(kt_ring_peek(&slow, &hdr));
			CHECK(hdr.seq >= lost);
			kt_ring_release(&slow, &hdr, true);
			lost = slow.lost;
		}
		CHECK_EQ(ring.refused + ring.bad_cursors + a.lost + b.lost, 0);
		CHECK(slow.lost > 400);
		CHECK((u32)(starts[s] >> 31) != ring.tail_epoch);
		CHECK_EQ(ring.tail_epoch & 1, ring.tail >> 31);
		CHECK_EQ(ring.head_epoch & 1, ring.head >> 31);
		CHECK_EQ(shared.tail_epoch, ring.tail_epoch);
	}
}

/* While it slept, positions went once round: its own looks good, and the memory there is the middle of a record. */
static void t_sleeper_of_64_gib(void)
{
	struct kt_ring_reader a;

	start_at(UNITS, 5);
	a = join(KT_CURSOR_LOSSY);
	CHECK(put(0, NULL));
	ring.head = ring.tail = shared.head = shared.tail = 0;
	ring.head_epoch = ring.tail_epoch = shared.tail_epoch = 2;
	ring.next_seq = 1000000;
	CHECK(put(300, NULL));
	CHECK(put(0, NULL));
	CHECK(kt_ring_unread_bytes(&a) == 27 * KT_RING_UNIT);
	get(&a, 1000000);
	CHECK_EQ(a.lost, 1000000);
	get(&a, 1000001);
	nothing(&a);
}

static void t_hostile_positions(void)
{
	struct kt_ring_reader a;
	/* Beyond head, behind what it said before, and far from both. */
	static const u32 claims[] = { 81, 0xffffffff, 0x80000000, 1u << 30, 15, 0 };

	start_at(UNITS, 0);
	a = join(KT_CURSOR_LOSSLESS);
	for (int i = 0; i < 16; i++)
		CHECK(put(0, NULL));
	for (u64 seq = 0; seq < 4; seq++)
		get(&a, seq);
	CHECK(put(0, NULL)); /* the producer believes 16 now */
	CHECK_EQ(ring.bad_cursors, 0);
	for (int i = 0; i < 3; i++)
		CHECK(put(0, NULL));
	for (u32 i = 0; i < KT_ARRAY_LEN(claims); i++) {
		cursors[0].pos = claims[i];
		CHECK(!put(0, NULL));
		CHECK_EQ(ring.bad_cursors, i + 1);
		CHECK_EQ(ring.cursor_pos[0], 16);
	}
	CHECK(!kt_ring_drained(&ring));
	/* In the middle of a record: it keeps the whole record. */
	cursors[0].pos = 22;
	CHECK(put(0, NULL));
	CHECK(!put(0, NULL));
	CHECK_EQ(ring.tail, 20);
	/* Leaving frees the producer, whatever was claimed. */
	kt_ring_leave(&ring, 0);
	for (int i = 0; i < 100; i++)
		CHECK(put(100, NULL));
	kt_ring_leave(&ring, 0);
	kt_ring_leave(&ring, 77);
}

static void t_damaged_memory_does_not_hang(void)
{
	struct kt_ring_reader a;
	struct kt_record hdr;

	start_at(UNITS, 0);
	a = join(KT_CURSOR_LOSSY);
	for (u32 fill = 0; fill < 256; fill += 0xff) {
		for (int i = 0; i < 16; i++)
			CHECK(put(0, NULL));
		memset(data, (int)fill, UNITS * KT_RING_UNIT);
		CHECK(!kt_ring_peek(&a, &hdr));
		CHECK(put(0, NULL));
		CHECK(put(0, NULL));
	}
}

static void t_cursors_run_out_and_come_back(void)
{
	struct kt_ring_reader rd;

	start_at(UNITS, 0);
	CHECK_EQ(kt_ring_join(&ring, KT_CURSOR_FREE), -EINVAL);
	for (u32 i = 0; i < KT_RING_MAX_CURSORS; i++)
		CHECK_EQ(kt_ring_join(&ring, KT_CURSOR_LOSSLESS), i);
	CHECK_EQ(kt_ring_join(&ring, KT_CURSOR_LOSSY), -ENOSPC);
	for (int i = 0; i < 16; i++)
		CHECK(put(0, NULL));
	CHECK(!put(0, NULL));
	kt_ring_leave(&ring, 5);
	CHECK_EQ(kt_ring_reader_init(&rd, &shared, cursors, data, 5), -EINVAL);
	CHECK_EQ(kt_ring_join(&ring, KT_CURSOR_LOSSLESS), 5);
	CHECK_EQ(kt_ring_held(&cursors[5]), 0);
	CHECK_EQ(kt_ring_reader_init(&rd, &shared, cursors, data, 5), 0);
	CHECK(!put(0, NULL));
	CHECK_EQ(kt_ring_held(&cursors[5]), 0); /* joined at head: not in the way */
	CHECK_EQ(kt_ring_held(&cursors[6]), 2);
	for (u32 i = KT_RING_MAX_CURSORS; i--;)
		kt_ring_leave(&ring, i);
	CHECK(put(0, NULL));
	CHECK_EQ(ring.n_used, 0);
}

static void t_reader_refuses_what_is_no_ring(void)
{
	struct kt_ring_reader rd;

	start_at(UNITS, 0);
	kt_ring_join(&ring, KT_CURSOR_LOSSY);
	CHECK_EQ(kt_ring_reader_init(&rd, &shared, cursors, data, 1), -EINVAL);
	CHECK_EQ(kt_ring_reader_init(&rd, &shared, cursors, data, 64), -EINVAL);
	shared.n_units = 65;
	CHECK_EQ(kt_ring_reader_init(&rd, &shared, cursors, data, 0), -EINVAL);
	shared.n_units = UNITS;
	shared.version = 2;
	CHECK_EQ(kt_ring_reader_init(&rd, &shared, cursors, data, 0), -EINVAL);
	shared.version = 1;
	CHECK_EQ(kt_ring_reader_init(&rd, &shared, cursors, data, 0), 0);
	shared.magic = 0;
	CHECK_EQ(kt_ring_reader_init(&rd, &shared, cursors, data, 0), -EINVAL);
}

static void t_large_records(void)
{
	struct kt_ring_reader a;

	start_at(1u << 16, 0xfffffff0);
	a = join(KT_CURSOR_LOSSLESS);
	for (u64 seq = 0; seq < 200; seq++) {
		CHECK(put(9000 + (u32)seq * 100, NULL));
		get(&a, seq);
	}
}

TEST_MAIN(T(t_refuses_bad_sizes), T(t_check_is_the_trust_boundary), T(t_held_counts_past_32_bits), T(t_positions_wrap),
	  T(t_sleeper_of_64_gib), T(t_hostile_positions), T(t_damaged_memory_does_not_hang),
	  T(t_cursors_run_out_and_come_back), T(t_reader_refuses_what_is_no_ring), T(t_large_records))

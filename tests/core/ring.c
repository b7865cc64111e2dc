/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The ring in one thread: every rule of core/ring.h, at ordinary positions
 * and where the free-running 32-bit positions wrap.
 */
#include "core/ring.h"
#include "tests/test.h"

#define UNITS 64u

static struct kt_ring ring;
static struct kt_ring_shared shared;
static struct kt_ring_cursor cursors[KT_RING_MAX_CURSORS];
static u8 memory[1u << 20] __attribute__((aligned(16)));
static u8 *data; /* lies at the end of memory, where sanitizers watch */

/* A ring whose life begins at a position of our choice, given in full. */
static void start_at(u32 n_units, u64 position)
{
	data = memory + sizeof(memory) - n_units * KT_RING_UNIT;
	CHECK_EQ(kt_ring_init(&ring, &shared, cursors, data, n_units), 0);
	ring.head = ring.tail = shared.head = shared.tail = (u32)position;
	ring.head_epoch = ring.tail_epoch = shared.tail_epoch = (u32)(position >> 31);
}

__attribute__((noinline)) static bool put(u32 caplen, int *why)
{
	struct kt_record *rec = kt_ring_reserve(&ring, caplen, why);
	u8 *to = (u8 *)(rec + 1);

	if (!rec)
		return false;
	rec->wirelen = caplen;
	for (u32 i = 0; i < caplen; i++)
		to[i] = (u8)(rec->seq + i);
	kt_ring_submit(&ring);
	return true;
}

static struct kt_ring_reader join(enum kt_cursor_state state)
{
	struct kt_ring_reader rd;
	int n = kt_ring_join(&ring, state);

	CHECK(n >= 0);
	CHECK_EQ(kt_ring_reader_init(&rd, &shared, cursors, data, (u32)n), 0);
	return rd;
}

/* The next record must be seq, whole. */
static void get(struct kt_ring_reader *rd, u64 seq)
{
	struct kt_record hdr;
	const u8 *from = kt_ring_peek(rd, &hdr);

	CHECK(from);
	CHECK_EQ(hdr.seq, seq);
	CHECK_EQ(hdr.type, KT_RECORD_PACKET);
	CHECK_EQ(hdr.wirelen, hdr.caplen);
	for (u32 i = 0; i < hdr.caplen; i++)
		CHECK_EQ(from[i], (u8)(seq + i));
	CHECK(kt_ring_valid(rd));
	kt_ring_release(rd, &hdr, true);
}

static void nothing(struct kt_ring_reader *rd)
{
	struct kt_record hdr;

	CHECK(!kt_ring_peek(rd, &hdr));
	CHECK_EQ(kt_ring_unread_bytes(rd), 0);
}

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

TEST_MAIN(T(t_refuses_bad_sizes), T(t_check_is_the_trust_boundary), T(t_records_come_in_order_and_whole),
	  T(t_lossless_holds_the_producer), T(t_lost_before_counts_refusals), T(t_held_counts_past_32_bits),
	  T(t_lossy_is_told_its_exact_loss), T(t_lossy_finds_out_what_was_torn), T(t_lossless_protects_lossy_too),
	  T(t_no_listeners_no_refusal), T(t_too_long_never_fits), T(t_pad_fills_the_end), T(t_shrink_and_cancel),
	  T(t_positions_wrap), T(t_sleeper_of_64_gib), T(t_hostile_positions), T(t_damaged_memory_does_not_hang),
	  T(t_cursors_run_out_and_come_back), T(t_reader_refuses_what_is_no_ring), T(t_large_records))

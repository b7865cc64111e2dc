/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the tests of the ring share: one ring, a producer of records that can be checked, readers that check them. */
#ifndef KT_TEST_RING_BED_H
#define KT_TEST_RING_BED_H

#include "core/ring.h"
#include "tests/test.h"

#define UNITS 64u

static struct kt_ring ring;
static struct kt_ring_shared shared;
static struct kt_ring_cursor cursors[KT_RING_MAX_CURSORS];
static u8 memory[1u << 20] __attribute__((aligned(16)));
static u8 *data; /* lies at the end of memory, where sanitizers watch */

/* A ring whose life begins at a position of our choice, given in full. */
static inline void start_at(u32 n_units, u64 position)
{
	data = memory + sizeof(memory) - n_units * KT_RING_UNIT;
	CHECK_EQ(kt_ring_init(&ring, &shared, cursors, data, n_units), 0);
	ring.head = ring.tail = shared.head = shared.tail = (u32)position;
	ring.head_epoch = ring.tail_epoch = shared.tail_epoch = (u32)(position >> 31);
}

__attribute__((__noinline__, __unused__)) static bool put(u32 caplen, int *why)
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

static inline struct kt_ring_reader join(enum kt_cursor_state state)
{
	struct kt_ring_reader rd;
	int n = kt_ring_join(&ring, state);

	CHECK(n >= 0);
	CHECK_EQ(kt_ring_reader_init(&rd, &shared, cursors, data, (u32)n), 0);
	return rd;
}

/* The next record must be seq, whole. */
static inline void get(struct kt_ring_reader *rd, u64 seq)
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

static inline void nothing(struct kt_ring_reader *rd)
{
	struct kt_record hdr;

	CHECK(!kt_ring_peek(rd, &hdr));
	CHECK_EQ(kt_ring_unread_bytes(rd), 0);
}

#endif

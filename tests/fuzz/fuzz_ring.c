/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Fuzzes the ring: an input is a size, a first position and operations of
 * producer and listeners, honest and hostile. A plain list of all records
 * foretells what each operation must do.
 */
#include <stdlib.h>

#include "../../core/ring.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* A trap keeps the line in the sanitizer's report. */
#define PROMISE(cond) \
	do { \
		if (!(cond)) \
			__builtin_trap(); \
	} while (0)

#define MAX_RECORDS 4096u
#define MAX_READERS 6u

struct reader {
	struct kt_ring_reader rd;
	struct kt_record hdr;
	const u8 *data; /* of the record that is being looked at, or NULL */
	u64 expected; /* sequence number */
	u64 lost;
	u32 cursor;
	bool open;
	bool hostile; /* nobody reads; its position is set at will */
};

static struct kt_ring ring;
static struct kt_ring_shared shared;
static struct kt_ring_cursor cursors[KT_RING_MAX_CURSORS];
static struct reader readers[MAX_READERS];
static u64 begins[MAX_RECORDS]; /* full positions, pad excluded */
static u32 lengths[MAX_RECORDS];
static u64 head; /* full position */
static u64 refused;

static u64 full_tail(void)
{
	return head - (u32)(ring.head - ring.tail);
}

/* The oldest record that is still there, or the next one to come. */
static u64 oldest(void)
{
	u64 seq = ring.next_seq;

	while (seq && begins[seq - 1] >= full_tail())
		seq--;
	return seq;
}

/* Where tail must be for need units; records are given up whole, with the pad in front of the next one. */
static u64 tail_for(u64 need)
{
	u64 tail = full_tail(), seq = oldest();

	/* Tail may stand in front of a pad. */
	while (head - tail + need > ring.n_units) {
		PROMISE(seq < ring.next_seq);
		if (tail < begins[seq]) {
			tail = begins[seq];
			continue;
		}
		tail = begins[seq] + kt_record_units(lengths[seq]);
		seq++;
	}
	return tail;
}

/* Does any lossless cursor keep the producer from moving tail there? By what the producer believes. */
static bool held_back(u64 tail)
{
	u32 units = (u32)(tail - full_tail());

	for (u32 i = 0; i < KT_RING_MAX_CURSORS; i++)
		if (ring.cursor_state[i] == KT_CURSOR_LOSSLESS && ring.cursor_pos[i] - ring.tail < units)
			return true;
	return false;
}

/* Cursors are believed forwards only, and not past head. */
static void check_cursors(const u32 *before)
{
	for (u32 i = 0; i < KT_RING_MAX_CURSORS; i++)
		if (ring.cursor_state[i] == KT_CURSOR_LOSSLESS)
			PROMISE(ring.cursor_pos[i] - before[i] <= ring.head - before[i]);
}

static void produce(u32 caplen, u32 how)
{
	u32 units = kt_record_units(caplen), at = ring.head & (ring.n_units - 1), before[KT_RING_MAX_CURSORS];
	u32 pad = ring.n_units - at < units ? ring.n_units - at : 0;
	bool fits = caplen <= kt_ring_max_caplen(ring.n_units);
	u64 tail = fits ? tail_for(pad + units) : 0, tail_before = full_tail();
	struct kt_record *rec;
	int why;

	memcpy(before, ring.cursor_pos, sizeof(before));
	rec = kt_ring_reserve(&ring, caplen, &why);
	check_cursors(before);
	if (!rec) {
		refused++;
		PROMISE(ring.refused == refused);
		PROMISE(full_tail() == tail_before);
		PROMISE(fits ? why >= 0 && held_back(tail) : why == -1);
		return;
	}
	PROMISE(fits && why == -1 && full_tail() == tail);
	PROMISE(rec->seq == ring.next_seq && rec->caplen == caplen && rec->lost_before == (u32)refused);
	memset(rec + 1, (u8)rec->seq, caplen);
	if (how == 1) {
		kt_ring_cancel(&ring);
		return;
	}
	if (how == 2)
		kt_ring_shrink(&ring, rec, caplen /= 2);
	begins[ring.next_seq] = head + pad;
	lengths[ring.next_seq] = caplen;
	head += pad + kt_record_units(caplen);
	kt_ring_submit(&ring);
	PROMISE(ring.head == (u32)head && shared.head == ring.head);
}

static void peek(struct reader *r)
{
	u64 first = oldest(), seq = r->expected > first || r->rd.lossless ? r->expected : first;

	kt_ring_peek(&r->rd, &r->hdr); /* looking twice counts nothing twice */
	r->data = kt_ring_peek(&r->rd, &r->hdr);
	PROMISE(!r->data == (seq == ring.next_seq));
	PROMISE(!kt_ring_unread_bytes(&r->rd) == !r->data || (!r->data && full_tail() == head));
	if (!r->data)
		return;
	PROMISE(r->hdr.seq == seq && r->hdr.caplen == lengths[seq] && r->hdr.type == KT_RECORD_PACKET);
	PROMISE(r->rd.lost == r->lost + seq - r->expected);
}

static void release(struct reader *r)
{
	bool there = r->hdr.seq >= oldest(), ok;
	u8 copy[65536];

	PROMISE(!r->rd.lossless || there);
	kt_ring_copy(copy, r->data, r->hdr.caplen);
	ok = kt_ring_valid(&r->rd);
	/* A pad in front of it may be gone already without its being so. */
	PROMISE(ok == there);
	for (u32 i = 0; ok && i < r->hdr.caplen; i++)
		PROMISE(copy[i] == (u8)r->hdr.seq);
	kt_ring_release(&r->rd, &r->hdr, ok);
	r->lost += r->hdr.seq - r->expected + !ok;
	r->expected = r->hdr.seq + 1;
	PROMISE(r->rd.lost == r->lost);
	r->data = NULL;
}

static void join(struct reader *r, u32 how)
{
	int n = kt_ring_join(&ring, how & 1 ? KT_CURSOR_LOSSLESS : KT_CURSOR_LOSSY);

	PROMISE(n >= 0 && (u32)n < MAX_READERS);
	memset(r, 0, sizeof(*r));
	r->open = true;
	r->hostile = how & 2;
	r->cursor = (u32)n;
	r->expected = ring.next_seq;
	PROMISE(!kt_ring_reader_init(&r->rd, &shared, cursors, ring.data, r->cursor));
	PROMISE(!kt_ring_held(&cursors[n]));
}

static void leave(struct reader *r)
{
	kt_ring_leave(&ring, r->cursor);
	PROMISE(ring.cursor_state[r->cursor] == KT_CURSOR_FREE);
	r->open = false;
}

static void step(void)
{
	u32 op = byte();
	struct reader *r = &readers[(op >> 4) % MAX_READERS];

	switch (op % 8) {
	case 0:
	case 1:
	case 2:
		produce(op % 8 == 2 ? word() % 70000 : byte() * 3, (op >> 4) % 4);
		break;
	case 3:
	case 4:
	case 5:
		if (!r->open || r->hostile)
			break;
		if (r->data)
			release(r);
		else
			peek(r);
		break;
	case 6:
		if (r->open)
			leave(r);
		else
			join(r, byte());
		break;
	default:
		if (r->open && r->hostile)
			cursors[r->cursor].pos = op & 8 ? word() : cursors[r->cursor].pos + byte();
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u32 n_units, from, epoch;
	u8 *memory;

	input = data;
	input_end = data + size;
	n_units = 64u << byte() % 4;
	memory = aligned_alloc(16, n_units * KT_RING_UNIT);
	if (!memory)
		abort();
	memset(memory, 0xa5, n_units * KT_RING_UNIT);
	memset(readers, 0, sizeof(readers));
	PROMISE(!kt_ring_init(&ring, &shared, cursors, memory, n_units));
	from = word();
	epoch = byte() << 1 | from >> 31;
	head = (u64)epoch >> 1 << 32 | from;
	refused = 0;
	ring.head = ring.tail = shared.head = shared.tail = from;
	ring.head_epoch = ring.tail_epoch = shared.tail_epoch = epoch;
	while (input < input_end && ring.next_seq < MAX_RECORDS) {
		step();
		PROMISE(ring.head - ring.tail <= n_units);
		PROMISE(shared.tail == ring.tail && shared.tail_epoch == ring.tail_epoch);
		PROMISE(ring.tail_epoch == (u32)(full_tail() >> 31) && ring.head_epoch == (u32)(head >> 31));
	}
	free(memory);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The ring of core/ring.h: the producer's half first, then the listener's.
 * Neither half ever waits, and neither loops on a value that the other writes
 * without a bound.
 */
#include "ring.h"

/* Layout that listeners in other processes depend on. */
_Static_assert(sizeof(struct kt_record) == 56, "data follows at 56, so that it is aligned to 8");
_Static_assert(sizeof(struct kt_ring_shared) == 64, "one cache line");
_Static_assert(sizeof(struct kt_ring_cursor) == 64, "one cache line");

#define VERSION 1u
#define MIN_UNITS 64u
#define PEEK_TRIES 16 /* overruns in a row that one peek puts up with */

static bool size_ok(u32 n_units)
{
	return n_units >= MIN_UNITS && n_units <= KT_RING_MAX_UNITS && !(n_units & (n_units - 1));
}

/* The epoch of a position when the one units before it has this epoch. */
static u32 epoch_after(u32 epoch, u32 pos, u32 units)
{
	return epoch + (((pos + units) ^ pos) >> 31);
}

/* --- Producer ------------------------------------------------------------- */

static struct kt_record *record_at(const struct kt_ring *r, u32 pos)
{
	return (struct kt_record *)(void *)(r->data + (size_t)(pos & (r->n_units - 1)) * KT_RING_UNIT);
}

int kt_ring_init(struct kt_ring *r, struct kt_ring_shared *shared, struct kt_ring_cursor *cursors, void *data,
		 u32 n_units)
{
	if (!size_ok(n_units))
		return -EINVAL;
	memset(r, 0, sizeof(*r));
	memset(shared, 0, sizeof(*shared));
	memset(cursors, 0, KT_RING_MAX_CURSORS * sizeof(*cursors));
	r->shared = shared;
	r->cursors = cursors;
	r->data = data;
	r->n_units = n_units;
	shared->version = VERSION;
	shared->n_units = n_units;
	shared->n_cursors = KT_RING_MAX_CURSORS;
	kt_store_release(&shared->magic, KT_RING_MAGIC);
	return 0;
}

/* Reads a listener's position once and believes it only if it can be true (D). */
static u32 cursor_look(struct kt_ring *r, u32 i)
{
	u32 pos = kt_load_acquire(&r->cursors[i].pos);
	u32 unread;

	if (kt_ring_check(r->cursor_pos[i], r->head, pos, &unread))
		r->bad_cursors++;
	else
		r->cursor_pos[i] = pos;
	return r->cursor_pos[i];
}

static void count_held(struct kt_ring *r, u32 i)
{
	u64 held = ++r->held[i];

	kt_store_relaxed(&r->cursors[i].held_hi, (u32)(held >> 32));
	kt_store_release(&r->cursors[i].held_lo, (u32)held);
	kt_store_release(&r->cursors[i].held_hi_again, (u32)(held >> 32));
}

/* May tail move by these units? If not, counts each lossless listener that has not read so far. */
static bool may_overwrite(struct kt_ring *r, u32 units, int *why_cursor)
{
	bool ok = true;

	for (u32 i = 0; i < r->n_used; i++) {
		if (r->cursor_state[i] != KT_CURSOR_LOSSLESS || r->cursor_pos[i] - r->tail >= units ||
		    cursor_look(r, i) - r->tail >= units)
			continue;
		if (ok && why_cursor)
			*why_cursor = (int)i;
		count_held(r, i);
		ok = false;
	}
	return ok;
}

/* Makes room for units behind head by giving up the oldest records (E). */
static bool make_room(struct kt_ring *r, u32 units, int *why_cursor)
{
	u32 used = r->head - r->tail, freed = 0;

	if (r->n_units - used >= units)
		return true;
	while (r->n_units - used + freed < units) {
		u32 oldest = record_at(r, r->tail + freed)->units;

		/* Damaged memory must not hang the producer: then everything goes. */
		freed = oldest && oldest <= used - freed ? freed + oldest : used;
	}
	if (!may_overwrite(r, freed, why_cursor))
		return false;
	r->tail_epoch = epoch_after(r->tail_epoch, r->tail, freed);
	r->tail += freed;
	kt_store_relaxed(&r->shared->tail_epoch, r->tail_epoch);
	kt_store_release(&r->shared->tail, r->tail);
	kt_fence_release();
	return true;
}

struct kt_record *kt_ring_reserve(struct kt_ring *r, u32 caplen, int *why_cursor)
{
	u32 units = kt_record_units(caplen), pad = r->n_units - (r->head & (r->n_units - 1));
	struct kt_record *rec;

	if (why_cursor)
		*why_cursor = -1;
	if (pad >= units)
		pad = 0;
	if (units > r->n_units / 2 || !make_room(r, pad + units, why_cursor)) {
		r->refused++;
		return NULL;
	}
	if (pad) {
		rec = record_at(r, r->head);
		memset(rec, 0, KT_RING_UNIT); /* there may be no more than one unit */
		rec->units = pad;
		rec->type = KT_RECORD_PAD;
	}
	rec = record_at(r, r->head + pad);
	memset(rec, 0, sizeof(*rec));
	rec->units = units;
	rec->type = KT_RECORD_PACKET;
	rec->caplen = caplen;
	rec->seq = r->next_seq;
	rec->lost_before = (u32)r->refused;
	r->pending_pad = pad;
	r->pending_units = pad + units;
	return rec;
}

void kt_ring_shrink(struct kt_ring *r, struct kt_record *rec, u32 caplen)
{
	if (caplen >= rec->caplen)
		return;
	rec->caplen = caplen;
	rec->units = kt_record_units(caplen);
	r->pending_units = r->pending_pad + rec->units;
}

void kt_ring_submit(struct kt_ring *r)
{
	if (!r->pending_units)
		return;
	r->head_epoch = epoch_after(r->head_epoch, r->head, r->pending_units);
	r->head += r->pending_units;
	r->pending_units = 0;
	r->next_seq++;
	kt_store_release(&r->shared->head, r->head); /* A */
}

void kt_ring_cancel(struct kt_ring *r)
{
	r->pending_units = 0;
}

int kt_ring_join(struct kt_ring *r, enum kt_cursor_state state)
{
	struct kt_ring_cursor *c;
	u32 i = 0;

	if (state != KT_CURSOR_LOSSY && state != KT_CURSOR_LOSSLESS)
		return -EINVAL;
	while (i < r->n_used && r->cursor_state[i] != KT_CURSOR_FREE)
		i++;
	if (i == KT_RING_MAX_CURSORS)
		return -ENOSPC;
	if (i == r->n_used)
		r->n_used++;
	c = &r->cursors[i];
	kt_store_relaxed(&c->pos, r->head);
	c->start_pos = r->head;
	c->start_epoch = r->head_epoch;
	c->start_seq_lo = (u32)r->next_seq;
	c->start_seq_hi = (u32)(r->next_seq >> 32);
	r->held[i] = 0;
	kt_store_relaxed(&c->held_hi, 0);
	kt_store_relaxed(&c->held_lo, 0);
	kt_store_relaxed(&c->held_hi_again, 0);
	kt_store_release(&c->state, (u32)state);
	r->cursor_pos[i] = r->head;
	r->cursor_state[i] = (u8)state;
	return (int)i;
}

void kt_ring_leave(struct kt_ring *r, u32 cursor)
{
	if (cursor >= r->n_used)
		return;
	r->cursor_state[cursor] = KT_CURSOR_FREE;
	kt_store_release(&r->cursors[cursor].state, (u32)KT_CURSOR_FREE);
	while (r->n_used && r->cursor_state[r->n_used - 1] == KT_CURSOR_FREE)
		r->n_used--;
}

bool kt_ring_drained(struct kt_ring *r)
{
	for (u32 i = 0; i < r->n_used; i++) {
		if (r->cursor_state[i] == KT_CURSOR_LOSSLESS && cursor_look(r, i) != r->head)
			return false;
	}
	return true;
}

/* --- Listener ------------------------------------------------------------- */

int kt_ring_reader_init(struct kt_ring_reader *rd, const struct kt_ring_shared *shared, struct kt_ring_cursor *cursors,
			const void *data, u32 n)
{
	struct kt_ring_cursor *c;
	u32 state;

	if (kt_load_acquire(&shared->magic) != KT_RING_MAGIC || shared->version != VERSION || !size_ok(shared->n_units))
		return -EINVAL;
	if (n >= shared->n_cursors || n >= KT_RING_MAX_CURSORS)
		return -EINVAL;
	c = &cursors[n];
	state = kt_load_acquire(&c->state);
	if (state != KT_CURSOR_LOSSY && state != KT_CURSOR_LOSSLESS)
		return -EINVAL;
	memset(rd, 0, sizeof(*rd));
	rd->shared = shared;
	rd->cursor = c;
	rd->data = data;
	rd->n_units = shared->n_units;
	rd->pos = c->start_pos;
	rd->epoch = c->start_epoch;
	rd->lossless = state == KT_CURSOR_LOSSLESS;
	rd->next_seq = (u64)c->start_seq_hi << 32 | c->start_seq_lo;
	return 0;
}

#if KT_TSAN
/* Volatile, or the compiler makes it a memcpy again, whose loads the sanitizer does see. */
__attribute__((no_sanitize("thread"), noinline)) void kt_ring_copy(void *dst, const void *src, u32 len)
{
	const volatile u8 *from = src;
	u8 *to = dst;

	while (len--)
		*(volatile u8 *)to++ = *from++;
}
#else
void kt_ring_copy(void *dst, const void *src, u32 len)
{
	memcpy(dst, src, len);
}
#endif

/* Has tail gone past this reader? Tells where tail is. Only after a copy and an acquire fence (F). */
static bool overrun(const struct kt_ring_reader *rd, u32 *tail, u32 *epoch)
{
	*tail = kt_load_acquire(&rd->shared->tail);
	*epoch = kt_load_relaxed(&rd->shared->tail_epoch);
	/* A good position is at most n_units ahead of tail: in the same epoch or the next. */
	return rd->pos - *tail > rd->n_units || rd->epoch - *epoch > 1;
}

/* Takes up the oldest record, unless tail moves while we look. */
static void jump(struct kt_ring_reader *rd)
{
	u32 before = kt_load_acquire(&rd->shared->tail_epoch);
	u32 tail, epoch;

	if (!overrun(rd, &tail, &epoch) || before != epoch || (epoch & 1) != tail >> 31)
		return;
	rd->pos = tail;
	rd->epoch = epoch;
}

static void advance(struct kt_ring_reader *rd, u32 units)
{
	rd->epoch = epoch_after(rd->epoch, rd->pos, units);
	rd->pos += units;
}

/* Copies the header at this reader's position. False if it is no header, or one that was overwritten meanwhile. */
static bool read_header(struct kt_ring_reader *rd, struct kt_record *hdr)
{
	u32 at = rd->pos & (rd->n_units - 1), left = rd->n_units - at;
	const u8 *from = rd->data + (size_t)at * KT_RING_UNIT;
	/* What is too close to the end for a record can only be a pad, and that has one unit at least. */
	u32 bytes = left < kt_record_units(0) ? KT_RING_UNIT : (u32)sizeof(*hdr);

	if (rd->lossless) {
		memcpy(hdr, from, bytes);
	} else {
		u32 tail, epoch;

		kt_ring_copy(hdr, from, bytes);
		kt_fence_acquire(); /* F */
		if (overrun(rd, &tail, &epoch))
			return false;
	}
	if (!hdr->units || hdr->units > left)
		return false;
	return hdr->type == KT_RECORD_PAD || (bytes == sizeof(*hdr) && hdr->units == kt_record_units(hdr->caplen));
}

const u8 *kt_ring_peek(struct kt_ring_reader *rd, struct kt_record *hdr)
{
	for (int i = 0; i < PEEK_TRIES; i++) {
		u32 at = rd->pos & (rd->n_units - 1);

		if (kt_load_acquire(&rd->shared->head) == rd->pos) /* B */
			return NULL;
		if (!read_header(rd, hdr)) {
			if (rd->lossless)
				return NULL; /* not a ring any more */
			jump(rd);
		} else if (hdr->type == KT_RECORD_PAD) {
			advance(rd, hdr->units);
		} else {
			rd->lost += hdr->seq - rd->next_seq;
			rd->next_seq = hdr->seq;
			return rd->data + (size_t)at * KT_RING_UNIT + sizeof(*hdr);
		}
	}
	return NULL;
}

bool kt_ring_valid(struct kt_ring_reader *rd)
{
	u32 tail, epoch;

	if (rd->lossless)
		return true;
	kt_fence_acquire(); /* F */
	return !overrun(rd, &tail, &epoch);
}

void kt_ring_release(struct kt_ring_reader *rd, const struct kt_record *hdr, bool ok)
{
	if (!ok)
		rd->lost++;
	rd->next_seq = hdr->seq + 1;
	advance(rd, hdr->units);
	if (rd->lossless)
		kt_store_release(&rd->cursor->pos, rd->pos); /* C */
	else
		kt_store_relaxed(&rd->cursor->pos, rd->pos); /* holds nobody: for statistics */
}

u64 kt_ring_unread_bytes(const struct kt_ring_reader *rd)
{
	u32 tail, epoch, head, from = rd->pos;

	if (!rd->lossless && overrun(rd, &tail, &epoch))
		from = tail;
	head = kt_load_acquire(&rd->shared->head); /* B */
	return (u64)(head - from) * KT_RING_UNIT;
}

u64 kt_ring_held(const struct kt_ring_cursor *cursor)
{
	u32 lo = 0, hi = 0;

	/* The high halves differ only while the producer carries into them, once in 2^32 refusals. */
	for (int i = 0; i < PEEK_TRIES; i++) {
		hi = kt_load_acquire(&cursor->held_hi_again);
		lo = kt_load_acquire(&cursor->held_lo);
		if (kt_load_relaxed(&cursor->held_hi) == hi)
			break;
	}
	return (u64)hi << 32 | lo;
}

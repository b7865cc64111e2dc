/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The ring: one producer, many listeners, records of any size in one stretch
 * of memory. Every atomic and every barrier of the project is in this file.
 *
 *      tail                         head    reserved
 *       |                            |         |
 *   ----+==========+======+==========+.........+------   positions grow ->
 *       | records that can be read   | being   |
 *       | (oldest first)             | written |
 *
 * Positions are 32-bit, count units of 16 bytes, run free and are masked on
 * use; so "how many" is a subtraction and a ring can have up to 2^27 units
 * (2 GiB). A record never wraps: a pad record fills the end of the memory.
 * What lies between two positions can be stored by one straight write.
 *
 * Ownership: the producer owns struct kt_ring_shared and the data. A listener
 * owns one struct kt_ring_cursor. Nobody writes what another owns, so shared
 * and data can be mapped read-only for listeners, and a listener that dies
 * leaves nothing half-written.
 *
 * A lossless cursor holds the producer: what does not fit is refused and
 * counted. A lossy cursor is overrun: the listener finds its position behind
 * tail, jumps to tail, and the difference of sequence numbers is its exact
 * loss, counted with the next record it reads. While a lossy listener works
 * on a record the producer may overwrite it, so it copies first
 * (kt_ring_copy) and asks kt_ring_valid() afterwards.
 *
 * A lossy listener may sleep while positions go round their 32 bits (64 GiB)
 * and its own seems good again. So a position goes with its epoch, the
 * bits of the full position from 31 up. Its lowest bit repeats the highest of the position,
 * which is how a reader knows that the two belong together.
 *
 * Barriers come in pairs:
 *   A  producer publishes head (release)  ~  B  listener reads head (acquire):
 *      a record is complete before it can be seen.
 *   C  listener publishes pos (release)   ~  D  producer reads pos (acquire):
 *      a record has been read before its memory is used again.
 *   E  producer publishes tail_epoch, then tail (release), release fence, then overwrites  ~
 *   F  listener copies, acquire fence, then reads tail (acquire), then tail_epoch:
 *      a listener that copied one new byte sees the new tail, so a copy that
 *      could have been torn is found out. The same pair lets a listener
 *      jump: the record at tail is complete, and head is not behind it.
 * No pair needs a full fence: nobody writes one word and then decides by
 * reading another that its partner writes. Sleeping and waking do;
 * kt_fence_full is for whoever builds that on the ring.
 */
#ifndef KT_RING_H
#define KT_RING_H

#include "env.h"

#if defined(__SANITIZE_THREAD__)
#define KT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KT_TSAN 1
#endif
#endif
#ifndef KT_TSAN
#define KT_TSAN 0
#endif

#define KT_RING_UNIT 16u
#define KT_RING_MAX_UNITS (1u << 27)
#define KT_RING_MAX_CURSORS 64u
#define KT_RING_MAGIC 0x6b545247u /* "kTRG" */

/* The only shared-memory accesses of the project. 32 bits wide, so that CPUs
 * without 64-bit atomics can keep up. */
#ifdef __KERNEL__
#include <asm/barrier.h>
#define kt_load_acquire(p) smp_load_acquire(p)
#define kt_store_release(p, v) smp_store_release(p, v)
#define kt_load_relaxed(p) READ_ONCE(*(p))
#define kt_store_relaxed(p, v) WRITE_ONCE(*(p), v)
#define kt_fence_full() smp_mb()
#define kt_fence_acquire() smp_rmb()
#define kt_fence_release() smp_wmb()
#else
#define kt_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define kt_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define kt_load_relaxed(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define kt_store_relaxed(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#if KT_TSAN
/* The sanitizer refuses fences it cannot model; these are the same to the CPU and to the compiler. */
#define kt_fence_full() __sync_synchronize()
#define kt_fence_acquire() __sync_synchronize()
#define kt_fence_release() __sync_synchronize()
#else
#define kt_fence_full() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define kt_fence_acquire() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define kt_fence_release() __atomic_thread_fence(__ATOMIC_RELEASE)
#endif
#endif

enum kt_record_type {
	KT_RECORD_PAD = 0, /* skip units * 16 bytes; no sequence number */
	KT_RECORD_PACKET = 1,
};

enum kt_record_flag {
	KT_RECORD_OUTGOING = 1 << 0, /* sent by this host */
	KT_RECORD_TRUNCATED = 1 << 1, /* more was asked for than could be had */
	KT_RECORD_CSUM_FIXED = 1 << 2, /* sender left the checksum to the NIC; we computed it */
	KT_RECORD_MERGED = 1 << 3, /* the host merged several packets (GRO); len is larger than the link's MTU */
};

/* Lies before its data; padded so that the next record starts on a unit. */
struct kt_record {
	u32 units; /* whole record, header included */
	u8 type; /* enum kt_record_type */
	u8 flags; /* enum kt_record_flag */
	u8 clock; /* enum ktrxer_clock of stamp_ns */
	u8 op; /* enum kt_op that the rule asked for */
	u32 caplen; /* bytes of data that follow */
	u32 wirelen; /* bytes on the wire, without FCS */
	u64 stamp_ns; /* arrival */
	u64 seq; /* counts the records of this ring from 0 */
	u32 ifindex;
	u32 tag; /* of the rule */
	u32 rule_id;
	u32 slice_off; /* frame offset of the first byte delivered */
	u32 lost_before; /* packets refused by this ring for want of room, so far */
	u32 reserved; /* zero */
};

/* Producer's public page. All fields (k): written by the producer only. */
struct kt_ring_shared {
	u32 magic;
	u32 version; /* 1 */
	u32 n_units; /* power of two */
	u32 n_cursors;
	u32 head; /* end of the readable records */
	u32 tail; /* oldest readable record */
	u32 tail_epoch; /* bits 31 to 62 of the full tail position */
	u32 reserved[9];
};

enum kt_cursor_state {
	KT_CURSOR_FREE = 0,
	KT_CURSOR_LOSSY = 1,
	KT_CURSOR_LOSSLESS = 2,
};

/* A listener's page entry; one cache line. pos (u), the rest (k). */
struct kt_ring_cursor {
	u32 pos; /* (u) next record to read */
	u32 state; /* (k) enum kt_cursor_state, set when the listener joins */
	u32 start_pos; /* (k) where it joined */
	u32 start_epoch; /* (k) bits 31 to 62 of the full start position */
	u32 start_seq_lo; /* (k) sequence number of the record that begins there */
	u32 start_seq_hi;
	u32 held_hi; /* (k) packets refused because this lossless listener was full; by kt_ring_held */
	u32 held_lo;
	u32 held_hi_again;
	u32 reserved[7];
};

/* The producer's private truth; never shared. Epochs as in kt_ring_shared. */
struct kt_ring {
	struct kt_ring_shared *shared;
	struct kt_ring_cursor *cursors; /* KT_RING_MAX_CURSORS of them */
	u8 *data;
	u32 n_units;
	u32 head;
	u32 head_epoch;
	u32 tail;
	u32 tail_epoch;
	u32 pending_units; /* reserved and not yet submitted, pad included */
	u32 pending_pad;
	u32 n_used; /* cursors from here on are free */
	u32 cursor_pos[KT_RING_MAX_CURSORS]; /* last valid position seen */
	u8 cursor_state[KT_RING_MAX_CURSORS];
	u64 held[KT_RING_MAX_CURSORS];
	u64 next_seq;
	u64 refused; /* packets for which no room could be made */
	u64 bad_cursors; /* positions refused by kt_ring_check */
};

/*
 * The trust boundary: is pos a position that a listener may claim, given what
 * the producer knows? Invariant: last <= pos <= head in free-running
 * arithmetic. Returns the units still unread (head - pos), or -EINVAL.
 */
static inline int kt_ring_check(u32 last, u32 head, u32 pos, u32 *unread)
{
	if (head - pos > head - last)
		return -EINVAL;
	*unread = head - pos;
	return 0;
}

static inline u32 kt_record_units(u32 caplen)
{
	return (u32)((sizeof(struct kt_record) + (u64)caplen + KT_RING_UNIT - 1) / KT_RING_UNIT);
}

/* A pad is always shorter than the record behind it, so half the ring fits whatever head is. Longer records never fit. */
static inline u32 kt_ring_max_caplen(u32 n_units)
{
	return n_units / 2 * KT_RING_UNIT - (u32)sizeof(struct kt_record);
}

/* --- Producer: one context at a time ------------------------------------ */

/*
 * n_units: power of two, 64 to KT_RING_MAX_UNITS; data has n_units * 16 bytes.
 * The caller owns all memory and keeps it until the ring is no longer used.
 * Returns 0 or -EINVAL.
 */
int kt_ring_init(struct kt_ring *r, struct kt_ring_shared *shared, struct kt_ring_cursor *cursors, void *data,
		 u32 n_units);

/*
 * Room for one record with caplen bytes of data, or NULL (counted in refused
 * and on every lossless cursor that stood in the way). *why_cursor, when not
 * NULL, gets the first such cursor or -1 (longer than kt_ring_max_caplen).
 * units, type, caplen, seq, lost_before and reserved are set, the other fields are zero; fill
 * them and the data behind the header, then submit. At most one reservation is open.
 */
struct kt_record *kt_ring_reserve(struct kt_ring *r, u32 caplen, int *why_cursor);

/* Shortens an open reservation, for writers that find out late. */
void kt_ring_shrink(struct kt_ring *r, struct kt_record *rec, u32 caplen);

/* Makes the reserved record visible (A). */
void kt_ring_submit(struct kt_ring *r);

/* Forgets the reservation. */
void kt_ring_cancel(struct kt_ring *r);

/* A new listener starts at head. Returns its number, or -ENOSPC. */
int kt_ring_join(struct kt_ring *r, enum kt_cursor_state state);

/* A listener left or died; never fails. */
void kt_ring_leave(struct kt_ring *r, u32 cursor);

/* True when no lossless listener has anything left to read. */
bool kt_ring_drained(struct kt_ring *r);

/* --- Listener: one context per cursor ------------------------------------ */

struct kt_ring_reader {
	const struct kt_ring_shared *shared;
	struct kt_ring_cursor *cursor;
	const u8 *data;
	u32 n_units;
	u32 pos;
	u32 epoch;
	bool lossless;
	u64 next_seq; /* of the record at pos, had nothing been lost */
	u64 lost; /* exact number of records overrun, up to next_seq */
};

/* Attaches, once, to cursor number n, which kt_ring_join returned. -EINVAL if the memory is not a ring. */
int kt_ring_reader_init(struct kt_ring_reader *rd, const struct kt_ring_shared *shared, struct kt_ring_cursor *cursors,
			const void *data, u32 n);

/*
 * The next record, or NULL if there is none (B). After an overrun the reader
 * has jumped and rd->lost has grown. The header is copied to *hdr and valid;
 * the returned data pointer is stable for a lossless reader; a lossy one
 * copies from it by kt_ring_copy, and then asks kt_ring_valid (F). A lossy reader that
 * is overrun again and again while it looks gets NULL too; kt_ring_unread_bytes tells.
 */
const u8 *kt_ring_peek(struct kt_ring_reader *rd, struct kt_record *hdr);

/*
 * Copies len bytes of record data that the producer may be overwriting. The
 * only race of the project: what it copied means nothing until kt_ring_valid
 * says so. That is why thread sanitizers are not shown these loads.
 */
void kt_ring_copy(void *dst, const void *src, u32 len);

/* False when the record last peeked may have been overwritten meanwhile. */
bool kt_ring_valid(struct kt_ring_reader *rd);

/* Steps over the record last peeked (C). ok is what kt_ring_valid said; a torn record counts as lost. */
void kt_ring_release(struct kt_ring_reader *rd, const struct kt_record *hdr, bool ok);

/* Bytes of records that this reader can still read; 0 means nothing. */
u64 kt_ring_unread_bytes(const struct kt_ring_reader *rd);

/* Packets refused so far because this listener was full; any process that maps the cursor. */
u64 kt_ring_held(const struct kt_ring_cursor *cursor);

#endif

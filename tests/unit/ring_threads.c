/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The ring under threads: one producer, listeners of both kinds, and an
 * account for each that must come out exactly. Every byte of every record
 * follows from its sequence number, so a torn copy that passed for valid
 * would be seen. Run it under the thread sanitizer, too:
 *   make SAN=thread BUILD=build/tsan build/tsan/tests/unit/ring_threads
 */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "core/hash.h"
#include "core/ring.h"
#include "tests/test.h"

#define MAX_CAPLEN 200u
#define MAX_LISTENERS 8

struct listener {
	struct kt_ring_reader rd;
	pthread_t thread;
	u64 got;
	u64 torn; /* of rd.lost: copied, and then found overwritten */
	u64 bad; /* records whose contents were wrong */
	u32 pause; /* sleeps after so many records */
	bool leaves_late; /* copies slowly */
};

static struct kt_ring ring;
static struct kt_ring_shared shared;
static struct kt_ring_cursor cursors[KT_RING_MAX_CURSORS];
static u8 data[1u << 16] __attribute__((aligned(64)));
static struct listener listeners[MAX_LISTENERS];
static u32 done; /* by kt_load_acquire and kt_store_release: no record follows */

static u64 mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * KT_NSEC_PER_SEC + (u64)ts.tv_nsec;
}

static u32 caplen_of(u64 seq)
{
	return (u32)(kt_hash_mix64(seq) % (MAX_CAPLEN / 8 + 1)) * 8;
}

static void write_record(struct kt_record *rec, u64 seq)
{
	u64 *to = (u64 *)(void *)(rec + 1);

	rec->wirelen = rec->caplen;
	rec->stamp_ns = kt_hash_mix64(seq ^ 1);
	for (u32 i = 0; i < rec->caplen / 8; i++)
		to[i] = kt_hash_mix64(seq + i * 0x10001ull);
}

static bool record_ok(const struct kt_record *hdr, const u64 *from)
{
	u64 bad = (hdr->caplen ^ caplen_of(hdr->seq)) | (hdr->wirelen ^ hdr->caplen) |
		  (hdr->stamp_ns ^ kt_hash_mix64(hdr->seq ^ 1)) | hdr->reserved;

	if (bad)
		return false;
	for (u32 i = 0; i < hdr->caplen / 8; i++)
		bad |= from[i] ^ kt_hash_mix64(hdr->seq + i * 0x10001ull);
	return !bad;
}

/* One record, if there is one. */
static bool read_one(struct listener *l)
{
	struct kt_record hdr;
	u64 copy[MAX_CAPLEN / 8];
	const u8 *from = kt_ring_peek(&l->rd, &hdr);
	bool ok = true;

	if (!from)
		return false;
	if (hdr.caplen > sizeof(copy)) {
		l->bad++;
	} else if (l->rd.lossless) {
		l->bad += !record_ok(&hdr, (const u64 *)(const void *)from);
	} else {
		kt_ring_copy(copy, from, hdr.caplen / 2);
		if (l->leaves_late)
			sched_yield();
		kt_ring_copy((u8 *)copy + hdr.caplen / 2, from + hdr.caplen / 2, hdr.caplen - hdr.caplen / 2);
		ok = kt_ring_valid(&l->rd);
		l->bad += ok && !record_ok(&hdr, copy);
	}
	kt_ring_release(&l->rd, &hdr, ok);
	l->got += ok;
	l->torn += !ok;
	return true;
}

static void *listen_all(void *arg)
{
	struct listener *l = arg;
	struct timespec pause = { 0, 200000 };

	for (;;) {
		u32 last_words = kt_load_acquire(&done);

		if (read_one(l)) {
			if (l->pause && l->got % l->pause == 0)
				nanosleep(&pause, NULL);
		} else if (last_words && !kt_ring_unread_bytes(&l->rd)) {
			return NULL;
		} else {
			sched_yield();
		}
	}
}

static void add_listener(int i, enum kt_cursor_state state, u32 pause, bool late)
{
	int n = kt_ring_join(&ring, state);

	memset(&listeners[i], 0, sizeof(listeners[i]));
	CHECK(n >= 0);
	CHECK_EQ(kt_ring_reader_init(&listeners[i].rd, &shared, cursors, data, (u32)n), 0);
	listeners[i].pause = pause;
	listeners[i].leaves_late = late;
}

/* Every offered record is in the ring or refused, and every one in the ring was read or lost by each listener. */
static void check_accounts(int n, u64 offered)
{
	u64 refused_by_all = 0;

	CHECK_EQ(ring.next_seq + ring.refused, offered);
	CHECK_EQ(ring.bad_cursors, 0);
	for (int i = 0; i < n; i++) {
		struct listener *l = &listeners[i];

		CHECK_EQ(l->bad, 0);
		CHECK_EQ(l->got + l->rd.lost, ring.next_seq);
		CHECK(l->torn <= l->rd.lost);
		if (l->rd.lossless)
			CHECK_EQ(l->rd.lost, 0);
		refused_by_all += kt_ring_held(l->rd.cursor);
	}
	/* Whoever was refused was refused because of somebody. */
	CHECK(refused_by_all >= ring.refused);
}

/* Produces for so long (and at most so many), with n listeners beside it. */
static void run(int n, u64 ns, u64 most)
{
	u64 offered = 0, until = mono_ns() + ns;

	kt_store_release(&done, 0);
	for (int i = 0; i < n; i++)
		CHECK_EQ(pthread_create(&listeners[i].thread, NULL, listen_all, &listeners[i]), 0);
	while (offered < most && (offered % 1024 || mono_ns() < until)) {
		struct kt_record *rec = kt_ring_reserve(&ring, caplen_of(ring.next_seq), NULL);

		offered++;
		if (rec) {
			write_record(rec, rec->seq);
			kt_ring_submit(&ring);
		} else {
			sched_yield();
		}
	}
	kt_store_release(&done, 1);
	for (int i = 0; i < n; i++)
		CHECK_EQ(pthread_join(listeners[i].thread, NULL), 0);
	printf("# %llu offered, %llu in the ring\n", (unsigned long long)offered, (unsigned long long)ring.next_seq);
	for (int i = 0; i < n; i++)
		printf("#   %s: %llu read, %llu lost, %llu of these torn\n",
		       listeners[i].rd.lossless ? "lossless" : "lossy", (unsigned long long)listeners[i].got,
		       (unsigned long long)listeners[i].rd.lost, (unsigned long long)listeners[i].torn);
	check_accounts(n, offered);
}

/* Positions wrap in the middle of the run. */
static void start(u32 n_units)
{
	u32 at = (u32)-65536;

	CHECK_EQ(kt_ring_init(&ring, &shared, cursors, data, n_units), 0);
	ring.head = ring.tail = shared.head = shared.tail = at;
	ring.head_epoch = ring.tail_epoch = shared.tail_epoch = 1;
}

static void t_lossless_and_lossy(void)
{
	start(sizeof(data) / KT_RING_UNIT);
	add_listener(0, KT_CURSOR_LOSSLESS, 0, false);
	add_listener(1, KT_CURSOR_LOSSLESS, 0, false);
	add_listener(2, KT_CURSOR_LOSSY, 0, false);
	add_listener(3, KT_CURSOR_LOSSY, 1000, true);
	run(4, KT_NSEC_PER_SEC, 20000000);
}

/* Nobody holds the producer: it laps its listeners all the time. */
static void t_overrun(void)
{
	start(256);
	add_listener(0, KT_CURSOR_LOSSY, 0, false);
	add_listener(1, KT_CURSOR_LOSSY, 0, true);
	add_listener(2, KT_CURSOR_LOSSY, 50, false);
	run(3, KT_NSEC_PER_SEC, 20000000);
	CHECK_EQ(ring.refused, 0);
	CHECK(listeners[2].rd.lost > 0);
}

/* A listener that sleeps now and then makes the producer refuse, and still gets all that went in. */
static void t_slow_lossless(void)
{
	start(256);
	add_listener(0, KT_CURSOR_LOSSLESS, 100, false);
	add_listener(1, KT_CURSOR_LOSSY, 0, false);
	run(2, KT_NSEC_PER_SEC / 2, 20000000);
	CHECK(ring.refused > 0);
	CHECK_EQ(kt_ring_held(&cursors[0]), ring.refused);
}

TEST_MAIN(T(t_lossless_and_lossy), T(t_overrun), T(t_slow_lossless))

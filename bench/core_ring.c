/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What does a record cost in the ring, and an entry in the launch schedule?
 * One JSON object a line on stdout.
 *
 * Ring of 16 MiB, records of 64 and 1500 bytes: a bare memcpy of the same bytes over the same memory
 * (the limit), the producer alone, producer and one reader in turns in one
 * thread, and the producer beside 1 and 3 listeners in threads. ns is CPU time of the producing thread per
 * record, wall_ns what passed. Best of some rounds, as other things run here.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/hash.h"
#include "core/ring.h"
#include "core/schedule.h"

#define RING_BYTES (16u << 20)
#define ROUNDS 5
#define TURN 256 /* records between two looks of a reader in the same thread */
#define MAX_LISTENERS 3

struct listener {
	struct kt_ring_reader rd;
	pthread_t thread;
	u64 got;
	u64 sum; /* so that reading is not optimized away */
};

static struct kt_ring ring;
static struct kt_ring_shared shared;
static struct kt_ring_cursor cursors[KT_RING_MAX_CURSORS];
static struct listener listeners[MAX_LISTENERS];
static u8 *memory;
static u8 packet[2048];
static u32 stop;
static volatile u64 sink;

static u64 clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (u64)t.tv_sec * KT_NSEC_PER_SEC + (u64)t.tv_nsec;
}

static void report(const char *what, u32 bytes, u32 n_listeners, double ns, double wall, double refused)
{
	printf("{\"bench\":\"ring\",\"what\":\"%s\",\"bytes\":%u,\"listeners\":%u,\"ns\":%.2f,\"wall_ns\":%.2f,"
	       "\"refused\":%.4f}\n",
	       what, bytes, n_listeners, ns, wall, refused);
}

static bool put(u32 len)
{
	struct kt_record *rec = kt_ring_reserve(&ring, len, NULL);

	if (!rec)
		return false;
	rec->wirelen = len;
	rec->stamp_ns = rec->seq;
	memcpy(rec + 1, packet, len);
	kt_ring_submit(&ring);
	return true;
}

/* Looks at one byte per cache line, as a program that reads the packet would. */
static bool get(struct listener *l)
{
	struct kt_record hdr;
	const u8 *data = kt_ring_peek(&l->rd, &hdr);
	u8 copy[2048];
	bool ok = true;

	if (!data)
		return false;
	if (!l->rd.lossless) {
		kt_ring_copy(copy, data, hdr.caplen);
		data = copy;
		ok = kt_ring_valid(&l->rd);
	}
	for (u32 i = 0; i < hdr.caplen; i += 64)
		l->sum += data[i];
	kt_ring_release(&l->rd, &hdr, ok);
	l->got += ok;
	return true;
}

static void *listen_all(void *arg)
{
	struct listener *l = arg;

	while (!kt_load_acquire(&stop))
		if (!get(l))
			sched_yield();
	return NULL;
}

static void join(u32 i, enum kt_cursor_state state)
{
	int n = kt_ring_join(&ring, state);

	memset(&listeners[i], 0, sizeof(listeners[i]));
	kt_ring_reader_init(&listeners[i].rd, &shared, cursors, memory, (u32)n);
}

static void copy_only(u32 len)
{
	u32 step = kt_record_units(len) * KT_RING_UNIT, n = 200u << 20;
	double best = 1e9;

	n /= step;
	for (int round = 0; round < ROUNDS; round++) {
		u64 start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		u32 at = 0;

		for (u32 i = 0; i < n; i++) {
			memcpy(memory + at, packet, len);
			__asm__ volatile("" ::: "memory");
			at = at + 2 * step > RING_BYTES ? 0 : at + step;
		}
		start = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
		best = (double)start / n < best ? (double)start / n : best;
	}
	report("memcpy", len, 0, best, best, 0);
}

/* n_readers: none, or one that takes turns with the producer. */
static void one_thread(u32 len, u32 n_readers)
{
	u32 n = (200u << 20) / (kt_record_units(len) * KT_RING_UNIT);
	double best = 1e9;

	for (int round = 0; round < ROUNDS; round++) {
		u64 start;

		kt_ring_init(&ring, &shared, cursors, memory, RING_BYTES / KT_RING_UNIT);
		if (n_readers)
			join(0, KT_CURSOR_LOSSLESS);
		start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		for (u32 i = 0; i < n; i++) {
			put(len);
			if (n_readers && i % TURN == TURN - 1)
				while (get(&listeners[0]))
					;
		}
		start = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
		best = (double)start / n < best ? (double)start / n : best;
	}
	report(n_readers ? "turns" : "producer", len, n_readers, best, best, 0);
}

/* The last of several listeners is lossy. */
static void threads(u32 len, u32 n_listeners)
{
	u64 cpu, wall, done = 0, tried = 0;

	kt_ring_init(&ring, &shared, cursors, memory, RING_BYTES / KT_RING_UNIT);
	kt_store_release(&stop, 0);
	for (u32 i = 0; i < n_listeners; i++)
		join(i, i && i == n_listeners - 1 ? KT_CURSOR_LOSSY : KT_CURSOR_LOSSLESS);
	for (u32 i = 0; i < n_listeners; i++)
		if (pthread_create(&listeners[i].thread, NULL, listen_all, &listeners[i]))
			exit(1);
	wall = clock_ns(CLOCK_MONOTONIC);
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	while (clock_ns(CLOCK_MONOTONIC) - wall < KT_NSEC_PER_SEC) {
		for (int i = 0; i < 1000; i++) {
			tried++;
			if (put(len))
				done++;
			else
				sched_yield();
		}
	}
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	wall = clock_ns(CLOCK_MONOTONIC) - wall;
	kt_store_release(&stop, 1);
	for (u32 i = 0; i < n_listeners; i++) {
		pthread_join(listeners[i].thread, NULL);
		sink += listeners[i].sum;
	}
	report("threads", len, n_listeners, (double)cpu / (double)done, (double)wall / (double)done,
	       (double)(tried - done) / (double)tried);
}

/* A full schedule, and then one out, one in with a later time, as a paced sender has it. */
static void schedule(u32 n)
{
	struct kt_schedule s;
	void *mem = malloc(kt_schedule_bytes(n));
	double fill = 1e9, turn = 1e9, drain = 1e9;
	u32 turns = 2000000;

	if (!mem)
		exit(1);
	for (int round = 0; round < ROUNDS; round++) {
		u64 rng = 1, t[4];

		kt_schedule_init(&s, mem, n);
		t[0] = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		for (u32 i = 0; i < n; i++)
			kt_schedule_add(&s, i, kt_hash_next(&rng) >> 34);
		t[1] = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		for (u32 i = 0; i < turns; i++) {
			u64 now = kt_schedule_first(&s)->time_ns;

			kt_schedule_add(&s, kt_schedule_pop(&s), now + (kt_hash_next(&rng) >> 34));
		}
		t[2] = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		for (u32 i = 0; i < n; i++)
			sink += kt_schedule_pop(&s);
		t[3] = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		fill = (double)(t[1] - t[0]) / n < fill ? (double)(t[1] - t[0]) / n : fill;
		turn = (double)(t[2] - t[1]) / turns < turn ? (double)(t[2] - t[1]) / turns : turn;
		drain = (double)(t[3] - t[2]) / n < drain ? (double)(t[3] - t[2]) / n : drain;
	}
	printf("{\"bench\":\"schedule\",\"items\":%u,\"add_ns\":%.1f,\"pop_add_ns\":%.1f,\"pop_ns\":%.1f}\n", n, fill,
	       turn, drain);
	free(mem);
}

int main(void)
{
	static const u32 lens[] = { 64, 1500 };

	memory = aligned_alloc(64, RING_BYTES);
	if (!memory)
		return 1;
	memset(memory, 1, RING_BYTES);
	for (u32 i = 0; i < KT_ARRAY_LEN(lens); i++) {
		copy_only(lens[i]);
		one_thread(lens[i], 0);
		one_thread(lens[i], 1);
		threads(lens[i], 1);
		threads(lens[i], 3);
	}
	schedule(1000);
	schedule(64 * 1024);
	schedule(1000 * 1000);
	free(memory);
	return 0;
}

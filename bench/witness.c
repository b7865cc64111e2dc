/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a dump of the wire (QEMU's, by the guest's time, in us) says of the frames that bench/train and bench/launch
 * sent. JSON lines.
 *
 *   witness trains N PCAP      for each way: frames, whether they are complete and in order, and the median ns per
 *                              packet of its trains of N
 *   witness launches PCAP      for each run: frames, and how far the wire's times are from the scheduled ones, in us,
 *                              beyond the quickest; offset and drift X */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/mark.h"

#define MAX_FRAMES (1u << 20)

struct seen {
	uint32_t way;
	uint32_t seq;
	uint64_t us;
	uint64_t scheduled_ns; /* launches */
};

static struct seen *seen;
static size_t n_seen;

static uint32_t template_way(int port)
{
	if (port == BENCH_TEMPLATE_DONE_PORT)
		return BENCH_TEMPLATE_DONE_WAY;
	return port == BENCH_TEMPLATE_PORT ? BENCH_TEMPLATE_WAY : 0;
}

static void note(const unsigned char *f, uint32_t len, uint64_t us, bool launches)
{
	struct bench_mark m;
	struct seen s = { .us = us };

	if (launches) {
		if (len < 34 || f[12] != 0x88 || f[13] != 0xb5)
			return;
		memcpy(&s.seq, f + 14, sizeof(s.seq));
		memcpy(&s.scheduled_ns, f + 22, sizeof(s.scheduled_ns));
	} else {
		if (len < BENCH_MARK_OFF + sizeof(m))
			return;
		memcpy(&m, f + BENCH_MARK_OFF, sizeof(m));
		if (m.magic == BENCH_MARK) {
			s.way = m.way;
			s.seq = m.seq;
		} else if (len >= 58 && f[23] == 17 && template_way(f[36] << 8 | f[37])) {
			s.way = template_way(f[36] << 8 | f[37]) + len;
			s.seq = (uint32_t)f[54] << 24 | (uint32_t)f[55] << 16 | (uint32_t)f[56] << 8 | f[57];
		} else {
			return;
		}
	}
	if (n_seen < MAX_FRAMES)
		seen[n_seen++] = s;
}

static int read_dump(const char *path, bool launches)
{
	static unsigned char frame[65536];
	uint32_t head[6], rec[4];
	FILE *f = fopen(path, "rb");

	if (!f || fread(head, sizeof(head), 1, f) != 1 || head[0] != 0xa1b2c3d4) {
		fprintf(stderr, "witness: %s is no dump with us\n", path);
		return 1;
	}
	while (fread(rec, sizeof(rec), 1, f) == 1 && rec[2] <= sizeof(frame) && fread(frame, 1, rec[2], f) == rec[2])
		note(frame, rec[2], rec[0] * 1000000ull + rec[1], launches);
	fclose(f);
	return 0;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The frames from `from` on of one way, or of one run. */
static size_t stretch(size_t from, bool launches)
{
	size_t to = from + 1;

	while (to < n_seen && (launches ? seen[to].seq > seen[to - 1].seq : seen[to].way == seen[from].way))
		to++;
	return to;
}

static void tell_trains(size_t from, size_t to, uint32_t n)
{
	double *v = calloc(to - from, sizeof(*v));
	bool in_order = true;
	size_t trains = 0;

	if (!v)
		exit(1);
	for (size_t i = from; i < to; i++)
		in_order &= seen[i].seq == i - from;
	for (size_t i = from; i + n <= to; i += n)
		v[trains++] = (double)(seen[i + n - 1].us - seen[i].us) * 1000 / (n - 1);
	qsort(v, trains, sizeof(*v), ascending);
	printf("{\"bench\":\"wire\",\"mark\":%u,\"frames\":%zu,\"complete_in_order\":%s,\"wire_ns\":%.0f}\n",
	       seen[from].way, to - from, in_order ? "true" : "false", trains ? v[trains / 2] : 0);
	free(v);
}

static double late_us(const struct seen *s)
{
	return (double)(s->us - seen[0].us) - (double)(int64_t)(s->scheduled_ns - seen[0].scheduled_ns) / 1000;
}

static void tell_launches(size_t from, size_t to, double quickest)
{
	size_t n = to - from;
	double *v = calloc(n, sizeof(*v));

	if (!v)
		exit(1);
	for (size_t i = 0; i < n; i++)
		v[i] = late_us(&seen[from + i]) - quickest;
	qsort(v, n, sizeof(*v), ascending);
	printf("{\"bench\":\"wire\",\"frames\":%zu,\"error_us\":{\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}}\n", n,
	       v[n / 2], v[n * 99 / 100], v[n - 1]);
	free(v);
}

int main(int argc, char **argv)
{
	bool launches = argc == 3 && !strcmp(argv[1], "launches");
	double quickest = 0;
	uint32_t n = argc == 4 && !strcmp(argv[1], "trains") ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;

	if (!launches && n < 2) {
		fprintf(stderr, "usage: witness trains N PCAP | witness launches PCAP\n");
		return 2;
	}
	seen = calloc(MAX_FRAMES, sizeof(*seen));
	if (!seen || read_dump(argv[argc - 1], launches))
		return 1;
	for (size_t i = 0; i < n_seen && launches; i++)
		if (late_us(&seen[i]) < quickest)
			quickest = late_us(&seen[i]);
	for (size_t from = 0, to; from < n_seen; from = to) {
		to = stretch(from, launches);
		if (launches)
			tell_launches(from, to, quickest);
		else
			tell_trains(from, to, n);
	}
	free(seen);
	return 0;
}

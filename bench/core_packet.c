/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the packet code costs: parsing, checksums, hashes, building,
 * rewriting. One JSON object a line: the median and the best of several
 * rounds in ns per call. "sum64" adds the same bytes as 64-bit words and drops the carries: what a
 * checksum cannot beat without vector instructions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/checksum.h"
#include "core/hash.h"
#include "core/packet.h"
#include "core/rewrite.h"

#define ROUNDS 301
#define ROUND_NS 5e5

static u8 frame[1600], payload[1500], built[1600];
static struct kt_packet_spec spec;
static struct kt_packet parsed;
static struct kt_rewrite rewrite;
static struct kt_hash_key key = { 1, 2 };
static u32 frame_bytes;
static volatile u64 sink; /* keeps the compiler from dropping what nobody reads */

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static u64 __attribute__((noinline)) sum64(const u8 *p, u32 len)
{
	u64 a = 0, b = 0, v[2];

	for (; len >= 16; len -= 16, p += 16) {
		memcpy(v, p, 16);
		a += v[0];
		b += v[1];
	}
	return a + b;
}

static void run_parse(void)
{
	struct kt_packet p;

	kt_packet_parse(&p, frame, frame_bytes, frame_bytes);
	sink = p.payload_off;
}

static void run_build(void)
{
	sink = (u64)kt_packet_build(&spec, built, sizeof(built));
}

static void run_checksum_20(void)
{
	sink = kt_checksum(frame + 14, 20);
}

static void run_checksum_60(void)
{
	sink = kt_checksum(frame, 60);
}

static void run_checksum_1500(void)
{
	sink = kt_checksum(frame, 1500);
}

static void run_sum64_60(void)
{
	sink = sum64(frame, 60);
}

static void run_sum64_1500(void)
{
	sink = sum64(frame, 1500);
}

static void run_siphash24_40(void)
{
	sink = kt_hash_siphash24(&key, frame, 40);
}

static void run_siphash13_40(void)
{
	sink = kt_hash_siphash13(&key, frame, 40);
}

static void run_rewrite(void)
{
	rewrite.src[3]++;
	sink = kt_rewrite_apply(frame, &parsed, &rewrite);
}

static void run_checksums_ok(void)
{
	sink = kt_packet_checksums_ok(frame, frame_bytes);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double one_round(void (*run)(void), u64 n)
{
	double start = now_ns();

	for (u64 i = 0; i < n; i++)
		run();
	return (now_ns() - start) / (double)n;
}

static void measure(const char *name, void (*run)(void))
{
	double ns[ROUNDS];
	u64 n = (u64)(ROUND_NS / (one_round(run, 10000) + 0.1));

	for (u32 i = 0; i < ROUNDS; i++)
		ns[i] = one_round(run, n);
	qsort(ns, ROUNDS, sizeof(ns[0]), by_value);
	printf("{\"bench\":\"core_packet\",\"name\":\"%s\",\"ns_per_op\":%.2f,\"best_ns\":%.2f,\"rounds\":%d,\"n\":%"
	       "llu}\n",
	       name, ns[ROUNDS / 2], ns[0], ROUNDS, (unsigned long long)n);
	fflush(stdout);
}

/* The frame that the following measurements look at. */
static void use_frame(u8 version, u8 proto, u32 payload_bytes)
{
	memset(&spec, 0, sizeof(spec));
	spec.flow.version = version;
	spec.flow.proto = proto;
	spec.flow.src[0] = 192;
	spec.flow.dst[0] = 198;
	spec.flow.sport = 40000;
	spec.flow.dport = 53;
	spec.payload = payload;
	spec.payload_bytes = payload_bytes;
	frame_bytes = (u32)kt_packet_build(&spec, frame, sizeof(frame));
	kt_packet_parse(&parsed, frame, frame_bytes, frame_bytes);
	rewrite.flags = KT_REWRITE_SRC_MAC | KT_REWRITE_DST_MAC | KT_REWRITE_SRC_IP | KT_REWRITE_TTL;
}

int main(void)
{
	for (u32 i = 0; i < sizeof(payload); i++)
		payload[i] = (u8)(i * 7);
	use_frame(4, KT_PROTO_UDP, 18);
	measure("parse udp4", run_parse);
	measure("build udp4 60", run_build);
	measure("checksums_ok udp4 60", run_checksums_ok);
	measure("rewrite udp4", run_rewrite);
	use_frame(6, KT_PROTO_TCP, 0);
	measure("parse tcp6", run_parse);
	measure("build tcp6 74", run_build);
	measure("rewrite tcp6", run_rewrite);
	use_frame(4, KT_PROTO_UDP, 1472);
	measure("build udp4 1514", run_build);
	measure("checksum 20", run_checksum_20);
	measure("checksum 60", run_checksum_60);
	measure("sum64 60", run_sum64_60);
	measure("checksum 1500", run_checksum_1500);
	measure("sum64 1500", run_sum64_1500);
	measure("siphash24 40", run_siphash24_40);
	measure("siphash13 40", run_siphash13_40);
	return 0;
}

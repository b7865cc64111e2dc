/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What benchmarks write into their frames and bench/witness finds in a dump of the wire: which way it was sent, as the
 * how manyth, and for when. In the host's byte order, behind the UDP header of an IPv4 frame.
 */
#ifndef KT_BENCH_MARK_H
#define KT_BENCH_MARK_H

#include <stdint.h>
#include <string.h>

#define BENCH_MARK_OFF 42
#define BENCH_MARK 0x6b54524eu
/* The module's own probes have no mark, but their number in network order, behind 8 bytes of proof; they go to these ports. */
#define BENCH_TEMPLATE_PORT 4711
#define BENCH_TEMPLATE_DONE_PORT 4712
#define BENCH_TEMPLATE_WAY 1000000 /* and their length */
#define BENCH_TEMPLATE_DONE_WAY 2000000

struct bench_mark {
	uint32_t magic;
	uint32_t way;
	uint32_t seq;
};

static inline void bench_mark(unsigned char *frame, uint32_t way, uint32_t seq)
{
	struct bench_mark m = { BENCH_MARK, way, seq };

	memcpy(frame + BENCH_MARK_OFF, &m, sizeof(m));
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Fuzzes all that reads frames: parser, checksums, slices, rewriting. An
 * input is 8 bytes of parameters and a frame. Besides what the sanitizers see, the
 * promises of the headers are checked: nothing outside caplen, checksums right
 * after they were fixed and still right after a rewrite.
 */
#include <stdlib.h>

#include "../../core/checksum.h"
#include "../../core/packet.h"
#include "../../core/rewrite.h"
#include "../../core/slice.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define PARAMETERS 8

/* A trap keeps the line in the sanitizer's report. */
#define PROMISE(cond) \
	do { \
		if (!(cond)) \
			__builtin_trap(); \
	} while (0)

/* A block of exactly len bytes, so that a read behind it is seen. */
static u8 *exact_copy(const u8 *bytes, u32 len)
{
	u8 *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	memcpy(copy, bytes, len);
	return copy;
}

static void check_offsets(const struct kt_packet *p, u32 cap)
{
	u32 address = p->flow.version == 4 ? 4 : 16;

	PROMISE(p->l3_off <= cap && p->l4_off <= cap && p->payload_off <= cap);
	PROMISE(!p->l4_off || p->l4_off > p->l3_off);
	PROMISE(!p->payload_off || p->payload_off >= p->l4_off);
	PROMISE(!p->final_dst_off || p->final_dst_off + address <= cap);
	PROMISE(p->n_vlans <= KT_MAX_VLANS);
	PROMISE(p->flow.version == 0 || p->flow.version == 4 || p->flow.version == 6);
	if (p->flow.version && !(p->flags & (KT_PKT_TRUNCATED | KT_PKT_MALFORMED)))
		PROMISE(p->payload_off && p->payload_off + p->payload_bytes <= p->l3_off + p->l3_bytes);
	if (!p->flow.version)
		PROMISE(!p->flow.proto && !p->flow.sport && !p->flow.dport && !p->l4_off);
	if (p->flags & KT_PKT_LATER_FRAGMENT)
		PROMISE(!p->flow.sport && !p->flow.dport && !p->l4_off);
}

static void fuzz_parse(const u8 *bytes, u32 len, const u8 *param)
{
	u32 cap = param[0] & 1 ? len - (len ? param[1] % len : 0) : len;
	u8 *frame = exact_copy(bytes, cap);
	struct kt_packet p, quoted;
	int err = kt_packet_parse(&p, frame, cap, param[0] & 2 ? len : cap);

	PROMISE(!err == (cap >= KT_ETH_BYTES));
	check_offsets(&p, cap);
	for (u32 base = 0; base < 5; base++) {
		struct kt_slice s = kt_slice_of(&p, (u8)base, param[2] * 3, param[3], cap);

		PROMISE(s.off <= cap && s.bytes <= cap - s.off);
		PROMISE(!param[3] || s.bytes <= param[3]);
		kt_checksum(frame + s.off, s.bytes);
	}
	if (p.flags & KT_PKT_ICMP_ERROR && p.payload_off) {
		kt_packet_parse_ip(&quoted, frame + p.payload_off, cap - p.payload_off);
		check_offsets(&quoted, cap - p.payload_off);
	}
	free(frame);
	frame = exact_copy(bytes, cap);
	kt_packet_parse_ip(&p, frame, cap);
	check_offsets(&p, cap);
	free(frame);
}

static void fuzz_change(const u8 *bytes, u32 len, const u8 *param)
{
	u8 *frame = exact_copy(bytes, len), *again;
	struct kt_rewrite rw;
	struct kt_packet p;
	u32 done;

	if (!kt_packet_fix_checksums(frame, len)) {
		PROMISE(kt_packet_checksums_ok(frame, len));
		again = exact_copy(frame, len);
		PROMISE(!kt_packet_fix_checksums(again, len) && !memcmp(again, frame, len));
		free(again);
	}
	memset(&rw, param[5], sizeof(rw));
	memcpy(rw.src, param, PARAMETERS);
	rw.dport = kt_get_be16(param + 6);
	rw.flags = param[4];
	if (!kt_packet_parse(&p, frame, len, len)) {
		bool right = kt_packet_checksums_ok(frame, len);

		done = kt_rewrite_apply(frame, &p, &rw);
		PROMISE(!(done & ~rw.flags));
		if (right)
			PROMISE(kt_packet_checksums_ok(frame, len));
		kt_packet_parse(&p, frame, len, len);
		if (done & KT_REWRITE_DPORT)
			PROMISE(p.flow.dport == rw.dport);
	}
	free(frame);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (size < PARAMETERS || size > 0x20000)
		return 0;
	fuzz_parse(data + PARAMETERS, (u32)(size - PARAMETERS), data);
	fuzz_change(data + PARAMETERS, (u32)(size - PARAMETERS), data);
	return 0;
}

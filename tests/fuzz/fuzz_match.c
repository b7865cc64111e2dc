/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Fuzzes what judges answers: an input is one byte of parameters and a frame.
 * Besides what the sanitizers see: whatever the network sends under a key it
 * does not know must not be taken for an answer that carries the whole cookie.
 */
#include <stdlib.h>

#include "../../lib/dns.h"
#include "../../lib/exact.h"
#include "../../lib/probe.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static struct kt_exact *exact;

/* One frame of each protocol is outstanding, so that chains are walked. */
static void remember(const struct ktrxer_probe *p, u8 version)
{
	struct ktrxer_path path = { .src = { .version = version, .bytes = { 10, 0, 0, 1 } } };
	struct ktrxer_addr target = { .version = version, .bytes = { 10, 0, 0, 2 } };
	u8 frame[512];
	int n = ktrxer_probe_build(p, &path, &target, 7, 0, frame, sizeof(frame));

	if (n > 0)
		kt_exact_sent(exact, frame, (u32)n, 1, 0);
}

static void fuzz_exact(const u8 *frame, u32 len)
{
	struct kt_exact_probe probe;
	struct ktrxer_match m;
	struct kt_packet k;

	if (kt_packet_parse(&k, frame, len, len))
		return;
	kt_exact_match(exact, &k, frame, len, 1, &m, &probe);
	kt_exact_sent(exact, frame, len, 2, 1);
}

static void fuzz_dns(const u8 *msg, u32 len)
{
	struct kt_dns_response r;
	struct ktrxer_addr a;

	if (!kt_dns_parse_response(&r, msg, len)) {
		kt_dns_first_address(&r, msg, len, &a);
		kt_dns_is_about(&r, msg, len, (const u8 *)"\1a", 3, 1);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	KTRXER_OPTS(ktrxer_probe, p);
	struct ktrxer_match m;
	u8 *frame;
	u32 len;

	if (size < 1 || size > 4096)
		return 0;
	p.kind = (enum ktrxer_probe_kind)(data[0] & 3);
	p.dport = data[0] & 4 ? 53 : 0;
	p.payload_bytes = p.kind <= KTRXER_PROBE_UDP && data[0] & 8 ? 24 : 0;
	p.dns_name = "a";
	p.key[0] = 0x0123456789abcdefull;
	p.key[1] = 42;
	if (!exact) {
		if (kt_exact_new(&exact, 64, 1000))
			abort();
		for (int kind = 0; kind <= KTRXER_PROBE_DNS; kind++) {
			struct ktrxer_probe one = p;

			one.kind = (enum ktrxer_probe_kind)kind;
			one.dport = 53;
			one.payload_bytes = 0;
			remember(&one, 4);
			remember(&one, 6);
		}
	}
	len = (u32)size - 1;
	frame = malloc(len ? len : 1);
	if (!frame)
		abort();
	memcpy(frame, data + 1, len);
	if (ktrxer_probe_match(&p, frame, len, &m) && m.seq_bits == 64)
		__builtin_trap(); /* somebody found 64 bits of SipHash */
	fuzz_exact(frame, len);
	fuzz_dns(frame, len);
	free(frame);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Matching by memory, for probes whose bytes are not ours: every frame sent is
 * remembered by what its answer must return (addresses, ports, ICMP id and
 * number, ARP addresses) until it is answered and its time is over. Memory is fixed
 * at the start; when more are outstanding the oldest is given up, and counted.
 *
 * Answers are: the reverse of the 5-tuple (TCP: with the right
 * acknowledgement number if one of the probes outstanding has it), an echo reply, an
 * ARP reply, and an ICMP error that quotes the probe.
 */
#ifndef KT_EXACT_H
#define KT_EXACT_H

#include "../core/packet.h"
#include "../include/ktrxer.h"

struct kt_exact;

struct kt_exact_stats {
	u64 remembered;
	u64 answered; /* first answers */
	u64 duplicates; /* further answers to the same probe */
	u64 expired; /* their time ended without an answer */
	u64 evicted; /* given up early, unanswered, because the table was full */
	u32 outstanding; /* remembered now */
};

struct kt_exact_probe {
	u64 id; /* the caller's */
	u64 sent_ns;
	u32 answers; /* so far, this one included */
};

/* capacity: probes remembered at once, 1 to 2^24; timeout_ns: for how long. -EINVAL, -ENOMEM. */
int kt_exact_new(struct kt_exact **x, u32 capacity, u64 timeout_ns);
void kt_exact_free(struct kt_exact *x);

/* Remembers a frame. -EINVAL: no answer to it could be recognised (not IP and not an ARP request). */
int kt_exact_sent(struct kt_exact *x, const u8 *frame, u32 len, u64 id, u64 now_ns);

/* Is the frame the answer to a probe that is remembered? k: the frame parsed. m as ktrxer_probe_match() fills it, seq = id. */
enum ktrxer_answer kt_exact_match(struct kt_exact *x, const struct kt_packet *k, const u8 *frame, u32 caplen,
				  u64 now_ns, struct ktrxer_match *m, struct kt_exact_probe *probe);

/* Forgets one probe whose time is over; true and *probe if it had no answer. Call until false. */
bool kt_exact_expire(struct kt_exact *x, u64 now_ns, struct kt_exact_probe *probe);

void kt_exact_get_stats(const struct kt_exact *x, struct kt_exact_stats *stats);

#endif

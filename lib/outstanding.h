/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What is known of the probes sent last, in a ring indexed by their numbers:
 * fixed memory, whatever the rate. When tracking is asked for, every probe stays until it
 * is answered and over, or is given up (counted) because the ring is full; otherwise
 * the ring is a memory of launch times that simply forgets the oldest.
 */
#ifndef KT_OUTSTANDING_H
#define KT_OUTSTANDING_H

#include "../core/env.h"
#include "../include/ktrxer.h"

enum kt_probe_state {
	KT_PROBE_FREE = 0,
	KT_PROBE_PENDING, /* given to the sender */
	KT_PROBE_SENT,
	KT_PROBE_ENDED, /* not sent, or over */
};

struct kt_probe_entry {
	u64 seq;
	u64 number; /* of the target */
	u64 scheduled_ns; /* launch clock */
	u64 launch_ns;
	u64 returned_ns;
	u32 round; /* which probe to that target, from 0 */
	u32 answers;
	u32 attempts; /* of launching */
	u16 port;
	u8 tries; /* probes sent before for the same round, unanswered */
	u8 state; /* enum kt_probe_state */
	bool nic_launched; /* launch_ns is not of our measuring */
	struct ktrxer_addr addr;
};

struct kt_outstanding {
	struct kt_probe_entry *ring;
	u32 *by_target; /* hash of address and port -> low bits of the latest seq + 1; 0: none; NULL: not kept */
	u32 mask;
	u64 first; /* oldest seq that may still be in the ring */
	u64 next; /* next seq to be given out */
	u64 evicted; /* given up unanswered, because their place was needed */
};

/*
 * bits: 2^bits probes, 10 to 22; about 100 bytes each. by_target: answers may come without a number
 * (kt_outstanding_find() by the target alone). 0 or -ENOMEM.
 */
int kt_outstanding_init(struct kt_outstanding *o, u32 bits, bool by_target);
void kt_outstanding_free(struct kt_outstanding *o);

/* The place for the next number, its seq, target and state set; what was in it is overwritten. */
struct kt_probe_entry *kt_outstanding_add(struct kt_outstanding *o, const struct ktrxer_addr *addr, u16 port);

/* Would the next number overwrite a probe that is not over? */
bool kt_outstanding_full(const struct kt_outstanding *o);

/* The entry of a full number, or NULL when it is forgotten or was never given out. */
static inline struct kt_probe_entry *kt_outstanding_get(struct kt_outstanding *o, u64 seq)
{
	struct kt_probe_entry *e = &o->ring[seq & o->mask];

	return seq < o->next && e->seq == seq && e->state != KT_PROBE_FREE ? e : NULL;
}

/*
 * The probe that a match speaks of: by all of seq, by its low bits and the
 * target, or by the target alone (then the oldest without an answer, as far as a bounded search sees).
 */
struct kt_probe_entry *kt_outstanding_find(struct kt_outstanding *o, const struct ktrxer_match *m);

/* The oldest entry, if it is over at now_ns (launched before now_ns - timeout_ns, or ended); takes it out. */
struct kt_probe_entry *kt_outstanding_expire(struct kt_outstanding *o, u64 now_ns, u64 timeout_ns);

#endif

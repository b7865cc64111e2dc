/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The ring of probes sent last. */
#include <stdlib.h>

#include "../core/hash.h"
#include "outstanding.h"

#define SEARCH_LIMIT 1024

int kt_outstanding_init(struct kt_outstanding *o, u32 bits, bool by_target)
{
	memset(o, 0, sizeof(*o));
	o->mask = (1u << bits) - 1;
	o->ring = calloc((size_t)o->mask + 1, sizeof(*o->ring));
	o->by_target = by_target ? calloc((size_t)o->mask + 1, sizeof(*o->by_target)) : NULL;
	if (o->ring && (o->by_target || !by_target))
		return 0;
	kt_outstanding_free(o);
	return -ENOMEM;
}

void kt_outstanding_free(struct kt_outstanding *o)
{
	free(o->ring);
	free(o->by_target);
	memset(o, 0, sizeof(*o));
}

static u32 *slot_of(struct kt_outstanding *o, const struct ktrxer_addr *addr, u16 port)
{
	u64 a = kt_get_be64(addr->bytes), b = kt_get_be64(addr->bytes + 8);

	return &o->by_target[(u32)kt_hash_mix64(kt_hash_mix64(a ^ port) ^ b) & o->mask];
}

bool kt_outstanding_full(const struct kt_outstanding *o)
{
	return o->next - o->first > o->mask;
}

struct kt_probe_entry *kt_outstanding_add(struct kt_outstanding *o, const struct ktrxer_addr *addr, u16 port)
{
	u64 seq = o->next++;
	struct kt_probe_entry *e = &o->ring[seq & o->mask];

	if (seq - o->first > o->mask) {
		o->evicted += e->state != KT_PROBE_ENDED && !e->answers;
		o->first++;
	}
	*e = (struct kt_probe_entry){ .seq = seq, .state = KT_PROBE_PENDING, .addr = *addr, .port = port };
	if (o->by_target)
		*slot_of(o, addr, port) = (u32)(seq & o->mask) + 1;
	return e;
}

static bool is_for(const struct kt_probe_entry *e, const struct ktrxer_match *m)
{
	return e->state != KT_PROBE_FREE && e->port == m->port && e->addr.version == m->target.version &&
	       !memcmp(e->addr.bytes, m->target.bytes, 16);
}

/* The youngest to that target whose number ends in those 16 bits. */
static struct kt_probe_entry *find_low_bits(struct kt_outstanding *o, const struct ktrxer_match *m)
{
	u64 oldest = o->next > (u64)o->mask + 1 ? o->next - o->mask - 1 : 0;
	u64 seq = (o->next & ~0xffffull) | (m->seq & 0xffff);

	if (seq >= o->next) {
		if (seq < 65536)
			return NULL;
		seq -= 65536;
	}
	for (; seq >= oldest; seq -= 65536) {
		struct kt_probe_entry *e = kt_outstanding_get(o, seq);

		if (e && is_for(e, m))
			return e;
		if (seq < 65536)
			break;
	}
	return NULL;
}

static struct kt_probe_entry *find_target(struct kt_outstanding *o, const struct ktrxer_match *m)
{
	u32 latest = o->by_target ? *slot_of(o, &m->target, m->port) : 0;
	struct kt_probe_entry *e = latest ? &o->ring[latest - 1] : NULL, *last = NULL;

	if (e && is_for(e, m))
		last = e;
	for (u64 seq = o->first; seq < o->next && seq - o->first < SEARCH_LIMIT; seq++) {
		e = kt_outstanding_get(o, seq);
		if (e && is_for(e, m) && e->state != KT_PROBE_ENDED) {
			if (!e->answers)
				return e;
			last = e;
		}
	}
	return last;
}

struct kt_probe_entry *kt_outstanding_find(struct kt_outstanding *o, const struct ktrxer_match *m)
{
	struct kt_probe_entry *e;

	if (!m->seq_bits)
		return find_target(o, m);
	if (m->seq_bits < 64)
		return find_low_bits(o, m);
	e = kt_outstanding_get(o, m->seq);
	return e && is_for(e, m) ? e : NULL;
}

struct kt_probe_entry *kt_outstanding_expire(struct kt_outstanding *o, u64 now_ns, u64 timeout_ns)
{
	struct kt_probe_entry *e;

	if (o->first == o->next)
		return NULL;
	e = &o->ring[o->first & o->mask];
	if (e->state == KT_PROBE_PENDING || (e->state == KT_PROBE_SENT && now_ns < e->launch_ns + timeout_ns))
		return NULL;
	o->first++;
	return e;
}

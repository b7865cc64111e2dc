/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * ARP and neighbour discovery for many next hops at once, before they are
 * needed: questions leave at a bounded rate, each is asked again when it gets
 * no answer, and up to some thousands wait for theirs in fixed memory. The
 * kernel's table, which has room for about a thousand, has no part in it.
 *
 * Hops are taken out in about the order in which they were put in: what was
 * put in before one that is taken is forgotten with it.
 */
#ifndef KT_NEIGH_AHEAD_H
#define KT_NEIGH_AHEAD_H

#include "../core/env.h"
#include "../include/ktrxer.h"

#define KT_NEIGH_AHEAD_MAX 4096u /* hops at a time; some 200 kB */

struct kt_neigh_ahead;

/* Opens its sockets where the calling thread is. -EXDEV: that is not where this interface is; or -errno. */
int kt_neigh_ahead_new(struct kt_neigh_ahead **a, u32 ifindex, const char *ifname, const u8 mac[6]);
void kt_neigh_ahead_free(struct kt_neigh_ahead *a);

bool kt_neigh_ahead_empty(const struct kt_neigh_ahead *a);
/* May another hop be put in, as far as room and rate go? */
bool kt_neigh_ahead_ready(const struct kt_neigh_ahead *a, u64 now_ns);
/* Asks for hop from src. Nothing happens if it is in already. now_ns: CLOCK_MONOTONIC, as everywhere here. */
void kt_neigh_ahead_put(struct kt_neigh_ahead *a, const struct ktrxer_addr *src, const struct ktrxer_addr *hop,
			u64 now_ns);
/* Hears answers, and asks those again that have not answered. 0 or -errno of the sockets: nobody can be asked. */
int kt_neigh_ahead_turn(struct kt_neigh_ahead *a, u64 now_ns);
/* Sleeps until there is an answer, or until until_ns. */
void kt_neigh_ahead_wait(struct kt_neigh_ahead *a, u64 until_ns);
/* 0 with mac and -EHOSTUNREACH (silent) take it out; -EAGAIN: it may still answer; -ENOENT: it is not in. */
int kt_neigh_ahead_take(struct kt_neigh_ahead *a, const struct ktrxer_addr *hop, u64 now_ns, u8 mac[6]);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Routes through a gateway, known for whole blocks of targets, so that a scan
 * does not ask for each. A block is the widest one around a target in which no
 * route of any table and no rule has a border: all of it matches the same. What
 * the kernel announces (routes, rules, addresses, links) ends all blocks.
 *
 * Not kept, so asked for each time: targets on the link, routes with several
 * next hops, tables of many routes, other network namespaces. What the kernel learnt about one
 * target of a block (RFC 1191, redirects) is not seen for that one.
 */
#ifndef KT_PATHBLOCK_H
#define KT_PATHBLOCK_H

#include "neigh.h"

struct kt_pathblocks;

struct kt_pathblock {
	struct ktrxer_addr addr; /* of the target that it was learnt from */
	u32 bits; /* how many of its bits all of the block share */
	struct kt_route route;
	struct ktrxer_path path; /* the caller's, as is path_age: 0 when the block is new */
	u64 path_age;
};

/* nl: kt_netlink_open(), asked in its namespace. NULL: no memory, or the kernel does not tell us of changes there. */
struct kt_pathblocks *kt_pathblocks_new(int nl, u32 ifindex);
void kt_pathblocks_free(struct kt_pathblocks *b);

/*
 * Before each question. Hears what the kernel announced, not more often than each tick of the kernel; true: a neighbour may have
 * changed, and what is known of them must be asked again.
 */
bool kt_pathblocks_hear(struct kt_pathblocks *b);

/* The block of a target, if it is known. Until the next kt_pathblocks_hear() or kt_pathblocks_learn(). */
struct kt_pathblock *kt_pathblocks_find(struct kt_pathblocks *b, const struct ktrxer_addr *target);
/* Learns the block of a target from its route, which was asked for after the last kt_pathblocks_hear(). */
void kt_pathblocks_learn(struct kt_pathblocks *b, const struct ktrxer_addr *target, const struct kt_route *r);

#endif

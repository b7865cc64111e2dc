/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Who is the next hop: routes and neighbours as the kernel knows them, and
 * ARP or neighbour discovery of our own where it may not be asked to resolve.
 */
#ifndef KT_NEIGH_H
#define KT_NEIGH_H

#include "../core/env.h"
#include "../include/ktrxer.h"

struct kt_route {
	u8 type; /* RTN_UNICAST … */
	u32 ifindex; /* of the interface it leaves through */
	struct ktrxer_addr src; /* version 0: the interface has no address to send from */
	struct ktrxer_addr next_hop; /* the target itself when on-link */
	u32 mtu; /* of the route; 0: the interface's */
};

/* nl: kt_netlink_open(). ifindex 0: by any interface. 0, or -ENETUNREACH and the like as routing says. */
int kt_route_find(int nl, u32 ifindex, const struct ktrxer_addr *target, struct kt_route *r);

/* True when the route of a target is the table's own: nothing that the kernel learnt about this target alone. */
bool kt_route_is_plain(int nl, u32 ifindex, const struct ktrxer_addr *target, const struct kt_route *r);

/* 0 with mac, -EAGAIN being resolved, -EHOSTUNREACH it does not answer, -ENOENT nobody has asked yet. */
int kt_neigh_get(int nl, u32 ifindex, const struct ktrxer_addr *hop, u8 mac[6]);

/* Makes the kernel ask for the neighbour, without a packet to it. -EPERM: needs CAP_NET_ADMIN. */
int kt_neigh_trigger(int nl, u32 ifindex, const struct ktrxer_addr *hop);

/* The frame that asks for a neighbour's MAC address: its length, or -errno. */
int kt_neigh_question(u8 *buf, u32 cap, const u8 src_mac[6], const struct ktrxer_addr *src,
		      const struct ktrxer_addr *hop);
/* Does a frame tell a neighbour's MAC address, by ARP (version 4) or neighbour discovery (6)? Whose and which. */
bool kt_neigh_answer(const u8 *f, u32 len, u8 version, struct ktrxer_addr *whose, u8 mac[6]);

/*
 * Asks on the wire ourselves, from src_mac and src, until timeout_ns of
 * CLOCK_MONOTONIC have passed. 0, -EHOSTUNREACH, or -errno of the socket.
 */
int kt_neigh_ask(u32 ifindex, const u8 src_mac[6], const struct ktrxer_addr *src, const struct ktrxer_addr *hop,
		 u64 timeout_ns, u8 mac[6]);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Header fields of a forwarded frame changed in place, checksums updated
 * incrementally: the IPv4 header's and the one of TCP, UDP or ICMPv6 with its
 * pseudo header. A UDP checksum of 0 ("none") stays 0; a source-routed
 * packet's checksum covers the final destination, so that a new next hop leaves it alone.
 */
#ifndef KT_REWRITE_H
#define KT_REWRITE_H

#include "packet.h"
#include "rules.h"

/*
 * Any context. p is what kt_packet_parse() said about this frame; it is not
 * updated. Returns which of rw->flags were carried out: MACs always; fields
 * of the IP header when all headers are whole (p->payload_off), addresses of
 * the packet's own version; ports of TCP and UDP, except in later fragments,
 * which have none.
 */
u32 kt_rewrite_apply(u8 *frame, const struct kt_packet *p, const struct kt_rewrite *rw);

#endif

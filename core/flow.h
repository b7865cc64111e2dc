/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a rule can look at: the 5-tuple and where the frame came in. The
 * parser fills it, the classifier and the probe matcher read it.
 */
#ifndef KT_FLOW_H
#define KT_FLOW_H

#include "env.h"

#define KT_PROTO_ICMP 1
#define KT_PROTO_TCP 6
#define KT_PROTO_UDP 17
#define KT_PROTO_ICMPV6 58

/*
 * Addresses in network order. IPv4 occupies the first four bytes, the other
 * twelve are zero. Ports, ethertype and ifindex are in host order. ICMP and
 * ICMPv6 put (type << 8 | code) into dport and zero into sport. A fragment
 * other than the first has both ports zero. Not IP: version, proto, addresses
 * and ports are zero. The layout has no padding, so it can be hashed whole.
 */
struct kt_flow {
	u8 src[16];
	u8 dst[16];
	u16 sport;
	u16 dport;
	u8 proto; /* transport protocol behind all IPv6 extension headers */
	u8 version; /* 4, 6, or 0 when the frame is not IP */
	u16 ethertype; /* innermost, behind all VLAN tags */
	u32 ifindex; /* receiving interface, 0 when unknown */
};

#endif

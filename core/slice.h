/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which bytes of a captured frame a rule delivers. A layer that the frame
 * does not have is replaced by the deepest one above it that it has: a
 * "payload" slice of an ARP frame starts at its network layer, a "transport"
 * slice of a later fragment at its IP header, which says what it is a part of.
 * Link padding belongs to the link layer only. Nothing to deliver is a slice
 * of zero bytes, not an error.
 */
#ifndef KT_SLICE_H
#define KT_SLICE_H

#include "packet.h"
#include "rules.h"

struct kt_slice {
	u32 off; /* from the start of the frame; at most caplen */
	u32 bytes; /* off + bytes is at most caplen */
};

/*
 * Any context, BPF programs too. off counts from the layer's start; bytes = 0
 * means all that follows. *p is of this frame: none of its offsets is behind caplen.
 */
static inline struct kt_slice kt_slice_of(const struct kt_packet *p, u8 base, u32 off, u32 bytes, u32 caplen)
{
	struct kt_slice s = { 0, 0 };
	u32 end = caplen;

	if (base >= KT_SLICE_NETWORK && p->l3_off) {
		s.off = p->l3_off;
		if (p->l3_bytes < caplen - s.off)
			end = s.off + p->l3_bytes;
		if (base >= KT_SLICE_TRANSPORT && p->l4_off)
			s.off = p->l4_off;
		if (base >= KT_SLICE_PAYLOAD && p->payload_off) {
			s.off = p->payload_off;
			if (p->payload_bytes < caplen - s.off)
				end = s.off + p->payload_bytes;
		}
	}
	if (end < s.off)
		end = s.off; /* a malformed datagram that ends inside its own header */
	s.bytes = end - s.off;
	if (off > s.bytes)
		off = s.bytes;
	s.off += off;
	s.bytes -= off;
	if (bytes && bytes < s.bytes)
		s.bytes = bytes;
	return s;
}

#endif

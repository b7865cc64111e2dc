/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Probes fast: a frame of the series built once, and per probe only the
 * fields that differ, with checksums continued from the sums of the rest. What it
 * writes equals the library's ktrxer_probe_build() byte for byte.
 */
#ifndef KT_TEMPLATE_H
#define KT_TEMPLATE_H

#include "packet.h"
#include "series.h"

#define KT_TEMPLATE_MAX_FRAME (KT_ETH_BYTES + 2 * KT_VLAN_BYTES + 40 + 24 + KT_SERIES_MAX_PAYLOAD)

struct kt_template {
	struct kt_series series;
	u8 src[16];
	u8 version;
	u16 dns_id_off; /* in the frame; 0 for other kinds */
	u32 len;
	u32 l3;
	u32 l4;
	u32 l4_check; /* offset of the transport checksum */
	u64 l3_sum; /* of all that does not change */
	u64 l4_sum; /* pseudo header included */
	u16 port; /* of hash */
	struct kt_sip hash; /* of the proof, up to where the target begins */
	u8 target[16]; /* of last */
	u64 last; /* the whole hash, if has_last: of the target before, as many go to one */
	struct kt_sip mac; /* of the payload's proof, up to where the number begins; of last, whether has_last or not */
	bool has_last;
	u8 frame[KT_TEMPLATE_MAX_FRAME];
};

/*
 * From the frame of any one probe of the series, link header included, to whatever target. Copies what it needs. -EINVAL
 * when the frame is not one: another protocol, IP options or extension headers, a fragment, lengths that do not
 * agree, or a series that does not exist.
 */
int kt_template_init(struct kt_template *t, const struct kt_series *s, const u8 *frame, u32 len);

/* Another neighbour, all else being equal. */
static inline void kt_template_set_next_hop(struct kt_template *t, const u8 mac[6])
{
	memcpy(t->frame, mac, 6);
}

/*
 * Writes probe seq to a target, an address of the template's version, into
 * buf (t->len bytes) and returns t->len. port: the target's; 0: the series'.
 */
u32 kt_template_fill(struct kt_template *t, const u8 *target, u16 port, u64 seq, u64 now_ns, u8 *buf);

/* The same into a buffer that holds another probe of this template, all of it as it was written: writes what differs. */
u32 kt_template_refill(struct kt_template *t, const u8 *target, u16 port, u64 seq, u64 now_ns, u8 *buf);

#endif

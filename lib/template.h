/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Probes fast: a frame of the series built once, and per probe only the
 * fields that differ, with checksums continued from the sums of the rest. What it
 * writes equals ktrxer_probe_build() byte for byte.
 */
#ifndef KT_TEMPLATE_H
#define KT_TEMPLATE_H

#include "probe.h"

#define KT_TEMPLATE_MAX_FRAME (KT_ETH_BYTES + 2 * KT_VLAN_BYTES + 40 + 24 + KT_PROBE_MAX_PAYLOAD)

struct kt_template {
	struct ktrxer_probe probe;
	struct ktrxer_addr src;
	u8 version;
	u16 dns_id_off; /* in the frame; 0 for other kinds */
	u32 len;
	u32 l3;
	u32 l4;
	u32 l4_check; /* offset of the transport checksum */
	u64 l3_sum; /* of all that does not change */
	u64 l4_sum; /* pseudo header included */
	u8 frame[KT_TEMPLATE_MAX_FRAME];
};

/* Copies what it needs, but for p->dns_name. 0, or what ktrxer_probe_build() says. */
int kt_template_init(struct kt_template *t, const struct ktrxer_probe *p, const struct ktrxer_path *path);

/* Another neighbour, all else being equal. */
static inline void kt_template_set_next_hop(struct kt_template *t, const u8 mac[6])
{
	memcpy(t->frame, mac, 6);
}

/*
 * Writes probe seq to a target of the template's version into buf (t->len
 * bytes) and returns t->len. port: the target's; 0: the series'. Any thread.
 */
u32 kt_template_fill(const struct kt_template *t, const struct ktrxer_addr *target, u16 port, u64 seq, u64 now_ns,
		     u8 *buf);

#endif

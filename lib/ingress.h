/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Who sees arriving packets before netfilter's ingress hook, where the module stands in front of all others. */
#ifndef KT_INGRESS_H
#define KT_INGRESS_H

#include "iface.h"

enum kt_ingress {
	KT_INGRESS_XDP = 1 << 0, /* an XDP program, in the driver or generic */
	KT_INGRESS_TC = 1 << 1, /* filters of a qdisc ingress or clsact */
	KT_INGRESS_TCX = 1 << 2, /* BPF programs attached to tcx (Linux 6.6) */
};

/*
 * Of an interface in the current network namespace; what cannot be found out (tcx needs CAP_NET_ADMIN or CAP_BPF) is not
 * told. bits: enum kt_ingress.
 */
u32 kt_ingress_earlier(const struct kt_iface *f);

#endif

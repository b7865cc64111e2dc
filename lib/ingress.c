/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The kernel asks in this order: XDP, packet taps (which decide nothing), tcx, tc, netfilter's ingress hook. */
#include <linux/bpf.h>
#include <linux/pkt_sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ingress.h"
#include "netlink.h"

#define TCX_INGRESS 46u /* BPF_TCX_INGRESS, which older headers do not have */

static int found(const struct nlmsghdr *h, void *ctx)
{
	bool *any = ctx;

	*any |= h->nlmsg_type == RTM_NEWTFILTER;
	return 0;
}

/* This parent means the arriving packets of either qdisc. */
static bool has_filters(u32 ifindex)
{
	struct kt_netlink_req r;
	struct tcmsg *t = kt_netlink_start(&r, RTM_GETTFILTER, NLM_F_DUMP, sizeof(*t));
	int nl = kt_netlink_open();
	bool any = false;

	if (nl < 0)
		return false;
	t->tcm_family = AF_UNSPEC;
	t->tcm_ifindex = (int)ifindex;
	t->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	/* A kernel without tc refuses, and has none. */
	(void)kt_netlink_ask(nl, &r, found, &any);
	close(nl);
	return any;
}

static bool has_tcx(u32 ifindex)
{
	union bpf_attr a;

	memset(&a, 0, sizeof(a));
	a.query.target_fd = ifindex; /* in a union with target_ifindex */
	a.query.attach_type = TCX_INGRESS;
	return !syscall(SYS_bpf, BPF_PROG_QUERY, &a, sizeof(a.query)) && a.query.prog_cnt;
}

u32 kt_ingress_earlier(const struct kt_iface *f)
{
	return (f->xdp ? KT_INGRESS_XDP : 0u) | (has_filters(f->index) ? KT_INGRESS_TC : 0u) |
	       (has_tcx(f->index) ? KT_INGRESS_TCX : 0u);
}

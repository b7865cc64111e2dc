/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Routes and neighbours by netlink. */
#include <linux/neighbour.h>
#include <string.h>
#include <sys/socket.h>

#include "neigh.h"
#include "netlink.h"

#ifndef RTM_F_FIB_MATCH
#define RTM_F_FIB_MATCH 0x2000 /* Linux 4.13 */
#endif

static u8 family_of(const struct ktrxer_addr *a)
{
	return a->version == 4 ? AF_INET : AF_INET6;
}

static u32 bytes_of(const struct ktrxer_addr *a)
{
	return a->version == 4 ? 4 : 16;
}

static void set_addr(struct ktrxer_addr *a, u8 family, const void *bytes, size_t n)
{
	memset(a, 0, sizeof(*a));
	if ((family == AF_INET && n < 4) || (family == AF_INET6 && n < 16))
		return;
	a->version = family == AF_INET ? 4 : 6;
	memcpy(a->bytes, bytes, bytes_of(a));
}

static int read_route(const struct nlmsghdr *h, void *ctx)
{
	const struct rtmsg *m = kt_netlink_body(h);
	const struct rtattr *a[RTA_VIA + 1], *metrics[RTAX_MTU + 1] = { NULL };
	struct kt_route *r = ctx;

	if (h->nlmsg_type != RTM_NEWROUTE || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return -EPROTO;
	kt_netlink_attrs(h, sizeof(*m), a, RTA_VIA);
	r->type = m->rtm_type;
	r->ifindex = kt_netlink_u32(a[RTA_OIF]);
	if (a[RTA_PREFSRC])
		set_addr(&r->src, m->rtm_family, kt_netlink_data(a[RTA_PREFSRC]), kt_netlink_bytes(a[RTA_PREFSRC]));
	if (a[RTA_GATEWAY]) {
		set_addr(&r->next_hop, m->rtm_family, kt_netlink_data(a[RTA_GATEWAY]),
			 kt_netlink_bytes(a[RTA_GATEWAY]));
	} else if (a[RTA_VIA] && kt_netlink_bytes(a[RTA_VIA]) > sizeof(struct rtvia)) {
		/* an IPv4 route by way of an IPv6 neighbour (RFC 5549) */
		const struct rtvia *via = kt_netlink_data(a[RTA_VIA]);

		set_addr(&r->next_hop, (u8)via->rtvia_family, via->rtvia_addr,
			 kt_netlink_bytes(a[RTA_VIA]) - sizeof(*via));
	}
	if (a[RTA_METRICS])
		kt_netlink_nested(a[RTA_METRICS], metrics, RTAX_MTU);
	r->mtu = kt_netlink_u32(metrics[RTAX_MTU]);
	return 0;
}

static int ask_route(int nl, u32 ifindex, const struct ktrxer_addr *target, u32 flags, struct kt_route *r)
{
	struct kt_netlink_req q;
	struct rtmsg *m = kt_netlink_start(&q, RTM_GETROUTE, 0, sizeof(*m));

	m->rtm_family = family_of(target);
	m->rtm_dst_len = (u8)(bytes_of(target) * 8);
	m->rtm_flags = flags;
	kt_netlink_put(&q, RTA_DST, target->bytes, bytes_of(target));
	if (ifindex)
		kt_netlink_put(&q, RTA_OIF, &ifindex, sizeof(ifindex));
	memset(r, 0, sizeof(*r));
	set_addr(&r->next_hop, family_of(target), target->bytes, bytes_of(target));
	return kt_netlink_ask(nl, &q, read_route, r);
}

int kt_route_find(int nl, u32 ifindex, const struct ktrxer_addr *target, struct kt_route *r)
{
	struct kt_route match;
	int ret = ask_route(nl, ifindex, target, 0, r);

	if (ret)
		return ret;
	/* IPv6 answers with an error as the type of the route. */
	if (r->type == RTN_UNREACHABLE || r->type == RTN_BLACKHOLE || r->type == RTN_PROHIBIT)
		return -ENETUNREACH;
	/* With an interface given and no route, IPv4 assumes that everybody is on that link. We want a real route. */
	if (ifindex && target->version == 4 && r->type == RTN_UNICAST && !memcmp(r->next_hop.bytes, target->bytes, 4) &&
	    ask_route(nl, ifindex, target, RTM_F_FIB_MATCH, &match))
		return -ENETUNREACH;
	return 0;
}

bool kt_route_is_plain(int nl, u32 ifindex, const struct ktrxer_addr *target, const struct kt_route *r)
{
	struct kt_route match;

	return !ask_route(nl, ifindex, target, RTM_F_FIB_MATCH, &match) && match.mtu == r->mtu &&
	       !memcmp(&match.next_hop, &r->next_hop, sizeof(match.next_hop));
}

struct neigh {
	u32 ifindex;
	const struct ktrxer_addr *hop;
	bool found;
	u16 state;
	bool has_mac;
	u8 mac[6];
};

static int read_neigh(const struct nlmsghdr *h, void *ctx)
{
	const struct ndmsg *m = kt_netlink_body(h);
	const struct rtattr *a[NDA_LLADDR + 1];
	struct neigh *n = ctx;

	if (h->nlmsg_type != RTM_NEWNEIGH || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return -EPROTO;
	kt_netlink_attrs(h, sizeof(*m), a, NDA_LLADDR);
	if ((u32)m->ndm_ifindex != n->ifindex || m->ndm_family != family_of(n->hop) || !a[NDA_DST] ||
	    kt_netlink_bytes(a[NDA_DST]) < bytes_of(n->hop) ||
	    memcmp(kt_netlink_data(a[NDA_DST]), n->hop->bytes, bytes_of(n->hop)))
		return 0; /* another one, in a dump */
	n->found = true;
	n->state = m->ndm_state;
	n->has_mac = a[NDA_LLADDR] && kt_netlink_bytes(a[NDA_LLADDR]) == 6;
	if (n->has_mac)
		memcpy(n->mac, kt_netlink_data(a[NDA_LLADDR]), 6);
	return 0;
}

int kt_neigh_get(int nl, u32 ifindex, const struct ktrxer_addr *hop, u8 mac[6])
{
	struct kt_netlink_req q;
	struct ndmsg *m = kt_netlink_start(&q, RTM_GETNEIGH, 0, sizeof(*m));
	struct neigh n = { .ifindex = ifindex, .hop = hop };
	int ret;

	m->ndm_family = family_of(hop);
	m->ndm_ifindex = (int)ifindex;
	kt_netlink_put(&q, NDA_DST, hop->bytes, bytes_of(hop));
	ret = kt_netlink_ask(nl, &q, read_neigh, &n);
	if (ret == -EOPNOTSUPP) { /* before Linux 5.0 only whole tables can be asked for */
		m = kt_netlink_start(&q, RTM_GETNEIGH, NLM_F_DUMP, sizeof(*m));
		m->ndm_family = family_of(hop);
		ret = kt_netlink_ask(nl, &q, read_neigh, &n);
	}
	if (ret)
		return ret;
	if (!n.found)
		return -ENOENT;
	if (n.state & NUD_FAILED)
		return -EHOSTUNREACH;
	if (!n.has_mac || !(n.state & (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE)))
		return -EAGAIN;
	memcpy(mac, n.mac, 6);
	return 0;
}

int kt_neigh_trigger(int nl, u32 ifindex, const struct ktrxer_addr *hop)
{
	struct kt_netlink_req q;
	struct ndmsg *m = kt_netlink_start(&q, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_ACK, sizeof(*m));

	m->ndm_family = family_of(hop);
	m->ndm_ifindex = (int)ifindex;
	m->ndm_flags = NTF_USE;
	kt_netlink_put(&q, NDA_DST, hop->bytes, bytes_of(hop));
	return kt_netlink_ask(nl, &q, NULL, NULL);
}

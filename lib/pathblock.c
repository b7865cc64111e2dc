/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Blocks of targets that one route through a gateway serves: found by dumps of routes and rules, ended by announcements. */
#include <linux/fib_rules.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"
#include "pathblock.h"
#include "port.h"

#define MAX_BLOCKS 1024u
#define MAX_ROUTES 10000u /* a dump of more takes too long to be repeated for each block */
/* No wider than this, whatever the tables say: IPv6 source addresses are also chosen by label (RFC 6724). */
#define MIN_BITS_V6 32u
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif

struct kt_pathblocks {
	int nl; /* the owner's */
	int news; /* announcements come here */
	u32 ifindex;
	u64 heard_ns; /* CLOCK_MONOTONIC_COARSE */
	bool never; /* routes are too many or have several next hops */
	u32 n;
	u32 latest; /* where the last target was */
	struct kt_pathblock v[MAX_BLOCKS]; /* disjoint, ascending by version and address */
};

/* Dump in progress: the borders around one target. */
struct borders {
	const struct ktrxer_addr *target;
	u32 bits;
	u32 routes;
	bool several_hops;
};

static u8 family_of(const struct ktrxer_addr *a)
{
	return a->version == 4 ? AF_INET : AF_INET6;
}

static u32 common_bits(const u8 *a, const u8 *b, u32 max)
{
	u32 n = 0;

	while (n + 8 <= max && a[n / 8] == b[n / 8])
		n += 8;
	while (n < max && !((a[n / 8] ^ b[n / 8]) & (0x80 >> n % 8)))
		n++;
	return n;
}

/* A prefix around the target holds the whole block; another one must stay outside of it. */
static void border(struct borders *b, const struct rtattr *dst, u32 plen)
{
	u32 bits;

	if (!plen || !dst || kt_netlink_bytes(dst) * 8 < plen || plen > (b->target->version == 4 ? 32 : 128))
		return;
	bits = common_bits(kt_netlink_data(dst), b->target->bytes, plen);
	bits += bits < plen;
	b->bits = bits > b->bits ? bits : b->bits;
}

static int read_border(const struct nlmsghdr *h, void *ctx)
{
	const struct rtattr *a[RTA_NH_ID + 1];
	struct borders *b = ctx;

	if (h->nlmsg_type == RTM_NEWROUTE && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg))) {
		const struct rtmsg *m = kt_netlink_body(h);

		kt_netlink_attrs(h, sizeof(*m), a, RTA_NH_ID);
		if (m->rtm_family != family_of(b->target))
			return 0;
		b->routes++;
		b->several_hops |= a[RTA_MULTIPATH] || a[RTA_NH_ID];
		border(b, a[RTA_DST], m->rtm_dst_len);
	} else if (h->nlmsg_type == RTM_NEWRULE && h->nlmsg_len >= NLMSG_LENGTH(sizeof(struct fib_rule_hdr))) {
		const struct fib_rule_hdr *m = kt_netlink_body(h);

		kt_netlink_attrs(h, sizeof(*m), a, RTA_NH_ID);
		if (m->family == family_of(b->target))
			border(b, a[FRA_DST], m->dst_len);
	}
	return 0;
}

static int dump(int nl, u16 type, struct borders *b)
{
	struct kt_netlink_req q;
	/* struct fib_rule_hdr is as large, and both begin with the family */
	struct rtmsg *m = kt_netlink_start(&q, type, NLM_F_DUMP, sizeof(*m));

	m->rtm_family = family_of(b->target);
	return kt_netlink_ask(nl, &q, read_border, b);
}

/* --- Announcements ------------------------------------------------------------------------ */

static bool same_namespace(int a, int b)
{
	u64 x = 0, y = 1;
	socklen_t n = sizeof(x);

	return !getsockopt(a, SOL_SOCKET, SO_NETNS_COOKIE, &x, &n) &&
	       !getsockopt(b, SOL_SOCKET, SO_NETNS_COOKIE, &y, &n) && x == y;
}

static int open_news(void)
{
	static const int groups[] = { RTNLGRP_LINK,	 RTNLGRP_NEIGH,	    RTNLGRP_IPV4_ROUTE,	 RTNLGRP_IPV6_ROUTE,
				      RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR };
	int fd = kt_netlink_open();

	for (u32 i = 0; fd >= 0 && i < KT_ARRAY_LEN(groups); i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i]))) {
			close(fd);
			fd = -1;
		}
	return fd;
}

struct kt_pathblocks *kt_pathblocks_new(int nl, u32 ifindex)
{
	struct kt_pathblocks *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->nl = nl;
	b->ifindex = ifindex;
	b->news = open_news();
	if (b->news >= 0 && same_namespace(nl, b->news))
		return b;
	kt_pathblocks_free(b);
	return NULL;
}

void kt_pathblocks_free(struct kt_pathblocks *b)
{
	if (b && b->news >= 0)
		close(b->news);
	free(b);
}

bool kt_pathblocks_hear(struct kt_pathblocks *b)
{
	struct timespec ts;
	u8 buf[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
	bool neighbours = false;
	ssize_t got;
	u64 now;

	/* Asked for each probe: this clock is some times cheaper to read, and its ms are fine enough. */
	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	now = kt_timespec_ns(&ts);
	if (now == b->heard_ns)
		return false;
	b->heard_ns = now;
	while ((got = recv(b->news, buf, sizeof(buf), MSG_DONTWAIT)) > 0 || (got < 0 && errno == ENOBUFS)) {
		const struct nlmsghdr *h = (const void *)buf;

		/* One announcement a datagram; after ENOBUFS some are missing. */
		if (got < (ssize_t)sizeof(*h)) {
			neighbours = true;
			b->n = 0;
		} else if (h->nlmsg_type == RTM_NEWNEIGH || h->nlmsg_type == RTM_DELNEIGH) {
			neighbours = true;
		} else {
			b->n = 0;
		}
	}
	return neighbours;
}

/* --- Blocks ---------------------------------------------------------------------------------- */

static bool is_in(const struct kt_pathblock *m, const struct ktrxer_addr *target)
{
	if (m->addr.version != target->version)
		return false;
	if (target->version == 4)
		return !m->bits || !((kt_get_be32(m->addr.bytes) ^ kt_get_be32(target->bytes)) >> (32 - m->bits));
	return common_bits(target->bytes, m->addr.bytes, m->bits) == m->bits;
}

/* Where a target is among the blocks, or belongs. */
static u32 place_of(const struct kt_pathblocks *b, const struct ktrxer_addr *target, bool *found)
{
	u32 lo = 0, hi = b->n;

	*found = false;
	while (lo < hi && !*found) {
		u32 mid = (lo + hi) / 2;
		const struct kt_pathblock *m = &b->v[mid];
		int order = (int)target->version - (int)m->addr.version;

		if (is_in(m, target))
			*found = true;
		else if (!order)
			order = memcmp(target->bytes, m->addr.bytes, 16);
		if (*found)
			lo = mid;
		else if (order < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

struct kt_pathblock *kt_pathblocks_find(struct kt_pathblocks *b, const struct ktrxer_addr *target)
{
	bool found;
	u32 at;

	if (b->latest < b->n && is_in(&b->v[b->latest], target))
		return &b->v[b->latest];
	at = place_of(b, target, &found);
	if (!found)
		return NULL;
	b->latest = at;
	return &b->v[at];
}

void kt_pathblocks_learn(struct kt_pathblocks *b, const struct ktrxer_addr *target, const struct kt_route *r)
{
	struct borders around = { .target = target, .bits = target->version == 6 ? MIN_BITS_V6 : 0 };
	bool found;
	u32 at;
	int ret;

	if (b->never || b->n == MAX_BLOCKS || r->type != RTN_UNICAST ||
	    (r->next_hop.version == target->version && !memcmp(r->next_hop.bytes, target->bytes, 16)) ||
	    !kt_route_is_plain(b->nl, b->ifindex, target, r))
		return;
	if (dump(b->nl, RTM_GETROUTE, &around))
		return;
	ret = dump(b->nl, RTM_GETRULE, &around);
	if (ret && ret != -EOPNOTSUPP && ret != -EAFNOSUPPORT) /* kernels without rules */
		return;
	b->never = around.several_hops || around.routes > MAX_ROUTES;
	at = place_of(b, target, &found);
	if (b->never || found)
		return;
	memmove(&b->v[at + 1], &b->v[at], (b->n - at) * sizeof(b->v[0]));
	b->v[at] = (struct kt_pathblock){ .addr = *target, .bits = around.bits, .route = *r };
	b->n++;
}

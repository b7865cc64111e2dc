/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Paths: from a target address to the frame header that reaches it. The
 * kernel's tables are asked and never second-guessed; where the kernel would
 * not use a neighbour either (loopback, multicast, no ARP) none is needed.
 */
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iface.h"
#include "neigh.h"
#include "neigh_ahead.h"
#include "netlink.h"
#include "path.h"
#include "pathblock.h"
#include "port.h"

#define CACHE_SLOTS 4096u /* power of two; direct mapped: a collision costs one more question */
#define FEW_TARGETS 16u /* whose routes are asked for one by one, before blocks are learnt */
#define FAILED_NS (3 * KT_NSEC_PER_SEC)
#define PATIENCE_NS (2 * KT_NSEC_PER_SEC) /* until it is certain that a neighbour is silent, and then some */
#define AHEAD_SLICE_NS 1000000u /* how long nobody new is asked for while one is waited for */
#define AHEAD_LOOKS 64 /* targets looked at in one go */

struct hop {
	struct ktrxer_addr addr;
	u8 mac[6];
	u64 failed_until_ns; /* CLOCK_MONOTONIC; 0: mac is right */
};

enum lo_sysctl {
	LO_ACCEPT_LOCAL = 1, /* addresses of this host as sources */
	LO_ROUTE_LOCALNET = 2, /* 127.0.0.0/8 */
};

struct kt_path_cache {
	struct ktrxer *port;
	int nl; /* the port's */
	struct kt_iface iface;
	u32 lo_lacks; /* enum lo_sysctl: what keeps lo from taking frames for our own IPv4 addresses */
	u32 asked; /* routes, up to FEW_TARGETS */
	struct kt_pathblocks *blocks; /* NULL: not yet, or not possible */
	u64 age; /* grows when neighbours may have changed: blocks' paths of another age are not used */
	bool (*expected)(void *ctx, struct ktrxer_addr *target); /* NULL: unknown */
	void *expected_ctx;
	bool patient;
	bool no_ahead; /* it could not be opened */
	struct kt_neigh_ahead *ahead; /* from the first silent neighbour on the link on */
	struct hop hops[CACHE_SLOTS];
};

/* The other end of a wire in memory: nobody to ask, so addresses of the documentation range (RFC 5737, RFC 3849). */
static int virtual_path(struct ktrxer *port, const struct ktrxer_addr *target, struct ktrxer_path *path)
{
	static const u8 v4[4] = { 192, 0, 2, 1 };
	static const u8 v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	u32 other = port->ifindex ^ 1; /* ends are numbered in pairs, and their MACs end in the number */

	memset(path, 0, sizeof(*path));
	memcpy(path->src_mac, port->mac, 6);
	memcpy(path->dst_mac, port->mac, 6);
	kt_put_be32(path->dst_mac + 2, other);
	path->src.version = target->version;
	memcpy(path->src.bytes, target->version == 4 ? v4 : v6, target->version == 4 ? 4 : 16);
	path->src.bytes[target->version == 4 ? 3 : 15] = (u8)(1 + (port->ifindex & 1));
	path->next_hop = *target;
	path->mtu = port->mtu;
	return 0;
}

static int route_err(struct ktrxer_err *err, int code, const struct kt_iface *f, const struct ktrxer_addr *target)
{
	char text[48];

	ktrxer_addr_format(target, text);
	if (!f->up)
		return kt_err(err, ENETDOWN, "no path to %s: interface \"%s\" is down", text, f->name);
	if (code == ENETUNREACH || code == EHOSTUNREACH || code == EINVAL || code == EACCES)
		return kt_err(err, ENETUNREACH, "no route to %s through \"%s\"", text, f->name);
	return kt_err(err, code, "cannot ask for the route to %s: %s", text, strerror(code));
}

static bool sysctl_is_on(const char *ifname, const char *name)
{
	char path[128];
	FILE *f;
	int c;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/%s", ifname, name);
	f = fopen(path, "re");
	if (!f)
		return true; /* who knows */
	c = getc(f);
	fclose(f);
	return c != '0';
}

/*
 * What the host itself sends over lo has its route with it. Frames of a packet socket have none: to the IPv4 stack
 * they are martians, which it drops without counting them, unless it is told otherwise.
 */
static u32 what_lo_lacks(const struct kt_iface *f)
{
	static const char *const names[] = { "accept_local", "route_localnet" };
	u32 lacks = 0;

	for (u32 i = 0; f->loopback && i < KT_ARRAY_LEN(names); i++)
		if (!sysctl_is_on(f->name, names[i]) && !sysctl_is_on("all", names[i]))
			lacks |= 1u << i;
	return lacks;
}

static int lo_err(struct ktrxer_err *err, const struct kt_iface *f, u32 lacks, const struct ktrxer_addr *target)
{
	char text[48];

	return kt_err(err, ENETUNREACH,
		      "Linux drops IPv4 frames for %s on \"%s\" that do not come from its own stack; to allow them: "
		      "sysctl%s%s",
		      ktrxer_addr_format(target, text), f->name,
		      lacks & LO_ACCEPT_LOCAL ? " net.ipv4.conf.lo.accept_local=1" : "",
		      lacks & LO_ROUTE_LOCALNET ? " net.ipv4.conf.lo.route_localnet=1" : "");
}

static int check_route(const struct kt_path_cache *c, const struct ktrxer_addr *target, const struct kt_route *r,
		       struct ktrxer_err *err)
{
	const struct kt_iface *f = &c->iface;
	bool loopback_address = target->version == 4 && target->bytes[0] == 127;
	u32 lacks = c->lo_lacks & (loopback_address ? LO_ACCEPT_LOCAL | LO_ROUTE_LOCALNET : LO_ACCEPT_LOCAL);
	char text[48];

	if (f->loopback && target->version == 4 && r->type == RTN_LOCAL && lacks)
		return lo_err(err, f, lacks, target);

	if (r->type == RTN_LOCAL && !f->loopback)
		return kt_err(err, ENETUNREACH, "%s is an address of this host: reach it through the interface lo",
			      ktrxer_addr_format(target, text));
	if (r->ifindex != f->index)
		return kt_err(err, ENETUNREACH, "no route to %s through \"%s\"", ktrxer_addr_format(target, text),
			      f->name);
	if (!r->src.version)
		return kt_err(err, ENETUNREACH, "\"%s\" has no IPv%u address to send from", f->name, target->version);
	return 0;
}

/* Next hops that need no resolution: true, with mac. */
static bool fixed_mac(const struct kt_iface *f, const struct kt_route *r, u8 mac[6])
{
	const u8 *a = r->next_hop.bytes;

	if (f->loopback) {
		memset(mac, 0, 6);
	} else if (r->type == RTN_BROADCAST) {
		memset(mac, 0xff, 6);
	} else if (r->next_hop.version == 4 && (a[0] & 0xf0) == 0xe0) {
		memcpy(mac, (const u8[]){ 0x01, 0x00, 0x5e, a[1] & 0x7f, a[2], a[3] }, 6);
	} else if (r->next_hop.version == 6 && a[0] == 0xff) {
		memcpy(mac, (const u8[]){ 0x33, 0x33, a[12], a[13], a[14], a[15] }, 6);
	} else if (f->noarp) {
		memcpy(mac, f->mac, 6); /* what the kernel writes, too */
	} else {
		return false;
	}
	return true;
}

/* Asks the kernel to resolve, and sees it through. */
static int resolve(int nl, const struct kt_iface *f, const struct kt_route *r, u64 timeout_ns, u8 mac[6])
{
	u64 now = kt_clock_now(KTRXER_CLOCK_MONOTONIC), end = now + timeout_ns, pause = 100000;
	int ret = kt_neigh_get(nl, f->index, &r->next_hop, mac);

	if (!ret)
		return 0;
	ret = kt_neigh_trigger(nl, f->index, &r->next_hop);
	if (ret == -EPERM)
		return kt_neigh_ask(f->index, f->mac, &r->src, &r->next_hop, timeout_ns, mac);
	if (ret)
		return ret;
	for (;;) {
		struct timespec ts = kt_ns_timespec(pause);

		ret = kt_neigh_get(nl, f->index, &r->next_hop, mac);
		if (ret != -EAGAIN && ret != -ENOENT)
			return ret;
		now = kt_clock_now(KTRXER_CLOCK_MONOTONIC);
		if (now >= end)
			return -EHOSTUNREACH;
		if (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL) == EINTR)
			return -EINTR;
		pause = pause < 5000000 ? pause * 2 : pause;
	}
}

static int neigh_err(struct ktrxer_err *err, int code, struct kt_path_cache *c, const struct ktrxer_addr *hop)
{
	struct kt_iface *f = &c->iface;
	char text[48];

	ktrxer_addr_format(hop, text);
	if (code == EHOSTUNREACH && !kt_iface_get(c->nl, c->port->ifindex, f) && !f->carrier)
		return kt_err(err, ENETDOWN, "no path to %s: interface \"%s\" has no carrier", text, f->name);
	if (code == EHOSTUNREACH)
		return kt_err(err, code, "%s does not answer on \"%s\" (no %s reply)", text, f->name,
			      hop->version == 4 ? "ARP" : "neighbour discovery");
	return kt_err(err, code, "cannot find the MAC address of %s on \"%s\": %s", text, f->name, strerror(code));
}

int kt_path_cache_new(struct kt_path_cache **out, struct ktrxer *port, struct ktrxer_err *err)
{
	struct kt_path_cache *c = calloc(1, sizeof(*c));
	int ret = 0;

	*out = NULL;
	if (!c)
		return kt_err(err, ENOMEM, "no memory for paths");
	c->port = port;
	c->nl = port->ctl_fd;
	c->age = 1;
	if (!kt_port_virtual(port) && kt_iface_get(c->nl, port->ifindex, &c->iface))
		ret = kt_err(err, ENODEV, "interface \"%s\" went away", port->ifname);
	if (ret) {
		free(c);
		return ret;
	}
	c->lo_lacks = what_lo_lacks(&c->iface);
	*out = c;
	return 0;
}

void kt_path_cache_free(struct kt_path_cache *c)
{
	if (c) {
		kt_pathblocks_free(c->blocks);
		kt_neigh_ahead_free(c->ahead);
	}
	free(c);
}

static struct hop *hop_of(struct kt_path_cache *c, const struct ktrxer_addr *a)
{
	u64 hi = kt_get_be64(a->bytes), lo = kt_get_be64(a->bytes + 8);

	return &c->hops[kt_hash_mix64(hi ^ kt_hash_mix64(lo + a->version)) & (CACHE_SLOTS - 1)];
}

/* What is known of a hop: 0 with mac, -EHOSTUNREACH: it was silent a moment ago, -ENOENT: nothing. */
static int recall(struct kt_path_cache *c, const struct ktrxer_addr *addr, u8 mac[6])
{
	const struct hop *h = hop_of(c, addr);

	if (memcmp(&h->addr, addr, sizeof(*addr)))
		return -ENOENT;
	if (h->failed_until_ns)
		return kt_clock_now(KTRXER_CLOCK_MONOTONIC) < h->failed_until_ns ? -EHOSTUNREACH : -ENOENT;
	memcpy(mac, h->mac, 6);
	return 0;
}

static void remember(struct kt_path_cache *c, const struct ktrxer_addr *addr, const u8 mac[6], bool silent)
{
	struct hop *h = hop_of(c, addr);

	h->addr = *addr;
	memcpy(h->mac, mac, 6);
	h->failed_until_ns = silent ? kt_clock_now(KTRXER_CLOCK_MONOTONIC) + FAILED_NS : 0;
}

/* --- Ahead of their turn ------------------------------------------------------------- */

void kt_path_cache_look_ahead(struct kt_path_cache *c, bool (*expected)(void *ctx, struct ktrxer_addr *target),
			      void *ctx, bool patient)
{
	c->expected = expected;
	c->expected_ctx = ctx;
	c->patient = patient;
}

bool kt_path_cache_looks_ahead(const struct kt_path_cache *c)
{
	return c->ahead;
}

/* Asks for a target that comes soon, unless the way to it is known, or leads through a gateway. */
static void expect(struct kt_path_cache *c, const struct ktrxer_addr *target, u64 now)
{
	struct kt_route r;
	u8 mac[6];

	if (c->blocks && kt_pathblocks_find(c->blocks, target))
		return;
	if (kt_route_find(c->nl, c->iface.index, target, &r) || check_route(c, target, &r, NULL) ||
	    memcmp(&r.next_hop, target, sizeof(*target)) || fixed_mac(&c->iface, &r, mac) ||
	    recall(c, target, mac) != -ENOENT)
		return;
	if (!kt_neigh_get(c->nl, c->iface.index, target, mac))
		remember(c, target, mac, false);
	else
		kt_neigh_ahead_put(c->ahead, &r.src, target, now);
}

static bool open_ahead(struct kt_path_cache *c)
{
	if (!c->ahead && !c->no_ahead)
		c->no_ahead = kt_neigh_ahead_new(&c->ahead, c->iface.index, c->iface.name, c->iface.mac);
	return c->ahead;
}

/* Asks for a neighbour along with those that come behind it. 0, -EHOSTUNREACH, or -ENOENT: the kernel is to be asked. */
static int look_ahead(struct kt_path_cache *c, const struct kt_route *r, u64 timeout_ns, u8 mac[6])
{
	u64 now = kt_clock_now(KTRXER_CLOCK_MONOTONIC), end = now + (c->patient ? PATIENCE_NS : timeout_ns);
	int ret;

	if (kt_neigh_ahead_empty(c->ahead)) {
		if (!kt_neigh_get(c->nl, c->iface.index, &r->next_hop, mac))
			return 0;
		kt_neigh_ahead_put(c->ahead, &r->src, &r->next_hop, now);
	}
	for (;; now = kt_clock_now(KTRXER_CLOCK_MONOTONIC)) {
		struct ktrxer_addr target;

		if (kt_neigh_ahead_turn(c->ahead, now))
			return -ENOENT;
		for (int i = 0; i < AHEAD_LOOKS && kt_neigh_ahead_ready(c->ahead, now); i++) {
			if (!c->expected(c->expected_ctx, &target))
				break;
			expect(c, &target, now);
		}
		ret = kt_neigh_ahead_take(c->ahead, &r->next_hop, now, mac);
		if (ret != -EAGAIN)
			return ret;
		if (now >= end)
			return -EHOSTUNREACH;
		kt_neigh_ahead_wait(c->ahead, end < now + AHEAD_SLICE_NS ? end : now + AHEAD_SLICE_NS);
	}
}

static int hop_mac(struct kt_path_cache *c, const struct kt_route *r, bool on_link, u64 timeout_ns, u8 mac[6])
{
	int ret = recall(c, &r->next_hop, mac);

	if (ret != -ENOENT)
		return ret;
	if (on_link && c->expected && open_ahead(c))
		ret = look_ahead(c, r, timeout_ns, mac);
	if (ret == -ENOENT)
		ret = resolve(c->nl, &c->iface, r, timeout_ns, mac);
	if (!ret || ret == -EHOSTUNREACH)
		remember(c, &r->next_hop, mac, ret);
	return ret;
}

/* Neighbours may have changed: those that answered are asked for again. The silent keep their pause. */
static void forget_hops(struct kt_path_cache *c)
{
	c->age++;
	for (u32 i = 0; i < CACHE_SLOTS; i++)
		if (!c->hops[i].failed_until_ns)
			c->hops[i].addr.version = 0;
}

static int find_route(struct kt_path_cache *c, const struct ktrxer_addr *target, struct kt_route *r)
{
	/* The host's own addresses are on lo whatever interface they were given to, so lo is not insisted on. */
	u32 ifindex = c->iface.loopback ? 0 : c->iface.index;
	int ret;

	if (c->asked < FEW_TARGETS) {
		if (++c->asked == FEW_TARGETS && ifindex) {
			c->blocks = kt_pathblocks_new(c->nl, ifindex);
			forget_hops(c);
		}
		return kt_route_find(c->nl, ifindex, target, r);
	}
	ret = kt_route_find(c->nl, ifindex, target, r);
	if (!ret && c->blocks && r->ifindex == ifindex)
		kt_pathblocks_learn(c->blocks, target, r);
	return ret;
}

static int route_path(struct kt_path_cache *c, const struct ktrxer_addr *target, const struct kt_route *r,
		      struct ktrxer_path *path, u64 timeout_ns, struct ktrxer_err *err)
{
	int ret = check_route(c, target, r, err);

	if (ret)
		return ret;
	memset(path, 0, sizeof(*path));
	memcpy(path->src_mac, c->iface.mac, 6);
	path->src = r->src;
	path->next_hop = r->next_hop;
	path->mtu = r->mtu ? r->mtu : c->iface.mtu;
	if (fixed_mac(&c->iface, r, path->dst_mac))
		return 0;
	ret = hop_mac(c, r, !memcmp(&r->next_hop, target, sizeof(*target)), timeout_ns, path->dst_mac);
	return ret ? neigh_err(err, -ret, c, &r->next_hop) : 0;
}

/* The path of a block's targets, which is found once. */
static int block_path(struct kt_path_cache *c, struct kt_pathblock *b, const struct ktrxer_addr *target,
		      struct ktrxer_path *path, u64 timeout_ns, struct ktrxer_err *err)
{
	int ret;

	if (b->path_age == c->age) {
		*path = b->path;
		return 0;
	}
	ret = route_path(c, target, &b->route, path, timeout_ns, err);
	if (!ret) {
		b->path = *path;
		b->path_age = c->age;
	}
	return ret;
}

int kt_path_cache_find(struct kt_path_cache *c, const struct ktrxer_addr *target, struct ktrxer_path *path,
		       u64 timeout_ns, struct ktrxer_err *err)
{
	struct kt_pathblock *known;
	struct kt_route r;
	int ret;

	if (target->version != 4 && target->version != 6)
		return kt_err(err, EINVAL, "a target without an address");
	if (kt_port_virtual(c->port))
		return virtual_path(c->port, target, path);
	if (c->blocks && kt_pathblocks_hear(c->blocks))
		forget_hops(c);
	known = c->blocks ? kt_pathblocks_find(c->blocks, target) : NULL;
	if (known)
		return block_path(c, known, target, path, timeout_ns, err);
	ret = find_route(c, target, &r);
	if (ret)
		return route_err(err, -ret, &c->iface, target);
	return route_path(c, target, &r, path, timeout_ns, err);
}

KTRXER_API int ktrxer_path_find(struct ktrxer *port, const struct ktrxer_addr *target, struct ktrxer_path *path,
				uint64_t timeout_ns, struct ktrxer_err *err)
{
	struct kt_path_cache *c;
	int ret = kt_path_cache_new(&c, port, err);

	if (ret)
		return ret;
	ret = kt_path_cache_find(c, target, path, timeout_ns, err);
	kt_path_cache_free(c);
	return ret;
}

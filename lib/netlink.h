/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Questions to the kernel's routing netlink (RFC 3549), one at a time and
 * synchronous. A socket belongs to the network namespace in which it was
 * opened, and goes on asking there.
 */
#ifndef KT_NETLINK_H
#define KT_NETLINK_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "../core/env.h"

/* Room for one request: header, a fixed part and a few attributes. */
struct kt_netlink_req {
	struct nlmsghdr h;
	u8 body[256];
};

/* The descriptor, or -errno. Close it with close(). */
int kt_netlink_open(void);

/* Starts a request; returns its fixed part of body_bytes, zeroed. */
void *kt_netlink_start(struct kt_netlink_req *r, u16 type, u16 flags, u32 body_bytes);
void kt_netlink_put(struct kt_netlink_req *r, u16 type, const void *data, u32 bytes);

/*
 * Sends the request and hands every answer to fn (may be NULL) until the
 * kernel is done; fn stops it early by returning non-zero, which is returned.
 * Without NLM_F_DUMP and with NLM_F_ACK only the acknowledgement is awaited. -errno as the kernel said.
 */
int kt_netlink_ask(int fd, struct kt_netlink_req *r, int (*fn)(const struct nlmsghdr *h, void *ctx), void *ctx);

/* What follows a message's header, an attribute's header, and how much that is; the macros of the same lose const. */
static inline const void *kt_netlink_body(const struct nlmsghdr *h)
{
	return (const u8 *)h + NLMSG_HDRLEN;
}

static inline const void *kt_netlink_data(const struct rtattr *a)
{
	return (const u8 *)a + RTA_LENGTH(0);
}

static inline u32 kt_netlink_bytes(const struct rtattr *a)
{
	return a->rta_len - (u32)RTA_LENGTH(0);
}

/* Attributes by type, out[0 .. max]; those behind a fixed part of body_bytes. */
void kt_netlink_attrs(const struct nlmsghdr *h, u32 body_bytes, const struct rtattr **out, u16 max);
/* A nested attribute's own. */
void kt_netlink_nested(const struct rtattr *a, const struct rtattr **out, u16 max);
u32 kt_netlink_u32(const struct rtattr *a);

#endif

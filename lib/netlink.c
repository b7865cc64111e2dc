/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Routing netlink: builds requests, reads answers, trusts their lengths not further than their buffer. */
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "netlink.h"

#define ANSWER_BYTES 32768u

int kt_netlink_open(void)
{
	/* An answer always comes; this only bounds the wait should the kernel lose it. */
	const struct timeval patience = { .tv_sec = 5 };
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		int ret = -errno;

		close(fd);
		return ret;
	}
	return fd;
}

void *kt_netlink_start(struct kt_netlink_req *r, u16 type, u16 flags, u32 body_bytes)
{
	memset(r, 0, sizeof(*r));
	r->h.nlmsg_type = type;
	r->h.nlmsg_flags = (u16)(NLM_F_REQUEST | flags);
	r->h.nlmsg_len = NLMSG_LENGTH(body_bytes);
	return r->body;
}

void kt_netlink_put(struct kt_netlink_req *r, u16 type, const void *data, u32 bytes)
{
	u32 at = NLMSG_ALIGN(r->h.nlmsg_len);
	struct rtattr a = { .rta_len = (u16)RTA_LENGTH(bytes), .rta_type = type };

	if (at + RTA_SPACE(bytes) > sizeof(*r))
		return; /* cannot happen: requests are fixed and small */
	memcpy((u8 *)r + at, &a, sizeof(a));
	memcpy((u8 *)r + at + RTA_LENGTH(0), data, bytes);
	r->h.nlmsg_len = at + (u32)RTA_SPACE(bytes);
}

/* One message: 1 go on, 0 done, or -errno; *stopped if fn had enough. */
static int answer(const struct nlmsghdr *h, const struct kt_netlink_req *r,
		  int (*fn)(const struct nlmsghdr *h, void *ctx), void *ctx, bool *stopped)
{
	int ret = 0;

	if (h->nlmsg_seq != r->h.nlmsg_seq)
		return 1; /* left over from a question that was cut short */
	if (h->nlmsg_type == NLMSG_DONE)
		return 0;
	if (h->nlmsg_type == NLMSG_ERROR) {
		if (h->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
			return -EPROTO;
		return ((const struct nlmsgerr *)kt_netlink_body(h))->error;
	}
	if (fn)
		ret = fn(h, ctx);
	if (ret) {
		*stopped = true;
		return ret;
	}
	return (h->nlmsg_flags & NLM_F_MULTI) || (r->h.nlmsg_flags & NLM_F_ACK) ? 1 : 0;
}

int kt_netlink_ask(int fd, struct kt_netlink_req *r, int (*fn)(const struct nlmsghdr *h, void *ctx), void *ctx)
{
	struct timespec now;
	u8 buf[ANSWER_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));

	clock_gettime(CLOCK_MONOTONIC, &now);
	r->h.nlmsg_seq = (u32)now.tv_nsec ^ (u32)now.tv_sec << 30; /* differs from the last question's */
	if (send(fd, r, r->h.nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t got = recv(fd, buf, sizeof(buf), 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		for (size_t at = 0; at + sizeof(struct nlmsghdr) <= (size_t)got;) {
			const struct nlmsghdr *h = (const void *)(buf + at);
			bool stopped = false;
			int ret;

			if (h->nlmsg_len < sizeof(*h) || h->nlmsg_len > (size_t)got - at)
				return -EPROTO;
			ret = answer(h, r, fn, ctx, &stopped);
			if (stopped || ret <= 0)
				return ret;
			at += NLMSG_ALIGN(h->nlmsg_len);
		}
	}
}

static void attrs(const u8 *data, size_t bytes, const struct rtattr **out, u16 max)
{
	memset(out, 0, (max + 1u) * sizeof(*out));
	for (size_t at = 0; at + sizeof(struct rtattr) <= bytes;) {
		const struct rtattr *a = (const void *)(data + at);
		u16 type = a->rta_type & NLA_TYPE_MASK;

		if (a->rta_len < sizeof(*a) || a->rta_len > bytes - at)
			return;
		if (type <= max)
			out[type] = a;
		at += RTA_ALIGN(a->rta_len);
	}
}

void kt_netlink_attrs(const struct nlmsghdr *h, u32 body_bytes, const struct rtattr **out, u16 max)
{
	size_t before = NLMSG_SPACE(body_bytes);

	attrs((const u8 *)h + before, h->nlmsg_len > before ? h->nlmsg_len - before : 0, out, max);
}

void kt_netlink_nested(const struct rtattr *a, const struct rtattr **out, u16 max)
{
	attrs(kt_netlink_data(a), kt_netlink_bytes(a), out, max);
}

u32 kt_netlink_u32(const struct rtattr *a)
{
	u32 v = 0;

	if (a && kt_netlink_bytes(a) >= sizeof(v))
		memcpy(&v, kt_netlink_data(a), sizeof(v));
	return v;
}

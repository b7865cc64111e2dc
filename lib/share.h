/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What two processes of one machine say to each other about a shared
 * receiver, over a Unix seqpacket socket: one request, one reply. Both are of
 * the same version of the library, or the owner refuses. Long things (rules)
 * travel in a memory file whose descriptor comes with the message.
 */
#ifndef KT_SHARE_H
#define KT_SHARE_H

#include <sys/socket.h>

#include "receiver.h"

#define KT_SHARE_MAGIC 0x6b545253u /* "kTRS" */
#define KT_SHARE_MAX_RULES (4u << 20)
#define KT_SHARE_MAX_FDS 3

enum kt_share_op {
	KT_SHARE_HELLO = 1,
	KT_SHARE_LISTEN, /* arg: lossless. Reply: n = cursor, descriptors: ring (read-only), cursors, stream socket that wakes */
	KT_SHARE_UNLISTEN, /* arg: cursor */
	KT_SHARE_LIST, /* arg: max. Reply: n rules there are, descriptor: min(n, max) rules, then as many counters */
	KT_SHARE_ADD, /* rule. Reply: n = id */
	KT_SHARE_DELETE, /* arg: id */
	KT_SHARE_REPLACE, /* arg: number, descriptor: so many rules */
	KT_SHARE_STATS,
};

struct kt_share_request {
	u32 magic;
	u32 op;
	char version[16];
	u32 rule_bytes; /* sizeof(struct krx_rule) of the sender */
	u32 arg;
	struct krx_rule rule;
};

struct kt_share_reply {
	s32 ret;
	u32 n;
	u32 n_units; /* LISTEN: of the ring */
	u32 reserved;
	struct krx_stats stats;
	char text[504]; /* when ret is negative */
};

/* One message with up to KT_SHARE_MAX_FDS descriptors. 0 or -errno. */
int kt_share_send(int sock, const void *msg, size_t bytes, const int *fds, unsigned int n_fds);
/* Fills fds (-1 where none came). Returns bytes (one more than asked for if it was longer), 0 at the end, or -errno. */
int kt_share_recv(int sock, void *msg, size_t bytes, int fds[KT_SHARE_MAX_FDS]);

/* A memory file holding two blocks one behind the other; the second may be empty. Descriptor or -errno. */
int kt_share_file(const void *a, size_t a_bytes, const void *b, size_t b_bytes);
/* Reads exactly bytes at offset of a memory file. 0 or -errno; -EPROTO: shorter, or not in memory. */
int kt_share_read(int fd, void *buf, size_t bytes, size_t offset);

#endif

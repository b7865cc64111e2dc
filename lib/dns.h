/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* As much of RFC 1035 as a probe needs: write one query, read one response. */
#ifndef KT_DNS_H
#define KT_DNS_H

#include "../include/ktrxer.h"

#include "../core/env.h"

#define KT_DNS_MAX_NAME 255
#define KT_DNS_MAX_QUERY (12 + KT_DNS_MAX_NAME + 4)
#define KT_DNS_A 1
#define KT_DNS_AAAA 28

/* A name as it travels; NULL, "" and "." are the root. Returns its length, or -EINVAL. */
int kt_dns_encode_name(u8 buf[KT_DNS_MAX_NAME], const char *name);

/* A recursive query of class IN. Returns its length, or -EINVAL for a name that cannot be sent. */
int kt_dns_encode_query(u8 buf[KT_DNS_MAX_QUERY], u16 id, const char *name, u16 type);

struct kt_dns_response {
	u16 id;
	u16 n_questions;
	u16 n_answers;
	u8 rcode;
	bool truncated; /* TC: the rest needs TCP */
	bool authoritative;
	u32 answers_off; /* where the answers begin; 0 when the questions could not be read */
};

/* Reads a response's header and steps over its questions. -EINVAL: no response, or not even a header. */
int kt_dns_parse_response(struct kt_dns_response *r, const u8 *msg, u32 len);

/* Does the only question of the response ask for this name and type? A response without questions answers anything. */
bool kt_dns_is_about(const struct kt_dns_response *r, const u8 *msg, u32 len, const u8 *name, u32 name_bytes, u16 type);

/* Steps over a name, compressed or not. The offset behind it, or -EINVAL. */
int kt_dns_skip_name(const u8 *msg, u32 len, u32 off);

/* The first A or AAAA record among the answers. 0, -ENOENT, or -EINVAL when they cannot be read. */
int kt_dns_first_address(const struct kt_dns_response *r, const u8 *msg, u32 len, struct ktrxer_addr *addr);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * DNS messages. Names are compared and stepped over, never expanded, so a
 * compression pointer is simply the end of a name and cannot lead in circles.
 */
#include <string.h>

#include "dns.h"

int kt_dns_encode_name(u8 buf[KT_DNS_MAX_NAME], const char *name)
{
	u32 n = 0;

	if (!name || !*name || !strcmp(name, ".")) {
		buf[0] = 0;
		return 1;
	}
	while (*name) {
		size_t label = strcspn(name, ".");

		if (!label || label > 63 || n + 1 + label + 1 > KT_DNS_MAX_NAME)
			return -EINVAL;
		buf[n] = (u8)label;
		memcpy(buf + n + 1, name, label);
		n += 1 + (u32)label;
		name += label;
		if (*name)
			name++;
	}
	buf[n] = 0;
	return (int)n + 1;
}

int kt_dns_encode_query(u8 buf[KT_DNS_MAX_QUERY], u16 id, const char *name, u16 type)
{
	int n = kt_dns_encode_name(buf + 12, name);

	if (n < 0)
		return n;
	memset(buf, 0, 12);
	kt_put_be16(buf, id);
	buf[2] = 1; /* recursion desired */
	buf[5] = 1; /* one question */
	kt_put_be16(buf + 12 + n, type);
	kt_put_be16(buf + 14 + n, 1);
	return 16 + n;
}

int kt_dns_skip_name(const u8 *msg, u32 len, u32 off)
{
	while (off < len) {
		u8 c = msg[off];

		if (!c)
			return (int)off + 1;
		if ((c & 0xc0) == 0xc0)
			return off + 2 <= len ? (int)off + 2 : -EINVAL;
		if (c & 0xc0)
			return -EINVAL;
		off += 1u + c;
	}
	return -EINVAL;
}

int kt_dns_parse_response(struct kt_dns_response *r, const u8 *msg, u32 len)
{
	u32 off = 12;

	memset(r, 0, sizeof(*r));
	if (len < 12 || !(msg[2] & 0x80))
		return -EINVAL;
	r->id = kt_get_be16(msg);
	r->authoritative = msg[2] & 0x04;
	r->truncated = msg[2] & 0x02;
	r->rcode = msg[3] & 15;
	r->n_questions = kt_get_be16(msg + 4);
	r->n_answers = kt_get_be16(msg + 6);
	for (u32 i = 0; i < r->n_questions; i++) {
		int next = kt_dns_skip_name(msg, len, off);

		if (next < 0 || (u32)next + 4 > len)
			return 0;
		off = (u32)next + 4;
	}
	r->answers_off = off;
	return 0;
}

static u8 lower(u8 c)
{
	return c >= 'A' && c <= 'Z' ? (u8)(c + 32) : c;
}

/* Servers may change the case of letters; length bytes are below 'A', so comparing all bytes alike is right. */
bool kt_dns_is_about(const struct kt_dns_response *r, const u8 *msg, u32 len, const u8 *name, u32 name_bytes, u16 type)
{
	if (!r->n_questions)
		return true;
	if (r->n_questions != 1 || 12 + name_bytes + 4 > len)
		return false;
	for (u32 i = 0; i < name_bytes; i++) {
		if (lower(msg[12 + i]) != lower(name[i]))
			return false;
	}
	return kt_get_be16(msg + 12 + name_bytes) == type && kt_get_be16(msg + 14 + name_bytes) == 1;
}

int kt_dns_first_address(const struct kt_dns_response *r, const u8 *msg, u32 len, struct ktrxer_addr *addr)
{
	u32 off = r->answers_off;

	if (!off)
		return -EINVAL;
	for (u32 i = 0; i < r->n_answers; i++) {
		int next = kt_dns_skip_name(msg, len, off);
		u32 data_bytes;
		u16 type;

		if (next < 0 || (u32)next + 10 > len)
			return -EINVAL;
		type = kt_get_be16(msg + next);
		data_bytes = kt_get_be16(msg + next + 8);
		off = (u32)next + 10;
		if (off + data_bytes > len)
			return -EINVAL;
		if ((type == KT_DNS_A && data_bytes == 4) || (type == KT_DNS_AAAA && data_bytes == 16)) {
			memset(addr, 0, sizeof(*addr));
			addr->version = type == KT_DNS_A ? 4 : 6;
			memcpy(addr->bytes, msg + off, data_bytes);
			return 0;
		}
		off += data_bytes;
	}
	return -ENOENT;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Target expressions: one address, a prefix or a range, as an interval. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "target.h"

#define MAX_TEXT 100

static bool parse_address(const char *text, u8 *version, struct kt_u128 *a)
{
	u8 b[16];

	if (inet_pton(AF_INET, text, b) == 1) {
		*version = 4;
		*a = (struct kt_u128){ 0, kt_get_be32(b) };
		return true;
	}
	if (inet_pton(AF_INET6, text, b) == 1) {
		*version = 6;
		*a = (struct kt_u128){ kt_get_be64(b), kt_get_be64(b + 8) };
		return true;
	}
	return false;
}

/* A decimal number of at most three digits without sign, or -1. */
static int parse_small(const char *text)
{
	int v = 0;

	if (!*text || strlen(text) > 3)
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		v = 10 * v + (*text - '0');
	}
	return v;
}

/* The bits behind a prefix, as a mask. */
static struct kt_u128 host_mask(unsigned int host_bits)
{
	struct kt_u128 m = { 0, 0 };

	if (host_bits > 64)
		m.hi = host_bits == 128 ? UINT64_MAX : (1ull << (host_bits - 64)) - 1;
	if (host_bits)
		m.lo = host_bits >= 64 ? UINT64_MAX : (1ull << host_bits) - 1;
	return m;
}

static int apply_prefix(struct kt_interval *i, int plen)
{
	int bits = i->version == 4 ? 32 : 128;
	struct kt_u128 mask;

	if (plen < 0 || plen > bits)
		return -EINVAL;
	mask = host_mask((unsigned int)(bits - plen));
	i->first.hi &= ~mask.hi;
	i->first.lo &= ~mask.lo;
	i->last.hi = i->first.hi | mask.hi;
	i->last.lo = i->first.lo | mask.lo;
	return 0;
}

/* The end of a range: an address, or for IPv4 its last number alone. NULL, or what is wrong. */
static const char *apply_range(struct kt_interval *i, const char *end)
{
	u8 version;
	int small = parse_small(end);

	if (small >= 0 && i->version == 4) {
		if (small > 255)
			return "the last number of a short range is at most 255";
		version = 4;
		i->last = (struct kt_u128){ 0, (i->first.lo & ~0xffull) | (u64)small };
	} else if (!parse_address(end, &version, &i->last)) {
		return "behind the \"-\" stands no address";
	}
	if (version != i->version)
		return "a range cannot begin in IPv4 and end in IPv6 or the other way round";
	if (kt_u128_compare(i->last, i->first) < 0)
		return "the range ends before it begins";
	return NULL;
}

/* NULL, or what is wrong with text. */
static const char *parse(struct kt_interval *i, const char *text)
{
	char copy[MAX_TEXT + 1];
	char *slash, *dash;

	if (strlen(text) > MAX_TEXT)
		return "too long for an address, prefix or range";
	strcpy(copy, text);
	slash = strchr(copy, '/');
	dash = strchr(copy, '-');
	if (slash && dash)
		return "is it a prefix or a range? Write ADDRESS/LENGTH or ADDRESS-ADDRESS";
	if (slash)
		*slash++ = 0;
	if (dash)
		*dash++ = 0;
	if (!parse_address(copy, &i->version, &i->first))
		return "not an address, a prefix ADDRESS/LENGTH or a range ADDRESS-ADDRESS (names are not looked up)";
	i->last = i->first;
	if (slash && apply_prefix(i, parse_small(slash)))
		return i->version == 4 ? "prefix length must be 0 to 32" : "prefix length must be 0 to 128";
	return dash ? apply_range(i, dash) : NULL;
}

int kt_target_parse(struct kt_interval *i, const char *text, const char *where, struct ktrxer_err *err)
{
	const char *why;

	memset(i, 0, sizeof(*i));
	why = parse(i, text);
	if (why)
		return kt_err(err, EINVAL, "%.300s%s\"%.60s%s\": %s", where ? where : "", where ? ": " : "", text,
			      strlen(text) > 60 ? "…" : "", why);
	return 0;
}

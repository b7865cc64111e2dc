/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The values behind the words of a rule: numbers, addresses, ports, interfaces. */
#include "ruletext.h"

#include <net/if.h>
#include <string.h>

#include "engine.h"

int kt_ruletext_refuse(struct kt_ruletext *p, const char *value, const char *allowed)
{
	return kt_err(p->err, EINVAL, "%s \"%.60s\": %s", p->word, value, allowed);
}

/* Decimal, or hexadecimal behind 0x; nothing else, no sign, no blank. */
int kt_ruletext_number(const char *text, u64 max, u64 *value)
{
	u64 v = 0;
	u32 base = 10;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		u32 digit = *text >= '0' && *text <= '9'   ? (u32)(*text - '0')
			    : *text >= 'a' && *text <= 'f' ? (u32)(*text - 'a' + 10)
			    : *text >= 'A' && *text <= 'F' ? (u32)(*text - 'A' + 10)
							   : 16;

		if (digit >= base || v > (max - digit) / base)
			return -EINVAL;
		v = v * base + digit;
	}
	*value = v;
	return 0;
}

int kt_ruletext_ranged(struct kt_ruletext *p, const char *value, u64 min, u64 max, u64 *out, const char *allowed)
{
	if (kt_ruletext_number(value, max, out) || *out < min)
		return kt_ruletext_refuse(p, value, allowed);
	return 0;
}

int kt_ruletext_u32(struct kt_ruletext *p, const char *value, u32 min, u32 *out, const char *allowed)
{
	u64 v;
	int ret = kt_ruletext_ranged(p, value, min, 0xffffffffu, &v, allowed);

	if (!ret)
		*out = (u32)v;
	return ret;
}

/* The rule is now for this IP version: not for another as well. */
int kt_ruletext_version(struct kt_ruletext *p, const char *value, u8 version)
{
	if (p->rule->version && p->rule->version != version)
		return kt_ruletext_refuse(p, value,
					  version == 4 ? "this is IPv4, and the rule is for IPv6 already"
						       : "this is IPv6, and the rule is for IPv4 already");
	p->rule->version = version;
	return 0;
}

int kt_ruletext_addr(struct kt_ruletext *p, const char *value, u8 addr[16])
{
	struct ktrxer_addr a;

	if (ktrxer_addr_parse(&a, value))
		return kt_ruletext_refuse(p, value, "an IPv4 or IPv6 address is meant");
	memcpy(addr, a.bytes, a.version == 4 ? 4 : 16);
	return kt_ruletext_version(p, value, a.version);
}

/* Address and prefix length; bits behind it are a mistake, and the sentence says what the network would be. */
int kt_ruletext_prefix(struct kt_ruletext *p, char *value, u8 addr[16], u8 *plen)
{
	static const char *const allowed = "an address, ADDRESS/LENGTH with up to 32 (IPv6: 128) bits, or any is meant";
	struct ktrxer_addr a = { 0 }, net;
	char *slash = strchr(value, '/'), text[64];
	u64 n = 0;
	u32 max;

	if (!strcmp(value, "any"))
		return 0;
	if (slash)
		*slash = 0;
	if (ktrxer_addr_parse(&a, value)) {
		if (slash)
			*slash = '/';
		return kt_ruletext_refuse(p, value, allowed);
	}
	max = a.version == 4 ? 32 : 128;
	if (slash)
		*slash = '/';
	if (!slash)
		n = max;
	else if (kt_ruletext_number(slash + 1, max, &n))
		return kt_ruletext_refuse(p, value, allowed);
	net = a;
	for (u32 i = 0; i < 16; i++)
		net.bytes[i] &= 8 * i >= n ? 0 : 8 * i + 8 > n ? (u8)(0xff00 >> (n - 8 * i)) : 0xff;
	if (memcmp(net.bytes, a.bytes, max / 8))
		return kt_err(p->err, EINVAL, "%s \"%.60s\": bits are set behind the prefix; the network is %s/%u",
			      p->word, value, ktrxer_addr_format(&net, text), (unsigned int)n);
	memcpy(addr, a.bytes, max / 8);
	*plen = (u8)n;
	return kt_ruletext_version(p, value, a.version);
}

int kt_ruletext_ports(struct kt_ruletext *p, char *value, u16 *lo, u16 *hi)
{
	static const char *const allowed = "a port from 1 to 65535, a range A-B, or any is meant";
	char *dash = strchr(value, '-');
	u64 a, b;
	int ret;

	if (!strcmp(value, "any"))
		return 0;
	if (dash)
		*dash = 0;
	ret = kt_ruletext_number(value, 65535, &a);
	if (dash)
		*dash = '-';
	b = a = ret ? 0 : a;
	if (ret || (dash && kt_ruletext_number(dash + 1, 65535, &b)))
		return kt_ruletext_refuse(p, value, allowed);
	if (!b)
		return kt_ruletext_refuse(p, value, "port 0 alone cannot be matched; a range such as 0-1 can");
	if (a > b)
		return kt_ruletext_refuse(p, value, "the range ends before it begins");
	*lo = (u16)a;
	*hi = (u16)b;
	return 0;
}

int kt_ruletext_mac(struct kt_ruletext *p, const char *value, u8 mac[6])
{
	for (u32 i = 0; i < 6; i++) {
		char pair[5] = { '0', 'x', 0, 0, 0 };
		u64 v;

		if (!value[3 * i] || !value[3 * i + 1] || value[3 * i + 2] != (i < 5 ? ':' : 0))
			return kt_ruletext_refuse(p, value, "a MAC address such as 02:00:00:00:00:01 is meant");
		pair[2] = value[3 * i];
		pair[3] = value[3 * i + 1];
		if (kt_ruletext_number(pair, 0xff, &v))
			return kt_ruletext_refuse(p, value, "a MAC address such as 02:00:00:00:00:01 is meant");
		mac[i] = (u8)v;
	}
	return 0;
}

int kt_ruletext_iface(struct kt_ruletext *p, const char *value, u32 *ifindex)
{
	*ifindex = if_nametoindex(value);
	return *ifindex ? 0 : kt_ruletext_refuse(p, value, "there is no such interface here");
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer send: addresses and VLAN tags rewritten. */
#include "send.h"

#include <stdio.h>
#include <stdlib.h>

#include "../core/rewrite.h"

#define MAPS_MAX 64

/* Addresses under one prefix move to another of the same length. */
struct map {
	struct ktrxer_addr from;
	struct ktrxer_addr to;
	u8 plen;
};

struct maps {
	struct map v[MAPS_MAX];
	unsigned int n;
};

struct send_rewriter {
	const struct send_config *c;
	struct kt_rewrite base; /* MACs */
	struct maps src;
	struct maps dst;
};

static int parse_mac(u8 mac[6], const char *text, const char *option)
{
	unsigned int b[6];
	char end;

	if (strlen(text) != 17 ||
	    sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6)
		return cli_fail(CLI_USAGE, "--%s: \"%s\" is not a MAC address; allowed: such as 02:00:00:00:00:01",
				option, text);
	for (int i = 0; i < 6; i++)
		mac[i] = (u8)b[i];
	return CLI_OK;
}

/* "ADDR" or "ADDR/LEN" of n characters. */
static int parse_prefix(struct ktrxer_addr *a, int *plen, const char *text, size_t n)
{
	char copy[64], *slash, *end;
	long len;

	if (n >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, n);
	copy[n] = 0;
	slash = strchr(copy, '/');
	if (slash)
		*slash++ = 0;
	if (ktrxer_addr_parse(a, copy))
		return -EINVAL;
	*plen = -1;
	if (!slash)
		return 0;
	len = strtol(slash, &end, 10);
	if (*end || end == slash || len < 0 || len > (a->version == 4 ? 32 : 128))
		return -EINVAL;
	*plen = (int)len;
	return 0;
}

static int parse_map(struct map *m, const char *text)
{
	const char *sep = strchr(text, '=');
	int from = 0, to;

	/* A colon reads better with IPv4, where it cannot be a part of the address. */
	if (!sep && strchr(text, ':') && strchr(text, ':') == strrchr(text, ':'))
		sep = strchr(text, ':');
	if (!sep) {
		if (parse_prefix(&m->to, &to, text, strlen(text)) || to >= 0)
			return -EINVAL;
		m->from = m->to;
		m->plen = 0;
		return 0;
	}
	if (parse_prefix(&m->from, &from, text, (size_t)(sep - text)) ||
	    parse_prefix(&m->to, &to, sep + 1, strlen(sep + 1)) || m->from.version != m->to.version)
		return -EINVAL;
	if (from < 0 && to < 0)
		from = to = m->to.version == 4 ? 32 : 128;
	if (from != to)
		return -EINVAL;
	m->plen = (u8)from;
	return 0;
}

static int parse_maps(struct maps *maps, const struct opt_list *list, const char *option)
{
	for (unsigned int i = 0; i < list->n; i++) {
		if (maps->n == MAPS_MAX)
			return cli_fail(CLI_USAGE, "--%s: at most %d can be given", option, MAPS_MAX);
		if (parse_map(&maps->v[maps->n++], list->v[i]))
			return cli_fail(CLI_USAGE,
					"--%s: \"%s\" is not a mapping; allowed: ADDRESS, or PREFIX/LEN=PREFIX/LEN of "
					"one length and IP version",
					option, list->v[i]);
	}
	return CLI_OK;
}

int send_rewriter_new(struct send_rewriter **out, const struct send_config *c)
{
	struct send_rewriter *r = calloc(1, sizeof(*r));
	int ret = CLI_OK;

	*out = NULL;
	if (!r)
		return cli_fail(CLI_FAILURE, "out of memory");
	r->c = c;
	if (c->src_mac) {
		r->base.flags |= KT_REWRITE_SRC_MAC;
		ret = parse_mac(r->base.src_mac, c->src_mac, "src-mac");
	}
	if (!ret && c->dst_mac) {
		r->base.flags |= KT_REWRITE_DST_MAC;
		ret = parse_mac(r->base.dst_mac, c->dst_mac, "dst-mac");
	}
	if (!ret)
		ret = parse_maps(&r->src, &c->src_ip, "src-ip");
	if (!ret)
		ret = parse_maps(&r->dst, &c->dst_ip, "dst-ip");
	if (ret)
		free(r);
	else
		*out = r;
	return ret;
}

void send_rewriter_free(struct send_rewriter *r)
{
	free(r);
}

/* Bits before and behind the prefix's end in byte i. */
static u8 prefix_mask(u8 plen, unsigned int i)
{
	if (plen >= 8 * (i + 1))
		return 0xff;
	return plen <= 8 * i ? 0 : (u8)(0xff << (8 * (i + 1) - plen));
}

/* The first map that covers addr writes the new one. */
static bool map_address(const struct maps *maps, u8 version, const u8 *addr, u8 *to)
{
	unsigned int bytes = version == 4 ? 4 : 16;

	for (unsigned int k = 0; k < maps->n; k++) {
		const struct map *m = &maps->v[k];
		bool covers = m->to.version == version;
		bool whole = !m->plen; /* a bare address takes the place of all */

		for (unsigned int i = 0; covers && i < bytes; i++)
			covers = !((addr[i] ^ m->from.bytes[i]) & prefix_mask(m->plen, i));
		if (!covers)
			continue;
		for (unsigned int i = 0; i < bytes; i++) {
			u8 mask = whole ? 0xff : prefix_mask(m->plen, i);

			to[i] = (u8)((m->to.bytes[i] & mask) | (addr[i] & ~mask));
		}
		return true;
	}
	return false;
}

static u32 strip_tags(u8 *data, u32 len)
{
	while (len >= KT_ETH_BYTES + KT_VLAN_BYTES) {
		u16 type = kt_get_be16(data + 12);

		if (type != KT_ETHERTYPE_VLAN && type != KT_ETHERTYPE_QINQ)
			break;
		memmove(data + 12, data + 16, len - 16);
		len -= KT_VLAN_BYTES;
	}
	return len;
}

u32 send_rewrite(const struct send_rewriter *r, u8 *data, u32 len)
{
	const struct send_config *c = r->c;
	struct kt_rewrite rw = r->base;
	struct kt_packet p;

	if (c->strip_vlan)
		len = strip_tags(data, len);
	if (c->vlan && len >= KT_ETH_BYTES) {
		memmove(data + 16, data + 12, len - 12);
		kt_put_be16(data + 12, KT_ETHERTYPE_VLAN);
		kt_put_be16(data + 14, (u16)(c->vlan_priority << 13 | c->vlan));
		len += KT_VLAN_BYTES;
	}
	if (kt_packet_parse(&p, data, len, len))
		return len;
	if (p.flow.version && map_address(&r->src, p.flow.version, p.flow.src, rw.src))
		rw.flags |= KT_REWRITE_SRC_IP;
	if (p.flow.version && map_address(&r->dst, p.flow.version, p.flow.dst, rw.dst))
		rw.flags |= KT_REWRITE_DST_IP;
	if (rw.flags)
		kt_rewrite_apply(data, &p, &rw);
	if (c->fix_checksums)
		kt_packet_fix_checksums(data, len);
	return len;
}

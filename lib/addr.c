/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Addresses as text. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"

KTRXER_API int ktrxer_addr_parse(struct ktrxer_addr *addr, const char *text)
{
	memset(addr, 0, sizeof(*addr));
	if (inet_pton(AF_INET, text, addr->bytes) == 1)
		addr->version = 4;
	else if (inet_pton(AF_INET6, text, addr->bytes) == 1)
		addr->version = 6;
	return addr->version ? 0 : -EINVAL;
}

KTRXER_API const char *ktrxer_addr_format(const struct ktrxer_addr *addr, char *buf)
{
	int family = addr->version == 4 ? AF_INET : AF_INET6;

	if ((addr->version != 4 && addr->version != 6) || !inet_ntop(family, addr->bytes, buf, INET6_ADDRSTRLEN))
		snprintf(buf, INET6_ADDRSTRLEN, "no address");
	return buf;
}

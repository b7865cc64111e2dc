/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* An engine driven by hand, without the library's sender and receiver in between. */
#ifndef KT_TEST_ENGINE_H
#define KT_TEST_ENGINE_H

#include <net/if.h>

#include "lib/engine.h"
#include "tests/test.h"

#define FRAME_BYTES 2048u

/* A port as ktrxer_open() would make it; NULL with err when the engine refuses. */
static inline struct ktrxer *port_open(const struct kt_engine *engine, const char *ifname, struct ktrxer_err *err)
{
	struct ktrxer *port = calloc(1, sizeof(*port));

	port->engine = engine;
	port->priv = calloc(1, engine->priv_bytes);
	snprintf(port->ifname, sizeof(port->ifname), "%s", ifname);
	port->ifindex = if_nametoindex(ifname);
	if (engine->open(port, err)) {
		free(port->priv);
		free(port);
		return NULL;
	}
	return port;
}

static inline void port_close(struct ktrxer *port)
{
	port->engine->close(port);
	free(port->priv);
	free(port);
}

/* A broadcast frame of an experimental ethertype (RFC 5342), whose payload starts with number. */
static inline void put_frame(struct kt_txslot *s, u32 number, u32 len)
{
	memset(s->data, 0, len);
	memset(s->data, 0xff, 6);
	s->data[6] = 0x02;
	kt_put_be16(s->data + 12, 0x88b5);
	kt_put_be32(s->data + 14, number);
	s->len = len;
	s->state = KT_TX_READY;
	s->err = 0;
}

static inline u32 frame_number(const u8 *frame)
{
	return kt_get_be32(frame + 14);
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* An engine driven by hand, without the library's sender and receiver in between. */
#ifndef KT_TEST_ENGINE_H
#define KT_TEST_ENGINE_H

#include <net/if.h>

#include "lib/engine.h"
#include "tests/netns.h"

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

/* The same, where a refusal fails the case. */
static inline struct ktrxer *must_open(const struct kt_engine *engine, const char *ifname)
{
	struct ktrxer_err err = { 0 };
	struct ktrxer *port = port_open(engine, ifname, &err);

	if (!port)
		TEST_FAIL("%s: %s", ifname, err.text);
	port->mtu = 1500;
	return port;
}

/* One that sends and one that receives, if they are open. */
static inline void close_pair(struct ktrxer **tx, struct ktrxer **rx)
{
	if (*tx) {
		(*tx)->engine->tx_close(*tx);
		port_close(*tx);
	}
	if (*rx) {
		(*rx)->engine->rx_close(*rx);
		port_close(*rx);
	}
	*tx = *rx = NULL;
}

/* Devices that there are not, or that have no Ethernet header. */
static inline void check_refused_devices(const struct kt_engine *engine)
{
	struct ktrxer_err err = { 0 };

	netns_pair(true);
	CHECK(!port_open(engine, "ktnone", &err));
	CHECK_EQ(err.code, ENODEV);
	CHECK_EQ(engine->probe("ktnone", &err), -ENODEV);
	CHECK_EQ(engine->probe(NEAR, &err), 0);
	netns_run("ip tuntap add kttun mode tun");
	CHECK(!port_open(engine, "kttun", &err));
	CHECK_EQ(err.code, EOPNOTSUPP);
	CHECK(strstr(err.text, "kttun"));
}

/* In a child: the loss of rights is for good. */
static inline void check_needs_right(const struct kt_engine *engine)
{
	int status;
	pid_t pid;

	netns_pair(true);
	pid = fork();
	if (!pid) {
		struct ktrxer_err err = { 0 };

		if (setresuid(65534, 65534, 65534))
			_exit(2);
		_exit(engine->probe(NEAR, &err) == -EPERM && strstr(err.text, "CAP_NET_RAW") &&
				      strstr(err.text, "setcap")
			      ? 0
			      : 1);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
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

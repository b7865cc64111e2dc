/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * An engine without a device, for what engine mem cannot show: launching
 * threads on the system's clock, clocks that go on during a launch, drivers that refuse for ever.
 */
#ifndef KT_TEST_FAKE_H
#define KT_TEST_FAKE_H

#include <unistd.h>

#include "core/ring.h"
#include "lib/port.h"
#include "tests/test.h"

#define FAKE_FRAME 2048u

static u32 fake_refuse; /* so many tries are refused */
static u64 fake_clock, fake_step; /* the stepping clock, and how far each look moves it */
static u32 fake_launched, fake_calls;

static inline int fake_open(struct ktrxer *port, struct ktrxer_err *err)
{
	return 0;
}

static inline void fake_close(struct ktrxer *port)
{
}

static inline u64 fake_now(struct ktrxer *port)
{
	return fake_clock += fake_step;
}

static inline int fake_wait(struct ktrxer *port, u64 ns)
{
	if (fake_clock < ns)
		fake_clock = ns;
	return 0;
}

static inline int fake_tx_open(struct ktrxer *port, struct kt_txslot *slots, u32 n, u32 frame_bytes, bool stamps,
			       struct ktrxer_err *err)
{
	port->priv = calloc(n, frame_bytes);
	for (u32 i = 0; port->priv && i < n; i++) {
		slots[i].data = (u8 *)port->priv + (size_t)i * frame_bytes;
		slots[i].cap = frame_bytes;
	}
	return port->priv ? 0 : -ENOMEM;
}

static inline void fake_tx_close(struct ktrxer *port)
{
	free(port->priv);
	port->priv = NULL;
}

static inline int fake_tx_launch(struct ktrxer *port, struct kt_txslot *const *slots, u32 n)
{
	u32 tried = 0;

	kt_store_relaxed(&fake_calls, fake_calls + 1);
	while (tried < n) {
		struct kt_txslot *s = slots[tried++];

		s->launch_ns = s->returned_ns = kt_port_now(port);
		s->stamp_ns = 0;
		s->err = fake_refuse ? ENOBUFS : 0;
		s->state = fake_refuse ? KT_TX_REFUSED : KT_TX_SENT;
		if (fake_refuse) {
			fake_refuse--;
			break;
		}
		kt_store_relaxed(&fake_launched, fake_launched + 1);
	}
	return (int)tried;
}

/* On the system's clock. */
static const struct kt_engine fake_engine = {
	.name = "fake",
	.open = fake_open,
	.close = fake_close,
	.tx_open = fake_tx_open,
	.tx_close = fake_tx_close,
	.tx_launch = fake_tx_launch,
};

/* On a clock that moves with each look at it. */
static const struct kt_engine fake_stepping = {
	.name = "stepping",
	.open = fake_open,
	.close = fake_close,
	.now = fake_now,
	.wait_until = fake_wait,
	.tx_open = fake_tx_open,
	.tx_close = fake_tx_close,
	.tx_launch = fake_tx_launch,
};

static inline void fake_port(struct ktrxer *port, const struct kt_engine *engine)
{
	memset(port, 0, sizeof(*port));
	port->engine = engine;
	port->ctl_fd = -1;
	snprintf(port->ifname, sizeof(port->ifname), "fake");
	fake_refuse = fake_launched = fake_calls = 0;
	fake_clock = 1000000;
	fake_step = 0;
	alarm(60); /* nothing here may hang */
}

#endif

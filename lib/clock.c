/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Clocks: reading them, telling the time of one in another, and waiting for
 * an absolute time by sleeping first and spinning last. Virtual time belongs
 * to the engine.
 */
#include "port.h"
#include "../core/ring.h"

clockid_t kt_clock_id(enum ktrxer_clock clock)
{
	switch (clock) {
	case KTRXER_CLOCK_TAI:
		return CLOCK_TAI;
	case KTRXER_CLOCK_REALTIME:
		return CLOCK_REALTIME;
	default:
		return CLOCK_MONOTONIC;
	}
}

u64 kt_clock_now(enum ktrxer_clock clock)
{
	struct timespec ts;

	clock_gettime(kt_clock_id(clock), &ts);
	return kt_timespec_ns(&ts);
}

u64 kt_port_now(struct ktrxer *port)
{
	if (port->engine->now)
		return port->engine->now(port);
	return kt_clock_now(port->clock);
}

bool kt_port_virtual(const struct ktrxer *port)
{
	return port->clock == KTRXER_CLOCK_VIRTUAL;
}

KTRXER_API uint64_t ktrxer_now(struct ktrxer *port)
{
	return kt_port_now(port);
}

/*
 * Offset of clock b to clock a, by reading a, b, a and taking the tightest of
 * a few tries: an interruption between the reads would show as a wide pair.
 */
static s64 clock_offset(enum ktrxer_clock a, enum ktrxer_clock b)
{
	u64 best = UINT64_MAX;
	s64 offset = 0;

	for (int i = 0; i < 4; i++) {
		u64 t0 = kt_clock_now(a), t = kt_clock_now(b), t1 = kt_clock_now(a);

		if (t1 - t0 < best) {
			best = t1 - t0;
			offset = (s64)(t - (t0 + best / 2));
		}
	}
	return offset;
}

KTRXER_API uint64_t ktrxer_convert(struct ktrxer *port, uint64_t ns, enum ktrxer_clock from, enum ktrxer_clock to)
{
	/* Virtual and hardware time have no relation to the system's clocks that we know. */
	if (!ns || from == to || kt_port_virtual(port) || from >= KTRXER_CLOCK_VIRTUAL || to >= KTRXER_CLOCK_VIRTUAL)
		return ns;
	return ns + (u64)clock_offset(from, to);
}

int kt_port_wait(struct ktrxer *port, u64 ns, u64 spin_ns, const u32 *kick, u32 seen)
{
	clockid_t clock = kt_clock_id(port->clock);

	if (port->engine->wait_until)
		return port->engine->wait_until(port, ns);
	for (;;) {
		u64 now = kt_clock_now(port->clock);
		struct timespec ts;
		int err;

		if (now >= ns)
			return 0;
		if (ns - now <= spin_ns)
			break;
		ts = kt_ns_timespec(ns - spin_ns);
		err = clock_nanosleep(clock, TIMER_ABSTIME, &ts, NULL);
		if (err)
			return -err; /* EINTR: the caller asks its own stop flag */
	}
	while (kt_clock_now(port->clock) < ns)
		if (kick && kt_load_relaxed(kick) != seen)
			return 0;
	return 0;
}

KTRXER_API int ktrxer_wait_until(struct ktrxer *port, uint64_t ns, uint64_t spin_ns)
{
	return kt_port_wait(port, ns, spin_ns, NULL, 0);
}

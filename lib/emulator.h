/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The link emulator: bridges two ports, both ways, each through a struct
 * kt_link. What arrives on one port departs from the other at the time that the link
 * answers for its arrival stamp, on the same schedule as probes; so a delay is counted
 * from the true arrival, not from when we looked. In virtual time every departure is exact.
 *
 *   host A ---- [port a] ===> link 0 ===> [port b] ---- host B
 *                        <=== link 1 <===
 *
 * One thread runs an emulator. Per direction, at any time:
 *   seen + duplicated = departed + lost + no_room + too_long + full + failed + pending
 */
#ifndef KT_EMULATOR_H
#define KT_EMULATOR_H

#include "../core/histogram.h"
#include "../core/link.h"
#include "../include/ktrxer.h"

struct kt_emulator;

/* Zero is a perfect wire. */
struct kt_emulator_opts {
	struct kt_link_opts link[2]; /* a to b, b to a */
	u32 max_pending; /* frames on the way in each direction; 0: 16384, and not more than 2^20 */
	u64 ring_bytes; /* of each port's receive ring; 0: the library's default */
	u64 spin_ns; /* spin so long before a departure; 0: 100 us */
	bool no_spin; /* sleep only */
};

struct kt_emulator_stats {
	u64 seen; /* frames taken in */
	u64 seen_bytes;
	u64 duplicated; /* copies that the link made */
	u64 departed; /* frames sent, copies included */
	u64 departed_bytes;
	u64 lost; /* by the link's loss */
	u64 no_room; /* by the link's queue */
	u64 too_long; /* for the other interface, or not wholly captured (GRO) */
	u64 full; /* max_pending frames were on the way */
	u64 failed; /* the other interface refused them: down, gone … */
	u64 pending; /* on the way */
	u64 held; /* among departed and pending, also the next one */
	u64 corrupted;
	u64 missed; /* never taken in: they found no room in front of the emulator */
	struct kt_histogram late_ns; /* of departures: launched minus due */
};

/*
 * a and b: open ports with one launch clock (in virtual time: of one world), promiscuous if they are to
 * bridge other hosts. They stay the caller's and outlive the emulator. Where an engine's
 * rules can drop, the host does not see the frames that are taken in.
 */
int kt_emulator_open(struct kt_emulator **e, struct ktrxer *a, struct ktrxer *b, const struct kt_emulator_opts *opts,
		     struct ktrxer_err *err);
void kt_emulator_close(struct kt_emulator *e);

/* True if both ports' hosts are kept from seeing the frames. */
bool kt_emulator_is_alone(const struct kt_emulator *e);

/*
 * Takes in what has arrived and sends what is due, without waiting. *next_ns
 * gets when something is known to happen next, 0 if nothing is. A link that is down is waited for;
 * -ENODEV: an interface is gone, kt_emulator_why() tells which.
 */
int kt_emulator_step(struct kt_emulator *e, u64 *next_ns);

/* Steps until until_ns of the launch clock, or until stop says so (asked at least every 100 ms; may be NULL). */
int kt_emulator_run(struct kt_emulator *e, u64 until_ns, bool (*stop)(void *ctx), void *ctx);

/* direction: 0 is a to b. */
void kt_emulator_get_stats(struct kt_emulator *e, int direction, struct kt_emulator_stats *stats);
/* The launch clock of both ports. */
u64 kt_emulator_now(const struct kt_emulator *e);
const char *kt_emulator_why(const struct kt_emulator *e);

#endif

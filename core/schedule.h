/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The launch schedule: absolute times in ns, earliest first, and for equal
 * times in the order of insertion. A binary heap in the caller's memory;
 * never allocates, never looks at a clock. Used by the sender for probes and
 * by the link emulator for departures.
 */
#ifndef KT_SCHEDULE_H
#define KT_SCHEDULE_H

#include "env.h"

#define KT_SCHEDULE_NONE 0xffffffffu

struct kt_schedule_entry {
	u64 time_ns;
	u64 order; /* insertion count, breaks ties */
	u32 item; /* the caller's handle, below n_items */
};

struct kt_schedule {
	struct kt_schedule_entry *heap;
	u32 *where; /* item -> heap index, or KT_SCHEDULE_NONE */
	u32 n;
	u32 n_items;
	u64 next_order;
};

/* Bytes of memory for handles 0 .. n_items - 1; 0 when n_items is too large for a u32 of bytes. */
size_t kt_schedule_bytes(u32 n_items);

/* mem: kt_schedule_bytes(n_items), aligned to 8, owned by the caller. */
void kt_schedule_init(struct kt_schedule *s, void *mem, u32 n_items);

/* 0, -EEXIST when the item is already scheduled, -EINVAL when it is out of range. */
int kt_schedule_add(struct kt_schedule *s, u32 item, u64 time_ns);

/* Earliest entry or NULL; valid until the schedule changes. */
const struct kt_schedule_entry *kt_schedule_first(const struct kt_schedule *s);

/* Removes and returns the earliest item, or KT_SCHEDULE_NONE. */
u32 kt_schedule_pop(struct kt_schedule *s);

/* Puts another item into the place of one that is scheduled: same time, same order. 0, -ENOENT, -EEXIST or -EINVAL. */
int kt_schedule_replace(struct kt_schedule *s, u32 item, u32 by);

/* 0 or -ENOENT. */
int kt_schedule_remove(struct kt_schedule *s, u32 item);

/* Puts an entry back that was the first when it was taken out: with its time and its order among equal times. As add. */
int kt_schedule_restore(struct kt_schedule *s, const struct kt_schedule_entry *e);

#endif

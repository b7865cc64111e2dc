/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The launch schedule of core/schedule.h. The heap lies first in the
 * caller's memory, the index from items to heap places behind it, so that
 * any item can be taken out in logarithmic time.
 */
#include "schedule.h"

size_t kt_schedule_bytes(u32 n_items)
{
	u64 bytes = (u64)n_items * (sizeof(struct kt_schedule_entry) + sizeof(u32));

	return bytes > 0xffffffffu ? 0 : (size_t)bytes;
}

void kt_schedule_init(struct kt_schedule *s, void *mem, u32 n_items)
{
	s->heap = mem;
	s->where = (u32 *)(void *)(s->heap + n_items);
	s->n = 0;
	s->n_items = n_items;
	s->next_order = 0;
	for (u32 i = 0; i < n_items; i++)
		s->where[i] = KT_SCHEDULE_NONE;
}

static bool before(const struct kt_schedule_entry *a, const struct kt_schedule_entry *b)
{
	return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->order < b->order;
}

static void put(struct kt_schedule *s, u32 place, const struct kt_schedule_entry *e)
{
	s->heap[place] = *e;
	s->where[e->item] = place;
}

/* Finds the place for e at or above the hole at place. */
static void sift_up(struct kt_schedule *s, u32 place, const struct kt_schedule_entry *e)
{
	while (place) {
		u32 parent = (place - 1) / 2;

		if (!before(e, &s->heap[parent]))
			break;
		put(s, place, &s->heap[parent]);
		place = parent;
	}
	put(s, place, e);
}

/* Lets the hole at place sink to the bottom, then e rise: cheaper than comparing e all the way, as e came from there. */
static void sift_down(struct kt_schedule *s, u32 place, const struct kt_schedule_entry *e)
{
	u32 child;

	while ((child = 2 * place + 1) < s->n) {
		if (child + 1 < s->n && before(&s->heap[child + 1], &s->heap[child]))
			child++;
		put(s, place, &s->heap[child]);
		place = child;
	}
	sift_up(s, place, e);
}

int kt_schedule_restore(struct kt_schedule *s, const struct kt_schedule_entry *e)
{
	struct kt_schedule_entry again = *e;

	if (e->item >= s->n_items)
		return -EINVAL;
	if (s->where[e->item] != KT_SCHEDULE_NONE)
		return -EEXIST;
	sift_up(s, s->n++, &again);
	return 0;
}

int kt_schedule_add(struct kt_schedule *s, u32 item, u64 time_ns)
{
	struct kt_schedule_entry e = { .time_ns = time_ns, .order = s->next_order, .item = item };
	int ret = kt_schedule_restore(s, &e);

	s->next_order += !ret;
	return ret;
}

const struct kt_schedule_entry *kt_schedule_first(const struct kt_schedule *s)
{
	return s->n ? s->heap : NULL;
}

/* Takes the entry at place out and fills the hole with the last one. */
static void take(struct kt_schedule *s, u32 place)
{
	struct kt_schedule_entry last = s->heap[--s->n];

	s->where[s->heap[place].item] = KT_SCHEDULE_NONE;
	if (place < s->n)
		sift_down(s, place, &last);
}

u32 kt_schedule_pop(struct kt_schedule *s)
{
	u32 item;

	if (!s->n)
		return KT_SCHEDULE_NONE;
	item = s->heap[0].item;
	take(s, 0);
	return item;
}

int kt_schedule_replace(struct kt_schedule *s, u32 item, u32 by)
{
	u32 place;

	if (by >= s->n_items)
		return -EINVAL;
	if (item >= s->n_items || s->where[item] == KT_SCHEDULE_NONE)
		return -ENOENT;
	if (s->where[by] != KT_SCHEDULE_NONE)
		return -EEXIST;
	place = s->where[item];
	s->where[item] = KT_SCHEDULE_NONE;
	s->where[by] = place;
	s->heap[place].item = by;
	return 0;
}

int kt_schedule_remove(struct kt_schedule *s, u32 item)
{
	if (item >= s->n_items || s->where[item] == KT_SCHEDULE_NONE)
		return -ENOENT;
	take(s, s->where[item]);
	return 0;
}

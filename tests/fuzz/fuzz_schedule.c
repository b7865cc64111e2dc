/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Fuzzes the launch schedule against a list that is searched from end to end. */
#include <stdlib.h>

#include "../../core/schedule.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* A trap keeps the line in the sanitizer's report. */
#define PROMISE(cond) \
	do { \
		if (!(cond)) \
			__builtin_trap(); \
	} while (0)

#define MAX_ITEMS 64u

struct model {
	u64 time[MAX_ITEMS];
	u32 order[MAX_ITEMS]; /* 0: not scheduled */
	u32 next_order;
	u32 n_items;
};

static u32 first(const struct model *m)
{
	u32 best = KT_SCHEDULE_NONE;

	for (u32 i = 0; i < m->n_items; i++) {
		if (!m->order[i])
			continue;
		if (best == KT_SCHEDULE_NONE || m->time[i] < m->time[best] ||
		    (m->time[i] == m->time[best] && m->order[i] < m->order[best]))
			best = i;
	}
	return best;
}

static void check_first(const struct kt_schedule *s, const struct model *m)
{
	const struct kt_schedule_entry *e = kt_schedule_first(s);
	u32 want = first(m);

	PROMISE(!e == (want == KT_SCHEDULE_NONE));
	PROMISE(!e || (e->item == want && e->time_ns == m->time[want]));
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct model m = { .n_items = size ? data[0] % (MAX_ITEMS + 1) : 0 };
	struct kt_schedule s;
	/* A block of exactly the size that was asked for. */
	void *mem = malloc(kt_schedule_bytes(m.n_items) + !m.n_items);

	if (!mem)
		abort();
	kt_schedule_init(&s, mem, m.n_items);
	for (size_t i = 1; i + 3 <= size; i += 3) {
		u32 item = data[i + 1] % (MAX_ITEMS + 2);
		bool there = item < m.n_items && m.order[item];
		/* Few different times, so that many are equal; the ends of time among them. */
		u64 time = data[i + 2] & 0x80 ? ~0ull - (data[i + 2] & 7) : data[i + 2] & 15;

		switch (data[i] % 5) {
		case 0:
		case 1:
			PROMISE(kt_schedule_add(&s, item, time) == (item >= m.n_items ? -EINVAL : there ? -EEXIST : 0));
			if (item < m.n_items && !there) {
				m.time[item] = time;
				m.order[item] = ++m.next_order;
			}
			break;
		case 2:
			PROMISE(kt_schedule_remove(&s, item) == (there ? 0 : -ENOENT));
			if (there)
				m.order[item] = 0;
			break;
		case 3: {
			u32 by = data[i + 2] % (MAX_ITEMS + 2);
			int want = by >= m.n_items ? -EINVAL : !there ? -ENOENT : m.order[by] ? -EEXIST : 0;

			PROMISE(kt_schedule_replace(&s, item, by) == want);
			if (!want) {
				m.time[by] = m.time[item];
				m.order[by] = m.order[item];
				m.order[item] = 0;
			}
			break;
		}
		default:
			item = first(&m);
			PROMISE(kt_schedule_pop(&s) == item);
			if (item != KT_SCHEDULE_NONE)
				m.order[item] = 0;
		}
		check_first(&s, &m);
	}
	free(mem);
	return 0;
}

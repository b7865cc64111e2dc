/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The launch schedule: order, stability, removal of any item, against a plain list. */
#include "core/hash.h"
#include "core/schedule.h"
#include "tests/test.h"

#define N 257

static struct kt_schedule s;
static u64 mem[N * 4];

static void init(u32 n)
{
	CHECK(kt_schedule_bytes(n) <= sizeof(mem));
	kt_schedule_init(&s, mem, n);
}

static void t_empty(void)
{
	init(0);
	CHECK(!kt_schedule_first(&s));
	CHECK_EQ(kt_schedule_pop(&s), KT_SCHEDULE_NONE);
	CHECK_EQ(kt_schedule_add(&s, 0, 0), -EINVAL);
	CHECK_EQ(kt_schedule_remove(&s, 0), -ENOENT);
	CHECK_EQ(kt_schedule_remove(&s, KT_SCHEDULE_NONE), -ENOENT);
	CHECK_EQ(kt_schedule_replace(&s, 0, 0), -EINVAL);
}

static void t_bytes(void)
{
	CHECK_EQ(kt_schedule_bytes(0), 0);
	CHECK_EQ(kt_schedule_bytes(10), 10 * (sizeof(struct kt_schedule_entry) + 4));
	CHECK_EQ(kt_schedule_bytes(0xffffffff), 0);
	CHECK_EQ(kt_schedule_bytes(200000000), 0);
}

static void t_earliest_first(void)
{
	static const u64 times[] = { 5, 3, ~0ull, 0, 9, 3, 1ull << 63, 4 };
	static const u32 order[] = { 3, 1, 5, 7, 0, 4, 6, 2 };

	init(N);
	for (u32 i = 0; i < KT_ARRAY_LEN(times); i++)
		CHECK_EQ(kt_schedule_add(&s, i, times[i]), 0);
	CHECK_EQ(kt_schedule_add(&s, 3, 1), -EEXIST);
	CHECK_EQ(kt_schedule_add(&s, N, 1), -EINVAL);
	for (u32 i = 0; i < KT_ARRAY_LEN(order); i++) {
		CHECK_EQ(kt_schedule_first(&s)->time_ns, times[order[i]]);
		CHECK_EQ(kt_schedule_pop(&s), order[i]);
	}
	CHECK(!kt_schedule_first(&s));
}

static void t_equal_times_in_order_of_insertion(void)
{
	init(N);
	for (u32 i = 0; i < N; i++)
		CHECK_EQ(kt_schedule_add(&s, (i * 100) % N, i % 3), 0);
	for (u32 time = 0; time < 3; time++) {
		for (u32 i = time; i < N; i += 3)
			CHECK_EQ(kt_schedule_pop(&s), (i * 100) % N);
	}
}

static void t_remove_any(void)
{
	init(N);
	for (u32 gone = 0; gone < 40; gone++) {
		u32 left = 0;
		u64 rng = gone, last = 0;

		for (u32 i = 0; i < 40; i++)
			CHECK_EQ(kt_schedule_add(&s, i, kt_hash_next(&rng) % 16), 0);
		CHECK_EQ(kt_schedule_remove(&s, gone), 0);
		CHECK_EQ(kt_schedule_remove(&s, gone), -ENOENT);
		while (kt_schedule_first(&s)) {
			u64 time = kt_schedule_first(&s)->time_ns;

			CHECK(time >= last);
			last = time;
			CHECK(kt_schedule_pop(&s) != gone);
			left++;
		}
		CHECK_EQ(left, 39);
	}
}

static void t_replace(void)
{
	init(4);
	CHECK_EQ(kt_schedule_add(&s, 0, 7), 0);
	CHECK_EQ(kt_schedule_add(&s, 1, 7), 0);
	CHECK_EQ(kt_schedule_replace(&s, 2, 3), -ENOENT);
	CHECK_EQ(kt_schedule_replace(&s, 9, 3), -ENOENT);
	CHECK_EQ(kt_schedule_replace(&s, 0, 1), -EEXIST);
	CHECK_EQ(kt_schedule_replace(&s, 0, 4), -EINVAL);
	CHECK_EQ(kt_schedule_replace(&s, 0, 3), 0);
	CHECK_EQ(kt_schedule_remove(&s, 0), -ENOENT);
	CHECK_EQ(kt_schedule_add(&s, 0, 7), 0);
	CHECK_EQ(kt_schedule_pop(&s), 3); /* in the first one's place */
	CHECK_EQ(kt_schedule_pop(&s), 1);
	CHECK_EQ(kt_schedule_pop(&s), 0);
}

/* What the heap must do, done the simple way. */
static u32 model_first(const u64 *time, const u64 *order)
{
	u32 best = KT_SCHEDULE_NONE;

	for (u32 i = 0; i < N; i++) {
		if (order[i] && (best == KT_SCHEDULE_NONE || time[i] < time[best] ||
				 (time[i] == time[best] && order[i] < order[best])))
			best = i;
	}
	return best;
}

static void t_random_against_a_list(void)
{
	static u64 time[N], order[N];
	u64 rng = 1, n = 0;

	init(N);
	for (u32 step = 0; step < 100000; step++) {
		u64 r = kt_hash_next(&rng);
		u32 item = (u32)(r >> 8) % N, by = (u32)(r >> 20) % N;

		if (r % 8 < (step / 5000 % 2 ? 3 : 5)) {
			CHECK_EQ(kt_schedule_add(&s, item, r >> 60), order[item] ? -EEXIST : 0);
			if (!order[item]) {
				time[item] = r >> 60;
				order[item] = ++n;
			}
		} else if (r % 8 == 7 && r >> 63) {
			CHECK_EQ(kt_schedule_replace(&s, item, by), !order[item] ? -ENOENT : order[by] ? -EEXIST : 0);
			if (order[item] && !order[by]) {
				time[by] = time[item];
				order[by] = order[item];
				order[item] = 0;
			}
		} else if (r % 8 == 7) {
			CHECK_EQ(kt_schedule_remove(&s, item), order[item] ? 0 : -ENOENT);
			order[item] = 0;
		} else {
			item = model_first(time, order);
			CHECK_EQ(kt_schedule_pop(&s), item);
			if (item != KT_SCHEDULE_NONE)
				order[item] = 0;
		}
	}
}

/* What was taken out goes back in front of its equals, in its old order, whatever came meanwhile. */
static void t_restore(void)
{
	struct kt_schedule_entry e[3];

	init(N);
	for (u32 i = 0; i < 6; i++)
		CHECK_EQ(kt_schedule_add(&s, i, 7), 0);
	for (u32 i = 0; i < 3; i++) {
		e[i] = *kt_schedule_first(&s);
		CHECK_EQ(kt_schedule_pop(&s), i);
	}
	CHECK_EQ(kt_schedule_add(&s, 6, 7), 0);
	CHECK_EQ(kt_schedule_add(&s, 7, 3), 0);
	for (u32 i = 3; i-- > 0;)
		CHECK_EQ(kt_schedule_restore(&s, &e[i]), 0);
	CHECK_EQ(kt_schedule_restore(&s, &e[0]), -EEXIST);
	e[0].item = N;
	CHECK_EQ(kt_schedule_restore(&s, &e[0]), -EINVAL);
	CHECK_EQ(kt_schedule_pop(&s), 7);
	for (u32 i = 0; i < 7; i++)
		CHECK_EQ(kt_schedule_pop(&s), i);
	CHECK_EQ(kt_schedule_pop(&s), KT_SCHEDULE_NONE);
}

TEST_MAIN(T(t_empty), T(t_restore), T(t_bytes), T(t_earliest_first), T(t_equal_times_in_order_of_insertion),
	  T(t_remove_any), T(t_replace), T(t_random_against_a_list))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The lead before a launch: how it follows machines that wake promptly, late, and now and then very late. */
#include "core/hash.h"
#include "lib/lead.h"
#include "tests/test.h"

#define US 1000u

/* n sleeps that end late_ns after the time they were meant for. */
static void sleeps(struct kt_lead *lead, unsigned int n, u64 late_ns)
{
	for (unsigned int i = 0; i < n; i++)
		kt_lead_learn(lead, 1000000000, 1000000000 + late_ns);
}

static void t_a_prompt_machine_spins_no_longer(void)
{
	struct kt_lead lead = { 0 };

	CHECK_EQ(kt_lead_ns(&lead), KT_LEAD_MIN_NS);
	sleeps(&lead, 1000, 20 * US);
	CHECK_EQ(kt_lead_ns(&lead), KT_LEAD_MIN_NS);
	kt_lead_learn(&lead, 1000000000, 999999999); /* a coarse clock may say so */
	CHECK_EQ(kt_lead_ns(&lead), KT_LEAD_MIN_NS);
}

static void t_a_late_machine_is_learned(void)
{
	struct kt_lead lead = { 0 };

	sleeps(&lead, 20, 170 * US);
	CHECK(kt_lead_ns(&lead) > 170 * US);
	sleeps(&lead, 1000, 170 * US);
	CHECK(kt_lead_ns(&lead) > 170 * US + KT_LEAD_MARGIN_NS / 2);
	CHECK(kt_lead_ns(&lead) <= 170 * US + KT_LEAD_MARGIN_NS);
}

static void t_most_of_a_spread_are_covered(void)
{
	struct kt_lead lead = { 0 };
	unsigned int covered = 0;
	u64 rng = 1;

	for (unsigned int i = 0; i < 11000; i++) {
		u64 late = kt_hash_next(&rng) % (300 * US);

		covered += i >= 1000 && late < kt_lead_ns(&lead);
		kt_lead_learn(&lead, 5, 5 + late);
	}
	CHECK(covered > 9500);
}

static void t_who_had_no_cpu_learns_nothing(void)
{
	struct kt_lead lead = { 0 };
	u64 before;

	sleeps(&lead, 100, 80 * US);
	before = kt_lead_ns(&lead);
	sleeps(&lead, 1000, KT_LEAD_MAX_NS + 1);
	sleeps(&lead, 1000, UINT64_MAX - 1000000000);
	CHECK_EQ(kt_lead_ns(&lead), before);
}

static void t_it_has_an_end(void)
{
	struct kt_lead lead = { 0 };

	sleeps(&lead, 1000, KT_LEAD_MAX_NS);
	CHECK_EQ(kt_lead_ns(&lead), KT_LEAD_MAX_NS);
	sleeps(&lead, 10000, 0);
	CHECK_EQ(kt_lead_ns(&lead), KT_LEAD_MIN_NS);
}

static void t_what_was_asked_for_stays(void)
{
	struct kt_lead lead = { .fixed_ns = 7 };

	sleeps(&lead, 100, 200 * US);
	CHECK_EQ(kt_lead_ns(&lead), 7);
}

TEST_MAIN(T(t_a_prompt_machine_spins_no_longer), T(t_a_late_machine_is_learned), T(t_most_of_a_spread_are_covered),
	  T(t_who_had_no_cpu_learns_nothing), T(t_it_has_an_end), T(t_what_was_asked_for_stays))

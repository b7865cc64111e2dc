/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The contract with the module has one layout everywhere: this table holds
 * on 32 and 64 bits and on both byte orders, where the core's tests run.
 */
#include "core/env.h"
#include "include/uapi/ktrxer.h"
#include "tests/test.h"

#define SIZE(type, bytes) \
	{ \
#type, sizeof(struct type), bytes \
	}
#define AT(type, field, where) \
	{ \
#type "." #field, offsetof(struct type, field), where \
	}

static const struct {
	const char *name;
	size_t is;
	size_t should;
} layout[] = {
	SIZE(ktrxer_abi_info, 64),
	SIZE(ktx_shared, 64),
	SIZE(ktx_desc, 64),
	SIZE(ktx_done_abi, 64),
	SIZE(ktx_setup, 80),
	SIZE(ktx_submit, 24),
	SIZE(ktx_cancel, 24),
	SIZE(ktx_stats_abi, 112),
	SIZE(ktrxer_eventfd, 8),
	SIZE(ktx_flood_abi, 184),
	SIZE(krx_setup, 48),
	SIZE(krx_rule_abi, 160),
	SIZE(krx_count_abi, 16),
	SIZE(krx_rules, 40),
	SIZE(krx_counts, 16),
	SIZE(krx_stats_abi, 128),
	SIZE(krx_listen, 16),
	SIZE(krx_prefix_abi, 24),
	SIZE(krx_addresses, 16),
	AT(ktx_desc, slot, 24),
	AT(ktx_desc, retry_ns, 40),
	AT(ktx_done_abi, slot, 40),
	AT(ktx_done_abi, status, 54),
	AT(ktx_setup, slot_off, 56),
	AT(ktx_stats_abi, irq_batches, 104),
	AT(ktx_flood_abi, n_targets, 72),
	AT(ktx_flood_abi, reason, 176),
	AT(krx_rule_abi, quota_pkts, 80),
	AT(krx_rule_abi, new_src, 112),
	AT(krx_rules, bad_rule, 32),
	AT(krx_stats_abi, bad_cursors, 120),
};

static void t_layout(void)
{
	for (size_t i = 0; i < sizeof(layout) / sizeof(layout[0]); i++)
		if (layout[i].is != layout[i].should)
			TEST_FAIL("%s: %zu, not %zu", layout[i].name, layout[i].is, layout[i].should);
}

TEST_MAIN(T(t_layout))

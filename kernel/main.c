// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module: what is there from load to unload. Parameters, clocks, and the order in which the parts come and go.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/timekeeping.h>

#include "kt.h"
#include "ktx.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

#define MAX_SPIN_NS 1000000u
#define MAX_PENDING (1u << 20)
#define MAX_RULES (1u << 22)

unsigned int kt_spin_ns = 50000;
unsigned int kt_max_pending = 1u << 16;
unsigned int kt_max_rules = 1u << 20;
unsigned int kt_irq_launch = 1;

static int set_spin_ns(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 0, MAX_SPIN_NS);
}

static int set_max_pending(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 1, MAX_PENDING);
}

static int set_max_rules(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 1, MAX_RULES);
}

static int set_irq_launch(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 0, 2);
}

static const struct kernel_param_ops spin_ns_ops = { .set = set_spin_ns, .get = param_get_uint };
static const struct kernel_param_ops max_pending_ops = { .set = set_max_pending, .get = param_get_uint };
static const struct kernel_param_ops max_rules_ops = { .set = set_max_rules, .get = param_get_uint };
static const struct kernel_param_ops irq_launch_ops = { .set = set_irq_launch, .get = param_get_uint };

module_param_cb(spin_ns, &spin_ns_ops, &kt_spin_ns, 0644);
MODULE_PARM_DESC(spin_ns, "ns before a launch at which the timer fires, to spin until then; at most 1000000");
module_param_cb(max_pending, &max_pending_ops, &kt_max_pending, 0644);
MODULE_PARM_DESC(max_pending, "probes that one sender may hold; at most 1048576");
module_param_cb(max_rules, &max_rules_ops, &kt_max_rules, 0644);
MODULE_PARM_DESC(max_rules, "rules of one receiver; at most 4194304");

module_param_cb(irq_launch, &irq_launch_ops, &kt_irq_launch, 0644);
MODULE_PARM_DESC(
	irq_launch,
	"launch from the timer's interrupt: 0 never, 1 where it is known to be safe, 2 wherever it is possible");

u64 kt_clock_ns(u32 clock)
{
	switch (clock) {
	case KTRXER_ABI_MONOTONIC:
		return ktime_get_ns();
	case KTRXER_ABI_TAI:
		return ktime_get_clocktai_ns();
	case KTRXER_ABI_REALTIME:
		return ktime_get_real_ns();
	}
	return 0;
}

/* The devices come last and go first: whoever can open them finds everything there. */
static int __init load(void)
{
	int r = kt_netdev_register();

	if (r)
		return r;
	r = kt_chardev_register();
	if (r)
		goto err_chardev;
	return 0;

err_chardev:
	kt_netdev_unregister();
	return r;
}

/* No file is open, and no device has anything of what was sent: each holds the module. */
static void __exit unload(void)
{
	kt_chardev_unregister();
	kt_netdev_unregister();
	kt_tx_hold_quiesce();
}

module_init(load);
module_exit(unload);

MODULE_DESCRIPTION("kTRxer: sends probes on time and captures packets first");
MODULE_VERSION(KT_VERSION);
MODULE_LICENSE("GPL");

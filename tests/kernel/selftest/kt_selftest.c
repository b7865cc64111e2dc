// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module for the test of the guests themselves: it does to its kernel what
 * "echo WORD > /sys/module/kt_selftest/parameters/do" asks for, so that one
 * sees whether anybody notices.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static struct kmem_cache *cache;
static DEFINE_SPINLOCK(lock);

static int act(const char *word, const struct kernel_param *kp)
{
	if (sysfs_streq(word, "warn")) {
		WARN(1, "kt_selftest: as asked\n");
	} else if (sysfs_streq(word, "panic")) {
		panic("kt_selftest: as asked");
	} else if (sysfs_streq(word, "oops")) {
		*(volatile int *)8 = 0;
	} else if (sysfs_streq(word, "breakpoint")) {
		asm volatile("int3");
	} else if (sysfs_streq(word, "atomic")) {
		preempt_disable();
		msleep(1);
		/* The scheduler has complained and put the count right. */
		if (in_atomic())
			preempt_enable();
	} else if (sysfs_streq(word, "leak")) {
		/* Never freed: destroying the cache tells. */
		if (!kmem_cache_alloc(cache, GFP_KERNEL))
			return -ENOMEM;
	} else if (sysfs_streq(word, "hang")) {
		spin_lock_irq(&lock);
		for (;;)
			cpu_relax();
	} else {
		return -EINVAL;
	}
	return 0;
}

static const struct kernel_param_ops ops = { .set = act };
module_param_cb(do, &ops, NULL, 0200);
MODULE_PARM_DESC(do, "warn, panic, oops, breakpoint, atomic, leak, hang");

static int __init start(void)
{
	cache = kmem_cache_create("kt_selftest", 200, 0, SLAB_POISON, NULL);
	return cache ? 0 : -ENOMEM;
}

static void __exit stop(void)
{
	kmem_cache_destroy(cache);
}

module_init(start);
module_exit(stop);
MODULE_DESCRIPTION("kTRxer: test of the guests themselves");
MODULE_LICENSE("GPL");

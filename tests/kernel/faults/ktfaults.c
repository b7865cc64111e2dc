// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocations that fail on demand, where the kernel was built without
 * fault injection, as Debian's are. ktrxer.ko is built once more with faults.h in front of its sources, and asks
 * here before each of its allocations:
 *
 *   /sys/module/ktfaults/parameters/at     the n-th from now on fails, once; 0: none
 *   /sys/module/ktfaults/parameters/site   where the last one failed, FILE:LINE
 *   /sys/module/ktfaults/parameters/calls  how many there were
 */
#include <linux/atomic.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "faults.h"

static atomic_t at, calls;
static const char *last = "";

static int get_count(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", atomic_read((atomic_t *)kp->arg));
}

static int set_count(const char *value, const struct kernel_param *kp)
{
	int n, r = kstrtoint(value, 0, &n);

	if (!r)
		atomic_set((atomic_t *)kp->arg, n);
	return r;
}

static int get_site(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", READ_ONCE(last));
}

static const struct kernel_param_ops count_ops = { .set = set_count, .get = get_count };
static const struct kernel_param_ops site_ops = { .get = get_site };

module_param_cb(at, &count_ops, &at, 0600);
module_param_cb(calls, &count_ops, &calls, 0400);
module_param_cb(site, &site_ops, NULL, 0400);

/* Any context. The name is copied, as the module that it lies in may be unloaded before somebody reads it. */
bool kt_fault(const char *site)
{
	static char text[256];
	int n = atomic_read(&at);

	atomic_inc(&calls);
	do {
		if (!n)
			return false;
	} while (!atomic_try_cmpxchg(&at, &n, n - 1));
	if (n != 1)
		return false;
	strscpy(text, site, sizeof(text));
	WRITE_ONCE(last, text);
	return true;
}
EXPORT_SYMBOL_GPL(kt_fault);

MODULE_DESCRIPTION("Allocations that fail, for tests of kTRxer");
MODULE_LICENSE("GPL");

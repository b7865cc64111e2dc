/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module's parts know of each other.
 *
 *   main.c     load, unload, parameters
 *   chardev.c  the two devices, copying of arguments
 *   ringmem.c  memory that users map: pages, accounting, mmap
 *   netdev.c   which context is on which interface, and what befalls interfaces
 *   tx*.c      /dev/ktx: a struct ktx a file        rx*.c  /dev/krx: a struct krx a file
 *   trace.h    tracepoints: launch, completion, verdict, loss
 *   compat.h   what older or newer kernels call differently (force-included)
 *
 * Arrows: tx and rx use the others and core/, nothing else uses them but
 * through the tables below. kernel/ owns time, memory, locks and trust; arithmetic is in core/.
 */
#ifndef KT_KERNEL_H
#define KT_KERNEL_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/netdevice.h>
#include <linux/types.h>

#include "../include/uapi/ktrxer.h"

/* --- chardev.c ------------------------------------------------------------------ */

extern const struct file_operations kt_tx_fops; /* tx.c; opened by misc device KTX_DEVICE */
extern const struct file_operations kt_rx_fops; /* rx.c; opened by misc device KRX_DEVICE */

int kt_chardev_register(void);
void kt_chardev_unregister(void);

/*
 * An ioctl's argument: reads its leading size, then as many bytes as both
 * know; the rest of dst is zero. -E2BIG when the caller's is larger and not zero beyond, -EINVAL when it is
 * smaller than min. Process context.
 */
int kt_arg_get(void *dst, size_t known, size_t min, const void __user *arg);
/* The answer, as many bytes as the caller said it has (dst.size as read by kt_arg_get). */
int kt_arg_put(void __user *arg, const void *src, size_t known);
/* KTRXER_IOC_INFO, for both devices. */
int kt_arg_info(void __user *arg);

/* --- ringmem.c ------------------------------------------------------------------ */

/*
 * Bytes charged to a user against RLIMIT_MEMLOCK (as AF_XDP's umem is), unless capable(CAP_IPC_LOCK), and to the
 * memory cgroup of whoever asks. Zeroed is empty.
 */
struct kt_charge {
	const struct cred *cred;
	unsigned long n_pages;
};
int kt_charge_add(struct kt_charge *c, u64 bytes); /* 0 or -ENOBUFS; process context */
void kt_charge_drop(struct kt_charge *c); /* all of it; any context that may take a spin lock */

/* Zeroed pages that users map and the kernel reads and writes at addr. Any user mapping keeps its pages alive. */
struct kt_mem {
	struct page **pages;
	unsigned long n_pages;
	void *addr;
};
int kt_mem_new(struct kt_mem *m, u64 bytes, struct kt_charge *charge); /* may sleep; -ENOMEM, -ENOBUFS, -EINVAL for 0 */
void kt_mem_free(struct kt_mem *m); /* may sleep; m may be zeroed */
/*
 * The vma is [offset, offset + its size) of m, offset page-aligned. Refuses what is beyond (-EINVAL), private
 * mappings, execution, and writing unless `writable` (then also mprotect later).
 */
int kt_mem_map(const struct kt_mem *m, struct vm_area_struct *vma, u64 offset, bool writable);

/* --- netdev.c ------------------------------------------------------------------- */

struct kt_ctx;

/* Told under RTNL, may sleep. */
struct kt_ctx_ops {
	/* the device goes: after return nothing of the context may use dev. Called once at most. */
	void (*gone)(struct kt_ctx *c);
	/* it went up or down, its carrier or MTU changed */
	void (*changed)(struct kt_ctx *c);
};

/* The base of struct ktx and struct krx. */
struct kt_ctx {
	struct list_head link; /* RTNL */
	const struct kt_ctx_ops *ops;
	struct net_device *dev; /* held from attach to gone or detach; NULL before and after; changes under RTNL */
	netdevice_tracker dev_tracker;
};

/*
 * Finds the interface in the caller's network namespace, checks CAP_NET_RAW
 * and CAP_NET_ADMIN against its owner, holds the device (never the namespace: its end is told by gone()).
 * 0, -EPERM, -ENODEV. ready() is called under the same RTNL section, once dev is set, and may refuse.
 */
int kt_ctx_attach(struct kt_ctx *c, u32 ifindex, const struct kt_ctx_ops *ops, int (*ready)(struct kt_ctx *c));
/* Idempotent; after return no op is called. Takes RTNL. */
void kt_ctx_detach(struct kt_ctx *c);
/* Contexts whose interface is in a namespace that the caller's own user namespace owns. */
u32 kt_ctx_count(void);

int kt_netdev_register(void);
void kt_netdev_unregister(void);

/* --- parameters (main.c), readable by everybody, writable by root ---------------- */

extern unsigned int kt_spin_ns; /* default spin before a launch */
extern unsigned int kt_max_pending; /* probes a sender may hold */
extern unsigned int kt_max_rules;
extern unsigned int kt_irq_launch; /* launch from the timer's interrupt: 0 never, 1 where that is safe, 2 always */

/* The clocks by their uapi numbers; any context. */
u64 kt_clock_ns(u32 clock);

#endif

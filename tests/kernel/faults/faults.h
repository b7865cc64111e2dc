/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Put before every source of kernel/ in a build for tests alone (KCFLAGS="-include .../faults.h"): each call that
 * allocates asks kt_fault() first, and fails as its own kernel would when that says so. The ordinary
 * build knows nothing of it. Each such place leaves its name in section .kt_sites.
 */
#ifndef KT_FAULTS_H
#define KT_FAULTS_H

#include <linux/types.h>

bool kt_fault(const char *site);

/* The macro that only sources of kernel/ are compiled with. */
#ifdef KT_VERSION

#include <linux/gfp.h>
#include <linux/if_vlan.h>
#include <linux/kthread.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/netdevice.h>
#include <linux/netfilter.h>
#include <linux/netfilter_netdev.h>
#include <linux/percpu.h>
#include <linux/rhashtable.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <net/ip6_checksum.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <net/xfrm.h>

#define KT_FAULT \
	({ \
		static const char kt_site[] __used __section(".kt_sites") = \
			"kt-site " __FILE__ ":" __stringify(__LINE__); \
		kt_fault(kt_site); \
	})

/* What some kernels have as macros, under names that stay what they are. */
static inline void *kt_real_kzalloc(size_t bytes, gfp_t gfp)
{
	return kzalloc(bytes, gfp);
}

static inline void *kt_real_kmalloc(size_t bytes, gfp_t gfp)
{
	return kmalloc(bytes, gfp);
}

static inline void *kt_real_kvmalloc(size_t bytes, gfp_t gfp)
{
	return kvmalloc(bytes, gfp);
}

static inline void *kt_real_kvzalloc(size_t bytes, gfp_t gfp)
{
	return kvzalloc(bytes, gfp);
}

static inline void *kt_real_kvcalloc(size_t n, size_t bytes, gfp_t gfp)
{
	return kvcalloc(n, bytes, gfp);
}

static inline struct page *kt_real_alloc_page(gfp_t gfp)
{
	return alloc_page(gfp);
}

static inline struct sk_buff *kt_real_alloc_skb(unsigned int bytes, gfp_t gfp)
{
	return alloc_skb(bytes, gfp);
}

static inline void __percpu *kt_real_alloc_percpu(size_t bytes, size_t align, gfp_t gfp)
{
	return __alloc_percpu_gfp(bytes, align, gfp);
}

static inline struct sk_buff *kt_fault_share_check(struct sk_buff *skb)
{
	kfree_skb(skb);
	return NULL;
}

#undef kzalloc
#undef kmalloc
#undef kvmalloc
#undef kvzalloc
#undef kvcalloc
#undef alloc_page
#undef alloc_skb
#undef alloc_percpu_gfp
#undef kthread_create
#undef skb_clone

#define kzalloc(b, g) (KT_FAULT ? NULL : kt_real_kzalloc(b, g))
#define kmalloc(b, g) (KT_FAULT ? NULL : kt_real_kmalloc(b, g))
#define kvmalloc(b, g) (KT_FAULT ? NULL : kt_real_kvmalloc(b, g))
#define kvzalloc(b, g) (KT_FAULT ? NULL : kt_real_kvzalloc(b, g))
#define kvcalloc(n, b, g) (KT_FAULT ? NULL : kt_real_kvcalloc(n, b, g))
#define alloc_page(g) (KT_FAULT ? NULL : kt_real_alloc_page(g))
#define alloc_skb(b, g) (KT_FAULT ? NULL : kt_real_alloc_skb(b, g))
#define alloc_percpu_gfp(type, g) \
	(KT_FAULT ? NULL : (typeof(type) __percpu *)kt_real_alloc_percpu(sizeof(type), __alignof__(type), g))
#define kthread_create(fn, arg, ...) \
	(KT_FAULT ? ERR_PTR(-ENOMEM) : kthread_create_on_node(fn, arg, NUMA_NO_NODE, __VA_ARGS__))
#define vmap(...) (KT_FAULT ? NULL : vmap(__VA_ARGS__))
#define vm_insert_pages(...) (KT_FAULT ? -ENOMEM : vm_insert_pages(__VA_ARGS__))
#define skb_clone(s, g) (KT_FAULT ? NULL : (skb_clone)(s, g))
#define skb_ensure_writable(...) (KT_FAULT ? -ENOMEM : skb_ensure_writable(__VA_ARGS__))
#define skb_checksum_help(...) (KT_FAULT ? -ENOMEM : skb_checksum_help(__VA_ARGS__))
#define skb_cow_head(...) (KT_FAULT ? -ENOMEM : skb_cow_head(__VA_ARGS__))
#define skb_share_check(s, g) (KT_FAULT ? kt_fault_share_check(s) : skb_share_check(s, g))
#define nf_register_net_hook(...) (KT_FAULT ? -ENOMEM : nf_register_net_hook(__VA_ARGS__))
#define misc_register(...) (KT_FAULT ? -ENOMEM : misc_register(__VA_ARGS__))
#define register_netdevice_notifier(...) (KT_FAULT ? -ENOMEM : register_netdevice_notifier(__VA_ARGS__))
#define dev_set_promiscuity(dev, n) ((n) > 0 && KT_FAULT ? -ENOMEM : dev_set_promiscuity(dev, n))
#define dev_set_allmulti(dev, n) ((n) > 0 && KT_FAULT ? -ENOMEM : dev_set_allmulti(dev, n))

#endif
#endif

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that users map. Pages are the module's from kt_mem_new to
 * kt_mem_free; every user mapping has references of its own, so it may
 * outlive the file, be split, moved, inherited by fork or unmapped in any order. What is unmapped is not
 * missed: the kernel goes by its own mapping.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "kt.h"

/* Between two of these, mapping and allocating look whether somebody wants the CPU or us dead. */
#define BATCH_PAGES 512ul

int kt_charge_add(struct kt_charge *c, u64 bytes)
{
	unsigned long n = DIV_ROUND_UP_ULL(bytes, PAGE_SIZE);
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	atomic_long_t *locked;
	long old, new;

	if (n != DIV_ROUND_UP_ULL(bytes, PAGE_SIZE) || n > LONG_MAX / 2)
		return -ENOBUFS;
	if (capable(CAP_IPC_LOCK))
		return 0;
	/* The user is held by his credentials: free_uid() is not exported by every kernel. */
	if (!c->cred)
		c->cred = get_current_cred();
	locked = &c->cred->user->locked_vm;
	old = atomic_long_read(locked);
	do {
		new = old + (long)n;
		if ((unsigned long)new > limit)
			return -ENOBUFS;
	} while (!atomic_long_try_cmpxchg(locked, &old, new));
	c->n_pages += n;
	return 0;
}

void kt_charge_drop(struct kt_charge *c)
{
	if (!c->cred)
		return;
	atomic_long_sub((long)c->n_pages, &c->cred->user->locked_vm);
	put_cred(c->cred);
	c->cred = NULL;
	c->n_pages = 0;
}

/* The memory cgroup of whoever asks pays. Rather fails than wakes the OOM killer. */
static int get_pages(struct kt_mem *m)
{
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_HIGHMEM | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;

	for (unsigned long i = 0; i < m->n_pages; i++) {
		if (i % BATCH_PAGES == 0) {
			cond_resched();
			if (fatal_signal_pending(current))
				return -EINTR;
		}
		m->pages[i] = alloc_page(gfp);
		if (!m->pages[i])
			return -ENOMEM;
	}
	return 0;
}

int kt_mem_new(struct kt_mem *m, u64 bytes, struct kt_charge *charge)
{
	int r;

	*m = (struct kt_mem){};
	if (!bytes)
		return -EINVAL;
	/* More than there is fails at once, and not after having taken all there is. */
	if (bytes > (u64)totalram_pages() << PAGE_SHIFT)
		return -ENOMEM;
	r = kt_charge_add(charge, bytes);
	if (r)
		return r;
	m->n_pages = DIV_ROUND_UP_ULL(bytes, PAGE_SIZE);
	m->pages = kvcalloc(m->n_pages, sizeof(*m->pages), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	r = m->pages ? get_pages(m) : -ENOMEM;
	if (r)
		goto err_pages;
	m->addr = vmap(m->pages, m->n_pages, VM_MAP, PAGE_KERNEL);
	if (!m->addr) {
		r = -ENOMEM;
		goto err_pages;
	}
	return 0;

err_pages: /* the charge stays with the caller's, who drops it whole */
	kt_mem_free(m);
	return r;
}

void kt_mem_free(struct kt_mem *m)
{
	vunmap(m->addr);
	for (unsigned long i = 0; m->pages && i < m->n_pages; i++) {
		if (i % BATCH_PAGES == 0)
			cond_resched();
		if (m->pages[i])
			put_page(m->pages[i]);
	}
	kvfree(m->pages);
	*m = (struct kt_mem){};
}

int kt_mem_map(const struct kt_mem *m, struct vm_area_struct *vma, u64 offset, bool writable)
{
	unsigned long n = vma_pages(vma), first = offset >> PAGE_SHIFT;
	unsigned long addr = vma->vm_start;

	if (offset_in_page(offset) || offset >> PAGE_SHIFT > m->n_pages || n > m->n_pages - first)
		return -EINVAL;
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC || (vma->vm_flags & VM_WRITE && !writable))
		return -EPERM;
	/* What is not allowed now is not allowed by mprotect later. */
	vm_flags_clear(vma, VM_MAYEXEC | (writable ? 0 : VM_MAYWRITE));
	/* mremap may move and shrink it. A core dump has no use for gigabytes of packets. */
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	while (n) {
		unsigned long batch = min(n, BATCH_PAGES), left = batch;
		int r = vm_insert_pages(vma, addr, m->pages + first, &left);

		if (r)
			return r;
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
		addr += batch << PAGE_SHIFT;
		first += batch;
		n -= batch;
	}
	return 0;
}

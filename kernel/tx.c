// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/ktx: the file. Set up, mapped, asked, polled, closed; and what befalls its interface.
 */
#include <linux/cpumask.h>
#include <linux/eventfd.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include "ktx.h"

#define MAX_SPIN_NS 1000000u
#define MAX_SLOT_BYTES 65600u /* the longest frame there is, of loopback, in whole cache lines */
#define KNOWN_FLAGS \
	(KTX_SETUP_TAP | KTX_SETUP_ZEROCOPY | KTX_SETUP_FIFO | KTX_SETUP_CPU | KTX_SETUP_QUEUE | KTX_SETUP_NO_SPIN | \
	 KTX_SETUP_STAMPS | KTX_SETUP_LAUNCH)

static struct ktx *ktx_of(struct kt_ctx *c)
{
	return container_of(c, struct ktx, ctx);
}

/* --- The interface ---------------------------------------------------------------- */

/* Under RTNL. No driver call is under way when this returns, and none will be made. */
static void dev_gone(struct kt_ctx *ctx)
{
	struct ktx *tx = ktx_of(ctx);

	kt_tx_offers_end(tx);
	spin_lock_bh(&tx->lock);
	tx->gone = true;
	RCU_INIT_POINTER(tx->dev, NULL);
	WRITE_ONCE(tx->kick, tx->kick + 1); /* who spins puts back, looks, and fails the rest */
	kt_tx_fail_all(tx, ENODEV);
	spin_unlock_bh(&tx->lock);
	synchronize_net();
	wake_up_interruptible_poll(&tx->wait, EPOLLERR | EPOLLHUP | EPOLLIN | EPOLLOUT);
}

/* Each launch looks at the device's state and MTU itself. */
static void dev_changed(struct kt_ctx *ctx)
{
}

static const struct kt_ctx_ops ctx_ops = { .gone = dev_gone, .changed = dev_changed };

/* --- SETUP --------------------------------------------------------------------------- */

static int check_setup(const struct ktx_setup *s)
{
	if (s->flags & ~(u32)KNOWN_FLAGS || s->clock > KTRXER_ABI_TAI || s->spin_ns > MAX_SPIN_NS)
		return -EINVAL;
	if (!is_power_of_2(s->n_desc) || s->n_desc > READ_ONCE(kt_max_pending) || s->n_slots > 2 * s->n_desc)
		return -EINVAL;
	if (!s->slot_bytes || s->slot_bytes % 64 || s->slot_bytes > MAX_SLOT_BYTES || s->fifo_priority > 99)
		return -EINVAL;
	if (s->flags & KTX_SETUP_CPU ? s->cpu >= nr_cpu_ids || !cpu_online(s->cpu) : s->cpu)
		return -EINVAL;
	if (!(s->flags & KTX_SETUP_QUEUE) && s->queue)
		return -EINVAL;
	if (s->flags & KTX_SETUP_LAUNCH && (s->clock != KTRXER_ABI_TAI || s->flags & KTX_SETUP_NO_SPIN))
		return -EINVAL;
	return 0;
}

/* What the user may leave open, and where things lie. */
static void complete_setup(struct ktx_setup *s)
{
	if (!s->n_slots)
		s->n_slots = s->n_desc;
	if (!(s->flags & KTX_SETUP_CPU))
		s->cpu = raw_smp_processor_id();
	if (s->flags & KTX_SETUP_NO_SPIN)
		s->spin_ns = 0;
	else if (!s->spin_ns)
		s->spin_ns = READ_ONCE(kt_spin_ns);
	s->desc_off = PAGE_SIZE;
	s->done_off = PAGE_ALIGN(s->desc_off + s->n_desc * sizeof(struct ktx_desc));
	s->slot_off = PAGE_ALIGN((u64)s->done_off + s->n_desc * sizeof(struct ktx_done_abi));
	s->map_bytes = PAGE_ALIGN(s->slot_off + (u64)s->n_slots * s->slot_bytes);
}

/* Under RTNL, with the device. */
static int dev_ready(struct kt_ctx *ctx)
{
	struct ktx *tx = ktx_of(ctx);

	if (tx->setup.flags & KTX_SETUP_QUEUE && tx->setup.queue >= ctx->dev->real_num_tx_queues)
		return -EINVAL;
	strscpy(tx->ifname, ctx->dev->name, sizeof(tx->ifname));
	kt_tx_skb_device(tx, ctx->dev);
	kt_tx_offers(tx, ctx->dev);
	tx->by_irq = kt_tx_irq_allowed(tx, ctx->dev);
	rcu_assign_pointer(tx->dev, ctx->dev);
	return 0;
}

/* Is there anything that a device keeps for longer than its call? */
static bool needs_hold(const struct ktx_setup *s)
{
	return s->flags & (KTX_SETUP_ZEROCOPY | KTX_SETUP_STAMPS);
}

static int get_memory(struct ktx *tx)
{
	struct ktx_setup *s = &tx->setup;
	u64 own = sizeof(*tx) + s->n_slots * (u64)sizeof(*tx->probes) + kt_schedule_bytes(s->n_slots);
	int r;

	own += s->n_slots * kt_tx_skb_bytes(tx, s->slot_bytes);
	if (needs_hold(s))
		own += kt_tx_hold_bytes(s->n_slots);
	r = kt_charge_add(&tx->charge, own);
	if (r)
		return r;
	r = kt_mem_new(&tx->mem, s->map_bytes, &tx->charge);
	if (r)
		return r;
	s->held_bytes = own + s->map_bytes;
	tx->probes = kvcalloc(s->n_slots, sizeof(*tx->probes), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	tx->schedule_mem = kvmalloc(kt_schedule_bytes(s->n_slots), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!tx->probes || !tx->schedule_mem)
		return -ENOMEM;
	kt_schedule_init(&tx->schedule, tx->schedule_mem, s->n_slots);
	tx->shared = tx->mem.addr;
	tx->desc = tx->mem.addr + s->desc_off;
	tx->done = tx->mem.addr + s->done_off;
	tx->slots = tx->mem.addr + s->slot_off;
	return needs_hold(s) ? kt_tx_hold_new(tx) : 0;
}

static void put_memory(struct ktx *tx)
{
	kt_tx_flood_end(tx);
	kt_tx_hold_close(tx);
	for (u32 i = 0; tx->probes && i < tx->setup.n_slots; i++)
		consume_skb(tx->probes[i].skb);
	kvfree(tx->schedule_mem);
	kvfree(tx->probes);
	kt_mem_free(&tx->mem);
	kt_charge_drop(&tx->charge);
	tx->schedule_mem = NULL;
	tx->probes = NULL;
}

static void let_go_of_device(struct ktx *tx)
{
	rtnl_lock();
	kt_tx_offers_end(tx);
	rtnl_unlock();
	kt_ctx_detach(&tx->ctx);
}

static int set_up(struct ktx *tx)
{
	int r = kt_ctx_attach(&tx->ctx, tx->setup.ifindex, &ctx_ops, dev_ready);

	if (r)
		return r;
	r = get_memory(tx);
	if (r)
		goto err_memory;
	r = kt_tx_launcher_start(tx);
	if (r)
		goto err_memory;
	return 0;

err_memory:
	let_go_of_device(tx);
	spin_lock_bh(&tx->lock);
	RCU_INIT_POINTER(tx->dev, NULL);
	tx->gone = false;
	spin_unlock_bh(&tx->lock);
	put_memory(tx);
	return r;
}

static long do_setup(struct ktx *tx, void __user *arg)
{
	struct ktx_setup s;
	int r = kt_arg_get(&s, sizeof(s), offsetof(struct ktx_setup, desc_off), arg);

	if (r)
		return r;
	if (s.abi != KTRXER_ABI) {
		s.abi = KTRXER_ABI;
		return kt_arg_put(arg, &s, sizeof(s)) ? -EFAULT : -EPROTO;
	}
	r = check_setup(&s);
	if (r)
		return r;
	complete_setup(&s);
	if (mutex_lock_interruptible(&tx->mutex))
		return -ERESTARTSYS;
	r = -EBUSY;
	if (tx->ready)
		goto out;
	tx->setup = s;
	r = set_up(tx);
	if (r)
		goto out;
	kt_store_release(&tx->ready, true);
	r = kt_arg_put(arg, &tx->setup, sizeof(tx->setup));
out:
	mutex_unlock(&tx->mutex);
	return r;
}

/* --- The other calls --------------------------------------------------------------- */

static long do_submit(struct ktx *tx, void __user *arg)
{
	struct ktx_submit s;
	int r = kt_arg_get(&s, sizeof(s), sizeof(s), arg);

	if (r)
		return r;
	if (mutex_lock_interruptible(&tx->mutex))
		return -ERESTARTSYS;
	r = kt_tx_submit(tx, &s);
	mutex_unlock(&tx->mutex);
	return r ? r : kt_arg_put(arg, &s, sizeof(s));
}

static long do_cancel(struct ktx *tx, void __user *arg)
{
	struct ktx_cancel c;
	int r = kt_arg_get(&c, sizeof(c), sizeof(c), arg);

	if (r)
		return r;
	if (c.all > 1 || c.reserved)
		return -EINVAL;
	c.n = kt_tx_cancel(tx, c.all, c.id);
	return kt_arg_put(arg, &c, sizeof(c));
}

static long do_stats(struct ktx *tx, void __user *arg)
{
	const struct kt_schedule_entry *e;
	struct ktx_stats_abi s;
	u32 size;
	int r = kt_arg_get(&s, sizeof(s), sizeof(s.size), arg);

	if (r)
		return r;
	size = s.size;
	spin_lock_bh(&tx->lock);
	s = tx->st;
	e = kt_schedule_first(&tx->schedule);
	s.next_launch_ns = e ? e->time_ns : 0;
	spin_unlock_bh(&tx->lock);
	s.size = size;
	s.flags = (tx->thread ? KTX_STATS_FIFO : 0u) | (tx->by_irq != KT_IRQ_NEVER ? KTX_STATS_IRQ : 0u) |
		  (tx->by_irq == KT_IRQ_ALWAYS ? KTX_STATS_IRQ_ALWAYS : 0u);
	return kt_arg_put(arg, &s, sizeof(s));
}

static long do_eventfd(struct ktx *tx, void __user *arg)
{
	struct eventfd_ctx *ctx = NULL;
	struct ktrxer_eventfd e;
	int r = kt_arg_get(&e, sizeof(e), sizeof(e), arg);

	if (r)
		return r;
	if (e.fd < -1)
		return -EINVAL;
	if (e.fd >= 0) {
		ctx = eventfd_ctx_fdget(e.fd);
		if (IS_ERR(ctx))
			return PTR_ERR(ctx);
	}
	spin_lock_bh(&tx->lock);
	swap(ctx, tx->eventfd);
	spin_unlock_bh(&tx->lock);
	if (ctx)
		eventfd_ctx_put(ctx);
	return 0;
}

static long do_flood(struct ktx *tx, void __user *arg)
{
	struct ktx_flood_abi a;
	int r = kt_arg_get(&a, sizeof(a), sizeof(a), arg);

	if (r)
		return r;
	if (mutex_lock_interruptible(&tx->mutex))
		return -ERESTARTSYS;
	r = kt_tx_flood(tx, &a);
	mutex_unlock(&tx->mutex);
	/* What was sent has been sent, whatever ended it. */
	return kt_arg_put(arg, &a, sizeof(a)) ? -EFAULT : r;
}

static long ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct ktx *tx = file->private_data;
	void __user *p = (void __user *)arg;

	switch (cmd) {
	case KTRXER_IOC_INFO:
		return kt_arg_info(p);
	case KTX_IOC_SETUP:
		return do_setup(tx, p);
	}
	if (!kt_load_acquire(&tx->ready))
		return cmd >= KTX_IOC_SUBMIT && cmd <= KTX_IOC_FLOOD ? -ENXIO : -ENOTTY;
	switch (cmd) {
	case KTX_IOC_SUBMIT:
		return do_submit(tx, p);
	case KTX_IOC_CANCEL:
		return do_cancel(tx, p);
	case KTX_IOC_STATS:
		return do_stats(tx, p);
	case KTX_IOC_EVENTFD:
		return do_eventfd(tx, p);
	case KTX_IOC_FLOOD:
		return do_flood(tx, p);
	}
	return -ENOTTY;
}

/* --- The file ---------------------------------------------------------------------- */

static int open(struct inode *inode, struct file *file)
{
	struct ktx *tx = kzalloc(sizeof(*tx), GFP_KERNEL_ACCOUNT);

	if (!tx)
		return -ENOMEM;
	mutex_init(&tx->mutex);
	spin_lock_init(&tx->lock);
	init_waitqueue_head(&tx->wait);
	INIT_LIST_HEAD(&tx->launching_link);
	file->private_data = tx;
	return nonseekable_open(inode, file);
}

static int mmap(struct file *file, struct vm_area_struct *vma)
{
	struct ktx *tx = file->private_data;

	if (!kt_load_acquire(&tx->ready))
		return -ENXIO;
	return kt_mem_map(&tx->mem, vma, (u64)vma->vm_pgoff << PAGE_SHIFT, true);
}

static __poll_t poll(struct file *file, poll_table *table)
{
	struct ktx *tx = file->private_data;
	__poll_t events = 0;

	if (!kt_load_acquire(&tx->ready))
		return EPOLLERR;
	poll_wait(file, &tx->wait, table);
	spin_lock_bh(&tx->lock);
	/* In this order: what follows knows the newest done_read. */
	if (kt_tx_room(tx))
		events |= EPOLLOUT | EPOLLWRNORM;
	if (tx->done_read != tx->done_end)
		events |= EPOLLIN | EPOLLRDNORM;
	if (tx->gone)
		events |= EPOLLERR | EPOLLHUP;
	spin_unlock_bh(&tx->lock);
	return events;
}

/*
 * The last descriptor is closed, so no call is under way. The launcher ends
 * before the device is let go of, and that before the memory goes, so nobody is left who could use any of it.
 */
static int release(struct inode *inode, struct file *file)
{
	struct ktx *tx = file->private_data;

	if (tx->ready) {
		kt_tx_launcher_stop(tx);
		let_go_of_device(tx);
		put_memory(tx);
	}
	if (tx->eventfd)
		eventfd_ctx_put(tx->eventfd);
	mutex_destroy(&tx->mutex);
	kfree(tx);
	return 0;
}

const struct file_operations kt_tx_fops = {
	.owner = THIS_MODULE,
	.open = open,
	.release = release,
	.unlocked_ioctl = ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = mmap,
	.poll = poll,
};

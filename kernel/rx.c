// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/krx: the file. See include/uapi/ktrxer.h for what each call promises.
 */
#include <linux/if_arp.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/poll.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include "krx.h"

#define MIN_UNITS 256u

static struct krx *krx_of(struct kt_ctx *c)
{
	return container_of(c, struct krx, ctx);
}

/* --- The interface: RTNL --------------------------------------------------------------- */

static void stop(struct krx *rx)
{
	if (!rx->running)
		return;
	kt_rx_hooks_remove(rx);
	net_disable_timestamp();
	if (rx->flags & KRX_SETUP_PROMISC)
		dev_set_promiscuity(rx->dev, -1);
	kt_rx_allmulti(rx, false);
}

static void gone(struct kt_ctx *c)
{
	struct krx *rx = krx_of(c);

	stop(rx);
	WRITE_ONCE(rx->gone, true);
	kt_rx_wake_all(rx);
}

static void changed(struct kt_ctx *c)
{
	WRITE_ONCE(krx_of(c)->down, !(c->dev->flags & IFF_UP));
}

static int start(struct kt_ctx *c)
{
	struct krx *rx = krx_of(c);
	int ret;

	if (c->dev->type != ARPHRD_ETHER && c->dev->type != ARPHRD_LOOPBACK)
		return -EOPNOTSUPP;
	rx->dev = c->dev;
	rx->net = dev_net(c->dev);
	rx->ifindex = (u32)c->dev->ifindex;
	changed(c);
	if (rx->flags & KRX_SETUP_PROMISC) {
		ret = dev_set_promiscuity(rx->dev, 1);
		if (ret)
			return ret;
	}
	net_enable_timestamp();
	ret = kt_rx_hooks_add(rx);
	if (!ret)
		return 0;
	net_disable_timestamp();
	if (rx->flags & KRX_SETUP_PROMISC)
		dev_set_promiscuity(rx->dev, -1);
	return ret;
}

static const struct kt_ctx_ops ctx_ops = { .gone = gone, .changed = changed };

/* --- Calls --------------------------------------------------------------------------------- */

#define KNOWN_FLAGS \
	(KRX_SETUP_INGRESS | KRX_SETUP_PREROUTING | KRX_SETUP_PROMISC | KRX_SETUP_OUTGOING | KRX_SETUP_HW_STAMPS)

static int check_setup(struct krx_setup *s)
{
	if (s->abi != KTRXER_ABI) {
		s->abi = KTRXER_ABI;
		return -EPROTO;
	}
	if (s->flags & ~KNOWN_FLAGS || s->reserved)
		return -EINVAL;
	if (s->flags & KRX_SETUP_INGRESS && s->flags & KRX_SETUP_PREROUTING)
		return -EINVAL;
	if (s->n_units < MIN_UNITS || s->n_units > KT_RING_MAX_UNITS || !is_power_of_2(s->n_units))
		return -EINVAL;
	if (!(s->flags & KRX_SETUP_PREROUTING))
		s->flags |= KRX_SETUP_INGRESS;
	return 0;
}

/* lock held. */
static int setup(struct krx *rx, struct krx_setup *s)
{
	int ret, cpu;

	if (rx->ready)
		return -EBUSY;
	ret = check_setup(s);
	if (ret)
		return ret;
	rx->flags = s->flags;
	ret = kt_rx_ring_new(rx, s->n_units);
	if (ret)
		return ret;
	rx->cpu = alloc_percpu_gfp(struct kt_rx_cpu, GFP_KERNEL_ACCOUNT);
	if (!rx->cpu) {
		ret = -ENOMEM;
		goto err_cpu;
	}
	for_each_possible_cpu(cpu) u64_stats_init(&per_cpu_ptr(rx->cpu, cpu)->sync);
	ret = kt_rx_rules_init(rx);
	if (ret)
		goto err_rules;
	ret = kt_ctx_attach(&rx->ctx, s->ifindex, &ctx_ops, start);
	if (ret)
		goto err_attach;
	s->ring_bytes = (u64)rx->ring_mem.n_pages << PAGE_SHIFT;
	s->cursor_bytes = (u64)rx->cursor_mem.n_pages << PAGE_SHIFT;
	s->held_bytes = s->ring_bytes + s->cursor_bytes + sizeof(*rx) + num_possible_cpus() * sizeof(struct kt_rx_cpu);
	kt_store_release(&rx->ready, true);
	return 0;

err_attach:
	kt_rx_rules_end(rx);
err_rules:
	free_percpu(rx->cpu);
	rx->cpu = NULL;
err_cpu:
	kt_rx_ring_free(rx);
	return ret;
}

/* One CPU after another. "seen" is the sum of what became of packets, so it always is. */
static void add_counters(u64 sum[KT_RX_N_COUNTERS], const struct kt_rx_cpu *c)
{
	u64 n[KT_RX_N_COUNTERS];
	unsigned int start;

	do {
		start = u64_stats_fetch_begin(&c->sync);
		for (u32 i = 0; i < KT_RX_N_COUNTERS; i++)
			n[i] = u64_stats_read(&c->n[i]);
	} while (u64_stats_fetch_retry(&c->sync, start));
	for (u32 i = 0; i < KT_RX_N_COUNTERS; i++)
		sum[i] += n[i];
}

static void get_stats(struct krx *rx, struct krx_stats_abi *s)
{
	u64 n[KT_RX_N_COUNTERS] = { 0 };
	int cpu;

	for_each_possible_cpu(cpu) add_counters(n, per_cpu_ptr(rx->cpu, cpu));
	s->flags = (READ_ONCE(rx->down) ? KRX_STATS_DOWN : 0) | (READ_ONCE(rx->gone) ? KRX_STATS_GONE : 0) |
		   (kt_rx_hooks_first(rx) ? 0 : KRX_STATS_NOT_FIRST);
	s->delivered = n[KT_RX_DELIVERED];
	s->dropped = n[KT_RX_DROPPED];
	s->passed = n[KT_RX_PASSED];
	s->lost_ring = n[KT_RX_LOST_RING];
	s->lost_error = n[KT_RX_LOST_ERROR];
	s->seen = s->delivered + s->dropped + s->passed + s->lost_ring + s->lost_error;
	s->seen_bytes = n[KT_RX_BYTES];
	s->forwarded = n[KT_RX_FORWARDED];
	s->merged = n[KT_RX_MERGED];
	s->merged_segments = n[KT_RX_SEGMENTS];
	s->malformed = n[KT_RX_MALFORMED];
	s->answered = n[KT_RX_ANSWERED];
	s->stampless = n[KT_RX_STAMPLESS];
	s->displaced = (u64)atomic64_read(&rx->displaced);
	spin_lock_bh(&rx->ring_lock);
	s->bad_cursors = rx->ring.bad_cursors;
	spin_unlock_bh(&rx->ring_lock);
}

/* Ioctls with an argument of this type, as they were when the contract was made. */
union argument {
	u32 size;
	struct krx_setup setup;
	struct krx_rules rules;
	struct krx_counts counts;
	struct krx_stats_abi stats;
	struct krx_listen listen;
	struct krx_addresses addresses;
	struct ktrxer_eventfd eventfd;
};

static int do_setup(struct krx *rx, union argument *a)
{
	return setup(rx, &a->setup);
}

static int do_rules(struct krx *rx, union argument *a)
{
	return kt_rx_rules_replace(rx, &a->rules);
}

static int do_counts(struct krx *rx, union argument *a)
{
	return kt_rx_rules_counts(rx, &a->counts);
}

static int do_addresses(struct krx *rx, union argument *a)
{
	return kt_rx_addresses_set(rx, &a->addresses);
}

static int do_stats(struct krx *rx, union argument *a)
{
	get_stats(rx, &a->stats);
	return 0;
}

static int do_listen(struct krx *rx, union argument *a)
{
	int cursor;

	if (a->listen.lossless > 1 || a->listen.reserved)
		return -EINVAL;
	cursor = kt_rx_listen(rx, a->listen.lossless);
	if (cursor < 0)
		return cursor;
	a->listen.cursor = (u32)cursor;
	return 0;
}

static int do_unlisten(struct krx *rx, union argument *a)
{
	return a->listen.reserved ? -EINVAL : kt_rx_unlisten(rx, a->listen.cursor);
}

static int do_eventfd(struct krx *rx, union argument *a)
{
	return kt_rx_eventfd_set(rx, a->eventfd.fd);
}

struct call {
	u32 cmd;
	u32 bytes;
	bool locked; /* one at a time; the others may be called beside it */
	bool before; /* set-up */
	int (*run)(struct krx *rx, union argument *a);
};

static const struct call calls[] = {
	{ KRX_IOC_SETUP, sizeof(struct krx_setup), .locked = true, .before = true, .run = do_setup },
	{ KRX_IOC_RULES, sizeof(struct krx_rules), .locked = true, .run = do_rules },
	{ KRX_IOC_COUNTS, sizeof(struct krx_counts), .locked = true, .run = do_counts },
	{ KRX_IOC_ADDRESSES, sizeof(struct krx_addresses), .locked = true, .run = do_addresses },
	{ KRX_IOC_STATS, sizeof(struct krx_stats_abi), .run = do_stats },
	{ KRX_IOC_LISTEN, sizeof(struct krx_listen), .run = do_listen },
	{ KRX_IOC_UNLISTEN, sizeof(struct krx_listen), .run = do_unlisten },
	{ KRX_IOC_EVENTFD, sizeof(struct ktrxer_eventfd), .run = do_eventfd },
};

static long run_call(struct krx *rx, const struct call *c, void __user *to)
{
	union argument a;
	int ret, put;

	/* What a caller does not know of its answer it need not make room for. */
	ret = kt_arg_get(&a, c->bytes, c->cmd == KRX_IOC_STATS ? sizeof(a.size) : c->bytes, to);
	if (ret)
		return ret;
	if (!c->before && !kt_load_acquire(&rx->ready))
		return -ENXIO;
	if (c->locked && mutex_lock_killable(&rx->lock))
		return -EINTR;
	ret = c->run(rx, &a);
	if (c->locked)
		mutex_unlock(&rx->lock);
	put = kt_arg_put(to, &a, c->bytes);
	return ret ? ret : put;
}

static long do_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	if (cmd == KTRXER_IOC_INFO)
		return kt_arg_info((void __user *)arg);
	for (u32 i = 0; i < ARRAY_SIZE(calls); i++) {
		if (calls[i].cmd == cmd)
			return run_call(file->private_data, &calls[i], (void __user *)arg);
	}
	return -ENOTTY;
}

/* --- The file ------------------------------------------------------------------------------- */

static int open_file(struct inode *inode, struct file *file)
{
	struct krx *rx = kzalloc(sizeof(*rx), GFP_KERNEL_ACCOUNT);

	if (!rx)
		return -ENOMEM;
	mutex_init(&rx->lock);
	kt_rx_ring_init(rx);
	kt_rx_hooks_init(rx);
	file->private_data = rx;
	return nonseekable_open(inode, file);
}

static int release_file(struct inode *inode, struct file *file)
{
	struct krx *rx = file->private_data;

	if (rx->ready) {
		rtnl_lock();
		stop(rx);
		rtnl_unlock();
		kt_ctx_detach(&rx->ctx);
		kt_rx_addresses_end(rx);
		kt_rx_rules_end(rx);
		free_percpu(rx->cpu);
	}
	kt_rx_ring_end(rx);
	kfree(rx);
	return 0;
}

static __poll_t poll_file(struct file *file, poll_table *wait)
{
	struct krx *rx = file->private_data;
	__poll_t events = 0;

	if (!kt_load_acquire(&rx->ready))
		return EPOLLERR;
	poll_wait(file, &rx->wait, wait);
	if (kt_rx_unread(rx))
		events |= EPOLLIN | EPOLLRDNORM;
	if (READ_ONCE(rx->gone))
		events |= EPOLLERR | EPOLLHUP;
	return events;
}

static int map_file(struct file *file, struct vm_area_struct *vma)
{
	struct krx *rx = file->private_data;
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;

	if (!kt_load_acquire(&rx->ready))
		return -ENXIO;
	BUILD_BUG_ON(KRX_MAP_CURSORS % (1u << 16) ||
		     (u64)KT_RING_MAX_UNITS * KT_RING_UNIT + PAGE_SIZE > KRX_MAP_CURSORS);
	if (offset >= KRX_MAP_CURSORS)
		return kt_mem_map(&rx->cursor_mem, vma, offset - KRX_MAP_CURSORS, true);
	return kt_mem_map(&rx->ring_mem, vma, offset - KRX_MAP_RING, false);
}

const struct file_operations kt_rx_fops = {
	.owner = THIS_MODULE,
	.open = open_file,
	.release = release_file,
	.unlocked_ioctl = do_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = poll_file,
	.mmap = map_file,
};

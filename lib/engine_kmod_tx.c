/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Engine kmod, sending: descriptors and frames into memory shared with the module, completions out of it. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../core/ring.h"
#include "../include/uapi/ktrxer.h"
#include "engine_kmod.h"

#define MAX_SPIN_NS 1000000u
#define FLOOD_BATCH 512u

static u32 power_of_two(u32 n)
{
	u32 p = 1;

	while (p < n)
		p *= 2;
	return p;
}

static void close_context(struct kt_kmod_tx *t)
{
	if (t->map)
		munmap(t->map, t->map_bytes);
	if (t->fd >= 0)
		close(t->fd);
	memset(t, 0, sizeof(*t));
	t->fd = -1;
}

/* What the sender's options ask for, in the module's terms. */
static u32 setup_flags(const struct ktrxer *port, const struct ktx_opts *o)
{
	return (o->cpu ? KTX_SETUP_CPU : 0u) | (o->fifo_priority ? KTX_SETUP_FIFO : 0u) |
	       (o->no_spin ? KTX_SETUP_NO_SPIN : 0u) | (port->opts.queue ? KTX_SETUP_QUEUE : 0u) |
	       (o->tap ? KTX_SETUP_TAP : 0u) | (o->zero_copy ? KTX_SETUP_ZEROCOPY : 0u);
}

/* flags: those of the use, beside what the sender's options ask for. */
static int open_context(struct ktrxer *port, struct kt_kmod_tx *t, u32 n, u32 frame_bytes, u32 flags,
			struct ktrxer_err *err)
{
	const struct ktx_opts *o = &kt_kmod_of(port)->tx_opts;
	struct ktx_setup s = {
		.size = sizeof(s),
		.abi = KTRXER_ABI,
		.ifindex = port->ifindex,
		.n_desc = power_of_two(n),
		.n_slots = n,
		.slot_bytes = KT_ALIGN_UP(frame_bytes, 64u),
		.clock = port->clock,
		.spin_ns = o->spin_ns > MAX_SPIN_NS ? MAX_SPIN_NS : (u32)o->spin_ns,
		.flags = flags | setup_flags(port, o),
		.cpu = o->cpu ? (u32)o->cpu - 1 : 0,
		.queue = port->opts.queue,
		.fifo_priority = (u32)o->fifo_priority,
	};
	void *map;
	int ret;

	t->fd = kt_kmod_device(KTX_DEVICE, err);
	if (t->fd < 0)
		return t->fd;
	if (ioctl(t->fd, KTX_IOC_SETUP, &s)) {
		ret = kt_kmod_setup_err(port, "sender", errno, s.abi, err);
		close_context(t);
		return ret;
	}
	map = mmap(NULL, (size_t)s.map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	if (map == MAP_FAILED) {
		ret = kt_err(err, errno, "a sender's memory cannot be mapped: %s", strerror(errno));
		close_context(t);
		return ret;
	}
	t->map = map;
	t->map_bytes = (size_t)s.map_bytes;
	t->shared = map;
	t->desc = (struct ktx_desc *)(void *)(t->map + s.desc_off);
	t->done = (const struct ktx_done_abi *)(const void *)(t->map + s.done_off);
	t->slots = t->map + s.slot_off;
	t->slot_bytes = s.slot_bytes;
	t->mask = s.n_desc - 1;
	t->flags = s.flags;
	t->submit = t->done_read = 0;
	return 0;
}

static void give_slots(const struct kt_kmod_tx *t, struct kt_txslot *slots, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		slots[i].data = t->slots + (size_t)i * t->slot_bytes;
		slots[i].cap = t->slot_bytes;
		slots[i].cookie = i;
	}
}

/* --- With a schedule --- */

void kt_kmod_tx_options(struct ktrxer *port, const struct ktx_opts *o)
{
	kt_kmod_of(port)->tx_opts = *o;
}

int kt_kmod_tx_open(struct ktrxer *port, struct kt_txslot *slots, u32 n, u32 frame_bytes, bool kernel_stamps,
		    struct ktrxer_err *err)
{
	struct kt_kmod_priv *p = port->priv;
	u32 flags = (kernel_stamps ? KTX_SETUP_STAMPS : 0u) | (p->tx_opts.nic_launch ? KTX_SETUP_LAUNCH : 0u);
	int ret = open_context(port, &p->tx, n, frame_bytes, flags, err);

	if (!ret) {
		give_slots(&p->tx, slots, n);
		p->tx_slots = slots;
	}
	return ret;
}

void kt_kmod_tx_close(struct ktrxer *port)
{
	struct kt_kmod_priv *p = port->priv;

	close_context(&p->tx);
	close_context(&p->flood);
	free(p->flood_frames);
	p->flood_frames = NULL;
}

/* Publishes what was written and has it taken. The number taken; *error says why not all. */
static u32 submit(struct kt_kmod_tx *t, u32 n, u32 flags, int *error)
{
	struct ktx_submit s = { .size = sizeof(s), .flags = flags };

	kt_store_release(&t->shared->submit, t->submit + n);
	*error = 0;
	if (ioctl(t->fd, KTX_IOC_SUBMIT, &s))
		*error = errno;
	else if (s.n < n)
		*error = s.error ? -s.error : EAGAIN;
	t->submit += s.n;
	/* What was not taken is withdrawn, so that nobody submits it later by mistake. */
	if (s.n < n)
		kt_store_release(&t->shared->submit, t->submit);
	return s.n;
}

int kt_kmod_tx_order(struct ktrxer *port, const struct kt_txorder *orders, u32 n)
{
	struct kt_kmod_priv *p = port->priv;
	struct kt_kmod_tx *t = &p->tx;
	int error;
	u32 taken;

	for (u32 i = 0; i < n; i++) {
		t->desc[(t->submit + i) & t->mask] = (struct ktx_desc){
			.id = orders[i].item,
			.launch_ns = orders[i].launch_ns,
			.window_ns = orders[i].window_ns,
			.slot = orders[i].item,
			.len = p->tx_slots[orders[i].item].len,
			.flags = orders[i].train ? KTX_DESC_TRAIN : 0u,
			.max_attempts = orders[i].max_attempts,
			.retry_ns = orders[i].retry_ns,
		};
	}
	taken = submit(t, n, 0, &error);
	return taken ? (int)taken : -error;
}

int kt_kmod_tx_fates(struct ktrxer *port, struct kt_txfate *fates, u32 max)
{
	struct kt_kmod_tx *t = &kt_kmod_of(port)->tx;
	u32 have = kt_load_acquire(&t->shared->done) - t->done_read, n = have < max ? have : max;

	for (u32 i = 0; i < n; i++) {
		const struct ktx_done_abi *d = &t->done[(t->done_read + i) & t->mask];
		bool launched = d->flags & KTX_DONE_LAUNCHED;

		fates[i] = (struct kt_txfate){
			.item = (u32)d->id,
			.status = (enum ktx_status)d->status,
			.reason = d->reason,
			.attempts = d->attempts,
			/* Given to the NIC ahead; it leaves at the time that went with it. */
			.launch_ns = launched ? d->scheduled_ns : d->launch_ns,
			.returned_ns = d->returned_ns,
			.stamp_ns = d->stamp_ns,
			.stamp_clock = d->stamp_clock,
			.nic_launched = launched,
		};
	}
	t->done_read += n;
	kt_store_release(&t->shared->done_read, t->done_read);
	return (int)n;
}

void kt_kmod_tx_recall(struct ktrxer *port, u32 item)
{
	struct ktx_cancel c = { .size = sizeof(c), .all = item == KT_NO_SLOT, .id = item };

	/* Nothing can be wrong but that the device is gone, and then every fate is told anyway. */
	(void)!ioctl(kt_kmod_of(port)->tx.fd, KTX_IOC_CANCEL, &c);
}

int kt_kmod_tx_wait(struct ktrxer *port, u64 until_ns)
{
	struct pollfd p = { .fd = kt_kmod_of(port)->tx.fd, .events = POLLIN };
	u64 now = kt_port_now(port);
	struct timespec ts = kt_ns_timespec(until_ns > now ? until_ns - now : 0);

	return ppoll(&p, 1, &ts, NULL) < 0 ? -errno : 0;
}

void kt_kmod_tx_counts(struct ktrxer *port, struct kt_tx_counts *counts)
{
	struct ktx_stats_abi s = { .size = sizeof(s) };

	counts->fifo = kt_kmod_of(port)->tx.flags & KTX_SETUP_FIFO;
	counts->tap = kt_kmod_of(port)->tx.flags & KTX_SETUP_TAP;
	counts->zero_copy = kt_kmod_of(port)->tx.flags & KTX_SETUP_ZEROCOPY;
	counts->nic_launch = kt_kmod_of(port)->tx.flags & KTX_SETUP_LAUNCH;
	if (!ioctl(kt_kmod_of(port)->tx.fd, KTX_IOC_STATS, &s))
		counts->batches = s.batches;
}

/* --- Floods: without a schedule, in the caller's context --- */

u32 kt_kmod_tx_flood_max(struct ktrxer *port, u32 *frame_bytes)
{
	(void)port;
	*frame_bytes = UINT32_MAX;
	return FLOOD_BATCH;
}

int kt_kmod_tx_flood_open(struct ktrxer *port, struct kt_flood *flood, u32 frame_bytes, struct ktrxer_err *err)
{
	struct kt_kmod_priv *p = port->priv;
	int ret;

	close_context(&p->flood);
	free(p->flood_frames);
	p->flood_frames = calloc(flood->n, sizeof(*p->flood_frames));
	if (!p->flood_frames)
		return kt_err(err, ENOMEM, "no memory for a flood");
	ret = open_context(port, &p->flood, flood->n, frame_bytes, 0, err);
	if (ret)
		return ret;
	flood->cells = p->flood.slots;
	flood->stride = p->flood.slot_bytes;
	flood->frames = p->flood_frames;
	return 0;
}

/* Frame i of the batch left or was refused. The times of the call are those of its first and last frame. */
static void settle(struct kt_flood *flood, u32 i, const struct ktx_done_abi *d)
{
	if (d->launch_ns && (!flood->launch_ns || d->launch_ns < flood->launch_ns))
		flood->launch_ns = d->launch_ns;
	if (d->returned_ns > flood->returned_ns)
		flood->returned_ns = d->returned_ns;
	if (d->status == KTX_DONE_SENT)
		flood->fates[i] = 0;
	else if (d->reason == ENETDOWN || d->reason == ENODEV || d->reason == EMSGSIZE)
		flood->fates[i] = -d->reason;
	else
		flood->fates[i] = d->reason;
}

int kt_kmod_tx_flood(struct ktrxer *port, struct kt_flood *flood, u32 from, u32 n)
{
	struct kt_kmod_tx *t = &kt_kmod_of(port)->flood;
	u32 taken, have, sent = 0;
	int error;

	for (u32 i = from; i < n; i++) {
		t->desc[(t->submit + i - from) & t->mask] = (struct ktx_desc){
			.id = i,
			.slot = flood->frames[i].cell,
			.len = flood->frames[i].len,
		};
		flood->fates[i] = EIO; /* unless it is told of */
	}
	flood->launch_ns = flood->returned_ns = 0;
	taken = submit(t, n - from, KTX_SUBMIT_HERE, &error);
	have = kt_load_acquire(&t->shared->done) - t->done_read;
	for (u32 i = 0; i < have; i++) {
		const struct ktx_done_abi *d = &t->done[(t->done_read + i) & t->mask];

		if (d->id < from || d->id >= n)
			continue;
		settle(flood, (u32)d->id, d);
		sent += !flood->fates[d->id];
	}
	t->done_read += have;
	kt_store_release(&t->shared->done_read, t->done_read);
	/* A frame that is refused for itself fails for itself; the rest of the batch is asked for again. */
	if (taken < n - from && (error == EMSGSIZE || error == ENOMEM)) {
		flood->fates[from + taken] = error == ENOMEM ? error : -error;
		taken++;
	}
	flood->all_sent = taken && sent == taken;
	return taken ? (int)taken : -error;
}

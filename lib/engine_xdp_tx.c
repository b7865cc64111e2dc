/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Exact sending by one AF_XDP socket that only sends. No XDP program is
 * needed, and the host keeps its queue.
 *
 * Copy mode, so the kernel transmits inside our system call, so the fate of every
 * frame is known when it returns. If the call stopped half-way, how far it came is
 * not told by all kernels (the ring's consumer index is published late before
 * 6.17), so the rest is withdrawn: its descriptors are overwritten by
 * invalid ones, the kernel is kicked over them, and its own count of invalid
 * descriptors says how many were left. A frame belongs to the kernel until it
 * is completed (some drivers read our memory even in copy mode), so a slot
 * that was sent goes on with a fresh frame: slot->data changes in tx_launch.
 *
 * Zero copy is not asked for: it would take the queue's reception from the host.
 */
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../core/ring.h"
#include "engine_xdp.h"

/* Newer than Debian 12's headers. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif
#ifndef SOL_XDP
#define SOL_XDP 283
#endif

#define MIN_CHUNK 2048u
#define KERNEL_BATCH 32u /* TX_BATCH_SIZE: descriptors per call, all kernels */
#define MAX_RING 4096u
#define CHECK_NS 10000000u /* how often an MTU that shrank is noticed */
#define INVALID_OPTIONS (1u << 31) /* not XDP_PKT_CONTD: recent kernels drop the next descriptor of such a packet too */

static u32 round_up_pow2(u32 v)
{
	u32 p = 1;

	while (p < v)
		p <<= 1;
	return p;
}

/* The frame that this byte of our memory belongs to. Divisions are slow, and nearly all frames are one chunk. */
static u32 frame_at(const struct kt_xdp_tx *t, size_t offset)
{
	u32 chunk = (u32)(offset >> t->chunk_shift);

	return t->chunks == 1 ? chunk : chunk / t->chunks;
}

static u8 *frame_data(const struct kt_xdp_tx *t, u32 frame)
{
	return t->umem + (size_t)frame * t->chunks * t->chunk_bytes;
}

/* --- Setting up --------------------------------------------------------------- */

static int map_ring(struct kt_xdp_ring *r, int fd, u64 pgoff, const struct xdp_ring_offset *off, u32 size,
		    size_t entry_bytes)
{
	r->size = size;
	r->map_bytes = (size_t)off->desc + size * entry_bytes;
	r->map = mmap(NULL, r->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)pgoff);
	if (r->map == MAP_FAILED) {
		r->map = NULL;
		return -errno;
	}
	r->producer = (u32 *)((u8 *)r->map + off->producer);
	r->consumer = (u32 *)((u8 *)r->map + off->consumer);
	r->flags = (u32 *)((u8 *)r->map + off->flags);
	r->entries = (u8 *)r->map + off->desc;
	return 0;
}

static int make_rings(struct kt_xdp_tx *t, u32 n_descs)
{
	u32 tx_size = round_up_pow2(n_descs < KERNEL_BATCH ? KERNEL_BATCH : n_descs < MAX_RING ? n_descs : MAX_RING);
	u32 completion_size = round_up_pow2(t->n_frames * t->chunks);
	u32 fill_size = 2; /* a socket must have one, though it receives nothing */
	struct xdp_mmap_offsets off;
	socklen_t len = sizeof(off);
	int ret;

	if (setsockopt(t->fd, SOL_XDP, XDP_UMEM_FILL_RING, &fill_size, sizeof(fill_size)) ||
	    setsockopt(t->fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &completion_size, sizeof(completion_size)) ||
	    setsockopt(t->fd, SOL_XDP, XDP_TX_RING, &tx_size, sizeof(tx_size)) ||
	    getsockopt(t->fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &len))
		return -errno;
	ret = map_ring(&t->tx, t->fd, XDP_PGOFF_TX_RING, &off.tx, tx_size, sizeof(struct xdp_desc));
	if (!ret)
		ret = map_ring(&t->completion, t->fd, XDP_UMEM_PGOFF_COMPLETION_RING, &off.cr, completion_size,
			       sizeof(u64));
	if (!ret)
		ret = map_ring(&t->fill, t->fd, XDP_UMEM_PGOFF_FILL_RING, &off.fr, fill_size, sizeof(u64));
	return ret;
}

static void unmap_ring(struct kt_xdp_ring *r)
{
	if (r->map)
		munmap(r->map, r->map_bytes);
	memset(r, 0, sizeof(*r));
}

static int make_umem(struct kt_xdp_tx *t)
{
	struct xdp_umem_reg reg = { 0 };

	t->umem_bytes = (size_t)t->n_frames * t->chunks * t->chunk_bytes;
	t->umem = mmap(NULL, t->umem_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (t->umem == MAP_FAILED) {
		t->umem = NULL;
		return -ENOMEM;
	}
	reg.addr = (uintptr_t)t->umem;
	reg.len = t->umem_bytes;
	reg.chunk_size = t->chunk_bytes;
	return setsockopt(t->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) ? -errno : 0;
}

static void close_socket(struct kt_xdp_tx *t)
{
	unmap_ring(&t->tx);
	unmap_ring(&t->completion);
	unmap_ring(&t->fill);
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	if (t->umem)
		munmap(t->umem, t->umem_bytes);
	t->umem = NULL;
}

/* The kernel lets go of a queue a moment after its last socket was closed, even by a process that is gone. */
static int bind_patiently(int fd, const struct sockaddr_xdp *sa)
{
	const struct timespec pause = { .tv_nsec = 5000000 };

	for (int i = 0; bind(fd, (const struct sockaddr *)sa, sizeof(*sa)); i++) {
		if (errno != EBUSY || i == 100)
			return -errno;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* A socket bound to the port's queue, or -errno with the step that failed in *what. */
static int open_socket(struct ktrxer *port, u32 n_slots, const char **what)
{
	struct kt_xdp_tx *t = &kt_xdp(port)->tx;
	struct sockaddr_xdp sa = { .sxdp_family = AF_XDP,
				   .sxdp_ifindex = port->ifindex,
				   .sxdp_queue_id = port->opts.queue };
	int back, ret;
	u32 budget, sndbuf;

	*what = "socket";
	back = kt_xdp_enter(port);
	t->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	ret = t->fd < 0 ? -errno : 0;
	kt_xdp_leave(back);
	if (ret)
		return ret;
	*what = "memory";
	ret = make_umem(t);
	if (ret)
		return ret;
	*what = "rings";
	ret = make_rings(t, n_slots * t->chunks);
	if (ret)
		return ret;
	*what = "bind";
	sa.sxdp_flags = (u16)(XDP_COPY | XDP_USE_NEED_WAKEUP | (t->chunks > 1 ? XDP_USE_SG : 0));
	ret = bind_patiently(t->fd, &sa);
	if (ret)
		return ret;
	/* 6.17+: more descriptors per call; otherwise trains leave in calls of 32. */
	/* Drivers that keep frames for a while may keep all of ours. Refused: the default lets 200 frames wait. */
	sndbuf = 1 << 26;
	setsockopt(t->fd, SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf, sizeof(sndbuf));
	budget = t->tx.size;
	t->budget = budget > KERNEL_BATCH && !setsockopt(t->fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &budget, sizeof(budget))
			    ? budget
			    : KERNEL_BATCH;
	return 0;
}

static int explain(struct ktrxer *port, struct ktrxer_err *err, int code, const char *what, u32 frame_bytes)
{
	const struct kt_xdp_tx *t = &kt_xdp(port)->tx;
	bool bind_step = !strcmp(what, "bind");

	if (!strcmp(what, "socket") && code == EAFNOSUPPORT)
		return kt_err(err, EOPNOTSUPP, "this kernel has no AF_XDP sockets (CONFIG_XDP_SOCKETS)");
	if (code == EPERM)
		return kt_err(err, EPERM, "AF_XDP needs CAP_NET_RAW: run as root or grant it with setcap");
	if (!strcmp(what, "memory") && code == ENOBUFS)
		return kt_err(
			err, ENOBUFS,
			"%zu KiB of locked memory for frames are over the limit: raise RLIMIT_MEMLOCK (ulimit -l) "
			"or grant CAP_IPC_LOCK",
			t->umem_bytes / 1024);
	if (bind_step && code == EBUSY)
		return kt_err(err, EBUSY, "queue %u of \"%s\" already has an AF_XDP socket of another sender",
			      port->opts.queue, port->ifname);
	if (bind_step && code == EINVAL && t->chunks > 1)
		return kt_err(err, EMSGSIZE,
			      "frames of %u bytes need AF_XDP multi-buffer (Linux 6.6); this kernel sends up to %u",
			      frame_bytes, t->chunk_bytes);
	if (bind_step && code == EINVAL)
		return kt_err(err, EINVAL, "\"%s\" has no queue %u", port->ifname, port->opts.queue);
	if (bind_step && code == ENODEV)
		return kt_err(err, ENODEV, "interface \"%s\" went away", port->ifname);
	if (bind_step && code == ENETDOWN)
		return kt_err(err, ENETDOWN, "interface \"%s\" is down", port->ifname);
	return kt_err(err, code, "AF_XDP %s on \"%s\": %s", what, port->ifname, strerror(code));
}

int kt_xdp_tx_open(struct ktrxer *port, struct kt_txslot *slots, u32 n, u32 frame_bytes, bool kernel_stamps,
		   struct ktrxer_err *err)
{
	struct kt_xdp_tx *t = &kt_xdp(port)->tx;
	u32 page = (u32)sysconf(_SC_PAGESIZE), want = round_up_pow2(frame_bytes);
	const char *what;
	int ret;

	if (t->open)
		return kt_err(err, EBUSY, "queue %u of \"%s\" already has a sender on this port", port->opts.queue,
			      port->ifname);
	t->chunk_bytes = want < MIN_CHUNK ? MIN_CHUNK : want > page ? page : want;
	t->chunk_shift = (u32)__builtin_ctz(t->chunk_bytes);
	t->chunks = (frame_bytes + t->chunk_bytes - 1) / t->chunk_bytes;
	t->mtu = port->mtu;
	t->n_frames = 2 * n; /* a slot that was sent goes on with a fresh frame */
	t->produced = t->completed = 0;
	t->invalid = 0;
	t->incomplete = calloc(t->n_frames, sizeof(*t->incomplete));
	t->free_frames = calloc(t->n_frames, sizeof(*t->free_frames));
	if (!t->incomplete || !t->free_frames) {
		ret = kt_err(err, ENOMEM, "no memory for %u frames", t->n_frames);
		goto err_arrays;
	}
	ret = open_socket(port, n, &what);
	if (ret) {
		close_socket(t);
		ret = explain(port, err, -ret, what, frame_bytes);
		goto err_arrays;
	}
	for (u32 i = 0; i < n; i++) {
		slots[i].cap = frame_bytes;
		slots[i].cookie = i;
		slots[i].data = frame_data(t, i);
	}
	for (t->n_free = 0; t->n_free < n; t->n_free++)
		t->free_frames[t->n_free] = n + t->n_free;
	t->open = true;
	return 0;

err_arrays:
	free(t->incomplete);
	free(t->free_frames);
	t->incomplete = NULL;
	t->free_frames = NULL;
	return ret;
}

void kt_xdp_tx_close(struct ktrxer *port)
{
	struct kt_xdp_tx *t = &kt_xdp(port)->tx;

	kt_xdp_flood_close(port);
	if (!t->open)
		return;
	close_socket(t);
	free(t->incomplete);
	free(t->free_frames);
	t->incomplete = NULL;
	t->free_frames = NULL;
	t->open = false;
}

/* --- Launching ------------------------------------------------------------------ */

/* Takes back the frames that the kernel has completed. */
static void reclaim(struct kt_xdp_tx *t)
{
	const u64 *done = t->completion.entries;
	u32 end = kt_load_acquire(t->completion.producer);

	for (; t->completed != end; t->completed++) {
		u32 frame = frame_at(t, done[t->completed & (t->completion.size - 1)]);

		if (frame < t->n_frames && t->incomplete[frame] && !--t->incomplete[frame])
			t->free_frames[t->n_free++] = frame;
	}
	kt_store_release(t->completion.consumer, end);
}

static u32 descs_of(const struct kt_xdp_tx *t, const struct kt_txslot *slot)
{
	return slot->len <= t->chunk_bytes ? 1 : (slot->len + t->chunk_bytes - 1) / t->chunk_bytes;
}

static void put_descs(struct kt_xdp_tx *t, u32 frame, u32 len)
{
	u64 addr = (u64)frame * t->chunks * t->chunk_bytes;
	u32 left = len;

	do {
		struct xdp_desc *d = (struct xdp_desc *)t->tx.entries + (t->produced++ & (t->tx.size - 1));

		d->addr = addr;
		d->len = left < t->chunk_bytes ? left : t->chunk_bytes;
		left -= d->len;
		addr += d->len;
		d->options = left ? XDP_PKT_CONTD : 0;
	} while (left);
}

static int kick(struct kt_xdp_tx *t)
{
	return sendto(t->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 ? errno : 0;
}

static u64 invalid_count(struct kt_xdp_tx *t)
{
	struct xdp_statistics st = { 0 };
	socklen_t len = sizeof(st);

	return getsockopt(t->fd, SOL_XDP, XDP_STATISTICS, &st, &len) ? t->invalid : st.tx_invalid_descs;
}

/*
 * Makes the kernel step over what is left of the last n descriptors. Returns how many it had not
 * taken, or -errno when it does not even do that: then they stay, harmless, for the next launch to step over.
 */
static int withdraw(struct kt_xdp_tx *t, u32 n)
{
	u64 before = t->invalid;
	int code = 0;

	for (u32 i = t->produced - n; i != t->produced; i++) {
		struct xdp_desc *d = (struct xdp_desc *)t->tx.entries + (i & (t->tx.size - 1));

		*d = (struct xdp_desc){ .addr = UINT64_MAX, .len = UINT32_MAX, .options = INVALID_OPTIONS };
	}
	for (u32 i = 0; i <= n && !code && kt_load_acquire(t->tx.consumer) != t->produced; i++)
		code = kick(t);
	t->invalid = invalid_count(t);
	if (kt_load_acquire(t->tx.consumer) != t->produced)
		return code ? -code : -ENXIO;
	return (int)(t->invalid - before);
}

/* EMSGSIZE or EINVAL if the device must not be given this frame, by the MTU as last heard of. */
static int unfit(const struct ktrxer *port, const struct kt_txslot *slot)
{
	const struct kt_xdp_tx *t = &kt_xdp(port)->tx;
	u32 limit = t->mtu + KT_ETH_BYTES;

	if (slot->len < KT_ETH_BYTES)
		return EINVAL;
	if (slot->len > limit && kt_get_be16(slot->data + 12) == KT_ETHERTYPE_VLAN)
		limit += KT_VLAN_BYTES;
	return slot->len > limit || slot->len > t->chunks * t->chunk_bytes ? EMSGSIZE : 0;
}

/* The same, with the MTU as it is now when it matters: it may have grown. */
static int refuse_unfit(struct ktrxer *port, const struct kt_txslot *slot)
{
	struct kt_xdp_tx *t = &kt_xdp(port)->tx;

	if (!unfit(port, slot))
		return 0;
	kt_xdp_iface(port, false, &t->mtu);
	return unfit(port, slot);
}

/* Why a frame was dropped inside the system call. */
static int drop_reason(struct ktrxer *port, const struct kt_txslot *slot)
{
	int ret = kt_xdp_iface(port, true, &kt_xdp(port)->tx.mtu), code;

	if (ret)
		return -ret;
	code = unfit(port, slot);
	return code ? code : ENOBUFS;
}

static bool own_frame(const struct kt_xdp_tx *t, const struct kt_txslot *slot, u32 *frame)
{
	if (slot->data < t->umem || slot->data >= t->umem + t->umem_bytes)
		return false;
	*frame = frame_at(t, (size_t)(slot->data - t->umem));
	return true;
}

/*
 * Descriptors for as many slots as one call sends. A slot of flood memory is copied to a free frame; for one
 * of ours a free frame must be there to go on with. Returns the number of slots.
 */
static u32 put_slots(struct ktrxer *port, struct kt_txslot *const *slots, u32 n)
{
	struct kt_xdp_tx *t = &kt_xdp(port)->tx;
	u32 start = t->produced, free = t->n_free, i;

	for (i = 0; i < n && i < free; i++) {
		u32 frame;

		if (t->produced - start + descs_of(t, slots[i]) > t->budget || refuse_unfit(port, slots[i]))
			break;
		if (!own_frame(t, slots[i], &frame)) {
			frame = t->free_frames[free - 1 - i];
			memcpy(frame_data(t, frame), slots[i]->data, slots[i]->len);
		}
		put_descs(t, frame, slots[i]->len);
	}
	return i;
}

/* The i-th of n slots left; put_slots set free_frames[free - 1 - i] aside for it. */
static void settle_sent(struct kt_xdp_tx *t, struct kt_txslot *slot)
{
	u32 frame, fresh = t->free_frames[--t->n_free];

	if (own_frame(t, slot, &frame))
		slot->data = frame_data(t, fresh);
	else
		frame = fresh;
	t->incomplete[frame] = descs_of(t, slot);
	slot->state = KT_TX_SENT;
	slot->err = 0;
}

static void settle_refused(struct kt_txslot *slot, int code)
{
	slot->state =
		code == EMSGSIZE || code == EINVAL || code == ENXIO || code == ENODEV ? KT_TX_FAILED : KT_TX_REFUSED;
	slot->err = code;
}

/*
 * What the system call's answer means for the first slot that did not leave.
 * EBUSY: the driver or the device layer took it and dropped it. EAGAIN: the
 * driver is busy and did not take it. 0: the queue was removed from the device.
 */
static int refusal(struct ktrxer *port, const struct kt_txslot *slot, int code)
{
	switch (code) {
	case EBUSY:
		return drop_reason(port, slot);
	case ENOMEM:
		return ENOBUFS;
	case ENXIO:
		return ENODEV;
	case 0:
		return ENXIO;
	default:
		return code;
	}
}

/* Slots [0, n) whose descriptors were handed over, of which the kernel did not take the last left. */
static int settle(struct ktrxer *port, struct kt_txslot *const *slots, u32 n, u32 descs, int left, int code)
{
	struct kt_xdp_tx *t = &kt_xdp(port)->tx;
	u32 taken = left < 0 ? 0 : descs - (u32)left, i;

	for (i = 0; i < n; i++) {
		u32 d = descs_of(t, slots[i]);

		/* The one that was dropped is the last one taken. */
		if (taken < d || (code == EBUSY && taken == d))
			break;
		taken -= d;
		settle_sent(t, slots[i]);
	}
	if (i == n)
		return (int)n;
	code = refusal(port, slots[i], code);
	if (!i && code == ENODEV)
		return -ENODEV;
	settle_refused(slots[i], code);
	return (int)i + 1;
}

/* The launch's first half, done and taken back: the kernel is told of no descriptor. */
void kt_xdp_tx_ready(struct ktrxer *port, struct kt_txslot *const *slots, u32 n)
{
	struct kt_xdp_tx *t = &kt_xdp(port)->tx;
	u32 start = t->produced;

	reclaim(t);
	if (kt_load_acquire(t->tx.consumer) != start)
		return; /* they lie where the kernel may read them */
	put_slots(port, slots, n);
	t->produced = start;
}

int kt_xdp_tx_launch(struct ktrxer *port, struct kt_txslot *const *slots, u32 n)
{
	struct kt_xdp_tx *t = &kt_xdp(port)->tx;
	u64 launch_ns, returned_ns;
	u32 start, descs;
	int code = 0, left = 0, tried;

	reclaim(t);
	if (kt_load_acquire(t->tx.consumer) != t->produced)
		left = withdraw(t, t->produced - kt_load_acquire(t->tx.consumer));
	launch_ns = kt_port_now(port);
	code = refuse_unfit(port, slots[0]);
	if (code) {
		tried = settle(port, slots, 1, descs_of(t, slots[0]), -1, code);
		returned_ns = launch_ns;
	} else if (left < 0 || !t->n_free) { /* still down; or the driver keeps all frames */
		tried = settle(port, slots, 1, descs_of(t, slots[0]), -1, left < 0 ? -left : EAGAIN);
		returned_ns = kt_port_now(port);
	} else {
		left = 0;
		start = t->produced;
		u32 m = put_slots(port, slots, n);

		descs = t->produced - start;
		launch_ns = kt_port_now(port);
		kt_store_release(t->tx.producer, t->produced);
		code = kick(t);
		returned_ns = kt_port_now(port);
		if (code || kt_load_acquire(t->tx.consumer) != t->produced)
			left = withdraw(t, descs);
		tried = settle(port, slots, m, descs, left, code);
	}
	for (int i = 0; i < tried; i++) {
		slots[i]->launch_ns = launch_ns;
		slots[i]->returned_ns = returned_ns;
		slots[i]->stamp_ns = 0;
	}
	/* Out of the launch's way: the MTU may have shrunk. */
	if (returned_ns - t->checked_ns > CHECK_NS) {
		t->checked_ns = returned_ns;
		kt_xdp_iface(port, false, &t->mtu);
	}
	return tried;
}

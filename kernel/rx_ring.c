// SPDX-License-Identifier: GPL-2.0-only
/*
 * Delivery. ring_lock makes the CPUs one producer after another. Listeners are
 * woken from a tasklet, which the softirq runs when it is through with the batch of packets at hand; and only
 * those are that had read everything when they were told last, so that a busy
 * listener costs nothing:
 *
 *   listener: publishes pos, fence, looks at head; no news: sleeps
 *   producer: publishes head, fence, looks at pos; pos is not behind what was told: tells
 *
 * One of the two sees the other. The listener's fence is in poll(), and in whoever waits for the eventfd.
 */
#include <linux/eventfd.h>
#include <linux/poll.h>
#include <net/checksum.h>

#include "../core/slice.h"
#include "krx.h"
#include "trace.h"

static void tell(struct krx *rx, __poll_t events)
{
	wake_up_interruptible_poll(&rx->wait, events);
	spin_lock_bh(&rx->wake_lock);
	if (rx->eventfd)
		kt_eventfd_signal(rx->eventfd);
	spin_unlock_bh(&rx->wake_lock);
}

void kt_rx_wake_all(struct krx *rx)
{
	tell(rx, EPOLLIN | EPOLLRDNORM | EPOLLERR | EPOLLHUP);
}

static void wake(struct tasklet_struct *t)
{
	struct krx *rx = from_tasklet(rx, t, wake);
	struct kt_ring *r = &rx->ring;
	bool anybody = false;

	spin_lock_bh(&rx->ring_lock);
	kt_fence_full();
	for (u32 i = 0; i < r->n_used; i++) {
		u32 pos = kt_load_acquire(&r->cursors[i].pos);

		if (r->cursor_state[i] == KT_CURSOR_FREE || (s32)(pos - rx->told[i]) < 0 || pos == r->head)
			continue;
		rx->told[i] = r->head;
		anybody = true;
	}
	spin_unlock_bh(&rx->ring_lock);
	if (anybody)
		tell(rx, EPOLLIN | EPOLLRDNORM);
}

void kt_rx_ring_init(struct krx *rx)
{
	spin_lock_init(&rx->ring_lock);
	spin_lock_init(&rx->wake_lock);
	init_waitqueue_head(&rx->wait);
	tasklet_setup(&rx->wake, wake);
}

int kt_rx_ring_new(struct krx *rx, u32 n_units)
{
	int ret = kt_mem_new(&rx->ring_mem, PAGE_SIZE + (u64)n_units * KT_RING_UNIT, &rx->charge);

	if (!ret)
		ret = kt_mem_new(&rx->cursor_mem, KT_RING_MAX_CURSORS * sizeof(struct kt_ring_cursor), &rx->charge);
	if (!ret)
		ret = kt_ring_init(&rx->ring, rx->ring_mem.addr, rx->cursor_mem.addr,
				   (u8 *)rx->ring_mem.addr + PAGE_SIZE, n_units);
	if (ret)
		kt_rx_ring_free(rx);
	return ret;
}

void kt_rx_ring_free(struct krx *rx)
{
	kt_mem_free(&rx->cursor_mem);
	kt_mem_free(&rx->ring_mem);
	kt_charge_drop(&rx->charge);
}

void kt_rx_ring_end(struct krx *rx)
{
	tasklet_kill(&rx->wake);
	if (rx->eventfd)
		eventfd_ctx_put(rx->eventfd);
	kt_rx_ring_free(rx);
}

/* --- Delivery ------------------------------------------------------------------ */

/* What the sender left to a NIC that there never was: the checksum, two bytes at `at` of the frame. */
struct fix {
	u32 at; /* 0: none */
	u8 sum[2];
};

static void find_fix(struct fix *fix, const struct kt_rx_frame *f, const struct kt_slice *s)
{
	const struct sk_buff *skb = f->skb;
	int start = skb->ip_summed == CHECKSUM_PARTIAL ? skb_checksum_start_offset(skb) : -1;
	__sum16 sum;

	fix->at = 0;
	if (start < 0 || start + skb->csum_offset + 2 > skb->len || skb_csum_is_sctp((struct sk_buff *)skb))
		return;
	fix->at = f->mac_bytes + f->tag_bytes + (u32)start + skb->csum_offset;
	if (fix->at + 2 <= s->off || fix->at >= s->off + s->bytes) {
		fix->at = 0;
		return;
	}
	sum = csum_fold(skb_checksum(skb, start, (int)skb->len - start, 0)) ?: CSUM_MANGLED_0;
	memcpy(fix->sum, &sum, 2);
}

static void apply_fix(const struct fix *fix, u8 *data, const struct kt_slice *s)
{
	for (u32 i = 0; i < 2; i++) {
		if (fix->at + i - s->off < s->bytes)
			data[fix->at + i - s->off] = fix->sum[i];
	}
}

bool kt_rx_deliver(struct krx *rx, struct kt_rx_frame *f, const struct kt_rx_rule *r)
{
	struct kt_slice s = kt_slice_of(&f->p, r->slice_base, r->slice_off, r->slice_bytes, f->len);
	struct kt_record *rec;
	struct fix fix;
	bool whole;

	find_fix(&fix, f, &s);
	spin_lock_bh(&rx->ring_lock);
	rec = kt_ring_reserve(&rx->ring, s.bytes, NULL);
	whole = rec && kt_rx_frame_copy(f, s.off, rec + 1, s.bytes);
	if (!whole) {
		if (rec)
			kt_ring_cancel(&rx->ring);
		kt_rx_count(f, rec ? KT_FATE_LOST_ERROR : KT_FATE_LOST_RING, false);
		spin_unlock_bh(&rx->ring_lock);
		trace_krx_loss(f->ifindex, r->id, f->len, rec ? -EFAULT : -ENOBUFS);
		return false;
	}
	if (fix.at)
		apply_fix(&fix, (u8 *)(rec + 1), &s);
	rec->flags = f->flags | (fix.at ? KT_RECORD_CSUM_FIXED : 0);
	rec->clock = f->clock;
	rec->op = r->op;
	rec->wirelen = f->len;
	rec->stamp_ns = f->stamp_ns;
	rec->ifindex = f->ifindex;
	rec->tag = r->tag;
	rec->rule_id = r->id;
	rec->slice_off = s.off;
	/* Before anybody can see it: who has read the record finds it in the counters. */
	kt_rx_count(f, KT_FATE_DELIVERED, false);
	kt_ring_submit(&rx->ring);
	spin_unlock_bh(&rx->ring_lock);
	tasklet_schedule(&rx->wake);
	return true;
}

/* --- Listeners: process context --------------------------------------------------- */

int kt_rx_listen(struct krx *rx, bool lossless)
{
	int ret;

	spin_lock_bh(&rx->ring_lock);
	ret = kt_ring_join(&rx->ring, lossless ? KT_CURSOR_LOSSLESS : KT_CURSOR_LOSSY);
	if (ret >= 0)
		rx->told[ret] = rx->ring.head;
	spin_unlock_bh(&rx->ring_lock);
	return ret;
}

int kt_rx_unlisten(struct krx *rx, u32 cursor)
{
	int ret = -ENOENT;

	spin_lock_bh(&rx->ring_lock);
	if (cursor < rx->ring.n_used && rx->ring.cursor_state[cursor] != KT_CURSOR_FREE) {
		kt_ring_leave(&rx->ring, cursor);
		ret = 0;
	}
	spin_unlock_bh(&rx->ring_lock);
	return ret;
}

bool kt_rx_unread(struct krx *rx)
{
	struct kt_ring *r = &rx->ring;
	bool unread = false;

	kt_fence_full();
	spin_lock_bh(&rx->ring_lock);
	for (u32 i = 0; i < r->n_used; i++)
		unread |= r->cursor_state[i] != KT_CURSOR_FREE && kt_load_acquire(&r->cursors[i].pos) != r->head;
	spin_unlock_bh(&rx->ring_lock);
	return unread;
}

int kt_rx_eventfd_set(struct krx *rx, int fd)
{
	struct eventfd_ctx *new = NULL;

	if (fd < -1)
		return -EINVAL;
	if (fd >= 0)
		new = eventfd_ctx_fdget(fd);
	if (IS_ERR(new))
		return PTR_ERR(new);
	spin_lock_bh(&rx->wake_lock);
	swap(rx->eventfd, new);
	spin_unlock_bh(&rx->wake_lock);
	if (new)
		eventfd_ctx_put(new);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors: each is read once, checked, and taken: its frame copied into a
 * packet buffer ahead of its time.
 */
#include <linux/sched/signal.h>

#include "ktx.h"

/* Descriptors taken together, and between two looks at signals and other tasks. */
#define CHUNK 128u

/* Probes that are prepared and not yet shown to the launcher, as trains one after another. */
struct chunk {
	struct kt_tx_list list;
	u32 train_first; /* of the train that is still open, or KT_NO_SLOT */
	u64 now; /* when its first probe was taken, for all that are due at once; 0: there is none yet */
	bool here;
};

/* What the user writes is read once, word by word. */
static void read_desc(const struct ktx *tx, u32 at, struct ktx_desc *d)
{
	const u64 *from = (const u64 *)&tx->desc[at & (tx->setup.n_desc - 1)];
	u64 *to = (u64 *)d;

	BUILD_BUG_ON(sizeof(*d) % sizeof(u64));
	for (u32 i = 0; i < sizeof(*d) / sizeof(u64); i++)
		to[i] = READ_ONCE(from[i]);
}

/*
 * The trust boundary of descriptors. Invariant of what is taken: only flags that are known, reserved fields zero, a slot that
 * exists, a frame that lies within it and has a whole link header, and, for KTX_SUBMIT_HERE, no launch time.
 * What a descriptor says is used from this copy only.
 */
static int check_desc(const struct ktx_setup *s, u32 min_len, const struct ktx_desc *d, bool here)
{
	if (d->flags & ~(u32)KTX_DESC_TRAIN || d->reserved[0] || d->reserved[1] || d->reserved[2] || d->reserved2)
		return -EINVAL;
	if (d->slot >= s->n_slots || (here && d->launch_ns))
		return -EINVAL;
	if (d->len < min_len || d->len > s->slot_bytes)
		return -EMSGSIZE;
	return 0;
}

/*
 * The trust boundary of `submit`. Invariant: taken <= submit <= taken + n_desc in free-running arithmetic. Returns how many
 * descriptors wait, or -EINVAL.
 */
static int check_submit(u32 taken, u32 submit, u32 n_desc, u32 *waiting)
{
	if (submit - taken > n_desc)
		return -EINVAL;
	*waiting = submit - taken;
	return 0;
}

/* Writes the probe of a checked descriptor into its free slot, and copies its frame. */
static int prepare(struct ktx *tx, const struct ktx_desc *d, struct chunk *c)
{
	struct kt_tx_probe *p = &tx->probes[d->slot], *first;

	p->id = d->id;
	p->scheduled_ns = d->launch_ns;
	if (c->train_first != KT_NO_SLOT) {
		first = &tx->probes[c->train_first];
		p->scheduled_ns = first->scheduled_ns;
	} else if (!d->launch_ns) {
		if (!c->now)
			c->now = kt_tx_clock(tx);
		p->scheduled_ns = c->now;
	}
	p->due_ns = p->scheduled_ns;
	p->window_ns = d->window_ns;
	p->launch_ns = p->returned_ns = p->stamp_ns = 0;
	p->stamp_clock = 0;
	p->len = d->len;
	p->attempts = 0;
	p->max_attempts = d->max_attempts ? d->max_attempts : 1;
	p->retry_ns = d->retry_ns;
	p->reason = 0;
	p->head = false;
	p->train = d->flags & KTX_DESC_TRAIN;
	p->plain = c->here;
	p->zero_copy = p->offloaded = false;
	return kt_tx_fill(tx, d->slot, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
}

static int take_one(struct ktx *tx, struct chunk *c)
{
	struct ktx_desc d;
	int r;

	read_desc(tx, tx->taken, &d);
	r = check_desc(&tx->setup, tx->min_len, &d, c->here);
	if (r)
		return r;
	/* Pairs with the release in kt_tx_end: the launcher is done with it. */
	if (kt_load_acquire(&tx->probes[d.slot].place) != KT_TX_FREE)
		return -EBUSY;
	r = prepare(tx, &d, c);
	if (r)
		return r;
	tx->probes[d.slot].place = KT_TX_TAKEN;
	kt_tx_list_put(tx, &c->list, d.slot);
	if (!(d.flags & KTX_DESC_TRAIN))
		c->train_first = KT_NO_SLOT;
	else if (c->train_first == KT_NO_SLOT)
		c->train_first = d.slot;
	tx->taken++;
	return 0;
}

/* The chunk's trains into the schedule. Lock held. Returns whether the launcher has to be told. */
static bool schedule_chunk(struct ktx *tx, struct kt_tx_list *l)
{
	bool news = false, follows = false;
	u32 slot, next;

	for (slot = l->first; slot != KT_NO_SLOT; slot = next) {
		struct kt_tx_probe *p = &tx->probes[slot];

		next = p->next; /* still the train's, once it is scheduled */
		p->place = KT_TX_SCHEDULED;
		if (!follows)
			news |= kt_tx_schedule(tx, slot);
		follows = p->train;
	}
	kt_tx_list_init(l);
	return news;
}

/* Counts what was taken and hands it to the launcher, or launches it. */
static void commit(struct ktx *tx, struct chunk *c)
{
	bool news = false;

	if (!c->list.n)
		return;
	/* A train that is open is closed here. */
	tx->probes[c->list.last].train = false;
	c->train_first = KT_NO_SLOT;
	c->now = 0;
	spin_lock_bh(&tx->lock);
	tx->st.submitted += c->list.n;
	tx->st.pending += c->list.n;
	kt_store_release(&tx->shared->taken, tx->taken);
	if (!c->here)
		news = schedule_chunk(tx, &c->list);
	spin_unlock_bh(&tx->lock);
	if (c->here)
		kt_tx_launch_here(tx, &c->list);
	else if (news)
		kt_tx_poke(tx);
}

/*
 * A chunk ends where no train is open, so that the device has something to do while the next one is prepared; one that a caller
 * waits for wherever it is full.
 */
static bool is_full(const struct chunk *c)
{
	u32 n = c->list.n;

	return (n >= CHUNK && c->train_first == KT_NO_SLOT) || (c->here && n >= KT_TX_STRETCH);
}

static int take_all(struct ktx *tx, struct chunk *c, u32 n)
{
	u32 room = kt_tx_find_room(tx);
	int r = 0;

	while (n && !r) {
		if (!room) {
			r = -EAGAIN;
			break;
		}
		r = take_one(tx, c);
		if (r)
			break;
		n--;
		room--;
		if (c->list.n % CHUNK == 0)
			cond_resched();
		if (!is_full(c))
			continue;
		commit(tx, c);
		room = kt_tx_find_room(tx);
		if (signal_pending(current) && n && c->here)
			r = -EINTR;
	}
	commit(tx, c);
	return r;
}

static void count_refused(struct ktx *tx)
{
	spin_lock_bh(&tx->lock);
	tx->st.refused++;
	spin_unlock_bh(&tx->lock);
}

int kt_tx_submit(struct ktx *tx, struct ktx_submit *s)
{
	struct chunk c = { .train_first = KT_NO_SLOT, .here = s->flags & KTX_SUBMIT_HERE };
	u32 before = tx->taken, waiting;

	if (s->flags & ~(u32)KTX_SUBMIT_HERE || s->reserved)
		return -EINVAL;
	kt_tx_list_init(&c.list);
	s->error = check_submit(tx->taken, kt_load_acquire(&tx->shared->submit), tx->setup.n_desc, &waiting);
	if (!s->error)
		s->error = take_all(tx, &c, s->max ? min(s->max, waiting) : waiting);
	if (s->error == -EINVAL || s->error == -EMSGSIZE || s->error == -EBUSY)
		count_refused(tx);
	s->n = tx->taken - before;
	return 0;
}

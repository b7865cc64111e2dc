/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Wires in memory: worlds with a clock, wires with two ends, and what happens
 * to a frame between them. Nothing here waits and no time passes by itself.
 */
#include <stdlib.h>
#include <string.h>

#include "mem_wire.h"

static pthread_mutex_t lists_lock = PTHREAD_MUTEX_INITIALIZER;
static struct kt_mem_world *worlds;
static struct kt_mem_wire *wires;
static u32 next_ifindex = 1000; /* far from the numbers of real interfaces, so that a mix-up shows */

static void queue_init(struct kt_mem_queue *q)
{
	q->first = NULL;
	q->end = &q->first;
	q->n = 0;
}

void kt_mem_push(struct kt_mem_queue *q, struct kt_mem_frame *f)
{
	f->next = NULL;
	*q->end = f;
	q->end = &f->next;
	q->n++;
}

struct kt_mem_frame *kt_mem_pop(struct kt_mem_queue *q)
{
	struct kt_mem_frame *f = q->first;

	if (!f)
		return NULL;
	q->first = f->next;
	if (!q->first)
		q->end = &q->first;
	q->n--;
	return f;
}

void kt_mem_clear(struct kt_mem_queue *q)
{
	struct kt_mem_frame *f;

	while ((f = kt_mem_pop(q)))
		free(f);
}

/* --- Worlds and wires: lists_lock is held ------------------------------------ */

static struct kt_mem_world *world_get(const char *wire_name)
{
	size_t len = strcspn(wire_name, ".");
	struct kt_mem_world *w;

	for (w = worlds; w; w = w->next)
		if (strlen(w->name) == len && !memcmp(w->name, wire_name, len))
			break;
	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w)
			return NULL;
		memcpy(w->name, wire_name, len);
		pthread_mutex_init(&w->lock, NULL);
		pthread_cond_init(&w->changed, NULL);
		w->next = worlds;
		worlds = w;
	}
	w->n_wires++;
	return w;
}

static void world_put(struct kt_mem_world *w)
{
	struct kt_mem_world **p = &worlds;

	if (--w->n_wires)
		return;
	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static void end_init(struct kt_mem_wire *wire, unsigned int side)
{
	struct kt_mem_end *e = &wire->ends[side];

	e->wire = wire;
	e->ifindex = next_ifindex++;
	e->mtu = 1500;
	e->mac[0] = 0x02; /* locally administered */
	kt_put_be32(e->mac + 2, e->ifindex);
	e->up = e->carrier = true;
	e->rx_room = KT_MEM_RX_FRAMES;
	queue_init(&e->rx);
	queue_init(&e->held);
	queue_init(&e->host);
}

static struct kt_mem_wire *wire_get(const char *name, size_t len, bool create)
{
	struct kt_mem_wire *w;

	for (w = wires; w; w = w->next)
		if (strlen(w->name) == len && !memcmp(w->name, name, len))
			return w;
	w = create ? calloc(1, sizeof(*w)) : NULL;
	if (!w)
		return NULL;
	memcpy(w->name, name, len);
	w->world = world_get(w->name);
	if (!w->world) {
		free(w);
		return NULL;
	}
	end_init(w, 0);
	end_init(w, 1);
	w->next = wires;
	wires = w;
	return w;
}

static void wire_free(struct kt_mem_wire *w)
{
	struct kt_mem_wire **p = &wires;

	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	for (int i = 0; i < 2; i++) {
		kt_mem_clear(&w->ends[i].rx);
		kt_mem_clear(&w->ends[i].held);
		kt_mem_clear(&w->ends[i].host);
	}
	world_put(w->world);
	free(w);
}

/* "WIRE/0": the length of WIRE, 0 when it is not a name. */
static size_t parse_name(const char *name, unsigned int *side)
{
	size_t n = strlen(name);

	if (n < 3 || n - 2 >= sizeof(((struct kt_mem_wire *)0)->name) || name[n - 2] != '/' || name[n - 1] < '0' ||
	    name[n - 1] > '1')
		return 0;
	*side = (unsigned int)(name[n - 1] - '0');
	return n - 2;
}

int kt_mem_end_open(struct kt_mem_end **end, const char *name, struct ktrxer *port, struct ktrxer_err *err)
{
	struct kt_mem_wire *wire;
	unsigned int side;
	size_t len = parse_name(name, &side);
	int ret = 0;

	if (!len)
		return kt_err(err, EINVAL, "\"%s\" does not name the end of a wire in memory: WIRE/0 or WIRE/1", name);
	pthread_mutex_lock(&lists_lock);
	wire = wire_get(name, len, true);
	if (!wire) {
		ret = kt_err(err, ENOMEM, "no memory for wire \"%s\"", name);
	} else if (wire->ends[side].port) {
		ret = kt_err(err, EBUSY, "\"%s\" is open already; an end in memory has one port", name);
	} else {
		wire->n_ports++;
		*end = &wire->ends[side];
		kt_mem_lock(*end);
		(*end)->port = port;
		kt_mem_unlock(*end);
	}
	pthread_mutex_unlock(&lists_lock);
	return ret;
}

void kt_mem_end_close(struct kt_mem_end *end)
{
	pthread_mutex_lock(&lists_lock);
	kt_mem_lock(end);
	end->port = NULL;
	kt_mem_unlock(end);
	if (!--end->wire->n_ports)
		wire_free(end->wire);
	pthread_mutex_unlock(&lists_lock);
}

struct kt_mem_end *kt_mem_end_lock(const char *name)
{
	struct kt_mem_wire *wire = NULL;
	unsigned int side = 0;
	size_t len = parse_name(name, &side);

	pthread_mutex_lock(&lists_lock);
	if (len)
		wire = wire_get(name, len, false);
	if (wire)
		kt_mem_lock(&wire->ends[side]);
	pthread_mutex_unlock(&lists_lock);
	return wire ? &wire->ends[side] : NULL;
}

struct kt_mem_end *kt_mem_ifindex_lock(u32 ifindex)
{
	struct kt_mem_end *end = NULL;

	pthread_mutex_lock(&lists_lock);
	for (struct kt_mem_wire *w = wires; w && !end; w = w->next)
		for (int i = 0; i < 2; i++)
			if (w->ends[i].ifindex == ifindex)
				end = &w->ends[i];
	if (end)
		kt_mem_lock(end);
	pthread_mutex_unlock(&lists_lock);
	return end;
}

void kt_mem_lock(struct kt_mem_end *end)
{
	pthread_mutex_lock(&end->wire->world->lock);
}

void kt_mem_unlock(struct kt_mem_end *end)
{
	pthread_mutex_unlock(&end->wire->world->lock);
}

/* --- Frames: the world is locked ------------------------------------------------ */

struct kt_mem_end *kt_mem_peer(struct kt_mem_end *end)
{
	return &end->wire->ends[end == &end->wire->ends[0]];
}

void kt_mem_to_host(struct kt_mem_end *end, struct kt_mem_frame *f)
{
	end->host_count++;
	kt_mem_push(&end->host, f);
	if (end->host.n > KT_MEM_HOST_FRAMES)
		free(kt_mem_pop(&end->host));
}

void kt_mem_rx_to_host(struct kt_mem_end *end)
{
	struct kt_mem_frame *f;

	while ((f = kt_mem_pop(&end->held)))
		kt_mem_to_host(end, f);
	while ((f = kt_mem_pop(&end->rx)))
		kt_mem_to_host(end, f);
}

/* What stands in the way of a frame, in the order in which a kernel and its driver look. */
static int refusal(struct kt_mem_end *e, const u8 *frame, u32 len)
{
	const struct kt_mem_end *peer = kt_mem_peer(e);
	u32 max = e->mtu + KT_ETH_BYTES;

	if (e->removed)
		return -ENODEV;
	if (!e->up)
		return -ENETDOWN;
	if (len < KT_ETH_BYTES)
		return -EINVAL;
	if (kt_get_be16(frame + 12) == KT_ETHERTYPE_VLAN || kt_get_be16(frame + 12) == KT_ETHERTYPE_QINQ)
		max += KT_VLAN_BYTES;
	if (len > max)
		return -EMSGSIZE;
	if (!e->carrier || !peer->up || !peer->carrier)
		return -ENETDOWN;
	if (e->refuse_n) {
		e->refuse_n--;
		return -e->refuse_code;
	}
	if (e->refuse_ppb && kt_hash_next(&e->refuse_rng) % 1000000000u < e->refuse_ppb)
		return -e->refuse_ppb_code;
	return 0;
}

int kt_mem_carry(struct kt_mem_end *from, const u8 *frame, u32 len)
{
	struct kt_mem_end *to = kt_mem_peer(from);
	struct kt_mem_frame *f;
	int ret = refusal(from, frame, len);

	if (ret)
		return ret;
	f = malloc(sizeof(*f) + len);
	if (!f)
		return -ENOBUFS;
	f->len = len;
	memcpy(f->data, frame, len);
	f->arrival_ns = from->wire->world->now_ns + from->wire->delay_ns;
	if (f->arrival_ns < to->last_arrival_ns)
		f->arrival_ns = to->last_arrival_ns;
	to->last_arrival_ns = f->arrival_ns;
	if (to->receiving && to->rx.n < to->rx_room) {
		kt_mem_push(&to->rx, f);
	} else {
		if (to->receiving) {
			to->counts.seen++;
			to->counts.seen_bytes += len;
			to->counts.lost_engine++;
		}
		kt_mem_to_host(to, f);
	}
	pthread_cond_broadcast(&from->wire->world->changed);
	return 0;
}

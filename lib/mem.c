/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The hosts at the ends of wires in memory, and the faults that tests ask for. */
#include <stdlib.h>
#include <string.h>

#include "mem_wire.h"

int kt_mem_host_next(const char *end, u8 *buf, u32 cap, u64 *stamp_ns)
{
	struct kt_mem_end *e = kt_mem_end_lock(end);
	struct kt_mem_frame *f = NULL;
	int ret = 0;

	if (!e)
		return -ENOENT;
	if (e->host.first && e->host.first->arrival_ns <= e->wire->world->now_ns)
		f = kt_mem_pop(&e->host);
	if (f) {
		memcpy(buf, f->data, f->len < cap ? f->len : cap);
		if (stamp_ns)
			*stamp_ns = f->arrival_ns;
		ret = (int)f->len;
		free(f);
	}
	kt_mem_unlock(e);
	return ret;
}

int kt_mem_host_count(const char *end, u64 *n)
{
	struct kt_mem_end *e = kt_mem_end_lock(end);

	if (!e)
		return -ENOENT;
	*n = e->host_count;
	kt_mem_unlock(e);
	return 0;
}

int kt_mem_host_send(const char *end, const u8 *frame, u32 len)
{
	struct kt_mem_end *e = kt_mem_end_lock(end);
	int ret;

	if (!e)
		return -ENOENT;
	ret = kt_mem_carry(e, frame, len);
	kt_mem_unlock(e);
	return ret;
}

/* Ends a change to an interface: whoever waits looks again. */
static int changed(struct kt_mem_end *e)
{
	pthread_cond_broadcast(&e->wire->world->changed);
	kt_mem_unlock(e);
	return 0;
}

int kt_mem_set_up(const char *end, bool up)
{
	struct kt_mem_end *e = kt_mem_end_lock(end);

	if (!e)
		return -ENOENT;
	e->up = up;
	return changed(e);
}

int kt_mem_set_carrier(const char *end, bool carrier)
{
	struct kt_mem_end *e = kt_mem_end_lock(end);

	if (!e)
		return -ENOENT;
	e->carrier = carrier;
	return changed(e);
}

int kt_mem_remove(const char *end)
{
	struct kt_mem_end *e = kt_mem_end_lock(end);

	if (!e)
		return -ENOENT;
	e->removed = true;
	kt_mem_peer(e)->removed = true;
	return changed(e);
}

int kt_mem_set_mtu(const char *end, u32 mtu)
{
	struct kt_mem_end *e = kt_mem_end_lock(end);

	if (!e)
		return -ENOENT;
	e->mtu = mtu;
	if (e->port)
		e->port->mtu = mtu;
	return changed(e);
}

int kt_mem_set_delay(const char *end, u64 ns)
{
	struct kt_mem_end *e = kt_mem_end_lock(end);

	if (!e)
		return -ENOENT;
	e->wire->delay_ns = ns;
	return changed(e);
}

int kt_mem_refuse(const char *end, u32 n, int code)
{
	struct kt_mem_end *e = kt_mem_end_lock(end);

	if (!e)
		return -ENOENT;
	e->refuse_n = n;
	e->refuse_code = code;
	return changed(e);
}

int kt_mem_refuse_randomly(const char *end, u32 ppb, int code, u64 seed)
{
	struct kt_mem_end *e = kt_mem_end_lock(end);

	if (!e)
		return -ENOENT;
	e->refuse_ppb = ppb;
	e->refuse_ppb_code = code;
	e->refuse_rng = seed;
	return changed(e);
}

int kt_mem_set_rx_room(const char *end, u32 frames)
{
	struct kt_mem_end *e = kt_mem_end_lock(end);

	if (!e)
		return -ENOENT;
	e->rx_room = frames;
	return changed(e);
}

int kt_mem_fail_memory(const char *end)
{
	struct kt_mem_end *e = kt_mem_end_lock(end);

	if (!e)
		return -ENOENT;
	e->fail_memory = true;
	return changed(e);
}

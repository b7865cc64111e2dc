/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the owner of a shared receiver answers, and the listeners it keeps for others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "desk.h"

#define ANY_CURSOR (~0u)

int kt_desk_open(struct kt_desk *d, struct krx *rx)
{
	d->rx = rx;
	for (u32 i = 0; i < KT_RING_MAX_CURSORS; i++)
		d->guests[i].client = -1;
	d->ring_fd = kt_ring_memory_share(&rx->mem);
	if (d->ring_fd < 0)
		return d->ring_fd;
	pthread_mutex_init(&d->lock, NULL);
	return 0;
}

void kt_desk_close(struct kt_desk *d)
{
	close(d->ring_fd);
	pthread_mutex_destroy(&d->lock);
}

void kt_desk_wake(struct kt_desk *d)
{
	pthread_mutex_lock(&d->lock);
	for (u32 i = 0; i < KT_RING_MAX_CURSORS; i++)
		/* Not sent: the guest has as much to read as there is room for, and is awake, or has closed its end. */
		if (d->guests[i].client >= 0 && send(d->guests[i].wake_sock, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			continue;
	pthread_mutex_unlock(&d->lock);
}

static int forget(struct kt_desk *d, int client, u32 cursor)
{
	int n = 0;

	pthread_mutex_lock(&d->rx->pump_lock);
	pthread_mutex_lock(&d->lock);
	for (u32 i = 0; i < KT_RING_MAX_CURSORS; i++) {
		struct kt_guest *g = &d->guests[i];

		if (g->client != client || (cursor != ANY_CURSOR && g->cursor != cursor))
			continue;
		kt_rx_leave(d->rx, g->cursor);
		close(g->wake_sock);
		g->client = -1;
		n++;
	}
	pthread_mutex_unlock(&d->lock);
	pthread_mutex_unlock(&d->rx->pump_lock);
	return n;
}

void kt_desk_forget(struct kt_desk *d, int client)
{
	forget(d, client, ANY_CURSOR);
}

/* As many guests fit as there are cursors, so whoever has one finds a place. */
static void add_guest(struct kt_desk *d, int client, int wake_sock, u32 cursor)
{
	u32 i = 0;

	pthread_mutex_lock(&d->lock);
	while (d->guests[i].client >= 0)
		i++;
	d->guests[i] = (struct kt_guest){ client, wake_sock, cursor };
	pthread_mutex_unlock(&d->lock);
}

static int do_listen(struct kt_desk *d, int client, bool lossless, struct kt_answer *a)
{
	int wake[2], n;

	/*
	 * Sockets, because each end is a file of its own and waiting is asked for by the call: an event's
	 * counter is one file for both of us, in which the guest could fill it and make our write wait.
	 */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wake))
		return -errno;
	n = kt_rx_join(d->rx, lossless);
	if (n < 0) {
		close(wake[0]);
		close(wake[1]);
		if (n == -ENOSPC)
			snprintf(a->r.text, sizeof(a->r.text),
				 "%u programs listen already; that is all there is room for", KT_RING_MAX_CURSORS);
		return n;
	}
	add_guest(d, client, wake[0], (u32)n);
	a->r.n = (u32)n;
	a->r.n_units = d->rx->mem.n_units;
	a->fds[0] = d->ring_fd;
	a->fds[1] = d->rx->mem.cursor_fd;
	a->fds[2] = a->own_fd = wake[1];
	a->n_fds = 3;
	return 0;
}

static int do_list(struct kt_desk *d, u32 max, struct kt_answer *a)
{
	struct krx_rule *rules;
	struct krx_rule_stats *stats;
	u32 have = (u32)krx_rules_list(d->rx, NULL, NULL, 0), room = have < max ? have : max;
	int n, ret = -ENOMEM;

	rules = calloc((size_t)room + 1, sizeof(*rules));
	stats = calloc((size_t)room + 1, sizeof(*stats));
	if (rules && stats) {
		n = krx_rules_list(d->rx, rules, stats, room);
		a->r.n = (u32)n;
		/* Rules may have gone since room was counted. */
		room = (u32)n < room ? (u32)n : room;
		a->own_fd = kt_share_file(rules, (size_t)room * sizeof(*rules), stats, (size_t)room * sizeof(*stats));
		ret = a->own_fd < 0 ? a->own_fd : 0;
		a->r.n_units = room;
		a->fds[0] = a->own_fd;
		a->n_fds = ret ? 0 : 1;
	}
	free(rules);
	free(stats);
	return ret;
}

static int do_replace(struct kt_desk *d, u32 n, int fd, struct kt_answer *a)
{
	struct krx_rule *rules;
	int ret = -ENOMEM;

	rules = n <= KT_SHARE_MAX_RULES && fd >= 0 ? malloc((size_t)(n + 1) * sizeof(*rules)) : NULL;
	if (n > KT_SHARE_MAX_RULES || fd < 0)
		ret = -EINVAL;
	else if (rules)
		ret = kt_share_read(fd, rules, (size_t)n * sizeof(*rules), 0);
	if (ret)
		snprintf(a->r.text, sizeof(a->r.text), "%u rules did not arrive: %s", n, strerror(-ret));
	else
		ret = krx_rules_replace(d->rx, rules, n);
	free(rules);
	return ret;
}

static void answer(struct kt_desk *d, int client, const struct kt_share_request *q, const int *fds, struct kt_answer *a)
{
	struct kt_share_reply *r = &a->r;
	bool rule_op = false;

	switch (q->op) {
	case KT_SHARE_HELLO:
		break;
	case KT_SHARE_LISTEN:
		r->ret = do_listen(d, client, q->arg, a);
		break;
	case KT_SHARE_UNLISTEN:
		r->ret = q->arg != ANY_CURSOR && forget(d, client, q->arg) ? 0 : -ENOENT;
		break;
	case KT_SHARE_LIST:
		r->ret = do_list(d, q->arg, a);
		break;
	case KT_SHARE_ADD:
		r->ret = krx_rule_add(d->rx, &q->rule, &r->n);
		rule_op = true;
		break;
	case KT_SHARE_DELETE:
		r->ret = krx_rule_delete(d->rx, q->arg);
		rule_op = true;
		break;
	case KT_SHARE_REPLACE:
		r->ret = do_replace(d, q->arg, fds[0], a);
		rule_op = true;
		break;
	case KT_SHARE_STATS:
		r->ret = krx_get_stats(d->rx, &r->stats);
		break;
	default:
		r->ret = -EOPNOTSUPP;
	}
	if (r->ret && !r->text[0])
		snprintf(r->text, sizeof(r->text), "%s", rule_op ? krx_why(d->rx) : strerror(-r->ret));
}

bool kt_desk_answer(struct kt_desk *d, int client, const struct kt_share_request *q, size_t bytes,
		    const int fds[KT_SHARE_MAX_FDS], struct kt_answer *a)
{
	*a = (struct kt_answer){ .fds = { -1, -1, -1 }, .own_fd = -1 };
	if (bytes == sizeof(*q) && q->magic == KT_SHARE_MAGIC && q->rule_bytes == sizeof(q->rule) &&
	    !strncmp(q->version, KTRXER_VERSION, sizeof(q->version))) {
		answer(d, client, q, fds, a);
		return true;
	}
	a->r.ret = -EPROTO;
	snprintf(a->r.text, sizeof(a->r.text), "the receiver's owner is kTRxer %s and refuses other versions",
		 KTRXER_VERSION);
	return false;
}

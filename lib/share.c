/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Sharing a receiver: a thread answers other processes at a Unix socket. They
 * get the ring read-only and a cursor of their own; when one ends, however it
 * ends, its connection closes and its cursors are freed, so that a killed
 * lossless listener holds nobody.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "share.h"

#define MAX_CLIENTS 64

/* A listener in another process. */
struct guest {
	int sock; /* whose it is; -1: free */
	int wake_fd;
	u32 cursor;
};

struct kt_share {
	struct krx *rx;
	struct sockaddr_un addr;
	int listen_fd;
	int stop_fd;
	int ring_fd; /* read-only */
	pthread_t thread;
	pthread_mutex_t lock; /* guests; taken inside pump_lock */
	struct guest guests[KT_RING_MAX_CURSORS];
	int clients[MAX_CLIENTS]; /* the thread's own; -1: free */
};

void kt_share_wake(struct krx *rx)
{
	struct kt_share *s = rx->share;
	u64 one = 1;

	pthread_mutex_lock(&s->lock);
	for (u32 i = 0; i < KT_RING_MAX_CURSORS; i++)
		if (s->guests[i].sock >= 0 && write(s->guests[i].wake_fd, &one, sizeof(one)) < 0)
			continue; /* full: the guest is awake already */
	pthread_mutex_unlock(&s->lock);
}

/* Frees the guest's cursor; cursor ~0: all of this client's. */
static int forget_guests(struct kt_share *s, int sock, u32 cursor)
{
	int n = 0;

	pthread_mutex_lock(&s->rx->pump_lock);
	pthread_mutex_lock(&s->lock);
	for (u32 i = 0; i < KT_RING_MAX_CURSORS; i++) {
		struct guest *g = &s->guests[i];

		if (g->sock != sock || (cursor != ~0u && g->cursor != cursor))
			continue;
		kt_ring_leave(&s->rx->ring, g->cursor);
		close(g->wake_fd);
		g->sock = -1;
		n++;
	}
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_unlock(&s->rx->pump_lock);
	return n;
}

static struct guest *add_guest(struct kt_share *s, int sock, int wake_fd, u32 cursor)
{
	struct guest *found = NULL;

	pthread_mutex_lock(&s->lock);
	for (u32 i = 0; i < KT_RING_MAX_CURSORS && !found; i++)
		if (s->guests[i].sock < 0)
			found = &s->guests[i];
	if (found)
		*found = (struct guest){ sock, wake_fd, cursor };
	pthread_mutex_unlock(&s->lock);
	return found;
}

static int do_listen(struct kt_share *s, int sock, bool lossless, struct kt_share_reply *r, int fds[KT_SHARE_MAX_FDS])
{
	int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), n;

	if (wake_fd < 0)
		return -errno;
	pthread_mutex_lock(&s->rx->pump_lock);
	n = kt_ring_join(&s->rx->ring, lossless ? KT_CURSOR_LOSSLESS : KT_CURSOR_LOSSY);
	pthread_mutex_unlock(&s->rx->pump_lock);
	/* As many guests fit as there are cursors, so a cursor always finds a place. */
	if (n < 0 || !add_guest(s, sock, wake_fd, (u32)n)) {
		close(wake_fd);
		snprintf(r->text, sizeof(r->text), "%u programs listen already; that is all there is room for",
			 KT_RING_MAX_CURSORS);
		return -ENOSPC;
	}
	r->n = (u32)n;
	r->n_units = s->rx->mem.n_units;
	fds[0] = s->ring_fd;
	fds[1] = s->rx->mem.cursor_fd;
	fds[2] = wake_fd;
	return 0;
}

static int do_list(struct kt_share *s, u32 max, struct kt_share_reply *r, int *fd)
{
	struct krx_rule *rules;
	struct krx_rule_stats *stats;
	u32 have = (u32)krx_rules_list(s->rx, NULL, NULL, 0), room = have < max ? have : max;
	int n, ret = -ENOMEM;

	rules = calloc((size_t)room + 1, sizeof(*rules));
	stats = calloc((size_t)room + 1, sizeof(*stats));
	if (rules && stats) {
		n = krx_rules_list(s->rx, rules, stats, room);
		r->n = (u32)n;
		/* Rules may have gone since room was counted. */
		room = (u32)n < room ? (u32)n : room;
		*fd = kt_share_file(rules, (size_t)room * sizeof(*rules), stats, (size_t)room * sizeof(*stats));
		ret = *fd < 0 ? *fd : 0;
		r->n_units = room;
	}
	free(rules);
	free(stats);
	return ret;
}

static int do_replace(struct kt_share *s, u32 n, int fd, struct kt_share_reply *r)
{
	struct krx_rule *rules;
	int ret = -ENOMEM;

	rules = n <= KT_SHARE_MAX_RULES && fd >= 0 ? malloc((size_t)(n + 1) * sizeof(*rules)) : NULL;
	if (n > KT_SHARE_MAX_RULES || fd < 0)
		ret = -EINVAL;
	else if (rules)
		ret = kt_share_read(fd, rules, (size_t)n * sizeof(*rules), 0);
	if (ret)
		snprintf(r->text, sizeof(r->text), "%u rules did not arrive: %s", n, strerror(-ret));
	else
		ret = krx_rules_replace(s->rx, rules, n);
	free(rules);
	return ret;
}

/* False when the reply could not be sent: the client is gone, or has left too many unread. */
static bool answer(struct kt_share *s, int sock, const struct kt_share_request *q, int fd_in)
{
	struct kt_share_reply r = { 0 };
	int fds[KT_SHARE_MAX_FDS] = { -1, -1, -1 }, own_fd = -1;
	unsigned int n_fds = 0;
	bool rule_op = false, sent;

	switch (q->op) {
	case KT_SHARE_HELLO:
		break;
	case KT_SHARE_LISTEN:
		r.ret = do_listen(s, sock, q->arg, &r, fds);
		n_fds = r.ret ? 0 : 3;
		break;
	case KT_SHARE_UNLISTEN:
		r.ret = forget_guests(s, sock, q->arg) ? 0 : -ENOENT;
		break;
	case KT_SHARE_LIST:
		r.ret = do_list(s, q->arg, &r, &own_fd);
		fds[0] = own_fd;
		n_fds = r.ret ? 0 : 1;
		break;
	case KT_SHARE_ADD:
		r.ret = krx_rule_add(s->rx, &q->rule, &r.n);
		rule_op = true;
		break;
	case KT_SHARE_DELETE:
		r.ret = krx_rule_delete(s->rx, q->arg);
		rule_op = true;
		break;
	case KT_SHARE_REPLACE:
		r.ret = do_replace(s, q->arg, fd_in, &r);
		rule_op = true;
		break;
	case KT_SHARE_STATS:
		r.ret = krx_get_stats(s->rx, &r.stats);
		break;
	default:
		r.ret = -EOPNOTSUPP;
	}
	if (r.ret && !r.text[0])
		snprintf(r.text, sizeof(r.text), "%s", rule_op ? krx_why(s->rx) : strerror(-r.ret));
	sent = !kt_share_send(sock, &r, sizeof(r), fds, n_fds);
	if (own_fd >= 0)
		close(own_fd);
	return sent;
}

/* One request. False when the client is gone, does not listen, or does not speak our language. */
static bool serve(struct kt_share *s, int sock)
{
	struct kt_share_request q;
	struct kt_share_reply no = { .ret = -EPROTO };
	int fds[KT_SHARE_MAX_FDS];
	int n = kt_share_recv(sock, &q, sizeof(q), fds);
	bool ok = n == (int)sizeof(q) && q.magic == KT_SHARE_MAGIC && q.rule_bytes == sizeof(q.rule) &&
		  !strncmp(q.version, KTRXER_VERSION, sizeof(q.version));

	if (n == -EAGAIN)
		return true;
	if (ok) {
		ok = answer(s, sock, &q, fds[0]);
	} else if (n > 0) {
		snprintf(no.text, sizeof(no.text), "the receiver's owner is kTRxer %s and refuses other versions",
			 KTRXER_VERSION);
		kt_share_send(sock, &no, sizeof(no), NULL, 0);
	}
	for (int i = 0; i < KT_SHARE_MAX_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return ok;
}

static void accept_client(struct kt_share *s)
{
	/* Not blocking: a client that does not read its replies holds nobody up. */
	int sock = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (sock < 0)
		return;
	for (int i = 0; i < MAX_CLIENTS; i++) {
		if (s->clients[i] < 0) {
			s->clients[i] = sock;
			return;
		}
	}
	close(sock);
}

static void drop_client(struct kt_share *s, int *sock)
{
	forget_guests(s, *sock, ~0u);
	close(*sock);
	*sock = -1;
}

static void *serving(void *arg)
{
	struct kt_share *s = arg;
	struct pollfd p[MAX_CLIENTS + 2];
	int *client[MAX_CLIENTS + 2];

	p[0] = (struct pollfd){ .fd = s->stop_fd, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = s->listen_fd, .events = POLLIN };
	for (;;) {
		nfds_t n = 2;

		/* No empty places: poll() refuses more of them than the process may have descriptors. */
		for (int i = 0; i < MAX_CLIENTS; i++) {
			if (s->clients[i] < 0)
				continue;
			client[n] = &s->clients[i];
			p[n++] = (struct pollfd){ .fd = s->clients[i], .events = POLLIN };
		}
		if (poll(p, n, -1) < 0)
			continue;
		if (p[0].revents)
			break;
		for (nfds_t i = 2; i < n; i++)
			if (p[i].revents && !serve(s, *client[i]))
				drop_client(s, client[i]);
		if (p[1].revents)
			accept_client(s);
	}
	for (int i = 0; i < MAX_CLIENTS; i++)
		if (s->clients[i] >= 0)
			drop_client(s, &s->clients[i]);
	return NULL;
}

/* The socket's folder, made if it is not there; its file, removed if nobody answers at it. */
static int clear_path(const char *path, const struct sockaddr_un *addr)
{
	char dir[sizeof(addr->sun_path)];
	struct stat st;
	char *slash;
	int fd, ret;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash && slash != dir) {
		*slash = '\0';
		if (mkdir(dir, 0755) && errno != EEXIST)
			return -errno;
	}
	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST; /* somebody's file: connect() would say that nobody answers there */
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	ret = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ? -errno : -EADDRINUSE;
	close(fd);
	if (ret == -EAGAIN)
		ret = -EADDRINUSE; /* so many wait already that it has no room for us */
	if (ret == -ECONNREFUSED)
		ret = unlink(path) ? -errno : 0;
	return ret == -ENOENT ? 0 : ret;
}

static int open_socket(struct kt_share *s, const char *path)
{
	int ret;

	s->addr.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(s->addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(s->addr.sun_path, path, strlen(path) + 1);
	ret = clear_path(path, &s->addr);
	if (ret)
		return ret;
	s->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listen_fd < 0)
		return -errno;
	/* Before bind: the file is never open to others, not even for a moment. */
	if (fchmod(s->listen_fd, 0600) || bind(s->listen_fd, (struct sockaddr *)&s->addr, sizeof(s->addr)))
		return -errno;
	return listen(s->listen_fd, 16) ? -errno : 0;
}

static void free_share(struct kt_share *s)
{
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	if (s->stop_fd >= 0)
		close(s->stop_fd);
	if (s->ring_fd >= 0)
		close(s->ring_fd);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int kt_share_start(struct krx *rx, const char *path, struct ktrxer_err *err)
{
	struct kt_share *s = calloc(1, sizeof(*s));
	char name[64];
	sigset_t all, before;
	int ret;

	if (!s)
		return kt_err(err, ENOMEM, "no memory for sharing");
	s->rx = rx;
	s->listen_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	for (int i = 0; i < MAX_CLIENTS; i++)
		s->clients[i] = -1;
	for (u32 i = 0; i < KT_RING_MAX_CURSORS; i++)
		s->guests[i].sock = -1;
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", rx->mem.ring_fd);
	s->ring_fd = open(name, O_RDONLY | O_CLOEXEC);
	ret = s->stop_fd < 0 || s->ring_fd < 0 ? -errno : open_socket(s, path);
	if (ret)
		goto err_share;
	rx->share = s;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = -pthread_create(&s->thread, NULL, serving, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		goto err_socket;
	return 0;

err_socket:
	rx->share = NULL;
	unlink(path);
err_share:
	free_share(s);
	if (ret == -EADDRINUSE)
		return kt_err(err, EADDRINUSE, "another process shares at \"%s\" already", path);
	return kt_err(err, -ret, "cannot share at \"%s\": %s", path, strerror(-ret));
}

void kt_share_stop(struct krx *rx)
{
	struct kt_share *s = rx->share;
	u64 one = 1;

	if (!s)
		return;
	if (write(s->stop_fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
		pthread_join(s->thread, NULL);
	unlink(s->addr.sun_path);
	rx->share = NULL;
	free_share(s);
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Sharing a receiver: a thread serves other processes at a Unix socket. They
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
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "desk.h"

#define MAX_CLIENTS 64
#define LOCK_TRIES 200
#define LOCK_NAP_NS 10000000u

struct kt_share {
	struct kt_desk desk;
	struct sockaddr_un addr;
	struct stat file; /* what bind() made there */
	int listen_fd;
	int stop_fd;
	pthread_t thread;
	int clients[MAX_CLIENTS]; /* the thread's own; -1: free */
};

void kt_share_wake(struct krx *rx)
{
	kt_desk_wake(&rx->share->desk);
}

/* One request. False when the client is gone, does not read its answers, or does not speak our language. */
static bool serve(struct kt_share *s, int sock)
{
	struct kt_share_request q;
	struct kt_answer a;
	int fds[KT_SHARE_MAX_FDS];
	int n = kt_share_recv(sock, &q, sizeof(q), fds);
	bool ok = n > 0;

	if (n == -EAGAIN)
		return true;
	if (ok) {
		ok = kt_desk_answer(&s->desk, sock, &q, (size_t)n, fds, &a);
		ok = !kt_share_send(sock, &a.r, sizeof(a.r), a.fds, a.n_fds) && ok;
		if (a.own_fd >= 0)
			close(a.own_fd);
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
	kt_desk_forget(&s->desk, *sock);
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

/* The socket's folder, made if it is not there. */
static int open_folder(const char *path)
{
	char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;
	int fd;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash && slash != dir) {
		*slash = '\0';
		if (mkdir(dir, 0755) && errno != EEXIST)
			return -errno;
	}
	fd = open(!slash ? "." : slash == dir ? "/" : dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * Whoever looks whether a socket is left over, removes it and binds its own, does so alone in that
 * folder: two at once would each remove the other's. Descriptor to close, or -errno; -EBUSY: somebody
 * keeps the folder locked, and not for sharing, which takes no time.
 */
static int lock_folder(const char *path)
{
	const struct timespec nap = kt_ns_timespec(LOCK_NAP_NS);
	int fd = open_folder(path);

	for (int tries = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB); tries++) {
		int ret = errno == EWOULDBLOCK ? -EBUSY : -errno;

		if ((ret != -EBUSY && ret != -EINTR) || tries == LOCK_TRIES) {
			close(fd);
			return ret;
		}
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	}
	return fd;
}

/* Removes the socket's file if nobody answers at it. */
static int clear_path(const char *path, const struct sockaddr_un *addr)
{
	struct stat st;
	int fd, ret;

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

/* The caller has the folder's lock: until listen() is through, it looks as if nobody answered. */
static int bind_socket(struct kt_share *s)
{
	int ret = clear_path(s->addr.sun_path, &s->addr);

	if (ret)
		return ret;
	s->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listen_fd < 0)
		return -errno;
	/* Before bind: the file is never open to others, not even for a moment. */
	if (fchmod(s->listen_fd, 0600) || bind(s->listen_fd, (struct sockaddr *)&s->addr, sizeof(s->addr)))
		return -errno;
	if (!listen(s->listen_fd, 16) && !lstat(s->addr.sun_path, &s->file))
		return 0;
	ret = -errno;
	unlink(s->addr.sun_path);
	return ret;
}

static int open_socket(struct kt_share *s, const char *path)
{
	int lock, ret;

	s->addr.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(s->addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(s->addr.sun_path, path, strlen(path) + 1);
	lock = lock_folder(path);
	if (lock < 0)
		return lock;
	ret = bind_socket(s);
	close(lock);
	return ret;
}

/* Its file is ours as long as the socket is open, unless somebody put another one there. */
static void remove_file(const struct kt_share *s)
{
	int lock = lock_folder(s->addr.sun_path);
	struct stat now;

	if (!lstat(s->addr.sun_path, &now) && now.st_dev == s->file.st_dev && now.st_ino == s->file.st_ino)
		unlink(s->addr.sun_path);
	if (lock >= 0)
		close(lock);
}

static void free_share(struct kt_share *s)
{
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	if (s->stop_fd >= 0)
		close(s->stop_fd);
	kt_desk_close(&s->desk);
	free(s);
}

/* The pump may be running already. */
static void set_share(struct krx *rx, struct kt_share *s)
{
	pthread_mutex_lock(&rx->pump_lock);
	rx->share = s;
	pthread_mutex_unlock(&rx->pump_lock);
}

int kt_share_start(struct krx *rx, const char *path, struct ktrxer_err *err)
{
	struct kt_share *s = calloc(1, sizeof(*s));
	sigset_t all, before;
	int ret;

	if (!s)
		return kt_err(err, ENOMEM, "no memory for sharing");
	s->listen_fd = -1;
	for (int i = 0; i < MAX_CLIENTS; i++)
		s->clients[i] = -1;
	ret = kt_desk_open(&s->desk, rx);
	if (ret)
		goto err_memory;
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	ret = s->stop_fd < 0 ? -errno : open_socket(s, path);
	if (ret)
		goto err_share;
	set_share(rx, s);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = -pthread_create(&s->thread, NULL, serving, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		goto err_socket;
	return 0;

err_socket:
	set_share(rx, NULL);
	remove_file(s);
err_share:
	free_share(s);
	s = NULL;
err_memory:
	free(s);
	if (ret == -EADDRINUSE)
		return kt_err(err, EADDRINUSE, "another process shares at \"%s\" already", path);
	if (ret == -EBUSY)
		return kt_err(err, EBUSY, "cannot share at \"%s\": another program has locked its folder", path);
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
	remove_file(s);
	set_share(rx, NULL);
	free_share(s);
}

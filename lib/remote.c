/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The other side of share.c: a receiver that another process owns. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "share.h"

#define MAX_ERRNO 4095

struct kt_remote {
	int sock;
	pthread_mutex_t lock; /* one question at a time */
};

/* Asks and waits for the answer; fds_out gets the descriptors that came, the caller closes them. */
static int ask(struct krx *rx, struct kt_share_request *q, const int *fd_in, struct kt_share_reply *r,
	       int fds_out[KT_SHARE_MAX_FDS])
{
	int ret, n = 0;

	q->magic = KT_SHARE_MAGIC;
	q->rule_bytes = sizeof(q->rule);
	memcpy(q->version, KTRXER_VERSION, sizeof(KTRXER_VERSION));
	pthread_mutex_lock(&rx->remote->lock);
	ret = kt_share_send(rx->remote->sock, q, sizeof(*q), fd_in, fd_in ? 1 : 0);
	if (!ret)
		n = kt_share_recv(rx->remote->sock, r, sizeof(*r), fds_out);
	pthread_mutex_unlock(&rx->remote->lock);
	if (ret || n != (int)sizeof(*r))
		return kt_rx_err(rx, EPIPE, "the process that shares this receiver is gone");
	r->text[sizeof(r->text) - 1] = '\0';
	if (r->ret > 0 || r->ret < -MAX_ERRNO)
		return kt_rx_err(rx, EPROTO, "what answers there is not the owner of a receiver");
	return r->ret ? kt_rx_err(rx, -r->ret, "%s", r->text[0] ? r->text : strerror(-r->ret)) : 0;
}

static void close_fds(const int fds[KT_SHARE_MAX_FDS])
{
	for (int i = 0; i < KT_SHARE_MAX_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* A question whose answer brings no descriptors. */
static int ask_plain(struct krx *rx, struct kt_share_request *q, const int *fd_in, struct kt_share_reply *r)
{
	int fds[KT_SHARE_MAX_FDS] = { -1, -1, -1 };
	int ret = ask(rx, q, fd_in, r, fds);

	close_fds(fds);
	return ret;
}

static int connect_to(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		int ret = -errno;

		close(fd);
		return ret;
	}
	return fd;
}

int kt_remote_open(struct krx **out, int sock, struct ktrxer_err *err)
{
	struct kt_share_request q = { .op = KT_SHARE_HELLO };
	struct kt_share_reply r;
	struct krx *rx = calloc(1, sizeof(*rx));
	struct kt_remote *remote = calloc(1, sizeof(*remote));
	int ret;

	*out = NULL;
	if (!rx || !remote) {
		close(sock);
		free(remote);
		free(rx);
		return kt_err(err, ENOMEM, "no memory for a receiver");
	}
	remote->sock = sock;
	pthread_mutex_init(&remote->lock, NULL);
	pthread_mutex_init(&rx->pump_lock, NULL);
	pthread_mutex_init(&rx->rules_lock, NULL);
	pthread_mutex_init(&rx->listen_lock, NULL);
	pthread_cond_init(&rx->news, NULL);
	rx->remote = remote;
	rx->wake_fd = -1;
	ret = ask_plain(rx, &q, NULL, &r);
	if (ret) {
		kt_err(err, -ret, "%s", krx_why(rx));
		krx_close(rx);
		return ret;
	}
	*out = rx;
	return 0;
}

KTRXER_API int krx_connect(struct krx **out, const char *path, struct ktrxer_err *err)
{
	int sock = connect_to(path);

	*out = NULL;
	if (sock < 0)
		return kt_err(err, -sock, "no receiver is shared at \"%s\": %s", path, strerror(-sock));
	return kt_remote_open(out, sock, err);
}

void kt_remote_close(struct krx *rx)
{
	close(rx->remote->sock);
	pthread_mutex_destroy(&rx->remote->lock);
	free(rx->remote);
}

int kt_remote_rules_replace(struct krx *rx, const struct krx_rule *rules, u32 n)
{
	struct kt_share_request q = { .op = KT_SHARE_REPLACE, .arg = n };
	struct kt_share_reply r;
	int fd, ret;

	if (n > KT_SHARE_MAX_RULES)
		return kt_rx_err(rx, EINVAL, "%u rules are too many; %u is the most", n, KT_SHARE_MAX_RULES);
	fd = kt_share_file(rules, (size_t)n * sizeof(*rules), NULL, 0);
	if (fd < 0)
		return kt_rx_err(rx, -fd, "no memory for %u rules", n);
	ret = ask_plain(rx, &q, &fd, &r);
	close(fd);
	return ret;
}

int kt_remote_rule_add(struct krx *rx, const struct krx_rule *rule, u32 *id)
{
	struct kt_share_request q = { .op = KT_SHARE_ADD, .rule = *rule };
	struct kt_share_reply r;
	int ret = ask_plain(rx, &q, NULL, &r);

	if (!ret && id)
		*id = r.n;
	return ret;
}

int kt_remote_rule_delete(struct krx *rx, u32 id)
{
	struct kt_share_request q = { .op = KT_SHARE_DELETE, .arg = id };
	struct kt_share_reply r;

	return ask_plain(rx, &q, NULL, &r);
}

int kt_remote_rules_list(struct krx *rx, struct krx_rule *rules, struct krx_rule_stats *stats, u32 max)
{
	struct kt_share_request q = { .op = KT_SHARE_LIST, .arg = max };
	struct kt_share_reply r;
	int fds[KT_SHARE_MAX_FDS] = { -1, -1, -1 };
	int ret = ask(rx, &q, NULL, &r, fds), came = 0;

	if (!ret && (r.n_units > max || r.n > KT_MAX_RULES))
		ret = kt_rx_err(rx, EPROTO, "the receiver's owner sent more rules than were asked for");
	if (!ret && rules)
		came = kt_share_read(fds[0], rules, (size_t)r.n_units * sizeof(*rules), 0);
	if (!ret && !came && stats)
		came = kt_share_read(fds[0], stats, (size_t)r.n_units * sizeof(*stats),
				     (size_t)r.n_units * sizeof(struct krx_rule));
	if (came)
		ret = kt_rx_err(rx, -came, "%u rules did not arrive: %s", r.n_units, strerror(-came));
	close_fds(fds);
	return ret ? ret : (int)r.n;
}

int kt_remote_stats(struct krx *rx, struct krx_stats *stats)
{
	struct kt_share_request q = { .op = KT_SHARE_STATS };
	struct kt_share_reply r;
	int ret = ask_plain(rx, &q, NULL, &r);

	if (!ret)
		*stats = r.stats;
	return ret;
}

int kt_remote_listen(struct krx_listener *l, struct krx *rx, struct ktrxer_err *err)
{
	struct kt_share_request q = { .op = KT_SHARE_LISTEN, .arg = l->lossless };
	struct kt_share_reply r;
	int fds[KT_SHARE_MAX_FDS] = { -1, -1, -1 };
	int ret = ask(rx, &q, NULL, &r, fds);

	if (ret) {
		close_fds(fds);
		return kt_err(err, -ret, "%s", krx_why(rx));
	}
	if (fds[0] < 0 || fds[1] < 0 || fds[2] < 0) {
		close_fds(fds);
		return kt_err(err, EMFILE, "no descriptor left for the shared ring");
	}
	l->cursor = r.n;
	l->wake_fd = fds[2];
	ret = kt_ring_memory_map(&l->mem, fds[0], fds[1], r.n_units, err);
	if (!ret) {
		ret = kt_ring_reader_init(&l->reader, l->mem.shared, l->mem.cursors, l->mem.data, l->cursor);
		/* The reader's own copy of the size: what is mapped, and nothing that can change any more. */
		if (!ret && l->reader.n_units != l->mem.n_units)
			ret = -EINVAL;
		if (ret)
			kt_err(err, -ret, "what is shared there is not a ring");
	}
	if (ret)
		kt_remote_unlisten(l);
	return ret;
}

void kt_remote_unlisten(struct krx_listener *l)
{
	struct kt_share_request q = { .op = KT_SHARE_UNLISTEN, .arg = l->cursor };
	struct kt_share_reply r;

	ask_plain(l->rx, &q, NULL, &r);
	kt_ring_memory_free(&l->mem);
	close(l->wake_fd);
}

/* 1 woken, 0 time is up, -EPIPE the owner is gone. */
int kt_remote_wait(struct krx_listener *l, u64 until_ns)
{
	struct pollfd p[2] = { { .fd = l->wake_fd, .events = POLLIN }, { .fd = l->rx->remote->sock, .events = 0 } };
	u64 now = kt_clock_now(KTRXER_CLOCK_MONOTONIC), left = until_ns > now ? until_ns - now : 0;
	struct timespec ts = kt_ns_timespec(left);
	char calls[512]; /* all that there can be: the sooner they are gone, the fewer times we wake */
	ssize_t n;

	if (ppoll(p, 2, until_ns == UINT64_MAX ? NULL : &ts, NULL) < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[0].revents) {
		n = recv(l->wake_fd, calls, sizeof(calls), MSG_DONTWAIT);
		if (n > 0 || (n < 0 && errno == EAGAIN))
			return 1;
		return n < 0 && errno != ECONNRESET ? -errno : -EPIPE;
	}
	return p[1].revents & (POLLHUP | POLLERR) ? -EPIPE : 0;
}

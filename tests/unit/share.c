/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Sharing a receiver with processes that break every rule, and being shared one by such an owner. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/share.h"
#include "tests/test.h"

#define END "share/0"
#define FAR_END "share/1"

static char dir[64], path[96];
static struct ktrxer *port;
static struct krx *rx;

static void clean_up(void)
{
	krx_close(rx);
	ktrxer_close(port);
	rx = NULL;
	port = NULL;
	if (dir[0]) {
		unlink(path);
		rmdir(dir);
	}
}

static void fresh_path(void)
{
	clean_up(); /* of a case that failed */
	alarm(60); /* nothing here may hang */
	snprintf(dir, sizeof(dir), "/tmp/kt-share-XXXXXX");
	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
}

static int open_shared(const char *where, struct ktrxer_err *err)
{
	KTRXER_OPTS(krx_opts, o);
	struct ktrxer_err e;

	if (!port && ktrxer_open(&port, END, NULL, &e))
		TEST_FAIL("%s", e.text);
	o.ring_bytes = 65536;
	o.share_path = where;
	return krx_open(&rx, port, &o, err);
}

static void set_up(void)
{
	struct ktrxer_err err = { 0 };

	fresh_path();
	if (open_shared(path, &err))
		TEST_FAIL("%s", err.text);
}

/* A client that speaks for itself, without the library. */
static int raw_client(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	CHECK_EQ(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static struct kt_share_request request(u32 op, u32 arg)
{
	struct kt_share_request q = {
		.magic = KT_SHARE_MAGIC, .op = op, .rule_bytes = sizeof(struct krx_rule), .arg = arg
	};

	memcpy(q.version, KTRXER_VERSION, sizeof(KTRXER_VERSION));
	return q;
}

/* The reply's result; -EPIPE when the owner hung up. */
static int reply_of(int sock)
{
	struct kt_share_reply r;
	int fds[KT_SHARE_MAX_FDS], n = kt_share_recv(sock, &r, sizeof(r), fds);

	for (int i = 0; i < KT_SHARE_MAX_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return n == (int)sizeof(r) ? r.ret : -EPIPE;
}

static int say(int sock, u32 op, u32 arg, const int *fd)
{
	struct kt_share_request q = request(op, arg);

	CHECK_EQ(kt_share_send(sock, &q, sizeof(q), fd, fd ? 1 : 0), 0);
	return reply_of(sock);
}

/* The owner still answers others. */
static void check_alive(void)
{
	struct ktrxer_err err = { 0 };
	struct krx *other;

	if (krx_connect(&other, path, &err))
		TEST_FAIL("%s", err.text);
	krx_close(other);
}

static void t_garbage(void)
{
	static const u8 garbage[2000] = { 1, 2, 3 };
	static const size_t sizes[] = { 1,
					7,
					sizeof(struct kt_share_request) - 1,
					sizeof(struct kt_share_request),
					sizeof(struct kt_share_request) + 1,
					sizeof(garbage) };

	set_up();
	for (size_t i = 0; i < KT_ARRAY_LEN(sizes); i++) {
		int sock = raw_client();

		CHECK_EQ(send(sock, garbage, sizes[i], 0), sizes[i]);
		CHECK_EQ(reply_of(sock), -EPROTO);
		CHECK_EQ(reply_of(sock), -EPIPE);
		close(sock);
	}
	check_alive();
	clean_up();
}

static void t_wrong_words(void)
{
	set_up();
	for (int what = 0; what < 5; what++) {
		struct kt_share_request q = request(KT_SHARE_HELLO, 0);
		int sock = raw_client();

		q.magic += what == 0;
		q.version[0] += what == 1;
		q.rule_bytes += what == 2;
		if (what == 3)
			memset(q.version, 'x', sizeof(q.version));
		if (what == 4)
			q.op = 77;
		CHECK_EQ(kt_share_send(sock, &q, sizeof(q), NULL, 0), 0);
		CHECK_EQ(reply_of(sock), what == 4 ? -EOPNOTSUPP : -EPROTO);
		close(sock);
	}
	check_alive();
	clean_up();
}

/* Gone before the reply, or before reading it. */
static void t_gone_at_once(void)
{
	set_up();
	for (u32 op = 0; op <= KT_SHARE_STATS + 1; op++) {
		for (int i = 0; i < 20; i++) {
			struct kt_share_request q = request(op, 0);
			int sock = raw_client();

			CHECK_EQ(kt_share_send(sock, &q, sizeof(q), NULL, 0), 0);
			close(sock);
		}
		check_alive();
	}
	clean_up();
}

static void t_one_client_too_many(void)
{
	int sock[65], n;

	set_up();
	for (n = 0; n < 64; n++) {
		sock[n] = raw_client();
		CHECK_EQ(say(sock[n], KT_SHARE_LISTEN, n & 1, NULL), 0);
	}
	sock[64] = raw_client();
	CHECK_EQ(reply_of(sock[64]), -EPIPE);
	close(sock[64]);
	/* One that has a place has no more cursors to take. */
	CHECK_EQ(say(sock[3], KT_SHARE_LISTEN, 0, NULL), -ENOSPC);
	CHECK_EQ(say(sock[3], KT_SHARE_UNLISTEN, 63, NULL), -ENOENT); /* another's */
	CHECK_EQ(say(sock[3], KT_SHARE_UNLISTEN, 3, NULL), 0);
	CHECK_EQ(say(sock[3], KT_SHARE_LISTEN, 0, NULL), 0);
	for (n = 0; n < 64; n++)
		close(sock[n]);
	for (int tries = 0;; tries++) { /* the owner sees them go one by one */
		struct ktrxer_err err;
		struct krx *other;

		if (!krx_connect(&other, path, &err)) {
			krx_close(other);
			break;
		}
		CHECK(tries < 10000);
		usleep(1000);
	}
	clean_up();
}

static void t_paths(void)
{
	struct ktrxer_err err = { 0 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char too_long[200];
	struct krx *first;
	int fd;

	fresh_path();
	memset(too_long, 'x', sizeof(too_long));
	too_long[0] = '/';
	too_long[199] = '\0';
	CHECK_EQ(open_shared(too_long, &err), -ENAMETOOLONG);
	CHECK(strstr(err.text, "cannot share"));
	CHECK(open_shared("/proc/nothing/socket", &err) < 0);
	CHECK_EQ(krx_connect(&first, too_long, &err), -ENAMETOOLONG);
	CHECK_EQ(krx_connect(&first, path, &err), -ENOENT);
	/* A socket that its owner left behind is taken over, one that is in use is not. */
	fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	CHECK_EQ(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	CHECK_EQ(krx_connect(&first, path, &err), -ECONNREFUSED);
	CHECK_EQ(open_shared(path, &err), 0);
	first = rx;
	CHECK_EQ(open_shared(path, &err), -EADDRINUSE);
	rx = first;
	check_alive();
	clean_up();
	CHECK(access(path, F_OK));
}

static void t_many_rules(void)
{
	const u32 n = 200000;
	struct krx_rule *rules = calloc(n, sizeof(*rules));
	struct krx_rule_stats *stats = calloc(n, sizeof(*stats));
	struct ktrxer_err err = { 0 };
	struct krx *other;

	set_up();
	for (u32 i = 0; i < n; i++) {
		rules[i].version = 4;
		rules[i].dst_plen = 32;
		kt_put_be32(rules[i].dst, 0x0a000000 + i);
	}
	CHECK_EQ(krx_connect(&other, path, &err), 0);
	if (krx_rules_replace(other, rules, n))
		TEST_FAIL("%s", krx_why(other));
	memset(rules, 0, n * sizeof(*rules));
	CHECK_EQ(krx_rules_list(other, rules, stats, n), n);
	CHECK_EQ(rules[n - 1].dst_plen, 32);
	CHECK_EQ(stats[n - 1].id, rules[n - 1].id);
	CHECK_EQ(krx_rules_list(other, rules, stats, 10), n);
	rules[5].src_plen = 200;
	rules[5].id = 4711;
	CHECK_EQ(krx_rules_replace(other, rules, 10), -EINVAL);
	CHECK(strstr(krx_why(other), "rule 4711"));
	CHECK_EQ(krx_rules_list(rx, NULL, NULL, 0), n);
	CHECK_EQ(krx_rules_replace(other, NULL, 0), 0);
	CHECK_EQ(krx_rules_list(rx, NULL, NULL, 0), 0);
	krx_close(other);
	clean_up();
	free(rules);
	free(stats);
}

static int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* More descriptors than there can be, and messages that are too long. */
static void t_too_much(void)
{
	struct {
		struct kt_share_request q;
		u8 more;
	} __attribute__((packed)) longer = { .q = request(KT_SHARE_HELLO, 0) };
	int sock, before, fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct iovec iov = { .iov_base = &longer, .iov_len = sizeof(longer.q) };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} c = { 0 };
	struct msghdr h = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.bytes, .msg_controllen = sizeof(c.bytes)
	};
	struct cmsghdr *cm;

	set_up();
	sock = raw_client();
	CHECK_EQ(say(sock, KT_SHARE_HELLO, 0, NULL), 0);
	before = open_fds();
	cm = CMSG_FIRSTHDR(&h);
	*cm = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS,
				.cmsg_len = CMSG_LEN(8 * sizeof(int)) };
	for (size_t i = 0; i < 8; i++)
		memcpy(CMSG_DATA(cm) + i * sizeof(fd), &fd, sizeof(fd));
	CHECK_EQ(sendmsg(sock, &h, 0), sizeof(longer.q));
	CHECK_EQ(reply_of(sock), 0);
	CHECK_EQ(say(sock, KT_SHARE_HELLO, 0, NULL), 0); /* the owner is done with the one before */
	CHECK_EQ(open_fds(), before);
	CHECK_EQ(send(sock, &longer, sizeof(longer), 0), sizeof(longer));
	CHECK_EQ(reply_of(sock), -EPROTO);
	close(sock);
	close(fd);
	clean_up();
}

/* Rules in anything but a memory file: a pipe or an event would keep the owner waiting, a short file has not enough. */
static void t_descriptors_that_are_no_memory_files(void)
{
	int sock, pipe_fds[2], fds[5];

	set_up();
	sock = raw_client();
	CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
	fds[0] = pipe_fds[0];
	fds[1] = eventfd(0, EFD_CLOEXEC);
	fds[2] = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	fds[3] = memfd_create("short", MFD_CLOEXEC);
	fds[4] = sock;
	for (size_t i = 0; i < KT_ARRAY_LEN(fds); i++)
		CHECK_EQ(say(sock, KT_SHARE_REPLACE, 1, &fds[i]), -EPROTO);
	CHECK_EQ(say(sock, KT_SHARE_REPLACE, 1, NULL), -EINVAL);
	CHECK_EQ(say(sock, KT_SHARE_REPLACE, UINT32_MAX, &fds[3]), -EINVAL);
	CHECK_EQ(krx_rules_list(rx, NULL, NULL, 0), 0);
	close(pipe_fds[1]);
	for (size_t i = 0; i < KT_ARRAY_LEN(fds); i++)
		close(fds[i]);
	clean_up();
}

/* A client that asks and never reads: others are answered, and the receiver can be closed. */
static void t_deaf_client(void)
{
	struct kt_share_request q = request(KT_SHARE_STATS, 0);
	int sock;

	set_up();
	sock = raw_client();
	for (int i = 0; i < 5000; i++)
		if (send(sock, &q, sizeof(q), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			usleep(100);
	check_alive();
	clean_up();
	close(sock);
}

/* Whatever lies at the path and is not a socket stays. */
static void t_never_removes_a_file(void)
{
	struct ktrxer_err err = { 0 };
	char target[96];
	int fd;

	fresh_path();
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	CHECK_EQ(write(fd, "dear", 4), 4);
	close(fd);
	CHECK_EQ(open_shared(path, &err), -EEXIST);
	CHECK_EQ(access(path, F_OK), 0);
	snprintf(target, sizeof(target), "%s/link", dir);
	CHECK_EQ(symlink(path, target), 0);
	CHECK_EQ(open_shared(target, &err), -EEXIST);
	CHECK_EQ(access(path, F_OK), 0);
	unlink(target);
	clean_up();
}

/* An owner that is too busy to accept is an owner. */
static void t_busy_owner(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct ktrxer_err err = { 0 };
	int fd, waiting[4];

	fresh_path();
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	CHECK_EQ(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CHECK_EQ(listen(fd, 0), 0);
	for (size_t i = 0; i < KT_ARRAY_LEN(waiting); i++) {
		waiting[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(waiting[i], (struct sockaddr *)&addr, sizeof(addr)))
			CHECK_EQ(errno, EAGAIN);
	}
	CHECK_EQ(open_shared(path, &err), -EADDRINUSE);
	for (size_t i = 0; i < KT_ARRAY_LEN(waiting); i++)
		close(waiting[i]);
	close(fd);
	clean_up();
}

/* A process that may have few descriptors can share all the same. */
static void t_few_descriptors(void)
{
	struct rlimit old, few;

	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = 40;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
	set_up();
	check_alive();
	clean_up();
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
}

/* An owner that is none: answers each request with the next of these. */
struct lie {
	struct kt_share_reply r;
	int fds[3];
	unsigned int n_fds;
	size_t bytes;
};

static struct lie lies[3];
static int liar_fd;

static void *lying(void *arg)
{
	int sock = accept(liar_fd, NULL, NULL);

	for (size_t i = 0; i < KT_ARRAY_LEN(lies); i++) {
		struct kt_share_request q;
		int fds[KT_SHARE_MAX_FDS];

		if (kt_share_recv(sock, &q, sizeof(q), fds) <= 0)
			break;
		kt_share_send(sock, &lies[i].r, lies[i].bytes, lies[i].fds, lies[i].n_fds);
	}
	close(sock);
	return NULL;
}

/* What krx_connect(), or if that works listening, makes of it. */
static int believe(struct lie first, struct lie second)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct ktrxer_err err = { 0 };
	struct krx_listener *l;
	struct krx_packet p;
	pthread_t thread;
	struct krx *other;
	int ret;

	fresh_path();
	liar_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	CHECK_EQ(bind(liar_fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	CHECK_EQ(listen(liar_fd, 1), 0);
	lies[0] = first;
	lies[1] = lies[2] = second;
	CHECK_EQ(pthread_create(&thread, NULL, lying, NULL), 0);
	ret = krx_connect(&other, path, &err);
	CHECK(!ret || err.text[0]);
	if (!ret) {
		ret = krx_listen(&l, other, NULL, &err);
		CHECK(!ret || err.text[0]);
		if (!ret) {
			krx_next(l, &p, 1000000);
			krx_unlisten(l);
		}
		krx_close(other);
	}
	pthread_join(thread, NULL);
	close(liar_fd);
	clean_up();
	return ret;
}

static int memory_file(const void *data, size_t bytes, off_t size, int seals)
{
	int fd = memfd_create("lie", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (write(fd, data, bytes) != (ssize_t)bytes || ftruncate(fd, size) || fcntl(fd, F_ADD_SEALS, seals))
		TEST_FAIL("memory file");
	return fd;
}

static void t_owner_that_lies(void)
{
	struct kt_ring_shared head = { .magic = KT_RING_MAGIC, .version = 1, .n_units = 1u << 20, .n_cursors = 64 };
	struct kt_ring_cursor cursor = { .state = KT_CURSOR_LOSSY };
	const struct lie truth = { .bytes = sizeof(struct kt_share_reply) };
	struct lie l = truth;
	int ok = memory_file(&cursor, sizeof(cursor), 4096, F_SEAL_SHRINK), event = eventfd(0, EFD_CLOEXEC);

	l.bytes = 10;
	CHECK_EQ(believe(l, l), -EPIPE);
	l.bytes = sizeof(l.r);
	l.r.ret = 5;
	CHECK_EQ(believe(l, l), -EPROTO);
	l.r.ret = INT32_MIN;
	CHECK_EQ(believe(l, l), -EPROTO);
	l = truth;
	memset(l.r.text, 'x', sizeof(l.r.text));
	l.r.ret = -EPERM;
	CHECK_EQ(believe(l, l), -EPERM);
	l = truth;
	CHECK_EQ(believe(truth, l), -EMFILE); /* nothing to map came along */
	l.n_fds = 3;
	l.fds[1] = ok;
	l.fds[2] = event;
	l.r.n_units = 256;
	/* The ring's file is too short, could become so, or holds a ring that is said to be larger. */
	l.fds[0] = memory_file(&head, sizeof(head), sizeof(head), F_SEAL_SHRINK);
	CHECK_EQ(believe(truth, l), -EINVAL);
	close(l.fds[0]);
	l.fds[0] = memory_file(&head, sizeof(head), 4096 + 256 * 16, F_SEAL_GROW);
	CHECK_EQ(believe(truth, l), -EINVAL);
	close(l.fds[0]);
	l.fds[0] = memory_file(&head, sizeof(head), 4096 + 256 * 16, F_SEAL_SHRINK);
	CHECK_EQ(believe(truth, l), -EINVAL);
	l.r.n_units = 0;
	CHECK_EQ(believe(truth, l), -EINVAL);
	l.r.n_units = UINT32_MAX;
	CHECK_EQ(believe(truth, l), -EINVAL);
	l.r.n_units = 256;
	l.r.n = 64; /* no such cursor */
	CHECK_EQ(believe(truth, l), -EINVAL);
	close(l.fds[0]);
	close(ok);
	close(event);
}

static u8 probe_frame[60];

/* What a listener in another process is doing when it is killed. */
static void be_killed(int doing, int ready)
{
	KTRXER_OPTS(krx_listen_opts, o);
	struct krx_listener *l;
	struct krx_packet p;
	struct krx *other;

	while (krx_connect(&other, path, NULL))
		usleep(1000);
	o.lossless = true;
	if (doing >= 1 && krx_listen(&l, other, &o, NULL))
		_exit(1);
	if (doing >= 2) {
		if (write(ready, "l", 1) != 1 || krx_next(l, &p, 30000000000ull) != 1)
			_exit(1);
	}
	if (write(ready, "r", 1) != 1)
		_exit(1);
	if (doing == 3)
		krx_next(l, &p, UINT64_MAX);
	pause();
	_exit(0);
}

/* Whatever a lossless listener in another process was doing when it was killed, it holds nobody any more. */
static void t_killed(void)
{
	struct krx_rule all = { .op = KRX_CAPTURE };

	for (int doing = 0; doing < 4; doing++) {
		int ready[2], status;
		struct krx_stats s;
		char c = 0;
		pid_t pid;

		fresh_path();
		CHECK_EQ(pipe2(ready, O_CLOEXEC), 0);
		pid = fork(); /* before there are threads */
		if (!pid)
			be_killed(doing, ready[1]);
		close(ready[1]);
		CHECK_EQ(open_shared(path, NULL), 0);
		CHECK_EQ(krx_rules_replace(rx, &all, 1), 0);
		while (read(ready[0], &c, 1) == 1 && c != 'r') {
			kt_mem_host_send(FAR_END, probe_frame, sizeof(probe_frame));
			krx_pump(rx);
		}
		CHECK_EQ(c, 'r');
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		CHECK(WIFSIGNALED(status));
		check_alive(); /* its end was seen before this one was answered, or is seen soon */
		for (int tries = 0; tries < 10000; tries++) {
			u32 held;

			pthread_mutex_lock(&rx->pump_lock);
			held = rx->ring.n_used;
			pthread_mutex_unlock(&rx->pump_lock);
			if (!held)
				break;
			usleep(1000);
		}
		for (int i = 0; i < 2000; i++) /* twice the ring */
			kt_mem_host_send(FAR_END, probe_frame, sizeof(probe_frame));
		while (krx_pump(rx) > 0)
			;
		CHECK_EQ(krx_get_stats(rx, &s), 0);
		CHECK_EQ(s.seen, 2000 + (doing >= 2));
		CHECK_EQ(s.delivered, s.seen);
		CHECK_EQ(s.lost_ring, 0);
		close(ready[0]);
		clean_up();
	}
}

/* A listener is told that the owner has gone, and what it could not take before is counted. */
static void t_owner_goes(void)
{
	struct krx_listener *l;
	struct krx_packet p;
	struct krx *other;
	struct krx_stats s;

	set_up();
	CHECK_EQ(krx_connect(&other, path, NULL), 0);
	CHECK_EQ(krx_listen(&l, other, NULL, NULL), 0);
	CHECK_EQ(krx_next(l, &p, 1000000), 0);
	kt_mem_set_rx_room(END, 2);
	for (int i = 0; i < 5; i++)
		kt_mem_host_send(FAR_END, probe_frame, sizeof(probe_frame));
	krx_pump(rx);
	CHECK_EQ(krx_get_stats(other, &s), 0);
	CHECK_EQ(s.seen, 5);
	CHECK_EQ(s.lost_engine, 3);
	krx_close(rx);
	rx = NULL;
	CHECK_EQ(krx_next(l, &p, UINT64_MAX), -EPIPE);
	krx_unlisten(l);
	krx_close(other);
	clean_up();
}

/* TESTS */

TEST_MAIN(T(t_garbage), T(t_wrong_words), T(t_gone_at_once), T(t_one_client_too_many), T(t_paths), T(t_many_rules),
	  T(t_too_much), T(t_descriptors_that_are_no_memory_files), T(t_deaf_client), T(t_never_removes_a_file),
	  T(t_busy_owner), T(t_few_descriptors), T(t_owner_that_lies), T(t_killed), T(t_owner_goes))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The other side of a shared receiver: an owner that lies or goes away, a listener that is killed. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "share_bed.h"

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
	l.r.text[0] = '\0'; /* no sentence: there is one all the same */
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
	l.r.n = 0;
	head.n_units = 256;
	CHECK_EQ(pwrite(l.fds[0], &head, sizeof(head), 0), sizeof(head));
	CHECK_EQ(believe(truth, l), 0);
	l.fds[2] = ok; /* what is always readable wakes for ever, but no longer than we wait */
	CHECK_EQ(believe(truth, l), 0);
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
	CHECK(strstr(krx_why(other), "is gone"));
	krx_unlisten(l);
	krx_close(other);
	clean_up();
}

/* TESTS */

TEST_MAIN(T(t_owner_that_lies), T(t_owner_goes), T(t_killed))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Sharing a receiver with processes that break every rule. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "share_bed.h"

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

static void t_many_rules(void)
{
	/* With the copies of owner and client they take 200 MB, which a small machine has not got. */
	const u32 n = (u64)sysconf(_SC_PHYS_PAGES) * (u64)sysconf(_SC_PAGESIZE) > 512ull << 20 ? 200000 : 20000;
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

/* A rule may have any number. */
static void t_rule_with_a_large_id(void)
{
	struct krx_rule rule = { .id = 0xfffffff0u, .op = KRX_CAPTURE }, back;
	struct krx *other;
	u32 id;

	set_up();
	CHECK_EQ(krx_connect(&other, path, NULL), 0);
	if (krx_rule_add(other, &rule, &id))
		TEST_FAIL("%s", krx_why(other));
	CHECK_EQ(id, rule.id);
	CHECK_EQ(krx_rules_list(other, &back, NULL, 1), 1);
	CHECK_EQ(back.id, rule.id);
	CHECK_EQ(krx_rule_delete(other, id), 0);
	krx_close(other);
	clean_up();
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

/* Whatever a guest does to its descriptors, the pump does not wait for it. */
static void t_guest_cannot_block(void)
{
	struct kt_share_request q = request(KT_SHARE_LISTEN, 0);
	static const u8 frame[60];
	static const u64 full = UINT64_MAX - 1;
	struct krx_rule all = { .op = KRX_CAPTURE };
	struct kt_share_reply r;
	int sock, fds[KT_SHARE_MAX_FDS];
	struct krx_stats s;

	set_up();
	alarm(20);
	CHECK_EQ(krx_rules_replace(rx, &all, 1), 0);
	sock = raw_client();
	CHECK_EQ(kt_share_send(sock, &q, sizeof(q), NULL, 0), 0);
	CHECK_EQ(kt_share_recv(sock, &r, sizeof(r), fds), sizeof(r));
	CHECK_EQ(r.ret, 0);
	for (int i = 0; i < KT_SHARE_MAX_FDS; i++) {
		int flags = fcntl(fds[i], F_GETFL);

		CHECK_EQ(fcntl(fds[i], F_SETFL, flags | O_NONBLOCK), 0);
	}
	/* An event's counter is full now; a socket sends as long as there is room. */
	for (int i = 0; i < 5000; i++)
		if (write(fds[2], &full, sizeof(full)) < 0)
			break;
	for (int i = 0; i < KT_SHARE_MAX_FDS; i++)
		CHECK_EQ(fcntl(fds[i], F_SETFL, fcntl(fds[i], F_GETFL) & ~O_NONBLOCK), 0);
	for (int i = 0; i < 2000; i++) {
		kt_mem_host_send(FAR_END, frame, sizeof(frame));
		krx_pump(rx);
	}
	CHECK_EQ(krx_get_stats(rx, &s), 0);
	CHECK_EQ(s.delivered, 2000);
	check_alive();
	for (int i = 0; i < KT_SHARE_MAX_FDS; i++)
		close(fds[i]);
	kt_mem_host_send(FAR_END, frame, sizeof(frame)); /* nobody is at the other end: no signal either */
	krx_pump(rx);
	close(sock);
	clean_up();
}

/* A guest reads the ring, and finds no way to write it, root or not. */
static void t_ring_is_read_only(void)
{
	struct kt_share_request q = request(KT_SHARE_LISTEN, 0);
	struct kt_share_reply r;
	int sock, fd, fds[KT_SHARE_MAX_FDS];
	char name[64];

	set_up();
	sock = raw_client();
	CHECK_EQ(kt_share_send(sock, &q, sizeof(q), NULL, 0), 0);
	CHECK_EQ(kt_share_recv(sock, &r, sizeof(r), fds), sizeof(r));
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0) == MAP_FAILED);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fds[0]);
	fd = open(name, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	CHECK_EQ(write(fd, &r, 1), -1);
	CHECK_EQ(ftruncate(fd, 0), -1);
	CHECK_EQ(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
	CHECK_EQ(ftruncate(fds[1], 0), -1); /* the cursors are for writing, but stay as long as they are */
	close(fd);
	for (int i = 0; i < KT_SHARE_MAX_FDS; i++)
		close(fds[i]);
	close(sock);
	clean_up();
}

/* TESTS */

TEST_MAIN(T(t_garbage), T(t_wrong_words), T(t_gone_at_once), T(t_one_client_too_many), T(t_many_rules),
	  T(t_rule_with_a_large_id), T(t_too_much), T(t_descriptors_that_are_no_memory_files), T(t_deaf_client),
	  T(t_guest_cannot_block), T(t_ring_is_read_only))

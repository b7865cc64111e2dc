/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Where receivers are shared: whose socket lies there, and who may take the place. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "share_bed.h"

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

static void leave_socket_behind(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	CHECK_EQ(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
}

#define RIVALS 3

/* Tries to be the owner once it may, says what came of it, and goes when it is told. */
static void be_rival(const u32 *go, int told, int done)
{
	struct ktrxer_err err = { 0 };
	int ret;
	char c;

	CHECK_EQ(ktrxer_open(&port, END, NULL, NULL), 0);
	if (write(told, &(int){ 1 }, sizeof(int)) != sizeof(int)) /* ready */
		_exit(1);
	while (!kt_load_acquire(go))
		; /* to be woken would put them in order */
	ret = open_shared(path, &err);
	if (ret == -EADDRINUSE && !strstr(err.text, "another process shares"))
		ret = -EINVAL;
	if (write(told, &ret, sizeof(ret)) != sizeof(ret) || read(done, &c, 1))
		_exit(1);
	krx_close(rx);
	_exit(0);
}

/* Several find the same socket left behind: one takes its place, the others hear of that one. */
static void t_rivals(void)
{
	u32 *go = mmap(NULL, sizeof(*go), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(go != MAP_FAILED);
	for (int round = 0; round < 100; round++) {
		int told[2], done[2], ret, owners = 0, status;

		fresh_path();
		leave_socket_behind();
		CHECK(!pipe2(told, O_CLOEXEC) && !pipe2(done, O_CLOEXEC));
		kt_store_release(go, 0);
		for (int i = 0; i < RIVALS; i++) {
			if (!fork()) {
				close(done[1]);
				be_rival(go, told[1], done[0]);
			}
		}
		for (int i = 0; i < 2 * RIVALS; i++) {
			if (i == RIVALS)
				kt_store_release(go, 1);
			CHECK_EQ(read(told[0], &ret, sizeof(ret)), sizeof(ret));
			if (ret < 0)
				CHECK_EQ(ret, -EADDRINUSE);
			owners += i >= RIVALS && !ret;
		}
		CHECK_EQ(owners, 1);
		check_alive();
		close(done[1]);
		for (int i = 0; i < RIVALS; i++) {
			CHECK(wait(&status) > 0);
			CHECK_EQ(status, 0);
		}
		CHECK_EQ(access(path, F_OK), -1);
		close(told[0]);
		close(told[1]);
		close(done[0]);
		clean_up();
	}
	munmap(go, sizeof(*go));
}

/* What somebody else put in the place of our socket stays when we go. */
static void t_removes_its_own_only(void)
{
	set_up();
	CHECK_EQ(unlink(path), 0);
	leave_socket_behind();
	krx_close(rx);
	rx = NULL;
	CHECK_EQ(access(path, F_OK), 0);
	clean_up();
}

static void t_locked_folder(void)
{
	struct ktrxer_err err = { 0 };
	int fd;

	fresh_path();
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_EQ(flock(fd, LOCK_EX), 0);
	CHECK_EQ(open_shared(path, &err), -EBUSY);
	CHECK(strstr(err.text, "locked its folder"));
	close(fd);
	CHECK_EQ(open_shared(path, &err), 0);
	clean_up();
}

/* TESTS */

TEST_MAIN(T(t_paths), T(t_never_removes_a_file), T(t_busy_owner), T(t_few_descriptors), T(t_rivals),
	  T(t_removes_its_own_only), T(t_locked_folder))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the tests of abuse share: random numbers whose seed is printed, both devices
 * without any care, and what the kernel still holds when all is closed.
 *
 *   KT_SEED     of the random numbers (else the time)
 *   KT_SECONDS  that each random case takes (5)
 */
#ifndef KT_TEST_ABUSE_H
#define KT_TEST_ABUSE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/ring.h"
#include "include/uapi/ktrxer.h"
#include "krx_bed.h"
#include "tests/netns.h"

#define A_PAGE 4096u
#define A_SECOND 1000000000ull

/* xorshift64*: one state a thread. */
static __thread uint64_t a_state;

static inline uint64_t a_random(void)
{
	a_state ^= a_state >> 12;
	a_state ^= a_state << 25;
	a_state ^= a_state >> 27;
	return a_state * 0x2545f4914f6cdd1dull;
}

static inline uint32_t a_below(uint32_t n)
{
	return (uint32_t)((a_random() >> 32) % n);
}

/* Numbers that somebody has forgotten, more often than others. */
static inline uint64_t a_number(void)
{
	static const uint64_t odd[] = { 0,	    1,		2,	    63,		64,	    255,
					256,	    4095,	4096,	    65535,	65536,	    1u << 20,
					0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 1ull << 63, ~0ull };

	switch (a_below(4)) {
	case 0:
		return a_random();
	case 1:
		return a_below(300);
	default:
		return odd[a_below(sizeof(odd) / sizeof(odd[0]))];
	}
}

static inline uint64_t a_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * A_SECOND + (uint64_t)ts.tv_nsec;
}

/* Each case has a seed of its own, from the one for all. */
static inline uint64_t a_seed(const char *what)
{
	const char *given = getenv("KT_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : a_now();

	printf("# %s: KT_SEED=%llu\n", what, (unsigned long long)seed);
	a_state = seed * 0x9e3779b97f4a7c15ull | 1;
	return seed;
}

static inline uint64_t a_until(void)
{
	const char *given = getenv("KT_SECONDS");

	return a_now() + (given ? strtoull(given, NULL, 0) : 5) * A_SECOND;
}

/* How long is waited for what is to come, before it is said that it does not: a guest may get a tenth of a CPU. */
#define A_PATIENCE (120 * A_SECOND)

/* A machine may be slow: until then, and on for as long as there was not enough. */
static inline bool a_goes_on(uint64_t until, bool enough)
{
	uint64_t now = a_now();

	return now < until || (!enough && now < until + A_PATIENCE);
}

/*
 * From here on 64 MiB of locked memory is all that this program and its threads can get. Without a limit a call that asks for
 * half the guest's gets it, and who is in need of some meanwhile, anybody, has the kernel say so or is killed.
 */
static inline void a_modest(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];
	struct rlimit limit = { 64u << 20, 64u << 20 };

	CHECK(!setrlimit(RLIMIT_MEMLOCK, &limit));
	CHECK(!syscall(SYS_capget, &h, d));
	d[0].effective &= ~(1u << CAP_IPC_LOCK);
	CHECK(!syscall(SYS_capset, &h, d));
}

static inline int a_open(bool rx)
{
	int fd = open(rx ? "/dev/" KRX_DEVICE : "/dev/" KTX_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		TEST_FAIL("/dev/%s: %s", rx ? KRX_DEVICE : KTX_DEVICE, strerror(errno));
	return fd;
}

/* 0 or -errno */
static inline int a_call(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

static inline struct ktx_setup a_ktx(const char *ifname, uint32_t n)
{
	return (struct ktx_setup){ .size = sizeof(struct ktx_setup),
				   .abi = KTRXER_ABI,
				   .ifindex = if_nametoindex(ifname),
				   .n_desc = n,
				   .slot_bytes = 256 };
}

static inline struct krx_setup a_krx(const char *ifname, uint32_t n_units)
{
	return (struct krx_setup){ .size = sizeof(struct krx_setup),
				   .abi = KTRXER_ABI,
				   .ifindex = if_nametoindex(ifname),
				   .n_units = n_units };
}

/* A sender without the checks of sender.h: everything may fail. */
struct a_tx {
	int fd;
	struct ktx_setup s;
	uint8_t *map;
	struct ktx_shared *shared;
	struct ktx_desc *desc;
	struct ktx_done_abi *done;
	uint32_t submit;
	uint32_t read;
};

static inline void a_tx_close(struct a_tx *t)
{
	if (t->map)
		munmap(t->map, t->s.map_bytes);
	if (t->fd >= 0)
		close(t->fd);
	*t = (struct a_tx){ .fd = -1 };
}

static inline int a_tx_open(struct a_tx *t, const struct ktx_setup *s)
{
	int r;

	*t = (struct a_tx){ .fd = open("/dev/" KTX_DEVICE, O_RDWR | O_CLOEXEC), .s = *s };
	if (t->fd < 0)
		return -errno;
	r = a_call(t->fd, KTX_IOC_SETUP, &t->s);
	if (!r) {
		t->map = mmap(NULL, t->s.map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
		if (t->map == MAP_FAILED) {
			t->map = NULL;
			r = -errno;
		}
	}
	if (r) {
		a_tx_close(t);
		return r;
	}
	t->shared = (void *)t->map;
	t->desc = (void *)(t->map + t->s.desc_off);
	t->done = (void *)(t->map + t->s.done_off);
	return 0;
}

/* A broadcast frame of 60 bytes, to be changed before it is submitted. */
static inline struct ktx_desc *a_tx_put(struct a_tx *t, uint32_t slot, uint64_t launch_ns)
{
	static const uint8_t header[14] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5 };
	struct ktx_desc *d = &t->desc[t->submit++ & (t->s.n_desc - 1)];

	memcpy(t->map + t->s.slot_off + (size_t)slot * t->s.slot_bytes, header, sizeof(header));
	*d = (struct ktx_desc){ .id = slot, .launch_ns = launch_ns, .slot = slot, .len = 60 };
	return d;
}

/* How many were taken; *error says why not all. */
static inline uint32_t a_tx_submit(struct a_tx *t, uint32_t flags, int *error)
{
	struct ktx_submit s = { .size = sizeof(s), .flags = flags };

	__atomic_store_n(&t->shared->submit, t->submit, __ATOMIC_RELEASE);
	*error = a_call(t->fd, KTX_IOC_SUBMIT, &s);
	if (!*error)
		*error = s.error;
	return s.n;
}

/* The next completion. */
static inline int a_tx_wait(struct a_tx *t, struct ktx_done_abi *d)
{
	uint64_t end = a_now() + A_PATIENCE;

	while (__atomic_load_n(&t->shared->done, __ATOMIC_ACQUIRE) == t->read) {
		if (a_now() > end)
			return -ETIMEDOUT;
		poll(&(struct pollfd){ .fd = t->fd, .events = POLLIN }, 1, 100);
	}
	*d = t->done[t->read++ & (t->s.n_desc - 1)];
	__atomic_store_n(&t->shared->done_read, t->read, __ATOMIC_RELEASE);
	return 0;
}

static inline struct ktx_stats_abi a_tx_stats(struct a_tx *t)
{
	struct ktx_stats_abi st = { .size = sizeof(st) };

	CHECK_EQ(a_call(t->fd, KTX_IOC_STATS, &st), 0);
	CHECK_EQ(st.submitted, st.sent + st.failed + st.late + st.cancelled + st.pending);
	CHECK_EQ(st.early, 0);
	return st;
}

static inline uint32_t a_contexts(void)
{
	struct ktrxer_abi_info i = { .size = sizeof(i) };
	int fd = a_open(false);

	CHECK_EQ(a_call(fd, KTRXER_IOC_INFO, &i), 0);
	close(fd);
	return i.contexts;
}

/*
 * What the kernel remembers to have given to the module: slab objects by their allocation traces (slub_debug=U on the kernel's command
 * line), and areas of vmalloc. Not what not_ours took, nor free address space, which vmalloc keeps in nodes
 * once made for us.
 */
static inline bool a_is_ours(const char *line)
{
	return strstr(line, "[ktrxer]") && !strstr(line, "_register+") && !strstr(line, "load+") &&
	       !strstr(line, "init_module+");
}

static inline unsigned int a_live_in(const char *path, bool blocks, bool say)
{
	FILE *f = fopen(path, "r");
	unsigned int n = 0, count = 1;
	char line[512], who[512] = "";
	bool not_ours = false;

	while (f && fgets(line, sizeof(line), f)) {
		/* A block: how many and by whom, then the stack. */
		unsigned int next;

		if (!blocks || sscanf(line, " %u %*s", &next) == 1) {
			if (who[0] && !not_ours) {
				n += count;
				if (say)
					printf("# held: %s: %u %s", path, count, who);
			}
			count = blocks ? next : 1;
			who[0] = 0;
			not_ours = false;
		}
		/* Nor what the memory cgroup notes beside a slab, for as long as there is the slab. */
		if ((strstr(line, "[ktrxer]") && !a_is_ours(line)) || strstr(line, "memcg") || strstr(line, "obj_ext"))
			not_ours = true;
		else if (!who[0] && a_is_ours(line))
			strcpy(who, line);
	}
	if (who[0] && !not_ours)
		n += count;
	if (f)
		fclose(f);
	return n;
}

static inline unsigned int a_live(bool say)
{
	DIR *d = opendir("/sys/kernel/debug/slab");
	unsigned int n = a_live_in("/proc/vmallocinfo", false, say), traced = 0;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[400];

		/* Nor a page table's lock (PREEMPT_RT): the table is the process's own, and may stay when what we mapped is gone. */
		if (!strcmp(e->d_name, "vmap_area") || !strcmp(e->d_name, "page->ptl"))
			continue;
		snprintf(path, sizeof(path), "/sys/kernel/debug/slab/%s/alloc_traces", e->d_name);
		traced += !access(path, R_OK);
		n += a_live_in(path, true, say);
	}
	if (d)
		closedir(d);
	if (!traced)
		TEST_FAIL("no allocation traces: the kernel has been started without slub_debug=U, or debugfs is not "
			  "there");
	return n;
}

/* Fails if anything of the module's is left when everything has been closed. */
static inline void a_nothing_left(void)
{
	uint64_t end = a_now() + A_PATIENCE;
	unsigned int n;

	let_code_go();
	while (a_contexts() && a_now() < end)
		usleep(10000);
	CHECK_EQ(a_contexts(), 0);
	/* What RCU frees is freed when a batch of it is full, or old: within seconds. */
	while (a_live(false) && a_now() < end)
		usleep(100000);
	n = a_live(true);
	if (n)
		TEST_FAIL("%u of the module's allocations are still there", n);
}

/*
 * A child that lives by fn and ends by itself, by a signal, or by a check that fails: of that the parent's
 * case knows nothing, but the output does.
 */
static inline pid_t a_child(void (*fn)(void))
{
	uint64_t seed = a_random();
	pid_t child = fork();

	CHECK(child >= 0);
	if (child)
		return child;
	a_state = seed | 1;
	if (!setjmp(kt_test_exit))
		fn();
	else
		printf("# a child: %s\n", kt_test_note);
	fflush(stdout);
	_exit(2);
}

/*
 * Every child is to end when it is killed; a process that cannot is what these tests look for. Its status, as
 * of waitpid.
 */
static inline int a_reap(pid_t child)
{
	uint64_t end = a_now() + A_PATIENCE;
	int status;

	while (waitpid(child, &status, WNOHANG) != child) {
		if (a_now() > end)
			TEST_FAIL("process %d does not end", (int)child);
		usleep(1000);
	}
	return status;
}

#endif

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * How the module conducts itself: who may use it, whose memory it takes and how much, and what becomes of contexts whose
 * interface goes, moves, or ends with its namespace, of the module while it is in use, and of CPUs
 * that go. Runs in a guest that has loaded the module, as root.
 */
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "abuse.h"

/* What a child answers, 0 to 200, or 255 when it died. */
static int in_child(int (*what)(void))
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(what());
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* SETUP of both on an interface: errno of ktx, that of krx must be the same. */
static int both(const char *ifname, uint32_t n)
{
	struct ktx_setup s = a_ktx(ifname, n);
	struct krx_setup r = a_krx(ifname, 256);
	int t = open("/dev/" KTX_DEVICE, O_RDWR), k = open("/dev/" KRX_DEVICE, O_RDWR), e, f;

	if (t < 0 || k < 0)
		return 100;
	e = -a_call(t, KTX_IOC_SETUP, &s);
	f = -a_call(k, KRX_IOC_SETUP, &r);
	close(t);
	close(k);
	return e == f ? e : 101;
}

static void drop_capability(unsigned int cap)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d))
		_exit(110);
	d[cap / 32].effective &= ~(1u << cap % 32);
	d[cap / 32].permitted &= ~(1u << cap % 32);
	d[cap / 32].inheritable = 0;
	if (syscall(SYS_capset, &h, d))
		_exit(111);
}

static int without_raw(void)
{
	drop_capability(CAP_NET_RAW);
	return both("lo", 16);
}

static int without_admin(void)
{
	drop_capability(CAP_NET_ADMIN);
	return both("lo", 16);
}

static void become_nobody(void)
{
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		_exit(112);
}

static int nobody(void)
{
	become_nobody();
	return both("lo", 16);
}

/* root of his own user namespace, in the network namespace of others */
static int own_user_only(void)
{
	become_nobody();
	if (unshare(CLONE_NEWUSER))
		return 113;
	return both("lo", 16);
}

/* and in a network namespace of his own, whose interfaces are his */
static int own_user_and_net(void)
{
	struct ktrxer_abi_info i = { .size = sizeof(i) };
	struct ktx_setup s;
	struct a_tx t;

	become_nobody();
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return 113;
	s = a_ktx("lo", 16);
	if (both("lo", 16) || a_tx_open(&t, &s))
		return 114;
	if (a_call(t.fd, KTRXER_IOC_INFO, &i))
		return 115;
	return i.contexts == 1 ? 0 : 116;
}

static void t_capabilities(void)
{
	struct ktx_setup s = a_ktx("lo", 16);
	struct a_tx t;

	CHECK_EQ(both("lo", 16), 0);
	CHECK_EQ(in_child(without_raw), EPERM);
	CHECK_EQ(in_child(without_admin), EPERM);
	CHECK_EQ(in_child(nobody), EPERM);
	/* One context of the host's, which INFO there must not tell of. */
	CHECK_EQ(a_tx_open(&t, &s), 0);
	CHECK_EQ(in_child(own_user_only), EPERM);
	CHECK_EQ(in_child(own_user_and_net), 0);
	CHECK_EQ(a_contexts(), 1);
	a_tx_close(&t);
	a_nothing_left();
}

/* --- Memory ------------------------------------------------------------------------------- */

static int locked_limit(void)
{
	struct rlimit l = { 1 << 20, 1 << 20 };
	struct ktx_setup small = a_ktx("lo", 256), large = a_ktx("lo", 4096);
	struct krx_setup r = a_krx("lo", 1 << 17); /* 2 MiB */
	struct a_tx a, b[64];
	int fd = open("/dev/" KRX_DEVICE, O_RDWR), n;

	drop_capability(CAP_IPC_LOCK);
	if (setrlimit(RLIMIT_MEMLOCK, &l))
		return 117;
	if (a_tx_open(&a, &large) != -ENOBUFS || a_call(fd, KRX_IOC_SETUP, &r) != -ENOBUFS)
		return 118;
	/* A user's contexts add up, and what is closed is free again. */
	for (int round = 0; round < 3; round++) {
		uint64_t held = 0;
		int e = 0;

		for (n = 0; n < 64 && !(e = a_tx_open(&b[n], &small)); n++)
			held += b[n].s.held_bytes;
		if (e != -ENOBUFS || !n || held > 1 << 20)
			return 119;
		for (int i = 0; i < n; i++)
			a_tx_close(&b[i]);
	}
	r.n_units = 256;
	return -a_call(fd, KRX_IOC_SETUP, &r);
}

static void t_locked_memory(void)
{
	CHECK_EQ(in_child(locked_limit), 0);
	a_nothing_left();
}

#define GROUP "/tmp/kt-cgroup/kt"

static void write_to(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f))
		TEST_FAIL("%s: %s", path, strerror(errno));
}

static uint64_t group_bytes(void)
{
	FILE *f = fopen(GROUP "/memory.current", "r");
	unsigned long long n = 0;

	CHECK(f && fscanf(f, "%llu", &n) == 1);
	fclose(f);
	return n;
}

static int in_group(void)
{
	struct ktx_setup small = a_ktx("lo", 4096), large = a_ktx("lo", 65536);
	struct krx_setup r = a_krx("lo", 1 << 23); /* 128 MiB */
	int fd = open("/dev/" KRX_DEVICE, O_RDWR);
	uint64_t before;
	struct a_tx t;

	small.slot_bytes = large.slot_bytes = 2048;
	write_to(GROUP "/cgroup.procs", "0");
	before = group_bytes();
	if (a_tx_open(&t, &small))
		return 120;
	if (group_bytes() < before + (8 << 20))
		return 121;
	a_tx_close(&t);
	/* More than the group may have is an error, and nobody is killed for it. */
	if (a_tx_open(&t, &large) != -ENOMEM || a_call(fd, KRX_IOC_SETUP, &r) != -ENOMEM)
		return 122;
	return group_bytes() < before + (4 << 20) ? -a_tx_open(&t, &small) : 123;
}

static void t_memory_cgroup(void)
{
	mkdir("/tmp/kt-cgroup", 0755);
	if (mount("none", "/tmp/kt-cgroup", "cgroup2", 0, NULL))
		TEST_FAIL("cgroup2: %s", strerror(errno));
	write_to("/tmp/kt-cgroup/cgroup.subtree_control", "+memory");
	CHECK(!mkdir(GROUP, 0755));
	write_to(GROUP "/memory.max", "50331648");
	CHECK_EQ(in_child(in_group), 0);
	/* All of it was the group's, and none of it is left there. */
	WAIT_FOR(group_bytes() <= 4 << 20);
	CHECK(!rmdir(GROUP));
	CHECK(!umount("/tmp/kt-cgroup"));
	a_nothing_left();
}

/* --- Interfaces that go -------------------------------------------------------------------- */

static struct a_tx tx = { .fd = -1 };
static int rx_fd = -1;

/* Both devices at work on NEAR: probes for the next 3 s, and a set of rules. */
static void at_work(void)
{
	a_tx_close(&tx);
	if (rx_fd >= 0)
		close(rx_fd);
	rx_fd = -1;

	struct ktx_setup s;
	struct krx_setup r;
	struct krx_rule_abi rule = { .id = 1, .op = 1 };
	struct krx_rules q = { .size = sizeof(q), .n = 1, .rules = (uintptr_t)&rule, .rule_bytes = sizeof(rule) };
	uint64_t start;
	int e;

	hold_code();
	netns_pair(false);
	s = a_ktx(NEAR, 1024);
	r = a_krx(NEAR, 4096);
	r.flags = KRX_SETUP_PREROUTING | KRX_SETUP_PROMISC | KRX_SETUP_OUTGOING;
	CHECK_EQ(a_tx_open(&tx, &s), 0);
	rx_fd = a_open(true);
	CHECK_EQ(a_call(rx_fd, KRX_IOC_SETUP, &r), 0);
	CHECK_EQ(a_call(rx_fd, KRX_IOC_RULES, &q), 0);
	start = a_now();
	for (uint32_t i = 0; i < 1024; i++)
		a_tx_put(&tx, i, start + i * 3000000ull);
	CHECK_EQ(a_tx_submit(&tx, 0, &e), 1024);
}

/* The interface has gone: each probe has ended, both say so, and a new one is not made of the old. */
static void is_gone(void)
{
	struct krx_stats_abi st = { .size = sizeof(st) };
	struct pollfd p[2] = { { .fd = tx.fd }, { .fd = rx_fd } };
	struct ktx_done_abi d;
	uint32_t failed = 0;
	int e;

	for (uint32_t i = 0; i < 1024; i++) {
		CHECK_EQ(a_tx_wait(&tx, &d), 0);
		CHECK(d.status == KTX_DONE_SENT ||
		      (d.status == KTX_DONE_FAILED && (d.reason == ENODEV || d.reason == ENETDOWN)));
		failed += d.status == KTX_DONE_FAILED;
	}
	printf("# %u of 1024 probes failed when it went\n", failed);
	CHECK_EQ(a_tx_stats(&tx).pending, 0);
	/* A namespace ends behind the back of whoever has left it, and one of the devices is told first. */
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(poll(&p[i], 1, SOON), 1);
		CHECK(p[i].revents & POLLHUP);
	}
	CHECK_EQ(a_call(rx_fd, KRX_IOC_STATS, &st), 0);
	CHECK(st.flags & KRX_STATS_GONE);
	a_tx_put(&tx, 0, 0);
	CHECK_EQ(a_tx_submit(&tx, 0, &e), 1);
	CHECK_EQ(a_tx_wait(&tx, &d), 0);
	CHECK(d.status == KTX_DONE_FAILED && d.reason == ENODEV);
	a_tx_close(&tx);
	close(rx_fd);
	rx_fd = -1;
	netns_drop();
	a_nothing_left();
}

static void t_interface_removed(void)
{
	at_work();
	netns_run("ip link del " NEAR);
	is_gone();
}

static void t_interface_moved(void)
{
	at_work();
	netns_run("ip link set " NEAR " netns /proc/%d/fd/%d", (int)getpid(), netns_far);
	is_gone();
}

/* Nothing of ours holds a namespace: it ends with its last process and descriptor, contexts or not. */
static void t_namespace_ended(void)
{
	static int home = -1;

	if (home < 0)
		home = open("/proc/1/ns/net", O_RDONLY | O_CLOEXEC);
	at_work();
	netns_enter(home);
	netns_drop();
	is_gone();
	netns_enter(home);
}

static void t_unload_refused(void)
{
	int fd = a_open(false);
	uint8_t *map;
	struct ktx_setup s = a_ktx("lo", 16);
	struct a_tx t;

	CHECK(syscall(SYS_delete_module, "ktrxer", O_NONBLOCK) && errno == EWOULDBLOCK);
	close(fd);
	/* A mapping alone holds it as well, even a part of one. */
	CHECK_EQ(a_tx_open(&t, &s), 0);
	close(t.fd);
	map = t.map + A_PAGE;
	CHECK(!munmap(t.map, A_PAGE) && !munmap(map + A_PAGE, t.s.map_bytes - 2 * A_PAGE));
	CHECK(syscall(SYS_delete_module, "ktrxer", O_NONBLOCK) && errno == EWOULDBLOCK);
	map[0] = 1;
	CHECK(!munmap(map, A_PAGE));
	a_nothing_left();
}

/* A child has the same context, and it lives as long as either. */
static void t_fork(void)
{
	struct ktx_done_abi d;
	int status, e;
	pid_t child;

	at_work();
	child = fork();
	if (!child) {
		for (uint32_t i = 0; i < 1024; i++) {
			if (a_tx_wait(&tx, &d) || d.status != KTX_DONE_SENT)
				_exit(1);
		}
		a_tx_put(&tx, 0, 0);
		_exit(a_tx_submit(&tx, KTX_SUBMIT_HERE, &e) != 1);
	}
	a_tx_close(&tx);
	waitpid(child, &status, 0);
	CHECK_EQ(status, 0);
	close(rx_fd);
	rx_fd = -1;
	a_nothing_left();
}

/* The CPU on which launches were asked for goes in the middle of them, and comes back: every probe is sent. */
static void cpu_gone(uint32_t flags)
{
	struct ktx_setup s;
	struct ktx_done_abi d;
	int e;

	netns_pair(true);
	s = a_ktx(NEAR, 1024);
	s.flags = KTX_SETUP_CPU | flags;
	s.cpu = 1;
	CHECK_EQ(a_tx_open(&tx, &s), 0);
	for (uint32_t i = 0; i < 1024; i++)
		a_tx_put(&tx, i, a_now() + 1000000 + i * 1000000ull);
	CHECK_EQ(a_tx_submit(&tx, 0, &e), 1024);
	write_to("/sys/devices/system/cpu/cpu1/online", "0");
	usleep(100000);
	write_to("/sys/devices/system/cpu/cpu1/online", "1");
	for (uint32_t i = 0; i < 1024; i++) {
		CHECK_EQ(a_tx_wait(&tx, &d), 0);
		CHECK_EQ(d.status, KTX_DONE_SENT);
	}
	CHECK_EQ(a_tx_stats(&tx).early, 0);
	a_tx_close(&tx);
	a_nothing_left();
}

static void t_cpu_gone(void)
{
	cpu_gone(0);
}

static void t_cpu_gone_fifo(void)
{
	cpu_gone(KTX_SETUP_FIFO);
}

TEST_MAIN(T(t_capabilities), T(t_locked_memory), T(t_memory_cgroup), T(t_interface_removed), T(t_interface_moved),
	  T(t_namespace_ended), T(t_unload_refused), T(t_fork), T(t_cpu_gone), T(t_cpu_gone_fifo))

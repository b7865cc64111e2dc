/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Making and unmaking the suite's world: namespaces, a veth pair or a wire, ports on both ends. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "suite.h"

struct suite_world W = { .holder = -1, .ns_a = -1, .ns_b = -1, .host_fd = -1 };

static struct krx_listener *extra[8];

static void enter(int ns)
{
	if (W.engine.real && setns(ns, CLONE_NEWNET))
		TEST_FAIL("setns: %s", strerror(errno));
}

void suite_ip(char end, const char *fmt, ...)
{
	char cmd[256] = "ip ";
	va_list ap;
	int ret;

	va_start(ap, fmt);
	vsnprintf(cmd + 3, sizeof(cmd) - 3, fmt, ap);
	va_end(ap);
	enter(end == 'a' ? W.ns_a : W.ns_b);
	ret = system(cmd);
	enter(W.ns_a);
	if (ret)
		TEST_FAIL("%s: exit status %d", cmd, WEXITSTATUS(ret));
}

/* Namespace B belongs to a child that does nothing but wait to be killed with us. */
static int hold_namespace(void)
{
	int ready[2], pid;
	char c;

	if (pipe2(ready, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1) {
		close(ready[0]);
		return -1;
	}
	close(ready[0]);
	return pid;
}

static void quiet(void)
{
	int fd = open("/proc/sys/net/ipv6/conf/all/disable_ipv6", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (write(fd, "1", 1) != 1)
			TEST_FAIL("IPv6 could not be switched off in the test's namespace");
		close(fd);
	}
	fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "1", 1) != 1)
			TEST_FAIL("IPv6 could not be switched off in the test's namespace");
		close(fd);
	}
}

static void read_mac(const char *ifname, uint8_t mac[6])
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (ioctl(fd, SIOCGIFHWADDR, &ifr))
		TEST_FAIL("%s has no address: %s", ifname, strerror(errno));
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	close(fd);
}

static void open_host(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(SUITE_PORT) };
	int bytes = 8 << 20;

	W.host_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (W.host_fd < 0 || bind(W.host_fd, (struct sockaddr *)&sin, sizeof(sin)))
		TEST_FAIL("no UDP socket in namespace B: %s", strerror(errno));
	setsockopt(W.host_fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
}

static void make_namespace(void)
{
	char path[64];

	W.holder = hold_namespace();
	if (W.holder < 0)
		TEST_FAIL("no second namespace: %s", strerror(errno));
	snprintf(path, sizeof(path), "/proc/%d/ns/net", W.holder);
	W.ns_b = open(path, O_RDONLY | O_CLOEXEC);
	enter(W.ns_b);
	quiet();
	enter(W.ns_a);
}

/* One ip for each end: to start one costs more than its work. */
static void set_up_link(void)
{
	char link[64] = "";

	if (!suite_cards())
		snprintf(link, sizeof(link), "link add kta type veth peer name ktb netns %d", W.holder);
	suite_ip('a',
		 "-batch - << 'END'\n"
		 "%s\n"
		 "addr replace 10.77.0.1/24 dev kta\n"
		 "END",
		 link);
	suite_ip('b', "-batch - << 'END'\n"
		      "addr replace 10.77.0.2/24 dev ktb\n"
		      "link set lo up\n"
		      "link set ktb up\n"
		      "END");
	suite_ip('a', "link set kta up");
}

static void make_link(void)
{
	if (W.ns_a < 0) {
		if (suite_cards())
			suite_cards_find();
		if (unshare(CLONE_NEWNET))
			TEST_FAIL("unshare: %s", strerror(errno));
		W.ns_a = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		quiet();
	}
	if (W.holder < 0)
		make_namespace();
	if (suite_cards())
		suite_cards_plug();
	set_up_link();
	if (suite_cards())
		suite_cards_settle();
	read_mac("kta", W.mac_a);
	enter(W.ns_b);
	read_mac("ktb", W.mac_b);
	open_host();
	enter(W.ns_a);
}

static void open_port(struct ktrxer **port, const char *ifname)
{
	KTRXER_OPTS(ktrxer_opts, o);
	struct ktrxer_err err = { 0 };
	int ret;

	o.engine = W.engine.name;
	o.xdp_mode = W.engine.xdp_mode;
	o.promiscuous = true;
	ret = ktrxer_open(port, ifname, &o, &err);
	if (ret)
		TEST_FAIL("%s: %s", ifname, err.text);
}

uint32_t suite_side(struct suite_side *side)
{
	KTRXER_OPTS(krx_listen_opts, lossless);
	struct krx_rule all = { .op = KRX_CAPTURE };
	struct ktrxer_info info;
	uint32_t ifindex;

	memset(side, 0, sizeof(*side));
	if (W.engine.real) {
		suite_ip('a', "link add ktd type veth peer name ktc netns %d", W.holder);
		suite_ip('b', "link set ktc up");
		suite_ip('a', "link set ktd up");
		enter(W.ns_b);
		ifindex = if_nametoindex("ktc");
		enter(W.ns_a);
		open_port(&side->port, "ktd");
	} else {
		open_port(&side->near, "conform.side/0");
		open_port(&side->port, "conform.side/1");
		ktrxer_get_info(side->near, &info);
		ifindex = info.ifindex;
	}
	lossless.lossless = true;
	if (krx_open(&side->rx, side->port, NULL, NULL) || krx_listen(&side->listener, side->rx, &lossless, NULL) ||
	    krx_rules_replace(side->rx, &all, 1))
		TEST_FAIL("the second link cannot be watched");
	return ifindex;
}

void suite_side_down(struct suite_side *side)
{
	krx_unlisten(side->listener);
	krx_close(side->rx);
	ktrxer_close(side->port);
	ktrxer_close(side->near);
	memset(side, 0, sizeof(*side));
	if (W.engine.real)
		suite_ip('a', "link del ktd");
}

void suite_world(void)
{
	struct ktrxer_info info;

	suite_down();
	W.number++;
	W.cut = false;
	if (W.engine.real) {
		if (geteuid())
			SKIP("needs root: it makes network namespaces");
		make_link();
		open_port(&W.a.port, "kta");
		enter(W.ns_b);
		open_port(&W.b.port, "ktb");
		enter(W.ns_a);
	} else {
		open_port(&W.a.port, "conform/0");
		open_port(&W.b.port, "conform/1");
		ktrxer_get_info(W.a.port, &info);
		memcpy(W.mac_a, info.mac, 6);
		ktrxer_get_info(W.b.port, &info);
		memcpy(W.mac_b, info.mac, 6);
	}
}

void suite_tx(const struct ktx_opts *opts)
{
	KTRXER_OPTS(ktx_opts, o);
	struct ktrxer_err err = { 0 };
	int ret;

	if (opts)
		o = *opts;
	ret = ktx_open(&W.a.tx, W.a.port, &o, &err);
	/* What a kernel of before has not got, and the engine says so. */
	if (ret == -EMSGSIZE && strstr(err.text, "need AF_XDP multi-buffer (Linux 6.6)"))
		SKIP("%s", err.text);
	if (ret)
		TEST_FAIL("ktx_open: %s", err.text);
}

/* As with senders above. */
void suite_rx_possible(int ret, const struct ktrxer_err *err)
{
	if (ret == -EOPNOTSUPP && strstr(err->text, "needs a kernel that compiles BPF programs with callbacks"))
		SKIP("%s", err->text);
}

void suite_rx(const struct krx_opts *opts, bool lossless)
{
	struct ktrxer_err err = { 0 };
	int ret;

	enter(W.ns_b);
	ret = krx_open(&W.b.rx, W.b.port, opts, &err);
	enter(W.ns_a);
	suite_rx_possible(ret, &err);
	if (ret)
		TEST_FAIL("krx_open: %s", err.text);
	W.b.listener = suite_listen(lossless);
}

struct krx_listener *suite_listen(bool lossless)
{
	KTRXER_OPTS(krx_listen_opts, o);
	struct ktrxer_err err = { 0 };
	unsigned int i = 0;

	o.lossless = lossless;
	while (i < 8 && extra[i])
		i++;
	if (i == 8 || krx_listen(&extra[i], W.b.rx, &o, &err))
		TEST_FAIL("krx_listen: %s", err.text);
	return extra[i];
}

static void close_end(struct suite_end *end)
{
	ktx_close(end->tx);
	krx_close(end->rx);
	ktrxer_close(end->port);
	memset(end, 0, sizeof(*end));
}

static pthread_t thread;
static bool threaded;

void suite_thread(void *(*run)(void *))
{
	CHECK_EQ(pthread_create(&thread, NULL, run, NULL), 0);
	threaded = true;
}

void suite_thread_end(void)
{
	if (threaded)
		pthread_join(thread, NULL);
	threaded = false;
}

void suite_down(void)
{
	suite_thread_end();
	for (unsigned int i = 0; i < 8; i++) {
		krx_unlisten(extra[i]);
		extra[i] = NULL;
	}
	close_end(&W.a);
	close_end(&W.b);
	if (W.host_fd >= 0)
		close(W.host_fd);
	W.host_fd = -1;
	if (suite_cards() && !W.cut)
		return;
	if (W.ns_b >= 0) {
		close(W.ns_b);
		kill(W.holder, SIGKILL);
		waitpid(W.holder, NULL, 0);
		if (!suite_cards() && system("ip link del kta 2>/dev/null")) {
			/* gone already, with namespace B or by the case itself */
		}
	}
	W.ns_b = W.holder = -1;
	suite_cards_unplug();
}

void suite_set_up(char end, bool up)
{
	if (W.engine.real)
		suite_ip(end, "link set kt%c %s", end, up ? "up" : "down");
	else
		kt_mem_set_up(end == 'a' ? "conform/0" : "conform/1", up);
}

uint64_t suite_patience(void)
{
	return (suite_cards() ? 20 : 3) * SUITE_SECOND;
}

void suite_set_mtu(uint32_t mtu)
{
	if (W.engine.real) {
		suite_ip('a', "link set kta mtu %u", mtu);
		suite_ip('b', "link set ktb mtu %u", mtu);
		if (suite_cards())
			suite_cards_settle(); /* many a driver starts its card anew */
	} else {
		kt_mem_set_mtu("conform/0", mtu);
		kt_mem_set_mtu("conform/1", mtu);
	}
}

bool suite_cut(void)
{
	W.cut = true;
	if (suite_cards())
		return suite_cards_cut();
	if (W.engine.real)
		return !system("ip link del kta");
	kt_mem_remove("conform/0");
	return true;
}

void suite_remove(void)
{
	if (!suite_cut())
		TEST_FAIL("the link cannot be removed");
}

bool suite_can(enum krx_op op)
{
	struct ktrxer_info info;

	ktrxer_get_info(W.b.port, &info);
	return info.ops & (1u << op);
}

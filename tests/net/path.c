/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Paths: what the kernel would write into the link header, for every kind of target. */
#include <linux/capability.h>
#include <sys/syscall.h>

#include "lib/iface.h"
#include "lib/neigh_ahead.h"
#include "lib/netlink.h"
#include "lib/path.h"
#include "lib/pathblock.h"
#include "lib/port.h"
#include "tests/netns.h"

#define SECOND KT_NSEC_PER_SEC

static struct ktrxer *port;
static struct ktrxer_path path;
static struct ktrxer_err err;
static u8 far_mac[6];

static void set_up(const char *ifname)
{
	struct ktrxer_opts opts = { .sz = sizeof(opts), .engine = "packet" };
	struct kt_iface f;

	ktrxer_close(port);
	port = NULL;
	netns_pair(false);
	netns_enter(netns_far);
	if (kt_iface_read(&f, FAR, &err))
		TEST_FAIL("%s", err.text);
	memcpy(far_mac, f.mac, 6);
	netns_enter(netns_near);
	if (ktrxer_open(&port, ifname, &opts, &err))
		TEST_FAIL("%s", err.text);
}

static int find(const char *text, u64 timeout_ns)
{
	struct ktrxer_addr target;

	memset(&err, 0, sizeof(err));
	memset(&path, 0xaa, sizeof(path));
	CHECK_EQ(ktrxer_addr_parse(&target, text), 0);
	return ktrxer_path_find(port, &target, &path, timeout_ns, &err);
}

static void check(const char *text, const char *src, const char *next_hop, const u8 mac[6], u32 mtu)
{
	char buf[46];

	if (find(text, 3 * SECOND))
		TEST_FAIL("%s: %s", text, err.text);
	CHECK_STR(ktrxer_addr_format(&path.src, buf), src);
	CHECK_STR(ktrxer_addr_format(&path.next_hop, buf), next_hop);
	CHECK_MEM(path.dst_mac, mac, 6);
	CHECK_EQ(path.mtu, mtu);
}

static void t_on_link(void)
{
	set_up(NEAR);
	for (int i = 0; i < 2; i++) { /* unknown, then known */
		check("10.77.0.2", "10.77.0.1", "10.77.0.2", far_mac, 1500);
		check("fd77::2", "fd77::1", "fd77::2", far_mac, 1500);
	}
	CHECK_MEM(path.src_mac, port->mac, 6);
}

static void t_gateway(void)
{
	set_up(NEAR);
	netns_run("ip route add 192.0.2.0/24 via 10.77.0.2");
	netns_run("ip route add 198.51.100.0/24 via 10.77.0.2 mtu 1280");
	netns_run("ip route add 203.0.113.0/24 via inet6 fd77::2 src 10.77.0.1");
	netns_run("ip -6 route add 2001:db8::/32 via fd77::2");
	check("192.0.2.7", "10.77.0.1", "10.77.0.2", far_mac, 1500);
	check("198.51.100.7", "10.77.0.1", "10.77.0.2", far_mac, 1280);
	check("203.0.113.7", "10.77.0.1", "fd77::2", far_mac, 1500);
	check("2001:db8::7", "fd77::1", "fd77::2", far_mac, 1500);
}

static void t_no_resolution_needed(void)
{
	static const u8 all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, m4[6] = { 0x01, 0x00, 0x5e, 0x01, 0x02, 0x03 };
	static const u8 m6[6] = { 0x33, 0x33, 0, 0, 0, 1 }, fixed[6] = { 2, 0, 0, 0, 0, 9 };

	set_up(NEAR);
	netns_run("ip route add 224.0.0.0/4 dev " NEAR);
	netns_run("ip neigh add 10.77.0.9 lladdr 02:00:00:00:00:09 nud permanent dev " NEAR);
	check("10.77.0.255", "10.77.0.1", "10.77.0.255", all, 1500);
	check("239.129.2.3", "10.77.0.1", "239.129.2.3", m4, 1500);
	CHECK_EQ(find("ff02::1", SECOND), 0);
	CHECK_MEM(path.dst_mac, m6, 6);
	check("10.77.0.9", "10.77.0.1", "10.77.0.9", fixed, 1500);
}

static void t_loopback(void)
{
	static const u8 zero[6];

	set_up("lo");
	CHECK_EQ(find("127.0.0.1", SECOND), -ENETUNREACH);
	CHECK(strstr(err.text, "lo.accept_local=1 net.ipv4.conf.lo.route_localnet=1"));
	CHECK_EQ(find("10.77.0.1", SECOND), -ENETUNREACH);
	CHECK(strstr(err.text, "lo.accept_local=1") && !strstr(err.text, "localnet"));
	netns_run("sysctl -qw net.ipv4.conf.lo.accept_local=1 net.ipv4.conf.all.route_localnet=1");
	check("127.0.0.1", "127.0.0.1", "127.0.0.1", zero, 65536);
	check("::1", "::1", "::1", zero, 65536);
	check("10.77.0.1", "10.77.0.1", "10.77.0.1", zero, 65536);
	CHECK_EQ(find("10.77.0.2", SECOND), -ENETUNREACH);
}

static void t_unreachable(void)
{
	u64 start;

	set_up(NEAR);
	CHECK_EQ(find("192.0.2.1", SECOND), -ENETUNREACH);
	CHECK(strstr(err.text, "192.0.2.1") && strstr(err.text, NEAR));
	CHECK_EQ(find("2001:db8::1", SECOND), -ENETUNREACH);
	CHECK_EQ(find("10.77.0.1", SECOND), -ENETUNREACH);
	CHECK(strstr(err.text, "lo"));
	start = kt_clock_now(KTRXER_CLOCK_MONOTONIC);
	CHECK_EQ(find("10.77.0.99", SECOND / 5), -EHOSTUNREACH);
	CHECK(strstr(err.text, "10.77.0.99"));
	CHECK_EQ(find("fd77::99", SECOND / 5), -EHOSTUNREACH);
	CHECK(kt_clock_now(KTRXER_CLOCK_MONOTONIC) - start < 5 * SECOND);
	netns_run("ip route add blackhole 192.0.2.0/24");
	netns_run("ip -6 route add prohibit 2001:db8::/32");
	CHECK_EQ(find("192.0.2.1", SECOND), -ENETUNREACH);
	CHECK_EQ(find("2001:db8::1", SECOND), -ENETUNREACH);
	netns_run("ip link set " NEAR " down");
	CHECK_EQ(find("10.77.0.2", SECOND), -ENETDOWN);
}

static void t_no_address(void)
{
	set_up(NEAR);
	netns_run("ip addr flush dev " NEAR);
	netns_run("ip route add 192.0.2.0/24 dev " NEAR);
	CHECK_EQ(find("192.0.2.1", SECOND), -ENETUNREACH);
	CHECK(strstr(err.text, "address"));
}

/* With CAP_NET_RAW alone the kernel may not be made to resolve: we ask on the wire. */
static int find_without_admin(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { { 0 } };
	u8 mac4[6];

	d[0].effective = d[0].permitted = 1u << CAP_NET_RAW;
	if (syscall(SYS_capset, &h, d))
		return 1;
	if (find("10.77.0.2", 3 * SECOND))
		return 2;
	memcpy(mac4, path.dst_mac, 6);
	if (find("fd77::2", 3 * SECOND))
		return 3;
	if (memcmp(mac4, far_mac, 6) || memcmp(path.dst_mac, far_mac, 6))
		return 4;
	if (find("10.77.0.99", SECOND / 5) != -EHOSTUNREACH || find("fd77::99", SECOND / 5) != -EHOSTUNREACH)
		return 5;
	return 0;
}

static void t_without_net_admin(void)
{
	int status;
	pid_t pid;

	set_up(NEAR);
	pid = fork();
	if (!pid)
		_exit(find_without_admin());
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

/* The port stays where it was opened, wherever its user goes. */
static void t_from_elsewhere(void)
{
	struct ktrxer_info info;

	set_up(NEAR);
	netns_enter(netns_far);
	check("10.77.0.2", "10.77.0.1", "10.77.0.2", far_mac, 1500);
	CHECK_EQ(ktrxer_get_info(port, &info), 0);
	CHECK(info.up && info.carrier);
}

/* Neighbours asked for ahead: room for so many, taken in their order, and asked nowhere else than on their link. */
static void t_ahead(void)
{
	struct ktrxer_addr src = { .version = 4, .bytes = { 10, 77, 0, 1 } },
			   far = { .version = 4, .bytes = { 10, 77, 0, 2 } };
	struct ktrxer_addr silent = { .version = 4, .bytes = { 10, 77 } };
	u64 now = kt_clock_now(KTRXER_CLOCK_MONOTONIC), end = now + 10 * SECOND;
	struct kt_neigh_ahead *a;
	u8 mac[6];
	int ret;

	set_up(NEAR);
	netns_enter(netns_far);
	CHECK_EQ(kt_neigh_ahead_new(&a, port->ifindex, NEAR, port->mac), -EXDEV);
	netns_enter(netns_near);
	CHECK_EQ(kt_neigh_ahead_new(&a, port->ifindex, NEAR, port->mac), 0);
	CHECK(kt_neigh_ahead_empty(a));
	for (u32 i = 0; i < KT_NEIGH_AHEAD_MAX; i++) {
		silent.bytes[2] = (u8)(1 + (i >> 8));
		silent.bytes[3] = (u8)i;
		CHECK(kt_neigh_ahead_ready(a, now));
		kt_neigh_ahead_put(a, &src, i == 1 ? &far : &silent, now);
		now += KT_NSEC_PER_SEC / 10000; /* time goes as fast as we say */
	}
	CHECK(!kt_neigh_ahead_ready(a, now));
	CHECK_EQ(kt_neigh_ahead_take(a, &src, now, mac), -ENOENT);
	while ((ret = kt_neigh_ahead_take(a, &far, now, mac)) == -EAGAIN &&
	       kt_clock_now(KTRXER_CLOCK_MONOTONIC) < end) {
		kt_neigh_ahead_wait(a, kt_clock_now(KTRXER_CLOCK_MONOTONIC) + SECOND / 100);
		CHECK_EQ(kt_neigh_ahead_turn(a, 0), 0);
	}
	CHECK_EQ(ret, 0);
	CHECK_MEM(mac, far_mac, 6);
	CHECK_EQ(kt_neigh_ahead_take(a, &far, now, mac), -ENOENT);
	/* Two were taken, so there is room for two; the last one is silent when it has been asked three times. */
	CHECK(kt_neigh_ahead_ready(a, now));
	CHECK_EQ(kt_neigh_ahead_take(a, &silent, now, mac), -EAGAIN);
	for (int i = 0; i < 20000 && ret != -EHOSTUNREACH; i++, now += KT_NSEC_PER_SEC / 10000) {
		CHECK_EQ(kt_neigh_ahead_turn(a, now), 0);
		ret = kt_neigh_ahead_take(a, &silent, now, mac);
	}
	CHECK_EQ(ret, -EHOSTUNREACH);
	CHECK(kt_neigh_ahead_empty(a));
	kt_neigh_ahead_free(a);
}

/* Thousands of targets behind one gateway: one neighbour. A hop that failed is not waited for again. */
static void t_cache(void)
{
	struct ktrxer_addr target = { .version = 4, .bytes = { 192, 0, 2, 0 } };
	struct kt_path_cache *c;
	u64 start;

	set_up(NEAR);
	netns_run("ip route add 192.0.0.0/16 via 10.77.0.2");
	CHECK_EQ(kt_path_cache_new(&c, port, &err), 0);
	for (u32 i = 0; i < 5000; i++) {
		target.bytes[2] = (u8)(i >> 8);
		target.bytes[3] = (u8)i;
		CHECK_EQ(kt_path_cache_find(c, &target, &path, SECOND, &err), 0);
		CHECK_MEM(path.dst_mac, far_mac, 6);
	}
	netns_run("test $(ip -4 neigh show | wc -l) = 1");
	memcpy(target.bytes, (const u8[]){ 10, 77, 0, 99 }, 4);
	CHECK_EQ(kt_path_cache_find(c, &target, &path, SECOND / 5, &err), -EHOSTUNREACH);
	start = kt_clock_now(KTRXER_CLOCK_MONOTONIC);
	for (u32 i = 0; i < 50; i++)
		CHECK_EQ(kt_path_cache_find(c, &target, &path, SECOND / 5, &err), -EHOSTUNREACH);
	CHECK(kt_clock_now(KTRXER_CLOCK_MONOTONIC) - start < 5 * SECOND);
	kt_path_cache_free(c);
}

static struct kt_pathblock *known(struct kt_pathblocks *b, const char *text, bool learn)
{
	struct ktrxer_addr target;
	struct kt_route r;

	CHECK_EQ(ktrxer_addr_parse(&target, text), 0);
	if (learn && !kt_route_find(port->ctl_fd, port->ifindex, &target, &r))
		kt_pathblocks_learn(b, &target, &r);
	return kt_pathblocks_find(b, &target);
}

static void news(struct kt_pathblocks *b)
{
	const struct timespec t = { .tv_nsec = 20000000 }; /* it listens once a tick, 10 ms at most */

	nanosleep(&t, NULL);
	kt_pathblocks_hear(b);
}

/* A block ends where any route or rule begins, and all blocks when one changes. */
static void t_blocks(void)
{
	struct ktrxer_addr target = { .version = 4, .bytes = { 192 } };
	struct kt_pathblocks *b;
	struct kt_route r;
	u32 n = 0;

	set_up(NEAR);
	netns_run("ip route add 192.0.0.0/16 via 10.77.0.2");
	netns_run("ip route add 192.0.128.0/24 via 10.77.0.3");
	netns_run("ip route add blackhole 192.0.5.0/24");
	netns_run("ip route add 192.0.7.0/24 via 10.77.0.4 table 100");
	netns_run("ip rule add to 192.0.7.128/25 lookup 100");
	netns_run("ip -6 route add 2001:db8::/32 via fd77::2");
	b = kt_pathblocks_new(port->ctl_fd, port->ifindex);
	CHECK(b);
	news(b);
	CHECK(known(b, "192.0.66.1", true) && known(b, "192.0.127.255", false));
	CHECK(!known(b, "192.0.128.0", false) && !known(b, "192.0.7.1", false) && !known(b, "192.0.5.1", true));
	CHECK(!known(b, "10.77.0.2", true) && !known(b, "10.77.0.9", true));
	CHECK(known(b, "2001:db8::1", true) && known(b, "2001:db8:ffff::1", false) && !known(b, "2001:db9::1", false));
	for (u32 i = 0; i < 65536; i += 5) {
		const struct kt_pathblock *k;

		kt_put_be16(target.bytes + 2, (u16)i);
		k = kt_pathblocks_find(b, &target);
		n += k != NULL;
		if (kt_route_find(port->ctl_fd, port->ifindex, &target, &r))
			CHECK(!k);
		else if (k)
			CHECK_MEM(&k->route, &r, sizeof(r));
		else
			kt_pathblocks_learn(b, &target, &r);
	}
	CHECK(n > 12900);
	netns_run("ip route add 192.0.66.0/24 via 10.77.0.5");
	news(b);
	CHECK(!known(b, "192.0.66.1", false) && known(b, "192.0.66.1", true) && !known(b, "192.0.67.1", false));
	netns_run("ip rule add to 192.0.66.0/24 lookup 100 pref 5");
	news(b);
	CHECK(!known(b, "192.0.66.1", false) && known(b, "192.0.66.1", true));
	netns_run("ip route add 192.1.0.0/16 nexthop via 10.77.0.2 nexthop via 10.77.0.3");
	news(b);
	CHECK(!known(b, "192.0.66.1", true) && !known(b, "192.1.0.1", true));
	kt_pathblocks_free(b);
}

/* Running, a scan follows its gateway to another neighbour and another MAC address. */
static void t_changes(void)
{
	static const u8 one[6] = { 2, 0, 0, 0, 0, 1 }, two[6] = { 2, 0, 0, 0, 0, 2 };
	const struct timespec t = { .tv_nsec = 2000000 };
	struct ktrxer_addr target = { .version = 4, .bytes = { 192, 0, 2, 0 } };
	struct kt_path_cache *c;

	set_up(NEAR);
	netns_run("ip route add 192.0.0.0/16 via 10.77.0.2");
	CHECK_EQ(kt_path_cache_new(&c, port, &err), 0);
	for (u32 i = 0; i < 400; i++) {
		target.bytes[3] = (u8)i;
		if (i == 100)
			netns_run("ip neigh replace 10.77.0.2 lladdr 02:00:00:00:00:01 nud permanent dev " NEAR);
		if (i == 200) {
			netns_run("ip neigh add 10.77.0.3 lladdr 02:00:00:00:00:02 nud permanent dev " NEAR);
			netns_run("ip route replace 192.0.0.0/16 via 10.77.0.3");
		}
		if (i == 300)
			netns_run("ip route del 192.0.0.0/16");
		if (i % 100 == 0)
			nanosleep(&t, NULL);
		CHECK_EQ(kt_path_cache_find(c, &target, &path, SECOND, &err), i < 300 ? 0 : -ENETUNREACH);
		if (i < 300)
			CHECK_MEM(path.dst_mac, i < 100 ? far_mac : i < 200 ? one : two, 6);
	}
	kt_path_cache_free(c);
}

static void t_in_memory(void)
{
	struct ktrxer *w0, *w1;

	CHECK_EQ(ktrxer_open(&w0, "mem:w/0", NULL, &err), 0);
	CHECK_EQ(ktrxer_open(&w1, "mem:w/1", NULL, &err), 0);
	ktrxer_close(port);
	port = w0;
	check("198.51.100.1", "192.0.2.1", "198.51.100.1", w1->mac, 1500);
	port = w1;
	check("2001:db8::9", "2001:db8::2", "2001:db8::9", w0->mac, 1500);
	port = NULL;
	ktrxer_close(w0);
	ktrxer_close(w1);
}

static void t_facts(void)
{
	struct kt_iface f;

	netns_pair(true);
	CHECK_EQ(kt_iface_read(&f, NEAR, &err), 0);
	CHECK_STR(f.name, NEAR);
	CHECK_STR(f.kind, "veth");
	CHECK_STR(f.driver, "veth");
	CHECK(f.up && f.carrier && !f.loopback && !f.xdp);
	CHECK_EQ(f.mtu, 1500);
	CHECK(f.offloads_known && (f.offloads & KT_OFFLOAD_TSO) && (f.offloads & KT_OFFLOAD_TX_CSUM));
	CHECK(!(f.offloads & KT_OFFLOAD_LRO));
	CHECK_EQ(f.stamps, KT_STAMP_TX_SOFTWARE | KT_STAMP_RX_SOFTWARE);
	CHECK_EQ(f.phc, -1);
	CHECK(f.rx_queues >= 1 && f.tx_queues >= 1);
	netns_run("ethtool -K " NEAR " tso off gro on >/dev/null");
	netns_run("ip link set " NEAR " down mtu 9000");
	CHECK_EQ(kt_iface_read(&f, NEAR, &err), 0);
	CHECK(!f.up && !f.carrier && !(f.offloads & KT_OFFLOAD_TSO) && (f.offloads & KT_OFFLOAD_GRO));
	CHECK_EQ(f.mtu, 9000);
	CHECK_EQ(kt_iface_read(&f, "lo", &err), 0);
	CHECK(f.loopback);
	CHECK_STR(f.kind, "loopback");
	CHECK_EQ(kt_iface_read(&f, "none", &err), -ENODEV);
}

TEST_MAIN(T(t_on_link), T(t_gateway), T(t_no_resolution_needed), T(t_loopback), T(t_unreachable), T(t_no_address),
	  T(t_without_net_admin), T(t_from_elsewhere), T(t_ahead), T(t_cache), T(t_blocks), T(t_changes),
	  T(t_in_memory), T(t_facts))

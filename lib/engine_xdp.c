/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Engine `xdp`: sends by AF_XDP, floods by frames that a BPF program builds in
 * the kernel, receives by an XDP program that judges frames before the host's
 * stack sees them. Everything it makes in the kernel hangs on descriptors, so
 * a killed process leaves nothing behind. This file opens, probes and
 * explains; the three jobs have files of their own.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../core/ring.h"
#include "engine_xdp.h"

/* --- Namespaces and the interface ------------------------------------------------ */

static int open_netns(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%ld/ns/net", (long)syscall(SYS_gettid));
	return open(path, O_RDONLY | O_CLOEXEC);
}

int kt_xdp_enter(struct ktrxer *port)
{
	struct stat here, there;
	int fd = open_netns();

	if (fd < 0)
		return -1;
	if (fstat(fd, &here) || fstat(kt_xdp(port)->netns_fd, &there) || here.st_ino == there.st_ino ||
	    setns(kt_xdp(port)->netns_fd, CLONE_NEWNET)) {
		close(fd);
		return -1;
	}
	return fd;
}

int kt_xdp_enter_new(int *netns_fd)
{
	int back = open_netns();

	if (back < 0)
		return -1;
	if (unshare(CLONE_NEWNET)) {
		close(back);
		return -1;
	}
	*netns_fd = open_netns();
	return back;
}

void kt_xdp_leave(int back_fd)
{
	if (back_fd < 0)
		return;
	if (setns(back_fd, CLONE_NEWNET)) {
		/* It was entered a moment ago by the same right; nothing better can be done. */
	}
	close(back_fd);
}

/*
 * IFF_RUNNING follows the carrier some time later; the driver's own word, where there is one, is true at once.
 */
static bool has_carrier(int fd, const struct ifreq *flags)
{
	struct ethtool_value link = { .cmd = ETHTOOL_GLINK };
	struct ifreq ifr = *flags;
	bool running = flags->ifr_flags & IFF_RUNNING;

	ifr.ifr_data = (char *)&link;
	return ioctl(fd, SIOCETHTOOL, &ifr) ? running : link.data != 0;
}

int kt_xdp_iface(struct ktrxer *port, bool need_carrier, u32 *mtu)
{
	int fd = kt_xdp(port)->control_fd;
	struct ifreq ifr = { .ifr_ifindex = (int)port->ifindex };

	/* By index: the name may have been changed. */
	if (ioctl(fd, SIOCGIFNAME, &ifr) || ioctl(fd, SIOCGIFFLAGS, &ifr))
		return -ENODEV;
	if (!(ifr.ifr_flags & IFF_UP) || (need_carrier && !has_carrier(fd, &ifr)))
		return -ENETDOWN;
	if (mtu && ioctl(fd, SIOCGIFMTU, &ifr))
		return -ENODEV;
	if (mtu)
		*mtu = (u32)ifr.ifr_mtu;
	return 0;
}

/* --- BPF objects and what libbpf says --------------------------------------------- */

/* The compiled programs, as files in the library. */
#define EMBED(name, file) \
	__asm__(".pushsection .rodata\n" \
		".balign 16\n" \
		".globl kt_xdp_obj_" #name "\n" \
		".hidden kt_xdp_obj_" #name "\n" \
		".globl kt_xdp_obj_" #name "_end\n" \
		".hidden kt_xdp_obj_" #name "_end\n" \
		"kt_xdp_obj_" #name ":\n" \
		".incbin \"" KT_BPF_DIR "/" file "\"\n" \
		"kt_xdp_obj_" #name "_end:\n" \
		".byte 0\n" \
		".popsection\n"); \
	extern const u8 kt_xdp_obj_##name[], kt_xdp_obj_##name##_end[]

EMBED(rx, "xdp_rx.bpf.o");
EMBED(rx_unwatched, "xdp_rx_unwatched.bpf.o");
EMBED(flood, "xdp_flood.bpf.o");
EMBED(callback, "xdp_callback.bpf.o");

static _Thread_local struct {
	libbpf_print_fn_t before;
	char text[160];
} bpf_log;

__attribute__((format(printf, 2, 0))) static int keep_log(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[sizeof(bpf_log.text)];

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = 0;
	/* The first complaint names the cause; those behind it only follow. */
	if (!bpf_log.text[0])
		snprintf(bpf_log.text, sizeof(bpf_log.text), "%s", line);
	return 0;
}

void kt_xdp_log_begin(void)
{
	bpf_log.text[0] = 0;
	bpf_log.before = libbpf_set_print(keep_log);
}

void kt_xdp_log_end(void)
{
	libbpf_set_print(bpf_log.before);
}

struct bpf_object *kt_xdp_bpf_open(enum kt_xdp_obj which)
{
	static const struct {
		const u8 *begin, *end;
		const char *name;
	} objs[] = {
		[KT_XDP_OBJ_RX] = { kt_xdp_obj_rx, kt_xdp_obj_rx_end, "ktrxer_rx" },
		[KT_XDP_OBJ_RX_UNWATCHED] = { kt_xdp_obj_rx_unwatched, kt_xdp_obj_rx_unwatched_end, "ktrxer_rx" },
		[KT_XDP_OBJ_FLOOD] = { kt_xdp_obj_flood, kt_xdp_obj_flood_end, "ktrxer_flood" },
		[KT_XDP_OBJ_CALLBACK] = { kt_xdp_obj_callback, kt_xdp_obj_callback_end, "ktrxer_callback" },
	};
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = objs[which].name);

	return bpf_object__open_mem(objs[which].begin, (size_t)(objs[which].end - objs[which].begin), &opts);
}

/* The map of a section of variables; libbpf names them after object and section. */
static struct bpf_map *section_map(struct bpf_object *obj, const char *section)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
	{
		if (strstr(bpf_map__name(map), section))
			return map;
	}
	return NULL;
}

int kt_xdp_set_consts(struct bpf_object *obj, const void *consts, size_t bytes)
{
	struct bpf_map *map = section_map(obj, ".rodata");

	return map ? bpf_map__set_initial_value(map, consts, bytes) : -ENOENT;
}

void *kt_xdp_map_variables(struct bpf_object *obj, size_t bytes)
{
	struct bpf_map *map = section_map(obj, ".bss");
	void *p = map ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0) : MAP_FAILED;

	return p == MAP_FAILED ? NULL : p;
}

int kt_xdp_bpf_err(struct ktrxer_err *err, int code, const char *what)
{
	if (code == EPERM || code == EACCES)
		return kt_err(err, EPERM,
			      "%s needs CAP_BPF and CAP_NET_ADMIN (CAP_PERFMON too, for some kernels): run as root",
			      what);
	return kt_err(err, code, "%s: %s%s%.120s", what, strerror(code), bpf_log.text[0] ? ": " : "", bpf_log.text);
}

/* --- Probing ------------------------------------------------------------------------ */

bool kt_xdp_has_helper(u32 helper)
{
	static u32 known[3]; /* 0: not asked, 1: no, 2: yes; a race asks twice and finds the same */
	u32 *k = &known[helper == BPF_FUNC_ktime_get_tai_ns ? 0 : helper == BPF_FUNC_loop ? 1 : 2];
	u32 answer = kt_load_acquire(k);

	if (!answer) {
		kt_xdp_log_begin();
		answer = libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, (enum bpf_func_id)helper, NULL) == 1 ? 2 : 1;
		kt_xdp_log_end();
		kt_store_release(k, answer);
	}
	return answer == 2;
}

/* A receiver that is refused tells of the lack; who may load nothing at all is told of that before. */
static bool has_callbacks(void)
{
	static u32 known; /* as above */
	u32 answer = kt_load_acquire(&known);
	struct bpf_object *obj;

	if (!answer) {
		kt_xdp_log_begin();
		obj = kt_xdp_bpf_open(KT_XDP_OBJ_CALLBACK);
		answer = obj && !bpf_object__load(obj) ? 2 : 1;
		bpf_object__close(obj);
		kt_xdp_log_end();
		kt_store_release(&known, answer);
	}
	return answer == 2;
}

int kt_xdp_probe_rx(struct ktrxer_err *err)
{
	if (!kt_xdp_has_helper(BPF_FUNC_xdp_load_bytes))
		return kt_err(err, EOPNOTSUPP,
			      "receiving by XDP needs Linux 5.18, CAP_BPF and CAP_NET_ADMIN; engine packet does not");
	if (!has_callbacks())
		return kt_err(err, EOPNOTSUPP,
			      "receiving by XDP needs a kernel that compiles BPF programs with callbacks (64 bits, "
			      "net.core.bpf_jit_enable); engine packet does not");
	return 0;
}

static int probe_socket(struct ktrxer_err *err)
{
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 && errno == EPERM)
		return kt_err(err, EPERM, "sending needs CAP_NET_RAW: run as root or grant it with setcap");
	if (fd < 0)
		return kt_err(err, EOPNOTSUPP, "this kernel has no AF_XDP sockets (CONFIG_XDP_SOCKETS): %s",
			      strerror(errno));
	close(fd);
	return 0;
}

static int probe_bpf(struct ktrxer_err *err)
{
	int ret;

	kt_xdp_log_begin();
	ret = libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_XDP, NULL);
	if (ret == -EPERM)
		ret = kt_err(err, EPERM,
			     "receiving needs CAP_BPF and CAP_NET_ADMIN: run as root or grant them with setcap");
	else if (ret != 1)
		ret = kt_err(err, EOPNOTSUPP, "this kernel cannot load XDP programs (CONFIG_BPF_SYSCALL)");
	else
		ret = 0;
	kt_xdp_log_end();
	return ret;
}

static int probe_iface(const char *ifname, struct ktrxer_err *err)
{
	struct ifreq ifr = { 0 };
	u32 ifindex = if_nametoindex(ifname), prog = 0;
	int fd, ret;

	if (!ifindex)
		return kt_err(err, ENODEV, "no interface \"%s\" in this network namespace", ifname);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.15s", ifname);
	ret = fd < 0 || ioctl(fd, SIOCGIFHWADDR, &ifr) ? -errno : 0;
	if (fd >= 0)
		close(fd);
	if (!ret && ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER && ifr.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK)
		return kt_err(err, EOPNOTSUPP, "\"%s\" is not an Ethernet interface", ifname);
	kt_xdp_log_begin();
	if (!bpf_xdp_query_id((int)ifindex, 0, &prog) && prog)
		ret = kt_err(err, EBUSY, "\"%s\" already has an XDP program (id %u): ip link set dev %s xdp off",
			     ifname, prog, ifname);
	kt_xdp_log_end();
	return ret;
}

static int probe(const char *ifname, struct ktrxer_err *err)
{
	int ret = probe_socket(err);

	if (!ret)
		ret = probe_bpf(err);
	if (!ret && kt_xdp_probe_rx(err))
		ret = kt_err(
			err, EOPNOTSUPP,
			"receiving needs Linux 5.18 and 64 bits, with BPF programs compiled; only sending works here: "
			"engine xdp can be asked for by name");
	if (!ret && ifname)
		ret = probe_iface(ifname, err);
	return ret;
}

/* --- Opening ------------------------------------------------------------------------ */

/* Membership lasts as long as the socket. */
static int be_promiscuous(struct ktrxer *port, struct ktrxer_err *err)
{
	struct packet_mreq m = { .mr_ifindex = (int)port->ifindex, .mr_type = PACKET_MR_PROMISC };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m))) {
		int code = errno;

		if (fd >= 0)
			close(fd);
		return kt_err(err, code, "\"%s\" cannot be made promiscuous: %s", port->ifname, strerror(code));
	}
	kt_xdp(port)->promiscuous_fd = fd;
	return 0;
}

static void close_port(struct ktrxer *port)
{
	struct kt_xdp *x = kt_xdp(port);

	if (x->promiscuous_fd >= 0)
		close(x->promiscuous_fd);
	close(x->control_fd);
	close(x->netns_fd);
}

static int open_port(struct ktrxer *port, struct ktrxer_err *err)
{
	struct kt_xdp *x = kt_xdp(port);
	struct ifreq ifr = { 0 };
	int ret;

	x->tx.fd = x->promiscuous_fd = -1;
	ret = probe_socket(err);
	if (ret)
		return ret;
	x->netns_fd = open_netns();
	if (x->netns_fd < 0)
		return kt_err(err, errno, "the network namespace cannot be opened in /proc: %s", strerror(errno));
	x->control_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (x->control_fd < 0) {
		ret = kt_err(err, errno, "socket: %s", strerror(errno));
		close(x->netns_fd);
		return ret;
	}
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.15s", port->ifname);
	if (!port->ifindex || ioctl(x->control_fd, SIOCGIFHWADDR, &ifr))
		ret = kt_err(err, ENODEV, "no interface \"%s\" in this network namespace", port->ifname);
	else if (ifr.ifr_hwaddr.sa_family != ARPHRD_ETHER && ifr.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK)
		ret = kt_err(err, EOPNOTSUPP, "\"%s\" is not an Ethernet interface", port->ifname);
	if (!ret && port->opts.promiscuous)
		ret = be_promiscuous(port, err);
	if (ret) {
		close_port(port);
		return ret;
	}
	if (port->clock == KTRXER_CLOCK_TAI && !kt_xdp_has_helper(BPF_FUNC_ktime_get_tai_ns))
		port->rx_clock = KTRXER_CLOCK_MONOTONIC; /* before Linux 6.1 */
	snprintf(port->mode, sizeof(port->mode), "copy");
	return 0;
}

const struct kt_engine kt_engine_xdp = {
	.name = "xdp",
	.needs = "Linux 5.18 (sending alone: 5.10), CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF; floods also CAP_PERFMON "
		 "and BTF",
	.priv_bytes = sizeof(struct kt_xdp),
	.ops = 1u << KT_OP_FORWARD | 1u << KT_OP_CAPTURE | 1u << KT_OP_DROP | 1u << KT_OP_CAPTURE_DROP,
	.probe = probe,
	.open = open_port,
	.close = close_port,
	.tx_open = kt_xdp_tx_open,
	.tx_close = kt_xdp_tx_close,
	.tx_launch = kt_xdp_tx_launch,
	.tx_ready = kt_xdp_tx_ready,
	.tx_flood = kt_xdp_flood,
	.tx_flood_max = kt_xdp_flood_max,
	.tx_flood_open = kt_xdp_flood_open,
	.rx_open = kt_xdp_rx_open,
	.rx_close = kt_xdp_rx_close,
	.rx_peek = kt_xdp_rx_peek,
	.rx_release = kt_xdp_rx_release,
	.rx_wait = kt_xdp_rx_wait,
	.rx_fd = kt_xdp_rx_fd,
	.rx_rules = kt_xdp_rx_rules,
	.rx_rule_counts = kt_xdp_rx_rule_counts,
	.rx_counts = kt_xdp_rx_counts,
};

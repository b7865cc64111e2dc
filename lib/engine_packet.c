/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Engine packet: AF_PACKET on any Linux since 3.14. Sends past the queueing
 * discipline, each frame with the driver's own answer; receives from a ring
 * shared with the kernel. It sees copies: the host gets every frame too, so
 * rules can capture and forward, not drop. Frames sent this way do not pass
 * the packet taps of this host: neither tcpdump nor krx_opts.outgoing show them.
 */
#include <net/if.h>
#include <linux/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine_packet.h"
#include "iface.h"
#include "netlink.h"

/* Why a packet socket cannot be had, and how to get it. */
static int socket_err(struct ktrxer_err *err, int code)
{
	switch (code) {
	case EPERM:
	case EACCES:
		return kt_err(err, EPERM,
			      "packet sockets need CAP_NET_RAW in this network namespace: run as root, or \"setcap "
			      "cap_net_raw,cap_net_admin+ep\" on the program, or docker run --cap-add NET_RAW");
	case EAFNOSUPPORT:
		return kt_err(err, EOPNOTSUPP, "this kernel has no packet sockets (CONFIG_PACKET)");
	default:
		return kt_err(err, code, "cannot open a packet socket: %s", strerror(code));
	}
}

/* A socket that sends past the queueing discipline and, with protocol 0, receives nothing. */
static int bypass_socket(struct ktrxer_err *err)
{
	const int one = 1;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return socket_err(err, errno);
	if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one))) {
		close(fd);
		return kt_err(err, EOPNOTSUPP, "this kernel has no PACKET_QDISC_BYPASS (needs Linux 3.14)");
	}
	return fd;
}

static int check_type(int fd, const char *ifname, struct ktrxer_err *err)
{
	struct ifreq ifr = { 0 };

	strncpy(ifr.ifr_name, ifname, sizeof(ifr.ifr_name) - 1);
	if (ioctl(fd, SIOCGIFHWADDR, &ifr))
		return kt_err(err, ENODEV, "no interface \"%s\" in this network namespace", ifname);
	return kt_iface_ethernet(ifr.ifr_hwaddr.sa_family, ifname, err);
}

static int packet_probe(const char *ifname, struct ktrxer_err *err)
{
	int fd = bypass_socket(err), ret = 0;

	if (fd < 0)
		return fd;
	if (ifname)
		ret = check_type(fd, ifname, err);
	close(fd);
	return ret;
}

static int packet_open(struct ktrxer *port, struct ktrxer_err *err)
{
	struct kt_packet_priv *p = port->priv;
	struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_ifindex = (int)port->ifindex };
	struct packet_mreq promisc = { .mr_ifindex = (int)port->ifindex, .mr_type = PACKET_MR_PROMISC };
	int ret;

	p->tx_fd = bypass_socket(err);
	if (p->tx_fd < 0)
		return p->tx_fd;
	ret = check_type(p->tx_fd, port->ifname, err);
	if (ret)
		goto err_tx;
	if (bind(p->tx_fd, (struct sockaddr *)&addr, sizeof(addr))) {
		ret = kt_err(err, ENODEV, "interface \"%s\" went away", port->ifname);
		goto err_tx;
	}
	if (port->opts.promiscuous &&
	    setsockopt(p->tx_fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promisc, sizeof(promisc))) {
		ret = kt_err(err, errno, "\"%s\" cannot be made promiscuous: %s", port->ifname, strerror(errno));
		goto err_tx;
	}
	p->rx_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (p->rx_fd < 0) {
		ret = socket_err(err, errno);
		goto err_tx;
	}
	p->tx_nl = kt_netlink_open();
	p->rx_nl = kt_netlink_open();
	if (p->tx_nl < 0 || p->rx_nl < 0) {
		ret = p->tx_nl < 0 ? p->tx_nl : p->rx_nl;
		kt_err(err, -ret, "cannot open a routing netlink socket: %s", strerror(-ret));
		goto err_nl;
	}
	pthread_mutex_init(&p->rx.counts_lock, NULL);
	memcpy(port->mode, "af_packet", sizeof("af_packet"));
	port->rx_clock = KTRXER_CLOCK_REALTIME;
	return 0;

err_nl:
	if (p->tx_nl >= 0)
		close(p->tx_nl);
	if (p->rx_nl >= 0)
		close(p->rx_nl);
	close(p->rx_fd);
err_tx:
	close(p->tx_fd);
	return ret;
}

static void packet_close(struct ktrxer *port)
{
	struct kt_packet_priv *p = port->priv;

	pthread_mutex_destroy(&p->rx.counts_lock);
	close(p->tx_nl);
	close(p->rx_nl);
	close(p->rx_fd);
	close(p->tx_fd);
}

const struct kt_engine kt_engine_packet = {
	.name = "packet",
	.needs = "CAP_NET_RAW",
	.priv_bytes = sizeof(struct kt_packet_priv),
	.ops = 1u << KT_OP_FORWARD | 1u << KT_OP_CAPTURE,
	.probe = packet_probe,
	.open = packet_open,
	.close = packet_close,
	.tx_open = kt_packet_tx_open,
	.tx_close = kt_packet_tx_close,
	.tx_launch = kt_packet_tx_launch,
	.tx_flood = kt_packet_tx_flood,
	.tx_flood_max = kt_packet_tx_flood_max,
	.tx_flood_open = kt_packet_tx_flood_open,
	.rx_open = kt_packet_rx_open,
	.rx_close = kt_packet_rx_close,
	.rx_peek = kt_packet_rx_peek,
	.rx_release = kt_packet_rx_release,
	.rx_wait = kt_packet_rx_wait,
	.rx_fd = kt_packet_rx_fd,
	.rx_counts = kt_packet_rx_counts,
};

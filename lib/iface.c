/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Interface facts: the link by routing netlink, the driver's part by ethtool ioctls. What is not known stays zero. */
#include <net/if.h>
#include <linux/ethtool.h>
#include <linux/if_arp.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine.h"
#include "iface.h"
#include "netlink.h"

/* ethtool's ioctls work on any socket; the netlink one is of the right namespace. */
static int ethtool(int fd, const char *name, void *cmd)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ifr.ifr_data = cmd;
	return ioctl(fd, SIOCETHTOOL, &ifr) ? -errno : 0;
}

static bool ethtool_value(int fd, const char *name, u32 cmd, u32 *value)
{
	struct ethtool_value v = { .cmd = cmd };

	if (ethtool(fd, name, &v))
		return false;
	*value = v.data;
	return true;
}

static void read_offloads(int fd, struct kt_iface *f)
{
	static const struct {
		u32 cmd;
		u32 mask;
		u32 offload;
	} asks[] = {
		{ ETHTOOL_GGRO, 1, KT_OFFLOAD_GRO },
		{ ETHTOOL_GGSO, 1, KT_OFFLOAD_GSO },
		{ ETHTOOL_GTSO, 1, KT_OFFLOAD_TSO },
		{ ETHTOOL_GRXCSUM, 1, KT_OFFLOAD_RX_CSUM },
		{ ETHTOOL_GTXCSUM, 1, KT_OFFLOAD_TX_CSUM },
		{ ETHTOOL_GFLAGS, ETH_FLAG_LRO, KT_OFFLOAD_LRO },
		{ ETHTOOL_GFLAGS, ETH_FLAG_RXVLAN, KT_OFFLOAD_RX_VLAN },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(asks); i++) {
		u32 value;

		if (!ethtool_value(fd, f->name, asks[i].cmd, &value))
			continue;
		f->offloads_known = true;
		if (value & (asks[i].mask == 1 ? ~0u : asks[i].mask))
			f->offloads |= asks[i].offload;
	}
}

static void read_stamps(int fd, struct kt_iface *f)
{
	struct ethtool_ts_info t = { .cmd = ETHTOOL_GET_TS_INFO };

	f->phc = -1;
	if (ethtool(fd, f->name, &t))
		return;
	f->phc = t.phc_index;
	if (t.so_timestamping & SOF_TIMESTAMPING_TX_SOFTWARE)
		f->stamps |= KT_STAMP_TX_SOFTWARE;
	if (t.so_timestamping & SOF_TIMESTAMPING_RX_SOFTWARE)
		f->stamps |= KT_STAMP_RX_SOFTWARE;
	if (t.so_timestamping & SOF_TIMESTAMPING_TX_HARDWARE)
		f->stamps |= KT_STAMP_TX_HARDWARE;
	if (t.so_timestamping & SOF_TIMESTAMPING_RX_HARDWARE)
		f->stamps |= KT_STAMP_RX_HARDWARE;
}

static void read_driver(int fd, struct kt_iface *f)
{
	struct ethtool_drvinfo d = { .cmd = ETHTOOL_GDRVINFO };
	struct ethtool_coalesce c = { .cmd = ETHTOOL_GCOALESCE };
	struct ethtool_channels ch = { .cmd = ETHTOOL_GCHANNELS };

	if (!ethtool(fd, f->name, &d)) {
		snprintf(f->driver, sizeof(f->driver), "%.*s", (int)sizeof(f->driver) - 1, d.driver);
		snprintf(f->bus, sizeof(f->bus), "%.*s", (int)sizeof(f->bus) - 1, d.bus_info);
	}
	if (!ethtool(fd, f->name, &c)) {
		f->coalesce_known = true;
		f->rx_usecs = c.rx_coalesce_usecs;
		f->rx_frames = c.rx_max_coalesced_frames;
	}
	/* netlink tells how many queues the device has room for; the driver, how many it uses. */
	if (!ethtool(fd, f->name, &ch) && ch.combined_count + ch.rx_count + ch.tx_count) {
		f->rx_queues = ch.combined_count + ch.rx_count;
		f->tx_queues = ch.combined_count + ch.tx_count;
	}
	read_offloads(fd, f);
	read_stamps(fd, f);
}

static void read_flags(struct kt_iface *f, u32 flags)
{
	f->up = flags & IFF_UP;
	f->carrier = flags & (1u << 16); /* IFF_LOWER_UP, which libc does not name */
	f->loopback = flags & IFF_LOOPBACK;
	f->noarp = flags & IFF_NOARP;
	f->promiscuous = flags & IFF_PROMISC;
}

static void read_kind(struct kt_iface *f, const struct rtattr *info)
{
	const struct rtattr *a[IFLA_INFO_KIND + 1] = { NULL };

	if (info)
		kt_netlink_nested(info, a, IFLA_INFO_KIND);
	if (a[IFLA_INFO_KIND])
		snprintf(f->kind, sizeof(f->kind), "%.*s", (int)kt_netlink_bytes(a[IFLA_INFO_KIND]),
			 (const char *)kt_netlink_data(a[IFLA_INFO_KIND]));
	else
		snprintf(f->kind, sizeof(f->kind), "%s", f->loopback ? "loopback" : "physical");
}

static bool xdp_attached(const struct rtattr *xdp)
{
	const struct rtattr *a[IFLA_XDP_ATTACHED + 1] = { NULL };

	if (xdp)
		kt_netlink_nested(xdp, a, IFLA_XDP_ATTACHED);
	return a[IFLA_XDP_ATTACHED] && kt_netlink_bytes(a[IFLA_XDP_ATTACHED]) &&
	       *(const u8 *)kt_netlink_data(a[IFLA_XDP_ATTACHED]);
}

static int read_link(const struct nlmsghdr *h, struct kt_iface *f)
{
	const struct ifinfomsg *i = kt_netlink_body(h);
	const struct rtattr *a[IFLA_XDP + 1];
	struct rtnl_link_stats64 st;

	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*i)))
		return -EPROTO;
	kt_netlink_attrs(h, sizeof(*i), a, IFLA_XDP);
	if (!a[IFLA_IFNAME])
		return -EPROTO;
	memset(f, 0, sizeof(*f));
	snprintf(f->name, sizeof(f->name), "%.*s", (int)kt_netlink_bytes(a[IFLA_IFNAME]),
		 (const char *)kt_netlink_data(a[IFLA_IFNAME]));
	f->index = (u32)i->ifi_index;
	f->hw_type = i->ifi_type;
	read_flags(f, i->ifi_flags);
	f->mtu = kt_netlink_u32(a[IFLA_MTU]);
	f->rx_queues = kt_netlink_u32(a[IFLA_NUM_RX_QUEUES]);
	f->tx_queues = kt_netlink_u32(a[IFLA_NUM_TX_QUEUES]);
	if (a[IFLA_ADDRESS] && kt_netlink_bytes(a[IFLA_ADDRESS]) == 6)
		memcpy(f->mac, kt_netlink_data(a[IFLA_ADDRESS]), 6);
	read_kind(f, a[IFLA_LINKINFO]);
	f->xdp = xdp_attached(a[IFLA_XDP]);
	if (a[IFLA_STATS64] && kt_netlink_bytes(a[IFLA_STATS64]) >= offsetof(struct rtnl_link_stats64, multicast)) {
		memcpy(&st, kt_netlink_data(a[IFLA_STATS64]), offsetof(struct rtnl_link_stats64, multicast));
		f->rx_dropped = st.rx_dropped;
		f->tx_dropped = st.tx_dropped;
	}
	return 0;
}

struct each {
	int (*fn)(const struct kt_iface *f, void *ctx);
	void *ctx;
	int fd;
};

static int each_link(const struct nlmsghdr *h, void *ctx)
{
	const struct each *e = ctx;
	struct kt_iface f;

	if (read_link(h, &f))
		return 0;
	read_driver(e->fd, &f);
	return e->fn(&f, e->ctx);
}

int kt_iface_each(int (*fn)(const struct kt_iface *f, void *ctx), void *ctx)
{
	struct kt_netlink_req r;
	struct each e = { .fn = fn, .ctx = ctx };
	int ret;

	e.fd = kt_netlink_open();
	if (e.fd < 0)
		return e.fd;
	kt_netlink_start(&r, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	ret = kt_netlink_ask(e.fd, &r, each_link, &e);
	close(e.fd);
	return ret;
}

static int one_link(const struct nlmsghdr *h, void *ctx)
{
	return read_link(h, ctx);
}

static int ask_link(int nl, u32 index, struct kt_iface *f)
{
	struct kt_netlink_req r;
	struct ifinfomsg *i = kt_netlink_start(&r, RTM_GETLINK, 0, sizeof(*i));

	i->ifi_index = (int)index;
	return kt_netlink_ask(nl, &r, one_link, f);
}

int kt_iface_get(int nl, u32 index, struct kt_iface *f)
{
	if (ask_link(nl, index, f))
		return -ENODEV;
	read_driver(nl, f);
	return 0;
}

int kt_iface_read(struct kt_iface *f, const char *name, struct ktrxer_err *err)
{
	u32 index = if_nametoindex(name);
	int nl, ret;

	if (!index)
		return kt_err(err, ENODEV, "no interface \"%s\" in this network namespace", name);
	nl = kt_netlink_open();
	if (nl < 0)
		return kt_err(err, -nl, "cannot open a routing netlink socket: %s", strerror(-nl));
	ret = kt_iface_get(nl, index, f);
	close(nl);
	return ret ? kt_err(err, ENODEV, "interface \"%s\" went away", name) : 0;
}

int kt_iface_link(int nl, u32 index, struct kt_iface_link *link)
{
	struct kt_iface f;

	if (ask_link(nl, index, &f))
		return -ENODEV;
	link->up = f.up;
	link->carrier = f.carrier;
	link->mtu = f.mtu;
	return 0;
}

int kt_iface_ethernet(u16 hw_type, const char *name, struct ktrxer_err *err)
{
	if (hw_type == ARPHRD_ETHER || hw_type == ARPHRD_LOOPBACK)
		return 0;
	if (hw_type == ARPHRD_NONE)
		return kt_err(err, EOPNOTSUPP,
			      "\"%s\" is a tunnel that carries bare IP packets; kTRxer needs Ethernet frames (for tun: "
			      "make it a tap)",
			      name);
	return kt_err(err, EOPNOTSUPP, "\"%s\" does not carry Ethernet frames (ARP hardware type %u)", name, hw_type);
}

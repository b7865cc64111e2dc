/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Facts about network interfaces, asked of the kernel by netlink and ethtool
 * (never of sysfs, which shows the namespace it was mounted in).
 */
#ifndef KT_IFACE_H
#define KT_IFACE_H

#include "../core/env.h"
#include "../include/ktrxer.h"

/* Offloads that change what a measurement sees. */
enum kt_iface_offload {
	KT_OFFLOAD_GRO = 1 << 0, /* the host merges arriving packets */
	KT_OFFLOAD_LRO = 1 << 1, /* the NIC does */
	KT_OFFLOAD_GSO = 1 << 2, /* outgoing packets are larger than the link's until the driver */
	KT_OFFLOAD_TSO = 1 << 3, /* until the NIC */
	KT_OFFLOAD_RX_CSUM = 1 << 4,
	KT_OFFLOAD_TX_CSUM = 1 << 5, /* checksums are left to the NIC */
	KT_OFFLOAD_RX_VLAN = 1 << 6, /* tags are taken out of the frame */
};

enum kt_iface_stamp {
	KT_STAMP_TX_SOFTWARE = 1 << 0,
	KT_STAMP_RX_SOFTWARE = 1 << 1,
	KT_STAMP_TX_HARDWARE = 1 << 2,
	KT_STAMP_RX_HARDWARE = 1 << 3,
};

struct kt_iface {
	char name[16];
	u32 index;
	u32 mtu;
	u8 mac[6];
	u16 hw_type; /* ARPHRD_… */
	bool up;
	bool carrier;
	bool loopback;
	bool promiscuous; /* as flags show it; packet sockets do not count */
	bool noarp;
	bool xdp; /* an XDP program is attached */
	char kind[16]; /* "veth", "tun", "bridge" …; "loopback", "physical" */
	char driver[32]; /* "" when it has no name */
	char bus[32];
	u32 rx_queues;
	u32 tx_queues;
	bool offloads_known;
	u32 offloads; /* enum kt_iface_offload */
	u32 stamps; /* enum kt_iface_stamp */
	int phc; /* PTP clock number, -1 none */
	bool coalesce_known;
	u32 rx_usecs; /* arrivals may be announced this much later */
	u32 rx_frames;
	u64 tx_dropped; /* by the interface's own count */
	u64 rx_dropped;
};

/* One interface of the current network namespace by name. 0, or -ENODEV with err. */
int kt_iface_read(struct kt_iface *f, const char *name, struct ktrxer_err *err);

/* The same by number and in the namespace of nl, kt_netlink_open(). 0 or -ENODEV. */
int kt_iface_get(int nl, u32 index, struct kt_iface *f);

/* All of them: fn for each, stops when it returns non-zero. 0, what fn returned, or -errno. */
int kt_iface_each(int (*fn)(const struct kt_iface *f, void *ctx), void *ctx);

struct kt_iface_link {
	bool up;
	bool carrier;
	u32 mtu;
};

/* What can change while a port is open, exactly as it is now. nl: kt_netlink_open(). 0 or -ENODEV. */
int kt_iface_link(int nl, u32 index, struct kt_iface_link *link);

/* Can frames with an Ethernet header be sent and received on a device of this type? -EOPNOTSUPP with err if not. */
int kt_iface_ethernet(u16 hw_type, const char *name, struct ktrxer_err *err);

#endif

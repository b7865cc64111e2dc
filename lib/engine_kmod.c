/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Engine kmod: the kernel module ktrxer.ko (kTRxer 2014). Launch times,
 * retries and rules are kept in the kernel; this side fills and reads memory that both see.
 */
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../include/uapi/ktrxer.h"
#include "engine_kmod.h"
#include "iface.h"

int kt_kmod_device(const char *name, struct ktrxer_err *err)
{
	struct ktrxer_abi_info info = { .size = sizeof(info) };
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENXIO || errno == ENODEV))
		return kt_err(
			err, EOPNOTSUPP,
			"the kernel module is not loaded (there is no %s): Debian's package ktrxer-dkms, or \"make "
			"module module-install\", has \"modprobe ktrxer\" find it",
			path);
	if (fd < 0)
		return kt_err(err, errno, "%s cannot be opened: %s", path, strerror(errno));
	if (ioctl(fd, KTRXER_IOC_INFO, &info)) {
		close(fd);
		return kt_err(err, EOPNOTSUPP, "%s is not a device of ktrxer.ko", path);
	}
	if (info.abi != KTRXER_ABI) {
		close(fd);
		return kt_err(err, EPROTO,
			      "the module ktrxer.ko %.31s speaks version %u of the contract, this library %u",
			      info.version, info.abi, KTRXER_ABI);
	}
	return fd;
}

int kt_kmod_setup_err(struct ktrxer *port, const char *what, int code, u32 abi, struct ktrxer_err *err)
{
	switch (code) {
	case EPERM:
		return kt_err(err, EPERM,
			      "a %s of the module needs CAP_NET_RAW and CAP_NET_ADMIN over this network namespace: run "
			      "as root, or \"setcap cap_net_raw,cap_net_admin+ep\" on the program, or docker run "
			      "--cap-add NET_RAW --cap-add NET_ADMIN",
			      what);
	case EPROTO:
		return kt_err(err, EPROTO, "the module speaks version %u of the contract, this library %u", abi,
			      KTRXER_ABI);
	case ENODEV:
		return kt_err(err, ENODEV, "interface \"%s\" went away", port->ifname);
	case ENOBUFS:
		return kt_err(err, ENOBUFS, "the memory of a %s is beyond RLIMIT_MEMLOCK (ulimit -l)", what);
	default:
		return kt_err(err, code, "the module refuses a %s on \"%s\": %s", what, port->ifname, strerror(code));
	}
}

/* SETUP checks everything, so the smallest sender is the question. */
static int try_setup(u32 ifindex, const char *ifname, struct ktrxer_err *err)
{
	struct ktx_setup s = {
		.size = sizeof(s), .abi = KTRXER_ABI, .ifindex = ifindex, .n_desc = 1, .slot_bytes = 64
	};
	struct ktrxer port = { 0 };
	int fd = kt_kmod_device(KTX_DEVICE, err), ret = 0;

	if (fd < 0)
		return fd;
	snprintf(port.ifname, sizeof(port.ifname), "%s", ifname);
	if (ioctl(fd, KTX_IOC_SETUP, &s))
		ret = kt_kmod_setup_err(&port, "sender", errno, s.abi, err);
	close(fd);
	return ret;
}

static int kmod_probe(const char *ifname, struct ktrxer_err *err)
{
	struct kt_iface f;
	int fd, ret;

	fd = kt_kmod_device(KTX_DEVICE, err);
	if (fd < 0)
		return fd;
	close(fd);
	if (!ifname)
		return 0;
	ret = kt_iface_read(&f, ifname, err);
	if (!ret)
		ret = kt_iface_ethernet(f.hw_type, ifname, err);
	return ret ? ret : try_setup(f.index, ifname, err);
}

static int kmod_open(struct ktrxer *port, struct ktrxer_err *err)
{
	struct kt_kmod_priv *p = port->priv;
	struct kt_iface f;
	int ret = kt_iface_get(port->ctl_fd, port->ifindex, &f);

	p->tx.fd = p->flood.fd = p->rx_fd = p->rx_event = -1;
	if (ret)
		return kt_err(err, -ret, "interface \"%s\" went away", port->ifname);
	ret = kt_iface_ethernet(f.hw_type, port->ifname, err);
	if (!ret)
		ret = try_setup(port->ifindex, port->ifname, err);
	if (ret)
		return ret;
	snprintf(port->mode, sizeof(port->mode), "module");
	port->rx_clock = KTRXER_CLOCK_REALTIME;
	return 0;
}

static void kmod_close(struct ktrxer *port)
{
	/* Everything is the sender's or the receiver's. */
	(void)port;
}

const struct kt_engine kt_engine_kmod = {
	.name = "kmod",
	.needs = "the kernel module ktrxer.ko, CAP_NET_RAW and CAP_NET_ADMIN",
	.priv_bytes = sizeof(struct kt_kmod_priv),
	.ops = 1u << KT_OP_FORWARD | 1u << KT_OP_CAPTURE | 1u << KT_OP_DROP | 1u << KT_OP_CAPTURE_DROP,
	.probe = kmod_probe,
	.open = kmod_open,
	.close = kmod_close,
	.tx_options = kt_kmod_tx_options,
	.tx_open = kt_kmod_tx_open,
	.tx_close = kt_kmod_tx_close,
	.tx_order = kt_kmod_tx_order,
	.tx_fates = kt_kmod_tx_fates,
	.tx_recall = kt_kmod_tx_recall,
	.tx_wait = kt_kmod_tx_wait,
	.tx_counts = kt_kmod_tx_counts,
	.tx_flood = kt_kmod_tx_flood,
	.tx_flood_max = kt_kmod_tx_flood_max,
	.tx_flood_open = kt_kmod_tx_flood_open,
	.rx_open = kt_kmod_rx_open,
	.rx_close = kt_kmod_rx_close,
	.rx_ring = kt_kmod_rx_ring,
	.rx_join = kt_kmod_rx_join,
	.rx_leave = kt_kmod_rx_leave,
	.rx_peek = kt_kmod_rx_peek,
	.rx_release = kt_kmod_rx_release,
	.rx_wait = kt_kmod_rx_wait,
	.rx_fd = kt_kmod_rx_fd,
	.rx_rules = kt_kmod_rx_rules,
	.rx_rule_counts = kt_kmod_rx_rule_counts,
	.rx_counts = kt_kmod_rx_counts,
};

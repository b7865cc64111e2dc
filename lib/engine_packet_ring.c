/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Engine packet's receive ring: its shape, its memory, and the socket around it. */
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "engine_packet.h"
#include "iface.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23 /* Linux 4.20 */
#endif

#define MIN_RING_BYTES (1u << 20)
#define MAX_RING_BYTES (256u << 20)
#define DEFAULT_RING_BYTES (8u << 20)
#define MIN_BLOCK_BYTES (1u << 16)
#define MAX_SLOT_BYTES (1u << 14)
/* What the kernel puts before a frame: header, address, alignment. */
#define SLOT_OVERHEAD (TPACKET_ALIGN(TPACKET2_HDRLEN) + 32u + 2 * KT_VLAN_BYTES)

/* While the socket is not in use it must not collect packets: unbinding is not possible on all kernels. */
static int filter_all(int fd, bool on)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { .len = 1, .filter = &drop };
	int unused = 0;

	if (on)
		return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ? -errno : 0;
	return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)) ? -errno : 0;
}

/* Chooses slot and block sizes for the interface's MTU and the asked amount of memory. */
static void ring_shape(struct kt_packet_rx *rx, u32 mtu, u64 ring_bytes)
{
	u64 bytes = ring_bytes ? ring_bytes / 2 : DEFAULT_RING_BYTES;

	bytes = bytes < MIN_RING_BYTES ? MIN_RING_BYTES : bytes > MAX_RING_BYTES ? MAX_RING_BYTES : bytes;
	rx->slot_bytes = 2048;
	while (rx->slot_bytes < MAX_SLOT_BYTES && rx->slot_bytes < mtu + KT_ETH_BYTES + SLOT_OVERHEAD)
		rx->slot_bytes *= 2;
	rx->block_bytes = MIN_BLOCK_BYTES;
	rx->slots_per_block = rx->block_bytes / rx->slot_bytes;
	rx->n_slots = (u32)(bytes / rx->block_bytes) * rx->slots_per_block;
	rx->map_bytes = (size_t)rx->n_slots * rx->slot_bytes;
}

static void ring_free(struct kt_packet_priv *p)
{
	struct tpacket_req none = { 0 };

	if (p->rx.map)
		munmap(p->rx.map, p->rx.map_bytes);
	p->rx.map = NULL;
	setsockopt(p->rx_fd, SOL_PACKET, PACKET_RX_RING, &none, sizeof(none));
}

static int ring_alloc(struct kt_packet_priv *p, struct ktrxer_err *err)
{
	struct kt_packet_rx *rx = &p->rx;
	struct tpacket_req req = { .tp_block_size = rx->block_bytes,
				   .tp_block_nr = (u32)(rx->map_bytes / rx->block_bytes),
				   .tp_frame_size = rx->slot_bytes,
				   .tp_frame_nr = rx->n_slots };
	struct sysinfo machine;
	void *map;

	/* The kernel gives what it has, until it has to kill for more. */
	if (!sysinfo(&machine) && rx->map_bytes / machine.mem_unit > machine.totalram / 4)
		return kt_err(err, ENOMEM, "a receive ring of %zu KiB is more than a quarter of this machine's memory",
			      rx->map_bytes / 1024);
	if (setsockopt(p->rx_fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)))
		return kt_err(err, errno, "the kernel has no memory for a receive ring of %zu KiB: %s",
			      rx->map_bytes / 1024, strerror(errno));
	map = mmap(NULL, rx->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->rx_fd, 0);
	if (map == MAP_FAILED) {
		int code = errno;

		ring_free(p);
		return kt_err(err, code, "no address space for a receive ring of %zu KiB: %s", rx->map_bytes / 1024,
			      strerror(code));
	}
	rx->map = map;
	return 0;
}

/* Everything that must be said before the ring exists. */
static int set_options(struct kt_packet_priv *p, const struct krx_opts *opts, struct ktrxer_err *err)
{
	const int version = TPACKET_V2, one = 1, big = 4 << 20, ignore = !opts->outgoing;
	int fd = p->rx_fd;

	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)))
		return kt_err(err, EOPNOTSUPP, "this kernel has no packet ring of version 2: %s", strerror(errno));
	/* So that frames are stamped on arrival, once for all who look, and not when they are copied to us. */
	if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)))
		return kt_err(err, errno, "no arrival stamps: %s", strerror(errno));
	setsockopt(fd, SOL_PACKET, PACKET_COPY_THRESH, &one, sizeof(one));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &big, sizeof(big)); /* as much as we may */
	p->rx.ignores_outgoing = !setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &ignore, sizeof(ignore));
	p->rx.outgoing = opts->outgoing;
	return 0;
}

/* Nothing of earlier days: frames in the socket's own queue, its error, its statistics. */
static void flush(int fd)
{
	struct tpacket_stats st;
	socklen_t len = sizeof(st);
	u8 byte;

	while (recv(fd, &byte, 1, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == ENETDOWN)
		;
	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &len);
}

int kt_packet_link_state(struct kt_packet_priv *p, u32 ifindex)
{
	struct kt_iface_link link;

	if (kt_iface_link(p->rx_nl, ifindex, &link))
		return -ENODEV;
	return link.up ? 0 : -ENETDOWN;
}

int kt_packet_rx_open(struct ktrxer *port, const struct krx_opts *opts, struct ktrxer_err *err)
{
	struct kt_packet_priv *p = port->priv;
	struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_ifindex = (int)port->ifindex };
	struct kt_iface_link link;
	int ret;

	addr.sll_protocol = kt_be16(ETH_P_ALL);
	if (kt_iface_link(p->rx_nl, port->ifindex, &link))
		return kt_err(err, ENODEV, "interface \"%s\" went away", port->ifname);
	p->rx.mtu = link.mtu;
	p->rx.next = p->rx.oldest = p->rx.n_held = 0;
	p->rx.lost = 0;
	p->rx.whole_used = false;
	ring_shape(&p->rx, link.mtu, opts->ring_bytes);
	ret = filter_all(p->rx_fd, true);
	if (ret)
		return kt_err(err, -ret, "cannot set a socket filter: %s", strerror(-ret));
	ret = set_options(p, opts, err);
	if (ret)
		return ret;
	p->rx.whole = malloc(KT_PACKET_WHOLE_BYTES);
	if (!p->rx.whole)
		return kt_err(err, ENOMEM, "no memory for long frames");
	ret = ring_alloc(p, err);
	if (ret)
		goto err_whole;
	if (bind(p->rx_fd, (struct sockaddr *)&addr, sizeof(addr))) {
		ret = kt_err(err, ENODEV, "interface \"%s\" went away", port->ifname);
		goto err_ring;
	}
	flush(p->rx_fd);
	p->rx.state = kt_packet_link_state(p, port->ifindex);
	filter_all(p->rx_fd, false);
	return 0;

err_ring:
	ring_free(p);
err_whole:
	free(p->rx.whole);
	p->rx.whole = NULL;
	return ret;
}

void kt_packet_rx_close(struct ktrxer *port)
{
	struct kt_packet_priv *p = port->priv;

	filter_all(p->rx_fd, true);
	ring_free(p);
	free(p->rx.whole);
	p->rx.whole = NULL;
}

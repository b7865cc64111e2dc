/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Engine packet, sending. With PACKET_QDISC_BYPASS a send is the driver call
 * itself and returns its answer, so single launches are one send() each: the
 * errno and both clock readings belong to exactly this frame. Floods use
 * sendmmsg(), a tenth cheaper, which stops at a refused frame without saying why; then
 * the reason is found by looking at the frame and the interface.
 *
 * A frame refused for want of carrier and one for which the driver had no
 * room are both ENOBUFS to the kernel; we ask for the carrier and say ENETDOWN.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h> /* errqueue.h needs struct timespec, and only glibc's headers bring it along */
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>

#include "engine_packet.h"
#include "iface.h"
#include "port.h"

/* The frames that a fast NIC may have outstanding; the driver's ring is to be the limit, not the socket. */
#define SEND_BUFFER_BYTES (8 << 20)
/* Stamps wait in the socket's error queue, which is read this often. */
#define STAMPS_AT_ONCE 64u

#define STAMP_FLAGS (SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY)

static size_t stride_of(u32 frame_bytes)
{
	return KT_ALIGN_UP((size_t)frame_bytes, 64);
}

static int set_memory(u8 **memory, u32 n, u32 frame_bytes, struct ktrxer_err *err)
{
	free(*memory);
	*memory = calloc(n, stride_of(frame_bytes));
	return *memory ? 0 : kt_err(err, ENOMEM, "no memory for %u frames of %u bytes", n, frame_bytes);
}

/* Makes the kernel number stamps from 0 again: a refused frame may or may not have used a number. */
static int restart_stamps(struct kt_packet_priv *p)
{
	int off = STAMP_FLAGS, on = STAMP_FLAGS | SOF_TIMESTAMPING_OPT_ID;

	p->tx.next_key = 0;
	if (setsockopt(p->tx_fd, SOL_SOCKET, SO_TIMESTAMPING, &off, sizeof(off)) ||
	    setsockopt(p->tx_fd, SOL_SOCKET, SO_TIMESTAMPING, &on, sizeof(on)))
		return -errno;
	return 0;
}

int kt_packet_tx_open(struct ktrxer *port, struct kt_txslot *slots, u32 n, u32 frame_bytes, bool kernel_stamps,
		      struct ktrxer_err *err)
{
	struct kt_packet_priv *p = port->priv;
	const int bytes = SEND_BUFFER_BYTES, none = 0;
	int ret = set_memory(&p->tx.memory, n, frame_bytes, err);

	if (ret)
		return ret;
	for (u32 i = 0; i < n; i++) {
		slots[i].data = p->tx.memory + i * stride_of(frame_bytes);
		slots[i].cap = frame_bytes;
	}
	if (setsockopt(p->tx_fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
		setsockopt(p->tx_fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)); /* as much as we may */
	p->tx.stamps = kernel_stamps;
	if (kernel_stamps)
		ret = restart_stamps(p);
	else
		setsockopt(p->tx_fd, SOL_SOCKET, SO_TIMESTAMPING, &none, sizeof(none));
	if (ret) {
		kt_packet_tx_close(port);
		return kt_err(err, EOPNOTSUPP, "this kernel gives packet sockets no transmit stamps: %s",
			      strerror(-ret));
	}
	return 0;
}

void kt_packet_tx_close(struct ktrxer *port)
{
	struct kt_packet_tx *tx = &kt_packet_of(port)->tx;

	free(tx->memory);
	free(tx->flood_memory);
	free(tx->flood_frames);
	free(tx->messages);
	free(tx->iov);
	memset(tx, 0, sizeof(*tx));
}

/* Trying again helps when the cause can pass. */
static u8 state_of(int code)
{
	switch (code) {
	case EMSGSIZE:
	case EINVAL:
	case ENODEV:
	case EPERM:
	case EACCES:
		return KT_TX_FAILED;
	default:
		return KT_TX_REFUSED;
	}
}

/* What a send's errno means here; code 0: a sendmmsg stopped at this frame without telling. */
static int reason(struct ktrxer *port, const u8 *data, u32 len, int code)
{
	struct kt_iface_link link;

	if (code && code != ENOBUFS && code != EAGAIN && code != ENXIO)
		return code;
	if (code == ENXIO || kt_iface_link(kt_packet_of(port)->tx_nl, port->ifindex, &link))
		return ENODEV;
	if (!link.up || !link.carrier)
		return ENETDOWN;
	if (!code && len < KT_ETH_BYTES)
		return EINVAL;
	if (!code && len > link.mtu + KT_ETH_BYTES + KT_VLAN_BYTES)
		return EMSGSIZE;
	if (!code && len > link.mtu + KT_ETH_BYTES && kt_get_be16(data + 12) != KT_ETHERTYPE_VLAN)
		return EMSGSIZE;
	return ENOBUFS; /* the driver's queue is full or stopped, or it dropped the frame */
}

/* One stamp off the error queue: false when there is none. */
static bool next_stamp(int fd, u32 *key, u64 *ns)
{
	u8 control[256] __attribute__((aligned(8)));
	struct msghdr msg = { .msg_control = control, .msg_controllen = sizeof(control) };
	bool have_key = false;

	*ns = 0;
	if (recvmsg(fd, &msg, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPING) {
			struct timespec ts[3];

			memcpy(ts, CMSG_DATA(c), sizeof(ts));
			*ns = kt_timespec_ns(&ts[0]);
		} else if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_TX_TIMESTAMP) {
			struct sock_extended_err e;

			memcpy(&e, CMSG_DATA(c), sizeof(e));
			*key = e.ee_data;
			have_key = e.ee_origin == SO_EE_ORIGIN_TIMESTAMPING;
		}
	}
	if (!have_key)
		*ns = 0;
	return true;
}

/* Gives the stamps that have come to slots[0 .. n), whose first has number key. */
static void collect_stamps(struct kt_packet_priv *p, struct kt_txslot *const *slots, u32 n, u32 key)
{
	u32 k = 0;
	u64 ns;

	while (next_stamp(p->tx_fd, &k, &ns)) {
		if (!ns || k - key >= n)
			continue; /* too late: its completion has been given out */
		slots[k - key]->stamp_ns = ns;
		slots[k - key]->stamp_clock = KTRXER_CLOCK_REALTIME;
	}
}

int kt_packet_tx_launch(struct ktrxer *port, struct kt_txslot *const *slots, u32 n)
{
	struct kt_packet_priv *p = port->priv;
	u32 first = 0, i; /* slots[first .. i) wait for their stamps */
	u64 now = kt_port_now(port);

	for (i = 0; i < n; i++) {
		struct kt_txslot *s = slots[i];
		int code;

		s->stamp_ns = 0;
		s->launch_ns = now;
		code = send(p->tx_fd, s->data, s->len, MSG_DONTWAIT) < 0 ? errno : 0;
		s->returned_ns = now = kt_port_now(port);
		if (code) {
			code = reason(port, s->data, s->len, code);
			if (code == ENODEV)
				break;
			now = kt_port_now(port);
		}
		s->err = code;
		s->state = code ? state_of(code) : KT_TX_SENT;
		if (!p->tx.stamps)
			continue;
		p->tx.next_key += !code;
		if (code || i + 1 - first == STAMPS_AT_ONCE || i + 1 == n) {
			u32 sent = i + 1 - first - !!code;

			collect_stamps(p, slots + first, sent, p->tx.next_key - sent);
			first = i + 1;
		}
		if (code)
			restart_stamps(p);
	}
	return i ? (int)i : -ENODEV;
}

u32 kt_packet_tx_flood_max(struct ktrxer *port, u32 *frame_bytes)
{
	(void)port;
	*frame_bytes = UINT32_MAX;
	return KT_PACKET_FLOOD;
}

int kt_packet_tx_flood_open(struct ktrxer *port, struct kt_flood *flood, u32 frame_bytes, struct ktrxer_err *err)
{
	struct kt_packet_tx *tx = &kt_packet_of(port)->tx;
	int ret = set_memory(&tx->flood_memory, flood->n, frame_bytes, err);

	if (ret)
		return ret;
	if (!tx->messages)
		tx->messages = calloc(KT_PACKET_FLOOD, sizeof(*tx->messages));
	if (!tx->iov)
		tx->iov = calloc(KT_PACKET_FLOOD, sizeof(*tx->iov));
	if (!tx->flood_frames)
		tx->flood_frames = calloc(KT_PACKET_FLOOD, sizeof(*tx->flood_frames));
	if (!tx->messages || !tx->iov || !tx->flood_frames)
		return kt_err(err, ENOMEM, "no memory for a flood");
	for (u32 i = 0; i < KT_PACKET_FLOOD; i++) {
		tx->messages[i].msg_hdr.msg_iov = &tx->iov[i];
		tx->messages[i].msg_hdr.msg_iovlen = 1;
	}
	flood->cells = tx->flood_memory;
	flood->stride = stride_of(frame_bytes);
	flood->frames = tx->flood_frames;
	return 0;
}

/* One sendmmsg. It stops at a refused frame, which is the last one tried then. */
int kt_packet_tx_flood(struct ktrxer *port, struct kt_flood *flood, u32 from, u32 n)
{
	struct kt_packet_priv *p = port->priv;
	int sent, code;

	for (u32 i = from; i < n; i++) {
		p->tx.iov[i].iov_base = flood->cells + flood->frames[i].cell * flood->stride;
		p->tx.iov[i].iov_len = flood->frames[i].len;
	}
	flood->launch_ns = kt_port_now(port);
	sent = sendmmsg(p->tx_fd, p->tx.messages + from, n - from, MSG_DONTWAIT);
	code = sent < 0 ? errno : 0;
	flood->returned_ns = kt_port_now(port);
	sent = sent < 0 ? 0 : sent;
	flood->all_sent = true;
	if (p->tx.stamps) {
		/* Floods are not stamped one by one; what came is stale and must not be taken for a later frame's. */
		collect_stamps(p, NULL, 0, 0);
		restart_stamps(p);
	}
	if (from + (u32)sent == n)
		return sent;
	code = reason(port, p->tx.iov[from + (u32)sent].iov_base, flood->frames[from + (u32)sent].len, code);
	if (code == ENODEV)
		return sent ? sent : -ENODEV;
	flood->all_sent = false;
	memset(flood->fates + from, 0, (size_t)sent * sizeof(*flood->fates));
	flood->fates[from + (u32)sent] = state_of(code) == KT_TX_FAILED ? -code : code;
	return sent + 1;
}

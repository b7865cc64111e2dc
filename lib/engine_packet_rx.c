/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Engine packet, receiving. A TPACKET_V2 ring: every frame is visible as soon
 * as the kernel has written it, where version 3 hands over blocks by a timer
 * (measured: 10 us against 600 at the median). Slots fit the interface's MTU; a longer frame (merged by
 * GRO, or the loopback's) also waits whole in the socket's queue, in the same
 * order (PACKET_COPY_THRESH), and is fetched from there.
 *
 * Stamps are the ones that the kernel gave the packet on arrival, the same that
 * libpcap shows. VLAN tags that the kernel took out are put back.
 */
#include <linux/if_ether.h>
#include <poll.h>
#include <string.h>

#include "../core/ring.h"
#include "engine_packet.h"
#include "iface.h"
#include "port.h"

#ifndef TP_STATUS_GSO_TCP
#define TP_STATUS_GSO_TCP (1 << 8)
#endif

/* How often an idle receiver that never waits looks whether the interface still lives. */
#define CHECK_NS 1000000u

static struct tpacket2_hdr *slot_at(const struct kt_packet_rx *rx, u32 i)
{
	return (struct tpacket2_hdr *)(void *)(rx->map + (size_t)(i / rx->slots_per_block) * rx->block_bytes +
					       (size_t)(i % rx->slots_per_block) * rx->slot_bytes);
}

static u32 slot_after(const struct kt_packet_rx *rx, u32 i)
{
	return i + 1 == rx->n_slots ? 0 : i + 1;
}

/* --- Frames ------------------------------------------------------------------------- */

static bool ready(const struct kt_packet_rx *rx)
{
	return kt_load_acquire(&slot_at(rx, rx->next)->tp_status) & TP_STATUS_USER;
}

/* The frame at this slot that waits whole in the socket's queue; its length, or 0. */
static u32 fetch_whole(struct kt_packet_priv *p)
{
	ssize_t n;

	/* An error that is pending on the socket comes first, once. */
	for (int i = 0; i < 2; i++) {
		n = recv(p->rx_fd, p->rx.whole + KT_VLAN_BYTES, KT_PACKET_WHOLE_BYTES - KT_VLAN_BYTES, MSG_DONTWAIT);
		if (n >= 0)
			break;
		p->rx.checked_ns = 0;
		p->rx.state = -ENETDOWN; /* ask again */
	}
	return n > 0 ? (u32)n : 0;
}

/* Puts back the tag that the kernel took out; there are four bytes of room before data. */
static void insert_tag(struct kt_rxframe *f, const struct tpacket2_hdr *h)
{
	u16 tpid = h->tp_status & TP_STATUS_VLAN_TPID_VALID ? h->tp_vlan_tpid : ETH_P_8021Q;

	if (f->caplen < KT_ETH_BYTES)
		return;
	f->data -= KT_VLAN_BYTES;
	memmove(f->data, f->data + KT_VLAN_BYTES, 12);
	kt_put_be16(f->data + 12, tpid);
	kt_put_be16(f->data + 14, h->tp_vlan_tci);
	f->caplen += KT_VLAN_BYTES;
	f->wirelen += KT_VLAN_BYTES;
}

/* Is it longer than the link can carry? Asks for the MTU anew before saying so. */
static bool too_long(struct kt_packet_priv *p, u32 ifindex, u32 wirelen)
{
	const u32 headers = KT_ETH_BYTES + 2 * KT_VLAN_BYTES;
	struct kt_iface_link link;

	if (wirelen <= p->rx.mtu + headers)
		return false;
	if (!kt_iface_link(p->rx_nl, ifindex, &link))
		p->rx.mtu = link.mtu;
	return wirelen > p->rx.mtu + headers;
}

static void describe(struct ktrxer *port, struct kt_rxframe *f, struct tpacket2_hdr *h, u32 status, u32 whole_bytes)
{
	struct kt_packet_priv *p = port->priv;
	const struct sockaddr_ll *from = (const void *)((const u8 *)h + TPACKET_ALIGN(sizeof(*h)));

	memset(f, 0, sizeof(*f));
	f->data = whole_bytes ? p->rx.whole + KT_VLAN_BYTES : (u8 *)h + h->tp_mac;
	f->caplen = whole_bytes ? whole_bytes : h->tp_snaplen;
	f->wirelen = h->tp_len;
	f->ifindex = port->ifindex;
	f->stamp_ns = (u64)h->tp_sec * KT_NSEC_PER_SEC + h->tp_nsec;
	f->clock = KTRXER_CLOCK_REALTIME;
	if (from->sll_pkttype == PACKET_OUTGOING)
		f->flags |= KT_RECORD_OUTGOING;
	if (f->caplen < f->wirelen)
		f->flags |= KT_RECORD_TRUNCATED;
	if (status & TP_STATUS_VLAN_VALID)
		insert_tag(f, h);
	if ((status & TP_STATUS_GSO_TCP) || too_long(p, port->ifindex, f->wirelen))
		f->flags |= KT_RECORD_MERGED;
	if ((status & TP_STATUS_CSUMNOTREADY) && f->caplen == f->wirelen &&
	    !kt_packet_fix_checksums(f->data, f->caplen))
		f->flags |= KT_RECORD_CSUM_FIXED;
}

static void give_back(struct kt_packet_rx *rx)
{
	kt_store_release(&slot_at(rx, rx->oldest)->tp_status, (u32)TP_STATUS_KERNEL);
	rx->oldest = slot_after(rx, rx->oldest);
	if (!--rx->n_held)
		rx->whole_used = false;
}

/* The next frame into *f: 1; 0 there is none now; -1 the batch must be released first. */
static int take(struct ktrxer *port, struct kt_rxframe *f)
{
	struct kt_packet_priv *p = port->priv;
	struct kt_packet_rx *rx = &p->rx;

	for (;;) {
		struct tpacket2_hdr *h = slot_at(rx, rx->next);
		u32 status = kt_load_acquire(&h->tp_status), whole = 0;
		const struct sockaddr_ll *from = (const void *)((const u8 *)h + TPACKET_ALIGN(sizeof(*h)));
		bool skip = !rx->outgoing && from->sll_pkttype == PACKET_OUTGOING, copy = status & TP_STATUS_COPY;

		if (!(status & TP_STATUS_USER) || rx->n_held == rx->n_slots)
			return 0;
		/* There is room for one long frame; and slots go back in order, so one to skip must be the oldest. */
		if ((copy && rx->whole_used) || (skip && rx->n_held))
			return -1;
		if (copy)
			whole = fetch_whole(p);
		rx->next = slot_after(rx, rx->next);
		rx->n_held++;
		if (skip) {
			give_back(rx);
			continue;
		}
		rx->whole_used |= whole != 0;
		describe(port, f, h, status, whole);
		return 1;
	}
}

/* --- The interface's life -------------------------------------------------------------- */

static int pending_error(int fd)
{
	int code = 0;
	socklen_t len = sizeof(code);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &len) ? errno : code;
}

/* Nothing to read: is it because the interface is down or gone? Cheap enough to be asked in a loop. */
static int idle_state(struct ktrxer *port)
{
	struct kt_packet_priv *p = port->priv;
	struct timespec ts;
	u64 now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	now = kt_timespec_ns(&ts);
	if (now - p->rx.checked_ns < CHECK_NS)
		return p->rx.state;
	p->rx.checked_ns = now;
	if (p->rx.state || pending_error(p->rx_fd))
		p->rx.state = kt_packet_link_state(p, port->ifindex);
	return p->rx.state;
}

int kt_packet_rx_peek(struct ktrxer *port, struct kt_rxframe *frames, u32 max)
{
	u32 n = 0;

	while (n < max && take(port, &frames[n]) == 1)
		n++;
	return n ? (int)n : idle_state(port);
}

void kt_packet_rx_release(struct ktrxer *port, const u8 *verdict, u32 n)
{
	(void)verdict; /* the host has its own copy */
	while (n--)
		give_back(&kt_packet_of(port)->rx);
}

int kt_packet_rx_wait(struct ktrxer *port, u64 until_ns)
{
	struct kt_packet_priv *p = port->priv;

	for (;;) {
		struct pollfd pfd = { .fd = p->rx_fd, .events = POLLIN };
		u64 now = until_ns == UINT64_MAX ? 0 : kt_port_now(port);
		struct timespec ts = kt_ns_timespec(until_ns > now ? until_ns - now : 0);
		int n;

		if (ready(&p->rx))
			return 1;
		if (p->rx.state)
			return idle_state(port);
		n = ppoll(&pfd, 1, until_ns == UINT64_MAX ? NULL : &ts, NULL);
		if (n < 0)
			return -errno;
		if (!n)
			return ready(&p->rx);
		if (pfd.revents & POLLERR) {
			pending_error(p->rx_fd); /* clears it */
			p->rx.state = kt_packet_link_state(p, port->ifindex);
		}
	}
}

int kt_packet_rx_fd(struct ktrxer *port)
{
	return kt_packet_of(port)->rx_fd;
}

void kt_packet_rx_counts(struct ktrxer *port, struct kt_rx_counts *counts)
{
	struct kt_packet_priv *p = port->priv;
	struct tpacket_stats st = { 0 };
	socklen_t len = sizeof(st);

	memset(counts, 0, sizeof(*counts));
	pthread_mutex_lock(&p->rx.counts_lock);
	if (!getsockopt(p->rx_fd, SOL_PACKET, PACKET_STATISTICS, &st, &len))
		p->rx.lost += st.tp_drops;
	counts->seen = counts->lost_engine = p->rx.lost;
	pthread_mutex_unlock(&p->rx.counts_lock);
}

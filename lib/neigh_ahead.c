/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Many neighbours asked at once; see neigh_ahead.h. Hops stand in a ring in
 * the order in which they came, and so do their second and third questions:
 * a cursor for each tells which hop is the next to be asked once more.
 */
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../core/hash.h"
#include "neigh.h"
#include "neigh_ahead.h"
#include "port.h"

#define ASK_NS 100000u /* between questions: 10,000 a second, since each is a broadcast that all on the link hear */
#define BURST_NS 5000000u /* after a pause: up to 50 back to back */
#define TRIES 3u
#define TRY_NS 200000000u /* a station that sleeps hears of it with the next beacons of its access point */
#define HEADS 4096u
#define NOBODY 0xffffu
#define HEAR_MAX 256 /* frames a turn */

struct hop {
	struct ktrxer_addr addr;
	struct ktrxer_addr src;
	u8 mac[6];
	bool answered;
	u8 tries;
	u16 chain; /* the next with the same hash; index into the ring */
	u64 asked_ns; /* last */
};

struct kt_neigh_ahead {
	u32 ifindex;
	u8 mac[6];
	int fd[2]; /* ARP; neighbour discovery */
	u32 first, end; /* hops in the ring, as running numbers */
	u32 again[TRIES]; /* [k]: the next to be asked after k questions; [0] is not used */
	u64 next_ask_ns;
	u16 heads[HEADS];
	struct hop ring[KT_NEIGH_AHEAD_MAX];
};

static u16 *head_of(struct kt_neigh_ahead *a, const struct ktrxer_addr *addr)
{
	u64 hi = kt_get_be64(addr->bytes), lo = kt_get_be64(addr->bytes + 8);

	return &a->heads[kt_hash_mix64(hi ^ kt_hash_mix64(lo + addr->version)) & (HEADS - 1)];
}

static struct hop *hop_at(struct kt_neigh_ahead *a, u32 number)
{
	return &a->ring[number & (KT_NEIGH_AHEAD_MAX - 1)];
}

static struct hop *find(struct kt_neigh_ahead *a, const struct ktrxer_addr *addr)
{
	for (u16 i = *head_of(a, addr); i != NOBODY; i = a->ring[i].chain)
		if (!memcmp(&a->ring[i].addr, addr, sizeof(*addr)))
			return &a->ring[i];
	return NULL;
}

static void forget_first(struct kt_neigh_ahead *a)
{
	struct hop *h = hop_at(a, a->first++);
	u16 *link = head_of(a, &h->addr), self = (u16)(h - a->ring);

	while (*link != self)
		link = &a->ring[*link].chain;
	*link = h->chain;
	for (u32 k = 1; k < TRIES; k++)
		if ((s32)(a->again[k] - a->first) < 0)
			a->again[k] = a->first;
}

/* --- Sockets ------------------------------------------------------------------------ */

/* Neighbour advertisements only: a scan's answers would fill the socket. */
static int only_adverts(int fd)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 58, 0, 3), /* ICMPv6 */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 54), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 136, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffff),	BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { KT_ARRAY_LEN(code), code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) ? -errno : 0;
}

/* Is the interface of that number and address here, too? Threads move between namespaces, ports do not. */
static int check_place(const struct kt_neigh_ahead *a, const char *ifname)
{
	struct ifreq r = { 0 };

	strncpy(r.ifr_name, ifname, IFNAMSIZ - 1);
	if (ioctl(a->fd[0], SIOCGIFINDEX, &r) || (u32)r.ifr_ifindex != a->ifindex)
		return -EXDEV;
	if (ioctl(a->fd[0], SIOCGIFHWADDR, &r) || memcmp(r.ifr_hwaddr.sa_data, a->mac, 6))
		return -EXDEV;
	return 0;
}

static int open_sockets(struct kt_neigh_ahead *a, const char *ifname)
{
	for (int v = 0; v < 2; v++) {
		struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_ifindex = (int)a->ifindex };
		int ret;

		addr.sll_protocol = kt_be16(v ? KT_ETHERTYPE_IPV6 : KT_ETHERTYPE_ARP);
		a->fd[v] = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (a->fd[v] < 0)
			return -errno;
		ret = v ? only_adverts(a->fd[v]) : check_place(a, ifname);
		if (ret)
			return ret;
		if (bind(a->fd[v], (struct sockaddr *)&addr, sizeof(addr)))
			return -errno;
	}
	return 0;
}

int kt_neigh_ahead_new(struct kt_neigh_ahead **out, u32 ifindex, const char *ifname, const u8 mac[6])
{
	struct kt_neigh_ahead *a = calloc(1, sizeof(*a));
	int ret;

	*out = NULL;
	if (!a)
		return -ENOMEM;
	a->ifindex = ifindex;
	a->fd[0] = a->fd[1] = -1;
	memcpy(a->mac, mac, 6);
	memset(a->heads, 0xff, sizeof(a->heads));
	ret = open_sockets(a, ifname);
	if (ret) {
		kt_neigh_ahead_free(a);
		return ret;
	}
	*out = a;
	return 0;
}

void kt_neigh_ahead_free(struct kt_neigh_ahead *a)
{
	if (!a)
		return;
	for (int v = 0; v < 2; v++)
		if (a->fd[v] >= 0)
			close(a->fd[v]);
	free(a);
}

/* --- Questions and answers -------------------------------------------------------------- */

static bool may_ask(const struct kt_neigh_ahead *a, u64 now_ns)
{
	return now_ns >= a->next_ask_ns;
}

/* 0, -EAGAIN when the interface has no room now, or -errno. */
static int ask(struct kt_neigh_ahead *a, struct hop *h, u64 now_ns)
{
	u8 question[128];
	int len = kt_neigh_question(question, sizeof(question), a->mac, &h->src, &h->addr);

	if (len < 0)
		return len;
	if (send(a->fd[h->addr.version == 6], question, (size_t)len, 0) < 0)
		return errno == ENOBUFS || errno == EINTR ? -EAGAIN : -errno;
	h->asked_ns = now_ns;
	h->tries++;
	if (a->next_ask_ns + BURST_NS < now_ns)
		a->next_ask_ns = now_ns - BURST_NS;
	a->next_ask_ns += ASK_NS;
	return 0;
}

bool kt_neigh_ahead_empty(const struct kt_neigh_ahead *a)
{
	return a->first == a->end;
}

bool kt_neigh_ahead_ready(const struct kt_neigh_ahead *a, u64 now_ns)
{
	return a->end - a->first < KT_NEIGH_AHEAD_MAX && may_ask(a, now_ns);
}

void kt_neigh_ahead_put(struct kt_neigh_ahead *a, const struct ktrxer_addr *src, const struct ktrxer_addr *hop,
			u64 now_ns)
{
	u16 *head = head_of(a, hop);
	struct hop *h;

	if (a->end - a->first >= KT_NEIGH_AHEAD_MAX || find(a, hop))
		return;
	h = hop_at(a, a->end);
	*h = (struct hop){ .addr = *hop, .src = *src, .chain = *head };
	if (ask(a, h, now_ns))
		return; /* whoever needs it finds out why */
	*head = (u16)(h - a->ring);
	a->end++;
}

/* Those that have had k questions, oldest first. */
static int ask_again(struct kt_neigh_ahead *a, u32 k, u64 now_ns)
{
	u32 end = k > 1 ? a->again[k - 1] : a->end;

	for (; a->again[k] != end; a->again[k]++) {
		struct hop *h = hop_at(a, a->again[k]);
		int ret;

		if (h->answered)
			continue;
		if (now_ns < h->asked_ns + TRY_NS || !may_ask(a, now_ns))
			break;
		ret = ask(a, h, now_ns);
		if (ret)
			return ret == -EAGAIN ? 0 : ret;
	}
	return 0;
}

static int hear(struct kt_neigh_ahead *a, u8 version)
{
	struct ktrxer_addr from;
	u8 frame[2048], mac[6];

	for (int i = 0; i < HEAR_MAX; i++) {
		ssize_t n = recv(a->fd[version == 6], frame, sizeof(frame), 0);
		struct hop *h;

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (!kt_neigh_answer(frame, (u32)n, version, &from, mac))
			continue;
		h = find(a, &from);
		if (!h)
			continue;
		memcpy(h->mac, mac, 6);
		h->answered = true;
	}
	return 0;
}

int kt_neigh_ahead_turn(struct kt_neigh_ahead *a, u64 now_ns)
{
	int ret = hear(a, 4);

	if (!ret)
		ret = hear(a, 6);
	/* Last questions first: they are what somebody waits for. */
	for (u32 k = TRIES - 1; k > 0 && !ret; k--)
		ret = ask_again(a, k, now_ns);
	return ret;
}

void kt_neigh_ahead_wait(struct kt_neigh_ahead *a, u64 until_ns)
{
	struct pollfd p[2] = { { .fd = a->fd[0], .events = POLLIN }, { .fd = a->fd[1], .events = POLLIN } };
	u64 now = kt_clock_now(KTRXER_CLOCK_MONOTONIC);
	struct timespec ts = kt_ns_timespec(until_ns > now ? until_ns - now : 0);

	ppoll(p, 2, &ts, NULL);
}

int kt_neigh_ahead_take(struct kt_neigh_ahead *a, const struct ktrxer_addr *hop, u64 now_ns, u8 mac[6])
{
	struct hop *h = find(a, hop);
	bool answered;

	if (!h)
		return -ENOENT;
	answered = h->answered;
	if (!answered && (h->tries < TRIES || now_ns < h->asked_ns + TRY_NS))
		return -EAGAIN;
	memcpy(mac, h->mac, 6);
	while (hop_at(a, a->first) != h)
		forget_first(a);
	forget_first(a);
	return answered ? 0 : -EHOSTUNREACH;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * ARP (RFC 826) and neighbour discovery (RFC 4861 section 7.2) of our own,
 * through a packet socket: for processes that may send frames but may not
 * make the kernel resolve a neighbour.
 */
#include <linux/if_packet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../core/packet.h"
#include "neigh.h"
#include "port.h"

#define ND_SOLICIT 135
#define ND_ADVERT 136
#define ND_OPT_SOURCE 1
#define ND_OPT_TARGET 2
#define TRIES 3u
#define TRY_NS KT_NSEC_PER_SEC /* RetransTimer of RFC 4861 */

static int build_solicit(u8 *buf, u32 cap, const u8 src_mac[6], const struct ktrxer_addr *src,
			 const struct ktrxer_addr *hop)
{
	static const u8 solicited[13] = { 0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0xff };
	u8 payload[24] = { 0 };
	struct kt_packet_spec s = { .ttl = 255, .payload = payload, .payload_bytes = sizeof(payload) };

	memcpy(payload, hop->bytes, 16);
	payload[16] = ND_OPT_SOURCE;
	payload[17] = 1; /* times 8 bytes */
	memcpy(payload + 18, src_mac, 6);
	memcpy(s.src_mac, src_mac, 6);
	s.dst_mac[0] = s.dst_mac[1] = 0x33;
	s.dst_mac[2] = 0xff;
	memcpy(s.dst_mac + 3, hop->bytes + 13, 3);
	s.flow.version = 6;
	s.flow.proto = KT_PROTO_ICMPV6;
	s.flow.dport = ND_SOLICIT << 8;
	memcpy(s.flow.src, src->bytes, 16);
	memcpy(s.flow.dst, solicited, 13);
	memcpy(s.flow.dst + 13, hop->bytes + 13, 3);
	return kt_packet_build(&s, buf, cap);
}

int kt_neigh_question(u8 *buf, u32 cap, const u8 src_mac[6], const struct ktrxer_addr *src,
		      const struct ktrxer_addr *hop)
{
	static const u8 everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, nobody[6];

	if (hop->version == 4)
		return kt_packet_build_arp(buf, cap, 1, src_mac, everybody, src->bytes, nobody, hop->bytes);
	return build_solicit(buf, cap, src_mac, src, hop);
}

/* An ARP packet in which the neighbour tells its address; requests do so too. */
static bool arp_answer(const u8 *f, u32 len, struct ktrxer_addr *whose, u8 mac[6])
{
	static const u8 ethernet_ipv4[6] = { 0, 1, 0x08, 0x00, 6, 4 };

	if (len < 42 || kt_get_be16(f + 12) != KT_ETHERTYPE_ARP || memcmp(f + 14, ethernet_ipv4, 6))
		return false;
	*whose = (struct ktrxer_addr){ .version = 4 };
	memcpy(whose->bytes, f + 28, 4);
	memcpy(mac, f + 22, 6);
	return true;
}

static bool advert_answer(const u8 *f, u32 len, struct ktrxer_addr *whose, u8 mac[6])
{
	struct kt_packet p;
	const u8 *opt, *end;

	if (kt_packet_parse(&p, f, len, len) || p.flow.proto != KT_PROTO_ICMPV6 || p.flow.dport != ND_ADVERT << 8 ||
	    p.ttl != 255 || len < p.l4_off + 24)
		return false;
	*whose = (struct ktrxer_addr){ .version = 6 };
	memcpy(whose->bytes, f + p.l4_off + 8, 16);
	end = f + len;
	for (opt = f + p.l4_off + 24; end - opt >= 8 && opt[1]; opt += opt[1] * 8)
		if (opt[0] == ND_OPT_TARGET && opt[1] == 1) {
			memcpy(mac, opt + 2, 6);
			return true;
		}
	memcpy(mac, f + 6, 6); /* an answer to a solicitation may leave the option out */
	return true;
}

bool kt_neigh_answer(const u8 *f, u32 len, u8 version, struct ktrxer_addr *whose, u8 mac[6])
{
	return version == 4 ? arp_answer(f, len, whose, mac) : advert_answer(f, len, whose, mac);
}

/* Reads until the answer comes or the time is up: 1, 0 or -errno. */
static int await_answer(int fd, const struct ktrxer_addr *hop, u64 until_ns, u8 mac[6])
{
	struct ktrxer_addr whose;
	u8 frame[2048];

	for (;;) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		u64 now = kt_clock_now(KTRXER_CLOCK_MONOTONIC);
		struct timespec ts = kt_ns_timespec(until_ns > now ? until_ns - now : 0);
		ssize_t n;

		if (now >= until_ns)
			return 0;
		if (ppoll(&pfd, 1, &ts, NULL) < 0)
			return -errno;
		n = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0 && kt_neigh_answer(frame, (u32)n, hop->version, &whose, mac) &&
		    !memcmp(&whose, hop, sizeof(whose)))
			return 1;
	}
}

int kt_neigh_ask(u32 ifindex, const u8 src_mac[6], const struct ktrxer_addr *src, const struct ktrxer_addr *hop,
		 u64 timeout_ns, u8 mac[6])
{
	struct sockaddr_ll addr = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex };
	u64 end = kt_clock_now(KTRXER_CLOCK_MONOTONIC) + timeout_ns;
	u8 question[128];
	int len = kt_neigh_question(question, sizeof(question), src_mac, src, hop), fd, ret = 0;

	if (len < 0)
		return len;
	addr.sll_protocol = kt_be16(hop->version == 4 ? KT_ETHERTYPE_ARP : KT_ETHERTYPE_IPV6);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		ret = -errno;
	for (u32 i = 0; i < TRIES && !ret; i++) {
		u64 until = kt_clock_now(KTRXER_CLOCK_MONOTONIC) + TRY_NS;

		if (send(fd, question, (size_t)len, 0) < 0)
			ret = -errno;
		else
			ret = await_answer(fd, hop, until < end ? until : end, mac);
	}
	close(fd);
	return ret > 0 ? 0 : ret ? ret : -EHOSTUNREACH;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Frames read and written: Ethernet, VLAN (802.1Q), QinQ (802.1ad), ARP,
 * IPv4, IPv6 with extension headers, ICMP, ICMPv6, TCP, UDP. The parser
 * never reads past caplen and never fails silently; the builder never writes
 * past the capacity it is given.
 */
#ifndef KT_PACKET_H
#define KT_PACKET_H

#include "env.h"
#include "flow.h"

#define KT_ETH_BYTES 14
#define KT_VLAN_BYTES 4
#define KT_ETHERTYPE_IPV4 0x0800
#define KT_ETHERTYPE_ARP 0x0806
#define KT_ETHERTYPE_VLAN 0x8100
#define KT_ETHERTYPE_QINQ 0x88a8
#define KT_ETHERTYPE_IPV6 0x86dd
#define KT_MAX_VLANS 2

#define KT_TCP_FIN 0x01
#define KT_TCP_SYN 0x02
#define KT_TCP_RST 0x04
#define KT_TCP_ACK 0x10

enum kt_packet_flag {
	KT_PKT_FRAGMENT = 1 << 0, /* part of a fragmented datagram */
	KT_PKT_LATER_FRAGMENT = 1 << 1, /* not the first: no ports */
	KT_PKT_TRUNCATED = 1 << 2, /* a header goes past caplen */
	KT_PKT_MALFORMED = 1 << 3, /* a header contradicts itself */
	KT_PKT_ICMP_ERROR = 1 << 4, /* quotes the packet that caused it at payload_off */
	KT_PKT_DEEP_VLANS = 1 << 5, /* more than KT_MAX_VLANS tags: the outermost are in vlan[] */
};

/*
 * Offsets count bytes from the start of the frame; 0 means "not there". None
 * is behind caplen. l3_off is behind the link header for every ethertype.
 * l4_off is where the IP payload starts, absent in a later fragment; of a
 * transport that we do not know payload_off equals it. A transport header that is
 * cut off or malformed leaves payload_off absent.
 */
struct kt_packet {
	struct kt_flow flow;
	u32 l3_off;
	u32 l4_off;
	u32 payload_off; /* behind the transport header, or behind the IP header if that is unknown */
	u32 payload_bytes; /* by the IP and UDP headers' own lengths, link padding excluded; may exceed caplen */
	u32 l3_bytes; /* whole datagram by its own length; by the frame's for what is neither IP nor ARP */
	u32 final_dst_off; /* destination that the transport checksum covers: IP header's, source route's; 0 unknown */
	u16 vlan[KT_MAX_VLANS]; /* TCI, outermost first */
	u8 n_vlans; /* entries in vlan[] */
	u8 ttl; /* or hop limit */
	u8 tos; /* or traffic class */
	u8 tcp_flags;
	u16 ip_id; /* IPv4 only */
	u16 icmp_id; /* echo only */
	u16 icmp_seq; /* echo only */
	u32 tcp_seq;
	u32 tcp_ack;
	u32 flags; /* enum kt_packet_flag */
};

/*
 * Any context. Fills *p from the first caplen bytes of a frame that was
 * wirelen bytes long on the wire. Returns 0, or -EINVAL when not even the
 * link header is there; what could be read stays in *p, and p->flags says
 * what stopped the parse.
 */
int kt_packet_parse(struct kt_packet *p, const u8 *frame, u32 caplen, u32 wirelen);

/*
 * The same for a bare IP datagram, as ICMP errors quote it: l3_off is 0, ports
 * and sequence numbers are read from the 8 bytes of transport header that such
 * a quote has at least, and it may be shorter than its own length without
 * being malformed. -EINVAL when it starts with no IP version.
 */
int kt_packet_parse_ip(struct kt_packet *p, const u8 *ip, u32 caplen);

/*
 * What to build. Zero is the default everywhere: no VLAN, ttl 64, and the
 * IP version that flow.version names. Version 0 puts the payload behind a link
 * header with flow.ethertype. Lengths and checksums are computed. A protocol
 * that we do not know gets the payload right behind the IP header.
 */
struct kt_packet_spec {
	u8 src_mac[6];
	u8 dst_mac[6];
	u16 vlan[KT_MAX_VLANS]; /* TCI, outermost first; the outer of two gets 802.1ad */
	u8 n_vlans;
	u8 ttl; /* 0: 64 */
	u8 tos;
	u8 tcp_flags;
	u16 ip_id;
	u16 icmp_id;
	u16 icmp_seq;
	u16 tcp_window; /* 0: 65535 */
	u32 tcp_seq;
	u32 tcp_ack;
	bool dont_fragment;
	bool tcp_mss_option; /* add MSS 1460 (1440 on IPv6), as SYN probes do */
	struct kt_flow flow; /* addresses, ports (ICMP: dport = type << 8 | code), proto, version */
	const u8 *payload; /* borrowed for the call; NULL: zeros */
	u32 payload_bytes;
};

/*
 * Any context. Writes a whole frame with correct lengths and checksums into
 * buf. Returns its length, -EMSGSIZE when cap is too small, -EINVAL when the
 * specification cannot be built.
 */
int kt_packet_build(const struct kt_packet_spec *s, u8 *buf, u32 cap);

/* An ARP request (op 1) or reply (op 2); 42 bytes. Same returns. */
int kt_packet_build_arp(u8 *buf, u32 cap, u16 op, const u8 src_mac[6], const u8 dst_mac[6], const u8 sender_ip[4],
			const u8 target_mac[6], const u8 target_ip[4]);

/*
 * Computes all checksums of the frame anew, in place: IPv4 header and the
 * transport's. Used after rewriting, for CHECKSUM_PARTIAL frames and for
 * frames that a user gave. Returns 0, or -EINVAL when a header is cut off,
 * malformed or the datagram is a fragment (then only IPv4's is set).
 */
int kt_packet_fix_checksums(u8 *frame, u32 len);

/*
 * True if every checksum that the frame carries is right: UDP's 0 is, on IPv4
 * only; a fragment has its IPv4 header's. False when a header
 * or the datagram is cut off or malformed, or when a source route that we
 * do not know hides the destination that the sum covers.
 */
bool kt_packet_checksums_ok(const u8 *frame, u32 len);

#endif

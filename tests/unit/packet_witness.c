/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The builder before a witness that nobody here wrote: frames of every kind
 * go into a pcap file, tshark decodes it and must see every field as it was
 * asked for, every checksum good and nothing malformed.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/packet.h"
#include "core/hash.h"
#include "tests/test.h"

#define N_FRAMES 600
#define LINE 512

static const char *const fields[] = {
	"eth.src",
	"eth.dst",
	"ieee8021ad.id",
	"ieee8021ad.priority",
	"vlan.id",
	"vlan.priority",
	"ip.src",
	"ip.dst",
	"ip.id",
	"ip.flags.df",
	"ip.ttl",
	"ip.dsfield",
	"ip.len",
	"ipv6.src",
	"ipv6.dst",
	"ipv6.hlim",
	"ipv6.tclass",
	"ipv6.plen",
	"udp.srcport",
	"udp.dstport",
	"udp.length",
	"tcp.srcport",
	"tcp.dstport",
	"tcp.seq_raw",
	"tcp.ack_raw",
	"tcp.flags",
	"tcp.window_size_value",
	"tcp.options.mss_val",
	"tcp.len",
	"icmp.type",
	"icmp.code",
	"icmp.ident",
	"icmp.seq",
	"icmpv6.type",
	"icmpv6.code",
	"icmpv6.echo.identifier",
	"icmpv6.echo.sequence_number",
	"arp.opcode",
	"arp.src.hw_mac",
	"arp.src.proto_ipv4",
	"arp.dst.hw_mac",
	"arp.dst.proto_ipv4",
	"ip.checksum.status",
	"udp.checksum.status",
	"tcp.checksum.status",
	"icmp.checksum.status",
	"icmpv6.checksum.status",
	"_ws.malformed",
};

struct line {
	char text[LINE];
	size_t len;
};

static struct line want[N_FRAMES];
static char dir[256];

static void put(struct line *l, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	l->len += (size_t)vsnprintf(l->text + l->len, LINE - l->len, format, ap);
	va_end(ap);
	if (l->len >= LINE)
		abort();
}

static void blank(struct line *l, int n)
{
	while (n--)
		put(l, ",");
}

static void put_mac(struct line *l, const u8 *m)
{
	put(l, "%02x:%02x:%02x:%02x:%02x:%02x,", m[0], m[1], m[2], m[3], m[4], m[5]);
}

static void put_ipv4(struct line *l, const u8 *a)
{
	put(l, "%u.%u.%u.%u,", a[0], a[1], a[2], a[3]);
}

/* Our addresses have no run of zero words to shorten. */
static void put_ipv6(struct line *l, const u8 *a)
{
	for (int i = 0; i < 16; i += 2)
		put(l, "%x%s", kt_get_be16(a + i), i < 14 ? ":" : ",");
}

static void put_link(struct line *l, const struct kt_packet_spec *s)
{
	put_mac(l, s->src_mac);
	put_mac(l, s->dst_mac);
	if (s->n_vlans == 2)
		put(l, "%u,%u,", s->vlan[0] & 0xfff, s->vlan[0] >> 13);
	else
		blank(l, 2);
	if (s->n_vlans)
		put(l, "%u,%u,", s->vlan[s->n_vlans - 1] & 0xfff, s->vlan[s->n_vlans - 1] >> 13);
	else
		blank(l, 2);
}

static void put_ip(struct line *l, const struct kt_packet_spec *s, u32 ip_payload)
{
	u32 ttl = s->ttl ? s->ttl : 64;

	if (s->flow.version == 4) {
		put_ipv4(l, s->flow.src);
		put_ipv4(l, s->flow.dst);
		put(l, "0x%04x,%u,%u,0x%02x,%u,", s->ip_id, s->dont_fragment, ttl, s->tos, ip_payload + 20);
		blank(l, 5);
		return;
	}
	blank(l, 7);
	put_ipv6(l, s->flow.src);
	put_ipv6(l, s->flow.dst);
	put(l, "%u,0x%08x,%u,", ttl, s->tos, ip_payload);
}

static void put_transport(struct line *l, const struct kt_packet_spec *s)
{
	const struct kt_flow *f = &s->flow;

	if (f->proto == KT_PROTO_UDP)
		put(l, "%u,%u,%u,", f->sport, f->dport, s->payload_bytes + 8);
	else
		blank(l, 3);
	if (f->proto == KT_PROTO_TCP) {
		put(l, "%u,%u,%u,%u,0x%04x,%u,", f->sport, f->dport, s->tcp_seq, s->tcp_ack, s->tcp_flags,
		    s->tcp_window ? s->tcp_window : 65535);
		if (s->tcp_mss_option)
			put(l, "%u", f->version == 4 ? 1460 : 1440);
		put(l, ",%u,", s->payload_bytes);
	} else {
		blank(l, 8);
	}
	/* each has four fields in a row: type, code, id, sequence */
	if (f->proto == KT_PROTO_ICMPV6)
		blank(l, 4);
	if (f->proto == KT_PROTO_ICMP)
		put(l, "%u,%u,%u,%u,", f->dport >> 8, f->dport & 255, s->icmp_id, s->icmp_seq);
	else if (f->proto == KT_PROTO_ICMPV6)
		put(l, "%u,%u,0x%04x,%u,", f->dport >> 8, f->dport & 255, s->icmp_id, s->icmp_seq);
	else
		blank(l, 4);
	if (f->proto != KT_PROTO_ICMPV6)
		blank(l, 4);
}

/* Good is 1; none malformed. */
static void put_verdicts(struct line *l, u8 version, u8 proto)
{
	put(l, "%s,", version == 4 ? "1" : "");
	put(l, "%s,%s,", proto == KT_PROTO_UDP ? "1" : "", proto == KT_PROTO_TCP ? "1" : "");
	put(l, "%s,%s,", proto == KT_PROTO_ICMP ? "1" : "", proto == KT_PROTO_ICMPV6 ? "1" : "");
}

static void expect(struct line *l, const struct kt_packet_spec *s)
{
	u32 header = s->flow.proto == KT_PROTO_TCP ? (s->tcp_mss_option ? 24 : 20) : 8;

	put_link(l, s);
	put_ip(l, s, header + s->payload_bytes);
	put_transport(l, s);
	blank(l, 5); /* ARP */
	put_verdicts(l, s->flow.version, s->flow.proto);
}

/* Ports and payload that no dissector of applications feels called by. */
static void choose(struct kt_packet_spec *s, u8 *payload, u32 i, u64 *seed)
{
	static const u8 protos[] = { KT_PROTO_UDP, KT_PROTO_TCP, KT_PROTO_ICMP };
	u8 *raw = (u8 *)s;

	for (u32 k = 0; k < sizeof(*s); k++)
		raw[k] = (u8)kt_hash_next(seed);
	s->src_mac[0] = s->dst_mac[0] = 2;
	s->n_vlans = (u8)(i % 3);
	s->dont_fragment = kt_hash_next(seed) & 1;
	s->tcp_mss_option = kt_hash_next(seed) & 1;
	s->flow.version = i / 3 & 1 ? 4 : 6;
	s->flow.proto = protos[i / 6 % 3];
	s->flow.sport = (u16)(40000 + i);
	s->flow.dport = (u16)(42000 + i);
	if (s->flow.proto == KT_PROTO_ICMP) {
		s->flow.dport = (u16)((s->flow.version == 4 ? 8 : 128) << 8);
		s->flow.proto = s->flow.version == 4 ? KT_PROTO_ICMP : KT_PROTO_ICMPV6;
	}
	s->flow.src[0] = s->flow.dst[0] = s->flow.version == 4 ? 10 : 0x20;
	for (u32 k = 1; k < 16; k++) {
		s->flow.src[k] |= 1;
		s->flow.dst[k] |= 1;
	}
	s->payload = payload;
	s->payload_bytes = i % 17 ? (u32)(kt_hash_next(seed) % 90) : i % 34 ? 8900 : 0;
	for (u32 k = 0; k < s->payload_bytes; k++)
		payload[k] = "the witness "[k % 12];
	for (u32 k = 0; k < 4 && k < s->payload_bytes; k++)
		payload[s->payload_bytes - 1 - k] = (u8)kt_hash_next(seed);
}

static void write_u32(FILE *f, u32 v)
{
	if (fwrite(&v, 4, 1, f) != 1)
		abort();
}

/* In this machine's byte order, as the magic number tells. */
static void write_record(FILE *f, u32 number, const u8 *frame, int len)
{
	CHECK(len > 0);
	write_u32(f, number);
	write_u32(f, 0);
	write_u32(f, (u32)len);
	write_u32(f, (u32)len);
	if (fwrite(frame, (size_t)len, 1, f) != 1)
		abort();
}

static void write_frames(FILE *f)
{
	static const u8 mac[6] = { 2, 1, 2, 3, 4, 5 }, other[6] = { 2, 9, 8, 7, 6, 5 };
	static const u8 ip[4] = { 192, 0, 2, 1 }, target[4] = { 192, 0, 2, 99 };
	static u8 payload[9000], frame[9100];
	struct kt_packet_spec s;
	u64 seed = 1;

	write_u32(f, 0xa1b2c3d4);
	write_u32(f, kt_be32(2u << 16 | 4) == (2u << 16 | 4) ? 2u << 16 | 4 : 4u << 16 | 2);
	write_u32(f, 0);
	write_u32(f, 0);
	write_u32(f, 65535);
	write_u32(f, 1); /* Ethernet */
	for (u32 i = 0; i < N_FRAMES - 1; i++) {
		choose(&s, payload, i, &seed);
		write_record(f, i, frame, kt_packet_build(&s, frame, sizeof(frame)));
		expect(&want[i], &s);
	}
	write_record(f, N_FRAMES - 1, frame,
		     kt_packet_build_arp(frame, sizeof(frame), 2, mac, other, ip, other, target));
	s = (struct kt_packet_spec){ 0 };
	memcpy(s.src_mac, mac, 6);
	memcpy(s.dst_mac, other, 6);
	put_link(&want[N_FRAMES - 1], &s);
	blank(&want[N_FRAMES - 1], 12 + 3 + 8 + 8);
	put(&want[N_FRAMES - 1], "2,");
	put_mac(&want[N_FRAMES - 1], mac);
	put_ipv4(&want[N_FRAMES - 1], ip);
	put_mac(&want[N_FRAMES - 1], other);
	put_ipv4(&want[N_FRAMES - 1], target);
	put_verdicts(&want[N_FRAMES - 1], 6, 0);
}

static FILE *run_tshark(const char *pcap)
{
	static char command[4096];
	size_t n = (size_t)snprintf(command, sizeof(command),
				    "HOME=%s tshark -n -r %s -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE"
				    " -o udp.check_checksum:TRUE -o tcp.desegment_tcp_streams:FALSE"
				    " -T fields -E separator=, -E occurrence=a -E aggregator=+",
				    dir, pcap);

	for (size_t i = 0; i < KT_ARRAY_LEN(fields); i++)
		n += (size_t)snprintf(command + n, sizeof(command) - n, " -e %s", fields[i]);
	snprintf(command + n, sizeof(command) - n, " 2>%s/err", dir);
	return popen(command, "r");
}

static u32 compare(FILE *out, char *why, size_t cap)
{
	char line[LINE];
	u32 n = 0;

	for (; fgets(line, sizeof(line), out); n++) {
		line[strcspn(line, "\n")] = 0;
		if (!*why && (n >= N_FRAMES || strcmp(line, want[n].text)))
			snprintf(why, cap, "frame %u: tshark sees\n#  %.220s, not\n#  %.220s", n + 1, line,
				 n < N_FRAMES ? want[n].text : "nothing");
	}
	return n;
}

static void t_tshark_sees_what_was_built(void)
{
	char pcap[300], command[300], why[600] = "";
	FILE *f, *out;
	u32 n = 0;
	int status = -1;

	if (system("command -v tshark >/dev/null 2>&1"))
		SKIP("tshark is not installed (scripts/deps.sh test)");
	snprintf(dir, sizeof(dir), "%s/kt-witness-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	CHECK(mkdtemp(dir));
	snprintf(pcap, sizeof(pcap), "%s/built.pcap", dir);
	f = fopen(pcap, "w");
	CHECK(f);
	write_frames(f);
	CHECK_EQ(fclose(f), 0);
	out = run_tshark(pcap);
	if (out) {
		n = compare(out, why, sizeof(why));
		status = pclose(out);
	}
	if (!status && !*why) {
		snprintf(command, sizeof(command), "rm -rf %s", dir);
		CHECK_EQ(system(command), 0);
	}
	if (*why)
		TEST_FAIL("%s (left in %s)", why, dir);
	CHECK_EQ(status, 0);
	CHECK_EQ(n, N_FRAMES);
}

TEST_MAIN(T(t_tshark_sees_what_was_built))

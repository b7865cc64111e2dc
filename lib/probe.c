/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Probes: everything in one is derived from the series' key, the addresses and its number. See probe.h. */
#include "probe.h"

#include "../core/hash.h"
#include "dns.h"

_Static_assert((int)KTRXER_PROBE_ICMP == KT_SERIES_ICMP && (int)KTRXER_PROBE_UDP == KT_SERIES_UDP &&
		       (int)KTRXER_PROBE_SYN == KT_SERIES_SYN && (int)KTRXER_PROBE_DNS == KT_SERIES_DNS,
	       "a kind has one number");

int kt_probe_check(const struct ktrxer_probe *p, const char **why)
{
	u8 name[KT_DNS_MAX_NAME];

	*why = NULL;
	if (p->sz != sizeof(*p))
		*why = "the size of the series is not set, or of another version of the library";
	else if ((unsigned int)p->kind > KTRXER_PROBE_DNS)
		*why = "there is no such kind of probe";
	else if (p->n_vlans > KT_MAX_VLANS)
		*why = "at most two VLAN tags can be sent";
	else if (p->payload_bytes > KT_SERIES_MAX_PAYLOAD)
		*why = "the payload is longer than 9216 bytes";
	else if (p->payload_bytes && (p->kind == KTRXER_PROBE_SYN || p->kind == KTRXER_PROBE_DNS))
		*why = "only ICMP and UDP probes take a payload length";
	else if (kt_probe_sport_hi(p) < kt_probe_sport_lo(p))
		*why = "the range of source ports ends before it begins";
	else if (p->kind == KTRXER_PROBE_DNS && kt_dns_encode_name(name, p->dns_name) < 0)
		*why = "the DNS name has an empty label, one over 63 characters, or more than 255 in all";
	return *why ? -EINVAL : 0;
}

/* payload of at least KT_SERIES_MAX_PAYLOAD bytes; returns how many are used. */
static u32 build_payload(const struct ktrxer_probe *p, const struct kt_series *series, u8 version, u64 h, u64 seq,
			 u64 now_ns, u8 *payload)
{
	bool with_time = p->payload_bytes >= KT_SERIES_TIME_PAYLOAD;

	if (p->kind == KTRXER_PROBE_DNS)
		return (u32)kt_dns_encode_query(payload, kt_series_dns_id(h, (u16)seq), p->dns_name,
						kt_probe_dns_type(p, version));
	if (p->kind == KTRXER_PROBE_SYN)
		return 0;
	for (u32 i = 0; i < p->payload_bytes; i++)
		payload[i] = (u8)i;
	if (p->payload_bytes >= KT_SERIES_SEQ_PAYLOAD) {
		kt_put_be64(payload, kt_series_mac(series, h, seq, now_ns, with_time));
		kt_put_be64(payload + 8, seq);
		if (with_time)
			kt_put_be64(payload + 16, now_ns);
	}
	return p->payload_bytes;
}

static void set_transport(const struct ktrxer_probe *p, const struct kt_series *series, u64 h, u64 seq,
			  struct kt_packet_spec *s)
{
	bool v4 = s->flow.version == 4;

	if (p->kind == KTRXER_PROBE_ICMP) {
		s->flow.proto = v4 ? KT_PROTO_ICMP : KT_PROTO_ICMPV6;
		s->flow.dport = v4 ? 8 << 8 : 128 << 8;
		s->icmp_id = kt_series_icmp_id(h);
		s->icmp_seq = (u16)seq;
		return;
	}
	s->flow.sport = kt_series_sport(series, h);
	s->flow.dport = series->dport;
	s->flow.proto = p->kind == KTRXER_PROBE_SYN ? KT_PROTO_TCP : KT_PROTO_UDP;
	if (p->kind == KTRXER_PROBE_SYN) {
		s->tcp_seq = kt_series_tcp_seq(h, (u16)seq);
		s->tcp_flags = KT_TCP_SYN;
		s->tcp_mss_option = true;
	}
}

KTRXER_API int ktrxer_probe_build(const struct ktrxer_probe *p, const struct ktrxer_path *path,
				  const struct ktrxer_addr *target, uint64_t seq, uint64_t now_ns, uint8_t *buf,
				  uint32_t cap)
{
	struct kt_packet_spec s = {
		.n_vlans = p->n_vlans,
		.vlan = { p->vlan[0], p->vlan[1] },
		.ttl = p->ttl,
		.tos = p->tos,
		.ip_id = (u16)seq,
		.dont_fragment = true,
	};
	struct kt_series series = kt_probe_series(p);
	u8 payload[KT_SERIES_MAX_PAYLOAD];
	const char *why;
	u64 h;
	int n;

	if (kt_probe_check(p, &why) || (target->version != 4 && target->version != 6) ||
	    path->src.version != target->version || (p->kind != KTRXER_PROBE_ICMP && !series.dport))
		return -EINVAL;
	memcpy(s.src_mac, path->src_mac, 6);
	memcpy(s.dst_mac, path->dst_mac, 6);
	s.flow.version = target->version;
	memcpy(s.flow.src, path->src.bytes, 16);
	memcpy(s.flow.dst, target->bytes, 16);
	h = kt_series_hash(&series, target->version, path->src.bytes, target->bytes, series.dport, (u16)seq);
	set_transport(p, &series, h, seq, &s);
	s.payload = payload;
	s.payload_bytes = build_payload(p, &series, target->version, h, seq, now_ns, payload);
	n = kt_packet_build(&s, buf, cap);
	if (n > 0 && path->mtu && (u32)n > path->mtu + KT_ETH_BYTES + KT_VLAN_BYTES * (u32)p->n_vlans)
		return -EMSGSIZE;
	return n;
}

int kt_probe_template(struct kt_template *t, const struct ktrxer_probe *p, const struct ktrxer_path *path)
{
	struct kt_series series = kt_probe_series(p);
	struct ktrxer_addr target = { .version = path->src.version };
	struct ktrxer_probe any = *p;
	u8 frame[KT_TEMPLATE_MAX_FRAME];
	int n;

	if (p->kind != KTRXER_PROBE_ICMP && !p->dport)
		any.dport = 1;
	n = ktrxer_probe_build(&any, path, &target, 0, 0, frame, sizeof(frame));
	return n < 0 ? n : kt_template_init(t, &series, frame, (u32)n);
}

KTRXER_API const char *ktrxer_answer_name(enum ktrxer_answer answer)
{
	static const char *const names[] = {
		[KTRXER_ANSWER_NONE] = "none",
		[KTRXER_ANSWER_REPLY] = "reply",
		[KTRXER_ANSWER_SYNACK] = "syn-ack",
		[KTRXER_ANSWER_RST] = "rst",
		[KTRXER_ANSWER_UNREACH_PORT] = "unreach-port",
		[KTRXER_ANSWER_UNREACH_HOST] = "unreach-host",
		[KTRXER_ANSWER_UNREACH_NET] = "unreach-net",
		[KTRXER_ANSWER_UNREACH_ADMIN] = "unreach-admin",
		[KTRXER_ANSWER_UNREACH_OTHER] = "unreach-other",
		[KTRXER_ANSWER_TTL_EXCEEDED] = "ttl-exceeded",
	};

	return (unsigned int)answer < KT_ARRAY_LEN(names) ? names[answer] : "unknown";
}

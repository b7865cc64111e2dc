/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Frames by template. The sums of the constant part are kept with the
 * changing fields at zero; a probe adds its fields. One's complement sums of equal
 * data fold to equal checksums, so no frame differs from one built whole.
 */
#include "template.h"

#include "checksum.h"

static inline u64 sum32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline u64 sum_address(const u8 *p, u8 version)
{
	return version == 4 ? sum32(p) : sum32(p) + sum32(p + 4) + sum32(p + 8) + sum32(p + 12);
}

static u32 dst_off(const struct kt_template *t)
{
	return t->l3 + (t->version == 4 ? 16 : 24);
}

/* Zeroes what every probe has of its own. */
static void clear_fields(struct kt_template *t)
{
	u8 *f = t->frame, *l4 = t->frame + t->l4;

	memset(f + dst_off(t), 0, t->version == 4 ? 4 : 16);
	if (t->version == 4) {
		memset(f + t->l3 + 4, 0, 2);
		memset(f + t->l3 + 10, 0, 2);
	}
	memset(f + t->l4_check, 0, 2);
	switch (t->series.kind) {
	case KT_SERIES_ICMP:
		memset(l4 + 4, 0, 4);
		break;
	case KT_SERIES_SYN:
		memset(l4, 0, 8);
		break;
	default:
		memset(l4, 0, 4);
	}
	if (t->series.kind == KT_SERIES_DNS)
		memset(f + t->dns_id_off, 0, 2);
	if (t->series.payload_bytes >= KT_SERIES_SEQ_PAYLOAD)
		memset(l4 + 8, 0, t->series.payload_bytes >= KT_SERIES_TIME_PAYLOAD ? 24 : 16);
}

/* Does the series say all that there is to know, and can it be? */
static bool is_series(const struct kt_series *s)
{
	bool takes_payload = s->kind == KT_SERIES_ICMP || s->kind == KT_SERIES_UDP;

	return s->kind < KT_SERIES_KINDS && s->sport_lo <= s->sport_hi && s->payload_bytes <= KT_SERIES_MAX_PAYLOAD &&
	       (takes_payload || !s->payload_bytes);
}

/* Is k one of the series' probes, so that everything that will be written lies within it? */
static bool is_probe(const struct kt_series *s, const struct kt_packet *k, u32 len)
{
	static const u8 proto[] = { [KT_SERIES_ICMP] = KT_PROTO_ICMP,
				    [KT_SERIES_UDP] = KT_PROTO_UDP,
				    [KT_SERIES_SYN] = KT_PROTO_TCP,
				    [KT_SERIES_DNS] = KT_PROTO_UDP };
	u8 version = k->flow.version;
	u32 header = version == 4 ? 20 : 40;

	if ((version != 4 && version != 6) || k->flags || !k->payload_off)
		return false;
	if (k->flow.proto != (s->kind == KT_SERIES_ICMP && version == 6 ? KT_PROTO_ICMPV6 : proto[s->kind]))
		return false;
	if (k->l4_off != k->l3_off + header || k->l3_bytes != len - k->l3_off)
		return false;
	switch (s->kind) {
	case KT_SERIES_SYN:
		return true;
	case KT_SERIES_DNS:
		return k->payload_off == k->l4_off + 8 && len >= k->payload_off + 2;
	default:
		return len == k->l4_off + 8 + s->payload_bytes;
	}
}

int kt_template_init(struct kt_template *t, const struct kt_series *s, const u8 *frame, u32 len)
{
	static const u8 check_off[] = {
		[KT_SERIES_ICMP] = 2, [KT_SERIES_UDP] = 6, [KT_SERIES_SYN] = 16, [KT_SERIES_DNS] = 6
	};
	static const u8 nobody[16];
	struct kt_packet k;

	if (!is_series(s) || len > sizeof(t->frame) || kt_packet_parse(&k, frame, len, len) || !is_probe(s, &k, len))
		return -EINVAL;
	memcpy(t->frame, frame, len);
	t->series = *s;
	memcpy(t->src, k.flow.src, sizeof(t->src));
	t->version = k.flow.version;
	t->len = len;
	t->l3 = k.l3_off;
	t->l4 = k.l4_off;
	t->l4_check = k.l4_off + check_off[s->kind];
	t->dns_id_off = s->kind == KT_SERIES_DNS ? (u16)k.payload_off : 0;
	clear_fields(t);
	t->port = s->dport;
	t->hash = kt_series_hash_start(s, t->version, t->src, t->port);
	t->has_last = false;
	t->l3_sum = t->version == 4 ? kt_checksum_add(0, t->frame + t->l3, 20) : 0;
	t->l4_sum = kt_checksum_add(0, t->frame + t->l4, t->len - t->l4);
	if (t->version == 6 || s->kind != KT_SERIES_ICMP)
		t->l4_sum += kt_checksum_pseudo(t->version, t->src, nobody, k.flow.proto, t->len - t->l4);
	return 0;
}

/* Payload behind an ICMP or UDP header; returns the sum of what it wrote. */
static inline u64 fill_payload(const struct kt_template *t, u64 seq, u64 now_ns, u8 *payload)
{
	bool with_time = t->series.payload_bytes >= KT_SERIES_TIME_PAYLOAD;
	u64 sum, mac, number = kt_be64(seq), time = kt_be64(now_ns);

	if (t->series.payload_bytes < KT_SERIES_SEQ_PAYLOAD)
		return 0;
	mac = kt_be64(kt_series_mac_end(t->mac, seq, with_time ? now_ns : 0));
	memcpy(payload, &mac, 8);
	memcpy(payload + 8, &number, 8);
	sum = kt_checksum_narrow(mac) + kt_checksum_narrow(number);
	if (!with_time)
		return sum;
	memcpy(payload + 16, &time, 8);
	return sum + kt_checksum_narrow(time);
}

/* What is written is summed from its value: reading it back at another width would wait for the writes. */
static inline u64 fill_transport(const struct kt_template *t, u64 h, u16 port, u64 seq, u64 now_ns, u8 *buf)
{
	u8 *l4 = buf + t->l4;
	u32 first, second;
	u16 id;

	if (t->series.kind == KT_SERIES_ICMP) {
		first = kt_be32((u32)kt_series_icmp_id(h) << 16 | (u16)seq);
		memcpy(l4 + 4, &first, 4);
	} else {
		first = kt_be32((u32)kt_series_sport(&t->series, h) << 16 | port);
		memcpy(l4, &first, 4);
	}
	if (t->series.kind == KT_SERIES_SYN) {
		second = kt_be32(kt_series_tcp_seq(h, (u16)seq));
		memcpy(l4 + 4, &second, 4);
		return (u64)first + second;
	}
	if (t->series.kind == KT_SERIES_DNS) {
		id = kt_be16(kt_series_dns_id(h, (u16)seq));
		memcpy(buf + t->dns_id_off, &id, 2);
		return (u64)first + id;
	}
	return first + fill_payload(t, seq, now_ns, l4 + 8);
}

/* A call of memcpy() for a few dozen bytes costs more than the bytes: two overlapping pieces of fixed length. */
static inline void copy_frame(u8 *to, const u8 *from, u32 len)
{
	if (len > 64 || len < 32) {
		memcpy(to, from, len);
		return;
	}
	memcpy(to, from, 32);
	memcpy(to + len - 32, from + len - 32, 32);
}

static inline bool is_last(const struct kt_template *t, const u8 *target)
{
	return t->has_last && !(t->version == 4 ? memcmp(t->target, target, 4) : memcmp(t->target, target, 16));
}

/* Apart from what is done for every probe, which has no need of the room on the stack that this takes. */
static KT_NOINLINE u64 hash_anew(struct kt_template *t, const u8 *target, u16 port, u64 seq)
{
	if (KT_UNLIKELY(port != t->port)) {
		t->port = port;
		t->hash = kt_series_hash_start(&t->series, t->version, t->src, port);
	}
	t->last = kt_series_hash_end(t->hash, &t->series, t->version, t->src, target, (u16)seq);
	memcpy(t->target, target, t->version == 4 ? 4 : 16);
	t->has_last = t->series.kind != KT_SERIES_SYN; /* there it is of seq, too */
	if (t->series.payload_bytes >= KT_SERIES_SEQ_PAYLOAD)
		t->mac = kt_series_mac_start(&t->series, t->last);
	return t->last;
}

static inline u64 hash_of(struct kt_template *t, const u8 *target, u16 port, u64 seq)
{
	return port == t->port && is_last(t, target) ? t->last : hash_anew(t, target, port, seq);
}

u32 kt_template_refill(struct kt_template *t, const u8 *target, u16 port, u64 seq, u64 now_ns, u8 *buf)
{
	u8 *l3 = buf + t->l3;
	u64 h, dst_sum, sum;
	u16 check, id;

	if (t->series.kind == KT_SERIES_ICMP || !port)
		port = t->series.dport;
	h = hash_of(t, target, port, seq);
	dst_sum = sum_address(target, t->version);
	if (t->version == 4) {
		memcpy(l3 + 16, target, 4);
		id = kt_be16((u16)seq);
		memcpy(l3 + 4, &id, 2);
		check = kt_checksum_fold(t->l3_sum + dst_sum + id);
		memcpy(l3 + 10, &check, 2);
	} else {
		memcpy(l3 + 24, target, 16);
	}
	sum = t->l4_sum + fill_transport(t, h, port, seq, now_ns, buf);
	if (t->version == 6 || t->series.kind != KT_SERIES_ICMP)
		sum += dst_sum;
	check = kt_checksum_fold(sum);
	if (!check && (t->series.kind == KT_SERIES_UDP || t->series.kind == KT_SERIES_DNS))
		check = 0xffff; /* zero would say "no checksum" */
	memcpy(buf + t->l4_check, &check, 2);
	return t->len;
}

u32 kt_template_fill(struct kt_template *t, const u8 *target, u16 port, u64 seq, u64 now_ns, u8 *buf)
{
	copy_frame(buf, t->frame, t->len);
	return kt_template_refill(t, target, port, seq, now_ns, buf);
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Frames by template. The sums of the constant part are kept with the
 * changing fields at zero; a probe adds its fields. One's complement sums of equal
 * data fold to equal checksums, so no frame differs from one built whole.
 */
#include "template.h"

#include "../core/checksum.h"

static inline u64 sum16(const u8 *p)
{
	u16 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

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
	switch (t->probe.kind) {
	case KTRXER_PROBE_ICMP:
		memset(l4 + 4, 0, 4);
		break;
	case KTRXER_PROBE_SYN:
		memset(l4, 0, 8);
		break;
	case KTRXER_PROBE_DNS:
		memset(f + t->dns_id_off, 0, 2);
		/* fall through */
	default:
		memset(l4, 0, 4);
	}
	if (t->probe.payload_bytes >= KT_PROBE_SEQ_PAYLOAD)
		memset(l4 + 8, 0, t->probe.payload_bytes >= KT_PROBE_TIME_PAYLOAD ? 24 : 16);
}

int kt_template_init(struct kt_template *t, const struct ktrxer_probe *p, const struct ktrxer_path *path)
{
	static const u8 check_off[] = {
		[KTRXER_PROBE_ICMP] = 2, [KTRXER_PROBE_UDP] = 6, [KTRXER_PROBE_SYN] = 16, [KTRXER_PROBE_DNS] = 6
	};
	static const u8 nobody[16];
	struct ktrxer_probe any = *p;
	struct ktrxer_addr target = { .version = path->src.version };
	struct kt_packet k;
	int n;

	if (p->kind != KTRXER_PROBE_ICMP && !p->dport)
		any.dport = 1;
	n = ktrxer_probe_build(&any, path, &target, 0, 0, t->frame, sizeof(t->frame));
	if (n < 0)
		return n;
	kt_packet_parse(&k, t->frame, (u32)n, (u32)n);
	t->probe = *p;
	t->src = path->src;
	t->version = path->src.version;
	t->len = (u32)n;
	t->l3 = k.l3_off;
	t->l4 = k.l4_off;
	t->l4_check = k.l4_off + check_off[p->kind];
	t->dns_id_off = p->kind == KTRXER_PROBE_DNS ? (u16)k.payload_off : 0;
	clear_fields(t);
	t->l3_sum = t->version == 4 ? kt_checksum_add(0, t->frame + t->l3, 20) : 0;
	t->l4_sum = kt_checksum_add(0, t->frame + t->l4, t->len - t->l4);
	if (t->version == 6 || p->kind != KTRXER_PROBE_ICMP)
		t->l4_sum += kt_checksum_pseudo(t->version, t->src.bytes, nobody, k.flow.proto, t->len - t->l4);
	return 0;
}

/* Payload behind an ICMP or UDP header; returns the sum of what it wrote. */
static inline u64 fill_payload(const struct kt_template *t, u64 h, u64 seq, u64 now_ns, u8 *payload)
{
	bool with_time = t->probe.payload_bytes >= KT_PROBE_TIME_PAYLOAD;
	u64 sum;

	if (t->probe.payload_bytes < KT_PROBE_SEQ_PAYLOAD)
		return 0;
	kt_put_be64(payload, kt_probe_mac(&t->probe, h, seq, now_ns, with_time));
	kt_put_be64(payload + 8, seq);
	sum = sum32(payload) + sum32(payload + 4) + sum32(payload + 8) + sum32(payload + 12);
	if (!with_time)
		return sum;
	kt_put_be64(payload + 16, now_ns);
	return sum + sum32(payload + 16) + sum32(payload + 20);
}

static inline u64 fill_transport(const struct kt_template *t, u64 h, u16 port, u64 seq, u64 now_ns, u8 *buf)
{
	u8 *l4 = buf + t->l4;

	if (t->probe.kind == KTRXER_PROBE_ICMP) {
		kt_put_be16(l4 + 4, kt_probe_icmp_id(h));
		kt_put_be16(l4 + 6, (u16)seq);
		return sum32(l4 + 4) + fill_payload(t, h, seq, now_ns, l4 + 8);
	}
	kt_put_be16(l4, kt_probe_sport(&t->probe, h));
	kt_put_be16(l4 + 2, port);
	if (t->probe.kind == KTRXER_PROBE_SYN) {
		kt_put_be32(l4 + 4, kt_probe_tcp_seq(h, (u16)seq));
		return sum32(l4) + sum32(l4 + 4);
	}
	if (t->probe.kind == KTRXER_PROBE_DNS) {
		kt_put_be16(buf + t->dns_id_off, kt_probe_dns_id(h, (u16)seq));
		return sum32(l4) + sum16(buf + t->dns_id_off);
	}
	return sum32(l4) + fill_payload(t, h, seq, now_ns, l4 + 8);
}

u32 kt_template_fill(const struct kt_template *t, const struct ktrxer_addr *target, u16 port, u64 seq, u64 now_ns,
		     u8 *buf)
{
	u8 *l3 = buf + t->l3;
	u64 h, dst_sum, sum;
	u16 check;

	if (t->probe.kind == KTRXER_PROBE_ICMP || !port)
		port = kt_probe_dport(&t->probe);
	h = kt_probe_hash(&t->probe, t->version, t->src.bytes, target->bytes, port, (u16)seq);
	memcpy(buf, t->frame, t->len);
	dst_sum = sum_address(target->bytes, t->version);
	if (t->version == 4) {
		memcpy(l3 + 16, target->bytes, 4);
		kt_put_be16(l3 + 4, (u16)seq);
		check = kt_checksum_fold(t->l3_sum + dst_sum + sum16(l3 + 4));
		memcpy(l3 + 10, &check, 2);
	} else {
		memcpy(l3 + 24, target->bytes, 16);
	}
	sum = t->l4_sum + fill_transport(t, h, port, seq, now_ns, buf);
	if (t->version == 6 || t->probe.kind != KTRXER_PROBE_ICMP)
		sum += dst_sum;
	check = kt_checksum_fold(sum);
	if (!check && (t->probe.kind == KTRXER_PROBE_UDP || t->probe.kind == KTRXER_PROBE_DNS))
		check = 0xffff; /* zero would say "no checksum" */
	memcpy(buf + t->l4_check, &check, 2);
	return t->len;
}

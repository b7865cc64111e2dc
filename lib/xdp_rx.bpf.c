/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The receiving program: stamps a frame, parses it, finds its rule, delivers
 * what the rule asks for, rewrites, and says whether the host gets it. Every
 * frame is counted once: by the reader if it went into the ring, else in totals.
 */
#include "../core/checksum.h"
#include "../core/slice.h"
#include "xdp_shared.h"

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "xdp_parse.h"

static __always_inline void *map_cell(const void *map, u32 i);
#define KT_CELL(img, i) map_cell((img)->cells, i)
#include "../core/classify.h"

#define MAX_STEPS (1u << 20)
#define RECORD_TRUNCATED (1u << 1) /* KT_RECORD_TRUNCATED; core/ring.h has atomics that BPF does not */

char LICENSE[] SEC("license") = "Dual MIT/GPL";

const volatile struct kt_xdp_consts consts;
struct kt_xdp_control control;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ring SEC(".maps");

/* Sizes are set when it is created; as an inner map it may have any. */
struct set_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u32));
	__uint(value_size, KT_XDP_CELL_BYTES);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, u32);
	__array(values, struct set_map);
} sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct kt_xdp_totals);
} totals SEC(".maps");

/* Frames on their way out of an interface, newest in bit 0; 1: was delivered too, so is no loss. */
struct outgoing {
	u64 delivered;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 256);
	__type(key, u32);
	__type(value, struct outgoing);
} outgoing SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} last_out SEC(".maps");

/* The frame at hand; the stack is too small for it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct parse);
} parses SEC(".maps");

static __always_inline void *map_cell(const void *map, u32 i)
{
	return bpf_map_lookup_elem((void *)map, &i);
}

static __always_inline struct kt_xdp_totals *my_totals(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&totals, &zero);
}

/* --- Which rule ------------------------------------------------------------------ */

struct walk {
	struct kt_search s;
	struct kt_image img; /* cells is the map */
	u32 actions;
	u32 states;
};

static __always_inline struct kt_xdp_state *state_of(const void *map, u32 states, u32 rule)
{
	struct kt_xdp_state *c = map_cell(map, states + rule / KT_XDP_PER_CELL);

	return c ? c + rule % KT_XDP_PER_CELL : NULL;
}

/* One step of the search; when it ends at a rule whose quota is used up, it starts anew behind that rule. */
static long walk_step(u32 i, struct walk *w)
{
	const struct kt_xdp_action *a;
	struct kt_xdp_state *st;
	u32 rule;

	if (!kt_search_step(&w->s, &w->img))
		return 0;
	rule = w->s.best;
	if (rule == KT_NO_RULE)
		return 1;
	a = map_cell(w->img.cells, w->actions + 2 * rule);
	if (!a || !a->quota_pkts)
		return 1;
	st = state_of(w->img.cells, w->states, rule);
	if (st && __sync_fetch_and_add(&st->used, 1) < a->quota_pkts)
		return 1;
	kt_search_again(&w->s, rule + 1);
	return 0;
}

/*
 * Index of the rule, or KT_NO_RULE. Before Linux 6.7 the verifier looks at one round of a loop only, and
 * takes away what that round cannot reach. So the search starts from numbers that it does not know.
 */
static __always_inline u32 find_rule(const void *map, const struct kt_xdp_set *set, const struct parse *p)
{
	struct walk w = { .img.cells = map, .actions = set->actions, .states = set->states };

	if (!kt_search_begin(&w.s, &w.img, &p->p.flow, p->zero))
		return KT_NO_RULE;
	w.s.cell = *(const volatile u32 *)&p->zero;
	w.s.best = ~*(const volatile u32 *)&p->zero;
	bpf_loop(MAX_STEPS, walk_step, &w, 0);
	return w.s.best;
}

static __always_inline void count_match(const void *map, const struct kt_xdp_set *set, u32 rule, u32 wirelen)
{
	u32 column = bpf_get_smp_processor_id() & (set->n_columns - 1);
	struct kt_xdp_count *c = map_cell(map, set->counts + column * set->column_cells + rule / KT_XDP_PER_CELL);

	if (!c)
		return;
	c += rule % KT_XDP_PER_CELL;
	if (set->shared_columns) {
		__sync_fetch_and_add(&c->pkts, 1);
		__sync_fetch_and_add(&c->bytes, wirelen);
	} else {
		c->pkts++;
		c->bytes += wirelen;
	}
}

/* --- Delivering -------------------------------------------------------------------- */

struct delivery {
	u64 stamp_ns;
	u32 off;
	u32 bytes;
	u32 wirelen;
};

/* Record sizes: what is reserved must be a constant. Steps are small where most frames are. */
#define WITH_SIZE(size) \
	if (d->bytes <= (size) - sizeof(struct kt_xdp_record)) { \
		struct kt_xdp_record *rec = bpf_ringbuf_reserve(&ring, size, 0); \
\
		if (!rec) \
			return false; \
		fill_record(rec, ctx, a, d); \
		copy_bytes(rec, ctx, d, (size) - sizeof(struct kt_xdp_record)); \
		bpf_ringbuf_submit(rec, BPF_RB_NO_WAKEUP); \
		goto submitted; \
	}

/* max bytes at most, which the verifier of Linux 6.1 understands only as two signed comparisons. */
static __always_inline void copy_bytes(struct kt_xdp_record *rec, struct xdp_md *ctx, const struct delivery *d, s64 max)
{
	s64 bytes = d->bytes;

	__asm__ volatile("" : "+r"(bytes));
	if (bytes <= 0)
		return;
	__asm__ volatile("" : "+r"(bytes));
	if (bytes > max)
		return;
	if (bpf_xdp_load_bytes(ctx, d->off, rec + 1, (u32)bytes)) {
		rec->caplen = 0;
		rec->flags |= RECORD_TRUNCATED;
	}
}

static __always_inline void fill_record(struct kt_xdp_record *rec, struct xdp_md *ctx, const struct kt_xdp_action *a,
					const struct delivery *d)
{
	rec->stamp_ns = d->stamp_ns;
	rec->caplen = d->bytes;
	rec->wirelen = d->wirelen;
	rec->ifindex = ctx->ingress_ifindex;
	rec->rule_id = a->rule_id;
	rec->tag = a->tag;
	rec->slice_off = d->off;
	rec->op = a->op;
	rec->flags = 0;
}

/*
 * The reader says that it sleeps and looks once more before it does; we submit
 * (a full barrier in the kernel) and then look whether it sleeps. So one
 * of the two sees the other.
 */
static __always_inline void wake_reader(void)
{
	void *r;

	if (!*(volatile u32 *)&control.asleep)
		return;
	r = bpf_ringbuf_reserve(&ring, 8, 0);
	if (!r)
		return;
	*(volatile u32 *)&control.asleep = 0;
	bpf_ringbuf_discard(r, BPF_RB_FORCE_WAKEUP);
}

KT_VERIFIED_ALONE int deliver(struct xdp_md *ctx, const struct kt_xdp_action *a, const struct delivery *d)
{
	if (!ctx || !a || !d)
		return false;
	WITH_SIZE(104)
	WITH_SIZE(128)
	WITH_SIZE(192)
	WITH_SIZE(256)
	WITH_SIZE(384)
	WITH_SIZE(512)
	WITH_SIZE(768)
	WITH_SIZE(1024)
	WITH_SIZE(1600)
	WITH_SIZE(2112)
	WITH_SIZE(4160)
	WITH_SIZE(9344)
	WITH_SIZE(65664)
	return false;
submitted:
	wake_reader();
	return true;
}

/* --- Rewriting ----------------------------------------------------------------------- */

static __always_inline void update16(u16 *sum, u8 *at, u16 to)
{
	u16 from;

	memcpy(&from, at, 2);
	memcpy(at, &to, 2);
	if (sum)
		*sum = kt_checksum_update16(*sum, from, to);
}

/* An address of n words; sums of the IP header and of the transport, either may be NULL. */
static __always_inline void rewrite_addr(u8 *at, const u8 *to, u32 n, u16 *ip_sum, u16 *l4_sum)
{
	for (u32 i = 0; i < n; i++) {
		u16 from, v;

		memcpy(&from, at + 2 * i, 2);
		memcpy(&v, to + 2 * i, 2);
		memcpy(at + 2 * i, &v, 2);
		if (ip_sum)
			*ip_sum = kt_checksum_update16(*ip_sum, from, v);
		if (l4_sum)
			*l4_sum = kt_checksum_update16(*l4_sum, from, v);
	}
}

/* Ports; and the transport's checksum, brought in line with what changed in the IP header. */
static __always_inline void rewrite_l4(struct xdp_md *ctx, const struct kt_packet *p, const struct kt_rewrite *rw,
				       u32 flags, u16 delta)
{
	u8 *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end, *l4;
	u32 sum_off, off = p->l4_off;
	u16 sum, was;

	if (!off || off > MAX_OFF)
		return;
	l4 = data + off;
	if (p->flow.proto == KT_PROTO_TCP)
		sum_off = 16;
	else if (p->flow.proto == KT_PROTO_UDP)
		sum_off = 6;
	else if (p->flow.proto == KT_PROTO_ICMPV6 && p->flow.version == 6)
		sum_off = 2;
	else
		return;
	if (l4 + 18 > data_end && (sum_off == 16 || l4 + 8 > data_end))
		return;
	if (l4 + 8 > data_end)
		return;
	if (sum_off == 16) {
		if (l4 + 18 > data_end)
			return;
		memcpy(&sum, l4 + 16, 2);
	} else if (sum_off == 6) {
		memcpy(&sum, l4 + 6, 2);
	} else {
		memcpy(&sum, l4 + 2, 2);
	}
	was = sum;
	sum = kt_checksum_update16(sum, 0, delta);
	if (sum_off != 2 && (flags & KT_REWRITE_SPORT))
		update16(&sum, l4, kt_be16(rw->sport));
	if (sum_off != 2 && (flags & KT_REWRITE_DPORT))
		update16(&sum, l4 + 2, kt_be16(rw->dport));
	if (sum_off == 16) {
		memcpy(l4 + 16, &sum, 2);
	} else if (sum_off == 6) {
		if (was) { /* 0: the sender gave none */
			sum = sum ? sum : 0xffff;
			memcpy(l4 + 6, &sum, 2);
		}
	} else {
		memcpy(l4 + 2, &sum, 2);
	}
}

static __always_inline void rewrite_v4(u8 *l3, const struct kt_rewrite *rw, u32 flags, u16 *pseudo)
{
	u16 sum;

	memcpy(&sum, l3 + 10, 2);
	if (flags & KT_REWRITE_SRC_IP)
		rewrite_addr(l3 + 12, rw->src, 2, &sum, pseudo);
	if (flags & KT_REWRITE_DST_IP)
		rewrite_addr(l3 + 16, rw->dst, 2, &sum, pseudo);
	if (flags & KT_REWRITE_TTL)
		update16(&sum, l3 + 8, kt_be16((u16)(rw->ttl << 8 | l3[9])));
	if (flags & KT_REWRITE_TOS)
		update16(&sum, l3, kt_be16((u16)(l3[0] << 8 | rw->tos)));
	memcpy(l3 + 10, &sum, 2);
}

KT_VERIFIED_ALONE int rewrite(struct xdp_md *ctx, const struct kt_packet *p, const struct kt_rewrite *rw)
{
	u8 *data, *data_end, *l3;
	u16 pseudo = 0xffff; /* complement of what the addresses' sum grew by */
	u32 flags, off;

	if (!ctx || !p || !rw)
		return 0;
	flags = rw->flags;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + KT_ETH_BYTES > data_end)
		return 0;
	if (flags & KT_REWRITE_DST_MAC)
		memcpy(data, rw->dst_mac, 6);
	if (flags & KT_REWRITE_SRC_MAC)
		memcpy(data + 6, rw->src_mac, 6);
	off = p->l3_off;
	if (!off || off > 64)
		return 0;
	l3 = data + off;
	if (l3 + 20 > data_end)
		return 0;
	if (p->flow.version == 4) {
		rewrite_v4(l3, rw, flags, &pseudo);
	} else if (p->flow.version == 6) {
		if (l3 + 40 > data_end)
			return 0;
		if (flags & KT_REWRITE_SRC_IP)
			rewrite_addr(l3 + 8, rw->src, 8, NULL, &pseudo);
		if (flags & KT_REWRITE_DST_IP) {
			u16 dst = 0xffff;

			rewrite_addr(l3 + 24, rw->dst, 8, NULL, &dst);
			if (p->final_dst_off == off + 24)
				pseudo = kt_checksum_update16(pseudo, 0, (u16)~dst);
		}
		if (flags & KT_REWRITE_TTL)
			l3[7] = rw->ttl;
		if (flags & KT_REWRITE_TOS) {
			l3[0] = (u8)(0x60 | rw->tos >> 4);
			l3[1] = (u8)(rw->tos << 4 | (l3[1] & 15));
		}
	} else {
		return 0;
	}
	rewrite_l4(ctx, p, rw, flags, (u16)~pseudo);
	return 0;
}

/* --- Out of another interface --------------------------------------------------------- */

static __always_inline int send_out(u32 ifindex, bool delivered)
{
	struct outgoing *o = bpf_map_lookup_elem(&outgoing, &ifindex), none = { 0 };
	u32 zero = 0, *last = bpf_map_lookup_elem(&last_out, &zero);

	if (!o) {
		bpf_map_update_elem(&outgoing, &ifindex, &none, BPF_NOEXIST);
		o = bpf_map_lookup_elem(&outgoing, &ifindex);
	}
	if (o)
		o->delivered = o->delivered << 1 | delivered;
	if (last)
		*last = ifindex;
	return (int)bpf_redirect(ifindex, 0);
}

/* --- The program ------------------------------------------------------------------------ */

/* What becomes of a frame that was not delivered. */
static __always_inline int account(struct kt_xdp_totals *t, u32 wirelen, bool lost, bool host, bool out)
{
	t->seen_bytes += wirelen;
	if (lost)
		t->lost_engine++;
	else if (host)
		t->passed++;
	else
		t->dropped++;
	if (host && out && !lost)
		t->forwarded++;
	return 0;
}

static __always_inline int act(struct xdp_md *ctx, const void *map, const struct kt_xdp_set *set,
			       const struct kt_packet *p, u32 rule, struct delivery *d)
{
	const struct kt_xdp_action *a = map_cell(map, set->actions + 2 * rule);
	struct kt_xdp_totals *t = my_totals();
	bool delivered = false, lost = false, host;

	if (!a || !t)
		return XDP_PASS;
	count_match(map, set, rule, d->wirelen);
	host = a->op == KT_OP_FORWARD || a->op == KT_OP_CAPTURE;
	if (a->op == KT_OP_CAPTURE || a->op == KT_OP_CAPTURE_DROP) {
		bool sampled = true;

		if (a->sample_n > 1) {
			struct kt_xdp_state *st = state_of(map, set->states, rule);

			sampled = st && __sync_fetch_and_add(&st->sample, 1) % a->sample_n == 0;
		}
		if (sampled) {
			struct kt_slice s = kt_slice_of(p, a->slice_base, a->slice_off, a->slice_bytes, d->wirelen);

			d->off = s.off;
			d->bytes = s.bytes;
			delivered = deliver(ctx, a, d);
			lost = !delivered;
		}
	}
	if (!delivered)
		account(t, d->wirelen, lost, host, a->out_ifindex);
	if (!host)
		return XDP_DROP;
	if (a->rewrite) {
		const struct kt_rewrite *rw = map_cell(map, set->actions + 2 * rule + 1);

		if (rw)
			rewrite(ctx, p, rw);
	}
	return a->out_ifindex ? send_out(a->out_ifindex, delivered || lost) : XDP_PASS;
}

SEC("xdp.frags") int kt_rx(struct xdp_md *ctx)
{
	struct delivery d = { .stamp_ns = consts.use_tai ? bpf_ktime_get_tai_ns() : bpf_ktime_get_ns() };
	struct kt_xdp_totals *t = my_totals();
	const struct kt_image_head *head;
	const struct kt_xdp_set *set;
	u32 zero = 0, rule = KT_NO_RULE;
	struct parse *s = bpf_map_lookup_elem(&parses, &zero);
	void *map;

	if (!t || !s)
		return XDP_PASS;
	memset(s, 0, sizeof(*s));
	d.wirelen = (u32)bpf_xdp_get_buff_len(ctx);
	parse_frame(ctx, s, d.wirelen);
	s->p.flow.ifindex = ctx->ingress_ifindex;
	if (s->p.flags & KT_PKT_MALFORMED)
		t->malformed++;
	map = bpf_map_lookup_elem(&sets, &zero);
	if (map) {
		head = map_cell(map, 0);
		set = head ? map_cell(map, head->n_cells) : NULL;
		if (set && set->n_rules)
			rule = find_rule(map, set, s);
		if (set && rule != KT_NO_RULE)
			return act(ctx, map, set, &s->p, rule, &d);
	}
	account(t, d.wirelen, false, true, false);
	return XDP_PASS;
}

#ifndef KT_WITHOUT_BTF
/* --- What redirection could not do: tells passed from lost ------------------------------- */

struct net {
	u64 net_cookie;
} __attribute__((preserve_access_index));

struct net_device {
	int ifindex;
	struct {
		struct net *net;
	} nd_net;
} __attribute__((preserve_access_index));

struct bpf_prog_aux {
	u32 id;
} __attribute__((preserve_access_index));

struct bpf_prog {
	struct bpf_prog_aux *aux;
} __attribute__((preserve_access_index));

static __always_inline void not_forwarded(u32 n)
{
	struct kt_xdp_totals *t = my_totals();

	if (!t)
		return;
	t->passed -= n;
	t->forwarded -= n;
	t->lost_error += n;
}

/* The device took the first sent frames of the bulk and not the rest. */
SEC("tp_btf/xdp_devmap_xmit") int kt_rx_bulk(u64 *args)
{
	const struct net_device *from = (void *)args[0], *to = (void *)args[1];
	u32 dropped = (u32)args[3], out = (u32)to->ifindex, n = 0;
	struct outgoing *o;

	if (!dropped || (u32)from->ifindex != control.port_ifindex ||
	    from->nd_net.net->net_cookie != control.net_cookie)
		return 0;
	o = bpf_map_lookup_elem(&outgoing, &out);
	if (!o)
		return 0;
	for (u32 i = 0; i < 64; i++) {
		if (i < dropped && !(o->delivered >> i & 1))
			n++;
	}
	not_forwarded(n);
	return 0;
}

static __always_inline void last_failed(const struct bpf_prog *prog)
{
	u32 zero = 0, *last = bpf_map_lookup_elem(&last_out, &zero), out;
	struct outgoing *o;

	if (prog->aux->id != control.prog_id || !last)
		return;
	out = *last;
	o = bpf_map_lookup_elem(&outgoing, &out);
	if (!o)
		return;
	if (!(o->delivered & 1))
		not_forwarded(1);
	o->delivered >>= 1;
}

/* The frame just judged could not be queued: no such device, down, too long. */
SEC("tp_btf/xdp_redirect_err") int kt_rx_refused(u64 *args)
{
	last_failed((void *)args[1]);
	return 0;
}

/* Generic mode: the device was busy. */
SEC("tp_btf/xdp_exception") int kt_rx_exception(u64 *args)
{
	if ((u32)args[2] == XDP_TX)
		last_failed((void *)args[1]);
	return 0;
}
#endif

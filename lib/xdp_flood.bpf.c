/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Floods: run in the kernel once per frame (BPF_PROG_TEST_RUN with live
 * frames), it fills each from an array that user space wrote and redirects it
 * to the device. The two tracepoints say what became of it, so that every
 * frame is accounted for: of a bulk the device takes the first so many.
 */
#include "xdp_shared.h"

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define ENODEV 19

char LICENSE[] SEC("license") = "Dual MIT/GPL";

const volatile struct kt_xdp_flood_consts consts;
struct kt_xdp_flood_control control;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u32));
	__uint(value_size, 64);
} frames SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} order SEC(".maps");

/* A bulk has at least one frame. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u32));
	__uint(value_size, 16);
} bulks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} target SEC(".maps");

static __always_inline struct kt_xdp_frame *frame_at(u32 i)
{
	u32 cell = control.first + i, *other;

	if (control.use_order) {
		other = bpf_map_lookup_elem(&order, &i);
		if (!other)
			return NULL;
		cell = *other;
	}
	return bpf_map_lookup_elem(&frames, &cell);
}

SEC("xdp") int kt_flood(struct xdp_md *ctx)
{
	u32 i = control.next, len;
	struct kt_xdp_frame *f;

	if (i >= control.n)
		return XDP_DROP;
	control.next = i + 1;
	f = frame_at(i);
	if (!f)
		return XDP_DROP;
	len = f->len;
	__asm__ volatile("" : "+r"(len));
	if (!len || len > consts.data_bytes)
		goto unfit;
	if (len != (u32)(ctx->data_end - ctx->data) &&
	    bpf_xdp_adjust_tail(ctx, (int)len - (int)(ctx->data_end - ctx->data)))
		goto unfit;
	if (bpf_xdp_store_bytes(ctx, 0, f->data, len))
		goto unfit;
	if (bpf_redirect_map(&target, 0, XDP_DROP) != XDP_REDIRECT) {
		f->fate = -ENODEV;
		return XDP_DROP;
	}
	f->fate = KT_XDP_QUEUED;
	control.queued++;
	return XDP_REDIRECT;
unfit:
	f->fate = KT_XDP_UNFIT;
	return XDP_DROP;
}

struct net_device {
	int ifindex;
} __attribute__((preserve_access_index));

struct bpf_prog_aux {
	u32 id;
} __attribute__((preserve_access_index));

struct bpf_prog {
	struct bpf_prog_aux *aux;
} __attribute__((preserve_access_index));

/*
 * A bulk of ours: frames of other programs that go to the same device come
 * when none of ours is queued, since a batch runs to its end without a pause.
 */
SEC("tp_btf/xdp_devmap_xmit") int kt_flood_bulk(u64 *args)
{
	const struct net_device *to = (void *)args[1];
	u32 sent = (u32)args[2], dropped = (u32)args[3], i = control.n_bulks;
	struct kt_xdp_bulk *b;

	if (!control.queued || (u32)to->ifindex != control.ifindex || sent + dropped > control.queued)
		return 0;
	control.queued -= sent + dropped;
	control.n_bulks = i + 1;
	b = bpf_map_lookup_elem(&bulks, &i);
	if (b) {
		b->sent = sent;
		b->dropped = dropped;
		b->err = (s32)args[4];
	}
	return 0;
}

/* The frame just built could not even be queued. */
SEC("tp_btf/xdp_redirect_err") int kt_flood_refused(u64 *args)
{
	const struct bpf_prog *prog = (void *)args[1];
	struct kt_xdp_frame *f;

	if (prog->aux->id != control.prog_id || !control.queued)
		return 0;
	f = frame_at(control.next - 1);
	if (f && f->fate == KT_XDP_QUEUED) {
		f->fate = (s32)args[3];
		control.queued--;
	}
	return 0;
}

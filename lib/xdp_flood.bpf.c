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
	__type(value, struct kt_xdp_frame);
} batch SEC(".maps");

/* Zero but for frames that were not queued. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, s64); /* an array's elements are 8 bytes apart at least */
} fates SEC(".maps");

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

static __always_inline u32 n_queued(void)
{
	return control.next - control.odd - control.told;
}

/* Frame i was not queued. */
static __always_inline void set_odd(u32 i, s32 fate)
{
	s64 *f = bpf_map_lookup_elem(&fates, &i);

	if (!f || *f)
		return;
	*f = fate;
	control.odd++;
}

SEC("xdp") int kt_flood(struct xdp_md *ctx)
{
	u32 i = control.next, len;
	struct kt_xdp_frame *f;
	void *data;

	if (i >= control.n)
		return XDP_DROP;
	control.next = i + 1;
	f = bpf_map_lookup_elem(&batch, &i);
	if (!f)
		return XDP_DROP;
	data = bpf_map_lookup_elem(&frames, &f->cell);
	len = f->len;
	__asm__ volatile("" : "+r"(len));
	if (!data || !len || len > consts.data_bytes)
		goto unfit;
	if (len != (u32)(ctx->data_end - ctx->data) &&
	    bpf_xdp_adjust_tail(ctx, (int)len - (int)(ctx->data_end - ctx->data)))
		goto unfit;
	if (bpf_xdp_store_bytes(ctx, 0, data, len))
		goto unfit;
	if (bpf_redirect_map(&target, 0, XDP_DROP) == XDP_REDIRECT)
		return XDP_REDIRECT;
	set_odd(i, -ENODEV);
	return XDP_DROP;
unfit:
	set_odd(i, KT_XDP_UNFIT);
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

	if ((u32)to->ifindex != control.ifindex || sent + dropped > n_queued())
		return 0;
	control.told += sent + dropped;
	control.sent += sent;
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

	if (prog->aux->id == control.prog_id && n_queued())
		set_odd(control.next - 1, (s32)args[3]);
	return 0;
}

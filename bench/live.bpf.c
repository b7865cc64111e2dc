/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The limit for floods: copies the i-th frame from an array and redirects it. No accounting. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char kt_license[] SEC("license") = "Dual MIT/GPL";

__u32 next, frame_bytes;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 64);
} frames SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

SEC("xdp") int live(struct xdp_md *ctx)
{
	__u32 i = next++, len = frame_bytes;
	void *frame = bpf_map_lookup_elem(&frames, &i);

	__asm__ volatile("" : "+r"(len));
	if (!frame || !len || len > 60)
		return XDP_PASS;
	if (bpf_xdp_store_bytes(ctx, 0, frame, len))
		return XDP_DROP;
	return (int)bpf_redirect_map(&target, 0, XDP_DROP);
}

/* The same for long frames: the verifier wants the bound to be a constant. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 1536);
} long_frames SEC(".maps");

SEC("xdp") int live_long(struct xdp_md *ctx)
{
	__u32 i = next++, len = frame_bytes;
	void *frame = bpf_map_lookup_elem(&long_frames, &i);

	__asm__ volatile("" : "+r"(len));
	if (!frame || !len || len > 1514)
		return XDP_PASS;
	if (bpf_xdp_store_bytes(ctx, 0, frame, len))
		return XDP_DROP;
	return (int)bpf_redirect_map(&target, 0, XDP_DROP);
}

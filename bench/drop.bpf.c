/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The far end of every measurement: drops frames as early as the kernel can, so that the sender is what is measured. */
#include <linux/bpf.h>

#define SEC(name) __attribute__((section(name), used))

SEC("xdp") int drop(struct xdp_md *ctx)
{
	return XDP_DROP;
}

char kt_license[] SEC("license") = "Dual MIT/GPL";

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Whether helpers can call a program's functions back, as the receiving program needs it: kernels allow that to compiled programs only,
 * and the compilers of 32-bit machines do not compile programs of several functions.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

static int nothing(__u32 i, void *arg)
{
	return 1;
}

SEC("xdp") int kt_callback(struct xdp_md *ctx)
{
	bpf_loop(1, nothing, (void *)0, 0);
	return XDP_PASS;
}

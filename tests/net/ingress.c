/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Who stands before the module on an interface: told of whatever can decide there, and of nothing else. */
#include "lib/ingress.h"

#include <linux/bpf.h>
#include <sys/syscall.h>

#include "tests/netns.h"
#include "tests/test.h"

#define TCX_INGRESS 46u

static u32 earlier(void)
{
	struct ktrxer_err err = { 0 };
	struct kt_iface f;

	if (kt_iface_read(&f, NEAR, &err))
		TEST_FAIL("%s", err.text);
	return kt_ingress_earlier(&f);
}

static void t_tc(void)
{
	netns_pair(true);
	CHECK_EQ(earlier(), 0);
	netns_run("tc qdisc add dev " NEAR " clsact");
	CHECK_EQ(earlier(), 0); /* nobody is asked there yet */
	netns_run("tc filter add dev " NEAR " egress protocol ip u32 match u32 0 0 flowid 1:1");
	CHECK_EQ(earlier(), 0); /* what leaves is not our affair */
	netns_run("tc filter add dev " NEAR " ingress protocol ip u32 match u32 0 0 flowid 1:1");
	CHECK_EQ(earlier(), KT_INGRESS_TC);
	netns_run("tc qdisc del dev " NEAR " clsact");
	CHECK_EQ(earlier(), 0);
	netns_run("tc qdisc add dev " NEAR " ingress");
	CHECK_EQ(earlier(), 0);
	netns_run("tc filter add dev " NEAR " parent ffff: protocol ip u32 match u32 0 0 flowid 1:1");
	CHECK_EQ(earlier(), KT_INGRESS_TC);
}

/* A program that lets everything pass. */
static int program(u32 type, u64 answer)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = (s32)answer },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr a;

	memset(&a, 0, sizeof(a));
	a.prog_type = type;
	a.insns = (uintptr_t)code;
	a.insn_cnt = 2;
	a.license = (uintptr_t) "GPL";
	return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &a, sizeof(a));
}

static void t_tcx(void)
{
	union bpf_attr a;
	int fd;

	netns_pair(true);
	fd = program(BPF_PROG_TYPE_SCHED_CLS, 0);
	if (fd < 0)
		SKIP("a kernel without BPF");
	memset(&a, 0, sizeof(a));
	a.target_fd = if_nametoindex(NEAR);
	a.attach_bpf_fd = (u32)fd;
	a.attach_type = TCX_INGRESS;
	if (syscall(SYS_bpf, BPF_PROG_ATTACH, &a, sizeof(a))) {
		CHECK_EQ(errno, EINVAL);
		SKIP("a kernel without tcx, that is before 6.6");
	}
	CHECK_EQ(earlier(), KT_INGRESS_TCX);
	memset(&a, 0, sizeof(a));
	a.target_fd = if_nametoindex(NEAR);
	a.attach_bpf_fd = (u32)fd;
	a.attach_type = TCX_INGRESS;
	CHECK_EQ(syscall(SYS_bpf, BPF_PROG_DETACH, &a, sizeof(a)), 0);
	CHECK_EQ(earlier(), 0);
	close(fd);
}

static void t_xdp(void)
{
	union bpf_attr a;
	int fd, link;

	netns_pair(true);
	fd = program(BPF_PROG_TYPE_XDP, XDP_PASS);
	if (fd < 0)
		SKIP("a kernel without BPF");
	memset(&a, 0, sizeof(a));
	a.link_create.prog_fd = (u32)fd;
	a.link_create.target_ifindex = if_nametoindex(NEAR);
	a.link_create.attach_type = BPF_XDP;
	link = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &a, sizeof(a));
	if (link < 0)
		SKIP("a kernel without links of XDP, that is before 5.9");
	CHECK_EQ(earlier(), KT_INGRESS_XDP);
	close(link);
	CHECK_EQ(earlier(), 0);
	close(fd);
}

TEST_MAIN(T(t_tc), T(t_tcx), T(t_xdp))

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Floods: the kernel runs a BPF program once per frame, which fills the frame from
 * memory that the caller wrote and hands it to the device (BPF_PROG_TEST_RUN
 * with live frames, Linux 5.18). No frame is guessed: the program marks what it
 * built, tracepoints tell what the device took of each bulk, and both are put
 * together here. Where that cannot be had, floods go the ordinary way.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../core/ring.h"
#include "engine_xdp.h"
#include "netlink.h"
#include "xdp_shared.h"

#define BATCH 64u /* frames between two flushes: a queue of 256, as veth has it, holds several */
#define MEMORY_BYTES (4u << 20)
#define CELL_ALIGN 64u /* a short frame is one cache line */
#define MIN_FRAMES 512u
#define MAX_FRAMES 2048u /* more only fall out of the cache */
#define MAX_LIVE_BYTES 4096u
#define SLOW_FRAMES 256u

_Static_assert(sizeof(struct kt_flood_frame) == sizeof(struct kt_xdp_frame) &&
		       offsetof(struct kt_flood_frame, len) == offsetof(struct kt_xdp_frame, len),
	       "the program reads what floods write");

struct kt_xdp_flood {
	struct bpf_object *obj;
	struct bpf_link *links[2];
	int dispatch_fd; /* keeps the program in the dispatch table, or -1 */
	int dispatch_netns_fd; /* where that is done, or -1 */
	int program_fd;
	struct kt_xdp_flood_control *control;
	u8 *frames;
	size_t frames_bytes;
	u32 stride;
	struct kt_flood_frame *batch;
	s64 *fates;
	const struct kt_xdp_bulk *bulks;
	u32 n;
	bool refused; /* the device takes no redirected frames: this flood goes the ordinary way */
};

/* --- Setting up ------------------------------------------------------------------------- */

/* How long a live frame can be: a page less what the kernel keeps there for itself, which differs. */
static u32 probe_live_bytes(void)
{
	const struct bpf_insn drop[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 /* XDP_DROP */ },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	static u8 data[MAX_LIVE_BYTES];
	u32 lo = 0, hi = MAX_LIVE_BYTES;
	int fd;

	fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "ktrxer_probe", "GPL", drop, 2, NULL);
	if (fd < 0)
		return 0;
	while (lo < hi) {
		u32 mid = (lo + hi + 1) / 2;
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = mid, .repeat = 1,
			    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

		if (mid < KT_ETH_BYTES || !bpf_prog_test_run_opts(fd, &opts))
			lo = mid;
		else
			hi = mid - 1;
	}
	close(fd);
	return lo > KT_ETH_BYTES ? lo : 0;
}

u32 kt_xdp_flood_max(struct ktrxer *port, u32 *frame_bytes)
{
	static u32 live_bytes; /* + 1, 0: not yet known; a race finds the same */
	u32 live = kt_load_relaxed(&live_bytes), want = *frame_bytes, n;

	if (!live) {
		kt_xdp_log_begin();
		live = probe_live_bytes() + 1;
		kt_xdp_log_end();
		kt_store_relaxed(&live_bytes, live);
	}
	*frame_bytes = live - 1;
	n = MEMORY_BYTES / KT_ALIGN_UP(want, CELL_ALIGN);
	if (live == 1)
		return 0;
	return n < MIN_FRAMES ? MIN_FRAMES : n > MAX_FRAMES ? MAX_FRAMES : n;
}

static void *map_memory(struct bpf_object *obj, const char *name, size_t bytes)
{
	int fd = bpf_object__find_map_fd_by_name(obj, name);
	void *p = fd < 0 ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Sizes, constants, loading. */
static int load(struct kt_xdp_flood *f, u32 frame_bytes)
{
	struct kt_xdp_flood_consts consts = { 0 };
	int ret;

	f->obj = kt_xdp_bpf_open(KT_XDP_OBJ_FLOOD);
	if (!f->obj)
		return -errno;
	f->stride = KT_ALIGN_UP(frame_bytes, CELL_ALIGN);
	f->frames_bytes = (size_t)f->stride * f->n;
	consts.data_bytes = f->stride;
	ret = kt_xdp_set_consts(f->obj, &consts, sizeof(consts));
	if (ret)
		return ret;
	bpf_map__set_value_size(bpf_object__find_map_by_name(f->obj, "frames"), f->stride);
	bpf_map__set_max_entries(bpf_object__find_map_by_name(f->obj, "frames"), f->n);
	bpf_map__set_max_entries(bpf_object__find_map_by_name(f->obj, "batch"), f->n);
	bpf_map__set_max_entries(bpf_object__find_map_by_name(f->obj, "fates"), f->n);
	bpf_map__set_max_entries(bpf_object__find_map_by_name(f->obj, "bulks"), f->n);
	ret = bpf_object__load(f->obj);
	if (ret)
		return ret;
	f->control = kt_xdp_map_variables(f->obj, sizeof(*f->control));
	f->frames = map_memory(f->obj, "frames", f->frames_bytes);
	f->batch = map_memory(f->obj, "batch", f->n * sizeof(*f->batch));
	f->fates = map_memory(f->obj, "fates", f->n * sizeof(*f->fates));
	f->bulks = map_memory(f->obj, "bulks", f->n * sizeof(*f->bulks));
	return f->control && f->frames && f->batch && f->fates && f->bulks ? 0 : -ENOMEM;
}

/* A veth pair in the current namespace. */
static int make_veth(void)
{
	struct {
		struct rtattr a;
		char kind[4];
	} info = { { .rta_len = sizeof(info), .rta_type = IFLA_INFO_KIND }, { 'v', 'e', 't', 'h' } };
	struct kt_netlink_req r;
	int fd = kt_netlink_open(), ret;

	if (fd < 0)
		return fd;
	kt_netlink_start(&r, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	kt_netlink_put(&r, IFLA_LINKINFO, &info, sizeof(info));
	ret = kt_netlink_ask(fd, &r, NULL, NULL);
	close(fd);
	return ret;
}

/*
 * Entering and leaving the kernel's dispatch table of XDP programs costs two
 * grace periods, tens of ms, for every run of a program that is not in there
 * anyway. So it is attached to an interface where nothing ever arrives, in a
 * namespace that nobody else sees. Without the right to make one (CAP_SYS_ADMIN) AF_XDP is
 * faster than live frames, and the flood goes there. 0 or -EPERM.
 */
static int keep_dispatched(struct kt_xdp_flood *f)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	int back = kt_xdp_enter_new(&f->dispatch_netns_fd);
	struct if_nameindex *all, *i;

	if (back < 0)
		return -EPERM;
	all = make_veth() ? NULL : if_nameindex();
	for (i = all; i && i->if_index && f->dispatch_fd < 0; i++)
		f->dispatch_fd = bpf_link_create(f->program_fd, (int)i->if_index, BPF_XDP, &opts);
	if (all)
		if_freenameindex(all);
	kt_xdp_leave(back);
	return f->dispatch_fd < 0 ? -EPERM : 0;
}

static int attach(struct ktrxer *port, struct kt_xdp_flood *f)
{
	struct bpf_program *main = bpf_object__find_program_by_name(f->obj, "kt_flood"), *prog;
	int target = bpf_object__find_map_fd_by_name(f->obj, "target");
	struct bpf_prog_info info = { 0 };
	u32 len = sizeof(info), zero = 0, n = 0;
	int back, ret;

	f->program_fd = bpf_program__fd(main);
	if (bpf_obj_get_info_by_fd(f->program_fd, &info, &len))
		return -errno;
	f->control->prog_id = info.id;
	f->control->ifindex = port->ifindex;
	back = kt_xdp_enter(port);
	ret = bpf_map_update_elem(target, &zero, &port->ifindex, BPF_ANY) ? -errno : 0;
	kt_xdp_leave(back);
	if (ret)
		return ret;
	bpf_object__for_each_program(prog, f->obj)
	{
		if (prog == main)
			continue;
		f->links[n] = bpf_program__attach(prog);
		if (!f->links[n++])
			return -errno;
	}
	return keep_dispatched(f);
}

int kt_xdp_flood_open(struct ktrxer *port, struct kt_flood *flood, u32 frame_bytes, struct ktrxer_err *err)
{
	struct kt_xdp *x = kt_xdp(port);
	struct kt_xdp_flood *f;
	int ret;

	kt_xdp_flood_close(port);
	f = calloc(1, sizeof(*f));
	if (!f)
		return kt_err(err, ENOMEM, "no memory for a flood");
	x->flood = f;
	f->dispatch_fd = f->dispatch_netns_fd = -1;
	f->n = flood->n;
	kt_xdp_log_begin();
	ret = load(f, frame_bytes);
	if (!ret)
		ret = attach(port, f);
	if (ret)
		ret = kt_xdp_bpf_err(err, -ret, "flooding by live XDP frames");
	kt_xdp_log_end();
	if (ret) {
		kt_xdp_flood_close(port);
		return ret;
	}
	flood->cells = f->frames;
	flood->stride = f->stride;
	flood->frames = f->batch;
	return 0;
}

void kt_xdp_flood_close(struct ktrxer *port)
{
	struct kt_xdp_flood *f = kt_xdp(port)->flood;

	if (!f)
		return;
	for (u32 i = 0; i < KT_ARRAY_LEN(f->links); i++)
		bpf_link__destroy(f->links[i]);
	if (f->dispatch_fd >= 0)
		close(f->dispatch_fd);
	if (f->dispatch_netns_fd >= 0)
		close(f->dispatch_netns_fd);
	if (f->control)
		munmap(f->control, sizeof(*f->control));
	if (f->frames)
		munmap(f->frames, f->frames_bytes);
	if (f->batch)
		munmap(f->batch, f->n * sizeof(*f->batch));
	if (f->fates)
		munmap(f->fates, f->n * sizeof(*f->fates));
	if (f->bulks)
		munmap((void *)(uintptr_t)f->bulks, f->n * sizeof(*f->bulks));
	if (f->obj)
		bpf_object__close(f->obj);
	free(f);
	kt_xdp(port)->flood = NULL;
}

/* --- Flooding ------------------------------------------------------------------------------ */

static u32 built(const struct kt_xdp_flood *f)
{
	return kt_load_acquire(&f->control->next);
}

/* Runs the program until it has seen all n frames. The first is the template that it overwrites. 0 or -errno. */
static int run(struct kt_xdp_flood *f, u32 n)
{
	while (built(f) < n) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->frames + (size_t)f->batch[0].cell * f->stride,
			    .data_size_in = f->batch[0].len, .repeat = (int)(n - built(f)),
			    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);
		u32 before = built(f);

		/* Interrupted by a signal it ends early; then it goes on where it was. */
		if (bpf_prog_test_run_opts(f->program_fd, &opts) && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (built(f) == before)
			return -EIO;
	}
	return 0;
}

/* What the bulks say, one queued frame after the other. */
struct account {
	const struct kt_xdp_flood *f;
	u32 bulk; /* next one to read */
	u32 sent;
	u32 dropped;
	int err;
};

/* 0 if the device took the next queued frame, else a positive errno. */
static int next_fate(struct account *a)
{
	while (!a->sent && !a->dropped) {
		const struct kt_xdp_bulk *b = &a->f->bulks[a->bulk];

		if (a->bulk >= a->f->control->n_bulks)
			return EIO; /* nobody told: it is not claimed to have been sent */
		a->bulk++;
		a->sent = b->sent;
		a->dropped = b->dropped;
		a->err = b->err < 0 ? -b->err : ENOBUFS;
	}
	if (a->sent) {
		a->sent--;
		return 0;
	}
	a->dropped--;
	return a->err;
}

/* ENXIO is veth's word for a peer that cannot take them, or is down. */
static int reason(struct ktrxer *port, int code)
{
	int ret;

	if (code != ENXIO && code != EOPNOTSUPP)
		return code;
	ret = kt_xdp_iface(port, true, NULL);
	return ret ? -ret : EOPNOTSUPP;
}

/* Puts each frame's fate together. Returns how many the device cannot take at all. */
static u32 settle(struct ktrxer *port, struct kt_flood *flood, u32 n)
{
	struct kt_xdp_flood *f = kt_xdp(port)->flood;
	struct account a = { .f = f };
	int code, last = 0, last_reason = 0;
	u32 n_unable = 0, n_built = built(f);

	for (u32 i = 0; i < n; i++) {
		if (i >= n_built)
			code = EIO;
		else if (f->fates[i] == KT_XDP_QUEUED)
			code = next_fate(&a);
		else
			code = f->fates[i] < 0 ? (int)-f->fates[i] : EMSGSIZE;
		if (code != last) {
			last = code;
			last_reason = reason(port, code);
		}
		flood->fates[i] = last_reason == EMSGSIZE ? -EMSGSIZE : last_reason;
		n_unable += last_reason == EOPNOTSUPP;
		f->fates[i] = KT_XDP_QUEUED;
	}
	return n_unable;
}

/* Through the sending socket, which copies them. */
static int flood_slowly(struct ktrxer *port, struct kt_flood *flood, u32 from, u32 n)
{
	struct kt_txslot slots[SLOW_FRAMES], *batch[SLOW_FRAMES];
	int tried;

	n = n - from < SLOW_FRAMES ? n - from : SLOW_FRAMES;
	for (u32 i = 0; i < n; i++) {
		const struct kt_flood_frame *frame = &flood->frames[from + i];

		slots[i] = (struct kt_txslot){ .data = flood->cells + frame->cell * flood->stride, .len = frame->len };
		batch[i] = &slots[i];
	}
	tried = kt_xdp_tx_launch(port, batch, n);
	if (tried <= 0)
		return tried;
	flood->launch_ns = slots[0].launch_ns;
	flood->returned_ns = slots[0].returned_ns;
	flood->all_sent = true;
	for (int i = 0; i < tried; i++) {
		flood->fates[from + (u32)i] = slots[i].state == KT_TX_FAILED ? -slots[i].err : slots[i].err;
		flood->all_sent &= slots[i].state == KT_TX_SENT;
	}
	return tried;
}

/* One run takes the whole batch, so from is 0 unless the flood goes slowly. */
int kt_xdp_flood(struct ktrxer *port, struct kt_flood *flood, u32 from, u32 n)
{
	struct kt_xdp_flood *f = kt_xdp(port)->flood;
	struct kt_xdp_flood_control *c = f->control;
	int ret;

	if (f->refused)
		return flood_slowly(port, flood, from, n);
	c->n = n;
	c->next = c->odd = c->told = c->sent = c->n_bulks = 0;
	flood->launch_ns = kt_port_now(port);
	ret = run(f, n);
	flood->returned_ns = kt_port_now(port);
	flood->all_sent = c->sent == n;
	if (flood->all_sent)
		return (int)n;
	if (ret && !built(f))
		return ret;
	/* A device that goes may swallow frames without a word, for as long as there are any: then it is the device that is asked. */
	if (!c->sent && kt_xdp_iface(port, false, NULL) == -ENODEV)
		return -ENODEV;
	if (settle(port, flood, n) == n) {
		f->refused = true;
		return flood_slowly(port, flood, 0, n);
	}
	return (int)n;
}

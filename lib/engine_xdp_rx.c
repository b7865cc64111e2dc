/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Receiving by an XDP program (xdp_rx.bpf.c), attached by links that die with
 * this process. What it captures comes through one BPF ring buffer, read here in
 * place; nobody is woken per packet: the reader says in a shared flag that it
 * sleeps, and the program wakes it once.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../core/ring.h"
#include "engine_xdp_rx.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define MIN_RING_BYTES (1u << 16)
#define MAX_RING_BYTES (1u << 28)
#define DEFAULT_RING_BYTES (1u << 24)
#define CHECK_NS 20000000u /* how often an idle reader asks whether the interface is still there */

/* --- Loading and attaching ------------------------------------------------------------ */

static int find_maps(struct kt_xdp_rx *r)
{
	r->program_fd = bpf_program__fd(bpf_object__find_program_by_name(r->obj, "kt_rx"));
	r->ring_fd = bpf_object__find_map_fd_by_name(r->obj, "ring");
	r->totals_fd = bpf_object__find_map_fd_by_name(r->obj, "totals");
	r->sets_fd = bpf_object__find_map_fd_by_name(r->obj, "sets");
	r->control = kt_xdp_map_variables(r->obj, sizeof(*r->control));
	return r->program_fd < 0 || r->ring_fd < 0 || r->totals_fd < 0 || r->sets_fd < 0 || !r->control ? -EIO : 0;
}

/* With the programs that watch redirection, where the kernel and our rights allow them. */
static int load(struct ktrxer *port, u32 ring_bytes, bool watch)
{
	struct kt_xdp_rx *r = kt_xdp(port)->rx;
	struct kt_xdp_consts consts = { .use_tai = port->rx_clock == KTRXER_CLOCK_TAI };
	int ret;

	r->obj = kt_xdp_bpf_open(watch ? KT_XDP_OBJ_RX : KT_XDP_OBJ_RX_UNWATCHED);
	if (!r->obj)
		return -errno;
	ret = kt_xdp_set_consts(r->obj, &consts, sizeof(consts));
	bpf_map__set_max_entries(bpf_object__find_map_by_name(r->obj, "ring"), ring_bytes);
	if (!ret)
		ret = bpf_object__load(r->obj);
	if (!ret)
		ret = find_maps(r);
	r->can_watch = watch;
	if (ret) {
		bpf_object__close(r->obj);
		r->obj = NULL;
	}
	return ret;
}

/* What the watching programs tell our frames by. */
static void tell_control(struct ktrxer *port)
{
	struct kt_xdp_rx *r = kt_xdp(port)->rx;
	struct bpf_prog_info info = { 0 };
	u32 len = sizeof(info);
	socklen_t cookie_len = sizeof(r->control->net_cookie);

	r->control->port_ifindex = port->ifindex;
	if (!bpf_obj_get_info_by_fd(r->program_fd, &info, &len))
		r->control->prog_id = info.id;
	if (getsockopt(kt_xdp(port)->control_fd, SOL_SOCKET, SO_NETNS_COOKIE, &r->control->net_cookie, &cookie_len))
		r->can_watch = false;
}

static int attach_as(struct ktrxer *port, u32 flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);
	struct kt_xdp_rx *r = kt_xdp(port)->rx;
	int back = kt_xdp_enter(port);

	r->link_fd = bpf_link_create(r->program_fd, (int)port->ifindex, BPF_XDP, &opts);
	kt_xdp_leave(back);
	return r->link_fd < 0 ? r->link_fd : 0;
}

static int attach(struct ktrxer *port, struct ktrxer_err *err)
{
	enum ktrxer_xdp_mode want = port->opts.xdp_mode;
	const char *how = "native";
	int ret = -EOPNOTSUPP;

	if (want != KTRXER_XDP_GENERIC)
		ret = attach_as(port, XDP_FLAGS_DRV_MODE);
	if (want == KTRXER_XDP_GENERIC ||
	    (ret && want == KTRXER_XDP_AUTO && ret != -EBUSY && ret != -EEXIST && ret != -EPERM && ret != -ENODEV)) {
		how = "generic";
		ret = attach_as(port, XDP_FLAGS_SKB_MODE);
	}
	if (ret == -EBUSY || ret == -EEXIST)
		return kt_err(err, EBUSY,
			      "\"%s\" already has an XDP program: another receiver, or ip link set dev %s xdp off",
			      port->ifname, port->ifname);
	if (ret && want == KTRXER_XDP_NATIVE)
		return kt_err(err, -ret, "\"%s\" cannot run XDP programs in its driver: %s; generic mode might work",
			      port->ifname, strerror(-ret));
	if (ret)
		return kt_xdp_bpf_err(err, -ret, "attaching the XDP program");
	snprintf(port->mode, sizeof(port->mode), "%s", how);
	return 0;
}

static int map_ring(struct kt_xdp_rx *r, u32 bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	r->ring_bytes = bytes;
	r->consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, r->ring_fd, 0);
	/* The producer's page, then the data twice, so that no record wraps. */
	r->ring = mmap(NULL, page + 2 * (size_t)bytes, PROT_READ, MAP_SHARED, r->ring_fd, (off_t)page);
	if (r->consumer == MAP_FAILED || r->ring == MAP_FAILED)
		return -errno;
	r->data = (u8 *)r->ring + page;
	r->next = *r->consumer;
	return 0;
}

static void unmap_ring(struct kt_xdp_rx *r)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (r->consumer && r->consumer != MAP_FAILED)
		munmap(r->consumer, page);
	if (r->ring && r->ring != MAP_FAILED)
		munmap(r->ring, page + 2 * (size_t)r->ring_bytes);
}

static u32 ring_size(u64 want)
{
	u32 bytes = MIN_RING_BYTES;

	if (!want)
		want = DEFAULT_RING_BYTES;
	while (bytes < want && bytes < MAX_RING_BYTES)
		bytes <<= 1;
	return bytes;
}

int kt_xdp_rx_open(struct ktrxer *port, const struct krx_opts *opts, struct ktrxer_err *err)
{
	struct kt_xdp *x = kt_xdp(port);
	u32 ring_bytes = ring_size(opts->ring_bytes);
	int ret;

	if (opts->outgoing)
		return kt_err(err, EOPNOTSUPP,
			      "engine xdp sees arriving packets only; engine packet sees outgoing ones");
	ret = kt_xdp_probe_rx(err);
	if (ret)
		return ret;
	x->rx = calloc(1, sizeof(*x->rx));
	if (!x->rx)
		return kt_err(err, ENOMEM, "no memory for a receiver");
	x->rx->link_fd = -1;
	kt_xdp_log_begin();
	ret = load(port, ring_bytes, true);
	if (ret)
		ret = load(port, ring_bytes, false);
	if (ret)
		ret = kt_xdp_bpf_err(err, -ret, "loading the XDP program");
	kt_xdp_log_end();
	if (!ret && map_ring(x->rx, ring_bytes))
		ret = kt_err(err, errno, "the capture ring cannot be mapped: %s", strerror(errno));
	if (!ret) {
		tell_control(port);
		kt_xdp_log_begin();
		ret = attach(port, err);
		kt_xdp_log_end();
	}
	if (ret)
		kt_xdp_rx_close(port);
	return ret;
}

void kt_xdp_rx_close(struct ktrxer *port)
{
	struct kt_xdp_rx *r = kt_xdp(port)->rx;

	if (!r)
		return;
	if (r->link_fd >= 0)
		close(r->link_fd);
	for (u32 i = 0; i < r->n_watches; i++)
		bpf_link__destroy(r->watches[i]);
	kt_xdp_set_free(&r->set);
	unmap_ring(r);
	if (r->control)
		munmap(r->control, sizeof(*r->control));
	if (r->obj)
		bpf_object__close(r->obj);
	free(r);
	kt_xdp(port)->rx = NULL;
}

/* --- Reading ------------------------------------------------------------------------------ */

/* The kernel's positions are its longs. */
static unsigned long produced(const struct kt_xdp_rx *r)
{
	return kt_load_acquire((const unsigned long *)r->ring);
}

static u32 *header_at(const struct kt_xdp_rx *r, unsigned long pos)
{
	return (u32 *)(r->data + (pos & (r->ring_bytes - 1)));
}

static bool waiting(const struct kt_xdp_rx *r)
{
	return r->next != produced(r) && !(kt_load_acquire(header_at(r, r->next)) & BPF_RINGBUF_BUSY_BIT);
}

/* Whoever polls rx_fd sleeps whenever we found nothing. True if something came meanwhile. */
static bool arm(struct kt_xdp_rx *r)
{
	kt_store_relaxed(&r->control->asleep, 1);
	kt_fence_full();
	return waiting(r);
}

/* Nothing is there: is the interface? Asked now and then. */
static int idle_state(struct ktrxer *port)
{
	struct kt_xdp_rx *r = kt_xdp(port)->rx;
	u64 now = kt_port_now(port);

	if (now - r->checked_ns < CHECK_NS)
		return r->state;
	r->checked_ns = now;
	r->state = kt_xdp_iface(port, false, &port->mtu);
	return r->state;
}

static void give(struct ktrxer *port, struct kt_rxframe *f, u8 *at)
{
	const struct kt_xdp_record *rec = (const struct kt_xdp_record *)at;

	*f = (struct kt_rxframe){
		.data = at + sizeof(*rec),
		.caplen = rec->caplen,
		.wirelen = rec->wirelen,
		.ifindex = rec->ifindex,
		.stamp_ns = rec->stamp_ns,
		.clock = (u8)port->rx_clock,
		.flags = rec->flags,
		.rule_id = rec->rule_id,
		.tag = rec->tag,
		.op = rec->op,
		.slice_off = rec->slice_off,
	};
	if (rec->wirelen > port->mtu + KT_ETH_BYTES + KT_MAX_VLANS * KT_VLAN_BYTES)
		f->flags |= KT_RECORD_MERGED;
}

int kt_xdp_rx_peek(struct ktrxer *port, struct kt_rxframe *frames, u32 max)
{
	struct kt_xdp_rx *r = kt_xdp(port)->rx;
	unsigned long end = produced(r);
	u32 n = 0;

	while (n < max && r->next != end) {
		u32 *header = header_at(r, r->next), len = kt_load_acquire(header);

		if (len & BPF_RINGBUF_BUSY_BIT)
			break;
		if (!(len & BPF_RINGBUF_DISCARD_BIT))
			give(port, &frames[n++], (u8 *)header + BPF_RINGBUF_HDR_SZ);
		len &= ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		r->next += KT_ALIGN_UP(len + BPF_RINGBUF_HDR_SZ, 8u);
	}
	if (n)
		return (int)n;
	kt_store_release(r->consumer, r->next);
	if (r->polled && arm(r))
		return kt_xdp_rx_peek(port, frames, max);
	return idle_state(port);
}

void kt_xdp_rx_release(struct ktrxer *port, const u8 *verdict, u32 n)
{
	struct kt_xdp_rx *r = kt_xdp(port)->rx;

	kt_store_release(r->consumer, r->next);
}

int kt_xdp_rx_wait(struct ktrxer *port, u64 until_ns)
{
	struct kt_xdp_rx *r = kt_xdp(port)->rx;
	struct pollfd pfd = { .fd = r->ring_fd, .events = POLLIN };
	int ret = 0;

	while (!waiting(r)) {
		u64 now = kt_port_now(port), pause = until_ns - now;
		struct timespec ts;

		if (now >= until_ns)
			break;
		ret = idle_state(port);
		if (ret)
			break;
		if (arm(r))
			break;
		ts = kt_ns_timespec(pause < CHECK_NS * 5 ? pause : CHECK_NS * 5);
		ppoll(&pfd, 1, &ts, NULL);
	}
	if (!r->polled)
		kt_store_relaxed(&r->control->asleep, 0);
	return waiting(r) ? 1 : ret;
}

int kt_xdp_rx_fd(struct ktrxer *port)
{
	struct kt_xdp_rx *r = kt_xdp(port)->rx;

	r->polled = true;
	arm(r);
	return r->ring_fd;
}

void kt_xdp_rx_counts(struct ktrxer *port, struct kt_rx_counts *counts)
{
	struct kt_xdp_rx *r = kt_xdp(port)->rx;
	int n_cpus = libbpf_num_possible_cpus();
	struct kt_xdp_totals *t = n_cpus > 0 ? calloc((size_t)n_cpus, sizeof(*t)) : NULL;
	u32 zero = 0;

	memset(counts, 0, sizeof(*counts));
	if (!t || bpf_map_lookup_elem(r->totals_fd, &zero, t))
		n_cpus = 0;
	for (int i = 0; i < n_cpus; i++) {
		counts->seen_bytes += t[i].seen_bytes;
		counts->dropped += t[i].dropped;
		counts->passed += t[i].passed;
		counts->forwarded += t[i].forwarded;
		counts->lost_engine += t[i].lost_engine;
		counts->lost_error += t[i].lost_error;
		counts->malformed += t[i].malformed;
	}
	/* Read while frames arrive, the parts would not always add up to a counter of their own. */
	counts->seen = counts->dropped + counts->passed + counts->lost_engine + counts->lost_error;
	free(t);
}

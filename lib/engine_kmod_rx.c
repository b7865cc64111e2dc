/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Engine kmod, receiving: the module judges and fills the ring, which the
 * listeners read where it is. What is left here is rules in, counters out, and waiting.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../core/ring.h"
#include "../include/uapi/ktrxer.h"
#include "engine_kmod.h"
#include "receiver.h"

#define STATE_NS 100000000u /* how soon a wait notices that the interface went down */

static int set_event(int fd, int event)
{
	struct ktrxer_eventfd e = { .size = sizeof(e), .fd = event };

	return ioctl(fd, KRX_IOC_EVENTFD, &e) ? -errno : 0;
}

int kt_kmod_rx_open(struct ktrxer *port, const struct krx_opts *opts, struct ktrxer_err *err)
{
	struct kt_kmod_priv *p = port->priv;
	struct krx_setup s = {
		.size = sizeof(s),
		.abi = KTRXER_ABI,
		.ifindex = port->ifindex,
		.flags = KRX_SETUP_INGRESS | (port->opts.promiscuous ? KRX_SETUP_PROMISC : 0u) |
			 (opts->outgoing ? KRX_SETUP_OUTGOING : 0u),
	};
	int ret = kt_ring_units(opts->ring_bytes, &s.n_units, err);

	if (ret)
		return ret;
	p->rx_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->rx_event < 0)
		return kt_err(err, errno, "no descriptor for waiting: %s", strerror(errno));
	p->rx_fd = kt_kmod_device(KRX_DEVICE, err);
	ret = p->rx_fd;
	if (ret >= 0 && ioctl(p->rx_fd, KRX_IOC_SETUP, &s)) {
		ret = errno == ENOMEM ? kt_err(err, ENOMEM, "no memory for a ring of %llu bytes",
					       (unsigned long long)s.n_units * KT_RING_UNIT)
				      : kt_kmod_setup_err(port, "receiver", errno, s.abi, err);
	} else if (ret >= 0) {
		ret = set_event(p->rx_fd, p->rx_event);
		if (ret)
			kt_err(err, -ret, "the module takes no eventfd: %s", strerror(-ret));
	}
	if (ret < 0) {
		kt_kmod_rx_close(port);
		return ret;
	}
	p->n_units = s.n_units;
	return 0;
}

void kt_kmod_rx_close(struct ktrxer *port)
{
	struct kt_kmod_priv *p = port->priv;

	if (p->rx_fd >= 0)
		close(p->rx_fd);
	if (p->rx_event >= 0)
		close(p->rx_event);
	p->rx_fd = p->rx_event = -1;
}

/* --- The ring --- */

bool kt_kmod_is_ring(int fd)
{
	struct stat is, should;

	return !fstat(fd, &is) && S_ISCHR(is.st_mode) && !stat("/dev/" KRX_DEVICE, &should) &&
	       S_ISCHR(should.st_mode) && is.st_rdev == should.st_rdev;
}

int kt_kmod_ring_map(struct kt_ring_memory *m)
{
	long page = sysconf(_SC_PAGESIZE);

	m->ring_bytes = (size_t)page + (size_t)m->n_units * KT_RING_UNIT;
	m->cursor_bytes = KT_ALIGN_UP(KT_RING_MAX_CURSORS * sizeof(struct kt_ring_cursor), (size_t)page);
	m->shared = mmap(NULL, m->ring_bytes, PROT_READ, MAP_SHARED, m->ring_fd, (off_t)KRX_MAP_RING);
	m->cursors =
		mmap(NULL, m->cursor_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->cursor_fd, (off_t)KRX_MAP_CURSORS);
	if (m->shared == MAP_FAILED || m->cursors == MAP_FAILED)
		return -errno;
	m->data = (u8 *)m->shared + page;
	return 0;
}

int kt_kmod_rx_ring(struct ktrxer *port, struct kt_ring_memory *m, struct ktrxer_err *err)
{
	struct kt_kmod_priv *p = port->priv;
	int ret;

	memset(m, 0, sizeof(*m));
	m->n_units = p->n_units;
	m->ring_fd = fcntl(p->rx_fd, F_DUPFD_CLOEXEC, 0);
	m->cursor_fd = fcntl(p->rx_fd, F_DUPFD_CLOEXEC, 0);
	ret = m->ring_fd < 0 || m->cursor_fd < 0 ? -errno : kt_kmod_ring_map(m);
	if (ret) {
		kt_ring_memory_free(m);
		return kt_err(err, -ret, "the module's ring cannot be mapped: %s", strerror(-ret));
	}
	p->ring = m->shared;
	p->head_told = kt_load_acquire(&p->ring->head);
	return 0;
}

int kt_kmod_rx_join(struct ktrxer *port, bool lossless)
{
	struct krx_listen l = { .size = sizeof(l), .lossless = lossless };

	return ioctl(kt_kmod_of(port)->rx_fd, KRX_IOC_LISTEN, &l) ? -errno : (int)l.cursor;
}

void kt_kmod_rx_leave(struct ktrxer *port, u32 cursor)
{
	struct krx_listen l = { .size = sizeof(l), .cursor = cursor };

	/* A receiver that is closed first has given back all cursors itself. */
	(void)!ioctl(kt_kmod_of(port)->rx_fd, KRX_IOC_UNLISTEN, &l);
}

/* --- State and waiting --- */

static int read_stats(struct ktrxer *port, struct krx_stats_abi *s)
{
	memset(s, 0, sizeof(*s));
	s->size = sizeof(*s);
	return ioctl(kt_kmod_of(port)->rx_fd, KRX_IOC_STATS, s) ? -errno : 0;
}

int kt_kmod_rx_peek(struct ktrxer *port, struct kt_rxframe *frames, u32 max)
{
	struct krx_stats_abi s;

	(void)frames;
	(void)max;
	if (read_stats(port, &s))
		return -ENODEV;
	return s.flags & KRX_STATS_GONE ? -ENODEV : s.flags & KRX_STATS_DOWN ? -ENETDOWN : 0;
}

void kt_kmod_rx_release(struct ktrxer *port, const u8 *verdict, u32 n)
{
	(void)port;
	(void)verdict;
	(void)n;
}

int kt_kmod_rx_wait(struct ktrxer *port, u64 until_ns)
{
	struct kt_kmod_priv *p = port->priv;
	/* The event tells of new records to all who wait; the receiver itself only that the interface is gone. */
	struct pollfd pfd[2] = { { .fd = p->rx_event, .events = POLLIN }, { .fd = p->rx_fd, .events = 0 } };
	u64 now, n;
	u32 head;
	int ret;

	/* The module tells of a record only when it sees that the one before has been read: so publish that, then look. */
	kt_fence_full();
	head = kt_load_acquire(&p->ring->head);
	if (head != p->head_told) {
		p->head_told = head;
		return 1;
	}
	do {
		u64 left = STATE_NS;
		struct timespec ts;

		ret = kt_kmod_rx_peek(port, NULL, 0);
		if (ret < 0)
			return ret;
		now = kt_port_now(port);
		if (until_ns < now + left)
			left = until_ns > now ? until_ns - now : 0;
		ts = kt_ns_timespec(left);
		if (ppoll(pfd, 2, &ts, NULL) < 0)
			return -errno;
		if (pfd[0].revents & POLLIN)
			return read(p->rx_event, &n, sizeof(n)) < 0 && errno != EAGAIN ? -errno : 1;
	} while (now < until_ns);
	return 0;
}

int kt_kmod_rx_fd(struct ktrxer *port)
{
	return kt_kmod_of(port)->rx_fd;
}

/* --- Rules and counters --- */

static void to_abi(struct krx_rule_abi *a, const struct kt_rule *r, u64 used)
{
	const struct kt_match *m = &r->match;
	const struct kt_action *x = &r->action;

	*a = (struct krx_rule_abi){
		.id = r->id,
		.priority = r->priority,
		.src_plen = m->src_plen,
		.dst_plen = m->dst_plen,
		.version = m->version,
		.proto = m->proto,
		.sport_lo = m->sport_lo,
		.sport_hi = m->sport_hi,
		.dport_lo = m->dport_lo,
		.dport_hi = m->dport_hi,
		.ethertype = m->ethertype,
		.op = x->op,
		.slice_base = x->slice_base,
		.ifindex = m->ifindex,
		.slice_bytes = x->slice_bytes,
		.slice_off = x->slice_off,
		.out_ifindex = x->out_ifindex,
		.sample_n = x->sample_n,
		.tag = x->tag,
		.quota_pkts = x->quota_pkts,
		.used = used,
		.rewrite = x->rewrite.flags,
		.new_sport = x->rewrite.sport,
		.new_dport = x->rewrite.dport,
		.new_ttl = x->rewrite.ttl,
		.new_tos = x->rewrite.tos,
	};
	memcpy(a->src, m->src, 16);
	memcpy(a->dst, m->dst, 16);
	memcpy(a->new_src_mac, x->rewrite.src_mac, 6);
	memcpy(a->new_dst_mac, x->rewrite.dst_mac, 6);
	memcpy(a->new_src, x->rewrite.src, 16);
	memcpy(a->new_dst, x->rewrite.dst, 16);
}

_Static_assert(sizeof(struct kt_rule_count) == sizeof(struct krx_count_abi), "counts travel as they are");

int kt_kmod_rx_rules(struct ktrxer *port, const struct kt_classifier *set, const u64 *used,
		     struct kt_rule_count *replaced, u32 n_replaced, struct ktrxer_err *err)
{
	struct krx_rule_abi *rules = malloc(((size_t)set->n_rules + 1) * sizeof(*rules));
	struct krx_rules q = {
		.size = sizeof(q),
		.n = set->n_rules,
		.rules = (uintptr_t)rules,
		.counts = (uintptr_t)replaced,
		.n_counts = replaced ? n_replaced : 0,
		.rule_bytes = sizeof(*rules),
	};
	int ret = 0;

	if (!rules)
		return kt_err(err, ENOMEM, "no memory for %u rules", set->n_rules);
	for (u32 i = 0; i < set->n_rules; i++)
		to_abi(&rules[i], &set->rules[i], used ? used[i] : 0);
	if (ioctl(kt_kmod_of(port)->rx_fd, KRX_IOC_RULES, &q))
		ret = errno == EINVAL && q.bad_rule < set->n_rules
			      ? kt_err(err, EINVAL, "the module refuses rule %u", set->rules[q.bad_rule].id)
			      : kt_err(err, errno, "the module refuses %u rules: %s", set->n_rules, strerror(errno));
	free(rules);
	return ret;
}

void kt_kmod_rx_rule_counts(struct ktrxer *port, struct kt_rule_count *counts, u32 n)
{
	struct krx_counts q = { .size = sizeof(q), .n = n, .counts = (uintptr_t)counts };

	(void)!ioctl(kt_kmod_of(port)->rx_fd, KRX_IOC_COUNTS, &q);
}

void kt_kmod_rx_counts(struct ktrxer *port, struct kt_rx_counts *counts)
{
	struct krx_stats_abi s;

	read_stats(port, &s);
	*counts = (struct kt_rx_counts){
		.seen = s.seen,
		.seen_bytes = s.seen_bytes,
		.dropped = s.dropped,
		.passed = s.passed,
		.forwarded = s.forwarded,
		.lost_error = s.lost_error,
		.malformed = s.malformed,
		.delivered = s.delivered,
		.lost_ring = s.lost_ring,
		.merged = s.merged,
		.displaced = s.displaced,
		.not_first = s.flags & KRX_STATS_NOT_FIRST,
	};
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Rule sets for the XDP program: each is one map, written through memory
 * before anybody sees it and brought into force by one exchange, after which
 * the kernel waits until no program uses the old one. So its counts are final.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../core/ring.h"
#include "engine_xdp_rx.h"

#define MAX_COUNT_BYTES (1u << 28)

static void *cell(const struct kt_xdp_set_map *m, u32 i)
{
	return m->cells + (size_t)i * KT_XDP_CELL_BYTES;
}

static struct kt_xdp_set *head_of(const struct kt_xdp_set_map *m)
{
	return cell(m, m->set);
}

void kt_xdp_set_free(struct kt_xdp_set_map *m)
{
	if (!m->cells)
		return;
	munmap(m->cells, (size_t)m->n_cells * KT_XDP_CELL_BYTES);
	close(m->fd);
	m->cells = NULL;
}

/* A column for each CPU, or as many as fit: then CPUs share them. */
static void plan(struct kt_xdp_set *s, u32 first, u32 n_rules)
{
	u32 n_cpus = (u32)libbpf_num_possible_cpus();

	memset(s, 0, sizeof(*s));
	s->n_rules = n_rules;
	s->actions = first;
	s->states = s->actions + 2 * n_rules;
	s->counts = s->states + (n_rules + KT_XDP_PER_CELL - 1) / KT_XDP_PER_CELL;
	s->column_cells = (n_rules + KT_XDP_PER_CELL - 1) / KT_XDP_PER_CELL;
	s->n_columns = 1;
	while (s->n_columns < n_cpus && (u64)s->n_columns * 2 * s->column_cells * KT_XDP_CELL_BYTES <= MAX_COUNT_BYTES)
		s->n_columns *= 2;
	s->shared_columns = s->n_columns < n_cpus;
}

static void write_rules(const struct kt_xdp_set_map *m, const struct kt_classifier *c, const u64 *used)
{
	const struct kt_xdp_set *s = head_of(m);

	for (u32 i = 0; i < s->n_rules; i++) {
		const struct kt_action *from = &c->rules[i].action;
		struct kt_xdp_action *to = cell(m, s->actions + 2 * i);
		struct kt_xdp_state *st = cell(m, s->states + i / KT_XDP_PER_CELL);

		to->op = from->op;
		to->slice_base = from->slice_base;
		to->slice_off = from->slice_off;
		to->slice_bytes = from->slice_bytes;
		to->out_ifindex = from->out_ifindex;
		to->sample_n = from->sample_n;
		to->quota_pkts = from->quota_pkts;
		to->tag = from->tag;
		to->rule_id = c->rules[i].id;
		to->rewrite = from->rewrite.flags;
		memcpy(cell(m, s->actions + 2 * i + 1), &from->rewrite, sizeof(from->rewrite));
		st[i % KT_XDP_PER_CELL].used = used ? used[i] : 0;
	}
}

static int make_set(struct kt_xdp_set_map *m, const struct kt_classifier *c, const u64 *used, struct ktrxer_err *err)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_INNER_MAP | BPF_F_MMAPABLE);
	struct kt_xdp_set s;
	size_t bytes;
	int code;

	m->set = c->image.n_cells;
	plan(&s, m->set + 1, c->n_rules);
	m->n_cells = s.counts + s.n_columns * s.column_cells;
	bytes = (size_t)m->n_cells * KT_XDP_CELL_BYTES;
	m->fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ktrxer_rules", sizeof(u32), KT_XDP_CELL_BYTES, m->n_cells, &opts);
	if (m->fd < 0)
		return kt_err(err, errno, "no kernel memory for %u rules (%zu KiB): %s", c->n_rules, bytes / 1024,
			      strerror(errno));
	m->cells = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	if (m->cells == MAP_FAILED) {
		code = errno;
		m->cells = NULL;
		close(m->fd);
		return kt_err(err, code, "the kernel's %u rules cannot be mapped: %s", c->n_rules, strerror(code));
	}
	memcpy(m->cells, c->image.cells, (size_t)c->image.n_cells * KT_XDP_CELL_BYTES);
	memcpy(cell(m, m->set), &s, sizeof(s));
	write_rules(m, c, used);
	return 0;
}

static void sum_counts(const struct kt_xdp_set_map *m, struct kt_rule_count *counts, u32 n)
{
	const struct kt_xdp_set *s;

	memset(counts, 0, (size_t)n * sizeof(*counts));
	if (!m->cells)
		return;
	s = head_of(m);
	for (u32 column = 0; column < s->n_columns; column++) {
		const struct kt_xdp_count *c = cell(m, s->counts + column * s->column_cells);

		for (u32 i = 0; i < n && i < s->n_rules; i++) {
			counts[i].pkts += c[i].pkts;
			counts[i].bytes += c[i].bytes;
		}
	}
}

/* Rules that send frames on need the programs that count failures; attached with the first such rule. */
static int watch_redirects(struct ktrxer *port, const struct kt_classifier *c, struct ktrxer_err *err)
{
	struct kt_xdp_rx *r = kt_xdp(port)->rx;
	struct bpf_program *prog;
	bool wanted = false;
	int ret = 0;

	for (u32 i = 0; i < c->n_rules; i++)
		wanted |= c->rules[i].action.out_ifindex != 0;
	if (!wanted || r->n_watches)
		return 0;
	if (!r->can_watch)
		return kt_err(
			err, EOPNOTSUPP,
			"forwarding out of an interface needs CAP_PERFMON and a kernel with BTF: without them lost "
			"frames could not be counted");
	kt_xdp_log_begin();
	bpf_object__for_each_program(prog, r->obj)
	{
		struct bpf_link *link;

		if (bpf_program__type(prog) == BPF_PROG_TYPE_XDP)
			continue;
		link = bpf_program__attach(prog);
		if (!link) {
			ret = kt_xdp_bpf_err(err, errno, "watching forwarded frames");
			break;
		}
		r->watches[r->n_watches++] = link;
	}
	kt_xdp_log_end();
	return ret;
}

int kt_xdp_rx_rules(struct ktrxer *port, const struct kt_classifier *set, const u64 *used,
		    struct kt_rule_count *replaced, u32 n_replaced, struct ktrxer_err *err)
{
	struct kt_xdp_rx *r = kt_xdp(port)->rx;
	struct kt_xdp_set_map fresh = { 0 };
	u32 zero = 0;
	int ret = watch_redirects(port, set, err);

	if (!ret)
		ret = make_set(&fresh, set, used, err);
	if (ret)
		return ret;
	/* All stores above come first: the system call publishes them. */
	if (bpf_map_update_elem(r->sets_fd, &zero, &fresh.fd, BPF_ANY)) {
		ret = kt_err(err, errno, "the rules cannot be brought into force: %s", strerror(errno));
		kt_xdp_set_free(&fresh);
		return ret;
	}
	if (replaced)
		sum_counts(&r->set, replaced, n_replaced);
	kt_xdp_set_free(&r->set);
	r->set = fresh;
	return 0;
}

void kt_xdp_rx_rule_counts(struct ktrxer *port, struct kt_rule_count *counts, u32 n)
{
	sum_counts(&kt_xdp(port)->rx->set, counts, n);
}

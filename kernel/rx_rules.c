// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sets of rules. A new one is copied, checked and compiled aside, and then exchanged for
 * the one in force in one step. The old one's counts are read when the last packet
 * that met it is through.
 */
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "../core/compile.h"
#include "krx.h"

#define RULES_A_LOOK 1024u /* between looks whether somebody wants the CPU or us dead */

static_assert(sizeof(struct kt_rx_rule) == 64);

/* --- Memory --------------------------------------------------------------------------- */

static void *get(size_t bytes)
{
	/* Cells are aligned to 64 bytes: so are small blocks of a power of two, and large ones. */
	if (bytes < PAGE_SIZE)
		bytes = roundup_pow_of_two(max_t(size_t, bytes, 64));
	/* Rather fails than wakes the OOM killer. */
	return kvmalloc(bytes, GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
}

static void *core_alloc(void *ctx, size_t bytes)
{
	return get(bytes);
}

static void core_free(void *ctx, void *p, size_t bytes)
{
	kvfree(p);
}

/* Somebody else may want the CPU, or us dead. */
static int core_pause(void *ctx)
{
	cond_resched();
	return fatal_signal_pending(current) ? -EINTR : 0;
}

static const struct kt_memory memory = { .alloc = core_alloc, .free = core_free, .pause = core_pause };

static void free_set(struct kt_rx_set *set)
{
	if (!set)
		return;
	kvfree(set->image.cells);
	kvfree(set->rules);
	kvfree(set->rewrites);
	kfree(set);
}

/* --- From the user ----------------------------------------------------------------------- */

static bool all_zero(const u8 *p, size_t n)
{
	return !memchr_inv(p, 0, n);
}

static void rule_from_abi(struct kt_rule *r, const struct krx_rule_abi *a)
{
	struct kt_match *m = &r->match;
	struct kt_rewrite *w = &r->action.rewrite;

	memset(r, 0, sizeof(*r));
	r->id = a->id;
	r->priority = a->priority;
	memcpy(m->src, a->src, sizeof(m->src));
	memcpy(m->dst, a->dst, sizeof(m->dst));
	m->src_plen = a->src_plen;
	m->dst_plen = a->dst_plen;
	m->version = a->version;
	m->proto = a->proto;
	m->sport_lo = a->sport_lo;
	m->sport_hi = a->sport_hi;
	m->dport_lo = a->dport_lo;
	m->dport_hi = a->dport_hi;
	m->ethertype = a->ethertype;
	m->ifindex = a->ifindex;
	r->action.op = a->op;
	r->action.slice_base = a->slice_base;
	r->action.slice_off = a->slice_off;
	r->action.slice_bytes = a->slice_bytes;
	r->action.out_ifindex = a->out_ifindex;
	r->action.sample_n = a->sample_n;
	r->action.quota_pkts = a->quota_pkts;
	r->action.tag = a->tag;
	w->flags = a->rewrite;
	memcpy(w->src_mac, a->new_src_mac, sizeof(w->src_mac));
	memcpy(w->dst_mac, a->new_dst_mac, sizeof(w->dst_mac));
	memcpy(w->src, a->new_src, sizeof(w->src));
	memcpy(w->dst, a->new_dst, sizeof(w->dst));
	w->sport = a->new_sport;
	w->dport = a->new_dport;
	w->ttl = a->new_ttl;
	w->tos = a->new_tos;
}

/* What a rule is when packets meet it. */
static void keep_rule(struct kt_rx_rule *k, const struct kt_rule *r, u64 used)
{
	memset(k, 0, sizeof(*k));
	k->id = r->id;
	k->tag = r->action.tag;
	k->op = r->action.op;
	k->slice_base = r->action.slice_base;
	k->slice_off = r->action.slice_off;
	k->slice_bytes = r->action.slice_bytes;
	k->out_ifindex = r->action.out_ifindex;
	k->sample_n = r->action.sample_n;
	k->quota = r->action.quota_pkts;
	k->used = used;
}

static int get_rule(struct kt_rx_set *set, struct kt_rule *rules, u32 i, const struct krx_rules *arg)
{
	const void __user *from = u64_to_user_ptr(arg->rules) + (size_t)i * arg->rule_bytes;
	struct krx_rule_abi a;
	const char *why;
	int ret = copy_struct_from_user(&a, sizeof(a), from, arg->rule_bytes);

	if (ret)
		return ret;
	if (a.reserved || !all_zero(a.reserved2, sizeof(a.reserved2)))
		return -EINVAL;
	rule_from_abi(&rules[i], &a);
	if (kt_rule_check(&rules[i], &why) || (i && rules[i].priority > rules[i - 1].priority))
		return -EINVAL;
	keep_rule(&set->rules[i], &rules[i], a.used);
	set->n_rewrites += rules[i].action.rewrite.flags != 0;
	return 0;
}

static int look_around(u32 i)
{
	return i % RULES_A_LOOK ? 0 : core_pause(NULL);
}

/* Rewriting is rare, so what it says is kept apart. */
static int keep_rewrites(struct kt_rx_set *set, const struct kt_rule *rules)
{
	u32 n = 0;

	if (!set->n_rewrites)
		return 0;
	set->rewrites = get(set->n_rewrites * sizeof(*set->rewrites));
	if (!set->rewrites)
		return -ENOMEM;
	for (u32 i = 0; i < set->n; i++) {
		if (!rules[i].action.rewrite.flags)
			continue;
		set->rewrites[n++] = rules[i].action.rewrite;
		set->rules[i].rewrite = n;
	}
	return 0;
}

/* Copies, checks and compiles. */
static int new_set(struct kt_rx_set **out, struct krx_rules *arg)
{
	struct kt_rx_set *set = kzalloc(sizeof(*set), GFP_KERNEL_ACCOUNT);
	struct kt_rule *rules = get((size_t)arg->n * sizeof(*rules));
	struct kt_image_key key;
	int ret = -ENOMEM;

	if (!set || !rules)
		goto out;
	set->n = arg->n;
	set->rules = get((size_t)arg->n * sizeof(*set->rules));
	if (!set->rules)
		goto out;
	ret = 0;
	for (u32 i = 0; i < arg->n && !ret; i++) {
		ret = look_around(i);
		if (!ret)
			ret = get_rule(set, rules, i, arg);
		if (ret)
			arg->bad_rule = i;
	}
	if (!ret)
		ret = keep_rewrites(set, rules);
	get_random_bytes(&key, sizeof(key));
	if (!ret)
		ret = kt_compile(&set->image, rules, arg->n, &key, &memory);
	memzero_explicit(&key, sizeof(key));
out:
	kvfree(rules);
	if (ret)
		free_set(set);
	else
		*out = set;
	return ret;
}

/* --- Counts -------------------------------------------------------------------------------- */

bool kt_rx_rule_claim(struct kt_rx_rule *r, u32 bytes, u64 *nth)
{
	s64 pkts = atomic64_read(&r->pkts);

	if (r->quota) {
		do {
			if (!kt_quota_left(r->quota, r->used + (u64)pkts))
				return false;
		} while (!atomic64_try_cmpxchg(&r->pkts, &pkts, pkts + 1));
	} else {
		pkts = atomic64_fetch_add(1, &r->pkts);
	}
	atomic64_add(bytes, &r->bytes);
	*nth = r->used + (u64)pkts;
	return true;
}

static int put_counts(const struct kt_rx_set *set, u64 to, u32 room)
{
	struct krx_count_abi __user *at = u64_to_user_ptr(to);
	u32 n = min(room, set->n);

	for (u32 i = 0; i < n; i++) {
		struct krx_count_abi c = {
			.pkts = (u64)atomic64_read(&set->rules[i].pkts),
			.bytes = (u64)atomic64_read(&set->rules[i].bytes),
		};

		if (i % RULES_A_LOOK == 0)
			cond_resched();
		if (copy_to_user(&at[i], &c, sizeof(c)))
			return -EFAULT;
	}
	return 0;
}

/* --- Exchange: lock held ------------------------------------------------------------------- */

static struct kt_rx_set *in_force(struct krx *rx)
{
	return rcu_dereference_protected(rx->set, lockdep_is_held(&rx->lock));
}

int kt_rx_rules_init(struct krx *rx)
{
	struct krx_rules none = { .rule_bytes = sizeof(struct krx_rule_abi) };
	struct kt_rx_set *set;
	int ret = new_set(&set, &none);

	if (!ret)
		rcu_assign_pointer(rx->set, set);
	return ret;
}

void kt_rx_rules_end(struct krx *rx)
{
	free_set(rcu_dereference_protected(rx->set, true));
	RCU_INIT_POINTER(rx->set, NULL);
}

int kt_rx_rules_replace(struct krx *rx, struct krx_rules *arg)
{
	struct kt_rx_set *set, *old = in_force(rx);
	u32 room = arg->counts ? min(arg->n_counts, old->n) : 0;
	int ret;

	if (arg->reserved || arg->rule_bytes < sizeof(struct krx_rule_abi) || arg->rule_bytes > PAGE_SIZE)
		return -EINVAL;
	if (arg->n > READ_ONCE(kt_max_rules))
		return -E2BIG;
	/* Who gives no memory for the counts hears so before anything is changed. */
	if (room && clear_user(u64_to_user_ptr(arg->counts), (size_t)room * sizeof(struct krx_count_abi)))
		return -EFAULT;
	ret = new_set(&set, arg);
	if (ret)
		return ret;
	kt_rx_hooks_mend(rx);
	rcu_assign_pointer(rx->set, set);
	synchronize_rcu_expedited();
	ret = room ? put_counts(old, arg->counts, room) : 0;
	free_set(old);
	return ret;
}

int kt_rx_rules_counts(struct krx *rx, struct krx_counts *arg)
{
	const struct kt_rx_set *set = in_force(rx);
	int ret = put_counts(set, arg->counts, arg->n);

	arg->n = set->n;
	return ret;
}

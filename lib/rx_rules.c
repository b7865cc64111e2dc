/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Changing rules under traffic: the new set is checked, compiled and given
 * its counters aside, then exchanged in one step while the pump is held. Any
 * failure leaves the old set as it was.
 */
#include <stdlib.h>
#include <string.h>

#include "receiver.h"
#include "ruleconv.h"

static const char *op_name(u32 op)
{
	static const char *const names[] = { "forward", "capture", "drop", "capture+drop" };

	return op < KT_ARRAY_LEN(names) ? names[op] : "unknown";
}

void kt_rule_set_free(struct kt_rule_set *set)
{
	if (!set)
		return;
	if (set->classifier)
		kt_classifier_free(set->classifier);
	free(set->state);
	free(set->public_rules);
	free(set);
}

/* Where the rule with an id stands in an array. */
struct place {
	u32 id;
	u32 index;
};

static int by_id(const void *a, const void *b)
{
	u32 x = ((const struct place *)a)->id, y = ((const struct place *)b)->id;

	return x < y ? -1 : x > y;
}

/* Places of all rules, sorted by id; the caller frees. */
static struct place *places_new(const struct krx_rule *rules, u32 n)
{
	struct place *p = malloc((size_t)(n + 1) * sizeof(*p));

	for (u32 i = 0; p && i < n; i++)
		p[i] = (struct place){ rules[i].id, i };
	if (p)
		qsort(p, n, sizeof(*p), by_id);
	return p;
}

/* The rule's index, or n. */
static u32 place_of(const struct place *places, u32 n, u32 id)
{
	struct place key = { .id = id };
	const struct place *hit = bsearch(&key, places, n, sizeof(key), by_id);

	return hit ? hit->index : n;
}

/*
 * Gives ids behind the highest ever seen, so that none is used again soon;
 * behind the last number there is, the lowest free ones. places: of all rules.
 */
static u32 give_ids(struct krx_rule *rules, u32 n, const struct place *places, u32 highest)
{
	u32 id = 0, used = 0;

	for (u32 i = 0; i < n; i++) {
		if (rules[i].id)
			continue;
		if (highest < UINT32_MAX) {
			rules[i].id = ++highest;
			continue;
		}
		for (id++; used < n && places[used].id <= id; used++)
			id += places[used].id == id;
		rules[i].id = id;
	}
	return highest;
}

/* Gives ids where there are none and refuses doubles. */
static int number_rules(struct krx *rx, struct krx_rule *rules, u32 n)
{
	u32 highest = rx->next_rule_id;
	struct place *places;
	int ret = 0;

	if (n > KT_MAX_RULES)
		return kt_rx_err(rx, EINVAL, "%u rules are too many; %u is the most", n, KT_MAX_RULES);
	places = places_new(rules, n);
	if (!places)
		return kt_rx_err(rx, ENOMEM, "no memory for %u rules", n);
	if (n && places[n - 1].id > highest)
		highest = places[n - 1].id;
	highest = give_ids(rules, n, places, highest);
	free(places);
	places = places_new(rules, n);
	if (!places)
		return kt_rx_err(rx, ENOMEM, "no memory for %u rules", n);
	for (u32 i = 1; i < n && !ret; i++)
		if (places[i].id == places[i - 1].id)
			ret = kt_rx_err(rx, EINVAL, "two rules have the id %u", places[i].id);
	free(places);
	if (!ret)
		rx->next_rule_id = highest;
	return ret;
}

static int check_ops(struct krx *rx, const struct krx_rule *rules, u32 n)
{
	const struct kt_engine *e = rx->port->engine;

	for (u32 i = 0; i < n; i++) {
		u32 op = (u32)rules[i].op;

		if (op > KT_OP_CAPTURE_DROP)
			return kt_rx_err(rx, EINVAL, "rule %u: operation %u is unknown", rules[i].id, op);
		if (!(e->ops & (1u << op)))
			return kt_rx_err(
				rx, EOPNOTSUPP,
				"rule %u: engine %s cannot %s: it sees copies, the host has the packet already; "
				"engine xdp can",
				rules[i].id, e->name, op_name(op));
		if ((rules[i].out_ifindex || rules[i].rewrite) && !(e->ops & (1u << KT_OP_DROP)))
			return kt_rx_err(
				rx, EOPNOTSUPP,
				"rule %u: engine %s cannot rewrite or forward out of an interface; engine xdp can",
				rules[i].id, e->name);
	}
	return 0;
}

/* public_rules into order of judgement: as the classifier sorted them. */
static int sort_public(struct kt_rule_set *set, const struct krx_rule *rules, u32 n)
{
	struct place *places = places_new(rules, n);

	if (!places)
		return -ENOMEM;
	for (u32 i = 0; i < n; i++) {
		const struct krx_rule *r = &rules[place_of(places, n, set->classifier->rules[i].id)];

		set->public_rules[i] = *r;
		set->any_quota |= r->quota_pkts != 0;
	}
	free(places);
	return 0;
}

/* Compiles a copy of rules (ids given). */
static int new_set(struct krx *rx, struct kt_rule_set **out, const struct krx_rule *rules, u32 n)
{
	struct kt_rule_set *set = calloc(1, sizeof(*set));
	struct kt_rule *core = malloc((size_t)(n + 1) * sizeof(*core));
	const char *why = "";
	u32 bad = 0;
	int ret = -ENOMEM;

	if (!set || !core)
		goto out;
	set->n = n;
	set->state = calloc((size_t)n + 1, sizeof(*set->state));
	set->public_rules = calloc((size_t)n + 1, sizeof(*set->public_rules));
	if (!set->state || !set->public_rules)
		goto out;
	for (u32 i = 0; i < n; i++)
		kt_rule_from_public(&core[i], &rules[i]);
	ret = kt_classifier_new(&set->classifier, core, n, &why, &bad);
	if (!ret)
		ret = sort_public(set, rules, n);
out:
	free(core);
	if (!ret) {
		*out = set;
		return 0;
	}
	kt_rule_set_free(set);
	if (ret == -EINVAL)
		return kt_rx_err(rx, EINVAL, "rule %u: %s", bad < n ? rules[bad].id : 0, why);
	return kt_rx_err(rx, -ret, "no memory for %u rules", n);
}

/* Brings the engine's matches of the set in force into its state. pump_lock held. */
static void add_engine_counts(struct kt_rule_set *set, const struct kt_rule_count *counts)
{
	for (u32 i = 0; i < set->n; i++) {
		set->state[i].count.pkts += counts[i].pkts;
		set->state[i].count.bytes += counts[i].bytes;
		set->state[i].used += counts[i].pkts;
	}
}

/* Rules whose id stays go on counting. pump_lock held. */
static void inherit(struct kt_rule_set *set, const struct kt_rule_set *old, const struct place *old_places)
{
	for (u32 i = 0; i < set->n; i++) {
		u32 k = place_of(old_places, old->n, set->public_rules[i].id);

		if (k < old->n)
			set->state[i] = old->state[k];
	}
}

/*
 * The engine judges: it gets the set first, and hands back what the old one
 * counted. Quotas start from what was used just before the exchange; a match
 * during it is counted, but to the new quota it may come on top. pump_lock held.
 */
static int exchange_in_engine(struct krx *rx, struct kt_rule_set *set, const struct place *old_places)
{
	const struct kt_engine *e = rx->port->engine;
	struct kt_rule_set *old = rx->set;
	struct kt_rule_count *counts = calloc((size_t)old->n + 1, sizeof(*counts));
	u64 *used = calloc((size_t)set->n + 1, sizeof(*used));
	struct ktrxer_err err = { 0 };
	int ret;

	if (!used || !counts) {
		ret = kt_rx_err(rx, ENOMEM, "no memory for %u rules", set->n);
		goto out;
	}
	if (set->any_quota && e->rx_rule_counts)
		e->rx_rule_counts(rx->port, counts, old->n);
	for (u32 i = 0; set->any_quota && i < set->n; i++) {
		u32 k = place_of(old_places, old->n, set->public_rules[i].id);

		if (k < old->n)
			used[i] = old->state[k].used + counts[k].pkts;
	}
	memset(counts, 0, ((size_t)old->n + 1) * sizeof(*counts));
	ret = e->rx_rules(rx->port, set->classifier, used, counts, old->n, &err);
	if (ret)
		kt_rx_err(rx, -ret, "%s", err.text);
	else
		add_engine_counts(old, counts);
out:
	free(counts);
	free(used);
	return ret;
}

/* rules_lock held. */
static int replace(struct krx *rx, struct krx_rule *rules, u32 n)
{
	struct kt_rule_set *set = NULL, *old = rx->set;
	struct place *old_places = NULL;
	int ret = number_rules(rx, rules, n);

	if (!ret)
		ret = check_ops(rx, rules, n);
	if (!ret)
		ret = new_set(rx, &set, rules, n);
	if (ret)
		return ret;
	old_places = places_new(old->public_rules, old->n);
	if (!old_places) {
		kt_rule_set_free(set);
		return kt_rx_err(rx, ENOMEM, "no memory for %u rules", n);
	}
	pthread_mutex_lock(&rx->pump_lock);
	if (rx->port->engine->rx_rules)
		ret = exchange_in_engine(rx, set, old_places);
	if (!ret) {
		inherit(set, old, old_places);
		rx->set = set;
	}
	pthread_mutex_unlock(&rx->pump_lock);
	free(old_places);
	kt_rule_set_free(ret ? set : old);
	return ret;
}

int kt_rules_init(struct krx *rx, struct ktrxer_err *err)
{
	int ret = new_set(rx, &rx->set, NULL, 0);

	if (!ret && rx->port->engine->rx_rules)
		ret = rx->port->engine->rx_rules(rx->port, rx->set->classifier, NULL, NULL, 0, &rx->why);
	if (ret) {
		kt_rule_set_free(rx->set);
		rx->set = NULL;
		return kt_err(err, -ret, "%s", rx->why.text);
	}
	return 0;
}

void kt_rules_destroy(struct krx *rx)
{
	kt_rule_set_free(rx->set);
	rx->set = NULL;
}

KTRXER_API int krx_rules_replace(struct krx *rx, const struct krx_rule *rules, unsigned int n)
{
	struct krx_rule *copy;
	int ret;

	if (rx->remote)
		return kt_remote_rules_replace(rx, rules, n);
	if (n > KT_MAX_RULES)
		return kt_rx_err(rx, EINVAL, "%u rules are too many; %u is the most", n, KT_MAX_RULES);
	copy = malloc((size_t)(n + 1) * sizeof(*copy));
	if (!copy)
		return kt_rx_err(rx, ENOMEM, "no memory for %u rules", n);
	if (n)
		memcpy(copy, rules, (size_t)n * sizeof(*copy));
	pthread_mutex_lock(&rx->rules_lock);
	ret = replace(rx, copy, n);
	pthread_mutex_unlock(&rx->rules_lock);
	free(copy);
	return ret;
}

KTRXER_API int krx_rule_add(struct krx *rx, const struct krx_rule *rule, uint32_t *id)
{
	struct krx_rule *copy;
	u32 n;
	int ret;

	if (rx->remote)
		return kt_remote_rule_add(rx, rule, id);
	pthread_mutex_lock(&rx->rules_lock);
	n = rx->set->n;
	copy = malloc((size_t)(n + 1) * sizeof(*copy));
	if (!copy) {
		ret = kt_rx_err(rx, ENOMEM, "no memory for %u rules", n + 1);
	} else {
		memcpy(copy, rx->set->public_rules, (size_t)n * sizeof(*copy));
		copy[n] = *rule;
		ret = replace(rx, copy, n + 1);
		if (!ret && id)
			*id = copy[n].id;
	}
	pthread_mutex_unlock(&rx->rules_lock);
	free(copy);
	return ret;
}

KTRXER_API int krx_rule_delete(struct krx *rx, uint32_t id)
{
	struct krx_rule *copy;
	u32 n = 0;
	int ret;

	if (rx->remote)
		return kt_remote_rule_delete(rx, id);
	pthread_mutex_lock(&rx->rules_lock);
	copy = malloc((size_t)(rx->set->n + 1) * sizeof(*copy));
	if (!copy) {
		ret = kt_rx_err(rx, ENOMEM, "no memory for %u rules", rx->set->n);
	} else {
		for (u32 i = 0; i < rx->set->n; i++)
			if (rx->set->public_rules[i].id != id)
				copy[n++] = rx->set->public_rules[i];
		ret = n == rx->set->n ? kt_rx_err(rx, ENOENT, "no rule has the id %u", id) : replace(rx, copy, n);
	}
	pthread_mutex_unlock(&rx->rules_lock);
	free(copy);
	return ret;
}

KTRXER_API int krx_rules_list(struct krx *rx, struct krx_rule *rules, struct krx_rule_stats *stats, unsigned int max)
{
	struct kt_rule_count *counts = NULL;
	struct kt_rule_set *set;
	u32 n;

	if (rx->remote)
		return kt_remote_rules_list(rx, rules, stats, max);
	pthread_mutex_lock(&rx->rules_lock);
	pthread_mutex_lock(&rx->pump_lock);
	set = rx->set;
	n = set->n;
	if (stats && rx->port->engine->rx_rule_counts) {
		counts = calloc((size_t)n + 1, sizeof(*counts));
		if (counts)
			rx->port->engine->rx_rule_counts(rx->port, counts, n);
	}
	for (u32 i = 0; i < n && i < max; i++) {
		if (rules)
			rules[i] = set->public_rules[i];
		if (stats)
			stats[i] = (struct krx_rule_stats){
				.id = set->public_rules[i].id,
				.pkts = set->state[i].count.pkts + (counts ? counts[i].pkts : 0),
				.bytes = set->state[i].count.bytes + (counts ? counts[i].bytes : 0),
			};
	}
	pthread_mutex_unlock(&rx->pump_lock);
	pthread_mutex_unlock(&rx->rules_lock);
	free(counts);
	return (int)n;
}

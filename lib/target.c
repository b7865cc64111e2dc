/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The set of targets: lists into disjoint intervals, and from a number to a target in O(log intervals). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../core/hash.h"
#include "engine.h"
#include "target.h"

void kt_targets_init(struct kt_targets *t)
{
	memset(t, 0, sizeof(*t));
}

void kt_targets_free(struct kt_targets *t)
{
	for (int i = 0; i < KT_TARGET_N_LISTS; i++)
		kt_intervals_free(&t->lists[i]);
	free(t->base);
	free(t->ports);
	memset(t, 0, sizeof(*t));
}

int kt_targets_add(struct kt_targets *t, enum kt_target_list list, const char *text, const char *where,
		   struct ktrxer_err *err)
{
	struct kt_interval i;
	int ret = kt_target_parse(&i, text, where, err);
	struct kt_u128 span;

	if (ret)
		return ret;
	span = kt_u128_sub(i.last, i.first);
	if (list == KT_TARGET_INCLUDE && span.hi)
		return kt_err(err, ERANGE,
			      "%.300s%s\"%.60s\": more than 2^64 addresses; the largest IPv6 prefix is /64",
			      where ? where : "", where ? ": " : "", text);
	if (kt_intervals_add(&t->lists[list], &i))
		return kt_err(err, ENOMEM, "no memory for the list of targets");
	return 0;
}

/* Cuts comment and surrounding blanks; returns the start. */
static char *trim(char *line)
{
	char *end;

	line[strcspn(line, "#\r\n")] = 0;
	line += strspn(line, " \t");
	for (end = line + strlen(line); end > line && (end[-1] == ' ' || end[-1] == '\t'); end--)
		;
	*end = 0;
	return line;
}

static int add_lines(struct kt_targets *t, enum kt_target_list list, FILE *f, const char *path, struct ktrxer_err *err)
{
	char line[512], where[300];

	for (unsigned long n = 1; fgets(line, sizeof(line), f); n++) {
		char *text;
		int ret;

		snprintf(where, sizeof(where), "%.250s:%lu", path, n);
		if (strlen(line) == sizeof(line) - 1 && line[sizeof(line) - 2] != '\n') {
			int c;

			if (!memchr(line, '#', sizeof(line) - 1))
				return kt_err(err, EINVAL, "%s: the line is longer than %zu characters", where,
					      sizeof(line) - 2);
			do /* the rest of a long comment */
				c = getc(f);
			while (c != EOF && c != '\n');
		}
		text = trim(line);
		if (!*text)
			continue;
		ret = kt_targets_add(t, list, text, where, err);
		if (ret)
			return ret;
	}
	if (ferror(f))
		return kt_err(err, errno ? errno : EIO, "%.300s: %s", path, strerror(errno));
	return 0;
}

int kt_targets_add_file(struct kt_targets *t, enum kt_target_list list, const char *path, struct ktrxer_err *err)
{
	FILE *f;
	int ret;

	if (!strcmp(path, "-"))
		return add_lines(t, list, stdin, "standard input", err);
	f = fopen(path, "re");
	if (!f)
		return kt_err(err, errno, "%.300s: %s", path, strerror(errno));
	ret = add_lines(t, list, f, path, err);
	fclose(f);
	return ret;
}

int kt_targets_add_default_deny(struct kt_targets *t, struct ktrxer_err *err)
{
	static const char *const never[] = { "0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::", "ff00::/8" };
	int ret = 0;

	for (size_t i = 0; i < KT_ARRAY_LEN(never) && !ret; i++)
		ret = kt_targets_add(t, KT_TARGET_DENY, never[i], NULL, err);
	return ret;
}

int kt_targets_set_ports(struct kt_targets *t, const char *text, struct ktrxer_err *err)
{
	if (!t->ports)
		t->ports = malloc(sizeof(*t->ports));
	if (!t->ports)
		return kt_err(err, ENOMEM, "no memory for the set of ports");
	return kt_portset_parse(t->ports, text, err);
}

/* Numbers the addresses. False when a u64 cannot. */
static bool number(struct kt_targets *t)
{
	const struct kt_intervals *s = &t->lists[KT_TARGET_INCLUDE];
	u64 next = 0, n_ports = t->ports ? t->ports->n : 1;

	for (size_t i = 0; i < s->n; i++) {
		struct kt_u128 span = kt_u128_sub(s->v[i].last, s->v[i].first);

		if (span.hi || (i && !next) || next + span.lo < next)
			return false;
		t->base[i] = next;
		t->last_address = next + span.lo;
		next = t->last_address + 1; /* 0 when all 2^64 are taken */
	}
	if (t->last_address > (UINT64_MAX - (n_ports - 1)) / n_ports)
		return false;
	t->last = t->last_address * n_ports + (n_ports - 1);
	return true;
}

int kt_targets_finish(struct kt_targets *t, struct ktrxer_err *err)
{
	struct kt_intervals *s = &t->lists[KT_TARGET_INCLUDE];
	int ret = 0;
	size_t named;

	for (int i = 0; i < KT_TARGET_N_LISTS; i++)
		kt_intervals_normalize(&t->lists[i]);
	named = s->n;
	if (t->lists[KT_TARGET_ALLOW].n)
		ret = kt_intervals_intersect(s, &t->lists[KT_TARGET_ALLOW]);
	if (!ret)
		ret = kt_intervals_subtract(s, &t->lists[KT_TARGET_DENY]);
	if (ret)
		return kt_err(err, ENOMEM, "no memory for the list of targets");
	if (!s->n)
		return kt_err(err, ENOENT,
			      named ? "all targets are denied by the allow and deny lists" : "no targets are named");
	t->base = calloc(s->n, sizeof(*t->base));
	if (!t->base)
		return kt_err(err, ENOMEM, "no memory for the list of targets");
	if (!number(t))
		return kt_err(err, ERANGE, "more than 2^64 targets (addresses times ports)");
	kt_intervals_free(&t->lists[KT_TARGET_ALLOW]);
	kt_intervals_free(&t->lists[KT_TARGET_DENY]);
	t->finished = true;
	return 0;
}

void kt_targets_get(const struct kt_targets *t, u64 i, struct kt_target *target)
{
	const struct kt_intervals *s = &t->lists[KT_TARGET_INCLUDE];
	size_t lo = 0, hi = s->n - 1;
	u64 port = 0, address = i;
	struct kt_u128 a;

	memset(target, 0, sizeof(*target));
	if (t->ports) {
		address = kt_div_rem(i, t->ports->n, &port);
		target->port = kt_portset_get(t->ports, (u32)port);
	}
	while (lo < hi) {
		size_t mid = lo + (hi - lo + 1) / 2;

		if (t->base[mid] <= address)
			lo = mid;
		else
			hi = mid - 1;
	}
	a = kt_u128_add(s->v[lo].first, address - t->base[lo]);
	target->addr.version = s->v[lo].version;
	if (s->v[lo].version == 4) {
		kt_put_be32(target->addr.bytes, (u32)a.lo);
	} else {
		kt_put_be64(target->addr.bytes, a.hi);
		kt_put_be64(target->addr.bytes + 8, a.lo);
	}
}

bool kt_targets_has_version(const struct kt_targets *t, u8 version)
{
	const struct kt_intervals *s = &t->lists[KT_TARGET_INCLUDE];

	return s->n && (version == 4 ? s->v[0].version == 4 : s->v[s->n - 1].version == 6);
}

u64 kt_targets_digest(const struct kt_targets *t)
{
	const struct kt_intervals *s = &t->lists[KT_TARGET_INCLUDE];
	u64 d = kt_hash_mix64(t->last);

	for (size_t i = 0; i < s->n; i++) {
		d = kt_hash_mix64(d ^ s->v[i].version);
		d = kt_hash_mix64(d ^ s->v[i].first.hi);
		d = kt_hash_mix64(d ^ s->v[i].first.lo);
		d = kt_hash_mix64(d ^ s->v[i].last.lo);
	}
	for (u32 i = 0; t->ports && i < t->ports->n_ranges; i++)
		d = kt_hash_mix64(d ^ ((u64)t->ports->ranges[i].lo << 16 | t->ports->ranges[i].hi));
	return d;
}

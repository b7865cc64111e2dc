/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Walks over target numbers, and their state as text. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "walk.h"

void kt_walk_rewind(struct kt_walk *w)
{
	w->pos = w->o.shard;
	w->n_given = 0;
	w->done = w->pos > w->last;
}

int kt_walk_init(struct kt_walk *w, const struct kt_walk_opts *o, u64 last, u64 digest, struct ktrxer_err *err)
{
	memset(w, 0, sizeof(*w));
	w->o = *o;
	if (!w->o.n_shards)
		w->o.n_shards = 1;
	if (w->o.shard >= w->o.n_shards)
		return kt_err(err, EINVAL, "shard %u of %u does not exist: shards are numbered 0 to %u", w->o.shard,
			      w->o.n_shards, w->o.n_shards - 1);
	w->last = last;
	w->digest = digest;
	kt_permute_init(&w->permute, last, w->o.seed);
	kt_walk_rewind(w);
	return 0;
}

bool kt_walk_next(struct kt_walk *w, u64 *number)
{
	if (w->done)
		return false;
	*number = w->o.random ? kt_permute_at(&w->permute, w->pos) : w->pos;
	w->n_given++;
	if (w->last - w->pos < w->o.n_shards)
		w->done = true;
	else
		w->pos += w->o.n_shards;
	return true;
}

u64 kt_walk_count(const struct kt_walk *w)
{
	u64 steps;

	if (w->o.shard > w->last)
		return 0;
	steps = (w->last - w->o.shard) / w->o.n_shards;
	return steps == UINT64_MAX ? steps : steps + 1;
}

int kt_walk_save(const struct kt_walk *w, char *buf, size_t cap)
{
	return snprintf(buf, cap,
			"order = %s\nseed = %" PRIu64 "\nshard = %u/%u\nlast = %" PRIu64 "\ntargets = %016" PRIx64
			"\ngiven = %" PRIu64 "\n",
			w->o.random ? "random" : "sequential", w->o.seed, w->o.shard, w->o.n_shards, w->last, w->digest,
			w->n_given);
}

/* The whole of text as a number. */
static bool parse_number(const char *text, int base, u64 *v)
{
	char *end;

	if (!*text || !strchr("0123456789abcdef", *text))
		return false;
	errno = 0;
	*v = strtoull(text, &end, base);
	return !errno && !*end;
}

struct saved {
	struct kt_walk_opts o;
	u64 last;
	u64 digest;
	u64 given;
	u32 have; /* a bit per key */
};

/* One key; 1 when it is none of ours. */
static int take(struct saved *s, const char *key, const char *value)
{
	static const char *const keys[] = { "order", "seed", "shard", "last", "targets", "given" };
	unsigned int k;
	char tail;

	for (k = 0; k < KT_ARRAY_LEN(keys) && strcmp(keys[k], key); k++)
		;
	if (k == KT_ARRAY_LEN(keys))
		return 1;
	s->have |= 1u << k;
	switch (k) {
	case 0:
		s->o.random = !strcmp(value, "random");
		return s->o.random || !strcmp(value, "sequential") ? 0 : -EINVAL;
	case 1:
		return parse_number(value, 10, &s->o.seed) ? 0 : -EINVAL;
	case 2:
		return sscanf(value, "%9u/%9u%c", &s->o.shard, &s->o.n_shards, &tail) == 2 && s->o.n_shards ? 0
													    : -EINVAL;
	case 3:
		return parse_number(value, 10, &s->last) ? 0 : -EINVAL;
	case 4:
		return parse_number(value, 16, &s->digest) ? 0 : -EINVAL;
	default:
		return parse_number(value, 10, &s->given) ? 0 : -EINVAL;
	}
}

static int read_lines(struct saved *s, const char *text, const char *where, struct ktrxer_err *err)
{
	for (unsigned int n = 1; *text; n++) {
		size_t len = strcspn(text, "\n");
		char line[200], key[100], value[100];

		if (len >= sizeof(line))
			return kt_err(err, EINVAL, "%.100s:%u: the line is too long", where, n);
		memcpy(line, text, len);
		line[len] = 0;
		text += len + (text[len] == '\n');
		if (!line[strspn(line, " \t\r")] || line[0] == '#')
			continue;
		if (sscanf(line, " %99[^ =] = %99s", key, value) != 2)
			return kt_err(err, EINVAL, "%.100s:%u: \"%.60s\" is not of the form key = value", where, n,
				      line);
		if (take(s, key, value) < 0)
			return kt_err(err, EINVAL, "%.100s:%u: \"%.60s\" is no value for %.40s", where, n, value, key);
	}
	return 0;
}

int kt_walk_restore(struct kt_walk *w, const char *text, const char *where, struct ktrxer_err *err)
{
	struct saved s = { .have = 0 };
	struct kt_walk r;
	int ret = read_lines(&s, text, where, err);
	u64 left;

	if (ret)
		return ret;
	if (s.have != 0x3f)
		return kt_err(err, EINVAL, "%.100s: order, seed, shard, last, targets and given are needed to resume",
			      where);
	if (s.last != w->last || s.digest != w->digest)
		return kt_err(err, ESTALE, "%.100s: it was saved over other targets or ports than those named now",
			      where);
	ret = kt_walk_init(&r, &s.o, s.last, s.digest, err);
	if (ret)
		return ret;
	left = kt_walk_count(&r);
	if (s.given > left)
		return kt_err(err, EINVAL, "%.100s: given = %" PRIu64 " is more than the shard has", where, s.given);
	r.n_given = s.given;
	r.done = s.given == left;
	r.pos = r.done ? r.last : r.o.shard + s.given * r.o.n_shards;
	*w = r;
	return 0;
}

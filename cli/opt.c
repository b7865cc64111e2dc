/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Option tables: setting values from text and reading argv; see opt.h. */
#include "opt.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "near.h"
#include "value.h"

int opt_wrong(struct optset *set, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(set->why, sizeof(set->why), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

void opt_add(struct optset *set, const struct opt *rows)
{
	for (; rows->name && set->n < OPT_MAX; rows++)
		set->row[set->n++] = rows;
}

int opt_index(const struct optset *set, const char *name)
{
	for (unsigned int i = 0; i < set->n; i++)
		if (!strcmp(set->row[i]->name, name))
			return (int)i;
	return -ENOENT;
}

bool opt_given(const struct optset *set, const char *name)
{
	int i = opt_index(set, name);

	return i >= 0 && set->source[i] > OPT_FROM_DEFAULT;
}

static void *field(const struct optset *set, unsigned int i)
{
	return (u8 *)set->config + set->row[i]->offset;
}

static bool in_range(const struct opt *o, u64 v)
{
	if (!o->min && !o->max)
		return true;
	if (o->type == OPT_TYPE_SIGNED)
		return (s64)v >= (s64)o->min && (s64)v <= (s64)o->max;
	return v >= o->min && (!o->max || v <= o->max);
}

static u64 clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (u64)t.tv_sec * KT_NSEC_PER_SEC + (u64)t.tv_nsec;
}

static bool good_interface(const char *text)
{
	const char *colon = strchr(text, ':');
	const char *name = colon ? colon + 1 : text;

	/* Wires of engine mem are "WIRE/0"; their names may be longer. */
	if (colon && !strncmp(text, "mem:", 4))
		return *name && strlen(name) < 64;
	return *name && strlen(name) < 16 && !strpbrk(name, "/ \t");
}

static int list_append(struct opt_list *list, const char *text)
{
	const char **v = realloc(list->v, (list->n + 1) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	v[list->n] = text;
	list->v = v;
	list->n++;
	return 0;
}

/* Parses text into the field. 0, -EINVAL, or -ERANGE for a good value out of range. */
static int set_field(const struct opt *o, void *to, const char *text)
{
	u64 v = 0;
	s64 sv = 0;
	int r = -EINVAL;

	switch ((enum opt_type)o->type) {
	case OPT_TYPE_FLAG:
		return value_flag(text, to);
	case OPT_TYPE_COUNT:
		r = value_count(text, &v);
		break;
	case OPT_TYPE_SIGNED:
		r = value_signed(text, &sv);
		if (!r && !in_range(o, (u64)sv))
			return -ERANGE;
		if (!r)
			*(s64 *)to = sv;
		return r;
	case OPT_TYPE_NUMBER:
		return value_number(text, to);
	case OPT_TYPE_SIZE:
		r = value_size(text, &v);
		break;
	case OPT_TYPE_DURATION:
		r = value_duration(text, &v);
		break;
	case OPT_TYPE_RATE:
		return value_rate(text, to);
	case OPT_TYPE_BITRATE:
		r = value_bitrate(text, &v);
		break;
	case OPT_TYPE_PROBABILITY:
		return value_probability(text, to);
	case OPT_TYPE_ENUM:
		return value_word(text, o->arg, to);
	case OPT_TYPE_TIME:
		r = value_time(text, clock_now(), &v);
		break;
	case OPT_TYPE_WORD:
		r = value_word(text, o->arg, &(int){ 0 });
		if (!r)
			*(const char **)to = text;
		return r;
	case OPT_TYPE_INTERFACE:
		if (!good_interface(text))
			return -EINVAL;
		*(const char **)to = text;
		return 0;
	case OPT_TYPE_FILE:
		if (!*text)
			return -EINVAL;
		*(const char **)to = text;
		return 0;
	case OPT_TYPE_STRING:
		*(const char **)to = text;
		return 0;
	case OPT_TYPE_LIST:
		return list_append(to, text);
	case OPT_TYPE_FILES:
		return *text ? list_append(to, text) : -EINVAL;
	}
	if (r)
		return r;
	if (!in_range(o, v))
		return -ERANGE;
	*(u64 *)to = v;
	return 0;
}

/* A bound as a user would write it. */
static const char *bound(const struct opt *o, u64 v, char *buf, size_t cap)
{
	static const struct {
		u64 unit;
		const char *name;
	} times[] = { { 3600 * KT_NSEC_PER_SEC, "h" },
		      { 60 * KT_NSEC_PER_SEC, "m" },
		      { KT_NSEC_PER_SEC, "s" },
		      { 1000000, "ms" },
		      { 1000, "us" },
		      { 1, "ns" } };

	if (o->type == OPT_TYPE_DURATION) {
		for (unsigned int i = 0; i < KT_ARRAY_LEN(times); i++)
			if (v && !(v % times[i].unit)) {
				snprintf(buf, cap, "%llu%s", (unsigned long long)(v / times[i].unit), times[i].name);
				return buf;
			}
	}
	if (o->type == OPT_TYPE_SIGNED)
		snprintf(buf, cap, "%lld", (long long)v);
	else
		snprintf(buf, cap, "%llu", (unsigned long long)v);
	return buf;
}

static int say_bad_value(struct optset *set, const struct opt *o, const char *text, int r)
{
	char lo[32], hi[32];

	if (r == -ENOMEM)
		return opt_wrong(set, "out of memory");
	if (r == -ERANGE && !o->max)
		return opt_wrong(set, "--%s: \"%s\" is too small; allowed: at least %s", o->name, text,
				 bound(o, o->min, lo, sizeof(lo)));
	if (r == -ERANGE)
		return opt_wrong(set, "--%s: \"%s\" is out of range; allowed: %s to %s", o->name, text,
				 bound(o, o->min, lo, sizeof(lo)), bound(o, o->max, hi, sizeof(hi)));
	if (o->type == OPT_TYPE_ENUM || o->type == OPT_TYPE_WORD) {
		char words[200];
		size_t n = 0;

		for (const char *p = o->arg; *p && n < sizeof(words) - 3; p++) {
			words[n++] = *p == '|' ? ',' : *p;
			if (*p == '|')
				words[n++] = ' ';
		}
		words[n] = 0;
		return opt_wrong(set, "--%s: \"%s\" is not one of its words; allowed: %s", o->name, text, words);
	}
	return opt_wrong(set, "--%s: \"%s\" is not %s; allowed: %s", o->name, text, value_noun((enum opt_type)o->type),
			 value_allowed((enum opt_type)o->type));
}

static int set_index(struct optset *set, unsigned int i, const char *text, enum opt_source source)
{
	const struct opt *o = set->row[i];
	int r;

	if (source < set->source[i])
		return 0;
	/* A list starts anew with each source. */
	if (opt_is_list(o) && source > set->source[i])
		((struct opt_list *)field(set, i))->n = 0;
	r = set_field(o, field(set, i), text);
	if (r)
		return say_bad_value(set, o, text, r);
	set->source[i] = (u8)source;
	set->text[i] = text;
	return 0;
}

int opt_set(struct optset *set, const char *name, const char *text, enum opt_source source)
{
	int i = opt_index(set, name);
	struct near near;

	if (i >= 0)
		return set_index(set, (unsigned int)i, text, source);
	near_init(&near, name);
	for (unsigned int k = 0; k < set->n; k++)
		near_consider(&near, set->row[k]->name);
	if (near.best)
		return opt_wrong(set, "unknown option \"%s\"; did you mean \"%s\"?", name, near.best);
	return opt_wrong(set, "unknown option \"%s\"", name);
}

int opt_defaults(struct optset *set)
{
	for (unsigned int i = 0; i < set->n; i++) {
		int r = set->row[i]->def ? set_index(set, i, set->row[i]->def, OPT_FROM_DEFAULT) : 0;

		if (r)
			return r;
	}
	return 0;
}

/* Back to what it was before anybody gave it. */
static int reset(struct optset *set, unsigned int i)
{
	const struct opt *o = set->row[i];

	set->source[i] = OPT_FROM_NOWHERE;
	set->text[i] = NULL;
	if (opt_is_list(o))
		((struct opt_list *)field(set, i))->n = 0;
	else if (o->type == OPT_TYPE_FLAG)
		*(bool *)field(set, i) = false;
	else if (o->type == OPT_TYPE_RATE)
		*(struct opt_rate *)field(set, i) = (struct opt_rate){ 0 };
	else if (o->type == OPT_TYPE_ENUM)
		*(int *)field(set, i) = 0;
	else if (o->type == OPT_TYPE_NUMBER || o->type == OPT_TYPE_PROBABILITY)
		*(double *)field(set, i) = 0;
	else if (o->type == OPT_TYPE_COUNT || o->type == OPT_TYPE_SIGNED || o->type == OPT_TYPE_SIZE ||
		 o->type == OPT_TYPE_DURATION || o->type == OPT_TYPE_BITRATE || o->type == OPT_TYPE_TIME)
		*(u64 *)field(set, i) = 0;
	else
		*(const char **)field(set, i) = NULL;
	return o->def ? set_index(set, i, o->def, OPT_FROM_DEFAULT) : 0;
}

/* The i-th word of a set such as "rate interval" as an index, or -ENOENT behind the last. */
static int member(const struct optset *set, const char *words, unsigned int i)
{
	char name[64];
	size_t n;

	for (; i && *words; i--) {
		words += strcspn(words, " ");
		words += strspn(words, " ");
	}
	n = strcspn(words, " ");
	if (!n || n >= sizeof(name))
		return -ENOENT;
	memcpy(name, words, n);
	name[n] = 0;
	return opt_index(set, name);
}

static bool is_on(const struct optset *set, int i)
{
	if (set->source[i] <= OPT_FROM_DEFAULT)
		return false;
	return set->row[i]->type != OPT_TYPE_FLAG || *(bool *)field(set, (unsigned int)i);
}

static int resolve_one(struct optset *set, const char *words)
{
	int top = -1, i;

	for (unsigned int k = 0; (i = member(set, words, k)) >= 0; k++) {
		if (!is_on(set, i))
			continue;
		if (top >= 0 && set->source[top] == set->source[i])
			return opt_wrong(set, "--%s and --%s cannot be given together", set->row[top]->name,
					 set->row[i]->name);
		if (top < 0 || set->source[i] > set->source[top])
			top = i;
	}
	for (unsigned int k = 0; (i = member(set, words, k)) >= 0; k++)
		if (is_on(set, i) && i != top && reset(set, (unsigned int)i))
			return -EINVAL;
	return 0;
}

int opt_resolve(struct optset *set)
{
	int r = 0;

	for (const char *const *e = set->exclusive; e && *e && !r; e++)
		r = resolve_one(set, *e);
	return r;
}

void opt_free(struct optset *set)
{
	for (unsigned int i = 0; i < set->n; i++)
		if (set->config && opt_is_list(set->row[i])) {
			struct opt_list *list = field(set, i);

			free(list->v);
			*list = (struct opt_list){ 0 };
		}
	for (unsigned int i = 0; i < KT_ARRAY_LEN(set->file); i++) {
		free(set->file[i]);
		set->file[i] = NULL;
	}
}

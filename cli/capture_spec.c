/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer capture: listeners from --write and --listener. */
#include "capture.h"

#include <stdlib.h>

#include "near.h"
#include "value.h"

static const char *const keys[] = {
	"file",	       "format",       "tag",	"lossless", "lossy", "rotate-size",
	"rotate-time", "rotate-count", "files", "filter",   NULL,
};

static int bad(const char *key, const char *value, enum opt_type type)
{
	return cli_fail(CLI_USAGE, "--listener: %s=%s: not %s; allowed: %s", key, value, value_noun(type),
			value_allowed(type));
}

static int number(u64 *v, const char *key, const char *value, int (*parse)(const char *, u64 *), enum opt_type type)
{
	return parse(value, v) ? bad(key, value, type) : CLI_OK;
}

static int set_filter(struct stream *s, const char *text)
{
	struct ktrxer_err err = { 0 };

	if (kt_pcapfilter_new(&s->filter, text, &err))
		return cli_fail(err.code == EOPNOTSUPP ? CLI_ENVIRONMENT : CLI_USAGE, "%s", err.text);
	s->filter_text = text;
	return CLI_OK;
}

static int set_key(struct stream *s, const char *key, const char *value)
{
	struct near near;
	u64 v;
	int r;

	if (!strcmp(key, "file"))
		s->path = value;
	else if (!strcmp(key, "lossless"))
		s->lossless = true;
	else if (!strcmp(key, "lossy"))
		s->lossless = false;
	else if (!strcmp(key, "filter"))
		return set_filter(s, value);
	else if (!strcmp(key, "rotate-size"))
		return number(&s->rotate_size, key, value, value_size, OPT_TYPE_SIZE);
	else if (!strcmp(key, "rotate-time"))
		return number(&s->rotate_ns, key, value, value_duration, OPT_TYPE_DURATION);
	else if (!strcmp(key, "rotate-count"))
		return number(&s->rotate_count, key, value, value_count, OPT_TYPE_COUNT);
	else if (!strcmp(key, "files"))
		return number(&s->files, key, value, value_count, OPT_TYPE_COUNT);
	else if (!strcmp(key, "format"))
		return value_word(value, "auto|pcapng|pcap", &s->format)
			       ? cli_fail(CLI_USAGE, "--listener: format=%s; allowed: auto, pcapng, pcap", value)
			       : CLI_OK;
	else if (!strcmp(key, "tag")) {
		r = number(&v, key, value, value_count, OPT_TYPE_COUNT);
		if (r)
			return r;
		s->tagged = true;
		s->tag = (u32)v;
	} else {
		near_init(&near, key);
		for (const char *const *k = keys; *k; k++)
			near_consider(&near, *k);
		return cli_fail(CLI_USAGE, "--listener: unknown key \"%s\"%s%s%s", key,
				near.best ? "; did you mean \"" : "", near.best ? near.best : "",
				near.best ? "\"?" : "");
	}
	return CLI_OK;
}

/* "file=a.pcapng,lossless,tag=1,filter=…": commas separate; a filter is the last and may have some itself. */
static int parse_spec(struct stream *s, char *spec)
{
	int r = CLI_OK;

	while (spec && *spec && !r) {
		char *key = spec, *equals, *next = strchr(spec, ',');

		if (!strncmp(spec, "filter=", 7))
			next = NULL;
		if (next)
			*next++ = 0;
		equals = strchr(key, '=');
		if (equals)
			*equals++ = 0;
		if (!equals && strcmp(key, "lossless") && strcmp(key, "lossy"))
			return cli_fail(CLI_USAGE,
					"--listener: \"%s\" needs a value; allowed: such as file=a.pcapng,tag=1", key);
		r = set_key(s, key, equals);
		spec = next;
	}
	return r;
}

static struct stream *add(struct capture *cap)
{
	const struct capture_config *c = cap->c;
	struct stream *s;

	if (cap->n_streams == STREAMS_MAX)
		return NULL;
	s = &cap->stream[cap->n_streams++];
	*s = (struct stream){ .format = c->format,
			      .lossless = c->lossless,
			      .rotate_size = c->rotate_size,
			      .rotate_ns = c->rotate_time,
			      .rotate_count = c->rotate_count,
			      .files = c->files };
	return s;
}

static int check(const struct capture *cap)
{
	unsigned int n_stdout = 0;

	for (unsigned int i = 0; i < cap->n_streams; i++) {
		const struct stream *s = &cap->stream[i];
		bool rotates = s->rotate_size || s->rotate_ns || s->rotate_count;

		n_stdout += !s->path || !strcmp(s->path, "-");
		if (rotates && (!s->path || !strcmp(s->path, "-")))
			return cli_fail(CLI_USAGE, "only files can be rotated; name one by --write");
		if (s->files && !rotates)
			return cli_fail(CLI_USAGE, "--files is for --rotate-size, --rotate-time or --rotate-count");
		for (unsigned int k = 0; k < i; k++)
			if (s->path && cap->stream[k].path && !strcmp(s->path, cap->stream[k].path))
				return cli_fail(CLI_USAGE, "two listeners cannot both write to %s", s->path);
	}
	if (n_stdout > 1)
		return cli_fail(CLI_USAGE, "only one listener can write to standard output");
	if (n_stdout && cap->c->common.json && !cap->lines)
		return cli_fail(CLI_USAGE, "--json and a capture cannot both go to standard output");
	return CLI_OK;
}

int capture_streams(struct capture *cap)
{
	const struct capture_config *c = cap->c;
	bool own_filters = false;
	struct stream *s;
	int r = CLI_OK;

	for (unsigned int i = 0; i < c->write.n; i++) {
		s = add(cap);
		if (!s)
			goto too_many;
		s->path = c->write.v[i];
	}
	for (unsigned int i = 0; !r && i < c->listeners.n; i++) {
		s = add(cap);
		if (!s)
			goto too_many;
		s->spec = strdup(c->listeners.v[i]);
		r = s->spec ? parse_spec(s, s->spec) : cli_fail(CLI_FAILURE, "out of memory");
	}
	if (!r && !cap->n_streams)
		add(cap);
	for (unsigned int i = 0; !r && i < cap->n_streams; i++) {
		s = &cap->stream[i];
		cap->lines |= !s->path;
		if (cap->filter && !s->filter)
			r = set_filter(s, cap->filter);
		own_filters |= s->filter_text != cap->filter;
	}
	/* Where nobody takes anything else, the rest need not enter the ring. */
	cap->only_filter = !own_filters && !c->share && !c->share_path && !c->attach;
	return r ? r : check(cap);
too_many:
	return cli_fail(CLI_USAGE, "at most %d listeners can be given", STREAMS_MAX);
}

void capture_streams_free(struct capture *cap)
{
	for (unsigned int i = 0; i < cap->n_streams; i++) {
		kt_pcapfilter_free(cap->stream[i].filter);
		free(cap->stream[i].spec);
	}
}

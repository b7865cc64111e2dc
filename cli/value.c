/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Values from text; see value.h. */
#include "value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

struct suffix {
	const char *text;
	u64 unit;
};

static const struct suffix count_suffixes[] = {
	{ "", 1 },
	{ "k", 1000 },
	{ "M", 1000000 },
	{ "G", 1000000000 },
	{ "T", 1000000000000ull },
	{ "Ki", 1ull << 10 },
	{ "Mi", 1ull << 20 },
	{ "Gi", 1ull << 30 },
	{ "Ti", 1ull << 40 },
	{ NULL, 0 },
};

static const struct suffix duration_suffixes[] = {
	{ "", KT_NSEC_PER_SEC },
	{ "ns", 1 },
	{ "us", 1000 },
	{ "ms", 1000000 },
	{ "s", KT_NSEC_PER_SEC },
	{ "m", 60 * KT_NSEC_PER_SEC },
	{ "min", 60 * KT_NSEC_PER_SEC },
	{ "h", 3600 * KT_NSEC_PER_SEC },
	{ "d", 86400 * KT_NSEC_PER_SEC },
	{ NULL, 0 },
};

/* A decimal fraction as digits: value = whole + fraction / scale. */
struct decimal {
	u64 whole;
	u64 fraction;
	u64 scale; /* a power of ten, at most 10^9 */
};

/* Reads digits[.digits] and sets *end behind it. */
static int read_decimal(const char *text, struct decimal *d, const char **end)
{
	const char *p = text;

	*d = (struct decimal){ .scale = 1 };
	if (*p < '0' || *p > '9')
		return -EINVAL;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(d->whole, 10, &d->whole) ||
		    __builtin_add_overflow(d->whole, (u64)(*p - '0'), &d->whole))
			return -EINVAL;
	if (*p == '.') {
		p++;
		if (*p < '0' || *p > '9')
			return -EINVAL;
		for (; *p >= '0' && *p <= '9'; p++) {
			if (d->scale == 1000000000 && *p != '0')
				return -EINVAL;
			if (d->scale == 1000000000)
				continue;
			d->fraction = d->fraction * 10 + (u64)(*p - '0');
			d->scale *= 10;
		}
	}
	*end = p;
	return 0;
}

/* decimal * unit, if that is a whole number below 2^64. */
static int scale_decimal(const struct decimal *d, u64 unit, u64 *v)
{
	u64 r = d->fraction * (unit % d->scale);
	u64 f;

	if (r % d->scale || __builtin_mul_overflow(d->fraction, unit / d->scale, &f) ||
	    __builtin_mul_overflow(d->whole, unit, v) || __builtin_add_overflow(*v, f, v) ||
	    __builtin_add_overflow(*v, r / d->scale, v))
		return -EINVAL;
	return 0;
}

static const struct suffix *find_suffix(const struct suffix *table, const char *text, size_t len)
{
	for (; table->text; table++)
		if (strlen(table->text) == len && !memcmp(table->text, text, len))
			return table;
	if (len == 1 && (*text == 'K' || *text == 'g' || *text == 't')) {
		char other[2] = { (char)(*text == 'K' ? 'k' : *text - 32), 0 };

		return table == duration_suffixes ? NULL : find_suffix(count_suffixes, other, 1);
	}
	return NULL;
}

/* Length of text without a trailing word. */
static size_t len_without(const char *text, const char *word)
{
	size_t n = strlen(text), w = strlen(word);

	return n >= w && !strcmp(text + n - w, word) ? n - w : n;
}

static int read_suffixed(const char *text, const struct suffix *table, const char *ending, u64 *v)
{
	const struct suffix *s;
	struct decimal d;
	const char *p;

	if (read_decimal(text, &d, &p))
		return -EINVAL;
	s = find_suffix(table, p, len_without(p, ending));
	return s ? scale_decimal(&d, s->unit, v) : -EINVAL;
}

int value_count(const char *text, u64 *v)
{
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		char *end;

		errno = 0;
		*v = strtoull(text, &end, 16);
		return errno || *end || end == text + 2 ? -EINVAL : 0;
	}
	return read_suffixed(text, count_suffixes, "", v);
}

int value_signed(const char *text, s64 *v)
{
	bool negative = *text == '-';
	u64 u;

	if (value_count(text + negative, &u) || u > (u64)INT64_MAX)
		return -EINVAL;
	*v = negative ? -(s64)u : (s64)u;
	return 0;
}

int value_number(const char *text, double *v)
{
	const char *p = text + (*text == '-');
	char *end;

	if ((*p < '0' || *p > '9') || strchr(p, 'x'))
		return -EINVAL;
	*v = strtod(text, &end);
	return *end || !isfinite(*v) ? -EINVAL : 0;
}

int value_size(const char *text, u64 *v)
{
	return read_suffixed(text, count_suffixes, "B", v);
}

int value_duration(const char *text, u64 *ns)
{
	return read_suffixed(text, duration_suffixes, "", ns);
}

static u64 common_divisor(u64 a, u64 b)
{
	while (b) {
		u64 t = a % b;

		a = b;
		b = t;
	}
	return a;
}

int value_rate(const char *text, struct opt_rate *v)
{
	const struct suffix *s;
	const char *p, *slash;
	struct decimal d;
	u64 num, g, per = 1;

	if (read_decimal(text, &d, &p))
		return -EINVAL;
	slash = strchr(p, '/');
	if (slash) {
		if (!strcmp(slash, "/m"))
			per = 60;
		else if (!strcmp(slash, "/h"))
			per = 3600;
		else if (strcmp(slash, "/s"))
			return -EINVAL;
	}
	s = find_suffix(count_suffixes, p, slash ? (size_t)(slash - p) : len_without(p, "pps"));
	if (!s || __builtin_mul_overflow(d.whole, d.scale, &num) || __builtin_add_overflow(num, d.fraction, &num) ||
	    __builtin_mul_overflow(num, s->unit, &num) || !num)
		return -EINVAL;
	per *= d.scale;
	g = common_divisor(num, per);
	*v = (struct opt_rate){ num / g, per / g };
	return 0;
}

int value_bitrate(const char *text, u64 *bits)
{
	static const char *const endings[] = { "bit/s", "bit", "bps", "" };

	for (unsigned int i = 0; i < KT_ARRAY_LEN(endings); i++)
		if (!read_suffixed(text, count_suffixes, endings[i], bits) && *bits)
			return 0;
	return -EINVAL;
}

int value_probability(const char *text, double *p)
{
	char number[40];
	size_t n = len_without(text, "%");

	if (n >= sizeof(number) || *text == '-')
		return -EINVAL;
	memcpy(number, text, n);
	number[n] = 0;
	if (value_number(number, p))
		return -EINVAL;
	if (text[n])
		*p /= 100;
	return *p >= 0 && *p <= 1 ? 0 : -EINVAL;
}

int value_flag(const char *text, bool *v)
{
	static const char *const words[] = { "no", "yes", "off", "on", "false", "true", "0", "1" };

	for (unsigned int i = 0; i < KT_ARRAY_LEN(words); i++)
		if (!strcasecmp(text, words[i])) {
			*v = i & 1;
			return 0;
		}
	return -EINVAL;
}

int value_word(const char *text, const char *words, int *index)
{
	size_t n = strlen(text);
	int i = 0;

	for (const char *w = words; w; i++) {
		const char *bar = strchr(w, '|');
		size_t len = bar ? (size_t)(bar - w) : strlen(w);

		if (n && len == n && !memcmp(w, text, n)) {
			*index = i;
			return 0;
		}
		w = bar ? bar + 1 : NULL;
	}
	return -EINVAL;
}

/* ".25" behind a time, as ns; nothing is 0. *end behind it. */
static int read_fraction(const char *p, u64 *ns, const char **end)
{
	u64 unit = 100000000;

	*ns = 0;
	if (*p == '.') {
		p++;
		if (*p < '0' || *p > '9')
			return -EINVAL;
		for (; *p >= '0' && *p <= '9'; p++, unit /= 10)
			*ns += unit * (u64)(*p - '0');
	}
	*end = p;
	return 0;
}

static int read_time_of_day(const char *text, u64 now_ns, u64 *ns)
{
	time_t now = (time_t)(now_ns / KT_NSEC_PER_SEC), t;
	const char *end;
	struct tm tm;
	u64 fraction;

	if (!localtime_r(&now, &tm))
		return -EINVAL;
	tm.tm_sec = 0;
	end = strptime(text, "%H:%M", &tm);
	if (!end)
		return -EINVAL;
	if (*end == ':')
		end = strptime(end, ":%S", &tm);
	if (!end || read_fraction(end, &fraction, &end) || *end)
		return -EINVAL;
	tm.tm_isdst = -1;
	t = mktime(&tm);
	if (t == (time_t)-1)
		return -EINVAL;
	*ns = (u64)t * KT_NSEC_PER_SEC + fraction;
	if (*ns < now_ns) { /* tomorrow at that time, also where the clocks change tonight */
		tm.tm_mday++;
		tm.tm_isdst = -1;
		t = mktime(&tm);
		*ns = (u64)t * KT_NSEC_PER_SEC + fraction;
	}
	return 0;
}

int value_time(const char *text, u64 now_ns, u64 *ns)
{
	const char *end;
	struct tm tm = { .tm_isdst = -1 };
	u64 fraction;
	time_t t;

	if (!strncmp(text, "now", 3) && !text[3]) {
		*ns = now_ns;
		return 0;
	}
	if (!strncmp(text, "now+", 4) || text[0] == '+') {
		if (value_duration(strchr(text, '+') + 1, ns))
			return -EINVAL;
		return __builtin_add_overflow(*ns, now_ns, ns) ? -EINVAL : 0;
	}
	if (text[0] == '@')
		return value_duration(text + 1, ns) || (text[strlen(text) - 1] | 32) >= 'a' ? -EINVAL : 0;
	if (!read_time_of_day(text, now_ns, ns))
		return 0;
	end = strptime(text, "%Y-%m-%d", &tm);
	if (end && (*end == 'T' || *end == ' '))
		end = strptime(end + 1, "%H:%M:%S", &tm);
	if (!end || read_fraction(end, &fraction, &end) || (*end && strcmp(end, "Z")))
		return -EINVAL;
	t = *end ? timegm(&tm) : mktime(&tm);
	if (t < 0)
		return -EINVAL;
	*ns = (u64)t * KT_NSEC_PER_SEC + fraction;
	return 0;
}

static const struct {
	const char *noun;
	const char *allowed;
} types[] = {
	[OPT_TYPE_FLAG] = { "yes or no", "yes, no" },
	[OPT_TYPE_COUNT] = { "a number", "whole numbers such as 100, 10k, 4Ki, 1.5M" },
	[OPT_TYPE_SIGNED] = { "a number", "whole numbers such as -5, 100, 10k" },
	[OPT_TYPE_NUMBER] = { "a number", "decimal numbers such as 2, 0.5" },
	[OPT_TYPE_SIZE] = { "a size", "bytes such as 1500, 64Ki, 2MB" },
	[OPT_TYPE_DURATION] = { "a duration", "a number with ns, us, ms, s, m, h or d such as 100us, 1.5s, 2h" },
	[OPT_TYPE_RATE] = { "a rate", "packets per second such as 500, 10k, 1.5M, 30/m" },
	[OPT_TYPE_BITRATE] = { "a bit rate", "bits per second such as 64kbit, 100Mbit, 2.5G" },
	[OPT_TYPE_PROBABILITY] = { "a probability", "0 to 1 such as 0.01, or a percentage such as 1%" },
	[OPT_TYPE_STRING] = { "a text", "any text" },
	[OPT_TYPE_LIST] = { "a text", "any text" },
	[OPT_TYPE_ENUM] = { "a choice", "" },
	[OPT_TYPE_WORD] = { "a choice", "" },
	[OPT_TYPE_FILE] = { "a file name", "a file name" },
	[OPT_TYPE_FILES] = { "a file name", "a file name" },
	[OPT_TYPE_INTERFACE] = { "an interface", "an interface name of at most 15 characters, or ENGINE:INTERFACE" },
	[OPT_TYPE_TIME] = { "a time",
			    "12:30, 12:30:05.25, 2026-11-21T06:45:00, the same with Z for UTC, now+10s, @SECONDS" },
};

const char *value_noun(enum opt_type type)
{
	return types[type].noun;
}

const char *value_allowed(enum opt_type type)
{
	return types[type].allowed;
}

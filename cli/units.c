/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Numbers for people; see units.h. */
#include <string.h>

#include "units.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

static int decimals(double v)
{
	v = fabs(v);
	return v < 9.995 ? 2 : v < 99.95 ? 1 : 0;
}

const char *unit_ns(char *buf, s64 ns)
{
	static const struct {
		double unit;
		const char *name;
	} units[] = { { 1e9, "s" }, { 1e6, "ms" }, { 1e3, "us" } };

	for (unsigned int i = 0; i < KT_ARRAY_LEN(units); i++) {
		double v = (double)ns / units[i].unit;

		if (fabs(v) >= 0.9995) {
			snprintf(buf, UNIT_CHARS, "%.*f %s", decimals(v), v, units[i].name);
			return buf;
		}
	}
	snprintf(buf, UNIT_CHARS, "%" PRId64 " ns", ns);
	return buf;
}

const char *unit_si(char *buf, double v, const char *what)
{
	static const char prefixes[] = { 0, 'k', 'M', 'G', 'T' };
	unsigned int i = 0;
	char text[32];

	while (fabs(v) >= 999.5 && i + 1 < sizeof(prefixes)) {
		v /= 1000;
		i++;
	}
	snprintf(text, sizeof(text), "%.*f", decimals(v), v);
	/* 5.00 reads as 5. */
	if (strchr(text, '.')) {
		char *end = text + strlen(text) - 1;

		while (*end == '0')
			*end-- = 0;
		if (*end == '.')
			*end = 0;
	}
	snprintf(buf, UNIT_CHARS, "%s %.1s%s", text, i ? &prefixes[i] : "", what);
	return buf;
}

const char *unit_count(char *buf, u64 v)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%" PRIu64, v), k = 0;

	for (int i = 0; i < n; i++) {
		if (i && !((n - i) % 3))
			buf[k++] = ',';
		buf[k++] = digits[i];
	}
	buf[k] = 0;
	return buf;
}

const char *unit_bytes(char *buf, u64 bytes)
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes;
	unsigned int i = 0;

	while (v >= 1023.95 && i + 1 < KT_ARRAY_LEN(names)) {
		v /= 1024;
		i++;
	}
	snprintf(buf, UNIT_CHARS, "%.*f %s", v == floor(v) ? 0 : 1, v, names[i]);
	return buf;
}

const char *unit_time(char *buf, u64 realtime_ns)
{
	time_t t = (time_t)(realtime_ns / KT_NSEC_PER_SEC);
	char text[32];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, UNIT_CHARS, "%.20s.%09uZ", text, (unsigned int)(realtime_ns % KT_NSEC_PER_SEC));
	return buf;
}

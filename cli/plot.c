/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Distributions of times; see plot.h. */
#include <string.h>

#include "plot.h"

#include <stdio.h>

#include "units.h"

static const struct {
	const char *name, *key;
	u32 permille;
} points[] = {
	{ "p50", "p50_ns", 500 },
	{ "p90", "p90_ns", 900 },
	{ "p99", "p99_ns", 990 },
	{ "p99.9", "p999_ns", 999 },
};

/* The next of 1, 2, 5, 10 … at or above v. */
static u64 round_step(u64 v)
{
	u64 step = 1;

	while (step < v) {
		if (step >= v)
			break;
		if (step * 2 >= v)
			return step * 2;
		if (step * 5 >= v)
			return step * 5;
		step *= 10;
	}
	return step;
}

static void bar(struct out *out, u64 n, u64 most, unsigned int room)
{
	/* Eighths of a block; at least a sliver where there is anything. */
	static const char *const parts[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
	u64 eighths = most ? (u64)((double)n / (double)most * room * 8 + 0.5) : 0;

	if (n && !eighths)
		eighths = 1;
	for (u64 i = 0; i < eighths / 8; i++)
		out_puts(out, "█");
	out_puts(out, parts[eighths % 8]);
	out_puts(out, "\n");
}

static s64 floor_to(s64 v, s64 step)
{
	s64 r = v % step;

	return v - r - (r < 0 ? step : 0);
}

void plot_histogram(struct out *out, const struct kt_histogram *h, unsigned int rows, unsigned int width)
{
	s64 top = kt_histogram_quantile(h, 999), low, step;
	u64 counts[64] = { 0 }, below, most = 0;
	unsigned int n, room = width > 60 ? width - 44 : 16;
	char a[UNIT_CHARS], b[UNIT_CHARS], c[UNIT_CHARS];

	if (!h->n)
		return;
	rows = rows < 2 ? 2 : rows > 60 ? 60 : rows;
	step = (s64)round_step(((u64)(top - h->min)) / rows + 1);
	low = floor_to(h->min, step);
	n = (unsigned int)((top - low) / step) + 1;
	below = 0;
	for (unsigned int i = 0; i <= n; i++) {
		u64 upto = i == n ? h->n : kt_histogram_at_most(h, low + (s64)(i + 1) * step - 1);

		counts[i] = upto > below ? upto - below : 0;
		below = upto > below ? upto : below;
		most = counts[i] > most ? counts[i] : most;
	}
	for (unsigned int i = 0; i <= n; i++) {
		bool last = i == n;

		if (last && !counts[i])
			break;
		unit_ns(a, low + (s64)i * step);
		unit_ns(b, last ? h->max : low + (s64)(i + 1) * step);
		out_printf(out, "  %9s to %-9s %10s  ", a, b, unit_count(c, counts[i]));
		bar(out, counts[i], most, room);
	}
}

void plot_summary(struct out *out, const struct kt_histogram *h)
{
	char b[UNIT_CHARS];

	if (!h->n) {
		out_puts(out, "none\n");
		return;
	}
	out_printf(out, "min %s", unit_ns(b, h->min));
	for (unsigned int i = 0; i < KT_ARRAY_LEN(points); i++)
		out_printf(out, "  %s %s", points[i].name, unit_ns(b, kt_histogram_quantile(h, points[i].permille)));
	out_printf(out, "  max %s", unit_ns(b, h->max));
	out_printf(out, "  mean %s\n", unit_ns(b, kt_histogram_mean(h)));
}

void plot_json(struct json *j, const char *key, const struct kt_histogram *h)
{
	json_object(j, key);
	json_u64(j, "n", h->n);
	if (h->n) {
		json_s64(j, "min_ns", h->min);
		json_s64(j, "mean_ns", kt_histogram_mean(h));
		for (unsigned int i = 0; i < KT_ARRAY_LEN(points); i++)
			json_s64(j, points[i].key, kt_histogram_quantile(h, points[i].permille));
		json_s64(j, "max_ns", h->max);
	}
	json_end(j);
}

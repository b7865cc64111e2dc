/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Distributions of times, as text and as JSON. */
#ifndef KT_PLOT_H
#define KT_PLOT_H

#include "../core/histogram.h"
#include "json.h"

/*
 * Bars, one a row of equal ranges (rows: about so many), between the smallest value and the 99.9th percentile;
 * what lies above has a row of its own. width: columns of the terminal.
 */
void plot_histogram(struct out *out, const struct kt_histogram *h, unsigned int rows, unsigned int width);
/* "min 1.2 us  p50 …  p99.9 …  max …  mean …" */
void plot_summary(struct out *out, const struct kt_histogram *h);
/* {"n":…,"min_ns":…,"mean_ns":…,"p50_ns":…,"p90_ns":…,"p99_ns":…,"p999_ns":…,"max_ns":…} */
void plot_json(struct json *j, const char *key, const struct kt_histogram *h);

#endif

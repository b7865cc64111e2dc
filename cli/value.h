/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Values from text: numbers with suffixes, times, rates. Exact integers, no
 * rounding: what cannot be told exactly in the unit is refused. All return 0
 * or -EINVAL; value_allowed() says what each type allows.
 */
#ifndef KT_VALUE_H
#define KT_VALUE_H

#include "opt.h"

int value_count(const char *text, u64 *v);
int value_signed(const char *text, s64 *v);
int value_number(const char *text, double *v);
int value_size(const char *text, u64 *v);
int value_duration(const char *text, u64 *ns);
int value_rate(const char *text, struct opt_rate *v);
int value_bitrate(const char *text, u64 *bits);
int value_probability(const char *text, double *p);
int value_flag(const char *text, bool *v);
/* words: "a|b|c"; the index. */
int value_word(const char *text, const char *words, int *index);
/* now_ns: CLOCK_REALTIME; a time of day that has passed is tomorrow's. */
int value_time(const char *text, u64 now_ns, u64 *ns);

/* What a type is called and what it allows, for sentences. */
const char *value_noun(enum opt_type type);
const char *value_allowed(enum opt_type type);

#endif

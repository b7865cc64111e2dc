/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* A set of ports from text such as "80,443,8000-8010", numbered from 0 in ascending order. */
#ifndef KT_PORTSET_H
#define KT_PORTSET_H

#include "../include/ktrxer.h"

#include "../core/env.h"

#define KT_PORTSET_MAX_RANGES 1024

struct kt_portset {
	u32 n; /* ports, 0 to 65536 */
	u32 n_ranges;
	struct {
		u16 lo;
		u16 hi;
		u32 base; /* number of the first */
	} ranges[KT_PORTSET_MAX_RANGES];
};

/* 0, or -EINVAL with a sentence that quotes what is wrong. */
int kt_portset_parse(struct kt_portset *s, const char *text, struct ktrxer_err *err);

/* Port number i, i < n. */
u16 kt_portset_get(const struct kt_portset *s, u32 i);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Whom to probe: addresses from expressions and files, less what is denied,
 * times a set of ports, numbered from 0 without gaps.
 *
 *   192.0.2.1   192.0.2.0/24   192.0.2.1-192.0.2.20   192.0.2.1-20
 *   2001:db8::1   2001:db8::/112   2001:db8::1-2001:db8::ff
 *
 * Files hold one expression a line; # begins a comment. Lists are sets: an
 * address that is named twice is one target, and denied addresses are taken
 * out before anything is counted. Targets are numbered by address, then port.
 */
#ifndef KT_TARGET_H
#define KT_TARGET_H

#include "../include/ktrxer.h"

#include "interval.h"
#include "portset.h"

enum kt_target_list {
	KT_TARGET_INCLUDE = 0,
	KT_TARGET_ALLOW = 1, /* if there are any, only what they name */
	KT_TARGET_DENY = 2, /* always wins */
	KT_TARGET_N_LISTS = 3,
};

struct kt_targets {
	struct kt_intervals lists[KT_TARGET_N_LISTS];
	u64 *base; /* number of the first address of each included interval */
	struct kt_portset *ports;
	u64 last; /* number of the last target */
	u64 last_address; /* number of the last address */
	bool finished;
};

struct kt_target {
	struct ktrxer_addr addr;
	u16 port; /* 0 when no ports were set */
};

void kt_targets_init(struct kt_targets *t);
void kt_targets_free(struct kt_targets *t);

/* Reads one expression. where: what errors begin with, such as "FILE:LINE", or NULL. 0, -EINVAL, -ENOMEM. */
int kt_targets_add(struct kt_targets *t, enum kt_target_list list, const char *text, const char *where,
		   struct ktrxer_err *err);
/* path "-": standard input. Also -errno of opening and reading. */
int kt_targets_add_file(struct kt_targets *t, enum kt_target_list list, const char *path, struct ktrxer_err *err);

/* Denies what no probe should ever go to: 0/8, multicast, 240/4 and broadcast, ::, ff00::/8. Private networks are not among it. */
int kt_targets_add_default_deny(struct kt_targets *t, struct ktrxer_err *err);

int kt_targets_set_ports(struct kt_targets *t, const char *text, struct ktrxer_err *err);

/* Ends adding. -ENOENT when nothing is left, -ERANGE when there are more than 2^64 targets. */
int kt_targets_finish(struct kt_targets *t, struct ktrxer_err *err);

/* Target number i, i <= t->last, after finish. Any thread. */
void kt_targets_get(const struct kt_targets *t, u64 i, struct kt_target *target);

/* True when some address of this version (4 or 6) is a target. */
bool kt_targets_has_version(const struct kt_targets *t, u8 version);

/* A digest of the whole numbered set, to tell whether a saved position still means the same. */
u64 kt_targets_digest(const struct kt_targets *t);

/* One expression. 0, or -EINVAL with a sentence. */
int kt_target_parse(struct kt_interval *i, const char *text, const char *where, struct ktrxer_err *err);

#endif

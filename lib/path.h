/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Paths for many targets: what ktrxer_path_find() does once, remembered. Each
 * target's route is asked for (some us) unless its block's is known; its next hop is resolved once and
 * then known, so a scan through a gateway resolves one neighbour. A hop that
 * did not answer is not asked again for a while either.
 */
#ifndef KT_PATH_H
#define KT_PATH_H

#include "engine.h"

struct kt_path_cache;

/* Asks in the port's network namespace. One thread at a time, which is no other's that asks for paths on this port. */
int kt_path_cache_new(struct kt_path_cache **c, struct ktrxer *port, struct ktrxer_err *err);
void kt_path_cache_free(struct kt_path_cache *c);

/*
 * From now on neighbours on the link are asked for ahead of their turn, many at once: expected() gives the targets that
 * will be asked for next, in that order, each once, and false when it knows of no more for now. patient: a target
 * whose neighbour has not answered yet is waited for until that is certain (0.6 s or so), else for timeout_ns.
 */
void kt_path_cache_look_ahead(struct kt_path_cache *c, bool (*expected)(void *ctx, struct ktrxer_addr *target),
			      void *ctx, bool patient);
/* Has anybody been asked for ahead? */
bool kt_path_cache_looks_ahead(const struct kt_path_cache *c);

/* As ktrxer_path_find(). */
int kt_path_cache_find(struct kt_path_cache *c, const struct ktrxer_addr *target, struct ktrxer_path *path,
		       u64 timeout_ns, struct ktrxer_err *err);

#endif

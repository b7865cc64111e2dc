/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Compiles a rule set into the image that classify.h reads. Any context in
 * which the allocator may be called; a million rules take about a second and,
 * while it works, about 100 bytes a rule besides the image (some 80 bytes a rule).
 */
#ifndef KT_COMPILE_H
#define KT_COMPILE_H

#include "classify.h"

/* Where memory comes from. It need not be zeroed and must be aligned to 64 bytes. Who lends it may want the CPU back, too. */
struct kt_memory {
	void *(*alloc)(void *ctx, size_t bytes); /* NULL: there is none */
	void (*free)(void *ctx, void *p, size_t bytes);
	int (*pause)(void *ctx); /* called every few hundred us; not 0: give up, with that; NULL: nobody minds */
	void *ctx;
};

/*
 * rules must have passed kt_rule_check() and be in order of judgement. key
 * holds random bits (compile makes spread odd). The image's cells come from
 * mem, n_cells of them; the caller gives them back. 0, -ENOMEM, -E2BIG
 * for more than KT_MAX_RULES rules, or what pause() said.
 */
int kt_compile(struct kt_image *img, const struct kt_rule *rules, u32 n, const struct kt_image_key *key,
	       const struct kt_memory *mem);

#endif

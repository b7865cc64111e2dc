/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A rule set with its compiled image in allocated memory: what core/classify.h
 * reads, held for rx.c and handed to engines that judge frames themselves.
 */
#ifndef KT_CLASSIFIER_H
#define KT_CLASSIFIER_H

#include "../core/classify.h"
#include "../core/rules.h"

struct kt_classifier {
	struct kt_rule *rules; /* in order of judgement; index + 1 is what classification returns */
	u32 n_rules;
	struct kt_image image; /* the flat compiled form; see core/classify.h */
	size_t image_bytes;
};

/*
 * Checks each rule, sorts and compiles a copy. n may be 0. 0, -ENOMEM, -E2BIG
 * for more than KT_MAX_RULES, or -EINVAL with *why (a constant) and *bad_rule (index in rules).
 */
int kt_classifier_new(struct kt_classifier **c, const struct kt_rule *rules, u32 n, const char **why, u32 *bad_rule);
/* c may be NULL. Nobody may read the image any more. */
void kt_classifier_free(struct kt_classifier *c);

#endif

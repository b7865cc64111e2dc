/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The public rule (struct krx_rule) and the core's (struct kt_rule), each
 * from the other. Nothing is checked here: kt_rule_check() does that.
 */
#ifndef KT_RULECONV_H
#define KT_RULECONV_H

#include "../core/rules.h"
#include "../include/ktrxer.h"

void kt_rule_from_public(struct kt_rule *rule, const struct krx_rule *pub);
void kt_rule_to_public(struct krx_rule *pub, const struct kt_rule *rule);

#endif

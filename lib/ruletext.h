/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The words of rules as text, shared by the two directions: ruletext.c reads
 * lines, ruletext_format.c writes them. ktrxer-rule(5) is their manual.
 */
#ifndef KT_RULETEXT_H
#define KT_RULETEXT_H

#include "../include/ktrxer.h"

#include "../core/env.h"

struct kt_word {
	const char *name;
	u32 value;
};

/* Each ends with a NULL name; where a value has several names the first is written. */
extern const struct kt_word kt_rule_ops[];
extern const struct kt_word kt_rule_slices[];
extern const struct kt_word kt_rule_protos[];
extern const struct kt_word kt_rule_ethertypes[];
extern const struct kt_word kt_rule_icmp_types[];
extern const struct kt_word kt_rule_icmp6_types[];

/* The name of a value, or NULL. */
const char *kt_word_name(const struct kt_word *words, u32 value);

/* Its value by name. 0 or -ENOENT. */
int kt_word_value(const struct kt_word *words, const char *name, u32 *value);

/* --- Reading ----------------------------------------------------------------- */

#define KT_RULETEXT_MAX 1024u /* characters in a line, with the zero */

/* A line being read. */
struct kt_ruletext {
	struct krx_rule *rule;
	struct ktrxer_err *err;
	char line[KT_RULETEXT_MAX];
	char *next; /* what is left of it */
	const char *word; /* whose value is being read */
	u32 seen; /* words, by their place in the table */
	bool has_type;
	bool has_code;
	u8 code;
	char field[32]; /* "set FIELD", when that is the word */
	char type[24]; /* as written; it means something only once the protocol is known */
};

/* All return 0, or -EINVAL with a sentence that names the word and its value; _number says nothing. */
int kt_ruletext_refuse(struct kt_ruletext *p, const char *value, const char *allowed);
int kt_ruletext_number(const char *text, u64 max, u64 *value);
int kt_ruletext_ranged(struct kt_ruletext *p, const char *value, u64 min, u64 max, u64 *out, const char *allowed);
int kt_ruletext_u32(struct kt_ruletext *p, const char *value, u32 min, u32 *out, const char *allowed);
int kt_ruletext_version(struct kt_ruletext *p, const char *value, u8 version);
int kt_ruletext_addr(struct kt_ruletext *p, const char *value, u8 addr[16]);
int kt_ruletext_prefix(struct kt_ruletext *p, char *value, u8 addr[16], u8 *plen);
int kt_ruletext_ports(struct kt_ruletext *p, char *value, u16 *lo, u16 *hi);
int kt_ruletext_mac(struct kt_ruletext *p, const char *value, u8 mac[6]);
int kt_ruletext_iface(struct kt_ruletext *p, const char *value, u32 *ifindex);

#endif

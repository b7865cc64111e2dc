/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Options: one row each, and from the same rows come parsing, config files,
 * --dump-config, help, completion and the check of the man pages.
 *
 *   struct ping_config { struct common common; u64 count; struct opt_rate rate; };
 *   static const struct opt options[] = {
 *       { "count", 'c', OPT_COUNT(struct ping_config, count), "N", "probes to each target", "1",
 *         .group = "Schedule", .min = 1, .max = 1000000 },
 *       { "rate", 'r', OPT_RATE(struct ping_config, rate), "RATE", "probes per second" },
 *       { 0 },
 *   };
 *
 * The macros name the type of value and check that the field has it. Without
 * a default the field stays zero until the option is given.
 */
#ifndef KT_OPT_H
#define KT_OPT_H

#include <string.h>

#include "../core/env.h"

enum opt_type {
	OPT_TYPE_FLAG, /* --name, --name=no; in files yes or no */
	OPT_TYPE_COUNT, /* 10, 10k, 4Ki, 1.5M */
	OPT_TYPE_SIGNED, /* -5, 10k */
	OPT_TYPE_NUMBER, /* a decimal fraction, -1.5 */
	OPT_TYPE_SIZE, /* bytes: 1500, 64Ki, 2MB */
	OPT_TYPE_DURATION, /* 10ms, 1.5s, 2h; without a unit seconds */
	OPT_TYPE_RATE, /* packets per second: 500, 10k, 0.5, 30/m */
	OPT_TYPE_BITRATE, /* 100Mbit, 2.5G */
	OPT_TYPE_PROBABILITY, /* 0.01 or 1% */
	OPT_TYPE_STRING,
	OPT_TYPE_LIST, /* a string, repeatable */
	OPT_TYPE_ENUM, /* one of the words in arg, "a|b|c"; its index */
	OPT_TYPE_WORD, /* the same; the word itself */
	OPT_TYPE_FILE,
	OPT_TYPE_FILES, /* repeatable */
	OPT_TYPE_INTERFACE, /* IF or ENGINE:IF */
	OPT_TYPE_TIME, /* of day: 12:30, 2026-11-21T06:45:00Z, now+10s, @SECONDS; ns since 1970 */
};

struct opt_rate {
	u64 num; /* num / den per second; num 0: not given */
	u64 den;
};

struct opt_list {
	const char **v;
	unsigned int n;
};

struct opt {
	const char *name; /* long; NULL ends a table */
	char letter; /* 0: none */
	u8 type; /* enum opt_type; by one of the macros */
	u16 offset; /* of the field in the configuration */
	const char *arg; /* what stands for the value in help; enums: the words */
	const char *help; /* no capital, no full stop */
	const char *def; /* default, as a user would write it; NULL: none */
	const char *group; /* heading in help; NULL: that of the row above */
	u64 min; /* range, in the unit of the field: ns, bytes; for OPT_SIGNED read as s64; both 0: any */
	u64 max; /* 0 with min: no upper bound */
};

#define OPT_FIELD(kind, ctype, s, f) \
	.type = (kind), .offset = (u16)(offsetof(s, f) + 0 * sizeof((ctype *)0 == &((s *)0)->f))
#define OPT_FLAG(s, f) OPT_FIELD(OPT_TYPE_FLAG, bool, s, f)
#define OPT_COUNT(s, f) OPT_FIELD(OPT_TYPE_COUNT, u64, s, f)
#define OPT_SIGNED(s, f) OPT_FIELD(OPT_TYPE_SIGNED, s64, s, f)
#define OPT_NUMBER(s, f) OPT_FIELD(OPT_TYPE_NUMBER, double, s, f)
#define OPT_SIZE(s, f) OPT_FIELD(OPT_TYPE_SIZE, u64, s, f)
#define OPT_DURATION(s, f) OPT_FIELD(OPT_TYPE_DURATION, u64, s, f)
#define OPT_RATE(s, f) OPT_FIELD(OPT_TYPE_RATE, struct opt_rate, s, f)
#define OPT_BITRATE(s, f) OPT_FIELD(OPT_TYPE_BITRATE, u64, s, f)
#define OPT_PROBABILITY(s, f) OPT_FIELD(OPT_TYPE_PROBABILITY, double, s, f)
#define OPT_STRING(s, f) OPT_FIELD(OPT_TYPE_STRING, const char *, s, f)
#define OPT_LIST(s, f) OPT_FIELD(OPT_TYPE_LIST, struct opt_list, s, f)
#define OPT_ENUM(s, f) OPT_FIELD(OPT_TYPE_ENUM, int, s, f)
#define OPT_WORD(s, f) OPT_FIELD(OPT_TYPE_WORD, const char *, s, f)
#define OPT_FILE(s, f) OPT_FIELD(OPT_TYPE_FILE, const char *, s, f)
#define OPT_FILES(s, f) OPT_FIELD(OPT_TYPE_FILES, struct opt_list, s, f)
#define OPT_INTERFACE(s, f) OPT_FIELD(OPT_TYPE_INTERFACE, const char *, s, f)
#define OPT_TIME(s, f) OPT_FIELD(OPT_TYPE_TIME, u64, s, f)

/* Where a value came from; a higher source replaces a lower one. */
enum opt_source {
	OPT_FROM_NOWHERE = 0,
	OPT_FROM_DEFAULT,
	OPT_FROM_SYSTEM, /* /etc/ktrxer.conf */
	OPT_FROM_FILE, /* --config */
	OPT_FROM_COMMAND_LINE,
};

#define OPT_MAX 128

/* The options of one command, with their values in config. */
struct optset {
	const struct opt *row[OPT_MAX];
	unsigned int n;
	void *config;
	const char *text[OPT_MAX]; /* what set it; not for lists. Points into argv, a table or memory that lives on */
	u8 source[OPT_MAX]; /* enum opt_source */
	const char *const *exclusive;
	char *file[2]; /* texts of config files, which values point into; freed by opt_free() */
	char why[4800]; /* room for a path; the sentence for the last -EINVAL, without the name of the program */
};

/* Adds rows behind those there are. */
void opt_add(struct optset *set, const struct opt *rows);
/* All defaults. Tables are constant, so a default that does not parse is a bug: -EINVAL. */
int opt_defaults(struct optset *set);
/* Sets one option from text, which must live as long as the set. 0, or -EINVAL with why. */
int opt_set(struct optset *set, const char *name, const char *text, enum opt_source source);
/*
 * Reads argv[1] and on: options in any order with operands. Collects them in
 * set as from the command line, after the config files named (config.h).
 * Returns the number of operands, which are then argv[argc - n] and on; or -EINVAL.
 */
int opt_parse(struct optset *set, int argc, char **argv);
/* Writes why; returns -EINVAL. */
__attribute__((format(printf, 2, 3))) int opt_wrong(struct optset *set, const char *fmt, ...);
/* At most one of each exclusive set survives; a lower source gives way. 0, or -EINVAL with why. */
int opt_resolve(struct optset *set);
/* Was it given anywhere but by its default? */
bool opt_given(const struct optset *set, const char *name);
int opt_index(const struct optset *set, const char *name);
/* Frees the lists in the configuration and the texts of files. */
void opt_free(struct optset *set);

static inline bool opt_is_list(const struct opt *o)
{
	return o->type == OPT_TYPE_LIST || o->type == OPT_TYPE_FILES;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Rule sets as users give them: lines in files and on the command line. */
#ifndef KT_CLI_RULES_H
#define KT_CLI_RULES_H

#include "cli.h"

struct rule_set {
	struct krx_rule *v;
	unsigned int n;
	unsigned int cap;
};

/* All three: CLI_OK, or an exit code after having said which line is wrong and why. */
int rules_add_text(struct rule_set *set, const char *text, const char *where);
int rules_add_file(struct rule_set *set, const char *path); /* "-": standard input */
int rules_add_all(struct rule_set *set, const struct opt_list *files, const struct opt_list *texts);
void rules_free(struct rule_set *set);

/* The socket by which a receiver on this interface is shared, if no other path is given. Returns buf. */
const char *rules_share_path(char *buf, size_t cap, const char *ifname);

#endif

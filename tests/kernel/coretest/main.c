// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the core's suites when it is loaded and reports to the kernel log as
 * KTAP. Loading fails with EPROTO when a case failed, so that insmod tells.
 *
 * A case has a thread of its own. A failed check ends that thread where it
 * stands, as longjmp does in user space; what it had allocated is lost then.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "tests/test.h"

char kt_test_note[1024];
int kt_test_ended;
DECLARE_COMPLETION(kt_test_done);

/* vmalloc's pages are aligned, and what runs over the end of one is caught by the next. */
void *kt_test_alloc(size_t bytes)
{
	return vmalloc(bytes ? bytes : 1);
}

void kt_test_free(const void *p)
{
	vfree(p);
}

static int one_case(void *arg)
{
	const struct kt_test *t = arg;

	t->fn();
	kt_test_leave(0);
}

static int run_case(const struct kt_test *t)
{
	struct task_struct *task;

	reinit_completion(&kt_test_done);
	task = kthread_run(one_case, (void *)t, "kt-%s", t->name);
	if (IS_ERR(task)) {
		strscpy(kt_test_note, "no thread", sizeof(kt_test_note));
		return KT_TEST_FAILED;
	}
	wait_for_completion(&kt_test_done);
	return kt_test_ended;
}

/* Cases that failed. */
static int run_suite(const struct kt_test_suite *s)
{
	int failed = 0;

	/* A line a message: what reads the log may tell a message's later lines otherwise. */
	pr_info("    KTAP version 1\n");
	pr_info("    # Subtest: %s\n", s->name);
	pr_info("    1..%d\n", s->n);
	for (int i = 0; i < s->n; i++) {
		int how = run_case(&s->tests[i]);

		if (how == KT_TEST_FAILED) {
			failed++;
			pr_info("    # %s\n", kt_test_note);
			pr_info("    not ok %d %s\n", i + 1, s->tests[i].name);
		} else {
			pr_info("    ok %d %s%s%s\n", i + 1, s->tests[i].name, how == KT_TEST_SKIPPED ? " # SKIP " : "",
				how == KT_TEST_SKIPPED ? kt_test_note : "");
		}
	}
	return failed;
}

#define X(name) extern const struct kt_test_suite kt_suite_##name;
KT_SUITES
#undef X

#define X(name) &kt_suite_##name,
static const struct kt_test_suite *const suites[] = { KT_SUITES };
#undef X

static int __init run(void)
{
	int failed = 0;

	pr_info("KTAP version 1\n");
	pr_info("1..%d\n", (int)ARRAY_SIZE(suites));
	for (unsigned int i = 0; i < ARRAY_SIZE(suites); i++) {
		int n = run_suite(suites[i]);

		pr_info("%sok %u core/%s\n", n ? "not " : "", i + 1, suites[i]->name);
		failed += n;
	}
	return failed ? -EPROTO : 0;
}

static void __exit leave(void)
{
}

module_init(run);
module_exit(leave);
MODULE_DESCRIPTION("kTRxer: tests of its core in the kernel");
MODULE_LICENSE("GPL");

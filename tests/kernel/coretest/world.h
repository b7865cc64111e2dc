/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's side of tests/test.h: what main.c beside this file lends to the
 * core's suites. Little is included, for a suite's names are its own.
 */
#ifndef KT_CORETEST_WORLD_H
#define KT_CORETEST_WORLD_H

#include <linux/completion.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/string.h>
#include <linux/stringify.h>
#include <linux/types.h>

struct kt_test;

struct kt_test_suite {
	const char *name;
	const struct kt_test *tests;
	int n;
};

extern char kt_test_note[1024];

extern int kt_test_ended;
extern struct completion kt_test_done;

/*
 * Ends the thread that the case runs in, whatever it was in the middle of. A
 * function of ours could not tell objtool that it does not return.
 */
#define kt_test_leave(how) \
	do { \
		kt_test_ended = how; \
		kthread_complete_and_exit(&kt_test_done, 0); \
	} while (0)

/* Aligned to 64 bytes; process context. */
void *kt_test_alloc(size_t bytes);
void kt_test_free(const void *p);

/* As in C's library. */
static inline void *malloc(size_t bytes)
{
	return kt_test_alloc(bytes);
}

static inline void *calloc(size_t n, size_t bytes)
{
	void *p = kt_test_alloc(n * bytes);

	return p ? memset(p, 0, n * bytes) : NULL;
}

static inline int posix_memalign(void **to, size_t align, size_t bytes)
{
	*to = align <= 64 ? kt_test_alloc(bytes) : NULL;
	return *to ? 0 : -ENOMEM;
}

static inline void free(void *p)
{
	kt_test_free(p);
}

/* A guest's processor is emulated. */
#define TEST_ROUNDS(n) ((n) / 20)

#define KT_SUITE_VAR_(name) kt_suite_##name
#define KT_SUITE_VAR(name) KT_SUITE_VAR_(name)

#define TEST_MAIN(...) \
	static const struct kt_test kt_tests[] = { __VA_ARGS__ }; \
	extern const struct kt_test_suite KT_SUITE_VAR(KT_SUITE); \
	const struct kt_test_suite KT_SUITE_VAR(KT_SUITE) = { __stringify(KT_SUITE), kt_tests, \
							      (int)(sizeof(kt_tests) / sizeof(kt_tests[0])) };

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Test cases in C, one function each, reported as TAP. A suite is a table;
 * the same core suites run in user space (this header) and in the module.
 *
 *   static void t_fold(void) { CHECK_EQ(kt_checksum(…), 0xffff); }
 *   TEST_MAIN(T(t_fold), T(t_other))
 *
 * A case fails at its first failed check and says what it saw. SKIP("why")
 * leaves it as skipped. The program exits 1 when any case failed.
 *
 * What the two worlds do differently: how a case is left in the middle, where
 * memory comes from, and who runs the table (tests/kernel/coretest/main.c in the kernel).
 */
#ifndef KT_TEST_H
#define KT_TEST_H

#ifdef __KERNEL__
#include "kernel/coretest/world.h"
#else
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#endif

struct kt_test {
	const char *name;
	void (*fn)(void);
};

#define T(fn) \
	{ \
#fn, fn \
	}

enum kt_test_how { KT_TEST_FAILED = 1, KT_TEST_SKIPPED = 2 };

#ifndef __KERNEL__
/* Weak: one of each, however many files a program has. */
__attribute__((weak)) jmp_buf kt_test_exit; /* enum kt_test_how */
__attribute__((weak)) char kt_test_note[1024];
#define kt_test_leave(how) longjmp(kt_test_exit, how)
/* Rounds of a case that repeats itself for luck. */
#define TEST_ROUNDS(n) (n)
#endif

#define TEST_FAIL(...) \
	do { \
		int kt_n = snprintf(kt_test_note, sizeof(kt_test_note), "%s:%d: ", __FILE__, __LINE__); \
		snprintf(kt_test_note + kt_n, sizeof(kt_test_note) - (size_t)kt_n, __VA_ARGS__); \
		kt_test_leave(KT_TEST_FAILED); \
	} while (0)

#define SKIP(...) \
	do { \
		snprintf(kt_test_note, sizeof(kt_test_note), __VA_ARGS__); \
		kt_test_leave(KT_TEST_SKIPPED); \
	} while (0)

#define CHECK(cond) \
	do { \
		if (!(cond)) \
			TEST_FAIL("not true: %s", #cond); \
	} while (0)

#define CHECK_EQ(a, b) \
	do { \
		long long kt_a = (long long)(a), kt_b = (long long)(b); \
		if (kt_a != kt_b) \
			TEST_FAIL("%s is %lld (0x%llx), not %s = %lld (0x%llx)", #a, kt_a, (unsigned long long)kt_a, \
				  #b, kt_b, (unsigned long long)kt_b); \
	} while (0)

#define CHECK_STR(a, b) \
	do { \
		const char *kt_a = (a), *kt_b = (b); \
		if (strcmp(kt_a, kt_b)) \
			TEST_FAIL("%s is \"%.200s\", not \"%.200s\"", #a, kt_a, kt_b); \
	} while (0)

#define CHECK_MEM(a, b, n) \
	do { \
		if (memcmp((a), (b), (n))) \
			TEST_FAIL("%s and %s differ", #a, #b); \
	} while (0)

#ifndef __KERNEL__
/* Runs the cases whose names contain argv[1], or all. */
static inline int kt_test_run(const struct kt_test *tests, int n, int argc, char **argv)
{
	volatile int failed = 0, number = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (volatile int i = 0; i < n; i++) {
		int how;

		if (argc > 1 && !strstr(tests[i].name, argv[1]))
			continue;
		number++;
		how = setjmp(kt_test_exit);
		if (!how)
			tests[i].fn();
		if (how == KT_TEST_FAILED) {
			failed++;
			printf("not ok %d - %s\n# %s\n", number, tests[i].name, kt_test_note);
		} else {
			printf("ok %d - %s%s%s\n", number, tests[i].name, how == KT_TEST_SKIPPED ? " # SKIP " : "",
			       how == KT_TEST_SKIPPED ? kt_test_note : "");
		}
	}
	printf("1..%d\n", number);
	return failed ? 1 : 0;
}

#define TEST_MAIN(...) \
	int main(int argc, char **argv) \
	{ \
		static const struct kt_test tests[] = { __VA_ARGS__ }; \
		return kt_test_run(tests, (int)(sizeof(tests) / sizeof(tests[0])), argc, argv); \
	}
#endif

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Rule sets in user space: the order of judgement, a random key for each
 * set, and memory in huge pages, because a large image is read at random and
 * would miss the TLB with every bucket.
 */
#include "classifier.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "../core/compile.h"

#define HUGE_BYTES ((size_t)2 << 20)
#define CELL_BYTES sizeof(struct kt_cell)

/* Maps bytes aligned to a huge page, what sticks out on both sides is given back. */
static void *map_huge(size_t bytes)
{
	size_t len = KT_ALIGN_UP(bytes, HUGE_BYTES), head;
	u8 *p = mmap(NULL, len + HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	head = (size_t)(-(uintptr_t)p & (HUGE_BYTES - 1));
	if (head)
		munmap(p, head);
	munmap(p + head + len, HUGE_BYTES - head);
	madvise(p + head, len, MADV_HUGEPAGE); /* a wish: refused, pages are small */
	return p + head;
}

static void *get_memory(void *ctx, size_t bytes)
{
	void *p;

	(void)ctx;
	if (bytes >= HUGE_BYTES)
		return map_huge(bytes);
	return posix_memalign(&p, CELL_BYTES, KT_ALIGN_UP(bytes, CELL_BYTES)) ? NULL : p;
}

static void put_memory(void *ctx, void *p, size_t bytes)
{
	(void)ctx;
	if (bytes >= HUGE_BYTES)
		munmap(p, KT_ALIGN_UP(bytes, HUGE_BYTES));
	else
		free(p);
}

static const struct kt_memory user_memory = { .alloc = get_memory, .free = put_memory };

struct place {
	s32 priority;
	u32 index;
};

static int before(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* Copies rules to c->rules in order of judgement. */
static int sort_rules(struct kt_classifier *c, const struct kt_rule *rules, u32 n)
{
	struct place *order = calloc((size_t)n + 1, sizeof(*order));
	bool sorted = true;

	c->rules = malloc(((size_t)n + 1) * sizeof(*c->rules));
	if (!order || !c->rules) {
		free(order);
		return -ENOMEM;
	}
	for (u32 i = 0; i < n; i++) {
		order[i] = (struct place){ rules[i].priority, i };
		sorted = sorted && (!i || rules[i - 1].priority >= rules[i].priority);
	}
	if (!sorted)
		qsort(order, n, sizeof(*order), before);
	for (u32 i = 0; i < n; i++)
		c->rules[i] = rules[order[i].index];
	c->n_rules = n;
	free(order);
	return 0;
}

static int random_key(struct kt_image_key *key)
{
	size_t got = 0;

	while (got < sizeof(*key)) {
		ssize_t n = getrandom((u8 *)key + got, sizeof(*key) - got, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		got += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int kt_classifier_new(struct kt_classifier **c, const struct kt_rule *rules, u32 n, const char **why, u32 *bad_rule)
{
	struct kt_classifier *new;
	struct kt_image_key key;
	int ret;

	for (u32 i = 0; i < n; i++) {
		ret = kt_rule_check(&rules[i], why);
		if (ret) {
			*bad_rule = i;
			return ret;
		}
	}
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	ret = sort_rules(new, rules, n);
	if (!ret)
		ret = random_key(&key);
	if (!ret)
		ret = kt_compile(&new->image, new->rules, n, &key, &user_memory);
	if (ret) {
		kt_classifier_free(new);
		return ret;
	}
	new->image_bytes = (size_t) new->image.n_cells *CELL_BYTES;
	*c = new;
	return 0;
}

void kt_classifier_free(struct kt_classifier *c)
{
	if (!c)
		return;
	if (c->image.cells)
		put_memory(NULL, (void *)(uintptr_t)c->image.cells, c->image_bytes);
	free(c->rules);
	free(c);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Every ioctl of both devices, mapping, polling and closing, at random from three threads on shared descriptors:
 * what counts is that the kernel has nothing to say. Runs in a guest that has loaded the module.
 */
#include "abuse_calls.h"

#define N_FDS 8

static struct {
	int fd[N_FDS]; /* which threads close and open under each other */
	uint64_t until;
	uint64_t seed;
	unsigned long calls;
	unsigned long good;
} wild;

static void mutate(union argument *a, uint32_t bytes)
{
	for (uint32_t n = a_below(3); n; n--) {
		uint32_t at = a_below(bytes / 4);

		a->word[at] = (uint32_t)a_number();
	}
}

static void random_call(int fd)
{
	const struct call *c = &calls[a_below(N_CALLS)];
	union argument *a = malloc(sizeof(*a));
	int r;

	right(c, a);
	if (c->cmd == KTX_IOC_SETUP && a_below(2)) {
		a->tx.flags = a_below(256);
		a->tx.slot_bytes = 64 * (1 + a_below(40));
		a->tx.n_desc = 1u << a_below(10);
	} else if (c->cmd == KRX_IOC_SETUP) {
		a->rx.flags = a_below(32);
	}
	mutate(a, c->bytes);
	/* Large is for other tests: three threads would wait for memory here, and what a set of rules needs no limit of ours bounds. */
	if (c->cmd == KTX_IOC_SETUP && (uint64_t)a->tx.n_desc * a->tx.slot_bytes > 1u << 22)
		a->tx.n_desc = 1;
	if (c->cmd == KRX_IOC_SETUP && a->rx.n_units > 1u << 16)
		a->rx.n_units = 256;
	if (c->cmd == KRX_IOC_RULES && a->rules.n > 1u << 12)
		a->rules.n = a->rules.n > 1u << 20 ? a->rules.n : 1u << 12;
	if (c->cmd == KTX_IOC_FLOOD)
		a->flood.flags ^= a_below(2); /* KTX_FLOOD_DONE */
	tame(c, a);
	r = a_call(fd, a_below(50) ? c->cmd : (uint32_t)a_random(), a_below(30) ? a : (void *)(uintptr_t)a_number());
	__atomic_fetch_add(&wild.calls, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&wild.good, r == 0, __ATOMIC_RELAXED);
	free(a);
}

static void random_map(int fd)
{
	size_t bytes = (1 + a_below(8)) * (size_t)A_PAGE;
	int prot = a_below(4), flags = a_below(8) ? MAP_SHARED : MAP_PRIVATE;
	uint64_t off = a_below(2) ? 0 : a_below(2) ? KRX_MAP_CURSORS : a_number() & ~(uint64_t)(A_PAGE - 1);
	uint8_t *p = mmap(NULL, bytes, prot, flags, fd, (off_t)(off & 0x7ffffffffffff000));

	if (p == MAP_FAILED)
		return;
	if (prot & PROT_WRITE)
		p[a_below((uint32_t)bytes)] = (uint8_t)a_random();
	mprotect(p, A_PAGE, (int)a_below(8));
	/* At once or in two pieces, and each page once: where nothing is any more, another thread has its own by now. */
	if (bytes > A_PAGE && a_below(2)) {
		munmap(p, A_PAGE);
		p += A_PAGE;
		bytes -= A_PAGE;
	}
	munmap(p, bytes);
}

static void replace(unsigned int i)
{
	int fresh = open(a_below(2) ? "/dev/" KRX_DEVICE : "/dev/" KTX_DEVICE, O_RDWR | O_CLOEXEC);

	/* dup2 is what makes the old one go under those who are in it. */
	if (fresh >= 0) {
		dup2(fresh, wild.fd[i]);
		close(fresh);
	}
}

static bool wild_enough(void)
{
	return __atomic_load_n(&wild.calls, __ATOMIC_RELAXED) > 1000 &&
	       __atomic_load_n(&wild.good, __ATOMIC_RELAXED) > 100;
}

static void *run_wild(void *arg)
{
	a_state = (wild.seed + (uintptr_t)arg) * 0x9e3779b97f4a7c15ull | 1;
	while (a_goes_on(wild.until, wild_enough())) {
		unsigned int i = a_below(N_FDS);
		int fd = wild.fd[i];

		switch (a_below(20)) {
		case 0:
			replace(i);
			break;
		case 1:
			random_map(fd);
			break;
		case 2:
			poll(&(struct pollfd){ .fd = fd, .events = POLLIN | POLLOUT }, 1, 0);
			break;
		default:
			random_call(fd);
		}
	}
	return NULL;
}

static void t_random(void)
{
	pthread_t threads[3];

	world();
	a_modest();
	wild.seed = a_seed("random calls");
	wild.until = a_until();
	for (unsigned int i = 0; i < N_FDS; i++)
		wild.fd[i] = a_open(i % 2);
	for (uintptr_t i = 0; i < 3; i++)
		CHECK(!pthread_create(&threads[i], NULL, run_wild, (void *)i));
	for (unsigned int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int i = 0; i < N_FDS; i++)
		close(wild.fd[i]);
	printf("# %lu calls, %lu of them taken\n", wild.calls, wild.good);
	CHECK(wild_enough());
	a_nothing_left();
}

TEST_MAIN(T(t_random))

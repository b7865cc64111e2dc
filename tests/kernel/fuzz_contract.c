// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The contract of both devices, fuzzed: programs (fuzz_program.h) are made up, changed and joined, and those that get to a
 * place in the module where none has been before are kept, to be changed in turn. The kernel tells by kcov where
 * they got to, if it and the module have been built for that; it sees system calls, not what interrupts do. What counts is that it
 * has nothing else to say. Runs in a guest with the module loaded, as root.
 *
 *   fuzz_contract                    for KT_SECONDS (20), from KT_SEED, one case
 *   fuzz_contract run FILE...        these programs, a hundred times each, a case each
 *   fuzz_contract show FILE          what KT_LIVE has held, as text
 *
 *   KT_LIVE    a block device that gets each program before it runs; of a guest that has died it tells why
 *   KT_CORPUS  a directory: programs that are there are run first, and those that were kept are left there
 */
#include "fuzz_program.h"

#include <linux/kcov.h>
#include <sys/stat.h>

#define COVER_WORDS (1u << 18)
#define MAX_CORPUS 4096
#define RUNS 100

static struct {
	struct program *kept[MAX_CORPUS];
	uint32_t n_kept;
	uint8_t seen[1u << 16]; /* steps from one place to the next, hashed */
	uint32_t n_seen;
	unsigned long *cover; /* as kcov has it */
	int kcov;
	int live;
	uint64_t runs;
} fuzz = { .kcov = -1, .live = -1 };

/* --- where a program got to ------------------------------------------------------------------ */

static void cover_open(void)
{
	fuzz.kcov = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (fuzz.kcov < 0)
		TEST_FAIL("/sys/kernel/debug/kcov: %s: this kernel does not tell where it was", strerror(errno));
	CHECK_EQ(ioctl(fuzz.kcov, KCOV_INIT_TRACE, COVER_WORDS), 0);
	fuzz.cover = mmap(NULL, COVER_WORDS * sizeof(*fuzz.cover), PROT_READ | PROT_WRITE, MAP_SHARED, fuzz.kcov, 0);
	CHECK(fuzz.cover != MAP_FAILED);
	CHECK_EQ(ioctl(fuzz.kcov, KCOV_ENABLE, KCOV_TRACE_PC), 0);
}

static void cover_close(void)
{
	ioctl(fuzz.kcov, KCOV_DISABLE, 0);
	munmap(fuzz.cover, COVER_WORDS * sizeof(*fuzz.cover));
	close(fuzz.kcov);
	fuzz.kcov = -1;
}

/* How many steps the last program made that were new. */
static uint32_t cover_new(void)
{
	unsigned long n = __atomic_load_n(&fuzz.cover[0], __ATOMIC_RELAXED);
	uint64_t before = 0;
	uint32_t fresh = 0;

	for (unsigned long i = 1; i <= n; i++) {
		uint64_t pc = fuzz.cover[i];
		uint32_t step = (uint32_t)(((pc * 0x9e3779b97f4a7c15ull) ^ (before >> 1)) >> 13) & 0xffff;

		before = pc * 0x9e3779b97f4a7c15ull;
		fresh += !fuzz.seen[step];
		fuzz.seen[step] = 1;
	}
	fuzz.n_seen += fresh;
	return fresh;
}

static uint32_t run_covered(const struct program *p)
{
	if (fuzz.live >= 0 && pwrite(fuzz.live, p, sizeof(*p), 0) != sizeof(*p))
		TEST_FAIL("KT_LIVE: %s", strerror(errno));
	__atomic_store_n(&fuzz.cover[0], 0, __ATOMIC_RELAXED);
	run_program(p);
	fuzz.runs++;
	return cover_new();
}

/* --- programs ---------------------------------------------------------------------------------- */

static struct program *program_new(void)
{
	void *p = NULL;

	/* A disk that is written past the cache wants it aligned. */
	CHECK(!posix_memalign(&p, A_PAGE, sizeof(struct program)));
	memset(p, 0, sizeof(struct program));
	((struct program *)p)->magic = MAGIC;
	return p;
}

static void change_more(struct op *o)
{
	unsigned int i = o->n < MAX_CHANGES && a_below(3) ? o->n++ : a_below(MAX_CHANGES);

	/* Mostly whole words, and fields at the beginning, which all structures have. */
	o->at[i] = (a_below(2) ? a_below(16) : a_below(4096)) * (a_below(8) ? 4 : 1) | (a_below(3) ? 0 : WIDE);
	o->value[i] = a_number();
	if (o->n <= i)
		o->n = (uint8_t)(i + 1);
}

static struct op op_random(void)
{
	struct op o = { .what = (uint16_t)a_below(N_WHAT) };

	if (a_below(4) == 0)
		o.what = W_DESC;
	o.fd = (uint8_t)a_below(N_FDS);
	/* Mostly on a device that knows the call. */
	if (o.what < N_CALLS && a_below(20))
		o.fd = (uint8_t)(calls[o.what].rx * 2 + (a_below(4) == 0));
	else if (o.what == W_DESC || o.what == W_SCRIBBLE)
		o.fd &= 1;
	else if (o.what == W_CURSORS)
		o.fd |= 2;
	for (uint32_t n = a_below(3); n; n--)
		change_more(&o);
	return o;
}

static void insert(struct program *p, uint32_t at, const struct op *o)
{
	if (p->n == MAX_OPS)
		return;
	memmove(&p->op[at + 1], &p->op[at], (p->n - at) * sizeof(*o));
	p->op[at] = *o;
	p->n++;
}

static void mutate(struct program *p)
{
	const struct program *other = fuzz.kept[a_below(fuzz.n_kept)];
	uint32_t at = p->n ? a_below(p->n) : 0, n;
	struct op o;

	switch (a_below(7)) {
	case 0:
	case 1:
		o = op_random();
		insert(p, a_below(p->n + 1), &o);
		break;
	case 2:
		if (p->n)
			memmove(&p->op[at], &p->op[at + 1], (--p->n - at) * sizeof(o));
		break;
	case 3:
		if (p->n) {
			o = p->op[at];
			insert(p, a_below(p->n + 1), &o);
		}
		break;
	case 4: /* the end is another's */
		n = a_below(other->n + 1);
		p->n = at;
		for (; n < other->n && p->n < MAX_OPS; n++)
			p->op[p->n++] = other->op[n];
		break;
	default:
		if (p->n)
			change_more(&p->op[at]);
	}
}

static void keep(const struct program *p)
{
	if (fuzz.n_kept < MAX_CORPUS)
		fuzz.kept[fuzz.n_kept++] = memcpy(program_new(), p, sizeof(*p));
}

/* Every call as it should be, and everything else once. */
static struct program *first_program(void)
{
	struct program *p = program_new();

	for (uint16_t what = 0; what < N_WHAT; what++)
		p->op[p->n++] = (struct op){ .what = what, .fd = what < N_CALLS ? calls[what].rx * 2 : 0 };
	return p;
}

static void load(const char *path)
{
	struct program *p = program_new();
	FILE *f = fopen(path, "r");

	if (!f || !read_program(p, f))
		TEST_FAIL("%s: not a program", path);
	fclose(f);
	if (run_covered(p))
		keep(p);
	free(p);
}

static void load_all(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[512];

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.')
			load(path);
	}
	if (d)
		closedir(d);
}

static void save_all(const char *dir)
{
	char path[512];
	FILE *f;

	mkdir(dir, 0777);
	for (uint32_t i = 0; i < fuzz.n_kept; i++) {
		snprintf(path, sizeof(path), "%s/%04u", dir, i);
		f = fopen(path, "w");
		if (!f)
			TEST_FAIL("%s: %s", path, strerror(errno));
		print_program(f, fuzz.kept[i]);
		fclose(f);
	}
}

static void begin(void)
{
	const char *live = getenv("KT_LIVE");

	world();
	if (m.wire < 0) {
		m.near = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		netns_enter(netns_far);
		m.wire = packet_socket(FAR, 0);
		netns_enter(netns_near);
	}
	if (live) {
		fuzz.live = open(live, O_WRONLY | O_SYNC | O_DIRECT | O_CLOEXEC);
		if (fuzz.live < 0)
			TEST_FAIL("%s: %s", live, strerror(errno));
	}
	a_modest();
}

static void t_fuzz(void)
{
	const char *dir = getenv("KT_CORPUS"), *given = getenv("KT_SECONDS");
	uint64_t start, until, last = 0;
	struct program *p = first_program();
	uint32_t first;

	begin();
	a_seed("programs");
	cover_open();
	first = run_covered(p);
	keep(p);
	CHECK(first > 100); /* or the module has not been built to tell */
	if (dir)
		load_all(dir);
	start = a_now();
	until = start + (given ? strtoull(given, NULL, 0) : 20) * A_SECOND;
	while (a_now() < until) {
		memcpy(p, fuzz.kept[a_below(fuzz.n_kept)], sizeof(*p));
		for (uint32_t n = 1 + a_below(4); n; n--)
			mutate(p);
		if (run_covered(p))
			keep(p);
		if (a_now() - last > 10 * A_SECOND) {
			last = a_now();
			printf("# %llu s: %llu programs, %u kept, %u steps of which the first made %u\n",
			       (unsigned long long)((last - start) / A_SECOND), (unsigned long long)fuzz.runs,
			       fuzz.n_kept, fuzz.n_seen, first);
			fflush(stdout);
		}
	}
	cover_close();
	printf("# %llu programs, %u kept, %u steps of which the first made %u\n", (unsigned long long)fuzz.runs,
	       fuzz.n_kept, fuzz.n_seen, first);
	if (dir)
		save_all(dir);
	CHECK(fuzz.n_kept > 10);
	CHECK(fuzz.n_seen > first + 100); /* what is kept leads on */
	free(p);
}

/* --- one by one ------------------------------------------------------------------------------- */

static const char *file;

static void t_run(void)
{
	struct program *p = program_new();
	FILE *f = fopen(file, "r");

	if (!f || !read_program(p, f))
		TEST_FAIL("%s: not a program", file);
	fclose(f);
	begin();
	for (unsigned int i = 0; i < RUNS; i++)
		run_program(p);
	free(p);
}

static int show(const char *path)
{
	struct program p;
	FILE *f = fopen(path, "rb");

	if (!f || fread(&p, sizeof(p), 1, f) != 1 || p.magic != MAGIC || p.n > MAX_OPS) {
		fprintf(stderr, "%s: no program there\n", path);
		return 1;
	}
	fclose(f);
	print_program(stdout, &p);
	return 0;
}

int main(int argc, char **argv)
{
	struct kt_test run = T(t_run), fuzzing = T(t_fuzz);
	char *none[] = { argv[0], NULL };
	int ret = 0;

	if (argc == 3 && !strcmp(argv[1], "show"))
		return show(argv[2]);
	if (argc < 3 || strcmp(argv[1], "run"))
		return kt_test_run(&fuzzing, 1, 1, none);
	for (int i = 2; i < argc; i++) {
		file = run.name = argv[i];
		ret |= kt_test_run(&run, 1, 1, none);
	}
	return ret;
}

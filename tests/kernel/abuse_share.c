// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Shared memory scribbled by threads while the kernel reads it, mappings and descriptors taken away at
 * random, and processes killed in the middle: on a veth pair with traffic. What must hold: the kernel has nothing to
 * say, its own counters add up, the context works when the scribbling ends, every process
 * ends, and nothing is held. Runs in a guest that has loaded the module.
 */
#include <sched.h>

#include "abuse.h"
#include "krx_bed.h"

static struct a_tx tx = { .fd = -1 };
static struct rx rx = { .fd = -1 };
static bool over; /* tells threads to end */
static uint64_t base_seed;

static bool is_over(void)
{
	return __atomic_load_n(&over, __ATOMIC_RELAXED);
}

/* Threads of a case; one that has failed leaves them to the next. */
static pthread_t threads[4];
static unsigned int n_threads;

static void start(void *(*fn)(void *), void *arg)
{
	over = false;
	CHECK(!pthread_create(&threads[n_threads], NULL, fn, arg));
	n_threads++;
}

static void stop(void)
{
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	while (n_threads)
		pthread_join(threads[--n_threads], NULL);
}

static void rx_gone(void)
{
	if (rx.fd >= 0)
		rx_close(&rx);
	rx.fd = -1;
}

static void new_case(const char *what)
{
	stop();
	a_tx_close(&tx);
	rx_gone();
	base_seed = a_seed(what);
	bed_new(true);
}

static void on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CHECK(!sched_setaffinity(0, sizeof(set), &set));
}

/* --- Scribbling ------------------------------------------------------------------------- */

struct target {
	uint32_t *words;
	size_t n;
	size_t front; /* of these words, more often than of the others */
};

static void *scribble(void *arg)
{
	const struct target *t = arg;

	a_state = (base_seed + (uintptr_t)arg) | 1;
	while (!is_over()) {
		size_t at = a_random() % (a_below(2) ? t->front : t->n);

		__atomic_store_n(&t->words[at], (uint32_t)a_number(), __ATOMIC_RELAXED);
		/* The index that makes the rest be looked at is mostly a believable one. */
		if (!a_below(4))
			sched_yield();
	}
	return NULL;
}

/* Submits as one who does not know what lies in his own memory. Returns how many were taken. */
static uint64_t submit_blindly(uint32_t taken)
{
	static const uint32_t flags[] = { 0, 0, KTX_SUBMIT_HERE };
	struct ktx_submit s = { .size = sizeof(s), .flags = flags[a_below(3)], .max = a_below(4) * 8 };
	struct ktx_cancel c = { .size = sizeof(c), .all = 1 };

	for (uint32_t i = 0; i < 16; i++) {
		struct ktx_desc *d = &tx.desc[(taken + i) & (tx.s.n_desc - 1)];

		*d = (struct ktx_desc){ .slot = a_below(tx.s.n_slots), .len = 14 + a_below(240), .flags = a_below(2) };
	}
	__atomic_store_n(&tx.shared->submit, taken + 16, __ATOMIC_RELEASE);
	__atomic_store_n(&tx.shared->done_read, __atomic_load_n(&tx.shared->done, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
	if (a_call(tx.fd, KTX_IOC_SUBMIT, &s))
		s.n = 0;
	if (!a_below(8))
		a_call(tx.fd, KTX_IOC_CANCEL, &c);
	return s.n;
}

/* Cancels, and gives what is left the time to end; then the context is as a new one. */
static void recover(uint32_t taken)
{
	struct ktx_cancel c = { .size = sizeof(c), .all = 1 };
	uint64_t end = a_now() + A_PATIENCE;
	struct ktx_stats_abi st;

	do {
		CHECK_EQ(a_call(tx.fd, KTX_IOC_CANCEL, &c), 0);
		st = a_tx_stats(&tx);
	} while (st.pending && a_now() < end);
	CHECK_EQ(st.pending, 0);
	CHECK_EQ(st.submitted & 0xffffffff, taken);
	/* Every probe has its completion, so that is where the ring stands, whatever was written there. */
	tx.submit = tx.read = taken;
	__atomic_store_n(&tx.shared->done_read, taken, __ATOMIC_RELEASE);
	__atomic_store_n(&tx.shared->done, taken, __ATOMIC_RELEASE);
}

static void t_sender_scribbled(void)
{
	static struct target t;
	struct ktx_setup s;
	struct ktx_done_abi d;
	uint64_t until, calls = 0;
	uint32_t taken = 0;
	int r;

	new_case("scribbled sender");
	s = a_ktx(NEAR, 64);
	CHECK_EQ(a_tx_open(&tx, &s), 0);
	t = (struct target){ .words = (uint32_t *)tx.map,
			     .n = tx.s.map_bytes / 4,
			     .front = (tx.s.desc_off + 64 * 64) / 4 };
	for (int i = 0; i < 2; i++)
		start(scribble, &t);
	for (until = a_until(); a_goes_on(until, taken > 100); calls++)
		taken += (uint32_t)submit_blindly(taken);
	stop();
	printf("# %llu calls took %u probes\n", (unsigned long long)calls, taken);
	CHECK(taken > 100);
	recover(taken);
	for (uint32_t i = 0; i < 64; i++)
		a_tx_put(&tx, i, 0);
	CHECK_EQ(a_tx_submit(&tx, KTX_SUBMIT_HERE, &r), 64);
	CHECK_EQ(r, 0);
	for (uint32_t i = 0; i < 64; i++) {
		CHECK_EQ(a_tx_wait(&tx, &d), 0);
		CHECK_EQ(d.id, i);
		CHECK_EQ(d.status, KTX_DONE_SENT);
	}
	a_tx_close(&tx);
	a_nothing_left();
}

/* All from one CPU: what is sent there later is received later. */
#define SEND_CPU 1

static void *send_on(void *arg)
{
	uint8_t f[2048];
	uint32_t number = 0;

	on_cpu(SEND_CPU);
	a_state = (base_seed ^ (uintptr_t)arg) | 1;
	while (!is_over()) {
		uint32_t len = udp_frame(f, 4000, 5000, number++, 20 + a_below(1000));

		if (send(far_socket, f, len, 0) < 0 && errno != ENOBUFS)
			break;
	}
	return NULL;
}

#define MARK_PORT 5001

static uint16_t dport_of(const struct listener *l)
{
	return kt_get_be16(l->data + 36);
}

/*
 * On the CPU where send_on was: when a frame from there has come, all of send_on's are through. The kernel may
 * have no room for it, so there is one after another.
 */
static void flush_senders(struct listener *l)
{
	uint64_t end = a_now() + A_PATIENCE;

	do {
		CHECK(a_now() < end);
		far_udp(MARK_PORT, 0);
		while (next_record(&rx, l, 300) && dport_of(l) != MARK_PORT)
			;
	} while (dport_of(l) != MARK_PORT);
}

/* Listeners come and go while their positions are written over. How many have been. */
static uint32_t listen_blindly(void)
{
	uint64_t until = a_until();
	uint32_t joined = 0;
	bool enough = false;

	for (; a_goes_on(until, enough); joined++) {
		struct krx_stats_abi st;
		struct krx_listen q = { .size = sizeof(q), .lossless = joined % 2 };

		if (a_call(rx.fd, KRX_IOC_LISTEN, &q) == 0 && joined % 3) {
			usleep(a_below(2000));
			CHECK_EQ(a_call(rx.fd, KRX_IOC_UNLISTEN, &q), 0);
		}
		poll(&(struct pollfd){ .fd = rx.fd, .events = POLLIN }, 1, 0);
		st = rx_stats(&rx);
		enough = st.bad_cursors > 0 && st.seen > 100;
	}
	CHECK(enough);
	return joined;
}

static void t_receiver_scribbled(void)
{
	static struct target t;
	static struct listener l;
	cpu_set_t all;
	uint32_t joined;

	new_case("scribbled receiver");
	rx_open_on(&rx, NEAR, 0, 4096);
	one_rule(&rx, (struct krx_rule_abi){ .op = KT_OP_CAPTURE_DROP });
	/* What is the kernel's can be neither written nor made writable. */
	CHECK(mprotect(rx.ring, A_PAGE, PROT_READ | PROT_WRITE) && errno == EACCES);
	CHECK(mmap(NULL, A_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, rx.fd, 0) == MAP_FAILED && errno == EPERM);
	t = (struct target){ .words = (uint32_t *)(void *)rx.cursors, .n = rx.setup.cursor_bytes / 4, .front = 64 };
	start(scribble, &t);
	start(send_on, NULL);
	joined = listen_blindly();
	stop();
	printf("# %u listeners, %llu packets seen, %llu positions refused\n", joined,
	       (unsigned long long)rx_stats(&rx).seen, (unsigned long long)rx_stats(&rx).bad_cursors);
	/* The positions that hold the ring go with their listeners; then a new one gets all there is. */
	for (uint32_t i = 0; i < 64; i++) {
		struct krx_listen q = { .size = sizeof(q), .cursor = i };

		a_call(rx.fd, KRX_IOC_UNLISTEN, &q);
	}
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	CHECK(!sched_getaffinity(0, sizeof(all), &all));
	on_cpu(SEND_CPU);
	flush_senders(&l);
	for (uint32_t i = 0; i < 50; i++)
		far_udp(5000, i);
	sched_setaffinity(0, sizeof(all), &all);
	for (uint32_t i = 0; i < 50; i++) {
		do {
			CHECK(next_record(&rx, &l, SOON));
		} while (dport_of(&l) == MARK_PORT);
		CHECK_EQ(kt_get_be32(l.data + 42), i);
	}
	rx_gone();
	a_nothing_left();
}

/* --- Mappings and descriptors that go --------------------------------------------------------- */

static void tear(uint8_t *map, size_t bytes)
{
	size_t pages = bytes / A_PAGE, at = a_below((uint32_t)pages), n = 1 + a_below((uint32_t)(pages - at));
	uint8_t *p = map + at * A_PAGE;

	switch (a_below(7)) {
	case 0:
		munmap(p, n * A_PAGE);
		break;
	case 1:
		mprotect(p, n * A_PAGE, (int)a_below(8));
		break;
	case 2:
		p = mremap(p, n * A_PAGE, (1 + a_below(8)) * (size_t)A_PAGE, MREMAP_MAYMOVE);
		break;
	case 3:
		mremap(p, 0, n * A_PAGE, MREMAP_MAYMOVE);
		break;
	case 4:
		madvise(p, n * A_PAGE, (int)a_below(26));
		break;
	case 5:
		mlock(p, n * A_PAGE);
		break;
	default:
		/* What is written there later goes nowhere, and the kernel does not miss it. */
		mmap(p, n * A_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
}

/* One who tears at his own mappings while the kernel works for him; he may die of it by SIGSEGV and SIGBUS. */
static void torn_life(void)
{
	struct ktx_setup s = a_ktx(NEAR, 64);
	struct ktx_submit q = { .size = sizeof(q) };
	struct listener l;

	if (a_tx_open(&tx, &s))
		_exit(1);
	rx_open_on(&rx, NEAR, 0, 1024);
	one_rule(&rx, (struct krx_rule_abi){ .op = KT_OP_CAPTURE });
	rx_listen(&rx, &l, true);
	for (uint32_t i = 0; i < 64; i++)
		a_tx_put(&tx, i, a_now() + i * 300000ull);
	__atomic_store_n(&tx.shared->submit, 64, __ATOMIC_RELEASE);
	a_call(tx.fd, KTX_IOC_SUBMIT, &q);
	for (uint32_t i = 0; i < 40; i++) {
		tear(tx.map, tx.s.map_bytes);
		tear(a_below(2) ? rx.ring : (uint8_t *)rx.cursors, a_below(2) ? A_PAGE : 4 * (size_t)A_PAGE);
		q.flags = a_below(2);
		a_call(tx.fd, KTX_IOC_SUBMIT, &q);
		if (i == 20 && a_below(2)) {
			close(tx.fd);
			close(rx.fd);
		}
		if (i == 25 && !a_below(3) && !fork())
			_exit(0);
	}
	_exit(0);
}

/* By its own will or by a signal; another status says that it never began. */
static void life_ended(int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status))
		TEST_FAIL("a life ended with %d", WEXITSTATUS(status));
}

static void t_mappings_torn(void)
{
	uint64_t until;
	uint32_t lives = 0;

	new_case("torn mappings");
	start(send_on, NULL);
	for (until = a_until(); a_goes_on(until, lives >= 3); lives++)
		life_ended(a_reap(a_child(torn_life)));
	stop();
	printf("# %u lives\n", lives);
	CHECK(lives >= 3);
	a_nothing_left();
}

/* --- Death at any moment ------------------------------------------------------------------------ */

static void *busy_thread(void *arg)
{
	a_state = (base_seed ^ (uintptr_t)arg) | 1;
	for (;;) {
		struct ktx_submit q = { .size = sizeof(q), .flags = a_below(2) };
		struct krx_stats_abi st = { .size = sizeof(st) };
		int copy;

		a_call(tx.fd, KTX_IOC_SUBMIT, &q);
		a_call(rx.fd, KRX_IOC_STATS, &st);
		copy = dup(a_below(2) ? tx.fd : rx.fd);
		poll(&(struct pollfd){ .fd = copy, .events = POLLIN }, 1, 1);
		close(copy);
	}
	return NULL;
}

/* Sends, receives, changes rules and forks until it is killed. */
static void short_life(void)
{
	struct ktx_setup s = a_ktx(NEAR, 256);
	struct krx_rule_abi rule = { .id = 1, .op = KT_OP_CAPTURE };
	struct listener l;
	pthread_t thread;

	s.flags = a_below(2) ? KTX_SETUP_FIFO : 0;
	s.spin_ns = a_below(1000000);
	if (a_tx_open(&tx, &s))
		_exit(1);
	rx_open_on(&rx, NEAR, a_below(2) ? KRX_SETUP_PREROUTING | KRX_SETUP_PROMISC : KRX_SETUP_OUTGOING, 1024);
	rx_listen(&rx, &l, a_below(2));
	pthread_create(&thread, NULL, busy_thread, NULL);
	for (;;) {
		int r;

		for (uint32_t i = 0; i < 64; i++) {
			struct ktx_desc *d = a_tx_put(&tx, i, a_now() + a_below(5000000));

			d->flags = a_below(2);
			d->max_attempts = a_below(3);
		}
		a_tx_submit(&tx, 0, &r);
		tx.shared->done_read = tx.shared->done;
		rx_rules(&rx, &rule, 1, NULL, 0);
		if (!a_below(8) && !fork()) {
			usleep(a_below(3000)); /* its own copy of both, for a while */
			_exit(0);
		}
	}
}

static void t_killed(void)
{
	uint64_t until;
	uint32_t lives = 0;

	new_case("killed");
	start(send_on, NULL);
	for (until = a_until(); a_goes_on(until, lives >= 3); lives++) {
		pid_t child = a_child(short_life);

		usleep(a_below(150000));
		kill(child, SIGKILL);
		life_ended(a_reap(child));
	}
	stop();
	printf("# %u lives\n", lives);
	CHECK(lives >= 3);
	a_nothing_left();
}

/* --- Greed --------------------------------------------------------------------------------------- */

static uint64_t own_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * A_SECOND + (uint64_t)ts.tv_nsec;
}

/*
 * Many contexts on one CPU, each with probes that an interface without carrier refuses for ever and at once: whoever
 * else runs on that CPU still gets some of it, and they all end when they are told to.
 */
static void t_greedy(void)
{
	struct a_tx many[16];
	uint64_t end, turns = 0, longest = 0, before, began, own, share;
	struct ktx_setup s;
	int r;

	new_case("greed");
	netns_enter(netns_far);
	netns_run("ip link set " FAR " down");
	netns_enter(netns_near);
	s = a_ktx(NEAR, 16);
	s.flags = KTX_SETUP_CPU;
	for (uint32_t k = 0; k < 16; k++) {
		CHECK_EQ(a_tx_open(&many[k], &s), 0);
		for (uint32_t i = 0; i < 16; i++)
			a_tx_put(&many[k], i, 0)->max_attempts = ~0u;
		CHECK_EQ(a_tx_submit(&many[k], 0, &r), 16);
	}
	on_cpu(0);
	before = began = a_now();
	own = own_time();
	for (end = before + 3 * A_SECOND; before < end; turns++) {
		uint64_t now;

		sched_yield();
		now = a_now();
		if (now - before > longest)
			longest = now - before;
		before = now;
	}
	share = 100 * (own_time() - own) / (a_now() - began);
	printf("# beside 16 greedy contexts: %llu %% of the CPU, %llu turns, the longest wait %llu ms\n",
	       (unsigned long long)share, (unsigned long long)turns, (unsigned long long)longest / 1000000);
	for (uint32_t k = 0; k < 16; k++)
		a_tx_close(&many[k]);
	on_cpu(1);
	/* What real-time throttling leaves to others is 5 %, and to the kernel's own real-time threads, such as RCU's, nothing. */
	CHECK(share >= 10);
	a_nothing_left();
}

TEST_MAIN(T(t_sender_scribbled), T(t_receiver_scribbled), T(t_mappings_torn), T(t_killed), T(t_greedy))

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * loads NEAR FAR MODULE ROUNDS: loads and unloads the module while frames go over a veth pair. In each round a process opens
 * both devices, has rules and a train under way, and is killed; that the module will not go while somebody has
 * it open is seen in every tenth. What the kernel has given to the module and not got back is counted
 * before and after: one object a round is too many. For loads.sh; not TAP.
 *
 * All of it is one program: what it starts anew in each round takes longer than the module does.
 */
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/syscall.h>

#include "abuse.h"

#define WARM 5u /* rounds that fill caches */

static unsigned int n_round;

static void fail(const char *what, int error)
{
	printf("round %u: %s%s%s\n", n_round, what, error ? ": " : "", error ? strerror(error) : "");
	exit(1);
}

/* --- Traffic ---------------------------------------------------------------------------- */

static volatile bool traffic_ends;
static unsigned long frames;

static int traffic_socket(const char *ifname)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(ifname) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

	/* Stamps are on before the module comes and stay on: krx_bed.h says what patching code does to QEMU. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)))
		fail(ifname, errno);
	return fd;
}

/* A few frames each way, again and again: as many as leave the CPUs, which QEMU makes slow, to the module as well. */
static void *run_traffic(void *arg)
{
	static const uint8_t frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 7, 0x88, 0xb5 };
	const int *fd = arg;

	while (!traffic_ends) {
		for (unsigned int i = 0; i < 8; i++)
			frames += send(fd[i & 1], frame, sizeof(frame), 0) == sizeof(frame);
		usleep(2000);
	}
	return NULL;
}

/* --- What is held ------------------------------------------------------------------------- */

struct held {
	unsigned long
		objects; /* of slabs, whose allocation traces show a caller without a name: one that has been unloaded */
	unsigned long areas; /* of vmalloc */
	unsigned long percpu; /* KiB */
	unsigned long used; /* KiB that are not free */
};

/* Blocks are a count and who, then the stack. */
static unsigned long nameless(const char *path)
{
	unsigned long sum = 0, count = 0, next;
	FILE *f = fopen(path, "r");
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, " %lu %*s", &next) == 1 && !strstr(line, " 0x0"))
			count = next;
		if (!strstr(line, " 0xffffffff"))
			continue;
		sum += count;
		count = 0;
	}
	if (f)
		fclose(f);
	return sum;
}

static unsigned long nameless_objects(void)
{
	DIR *d = opendir("/sys/kernel/debug/slab");
	unsigned long sum = 0, traced = 0;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[400];

		snprintf(path, sizeof(path), "/sys/kernel/debug/slab/%s/alloc_traces", e->d_name);
		traced += !access(path, R_OK);
		sum += nameless(path);
	}
	if (d)
		closedir(d);
	if (!traced)
		fail("no allocation traces: this wants slub_debug=U and debugfs", 0);
	return sum;
}

static unsigned long nameless_areas(void)
{
	FILE *f = fopen("/proc/vmallocinfo", "r");
	unsigned long sum = 0;
	char line[512], who[200];

	while (f && fgets(line, sizeof(line), f))
		sum += sscanf(line, "%*s %*s %199s", who) == 1 && !strncmp(who, "0x", 2);
	if (!f)
		fail("/proc/vmallocinfo", errno);
	fclose(f);
	return sum;
}

static unsigned long meminfo(const char *key)
{
	FILE *f = fopen("/proc/meminfo", "r");
	unsigned long kib = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, strlen(key)))
			kib = strtoul(line + strlen(key), NULL, 10);
	}
	if (f)
		fclose(f);
	return kib;
}

static void write_word(const char *path, const char *word)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, word, strlen(word)) < 0)
		fail(path, errno);
	close(fd);
}

static struct held get_held(void)
{
	struct held h;

	for (unsigned int i = 0; i < 3; i++) {
		write_word("/proc/sys/vm/drop_caches", "3");
		usleep(200000); /* what RCU and workers give back */
	}
	h.objects = nameless_objects();
	h.areas = nameless_areas();
	h.percpu = meminfo("Percpu:");
	h.used = meminfo("MemTotal:") - meminfo("MemFree:");
	return h;
}

/* --- Rounds ---------------------------------------------------------------------------------- */

static void use(const char *ifname, int tell)
{
	struct ktx_setup s = a_ktx(ifname, 64);
	struct krx_setup r = a_krx(ifname, 256);
	struct krx_rule_abi rule = { .id = 1, .op = 1 };
	struct krx_rules q = { .size = sizeof(q), .n = 1, .rules = (uintptr_t)&rule, .rule_bytes = sizeof(rule) };
	int fd = open("/dev/" KRX_DEVICE, O_RDWR), error;
	struct a_tx t;

	if (a_tx_open(&t, &s) || fd < 0 || a_call(fd, KRX_IOC_SETUP, &r) || a_call(fd, KRX_IOC_RULES, &q))
		_exit(3);
	for (uint32_t i = 0; i < 64; i++)
		a_tx_put(&t, i, a_now() + i * 100000ull);
	if (a_tx_submit(&t, 0, &error) != 64 || write(tell, "r", 1) != 1)
		_exit(4);
	pause();
}

/* Killed in the middle of it. */
static void use_briefly(const char *ifname)
{
	int ready[2], status;
	pid_t child;
	char c = 0;

	if (pipe(ready))
		fail("pipe", errno);
	child = fork();
	if (!child)
		use(ifname, ready[1]);
	close(ready[1]);
	if (read(ready[0], &c, 1) == 1)
		kill(child, SIGKILL);
	waitpid(child, &status, 0);
	close(ready[0]);
	if (c != 'r' || !WIFSIGNALED(status))
		fail("the devices cannot be used", 0);
}

static uint64_t took[3];

static void one_round(const char *ifname, const char *module)
{
	uint64_t at[4];
	int fd = open(module, O_RDONLY | O_CLOEXEC), dev;

	/* Grace periods last as long as they do in one of ten; else most of the time would be theirs. */
	write_word("/sys/kernel/rcu_expedited", n_round % 10 ? "1" : "0");
	at[0] = a_now();
	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		fail(module, errno);
	close(fd);
	at[1] = a_now();
	if (n_round % 10 == 0) {
		dev = open("/dev/" KRX_DEVICE, O_RDWR | O_CLOEXEC);
		if (dev < 0 || !syscall(SYS_delete_module, "ktrxer", O_NONBLOCK))
			fail("it unloads while it is in use", 0);
		close(dev);
	}
	use_briefly(ifname);
	at[2] = a_now();
	if (syscall(SYS_delete_module, "ktrxer", O_NONBLOCK))
		fail("it does not unload", errno);
	at[3] = a_now();
	for (unsigned int i = 0; i < 3; i++)
		took[i] += at[i + 1] - at[i];
}

/* One of anything in each round is seen; caches, which do not grow with the rounds, are not. */
static bool holds_memory(const struct held *a, const struct held *b, unsigned int rounds)
{
	return b->areas || b->objects >= a->objects + rounds / 2;
}

static void compare(const struct held *a, const struct held *b, unsigned int rounds)
{
	printf("# before: %lu objects, %lu areas, per-CPU %lu KiB, used %lu KiB\n", a->objects, a->areas, a->percpu,
	       a->used);
	printf("# after:  %lu objects, %lu areas, per-CPU %lu KiB, used %lu KiB\n", b->objects, b->areas, b->percpu,
	       b->used);
	if (holds_memory(a, b, rounds))
		fail("memory of the module's is held", 0);
	/* Their owners are not known. Of less than this other owners take some now and then. */
	if (b->percpu >= a->percpu + 64 + rounds / 16)
		fail("per-CPU memory grew", 0);
	if (rounds >= 500 && b->used >= a->used + rounds * (A_PAGE / 1024))
		fail("less memory is free, by a page a round", 0);
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc == 5 ? (unsigned int)strtoul(argv[4], NULL, 10) : 0;
	struct held before = { 0 }, after;
	pthread_t traffic;
	uint64_t until;
	int fd[2];

	if (rounds <= WARM)
		fail("usage: loads NEAR FAR MODULE ROUNDS", 0);
	fd[0] = traffic_socket(argv[1]);
	fd[1] = traffic_socket(argv[2]);
	usleep(100000);
	if (pthread_create(&traffic, NULL, run_traffic, fd))
		fail("thread", 0);
	for (n_round = 0; n_round < rounds; n_round++) {
		one_round(argv[1], argv[3]);
		if (n_round == WARM - 1)
			before = get_held();
	}
	traffic_ends = true;
	pthread_join(traffic, NULL);
	/* RCU frees in batches, which wait seconds to become full. */
	until = a_now() + 60 * A_SECOND;
	do {
		after = get_held();
	} while (holds_memory(&before, &after, rounds - WARM) && a_now() < until);
	compare(&before, &after, rounds - WARM);
	if (frames < rounds)
		fail("too few frames passed", 0);
	printf("# rounds %u, %lu frames passed; ms a round: load %llu, use %llu, unload %llu\n", rounds, frames,
	       (unsigned long long)(took[0] / rounds / 1000000), (unsigned long long)(took[1] / rounds / 1000000),
	       (unsigned long long)(took[2] / rounds / 1000000));
	return 0;
}

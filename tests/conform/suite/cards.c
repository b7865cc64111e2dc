/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Two network cards in the place of the veth pair: KT_CARDS="eth0 eth1". Their wires lead to each other, directly or
 * through whatever passes Ethernet frames on in order (in the guests: another guest). They are moved into the
 * suite's namespaces when its first case begins, and back when it ends; removing the link takes a card from its driver.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "suite.h"

#define WAIT_S 20 /* for a link to come up; drivers take up to 5 s */
#define EXPERIMENTAL 0x88b6 /* IEEE 802, local experimental ethertype 2: frames that ask whether the wire passes any */

static struct card {
	char name[IF_NAMESIZE]; /* at home */
	char device[PATH_MAX]; /* in /sys */
	char driver[PATH_MAX];
} cards[2];
static int home = -1; /* the namespace that they come from */
static bool plugged;

bool suite_cards(void)
{
	return W.engine.real && getenv("KT_CARDS");
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void short_pause(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
}

static void go(int ns)
{
	if (setns(ns, CLONE_NEWNET))
		TEST_FAIL("setns: %s", strerror(errno));
}

/* --- /sys: it shows the cards of the namespace that it was mounted in, which is home --- */

static bool write_file(const char *dir, const char *file, const char *text)
{
	char path[PATH_MAX + 16];
	int fd, n = -1;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = (int)write(fd, text, strlen(text));
		close(fd);
	}
	return n == (int)strlen(text);
}

static const char *bus_name(const struct card *c)
{
	return strrchr(c->device, '/') + 1;
}

static bool is_bound(const struct card *c)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/driver", c->device);
	return !access(path, F_OK);
}

/* The card's name at home; false when it is not there. */
static bool home_name(const struct card *c, char name[IF_NAMESIZE])
{
	char path[PATH_MAX + 16];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "%s/net", c->device);
	d = opendir(path);
	while (d && !found && (e = readdir(d))) {
		found = e->d_name[0] != '.';
		snprintf(name, IF_NAMESIZE, "%.*s", IF_NAMESIZE - 1, e->d_name);
	}
	if (d)
		closedir(d);
	return found;
}

static void find(struct card *c)
{
	char path[PATH_MAX + 16];

	snprintf(path, sizeof(path), "/sys/class/net/%s/device", c->name);
	if (!realpath(path, c->device))
		TEST_FAIL("KT_CARDS: %s is no network card: %s", c->name, strerror(errno));
	snprintf(path, sizeof(path), "%s/driver", c->device);
	if (!realpath(path, c->driver))
		TEST_FAIL("KT_CARDS: %s has no driver: %s", c->name, strerror(errno));
}

void suite_cards_find(void)
{
	if (sscanf(getenv("KT_CARDS"), "%15s %15s", cards[0].name, cards[1].name) != 2)
		TEST_FAIL("KT_CARDS must name two cards: \"eth0 eth1\"");
	find(&cards[0]);
	find(&cards[1]);
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0)
		TEST_FAIL("/proc/self/ns/net: %s", strerror(errno));
}

/* --- Coming and going --- */

static void run_ip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void run_ip(const char *fmt, ...)
{
	char cmd[256] = "ip ";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd + 3, sizeof(cmd) - 3, fmt, ap);
	va_end(ap);
	if (system(cmd))
		TEST_FAIL("%s failed", cmd);
}

static void plug(const struct card *c, int ns, const char *name)
{
	go(home);
	run_ip("link set %s down", c->name);
	run_ip("link set %s name %s", c->name, name);
	run_ip("link set %s netns /proc/%d/fd/%d", name, getpid(), ns);
	go(W.ns_a);
}

void suite_cards_plug(void)
{
	if (!plugged) {
		plug(&cards[0], W.ns_a, "kta");
		plug(&cards[1], W.ns_b, "ktb");
		plugged = true;
	}
	if (if_nametoindex("ktd"))
		suite_ip('a', "link del ktd"); /* of a case that failed */
	suite_ip('a', "link set kta mtu 1500");
	suite_ip('b', "link set ktb mtu 1500");
}

/* Bound to its driver and at home, by its own name. A namespace that has just ended returns it by and by. */
static void unplug(const struct card *c)
{
	char name[IF_NAMESIZE];
	double until = seconds() + WAIT_S;

	if (!is_bound(c) && !write_file(c->driver, "bind", bus_name(c)))
		TEST_FAIL("%s does not come back to its driver: %s", c->name, strerror(errno));
	while (!home_name(c, name)) {
		if (seconds() > until)
			TEST_FAIL("%s does not come back from its namespace", c->name);
		short_pause();
	}
	if (strcmp(name, c->name)) {
		go(home);
		run_ip("link set %s down", name);
		run_ip("link set %s name %s", name, c->name);
		go(W.ns_a);
	}
}

void suite_cards_unplug(void)
{
	if (!plugged)
		return;
	plugged = false;
	if (if_nametoindex("kta"))
		run_ip("link set kta netns /proc/%d/fd/%d", getpid(), home);
	unplug(&cards[0]);
	unplug(&cards[1]);
}

bool suite_cards_cut(void)
{
	bool a = write_file(cards[0].driver, "unbind", bus_name(&cards[0]));

	return write_file(cards[1].driver, "unbind", bus_name(&cards[1])) && a;
}

/* --- Is the wire there? --- */

static int open_raw(int ns, const char *ifname, int protocol)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol) };
	int fd;

	go(ns);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	at.sll_ifindex = (int)if_nametoindex(ifname);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
		TEST_FAIL("no packet socket on %s: %s", ifname, strerror(errno));
	go(W.ns_a);
	return fd;
}

/* Number n was sent; has it come within the time? */
static bool came(int fd, uint64_t n, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t frame[128];

	while (poll(&p, 1, ms) > 0)
		if (recv(fd, frame, sizeof(frame), 0) >= 60 && kt_get_be64(frame + 14) == n)
			return true;
	return false;
}

void suite_cards_settle(void)
{
	static uint64_t n;
	uint8_t frame[60] = { 0 };
	double until = seconds() + WAIT_S;
	int from, to;
	bool through = false;

	to = open_raw(W.ns_b, "ktb", EXPERIMENTAL);
	from = open_raw(W.ns_a, "kta", 0);
	memset(frame, 0xff, 6);
	memset(frame + 6, 0x02, 6); /* locally administered; nobody's */
	kt_put_be16(frame + 12, EXPERIMENTAL);
	/* Once one has come, so has all before it, but not what was sent behind it meanwhile. */
	while (!through && seconds() < until) {
		kt_put_be64(frame + 14, ++n);
		through = send(from, frame, sizeof(frame), 0) == sizeof(frame) && came(to, n, 500);
		if (!through)
			short_pause();
	}
	close(from);
	close(to);
	if (!through)
		TEST_FAIL("nothing comes through from kta to ktb, %d s after the link was set up", WAIT_S);
}

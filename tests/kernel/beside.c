/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What goes on beside the host's own traffic, and the traffic that is looked at most closely. For beside.sh; not TAP.
 *
 *   beside answer PORT             a TCP server that gives each request back with every bit turned, until it is killed
 *   beside ask ADDRESS PORT S      asks it every 10 ms for S seconds, as a terminal does, checks every byte of the answers
 *   beside trains INTERFACE MAC S  trains of 100 as fast as the card takes them, for S seconds
 *   beside rules INTERFACE N       at least N of a receiver's rules go and come
 *
 * Each says in one line what it did. Exit status 1: something was not as it should be.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/packet.h"
#include "include/ktrxer.h"
#include "tests/test.h"

#define SECOND 1000000000ull
#define MAX_REQUEST 512

static _Noreturn void die(const char *what, const char *why)
{
	printf("# beside: %s: %s\n", what, why);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* --- Requests and answers: two bytes of length, then as many --- */

static bool read_all(int fd, uint8_t *buf, size_t n)
{
	ssize_t k;

	for (size_t got = 0; got < n; got += (size_t)k) {
		k = recv(fd, buf + got, n - got, 0);
		if (k <= 0)
			return false;
	}
	return true;
}

static _Noreturn void answer(const char *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	uint8_t buf[2 + MAX_REQUEST];

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1))
		die("answer", strerror(errno));
	for (;;) {
		int c = accept(fd, NULL, NULL);
		uint32_t n;

		setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		while (read_all(c, buf, 2) && (n = kt_get_be16(buf)) <= MAX_REQUEST && read_all(c, buf + 2, n)) {
			for (uint32_t i = 2; i < n + 2; i++)
				buf[i] ^= 0xff;
			if (send(c, buf, n + 2, MSG_NOSIGNAL) != (ssize_t)n + 2)
				break;
		}
		close(c);
	}
}

/* The next of a sequence that repeats late and looks like nothing. */
static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static uint64_t ask_one(int fd, uint32_t *state)
{
	uint8_t ask[2 + MAX_REQUEST], got[2 + MAX_REQUEST];
	uint32_t n = 1 + next_random(state) % MAX_REQUEST;
	uint64_t began = now_ns();

	kt_put_be16(ask, (uint16_t)n);
	for (uint32_t i = 2; i < n + 2; i++)
		ask[i] = (uint8_t)next_random(state);
	if (send(fd, ask, n + 2, MSG_NOSIGNAL) != (ssize_t)n + 2 || !read_all(fd, got, n + 2))
		die("ask", "the connection ended");
	if (kt_get_be16(got) != n)
		die("ask", "an answer of another length");
	for (uint32_t i = 2; i < n + 2; i++)
		if ((got[i] ^ ask[i]) != 0xff)
			die("ask", "a wrong byte");
	return now_ns() - began;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int ask(const char *address, const char *port, uint64_t seconds)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	uint64_t *rtt = calloc(seconds * 100 + 1, sizeof(*rtt)), end, next;
	uint32_t state = 2463534242u, n = 0;

	inet_pton(AF_INET, address, &at.sin_addr);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!rtt || connect(fd, (struct sockaddr *)&at, sizeof(at)))
		die("ask", strerror(errno));
	next = now_ns();
	for (end = next + seconds * SECOND; next < end && n <= seconds * 100; next += SECOND / 100) {
		uint64_t now = now_ns();

		if (now < next)
			nanosleep(&(struct timespec){ .tv_nsec = (long)(next - now) }, NULL);
		else
			next = now; /* the answer was late; who types waits for it, too */
		rtt[n++] = ask_one(fd, &state);
	}
	close(fd);
	if (!n)
		die("ask", "nothing was asked");
	qsort(rtt, n, sizeof(*rtt), by_value);
	printf("asked %u, every byte right; round trip p50 %llu, p99 %llu, max %llu us\n", n,
	       (unsigned long long)rtt[n / 2] / 1000, (unsigned long long)rtt[n * 99ull / 100] / 1000,
	       (unsigned long long)rtt[n - 1] / 1000);
	free(rtt);
	return 0;
}

/* --- What may disturb them --- */

static struct ktrxer *open_port(const char *ifname)
{
	KTRXER_OPTS(ktrxer_opts, o);
	struct ktrxer_err err = { 0 };
	struct ktrxer *port;

	o.engine = "kmod";
	if (ktrxer_open(&port, ifname, &o, &err))
		die(ifname, err.text);
	return port;
}

/* Takes what is done; how many of them were sent. */
static unsigned int take(struct ktx *tx, unsigned int *open)
{
	struct ktx_done d[256];
	unsigned int sent = 0;
	int n = ktx_complete(tx, d, 256);

	for (int i = 0; i < n; i++)
		sent += d[i].status == KTX_SENT;
	*open -= (unsigned int)n;
	return sent;
}

static int trains(const char *ifname, const char *mac, uint64_t seconds)
{
	enum { N = 100, TRAINS = 8 };
	static uint8_t frame[N][64];
	struct ktx_probe p[N];
	struct ktrxer *port = open_port(ifname);
	struct ktrxer_info info;
	struct ktx *tx;
	uint64_t end = now_ns() + seconds * SECOND, sent = 0, began = now_ns();
	unsigned int open = 0;

	ktrxer_get_info(port, &info);
	for (uint32_t i = 0; i < N; i++) {
		for (uint32_t b = 0; b < 6; b++)
			frame[i][b] = (uint8_t)strtoul(mac + 3 * b, NULL, 16);
		memcpy(frame[i] + 6, info.mac, 6);
		kt_put_be16(frame[i] + 12, 0x88b5); /* IEEE 802, local experimental: no stack takes it */
		p[i] = (struct ktx_probe){
			.frame = frame[i], .len = 60, .flags = i < N - 1 ? KTX_TRAIN : 0u, .max_attempts = 100000
		};
	}
	if (ktx_open(&tx, port, NULL, NULL))
		die(ifname, "no sender");
	while (now_ns() < end || open) {
		while (now_ns() < end && open + N <= N * TRAINS && ktx_submit(tx, p, N) == N)
			open += N;
		if (ktx_wait(tx, 10 * SECOND) <= 0)
			die("trains", "a completion is missing");
		sent += take(tx, &open);
	}
	ktx_close(tx);
	ktrxer_close(port);
	printf("sent %llu in trains, %llu a second\n", (unsigned long long)sent,
	       (unsigned long long)(sent * SECOND / (now_ns() - began)));
	return sent == 0;
}

/* Of 100 rules half are exchanged at a time, for n changes: rules that go and rules that come. None is of a packet that comes. */
static int rules(const char *ifname, unsigned int n)
{
	enum { N = 100 };
	struct ktrxer *port = open_port(ifname);
	static struct krx_rule r[N];
	uint64_t began = now_ns();
	unsigned int changes = 0;
	struct krx *rx;

	if (krx_open(&rx, port, NULL, NULL))
		die(ifname, "no receiver");
	for (uint32_t turn = 0; changes < n; turn++) {
		for (uint32_t i = turn % 2; i < N; i += 2) {
			uint16_t dport = (uint16_t)(40000 + (turn * N + i) % 20000);

			r[i] = (struct krx_rule){ .id = turn * N + i + 1,
						  .version = 4,
						  .proto = KT_PROTO_TCP,
						  .op = KRX_DROP,
						  .dport_lo = dport,
						  .dport_hi = dport };
			if (!turn)
				r[i + 1] = r[i];
			if (!turn)
				r[i + 1].id++;
		}
		if (krx_rules_replace(rx, r, N))
			die("rules", krx_why(rx));
		changes += turn ? N : 0;
	}
	krx_close(rx);
	ktrxer_close(port);
	printf("changed %u rules, %llu a second\n", changes,
	       (unsigned long long)(changes * SECOND / (now_ns() - began)));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "answer"))
		answer(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "ask"))
		return ask(argv[2], argv[3], strtoul(argv[4], NULL, 10));
	if (argc == 5 && !strcmp(argv[1], "trains"))
		return trains(argv[2], argv[3], strtoul(argv[4], NULL, 10));
	if (argc == 4 && !strcmp(argv[1], "rules"))
		return rules(argv[2], (unsigned int)strtoul(argv[3], NULL, 10));
	return 2;
}

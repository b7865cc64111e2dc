/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What does one packet of a train cost? Trains of N frames of BYTES out of an
 * interface, by the ways that a program has: sockets, and the engines of the
 * library. One JSON line a way, medians over ROUNDS trains.
 *
 *   train IFNAME BYTES N ROUNDS WAY...
 *   WAY: udp, raw, packet, bypass (AF_PACKET past the queueing discipline), engine:NAME, flood:COUNT:NAME, template:COUNT,
 *        or template-done:COUNT
 *
 * all_ns: from before the first call to after the last one, each frame made in between. train_ns (engines):
 * frames were submitted before; from the first launch to the return of the last driver call, as the wire sees it.
 * flood: not trains, but COUNT frames by ktx_flood, a completion each. template: COUNT probes to one target, made
 * and counted by the module. template-done: so, and a completion for each, which are all read: each once, in order.
 * The interface has an IPv4 address, and 10.9.0.2 is reached through it. Frames carry a mark, for bench/witness.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/mark.h"
#include "core/packet.h"
#include "core/ring.h"
#include "include/ktrxer.h"
#include "include/uapi/ktrxer.h"

#define MAX_TRAIN 4096
#define MAX_ROUNDS 1000
#define TARGET "10.9.0.2"
#define FLOOD_RING 16384 /* completions between two calls */
#define MS 1000000ull

static const char *ifname;
static unsigned int bytes, n_train, rounds;
static unsigned char frame[9100];
static uint64_t all[MAX_ROUNDS], train[MAX_ROUNDS];
static uint64_t failed;
static uint32_t way_number, seq; /* in the marks */

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void make_frame(void)
{
	static unsigned char payload[9100];
	struct kt_packet_spec s = { .src_mac = { 2, 0, 0, 0, 0, 1 }, .dst_mac = { 2, 0, 0, 0, 0, 2 } };
	int n;

	s.flow.version = 4;
	s.flow.proto = KT_PROTO_UDP;
	s.flow.src[0] = s.flow.dst[0] = 10;
	s.flow.src[1] = s.flow.dst[1] = 9;
	s.flow.src[3] = 1;
	s.flow.dst[3] = 2;
	s.flow.sport = 1000;
	s.flow.dport = 9;
	s.payload = payload;
	s.payload_bytes = bytes - 42;
	n = kt_packet_build(&s, frame, sizeof(frame));
	if (n != (int)bytes) {
		fprintf(stderr, "train: frames have 60 to 9000 bytes\n");
		exit(2);
	}
}

static int must(int value, const char *what)
{
	if (value >= 0)
		return value;
	fprintf(stderr, "train: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- sockets --- */

struct way {
	const char *name;
	int fd;
	const void *data;
	size_t len;
	struct sockaddr_storage to;
	socklen_t to_len;
};

static void open_inet(struct way *w, int type, int proto)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)&w->to;
	const int one = 1;

	w->fd = must(socket(AF_INET, type, proto), "socket");
	must(setsockopt(w->fd, SOL_SOCKET, SO_BINDTODEVICE, ifname, (socklen_t)strlen(ifname)), "SO_BINDTODEVICE");
	sin->sin_family = AF_INET;
	sin->sin_port = htons(type == SOCK_DGRAM ? 9 : 0);
	inet_pton(AF_INET, TARGET, &sin->sin_addr);
	w->to_len = sizeof(*sin);
	if (type == SOCK_RAW)
		must(setsockopt(w->fd, IPPROTO_IP, IP_HDRINCL, &one, sizeof(one)), "IP_HDRINCL");
	w->data = frame + (type == SOCK_DGRAM ? 42 : 14);
	w->len = bytes - (type == SOCK_DGRAM ? 42 : 14);
}

static void open_packet(struct way *w, int bypass)
{
	struct sockaddr_ll *ll = (struct sockaddr_ll *)&w->to;

	w->fd = must(socket(AF_PACKET, SOCK_RAW, 0), "socket");
	if (bypass)
		must(setsockopt(w->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &bypass, sizeof(bypass)), "QDISC_BYPASS");
	ll->sll_family = AF_PACKET;
	ll->sll_ifindex = (int)if_nametoindex(ifname);
	ll->sll_protocol = htons(ETH_P_IP);
	ll->sll_halen = 6;
	memcpy(ll->sll_addr, frame, 6);
	w->to_len = sizeof(*ll);
	w->data = frame;
	w->len = bytes;
}

static void run_socket(struct way *w)
{
	int big = 4 << 20;

	setsockopt(w->fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big));
	for (unsigned int r = 0; r < rounds; r++) {
		uint64_t start = now();

		for (unsigned int i = 0; i < n_train; i++) {
			bench_mark(frame, way_number, seq++); /* each is another one, as everywhere here */
			failed += sendto(w->fd, w->data, w->len, 0, (struct sockaddr *)&w->to, w->to_len) < 0;
		}
		all[r] = now() - start;
		usleep(2000); /* the device gets done with it */
	}
	close(w->fd);
}

/* --- engines --- */

static struct ktx *open_engine(const char *name, struct ktrxer **port)
{
	KTRXER_OPTS(ktrxer_opts, po);
	KTRXER_OPTS(ktx_opts, o);
	struct ktrxer_err err = { 0 };
	struct ktx *tx;

	po.engine = name;
	o.max_pending = n_train;
	if (ktrxer_open(port, ifname, &po, &err) || ktx_open(&tx, *port, &o, &err)) {
		fprintf(stderr, "train: %s: %s\n", name, err.text);
		exit(1);
	}
	return tx;
}

static uint64_t collect(struct ktx *tx, uint64_t until)
{
	static struct ktx_done d[MAX_TRAIN];
	uint64_t first = 0, last = 0;
	unsigned int got = 0;

	while (got < n_train) {
		ktx_run(tx, until);
		got += (unsigned int)ktx_complete(tx, d + got, n_train - got);
	}
	for (unsigned int i = 0; i < n_train; i++) {
		failed += d[i].status != KTX_SENT;
		if (!i || d[i].launch_ns < first)
			first = d[i].launch_ns;
		if (d[i].returned_ns > last)
			last = d[i].returned_ns;
	}
	return last - first;
}

static void run_engine(const char *name)
{
	static struct ktx_probe p[MAX_TRAIN];
	unsigned char *frames = malloc((size_t)n_train * bytes);
	struct ktrxer *port;
	struct ktx *tx = open_engine(name, &port);

	if (!frames)
		exit(1);
	for (unsigned int i = 0; i < n_train; i++)
		memcpy(frames + (size_t)i * bytes, frame, bytes);
	for (unsigned int r = 0; r < rounds; r++) {
		uint64_t start = now(), at = ktrxer_now(port) + 20 * MS, submitted;

		for (unsigned int i = 0; i < n_train; i++) {
			p[i] = (struct ktx_probe){
				.frame = frames + (size_t)i * bytes, .len = bytes, .id = i, .launch_ns = at
			};
			p[i].flags = i + 1 < n_train ? KTX_TRAIN : 0;
			bench_mark(frames + (size_t)i * bytes, way_number, seq++);
		}
		if (ktx_submit(tx, p, n_train) != (int)n_train)
			exit(1);
		submitted = now() - start;
		train[r] = collect(tx, at + 1000 * MS);
		all[r] = submitted + train[r];
	}
	free(frames);
	ktx_close(tx);
	ktrxer_close(port);
}

static uint32_t fill(void *ctx, uint64_t i, uint8_t *buf)
{
	(void)ctx;
	memcpy(buf, frame, bytes);
	bench_mark(buf, way_number, (uint32_t)i);
	return bytes;
}

static void count(void *ctx, uint64_t first, uint64_t n, enum ktx_status status, int reason, uint64_t launch_ns,
		  uint64_t returned_ns)
{
	uint64_t *sent = ctx;

	*sent += status == KTX_SENT ? n : 0;
}

static void run_flood(const char *name)
{
	KTRXER_OPTS(ktx_flood_opts, o);
	uint64_t sent = 0, start;
	struct ktrxer *port;
	struct ktx *tx;
	char *end;

	o.count = strtoull(name, &end, 10);
	if (*end != ':' || !o.count)
		exit(2);
	tx = open_engine(end + 1, &port);
	o.max_frame = bytes;
	o.fill = fill;
	o.done = count;
	o.ctx = &sent;
	start = now();
	if (ktx_flood(tx, &o)) {
		fprintf(stderr, "train: %s: %s\n", name, ktx_why(tx));
		exit(1);
	}
	start = now() - start;
	failed = o.count - sent;
	for (unsigned int r = 0; r < rounds; r++)
		all[r] = start * n_train / o.count;
	ktx_close(tx);
	ktrxer_close(port);
}

/* A flood by the module's template, and where its completions come if it has any. */
struct template_flood {
	int fd;
	uint64_t n;
	struct ktx_setup s;
	unsigned char *map;
	uint64_t read;
};

static void open_template(struct template_flood *t, bool done)
{
	t->fd = must(open("/dev/" KTX_DEVICE, O_RDWR | O_CLOEXEC), "/dev/" KTX_DEVICE);
	t->s = (struct ktx_setup){ .size = sizeof(t->s), .abi = KTRXER_ABI, .n_slots = 1, .slot_bytes = 2048 };
	t->s.ifindex = if_nametoindex(ifname);
	t->s.n_desc = done ? FLOOD_RING : 1;
	must(ioctl(t->fd, KTX_IOC_SETUP, &t->s), "KTX_IOC_SETUP");
	t->map = mmap(NULL, t->s.map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	must(t->map == MAP_FAILED ? -1 : 0, "mmap");
}

/* What completions there are: of each probe once, in order. */
static void read_done(struct template_flood *t)
{
	const struct ktx_done_abi *ring = (const void *)(t->map + t->s.done_off);
	struct ktx_shared *shared = (void *)t->map;
	uint32_t end = kt_load_acquire(&shared->done), mask = t->s.n_desc - 1, len = bytes;
	uint64_t at = t->read, not_sent = 0;

	for (; (uint32_t)at != end; at++) {
		const struct ktx_done_abi *d = &ring[at & mask];

		if (d->id != at || d->slot != KTX_NO_SLOT || d->len != len || d->returned_ns < d->launch_ns) {
			fprintf(stderr, "train: wrong completion where that of probe %llu should be\n",
				(unsigned long long)at);
			exit(1);
		}
		not_sent += d->status != KTX_DONE_SENT;
	}
	t->read = at;
	failed += not_sent;
	kt_store_release(&shared->done_read, end);
}

static void flood_template(struct template_flood *t, struct ktx_flood_abi *a)
{
	while (ioctl(t->fd, KTX_IOC_FLOOD, a)) {
		must(errno == EAGAIN && a->flags ? 0 : -1, "KTX_IOC_FLOOD");
		read_done(t);
	}
	if (!a->flags) {
		failed = t->n - a->sent;
		return;
	}
	read_done(t);
	if (t->read == t->n && failed == t->n - a->sent)
		return;
	fprintf(stderr, "train: %llu completions of %llu probes\n", (unsigned long long)t->read,
		(unsigned long long)t->n);
	exit(1);
}

static void run_template(uint64_t n, bool done)
{
	struct ktx_flood_abi a = { .size = sizeof(a), .pattern = (uintptr_t)frame, .pattern_len = bytes };
	struct template_flood t = { .n = n };
	uint64_t start;

	open_template(&t, done);
	a.flags = done ? KTX_FLOOD_DONE : 0;
	a.kind = KTRXER_PROBE_UDP;
	a.payload_bytes = bytes - 42;
	a.sport_lo = 1000;
	a.sport_hi = 1999;
	a.dport = done ? BENCH_TEMPLATE_DONE_PORT : BENCH_TEMPLATE_PORT;
	memcpy(a.first_target, frame + 30, 4);
	a.n_targets = 1;
	a.count = n;
	start = now();
	flood_template(&t, &a);
	start = now() - start;
	for (unsigned int r = 0; r < rounds; r++)
		all[r] = start * n_train / n;
	munmap(t.map, t.s.map_bytes);
	close(t.fd);
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static unsigned long long median(uint64_t *v)
{
	qsort(v, rounds, sizeof(*v), ascending);
	return v[rounds / 2] / n_train;
}

static void run(const char *way)
{
	bool engine = !strncmp(way, "engine:", 7), flood = !strncmp(way, "flood:", 6);
	bool template = !strncmp(way, "template:", 9), done = !strncmp(way, "template-done:", 14);
	struct way w = { .name = way, .fd = -1 };
	uint32_t mark = way_number;

	failed = seq = 0;
	if (engine)
		run_engine(way + 7);
	else if (flood)
		run_flood(way + 6);
	else if (template || done)
		run_template(strtoull(strchr(way, ':') + 1, NULL, 10), done);
	else if (!strcmp(way, "udp"))
		open_inet(&w, SOCK_DGRAM, 0);
	else if (!strcmp(way, "raw"))
		open_inet(&w, SOCK_RAW, IPPROTO_RAW);
	else if (!strcmp(way, "packet") || !strcmp(way, "bypass"))
		open_packet(&w, way[0] == 'b');
	else
		exit(2);
	if (w.fd >= 0)
		run_socket(&w);
	if (template || done)
		mark = (done ? BENCH_TEMPLATE_DONE_WAY : BENCH_TEMPLATE_WAY) + bytes;
	printf("{\"bench\":\"train\",\"if\":\"%s\",\"way\":\"%s\",\"mark\":%u,\"bytes\":%u,\"train\":%u,\"rounds\":%u,"
	       "\"all_ns\":%llu",
	       ifname, way, mark, bytes, n_train, rounds, median(all));
	if (engine)
		printf(",\"train_ns\":%llu", median(train));
	printf(",\"failed\":%llu}\n", (unsigned long long)failed);
	fflush(stdout);
	way_number++;
}

int main(int argc, char **argv)
{
	if (argc < 6) {
		fprintf(stderr,
			"usage: train IFNAME BYTES N ROUNDS "
			"udp|raw|packet|bypass|engine:NAME|flood:COUNT:NAME|template:COUNT|template-done:COUNT...\n");
		return 2;
	}
	ifname = argv[1];
	bytes = (unsigned int)strtoul(argv[2], NULL, 10);
	n_train = (unsigned int)strtoul(argv[3], NULL, 10);
	rounds = (unsigned int)strtoul(argv[4], NULL, 10);
	if (bytes < 60 || bytes > 9000 || !n_train || n_train > MAX_TRAIN || !rounds || rounds > MAX_ROUNDS) {
		fprintf(stderr, "train: 60 to 9000 bytes, 1 to %d frames, 1 to %d rounds\n", MAX_TRAIN, MAX_ROUNDS);
		return 2;
	}
	make_frame();
	way_number = bytes << 8; /* another one for each way and length */
	for (int i = 5; i < argc; i++)
		run(argv[i]);
	return 0;
}

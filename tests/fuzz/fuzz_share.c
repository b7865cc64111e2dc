/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Fuzzes what two processes say to each other about a shared receiver. The
 * first byte picks the side. The owner's side: requests of several clients,
 * between frames and cursors that a guest sets at will. The client's side: what
 * is at the other end of its socket answers, and shares, whatever the input says.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../lib/desk.h"
#include "../../lib/mem.h"
#include "input.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* Says the line itself: traps are merged. */
#define PROMISE(cond) \
	do { \
		if (!(cond)) { \
			dprintf(STDERR_FILENO, "line %d: %s\n", __LINE__, #cond); \
			__builtin_trap(); \
		} \
	} while (0)

#define END "fuzz/0"
#define FAR_END "fuzz/1"
#define N_CLIENTS 4
#define MAX_STEPS 64
#define MAX_FILE (1u << 17)
#define MAX_ERRNO 4095

/* Bytes of the input over what is there already, as long as there are any. */
static void fill(void *buf, size_t bytes)
{
	size_t left = (size_t)(input_end - input), n = bytes < left ? bytes : left;

	memcpy(buf, input, n);
	input += n;
}

/* A number as it would be, or any. */
static u32 number(u32 expected)
{
	u32 how = byte();

	return how < 128 ? expected : how < 192 ? how & 63 : word();
}

/* A socket as that which wakes a listener, with something to read, and nobody at the other end. */
static int called_socket(size_t bytes)
{
	static const char calls[MAX_FILE];
	int ends[2];

	PROMISE(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	PROMISE(!bytes || send(ends[1], calls, bytes, MSG_DONTWAIT) >= 0);
	close(ends[1]);
	return ends[0];
}

/* A descriptor of some kind, -1: none. Its file begins with bytes of the input, as does what lies behind a ring's page. */
static int descriptor(size_t usual_bytes)
{
	static u8 content[MAX_FILE];
	u32 how = byte(), kind = how & 7, seed = how >> 3;
	size_t bytes = number((u32)usual_bytes) % (MAX_FILE + 1);
	int fd;

	if (kind == 6 && seed & 1)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (kind == 6)
		return called_socket(bytes);
	if (kind == 7)
		return -1;
	fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	PROMISE(fd >= 0);
	memset(content, (int)seed, bytes);
	fill(content, bytes < 512 ? bytes : usual_bytes > 4096 ? 64 : 512);
	if (bytes > 4096 + 448)
		fill(content + 4096, 448);
	PROMISE(!bytes || write(fd, content, bytes) == (ssize_t)bytes);
	if (kind < 5)
		PROMISE(!fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
	return fd;
}

/* --- The owner's side ---------------------------------------------------------- */

static struct ktrxer *port;
static struct kt_desk desk;

static void send_frames(struct krx *rx, u32 n)
{
	static u8 frame[256];

	for (u32 i = 0; i < n; i++) {
		fill(frame, 60);
		kt_mem_host_send(FAR_END, frame, 60 + (u32)frame[59] % (sizeof(frame) - 60));
	}
	krx_pump(rx);
}

static void scribble(struct krx *rx)
{
	u8 *cursors = (u8 *)rx->mem.cursors;
	u32 at = word() % (u32)rx->mem.cursor_bytes, n = byte();

	for (; n && at < rx->mem.cursor_bytes; n--)
		cursors[at++] = (u8)byte();
}

static void check_answer(const struct kt_answer *a, bool understood)
{
	PROMISE(a->r.ret <= 0 && a->r.ret >= -MAX_ERRNO);
	PROMISE(memchr(a->r.text, 0, sizeof(a->r.text)));
	PROMISE(!a->r.ret == !a->r.text[0]);
	PROMISE(understood || a->r.ret == -EPROTO);
	PROMISE(a->n_fds <= KT_SHARE_MAX_FDS && (!a->r.ret || !a->n_fds));
	for (u32 i = 0; i < KT_SHARE_MAX_FDS; i++)
		PROMISE(i < a->n_fds ? fcntl(a->fds[i], F_GETFD) >= 0 : true);
}

static void request(int client)
{
	struct kt_share_request *q = malloc(sizeof(*q)); /* on the heap, so that reading behind it shows */
	int fds[KT_SHARE_MAX_FDS] = { -1, -1, -1 };
	size_t bytes = sizeof(*q);
	struct kt_answer a;
	u32 how = byte();
	bool understood;

	PROMISE(q);
	memset(q, 0, sizeof(*q));
	q->magic = KT_SHARE_MAGIC;
	q->rule_bytes = sizeof(q->rule);
	memcpy(q->version, KTRXER_VERSION, sizeof(KTRXER_VERSION));
	q->op = how & 15;
	q->arg = number(q->op == KT_SHARE_REPLACE ? 3 : byte());
	if (q->op == KT_SHARE_ADD)
		fill(&q->rule, sizeof(q->rule));
	if (q->op == KT_SHARE_REPLACE || how & 0x80)
		fds[0] = descriptor((size_t)3 * sizeof(q->rule));
	if ((how & 0x70) == 0x70) {
		fill(q, sizeof(*q));
		bytes = 1 + word() % (sizeof(*q) + 1);
	}
	understood = kt_desk_answer(&desk, client, q, bytes, fds, &a);
	check_answer(&a, understood);
	if (a.own_fd >= 0)
		close(a.own_fd);
	if (fds[0] >= 0)
		close(fds[0]);
	free(q);
	if (!understood)
		kt_desk_forget(&desk, client);
}

static void owner(void)
{
	KTRXER_OPTS(krx_opts, o);
	struct krx_stats s;
	struct krx *rx;

	o.ring_bytes = 4096;
	PROMISE(!krx_open(&rx, port, &o, NULL));
	PROMISE(!kt_desk_open(&desk, rx));
	kt_mem_set_rx_room(END, 16);
	for (int step = 0; step < MAX_STEPS && input < input_end; step++) {
		u32 what = byte();

		switch (what & 7) {
		case 5:
			send_frames(rx, what >> 3);
			break;
		case 6:
			scribble(rx);
			break;
		case 7:
			kt_desk_forget(&desk, (int)(what >> 3) % N_CLIENTS);
			break;
		default:
			request((int)(what >> 3) % N_CLIENTS);
		}
		kt_desk_wake(&desk);
	}
	for (int client = 0; client < N_CLIENTS; client++)
		kt_desk_forget(&desk, client);
	PROMISE(!rx->ring.n_used);
	krx_get_stats(rx, &s);
	PROMISE(s.seen == s.delivered + s.dropped + s.passed + s.lost_ring + s.lost_engine + s.lost_error);
	kt_desk_close(&desk);
	krx_close(rx);
}

/* --- The client's side ----------------------------------------------------------- */

/* What an owner would send, but for what the input changes. */
static void queue_answer(int sock)
{
	struct kt_share_reply r = { 0 };
	int fds[KT_SHARE_MAX_FDS];
	unsigned int n_fds = 0;
	u32 how = byte();

	if (how & 1)
		r.ret = (s32)number(0);
	r.n = number(0);
	r.n_units = number(how & 2 ? 256 : 3);
	if (how & 4)
		fill(r.text, sizeof(r.text));
	for (u32 i = 0; i < (how >> 3 & 3); i++) {
		fds[n_fds] = descriptor(i ? 4096 : 4096 + 256 * 16);
		n_fds += fds[n_fds] >= 0;
	}
	kt_share_send(sock, &r, how & 0x40 ? word() % (sizeof(r) + 1) : sizeof(r), fds, n_fds);
	while (n_fds)
		close(fds[--n_fds]);
}

static void listen_there(struct krx *rx)
{
	KTRXER_OPTS(krx_listen_opts, o);
	struct krx_listener_stats s;
	struct krx_listener *l;
	struct ktrxer_err err = { 0 };
	struct krx_packet p;
	volatile u8 last;

	o.lossless = byte() & 1;
	if (krx_listen(&l, rx, &o, &err)) {
		PROMISE(err.text[0] && err.code);
		return;
	}
	for (int i = 0; i < 20; i++) {
		int ret = krx_next(l, &p, 0);

		if (ret <= 0)
			break;
		for (u32 at = 0; at < p.caplen; at++)
			last = p.data[at]; /* all of it can be read */
	}
	krx_listener_get_stats(l, &s);
	krx_unlisten(l);
	(void)last;
}

static void ask_there(struct krx *rx)
{
	struct krx_rule *rules = calloc(8, sizeof(*rules));
	struct krx_rule_stats *stats = calloc(8, sizeof(*stats));
	u32 max = byte() % 9, id;
	struct krx_stats s;
	int ret = 0;

	PROMISE(rules && stats);
	switch (byte() % 5) {
	case 0:
		ret = krx_rules_list(rx, rules, stats, max);
		break;
	case 1:
		ret = krx_rules_replace(rx, rules, max);
		break;
	case 2:
		ret = krx_rule_add(rx, rules, &id);
		break;
	case 3:
		ret = krx_rule_delete(rx, max);
		break;
	case 4:
		ret = krx_get_stats(rx, &s);
	}
	PROMISE(ret >= 0 || (ret >= -MAX_ERRNO && krx_why(rx)[0]));
	free(rules);
	free(stats);
}

static void client(void)
{
	struct ktrxer_err err = { 0 };
	struct krx *rx;
	int ends[2];

	PROMISE(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
	for (u32 n = byte() % 6; n; n--)
		queue_answer(ends[1]);
	shutdown(ends[1], SHUT_WR); /* after those it is gone */
	if (kt_remote_open(&rx, ends[0], &err)) {
		PROMISE(err.text[0] && err.code && !rx);
	} else {
		for (int step = 0; step < 4; step++) {
			if (byte() & 1)
				listen_there(rx);
			else
				ask_there(rx);
		}
		krx_close(rx);
	}
	close(ends[1]);
}

/* The lowest free descriptor tells whether any was left open. */
static int lowest_free(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	PROMISE(fd >= 0 && !close(fd));
	return fd;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	int lowest;

	if (!port)
		PROMISE(!ktrxer_open(&port, END, NULL, NULL));
	lowest = lowest_free();
	input = data;
	input_end = data + size;
	if (byte() & 1)
		client();
	else
		owner();
	PROMISE(lowest_free() == lowest);
	return 0;
}

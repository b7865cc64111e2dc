/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the fuzzer of the contract runs: programs of operations on four descriptors, two of each device, of which the
 * first of each is set up before. An operation begins from what would be right and changes some numbers of that. As text,
 * a line each:
 *
 *   NAME FD [AT=VALUE]...      AT and VALUE in hex; what they mean is said at enum what
 */
#ifndef KT_TEST_FUZZ_PROGRAM_H
#define KT_TEST_FUZZ_PROGRAM_H

#include <linux/if_packet.h>
#include <net/ethernet.h>

#include "abuse_calls.h"

#define N_FDS 4
#define MAX_CHANGES 5
#define MAX_OPS 63
#define N_RULES 64
#define N_DESC 16

/* Below: a call of calls[], whose argument has VALUE at byte AT; of eight bytes if AT has WIDE. */
enum what {
	W_DESC = N_CALLS, /* the next descriptor of the sender, changed as an argument is; `submit` moves on */
	W_SCRIBBLE, /* VALUE at byte AT of what is mapped, as long as there are so many bytes */
	W_CURSORS, /* the same of a receiver's cursors */
	W_RULE, /* VALUE at byte AT of the rules that RULES gives */
	W_PATTERN, /* VALUE at byte AT of the frame that FLOOD gives */
	W_FRAME, /* a frame for the receiver comes, with VALUE at byte AT */
	W_MAP, /* AT pages are mapped at offset VALUE, used, and unmapped again */
	W_REOPEN, /* closed, and opened again; set up, if there is a VALUE */
	W_POLL,
	W_NAP, /* AT us */
	W_LINK, /* down, and up again */
	N_WHAT,
};
#define WIDE 0x80000000u

static const char *const other_names[] = { "DESC", "SCRIBBLE", "CURSORS", "RULE", "PATTERN", "FRAME",
					   "MAP",  "REOPEN",   "POLL",	  "NAP",  "LINK" };

struct op {
	uint16_t what;
	uint8_t fd;
	uint8_t n;
	uint32_t at[MAX_CHANGES];
	uint64_t value[MAX_CHANGES];
};

/* A page, so that it can be written to a disk at once. */
struct program {
	uint32_t magic;
	uint32_t n;
	struct op op[MAX_OPS];
	uint8_t rest[A_PAGE - 8 - MAX_OPS * sizeof(struct op)];
};
#define MAGIC 0x6b746678u
_Static_assert(sizeof(struct program) == A_PAGE, "a page");

/* The devices as a program has them. */
static struct machine {
	int fd[N_FDS];
	uint8_t *map[N_FDS];
	uint8_t *cursors[N_FDS];
	uint64_t map_bytes[N_FDS];
	struct ktx_setup s[N_FDS];
	uint32_t submit[N_FDS];
	struct krx_rule_abi rule[N_RULES];
	uint8_t pattern[128];
	int wire; /* sends what arrives at NEAR */
	int near; /* a socket of NEAR's namespace */
} m = { .fd = { -1, -1, -1, -1 }, .wire = -1, .near = -1 };

static bool is_rx(unsigned int fd)
{
	return fd >= N_FDS / 2;
}

static void change(void *memory, uint32_t bytes, const struct op *o)
{
	for (unsigned int i = 0; i < o->n; i++) {
		uint32_t width = o->at[i] & WIDE ? 8 : 4;

		if (bytes >= width)
			memcpy((uint8_t *)memory + (o->at[i] & ~WIDE) % (bytes - width + 1), &o->value[i], width);
	}
}

/* Less than there is memory: limits of ours are other tests' matter. */
static void limit(const struct call *c, union argument *a)
{
	if (c->cmd == KTX_IOC_SETUP && (uint64_t)a->tx.n_desc * a->tx.slot_bytes > 1u << 20)
		a->tx.n_desc = 1;
	if (c->cmd == KRX_IOC_SETUP && a->rx.n_units > 1u << 12)
		a->rx.n_units = 256;
	if (c->cmd == KRX_IOC_RULES && a->rules.n > N_RULES)
		a->rules.n %= N_RULES + 1;
}

static void unmap(unsigned int fd)
{
	if (m.map[fd])
		munmap(m.map[fd], m.map_bytes[fd]);
	if (m.cursors[fd])
		munmap(m.cursors[fd], A_PAGE);
	m.map[fd] = m.cursors[fd] = NULL;
	m.map_bytes[fd] = 0;
}

/* What SETUP answered is mapped; nothing if it refused. */
static void map_all(unsigned int fd, const union argument *a)
{
	uint64_t bytes = is_rx(fd) ? A_PAGE + (uint64_t)a->rx.n_units * 64 : a->tx.map_bytes;
	int prot = is_rx(fd) ? PROT_READ : PROT_READ | PROT_WRITE;

	unmap(fd);
	m.s[fd] = a->tx;
	m.map[fd] = mmap(NULL, bytes, prot, MAP_SHARED, m.fd[fd], 0);
	if (m.map[fd] == MAP_FAILED)
		m.map[fd] = NULL;
	else
		m.map_bytes[fd] = bytes;
	if (is_rx(fd))
		m.cursors[fd] =
			mmap(NULL, A_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd[fd], (off_t)KRX_MAP_CURSORS);
	if (m.cursors[fd] == MAP_FAILED)
		m.cursors[fd] = NULL;
}

static void run_call(const struct op *o)
{
	const struct call *c = &calls[o->what];
	static union argument a;

	right(c, &a);
	if (c->cmd == KRX_IOC_RULES)
		a.rules.rules = (uintptr_t)m.rule;
	if (c->cmd == KTX_IOC_FLOOD)
		a.flood.pattern = (uintptr_t)m.pattern;
	change(&a, c->bytes, o);
	limit(c, &a);
	tame(c, &a);
	if (!a_call(m.fd[o->fd], c->cmd, &a) && is_setup(c))
		map_all(o->fd, &a);
}

static void reopen(unsigned int fd, bool set_up_too)
{
	struct op setup = { .fd = (uint8_t)fd };

	unmap(fd);
	if (m.fd[fd] >= 0)
		close(m.fd[fd]);
	m.fd[fd] = a_open(is_rx(fd));
	m.submit[fd] = 0;
	if (!set_up_too)
		return;
	setup.what = (uint16_t)(setup_of(is_rx(fd)) - calls);
	run_call(&setup);
}

static void put_desc(const struct op *o)
{
	unsigned int fd = o->fd;
	uint32_t n_desc = m.s[fd].n_desc, at = m.s[fd].desc_off;
	struct ktx_desc d = { .slot = m.submit[fd] % N_DESC, .len = 60 };

	if (is_rx(fd) || !m.map[fd] || !n_desc)
		return;
	change(&d, sizeof(d), o);
	memcpy(m.map[fd] + at + (size_t)(m.submit[fd]++ & (n_desc - 1)) * sizeof(d), &d, sizeof(d));
	__atomic_store_n(&((struct ktx_shared *)m.map[fd])->submit, m.submit[fd], __ATOMIC_RELEASE);
}

static void map_some(const struct op *o)
{
	size_t bytes = (1 + (o->n ? o->at[0] % 8 : 0)) * (size_t)A_PAGE;
	off_t off = (off_t)((o->n ? o->value[0] : 0) & 0x7ffffffffffff000);
	uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd[o->fd], off);

	if (p == MAP_FAILED)
		return;
	for (unsigned int i = 1; i < o->n; i++)
		p[o->at[i] % bytes] = (uint8_t)o->value[i];
	mprotect(p, A_PAGE, PROT_READ);
	munmap(p, A_PAGE);
	munmap(p + A_PAGE, bytes - A_PAGE);
}

static void arrive(const struct op *o)
{
	static const uint8_t udp[] = { 2,    0, 0,  0,	0, 1, 2,    0, 0,  0,  0,    2,	   8,  0,
				       0x45, 0, 0,  46, 0, 0, 0,    0, 64, 17, 0x26, 0x5b, 10, 77,
				       0,    2, 10, 77, 0, 1, 0x80, 0, 0,  9,  0,    26,   0,  0 };
	uint8_t frame[128] = { 0 };

	memcpy(frame, udp, sizeof(udp));
	change(frame, sizeof(frame), o);
	send(m.wire, frame, o->n & 1 ? sizeof(frame) : 60, 0);
}

static void set_link(bool up)
{
	struct ifreq r = { .ifr_flags = (short)(up ? IFF_UP : 0) };

	strcpy(r.ifr_name, NEAR);
	ioctl(m.near, SIOCSIFFLAGS, &r);
}

static void run_op(const struct op *o)
{
	switch ((enum what)o->what) {
	case W_DESC:
		put_desc(o);
		break;
	case W_SCRIBBLE:
		if (m.map[o->fd] && !is_rx(o->fd))
			change(m.map[o->fd], (uint32_t)m.map_bytes[o->fd], o);
		break;
	case W_CURSORS:
		if (m.cursors[o->fd])
			change(m.cursors[o->fd], A_PAGE, o);
		break;
	case W_RULE:
		change(m.rule, sizeof(m.rule), o);
		break;
	case W_PATTERN:
		change(m.pattern, sizeof(m.pattern), o);
		break;
	case W_FRAME:
		arrive(o);
		break;
	case W_MAP:
		map_some(o);
		break;
	case W_REOPEN:
		reopen(o->fd, o->n);
		break;
	case W_POLL:
		poll(&(struct pollfd){ .fd = m.fd[o->fd], .events = POLLIN | POLLOUT }, 1, 0);
		break;
	case W_NAP:
		usleep(o->n ? o->at[0] % 2000 : 0);
		break;
	case W_LINK:
		set_link(false);
		set_link(true);
		break;
	default:
		run_call(o);
	}
}

static void run_program(const struct program *p)
{
	static union argument a;

	right_flood(&a.flood);
	memcpy(m.pattern, (const void *)(uintptr_t)a.flood.pattern, a.flood.pattern_len);
	for (unsigned int i = 0; i < N_RULES; i++)
		m.rule[i] = call_rule;
	for (unsigned int fd = 0; fd < N_FDS; fd++)
		reopen(fd, !(fd & 1));
	for (uint32_t i = 0; i < p->n; i++)
		run_op(&p->op[i]);
	for (unsigned int fd = 0; fd < N_FDS; fd++) {
		unmap(fd);
		close(m.fd[fd]);
		m.fd[fd] = -1;
	}
}

/* --- as text ------------------------------------------------------------------------ */

static const char *name_of(unsigned int what)
{
	return what < N_CALLS ? calls[what].name : other_names[what - N_CALLS];
}

static void print_program(FILE *f, const struct program *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		const struct op *o = &p->op[i];

		/* Of a name with a space, such as "ktx SETUP", the two are joined. */
		for (const char *s = name_of(o->what); *s; s++)
			putc(*s == ' ' ? '_' : *s, f);
		fprintf(f, " %u", o->fd);
		for (unsigned int k = 0; k < o->n; k++)
			fprintf(f, " %x=%llx", o->at[k], (unsigned long long)o->value[k]);
		putc('\n', f);
	}
}

static bool is_named(const char *word, unsigned int what)
{
	const char *name = name_of(what);

	while (*word && (*word == *name || (*word == '_' && *name == ' '))) {
		word++;
		name++;
	}
	return !*word && !*name;
}

static bool read_op(struct op *o, char *line)
{
	char *save = NULL, *word = strtok_r(line, " \n", &save);
	unsigned int what = 0, fd;

	while (word && what < N_WHAT && !is_named(word, what))
		what++;
	word = word && what < N_WHAT ? strtok_r(NULL, " \n", &save) : NULL;
	if (!word || sscanf(word, "%u", &fd) != 1 || fd >= N_FDS)
		return false;
	*o = (struct op){ .what = (uint16_t)what, .fd = (uint8_t)fd };
	while ((word = strtok_r(NULL, " \n", &save))) {
		unsigned long long value;

		if (o->n == MAX_CHANGES || sscanf(word, "%x=%llx", &o->at[o->n], &value) != 2)
			return false;
		o->value[o->n++] = value;
	}
	return true;
}

/* From text; "#" begins a comment. False: not one. */
static bool read_program(struct program *p, FILE *f)
{
	char line[512];

	*p = (struct program){ .magic = MAGIC };
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (p->n == MAX_OPS || !read_op(&p->op[p->n++], line))
			return false;
	}
	return p->n > 0;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Capture files written. Blocks are in the byte order of the machine, as both
 * formats allow. Layouts: the pcapng draft (IETF opsawg) and pcap-savefile(5).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "pcapwrite.h"

#define BUFFER_BYTES (256 * 1024)

enum block {
	SECTION_HEADER = 0x0a0d0d0a,
	INTERFACE_DESCRIPTION = 1,
	INTERFACE_STATISTICS = 5,
	ENHANCED_PACKET = 6,
};

struct kt_pcapwrite {
	enum kt_pcapwrite_format format;
	u32 snaplen;
	int fd;
	int error; /* -errno of the first failure of this file */
	char *name; /* for sentences */
	u64 written; /* bytes of this file, whole blocks only */
	u8 *buf;
	size_t n;
	size_t cap;
	size_t block; /* where the open block begins */
	u8 *head; /* section and interfaces, repeated in the next file */
	size_t head_bytes;
	u32 n_interfaces;
};

/* --- Blocks in the buffer --------------------------------------------------- */

static bool reserve(struct kt_pcapwrite *w, size_t bytes)
{
	size_t cap = w->cap;
	u8 *buf;

	if (w->n + bytes <= w->cap)
		return true;
	while (cap < w->n + bytes)
		cap *= 2;
	buf = realloc(w->buf, cap);
	if (!buf)
		return false;
	w->buf = buf;
	w->cap = cap;
	return true;
}

static void put(struct kt_pcapwrite *w, const void *data, size_t bytes)
{
	memcpy(w->buf + w->n, data, bytes);
	w->n += bytes;
}

static void put32(struct kt_pcapwrite *w, u32 v)
{
	put(w, &v, sizeof(v));
}

static void put16(struct kt_pcapwrite *w, u16 v)
{
	put(w, &v, sizeof(v));
}

/* Zeros up to a multiple of four. */
static void pad(struct kt_pcapwrite *w, size_t bytes)
{
	static const u8 zero[4];

	put(w, zero, (4 - bytes % 4) % 4);
}

static void begin(struct kt_pcapwrite *w, u32 type)
{
	w->block = w->n;
	put32(w, type);
	put32(w, 0);
}

static void put_option(struct kt_pcapwrite *w, u16 code, const void *data, size_t bytes)
{
	put16(w, code);
	put16(w, (u16)bytes);
	put(w, data, bytes);
	pad(w, bytes);
}

/* As much of a text as an option can hold. */
static size_t text_bytes(const char *text)
{
	size_t n = text ? strlen(text) : 0;

	return n > 4000 ? 4000 : n;
}

static void put_text(struct kt_pcapwrite *w, u16 code, const char *text)
{
	if (text)
		put_option(w, code, text, text_bytes(text));
}

/* A time: high half first, whatever the byte order. */
static void put_time(struct kt_pcapwrite *w, u16 code, u64 ns)
{
	u32 v[2] = { (u32)(ns >> 32), (u32)ns };

	if (ns)
		put_option(w, code, v, sizeof(v));
}

static void end(struct kt_pcapwrite *w)
{
	u32 bytes = (u32)(w->n - w->block + 4);

	memcpy(w->buf + w->block + 4, &bytes, sizeof(bytes));
	put32(w, bytes);
}

/* --- The file ------------------------------------------------------------------ */

/* Where the last whole block ends within the first n bytes of the buffer. */
static size_t whole_blocks(const struct kt_pcapwrite *w, size_t n)
{
	size_t at = w->written || w->format == KT_PCAPWRITE_PCAPNG ? 0 : 24;
	u32 bytes;

	if (at > n)
		return 0;
	for (;;) {
		size_t header = w->format == KT_PCAPWRITE_PCAPNG ? 8 : 16;

		if (at + header > n)
			return at;
		memcpy(&bytes, w->buf + at + (w->format == KT_PCAPWRITE_PCAPNG ? 4 : 8), sizeof(bytes));
		if (w->format == KT_PCAPWRITE_PCAP)
			bytes += 16;
		if (at + bytes > n)
			return at;
		at += bytes;
	}
}

/* Notes the first failure and cuts the file behind its last whole block. */
static int fail(struct kt_pcapwrite *w, int code, size_t out, struct ktrxer_err *err)
{
	size_t whole = whole_blocks(w, out);

	w->error = -code;
	w->written += whole;
	w->n = 0;
	if (out != whole && ftruncate(w->fd, (off_t)w->written) && errno != EINVAL && errno != EBADF)
		return kt_err(err, code, "%.120s: %s; its last record is cut off", w->name, strerror(code));
	return kt_err(err, code, "%.120s: %s; what was written before is whole", w->name, strerror(code));
}

int kt_pcapwrite_flush(struct kt_pcapwrite *w, struct ktrxer_err *err)
{
	size_t out = 0;

	if (w->error)
		return w->error;
	while (out < w->n) {
		ssize_t n = write(w->fd, w->buf + out, w->n - out);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(w, n < 0 ? errno : EIO, out, err);
		out += (size_t)n;
	}
	w->written += out;
	w->n = 0;
	return 0;
}

/* Room for a block of so many bytes, flushing first if the buffer is full. */
static int room(struct kt_pcapwrite *w, size_t bytes, struct ktrxer_err *err)
{
	int ret = w->error;

	if (!ret && w->n + bytes > BUFFER_BYTES)
		ret = kt_pcapwrite_flush(w, err);
	if (!ret && !reserve(w, bytes))
		ret = kt_err(err, ENOMEM, "%.120s: no memory for a record of %zu bytes", w->name, bytes);
	return ret;
}

u64 kt_pcapwrite_bytes(const struct kt_pcapwrite *w)
{
	return w->written + w->n;
}

static int open_file(struct kt_pcapwrite *w, const char *path, struct ktrxer_err *err)
{
	bool is_stdout = !strcmp(path, "-");

	free(w->name);
	w->name = strdup(is_stdout ? "standard output" : path);
	if (!w->name)
		return kt_err(err, ENOMEM, "no memory to write %.180s", path);
	w->fd = is_stdout ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (w->fd < 0)
		return kt_err(err, errno, "%.180s: %s", path, strerror(errno));
	w->error = 0;
	w->written = 0;
	w->n = 0;
	return 0;
}

/* Closes the file; the first of all errors. */
static int close_file(struct kt_pcapwrite *w, struct ktrxer_err *err)
{
	bool told = w->error;
	int ret = kt_pcapwrite_flush(w, err);

	if (w->fd >= 0 && w->fd != STDOUT_FILENO && close(w->fd) && !ret)
		ret = kt_err(err, errno, "%.180s: %s", w->name, strerror(errno));
	w->fd = -1;
	return told ? 0 : ret;
}

/* What was just put into the buffer at from begins every file. */
static int remember(struct kt_pcapwrite *w, size_t from, struct ktrxer_err *err)
{
	size_t bytes = w->n - from;
	u8 *head = realloc(w->head, w->head_bytes + bytes);

	if (!head)
		return kt_err(err, ENOMEM, "no memory to write %.180s", w->name);
	memcpy(head + w->head_bytes, w->buf + from, bytes);
	w->head = head;
	w->head_bytes += bytes;
	return 0;
}

static void put_section(struct kt_pcapwrite *w, const struct kt_pcapwrite_opts *o)
{
	if (w->format == KT_PCAPWRITE_PCAP) {
		put32(w, 0xa1b23c4d); /* times in ns */
		put16(w, 2);
		put16(w, 4);
		put32(w, 0);
		put32(w, 0);
		put32(w, w->snaplen);
		put32(w, 1); /* Ethernet */
		return;
	}
	begin(w, SECTION_HEADER);
	put32(w, 0x1a2b3c4d);
	put16(w, 1);
	put16(w, 0);
	put32(w, 0xffffffff); /* length of the section: unknown */
	put32(w, 0xffffffff);
	put_text(w, 1, o->comment);
	put_text(w, 2, o->hardware);
	put_text(w, 3, o->os);
	put_text(w, 4, o->application);
	put32(w, 0);
	end(w);
}

int kt_pcapwrite_open(struct kt_pcapwrite **out, const char *path, const struct kt_pcapwrite_opts *o,
		      struct ktrxer_err *err)
{
	struct kt_pcapwrite *w = calloc(1, sizeof(*w));
	int ret;

	*out = NULL;
	if (!w)
		return kt_err(err, ENOMEM, "no memory to write %.180s", path);
	w->fd = -1;
	w->format = o->format;
	w->snaplen = o->snaplen ? o->snaplen : 262144;
	w->cap = BUFFER_BYTES;
	w->buf = malloc(w->cap);
	ret = w->buf ? open_file(w, path, err) : kt_err(err, ENOMEM, "no memory to write %.180s", path);
	if (ret)
		goto err_open;
	put_section(w, o);
	ret = remember(w, 0, err);
	if (ret)
		goto err_open;
	*out = w;
	return 0;
err_open:
	kt_pcapwrite_close(w, NULL);
	return ret;
}

int kt_pcapwrite_next(struct kt_pcapwrite *w, const char *path, struct ktrxer_err *err)
{
	int ret = close_file(w, err);

	if (ret)
		return ret;
	ret = open_file(w, path, err);
	if (ret) {
		w->error = ret;
		return ret;
	}
	put(w, w->head, w->head_bytes); /* fits: the buffer is empty and has held it */
	return 0;
}

int kt_pcapwrite_close(struct kt_pcapwrite *w, struct ktrxer_err *err)
{
	int ret = 0;

	if (!w)
		return 0;
	if (w->fd >= 0)
		ret = close_file(w, err);
	free(w->head);
	free(w->buf);
	free(w->name);
	free(w);
	return ret;
}

/* --- What goes into it ------------------------------------------------------------ */

int kt_pcapwrite_interface(struct kt_pcapwrite *w, const struct kt_pcapwrite_interface *i, struct ktrxer_err *err)
{
	static const u8 nanoseconds = 9;
	size_t from;
	int ret;

	if (w->format == KT_PCAPWRITE_PCAP)
		return 0;
	ret = room(w, 100 + text_bytes(i->name) + text_bytes(i->description) + text_bytes(i->filter), err);
	if (ret)
		return ret;
	from = w->n;
	begin(w, INTERFACE_DESCRIPTION);
	put16(w, 1); /* Ethernet */
	put16(w, 0);
	put32(w, w->snaplen);
	put_text(w, 2, i->name);
	put_text(w, 3, i->description);
	if (i->mac)
		put_option(w, 6, i->mac, 6);
	put_option(w, 9, &nanoseconds, 1);
	if (i->filter) { /* its first byte says that the rest is a pcap expression */
		size_t n = text_bytes(i->filter);

		put16(w, 11);
		put16(w, (u16)(n + 1));
		put(w, "", 1);
		put(w, i->filter, n);
		pad(w, n + 1);
	}
	put32(w, 0);
	end(w);
	ret = remember(w, from, err);
	return ret ? ret : (int)w->n_interfaces++;
}

static void put_pcap_record(struct kt_pcapwrite *w, const struct kt_pcapwrite_packet *p, u32 caplen)
{
	u64 ns;

	put32(w, (u32)kt_div_rem(p->stamp_ns, KT_NSEC_PER_SEC, &ns));
	put32(w, (u32)ns);
	put32(w, caplen);
	put32(w, p->wirelen);
	put(w, p->data, caplen);
}

int kt_pcapwrite_packet(struct kt_pcapwrite *w, const struct kt_pcapwrite_packet *p, struct ktrxer_err *err)
{
	u32 caplen = p->caplen < w->snaplen ? p->caplen : w->snaplen;
	int ret = room(w, 80 + (size_t)caplen + text_bytes(p->comment), err);

	if (ret)
		return ret;
	if (w->format == KT_PCAPWRITE_PCAP) {
		put_pcap_record(w, p, caplen);
		return 0;
	}
	if (p->interface >= w->n_interfaces)
		return kt_err(err, EINVAL, "%.120s: interface %u was never described", w->name, p->interface);
	begin(w, ENHANCED_PACKET);
	put32(w, p->interface);
	put32(w, (u32)(p->stamp_ns >> 32));
	put32(w, (u32)p->stamp_ns);
	put32(w, caplen);
	put32(w, p->wirelen);
	put(w, p->data, caplen);
	pad(w, caplen);
	put_text(w, 1, p->comment);
	if (p->direction) {
		u32 flags = p->direction;

		put_option(w, 2, &flags, sizeof(flags));
	}
	if (p->comment || p->direction)
		put32(w, 0);
	end(w);
	return 0;
}

int kt_pcapwrite_statistics(struct kt_pcapwrite *w, u32 interface, const struct kt_pcapwrite_statistics *s,
			    struct ktrxer_err *err)
{
	u64 now = s->end_ns ? s->end_ns : s->start_ns;
	int ret;

	if (w->format == KT_PCAPWRITE_PCAP)
		return 0;
	ret = room(w, 200, err);
	if (ret)
		return ret;
	begin(w, INTERFACE_STATISTICS);
	put32(w, interface);
	put32(w, (u32)(now >> 32));
	put32(w, (u32)now);
	put_time(w, 2, s->start_ns);
	put_time(w, 3, s->end_ns);
	put_option(w, 4, &s->received, 8);
	put_option(w, 7, &s->dropped, 8);
	put_option(w, 8, &s->delivered, 8);
	put32(w, 0);
	end(w);
	return 0;
}

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
#include "pcapblock.h"
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
	struct kt_blocks b;
	u8 *head; /* section and interfaces, repeated in the next file */
	size_t head_bytes;
	u32 n_interfaces;
};

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
		memcpy(&bytes, w->b.buf + at + (w->format == KT_PCAPWRITE_PCAPNG ? 4 : 8), sizeof(bytes));
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
	w->b.n = 0;
	if (out != whole && ftruncate(w->fd, (off_t)w->written) && errno != EINVAL && errno != EBADF)
		return kt_err(err, code, "%.300s: %s; its last record is cut off", w->name, strerror(code));
	return kt_err(err, code, "%.300s: %s; what was written before is whole", w->name, strerror(code));
}

int kt_pcapwrite_flush(struct kt_pcapwrite *w, struct ktrxer_err *err)
{
	size_t out = 0;

	if (w->error)
		return w->error;
	while (out < w->b.n) {
		ssize_t n = write(w->fd, w->b.buf + out, w->b.n - out);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail(w, n < 0 ? errno : EIO, out, err);
		out += (size_t)n;
	}
	w->written += out;
	w->b.n = 0;
	return 0;
}

/* Room for a block of so many bytes, flushing first if the buffer is full. */
static int room(struct kt_pcapwrite *w, size_t bytes, struct ktrxer_err *err)
{
	int ret = w->error;

	if (!ret && w->b.n + bytes > BUFFER_BYTES)
		ret = kt_pcapwrite_flush(w, err);
	if (!ret && !kt_blocks_reserve(&w->b, bytes))
		ret = kt_err(err, ENOMEM, "%.300s: no memory for a record of %zu bytes", w->name, bytes);
	return ret;
}

u64 kt_pcapwrite_bytes(const struct kt_pcapwrite *w)
{
	return w->written + w->b.n;
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
		return kt_err(err, errno, "%.300s: %s", path, strerror(errno));
	w->error = 0;
	w->written = 0;
	w->b.n = 0;
	return 0;
}

/* Closes the file; the first of all errors. */
static int close_file(struct kt_pcapwrite *w, struct ktrxer_err *err)
{
	bool told = w->error;
	int ret = kt_pcapwrite_flush(w, err);

	if (w->fd >= 0 && w->fd != STDOUT_FILENO && close(w->fd) && !ret)
		ret = kt_err(err, errno, "%.300s: %s", w->name, strerror(errno));
	w->fd = -1;
	return told ? 0 : ret;
}

/* What was just put into the buffer at from begins every file. */
static int remember(struct kt_pcapwrite *w, size_t from, struct ktrxer_err *err)
{
	size_t bytes = w->b.n - from;
	u8 *head = realloc(w->head, w->head_bytes + bytes);

	if (!head)
		return kt_err(err, ENOMEM, "no memory to write %.180s", w->name);
	memcpy(head + w->head_bytes, w->b.buf + from, bytes);
	w->head = head;
	w->head_bytes += bytes;
	return 0;
}

static void put_section(struct kt_pcapwrite *w, const struct kt_pcapwrite_opts *o)
{
	if (w->format == KT_PCAPWRITE_PCAP) {
		kt_blocks_put32(&w->b, 0xa1b23c4d); /* times in ns */
		kt_blocks_put16(&w->b, 2);
		kt_blocks_put16(&w->b, 4);
		kt_blocks_put32(&w->b, 0);
		kt_blocks_put32(&w->b, 0);
		kt_blocks_put32(&w->b, w->snaplen);
		kt_blocks_put32(&w->b, 1); /* Ethernet */
		return;
	}
	kt_blocks_begin(&w->b, SECTION_HEADER);
	kt_blocks_put32(&w->b, 0x1a2b3c4d);
	kt_blocks_put16(&w->b, 1);
	kt_blocks_put16(&w->b, 0);
	kt_blocks_put32(&w->b, 0xffffffff); /* length of the section: unknown */
	kt_blocks_put32(&w->b, 0xffffffff);
	kt_blocks_put_text(&w->b, 1, o->comment);
	kt_blocks_put_text(&w->b, 2, o->hardware);
	kt_blocks_put_text(&w->b, 3, o->os);
	kt_blocks_put_text(&w->b, 4, o->application);
	kt_blocks_put32(&w->b, 0);
	kt_blocks_end(&w->b);
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
	w->b.cap = BUFFER_BYTES;
	w->b.buf = malloc(w->b.cap);
	ret = w->b.buf ? open_file(w, path, err) : kt_err(err, ENOMEM, "no memory to write %.180s", path);
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
	kt_blocks_put(&w->b, w->head, w->head_bytes); /* fits: the buffer is empty and has held it */
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
	free(w->b.buf);
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
	ret = room(w,
		   100 + kt_blocks_text_bytes(i->name) + kt_blocks_text_bytes(i->description) +
			   kt_blocks_text_bytes(i->filter),
		   err);
	if (ret)
		return ret;
	from = w->b.n;
	kt_blocks_begin(&w->b, INTERFACE_DESCRIPTION);
	kt_blocks_put16(&w->b, 1); /* Ethernet */
	kt_blocks_put16(&w->b, 0);
	kt_blocks_put32(&w->b, w->snaplen);
	kt_blocks_put_text(&w->b, 2, i->name);
	kt_blocks_put_text(&w->b, 3, i->description);
	if (i->mac)
		kt_blocks_put_option(&w->b, 6, i->mac, 6);
	kt_blocks_put_option(&w->b, 9, &nanoseconds, 1);
	if (i->filter) { /* its first byte says that the rest is a pcap expression */
		size_t n = kt_blocks_text_bytes(i->filter);

		kt_blocks_put16(&w->b, 11);
		kt_blocks_put16(&w->b, (u16)(n + 1));
		kt_blocks_put(&w->b, "", 1);
		kt_blocks_put(&w->b, i->filter, n);
		kt_blocks_pad(&w->b, n + 1);
	}
	kt_blocks_put32(&w->b, 0);
	kt_blocks_end(&w->b);
	ret = remember(w, from, err);
	return ret ? ret : (int)w->n_interfaces++;
}

static void put_pcap_record(struct kt_pcapwrite *w, const struct kt_pcapwrite_packet *p, u32 caplen)
{
	u64 ns;

	kt_blocks_put32(&w->b, (u32)kt_div_rem(p->stamp_ns, KT_NSEC_PER_SEC, &ns));
	kt_blocks_put32(&w->b, (u32)ns);
	kt_blocks_put32(&w->b, caplen);
	kt_blocks_put32(&w->b, p->wirelen);
	kt_blocks_put(&w->b, p->data, caplen);
}

int kt_pcapwrite_packet(struct kt_pcapwrite *w, const struct kt_pcapwrite_packet *p, struct ktrxer_err *err)
{
	u32 caplen = p->caplen < w->snaplen ? p->caplen : w->snaplen;
	int ret = room(w, 80 + (size_t)caplen + kt_blocks_text_bytes(p->comment), err);

	if (ret)
		return ret;
	if (w->format == KT_PCAPWRITE_PCAP) {
		put_pcap_record(w, p, caplen);
		return 0;
	}
	if (p->interface >= w->n_interfaces)
		return kt_err(err, EINVAL, "%.300s: interface %u was never described", w->name, p->interface);
	kt_blocks_begin(&w->b, ENHANCED_PACKET);
	kt_blocks_put32(&w->b, p->interface);
	kt_blocks_put32(&w->b, (u32)(p->stamp_ns >> 32));
	kt_blocks_put32(&w->b, (u32)p->stamp_ns);
	kt_blocks_put32(&w->b, caplen);
	kt_blocks_put32(&w->b, p->wirelen);
	kt_blocks_put(&w->b, p->data, caplen);
	kt_blocks_pad(&w->b, caplen);
	kt_blocks_put_text(&w->b, 1, p->comment);
	if (p->direction) {
		u32 flags = p->direction;

		kt_blocks_put_option(&w->b, 2, &flags, sizeof(flags));
	}
	if (p->comment || p->direction)
		kt_blocks_put32(&w->b, 0);
	kt_blocks_end(&w->b);
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
	kt_blocks_begin(&w->b, INTERFACE_STATISTICS);
	kt_blocks_put32(&w->b, interface);
	kt_blocks_put32(&w->b, (u32)(now >> 32));
	kt_blocks_put32(&w->b, (u32)now);
	kt_blocks_put_time(&w->b, 2, s->start_ns);
	kt_blocks_put_time(&w->b, 3, s->end_ns);
	kt_blocks_put_option(&w->b, 4, &s->received, 8);
	kt_blocks_put_option(&w->b, 7, &s->dropped, 8);
	kt_blocks_put_option(&w->b, 8, &s->delivered, 8);
	kt_blocks_put32(&w->b, 0);
	kt_blocks_end(&w->b);
	return 0;
}

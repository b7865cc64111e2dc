/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Writing captures: pcapng with ns times, interfaces, comments and drop
 * counts, or nanosecond pcap. Blocks gather in a buffer and are written
 * whole; when the disk is full the file is cut behind the last whole block, so it
 * stays readable, the error is told once, and later calls return it again without trying.
 */
#ifndef KT_PCAPWRITE_H
#define KT_PCAPWRITE_H

#include "../include/ktrxer.h"

#include "../core/env.h"

struct kt_pcapwrite;

enum kt_pcapwrite_format {
	KT_PCAPWRITE_PCAPNG = 0,
	KT_PCAPWRITE_PCAP = 1, /* one interface, no comments, no statistics */
};

struct kt_pcapwrite_opts {
	enum kt_pcapwrite_format format;
	u32 snaplen; /* longest record; 0: 262144 */
	/* Section metadata, each may be NULL */
	const char *application; /* "ktrxer 0.1.0" */
	const char *hardware;
	const char *os;
	const char *comment;
};

struct kt_pcapwrite_interface {
	const char *name; /* may be NULL */
	const char *description; /* may be NULL */
	const char *filter; /* may be NULL */
	const u8 *mac; /* 6 bytes; may be NULL */
};

struct kt_pcapwrite_packet {
	const u8 *data;
	u32 caplen;
	u32 wirelen;
	u64 stamp_ns; /* since 1970 */
	u32 interface; /* as kt_pcapwrite_interface() returned it */
	enum { KT_PCAPWRITE_UNKNOWN = 0, KT_PCAPWRITE_IN = 1, KT_PCAPWRITE_OUT = 2 } direction;
	const char *comment; /* may be NULL */
};

struct kt_pcapwrite_statistics {
	u64 start_ns; /* of the capture, since 1970; 0: unknown */
	u64 end_ns;
	u64 received; /* reached the engine */
	u64 dropped; /* no room: in the kernel or in the ring */
	u64 delivered; /* given to this file */
};

/* Replaces the file at path; "-": standard output, which is not closed. Strings are copied. */
int kt_pcapwrite_open(struct kt_pcapwrite **w, const char *path, const struct kt_pcapwrite_opts *o,
		      struct ktrxer_err *err);

/* A new interface; its number, or -errno. In pcap there is only number 0. */
int kt_pcapwrite_interface(struct kt_pcapwrite *w, const struct kt_pcapwrite_interface *i, struct ktrxer_err *err);

/* Both: 0 or -errno. */
int kt_pcapwrite_packet(struct kt_pcapwrite *w, const struct kt_pcapwrite_packet *p, struct ktrxer_err *err);
int kt_pcapwrite_statistics(struct kt_pcapwrite *w, u32 interface, const struct kt_pcapwrite_statistics *s,
			    struct ktrxer_err *err);

/* Brings out what is in the buffer. */
int kt_pcapwrite_flush(struct kt_pcapwrite *w, struct ktrxer_err *err);

/* Bytes of this file so far, buffered ones included. */
u64 kt_pcapwrite_bytes(const struct kt_pcapwrite *w);

/* Ends this file and begins another of the same kind, with the same interfaces. Statistics are the caller's. */
int kt_pcapwrite_next(struct kt_pcapwrite *w, const char *path, struct ktrxer_err *err);

/* Flushes, closes and frees, whatever happens; tells the first error of the last file if it was not told yet. */
int kt_pcapwrite_close(struct kt_pcapwrite *w, struct ktrxer_err *err);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer capture: packets into files and lines, by several listeners on one ring. */
#ifndef KT_CAPTURE_H
#define KT_CAPTURE_H

#include "../lib/pcapfilter.h"
#include "../lib/pcapwrite.h"
#include "cli.h"
#include "downs.h"
#include "json.h"
#include "rules.h"

enum capture_direction {
	CAPTURE_IN = 0,
	CAPTURE_OUT = 1,
	CAPTURE_BOTH = 2,
};

enum capture_format {
	CAPTURE_BY_NAME = 0, /* .pcap is pcap, all else pcapng */
	CAPTURE_PCAPNG = 1,
	CAPTURE_PCAP = 2,
};

struct capture_config {
	struct common common;
	/* what */
	struct opt_list rules;
	struct opt_list rule;
	int direction; /* enum capture_direction */
	u64 snaplen;
	u64 count;
	u64 duration;
	/* where to */
	struct opt_list write;
	int format; /* enum capture_format */
	struct opt_list listeners;
	bool lossless;
	u64 rotate_size;
	u64 rotate_time;
	u64 rotate_count;
	u64 files;
	/* sharing */
	bool share;
	const char *share_path;
	const char *attach;
	u64 wait;
	/* how */
	u64 ring;
	s64 cpu; /* -1: any */
};

#define STREAMS_MAX 32

/* One listener and where its packets go: a capture file, or lines on standard output. */
struct stream {
	const char *path; /* NULL: lines */
	int format;
	bool lossless;
	bool tagged; /* takes packets with this tag only */
	u32 tag;
	struct kt_pcapfilter *filter; /* takes what it matches only; owned */
	const char *filter_text;
	/* rotation; 0: none */
	u64 rotate_size;
	u64 rotate_ns;
	u64 rotate_count;
	u64 files; /* keep so many; 0: all */
	/* running */
	struct krx_listener *listener;
	struct kt_pcapwrite *w;
	u32 interface; /* in w */
	u64 file_number; /* from 1 */
	u64 file_packets;
	u64 file_start_ns; /* CLOCK_REALTIME */
	u64 packets; /* taken */
	u64 bytes;
	u64 skipped; /* did not pass tag, filter or direction */
	u64 not_frames; /* slices that a capture file cannot hold */
	char *spec; /* memory of a --listener */
};

struct capture {
	const struct capture_config *c;
	const struct optset *set;
	struct ktrxer *port; /* NULL: attached to another process */
	struct krx *rx;
	struct stream stream[STREAMS_MAX];
	unsigned int n_streams;
	struct out *out;
	bool lines; /* a stream writes lines to out */
	const char *filter; /* operands; NULL none */
	bool only_filter; /* of every listener, here and elsewhere */
	char ifname[64];
	u64 start_ns; /* CLOCK_REALTIME */
	u64 last_seq; /* in the ring, of the last packet that the first stream read */
	bool ended_early;
	struct downs downs;
	/* realtime minus monotonic, and when that was asked */
	s64 offset_ns;
	u64 offset_asked_ns;
};

/* capture_spec.c: streams from options. CLI_OK, or an exit code after having said why. */
int capture_streams(struct capture *cap);
void capture_streams_free(struct capture *cap);

/* stream.c. All: 0 or an exit code after having said why. */
int stream_open(struct stream *s, struct capture *cap);
int stream_take(struct stream *s, struct capture *cap, const struct krx_packet *p);
int stream_flush(struct stream *s);
/* By time: a new file even when nothing arrives. */
int stream_tick(struct stream *s, struct capture *cap, u64 now_ns);
int stream_close(struct stream *s, struct capture *cap);

/* capture_lines.c */
void capture_line(struct capture *cap, const struct krx_packet *p, u64 realtime_ns);
u64 capture_realtime(struct capture *cap, const struct krx_packet *p);

/* capture_loop.c */
int capture_loop(struct capture *cap);

/* capture_report.c */
void capture_status(struct capture *cap);
void capture_text(struct capture *cap, struct out *out);
void capture_json(struct capture *cap);

#endif

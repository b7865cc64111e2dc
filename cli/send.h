/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer send: frames of a file, rewritten, at their times. */
#ifndef KT_SEND_H
#define KT_SEND_H

#include "../core/histogram.h"
#include "../core/pace.h"
#include "../core/packet.h"
#include "cli.h"
#include "json.h"

enum send_truncated {
	SEND_TRUNCATED_SEND = 0, /* what the file has of it */
	SEND_TRUNCATED_PAD = 1, /* zeros for the rest */
	SEND_TRUNCATED_SKIP = 2,
};

#define SEND_LEAD_NS 20000000ull /* from the start of the run to the first frame: everything is in place by then */

struct send_config {
	struct common common;
	/* when */
	struct opt_rate rate;
	u64 bit_rate;
	u64 interval;
	double times;
	bool fast;
	u64 start; /* CLOCK_REALTIME */
	u64 loop; /* rounds; 0 without end */
	u64 loop_gap;
	u64 duration;
	u64 count; /* frames of the file; 0 all */
	/* what */
	int truncated; /* enum send_truncated */
	const char *src_mac;
	const char *dst_mac;
	struct opt_list src_ip;
	struct opt_list dst_ip;
	u64 vlan; /* 0 none */
	u64 vlan_priority;
	bool strip_vlan;
	bool fix_checksums;
	/* how */
	u64 retries;
	u64 retry_pause;
	u64 late_window;
	bool no_spin;
	u64 fifo_priority;
	bool kernel_stamps;
	bool each;
};

struct send_frame {
	u8 *data; /* with room for one more tag */
	u32 len;
	u64 at_ns; /* behind the first one, in the file's own time */
};

/* A file in memory. */
struct send_frames {
	struct send_frame *v;
	u32 n;
	u32 max_len;
	u64 bytes;
	u64 n_truncated;
	u64 n_backwards; /* time went back: sent right behind the frame before */
};

/* send_frames.c: 0, or an exit code after having said why. */
int send_load(struct send_frames *f, const char *path, const struct send_config *c);
void send_unload(struct send_frames *f);

/* send_rewrite.c */
struct send_rewriter;
int send_rewriter_new(struct send_rewriter **r, const struct send_config *c);
void send_rewriter_free(struct send_rewriter *r);
/* Rewrites a frame in place; data has room for 4 bytes more. Returns its length. */
u32 send_rewrite(const struct send_rewriter *r, u8 *data, u32 len);

/* send_plan.c: when each frame leaves */
struct send_plan {
	const struct send_frames *frames;
	const struct send_config *c;
	struct kt_pace pace;
	u64 start_ns; /* on the launch clock */
	u64 round_ns; /* from one round's first frame to the next one's, own times */
	u64 rounds;
	u64 n; /* frames planned so far */
	u64 bits; /* in them */
	u64 total; /* frames to be sent in all; UINT64_MAX without end */
};
int send_plan_init(struct send_plan *p, const struct send_frames *f, const struct send_config *c, u64 start_ns);
/* The next frame and its time; false at the end. */
bool send_plan_next(struct send_plan *p, const struct send_frame **frame, u64 *launch_ns);
/* Frames and bits a second that the plan asks for; 0: as fast as possible. */
double send_plan_rate(const struct send_plan *p, double *bits);

#define SEND_REASONS 16

struct send_result {
	struct ktx_stats tx;
	u64 too_long; /* never submitted */
	u64 reasons[SEND_REASONS]; /* of frames that failed, by errno */
	int reason_errno[SEND_REASONS];
	unsigned int n_reasons;
	u64 first_ns; /* launch of the first and the last frame */
	u64 last_ns;
	u32 last_len;
	struct kt_histogram *error; /* executed minus scheduled */
	struct kt_histogram *call; /* time in the driver */
	u64 nic_launched; /* of sent: by the NIC's clock, not in error and call */
	bool ended_early; /* interrupted */
	bool device_gone;
};

/* send_run.c: CLI_OK, or an exit code after having said why. */
int send_run(struct send_result *r, struct send_plan *p, struct ktrxer *port, struct out *out);
int send_flood(struct send_result *r, struct send_plan *p, struct ktrxer *port);
void send_count_reason(struct send_result *r, int error, u64 n);

/* send_report.c */
void send_text(struct out *out, const struct send_plan *p, const struct send_result *r);
void send_json(struct out *out, const struct send_plan *p, const struct send_result *r);
void send_list(struct out *out, struct send_plan *p);

#endif

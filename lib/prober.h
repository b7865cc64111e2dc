/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The engine behind `ktrxer probe`: sends a series of probes to targets at
 * their times, recognises the answers, and tells its caller of each as it happens. It
 * prints nothing and keeps fixed memory: a bounded window of probes wait for
 * their launch, and a ring remembers those launched last.
 *
 * Tracked, every probe's fate is told (answered, lost, not sent) and unanswered
 * ones can be sent again. Untracked, for scans, answers are told and counted, and what is missing is lost.
 */
#ifndef KT_PROBER_H
#define KT_PROBER_H

#include "../core/histogram.h"
#include "../core/pace.h"
#include "../include/ktrxer.h"
#include "target.h"
#include "walk.h"

#define KT_PROBER_ANSWERS 10 /* enum ktrxer_answer */

struct kt_prober;

/* A frame of the user's own. */
struct kt_prober_frame {
	u8 *data; /* owned by the caller, like the array */
	u32 len;
};

enum kt_prober_event_kind {
	KT_PROBER_SENT, /* the launch is over, however it went: see status */
	KT_PROBER_ANSWER,
	KT_PROBER_LOST, /* tracked: no answer in time, and no more tries */
	KT_PROBER_RETRY, /* tracked: no answer in time; the target is probed again */
	KT_PROBER_NO_PATH, /* not sent: no route, or the next hop is silent */
};

struct kt_prober_event {
	enum kt_prober_event_kind kind;
	/* The probe. Without it (known = false) only an answer to an untracked one is told. */
	bool known;
	u64 seq;
	struct ktrxer_addr target; /* version 0: a frame that has none */
	u16 port;
	u32 round;
	u32 tries; /* earlier probes for the same round */
	u64 scheduled_ns; /* launch clock; 0: at once */
	u64 launch_ns; /* 0: not launched */
	u64 returned_ns;
	u32 attempts;
	enum ktx_status status;
	int reason; /* errno */
	const char *why; /* NO_PATH: a sentence */
	/* The answer */
	enum ktrxer_answer answer;
	struct ktrxer_addr from;
	u64 received_ns; /* launch clock */
	s64 rtt_ns; /* -1: unknown */
	u32 wirelen;
	u8 ttl;
	u8 dns_rcode;
	bool has_address; /* a DNS answer gave one */
	struct ktrxer_addr address;
	bool duplicate;
	bool reordered;
	bool too_late; /* it was told as lost before */
};

struct kt_prober_opts {
	/* What: a series to targets, or frames in turn. */
	struct ktrxer_probe probe; /* key: zero means random */
	const struct kt_targets *targets;
	struct kt_walk *walk;
	const struct kt_prober_frame *frames;
	u32 n_frames;
	u64 rounds; /* probes to each target, or times through the frames; 0: until stopped */
	/* When */
	struct kt_pace_opts pace; /* start_ns 0: as soon as all is ready */
	const u64 *times; /* explicit launch times in ns from the start, ascending; ends the run when used up */
	u64 n_times;
	u64 timeout_ns; /* for an answer; 0: 1 s */
	u64 linger_ns; /* the rules stay for so long behind the last probe's timeout, for repeated answers */
	u64 window_ns; /* ktx_probe */
	u32 max_attempts;
	u32 retry_ns;
	/* How */
	bool track;
	u32 retries; /* tracked only */
	u32 ring_bits; /* size of the memory of probes, 10 to 22; 0: 16 */
	u32 dedup; /* untracked: answers remembered to tell duplicates; 0: 2^17 */
	bool flood; /* launch in batches by ktx_flood() */
	bool drop; /* the host does not see the answers */
	bool one_path; /* path holds for all targets */
	struct ktrxer_path path;
	u64 path_timeout_ns; /* for a neighbour, before the schedule begins; 0: 1 s, for several targets 200 ms, for many 50 ms */
	int cpu; /* of the launching thread + 1; 0: any */
	int fifo_priority;
	u64 spin_ns;
	bool tap; /* wishes, see ktx_opts */
	bool zero_copy;
	bool nic_launch;
	/* To whom; any may be NULL. All are called from kt_prober_run(). */
	void (*event)(void *ctx, const struct kt_prober_event *e);
	bool quiet; /* no event for a launch that went well */
	/* Frames as they leave (launch time) and as answers come; stamps on the launch clock. */
	void (*frame)(void *ctx, bool outgoing, const u8 *data, u32 caplen, u32 wirelen, u64 stamp_ns);
	bool (*stop)(void *ctx); /* asked often; true: nothing more is sent or waited for */
	void *ctx;
};

struct kt_prober_stats {
	u64 planned; /* probes that are to be sent, without retries; UINT64_MAX: no end */
	u64 given; /* probes made so far, retries among them */
	u64 retried;
	u64 no_path;
	u64 too_long; /* among no_path: longer than the path's MTU */
	u64 sent;
	u64 failed;
	u64 late;
	u64 cancelled;
	u64 launch_retries; /* launches tried again because the driver refused */
	u64 bytes;
	u64 answered; /* probes answered, each counted once */
	u64 kinds[KT_PROBER_ANSWERS]; /* first answers by kind */
	u64 duplicates;
	u64 strangers; /* packets that the rules delivered and that answer nothing of ours */
	u64 too_late; /* answers to probes already given up */
	u64 lost; /* tracked */
	u64 evicted; /* tracked: given up early because the ring was full */
	u64 reordered; /* RFC 4737: answers whose number is below one already answered by the same target */
	u64 in_order; /* of those for which order was judged */
	u64 forgotten; /* untracked: answers that left the window of duplicates */
	struct krx_stats rx;
	u64 start_ns; /* launch clock: first launch, last launch */
	u64 end_ns;
	bool interrupted;
	u64 nic_launched; /* of sent: by the NIC's clock */
	struct ktx_stats tx;
};

/* Opens sender and receiver and sets the rules. The options' memory stays the caller's and must last. */
int kt_prober_new(struct kt_prober **p, struct ktrxer *port, const struct kt_prober_opts *o, struct ktrxer_err *err);

/* Runs to the end. 0; -EINTR when stop() said so; -ENETDOWN and the like when the port failed. */
int kt_prober_run(struct kt_prober *p, struct ktrxer_err *err);

/* Anytime, also from callbacks. The histograms are the prober's own. */
void kt_prober_get_stats(struct kt_prober *p, struct kt_prober_stats *stats);
const struct kt_histogram *kt_prober_rtt(const struct kt_prober *p);
const struct kt_histogram *kt_prober_launch_error(const struct kt_prober *p);

void kt_prober_free(struct kt_prober *p);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the parts of the prober share: prober.c (life and loop), prober_job.c (what is next), prober_tx.c and prober_flood.c (probes out), prober_rx.c (answers in). */
#ifndef KT_PROBER_IMPL_H
#define KT_PROBER_IMPL_H

#include "dedup.h"
#include "exact.h"
#include "outstanding.h"
#include "path.h"
#include "prober.h"
#include "probe.h"

#define KT_PROBER_MAX_ORDERED 4096u /* targets whose order of answers is judged */
#define KT_PROBER_SUBMIT 64u

/* A probe that is to be made: a target and a round, fresh or again. */
struct kt_prober_job {
	u64 number;
	u32 round;
	u8 tries;
	u64 due_ns; /* a retry: not before, on the launch clock */
};

struct kt_prober {
	struct kt_prober_opts o;
	struct ktrxer *port;
	struct ktx *tx;
	struct krx *rx;
	struct krx_listener *listener;
	struct kt_path_cache *paths;
	struct kt_outstanding out;
	struct kt_exact *exact; /* frames */
	struct kt_dedup *seen; /* untracked */
	struct kt_template template[2]; /* IPv4, IPv6 */
	bool has_template[2];
	u8 hop_mac[2][6];
	bool any_port;
	bool is_virtual;
	bool threaded;
	/* sending */
	struct kt_pace pace;
	u64 base_ns; /* explicit times count from here */
	u64 next_time; /* index into o.times */
	u32 round;
	struct kt_walk ahead; /* a copy of the walk, n_ahead targets further on: neighbours are asked for ahead */
	u32 ahead_round;
	u64 n_ahead;
	u64 frame; /* next of o.frames */
	bool given_out; /* no fresh probes are left */
	bool stopping;
	bool lingering; /* all is known: stopping now interrupts nothing */
	struct kt_prober_job *again; /* ring of retries, as large as the memory of probes */
	u32 again_head;
	u32 again_n;
	u64 in_flight; /* submitted, completion not yet fetched */
	u32 max_in_flight;
	u64 waiting; /* tracked: launched, without an answer, not over */
	u64 last_launch_ns; /* when the cool-down begins */
	u64 next_launch_ns; /* of the next probe, drawn but not used yet */
	bool has_next_launch;
	u64 shift_ns; /* how much later than its beginning says the schedule runs: it waited for retries */
	struct ktx_probe batch[KT_PROBER_SUBMIT]; /* made, not yet taken by the sender */
	u32 n_batch;
	u8 *buf; /* their frames, max_frame bytes each, and one more for rebuilding */
	u32 max_frame;
	u64 flood_base; /* seq of the flood's number 0 */
	u64 flood_now; /* launch clock, read now and then while a batch is filled; 0: to be read */
	/* answers */
	u64 *highest; /* seq + 1 by target number */
	struct kt_prober_stats st;
	struct kt_histogram rtt;
	struct kt_histogram launch_error;
};

/* prober_job.c */
/* The next probe to be made; false when there is none (now, or ever: given_out). */
bool kt_prober_next_job(struct kt_prober *p, struct kt_prober_job *job);
/* For kt_path_cache_look_ahead(): the target behind the last one it gave. ctx: the prober. */
bool kt_prober_expected(void *ctx, struct ktrxer_addr *addr);
/* Puts an unanswered probe back in line; false when its tries are used up. */
bool kt_prober_retry(struct kt_prober *p, const struct kt_probe_entry *e, u64 now_ns);
/* Draws the next launch time if none is drawn; false: the times are used up. The first fixes the start. */
bool kt_prober_draw_launch(struct kt_prober *p);
/* Takes the drawn time for this job; 0: at once. */
u64 kt_prober_take_launch(struct kt_prober *p, const struct kt_prober_job *job);
struct kt_probe_entry *kt_prober_add(struct kt_prober *p, const struct kt_prober_job *job);
/* Writes the frame of an entry, the same whenever it is asked. Its length, or -errno. */
int kt_prober_render(struct kt_prober *p, const struct kt_probe_entry *e, u8 *buf, struct ktrxer_err *err);
void kt_prober_no_path(struct kt_prober *p, struct kt_probe_entry *e, const struct ktrxer_err *err);

/* prober_tx.c */
int kt_prober_tx_init(struct kt_prober *p, struct ktrxer_err *err);
/* Asks for the ways to the first targets, so that the schedule does not wait for neighbours. */
void kt_prober_find_paths(struct kt_prober *p);
/* Submits what is due soon. -errno when the sender is broken. *wake: when there is more to do, 0: nothing is known of. */
int kt_prober_submit(struct kt_prober *p, u64 *wake, struct ktrxer_err *err);
void kt_prober_completions(struct kt_prober *p);
/* A launch is over; e may be forgotten (NULL) already. */
void kt_prober_settle(struct kt_prober *p, struct kt_probe_entry *e, enum ktx_status status, int reason);
/* Nothing more to make, and nothing on its way to the wire. */
bool kt_prober_all_sent(const struct kt_prober *p);

/* prober_flood.c */
int kt_prober_flood(struct kt_prober *p, struct ktrxer_err *err);

/* prober_rx.c */
int kt_prober_rx_init(struct kt_prober *p, struct ktrxer_err *err);
void kt_prober_packet(struct kt_prober *p, const struct krx_packet *pkt);
/* Waits up to timeout_ns for packets and handles some hundreds of those that are there. How many, or -errno. */
int kt_prober_receive(struct kt_prober *p, u64 timeout_ns);
/* Tells of probes whose time is over. */
void kt_prober_expire(struct kt_prober *p, u64 now_ns);

void kt_prober_event_of(struct kt_prober_event *ev, enum kt_prober_event_kind kind, const struct kt_probe_entry *e);
void kt_prober_tell(struct kt_prober *p, const struct kt_prober_event *e);
/* Asks stop(), notes the answer. */
bool kt_prober_stopping(struct kt_prober *p);

#endif

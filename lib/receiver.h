/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The inside of a receiver: an engine's frames, judged by a rule set, put
 * into one ring that many listeners read.
 *
 * pump_lock: one context moves frames at a time; the set in force and all
 * counters belong to it. rules_lock: one change of rules at a time, taken before
 * pump_lock. listen_lock: who listens and who waits, taken last.
 */
#ifndef KT_RECEIVER_H
#define KT_RECEIVER_H

#include <pthread.h>

#include "../core/ring.h"
#include "port.h"

#define KT_PUMP_BATCH 64u

struct kt_rule_state {
	struct kt_rule_count count; /* matches under this and earlier sets */
	u64 used; /* matches counted against the quota */
	u32 sample; /* matches since the last one delivered */
};

/* A rule set in force, with what it counts. */
struct kt_rule_set {
	struct kt_classifier *classifier;
	struct kt_rule_state *state; /* one per rule, in order of judgement */
	struct krx_rule *public_rules; /* as the user gave them, in order of judgement */
	u32 n;
	bool any_quota;
};

struct kt_pcapfilter;
struct kt_share;
struct kt_remote;

/* The ring's memory: two files, so that other processes can map the one read-only and the other for their cursor. */
struct kt_ring_memory {
	int ring_fd; /* struct kt_ring_shared in the first page, data behind */
	int cursor_fd;
	struct kt_ring_shared *shared;
	struct kt_ring_cursor *cursors;
	u8 *data;
	size_t ring_bytes; /* mapped, page included */
	size_t cursor_bytes;
	u32 n_units;
};

struct krx {
	struct ktrxer *port;
	struct krx_opts o;
	struct kt_ring ring;
	struct kt_ring_memory mem;
	struct kt_rule_set *set;
	const struct kt_pcapfilter *wanted; /* borrowed; of what rules deliver, this only; NULL: all; pump_lock */
	u32 next_rule_id;
	struct krx_stats stats; /* of this layer; the engine's are added when asked */
	pthread_mutex_t pump_lock;
	pthread_mutex_t rules_lock;
	pthread_mutex_t listen_lock;
	pthread_cond_t news; /* the ring's head moved, or the state changed */
	u32 head_seen; /* where an engine's own ring ended when the pump last looked; pump_lock */
	u32 moved; /* grows with every pump that delivered */
	int state; /* 0, -ENETDOWN, -ENODEV, -EPIPE */
	u32 n_waiting;
	bool pumping; /* a caller's thread pumps, or waits for the engine; listen_lock */
	int wake_fd; /* eventfd, readable when packets may wait; thread mode only, else -1 */
	pthread_t thread;
	bool has_thread;
	u32 stop; /* kt_load/kt_store */
	struct kt_share *share; /* serves other processes, or NULL; pump_lock */
	struct kt_remote *remote; /* this is another process's receiver, or NULL */
	struct ktrxer_err why; /* the last of any thread; listen_lock */
};

struct krx_listener {
	struct krx *rx;
	struct kt_ring_reader reader;
	u32 cursor;
	bool lossless;
	bool holding; /* hdr is peeked and not yet released */
	struct kt_record hdr;
	u8 *copy; /* lossy listeners read from here */
	u32 copy_bytes;
	u64 delivered;
	/* remote listeners */
	int wake_fd;
	struct kt_ring_memory mem;
	struct ktrxer_err why;
};

/* Moves up to a few batches into the ring. Returns packets seen, or -errno when the interface is down or gone. */
int kt_rx_pump(struct krx *rx);

/*
 * Without a thread of the library's, one of those that listen pumps and waits for the engine, the
 * others wait for its news: two that wait for the engine would each miss what the other moves.
 * False: somebody else does, so wait for news.
 */
bool kt_rx_begin_pumping(struct krx *rx);
void kt_rx_end_pumping(struct krx *rx);

/*
 * Of what rules deliver only what matches goes into the ring. The rest is counted as passed, or as
 * dropped if its rule keeps it from the host. NULL: all. The filter stays the caller's, who keeps it.
 */
void kt_rx_want(struct krx *rx, const struct kt_pcapfilter *filter);

/* Tells everybody who waits that the ring moved or the state changed. */
void kt_rx_wake(struct krx *rx);

/* Sets what krx_why() says in this thread, and in others that had no error of their own. Returns -code. */
__attribute__((format(printf, 3, 4))) int kt_rx_err(struct krx *rx, int code, const char *fmt, ...);

/* A listener joins the ring, wherever that is. Any thread, pump_lock not held. Its cursor, or a negative error. */
int kt_rx_join(struct krx *rx, bool lossless);
/* It leaves. Any thread, pump_lock held. */
void kt_rx_leave(struct krx *rx, u32 cursor);

void kt_rx_stats(struct krx *rx, struct krx_stats *stats);

int kt_rules_init(struct krx *rx, struct ktrxer_err *err);
void kt_rules_destroy(struct krx *rx);
void kt_rule_set_free(struct kt_rule_set *set);

/* Units of a ring for so many bytes, 0: the default. -EINVAL: too large. */
int kt_ring_units(u64 bytes, u32 *n_units, struct ktrxer_err *err);
int kt_ring_memory_new(struct kt_ring_memory *m, u64 bytes, struct ktrxer_err *err);
/* Maps another process's: ring read-only, cursors writable. Takes the descriptors over, also when it fails. */
int kt_ring_memory_map(struct kt_ring_memory *m, int ring_fd, int cursor_fd, u32 n_units, struct ktrxer_err *err);
/* A descriptor of the ring to give away, which can map it read-only at most; the caller closes it. Or -errno. */
int kt_ring_memory_share(const struct kt_ring_memory *m);
void kt_ring_memory_free(struct kt_ring_memory *m);

/* Other processes. Sharing can begin at any time, and ends with the receiver. */
int kt_share_start(struct krx *rx, const char *path, struct ktrxer_err *err);
void kt_share_stop(struct krx *rx);
void kt_share_wake(struct krx *rx);
/* A receiver that the process at the other end of this socket owns. Takes the socket over, also when it fails. */
int kt_remote_open(struct krx **out, int sock, struct ktrxer_err *err);
int kt_remote_rules_replace(struct krx *rx, const struct krx_rule *rules, u32 n);
int kt_remote_rule_add(struct krx *rx, const struct krx_rule *rule, u32 *id);
int kt_remote_rule_delete(struct krx *rx, u32 id);
int kt_remote_rules_list(struct krx *rx, struct krx_rule *rules, struct krx_rule_stats *stats, u32 max);
int kt_remote_stats(struct krx *rx, struct krx_stats *stats);
int kt_remote_listen(struct krx_listener *l, struct krx *rx, struct ktrxer_err *err);
void kt_remote_unlisten(struct krx_listener *l);
int kt_remote_wait(struct krx_listener *l, u64 until_ns);
void kt_remote_close(struct krx *rx);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The owner's side of a shared receiver without its socket: which listeners
 * other processes have, and what is answered to the bytes of a request. Clients
 * are numbers here, whatever the caller tells them apart by.
 */
#ifndef KT_DESK_H
#define KT_DESK_H

#include "share.h"

/* A listener in another process. */
struct kt_guest {
	int client; /* whose it is; -1: free */
	int wake_sock; /* ours; the other end is the guest's */
	u32 cursor;
};

struct kt_desk {
	struct krx *rx;
	int ring_fd; /* read-only */
	pthread_mutex_t lock; /* guests; taken inside pump_lock */
	struct kt_guest guests[KT_RING_MAX_CURSORS];
};

/* A reply and what goes with it. */
struct kt_answer {
	struct kt_share_reply r;
	int fds[KT_SHARE_MAX_FDS];
	unsigned int n_fds;
	int own_fd; /* one of fds that the caller closes after sending; -1: none */
};

int kt_desk_open(struct kt_desk *d, struct krx *rx);
void kt_desk_close(struct kt_desk *d);

/*
 * Answers one request of that many bytes (more than there is room for: it was longer), which came with
 * these descriptors; they stay the caller's. False: hang up once the answer is sent.
 */
bool kt_desk_answer(struct kt_desk *d, int client, const struct kt_share_request *q, size_t bytes,
		    const int fds[KT_SHARE_MAX_FDS], struct kt_answer *a);

/* Frees a client's cursors. */
void kt_desk_forget(struct kt_desk *d, int client);

/* Wakes every guest. Never waits, whatever they do to their ends. */
void kt_desk_wake(struct kt_desk *d);

#endif

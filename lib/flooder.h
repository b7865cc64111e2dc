/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The inside of one ktx_flood(): flood.c knows numbers and fates,
 * flood_memory.c where the frames lie and by which way they go.
 */
#ifndef KT_FLOODER_H
#define KT_FLOODER_H

#include "sender.h"

/* A cell of a flood that repeats: what is in there from an earlier period. */
struct kt_flood_held {
	u64 place; /* 1 + the frame's place within the period; 0: nothing */
	u32 len;
};

struct kt_flooder {
	struct ktx *tx;
	const struct ktx_flood_opts *o;
	struct kt_lead lead; /* learned within the flood: another thread may be launching probes of the same sender */
	struct kt_flood mem; /* the batch; its frames [0, n_again) are there to try again */
	u64 *number; /* of each frame of the batch */
	u32 *attempts; /* of frames to try again, and of those that were in this batch */
	u32 n_retried; /* frames of the batch that were there to try again */
	u32 n_again;
	u64 next; /* number to fill next */
	u64 start_ns;
	struct kt_flood_held *held; /* by cell; NULL: no period, or the ordinary way */
	u64 place; /* of the number next within the period */
	bool too_long; /* fill() gave a frame that its cell cannot hold */
	bool reap_failed;
	bool plain; /* the ordinary way: the sender's own slots instead of flood memory */
	struct kt_txslot **cells;
	struct kt_txslot **batch; /* of the last launch */
	u32 *borrowed; /* items taken from the sender's free list */
};

/* Memory by the engine's fastest way, else the ordinary one. 0 or -errno with tx->why. */
int kt_flooder_open(struct kt_flooder *f);
void kt_flooder_close(struct kt_flooder *f);

/* Launches the batch's frames [from, n): as tx_flood of struct kt_engine. */
int kt_flooder_launch(struct kt_flooder *f, u32 from, u32 n);

static inline u8 *kt_flooder_cell(const struct kt_flooder *f, u32 cell)
{
	return f->plain ? f->cells[cell]->data : f->mem.cells + cell * f->mem.stride;
}

#endif

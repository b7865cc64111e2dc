/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The inside of engine `xdp`'s receiver: reading (engine_xdp_rx.c) and rule sets (engine_xdp_rules.c). */
#ifndef KT_ENGINE_XDP_RX_H
#define KT_ENGINE_XDP_RX_H

#include "engine_xdp.h"
#include "xdp_shared.h"

struct bpf_link;

/* A rule set in the kernel: the map that xdp_shared.h draws, seen through memory. */
struct kt_xdp_set_map {
	int fd; /* valid if cells is not NULL */
	u8 *cells;
	u32 n_cells;
	u32 set; /* cell of struct kt_xdp_set */
};

struct kt_xdp_rx {
	struct bpf_object *obj;
	int program_fd;
	int link_fd;
	int ring_fd;
	int totals_fd;
	int sets_fd;
	bool can_watch; /* failed redirections can be counted */
	struct bpf_link *watches[3];
	u32 n_watches;
	struct kt_xdp_control *control;
	unsigned long *consumer; /* the kernel reads it */
	void *ring; /* producer's position, and behind a page the data */
	u8 *data;
	u32 ring_bytes;
	unsigned long next; /* position behind what was peeked */
	bool polled; /* somebody polls our descriptor */
	int state;
	u64 checked_ns;
	struct kt_xdp_set_map set;
};

void kt_xdp_set_free(struct kt_xdp_set_map *m);

#endif

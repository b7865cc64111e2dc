/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer emulate: what its files share. */
#ifndef KT_EMULATE_H
#define KT_EMULATE_H

#include "../lib/emulator.h"
#include "cli.h"
#include "downs.h"
#include "out.h"

/* One direction as a person gives it. */
struct emulate_link {
	double loss;
	double loss_burst;
	double hold;
	u64 hold_time;
	u64 room;
	u64 room_packets;
	u64 rate;
	u64 overhead;
	double duplicate;
	double corrupt;
	u64 delay;
	u64 jitter;
	int jitter_kind; /* index in "uniform|exponential" */
	bool keep_order;
};

struct emulate_config {
	struct common common;
	const char *other; /* the second interface */
	struct emulate_link link[2];
	u64 seed;
	u64 duration;
	u64 pending;
	u64 ring_bytes;
	u64 spin;
	bool no_spin;
};

/* What the reports are about. */
struct emulate_run {
	const struct emulate_config *c;
	struct kt_emulator *emulator;
	struct ktrxer *const *ports;
	struct ktrxer_info port[2];
	struct downs downs[2];
	u64 started_ns; /* launch clock */
	u64 ended_ns;
	struct kt_emulator_stats stats[2];
};

/* emulate_report.c */
void emulate_text_start(struct out *out, const struct emulate_run *r);
void emulate_text_end(struct out *out, const struct emulate_run *r);
void emulate_json_end(struct out *out, const struct emulate_run *r);
/* The status line, from the counts now and at the last call. */
void emulate_status(struct emulate_run *r);

#endif

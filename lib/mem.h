/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The other side of engine mem, for tests and dry runs: what the hosts at the
 * ends of a wire got, and faults at will. Any thread. "end" is the name a port
 * is opened with, "WIRE/0" or "WIRE/1"; the other end of an open wire exists too,
 * opened or not. All return -ENOENT when no port of that wire is open.
 *
 * Wires whose names share what stands before the first dot ("lab.a", "lab.b")
 * share one clock, so that a path of several wires lives in one time.
 */
#ifndef KT_MEM_H
#define KT_MEM_H

#include "../core/env.h"

/* Frames that a host keeps for kt_mem_host_next(); older ones are only counted. */
#define KT_MEM_HOST_FRAMES 4096u
/* Frames that wait for a receiver, unless kt_mem_set_rx_room() says otherwise. */
#define KT_MEM_RX_FRAMES 65536u

/* Moves the host's oldest frame to buf: its length (cap bytes at most are written), or 0 when there is none yet. */
int kt_mem_host_next(const char *end, u8 *buf, u32 cap, u64 *stamp_ns);
/* Frames the host got so far. */
int kt_mem_host_count(const char *end, u64 *n);
/* The host sends a frame: it arrives at the other end. Returns what a launch would: 0 or -errno. */
int kt_mem_host_send(const char *end, const u8 *frame, u32 len);

/* Like ip link set up or down: a down end also takes the other's carrier. */
int kt_mem_set_up(const char *end, bool up);
int kt_mem_set_carrier(const char *end, bool carrier);
/* Like deleting one end of a veth pair: both ends are gone for good. */
int kt_mem_remove(const char *end);
int kt_mem_set_mtu(const char *end, u32 mtu);
/* The wire takes this long in both directions; frames never overtake each other. */
int kt_mem_set_delay(const char *end, u64 ns);

/* The driver refuses the next n frames with this errno. */
int kt_mem_refuse(const char *end, u32 n, int code);
/* The driver refuses frames by chance; the same seed refuses the same ones. ppb: parts per billion, 0 ends it. */
int kt_mem_refuse_randomly(const char *end, u32 ppb, int code, u64 seed);
/* At most this many frames wait for the receiver; the rest are lost_engine and go to the host. */
int kt_mem_set_rx_room(const char *end, u32 frames);
/* The next receiver or sender to be opened finds no memory. */
int kt_mem_fail_memory(const char *end);

#endif

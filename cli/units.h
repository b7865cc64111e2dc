/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Numbers for people. Each writes into buf (at least UNIT_CHARS) and returns it. */
#ifndef KT_UNITS_H
#define KT_UNITS_H

#include "../core/env.h"

#define UNIT_CHARS 40

/* 950 ns, 12.3 us, 4.56 ms, 1.23 s; always three digits or more. */
const char *unit_ns(char *buf, s64 ns);
/* 1.5 k, 12.3 M; with what behind it: unit_si(buf, 1.2e6, "pps") is "1.2 Mpps". */
const char *unit_si(char *buf, double v, const char *what);
/* 1,234,567 */
const char *unit_count(char *buf, u64 v);
/* 64 KiB, 1.5 MiB */
const char *unit_bytes(char *buf, u64 bytes);
/* 2026-11-21T06:45:00.123456789Z */
const char *unit_time(char *buf, u64 realtime_ns);

#endif

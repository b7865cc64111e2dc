/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer capture: packets as lines of text or JSON. */
#include "capture.h"

#include <time.h>

#include "frametext.h"

#define OFFSET_AGE_NS KT_NSEC_PER_SEC

static u64 now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (u64)t.tv_sec * KT_NSEC_PER_SEC + (u64)t.tv_nsec;
}

/* Arrival stamps of some engines are monotonic; the time of day beside them is asked for once a second. */
u64 capture_realtime(struct capture *cap, const struct krx_packet *p)
{
	clockid_t clock = p->clock == KTRXER_CLOCK_TAI ? CLOCK_TAI : CLOCK_MONOTONIC;

	if (p->clock != KTRXER_CLOCK_MONOTONIC && p->clock != KTRXER_CLOCK_TAI)
		return p->stamp_ns;
	if (!cap->offset_asked_ns || p->stamp_ns > cap->offset_asked_ns + OFFSET_AGE_NS) {
		u64 before = now(clock), real = now(CLOCK_REALTIME), after = now(clock);

		cap->offset_ns = (s64)(real - (before + (after - before) / 2));
		cap->offset_asked_ns = before;
	}
	return p->stamp_ns + (u64)cap->offset_ns;
}

static void time_of_day(char *buf, size_t n, u64 ns)
{
	time_t t = (time_t)(ns / KT_NSEC_PER_SEC);
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(buf, n, "%H:%M:%S", &tm);
}

static void text_line(struct out *out, const struct krx_packet *p, u64 ns)
{
	char clock[16], text[FRAME_TEXT];

	time_of_day(clock, sizeof(clock), ns);
	out_printf(out, "%s.%09u %c ", clock, (unsigned int)(ns % KT_NSEC_PER_SEC), p->outgoing ? '<' : '>');
	if (p->tag)
		out_printf(out, "tag %u ", p->tag);
	if (!p->slice_off)
		out_puts(out, frame_text(text, p->data, p->caplen, p->wirelen));
	else
		out_printf(out, "bytes %u to %u of %u", p->slice_off, p->slice_off + p->caplen, p->wirelen);
	out_puts(out, p->merged ? ", merged by GRO\n" : "\n");
}

static void json_line(struct out *out, const struct krx_packet *p, u64 ns)
{
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	json_text(&j, "type", "packet");
	json_u64(&j, "time_ns", ns);
	json_u64(&j, "stamp_ns", p->stamp_ns);
	json_text(&j, "clock", ktrxer_clock_name(p->clock));
	json_u64(&j, "seq", p->seq);
	json_text(&j, "direction", p->outgoing ? "out" : "in");
	json_u64(&j, "ifindex", p->ifindex);
	json_u64(&j, "rule", p->rule_id);
	json_u64(&j, "tag", p->tag);
	json_u64(&j, "caplen", p->caplen);
	json_u64(&j, "wirelen", p->wirelen);
	json_u64(&j, "lost_before", p->lost_before);
	if (p->merged)
		json_bool(&j, "merged", true);
	if (p->truncated)
		json_bool(&j, "truncated", true);
	if (p->slice_off) {
		json_u64(&j, "slice_off", p->slice_off);
		json_hex(&j, "data", p->data, p->caplen);
	} else {
		frame_json(&j, p->data, p->caplen, p->wirelen);
	}
	json_end(&j);
}

void capture_line(struct capture *cap, const struct krx_packet *p, u64 realtime_ns)
{
	if (cap->c->common.json)
		json_line(cap->out, p, realtime_ns);
	else
		text_line(cap->out, p, realtime_ns);
}

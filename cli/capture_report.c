/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer capture: counters by cause. */
#include "capture.h"

#include "status.h"
#include "table.h"
#include "units.h"

static const struct {
	const char *name, *key;
	size_t offset;
	bool always;
} counters[] = {
	{ "seen", "seen", offsetof(struct krx_stats, seen), true },
	{ "delivered", "delivered", offsetof(struct krx_stats, delivered), true },
	{ "dropped by rules", "dropped", offsetof(struct krx_stats, dropped), false },
	{ "passed", "passed", offsetof(struct krx_stats, passed), true },
	{ "forwarded", "forwarded", offsetof(struct krx_stats, forwarded), false },
	{ "lost: no room in the ring", "lost_ring", offsetof(struct krx_stats, lost_ring), false },
	{ "lost: no room in the kernel", "lost_engine", offsetof(struct krx_stats, lost_engine), false },
	{ "lost: could not be read or forwarded", "lost_error", offsetof(struct krx_stats, lost_error), false },
	{ "merged by GRO", "merged", offsetof(struct krx_stats, merged), false },
	{ "malformed", "malformed", offsetof(struct krx_stats, malformed), false },
	{ "hooks that had got in front", "displaced", offsetof(struct krx_stats, displaced), false },
};

static u64 counter(const struct krx_stats *s, unsigned int i)
{
	u64 v;

	memcpy(&v, (const u8 *)s + counters[i].offset, sizeof(v));
	return v;
}

void capture_status(struct capture *cap)
{
	struct krx_listener_stats l = { 0 };
	struct krx_stats s = { 0 };
	char a[UNIT_CHARS], b[UNIT_CHARS];
	u64 packets = 0, bytes = 0, overrun = 0;

	krx_get_stats(cap->rx, &s);
	for (unsigned int i = 0; i < cap->n_streams; i++) {
		krx_listener_get_stats(cap->stream[i].listener, &l);
		packets += cap->stream[i].packets;
		bytes += cap->stream[i].bytes;
		overrun += l.lost_overrun;
	}
	status_show("seen %s, captured %s (%s), lost %llu in the ring, %llu in the kernel, %llu overrun",
		    unit_count(a, s.seen), unit_count(b, packets), unit_bytes((char[UNIT_CHARS]){ 0 }, bytes),
		    (unsigned long long)s.lost_ring, (unsigned long long)s.lost_engine, (unsigned long long)overrun);
}

void capture_text(struct capture *cap, struct out *out)
{
	struct krx_stats s = { 0 };
	char a[UNIT_CHARS], b[UNIT_CHARS];
	struct table t;

	krx_get_stats(cap->rx, &s);
	table_init(&t, "\t>");
	for (unsigned int i = 0; i < KT_ARRAY_LEN(counters); i++)
		if (counters[i].always || counter(&s, i))
			table_row(&t, "%s\t%s", counters[i].name, unit_count(a, counter(&s, i)));
	table_end(&t, out, 0);
	table_init(&t, "listener\t>captured\t>bytes\t>overrun\t>held\t>files");
	for (unsigned int i = 0; i < cap->n_streams; i++) {
		const struct stream *st = &cap->stream[i];
		struct krx_listener_stats l = { 0 };

		krx_listener_get_stats(st->listener, &l);
		table_row(&t, "%.200s\t%s\t%s\t%llu\t%llu\t%llu", st->path ? st->path : "standard output",
			  unit_count(a, st->packets), unit_bytes(b, st->bytes), (unsigned long long)l.lost_overrun,
			  (unsigned long long)l.held, (unsigned long long)st->file_number);
	}
	table_end(&t, out, 0);
	if (s.not_first)
		out_printf(out, "another hook stands in front of ours: what it drops or changes was not seen\n");
	for (unsigned int i = 0; i < cap->n_streams; i++)
		if (cap->stream[i].not_frames)
			out_printf(out, "%s slices do not start with the link header: %s cannot hold them\n",
				   unit_count(a, cap->stream[i].not_frames), cap->stream[i].path);
}

void capture_json(struct capture *cap)
{
	struct krx_stats s = { 0 };
	struct json j;

	krx_get_stats(cap->rx, &s);
	json_init(&j, cap->out);
	json_object(&j, NULL);
	json_text(&j, "type", "summary");
	for (unsigned int i = 0; i < KT_ARRAY_LEN(counters); i++)
		json_u64(&j, counters[i].key, counter(&s, i));
	json_u64(&j, "seen_bytes", s.seen_bytes);
	json_bool(&j, "not_first", s.not_first);
	json_u64(&j, "times_down", cap->downs.n);
	json_array(&j, "listeners");
	for (unsigned int i = 0; i < cap->n_streams; i++) {
		const struct stream *st = &cap->stream[i];
		struct krx_listener_stats l = { 0 };

		krx_listener_get_stats(st->listener, &l);
		json_object(&j, NULL);
		json_text(&j, "file", st->path);
		json_u64(&j, "packets", st->packets);
		json_u64(&j, "bytes", st->bytes);
		json_u64(&j, "filtered_out", st->skipped);
		json_u64(&j, "not_frames", st->not_frames);
		json_u64(&j, "delivered", l.delivered);
		json_u64(&j, "lost_overrun", l.lost_overrun);
		json_u64(&j, "held", l.held);
		json_u64(&j, "files", st->file_number);
		json_bool(&j, "lossless", st->lossless);
		json_end(&j);
	}
	json_end(&j);
	json_bool(&j, "interrupted", cap->ended_early);
	json_end(&j);
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer capture: one listener's packets into its file, rotated, or into lines. */
#include "capture.h"

#include <stdio.h>
#include <unistd.h>

#include "host.h"
#include "meta.h"

#define NAME_MAX_BYTES 4096

static bool rotates(const struct stream *s)
{
	return s->rotate_size || s->rotate_ns || s->rotate_count;
}

/* "a.pcapng" becomes "a_00001.pcapng". */
static const char *file_name(const struct stream *s, u64 number, char *buf)
{
	const char *dot = strrchr(s->path, '.'), *slash = strrchr(s->path, '/');

	if (!rotates(s))
		return s->path;
	if (!dot || (slash && dot < slash))
		dot = s->path + strlen(s->path);
	snprintf(buf, NAME_MAX_BYTES, "%.*s_%05llu%s", (int)(dot - s->path), s->path, (unsigned long long)number, dot);
	return buf;
}

static bool is_pcap(const struct stream *s)
{
	size_t n = strlen(s->path);

	if (s->format != CAPTURE_BY_NAME)
		return s->format == CAPTURE_PCAP;
	return n > 5 && !strcmp(s->path + n - 5, ".pcap");
}

static int open_file(struct stream *s, struct capture *cap)
{
	struct kt_pcapwrite_opts o = { .format = is_pcap(s) ? KT_PCAPWRITE_PCAP : KT_PCAPWRITE_PCAPNG,
				       .application = "ktrxer " KTRXER_VERSION };
	struct kt_pcapwrite_interface i = { .name = cap->ifname, .filter = s->filter_text };
	struct ktrxer_err err = { 0 };
	struct ktrxer_info info;
	char name[NAME_MAX_BYTES], os[200];
	struct host h;
	int r;

	host_read(&h);
	snprintf(os, sizeof(os), "Linux %s %s", h.kernel, h.machine);
	o.os = os;
	s->file_number = 1;
	r = kt_pcapwrite_open(&s->w, file_name(s, 1, name), &o, &err);
	if (r)
		return cli_fail(CLI_FAILURE, "%s", err.text);
	if (cap->port && !ktrxer_get_info(cap->port, &info)) {
		i.mac = info.mac;
		i.description = info.engine;
	}
	r = kt_pcapwrite_interface(s->w, &i, &err);
	if (r < 0)
		return cli_fail(CLI_FAILURE, "%s", err.text);
	s->interface = (u32)r;
	s->file_start_ns = meta_now();
	return kt_pcapwrite_flush(s->w, &err) ? cli_fail(CLI_FAILURE, "%s", err.text) : CLI_OK;
}

int stream_open(struct stream *s, struct capture *cap)
{
	KTRXER_OPTS(krx_listen_opts, o);
	struct ktrxer_err err = { 0 };
	int r = s->path ? open_file(s, cap) : CLI_OK;

	if (r)
		return r;
	o.lossless = s->lossless;
	r = krx_listen(&s->listener, cap->rx, &o, &err);
	return r ? cli_fail_err(&err, NULL) : CLI_OK;
}

static void put_statistics(struct stream *s, struct capture *cap)
{
	struct kt_pcapwrite_statistics st = { .start_ns = cap->start_ns,
					      .end_ns = meta_now(),
					      .delivered = s->packets };
	struct krx_listener_stats l;
	struct krx_stats k;

	if (is_pcap(s) || !s->listener || krx_get_stats(cap->rx, &k) || krx_listener_get_stats(s->listener, &l))
		return;
	st.received = k.seen;
	st.dropped = k.lost_ring + k.lost_engine + l.lost_overrun;
	kt_pcapwrite_statistics(s->w, s->interface, &st, NULL);
}

static int next_file(struct stream *s, struct capture *cap)
{
	struct ktrxer_err err = { 0 };
	char name[NAME_MAX_BYTES];

	put_statistics(s, cap);
	if (s->files && s->file_number >= s->files)
		unlink(file_name(s, s->file_number - s->files + 1, name));
	s->file_number++;
	s->file_packets = 0;
	s->file_start_ns = meta_now();
	if (kt_pcapwrite_next(s->w, file_name(s, s->file_number, name), &err))
		return cli_fail(CLI_FAILURE, "%s", err.text);
	return CLI_OK;
}

int stream_tick(struct stream *s, struct capture *cap, u64 now_ns)
{
	if (!s->rotate_ns || now_ns < s->file_start_ns + s->rotate_ns)
		return CLI_OK;
	return next_file(s, cap);
}

static bool wanted(const struct stream *s, const struct capture *cap, const struct krx_packet *p)
{
	if (s->tagged && p->tag != s->tag)
		return false;
	if (cap->c->direction != CAPTURE_BOTH && p->outgoing != (cap->c->direction == CAPTURE_OUT))
		return false;
	if (!s->filter || cap->only_filter)
		return true;
	return !p->slice_off && kt_pcapfilter_match(s->filter, p->data, p->caplen, p->wirelen);
}

int stream_take(struct stream *s, struct capture *cap, const struct krx_packet *p)
{
	struct kt_pcapwrite_packet w = { .data = p->data,
					 .caplen = p->caplen,
					 .wirelen = p->wirelen,
					 .interface = s->interface,
					 .direction = p->outgoing ? KT_PCAPWRITE_OUT : KT_PCAPWRITE_IN };
	struct ktrxer_err err = { 0 };
	u64 at;
	int r;

	if (!wanted(s, cap, p)) {
		s->skipped++;
		return CLI_OK;
	}
	at = capture_realtime(cap, p);
	s->packets++;
	s->bytes += p->wirelen;
	if (!s->path) {
		capture_line(cap, p, at);
		return CLI_OK;
	}
	/* A slice that starts behind the link header is no frame, and the file says that all are. */
	if (p->slice_off) {
		s->not_frames++;
		return CLI_OK;
	}
	if ((s->rotate_count && s->file_packets >= s->rotate_count) ||
	    (s->rotate_size && s->file_packets && kt_pcapwrite_bytes(s->w) >= s->rotate_size)) {
		r = next_file(s, cap);
		if (r)
			return r;
	}
	w.stamp_ns = at;
	s->file_packets++;
	if (kt_pcapwrite_packet(s->w, &w, &err))
		return cli_fail(CLI_FAILURE, "%s", err.text);
	return CLI_OK;
}

int stream_flush(struct stream *s)
{
	struct ktrxer_err err = { 0 };

	if (s->w && kt_pcapwrite_flush(s->w, &err))
		return cli_fail(CLI_FAILURE, "%s", err.text);
	return CLI_OK;
}

int stream_close(struct stream *s, struct capture *cap)
{
	struct ktrxer_err err = { 0 };
	int r = CLI_OK;

	if (s->w) {
		put_statistics(s, cap);
		if (kt_pcapwrite_close(s->w, &err))
			r = cli_fail(CLI_FAILURE, "%s", err.text);
		s->w = NULL;
	}
	if (s->listener)
		krx_unlisten(s->listener);
	s->listener = NULL;
	return r;
}

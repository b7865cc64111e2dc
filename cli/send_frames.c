/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer send: a capture file read into memory, rewritten once. */
#include "send.h"

#include <stdlib.h>

#include "../lib/pcapfile.h"

#define FRAMES_BYTES_MAX (4ull << 30)
#define FRAME_MIN KT_ETH_BYTES

static int add(struct send_frames *f, u32 *cap, const struct kt_pcapfile_packet *p, u32 len, u64 at_ns)
{
	struct send_frame *frame;

	if (f->n == *cap) {
		u32 more = *cap ? *cap * 2 : 256;
		struct send_frame *v = realloc(f->v, more * sizeof(*v));

		if (!v)
			return -ENOMEM;
		f->v = v;
		*cap = more;
	}
	frame = &f->v[f->n];
	frame->data = calloc(1, len + KT_VLAN_BYTES);
	if (!frame->data)
		return -ENOMEM;
	memcpy(frame->data, p->data, p->caplen < len ? p->caplen : len);
	frame->len = len;
	frame->at_ns = at_ns;
	f->n++;
	return 0;
}

/* Reads the file; what stands before a fault in it is not sent: half a file is not what was asked for. */
static int read_all(struct send_frames *f, struct kt_pcapfile *file, const struct send_config *c,
		    struct ktrxer_err *err)
{
	struct kt_pcapfile_packet p;
	u64 first_ns = 0, last_ns = 0;
	u32 cap = 0;
	int r = 0;

	while ((!c->count || f->n < c->count) && (r = kt_pcapfile_next(file, &p, err)) > 0) {
		bool cut = p.caplen < p.wirelen;
		u32 len = cut && c->truncated == SEND_TRUNCATED_PAD ? p.wirelen : p.caplen;

		f->n_truncated += cut;
		if (len < FRAME_MIN || (cut && c->truncated == SEND_TRUNCATED_SKIP))
			continue;
		if (!f->n)
			first_ns = last_ns = p.stamp_ns;
		if (p.stamp_ns < last_ns) {
			f->n_backwards++;
			p.stamp_ns = last_ns;
		}
		last_ns = p.stamp_ns;
		f->bytes += len;
		if (f->bytes > FRAMES_BYTES_MAX || add(f, &cap, &p, len, p.stamp_ns - first_ns)) {
			*err = (struct ktrxer_err){ .code = ENOMEM, .text = "the file does not fit into memory" };
			return -ENOMEM;
		}
	}
	return r;
}

int send_load(struct send_frames *f, const char *path, const struct send_config *c)
{
	struct ktrxer_err err = { 0 };
	struct send_rewriter *rewriter;
	struct kt_pcapfile *file;
	int r;

	*f = (struct send_frames){ 0 };
	r = send_rewriter_new(&rewriter, c);
	if (r)
		return r;
	r = kt_pcapfile_open(&file, path, &err);
	if (r) {
		send_rewriter_free(rewriter);
		return cli_fail(err.code == EOPNOTSUPP ? CLI_ENVIRONMENT : CLI_USAGE, "%s", err.text);
	}
	r = read_all(f, file, c, &err);
	kt_pcapfile_close(file);
	if (r < 0) {
		send_rewriter_free(rewriter);
		return cli_fail(r == -ENOMEM ? CLI_FAILURE : CLI_USAGE, "%s", err.text);
	}
	f->bytes = 0;
	for (u32 i = 0; i < f->n; i++) {
		struct send_frame *frame = &f->v[i];

		frame->len = send_rewrite(rewriter, frame->data, frame->len);
		f->max_len = frame->len > f->max_len ? frame->len : f->max_len;
		f->bytes += frame->len;
	}
	send_rewriter_free(rewriter);
	return f->n ? CLI_OK : cli_fail(CLI_USAGE, "%s: no frame to send", path);
}

void send_unload(struct send_frames *f)
{
	for (u32 i = 0; i < f->n; i++)
		free(f->v[i].data);
	free(f->v);
	*f = (struct send_frames){ 0 };
}

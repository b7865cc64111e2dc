/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Sends numbered frames through one engine until it is interrupted, and then
 * says what became of them.
 *
 *   tx PORT FRAME_BYTES flood|batch     (PORT as for ktrxer_open: packet:eth0)
 *
 * "flood" is ktx_flood, the way of scans and replays; "batch" is ktx_submit
 * in trains of 64, the way of probes, each with its own completion.
 */
#include <inttypes.h>
#include <signal.h>

#include "bench/veth.h"
#include "include/ktrxer.h"

static volatile sig_atomic_t stopped;
static uint32_t frame_bytes;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

static uint32_t fill(void *ctx, uint64_t i, uint8_t *buf)
{
	(void)ctx;
	return bench_frame(buf, frame_bytes, i);
}

static bool stop(void *ctx)
{
	(void)ctx;
	return stopped;
}

static int flood(struct ktx *tx)
{
	KTRXER_OPTS(ktx_flood_opts, o);

	o.count = UINT64_MAX / 2;
	o.max_frame = frame_bytes;
	o.fill = fill;
	o.stop = stop;
	return ktx_flood(tx, &o);
}

static int batches(struct ktx *tx)
{
	static uint8_t buf[64][2048];
	struct ktx_probe p[64];
	struct ktx_done d[256];
	uint64_t i = 0;

	while (!stopped) {
		for (unsigned int k = 0; k < 64; k++)
			p[k] = (struct ktx_probe){ .frame = buf[k],
						   .len = bench_frame(buf[k], frame_bytes, i),
						   .id = i++,
						   .flags = k < 63 ? KTX_TRAIN : 0 };
		if (ktx_submit(tx, p, 64) != 64)
			return -1;
		ktx_run(tx, 0);
		while (ktx_complete(tx, d, 256) > 0)
			;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct ktrxer_err err = { 0 };
	struct ktrxer_info info;
	struct ktrxer *port;
	struct ktx_stats s;
	struct ktx *tx;
	int ret;

	if (argc != 4 || (strcmp(argv[3], "flood") && strcmp(argv[3], "batch"))) {
		fprintf(stderr, "usage: tx PORT FRAME_BYTES flood|batch\n");
		return 2;
	}
	frame_bytes = (uint32_t)atoi(argv[2]);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (ktrxer_open(&port, argv[1], NULL, &err) || ktx_open(&tx, port, NULL, &err)) {
		fprintf(stderr, "tx: %s\n", err.text);
		return 1;
	}
	ret = argv[3][0] == 'f' ? flood(tx) : batches(tx);
	if (ret && ret != -EINTR)
		fprintf(stderr, "tx: %s\n", ktx_why(tx));
	ktrxer_get_info(port, &info);
	ktx_get_stats(tx, &s);
	printf("{\"engine\":\"%s\",\"mode\":\"%s\",\"submitted\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"failed\":%" PRIu64
	       ",\"cancelled\":%" PRIu64 ",\"pending\":%" PRIu64 "}\n",
	       info.engine, info.mode, s.submitted, s.sent, s.failed, s.cancelled, s.pending);
	ktx_close(tx);
	ktrxer_close(port);
	return s.submitted == s.sent + s.failed + s.late + s.cancelled + s.pending ? 0 : 1;
}

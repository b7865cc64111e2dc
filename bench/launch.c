/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * How exactly do probes leave? Launch time less scheduled time of COUNT
 * probes every INTERVAL ns through one engine, over veth, or out of the
 * interface that is named. One JSON line. Each frame has its number and the time for which it was meant.
 *
 *   launch ENGINE INTERVAL_NS COUNT FIFO_PRIORITY SPIN_NS [IFNAME]
 */
#include <inttypes.h>

#include "bench/veth.h"
#include "core/histogram.h"
#include "include/ktrxer.h"

static void report(const char *engine, uint64_t interval, const struct ktx_stats *s, const struct kt_histogram *h,
		   const struct kt_histogram *call)
{
	static const struct {
		const char *name;
		u32 permille;
	} q[] = { { "p50", 500 }, { "p90", 900 }, { "p99", 990 }, { "p999", 999 }, { "max", 1000 } };

	printf("{\"bench\":\"launch\",\"engine\":\"%s\",\"interval_ns\":%" PRIu64 ",\"fifo\":%s,\"sent\":%" PRIu64
	       ",\"failed\":%" PRIu64 ",\"early\":%" PRIu64 ",\"error_ns\":{",
	       engine, interval, s->fifo ? "true" : "false", s->sent, s->failed, h->n_negative);
	for (size_t i = 0; i < sizeof(q) / sizeof(q[0]); i++)
		printf("%s\"%s\":%" PRId64, i ? "," : "", q[i].name, kt_histogram_quantile(h, q[i].permille));
	printf("},\"call_ns\":{\"p50\":%" PRId64 ",\"p99\":%" PRId64 "}}\n", kt_histogram_quantile(call, 500),
	       kt_histogram_quantile(call, 990));
}

int main(int argc, char **argv)
{
	static struct kt_histogram error, call;
	KTRXER_OPTS(ktrxer_opts, po);
	KTRXER_OPTS(ktx_opts, o);
	struct ktrxer_err err = { 0 };
	struct ktrxer *port;
	struct ktx *tx;
	struct ktx_stats s;
	unsigned char buf[64];
	uint64_t interval, start;
	unsigned int count, submitted = 0, done = 0;

	if (argc != 6 && argc != 7) {
		fprintf(stderr, "usage: launch ENGINE INTERVAL_NS COUNT FIFO_PRIORITY SPIN_NS [IFNAME]\n");
		return 2;
	}
	interval = strtoull(argv[2], NULL, 10);
	count = (unsigned int)strtoul(argv[3], NULL, 10);
	po.engine = argv[1];
	o.thread = true;
	o.fifo_priority = atoi(argv[4]);
	o.spin_ns = strtoull(argv[5], NULL, 10);
	if (argc < 7)
		bench_veth();
	if (ktrxer_open(&port, argc < 7 ? "bench0" : argv[6], &po, &err) || ktx_open(&tx, port, &o, &err)) {
		fprintf(stderr, "launch: %s\n", err.text);
		return 1;
	}
	kt_histogram_init(&error);
	kt_histogram_init(&call);
	start = ktrxer_now(port) + 50000000;
	while (done < count) {
		struct ktx_done d[64];
		int n;

		while (submitted < count && submitted - done < 1024) {
			struct ktx_probe p = { .frame = buf, .len = 60, .id = submitted };

			bench_frame(buf, 60, submitted);
			p.launch_ns = start + submitted++ * interval;
			memcpy(buf + 22, &p.launch_ns, sizeof(p.launch_ns));
			ktx_submit(tx, &p, 1);
		}
		ktx_wait(tx, 1000000000);
		n = ktx_complete(tx, d, 64);
		for (int i = 0; i < n; i++, done++) {
			if (d[i].status != KTX_SENT)
				continue;
			kt_histogram_add(&error, (s64)(d[i].launch_ns - d[i].scheduled_ns));
			kt_histogram_add(&call, (s64)(d[i].returned_ns - d[i].launch_ns));
		}
	}
	ktx_get_stats(tx, &s);
	report(argv[1], interval, &s, &error, &call);
	ktx_close(tx);
	ktrxer_close(port);
	return 0;
}

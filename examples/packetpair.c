/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * packetpair INTERFACE ADDRESS [PAIRS]: the narrowest link on the way. Two frames
 * leave back-to-back; the slow link spreads them by its time for one of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <ktrxer.h>

#define MS 1000000ull
#define MAX 200

static int by_value(const void *a, const void *b)
{
	return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

static int fail(const char *why)
{
	fprintf(stderr, "packetpair: %s\n", why);
	return 1;
}

int main(int argc, char **argv)
{
	KTRXER_OPTS(ktrxer_probe, probe);
	KTRXER_OPTS(ktx_opts, tx_opts);
	struct ktrxer_addr target;
	struct ktrxer_path path;
	struct ktrxer_match m;
	struct ktrxer_err err;
	struct krx_listener *in;
	struct krx_packet p;
	struct krx_rule rules[4];
	struct ktrxer *port;
	struct ktx *tx;
	struct krx *rx;
	static uint8_t frame[2][2048];
	static uint64_t seen[2 * MAX];
	double mbits[MAX];
	int pairs = argc > 3 ? atoi(argv[3]) : 50, n = 0;
	unsigned int n_rules;

	if (argc < 3 || ktrxer_addr_parse(&target, argv[2]) || pairs < 1 || pairs > MAX)
		return fail("usage: packetpair INTERFACE ADDRESS [PAIRS up to 200]");
	tx_opts.thread = true;
	probe.payload_bytes = 1400;
	(void)!getrandom(probe.key, sizeof(probe.key), 0);
	if (ktrxer_open(&port, argv[1], NULL, &err) || ktrxer_path_find(port, &target, &path, 1000 * MS, &err) ||
	    ktx_open(&tx, port, &tx_opts, &err) || krx_open(&rx, port, NULL, &err) || krx_listen(&in, rx, NULL, &err))
		return fail(err.text);
	n_rules = (unsigned int)ktrxer_probe_rules(&probe, target.version, KRX_CAPTURE, rules, 4);
	if (krx_rules_replace(rx, rules, n_rules))
		return fail(krx_why(rx));
	uint64_t start = ktrxer_now(port) + 10 * MS, end = start + (unsigned int)pairs * 20 * MS + 500 * MS;
	for (unsigned int i = 0; i < (unsigned int)pairs; i++) {
		struct ktx_probe pair[2] = { { .flags = KTX_TRAIN } };
		for (unsigned int j = 0; j < 2; j++) {
			int len = ktrxer_probe_build(&probe, &path, &target, 2 * i + j, 0, frame[j], 2048);
			pair[j].len = (uint32_t)len, pair[j].frame = frame[j], pair[j].launch_ns = start + i * 20 * MS;
		}
		if (ktx_submit(tx, pair, 2) != 2)
			return fail(ktx_why(tx));
	}
	while (ktrxer_now(port) < end)
		if (krx_next(in, &p, 10 * MS) == 1 && ktrxer_probe_match(&probe, p.data, p.caplen, &m))
			seen[m.seq % (2 * MAX)] = p.stamp_ns;
	for (int i = 0; i < pairs; i++)
		if (seen[2 * i] && seen[2 * i + 1] > seen[2 * i]) /* 24: preamble, FCS and gap of Ethernet */
			mbits[n++] = (14 + 20 + 8 + 1400 + 24) * 8e3 / (double)(seen[2 * i + 1] - seen[2 * i]);
	qsort(mbits, (size_t)n, sizeof(mbits[0]), by_value);
	printf("%d pairs sent, %d came back, median %.2f Mbit/s\n", pairs, n, n ? mbits[n / 2] : 0.0);
	krx_unlisten(in);
	krx_close(rx);
	ktx_close(tx);
	ktrxer_close(port);
	return n == 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * ping INTERFACE ADDRESS [COUNT]: an echo request every 10 ms, launched by a
 * thread of the library's, and the round-trip time by the kernel's stamp.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <ktrxer.h>

#define MS 1000000ull
#define MAX 1000

static uint64_t launched[MAX];

static int fail(const char *why)
{
	fprintf(stderr, "ping: %s\n", why);
	return 1;
}

int main(int argc, char **argv)
{
	KTRXER_OPTS(ktrxer_probe, probe); /* zero: ICMP echo */
	KTRXER_OPTS(ktx_opts, tx_opts);
	struct ktrxer_info info;
	struct ktrxer_addr target;
	struct ktrxer_path path;
	struct ktrxer_match m;
	struct ktrxer_err err;
	struct krx_listener *listener;
	struct krx_packet p;
	struct krx_rule rules[4];
	struct ktx_done done;
	struct ktrxer *port;
	struct ktx *tx;
	struct krx *rx;
	uint8_t frame[2048];
	int count = argc > 3 ? atoi(argv[3]) : 5, answers = 0, n;

	if (argc < 3 || ktrxer_addr_parse(&target, argv[2]) || count < 1 || count > MAX)
		return fail("usage: ping INTERFACE ADDRESS [COUNT up to 1000]");
	tx_opts.thread = true;
	probe.payload_bytes = 56;
	(void)!getrandom(probe.key, sizeof(probe.key), 0);
	if (ktrxer_open(&port, argv[1], NULL, &err) || ktrxer_get_info(port, &info) ||
	    ktrxer_path_find(port, &target, &path, 1000 * MS, &err) || ktx_open(&tx, port, &tx_opts, &err) ||
	    krx_open(&rx, port, NULL, &err) || krx_listen(&listener, rx, NULL, &err))
		return fail(err.text);
	n = ktrxer_probe_rules(&probe, target.version, KRX_CAPTURE, rules, 4);
	if (krx_rules_replace(rx, rules, (unsigned int)n))
		return fail(krx_why(rx));

	uint64_t start = ktrxer_now(port) + 10 * MS, end = start + (unsigned int)count * 10 * MS + 1000 * MS;
	for (uint64_t i = 0; i < (uint64_t)count; i++) {
		struct ktx_probe shot = { .frame = frame, .id = i, .launch_ns = start + i * 10 * MS };
		shot.len =
			(uint32_t)ktrxer_probe_build(&probe, &path, &target, i, shot.launch_ns, frame, sizeof(frame));
		if (ktx_submit(tx, &shot, 1) != 1)
			return fail(ktx_why(tx));
	}
	while (answers < count && ktrxer_now(port) < end) {
		if (krx_next(listener, &p, 10 * MS) != 1 || !ktrxer_probe_match(&probe, p.data, p.caplen, &m))
			continue;
		while (ktx_complete(tx, &done, 1) == 1)
			launched[done.id] = done.launch_ns;
		uint64_t at = ktrxer_convert(port, p.stamp_ns, p.clock, info.clock);
		printf("%s seq=%" PRIu64 " ttl=%u time=%.3f ms\n", ktrxer_answer_name(m.answer), m.seq, m.ttl,
		       (double)(int64_t)(at - launched[m.seq]) / 1e6);
		answers++;
	}
	printf("%d sent, %d answered, by engine %s\n", count, answers, info.engine);
	krx_unlisten(listener);
	krx_close(rx);
	ktx_close(tx);
	ktrxer_close(port);
	return answers == 0;
}

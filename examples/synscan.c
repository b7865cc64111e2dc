/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * synscan INTERFACE ADDRESS PORT-PORT: which TCP ports are open? Answers are captured
 * and dropped before our kernel sees them, so no RST tells the target of the scan.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <ktrxer.h>

#define MS 1000000ull

static struct ktrxer_path path;
static struct ktrxer_addr target;
static unsigned int lo, hi;

static uint32_t fill(void *probe, uint64_t i, uint8_t *buf)
{
	struct ktrxer_probe one = *(const struct ktrxer_probe *)probe;

	one.dport = (uint16_t)(lo + i);
	int len = ktrxer_probe_build(&one, &path, &target, i, 0, buf, 128);
	return len > 0 ? (uint32_t)len : 0;
}

static int fail(const char *why)
{
	fprintf(stderr, "synscan: %s\n", why);
	return 1;
}

int main(int argc, char **argv)
{
	KTRXER_OPTS(ktrxer_opts, opts);
	KTRXER_OPTS(ktrxer_probe, probe);
	KTRXER_OPTS(ktx_flood_opts, flood);
	struct ktrxer_match m;
	struct ktrxer_err err;
	struct krx_listener *in;
	struct krx_packet p;
	struct krx_rule rules[4];
	struct ktrxer *port;
	struct ktx *tx;
	struct krx *rx;
	unsigned int answered = 0, open = 0, n_rules;

	if (argc != 4 || ktrxer_addr_parse(&target, argv[2]) || sscanf(argv[3], "%u-%u", &lo, &hi) != 2 || lo < 1 ||
	    hi < lo || hi > 65535)
		return fail("usage: synscan INTERFACE ADDRESS PORT-PORT");
	opts.need_drop = true;
	probe.kind = KTRXER_PROBE_SYN;
	(void)!getrandom(probe.key, sizeof(probe.key), 0);
	if (ktrxer_open(&port, argv[1], &opts, &err) || ktrxer_path_find(port, &target, &path, 1000 * MS, &err) ||
	    krx_open(&rx, port, NULL, &err) || krx_listen(&in, rx, NULL, &err) || ktx_open(&tx, port, NULL, &err))
		return fail(err.text);
	n_rules = (unsigned int)ktrxer_probe_rules(&probe, target.version, KRX_CAPTURE_DROP, rules, 4);
	if (krx_rules_replace(rx, rules, n_rules))
		return fail(krx_why(rx));
	flood.count = hi - lo + 1;
	flood.max_frame = 128;
	flood.rate_num = 10000;
	flood.max_attempts = 10;
	flood.fill = fill, flood.ctx = &probe;
	if (ktx_flood(tx, &flood))
		return fail(ktx_why(tx));
	while (answered < flood.count && krx_next(in, &p, 1000 * MS) == 1) {
		if (!ktrxer_probe_match(&probe, p.data, p.caplen, &m))
			continue;
		answered++;
		if (m.answer == KTRXER_ANSWER_SYNACK && ++open)
			printf("%s %u open\n", argv[2], m.port);
	}
	printf("%u ports probed, %u answered, %u open\n", hi - lo + 1, answered, open);
	krx_unlisten(in);
	krx_close(rx);
	ktx_close(tx);
	ktrxer_close(port);
	return 0;
}

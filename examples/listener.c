/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * listener INTERFACE RULE [COUNT]: prints what a rule delivers, one line a
 * packet, until COUNT packets came or three seconds passed without one.
 *
 *   listener eth0 "capture proto udp dport 53" 100
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <ktrxer.h>

static int fail(const char *why)
{
	fprintf(stderr, "listener: %s\n", why);
	return 1;
}

int main(int argc, char **argv)
{
	struct krx_listener_stats mine;
	struct krx_listener *listener;
	struct krx_packet p;
	struct krx_stats all;
	struct krx_rule rule;
	struct ktrxer_err err;
	struct ktrxer *port;
	struct krx *rx;
	uint64_t count = argc > 3 ? strtoull(argv[3], NULL, 10) : UINT64_MAX;

	if (argc < 3)
		return fail("usage: listener INTERFACE RULE [COUNT]");
	if (krx_rule_parse(&rule, argv[2], &err) || ktrxer_open(&port, argv[1], NULL, &err) ||
	    krx_open(&rx, port, NULL, &err) || krx_listen(&listener, rx, NULL, &err))
		return fail(err.text);
	if (krx_rules_replace(rx, &rule, 1))
		return fail(krx_why(rx));
	fprintf(stderr, "listening\n");
	while (count-- && krx_next(listener, &p, 3000000000ull) == 1) {
		printf("%" PRIu64 ".%09" PRIu64 " #%" PRIu64 " %u of %u bytes:", p.stamp_ns / 1000000000,
		       p.stamp_ns % 1000000000, p.seq, p.caplen, p.wirelen);
		for (uint32_t i = 0; i < p.caplen && i < 16; i++)
			printf(" %02x", p.data[i]);
		putchar('\n');
	}
	krx_get_stats(rx, &all);
	krx_listener_get_stats(listener, &mine);
	printf("seen %" PRIu64 ", delivered %" PRIu64 ", lost by the kernel %" PRIu64 ", by this listener %" PRIu64
	       "\n",
	       all.seen, all.delivered, all.lost_engine, mine.lost_overrun);
	krx_unlisten(listener);
	krx_close(rx);
	ktrxer_close(port);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A capture file for the replay tools to send: COUNT numbered frames.
 *
 *   mkpcap FILE FRAME_BYTES COUNT
 */
#include "bench/veth.h"

#ifdef HAVE_PCAP
#include <pcap/pcap.h>

int main(int argc, char **argv)
{
	static unsigned char buf[65536];
	pcap_t *p = pcap_open_dead(DLT_EN10MB, sizeof(buf));
	struct pcap_pkthdr h = { 0 };
	pcap_dumper_t *d;

	if (argc != 4 || !p || !(d = pcap_dump_open(p, argv[1]))) {
		fprintf(stderr, "usage: mkpcap FILE FRAME_BYTES COUNT\n");
		return 2;
	}
	h.len = h.caplen = (unsigned int)atoi(argv[2]);
	for (long i = 0; i < atol(argv[3]); i++) {
		h.ts.tv_usec = i % 1000000;
		h.ts.tv_sec = i / 1000000;
		bench_frame(buf, h.len, (unsigned long long)i);
		pcap_dump((unsigned char *)d, &h, buf);
	}
	pcap_dump_close(d);
	pcap_close(p);
	return 0;
}
#else
int main(void)
{
	fprintf(stderr, "mkpcap: this build has no libpcap\n");
	return 1;
}
#endif

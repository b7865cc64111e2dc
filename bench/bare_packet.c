/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The limit for engine packet: nothing but the calls that it makes on an
 * AF_PACKET socket with qdisc bypass, with distinct frames, until it is killed.
 * Floods go by sendmmsg, in batches of 64; probes of trains by a send() each, whose answer is that frame's own.
 *
 *   bare_packet IFNAME FRAME_BYTES [send]
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include "bench/veth.h"

#define BATCH 64

int main(int argc, char **argv)
{
	static unsigned char buf[BATCH][2048];
	struct sockaddr_ll ll = { .sll_family = AF_PACKET };
	struct mmsghdr m[BATCH] = { 0 };
	struct iovec iov[BATCH];
	unsigned long long i = 0;
	unsigned int len;
	int fd, one = 1;

	if (argc != 3 && (argc != 4 || strcmp(argv[3], "send")))
		return 2;
	len = (unsigned int)atoi(argv[2]);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	ll.sll_ifindex = (int)if_nametoindex(argv[1]);
	if (fd < 0 || bind(fd, (struct sockaddr *)&ll, sizeof(ll)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one))) {
		perror("bare_packet");
		return 1;
	}
	for (unsigned int k = 0; k < BATCH; k++) {
		iov[k] = (struct iovec){ buf[k], len };
		m[k].msg_hdr.msg_iov = &iov[k];
		m[k].msg_hdr.msg_iovlen = 1;
	}
	for (;;) {
		for (unsigned int k = 0; k < BATCH; k++)
			bench_frame(buf[k], len, i++);
		if (argc == 4) {
			for (unsigned int k = 0; k < BATCH; k++)
				if (send(fd, buf[k], len, 0) < 0 && errno != ENOBUFS)
					exit(1);
			continue;
		}
		if (sendmmsg(fd, m, BATCH, 0) < 0 && errno != ENOBUFS) {
			perror("bare_packet");
			return 1;
		}
	}
}

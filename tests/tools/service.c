/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the hosts of tests and of the main job offer: UDP echo and TCP ports
 * that are open. One process, IPv4 and IPv6, until it is killed.
 *
 *   service udp:7 tcp:80 tcp:443
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_PORTS 16

static int bind_port(int type, unsigned int port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	int fd = socket(AF_INET6, type, 0), off = 0, on = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) || (type == SOCK_STREAM && listen(fd, 64))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void echo(int fd)
{
	struct sockaddr_storage from;
	socklen_t from_bytes = sizeof(from);
	char buf[65536];
	ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &from_bytes);

	if (n >= 0)
		(void)!sendto(fd, buf, (size_t)n, 0, (struct sockaddr *)&from, from_bytes);
}

static void hang_up(int fd)
{
	int peer = accept(fd, NULL, NULL);

	if (peer >= 0)
		close(peer);
}

int main(int argc, char **argv)
{
	struct pollfd ports[MAX_PORTS];
	bool tcp[MAX_PORTS];
	int n = 0;

	for (int i = 1; i < argc && n < MAX_PORTS; i++, n++) {
		tcp[n] = !strncmp(argv[i], "tcp:", 4);
		ports[n].events = POLLIN;
		ports[n].fd =
			bind_port(tcp[n] ? SOCK_STREAM : SOCK_DGRAM, (unsigned int)strtoul(argv[i] + 4, NULL, 10));
		if (ports[n].fd < 0) {
			fprintf(stderr, "service: %s: %s\n", argv[i], strerror(errno));
			return 1;
		}
	}
	puts("ready");
	fflush(stdout);
	while (poll(ports, (nfds_t)n, -1) >= 0) {
		for (int i = 0; i < n; i++) {
			if (ports[i].revents)
				tcp[i] ? hang_up(ports[i].fd) : echo(ports[i].fd);
		}
	}
	return 1;
}

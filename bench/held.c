/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a sender of the module holds of the kernel's memory, by its own account. One JSON line a size.
 *
 *   held IFNAME
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "include/uapi/ktrxer.h"

int main(int argc, char **argv)
{
	static const struct {
		uint32_t probes, bytes;
	} sizes[] = { { 1, 64 }, { 64, 64 }, { 1024, 64 }, { 1024, 1536 }, { 4096, 1536 } };

	for (size_t i = 0; argc == 2 && i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct ktx_setup s = { .size = sizeof(s), .abi = KTRXER_ABI, .ifindex = if_nametoindex(argv[1]) };
		int fd = open("/dev/" KTX_DEVICE, O_RDWR | O_CLOEXEC);

		s.n_desc = sizes[i].probes;
		s.slot_bytes = sizes[i].bytes;
		if (fd < 0 || ioctl(fd, KTX_IOC_SETUP, &s)) {
			fprintf(stderr, "held: %s\n", strerror(errno));
			return 1;
		}
		printf("{\"bench\":\"held\",\"probes\":%u,\"frame_bytes\":%u,\"held_bytes\":%" PRIu64
		       ",\"mapped_bytes\":%" PRIu64 "}\n",
		       sizes[i].probes, sizes[i].bytes, (uint64_t)s.held_bytes, (uint64_t)s.map_bytes);
		close(fd);
	}
	return argc != 2;
}

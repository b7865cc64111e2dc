/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Fuzzes reading of captures, which arrive from anywhere: an input is a file, given through memory. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../core/packet.h"
#include "../../lib/pcapfile.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct kt_pcapfile_packet p;
	struct kt_pcapfile *f;
	struct ktrxer_err err;
	struct kt_packet k;
	char path[64];
	int fd = memfd_create("capture", 0);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!kt_pcapfile_open(&f, path, &err)) {
		for (int i = 0; i < 1000 && kt_pcapfile_next(f, &p, &err) == 1; i++)
			kt_packet_parse(&k, p.data, p.caplen, p.wirelen);
		kt_pcapfile_close(f);
	}
	close(fd);
	return 0;
}

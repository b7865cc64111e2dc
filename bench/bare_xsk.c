/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The limit for exact sending through engine xdp: an AF_XDP socket in copy
 * mode, 32 distinct frames a call (as many as the kernel takes in one), until it is killed.
 *
 *   bare_xsk IFNAME FRAME_BYTES
 */
#include <linux/if_xdp.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "bench/veth.h"
#include "core/ring.h"

#define FRAMES 4096u
#define CHUNK 2048u
#define BATCH 32u

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

static unsigned char *map_ring(int fd, unsigned long long offset, size_t bytes)
{
	unsigned char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)offset);

	if (p == MAP_FAILED) {
		perror("bare_xsk: mmap");
		exit(1);
	}
	return p;
}

int main(int argc, char **argv)
{
	struct sockaddr_xdp sa = { .sxdp_family = AF_XDP, .sxdp_flags = XDP_COPY };
	struct xdp_umem_reg reg = { .len = FRAMES * CHUNK, .chunk_size = CHUNK };
	struct xdp_mmap_offsets off;
	socklen_t off_len = sizeof(off);
	unsigned int size = FRAMES, fill = 2, len, sent = 0, freed = 0, *prod, *cons, *c_prod, *c_cons;
	unsigned char *umem, *tx, *comp;
	struct xdp_desc *descs;
	unsigned long long i = 0;
	int fd;

	if (argc != 3)
		return 2;
	len = (unsigned int)atoi(argv[2]);
	fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	umem = mmap(NULL, FRAMES * CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	reg.addr = (unsigned long long)(uintptr_t)umem;
	sa.sxdp_ifindex = if_nametoindex(argv[1]);
	if (fd < 0 || setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) ||
	    setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &fill, sizeof(fill)) ||
	    setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &size, sizeof(size)) ||
	    setsockopt(fd, SOL_XDP, XDP_TX_RING, &size, sizeof(size)) ||
	    getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &off_len) || bind(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		perror("bare_xsk");
		return 1;
	}
	tx = map_ring(fd, XDP_PGOFF_TX_RING, off.tx.desc + FRAMES * sizeof(struct xdp_desc));
	comp = map_ring(fd, XDP_UMEM_PGOFF_COMPLETION_RING, off.cr.desc + FRAMES * sizeof(__u64));
	prod = (unsigned int *)(tx + off.tx.producer);
	cons = (unsigned int *)(tx + off.tx.consumer);
	c_prod = (unsigned int *)(comp + off.cr.producer);
	c_cons = (unsigned int *)(comp + off.cr.consumer);
	descs = (struct xdp_desc *)(tx + off.tx.desc);
	for (;;) {
		/* Frames come back in the order in which they were freed; the n-th use of a chunk waits for that many. */
		freed = kt_load_acquire(c_prod);
		kt_store_release(c_cons, freed);
		if (FRAMES - (sent - freed) >= BATCH) {
			for (unsigned int k = 0; k < BATCH; k++, sent++) {
				unsigned int chunk = sent & (FRAMES - 1);

				descs[chunk] = (struct xdp_desc){ .addr = chunk * CHUNK, .len = len };
				bench_frame(umem + chunk * CHUNK, len, i++);
			}
			kt_store_release(prod, sent);
		}
		while (kt_load_acquire(cons) != sent)
			if (sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 && errno != EAGAIN && errno != EBUSY &&
			    errno != ENOBUFS) {
				perror("bare_xsk: sendto");
				return 1;
			}
	}
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The limit for floods of engine xdp: live frames built by a BPF program from
 * an array of distinct frames, nothing accounted for, until it is killed.
 *
 *   bare_live IFNAME FRAME_BYTES       (60 to 1514, in a namespace of the caller's own)
 *
 * The program is also attached to the namespace's loopback, because the
 * kernel waits two grace periods for each run of one that is attached nowhere.
 */
#include "bench/veth.h"

#ifdef HAVE_XDP
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/mman.h>

#define FRAMES 16384u

int main(int argc, char **argv)
{
	LIBBPF_OPTS(bpf_link_create_opts, link, .flags = XDP_FLAGS_SKB_MODE);
	LIBBPF_OPTS(bpf_test_run_opts, run, .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .repeat = FRAMES, .batch_size = 64);
	static unsigned char first[2048];
	struct {
		unsigned int next, frame_bytes;
	} * globals;
	char path[512];
	struct bpf_object *obj;
	struct bpf_map *map, *other;
	unsigned char *frames;
	unsigned long long i = 0;
	unsigned int len, stride, zero = 0, ifindex;
	int prog;

	if (argc != 3)
		return 2;
	len = (unsigned int)atoi(argv[2]);
	ifindex = if_nametoindex(argv[1]);
	snprintf(path, sizeof(path), "%.*slive.bpf.o", (int)(strrchr(argv[0], '/') + 1 - argv[0]), argv[0]);
	obj = bpf_object__open_file(path, NULL);
	map = obj ? bpf_object__find_map_by_name(obj, len > 60 ? "long_frames" : "frames") : NULL;
	other = obj ? bpf_object__find_map_by_name(obj, len > 60 ? "frames" : "long_frames") : NULL;
	if (!map || !other || bpf_map__set_max_entries(map, FRAMES) || bpf_object__load(obj)) {
		fprintf(stderr, "bare_live: %s cannot be loaded\n", path);
		return 1;
	}
	stride = len > 60 ? 1536 : 64;
	prog = bpf_program__fd(bpf_object__find_program_by_name(obj, len > 60 ? "live_long" : "live"));
	frames = mmap(NULL, (size_t)FRAMES * stride, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
	globals = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_object__find_map_fd_by_name(obj, ".bss"), 0);
	if (!ifindex || frames == MAP_FAILED || globals == MAP_FAILED ||
	    bpf_map_update_elem(bpf_object__find_map_fd_by_name(obj, "target"), &zero, &ifindex, 0) ||
	    bpf_link_create(prog, (int)if_nametoindex("lo"), BPF_XDP, &link) < 0) {
		fprintf(stderr, "bare_live: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	globals->frame_bytes = len;
	run.data_in = first;
	run.data_size_in = len;
	for (;;) {
		for (unsigned int k = 0; k < FRAMES; k++)
			bench_frame(frames + (size_t)k * stride, len, i++);
		globals->next = 0;
		if (bpf_prog_test_run_opts(prog, &run)) {
			fprintf(stderr, "bare_live: %s\n", strerror(errno));
			return 1;
		}
	}
}
#else
int main(void)
{
	fprintf(stderr, "bare_live: this build has no libbpf\n");
	return 1;
}
#endif

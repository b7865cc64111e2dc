/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * tcpdump listens beside us: it must see the same frames with the same
 * stamps, to the nanosecond, and exactly those that the sender reports as sent.
 */
#include <signal.h>
#include <sys/stat.h>

#include "lib/port.h"
#include "tests/engine.h"
#include "tests/netns.h"

#define N 50u
#define E (&kt_engine_packet)

struct pcap_record {
	u32 s;
	u32 ns;
	u32 caplen;
	u32 wirelen;
};

static char path[] = "/tmp/kt-XXXXXX"; /* worlds that run side by side share /tmp, and count their processes from 1 */
static pid_t tcpdump;

static void start_tcpdump(void)
{
	struct stat st = { 0 };

	close(mkstemp(path));
	tcpdump = fork();
	if (!tcpdump) {
		execlp("tcpdump", "tcpdump", "-i", FAR, "-w", path, "--time-stamp-precision=nano", "-U", "-Z", "root",
		       "-q", "ether", "proto", "0x88b5", NULL);
		_exit(127);
	}
	for (int i = 0; stat(path, &st) || st.st_size < 24; i++) {
		int status;

		if (waitpid(tcpdump, &status, WNOHANG) || i > 5000)
			TEST_FAIL("tcpdump did not start; scripts/deps.sh test installs it");
		usleep(1000);
	}
}

/* Waits until it has written n records. */
static FILE *stop_tcpdump(u32 n, u32 bytes)
{
	struct stat st;
	FILE *f = fopen(path, "r");

	for (int i = 0; i < 5000 && (fstat(fileno(f), &st) || (u64)st.st_size < 24 + (u64)n * (16 + bytes)); i++)
		usleep(1000);
	kill(tcpdump, SIGINT);
	waitpid(tcpdump, NULL, 0);
	unlink(path);
	return f;
}

static void t_same_frames_same_stamps(void)
{
	struct krx_opts opts = { .sz = sizeof(opts) };
	struct kt_txslot slots[N], *batch[1];
	struct kt_rxframe f;
	struct ktrxer *a, *b;
	struct pcap_record r;
	u8 frame[60], verdict = 0;
	u32 magic, n = 0;
	u64 stamps[N];
	FILE *pcap;

	netns_pair(true);
	a = port_open(E, NEAR, NULL);
	netns_enter(netns_far);
	b = port_open(E, FAR, NULL);
	CHECK(a && b);
	CHECK_EQ(E->rx_open(b, &opts, NULL), 0);
	start_tcpdump();
	CHECK_EQ(E->tx_open(a, slots, N, FRAME_BYTES, false, NULL), 0);
	for (u32 i = 0; i < N; i++) {
		put_frame(&slots[i], i, 60);
		batch[0] = &slots[i];
		CHECK_EQ(E->tx_launch(a, batch, 1), 1);
		CHECK_EQ(slots[i].state, KT_TX_SENT);
	}
	while (n < N) {
		CHECK_EQ(E->rx_wait(b, kt_clock_now(KTRXER_CLOCK_MONOTONIC) + 2 * KT_NSEC_PER_SEC), 1);
		CHECK_EQ(E->rx_peek(b, &f, 1), 1);
		if (kt_get_be16(f.data + 12) == 0x88b5) {
			CHECK_EQ(frame_number(f.data), n);
			stamps[n++] = f.stamp_ns;
		}
		E->rx_release(b, &verdict, 1);
	}
	pcap = stop_tcpdump(N, 60);
	CHECK_EQ(fread(&magic, 4, 1, pcap), 1);
	CHECK_EQ(magic, 0xa1b23c4d);
	fseek(pcap, 24, SEEK_SET);
	for (u32 i = 0; i < N; i++) {
		CHECK_EQ(fread(&r, sizeof(r), 1, pcap), 1);
		CHECK_EQ(r.caplen, 60);
		CHECK_EQ(fread(frame, 60, 1, pcap), 1);
		CHECK_MEM(frame, slots[i].data, 60);
		CHECK_EQ(r.s * KT_NSEC_PER_SEC + r.ns, stamps[i]);
	}
	CHECK_EQ(fread(&r, sizeof(r), 1, pcap), 0);
	fclose(pcap);
	E->tx_close(a);
	E->rx_close(b);
	port_close(a);
	port_close(b);
}

TEST_MAIN(T(t_same_frames_same_stamps))

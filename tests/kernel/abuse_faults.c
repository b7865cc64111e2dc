// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Each allocation of the module fails once, in whatever it is asked for: loading, and a
 * sender's and a receiver's life with all that they can do. For every n the n-th allocation of a life fails:
 * then the life ends with an error (or, where frames are under way, without that frame), and the next one succeeds. So until there are
 * fewer than n. Afterwards nothing is held, and every place that allocates has failed.
 *
 * Runs in a guest with modules ktfaults and the ktrxer.ko that was built for it (faults/faults.h).
 */
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "abuse.h"
#include "krx_bed.h"

#define KO "/ko/ktrxer.ko"
#define MAX_SITES 200
#define ANSWER_MS 1500 /* for an answer, which often is the one that does not come */
#define PARAMETERS "/sys/module/ktfaults/parameters/"

static char sites[MAX_SITES][64];
static uint32_t n_sites;

static void fail_at(int n)
{
	FILE *f = fopen(PARAMETERS "at", "w");

	if (!f || fprintf(f, "%d", n) < 0 || fclose(f))
		TEST_FAIL("no module ktfaults: this runs in a guest that has loaded it");
}

static int failures_left(void)
{
	FILE *f = fopen(PARAMETERS "at", "r");
	int n = -1;

	CHECK(f && fscanf(f, "%d", &n) == 1);
	fclose(f);
	return n;
}

/* FILE:LINE from kernel/ on. */
static const char *short_name(const char *site)
{
	const char *k, *last = site;

	while ((k = strstr(last, "kernel/")))
		last = k + 7;
	return last;
}

static void note_site(void)
{
	FILE *f = fopen(PARAMETERS "site", "r");
	char line[256] = "";
	const char *name;
	uint32_t i = 0;

	CHECK(f && fgets(line, sizeof(line), f));
	fclose(f);
	line[strcspn(line, "\n")] = 0;
	name = short_name(line);
	while (i < n_sites && strcmp(sites[i], name))
		i++;
	if (i < n_sites)
		return;
	CHECK(n_sites < MAX_SITES && strlen(name) < sizeof(sites[0]));
	strcpy(sites[n_sites++], name);
}

/* life() is 0, or the error that it ended with. */
static void each_fails(int (*life)(void), int at_least)
{
	int n, r;

	fail_at(0);
	CHECK_EQ(life(), 0);
	for (n = 1;; n++) {
		int left;

		fail_at(n);
		r = life();
		left = failures_left();
		fail_at(0);
		if (left) {
			CHECK_EQ(r, 0);
			break;
		}
		note_site();
		if (!r)
			TEST_FAIL("allocation %d of it, %s, failed and nobody was told", n, sites[n_sites - 1]);
		r = life();
		if (r)
			TEST_FAIL("after allocation %d had failed the next try gave %d", n, r);
	}
	printf("# %d allocations failed in turn\n", n - 1);
	CHECK(n > at_least);
}

/* --- Loading ------------------------------------------------------------------------------ */

static int load(void)
{
	int fd = open(KO, O_RDONLY | O_CLOEXEC), r;

	CHECK(fd >= 0);
	r = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return r;
}

static int load_and_unload(void)
{
	int r = load();

	if (!r && syscall(SYS_delete_module, "ktrxer", 0))
		r = -errno;
	return r;
}

static void t_load(void)
{
	each_fails(load_and_unload, 3);
	CHECK_EQ(load(), 0);
}

/* --- A sender ------------------------------------------------------------------------------- */

static struct a_tx tx = { .fd = -1 };
static uint32_t tx_flags;
static int tap = -1;

static int tap_frames(void)
{
	u8 f[2048];
	int n = 0;

	while (recv(tap, f, sizeof(f), MSG_DONTWAIT) > 0)
		n += f[12] == 0x88;
	return n;
}

/* Two on time and two here. */
static int send_some(void)
{
	struct ktx_done_abi d;
	int r;

	for (u32 i = 0; i < 4; i++) {
		struct ktx_desc *p = a_tx_put(&tx, i, i < 2 ? a_now() + 1000000 : 0);

		if (tx_flags & KTX_SETUP_ZEROCOPY)
			p->len = 1400;
		if (i % 2 == 0)
			continue;
		a_tx_submit(&tx, i < 2 ? 0 : KTX_SUBMIT_HERE, &r);
		if (r)
			return r;
		for (u32 k = 0; k < 2; k++) {
			r = a_tx_wait(&tx, &d);
			if (r || d.status != KTX_DONE_SENT)
				return r ? r : -(int)d.reason;
		}
	}
	return 0;
}

static int sender_life(void)
{
	struct ktx_setup s = a_ktx(NEAR, 4);
	int r, shown;

	s.flags = tx_flags;
	if (tx_flags & KTX_SETUP_ZEROCOPY)
		s.slot_bytes = 2048;
	r = a_tx_open(&tx, &s);
	if (r)
		return r;
	r = send_some();
	a_tx_stats(&tx);
	a_tx_close(&tx);
	shown = tap_frames();
	/* A copy that cannot be made is one that is not shown; the frame leaves. */
	if (!r && tx_flags & KTX_SETUP_TAP && shown != 4)
		r = -EIO;
	return r;
}

static void sender(uint32_t flags)
{
	bed_new(true);
	tap = packet_socket(NEAR, 3 /* ETH_P_ALL */);
	tx_flags = flags;
	each_fails(sender_life, 10);
	close(tap);
	a_nothing_left();
}

static void t_sender(void)
{
	sender(0);
}

static void t_sender_tap_fifo(void)
{
	sender(KTX_SETUP_TAP | KTX_SETUP_FIFO);
}

static void t_sender_zero_copy(void)
{
	sender(KTX_SETUP_ZEROCOPY);
}

/* A frame whose buffer the driver has, and that has to be filled anew for another attempt: down, up, and refused between. */
static int submit_while_down(void)
{
	struct ktx_setup s = a_ktx(NEAR, 4);
	struct ktx_done_abi d;
	int r = a_tx_open(&tx, &s);

	if (r)
		return r;
	netns_run("ip link set " NEAR " down");
	a_tx_put(&tx, 0, 0)->max_attempts = 5;
	a_tx_submit(&tx, 0, &r);
	if (!r)
		r = a_tx_wait(&tx, &d);
	if (!r && (d.status != KTX_DONE_FAILED || d.reason != ENETDOWN || d.attempts != 5))
		r = -EIO;
	netns_run("ip link set " NEAR " up");
	a_tx_close(&tx);
	return r;
}

static void t_sender_down(void)
{
	bed_new(true);
	each_fails(submit_while_down, 10);
	a_nothing_left();
}

/* One frame of a series, as a flood has it made. */
static int flood_one(void)
{
	static const u64 key[2] = { 1, 2 };
	u8 f[2048];
	struct ktx_flood_abi a = { .size = sizeof(a),
				   .flags = KTX_FLOOD_DONE,
				   .pattern = (uintptr_t)f,
				   .kind = 1, /* UDP */
				   .key = { key[0], key[1] },
				   .sport_lo = 4000,
				   .sport_hi = 4000,
				   .dport = 5000,
				   .payload_bytes = 32,
				   .first_target = { 10, 77, 0, 2 },
				   .n_targets = 1,
				   .count = 1 };

	struct ktx_setup setup = a_ktx(NEAR, 4);
	int r = a_tx_open(&tx, &setup);

	if (r)
		return r;
	a.pattern_len = udp_frame(f, 4000, 5000, 0, 32);
	r = a_call(tx.fd, KTX_IOC_FLOOD, &a);
	if (!r && (a.sent != 1 || __atomic_load_n(&tx.shared->done, __ATOMIC_ACQUIRE) != 1))
		r = -EIO;
	a_tx_close(&tx);
	return r;
}

static void t_flood(void)
{
	bed_new(true);
	each_fails(flood_one, 5);
	a_nothing_left();
}

/* --- A receiver --------------------------------------------------------------------------------- */

static struct rx rx = { .fd = -1 };
static struct listener listener;
static int host_socket = -1, far_udp_socket = -1, out_socket = -1;

static void life_ends(void)
{
	if (rx.ring && rx.ring != MAP_FAILED)
		munmap(rx.ring, rx.setup.ring_bytes);
	if (rx.cursors && (void *)rx.cursors != MAP_FAILED)
		munmap(rx.cursors, rx.setup.cursor_bytes);
	close(rx.fd);
	rx = (struct rx){ .fd = -1 };
}

static int begin(u32 flags)
{
	int r;

	rx = (struct rx){ .fd = open("/dev/krx", O_RDWR | O_CLOEXEC) };
	if (rx.fd < 0)
		return -errno;
	r = rx_setup(&rx, NEAR, flags, 256);
	if (r)
		return r;
	rx.ring = mmap(NULL, rx.setup.ring_bytes, PROT_READ, MAP_SHARED, rx.fd, (off_t)KRX_MAP_RING);
	if (rx.ring == MAP_FAILED)
		return -errno;
	rx.cursors =
		mmap(NULL, rx.setup.cursor_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, rx.fd, (off_t)KRX_MAP_CURSORS);
	if ((void *)rx.cursors == MAP_FAILED)
		return -errno;
	return rx_listen(&rx, &listener, false);
}

static int set_addresses(void)
{
	static const struct krx_prefix_abi prefixes[2] = { { .addr = { 10, 77, 0, 99 }, .version = 4, .plen = 32 },
							   { .addr = { 0xfd, 0x77 }, .version = 6, .plen = 16 } };
	struct krx_addresses a = { .size = sizeof(a), .n = 2, .prefixes = (uintptr_t)prefixes };

	return a_call(rx.fd, KRX_IOC_ADDRESSES, &a);
}

/* Who asks for a fake address, and is he answered? */
static int ask_arp(void)
{
	static const u8 asked[4] = { 10, 77, 0, 99 }, asker[4] = { 10, 77, 0, 2 };
	struct pollfd p = { .fd = far_socket, .events = POLLIN };
	u8 f[2048], none[6] = { 0 };
	int n = kt_packet_build_arp(f, sizeof(f), 1, far_mac, none, asker, none, asked);

	CHECK(n > 0);
	memset(f, 0xff, 6);
	far_send(f, (u32)n);
	while (poll(&p, 1, ANSWER_MS) == 1) {
		if (recv(far_socket, f, sizeof(f), 0) >= 42 && f[12] == 8 && f[13] == 6 && f[21] == 2)
			return 0;
	}
	return -EIO;
}

/* A frame rewritten on its way to the host, whose checksum its sender left to a NIC. */
static int ask_rewritten(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(5001) };

	to.sin_addr.s_addr = htonl(0x0a4d0001);
	CHECK_EQ(sendto(far_udp_socket, "\0\0\0\1 and more", 12, 0, (struct sockaddr *)&to, sizeof(to)), 12);
	return host_got(host_socket, ANSWER_MS) == 1 ? 0 : -EIO;
}

static int ask_forwarded(void)
{
	struct pollfd p = { .fd = out_socket, .events = POLLIN };
	u8 f[2048];

	far_udp(5002, 7);
	while (poll(&p, 1, ANSWER_MS) == 1) {
		if (recv(out_socket, f, sizeof(f), 0) >= 42 && (f[36] << 8 | f[37]) == 5002)
			return 0;
	}
	return -EIO;
}

static int ask_captured(void)
{
	far_udp(5003, 8);
	return next_record(&rx, &listener, ANSWER_MS) ? 0 : -EIO;
}

static int set_rules(void)
{
	struct krx_rule_abi rules[3] = {
		{ .id = 1, .version = 4, .proto = 17, .dport_lo = 5001, .dport_hi = 5001 },
		{ .id = 2, .version = 4, .proto = 17, .dport_lo = 5002, .dport_hi = 5002 },
		{ .id = 3, .version = 4, .proto = 17, .dport_lo = 5003, .dport_hi = 5003 },
	};

	rules[0].op = KT_OP_FORWARD;
	rules[0].rewrite = KT_REWRITE_DPORT;
	rules[0].new_dport = 5000;
	rules[1].op = KT_OP_FORWARD;
	rules[1].out_ifindex = if_nametoindex("kto");
	rules[2].op = KT_OP_CAPTURE;
	return rx_rules(&rx, rules, 3, NULL, 0);
}

static int receiver_life(void)
{
	int (*const steps[])(void) = { set_rules,     set_addresses, ask_arp,	   ask_rewritten,
				       ask_forwarded, ask_captured,  ask_captured, set_rules };
	int r = begin(KRX_SETUP_PREROUTING | KRX_SETUP_PROMISC | KRX_SETUP_OUTGOING);

	for (u32 i = 0; i < sizeof(steps) / sizeof(steps[0]) && !r; i++)
		r = steps[i]();
	if (rx.fd >= 0)
		life_ends();
	return r;
}

static void t_receiver(void)
{
	bed_new(true);
	netns_run("ip link add kto type dummy");
	netns_run("ip link set kto up");
	out_socket = packet_socket("kto", 3);
	netns_enter(netns_far);
	far_udp_socket = host_udp(4000);
	close(far_socket);
	far_socket = packet_socket(FAR, 3);
	netns_enter(netns_near);
	host_socket = host_udp(5000);
	each_fails(receiver_life, 30);
	close(host_socket);
	close(far_udp_socket);
	close(out_socket);
	a_nothing_left();
}

/* --- All of them -------------------------------------------------------------------------------- */

/* The module names its places in a section; each has failed in one of the cases before. */
static void t_every_site(void)
{
	static const char mark[] = "kt-site ";
	int fd = open(KO, O_RDONLY | O_CLOEXEC);
	off_t bytes = lseek(fd, 0, SEEK_END);
	char *ko = mmap(NULL, (size_t)bytes, PROT_READ, MAP_PRIVATE, fd, 0), *at = ko;
	uint32_t n = 0, missed = 0;
	char what[700] = "";

	CHECK(fd >= 0 && ko != MAP_FAILED);
	while ((at = memmem(at, (size_t)(ko + bytes - at), mark, sizeof(mark) - 1))) {
		const char *name;
		uint32_t i = 0;

		at += sizeof(mark) - 1;
		name = short_name(at);
		while (i < n_sites && strcmp(sites[i], name))
			i++;
		n++;
		if (i == n_sites && ++missed && strlen(what) + strlen(name) + 2 < sizeof(what))
			strcat(strcat(what, " "), name);
	}
	munmap(ko, (size_t)bytes);
	close(fd);
	printf("# %u places that allocate, %u of them failed\n", n, n - missed);
	if (missed || !n)
		TEST_FAIL("%u of %u have not:%s", missed, n, what);
}

static void t_unload(void)
{
	let_code_go();
	CHECK(!syscall(SYS_delete_module, "ktrxer", 0));
}

TEST_MAIN(T(t_load), T(t_sender), T(t_sender_tap_fifo), T(t_sender_zero_copy), T(t_sender_down), T(t_flood),
	  T(t_receiver), T(t_every_site), T(t_unload))

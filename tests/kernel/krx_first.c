/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Before everybody else: other hooks with the lowest priority there is, the
 * host's own stack, packet taps. Runs in a guest with the module loaded.
 */
#include "tests/kernel/krx_bed.h"

static struct listener l;

/* What another has at the same place, and drops all there; and how often it saw something. */
struct other {
	const char *name;
	u32 setup_flags;
	const char *add;
	const char *count; /* prints a number; NULL: it does not count */
};

static const struct other others[] = {
	{ "iptables raw", KRX_SETUP_PREROUTING, "iptables -t raw -A PREROUTING -p udp --dport 700 -j DROP",
	  "iptables -t raw -nvxL PREROUTING | awk '/DROP/ { print $1 }'" },
	{ "iptables mangle", KRX_SETUP_PREROUTING, "iptables -t mangle -A PREROUTING -p udp --dport 700 -j DROP",
	  "iptables -t mangle -nvxL PREROUTING | awk '/DROP/ { print $1 }'" },
	{ "nftables prerouting", KRX_SETUP_PREROUTING,
	  "nft 'add table ip t; add chain ip t c { type filter hook prerouting priority -2147483648; }; "
	  "add rule ip t c udp dport 700 counter drop'",
	  "nft list ruleset | awk '/counter/ { print $6 }'" },
	{ "nftables ingress", KRX_SETUP_INGRESS,
	  "nft 'add table netdev t; add chain netdev t c { type filter hook ingress device " NEAR
	  " priority -2147483648; }; add rule netdev t c udp dport 700 counter drop'",
	  "nft list ruleset | awk '/counter/ { print $6 }'" },
};

static long number_from(const char *cmd)
{
	FILE *f = popen(cmd, "r");
	long n = -1;

	CHECK(f);
	CHECK_EQ(fscanf(f, "%ld", &n), 1);
	pclose(f);
	return n;
}

/* Until we are first again: the watch looks ten times a second. */
static void wait_first(struct rx *rx)
{
	WAIT_FOR(!(rx_stats(rx).flags & KRX_STATS_NOT_FIRST));
	CHECK_EQ(rx_stats(rx).flags, 0);
}

static void first_case(const struct other *o, bool before)
{
	struct rx rx;

	bed_new(true);
	if (before)
		netns_run("%s", o->add);
	rx_open(&rx, o->setup_flags);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	one_rule(&rx, udp_rule(700, KT_OP_CAPTURE));
	if (!before)
		netns_run("%s", o->add);
	wait_first(&rx);
	far_udp(700, 5);
	if (!next_record(&rx, &l, SOON))
		TEST_FAIL("%s, loaded %s: nothing was captured", o->name, before ? "before" : "behind");
	CHECK_EQ(kt_get_be32(l.data + 42), 5);
	WAIT_FOR(number_from(o->count)); /* what we pass on they get */
	CHECK_EQ(number_from(o->count), 1);
	one_rule(&rx, udp_rule(700, KT_OP_DROP));
	far_udp(700, 6);
	CHECK_EQ(rx_judged(&rx, 2).dropped, 1);
	CHECK_EQ(number_from(o->count), 1); /* and what we drop they do not */
	if (!before && strstr(o->name, "nft"))
		CHECK(rx_stats(&rx).displaced >= 1);
	rx_close(&rx);
}

static void t_first_before_and_behind_others(void)
{
	for (u32 i = 0; i < KT_ARRAY_LEN(others); i++) {
		first_case(&others[i], true);
		first_case(&others[i], false);
	}
}

/* Back to the front again and again under traffic: each packet is judged once. */
static void t_judged_once_while_places_change(void)
{
	int stop[2], result[2];
	struct krx_stats_abi s;
	struct rx rx;
	pid_t pid;
	u64 sent;

	bed_new(true);
	rx_open(&rx, 0);
	one_rule(&rx, udp_rule(700, KT_OP_FORWARD));
	pid = flood_start(700, stop, result);
	for (u32 i = 0; i < 20; i++) {
		netns_run("nft 'add table netdev t%u; add chain netdev t%u c { type filter hook ingress device " NEAR
			  " priority -2147483648; }; add rule netdev t%u c udp dport 1 drop'",
			  i, i, i);
		wait_first(&rx);
	}
	sent = flood_end(pid, stop, result);
	s = rx_judged(&rx, sent);
	CHECK_EQ(s.seen, sent);
	CHECK_EQ(count_of(&rx, 0).pkts, sent);
	CHECK(s.displaced >= 15);
	printf("# %llu frames, %llu times back to the front\n", (unsigned long long)sent,
	       (unsigned long long)s.displaced);
	rx_close(&rx);
}

/* --- No RST for what a scan asked for --------------------------------------------------------- */

static void syn_ack(u16 number)
{
	struct kt_packet_spec s = { .flow = { .src = { 10, 77, 0, 2 },
					      .dst = { 10, 77, 0, 1 },
					      .version = 4,
					      .proto = KT_PROTO_TCP,
					      .sport = 80,
					      .dport = number },
				    .tcp_flags = KT_TCP_SYN | KT_TCP_ACK };
	u8 f[200];
	int len;

	memcpy(s.src_mac, far_mac, 6);
	memcpy(s.dst_mac, near_mac, 6);
	len = kt_packet_build(&s, f, sizeof(f));
	CHECK(len > 0);
	far_send(f, (u32)len);
}

/* Until there are `most`, or none has come for ms. */
static u32 resets(int fd, u32 most, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct kt_packet k;
	u8 f[2048];
	u32 n = 0;

	while (n < most && poll(&p, 1, ms) == 1) {
		ssize_t len = recv(fd, f, sizeof(f), 0);

		if (len > 0 && !kt_packet_parse(&k, f, (u32)len, (u32)len) && k.tcp_flags & KT_TCP_RST)
			n++;
	}
	return n;
}

static void t_no_reset_leaves(void)
{
	struct krx_rule_abi r = {
		.id = 1, .version = 4, .proto = 6, .sport_lo = 80, .sport_hi = 80, .op = KT_OP_CAPTURE_DROP
	};
	struct rx rx;
	int wire;

	for (u32 i = 0; i < 2; i++) {
		bed_new(true);
		netns_enter(netns_far);
		wire = packet_socket(FAR, 0x0800);
		netns_enter(netns_near);
		rx_open(&rx, i ? KRX_SETUP_PREROUTING : KRX_SETUP_INGRESS);
		CHECK_EQ(rx_listen(&rx, &l, true), 0);
		syn_ack(50000); /* nobody asked the host: it resets */
		CHECK_EQ(resets(wire, 1, SOON), 1);
		one_rule(&rx, r);
		for (u16 n = 0; n < 100; n++)
			syn_ack((u16)(50001 + n));
		for (u32 n = 0; n < 100; n++)
			CHECK(next_record(&rx, &l, SOON));
		CHECK_EQ(resets(wire, 1, 300), 0);
		rx_close(&rx);
		close(wire);
	}
}

/* --- Stamps -------------------------------------------------------------------------------------- */

#define STAMPED 300u

/* Stamps of the frames in a tcpdump's file, by their numbers. */
static u32 read_dump(const char *path, u64 *stamps)
{
	u32 head[6], rec[4], n = 0;
	FILE *f = fopen(path, "r");
	u8 data[2048];

	CHECK(f);
	CHECK_EQ(fread(head, sizeof(head), 1, f), 1);
	CHECK_EQ(head[0], 0xa1b23c4d); /* with ns */
	while (fread(rec, sizeof(rec), 1, f) == 1 && rec[2] <= sizeof(data) && fread(data, rec[2], 1, f) == 1) {
		u32 i = kt_get_be32(data + 42);

		if (i < STAMPED)
			stamps[i] = rec[0] * 1000000000ull + rec[1];
		n++;
	}
	fclose(f);
	return n;
}

static void stamps_case(u32 flags)
{
	static u64 dumped[STAMPED];
	char path[] = "/tmp/krx-XXXXXX";
	struct krx_stats_abi s;
	struct rx rx;

	bed_new(true);
	rx_open(&rx, flags);
	CHECK_EQ(rx_listen(&rx, &l, true), 0);
	one_rule(&rx, udp_rule(700, KT_OP_CAPTURE_DROP));
	CHECK(mkstemp(path) >= 0);
	memset(dumped, 0, sizeof(dumped));
	netns_run("tcpdump -i " NEAR " -Q in -w %s --time-stamp-precision=nano -U -Z root udp port 700 2> %s.log & "
		  "for i in $(seq 600); do grep -q listening %s.log && exit 0; sleep 0.1; done; exit 1",
		  path, path, path);
	far_train(700, 0, STAMPED);
	WAIT_FOR(read_dump(path, dumped) >= STAMPED);
	netns_run("kill $(pgrep -f '^tcpdump.*%s')", path);
	for (u32 i = 0; i < STAMPED; i++) {
		CHECK(next_record(&rx, &l, SOON));
		CHECK_EQ(kt_get_be32(l.data + 42), i);
		CHECK_EQ(l.hdr.stamp_ns, dumped[i]);
	}
	s = rx_stats(&rx);
	CHECK_EQ(s.stampless, 0);
	rx_close(&rx);
	unlink(path);
}

static void t_stamps_are_tcpdumps(void)
{
	stamps_case(KRX_SETUP_INGRESS);
	stamps_case(KRX_SETUP_PREROUTING);
}

TEST_MAIN(T(t_first_before_and_behind_others), T(t_judged_once_while_places_change), T(t_no_reset_leaves),
	  T(t_stamps_are_tcpdumps))

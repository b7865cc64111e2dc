// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * KTX_IOC_FLOOD against a device that refuses, drops, stalls and leaves (tests/kernel/hostile): each probe has one
 * completion, in order, that says what became of it. Runs in a guest with both modules loaded.
 */
#include "core/packet.h"
#include "tests/kernel/hostile_dev.h"
#include "tests/kernel/sender.h"

#define RING 256

static struct sender t;
static struct ktx_flood_abi a;
static uint8_t frame[100];

/* A new device, and a flood of n probes: UDP, kind 1 of enum ktrxer_probe_kind. */
static void begin(const char *script, uint64_t n, uint32_t max_attempts)
{
	struct kt_packet_spec s = { .src_mac = { 2 }, .dst_mac = { 2, 0, 0, 0, 0, 9 } };

	sender_close(&t);
	if (if_nametoindex(DEV))
		run("ip link del " DEV);
	run("ip link add " DEV " type kthostile && sysctl -qw net.ipv6.conf." DEV ".disable_ipv6=1 && ip link set " DEV
	    " up");
	hostile_set("script", script);
	sender_open(&t, DEV, RING);
	s.flow.version = 4;
	s.flow.proto = KT_PROTO_UDP;
	s.flow.src[0] = s.flow.dst[0] = 10;
	s.flow.dport = 9;
	a = (struct ktx_flood_abi){
		.size = sizeof(a), .flags = KTX_FLOOD_DONE, .pattern = (uintptr_t)frame, .kind = 1
	};
	a.pattern_len = (uint32_t)kt_packet_build(&s, frame, sizeof(frame));
	a.sport_lo = 1000;
	a.sport_hi = 1999;
	a.dport = 9;
	a.first_target[0] = 10;
	a.n_targets = 1000;
	a.max_attempts = max_attempts;
	a.count = n;
}

/* Floods on; what has been told, each once and in order, is in got. Returns how many; *error is the call's. */
static uint32_t go_on(int *error)
{
	uint64_t first = a.number;
	struct ktx_stats_abi st;
	uint32_t n;

	*error = ioctl(t.fd, KTX_IOC_FLOOD, &a) ? errno : 0;
	st = sender_stats(&t);
	CHECK_EQ(st.submitted, a.number);
	CHECK(st.sent == a.sent && st.failed == a.failed && st.retries == a.retries);
	n = sender_read(&t, 0);
	CHECK_EQ(n, a.number - first);
	for (uint32_t i = 0; i < n; i++)
		CHECK_EQ(got[i].id, first + i);
	return n;
}

static void whole(uint32_t n)
{
	int error;

	CHECK_EQ(go_on(&error), n);
	CHECK_EQ(error, 0);
}

static void is(uint32_t i, int status, uint32_t attempts, int reason)
{
	if (got[i].status != status || got[i].attempts != attempts || got[i].reason != reason)
		TEST_FAIL("probe %u: status %u, attempts %u, reason %u", i, got[i].status, got[i].attempts,
			  got[i].reason);
	CHECK(got[i].returned_ns >= got[i].launch_ns);
}

static void t_refused_then_taken(void)
{
	static const struct {
		const char *script;
		int reason;
	} first[] = { { "busy*3 ok*0", EBUSY },
		      { "drop*3 ok*0", ENOBUFS },
		      { "error*3 ok*0", EIO },
		      { "drop error busy ok*0", EBUSY } };

	for (uint32_t k = 0; k < sizeof(first) / sizeof(first[0]); k++) {
		begin(first[k].script, 100, 4);
		whole(100);
		is(0, KTX_DONE_SENT, 4, first[k].reason);
		for (uint32_t i = 1; i < 100; i++)
			is(i, KTX_DONE_SENT, 1, 0);
		CHECK_EQ(hostile_seen("taken"), 100);
		CHECK_EQ(hostile_seen("unrung"), 0);
	}
}

/* In the middle of a batch, one given up, the next but one refused once, and one that meets congestion. */
static void t_in_between(void)
{
	begin("ok*10 busy drop*2 ok busy ok*4 cn ok*0", 100, 3);
	whole(100);
	for (uint32_t i = 0; i < 100; i++) {
		if (i == 10)
			is(i, KTX_DONE_FAILED, 3, ENOBUFS);
		else if (i == 12)
			is(i, KTX_DONE_SENT, 2, EBUSY);
		else
			is(i, KTX_DONE_SENT, 1, i == 16 ? ENOBUFS : 0);
		CHECK(!i || got[i].launch_ns >= got[i - 1].returned_ns);
	}
	CHECK_EQ(a.failed, 1);
	CHECK_EQ(hostile_seen("taken"), 99);
}

static void t_all_refused(void)
{
	begin("busy*0", 200, 2);
	whole(200);
	for (uint32_t i = 0; i < 200; i++) {
		is(i, KTX_DONE_FAILED, 2, EBUSY);
		CHECK(got[i].launch_ns);
	}
	CHECK_EQ(hostile_seen("calls"), 400);
}

/* More than there is room for, and 30 % refusals of all kinds: none is lost. */
static void t_thirty_percent(void)
{
	uint64_t retries = 0;
	int error;

	begin("flaky:30*0", 20000, 1000);
	do {
		uint32_t n = go_on(&error);

		CHECK_EQ(error, a.number < a.count ? EAGAIN : 0);
		CHECK(!error || n == RING);
		for (uint32_t i = 0; i < n; i++) {
			CHECK_EQ(got[i].status, KTX_DONE_SENT);
			CHECK(!got[i].reason == (got[i].attempts == 1));
			retries += got[i].attempts - 1;
		}
	} while (error);
	CHECK_EQ(a.sent, 20000);
	CHECK_EQ(hostile_seen("taken"), 20000);
	CHECK_EQ(a.retries, retries);
	CHECK(retries > 5000);
}

/* It never wakes: the second waits, fails, and those behind it do at once. */
static void t_stalled(void)
{
	begin("stall ok*0", 50, 1);
	whole(50);
	is(0, KTX_DONE_SENT, 1, 0);
	for (uint32_t i = 1; i < 50; i++) {
		is(i, KTX_DONE_FAILED, 1, ENOBUFS);
		CHECK_EQ(got[i].launch_ns, 0);
	}
	CHECK_EQ(hostile_write("wake", "1"), 0);
	a.count = 60;
	whole(10);
	is(9, KTX_DONE_SENT, 1, 0);
}

static void nothing(int sig)
{
}

/* A signal while it is refused for ever: what has not ended is still to come, and has not been told of. */
static void t_signal(void)
{
	int error;

	begin("ok*30 busy*0", 100, 1000000000);
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = nothing }, NULL);
	alarm(1);
	CHECK_EQ(go_on(&error), 30);
	CHECK_EQ(error, EINTR);
	hostile_set("script", "ok*0");
	whole(70);
	is(0, KTX_DONE_SENT, 1, 0);
}

/* Those taken are sent, all others of the batch have failed, and the caller is told. */
static void t_gone(void)
{
	uint32_t sent = 0, n;
	int error;

	begin("ok*30 gone ok*0", 1000000, 3);
	do {
		n = go_on(&error);
		for (uint32_t i = 0; i < n; i++) {
			sent += got[i].status == KTX_DONE_SENT;
			CHECK(got[i].status == KTX_DONE_SENT || got[i].reason == ENODEV || got[i].reason == ENETDOWN);
		}
	} while (error == EAGAIN);
	CHECK_EQ(error, ENODEV);
	CHECK(sent >= 31);
	CHECK_EQ(sent, a.sent);
}

TEST_MAIN(T(t_refused_then_taken), T(t_in_between), T(t_all_refused), T(t_thirty_percent), T(t_stalled), T(t_signal),
	  T(t_gone))

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * KTX_IOC_FLOOD: the probes that the module makes are those that the library
 * builds, byte for byte, each once, in the order asked for, and with KTX_FLOOD_DONE each has its completion. In a guest, on
 *
 *   ktxa ---- ktxb   (veth)      ktxd   (dummy)
 */
#include <endian.h>
#include <sched.h>

#include "../../core/permute.h"
#include "../../include/ktrxer.h"
#include "sender.h"

static struct sender t;
static int b = -1;

static void world(void)
{
	cpu_set_t here;

	/* A flood leaves from its caller's CPU, and veth keeps no order between two. */
	CPU_ZERO(&here);
	CPU_SET((size_t)sched_getcpu(), &here);
	CHECK(!sched_setaffinity(0, sizeof(here), &here));
	bed_new(&t, &b, "ktxd", "dummy", 1500, ETH_P_ALL);
}

static struct ktrxer_path path_of(uint8_t version)
{
	struct ktrxer_path path = { .src = { .version = version, .bytes = { 10, 1, 2, 3, 4 } } };

	memset(path.src_mac, 2, 6);
	memset(path.dst_mac, 0xff, 6);
	return path;
}

static struct ktx_flood_abi flood_of(const struct ktrxer_probe *p, const uint8_t *frame, int len)
{
	return (struct ktx_flood_abi){
		.size = sizeof(struct ktx_flood_abi),
		.pattern = (uintptr_t)frame,
		.pattern_len = (uint32_t)len,
		.kind = p->kind,
		.key = { p->key[0], p->key[1] },
		.sport_lo = 32768,
		.sport_hi = 61000,
		.dport = p->kind == KTRXER_PROBE_ICMP ? 0 : p->dport,
		.payload_bytes = p->payload_bytes,
		.n_targets = 1000,
		.permute = 1,
		.permute_seed = 77,
		.count = 1500,
	};
}

static void target_of(const struct ktx_flood_abi *a, uint8_t version, uint64_t number, struct ktrxer_addr *target)
{
	struct kt_permute order;
	uint64_t at = number % a->n_targets;

	kt_permute_init(&order, a->n_targets - 1, a->permute_seed);
	at = a->permute ? kt_permute_at(&order, at) : at;
	*target = (struct ktrxer_addr){ .version = version };
	memcpy(target->bytes, a->first_target, 16);
	for (int i = version == 4 ? 3 : 15; i >= 0 && at; i--) { /* adds, carrying as one does by hand */
		at += target->bytes[i];
		target->bytes[i] = (uint8_t)at;
		at >>= 8;
	}
}

static ssize_t arrived(uint8_t *seen, size_t cap)
{
	ssize_t n;

	while ((n = recv(b, seen, cap, 0)) < 0)
		if (poll(&(struct pollfd){ .fd = b, .events = POLLIN }, 1, 2000) <= 0)
			TEST_FAIL("a probe did not arrive");
	return n;
}

/* What arrived as probe `number`; the time in the payload is the module's own. */
static void expect(const struct ktrxer_probe *p, const struct ktx_flood_abi *a, uint8_t version, uint64_t number)
{
	struct ktrxer_path path = path_of(version);
	struct ktrxer_addr target;
	uint8_t seen[2048], want[2048];
	uint64_t time_ns = 0;
	int n = (int)arrived(seen, sizeof(seen)), len;

	if (p->payload_bytes >= 24)
		for (int i = 0; i < 8; i++)
			time_ns = time_ns << 8 | seen[n - (int)p->payload_bytes + 16 + i];
	target_of(a, version, number, &target);
	len = ktrxer_probe_build(p, &path, &target, number, time_ns, want, sizeof(want));
	CHECK_EQ(n, len);
	CHECK_MEM(seen, want, (size_t)len);
	CHECK(p->payload_bytes < 24 || (time_ns <= now() && time_ns + 60 * SECOND > now()));
}

/* Another flood, of frames of the same length, that could go on: nothing of it may be in those of the next. */
static void leave_unfinished(struct ktx_flood_abi a)
{
	uint8_t frame[2048], seen[2048];

	memcpy(frame, (const void *)(uintptr_t)a.pattern, a.pattern_len);
	frame[6] ^= 4; /* the source's address */
	a.pattern = (uintptr_t)frame;
	a.key[0]++;
	a.flags = KTX_FLOOD_DONE;
	a.max_attempts = 1000000;
	CHECK_EQ(ioctl(t.fd, KTX_IOC_FLOOD, &a), -1);
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(a.sent, 64);
	for (int i = 0; i < 64; i++)
		arrived(seen, sizeof(seen));
}

static void series(enum ktrxer_probe_kind kind, uint8_t version, uint32_t payload, bool permute)
{
	struct ktrxer_path path = path_of(version);
	struct ktrxer_addr any = { .version = version };
	KTRXER_OPTS(ktrxer_probe, p);
	struct ktx_flood_abi a;
	uint8_t frame[2048];
	uint64_t before;
	int n;

	p.kind = kind;
	p.dport = 443;
	p.payload_bytes = payload;
	p.dns_name = "example.org";
	p.key[0] = 0x1234567;
	p.key[1] = 99;
	n = ktrxer_probe_build(&p, &path, &any, 5, 6, frame, sizeof(frame));
	CHECK(n > 0);
	world();
	sender_open(&t, "ktxa", 64);
	a = flood_of(&p, frame, n);
	leave_unfinished(a);
	before = now();
	memcpy(a.first_target, (const uint8_t[16]){ 10, 9, 255, 250, [12] = 255, 255, 255, 240 }, 16);
	a.permute = permute;
	a.max_attempts = 1000000; /* the far end's backlog may be full for a moment */
	a.count = 700;
	a.rate_batch = 50;
	CHECK_EQ(ioctl(t.fd, KTX_IOC_FLOOD, &a), 0);
	CHECK_EQ(a.number, 700);
	a.count = 1500; /* goes on where it was, round the targets again */
	CHECK_EQ(ioctl(t.fd, KTX_IOC_FLOOD, &a), 0);
	CHECK_EQ(a.sent, 1500);
	CHECK_EQ(a.failed, 0);
	CHECK(a.reason == 0 || a.reason == ENOBUFS);
	CHECK_EQ(a.bytes, 1500ull * (unsigned int)n);
	CHECK(a.first_ns >= before && a.last_ns >= a.first_ns && a.last_ns <= now());
	CHECK_EQ(sender_stats(&t).sent, 64 + 1500);
	for (uint64_t i = 0; i < 1500; i++)
		expect(&p, &a, version, i);
}

static void t_as_the_library_builds(void)
{
	for (uint8_t version = 4; version <= 6; version += 2) {
		series(KTRXER_PROBE_ICMP, version, 24, true);
		series(KTRXER_PROBE_UDP, version, 16, true);
		series(KTRXER_PROBE_UDP, version, 700, false);
		series(KTRXER_PROBE_SYN, version, 0, true);
		series(KTRXER_PROBE_DNS, version, 0, false);
	}
}

static struct ktx_flood_abi plain(uint8_t *frame, size_t cap, uint32_t payload)
{
	struct ktrxer_path path = path_of(4);
	struct ktrxer_addr any = { .version = 4 };
	KTRXER_OPTS(ktrxer_probe, p);
	int n;

	p.kind = KTRXER_PROBE_UDP;
	p.dport = 9;
	p.payload_bytes = payload;
	n = ktrxer_probe_build(&p, &path, &any, 5, 6, frame, (uint32_t)cap);
	CHECK(n > 0);
	return flood_of(&p, frame, n);
}

static void nothing(int sig)
{
}

static void t_paced(void)
{
	uint8_t frame[2048];
	struct ktx_flood_abi a;
	uint64_t before;

	world();
	sender_open(&t, "ktxd", 64);
	a = plain(frame, sizeof(frame), 0);
	a.count = 1000;
	before = now();
	a.interval_num = 200000000; /* 1000 at 66,666.67 ns, three times in 200 us */
	a.interval_den = 3000;
	CHECK_EQ(ioctl(t.fd, KTX_IOC_FLOOD, &a), 0);
	CHECK_EQ(a.sent, 1000);
	CHECK(a.first_ns >= before);
	CHECK(a.last_ns >= before + 999 * 200000000ull / 3000);
	a.number = 0;
	a.count = 3;
	a.interval_num = ~0ull; /* the second is due at the end of time: only a signal ends it */
	a.interval_den = 1;
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = nothing }, NULL);
	alarm(1);
	CHECK_EQ(ioctl(t.fd, KTX_IOC_FLOOD, &a), -1);
	CHECK_EQ(errno, EINTR);
	CHECK_EQ(a.number, 1);
	CHECK_EQ(a.sent, 1001);
}

static void t_wrong(void)
{
	static const struct {
		uint32_t off, value;
		int answer;
	} wrong[] = {
		{ offsetof(struct ktx_flood_abi, size), 8, EINVAL },
		{ offsetof(struct ktx_flood_abi, flags), 2, EINVAL },
		{ offsetof(struct ktx_flood_abi, pattern), 8, EFAULT },
		{ offsetof(struct ktx_flood_abi, pattern_len), 41, EINVAL },
		{ offsetof(struct ktx_flood_abi, pattern_len), 0, EINVAL },
		{ offsetof(struct ktx_flood_abi, pattern_len), ~0u, EMSGSIZE },
		{ offsetof(struct ktx_flood_abi, kind), 4, EINVAL },
		{ offsetof(struct ktx_flood_abi, kind), 256, EINVAL },
		{ offsetof(struct ktx_flood_abi, kind), KTRXER_PROBE_SYN, EINVAL },
		{ offsetof(struct ktx_flood_abi, payload_bytes), 8, EINVAL },
		{ offsetof(struct ktx_flood_abi, payload_bytes), ~0u, EINVAL },
		{ offsetof(struct ktx_flood_abi, sport_lo), 9 | 8 << 16, EINVAL },
		{ offsetof(struct ktx_flood_abi, n_targets), 0, EINVAL },
		{ offsetof(struct ktx_flood_abi, permute), 2, EINVAL },
		{ offsetof(struct ktx_flood_abi, rate_batch), 257, EINVAL },
		{ offsetof(struct ktx_flood_abi, interval_num), 1, EINVAL }, /* of 0 */
		{ offsetof(struct ktx_flood_abi, reserved2), 1, EINVAL },
	};
	uint8_t frame[2048];
	struct ktx_flood_abi a;

	world();
	sender_open(&t, "ktxd", 64);
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		a = plain(frame, sizeof(frame), 0);
		if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ && !(wrong[i].off % 8))
			memset((char *)&a + wrong[i].off, 0, 4);
		memcpy((char *)&a + wrong[i].off, &wrong[i].value, 4);
		if (wrong[i].off == offsetof(struct ktx_flood_abi, pattern))
			a.pattern = 8;
		errno = 0;
		CHECK_EQ(ioctl(t.fd, KTX_IOC_FLOOD, &a), -1);
		if (errno != wrong[i].answer)
			TEST_FAIL("case %u: errno %d, not %d", i, errno, wrong[i].answer);
	}
	CHECK_EQ(sender_stats(&t).submitted, 0);
}

/* No carrier: each fails after its attempts. Gone: all of it does, and the caller is told. */
static void t_trouble(void)
{
	uint8_t frame[2048];
	struct ktx_flood_abi a;

	world();
	sender_open(&t, "ktxa", 64);
	a = plain(frame, sizeof(frame), 0);
	a.count = 300;
	a.max_attempts = 3;
	run("ip link set ktxb down");
	CHECK_EQ(ioctl(t.fd, KTX_IOC_FLOOD, &a), 0);
	CHECK_EQ(a.failed, 300);
	CHECK_EQ(a.retries, 600);
	CHECK_EQ(a.reason, ENETDOWN);
	run("ip link set ktxb up");
	a.count = 400;
	CHECK_EQ(ioctl(t.fd, KTX_IOC_FLOOD, &a), 0);
	CHECK_EQ(a.sent + a.failed, 400);
	CHECK(a.sent);
	run("ip link del ktxa");
	a.count = 1000;
	CHECK_EQ(ioctl(t.fd, KTX_IOC_FLOOD, &a), -1);
	CHECK_EQ(errno, ENODEV);
	CHECK_EQ(a.sent + a.failed, a.number);
	CHECK_EQ(sender_stats(&t).submitted, a.number);
	CHECK_EQ(sender_stats(&t).pending, 0);
}

/* --- With completions ------------------------------------------------------------------ */

static struct ktx_flood_abi told(uint8_t *frame, size_t cap, uint64_t n)
{
	struct ktx_flood_abi a = plain(frame, cap, 24);

	a.flags = KTX_FLOOD_DONE;
	a.count = n;
	return a;
}

/* Floods, with what is left of the count, until it has all been done or there is no room. Returns whether it has. */
static bool goes_on(struct ktx_flood_abi *a)
{
	if (!ioctl(t.fd, KTX_IOC_FLOOD, a))
		return true;
	CHECK_EQ(errno, EAGAIN);
	CHECK(a->number < a->count);
	return false;
}

/* Reads what there is: of the flood's probes, each once and in order from *next on. Returns how many others there are. */
static uint32_t read_told(const struct ktx_flood_abi *a, uint64_t *next)
{
	uint32_t n = sender_read(&t, 0), others = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (got[i].slot != KTX_NO_SLOT) {
			others++;
			continue;
		}
		CHECK_EQ(got[i].id, *next);
		CHECK_EQ(got[i].len, a->pattern_len);
		CHECK(!got[i].stamp_ns && !got[i].stamp_clock && !got[i].flags && !got[i].reserved);
		++*next;
	}
	CHECK_EQ(*next, a->number);
	return others;
}

static void check_sent(uint32_t i)
{
	CHECK_EQ(got[i].status, KTX_DONE_SENT);
	CHECK_EQ(got[i].attempts, 1);
	CHECK_EQ(got[i].reason, 0);
	CHECK(got[i].scheduled_ns && got[i].launch_ns >= got[i].scheduled_ns && got[i].returned_ns >= got[i].launch_ns);
	CHECK(!i || got[i].launch_ns >= got[i - 1].returned_ns);
}

/* Rings of every size, batches larger than they are: one completion each, and what has no room waits for the next call. */
static void t_told(void)
{
	uint8_t frame[2048];

	for (uint32_t ring = 1; ring <= 4096; ring *= 4) {
		struct ktx_flood_abi a = told(frame, sizeof(frame), ring < 64 ? 10 * ring : 5000);
		struct pollfd p;
		uint64_t next = 0;
		bool over;

		world();
		sender_open(&t, "ktxd", ring);
		p = (struct pollfd){ .fd = t.fd, .events = POLLIN | POLLOUT };
		a.rate_batch = ring % 3 ? 256 : 0;
		do {
			uint64_t before = a.number;

			over = goes_on(&a);
			CHECK(over || a.number - before == ring);
			CHECK(over || !goes_on(&a));
			CHECK(over || a.number - before == ring);
			CHECK_EQ(poll(&p, 1, 0), 1);
			CHECK_EQ(p.revents, a.number - before == ring ? POLLIN : POLLIN | POLLOUT);
			CHECK_EQ(sender_stats(&t).submitted, a.number);
			CHECK_EQ(read_told(&a, &next), 0);
			for (uint32_t i = 0; i < a.number - before; i++)
				check_sent(i);
		} while (!over);
		CHECK_EQ(a.sent, a.count);
		CHECK_EQ(t.shared->taken, 0);
	}
}

/* Its payload says when a probe was scheduled, and its number which it is. */
static void t_told_payload(void)
{
	uint8_t frame[2048], seen[2048];
	struct ktx_flood_abi a = told(frame, sizeof(frame), 300);
	uint64_t next = 0;

	world();
	sender_open(&t, "ktxa", 1024);
	a.max_attempts = 1000000;
	CHECK(goes_on(&a));
	CHECK_EQ(read_told(&a, &next), 0);
	for (uint32_t i = 0; i < 300; i++) {
		const uint8_t *payload = seen + arrived(seen, sizeof(seen)) - a.payload_bytes;
		uint64_t words[3];

		memcpy(words, payload, sizeof(words));
		CHECK_EQ(be64toh(words[1]), i);
		CHECK_EQ(be64toh(words[2]), got[i].scheduled_ns);
	}
}

static void t_told_paced(void)
{
	uint8_t frame[2048];
	struct ktx_flood_abi a = told(frame, sizeof(frame), 100);
	uint64_t next = 0, before, scheduled = 0;
	bool over;

	world();
	sender_open(&t, "ktxd", 16);
	a.interval_num = 200000;
	a.interval_den = 1;
	before = now();
	do {
		uint32_t n = (uint32_t)a.number;

		over = goes_on(&a);
		CHECK_EQ(read_told(&a, &next), 0);
		n = (uint32_t)a.number - n;
		for (uint32_t i = 0; i < n; i++) {
			check_sent(i);
			CHECK(i ? got[i].scheduled_ns == got[i - 1].scheduled_ns + 200000
				: got[i].scheduled_ns >= scheduled + 200000);
		}
		scheduled = got[n - 1].scheduled_ns;
	} while (!over);
	CHECK(now() >= before + 99 * 200000);
	a.count = 103;
	a.interval_num = ~0ull;
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = nothing }, NULL);
	alarm(1);
	CHECK_EQ(ioctl(t.fd, KTX_IOC_FLOOD, &a), -1);
	CHECK_EQ(errno, EINTR);
	CHECK_EQ(read_told(&a, &next), 0);
	CHECK_EQ(next, 101);
}

/* Each takes of the other's room, what waits for its time too, and neither loses its place in either ring. */
static void t_told_beside(void)
{
	struct ktx_cancel c = { .size = sizeof(c), .all = 1 };
	uint8_t frame[2048];
	struct ktx_flood_abi a = told(frame, sizeof(frame), 100000);
	uint64_t next = 0;

	world();
	sender_open(&t, "ktxd", 64);
	for (uint32_t i = 0; i < 10; i++)
		sender_put(&t, i, i, now() + 1000 * SECOND);
	sender_submit(&t, 0, 10);
	for (uint32_t round = 0; round < 50; round++) {
		for (uint32_t i = 10; i < 17; i++)
			sender_put(&t, i, i, 0);
		sender_submit(&t, KTX_SUBMIT_HERE, 7);
		CHECK(!goes_on(&a));
		CHECK_EQ(a.number, (round + 1) * (64 - 10 - 7));
		sender_put(&t, 17, 17, 0);
		CHECK_EQ(sender_submit_max(&t, 0, 0).error, -EAGAIN);
		t.submit--;
		CHECK_EQ(sender_stats(&t).pending, 10);
		CHECK_EQ(sender_stats(&t).sent, (round + 1) * (64 - 10));
		CHECK_EQ(read_told(&a, &next), 7);
		for (uint32_t i = 0; i < 7; i++)
			CHECK_EQ(got[i].id, 10 + i);
	}
	CHECK_EQ(t.shared->taken, 10 + 50 * 7);
	CHECK_EQ(ioctl(t.fd, KTX_IOC_CANCEL, &c), 0);
	CHECK_EQ(c.n, 10);
	CHECK_EQ(read_told(&a, &next), 10);
	CHECK_EQ(sender_stats(&t).pending, 0);
	CHECK(!goes_on(&a));
	CHECK_EQ(read_told(&a, &next), 0);
	CHECK_EQ(a.number, 50 * 47 + 64);
}

/* No carrier, and no device: failed, and told so, before and in the middle. */
static void t_told_trouble(void)
{
	uint8_t frame[2048];
	struct ktx_flood_abi a = told(frame, sizeof(frame), 300);
	uint64_t next = 0;

	world();
	sender_open(&t, "ktxa", 1024);
	a.max_attempts = 3;
	run("ip link set ktxb down");
	CHECK(goes_on(&a));
	CHECK_EQ(read_told(&a, &next), 0);
	for (uint32_t i = 0; i < 300; i++)
		CHECK(got[i].status == KTX_DONE_FAILED && got[i].attempts == 3 && got[i].reason == ENETDOWN &&
		      !got[i].launch_ns && !got[i].returned_ns);
	run("ip link del ktxa");
	a.count = 1000;
	CHECK_EQ(ioctl(t.fd, KTX_IOC_FLOOD, &a), -1);
	CHECK_EQ(errno, ENODEV);
	CHECK(a.number > 300);
	CHECK_EQ(read_told(&a, &next), 0);
	for (uint32_t i = 0; i < a.number - 300; i++)
		CHECK(got[i].status == KTX_DONE_FAILED && got[i].attempts == 0 && got[i].reason == ENODEV);
	CHECK_EQ(sender_stats(&t).failed, a.number);
}

TEST_MAIN(T(t_as_the_library_builds), T(t_paced), T(t_wrong), T(t_trouble), T(t_told), T(t_told_payload),
	  T(t_told_paced), T(t_told_beside), T(t_told_trouble))

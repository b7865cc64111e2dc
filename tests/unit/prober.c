/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The prober in virtual time, against a host that answers as it is told:
 * loses, repeats, refuses. Every count must come out exactly.
 */
#include "core/hash.h"
#include "lib/mem.h"
#include "lib/prober.h"
#include "lib/probe.h"
#include "tests/test.h"

#define MS 1000000ull
#define DELAY (5 * MS)

static struct ktrxer_err err;
static struct ktrxer *port;
static struct kt_targets targets;
static struct kt_walk walk;

/* The host behind the wire. */
static struct {
	bool (*drop)(const struct kt_packet *k, u64 n); /* no answer to the n-th probe */
	u32 copies; /* answers to each probe; 0: 1 */
	bool reset; /* ports are closed */
	u64 n;
	u32 hits[65536]; /* probes by the last 16 bits of the address */
	u64 stamp[4096]; /* arrivals */
} host;

/* What the prober told. */
static struct {
	u64 sent, answers, duplicates, lost, retries, no_path, late_answers;
	u64 bad_rtt, off_schedule;
	u64 frames_out, frames_in;
	u64 stop_after; /* answers; 0: never */
} told;

static void answer(const u8 *frame, u32 n, const struct kt_packet *k)
{
	struct kt_packet_spec s = { .ttl = 60 };
	u8 reply[2048];
	int len;

	s.flow.version = k->flow.version;
	s.flow.proto = k->flow.proto;
	memcpy(s.flow.src, k->flow.dst, 16);
	memcpy(s.flow.dst, k->flow.src, 16);
	s.flow.sport = k->flow.dport;
	s.flow.dport = k->flow.sport;
	if (k->flow.proto == KT_PROTO_ICMP) {
		s.flow.sport = s.flow.dport = 0;
		s.icmp_id = k->icmp_id;
		s.icmp_seq = k->icmp_seq;
	}
	s.tcp_flags = host.reset ? KT_TCP_RST | KT_TCP_ACK : KT_TCP_SYN | KT_TCP_ACK;
	s.tcp_ack = k->tcp_seq + 1;
	s.payload = frame + k->payload_off;
	s.payload_bytes = k->flow.proto == KT_PROTO_TCP ? 0 : k->payload_bytes;
	memcpy(s.src_mac, frame, 6);
	memcpy(s.dst_mac, frame + 6, 6);
	len = kt_packet_build(&s, reply, sizeof(reply));
	for (u32 i = 0; i < (host.copies ? host.copies : 1); i++)
		kt_mem_host_send("prober/1", reply, (u32)len);
}

static bool serve(void *ctx)
{
	u8 frame[2048];
	u64 stamp;
	int n;

	while ((n = kt_mem_host_next("prober/1", frame, sizeof(frame), &stamp)) > 0) {
		struct kt_packet k;

		if (kt_packet_parse(&k, frame, (u32)n, (u32)n) || !k.flow.version)
			continue;
		if (host.n < 4096)
			host.stamp[host.n] = stamp;
		host.hits[kt_get_be16(k.flow.dst + 2)]++;
		if (!host.drop || !host.drop(&k, host.n))
			answer(frame, (u32)n, &k);
		host.n++;
	}
	return told.stop_after && told.answers >= told.stop_after;
}

static void event(void *ctx, const struct kt_prober_event *e)
{
	switch (e->kind) {
	case KT_PROBER_SENT:
		told.sent++;
		told.off_schedule += e->launch_ns != e->scheduled_ns;
		break;
	case KT_PROBER_ANSWER:
		told.answers += !e->duplicate && !e->too_late;
		told.duplicates += e->duplicate;
		told.late_answers += e->too_late;
		told.bad_rtt += e->rtt_ns < (s64)(2 * DELAY) || e->rtt_ns > (s64)(2 * DELAY + 30 * MS);
		break;
	case KT_PROBER_LOST:
		told.lost++;
		break;
	case KT_PROBER_RETRY:
		told.retries++;
		break;
	default:
		told.no_path++;
	}
}

static void frame_seen(void *ctx, bool outgoing, const u8 *data, u32 caplen, u32 wirelen, u64 stamp_ns)
{
	*(outgoing ? &told.frames_out : &told.frames_in) += 1;
}

static struct kt_prober_opts options(enum ktrxer_probe_kind kind, const char *list)
{
	KTRXER_OPTS(ktrxer_probe, probe);
	struct kt_walk_opts w = { .random = true, .seed = 3 };

	memset(&host, 0, sizeof(host));
	memset(&told, 0, sizeof(told));
	CHECK_EQ(ktrxer_open(&port, "mem:prober/0", NULL, &err), 0);
	CHECK_EQ(kt_mem_set_delay("prober/0", DELAY), 0);
	kt_targets_init(&targets);
	CHECK_EQ(kt_targets_add(&targets, KT_TARGET_INCLUDE, list, NULL, &err), 0);
	CHECK_EQ(kt_targets_finish(&targets, &err), 0);
	CHECK_EQ(kt_walk_init(&walk, &w, targets.last, 0, &err), 0);
	probe.kind = kind;
	probe.dport = 443;
	return (struct kt_prober_opts){ .probe = probe,
					.targets = &targets,
					.walk = &walk,
					.rounds = 1,
					.timeout_ns = 100 * MS,
					.pace = { .kind = KT_PACE_INTERVAL, .interval_ns = 10 * MS },
					.event = event,
					.frame = frame_seen,
					.stop = serve };
}

static struct kt_prober_stats run(const struct kt_prober_opts *o, int expected)
{
	struct kt_prober_stats st;
	struct kt_prober *p;
	int ret = kt_prober_new(&p, port, o, &err);

	if (ret)
		TEST_FAIL("kt_prober_new: %s", err.text);
	ret = kt_prober_run(p, &err);
	if (ret != expected)
		TEST_FAIL("kt_prober_run: %d, %s", ret, err.text);
	kt_prober_get_stats(p, &st);
	CHECK_EQ(st.given, st.no_path + st.sent + st.failed + st.late + st.cancelled);
	CHECK_EQ(st.rx.seen, st.rx.delivered + st.rx.dropped + st.rx.passed + st.rx.lost_ring + st.rx.lost_engine +
				     st.rx.lost_error);
	if (o->track || o->probe.kind != KTRXER_PROBE_UDP) /* only those answers tell nothing of their number */
		CHECK_EQ(kt_prober_rtt(p)->n, st.answered);
	kt_prober_free(p);
	ktrxer_close(port);
	kt_targets_free(&targets);
	return st;
}

static void t_ping(void)
{
	struct kt_prober_opts o = options(KTRXER_PROBE_ICMP, "10.0.0.1-3");
	struct kt_prober_stats st;

	o.track = true;
	o.rounds = 5;
	o.probe.payload_bytes = 56;
	st = run(&o, 0);
	CHECK(st.planned == 15 && st.given == 15 && st.sent == 15 && st.answered == 15 && !st.lost && !st.duplicates);
	CHECK(told.sent == 15 && told.answers == 15 && told.frames_out == 15 && told.frames_in == 15);
	CHECK(told.bad_rtt == 0 && st.kinds[KTRXER_ANSWER_REPLY] == 15);
	for (int i = 1; i < 15; i++)
		CHECK_EQ(host.stamp[i] - host.stamp[i - 1], 10 * MS);
	CHECK(st.in_order == 15 && st.reordered == 0);
	CHECK_EQ(st.end_ns - st.start_ns, 140 * MS);
}

static bool every_third(const struct kt_packet *k, u64 n)
{
	return n % 3 == 2;
}

static void t_loss_and_duplicates(void)
{
	for (int kind = 0; kind <= KTRXER_PROBE_SYN; kind++) {
		struct kt_prober_opts o = options((enum ktrxer_probe_kind)kind, "10.0.0.0/27");
		struct kt_prober_stats st;

		o.track = true;
		o.rounds = 3;
		o.probe.payload_bytes = kind == KTRXER_PROBE_SYN ? 0 : 24;
		host.drop = every_third;
		host.copies = 2;
		st = run(&o, 0);
		CHECK(st.sent == 96 && st.answered == 64 && st.lost == 32 && st.duplicates == 64);
		CHECK(told.answers == 64 && told.lost == 32 && told.duplicates == 64 && told.bad_rtt == 0);
	}
}

static bool first_try_of_even(const struct kt_packet *k, u64 n)
{
	return k->flow.dst[3] % 2 == 0 && host.hits[kt_get_be16(k->flow.dst + 2)] < 3;
}

static void t_retries(void)
{
	struct kt_prober_opts o = options(KTRXER_PROBE_SYN, "10.0.0.0/28");
	struct kt_prober_stats st;

	o.track = true;
	o.retries = 2;
	host.drop = first_try_of_even;
	st = run(&o, 0);
	CHECK(st.answered == 16 && st.retried == 16 && st.given == 32 && st.lost == 0 && told.retries == 16);
	/* Each has a time of its own, later than the first one's, and keeps the gaps of the schedule. */
	for (int i = 1; i < 32; i++)
		CHECK(!told.off_schedule && host.stamp[i] - host.stamp[i - 1] >= 10 * MS);

	o = options(KTRXER_PROBE_SYN, "10.0.0.0/28");
	o.track = true;
	o.retries = 1;
	host.drop = first_try_of_even;
	host.reset = true;
	st = run(&o, 0);
	CHECK(st.answered == 8 && st.retried == 8 && st.given == 24 && st.lost == 8 && told.lost == 8);
	CHECK_EQ(st.kinds[KTRXER_ANSWER_RST], 8);
}

/* A service that answers with its own bytes returns nothing of ours: matched by address, oldest first. */
static void t_udp_without_cookie(void)
{
	struct kt_prober_opts o = options(KTRXER_PROBE_UDP, "10.0.0.0/30");
	struct kt_prober_stats st;

	o.track = true;
	o.rounds = 4;
	st = run(&o, 0);
	CHECK(st.answered == 16 && st.lost == 0 && st.duplicates == 0 && told.bad_rtt == 0);
}

static void t_trains(void)
{
	struct kt_prober_opts o = options(KTRXER_PROBE_ICMP, "10.0.0.1");
	struct kt_prober_stats st;

	o.track = true;
	o.rounds = 400;
	o.pace = (struct kt_pace_opts){ .kind = KT_PACE_TRAIN, .interval_ns = 50 * MS, .train_pkts = 100 };
	st = run(&o, 0);
	CHECK(st.sent == 400 && st.answered == 400);
	for (int i = 1; i < 400; i++)
		CHECK_EQ(host.stamp[i] - host.stamp[i - 1], i % 100 ? 0 : 50 * MS);
}

static void t_explicit_times(void)
{
	static const u64 times[] = { 0, 3 * MS, 3 * MS, 70 * MS };
	struct kt_prober_opts o = options(KTRXER_PROBE_ICMP, "10.0.0.1-20");
	struct kt_prober_stats st;

	o.track = true;
	o.times = times;
	o.n_times = 4;
	st = run(&o, 0);
	CHECK(st.planned == 4 && st.sent == 4 && st.answered == 4);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(host.stamp[i] - host.stamp[0], times[i]);
}

static void check_each_once(u32 n, u32 times)
{
	for (u32 i = 0; i < 65536; i++)
		CHECK_EQ(host.hits[i], i < n ? times : 0);
}

static void t_scan_by_flood(void)
{
	for (int kind = 0; kind <= KTRXER_PROBE_SYN; kind++) {
		struct kt_prober_opts o = options((enum ktrxer_probe_kind)kind, "10.0.0.0/19");
		struct kt_prober_stats st;

		o.flood = true;
		o.pace = (struct kt_pace_opts){ .kind = KT_PACE_RATE, .rate_num = 100000 };
		host.copies = 3;
		st = run(&o, 0);
		check_each_once(8192, 1);
		CHECK(st.sent == 8192 && st.answered == 8192 && st.duplicates == 2 * 8192);
		CHECK(st.bytes == 8192 * (kind == KTRXER_PROBE_SYN ? 58 : 42));
	}
}

static void t_scan_paced(void)
{
	struct kt_prober_opts o = options(KTRXER_PROBE_SYN, "10.0.0.0/21");
	struct kt_prober_stats st;

	o.rounds = 2;
	o.pace = (struct kt_pace_opts){ .kind = KT_PACE_RATE, .rate_num = 20000 };
	host.drop = every_third;
	st = run(&o, 0);
	check_each_once(2048, 2);
	CHECK(st.sent == 4096 && st.answered == 4096 - 4096 / 3 && st.duplicates == 0);
}

static void t_as_fast_as_possible(void)
{
	struct kt_prober_opts o = options(KTRXER_PROBE_ICMP, "10.0.0.0/22");
	struct kt_prober_stats st;

	o.pace.kind = KT_PACE_ASAP;
	st = run(&o, 0);
	check_each_once(1024, 1);
	CHECK(st.sent == 1024 && st.answered == 1024);
}

static void t_interrupted(void)
{
	struct kt_prober_opts o = options(KTRXER_PROBE_ICMP, "10.0.0.0/16");
	struct kt_prober_stats st;

	o.track = true;
	told.stop_after = 10;
	st = run(&o, -EINTR);
	CHECK(st.interrupted && st.answered >= 10 && st.answered < 20 && st.sent < 30);
}

static void t_no_memory_left_for_tracking(void)
{
	struct kt_prober_opts o = options(KTRXER_PROBE_ICMP, "10.0.0.0/20");
	struct kt_prober_stats st;

	o.track = true;
	o.ring_bits = 10;
	o.timeout_ns = 10000 * MS;
	o.pace = (struct kt_pace_opts){ .kind = KT_PACE_INTERVAL, .interval_ns = MS };
	host.drop = every_third;
	st = run(&o, 0);
	CHECK_EQ(st.sent, 4096);
	CHECK_EQ(st.answered, 4096 - 4096 / 3);
	CHECK(st.evicted > 700 && st.evicted + st.lost == 4096 / 3);
}

static void t_frames(void)
{
	struct kt_prober_opts o = options(KTRXER_PROBE_ICMP, "10.0.0.1");
	struct kt_packet_spec s = {
		.flow = { .version = 4, .proto = KT_PROTO_UDP, .sport = 7, .dport = 9, .src = { 9 } }
	};
	u8 data[2][128];
	struct kt_prober_frame frames[2];
	struct kt_prober_stats st;

	for (u32 i = 0; i < 2; i++) {
		s.flow.dst[3] = (u8)i;
		frames[i] = (struct kt_prober_frame){ data[i], (u32)kt_packet_build(&s, data[i], sizeof(data[i])) };
	}
	o.targets = NULL, o.walk = NULL;
	o.frames = frames;
	o.n_frames = 2;
	o.rounds = 10;
	o.track = true;
	host.drop = every_third;
	st = run(&o, 0);
	CHECK(st.sent == 20 && st.answered == 14 && st.lost == 6);
	CHECK_EQ(told.frames_out, 20);
}

static void t_bad_options(void)
{
	struct kt_prober_opts o = options(KTRXER_PROBE_ICMP, "10.0.0.1"), bad;
	struct kt_prober *p;

	bad = o;
	bad.retries = 1;
	CHECK_EQ(kt_prober_new(&p, port, &bad, &err), -EINVAL);
	CHECK_STR(err.text, "retries need tracking, which knows the probes without answer");
	bad = o;
	bad.pace.interval_ns = 0;
	CHECK_EQ(kt_prober_new(&p, port, &bad, &err), -EINVAL);
	bad = o;
	bad.probe.payload_bytes = 9000;
	CHECK_EQ(kt_prober_new(&p, port, &bad, &err), -EMSGSIZE);
	CHECK(strstr(err.text, "probes of 9042 bytes are too long for"));
	bad = o;
	bad.flood = true;
	bad.pace.kind = KT_PACE_POISSON;
	CHECK_EQ(kt_prober_new(&p, port, &bad, &err), -EINVAL);
	ktrxer_close(port);
	kt_targets_free(&targets);
}

TEST_MAIN(T(t_ping), T(t_loss_and_duplicates), T(t_retries), T(t_udp_without_cookie), T(t_trains), T(t_explicit_times),
	  T(t_scan_by_flood), T(t_scan_paced), T(t_as_fast_as_possible), T(t_interrupted),
	  T(t_no_memory_left_for_tracking), T(t_frames), T(t_bad_options))

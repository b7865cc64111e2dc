/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Sending, receiving and counting for the suite's cases; the runner of the cases. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>

#include "lib/mem.h"
#include "suite.h"

#define MAGIC (0x6b54636f00000000ull | W.number) /* "kTco" and the world: the payload's first word */
#define PAYLOAD_OFF (KT_ETH_BYTES + 20 + 8)

void suite_spec(struct kt_packet_spec *s)
{
	static const uint8_t ip_a[4] = { 10, 77, 0, 1 }, ip_b[4] = { 10, 77, 0, 2 };

	memset(s, 0, sizeof(*s));
	memcpy(s->src_mac, W.mac_a, 6);
	memcpy(s->dst_mac, W.mac_b, 6);
	s->flow.version = 4;
	s->flow.proto = KT_PROTO_UDP;
	s->flow.ethertype = KT_ETHERTYPE_IPV4;
	memcpy(s->flow.src, ip_a, 4);
	memcpy(s->flow.dst, ip_b, 4);
	s->flow.sport = 40000;
	s->flow.dport = SUITE_PORT;
}

uint32_t suite_build(uint8_t *buf, uint32_t cap, const struct kt_packet_spec *spec, uint64_t id, uint32_t len)
{
	static uint8_t payload[65536];
	struct kt_packet_spec s = *spec;
	uint32_t headers = KT_ETH_BYTES + s.n_vlans * KT_VLAN_BYTES + (s.flow.version == 6 ? 40 : 20) +
			   (s.flow.proto == KT_PROTO_TCP ? 20 : 8);
	int n;

	kt_put_be64(payload, MAGIC);
	kt_put_be64(payload + 8, id);
	for (uint32_t i = 16; i + headers < len; i++)
		payload[i] = (uint8_t)(id + i);
	s.payload = payload;
	s.payload_bytes = len > headers + 16 ? len - headers : 16;
	n = kt_packet_build(&s, buf, cap);
	if (n < 0)
		TEST_FAIL("kt_packet_build: %s", strerror(-n));
	return (uint32_t)n;
}

uint32_t suite_frame(uint8_t *buf, uint32_t cap, uint64_t id, uint32_t len)
{
	struct kt_packet_spec s;

	suite_spec(&s);
	return suite_build(buf, cap, &s, id, len);
}

/* The payload's id, wherever the headers end. */
uint64_t suite_id(const struct krx_packet *p)
{
	for (uint32_t off = 0; off + 16 <= p->caplen && off <= 120; off++)
		if (kt_get_be64(p->data + off) == MAGIC)
			return kt_get_be64(p->data + off + 8);
	return UINT64_MAX;
}

static cpu_set_t anywhere;

void suite_stay(void)
{
	cpu_set_t here;

	pthread_getaffinity_np(pthread_self(), sizeof(anywhere), &anywhere);
	CPU_ZERO(&here);
	CPU_SET((size_t)sched_getcpu(), &here);
	pthread_setaffinity_np(pthread_self(), sizeof(here), &here);
}

void suite_move(void)
{
	pthread_setaffinity_np(pthread_self(), sizeof(anywhere), &anywhere);
}

uint32_t suite_attempts(void)
{
	return suite_cards() ? 20000 : 1;
}

void suite_send(uint64_t first, unsigned int n, uint32_t len)
{
	static uint8_t buf[65600];

	for (unsigned int i = 0; i < n; i++) {
		struct ktx_probe p = { .frame = buf, .id = first + i, .max_attempts = suite_attempts() };
		int ret;

		p.len = suite_frame(buf, sizeof(buf), first + i, len);
		ret = ktx_submit(W.a.tx, &p, 1);
		if (ret != 1)
			TEST_FAIL("ktx_submit of %u bytes: %s: %s", p.len, strerror(-ret), ktx_why(W.a.tx));
	}
}

void suite_complete(uint64_t first, unsigned int n, enum ktx_status status)
{
	static uint8_t seen[1 << 20];
	unsigned int got = 0;

	memset(seen, 0, n);
	while (got < n) {
		struct ktx_done d[64];
		int k = ktx_wait(W.a.tx, 3 * SUITE_SECOND);

		if (k <= 0)
			TEST_FAIL("only %u of %u completions came (%d)", got, n, k);
		k = ktx_complete(W.a.tx, d, 64);
		for (int i = 0; i < k; i++, got++) {
			uint64_t at = d[i].id - first;

			if (at >= n || seen[at]++)
				TEST_FAIL("completion of probe %llu is one too many", (unsigned long long)d[i].id);
			if (d[i].status != status)
				TEST_FAIL("probe %llu is %s (%s), not %s", (unsigned long long)d[i].id,
					  ktx_status_name(d[i].status), strerror(d[i].reason), ktx_status_name(status));
			if (status == KTX_SENT &&
			    (d[i].launch_ns < d[i].scheduled_ns || !d[i].attempts || d[i].returned_ns < d[i].launch_ns))
				TEST_FAIL("probe %llu: scheduled %llu, launched %llu, returned %llu, %u attempts",
					  (unsigned long long)d[i].id, (unsigned long long)d[i].scheduled_ns,
					  (unsigned long long)d[i].launch_ns, (unsigned long long)d[i].returned_ns,
					  d[i].attempts);
		}
	}
	CHECK_EQ(ktx_complete(W.a.tx, &(struct ktx_done){ 0 }, 1), 0);
	suite_check_tx();
}

bool suite_next(struct krx_listener *l, struct krx_packet *p, uint64_t timeout_ns)
{
	uint64_t until = ktrxer_now(W.b.port) + timeout_ns;

	for (;;) {
		uint64_t now = ktrxer_now(W.b.port);
		int ret = krx_next(l, p, until > now ? until - now : 0);

		if (ret < 0)
			TEST_FAIL("krx_next: %s", strerror(-ret));
		if (!ret)
			return false;
		if (suite_id(p) != UINT64_MAX)
			return true;
	}
}

void suite_expect(struct krx_listener *l, uint64_t first, unsigned int n)
{
	struct krx_packet p;

	for (unsigned int i = 0; i < n; i++) {
		if (!suite_next(l, &p, 3 * SUITE_SECOND))
			TEST_FAIL("only %u of %u frames came", i, n);
		if (suite_id(&p) != first + i)
			TEST_FAIL("frame %llu came where %llu was due", (unsigned long long)suite_id(&p),
				  (unsigned long long)(first + i));
	}
	suite_expect_nothing(l);
}

void suite_expect_nothing(struct krx_listener *l)
{
	struct krx_packet p;

	if (suite_next(l, &p, 30 * SUITE_MS))
		TEST_FAIL("frame %llu came, nothing was due", (unsigned long long)suite_id(&p));
}

bool suite_host_next(uint64_t *id, uint16_t *sport)
{
	static uint8_t buf[65600];
	struct kt_packet pk;
	int n;

	if (W.engine.real) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);

		do
			n = (int)recvfrom(W.host_fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
		while (n >= 16 && kt_get_be64(buf) != MAGIC);
		if (n < 16)
			return false;
		*id = kt_get_be64(buf + 8);
		*sport = ntohs(from.sin_port);
		return true;
	}
	n = kt_mem_host_next("conform/1", buf, sizeof(buf), NULL);
	if (n <= 0)
		return false;
	kt_packet_parse(&pk, buf, (uint32_t)n, (uint32_t)n);
	*id = pk.payload_off ? kt_get_be64(buf + pk.payload_off + 8) : UINT64_MAX;
	*sport = pk.flow.sport;
	return true;
}

unsigned int suite_host_count(unsigned int n)
{
	static unsigned int count;
	struct pollfd p = { .fd = W.host_fd, .events = POLLIN };
	uint64_t id;
	uint16_t sport;

	count = 0;
	for (;;) {
		while (suite_host_next(&id, &sport))
			count++;
		if (count >= n || !W.engine.real)
			return count;
		if (poll(&p, 1, 3000) <= 0)
			return count;
	}
}

void suite_check_tx(void)
{
	struct ktx_stats s;

	ktx_get_stats(W.a.tx, &s);
	if (s.submitted != s.sent + s.failed + s.late + s.cancelled + s.pending)
		TEST_FAIL("submitted %llu is not sent %llu + failed %llu + late %llu + cancelled %llu + pending %llu",
			  (unsigned long long)s.submitted, (unsigned long long)s.sent, (unsigned long long)s.failed,
			  (unsigned long long)s.late, (unsigned long long)s.cancelled, (unsigned long long)s.pending);
}

void suite_check_rx(void)
{
	struct krx_stats s;

	krx_get_stats(W.b.rx, &s);
	if (s.seen != s.delivered + s.dropped + s.passed + s.lost_ring + s.lost_engine + s.lost_error)
		TEST_FAIL("seen %llu is not delivered %llu + dropped %llu + passed %llu + lost %llu + %llu + %llu",
			  (unsigned long long)s.seen, (unsigned long long)s.delivered, (unsigned long long)s.dropped,
			  (unsigned long long)s.passed, (unsigned long long)s.lost_ring,
			  (unsigned long long)s.lost_engine, (unsigned long long)s.lost_error);
}

void suite_rule(struct krx_rule *r, enum krx_op op)
{
	memset(r, 0, sizeof(*r));
	r->version = 4;
	r->proto = KT_PROTO_UDP;
	r->dport_lo = r->dport_hi = SUITE_PORT;
	r->op = op;
}

void suite_rules(const struct krx_rule *rules, unsigned int n)
{
	int ret = krx_rules_replace(W.b.rx, rules, n);

	if (ret)
		TEST_FAIL("krx_rules_replace: %s: %s", strerror(-ret), krx_why(W.b.rx));
}

int suite_main(struct suite_engine engine, int argc, char **argv)
{
	static const struct kt_test *const parts[] = { suite_tx_cases,	  suite_fate_cases,   suite_rx_cases,
						       suite_rules_cases, suite_listen_cases, suite_trouble_cases };
	static struct kt_test all[128];
	int n = 0, ret;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		for (const struct kt_test *t = parts[i]; t->name && n < 128; t++)
			all[n++] = *t;
	W.engine = engine;
	ret = kt_test_run(all, n, argc, argv);
	W.cut = true; /* nobody needs it any more */
	suite_down();
	return ret;
}

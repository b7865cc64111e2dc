/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What one probe costs to make: by the builder and by the template. One JSON object a line. */
#include <stdio.h>
#include <time.h>

#include "core/hash.h"
#include "core/permute.h"
#include "core/template.h"
#include "lib/probe.h"

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static const struct {
	const char *name;
	enum ktrxer_probe_kind kind;
	u32 payload_bytes;
} series[] = {
	{ "icmp", KTRXER_PROBE_ICMP, 0 },   { "icmp-56", KTRXER_PROBE_ICMP, 56 }, { "udp", KTRXER_PROBE_UDP, 0 },
	{ "udp-24", KTRXER_PROBE_UDP, 24 }, { "syn", KTRXER_PROBE_SYN, 0 },	  { "dns", KTRXER_PROBE_DNS, 0 },
};

static struct ktrxer_addr target_of(u8 version, u64 i)
{
	struct ktrxer_addr a = { .version = version };

	kt_put_be32(a.bytes + (version == 4 ? 0 : 12), (u32)i * 2654435761u);
	return a;
}

/* Best of five, so that a neighbour's work on this machine counts least. */
static double measure(const struct ktrxer_probe *p, const struct ktrxer_path *path, struct kt_template *t)
{
	u32 n = t ? 2000000 : 200000;
	double best = 1e9;
	u8 buf[256];

	for (int round = 0; round < 5; round++) {
		double start = now_ns(), ns;

		for (u64 i = 0; i < n; i++) {
			struct ktrxer_addr target = target_of(path->src.version, i);

			if (t)
				kt_template_fill(t, target.bytes, 443, i, 12345, buf);
			else
				ktrxer_probe_build(p, path, &target, i, 12345, buf, sizeof(buf));
			__asm__ volatile("" : : "r"(buf) : "memory");
		}
		ns = (now_ns() - start) / n;
		if (ns < best)
			best = ns;
	}
	return best;
}

int main(void)
{
	static struct kt_template t;
	struct kt_permute order;
	double start;
	u64 x = 0;

	for (size_t i = 0; i < KT_ARRAY_LEN(series); i++) {
		for (u8 version = 4; version <= 6; version += 2) {
			KTRXER_OPTS(ktrxer_probe, p);
			struct ktrxer_path path = { .src = target_of(version, 77) };

			p.kind = series[i].kind;
			p.dport = 443;
			p.payload_bytes = series[i].payload_bytes;
			p.dns_name = "example.org";
			if (kt_probe_template(&t, &p, &path))
				return 1;
			printf("{\"bench\":\"probe_fill\",\"probe\":\"%s\",\"version\":%d,\"frame_bytes\":%u,"
			       "\"template_ns\":%.1f,\"build_ns\":%.1f}\n",
			       series[i].name, version, t.len, measure(&p, &path, &t), measure(&p, &path, NULL));
		}
	}
	kt_permute_init(&order, 0xdfffffffull * 3, 1);
	start = now_ns();
	for (u64 i = 0; i < 5000000; i++)
		x += kt_permute_at(&order, i);
	printf("{\"bench\":\"permute\",\"space\":%llu,\"ns\":%.1f,\"sum\":%llu}\n", (unsigned long long)order.last + 1,
	       (now_ns() - start) / 5e6, (unsigned long long)x);
	return 0;
}

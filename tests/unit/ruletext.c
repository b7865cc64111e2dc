/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Rules as text: what each word means, the sentence for each mistake, every
 * rule that makes sense survives being written and read, and every line of
 * the manual's examples is one.
 */
#include "../test.h"

#include "../../lib/ruleconv.h"
#include "../rulegen.h"

static void t_meaning(void)
{
	struct krx_rule r;

	CHECK_EQ(krx_rule_parse(&r,
				"capture+drop proto tcp from 192.0.2.0/24 to any sport 80-90 dport 1024-65535 prio -10 "
				"slice network+4 64 sample 10 quota 1000 tag 7 ifindex 3 id 12 # why",
				NULL),
		 0);
	CHECK_EQ(r.op, KRX_CAPTURE_DROP);
	CHECK_EQ(r.proto, 6);
	CHECK_EQ(r.version, 4);
	CHECK_EQ(r.src_plen, 24);
	CHECK_MEM(r.src, "\xc0\x00\x02\x00", 4);
	CHECK_EQ(r.dst_plen, 0);
	CHECK_EQ(r.sport_lo, 80);
	CHECK_EQ(r.sport_hi, 90);
	CHECK_EQ(r.dport_lo, 1024);
	CHECK_EQ(r.dport_hi, 65535);
	CHECK_EQ(r.priority, -10);
	CHECK_EQ(r.slice, KRX_SLICE_NETWORK);
	CHECK_EQ(r.slice_off, 4);
	CHECK_EQ(r.slice_bytes, 64);
	CHECK_EQ(r.sample_n, 10);
	CHECK_EQ(r.quota_pkts, 1000);
	CHECK_EQ(r.tag, 7);
	CHECK_EQ(r.ifindex, 3);
	CHECK_EQ(r.id, 12);

	CHECK_EQ(krx_rule_parse(&r,
				"forward iface lo out lo version 6 proto udp set src-mac 02:00:00:00:00:01 "
				"set dst-mac 02:00:00:00:00:0a set src 2001:db8::1 set dst 2001:db8::2 set sport 1 "
				"set dport 2 set ttl 3 set tos 4\r\n",
				NULL),
		 0);
	CHECK_EQ(r.ifindex, 1);
	CHECK_EQ(r.out_ifindex, 1);
	CHECK_EQ(r.rewrite, 0xff);
	CHECK_MEM(r.new_dst_mac, "\x02\0\0\0\0\x0a", 6);
	CHECK_EQ(r.new_src[15], 1);
	CHECK_EQ(r.new_dst[15], 2);
	CHECK_EQ(r.new_sport, 1);
	CHECK_EQ(r.new_dport, 2);
	CHECK_EQ(r.new_ttl, 3);
	CHECK_EQ(r.new_tos, 4);

	CHECK_EQ(krx_rule_parse(&r, "drop type echo-reply proto icmp", NULL), 0);
	CHECK_EQ(r.dport_lo, 0);
	CHECK_EQ(r.dport_hi, 255);
	CHECK_EQ(krx_rule_parse(&r, "drop proto icmp6 type 1 code 4", NULL), 0);
	CHECK_EQ(r.dport_lo, 0x104);
	CHECK_EQ(r.dport_hi, 0x104);
	CHECK_EQ(krx_rule_parse(&r, "drop ethertype 0x88cc", NULL), 0);
	CHECK_EQ(r.ethertype, 0x88cc);
	CHECK_EQ(krx_rule_parse(&r, "drop proto 253 quota 18446744073709551615 slice", NULL), -EINVAL);
	CHECK_EQ(krx_rule_parse(&r, "capture slice payload", NULL), 0);
	CHECK_EQ(r.slice, KRX_SLICE_PAYLOAD);
}

static void t_nothing(void)
{
	static const char *const lines[] = { "", "\n", "  \t\r\n", "# capture", "   #" };
	struct krx_rule r;

	for (size_t i = 0; i < KT_ARRAY_LEN(lines); i++)
		CHECK_EQ(krx_rule_parse(&r, lines[i], NULL), -ENOENT);
}

static void t_mistakes(void)
{
	static const struct {
		const char *line;
		const char *sentence; /* its beginning */
	} cases[] = {
		{ "accept", "a rule begins with forward, capture, drop or capture+drop, not with \"accept\"" },
		{ "drop all", "\"all\" is no word of a rule; there are from, to, proto" },
		{ "drop from", "from: the value is missing" },
		{ "drop from # 1.2.3.4", "from: the value is missing" },
		{ "drop tag 1 tag 2", "tag stands there twice" },
		{ "drop from 192.0.2", "from \"192.0.2\": an address, ADDRESS/LENGTH" },
		{ "drop from 192.0.2.0/33", "from \"192.0.2.0/33\": an address, ADDRESS/LENGTH" },
		{ "drop from 192.0.2.0/", "from \"192.0.2.0/\": an address, ADDRESS/LENGTH" },
		{ "drop to 2001:db8::/129", "to \"2001:db8::/129\": an address, ADDRESS/LENGTH" },
		{ "drop from 192.0.2.7/24",
		  "from \"192.0.2.7/24\": bits are set behind the prefix; the network is 192.0.2.0/24" },
		{ "drop to 2001:db8::1/64",
		  "to \"2001:db8::1/64\": bits are set behind the prefix; the network is 2001:db8::/64" },
		{ "drop from 192.0.2.1 to ::1", "to \"::1\": this is IPv6, and the rule is for IPv4 already" },
		{ "drop version 6 to 192.0.2.1", "to \"192.0.2.1\": this is IPv4, and the rule is for IPv6 already" },
		{ "drop version 5", "version \"5\": 4 or 6 is meant" },
		{ "drop proto tpc", "proto \"tpc\": icmp, icmp6, tcp, udp" },
		{ "drop proto 256", "proto \"256\": icmp, icmp6, tcp, udp" },
		{ "drop proto 0", "proto \"0\": icmp, icmp6, tcp, udp" },
		{ "drop sport 65536", "sport \"65536\": a port from 1 to 65535, a range A-B, or any" },
		{ "drop dport 10-", "dport \"10-\": a port from 1 to 65535, a range A-B, or any" },
		{ "drop dport -10", "dport \"-10\": a port from 1 to 65535, a range A-B, or any" },
		{ "drop dport +1", "dport \"+1\": a port from 1 to 65535, a range A-B, or any" },
		{ "drop dport 20-10", "dport \"20-10\": the range ends before it begins" },
		{ "drop dport 0", "dport \"0\": port 0 alone cannot be matched; a range such as 0-1 can" },
		{ "drop type 8", "type \"8\": only a rule with proto icmp or icmp6 has one" },
		{ "drop proto icmp code 8", "code needs a type" },
		{ "drop proto icmp type 256", "type \"256\": a type from 0 to 255, or a name" },
		{ "drop proto icmp type too-big", "type \"too-big\": a type from 0 to 255, or a name" },
		{ "drop proto icmp type 0 code 0", "code 0 of type 0 cannot be matched alone; leave the code out" },
		{ "drop proto icmp type 8 dport 9", "type \"8\": dport says the same; one of them is enough" },
		{ "drop proto icmp type 8 code x", "code \"x\": an ICMP code from 0 to 255" },
		{ "drop ethertype ip", "ethertype \"ip\": ipv4, ipv6, arp" },
		{ "drop ethertype 0x10000", "ethertype \"0x10000\": ipv4, ipv6, arp" },
		{ "drop iface no-such-if0", "iface \"no-such-if0\": there is no such interface here" },
		{ "drop ifindex 0", "ifindex \"0\": the number of an interface is meant, 1 or more" },
		{ "drop prio 1.5", "prio \"1.5\": a whole number from -2147483648 to 2147483647" },
		{ "drop prio 2147483648", "prio \"2147483648\": a whole number from -2147483648 to 2147483647" },
		{ "capture slice ip", "slice \"ip\": link, network, transport or payload" },
		{ "capture slice link+65536", "slice \"link+65536\": link, network, transport or payload" },
		{ "capture slice link 0", "slice \"0\": a number of bytes is meant, 1 or more; without one, all" },
		{ "capture slice link 12x", "slice \"12x\": a number of bytes is meant, 1 or more; without one, all" },
		{ "drop slice link 14", "a slice needs an operation that captures: capture or capture+drop" },
		{ "capture sample 0", "sample \"0\": one packet in how many?" },
		{ "drop quota 0", "quota \"0\": a number of packets is meant, 1 or more" },
		{ "drop quota 18446744073709551616", "quota \"18446744073709551616\": a number of packets" },
		{ "drop tag 4294967296", "tag \"4294967296\": a number from 0 to 4294967295" },
		{ "drop id 0", "id \"0\": a number from 1 to 4294967295" },
		{ "forward out no-such-if0", "out \"no-such-if0\": there is no such interface here" },
		{ "drop out lo", "an outgoing interface needs an operation that forwards: forward or capture" },
		{ "forward set", "set: the value is missing" },
		{ "forward set mac 1", "set \"mac\": src-mac, dst-mac, src, dst, sport, dport, ttl or tos is meant" },
		{ "forward set ttl", "set ttl: the value is missing" },
		{ "forward set ttl 256", "set ttl \"256\": a number from 0 to 255 is meant" },
		{ "forward set ttl 1 set ttl 2", "set \"ttl\": this field is set twice" },
		{ "forward set src-mac 2:0:0:0:0:1", "set src-mac \"2:0:0:0:0:1\": a MAC address such as" },
		{ "forward set src-mac 02:00:00:00:00:01:02", "set src-mac \"02:00:00:00:00:01:02\": a MAC address" },
		{ "forward set src-mac 02:00:00:00:00:0x", "set src-mac \"02:00:00:00:00:0x\": a MAC address" },
		{ "forward set src host", "set src \"host\": an IPv4 or IPv6 address is meant" },
		{ "forward set dport 1", "rewriting a port needs a rule for protocol tcp or udp" },
		{ "forward from 192.0.2.1 set src ::1",
		  "set src \"::1\": this is IPv6, and the rule is for IPv4 already" },
		{ "drop \x01\xff", "\"??\" is no word of a rule" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct ktrxer_err err = { 0 };
		struct krx_rule r;
		int ret = krx_rule_parse(&r, cases[i].line, &err);

		if (ret != -EINVAL || err.code != EINVAL ||
		    strncmp(err.text, cases[i].sentence, strlen(cases[i].sentence)))
			TEST_FAIL("\"%s\" gives %d, \"%s\"", cases[i].line, ret, err.text);
		CHECK_EQ(krx_rule_parse(&r, cases[i].line, NULL), -EINVAL);
		if (strlen(err.text) > 246)
			TEST_FAIL("\"%s\": the sentence is cut off", cases[i].line);
	}
}

static void t_long_line(void)
{
	char line[2048];
	struct ktrxer_err err;
	struct krx_rule r;

	memset(line, ' ', sizeof(line));
	memcpy(line, "drop", 4);
	line[1023] = 0;
	CHECK_EQ(krx_rule_parse(&r, line, &err), 0);
	line[1023] = ' ';
	line[1024] = 0;
	CHECK_EQ(krx_rule_parse(&r, line, &err), -EINVAL);
	CHECK_STR(err.text, "a rule has at most 1023 characters, not 1024");
}

/* A random rule that makes sense. */
static void gen_rule(struct krx_rule *r, u64 *rng)
{
	struct kt_rule k = { .id = gen_below(rng, 3) };
	const char *why;

	do {
		memset(&k.action, 0, sizeof(k.action));
		gen_match(&k.match, rng, 8);
		k.action.op = (u8)gen_below(rng, 4);
		k.priority = gen_below(rng, 2) ? (s32)kt_hash_next(rng) : 0;
		if (gen_below(rng, 2)) {
			k.action.slice_base = (u8)gen_below(rng, 4);
			k.action.slice_off = (u16)(gen_below(rng, 2) * gen_below(rng, 65536));
			k.action.slice_bytes = (u32)(gen_below(rng, 2) * kt_hash_next(rng));
		}
		k.action.sample_n = gen_below(rng, 3);
		k.action.quota_pkts = gen_below(rng, 2) ? kt_hash_next(rng) : 0;
		k.action.tag = (u32)kt_hash_next(rng) * gen_below(rng, 2);
		k.action.out_ifindex = gen_below(rng, 3);
		for (u32 i = 0; i < 8; i++)
			k.action.rewrite.flags |= gen_below(rng, 8) ? 0 : 1u << i;
		kt_rule_to_public(r, &k);
		for (u32 i = 0; i < 6; i++) {
			r->new_src_mac[i] = r->rewrite & KRX_REWRITE_SRC_MAC ? (u8)gen_below(rng, 256) : 0;
			r->new_dst_mac[i] = r->rewrite & KRX_REWRITE_DST_MAC ? (u8)gen_below(rng, 256) : 0;
		}
		for (u32 i = 0; i < (r->version == 6 ? 16u : 4u); i++) {
			r->new_src[i] = r->rewrite & KRX_REWRITE_SRC_IP ? (u8)gen_below(rng, 256) : 0;
			r->new_dst[i] = r->rewrite & KRX_REWRITE_DST_IP ? (u8)gen_below(rng, 256) : 0;
		}
		r->new_sport = (u16)(r->rewrite & KRX_REWRITE_SPORT ? gen_below(rng, 65536) : 0);
		r->new_dport = (u16)(r->rewrite & KRX_REWRITE_DPORT ? gen_below(rng, 65536) : 0);
		r->new_ttl = (u8)(r->rewrite & KRX_REWRITE_TTL ? gen_below(rng, 256) : 0);
		r->new_tos = (u8)(r->rewrite & KRX_REWRITE_TOS ? gen_below(rng, 256) : 0);
		kt_rule_from_public(&k, r);
	} while (kt_rule_check(&k, &why));
}

static void t_round_trip(void)
{
	u64 rng = 11;

	for (u32 i = 0; i < 20000; i++) {
		char text[1024], shorter[1024];
		struct krx_rule r, again;
		struct ktrxer_err err;
		int len;

		gen_rule(&r, &rng);
		len = krx_rule_format(&r, text, sizeof(text));
		CHECK_EQ(len, strlen(text));
		if (krx_rule_parse(&again, text, &err))
			TEST_FAIL("\"%s\" is refused: %s", text, err.text);
		if (memcmp(&r, &again, sizeof(r)))
			TEST_FAIL("\"%s\" is another rule when read", text);
		memset(shorter, 'x', sizeof(shorter));
		CHECK_EQ(krx_rule_format(&r, shorter, (size_t)len), len);
		CHECK_EQ(strlen(shorter), len - 1);
		CHECK_EQ(krx_rule_format(&r, NULL, 0), len);
	}
}

/* The lines of the literal blocks in the manual. */
static void t_manual(void)
{
	FILE *f = fopen("man/ktrxer-rule.5", "re");
	bool literal = false;
	char line[512];
	u32 n = 0;

	if (!f)
		SKIP("man/ktrxer-rule.5 is not in the current directory");
	while (fgets(line, sizeof(line), f)) {
		struct ktrxer_err err;
		struct krx_rule r;

		if (!strncmp(line, ".Bd -literal", 12) || !strncmp(line, ".Ed", 3)) {
			literal = line[1] == 'B';
			continue;
		}
		if (!literal)
			continue;
		n++;
		if (krx_rule_parse(&r, line, &err) == -EINVAL) {
			fclose(f);
			TEST_FAIL("%.200s: %s", line, err.text);
		}
	}
	fclose(f);
	CHECK(n >= 10);
}

TEST_MAIN(T(t_meaning), T(t_nothing), T(t_mistakes), T(t_long_line), T(t_round_trip), T(t_manual))

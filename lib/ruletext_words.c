/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Names in rules and what they stand for; see ruletext.h. */
#include "ruletext.h"

#include <errno.h>
#include <string.h>

const struct kt_word kt_rule_ops[] = {
	{ "forward", KRX_FORWARD },
	{ "capture", KRX_CAPTURE },
	{ "drop", KRX_DROP },
	{ "capture+drop", KRX_CAPTURE_DROP },
	{ NULL, 0 },
};

const struct kt_word kt_rule_slices[] = {
	{ "link", KRX_SLICE_LINK },
	{ "network", KRX_SLICE_NETWORK },
	{ "transport", KRX_SLICE_TRANSPORT },
	{ "payload", KRX_SLICE_PAYLOAD },
	{ NULL, 0 },
};

const struct kt_word kt_rule_protos[] = {
	{ "icmp", 1 },	 { "tcp", 6 },	     { "udp", 17 },  { "icmp6", 58 }, { "icmpv6", 58 }, { "igmp", 2 },
	{ "ipip", 4 },	 { "dccp", 33 },     { "ipv6", 41 }, { "rsvp", 46 },  { "gre", 47 },	{ "esp", 50 },
	{ "ah", 51 },	 { "none", 59 },     { "ospf", 89 }, { "pim", 103 },  { "vrrp", 112 },	{ "l2tp", 115 },
	{ "sctp", 132 }, { "udplite", 136 }, { NULL, 0 },
};

const struct kt_word kt_rule_ethertypes[] = {
	{ "ipv4", 0x0800 },	   { "ipv6", 0x86dd },	{ "arp", 0x0806 },  { "rarp", 0x8035 },
	{ "wol", 0x0842 },	   { "mpls", 0x8847 },	{ "lldp", 0x88cc }, { "eapol", 0x888e },
	{ "pppoe-disc", 0x8863 },  { "pppoe", 0x8864 }, { "ptp", 0x88f7 },  { "macsec", 0x88e5 },
	{ "mac-control", 0x8808 }, { NULL, 0 },
};

const struct kt_word kt_rule_icmp_types[] = {
	{ "echo-reply", 0 },   { "unreachable", 3 },   { "source-quench", 4 },	  { "redirect", 5 },
	{ "echo-request", 8 }, { "router-advert", 9 }, { "router-solicit", 10 },  { "time-exceeded", 11 },
	{ "parameter", 12 },   { "timestamp", 13 },    { "timestamp-reply", 14 }, { NULL, 0 },
};

const struct kt_word kt_rule_icmp6_types[] = {
	{ "unreachable", 1 },	  { "too-big", 2 },	   { "time-exceeded", 3 },    { "parameter", 4 },
	{ "echo-request", 128 },  { "echo-reply", 129 },   { "router-solicit", 133 }, { "router-advert", 134 },
	{ "neigh-solicit", 135 }, { "neigh-advert", 136 }, { "redirect", 137 },	      { NULL, 0 },
};

const char *kt_word_name(const struct kt_word *words, u32 value)
{
	for (; words->name; words++) {
		if (words->value == value)
			return words->name;
	}
	return NULL;
}

int kt_word_value(const struct kt_word *words, const char *name, u32 *value)
{
	for (; words->name; words++) {
		if (!strcmp(words->name, name)) {
			*value = words->value;
			return 0;
		}
	}
	return -ENOENT;
}

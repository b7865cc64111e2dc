/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Filter expressions of pcap-filter(7), compiled by libpcap for Ethernet. Without libpcap: -EOPNOTSUPP. */
#ifndef KT_PCAPFILTER_H
#define KT_PCAPFILTER_H

#include "../include/ktrxer.h"

#include "../core/env.h"

struct kt_pcapfilter;

/* 0, or -EINVAL with libpcap's own words. */
int kt_pcapfilter_new(struct kt_pcapfilter **f, const char *expression, struct ktrxer_err *err);
void kt_pcapfilter_free(struct kt_pcapfilter *f);

/* Any thread. */
bool kt_pcapfilter_match(const struct kt_pcapfilter *f, const u8 *frame, u32 caplen, u32 wirelen);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Reading captures: pcap, nanosecond pcap and pcapng, through libpcap, with
 * times in ns. What stands before a fault is delivered; the fault is one
 * sentence with the file and the record. A build without libpcap answers -EOPNOTSUPP.
 */
#ifndef KT_PCAPFILE_H
#define KT_PCAPFILE_H

#include "../include/ktrxer.h"

#include "../core/env.h"

struct kt_pcapfile;

struct kt_pcapfile_packet {
	const u8 *data; /* valid until the next call */
	u32 caplen;
	u32 wirelen;
	u64 stamp_ns; /* since 1970 */
	u64 number; /* of the record, from 1 */
};

/* path "-": standard input. 0; -EINVAL: no capture, or not of Ethernet; -errno of opening. */
int kt_pcapfile_open(struct kt_pcapfile **f, const char *path, struct ktrxer_err *err);
void kt_pcapfile_close(struct kt_pcapfile *f);

/* 1, 0 at the end, or -EINVAL / -EIO when the next record cannot be read. */
int kt_pcapfile_next(struct kt_pcapfile *f, struct kt_pcapfile_packet *p, struct ktrxer_err *err);

/* Back to the first record. -ESPIPE: standard input cannot be read twice. */
int kt_pcapfile_rewind(struct kt_pcapfile *f, struct ktrxer_err *err);

#endif

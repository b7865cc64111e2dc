/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Capture files through libpcap. */
#include "pcapfile.h"

#include "engine.h"

#ifdef HAVE_PCAP

#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct kt_pcapfile {
	pcap_t *pcap;
	char *path;
	const char *name; /* for sentences */
	u64 number; /* records read */
};

/* Opens f->pcap. */
static int open_pcap(struct kt_pcapfile *f, struct ktrxer_err *err)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	FILE *stream = stdin;
	struct stat st;
	int link;

	if (strcmp(f->path, "-")) {
		stream = fopen(f->path, "rbe");
		if (!stream)
			return kt_err(err, errno, "%.300s: %s", f->name, strerror(errno));
	}
	if (!fstat(fileno(stream), &st) && S_ISREG(st.st_mode) && !st.st_size) {
		if (stream != stdin)
			fclose(stream);
		return kt_err(err, EINVAL, "%.300s: the file is empty, not a capture", f->name);
	}
	f->pcap = pcap_fopen_offline_with_tstamp_precision(stream, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!f->pcap) {
		if (stream != stdin)
			fclose(stream);
		return kt_err(err, EINVAL, "%.300s: not a capture that can be read: %.100s", f->name, why);
	}
	link = pcap_datalink(f->pcap);
	f->number = 0;
	if (link == DLT_EN10MB)
		return 0;
	kt_err(err, EINVAL, "%.300s: its link type is %.30s; only Ethernet frames can be used", f->name,
	       pcap_datalink_val_to_name(link) ? pcap_datalink_val_to_name(link) : "unknown");
	pcap_close(f->pcap);
	f->pcap = NULL;
	return -EINVAL;
}

int kt_pcapfile_open(struct kt_pcapfile **out, const char *path, struct ktrxer_err *err)
{
	struct kt_pcapfile *f = calloc(1, sizeof(*f));
	int ret = -ENOMEM;

	*out = NULL;
	if (!f)
		goto err_memory;
	f->path = strdup(path);
	if (!f->path)
		goto err_memory;
	f->name = strcmp(path, "-") ? f->path : "standard input";
	ret = open_pcap(f, err);
	if (ret)
		goto err_open;
	*out = f;
	return 0;
err_memory:
	kt_err(err, ENOMEM, "no memory to read %.180s", path);
err_open:
	kt_pcapfile_close(f);
	return ret;
}

void kt_pcapfile_close(struct kt_pcapfile *f)
{
	if (!f)
		return;
	if (f->pcap)
		pcap_close(f->pcap);
	free(f->path);
	free(f);
}

/* libpcap takes the 32 bits of a pcap file, and any where its time_t has no more, for signed: from 2038 on, for before 1970. */
static u64 seconds_of(const struct timeval *tv)
{
	return tv->tv_sec < 0 ? (u32)tv->tv_sec : (u64)tv->tv_sec;
}

int kt_pcapfile_next(struct kt_pcapfile *f, struct kt_pcapfile_packet *p, struct ktrxer_err *err)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	int ret = pcap_next_ex(f->pcap, &h, &data);

	if (ret == PCAP_ERROR_BREAK)
		return 0;
	f->number++;
	if (ret != 1)
		return kt_err(err, EINVAL, "%.300s: record %" PRIu64 ": %.110s", f->name, f->number,
			      pcap_geterr(f->pcap));
	p->data = data;
	p->caplen = h->caplen;
	p->wirelen = h->len < h->caplen ? h->caplen : h->len;
	p->stamp_ns = seconds_of(&h->ts) * KT_NSEC_PER_SEC + (u64)h->ts.tv_usec; /* ns, because asked for */
	p->number = f->number;
	return 1;
}

int kt_pcapfile_rewind(struct kt_pcapfile *f, struct ktrxer_err *err)
{
	if (!strcmp(f->path, "-"))
		return kt_err(err, ESPIPE, "standard input can be read only once");
	pcap_close(f->pcap);
	f->pcap = NULL;
	return open_pcap(f, err);
}

#else

int kt_pcapfile_open(struct kt_pcapfile **f, const char *path, struct ktrxer_err *err)
{
	*f = NULL;
	return kt_err(err, EOPNOTSUPP, "%.300s: this build cannot read captures: it was made without libpcap", path);
}

void kt_pcapfile_close(struct kt_pcapfile *f)
{
}

int kt_pcapfile_next(struct kt_pcapfile *f, struct kt_pcapfile_packet *p, struct ktrxer_err *err)
{
	return -EOPNOTSUPP;
}

int kt_pcapfile_rewind(struct kt_pcapfile *f, struct ktrxer_err *err)
{
	return -EOPNOTSUPP;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* pcap filter expressions, run in user space over whole frames. */
#include "pcapfilter.h"

#include "engine.h"

#ifdef HAVE_PCAP

#include <pcap/pcap.h>
#include <stdlib.h>

struct kt_pcapfilter {
	struct bpf_program program;
};

int kt_pcapfilter_new(struct kt_pcapfilter **out, const char *expression, struct ktrxer_err *err)
{
	struct kt_pcapfilter *f = calloc(1, sizeof(*f));
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 262144);
	int ret = 0;

	*out = NULL;
	if (!f || !pcap)
		ret = kt_err(err, ENOMEM, "no memory to compile a filter");
	else if (pcap_compile(pcap, &f->program, expression, 1, PCAP_NETMASK_UNKNOWN))
		ret = kt_err(err, EINVAL, "filter \"%.100s\": %.120s", expression, pcap_geterr(pcap));
	if (pcap)
		pcap_close(pcap);
	if (ret) {
		free(f);
		return ret;
	}
	*out = f;
	return 0;
}

void kt_pcapfilter_free(struct kt_pcapfilter *f)
{
	if (!f)
		return;
	pcap_freecode(&f->program);
	free(f);
}

bool kt_pcapfilter_match(const struct kt_pcapfilter *f, const u8 *frame, u32 caplen, u32 wirelen)
{
	/* Not pcap_offline_filter(): its packet header has a time in it, of whose size libpcap has its own idea. */
	return bpf_filter(f->program.bf_insns, frame, wirelen, caplen);
}

#else

int kt_pcapfilter_new(struct kt_pcapfilter **f, const char *expression, struct ktrxer_err *err)
{
	*f = NULL;
	return kt_err(err, EOPNOTSUPP, "this build cannot compile filter expressions: it was made without libpcap");
}

void kt_pcapfilter_free(struct kt_pcapfilter *f)
{
}

bool kt_pcapfilter_match(const struct kt_pcapfilter *f, const u8 *frame, u32 caplen, u32 wirelen)
{
	return false;
}

#endif

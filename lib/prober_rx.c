/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Answers in: which probe they belong to, how long it took, whether they came before or out of order. */
#include <stdlib.h>

#include "dns.h"
#include "port.h"
#include "prober_impl.h"

#define BURST 256 /* packets handled before anything else gets its turn */
#define MAX_FRAME_RULES 64
#define RING_BYTES (4u << 20) /* some 30,000 answers that wait while a batch is launched */

void kt_prober_event_of(struct kt_prober_event *ev, enum kt_prober_event_kind kind, const struct kt_probe_entry *e)
{
	memset(ev, 0, sizeof(*ev));
	ev->kind = kind;
	ev->rtt_ns = -1;
	if (!e)
		return;
	ev->known = true;
	ev->seq = e->seq;
	ev->target = e->addr;
	ev->port = e->port;
	ev->round = e->round;
	ev->tries = e->tries;
	ev->scheduled_ns = e->scheduled_ns;
	ev->launch_ns = e->launch_ns;
	ev->returned_ns = e->returned_ns;
	ev->attempts = e->attempts;
}

void kt_prober_tell(struct kt_prober *p, const struct kt_prober_event *e)
{
	if (p->o.event)
		p->o.event(p->o.ctx, e);
}

/* --- Answers ------------------------------------------------------------------------ */

/* Was this answer seen before, as far as the window reaches? */
static bool is_repeated(struct kt_prober *p, const struct ktrxer_match *m, const struct kt_probe_entry *e)
{
	u8 thing[24];
	bool seen;

	memcpy(thing, m->target.bytes, 16);
	kt_put_be16(thing + 16, m->port);
	kt_put_be16(thing + 18, m->target.version);
	kt_put_be32(thing + 20, e ? (u32)e->seq & 0xffff : m->seq_bits ? (u32)m->seq & 0xffff : 0xffffffff);
	seen = kt_dedup_seen(p->seen, thing, sizeof(thing));
	return e ? e->answers > 1 : seen;
}

static bool is_reordered(struct kt_prober *p, const struct kt_probe_entry *e)
{
	u64 *highest;

	if (!p->highest || !e)
		return false;
	highest = &p->highest[e->number];
	p->st.in_order++;
	if (e->seq + 1 < *highest) {
		p->st.reordered++;
		return true;
	}
	*highest = e->seq + 1;
	return false;
}

static void read_dns(struct kt_prober_event *ev, const struct kt_packet *k, const struct krx_packet *pkt)
{
	struct kt_dns_response r;
	u32 n;

	if (!k->payload_off || k->payload_off >= pkt->caplen)
		return;
	n = pkt->caplen - k->payload_off;
	if (n > k->payload_bytes)
		n = k->payload_bytes;
	ev->has_address = !kt_dns_parse_response(&r, pkt->data + k->payload_off, n) &&
			  !kt_dns_first_address(&r, pkt->data + k->payload_off, n, &ev->address);
}

/* Counts an answer and finds out what it is to its probe. */
static void judge(struct kt_prober *p, struct kt_probe_entry *e, const struct ktrxer_match *m,
		  struct kt_prober_event *ev)
{
	bool launched = e && e->attempts;
	u64 launch = launched ? e->launch_ns : m->sent_ns;

	if (launched || launch)
		ev->rtt_ns = ev->received_ns > launch ? (s64)(ev->received_ns - launch) : 0;
	if (e)
		e->answers++;
	ev->too_late = p->o.track && (!e || e->state == KT_PROBE_ENDED || e->seq < p->out.first);
	ev->duplicate = p->o.track ? e && e->answers > 1 : is_repeated(p, m, e);
	if (ev->duplicate) {
		p->st.duplicates++;
		return;
	}
	if (ev->too_late) {
		p->st.too_late++;
		return;
	}
	if (e && e->state == KT_PROBE_SENT)
		p->waiting--;
	p->st.answered++;
	p->st.kinds[m->answer]++;
	ev->reordered = is_reordered(p, e);
	if (ev->rtt_ns >= 0)
		kt_histogram_add(&p->rtt, ev->rtt_ns);
}

static enum ktrxer_answer match(struct kt_prober *p, const struct kt_packet *k, const struct krx_packet *pkt,
				u64 received_ns, struct ktrxer_match *m)
{
	struct kt_exact_probe probe;

	if (p->exact)
		return kt_exact_match(p->exact, k, pkt->data, pkt->caplen, received_ns, m, &probe);
	return kt_probe_match(&p->o.probe, k, pkt->data, pkt->caplen, p->any_port, m);
}

void kt_prober_packet(struct kt_prober *p, const struct krx_packet *pkt)
{
	u64 received = ktrxer_convert(p->port, pkt->stamp_ns, pkt->clock, p->port->clock);
	struct kt_prober_event ev;
	struct kt_probe_entry *e;
	struct ktrxer_match m;
	struct kt_packet k;

	if (pkt->outgoing || kt_packet_parse(&k, pkt->data, pkt->caplen, pkt->wirelen))
		return;
	if (!match(p, &k, pkt, received, &m)) {
		p->st.strangers++;
		return;
	}
	e = p->exact ? kt_outstanding_get(&p->out, m.seq) : kt_outstanding_find(&p->out, &m);
	if (e && e->state == KT_PROBE_PENDING)
		kt_prober_completions(p); /* the launching thread knows what we do not yet */
	kt_prober_event_of(&ev, KT_PROBER_ANSWER, e);
	ev.answer = m.answer;
	ev.target = m.target;
	ev.port = m.port;
	ev.from = m.from;
	ev.ttl = m.ttl;
	ev.dns_rcode = m.dns_rcode;
	ev.received_ns = received;
	ev.wirelen = pkt->wirelen;
	if (!p->exact && p->o.probe.kind == KTRXER_PROBE_DNS && m.answer == KTRXER_ANSWER_REPLY)
		read_dns(&ev, &k, pkt);
	judge(p, e, &m, &ev);
	if (p->o.frame)
		p->o.frame(p->o.ctx, false, pkt->data, pkt->caplen, pkt->wirelen, received);
	kt_prober_tell(p, &ev);
}

int kt_prober_receive(struct kt_prober *p, u64 timeout_ns)
{
	struct krx_packet pkt;
	int ret = krx_next(p->listener, &pkt, timeout_ns);

	int n;

	for (n = 0; ret == 1 && n < BURST; n++) {
		kt_prober_packet(p, &pkt);
		ret = krx_next(p->listener, &pkt, 0);
	}
	if (ret == 1) { /* one was fetched, so it is handled */
		kt_prober_packet(p, &pkt);
		n++;
	}
	return ret < 0 && ret != -EINTR ? ret : n;
}

void kt_prober_expire(struct kt_prober *p, u64 now_ns)
{
	struct kt_exact_probe forgotten;
	struct kt_probe_entry *e;

	while (p->exact && kt_exact_expire(p->exact, now_ns, &forgotten))
		;
	while (p->o.track && (e = kt_outstanding_expire(&p->out, now_ns, p->o.timeout_ns))) {
		struct kt_prober_event ev;
		bool lost = e->state == KT_PROBE_SENT && !e->answers;

		e->state = KT_PROBE_ENDED;
		if (!lost)
			continue;
		p->waiting--;
		kt_prober_event_of(&ev, KT_PROBER_LOST, e);
		if (kt_prober_retry(p, e, now_ns))
			ev.kind = KT_PROBER_RETRY;
		else
			p->st.lost++;
		kt_prober_tell(p, &ev);
	}
}

/* --- Set-up -------------------------------------------------------------------------- */

/* Rules for the answers to one frame of the user's. */
static u32 frame_rules(const struct kt_prober_frame *f, struct krx_rule *r, enum krx_op op)
{
	struct kt_packet k;

	memset(r, 0, sizeof(*r));
	r->op = op;
	if (kt_packet_parse(&k, f->data, f->len, f->len))
		return 0;
	if (k.flow.ethertype == KT_ETHERTYPE_ARP) {
		r->ethertype = KT_ETHERTYPE_ARP;
		r->op = KRX_CAPTURE; /* the host needs its neighbours' */
		return 1;
	}
	if (!k.flow.version)
		return 0;
	r->version = k.flow.version;
	r->proto = k.flow.proto;
	r->src_plen = r->dst_plen = k.flow.version == 4 ? 32 : 128;
	memcpy(r->src, k.flow.dst, 16);
	memcpy(r->dst, k.flow.src, 16);
	return 1;
}

/* One rule a frame, or if there are too many, everything that could be an answer. */
static u32 rules_for_frames(struct kt_prober *p, struct krx_rule *rules, enum krx_op op)
{
	u32 n = 0;

	if (p->o.n_frames > MAX_FRAME_RULES) {
		rules[0] = (struct krx_rule){ .op = KRX_CAPTURE };
		return 1;
	}
	for (u32 i = 0; i < p->o.n_frames; i++)
		n += frame_rules(&p->o.frames[i], &rules[n], op);
	rules[n++] = (struct krx_rule){ .version = 4, .proto = KT_PROTO_ICMP, .op = KRX_CAPTURE };
	rules[n++] = (struct krx_rule){ .version = 6, .proto = KT_PROTO_ICMPV6, .op = KRX_CAPTURE };
	return n;
}

static int set_rules(struct kt_prober *p, struct ktrxer_err *err)
{
	enum krx_op op = p->o.drop ? KRX_CAPTURE_DROP : KRX_CAPTURE;
	struct krx_rule rules[MAX_FRAME_RULES + 2];
	u32 n = 0;
	int ret;

	memset(rules, 0, sizeof(rules));
	if (p->o.n_frames)
		n = rules_for_frames(p, rules, op);
	else
		for (u8 version = 4; version <= 6; version += 2)
			if (kt_targets_has_version(p->o.targets, version))
				n += (u32)kt_probe_rules(&p->o.probe, version, op, p->any_port, rules + n, 3);
	ret = krx_rules_replace(p->rx, rules, n);
	return ret ? kt_err(err, -ret, "%s", krx_why(p->rx)) : 0;
}

int kt_prober_rx_init(struct kt_prober *p, struct ktrxer_err *err)
{
	KTRXER_OPTS(krx_opts, o);
	KTRXER_OPTS(krx_listen_opts, l);
	struct kt_hash_key key = { p->o.probe.key[0], p->o.probe.key[1] };
	u64 n_targets = p->o.n_frames ? p->o.n_frames : p->o.targets->last;
	int ret;

	if (p->o.n_frames)
		ret = kt_exact_new(&p->exact, p->out.mask + 1, p->o.timeout_ns);
	else
		ret = p->o.track ? 0 : kt_dedup_new(&p->seen, p->o.dedup, &key);
	if (!ret && p->o.n_frames && !p->o.track)
		ret = kt_dedup_new(&p->seen, p->o.dedup, &key);
	if (!ret && n_targets < KT_PROBER_MAX_ORDERED) {
		p->highest = calloc((size_t)n_targets + 1, sizeof(*p->highest));
		ret = p->highest ? 0 : -ENOMEM;
	}
	if (ret)
		return kt_err(err, -ret, "no memory for answers");
	o.thread = p->o.flood && !kt_port_virtual(p->port);
	o.ring_bytes = RING_BYTES;
	l.lossless = true;
	ret = krx_open(&p->rx, p->port, &o, err);
	if (!ret)
		ret = set_rules(p, err);
	if (!ret)
		ret = krx_listen(&p->listener, p->rx, &l, err);
	return ret;
}

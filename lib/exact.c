/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Outstanding probes in a ring, oldest first, since all have the same
 * timeout; and chained from a hash table by what their answers return. In a
 * chain the oldest comes first: equal probes are answered in order. Of equal
 * probes that were answered only the last stays in the chain, to tell duplicates, so a
 * flood of one frame finds its match at the head.
 */
#include "exact.h"

#include <stdlib.h>
#include <sys/random.h>

#include "../core/hash.h"
#include "probe.h"

#define NONE 0xffffffffu

/* What an answer returns of a probe, seen from the prober. No padding: it is hashed whole. */
struct key {
	u8 src[16];
	u8 dst[16];
	u16 sport; /* ICMP echo: id */
	u16 dport; /* ICMP echo: sequence number */
	u8 version; /* 0: ARP */
	u8 proto;
	u8 reserved[2];
};

struct entry {
	struct key key;
	u32 next; /* in the chain */
	bool chained;
	u32 answers;
	u32 tcp_ack; /* what a TCP answer acknowledges */
	u64 id;
	u64 sent_ns;
};

struct chain {
	u32 head;
	u32 tail;
};

struct kt_exact {
	struct entry *ring;
	struct chain *chains;
	u32 capacity;
	u32 mask; /* of chains */
	u32 tail; /* oldest */
	u32 used;
	u64 timeout_ns;
	struct kt_hash_key secret;
	struct kt_exact_stats stats;
};

int kt_exact_new(struct kt_exact **out, u32 capacity, u64 timeout_ns)
{
	struct kt_exact *x;
	u32 slots = 16;

	*out = NULL;
	if (!capacity || capacity > 1u << 24)
		return -EINVAL;
	while (slots < capacity)
		slots *= 2;
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->capacity = capacity;
	x->mask = slots - 1;
	x->timeout_ns = timeout_ns;
	x->ring = calloc(capacity, sizeof(*x->ring));
	x->chains = malloc(slots * sizeof(*x->chains));
	if (!x->ring || !x->chains || getrandom(&x->secret, sizeof(x->secret), 0) != sizeof(x->secret)) {
		kt_exact_free(x);
		return -ENOMEM;
	}
	memset(x->chains, 0xff, slots * sizeof(*x->chains));
	*out = x;
	return 0;
}

void kt_exact_free(struct kt_exact *x)
{
	if (!x)
		return;
	free(x->ring);
	free(x->chains);
	free(x);
}

static struct chain *chain_of(struct kt_exact *x, const struct key *key)
{
	return &x->chains[(u32)kt_hash_siphash13(&x->secret, key, sizeof(*key)) & x->mask];
}

/* before: the entry in front of it, or NONE. */
static void unchain(struct kt_exact *x, struct chain *c, u32 before, u32 at)
{
	u32 next = x->ring[at].next;

	if (before == NONE)
		c->head = next;
	else
		x->ring[before].next = next;
	if (c->tail == at)
		c->tail = before;
	x->ring[at].chained = false;
}

/* Forgets the oldest entry. */
static void drop_oldest(struct kt_exact *x)
{
	struct entry *e = &x->ring[x->tail];
	struct chain *c = chain_of(x, &e->key);
	u32 before = NONE;

	if (e->chained) {
		for (u32 i = c->head; i != x->tail; i = x->ring[i].next)
			before = i;
		unchain(x, c, before, x->tail);
	}
	x->tail = x->tail + 1 == x->capacity ? 0 : x->tail + 1;
	x->used--;
}

static bool is_icmp(const struct kt_packet *k)
{
	return k->flow.proto == (k->flow.version == 4 ? KT_PROTO_ICMP : KT_PROTO_ICMPV6);
}

/* ARP addresses, when the frame is Ethernet ARP for IPv4 with that operation. */
static bool arp_key(struct key *key, const struct kt_packet *k, const u8 *frame, u32 caplen, u16 op)
{
	static const u8 head[6] = { 0, 1, 8, 0, 6, 4 };
	const u8 *arp = frame + k->l3_off;

	if (k->flow.ethertype != KT_ETHERTYPE_ARP || !k->l3_off || k->l3_off + 28 > caplen ||
	    memcmp(arp, head, sizeof(head)) || kt_get_be16(arp + 6) != op)
		return false;
	memcpy(key->src, arp + (op == 1 ? 14 : 24), 4);
	memcpy(key->dst, arp + (op == 1 ? 24 : 14), 4);
	return true;
}

/* The key of a probe as it was sent, or as an error quotes it. */
static void probe_key(struct key *key, const struct kt_packet *k)
{
	memcpy(key->src, k->flow.src, 16);
	memcpy(key->dst, k->flow.dst, 16);
	key->version = k->flow.version;
	key->proto = k->flow.proto;
	key->sport = is_icmp(k) ? k->icmp_id : k->flow.sport;
	key->dport = is_icmp(k) ? k->icmp_seq : k->flow.dport;
}

/* The key of the probe that a direct answer would belong to. */
static bool answer_key(struct key *key, const struct kt_packet *k)
{
	u16 reply = k->flow.version == 4 ? 0 : 129 << 8;

	if (is_icmp(k) && k->flow.dport != reply)
		return false;
	memcpy(key->src, k->flow.dst, 16);
	memcpy(key->dst, k->flow.src, 16);
	key->version = k->flow.version;
	key->proto = k->flow.proto;
	key->sport = is_icmp(k) ? k->icmp_id : k->flow.dport;
	key->dport = is_icmp(k) ? k->icmp_seq : k->flow.sport;
	return true;
}

int kt_exact_sent(struct kt_exact *x, const u8 *frame, u32 len, u64 id, u64 now_ns)
{
	struct key key = { .version = 0 };
	struct kt_packet k;
	struct chain *c;
	struct entry *e;
	u32 at;

	if (kt_packet_parse(&k, frame, len, len))
		return -EINVAL;
	if (k.flow.version)
		probe_key(&key, &k);
	else if (!arp_key(&key, &k, frame, len, 1))
		return -EINVAL;
	if (x->used == x->capacity) {
		x->stats.evicted += !x->ring[x->tail].answers;
		drop_oldest(x);
	}
	at = (u32)(((u64)x->tail + x->used) % x->capacity);
	e = &x->ring[at];
	*e = (struct entry){ .key = key, .next = NONE, .chained = true, .id = id, .sent_ns = now_ns };
	e->tcp_ack =
		k.tcp_seq + k.payload_bytes + (k.tcp_flags & KT_TCP_SYN ? 1 : 0) + (k.tcp_flags & KT_TCP_FIN ? 1 : 0);
	c = chain_of(x, &key);
	if (c->tail == NONE)
		c->head = at;
	else
		x->ring[c->tail].next = at;
	c->tail = at;
	x->used++;
	x->stats.remembered++;
	return 0;
}

/*
 * The oldest probe of that key without an answer, better one that ack names;
 * else the one last answered, which leaves the chain when another is.
 */
static struct entry *find(struct kt_exact *x, const struct key *key, bool has_ack, u32 ack)
{
	struct chain *c = chain_of(x, key);
	struct entry *best = NULL;
	u32 before = NONE, answered = NONE, answered_before = NONE;

	for (u32 i = c->head; i != NONE; before = i, i = x->ring[i].next) {
		struct entry *e = &x->ring[i];

		if (memcmp(&e->key, key, sizeof(*key)))
			continue;
		if (e->answers) {
			answered = i;
			answered_before = before;
			continue;
		}
		if (!best || (has_ack && best->tcp_ack != ack && e->tcp_ack == ack))
			best = e;
		if (!has_ack || best->tcp_ack == ack)
			break;
	}
	if (answered == NONE)
		return best;
	/* A second SYN-ACK or RST to the same number is a duplicate, not the answer to another number. */
	if (!best || (has_ack && best->tcp_ack != ack && x->ring[answered].tcp_ack == ack))
		return &x->ring[answered];
	unchain(x, c, answered_before, answered);
	return best;
}

static enum ktrxer_answer kind_of(const struct kt_packet *k)
{
	if (k->flow.proto != KT_PROTO_TCP)
		return KTRXER_ANSWER_REPLY;
	if (k->tcp_flags & KT_TCP_RST)
		return KTRXER_ANSWER_RST;
	return (k->tcp_flags & (KT_TCP_SYN | KT_TCP_ACK)) == (KT_TCP_SYN | KT_TCP_ACK) ? KTRXER_ANSWER_SYNACK
										       : KTRXER_ANSWER_REPLY;
}

/* What the frame claims to answer; none if it cannot be an answer. */
static enum ktrxer_answer read_claim(const struct kt_packet *k, const u8 *frame, u32 caplen, struct key *key)
{
	u32 bytes = caplen - k->payload_off;
	enum ktrxer_answer answer;
	struct kt_packet q;

	if (!k->flow.version)
		return arp_key(key, k, frame, caplen, 2) ? KTRXER_ANSWER_REPLY : KTRXER_ANSWER_NONE;
	if (k->flags & (KT_PKT_LATER_FRAGMENT | KT_PKT_MALFORMED))
		return KTRXER_ANSWER_NONE;
	if (!(k->flags & KT_PKT_ICMP_ERROR))
		return answer_key(key, k) ? kind_of(k) : KTRXER_ANSWER_NONE;
	if (!k->payload_off || k->payload_off >= caplen)
		return KTRXER_ANSWER_NONE;
	answer = kt_probe_error_kind(k);
	if (!answer || kt_packet_parse_ip(&q, frame + k->payload_off, bytes) || q.flow.version != k->flow.version)
		return KTRXER_ANSWER_NONE;
	probe_key(key, &q);
	return answer;
}

enum ktrxer_answer kt_exact_match(struct kt_exact *x, const struct kt_packet *k, const u8 *frame, u32 caplen,
				  u64 now_ns, struct ktrxer_match *m, struct kt_exact_probe *probe)
{
	struct key key = { .version = 0 };
	enum ktrxer_answer answer = read_claim(k, frame, caplen, &key);
	bool has_ack = k->flow.proto == KT_PROTO_TCP && (k->tcp_flags & KT_TCP_ACK) && !(k->flags & KT_PKT_ICMP_ERROR);
	struct entry *e;

	memset(m, 0, sizeof(*m));
	if (!answer)
		return answer;
	e = find(x, &key, has_ack, k->tcp_ack);
	if (!e || now_ns > e->sent_ns + x->timeout_ns)
		return KTRXER_ANSWER_NONE;
	if (e->answers++)
		x->stats.duplicates++;
	else
		x->stats.answered++;
	*probe = (struct kt_exact_probe){ e->id, e->sent_ns, e->answers };
	m->answer = answer;
	m->from.version = m->target.version = k->flow.version ? k->flow.version : 4;
	memcpy(m->from.bytes, k->flow.version ? k->flow.src : key.dst, 16);
	memcpy(m->target.bytes, key.dst, 16);
	m->port = key.proto == KT_PROTO_TCP || key.proto == KT_PROTO_UDP ? key.dport : 0;
	m->seq = e->id;
	m->seq_bits = 64;
	m->sent_ns = e->sent_ns;
	m->ttl = k->ttl;
	return answer;
}

bool kt_exact_expire(struct kt_exact *x, u64 now_ns, struct kt_exact_probe *probe)
{
	while (x->used) {
		struct entry *e = &x->ring[x->tail];

		if (now_ns <= e->sent_ns + x->timeout_ns)
			return false;
		*probe = (struct kt_exact_probe){ e->id, e->sent_ns, e->answers };
		drop_oldest(x);
		if (!probe->answers) {
			x->stats.expired++;
			return true;
		}
	}
	return false;
}

void kt_exact_get_stats(const struct kt_exact *x, struct kt_exact_stats *stats)
{
	*stats = x->stats;
	stats->outstanding = x->used;
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * kTRxer: send a probe exactly when you say, know whether it left, and get
 * the answer first, with the true arrival time.
 *
 *   ktrxer_*  common: ports, clocks, errors, addresses, probes
 *   ktx_*     sending
 *   krx_*     receiving
 *
 * Conventions. Functions return 0 or a count, or -errno; nothing is printed
 * and nothing exits. Times are ns since the epoch of a named clock. Option
 * structures start with their size, and zero in every other field is the
 * default: declare them with KTRXER_OPTS(). Addresses are in network order,
 * everything else in host order. A handle is used by one thread at a time
 * unless its functions say otherwise. What open returned, close frees; a
 * port outlives the senders and receivers opened on it.
 */
#ifndef KTRXER_H
#define KTRXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KTRXER_VERSION "0.1.0"
#define KTRXER_API __attribute__((visibility("default")))
#define KTRXER_OPTS(type, name) struct type name = { .sz = sizeof(struct type) }

/* --- Errors --------------------------------------------------------------- */

/* Why something failed: one sentence without a full stop or newline, for a person. */
struct ktrxer_err {
	int code; /* errno value, positive; 0: no error */
	char text[504];
};

KTRXER_API const char *ktrxer_version(void);

/* --- Clocks ---------------------------------------------------------------- */

enum ktrxer_clock {
	KTRXER_CLOCK_MONOTONIC = 0, /* CLOCK_MONOTONIC; the default launch clock */
	KTRXER_CLOCK_TAI = 1, /* CLOCK_TAI */
	KTRXER_CLOCK_REALTIME = 2, /* CLOCK_REALTIME; what libpcap stamps with */
	KTRXER_CLOCK_VIRTUAL = 3, /* engine mem: starts at 0, moves only when told */
	KTRXER_CLOCK_HARDWARE = 4, /* the NIC's own */
};

KTRXER_API const char *ktrxer_clock_name(enum ktrxer_clock clock);

/* --- Ports ------------------------------------------------------------------ */

/* An interface opened through an engine. */
struct ktrxer;

enum ktrxer_xdp_mode {
	KTRXER_XDP_AUTO = 0, /* native, else generic */
	KTRXER_XDP_NATIVE = 1,
	KTRXER_XDP_GENERIC = 2,
};

struct ktrxer_opts {
	size_t sz;
	const char *engine; /* "kmod", "xdp", "packet", "mem"; NULL or "auto": the best that works */
	enum ktrxer_clock clock; /* of launch times: monotonic or TAI */
	enum ktrxer_xdp_mode xdp_mode;
	uint32_t queue; /* NIC queue for sending */
	bool promiscuous; /* while the port is open */
	bool need_drop; /* auto: take only engines whose rules can drop */
};

/*
 * ifname: an interface of the current network namespace, or "ENGINE:IFNAME".
 * For engine mem the name is "WIRE/0" or "WIRE/1", the ends of a wire that
 * lives as long as one of them is open. The port stays in the namespace where
 * it was opened. err may be NULL.
 * Errors: -ENODEV no such interface, -EPERM a capability is missing,
 * -EOPNOTSUPP the engine cannot do this here, -EBUSY another process has what it needs.
 */
KTRXER_API int ktrxer_open(struct ktrxer **port, const char *ifname, const struct ktrxer_opts *opts,
			   struct ktrxer_err *err);
KTRXER_API void ktrxer_close(struct ktrxer *port);

struct ktrxer_info {
	const char *engine; /* name */
	const char *mode; /* how exactly: "native", "generic", "copy", "virtual" … */
	const char *why; /* why auto took it, or "asked for" */
	const char *ifname;
	uint32_t ifindex;
	uint32_t mtu; /* now */
	uint8_t mac[6];
	bool up;
	bool carrier;
	enum ktrxer_clock clock; /* of launch times */
	enum ktrxer_clock rx_clock; /* of arrival stamps */
	uint32_t ops; /* bit (1 << enum krx_op): rules that this port can carry out */
	uint32_t max_frame; /* longest frame that can be sent now, link header included, FCS not */
};
KTRXER_API int ktrxer_get_info(struct ktrxer *port, struct ktrxer_info *info);

/* The launch clock, any thread. */
KTRXER_API uint64_t ktrxer_now(struct ktrxer *port);

/* A time of one clock told in another, by one snapshot of both; 0 stays 0. Any thread. */
KTRXER_API uint64_t ktrxer_convert(struct ktrxer *port, uint64_t ns, enum ktrxer_clock from, enum ktrxer_clock to);

/* Waits until the launch clock shows ns: sleeps, then spins the last spin_ns. Moves virtual time. */
KTRXER_API int ktrxer_wait_until(struct ktrxer *port, uint64_t ns, uint64_t spin_ns);

/* One engine of this build: what it needs, and whether it works on an interface (NULL: at all). */
struct ktrxer_engine {
	const char *name;
	const char *needs;
	bool works;
	char why[300]; /* when it does not: what is missing and how to get it */
};
/* The i-th engine, best first. -ENOENT behind the last. */
KTRXER_API int ktrxer_engine(unsigned int i, const char *ifname, struct ktrxer_engine *e);

/* --- Sending ---------------------------------------------------------------- */

/*
 * The contract: every probe submitted gets exactly one completion, and at any
 * time  submitted = sent + failed + late + cancelled + pending.
 */
struct ktx;

struct ktx_opts {
	size_t sz;
	uint32_t max_pending; /* probes that can wait at once; 0: 4096 */
	uint32_t max_frame; /* bytes per probe; 0: what the interface can send at open */
	/*
	 * Sleep until this long before a launch, then spin. 0: as long as this machine needs, learned from how
	 * late its sleeps end, 100 to 400 us; an engine that launches by itself has its own.
	 */
	uint64_t spin_ns;
	bool no_spin; /* sleep only: saves a CPU, costs tens of us */
	bool thread; /* launch from a thread of the library's; else from ktx_run() */
	int cpu; /* that thread's CPU + 1; 0: any */
	int fifo_priority; /* SCHED_FIFO priority of that thread, 1 to 99; 0: not real-time. Refused: noted in ktx_stats.fifo */
	bool kernel_stamps; /* ask the driver for the transmit time of each probe (stamp_ns) */
	/* Wishes, granted where engine and device can; ktx_stats tells which are in force. Engine kmod has all three. */
	bool tap; /* show packet taps, such as a tcpdump on the interface, a copy of each frame */
	bool zero_copy; /* the device reads long frames where they were written, without a copy */
	/*
	 * Each frame goes to the NIC up to spin_ns ahead, with its time, and the NIC launches it by its own clock, as with the
	 * queueing discipline etf. -EINVAL unless the port's clock is TAI.
	 */
	bool nic_launch;
};

enum ktx_flag {
	KTX_TRAIN = 1 << 0, /* leaves back-to-back with the probe submitted next: one batch, one doorbell */
};

struct ktx_probe {
	const void *frame; /* whole link-layer frame, without FCS; copied */
	uint32_t len;
	uint32_t flags; /* enum ktx_flag; unknown bits are refused */
	uint64_t id; /* the caller's, returned in the completion */
	uint64_t launch_ns; /* on the port's clock; 0: at once */
	uint64_t window_ns; /* not later than launch_ns + window_ns, else "late"; 0: however late */
	uint32_t max_attempts; /* tries if the driver refuses; 0: 1 */
	uint32_t retry_ns; /* pause between tries */
};

enum ktx_status {
	KTX_SENT = 0,
	KTX_FAILED = 1,
	KTX_LATE = 2,
	KTX_CANCELLED = 3,
};
KTRXER_API const char *ktx_status_name(enum ktx_status status);

struct ktx_done {
	uint64_t id;
	enum ktx_status status;
	int reason; /* errno of the last refusal: ENETDOWN, ENODEV, ENOBUFS, EMSGSIZE …; 0 when sent at first try */
	uint32_t attempts;
	uint32_t len;
	uint64_t scheduled_ns; /* launch_ns as asked; for "at once" the time of submission */
	uint64_t launch_ns; /* clock read just before the driver call of the last try; 0: none was made */
	uint64_t returned_ns; /* clock read after that call: the frame left in between */
	uint64_t stamp_ns; /* driver's or NIC's transmit time on stamp_clock; 0: none */
	enum ktrxer_clock stamp_clock;
	bool nic_launched; /* the NIC has it for launch_ns; when it really left, stamp_ns tells */
};

struct ktx_stats {
	uint64_t submitted;
	uint64_t sent;
	uint64_t failed;
	uint64_t late;
	uint64_t cancelled;
	uint64_t pending;
	uint64_t retries; /* tries behind the first */
	uint64_t bytes; /* of frames sent */
	uint64_t refused; /* submissions turned away: not counted as submitted */
	uint64_t batches; /* driver calls */
	bool fifo; /* the launching thread is real-time */
	bool tap; /* in force; see ktx_opts */
	bool zero_copy;
	bool nic_launch;
};

KTRXER_API int ktx_open(struct ktx **tx, struct ktrxer *port, const struct ktx_opts *opts, struct ktrxer_err *err);
/* Cancels what is pending; completions not yet fetched are lost with it. */
KTRXER_API void ktx_close(struct ktx *tx);

/*
 * Takes up to n probes, in order. Returns how many were taken: fewer than n
 * when the sender is full (-EAGAIN for none). -EMSGSIZE, -EINVAL: the first
 * probe is wrong, ktx_why() tells; nothing of it was taken.
 */
KTRXER_API int ktx_submit(struct ktx *tx, const struct ktx_probe *probes, unsigned int n);

/*
 * Without a thread: launches everything that is due up to until_ns, waiting
 * in between, and returns early only when nothing is pending. until_ns = 0:
 * only what is due now. Returns the number of completions waiting.
 */
KTRXER_API int ktx_run(struct ktx *tx, uint64_t until_ns);

/* When the next probe is due, 0 when none is pending. */
KTRXER_API uint64_t ktx_next_launch(struct ktx *tx);

/* Fetches up to max completions, in the order in which they happened. */
KTRXER_API int ktx_complete(struct ktx *tx, struct ktx_done *done, unsigned int max);

/* Waits for a completion or timeout_ns of the launch clock; returns their number. */
KTRXER_API int ktx_wait(struct ktx *tx, uint64_t timeout_ns);

/* Cancels the pending probes with this id; returns how many. */
KTRXER_API int ktx_cancel(struct ktx *tx, uint64_t id);
KTRXER_API int ktx_cancel_all(struct ktx *tx);

KTRXER_API int ktx_get_stats(struct ktx *tx, struct ktx_stats *stats);
/* The sentence for the last error of this sender; never NULL. */
KTRXER_API const char *ktx_why(struct ktx *tx);

/*
 * Floods: many frames, as fast as the engine can or at a rate, each distinct.
 * fill() writes frame number i into buf and returns its length, or 0 to skip
 * the number; all frames of a flood share headroom of max_frame bytes.
 * With a period, frame i + period equals frame i: fill() need not be asked for it again.
 * done(), if set, is told of every number exactly once: a run of n numbers from first that all had the same fate.
 */
struct ktx_flood_opts {
	size_t sz;
	uint64_t count; /* numbers 0 .. count - 1 */
	uint32_t max_frame; /* no frame is longer */
	uint32_t batch; /* frames per driver call; 0: the engine's best */
	uint64_t rate_num; /* rate_num / rate_den packets a second; 0: as fast as possible */
	uint64_t rate_den; /* 0: 1 */
	uint64_t start_ns; /* 0: now */
	uint32_t max_attempts; /* per frame; 0: 1 */
	uint32_t (*fill)(void *ctx, uint64_t i, uint8_t *buf);
	/* launch_ns and returned_ns bracket the driver call that carried the run */
	void (*done)(void *ctx, uint64_t first, uint64_t n, enum ktx_status status, int reason, uint64_t launch_ns,
		     uint64_t returned_ns);
	bool (*stop)(void *ctx); /* asked between batches; may be NULL */
	void *ctx;
	uint64_t period; /* 0: no frame is like another */
};
/* Runs in the calling thread. Returns 0, -EINTR when stop() said so (the rest is cancelled), or -errno. */
KTRXER_API int ktx_flood(struct ktx *tx, const struct ktx_flood_opts *opts);

/* --- Receiving ---------------------------------------------------------------- */

/*
 * The contract: at any time
 *   seen = delivered + dropped + passed + lost,  each by cause in krx_stats.
 */
struct krx;
struct krx_listener;

enum krx_op {
	KRX_FORWARD = 0, /* on to the host stack, or out of out_ifindex; what happens without a rule */
	KRX_CAPTURE = 1, /* deliver a copy, then forward */
	KRX_DROP = 2, /* the host never sees it */
	KRX_CAPTURE_DROP = 3, /* deliver; the host never sees it */
};

enum krx_slice {
	KRX_SLICE_LINK = 0,
	KRX_SLICE_NETWORK = 1,
	KRX_SLICE_TRANSPORT = 2,
	KRX_SLICE_PAYLOAD = 3,
};

enum krx_rewrite_flag {
	KRX_REWRITE_SRC_MAC = 1 << 0,
	KRX_REWRITE_DST_MAC = 1 << 1,
	KRX_REWRITE_SRC_IP = 1 << 2,
	KRX_REWRITE_DST_IP = 1 << 3,
	KRX_REWRITE_SPORT = 1 << 4,
	KRX_REWRITE_DPORT = 1 << 5,
	KRX_REWRITE_TTL = 1 << 6,
	KRX_REWRITE_TOS = 1 << 7,
};

/* A rule; zero matches every frame and forwards it. */
struct krx_rule {
	uint32_t id; /* unique in the set; 0: chosen by the library */
	int32_t priority; /* higher wins; equal: the earlier */
	/* match */
	uint8_t version; /* 0 any frame, 4, 6 */
	uint8_t proto; /* 0 any */
	uint8_t src_plen; /* prefix lengths; 0: any address */
	uint8_t dst_plen;
	uint8_t src[16]; /* IPv4 in the first four bytes */
	uint8_t dst[16];
	uint16_t sport_lo; /* inclusive ranges, 0-0: any */
	uint16_t sport_hi;
	uint16_t dport_lo; /* ICMP: type << 8 | code */
	uint16_t dport_hi;
	uint16_t ethertype; /* 0 any */
	uint32_t ifindex; /* 0 any */
	/* action */
	enum krx_op op;
	enum krx_slice slice;
	uint16_t slice_off; /* bytes behind the start of that layer */
	uint32_t slice_bytes; /* 0: all that follows */
	uint32_t out_ifindex; /* forward: out of this interface; 0: the host stack */
	uint32_t sample_n; /* deliver one matching packet in n */
	uint64_t quota_pkts; /* after so many matches the rule no longer matches */
	uint32_t tag; /* the user's, in every record */
	/* rewriting before forwarding */
	uint32_t rewrite; /* enum krx_rewrite_flag */
	uint8_t new_src_mac[6];
	uint8_t new_dst_mac[6];
	uint8_t new_src[16];
	uint8_t new_dst[16];
	uint16_t new_sport;
	uint16_t new_dport;
	uint8_t new_ttl;
	uint8_t new_tos;
};

struct krx_rule_stats {
	uint32_t id;
	uint64_t pkts; /* matched */
	uint64_t bytes;
};

struct krx_opts {
	size_t sz;
	uint64_t ring_bytes; /* rounded up to a power of two; 0: 16 MiB */
	bool thread; /* a thread of the library's moves packets into the ring; else the listeners' calls do */
	int cpu; /* that thread's CPU + 1; 0: any */
	bool outgoing; /* also see what this host sends (engine packet) */
	/* lets other processes listen and change rules: a Unix socket (mode 0600) at this path */
	const char *share_path;
};

KTRXER_API int krx_open(struct krx **rx, struct ktrxer *port, const struct krx_opts *opts, struct ktrxer_err *err);
/*
 * The receiver that another process shares at path: rules, counters and
 * listening work on it; pumping stays with its owner. -ECONNREFUSED, -ENOENT: nobody shares there.
 */
KTRXER_API int krx_connect(struct krx **rx, const char *path, struct ktrxer_err *err);
KTRXER_API void krx_close(struct krx *rx);

/*
 * Rules change while traffic flows, all or nothing: a packet is judged either
 * by the old set or by the new one. Counters of rules whose id stays go on.
 * -EINVAL, -EOPNOTSUPP (the engine cannot carry out an op), -ENOMEM: nothing
 * changed, krx_why() tells which rule and why. Any thread.
 */
KTRXER_API int krx_rules_replace(struct krx *rx, const struct krx_rule *rules, unsigned int n);
/* Adds one (its id is returned in *id if not NULL); deletes one. */
KTRXER_API int krx_rule_add(struct krx *rx, const struct krx_rule *rule, uint32_t *id);
KTRXER_API int krx_rule_delete(struct krx *rx, uint32_t id);
/* Copies up to max rules and counters, in order of judgement; returns the number there are. Either may be NULL. */
KTRXER_API int krx_rules_list(struct krx *rx, struct krx_rule *rules, struct krx_rule_stats *stats, unsigned int max);

/*
 * One rule from one line of text, as ktrxer-rule(5) describes:
 *   OP [from ADDR[/LEN]] [to ADDR[/LEN]] [proto P] [sport A[-B]] [dport A[-B]] …
 * Returns 0, or -EINVAL with err. Blank and comment lines: -ENOENT.
 */
KTRXER_API int krx_rule_parse(struct krx_rule *rule, const char *line, struct ktrxer_err *err);
/* The line that gives this rule again. Returns its length as snprintf does. */
KTRXER_API int krx_rule_format(const struct krx_rule *rule, char *buf, size_t cap);

struct krx_packet {
	const uint8_t *data; /* valid until the next call on this listener */
	uint32_t caplen;
	uint32_t wirelen;
	uint32_t slice_off; /* frame offset of data[0] */
	uint64_t stamp_ns; /* arrival, on clock */
	enum ktrxer_clock clock;
	uint64_t seq; /* of the ring, from 0; gaps are this listener's losses */
	uint32_t ifindex;
	uint32_t rule_id;
	uint32_t tag;
	enum krx_op op;
	bool outgoing;
	bool truncated; /* the engine could not give all that the rule asked for */
	bool merged; /* the host merged several packets (GRO) before we saw them */
	bool checksum_fixed; /* the sender had left it to its NIC */
	uint32_t lost_before; /* packets that found no room in the ring so far */
};

struct krx_listen_opts {
	size_t sz;
	bool lossless; /* the ring waits for this listener; else it may be overrun and is told its loss */
};
KTRXER_API int krx_listen(struct krx_listener **l, struct krx *rx, const struct krx_listen_opts *opts,
			  struct ktrxer_err *err);
KTRXER_API void krx_unlisten(struct krx_listener *l);

/*
 * The next packet: 1, or 0 after timeout_ns (of the launch clock; 0 asks
 * once). -EPIPE: the ring's owner is gone; -ENETDOWN, -ENODEV: so is the interface;
 * krx_why() says it in words.
 */
KTRXER_API int krx_next(struct krx_listener *l, struct krx_packet *p, uint64_t timeout_ns);

/* Without a thread: moves what has arrived into the ring. Returns the number of packets seen. */
KTRXER_API int krx_pump(struct krx *rx);

/* A descriptor that becomes readable when packets may be waiting; owned by the library. -EOPNOTSUPP: mem. */
KTRXER_API int krx_fd(struct krx *rx);

struct krx_stats {
	uint64_t seen; /* packets that reached the engine */
	uint64_t seen_bytes;
	uint64_t delivered; /* put into the ring */
	uint64_t dropped; /* by a rule with op drop */
	uint64_t passed; /* no rule, forward, or not in the sample */
	uint64_t forwarded; /* of passed: out of another interface */
	uint64_t lost_ring; /* no room in the ring: a lossless listener was full */
	uint64_t lost_engine; /* the kernel had no room before we looked */
	uint64_t lost_error; /* could not be forwarded or read */
	uint64_t merged; /* GRO packets among seen */
	uint64_t malformed; /* headers that contradict themselves, among seen */
	uint64_t displaced; /* engine kmod: times that another hook had got in front of ours, and we went back there */
	bool not_first; /* engine kmod: another hook stands in front of ours now; it decides what we see */
};
KTRXER_API int krx_get_stats(struct krx *rx, struct krx_stats *stats);

struct krx_listener_stats {
	uint64_t delivered;
	uint64_t lost_overrun; /* lossy: overwritten before they were read, exactly */
	uint64_t held; /* lossless: packets turned away because this listener was full */
	uint64_t unread_bytes;
};
KTRXER_API int krx_listener_get_stats(struct krx_listener *l, struct krx_listener_stats *stats);
KTRXER_API const char *krx_why(struct krx *rx);

/* --- Paths, probes and answers ------------------------------------------------ */

struct ktrxer_addr {
	uint8_t version; /* 4 or 6 */
	uint8_t bytes[16];
};

/* "192.0.2.1", "2001:db8::1"; no names, no port. 0 or -EINVAL. */
KTRXER_API int ktrxer_addr_parse(struct ktrxer_addr *addr, const char *text);
/* buf of at least 46 bytes; returns buf. */
KTRXER_API const char *ktrxer_addr_format(const struct ktrxer_addr *addr, char *buf);

/* How to reach an address from a port: asked of the kernel's routing and neighbour tables by netlink (RFC 3549). */
struct ktrxer_path {
	uint8_t src_mac[6];
	uint8_t dst_mac[6]; /* of the next hop */
	struct ktrxer_addr src; /* preferred source address */
	struct ktrxer_addr next_hop; /* the target itself when on-link */
	uint32_t mtu;
};
/*
 * Resolves the neighbour if need be, for at most timeout_ns. -ENETUNREACH no
 * route through this interface, -EHOSTUNREACH the next hop does not answer.
 */
KTRXER_API int ktrxer_path_find(struct ktrxer *port, const struct ktrxer_addr *target, struct ktrxer_path *path,
				uint64_t timeout_ns, struct ktrxer_err *err);

enum ktrxer_probe_kind {
	KTRXER_PROBE_ICMP = 0, /* echo request */
	KTRXER_PROBE_UDP = 1,
	KTRXER_PROBE_SYN = 2,
	KTRXER_PROBE_DNS = 3, /* UDP query */
};

/* One series of probes: everything that its packets share. */
struct ktrxer_probe {
	size_t sz;
	enum ktrxer_probe_kind kind;
	uint16_t dport; /* UDP, SYN: 0 matches answers of every port, and cannot be built; DNS: 0 means 53 */
	uint16_t sport_lo; /* source ports to draw from; 0: 32768 to 61000. UDP and SYN cookies live there */
	uint16_t sport_hi;
	uint8_t ttl; /* 0: 64 */
	uint8_t tos;
	uint32_t payload_bytes; /* ICMP, UDP: behind the header; 16 carry a cookie and all of seq, 24 the time too */
	const char *dns_name; /* query name; NULL: "." */
	uint16_t dns_type; /* 0: A (1), or AAAA (28) on IPv6 */
	uint16_t vlan[2]; /* TCI */
	uint8_t n_vlans;
	uint64_t key[2]; /* secret of this run: seeds every cookie */
};

/*
 * Writes probe number seq to target into buf (at least 14 + 8 + MTU bytes).
 * Stateless: whatever identifies it is derived from the key, the addresses
 * and seq, so that ktrxer_probe_match() needs no memory of it. The answer
 * returns 16 bits of seq (ICMP, SYN, DNS, every ICMP error over IPv4), or all 64
 * where it returns our payload; a UDP service's own answer returns none.
 * Returns the length or -errno: -EMSGSIZE cap or the path's MTU is too small, -EINVAL the series or target is wrong.
 */
KTRXER_API int ktrxer_probe_build(const struct ktrxer_probe *p, const struct ktrxer_path *path,
				  const struct ktrxer_addr *target, uint64_t seq, uint64_t now_ns, uint8_t *buf,
				  uint32_t cap);

enum ktrxer_answer {
	KTRXER_ANSWER_NONE = 0, /* not an answer to a probe of this series */
	KTRXER_ANSWER_REPLY, /* ICMP echo reply, UDP payload, DNS response */
	KTRXER_ANSWER_SYNACK, /* port open */
	KTRXER_ANSWER_RST, /* port closed */
	KTRXER_ANSWER_UNREACH_PORT, /* ICMP errors that quote our probe */
	KTRXER_ANSWER_UNREACH_HOST,
	KTRXER_ANSWER_UNREACH_NET,
	KTRXER_ANSWER_UNREACH_ADMIN,
	KTRXER_ANSWER_UNREACH_OTHER,
	KTRXER_ANSWER_TTL_EXCEEDED,
};
KTRXER_API const char *ktrxer_answer_name(enum ktrxer_answer answer);

struct ktrxer_match {
	enum ktrxer_answer answer;
	struct ktrxer_addr target; /* whom we probed */
	uint16_t port; /* and where; 0 for ICMP */
	struct ktrxer_addr from; /* who answered: a router, for some ICMP errors */
	uint64_t seq; /* as far as the answer returns it */
	unsigned int seq_bits; /* how many low bits of seq are known: 0, 16 or 64 */
	uint64_t sent_ns; /* now_ns given at build, if the answer returned it; else 0 */
	uint8_t ttl; /* of the answer */
	uint8_t dns_rcode;
};

/* Is this frame an answer to a probe of the series? Forged and stray packets fail the keyed cookie. Any thread. */
KTRXER_API enum ktrxer_answer ktrxer_probe_match(const struct ktrxer_probe *p, const uint8_t *frame, uint32_t caplen,
						 struct ktrxer_match *m);

/*
 * The rules that deliver the answers of this series; returns how many there are and writes at most max (3 are enough).
 * Direct answers get op: capture, or capture+drop to keep the host silent. ICMP errors are
 * only captured, because the host needs those that concern its own traffic.
 */
KTRXER_API int ktrxer_probe_rules(const struct ktrxer_probe *p, uint8_t version, enum krx_op op, struct krx_rule *rules,
				  unsigned int max);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * The contract between the module ktrxer.ko and its users: the devices
 * /dev/ktx (sending) and /dev/krx (receiving); kTRxer 2014, section II.
 *
 * One open file is one context: a sender or a receiver on one interface of
 * the network namespace in which SETUP was called. It ends with its last
 * descriptor. Opening is free; SETUP needs CAP_NET_RAW and CAP_NET_ADMIN in
 * the user namespace that owns the network namespace, because what is sent
 * here passes no qdisc, tc or firewall, and what is dropped here nobody sees.
 *
 * Conventions. Everything has the same layout on 32 and 64 bits and on both
 * byte orders: fixed-width types in host order, 64-bit fields at multiples of
 * 8, addresses of packets in network order, pointers as __u64. Every
 * argument begins with its size in bytes, as the caller knows the structure; a
 * larger one than the module's is refused unless the rest is zero, a smaller one is filled
 * up with zeroes. Unknown flags and non-zero reserved fields are -EINVAL.
 * Times are ns; each field says of which clock. (u) is written by the user,
 * (k) by the kernel. Errors are negative errno values; positive ones travel in
 * `reason` fields.
 *
 * Shared memory is input, never state: the kernel keeps its own indices, reads
 * a user's once, checks it and counts what it refuses. What a user
 * scribbles there can garble that user's own probes, and nothing else.
 */
#ifndef _UAPI_KTRXER_H
#define _UAPI_KTRXER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define KTX_DEVICE "ktx"
#define KRX_DEVICE "krx"
#define KTRXER_ABI 2 /* grows when a field changes its meaning; new fields only grow sizes */

/* --- Common -------------------------------------------------------------------- */

enum ktrxer_abi_clock { /* as enum ktrxer_clock of ktrxer.h */
			KTRXER_ABI_MONOTONIC = 0,
			KTRXER_ABI_TAI = 1,
			KTRXER_ABI_REALTIME = 2,
			KTRXER_ABI_HARDWARE = 4,
};

/* KTRXER_IOC_INFO: what this module is and can do; either device, any time. */
struct ktrxer_abi_info {
	__u32 size;
	__u32 abi; /* (k) KTRXER_ABI */
	__u32 tx_flags; /* (k) KTX_SETUP_* that are known */
	__u32 rx_flags; /* (k) KRX_SETUP_* that are known */
	__u32 max_pending; /* (k) probes in one sender */
	__u32 max_rules; /* (k) in one receiver */
	__u32 contexts; /* (k) open now, both devices, all namespaces the caller's own namespace owns */
	__u32 reserved;
	char version[32]; /* (k) of the module, NUL-terminated */
};

/* --- Sending: /dev/ktx ------------------------------------------------------------ */

/*
 * mmap(fd, offset 0, map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED), as a whole or from the start:
 *
 *   0           struct ktx_shared       indices of both rings
 *   desc_off    struct ktx_desc[n]      submission ring, n = n_desc, a power of two
 *   done_off    struct ktx_done_abi[n]  completion ring
 *   slot_off    slot 0 … slot n_slots-1 each slot_bytes long: frames
 *
 * Indices run free and are masked on use. The user writes descriptors and
 * publishes them by `submit` (release), then calls KTX_IOC_SUBMIT; nothing is
 * taken before. The kernel writes completions and publishes them by `done`
 * (release); the user has read them up to `done_read`.
 *
 * A slot is the kernel's from SUBMIT until its completion is published. In
 * between the frame is copied into a packet buffer once (at SUBMIT), so
 * a change shows up at most in a later attempt of the same probe. With KTX_SETUP_ZEROCOPY in force, a
 * frame of KTX_ZEROCOPY_MIN bytes or more is copied up to its 128th byte only, and the device reads the rest from the
 * slot when it likes; whoever writes there before the completion sends what he has written. The completion
 * then comes when the device has let go of the slot: sent or dropped, or copied by a device that passes frames on to somebody on this
 * host (veth, tap, loopback). So those of other frames may overtake it. How long that takes is the
 * device's affair: a queue that stands still has the slot until it moves, or the device is taken down. Closing
 * the file does not wait for it; then the memory is freed, and the charge for it ends, when the device lets
 * go, and until then the module cannot be unloaded. Copied all the same: what is submitted with KTX_SUBMIT_HERE,
 * a frame in too many pages for a packet buffer, another attempt while the device has pages of the last one.
 *
 * The module takes no more descriptors, and makes no more probes (KTX_FLOOD_DONE), than completions have room: at any time
 * done - done_read, and the probes that have none yet, are n at most. Whoever sends by descriptors only has
 * taken - done_read <= n.
 */
struct ktx_shared {
	__u32 submit; /* (u) end of the descriptors */
	__u32 taken; /* (k) descriptors taken */
	__u32 done; /* (k) end of the completions */
	__u32 done_read; /* (u) completions read */
	__u32 reserved[12];
};

enum ktx_desc_flag {
	/*
	 * leaves back-to-back with the next: at the first one's time, in batches of up to 256 under one queue lock and doorbell.
	 * What takes longer than 1 ms lets others have the CPU for 20 us in every such time.
	 */
	KTX_DESC_TRAIN = 1 << 0,
};

/* One probe, 64 bytes. All fields (u). */
struct ktx_desc {
	__u64 id; /* the user's */
	__u64 launch_ns; /* on the context's clock; 0: at once */
	__u64 window_ns; /* later than launch_ns + window_ns: not sent, "late"; 0: however late */
	__u32 slot; /* holds the frame; below n_slots and not in use */
	__u32 len; /* of the frame: link header included, FCS not */
	__u32 flags; /* enum ktx_desc_flag */
	__u32 max_attempts; /* 0: 1 */
	/*
	 * pause between attempts; 0: at once, but for the CPU that others get: after 1 ms of refusals, attempts come for 100 us at a
	 * time with pauses that double from 100 us to 3.2 ms, until the device takes a frame again
	 */
	__u32 retry_ns;
	__u32 reserved[3];
	__u64 reserved2;
};

enum ktx_status_abi { /* as enum ktx_status of ktrxer.h */
		      KTX_DONE_SENT = 0,
		      KTX_DONE_FAILED = 1,
		      KTX_DONE_LATE = 2,
		      KTX_DONE_CANCELLED = 3,
};

/* What became of a probe, 64 bytes. All fields (k). */
struct ktx_done_abi {
	__u64 id;
	__u64 scheduled_ns; /* as asked; for "at once" the time when it was taken */
	__u64 launch_ns; /* clock read just before the driver call of the last attempt; 0: none was made */
	__u64 returned_ns; /* and just after that call */
	__u64 stamp_ns; /* transmit time on stamp_clock, see KTX_SETUP_STAMPS: HARDWARE the NIC's, REALTIME the driver's; 0: none */
	__u32 slot; /* free again; of a flood's probe KTX_NO_SLOT */
	__u32 len;
	__u32 attempts;
	/*
	 * errno of the last refusal; 0: none. EBUSY: the driver had no room; ENOBUFS: its queue was stopped, or it took and dropped
	 * the frame, or (status sent) took it and told of congestion; ENETDOWN: interface down, without carrier, or detached by its
	 * driver (suspend, reset); ENOMEM: no packet buffer; EMSGSIZE: longer than the MTU allows at launch; ENODEV: interface
	 * gone. The last two are not tried again. For a queue that stands still or a device that is away, the attempts,
	 * their pauses and the window say how long it is waited for.
	 */
	__u16 reason;
	__u8 status; /* enum ktx_status_abi */
	__u8 stamp_clock; /* enum ktrxer_abi_clock */
	__u32 flags; /* enum ktx_done_flag */
	__u32 reserved;
};

enum ktx_done_flag {
	KTX_DONE_ZEROCOPY = 1 << 0, /* the driver was given the slot's pages, in the last attempt */
	/* Given ahead: the NIC launches it at scheduled_ns, of a retry at that one's time; launch_ns is when the driver got it. */
	KTX_DONE_LAUNCHED = 1 << 1,
};

#define KTX_NO_SLOT 0xffffffffu

/* Frames of fewer bytes are copied also with KTX_SETUP_ZEROCOPY: a page given away has its price too. Not measured. */
#define KTX_ZEROCOPY_MIN 1024

enum ktx_setup_flag {
	KTX_SETUP_TAP = 1 << 0, /* shows packet taps (tcpdump) a copy of each frame sent */
	KTX_SETUP_ZEROCOPY =
		1
		<< 1, /* hands the device the mapped pages of long frames; cleared in the answer where it cannot gather them */
	KTX_SETUP_FIFO =
		1
		<< 2, /* launch from a SCHED_FIFO thread; set in the answer where the kernel needs that (PREEMPT_RT) */
	KTX_SETUP_CPU = 1 << 3, /* launch on `cpu`; else on the one where SETUP was called */
	KTX_SETUP_QUEUE = 1 << 4, /* transmit on queue `queue`; else what the launching CPU maps to */
	KTX_SETUP_NO_SPIN = 1 << 5, /* launch from the timer's own interrupt, however late that is */
	/*
	 * Completions carry the transmit time (stamp_ns): the NIC's, where its stamps are switched on (hwstamp_ctl, SIOCSHWTSTAMP),
	 * else what the driver says. So they come when the device has let go of the frame; without a time when it told
	 * none. Cleared in the answer where neither can. Frames of KTX_SUBMIT_HERE have none.
	 */
	KTX_SETUP_STAMPS = 1 << 6,
	/*
	 * The NIC launches by its own clock, where its driver offers that (as to qdisc etf: ethtool has no flag for it): it is given each
	 * frame up to spin_ns ahead, with its time. `clock` must be TAI, as the NIC's must be (phc2sys, ptp4l). Frames go by
	 * `queue`, the last one if none is given, and the NIC keeps them in the order in which it gets them: what is submitted later for an
	 * earlier time than one that was given already waits behind it. Not with NO_SPIN. Cleared in the answer where
	 * the driver does not offer it for the queue.
	 */
	KTX_SETUP_LAUNCH = 1 << 7,
};

/*
 * KTX_IOC_SETUP: once per file; before it, every other call but INFO is -ENXIO. -EPERM, -ENODEV no such interface, -EINVAL,
 * -ENOMEM, -ENOBUFS beyond RLIMIT_MEMLOCK, -EBUSY already set up.
 */
struct ktx_setup {
	__u32 size;
	__u32 abi; /* (u) KTRXER_ABI; another: -EPROTO, and abi says ours (k) */
	__u32 flags; /* (u) enum ktx_setup_flag; (k) those in force */
	__u32 ifindex;
	__u32 n_desc; /* power of two, 1 to max_pending */
	__u32 n_slots; /* 1 to 2 * n_desc; 0: n_desc */
	__u32 slot_bytes; /* multiple of 64, room for the longest frame; at most 65600 */
	__u32 clock; /* KTRXER_ABI_MONOTONIC or _TAI */
	__u32 spin_ns; /* how long before a launch the timer fires, to spin until then; 0: the module's default; at most 1 ms */
	__u32 cpu; /* (u) with KTX_SETUP_CPU, else 0; (k) that launches */
	__u32 queue;
	__u32 fifo_priority; /* (u) 1 to 99; 0: 50. (k) in force: modules can have 50, or 1 for what is less */
	__u32 desc_off; /* (k) */
	__u32 done_off; /* (k) */
	__u64 slot_off; /* (k) */
	__u64 map_bytes; /* (k) */
	__u64 held_bytes; /* (k) kernel memory that the context holds at most, packet buffers included */
};

enum ktx_submit_flag {
	/*
	 * Launch now, in the caller's context, without schedule: for floods. All descriptors must have launch_ns 0.
	 * On return each that was taken has its completion. Frames are not put before others: retry pauses are waited for, and so is
	 * a stopped queue, for 100 ms, before it counts as a refusal: of the first frame and of all behind it that have only
	 * one attempt left. Signals end it early: error is -EINTR, and of those
	 * taken last (up to 256) what waited for another attempt has failed, and what had none is cancelled.
	 */
	KTX_SUBMIT_HERE = 1 << 0,
};

/*
 * KTX_IOC_SUBMIT: takes the descriptors between `taken` and `submit`, at most
 * max of them (0: all). Answers how many; fewer than there are when the
 * next one is wrong or there is no room. `error` then says why: -EINVAL flags or
 * reserved fields, a slot that does not exist, or `submit` itself; -EMSGSIZE length beyond the slot or without a
 * whole link header, -EBUSY slot in use, -EAGAIN no room, -ENOMEM, -EINTR, and the wrong one stays at the head of the
 * ring. On an interface that is gone probes are taken, and fail. A train must end within one submission or it is closed there.
 */
struct ktx_submit {
	__u32 size;
	__u32 flags; /* (u) enum ktx_submit_flag */
	__u32 max; /* (u) */
	__u32 n; /* (k) taken */
	__s32 error; /* (k) 0, or why not all */
	__u32 reserved;
};

/* KTX_IOC_CANCEL: n (k) of the probes that wait for their time, all or those with an id, end as cancelled. */
struct ktx_cancel {
	__u32 size;
	__u32 all; /* (u) 1: whatever the id */
	__u64 id; /* (u) */
	__u32 n; /* (k) */
	__u32 reserved;
};

/* KTX_IOC_STATS. submitted = sent + failed + late + cancelled + pending, whenever one looks. All (k). */
struct ktx_stats_abi {
	__u32 size;
	__u32 flags; /* enum ktx_stats_flag */
	__u64 submitted;
	__u64 sent;
	__u64 failed;
	__u64 late;
	__u64 cancelled;
	__u64 pending;
	__u64 retries; /* attempts behind the first */
	__u64 bytes; /* of frames sent */
	__u64 batches; /* times that the queue lock was taken */
	__u64 refused; /* descriptors and indices that were wrong */
	__u64 early; /* launches before their time, but for those that the NIC was given ahead: always 0 */
	__u64 next_launch_ns; /* of the first probe that waits; 0: none */
	__u64 irq_batches; /* of batches, those by the timer's own interrupt */
};

enum ktx_stats_flag {
	KTX_STATS_FIFO = 1 << 0, /* a SCHED_FIFO thread launches */
	/*
	 * The timer's own interrupt launches, where nobody has the queue just then. With Ethernet hardware, unless PREEMPT_RT, the
	 * module's parameter irq_launch, or one of TAP, ZEROCOPY, FIFO, STAMPS and LAUNCH forbids it.
	 */
	KTX_STATS_IRQ = 1 << 1,
	/*
	 * Also in the middle of what other traffic has the CPU do, which would delay launches by milliseconds. With drivers that are
	 * known to allow it, or the parameter; not on kernels built for one CPU, whose locks do not tell whether they are held.
	 */
	KTX_STATS_IRQ_ALWAYS = 1 << 2,
};

/* KTX_IOC_EVENTFD: fd is signalled for completions; -1: no more. */
struct ktrxer_eventfd {
	__u32 size;
	__s32 fd;
};

enum ktx_flood_flag {
	/*
	 * Each probe has its completion in the ring, sent or failed, in the order of the numbers, while the flood goes on: id is its number,
	 * scheduled_ns when it was due, or at once when it was made (which is what its payload says), slot KTX_NO_SLOT; stamps
	 * and flags it has none. They come by the batch, none of which is larger than the room in the ring is: without any
	 * (of a paced flood: when the next one is due) the call ends with -EAGAIN, to be repeated when completions have been
	 * read. A call has its price, so rings of thousands serve floods best. Probes of a batch that had not ended when
	 * the call did (-EINTR, -ENOMEM) have none: number says that they are still to come.
	 */
	KTX_FLOOD_DONE = 1 << 0,
};

/*
 * KTX_IOC_FLOOD: probes made in the kernel, one after another, each
 * distinct: the probe series of ktrxer.h (enum ktrxer_probe_kind, its key and cookies),
 * targets first_target + permuted number. Runs in the caller's context until count is reached or a signal
 * comes; answers are in the structure, so that the call can be repeated with what is left
 * (number and counters go on). pattern: the frame of any one probe of the series, link header included; IP options,
 * extension headers and interfaces without Ethernet headers are -EINVAL. Nothing has a default here but max_attempts and
 * rate_batch. 0 when count was reached; -EINTR for a signal; -EMSGSIZE longer than the MTU and -ENODEV interface gone, after
 * the batch under way was counted as failed; -ENOMEM, -ENOBUFS as SETUP. In the structure in every case is what
 * was done. A probe of a paced flood leaves no earlier than at the call's start + its number in the call * interval. Holds up to
 * 512 packet buffers while it runs, and from -EAGAIN (KTX_FLOOD_DONE) until the next call or the file's end.
 */
struct ktx_flood_abi {
	__u32 size;
	__u32 flags; /* (u) enum ktx_flood_flag */
	__u64 pattern; /* (u) pointer to the frame */
	__u32 pattern_len;
	__u32 kind; /* (u) enum ktrxer_probe_kind */
	__u64 key[2]; /* (u) of the series */
	__u16 sport_lo; /* (u) */
	__u16 sport_hi;
	__u16 dport; /* (u) */
	__u16 reserved;
	__u32 payload_bytes; /* (u) as in struct ktrxer_probe */
	__u32 max_attempts; /* (u) 0: 1 */
	__u8 first_target[16]; /* (u) IPv4 in the first four bytes */
	__u64 n_targets; /* (u) numbers are taken modulo this */
	__u64 permute_seed; /* (u) order of the targets; see permute_bits */
	__u32 permute; /* (u) 1: in the order of core/permute for this seed, 0: ascending */
	__u32 rate_batch; /* (u) probes per queue lock; 0: 128; at most 256 */
	__u64 interval_num; /* (u) ns between probes = interval_num / interval_den; 0: as fast as possible */
	__u64 interval_den;
	__u64 number; /* (u)(k) next probe's number, from 0 */
	__u64 count; /* (u) numbers go up to here */
	__u64 sent; /* (u)(k) added to */
	__u64 failed; /* (u)(k) added to */
	__u64 bytes; /* (u)(k) added to */
	__u64 retries; /* (u)(k) added to */
	__u64 first_ns; /* (k) launch of the first batch of this call */
	__u64 last_ns; /* (k) return of the last */
	__s32 reason; /* (k) errno of the last refusal, 0 none */
	__u32 reserved2;
};

/* --- Receiving: /dev/krx ---------------------------------------------------------- */

/*
 * Two mappings:
 *
 *   KRX_MAP_RING     PROT_READ:  struct kt_ring_shared in the first page (core/ring.h), the data behind
 *   KRX_MAP_CURSORS  PROT_READ | PROT_WRITE:  struct kt_ring_cursor[64], one for each listener
 *
 * core/ring.h is the manual of both: the kernel is the producer; a listener
 * owns the position of its own cursor and nothing else. A file that listens may be shared
 * by fork or SCM_RIGHTS; each KRX_IOC_LISTEN is a listener of its own until KRX_IOC_UNLISTEN or the file's end.
 */
#define KRX_MAP_RING 0x0ull
#define KRX_MAP_CURSORS \
	0xf0000000ull /* offset for mmap: behind any ring, and within what 32-bit kernels can map of a device */

enum krx_setup_flag {
	/* judge every frame that the interface receives, at the netdev ingress hook; without either flag this one */
	KRX_SETUP_INGRESS = 1 << 0,
	/* judge IPv4 and IPv6 at PRE_ROUTING, where they are addressed to us (the paper's place), the rest at ingress */
	KRX_SETUP_PREROUTING = 1 << 1,
	KRX_SETUP_PROMISC = 1 << 2, /* while the file is open */
	KRX_SETUP_OUTGOING =
		1 << 3, /* also capture what this host sends out of the interface; nothing else is done to it */
	KRX_SETUP_HW_STAMPS = 1 << 4, /* records carry the NIC's stamp where it gave one; `clock` tells */
};

/*
 * KRX_IOC_SETUP: once per file; errors as KTX_IOC_SETUP, and -EOPNOTSUPP for an interface without Ethernet frames.
 * Before it every other call but INFO is -ENXIO. The data begin ring_bytes - 16 * n_units behind the start of KRX_MAP_RING.
 *
 * At PRE_ROUTING the host has looked at the packet first: what is malformed does not get there, and link padding has
 * been cut off. Packets with a VLAN tag, or of an interface that a bridge, bond or macvlan has, are judged at ingress.
 * Of several receivers on one interface the last to be set up is asked first.
 *
 * poll() says POLLIN when any listener of the file has something unread, and POLLERR and POLLHUP when the
 * interface is gone. KRX_IOC_EVENTFD (struct ktrxer_eventfd): fd is signalled when a record
 * comes behind what some listener had been told of and has read; so whoever is going to wait for it
 * publishes his position, does a full fence, and looks once more.
 */
struct krx_setup {
	__u32 size;
	__u32 abi;
	__u32 flags; /* (u) enum krx_setup_flag; (k) those in force */
	__u32 ifindex;
	__u32 n_units; /* (u) of 16 bytes, power of two, 256 to 2^27 */
	__u32 reserved;
	__u64 ring_bytes; /* (k) to map at KRX_MAP_RING */
	__u64 cursor_bytes; /* (k) to map at KRX_MAP_CURSORS */
	__u64 held_bytes; /* (k) kernel memory held, without rules */
};

/* A rule: struct krx_rule of ktrxer.h, field by field, in a fixed layout; host order but for addresses. */
struct krx_rule_abi {
	__u32 id;
	__s32 priority;
	__u8 src[16];
	__u8 dst[16];
	__u8 src_plen;
	__u8 dst_plen;
	__u8 version;
	__u8 proto;
	__u16 sport_lo;
	__u16 sport_hi;
	__u16 dport_lo;
	__u16 dport_hi;
	__u16 ethertype;
	__u8 op; /* enum krx_op */
	__u8 slice_base; /* enum krx_slice */
	__u32 ifindex;
	__u32 slice_bytes;
	__u16 slice_off;
	__u16 reserved;
	__u32 out_ifindex;
	__u32 sample_n;
	__u32 tag;
	__u64 quota_pkts;
	__u64 used; /* matches so far: they count against the quota, and for whose turn it is in the sample */
	__u32 rewrite; /* enum krx_rewrite_flag */
	__u8 new_src_mac[6];
	__u8 new_dst_mac[6];
	__u8 new_src[16];
	__u8 new_dst[16];
	__u16 new_sport;
	__u16 new_dport;
	__u8 new_ttl;
	__u8 new_tos;
	__u8 reserved2[10];
};

struct krx_count_abi {
	__u64 pkts;
	__u64 bytes;
};

/*
 * KRX_IOC_RULES: replaces the whole set, all or nothing, while packets flow. rules are in order of judgement
 * (priority descending, then as given). counts, if not 0, gets the final counts of the set that was in force, up to
 * n_counts of them, in its order. -EINVAL: bad_rule (k) is the index of the wrong one. -E2BIG, -ENOMEM.
 */
struct krx_rules {
	__u32 size;
	__u32 n;
	__u64 rules; /* (u) pointer to struct krx_rule_abi[n] */
	__u64 counts; /* (u) pointer to struct krx_count_abi[n_counts] */
	__u32 n_counts;
	__u32 rule_bytes; /* (u) sizeof(struct krx_rule_abi) as the caller knows it */
	__u32 bad_rule; /* (k) */
	__u32 reserved;
};

/* KRX_IOC_COUNTS: matches of each rule since its set came into force; n (u) room, (k) rules there are. */
struct krx_counts {
	__u32 size;
	__u32 n;
	__u64 counts; /* (u) pointer to struct krx_count_abi[n] */
};

/* KRX_IOC_STATS. seen = delivered + dropped + passed + lost_ring + lost_error, whenever one looks. All (k). */
struct krx_stats_abi {
	__u32 size;
	__u32 flags; /* enum krx_stats_flag */
	__u64 seen;
	__u64 seen_bytes;
	__u64 delivered;
	__u64 dropped; /* by a rule with op drop */
	__u64 passed; /* no rule, forward, or not in the sample */
	__u64 forwarded; /* out of another interface; among passed, or delivered if captured, too */
	__u64 lost_ring; /* no room in the ring */
	__u64 lost_error; /* could not be read, copied or forwarded */
	__u64 merged; /* GRO packets among seen */
	__u64 merged_segments; /* that those stand for */
	__u64 malformed; /* among seen */
	__u64 answered; /* ARP requests and neighbour solicitations for our fake addresses, among dropped */
	__u64 stampless; /* arrived before the kernel stamped packets: stamped by us, among seen */
	__u64 displaced; /* times that another hook had got in front of ours, and we went back there */
	__u64 bad_cursors; /* positions that a listener may not claim */
};

enum krx_stats_flag {
	KRX_STATS_DOWN = 1 << 0, /* the interface is down */
	KRX_STATS_GONE = 1 << 1, /* and will not come back: removed, or moved to another namespace */
	KRX_STATS_NOT_FIRST = 1 << 2, /* another hook stands before ours right now */
};

/* KRX_IOC_LISTEN: cursor (k) is this listener's from here on. KRX_IOC_UNLISTEN gives it back. -ENOSPC: 64 listen. */
struct krx_listen {
	__u32 size;
	__u32 lossless; /* (u) 1: the ring waits for this listener */
	__u32 cursor; /* (k); for UNLISTEN (u) */
	__u32 reserved;
};

/*
 * KRX_IOC_ADDRESSES: ARP requests (RFC 826) and neighbour solicitations (RFC 4861) for these prefixes are answered
 * with the interface's own address, so that the host can be
 * probed at, and probe from, addresses that are not its own. Replaces the list; n = 0 ends it. At most 1024.
 */
struct krx_prefix_abi {
	__u8 addr[16]; /* IPv4 in the first four bytes */
	__u8 version; /* 4 or 6 */
	__u8 plen;
	__u8 reserved[6];
};

struct krx_addresses {
	__u32 size;
	__u32 n;
	__u64 prefixes; /* (u) pointer to struct krx_prefix_abi[n] */
};

/* --- The calls ---------------------------------------------------------------------- */

/* Numbers carry no sizes: the structures do, so that they can grow. */
#define KTRXER_IOC_INFO _IO('K', 0x70)
#define KTX_IOC_SETUP _IO('K', 0x71)
#define KTX_IOC_SUBMIT _IO('K', 0x72)
#define KTX_IOC_CANCEL _IO('K', 0x73)
#define KTX_IOC_STATS _IO('K', 0x74)
#define KTX_IOC_EVENTFD _IO('K', 0x75)
#define KTX_IOC_FLOOD _IO('K', 0x76)
#define KRX_IOC_SETUP _IO('K', 0x81)
#define KRX_IOC_RULES _IO('K', 0x82)
#define KRX_IOC_COUNTS _IO('K', 0x83)
#define KRX_IOC_STATS _IO('K', 0x84)
#define KRX_IOC_LISTEN _IO('K', 0x85)
#define KRX_IOC_UNLISTEN _IO('K', 0x86)
#define KRX_IOC_EVENTFD _IO('K', 0x87)
#define KRX_IOC_ADDRESSES _IO('K', 0x88)

#endif

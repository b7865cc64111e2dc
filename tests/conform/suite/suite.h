/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The conformance suite: the contract of include/ktrxer.h as test cases that
 * know no engine. Each engine's program (../packet.c and so on) names what it is and runs all.
 *
 * The world of every case, made anew for it:
 *
 *      +---- namespace A ----+            +---- namespace B ----+
 *      | port a    kta       |----veth----|      ktb    port b  |
 *      | 10.77.0.1           |            | 10.77.0.2           |
 *      |                     |            | UDP socket :7777    |  <- what B's host got
 *      +---------------------+            +---------------------+
 *
 * For engine mem the ends are "conform/0" and "conform/1", and the host is the
 * end's inbox. A program that ends, however it ends, takes its namespaces along.
 *
 * KT_CARDS="eth0 eth1" in the environment puts two network cards, whose wires lead to each other, in the place of the
 * veth pair (cards.c): they stay in the two namespaces from case to case and are given back at the end.
 */
#ifndef KT_SUITE_H
#define KT_SUITE_H

#include "core/packet.h"
#include "include/ktrxer.h"
#include "tests/test.h"

struct suite_engine {
	const char *name; /* as ktrxer_get_info() says */
	enum ktrxer_xdp_mode xdp_mode;
	bool real; /* interfaces, namespaces, root */
};

struct suite_end {
	struct ktrxer *port;
	struct ktx *tx;
	struct krx *rx;
	struct krx_listener *listener;
};

struct suite_world {
	struct suite_engine engine;
	struct suite_end a; /* sends */
	struct suite_end b; /* receives */
	int holder; /* process that keeps namespace B */
	int ns_a;
	int ns_b;
	int host_fd; /* UDP socket in B */
	uint8_t mac_a[6];
	uint8_t mac_b[6];
	uint32_t number; /* of the world, in each of its frames: a card's wire may hold some of an earlier one's */
	bool cut; /* the wire between them is no more */
};

extern struct suite_world W;

#define SUITE_SECOND 1000000000ull
#define SUITE_MS 1000000ull
#define SUITE_PORT 7777

/* Skips the case when krx_open() answered that this kernel cannot do what the engine receives by. */
void suite_rx_possible(int ret, const struct ktrxer_err *err);
/* A fresh world with both ports open; the previous one is taken down first. */
void suite_world(void);
/* The same with senders and receivers on them; options may be NULL. */
void suite_tx(const struct ktx_opts *opts);
void suite_rx(const struct krx_opts *opts, bool lossless);
void suite_down(void);
/* Another listener on b. Freed with the world if it is not NULL then. */
struct krx_listener *suite_listen(bool lossless);

/* A second link from B to A, watched at its end in A. Returns B's interface number of it. */
struct suite_side {
	struct ktrxer *near; /* mem only: B's end, kept open */
	struct ktrxer *port;
	struct krx *rx;
	struct krx_listener *listener;
};
uint32_t suite_side(struct suite_side *side);
void suite_side_down(struct suite_side *side);

bool suite_can(enum krx_op op); /* engine under test carries it out */

/* Runs "ip …" in namespace B or A (real engines). */
void suite_ip(char end, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void suite_set_up(char end, bool up);
uint64_t suite_patience(void); /* for a link that was set up to carry frames again, ns */
void suite_set_mtu(uint32_t mtu); /* both ends */
void suite_remove(void); /* the link between them, or the wire */
bool suite_cut(void); /* the same from any thread: false where it could not be done */

/* cards.c: KT_CARDS names two cards. */
bool suite_cards(void);
void suite_cards_find(void); /* from where they are: once, before the first namespace is made */
void suite_cards_plug(void); /* into A and B as kta and ktb, unless they are there, with default settings */
void suite_cards_unplug(void); /* back to where they were, by their own names, whatever has befallen them */
bool suite_cards_cut(void); /* takes them from their drivers, as if they had been pulled out */
void suite_cards_settle(void); /* until a frame comes through, and with it all before it */

/* A UDP frame from A to B whose payload starts with id; len is the whole frame's (at least 60). */
uint32_t suite_frame(uint8_t *buf, uint32_t cap, uint64_t id, uint32_t len);
/* The same with other addresses and ports: spec is pre-filled by suite_spec(). */
void suite_spec(struct kt_packet_spec *s);
uint32_t suite_build(uint8_t *buf, uint32_t cap, const struct kt_packet_spec *s, uint64_t id, uint32_t len);
/* The id in a captured frame of ours, UINT64_MAX if it is not one. */
uint64_t suite_id(const struct krx_packet *p);

/* Of a frame that is meant to arrive: a card's queue is full at times, and then it is tried for some tenths of a second. */
uint32_t suite_attempts(void);
/* Submits n probes now, ids from first; fails the case unless all are taken. */
void suite_send(uint64_t first, unsigned int n, uint32_t len);
/*
 * This thread stays on the CPU where it is, or may move again. veth leaves a frame to the CPU that sent it, to be received when it
 * finds the time. A sender that moves to another CPU can be overtaken there by itself, whatever it sends with.
 */
void suite_stay(void);
void suite_move(void);
/* Waits until n completions came (any thread mode), checks that each id from first came once. All sent unless status says else. */
void suite_complete(uint64_t first, unsigned int n, enum ktx_status status);
/* One of our frames from l within the time; false if none came. */
bool suite_next(struct krx_listener *l, struct krx_packet *p, uint64_t timeout_ns);
/* Exactly ids first .. first + n - 1, in this order, and nothing of ours behind them. */
void suite_expect(struct krx_listener *l, uint64_t first, unsigned int n);
void suite_expect_nothing(struct krx_listener *l);
/* Frames of ours that B's host got since the world began; waits until there are at least n. */
unsigned int suite_host_count(unsigned int n);
bool suite_host_next(uint64_t *id, uint16_t *sport);

void suite_check_tx(void); /* submitted = sent + failed + late + cancelled + pending */
void suite_check_rx(void); /* seen = delivered + dropped + passed + lost */
void suite_rule(struct krx_rule *r, enum krx_op op); /* matches our UDP frames */
void suite_rules(const struct krx_rule *rules, unsigned int n); /* replaces; fails the case if refused */

/* One thread beside the case; the world is not taken down under it. */
void suite_thread(void *(*run)(void *));
void suite_thread_end(void); /* waits for it */

int suite_main(struct suite_engine engine, int argc, char **argv);

/* The cases, by file. */
extern const struct kt_test suite_tx_cases[], suite_fate_cases[], suite_rx_cases[], suite_rules_cases[],
	suite_listen_cases[], suite_trouble_cases[];

#endif

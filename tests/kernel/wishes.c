/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a sender of the library's wishes of engine kmod: shown to taps, not copied, launched by the NIC. Runs in a
 * guest with the module and the hostile device (tests/kernel/hostile) loaded, as root. Interfaces: see offload.c.
 */
#include "sender.h" /* first: musl's headers and the kernel's agree on who defines what in this order only */

#include "include/ktrxer.h"

#include "hostile_dev.h"

#define LONG 1400u
#define PROBES 20

static struct sender t; /* of the bed: unused */
static int b = -1;

static struct ktx_stats sender_on(const char *ifname, struct ktrxer **port, struct ktx **tx, bool wishes)
{
	KTRXER_OPTS(ktrxer_opts, po);
	KTRXER_OPTS(ktx_opts, o);
	struct ktrxer_err err = { 0 };
	struct ktx_stats s;

	po.engine = "kmod";
	po.clock = KTRXER_CLOCK_TAI;
	o.max_pending = 64;
	o.spin_ns = MS; /* so far ahead at most the NIC gets them, and an emulated machine may be that late */
	o.tap = o.zero_copy = o.nic_launch = wishes;
	if (ktrxer_open(port, ifname, &po, &err) || ktx_open(tx, *port, &o, &err))
		TEST_FAIL("%s", err.text);
	CHECK_EQ(ktx_get_stats(*tx, &s), 0);
	return s;
}

static void end(struct ktrxer *port, struct ktx *tx)
{
	ktx_close(tx);
	ktrxer_close(port);
}

/* None that was not asked for; and of those that were, what the device can. */
static void t_in_force(void)
{
	struct ktrxer *port;
	struct ktx_stats s;
	struct ktx *tx;

	bed_new(&t, &b, "kth0", "kthostile", 9000, ETHERTYPE_TEST);
	hostile_set("launch", "1");
	s = sender_on("kth0", &port, &tx, false);
	CHECK(!s.tap && !s.zero_copy && !s.nic_launch);
	end(port, tx);
	s = sender_on("kth0", &port, &tx, true);
	CHECK(s.tap && s.zero_copy && s.nic_launch);
	end(port, tx);
	s = sender_on("ktxa", &port, &tx, true);
	CHECK(s.tap && !s.nic_launch);
	end(port, tx);
}

/* What the NIC launches is told apart from what we launch; taps see both. */
static void t_launched(void)
{
	static uint8_t frame[LONG] = { [12] = ETHERTYPE_TEST >> 8, [13] = ETHERTYPE_TEST & 0xff };
	unsigned int ahead = 0;
	struct ktrxer *port;
	struct ktx_done d;
	struct ktx *tx;
	int tap;

	bed_new(&t, &b, "kth0", "kthostile", 9000, ETHERTYPE_TEST);
	hostile_set("launch", "1");
	hostile_set("script", "ok*0");
	sender_on("kth0", &port, &tx, true);
	tap = listener_open("kth0", 0x0003 /* ETH_P_ALL */);
	for (uint32_t i = 0; i < PROBES; i++) {
		struct ktx_probe p = { .frame = frame, .len = LONG, .id = i };

		memcpy(frame + 14, &i, 4);
		p.launch_ns =
			i ? ktrxer_now(port) + 10 * MS : 0; /* the first at once: nothing for the NIC to wait for */
		CHECK_EQ(ktx_submit(tx, &p, 1), 1);
		ktx_run(tx, UINT64_MAX);
		CHECK_EQ(ktx_complete(tx, &d, 1), 1);
		CHECK_EQ(d.id, i);
		CHECK_EQ(d.status, KTX_SENT);
		CHECK(i || !d.nic_launched);
		CHECK(!d.nic_launched || d.launch_ns == p.launch_ns);
		ahead += d.nic_launched;
	}
	CHECK(ahead); /* how many of them depends on how busy this machine is */
	/* The completion comes when the NIC has the frame; the NIC launches it later. */
	for (uint64_t end = ktrxer_now(port) + 5 * SECOND; hostile_seen("launched") < ahead && ktrxer_now(port) < end;)
		usleep(1000);
	CHECK_EQ(hostile_seen("launched"), ahead);
	for (uint32_t i = 0; i < PROBES; i++)
		CHECK_EQ(listener_next(tap), i);
	close(tap);
	end(port, tx);
}

/* By no other clock. */
static void t_other_clock(void)
{
	KTRXER_OPTS(ktx_opts, o);
	struct ktrxer_err err = { 0 };
	struct ktrxer *port;
	struct ktx *tx;

	bed_new(&t, &b, "kth0", "kthostile", 9000, ETHERTYPE_TEST);
	o.nic_launch = true;
	CHECK_EQ(ktrxer_open(&port, "kmod:kth0", NULL, &err), 0);
	CHECK_EQ(ktx_open(&tx, port, &o, &err), -EINVAL);
	CHECK_STR(err.text, "a NIC launches by TAI, and the port's clock is monotonic");
	ktrxer_close(port);
}

int main(int argc, char **argv)
{
	static const struct kt_test tests[] = { T(t_in_force), T(t_launched), T(t_other_clock) };
	int ret = kt_test_run(tests, (int)(sizeof(tests) / sizeof(tests[0])), argc, argv);

	if (if_nametoindex("kth0"))
		run("ip link del kth0");
	return ret;
}

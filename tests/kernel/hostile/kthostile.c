// SPDX-License-Identifier: GPL-2.0-only
/*
 * A network device that answers its transmit calls as scripted, to hold the
 * sending contract against: "ip link add h0 type kthostile".
 *
 * In /sys/class/net/<name>/hostile/:
 *   script   words, each ANSWER or ANSWER*COUNT; the last one goes on for ever. Writing starts it anew.
 *              ok          takes the frame
 *              busy        NETDEV_TX_BUSY: the frame stays the caller's
 *              drop        frees it and says NET_XMIT_DROP
 *              cn          takes it and says NET_XMIT_CN
 *              error       frees it and says -EIO
 *              stop        takes it and stops the queue for `pause_us`
 *              stall       takes it and stops the queue until `wake` is written
 *              slow        takes it after `pause_us`
 *              refuse:P    busy P times in 100, else ok, at random from `seed`
 *              flaky:P     busy, drop or error P times in 100, else ok
 *              gone        takes it, and the device unregisters itself
 *              down        takes it, and the carrier goes
 *              hold        takes it and keeps it until `release` is written, or it is taken down
 *   pause_us, seed, wake
 *   release  lets go of what it holds
 *   launch   1: it launches frames by their time, CLOCK_TAI, once TC_SETUP_QDISC_ETF has switched that on
 *   detach   1: netif_device_detach(), as a driver does for suspend; 0: it is back
 *   inject   a number: a frame that the clock stamped so arrives
 *   stamps   1: its clock, which is STAMP_BASE + a frame's number, stamps frames when it lets go of them
 *   seen     what it was given: calls, taken, refused, dropped; of the frames taken, by their number (64 bits, network
 *            order, at byte 42 as tests/conform puts it): gaps (numbers left out), earlier (a number below one that had
 *            come), duplicates (exact, below 2^24). And doorbells: calls without netdev_xmit_more; unrung: frames
 *            since the last one. holds: frames it has; last: the last byte, now, of the one that it let go of last.
 *            launching: 1 if switched on; launched: frames by time; past: of them, given too late; lead: the least ns that one was
 *            given ahead; waiting: frames that it has not launched yet
 */
#include <linux/device.h>
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/hrtimer.h>
#include <linux/module.h>
#include <linux/net_tstamp.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>
#include <net/pkt_cls.h>
#include <net/pkt_sched.h>
#include <net/rtnetlink.h>

#define MAX_WORDS 64

static struct workqueue_struct *leaving;
static struct device *hardware; /* that there is none of: as what has a parent, devices are called in interrupts, too */

#define NUMBER_AT 42
#define MAX_NUMBERS (1u << 24)
#define STAMP_BASE 1000000000000ull

enum answer { OK, BUSY, DROP, CN, ERROR, STOP, STALL, SLOW, REFUSE, FLAKY, GONE, DOWN, HOLD };

static const char *const names[] = { "ok",   "busy",   "drop",	"cn",	"error", "stop", "stall",
				     "slow", "refuse", "flaky", "gone", "down",	 "hold" };

struct word {
	u8 answer;
	u8 percent;
	u32 count;
};

struct seen {
	u64 calls;
	u64 taken;
	u64 refused;
	u64 dropped;
	u64 gaps;
	u64 earlier;
	u64 duplicates;
	u64 doorbells;
	u64 unrung; /* frames since the last doorbell */
	u64 last;
	u64 launched;
	u64 past;
	u64 lead;
};

struct hostile {
	struct net_device *dev;
	spinlock_t lock; /* everything below; any context */
	struct word words[MAX_WORDS];
	u32 n_words;
	u32 at;
	u32 used; /* of words[at].count */
	u32 pause_us;
	u64 seed;
	u64 next; /* number expected */
	bool any; /* a number was seen */
	struct seen seen;
	unsigned long *came; /* a bit a number */
	struct hrtimer timer;
	struct sk_buff_head held; /* has its own lock */
	bool stamps;
	bool offers; /* to launch by time */
	bool launching;
	struct sk_buff_head waiting; /* has its own lock */
	struct hrtimer launcher;
	struct work_struct leave;
};

static u32 draw(struct hostile *h)
{
	h->seed = h->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)(h->seed >> 33) % 100;
}

/* The next answer of the script. Lock held. */
static enum answer next_answer(struct hostile *h)
{
	struct word *w = &h->words[h->at];
	enum answer a;

	if (!h->n_words)
		return OK;
	a = w->answer;
	if (a == REFUSE)
		a = draw(h) < w->percent ? BUSY : OK;
	else if (a == FLAKY)
		a = draw(h) < w->percent ? (enum answer)(BUSY + draw(h) % 4) : OK;
	if (++h->used >= w->count && w->count && h->at + 1 < h->n_words) {
		h->at++;
		h->used = 0;
	}
	return a == CN && w->answer == FLAKY ? ERROR : a;
}

static void look_at(struct hostile *h, const struct sk_buff *skb)
{
	__be64 b;
	u64 n;

	h->seen.taken++;
	if (skb_copy_bits(skb, NUMBER_AT, &b, sizeof(b)))
		return;
	n = be64_to_cpu(b);
	if (h->any && n != h->next) {
		if (n < h->next)
			h->seen.earlier++;
		else
			h->seen.gaps++;
	}
	if (n < MAX_NUMBERS && __test_and_set_bit((u32)n, h->came))
		h->seen.duplicates++;
	h->next = n + 1;
	h->any = true;
}

/* As a NIC that reads its stamps behind sending. */
static void stamp(const struct hostile *h, struct sk_buff *skb)
{
	struct skb_shared_hwtstamps hw = {};
	__be64 n;

	if (!READ_ONCE(h->stamps) || !(skb_shinfo(skb)->tx_flags & SKBTX_HW_TSTAMP) ||
	    skb_copy_bits(skb, NUMBER_AT, &n, sizeof(n)))
		return;
	hw.hwtstamp = ns_to_ktime(STAMP_BASE + be64_to_cpu(n));
	skb_tstamp_tx(skb, &hw);
}

/* As drivers do it when the frame is in their ring. */
static void announce(const struct hostile *h, struct sk_buff *skb)
{
	if (READ_ONCE(h->stamps) && skb_shinfo(skb)->tx_flags & SKBTX_HW_TSTAMP)
		skb_shinfo(skb)->tx_flags |= SKBTX_IN_PROGRESS;
	skb_tx_timestamp(skb);
}

/* At once where that may be, so that frames end in the order in which they came. */
static void consume(struct sk_buff *skb)
{
	if (in_hardirq())
		dev_consume_skb_irq(skb);
	else
		consume_skb(skb);
}

/* Lock held. What is taken ends without it: senders hear of that, and have locks of their own. */
static netdev_tx_t take(struct hostile *h, struct sk_buff *skb, int answer, struct sk_buff **taken)
{
	look_at(h, skb);
	dev_sw_netstats_tx_add(h->dev, 1, skb->len);
	announce(h, skb);
	*taken = skb;
	return answer;
}

static void let_go(struct hostile *h, struct sk_buff *skb)
{
	u8 b = 0;

	if (skb->len && !skb_copy_bits(skb, (int)skb->len - 1, &b, 1))
		WRITE_ONCE(h->seen.last, b);
	stamp(h, skb);
	consume_skb(skb);
}

static void let_all_go(struct hostile *h)
{
	struct sk_buff *skb;

	while ((skb = skb_dequeue(&h->held)))
		let_go(h, skb);
}

/* By the clock that others measure with: udelay() may be off by more, on a CPU that was calibrated on a busy host. */
static void take_long(u32 us)
{
	u64 end = ktime_get_ns() + us * 1000ull;

	while (ktime_get_ns() < end)
		cpu_relax();
}

/* Frames leave at their times, in the order in which they came. */
static enum hrtimer_restart launch(struct hrtimer *t)
{
	struct hostile *h = container_of(t, struct hostile, launcher);
	struct sk_buff *skb;

	while ((skb = skb_peek(&h->waiting))) {
		struct skb_shared_hwtstamps hw = { .hwtstamp = skb->tstamp ? skb->tstamp : ktime_get_clocktai() };

		if (ktime_get_clocktai() < skb->tstamp) {
			hrtimer_set_expires(t, skb->tstamp);
			return HRTIMER_RESTART;
		}
		skb_unlink(skb, &h->waiting);
		WRITE_ONCE(h->seen.launched, h->seen.launched + !!skb->tstamp);
		if (READ_ONCE(h->stamps) && skb_shinfo(skb)->tx_flags & SKBTX_HW_TSTAMP)
			skb_tstamp_tx(skb, &hw);
		consume_skb(skb);
	}
	return HRTIMER_NORESTART;
}

/* Lock held. */
static netdev_tx_t wait_for_time(struct hostile *h, struct sk_buff *skb)
{
	s64 lead = ktime_sub(skb->tstamp, ktime_get_clocktai());
	bool first = skb_queue_empty(&h->waiting);

	look_at(h, skb);
	announce(h, skb);
	h->seen.past += skb->tstamp && lead <= 0;
	if (lead > 0 && (!h->seen.lead || (u64)lead < h->seen.lead))
		h->seen.lead = (u64)lead;
	skb_queue_tail(&h->waiting, skb);
	if (first)
		hrtimer_start(&h->launcher, skb->tstamp, HRTIMER_MODE_ABS_SOFT);
	return NETDEV_TX_OK;
}

static int hostile_setup_tc(struct net_device *dev, enum tc_setup_type type, void *data)
{
	struct hostile *h = netdev_priv(dev);
	const struct tc_etf_qopt_offload *o = data;

	if (type != TC_SETUP_QDISC_ETF || !READ_ONCE(h->offers) || o->queue)
		return -EOPNOTSUPP;
	WRITE_ONCE(h->launching, o->enable);
	return 0;
}

static netdev_tx_t hostile_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct sk_buff *taken = NULL, *dropped = NULL;
	struct hostile *h = netdev_priv(dev);
	unsigned long flags;
	u32 pause_us;
	int ret = NETDEV_TX_OK;
	enum answer a;

	spin_lock_irqsave(&h->lock, flags);
	h->seen.calls++;
	h->seen.unrung++;
	if (!netdev_xmit_more()) {
		h->seen.doorbells++;
		h->seen.unrung = 0;
	}
	a = next_answer(h);
	pause_us = h->pause_us;
	switch (a) {
	case BUSY:
		h->seen.refused++;
		ret = NETDEV_TX_BUSY;
		break;
	case DROP:
	case ERROR:
		h->seen.dropped++;
		dropped = skb;
		ret = a == DROP ? NET_XMIT_DROP : -EIO;
		break;
	case CN:
		ret = take(h, skb, NET_XMIT_CN, &taken);
		break;
	case STOP:
	case STALL:
		ret = take(h, skb, NETDEV_TX_OK, &taken);
		netif_stop_queue(dev);
		if (a == STOP)
			hrtimer_start(&h->timer, ns_to_ktime((pause_us ? pause_us : 1000) * 1000ull),
				      HRTIMER_MODE_REL_SOFT);
		break;
	case SLOW:
		spin_unlock_irqrestore(&h->lock, flags);
		take_long(pause_us > 1000 ? 1000 : pause_us);
		spin_lock_irqsave(&h->lock, flags);
		ret = take(h, skb, NETDEV_TX_OK, &taken);
		break;
	case GONE:
		ret = take(h, skb, NETDEV_TX_OK, &taken);
		queue_work(leaving, &h->leave);
		break;
	case HOLD:
		look_at(h, skb);
		announce(h, skb);
		skb_queue_tail(&h->held, skb);
		break;
	case DOWN:
		ret = take(h, skb, NETDEV_TX_OK, &taken);
		netif_carrier_off(dev);
		break;
	default:
		ret = h->launching && (skb->tstamp || !skb_queue_empty(&h->waiting))
			      ? wait_for_time(h, skb)
			      : take(h, skb, NETDEV_TX_OK, &taken);
	}
	spin_unlock_irqrestore(&h->lock, flags);
	if (taken) {
		stamp(h, taken);
		consume(taken);
	} else if (dropped && in_hardirq()) {
		dev_kfree_skb_irq(dropped);
	} else {
		kfree_skb(dropped);
	}
	return ret;
}

static enum hrtimer_restart wake_queue(struct hrtimer *t)
{
	netif_wake_queue(container_of(t, struct hostile, timer)->dev);
	return HRTIMER_NORESTART;
}

/* The work frees itself with the device, which is allowed: nobody looks at it once it runs. */
static void leave(struct work_struct *work)
{
	struct hostile *h = container_of(work, struct hostile, leave);
	struct net_device *dev = h->dev;

	rtnl_lock();
	if (dev->reg_state == NETREG_REGISTERED)
		unregister_netdevice(dev);
	rtnl_unlock();
}

/* --- sysfs --- */

static struct hostile *of(struct device *d)
{
	return netdev_priv(to_net_dev(d));
}

static int parse_word(char *s, struct word *w)
{
	char *star = strchr(s, '*'), *colon;
	u32 percent = 0;
	int i;

	w->count = 0;
	if (star) {
		*star = '\0';
		if (kstrtou32(star + 1, 10, &w->count))
			return -EINVAL;
	}
	colon = strchr(s, ':');
	if (colon) {
		*colon = '\0';
		if (kstrtou32(colon + 1, 10, &percent) || percent > 100)
			return -EINVAL;
	}
	i = match_string(names, ARRAY_SIZE(names), s);
	if (i < 0)
		return -EINVAL;
	w->answer = (u8)i;
	w->percent = (u8)percent;
	if (!star)
		w->count = 1;
	return 0;
}

static ssize_t script_store(struct device *d, struct device_attribute *attr, const char *buf, size_t len)
{
	struct hostile *h = of(d);
	struct word *words = kcalloc(MAX_WORDS, sizeof(*words), GFP_KERNEL);
	char *copy = kstrndup(buf, len, GFP_KERNEL), *p = copy, *s;
	u32 n = 0;
	int ret = 0;

	if (!words || !copy)
		ret = -ENOMEM;
	while (!ret && (s = strsep(&p, " \t\n"))) {
		if (*s && n < MAX_WORDS)
			ret = parse_word(s, &words[n++]);
		else if (*s)
			ret = -E2BIG;
	}
	if (!ret) {
		spin_lock_irq(&h->lock);
		memcpy(h->words, words, sizeof(h->words));
		h->n_words = n;
		h->at = h->used = 0;
		h->any = false;
		memset(&h->seen, 0, sizeof(h->seen));
		bitmap_zero(h->came, MAX_NUMBERS);
		spin_unlock_irq(&h->lock);
	}
	kfree(copy);
	kfree(words);
	return ret ? ret : (ssize_t)len;
}
static DEVICE_ATTR_WO(script);

static ssize_t seen_show(struct device *d, struct device_attribute *attr, char *buf)
{
	struct hostile *h = of(d);
	struct seen s;

	spin_lock_irq(&h->lock);
	s = h->seen;
	spin_unlock_irq(&h->lock);
	return sysfs_emit(buf,
			  "calls %llu\ntaken %llu\nrefused %llu\ndropped %llu\ngaps %llu\nearlier %llu\n"
			  "duplicates %llu\n"
			  "doorbells %llu\nunrung %llu\nholds %u\nlast %llu\n"
			  "launching %d\nlaunched %llu\npast %llu\nlead %llu\nwaiting %u\n",
			  s.calls, s.taken, s.refused, s.dropped, s.gaps, s.earlier, s.duplicates, s.doorbells,
			  s.unrung, skb_queue_len(&h->held), s.last, h->launching, s.launched, s.past, s.lead,
			  skb_queue_len(&h->waiting));
}
static DEVICE_ATTR_RO(seen);

static ssize_t pause_us_store(struct device *d, struct device_attribute *attr, const char *buf, size_t len)
{
	u32 v;

	if (kstrtou32(buf, 10, &v))
		return -EINVAL;
	WRITE_ONCE(of(d)->pause_us, v);
	return (ssize_t)len;
}
static DEVICE_ATTR_WO(pause_us);

static ssize_t seed_store(struct device *d, struct device_attribute *attr, const char *buf, size_t len)
{
	struct hostile *h = of(d);
	u64 v;

	if (kstrtou64(buf, 10, &v))
		return -EINVAL;
	spin_lock_irq(&h->lock);
	h->seed = v;
	spin_unlock_irq(&h->lock);
	return (ssize_t)len;
}
static DEVICE_ATTR_WO(seed);

static ssize_t wake_store(struct device *d, struct device_attribute *attr, const char *buf, size_t len)
{
	netif_carrier_on(to_net_dev(d));
	netif_wake_queue(to_net_dev(d));
	return (ssize_t)len;
}
static DEVICE_ATTR_WO(wake);

static ssize_t release_store(struct device *d, struct device_attribute *attr, const char *buf, size_t len)
{
	let_all_go(of(d));
	return (ssize_t)len;
}
static DEVICE_ATTR_WO(release);

static ssize_t stamps_store(struct device *d, struct device_attribute *attr, const char *buf, size_t len)
{
	bool on;

	if (kstrtobool(buf, &on))
		return -EINVAL;
	WRITE_ONCE(of(d)->stamps, on);
	return (ssize_t)len;
}
static DEVICE_ATTR_WO(stamps);

static ssize_t launch_store(struct device *d, struct device_attribute *attr, const char *buf, size_t len)
{
	bool on;

	if (kstrtobool(buf, &on))
		return -EINVAL;
	WRITE_ONCE(of(d)->offers, on);
	return (ssize_t)len;
}
static DEVICE_ATTR_WO(launch);

static ssize_t detach_store(struct device *d, struct device_attribute *attr, const char *buf, size_t len)
{
	bool on;

	if (kstrtobool(buf, &on))
		return -EINVAL;
	if (on)
		netif_device_detach(to_net_dev(d));
	else
		netif_device_attach(to_net_dev(d));
	return (ssize_t)len;
}
static DEVICE_ATTR_WO(detach);

static ssize_t inject_store(struct device *d, struct device_attribute *attr, const char *buf, size_t len)
{
	struct net_device *dev = to_net_dev(d);
	struct sk_buff *skb;
	u64 stamp;

	if (kstrtou64(buf, 10, &stamp))
		return -EINVAL;
	skb = netdev_alloc_skb(dev, ETH_ZLEN);
	if (!skb)
		return -ENOMEM;
	skb_put_zero(skb, ETH_ZLEN);
	eth_broadcast_addr(skb->data);
	skb->data[12] = 0x88; /* for experiments, IEEE 802 */
	skb->data[13] = 0xb5;
	skb_hwtstamps(skb)->hwtstamp = ns_to_ktime(stamp);
	skb->protocol = eth_type_trans(skb, dev);
	local_bh_disable();
	netif_rx(skb);
	local_bh_enable();
	return (ssize_t)len;
}
static DEVICE_ATTR_WO(inject);

static struct attribute *attrs[] = { &dev_attr_script.attr,
				     &dev_attr_seen.attr,
				     &dev_attr_pause_us.attr,
				     &dev_attr_seed.attr,
				     &dev_attr_wake.attr,
				     &dev_attr_release.attr,
				     &dev_attr_stamps.attr,
				     &dev_attr_launch.attr,
				     &dev_attr_detach.attr,
				     &dev_attr_inject.attr,
				     NULL };
static const struct attribute_group group = { .name = "hostile", .attrs = attrs };

/* --- the device --- */

static int hostile_open(struct net_device *dev)
{
	netif_carrier_on(dev);
	netif_start_queue(dev);
	return 0;
}

static int hostile_stop(struct net_device *dev)
{
	struct hostile *h = netdev_priv(dev);

	netif_stop_queue(dev);
	hrtimer_cancel(&h->timer);
	let_all_go(h); /* as a driver empties its rings */
	hrtimer_cancel(&h->launcher);
	skb_queue_purge(&h->waiting);
	return 0;
}

static int hostile_init(struct net_device *dev)
{
	struct hostile *h = netdev_priv(dev);

	dev->tstats = netdev_alloc_pcpu_stats(struct pcpu_sw_netstats);
	h->came = vzalloc(BITS_TO_LONGS(MAX_NUMBERS) * sizeof(long));
	if (dev->tstats && h->came)
		return 0;
	free_percpu(dev->tstats);
	vfree(h->came);
	return -ENOMEM;
}

static void hostile_uninit(struct net_device *dev)
{
	struct hostile *h = netdev_priv(dev);

	free_percpu(dev->tstats);
	vfree(h->came);
}

static const struct net_device_ops ops = {
	.ndo_init = hostile_init,
	.ndo_uninit = hostile_uninit,
	.ndo_open = hostile_open,
	.ndo_stop = hostile_stop,
	.ndo_start_xmit = hostile_xmit,
	.ndo_get_stats64 = dev_get_tstats64,
	.ndo_setup_tc = hostile_setup_tc,
	.ndo_set_mac_address = eth_mac_addr,
};

static const struct ethtool_ops ethtool = { .get_ts_info = ethtool_op_get_ts_info };

static void setup(struct net_device *dev)
{
	struct hostile *h = netdev_priv(dev);

	ether_setup(dev);
	dev->netdev_ops = &ops;
	dev->ethtool_ops = &ethtool;
	dev->needs_free_netdev = true;
	dev->max_mtu = 9000;
	dev->features |= NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_HIGHDMA;
	dev->hw_features |= NETIF_F_SG;
	dev->sysfs_groups[0] = &group;
	eth_hw_addr_random(dev);
	SET_NETDEV_DEV(dev, hardware);
	h->dev = dev;
	spin_lock_init(&h->lock);
	skb_queue_head_init(&h->held);
	skb_queue_head_init(&h->waiting);
	hrtimer_init(&h->launcher, CLOCK_TAI, HRTIMER_MODE_ABS_SOFT);
	h->launcher.function = launch;
	INIT_WORK(&h->leave, leave);
	hrtimer_init(&h->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_SOFT);
	h->timer.function = wake_queue;
}

static struct rtnl_link_ops link_ops __read_mostly = {
	.kind = "kthostile",
	.priv_size = sizeof(struct hostile),
	.setup = setup,
};

static int __init hostile_module_init(void)
{
	int ret;

	leaving = alloc_workqueue("kthostile", 0, 0);
	if (!leaving)
		return -ENOMEM;
	hardware = root_device_register("kthostile");
	ret = PTR_ERR_OR_ZERO(hardware);
	if (ret)
		goto err_hardware;
	ret = rtnl_link_register(&link_ops);
	if (ret)
		goto err_link;
	return 0;

err_link:
	root_device_unregister(hardware);
err_hardware:
	destroy_workqueue(leaving);
	return ret;
}

static void __exit hostile_module_exit(void)
{
	flush_workqueue(leaving);
	rtnl_link_unregister(&link_ops);
	root_device_unregister(hardware);
	destroy_workqueue(leaving);
}

module_init(hostile_module_init);
module_exit(hostile_module_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A network device that answers as scripted, for tests of kTRxer");
MODULE_ALIAS_RTNL_LINK("kthostile");

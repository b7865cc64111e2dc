// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which context is on which interface. A context holds its device and never
 * the device's namespace: an interface that is removed, or moved to another namespace, or whose
 * namespace ends, is unregistered from where it was, and that is when it is gone for us.
 */
#include <linux/capability.h>
#include <linux/nsproxy.h>
#include <linux/rtnetlink.h>
#include <linux/user_namespace.h>
#include <net/net_namespace.h>

#include "kt.h"

/* Changed under RTNL and ctx_lock; so either is enough to look. */
static LIST_HEAD(ctx_list);
static DEFINE_SPINLOCK(ctx_lock);

static void add(struct kt_ctx *c, struct net_device *dev, const struct kt_ctx_ops *ops)
{
	ASSERT_RTNL();
	netdev_hold(dev, &c->dev_tracker, GFP_KERNEL);
	spin_lock(&ctx_lock);
	c->ops = ops;
	c->dev = dev;
	list_add_tail(&c->link, &ctx_list);
	spin_unlock(&ctx_lock);
}

static void remove(struct kt_ctx *c)
{
	struct net_device *dev = c->dev;

	ASSERT_RTNL();
	spin_lock(&ctx_lock);
	list_del(&c->link);
	c->dev = NULL;
	spin_unlock(&ctx_lock);
	netdev_put(dev, &c->dev_tracker);
}

int kt_ctx_attach(struct kt_ctx *c, u32 ifindex, const struct kt_ctx_ops *ops, int (*ready)(struct kt_ctx *c))
{
	struct net *net = current->nsproxy->net_ns;
	struct net_device *dev;
	int r = 0;

	if (!ns_capable(net->user_ns, CAP_NET_RAW) || !ns_capable(net->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	rtnl_lock();
	dev = ifindex <= INT_MAX ? __dev_get_by_index(net, (int)ifindex) : NULL;
	if (!dev) {
		r = -ENODEV;
		goto out;
	}
	add(c, dev, ops);
	r = ready ? ready(c) : 0;
	if (r)
		remove(c);
out:
	rtnl_unlock();
	return r;
}

void kt_ctx_detach(struct kt_ctx *c)
{
	rtnl_lock();
	if (c->dev)
		remove(c);
	rtnl_unlock();
}

static bool owned_by(const struct user_namespace *ns, const struct user_namespace *owner)
{
	while (ns && ns != owner)
		ns = ns->parent;
	return ns;
}

u32 kt_ctx_count(void)
{
	struct kt_ctx *c;
	u32 n = 0;

	spin_lock(&ctx_lock);
	list_for_each_entry(c, &ctx_list, link) n += owned_by(dev_net(c->dev)->user_ns, current_user_ns());
	spin_unlock(&ctx_lock);
	return n;
}

static int befalls(struct notifier_block *nb, unsigned long event, void *ptr)
{
	struct net_device *dev = netdev_notifier_info_to_dev(ptr);
	bool gone = event == NETDEV_UNREGISTER;
	struct kt_ctx *c, *next;

	if (!gone && event != NETDEV_UP && event != NETDEV_DOWN && event != NETDEV_CHANGE && event != NETDEV_CHANGEMTU)
		return NOTIFY_DONE;
	list_for_each_entry_safe(c, next, &ctx_list, link)
	{
		if (c->dev != dev)
			continue;
		if (gone) {
			c->ops->gone(c);
			remove(c);
		} else {
			c->ops->changed(c);
		}
	}
	return NOTIFY_DONE;
}

static struct notifier_block notifier = { .notifier_call = befalls };

int kt_netdev_register(void)
{
	return register_netdevice_notifier(&notifier);
}

void kt_netdev_unregister(void)
{
	unregister_netdevice_notifier(&notifier);
}

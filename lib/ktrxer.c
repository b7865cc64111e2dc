/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Ports: an interface opened through an engine. Chooses the engine, keeps
 * what both directions share, and knows nothing of packets.
 */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"
#include "port.h"

/* Best first. */
static const struct kt_engine *const engines[] = {
	&kt_engine_kmod,
#ifdef HAVE_XDP
	&kt_engine_xdp,
#endif
	&kt_engine_packet,
	&kt_engine_mem,
};

/* Engines of other builds, so that asking for one gets a better answer than "unknown". */
static const struct {
	const char *name;
	const char *needs;
} absent[] = {
#ifndef HAVE_XDP
	{ "xdp", "a build with libbpf and clang" },
#endif
	{ NULL, NULL },
};

static const struct kt_engine *engine_by_name(const char *name, size_t len)
{
	for (size_t i = 0; i < KT_ARRAY_LEN(engines); i++)
		if (strlen(engines[i]->name) == len && !memcmp(engines[i]->name, name, len))
			return engines[i];
	return NULL;
}

static const char *absent_needs(const char *name, size_t len)
{
	for (size_t i = 0; absent[i].name; i++)
		if (strlen(absent[i].name) == len && !memcmp(absent[i].name, name, len))
			return absent[i].needs;
	return NULL;
}

/*
 * An ioctl on the port's interface, in the namespace where it was opened. The
 * name is asked for anew each time, since interfaces can be renamed.
 */
static int iface_ioctl(struct ktrxer *port, unsigned long request, struct ifreq *ifr)
{
	memset(ifr, 0, sizeof(*ifr));
	ifr->ifr_ifindex = (int)port->ifindex;
	if (ioctl(port->ctl_fd, SIOCGIFNAME, ifr) || ioctl(port->ctl_fd, request, ifr))
		return -errno;
	return 0;
}

static int read_iface(struct ktrxer *port, struct ktrxer_err *err)
{
	struct ifreq ifr;

	if (strlen(port->ifname) >= IFNAMSIZ)
		return kt_err(err, ENODEV, "interface \"%s\": a name has at most %d characters", port->ifname,
			      IFNAMSIZ - 1);
	port->ctl_fd = kt_netlink_open();
	if (port->ctl_fd < 0)
		return kt_err(err, -port->ctl_fd, "no socket for asking about interfaces: %s", strerror(-port->ctl_fd));
	port->ifindex = if_nametoindex(port->ifname);
	if (!port->ifindex)
		return kt_err(err, ENODEV, "no interface \"%s\" in this network namespace", port->ifname);
	if (iface_ioctl(port, SIOCGIFMTU, &ifr))
		return kt_err(err, ENODEV, "interface \"%s\" went away", port->ifname);
	port->mtu = (u32)ifr.ifr_mtu;
	if (!iface_ioctl(port, SIOCGIFHWADDR, &ifr))
		memcpy(port->mac, ifr.ifr_hwaddr.sa_data, 6);
	return 0;
}

int kt_port_state(struct ktrxer *port)
{
	struct ifreq ifr;

	if (kt_port_virtual(port))
		return 0;
	if (iface_ioctl(port, SIOCGIFFLAGS, &ifr))
		return -ENODEV;
	return ifr.ifr_flags & IFF_UP ? 0 : -ENETDOWN;
}

static int open_with(struct ktrxer **out, const struct kt_engine *engine, const char *ifname,
		     const struct ktrxer_opts *opts, struct ktrxer_err *err)
{
	struct ktrxer *port = calloc(1, sizeof(*port));
	int ret = -ENOMEM;

	if (!port)
		return kt_err(err, ENOMEM, "no memory for a port");
	port->engine = engine;
	port->opts = *opts;
	port->opts.engine = engine->name;
	port->clock = port->rx_clock = opts->clock;
	port->ctl_fd = -1;
	snprintf(port->ifname, sizeof(port->ifname), "%s", ifname);
	port->priv = calloc(1, engine->priv_bytes ? engine->priv_bytes : 1);
	if (!port->priv) {
		kt_err(err, ENOMEM, "no memory for engine %s", engine->name);
		goto err_port;
	}
	if (engine != &kt_engine_mem) {
		ret = read_iface(port, err);
		if (ret)
			goto err_priv;
	}
	ret = engine->open(port, err);
	if (ret)
		goto err_priv;
	*out = port;
	return 0;

err_priv:
	if (port->ctl_fd >= 0)
		close(port->ctl_fd);
	free(port->priv);
err_port:
	free(port);
	return ret;
}

/* The best engine that works; the reasons of those that did not are in why. */
static int open_auto(struct ktrxer **port, const char *ifname, const struct ktrxer_opts *opts, struct ktrxer_err *err)
{
	struct ktrxer_err e = { 0 };
	char why[400] = "";
	int ret = -EOPNOTSUPP;

	for (size_t i = 0; i < KT_ARRAY_LEN(engines); i++) {
		const struct kt_engine *engine = engines[i];
		size_t n = strlen(why);

		if (engine == &kt_engine_mem)
			continue; /* never by itself: it reaches nobody */
		if (opts->need_drop && !(engine->ops & (1u << KT_OP_DROP)))
			ret = kt_err(&e, EOPNOTSUPP, "its rules cannot drop");
		else
			ret = engine->probe ? engine->probe(ifname, &e) : 0;
		if (!ret)
			ret = open_with(port, engine, ifname, opts, &e);
		if (!ret) {
			snprintf((*port)->why, sizeof((*port)->why), "%.390s",
				 n ? why : "the best engine of this build");
			return 0;
		}
		snprintf(why + n, sizeof(why) - n, "%s%s: %.180s", n ? "; " : "", engine->name, e.text);
		if (ret == -ENODEV)
			break;
	}
	/* Without the right that the plainest engine needs, the others' reasons are beside the point. */
	return kt_err(err, -ret, "%s", ret == -ENODEV || ret == -EPERM ? e.text : why);
}

static bool wire_name(const char *ifname)
{
	size_t n = strlen(ifname);

	return n > 2 && ifname[n - 2] == '/' && (ifname[n - 1] == '0' || ifname[n - 1] == '1');
}

KTRXER_API int ktrxer_open(struct ktrxer **port, const char *ifname, const struct ktrxer_opts *opts,
			   struct ktrxer_err *err)
{
	KTRXER_OPTS(ktrxer_opts, o);
	const char *name, *colon = ifname ? strchr(ifname, ':') : NULL;
	const struct kt_engine *engine;
	size_t len;
	int ret;

	*port = NULL;
	if (!ifname || !*ifname)
		return kt_err(err, EINVAL, "no interface was named");
	if (opts && opts->sz > sizeof(o))
		return kt_err(err, EINVAL, "options are of a newer version of the library");
	if (opts)
		memcpy(&o, opts, opts->sz);
	if (o.clock != KTRXER_CLOCK_MONOTONIC && o.clock != KTRXER_CLOCK_TAI)
		return kt_err(err, EINVAL, "the launch clock can be monotonic or tai, not %s",
			      ktrxer_clock_name(o.clock));
	name = o.engine;
	len = name ? strlen(name) : 0;
	if (colon &&
	    (engine_by_name(ifname, (size_t)(colon - ifname)) || absent_needs(ifname, (size_t)(colon - ifname)))) {
		if (name && strcmp(name, "auto") && (len != (size_t)(colon - ifname) || memcmp(name, ifname, len)))
			return kt_err(err, EINVAL, "engine \"%s\" was asked for, but \"%s\" names another", name,
				      ifname);
		name = ifname;
		len = (size_t)(colon - ifname);
		ifname = colon + 1;
	}
	if (!name && wire_name(ifname)) {
		name = "mem";
		len = 3;
	}
	if (!name || (len == 4 && !memcmp(name, "auto", 4)))
		return open_auto(port, ifname, &o, err);
	engine = engine_by_name(name, len);
	if (!engine && absent_needs(name, len))
		return kt_err(err, EOPNOTSUPP, "engine %.*s needs %s", (int)len, name, absent_needs(name, len));
	if (!engine)
		return kt_err(err, EINVAL,
			      "no engine \"%.*s\"; there are kmod, xdp, packet and mem, and auto to choose", (int)len,
			      name);
	if (o.need_drop && !(engine->ops & (1u << KT_OP_DROP)))
		return kt_err(err, EOPNOTSUPP,
			      "engine %s cannot drop packets before the host sees them; kmod and xdp can",
			      engine->name);
	ret = open_with(port, engine, ifname, &o, err);
	if (!ret)
		snprintf((*port)->why, sizeof((*port)->why), "asked for");
	return ret;
}

KTRXER_API void ktrxer_close(struct ktrxer *port)
{
	if (!port)
		return;
	port->engine->close(port);
	if (port->ctl_fd >= 0)
		close(port->ctl_fd);
	free(port->priv);
	free(port);
}

KTRXER_API int ktrxer_get_info(struct ktrxer *port, struct ktrxer_info *info)
{
	struct ifreq ifr;

	memset(info, 0, sizeof(*info));
	info->engine = port->engine->name;
	info->mode = port->mode;
	info->why = port->why;
	info->ifname = port->ifname;
	info->ifindex = port->ifindex;
	info->clock = port->clock;
	info->rx_clock = port->rx_clock;
	info->ops = port->engine->ops;
	memcpy(info->mac, port->mac, 6);
	if (kt_port_virtual(port)) {
		info->up = info->carrier = true;
	} else {
		if (iface_ioctl(port, SIOCGIFFLAGS, &ifr))
			return -ENODEV;
		info->up = ifr.ifr_flags & IFF_UP;
		info->carrier = ifr.ifr_flags & IFF_RUNNING;
		if (!iface_ioctl(port, SIOCGIFMTU, &ifr))
			port->mtu = (u32)ifr.ifr_mtu;
	}
	info->mtu = port->mtu;
	info->max_frame = port->mtu + KT_ETH_BYTES;
	return 0;
}

KTRXER_API int ktrxer_engine(unsigned int i, const char *ifname, struct ktrxer_engine *e)
{
	struct ktrxer_err err = { 0 };

	memset(e, 0, sizeof(*e));
	if (i >= KT_ARRAY_LEN(engines)) {
		i -= KT_ARRAY_LEN(engines);
		for (unsigned int k = 0; k <= i; k++)
			if (!absent[k].name)
				return -ENOENT;
		e->name = absent[i].name;
		e->needs = absent[i].needs;
		snprintf(e->why, sizeof(e->why), "needs %s", absent[i].needs);
		return 0;
	}
	e->name = engines[i]->name;
	e->needs = engines[i]->needs;
	e->works = !engines[i]->probe || !engines[i]->probe(ifname, &err);
	if (!e->works)
		snprintf(e->why, sizeof(e->why), "%.290s", err.text);
	return 0;
}

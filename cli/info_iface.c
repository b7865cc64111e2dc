/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* ktrxer info: one interface. */
#include "info.h"

#include <stdio.h>

static const struct {
	u32 bit;
	const char *name; /* as ethtool -K knows it; NULL: not told here */
	const char *key;
	const char *harm; /* what it does to measurements; NULL: nothing to speak of */
} offloads[] = {
	{ KT_OFFLOAD_GRO, "gro", "gro", "arriving packets are merged before engine packet sees them" },
	{ KT_OFFLOAD_LRO, "lro", "lro", "the NIC merges arriving packets, their number and times are lost" },
	{ KT_OFFLOAD_GSO, "gso", "gso", NULL },
	{ KT_OFFLOAD_TSO, "tso", "tso", "captured outgoing packets are larger than those on the wire" },
	{ KT_OFFLOAD_RX_CSUM, "rx", "rx_checksum", NULL },
	{ KT_OFFLOAD_TX_CSUM, "tx", "tx_checksum",
	  "captured outgoing packets have checksums that the NIC fills in later" },
	{ KT_OFFLOAD_RX_VLAN, "rxvlan", "rx_vlan",
	  "VLAN tags are taken out of arriving frames; engine xdp does not see them" },
};

static const struct {
	u32 bit;
	const char *key, *name;
} stamps[] = {
	{ KT_STAMP_TX_SOFTWARE, "tx_software", "transmit (driver)" },
	{ KT_STAMP_RX_SOFTWARE, "rx_software", "receive (kernel)" },
	{ KT_STAMP_TX_HARDWARE, "tx_hardware", "transmit (NIC)" },
	{ KT_STAMP_RX_HARDWARE, "rx_hardware", "receive (NIC)" },
};

static const char *format_mac(char *buf, size_t cap, const u8 *m)
{
	snprintf(buf, cap, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	return buf;
}

/* The names whose bits are set, with commas. */
static const char *join(char *buf, size_t cap, const char *const *names, unsigned int n)
{
	size_t used = 0;

	*buf = 0;
	for (unsigned int i = 0; i < n; i++) {
		int w = names[i] ? snprintf(buf + used, cap - used, "%s%s", used ? ", " : "", names[i]) : 0;

		used += w > 0 && (size_t)w < cap - used ? (size_t)w : 0;
	}
	return *buf ? buf : "none";
}

bool info_engine_works(const char *ifname, const char *engine, struct ktrxer_engine *e)
{
	for (unsigned int i = 0; !ktrxer_engine(i, ifname, e); i++)
		if (!strcmp(e->name, engine))
			return e->works;
	e->why[0] = 0;
	return false;
}

static void text_engines(struct table *t, const struct kt_iface *f)
{
	struct ktrxer_engine e;

	for (unsigned int i = 0; !ktrxer_engine(i, f->name, &e); i++)
		if (strcmp(e.name, "mem"))
			table_row(t, "engine %s\t%s%s%s", e.name, e.works ? "works" : "no", e.why[0] ? ": " : "",
				  e.why);
}

void info_iface_text(struct out *out, const struct kt_iface *f)
{
	const char *on[KT_ARRAY_LEN(offloads)], *st[KT_ARRAY_LEN(stamps)];
	char mac[20], text[200];
	struct table t;

	for (unsigned int i = 0; i < KT_ARRAY_LEN(offloads); i++)
		on[i] = f->offloads & offloads[i].bit ? offloads[i].name : NULL;
	for (unsigned int i = 0; i < KT_ARRAY_LEN(stamps); i++)
		st[i] = f->stamps & stamps[i].bit ? stamps[i].name : NULL;
	out_printf(out, "\nInterface %s\n", f->name);
	table_init(&t, "\t");
	table_row(&t, "device\t%s%s%s%s%s", f->kind, *f->driver ? ", driver " : "", f->driver, *f->bus ? ", " : "",
		  f->bus);
	table_row(&t, "state\t%s, %s, MTU %u, %s%s%s", f->up ? "up" : "down", f->carrier ? "carrier" : "no carrier",
		  f->mtu, format_mac(mac, sizeof(mac), f->mac), f->promiscuous ? ", promiscuous" : "",
		  f->xdp ? ", has an XDP program" : "");
	table_row(&t, "queues\t%u to receive, %u to send", f->rx_queues, f->tx_queues);
	table_row(&t, "stamps\t%s%s", join(text, sizeof(text), st, KT_ARRAY_LEN(st)),
		  f->phc >= 0 ? ", has a PTP clock" : "");
	table_row(&t, "offloads on\t%s",
		  f->offloads_known ? join(text, sizeof(text), on, KT_ARRAY_LEN(on)) : "unknown");
	if (f->coalesce_known)
		table_row(&t, "coalescing\tarrivals announced after %u us or %u frames", f->rx_usecs, f->rx_frames);
	if (f->rx_dropped || f->tx_dropped)
		table_row(&t, "dropped\t%llu received, %llu to send, by the interface's count",
			  (unsigned long long)f->rx_dropped, (unsigned long long)f->tx_dropped);
	text_engines(&t, f);
	info_module_text(&t, f);
	table_end(&t, out, 2);
}

static void json_engines(struct json *j, const struct kt_iface *f)
{
	struct ktrxer_engine e;

	json_object(j, "engines");
	for (unsigned int i = 0; !ktrxer_engine(i, f->name, &e); i++) {
		if (!strcmp(e.name, "mem"))
			continue;
		json_object(j, e.name);
		json_bool(j, "works", e.works);
		json_text(j, "why", e.why[0] ? e.why : NULL);
		if (!strcmp(e.name, "kmod") && e.works)
			info_module_json(j, f);
		json_end(j);
	}
	json_end(j);
}

void info_iface_json(struct json *j, const struct kt_iface *f)
{
	char mac[20];

	json_object(j, NULL);
	json_text(j, "name", f->name);
	json_u64(j, "index", f->index);
	json_text(j, "kind", f->kind);
	json_text(j, "driver", *f->driver ? f->driver : NULL);
	json_text(j, "bus", *f->bus ? f->bus : NULL);
	json_text(j, "mac", format_mac(mac, sizeof(mac), f->mac));
	json_u64(j, "mtu", f->mtu);
	json_bool(j, "up", f->up);
	json_bool(j, "carrier", f->carrier);
	json_bool(j, "promiscuous", f->promiscuous);
	json_bool(j, "xdp_attached", f->xdp);
	json_u64(j, "rx_queues", f->rx_queues);
	json_u64(j, "tx_queues", f->tx_queues);
	json_object(j, "stamps");
	for (unsigned int i = 0; i < KT_ARRAY_LEN(stamps); i++)
		json_bool(j, stamps[i].key, f->stamps & stamps[i].bit);
	json_end(j);
	json_object(j, "offloads");
	for (unsigned int i = 0; f->offloads_known && i < KT_ARRAY_LEN(offloads); i++)
		json_bool(j, offloads[i].key, f->offloads & offloads[i].bit);
	json_end(j);
	if (f->coalesce_known)
		json_u64(j, "rx_usecs", f->rx_usecs);
	json_u64(j, "rx_dropped", f->rx_dropped);
	json_u64(j, "tx_dropped", f->tx_dropped);
	json_engines(j, f);
	json_end(j);
}

void info_iface_advice(struct advices *a, const struct kt_iface *f)
{
	struct ktrxer_engine e;
	char command[120];

	if (f->loopback)
		return;
	if (!f->up) {
		snprintf(command, sizeof(command), "ip link set %s up", f->name);
		advise(a, command, "%s is down", f->name);
	}
	for (unsigned int i = 0; i < KT_ARRAY_LEN(offloads); i++) {
		if (!(f->offloads & offloads[i].bit) || !offloads[i].harm)
			continue;
		snprintf(command, sizeof(command), "ethtool -K %s %s off", f->name, offloads[i].name);
		advise(a, command, "%s: %s", f->name, offloads[i].harm);
	}
	if (f->coalesce_known && f->rx_usecs > 1) {
		snprintf(command, sizeof(command), "ethtool -C %s rx-usecs 0 adaptive-rx off", f->name);
		advise(a, command, "%s: arrival times can be up to %u us late, until the NIC tells of a packet",
		       f->name, f->rx_usecs);
	}
	info_module_advice(a, f);
	if (f->xdp && !info_engine_works(f->name, "xdp", &e))
		advise(a, "", "%s: somebody else's XDP program is attached (see ip link show %s)", f->name, f->name);
}

/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Watches whether an interface is up, and says when that changes. */
#include "downs.h"

#include "../lib/port.h"
#include "meta.h"
#include "status.h"

#define ASK_NS 50000000ull
#define SURE 2 /* times in a row: an interface that is being deleted is down for a moment, too */

void downs_watch(struct downs *d, struct ktrxer *port, const char *ifname, bool quiet)
{
	u64 now_ns = meta_now();
	bool first = !d->asked_ns;
	int state;

	if (!first && now_ns - d->asked_ns < ASK_NS)
		return;
	d->asked_ns = now_ns;
	state = kt_port_state(port);
	if (state && state != -ENETDOWN)
		return; /* gone: that is told by who receives */
	d->seen = (state == -ENETDOWN) == d->down ? 0 : d->seen + 1;
	if (!d->seen || (!first && d->seen < SURE))
		return;
	d->seen = 0;
	d->down = !d->down;
	d->n += d->down;
	if (quiet)
		return;
	status_clear();
	cli_warn(d->down ? "interface %s is down: nothing arrives until it is up" : "interface %s is up again", ifname);
}

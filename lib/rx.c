/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Receivers: opening and closing, the receiving thread, counters. The rules
 * are in rx_rules.c, the moving of packets in pump.c, listeners in listen.c,
 * other processes in share.c and remote.c.
 */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "receiver.h"

#define DOWN_NAP_NS 10000000u /* a wait on an interface that is down returns at once */
#define THREAD_NAP_NS 100000000u /* how soon the thread notices that it should end, at the latest */

static void init_sync(struct krx *rx)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&rx->pump_lock, NULL);
	pthread_mutex_init(&rx->rules_lock, NULL);
	pthread_mutex_init(&rx->listen_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&rx->news, &attr);
	pthread_condattr_destroy(&attr);
}

static void destroy_sync(struct krx *rx)
{
	pthread_cond_destroy(&rx->news);
	pthread_mutex_destroy(&rx->listen_lock);
	pthread_mutex_destroy(&rx->rules_lock);
	pthread_mutex_destroy(&rx->pump_lock);
}

static void *receiving(void *arg)
{
	struct krx *rx = arg;
	const struct kt_engine *e = rx->port->engine;
	const struct timespec nap = kt_ns_timespec(DOWN_NAP_NS);

	prctl(PR_SET_NAME, "krx-pump", 0, 0, 0);
	while (!kt_load_relaxed(&rx->stop)) {
		int n = kt_rx_pump(rx);

		/* A link that is down can come up again; one that is gone cannot. */
		if (n == -ENODEV)
			break;
		if (n <= 0 && e->rx_wait(rx->port, kt_port_now(rx->port) + THREAD_NAP_NS) < 0)
			clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	}
	return NULL;
}

static int start_thread(struct krx *rx, struct ktrxer_err *err)
{
	sigset_t all, before;
	int ret;

	if (kt_port_virtual(rx->port))
		return kt_err(err, EOPNOTSUPP, "virtual time has no receiving thread; call krx_pump()");
	rx->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (rx->wake_fd < 0)
		return kt_err(err, errno, "no descriptor for waking listeners: %s", strerror(errno));
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&rx->thread, NULL, receiving, rx);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		return kt_err(err, ret, "the receiving thread cannot be made: %s", strerror(ret));
	rx->has_thread = true;
	if (rx->o.cpu) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((size_t)rx->o.cpu - 1, &set);
		ret = pthread_setaffinity_np(rx->thread, sizeof(set), &set);
		if (ret)
			return kt_err(err, ret, "the receiving thread cannot run on CPU %d: %s", rx->o.cpu - 1,
				      strerror(ret));
	}
	return 0;
}

static void stop_thread(struct krx *rx)
{
	if (rx->has_thread) {
		kt_store_relaxed(&rx->stop, 1);
		pthread_join(rx->thread, NULL);
	}
	if (rx->wake_fd >= 0)
		close(rx->wake_fd);
}

/* The ring is the engine's, or ours. */
static int open_ring(struct krx *rx, struct ktrxer_err *err)
{
	int ret;

	if (rx->port->engine->rx_ring)
		return rx->port->engine->rx_ring(rx->port, &rx->mem, err);
	ret = kt_ring_memory_new(&rx->mem, rx->o.ring_bytes, err);
	if (ret)
		return ret;
	return kt_ring_init(&rx->ring, rx->mem.shared, rx->mem.cursors, rx->mem.data, rx->mem.n_units);
}

int kt_rx_join(struct krx *rx, bool lossless)
{
	int n;

	if (rx->port->engine->rx_join)
		return rx->port->engine->rx_join(rx->port, lossless);
	pthread_mutex_lock(&rx->pump_lock);
	n = kt_ring_join(&rx->ring, lossless ? KT_CURSOR_LOSSLESS : KT_CURSOR_LOSSY);
	pthread_mutex_unlock(&rx->pump_lock);
	return n;
}

void kt_rx_leave(struct krx *rx, u32 cursor)
{
	if (rx->port->engine->rx_leave) {
		rx->port->engine->rx_leave(rx->port, cursor);
		return;
	}
	kt_ring_leave(&rx->ring, cursor);
}

KTRXER_API int krx_open(struct krx **out, struct ktrxer *port, const struct krx_opts *opts, struct ktrxer_err *err)
{
	struct krx *rx;
	int ret;

	*out = NULL;
	if (opts && opts->sz > sizeof(rx->o))
		return kt_err(err, EINVAL, "options are of a newer version of the library");
	if (!port->engine->rx_open)
		return kt_err(err, EOPNOTSUPP, "engine %s cannot receive", port->engine->name);
	rx = calloc(1, sizeof(*rx));
	if (!rx)
		return kt_err(err, ENOMEM, "no memory for a receiver");
	rx->port = port;
	rx->wake_fd = -1;
	rx->o.sz = sizeof(rx->o);
	if (opts)
		memcpy(&rx->o, opts, opts->sz);
	init_sync(rx);
	ret = port->engine->rx_open(port, &rx->o, err);
	if (ret)
		goto err_rx;
	ret = open_ring(rx, err);
	if (ret)
		goto err_engine;
	ret = kt_rules_init(rx, err);
	if (ret)
		goto err_ring;
	if (rx->o.share_path) {
		ret = kt_share_start(rx, rx->o.share_path, err);
		if (ret)
			goto err_rules;
	}
	if (rx->o.thread) {
		ret = start_thread(rx, err);
		if (ret)
			goto err_share;
	}
	*out = rx;
	return 0;

err_share:
	stop_thread(rx);
	kt_share_stop(rx);
err_rules:
	kt_rules_destroy(rx);
err_ring:
	kt_ring_memory_free(&rx->mem);
err_engine:
	port->engine->rx_close(port);
err_rx:
	destroy_sync(rx);
	free(rx);
	return ret;
}

KTRXER_API void krx_close(struct krx *rx)
{
	if (!rx)
		return;
	if (rx->remote) {
		kt_remote_close(rx);
	} else {
		stop_thread(rx);
		kt_share_stop(rx);
		rx->port->engine->rx_close(rx->port);
		kt_rules_destroy(rx);
		kt_ring_memory_free(&rx->mem);
	}
	destroy_sync(rx);
	free(rx);
}

KTRXER_API int krx_pump(struct krx *rx)
{
	int n;

	if (rx->remote || !kt_rx_begin_pumping(rx))
		return 0; /* somebody else moves them */
	n = kt_rx_pump(rx);
	kt_rx_end_pumping(rx);
	return n;
}

KTRXER_API int krx_fd(struct krx *rx)
{
	if (rx->has_thread)
		return rx->wake_fd;
	if (rx->remote)
		return -EOPNOTSUPP;
	return rx->port->engine->rx_fd ? rx->port->engine->rx_fd(rx->port) : -EOPNOTSUPP;
}

void kt_rx_stats(struct krx *rx, struct krx_stats *stats)
{
	const struct kt_engine *e = rx->port->engine;
	struct kt_rx_counts c = { 0 };

	pthread_mutex_lock(&rx->pump_lock);
	*stats = rx->stats;
	if (e->rx_counts)
		e->rx_counts(rx->port, &c);
	pthread_mutex_unlock(&rx->pump_lock);
	stats->seen += c.seen;
	stats->seen_bytes += c.seen_bytes;
	stats->dropped += c.dropped;
	stats->passed += c.passed;
	stats->forwarded += c.forwarded;
	stats->lost_engine += c.lost_engine;
	stats->lost_error += c.lost_error;
	stats->malformed += c.malformed;
	stats->delivered += c.delivered;
	stats->lost_ring += c.lost_ring;
	stats->merged += c.merged;
	stats->displaced = c.displaced;
	stats->not_first = c.not_first;
}

KTRXER_API int krx_get_stats(struct krx *rx, struct krx_stats *stats)
{
	if (rx->remote)
		return kt_remote_stats(rx, stats);
	kt_rx_stats(rx, stats);
	return 0;
}

/* What this thread was last told; rules change in any thread, and each wants to know its own reason. */
static _Thread_local struct {
	const struct krx *rx;
	struct ktrxer_err err;
} told;

int kt_rx_err(struct krx *rx, int code, const char *fmt, ...)
{
	va_list ap;

	told.rx = rx;
	told.err.code = code;
	va_start(ap, fmt);
	vsnprintf(told.err.text, sizeof(told.err.text), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&rx->listen_lock);
	rx->why = told.err;
	pthread_mutex_unlock(&rx->listen_lock);
	return -code;
}

KTRXER_API const char *krx_why(struct krx *rx)
{
	if (told.rx != rx) {
		told.rx = rx;
		pthread_mutex_lock(&rx->listen_lock);
		told.err = rx->why;
		pthread_mutex_unlock(&rx->listen_lock);
	}
	return told.err.text;
}

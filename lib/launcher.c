/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The library's own launching thread: sleeps until shortly before the next launch, and hands over to launch.c. */
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "../core/ring.h"
#include "sender.h"

/* Waits, lock held, until there is something to launch soon. Returns the launch time, 0 to stop. */
static u64 await_work(struct ktx *tx)
{
	for (;;) {
		u64 first = kt_launch_next(tx), next = first, now, spin, woken;
		bool slept;
		struct timespec ts;

		if (tx->stop)
			return 0;
		if (!next && !tx->in_flight.n) {
			pthread_cond_wait(&tx->work, &tx->lock);
			continue;
		}
		now = kt_port_now(tx->port);
		if (!next || (tx->in_flight.n && next > now + 1000000))
			next = now + 1000000; /* ask the device again within 1 ms */
		if (next <= now)
			return next;
		spin = kt_launch_spin(tx, &tx->lead, now, next);
		if (spin >= next - now)
			return next;
		/* The condition's clock is monotonic; a TAI launch time is told in it. */
		ts = kt_ns_timespec(ktrxer_convert(tx->port, next - spin, tx->port->clock, KTRXER_CLOCK_MONOTONIC));
		/* What it slept for may have been cancelled, and the next one be far. */
		slept = pthread_cond_timedwait(&tx->work, &tx->lock, &ts) == ETIMEDOUT;
		woken = kt_port_now(tx->port);
		if (slept)
			kt_lead_learn(&tx->lead, next - spin, woken);
		if (slept && kt_launch_next(tx) == first)
			return next;
	}
}

static void *launcher(void *arg)
{
	struct ktx *tx = arg;
	u64 next;

	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	prctl(PR_SET_NAME, "ktx-launch", 0, 0, 0);
	pthread_mutex_lock(&tx->lock);
	while ((next = await_work(tx))) {
		pthread_mutex_unlock(&tx->lock);
		kt_launch_at(tx, next);
		pthread_mutex_lock(&tx->lock);
	}
	pthread_mutex_unlock(&tx->lock);
	return NULL;
}

int kt_launcher_start(struct ktx *tx, struct ktrxer_err *err)
{
	struct sched_param sp = { .sched_priority = tx->o.fifo_priority };
	sigset_t all, before;
	int ret;

	/* Signals are the program's business: its own threads take them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&tx->thread, NULL, launcher, tx);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		return kt_err(err, ret, "the launching thread cannot be made: %s", strerror(ret));
	tx->has_thread = true;
	if (tx->o.cpu) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((size_t)tx->o.cpu - 1, &set);
		ret = pthread_setaffinity_np(tx->thread, sizeof(set), &set);
		if (ret) {
			kt_launcher_stop(tx);
			return kt_err(err, ret, "the launching thread cannot run on CPU %d: %s", tx->o.cpu - 1,
				      strerror(ret));
		}
	}
	if (tx->o.fifo_priority && !pthread_setschedparam(tx->thread, SCHED_FIFO, &sp)) {
		pthread_mutex_lock(&tx->lock);
		tx->stats.fifo = true;
		pthread_mutex_unlock(&tx->lock);
	}
	return 0;
}

void kt_launcher_stop(struct ktx *tx)
{
	if (!tx->has_thread)
		return;
	pthread_mutex_lock(&tx->lock);
	tx->stop = true;
	kt_store_release(&tx->kick, tx->kick + 1);
	pthread_cond_signal(&tx->work);
	pthread_mutex_unlock(&tx->lock);
	pthread_join(tx->thread, NULL);
	tx->has_thread = false;
}

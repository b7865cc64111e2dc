// SPDX-License-Identifier: GPL-2.0-only
/*
 * When probes leave. The timer interrupts spin_ns before the first launch and wakes the launcher: a high-priority tasklet, or
 * a SCHED_FIFO thread where softirqs may not do it (PREEMPT_RT) or the user wants one. The launcher takes
 * what is due at that time out of the schedule, spins on the clock with everything free, and for
 * the last LEAD_NS under the queue lock, so that between the clock showing the time and the driver call lies next to
 * nothing. What is submitted meanwhile for an earlier time makes it put back what
 * it took, each at its old place, and look again.
 *
 * Why a tasklet of high priority behind a HARD timer and not a SOFT one: timers'
 * softirq comes last, behind the packets of others, and is left to ksoftirqd, an
 * ordinary thread, when there is much to do. HI_SOFTIRQ comes first and (before Linux 6.5) is the only one not left to it.
 *
 * A launcher may not keep a CPU for long: after BUDGET_NS the rest goes back into the schedule for YIELD_NS. When that
 * time has been spent on refusals only, it tries again for REFUSED_BUDGET_NS at a time, with pauses that double from
 * REFUSED_PAUSE_NS up to REFUSED_PAUSES times: many senders whose device refuses for ever, on one CPU and with a thread of
 * high priority each, would else leave nothing to the kernel's own threads there, RCU's among them. So an outage is found
 * to be over no later than after as long again, or 3 ms. Nor does a launcher spin for more than a third of the gap between
 * two launches.
 */
#include <linux/cpu.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>

#include "ktx.h"

#define LEAD_NS 2000u
#define BUDGET_NS 1000000u
#define YIELD_NS 20000u
#define REFUSED_BUDGET_NS 100000u
#define REFUSED_PAUSE_NS 100000u
#define REFUSED_PAUSES 32u
/* How long the callers of SUBMIT and FLOOD wait for a stopped queue before they take it as a refusal. */
#define QUEUE_PATIENCE_NS 100000000u

static void poke(struct ktx *tx)
{
	if (tx->thread) {
		WRITE_ONCE(tx->poked, true);
		wake_up_process(tx->thread);
	} else {
		tasklet_hi_schedule(&tx->tasklet);
	}
}

static void poke_on_cpu(void *arg)
{
	poke(arg);
}

/* The softirq that runs when BH are enabled again is the launcher. */
static void poke_here(struct ktx *tx)
{
	local_bh_disable();
	poke(tx);
	local_bh_enable();
}

void kt_tx_poke(struct ktx *tx)
{
	bool here = tx->thread || get_cpu() == (int)tx->setup.cpu;

	if (here)
		poke_here(tx);
	if (!tx->thread)
		put_cpu();
	/* Always on the same CPU: from two, what is launched at the same time may overtake. A CPU may go away. */
	if (!here && smp_call_function_single((int)tx->setup.cpu, poke_on_cpu, tx, 1))
		poke_here(tx);
}

/* Hard interrupt, on PREEMPT_RT too. */
static enum hrtimer_restart timer_fired(struct hrtimer *timer)
{
	struct ktx *tx = container_of(timer, struct ktx, timer);

	if (!tx->by_irq || !kt_tx_irq_launch(tx))
		poke(tx);
	return HRTIMER_NORESTART;
}

/* Lock held. */
static void arm(struct ktx *tx, u64 ns)
{
	if (!tx->stop)
		hrtimer_start(&tx->timer, ns_to_ktime(min_t(u64, ns, KTIME_MAX)), HRTIMER_MODE_ABS_PINNED_HARD);
}

/* A launcher that spins for a later time than ns has to look again. Lock held. */
static bool is_news(struct ktx *tx, u64 ns)
{
	const struct kt_schedule_entry *e = kt_schedule_first(&tx->schedule);

	if (!tx->launching)
		return !e || ns < e->time_ns;
	if (ns < tx->target_ns)
		WRITE_ONCE(tx->kick, tx->kick + 1);
	return false;
}

bool kt_tx_schedule(struct ktx *tx, u32 head)
{
	struct kt_tx_probe *p = &tx->probes[head];
	bool news = is_news(tx, p->due_ns);

	p->head = true;
	kt_schedule_add(&tx->schedule, head, p->due_ns);
	return news;
}

/* The train of the schedule's first entry, at the end of b. Lock held. */
static void take_train(struct ktx *tx, struct kt_tx_list *b)
{
	u64 order = kt_schedule_first(&tx->schedule)->order;
	u32 slot = kt_schedule_pop(&tx->schedule), next;

	tx->probes[slot].head = false;
	for (; slot != KT_NO_SLOT; slot = next) {
		struct kt_tx_probe *p = &tx->probes[slot];

		next = p->train ? p->next : KT_NO_SLOT;
		p->place = KT_TX_LAUNCHING;
		p->order = order;
		kt_tx_list_put(tx, b, slot);
	}
}

/* All of b back to their places in the schedule. Lock held. */
static void put_back(struct ktx *tx, struct kt_tx_list *b)
{
	bool follows = false;
	u32 slot;

	while ((slot = kt_tx_list_get(tx, b)) != KT_NO_SLOT) {
		struct kt_tx_probe *p = &tx->probes[slot];
		struct kt_schedule_entry e = { .time_ns = p->due_ns, .order = p->order, .item = slot };

		p->place = KT_TX_SCHEDULED;
		p->head = !follows;
		if (p->head)
			kt_schedule_restore(&tx->schedule, &e);
		follows = p->train;
	}
}

/* How long before at to be there. Lock held. */
static u64 spin_before(const struct ktx *tx, u64 at, u32 spin_ns)
{
	u64 gap = at > tx->target_ns ? at - tx->target_ns : 0;

	if (tx->setup.flags & KTX_SETUP_LAUNCH)
		return spin_ns; /* nobody spins */
	return min_t(u64, spin_ns, gap / 3);
}

u64 kt_tx_take_due(struct ktx *tx, struct kt_tx_list *b, u32 spin_ns)
{
	const struct kt_schedule_entry *e;
	u64 now, at, before;

	if (tx->gone)
		kt_tx_fail_all(tx, ENODEV);
	e = kt_schedule_first(&tx->schedule);
	if (!e || tx->stop)
		return 0;
	now = kt_tx_clock(tx);
	at = e->time_ns;
	before = spin_before(tx, at, spin_ns);
	if (at > now && at - now > before) {
		arm(tx, at - before);
		return 0;
	}
	tx->target_ns = at;
	while (e && e->time_ns <= max(at, now)) {
		take_train(tx, b);
		e = kt_schedule_first(&tx->schedule);
	}
	return at;
}

bool kt_tx_spin(struct ktx *tx, u64 at, u32 kick)
{
	while (kt_tx_clock(tx) + LEAD_NS < at) {
		if (READ_ONCE(tx->kick) != kick)
			return false;
		cpu_relax();
	}
	return READ_ONCE(tx->kick) == kick;
}

/* Waits for the pause of a refused probe, in b or in the schedule. Lock held. */
static void try_again(struct ktx *tx, struct kt_tx_list *b, u32 slot, bool here)
{
	struct kt_tx_probe *p = &tx->probes[slot];

	if (!p->filled)
		kt_tx_fill(tx, slot, GFP_ATOMIC | __GFP_NOWARN);
	if (here || !p->retry_ns) {
		kt_tx_list_push(tx, b, slot);
		return;
	}
	p->train = false;
	p->place = KT_TX_SCHEDULED;
	p->due_ns = kt_tx_clock(tx) + p->retry_ns;
	p->head = true;
	kt_schedule_add(&tx->schedule, slot, p->due_ns);
}

u32 kt_tx_settle(struct ktx *tx, struct kt_tx_list *b, struct kt_tx_list *tried, bool here, bool *progress)
{
	u32 slot, pause = 0;

	while ((slot = kt_tx_list_get(tx, tried)) != KT_NO_SLOT) {
		struct kt_tx_probe *p = &tx->probes[slot];

		if (p->outcome == KT_TX_REFUSED && p->attempts < p->max_attempts) {
			try_again(tx, b, slot, here);
			pause = p->retry_ns;
			continue;
		}
		kt_tx_finish(tx, slot,
			     p->outcome == KT_TX_SENT	? KTX_DONE_SENT
			     : p->outcome == KT_TX_LATE ? KTX_DONE_LATE
							: KTX_DONE_FAILED);
		*progress = true;
	}
	kt_tx_publish(tx);
	return pause;
}

/*
 * Launches b, at at_ns, as far as it gets until `end`; what is left goes back into the schedule. Returns whether time is
 * left; *progress says when a probe has ended. launching is ours.
 */
static bool launch(struct ktx *tx, struct kt_tx_list *b, u64 at_ns, u64 end, bool *progress)
{
	struct kt_tx_list tried;
	bool in_time = true;

	kt_tx_list_init(&tried);
	while (b->n) {
		bool locked = kt_tx_stretch(tx, b, &tried, at_ns, NULL);

		spin_lock_bh(&tx->lock);
		tx->st.batches += locked;
		kt_tx_settle(tx, b, &tried, false, progress);
		in_time = kt_tx_clock(tx) < end;
		if (!in_time || tx->stop)
			put_back(tx, b);
		spin_unlock_bh(&tx->lock);
	}
	return in_time;
}

/* From when on the launcher has the CPU again, when its time is up. launching is ours. */
static u64 rest(struct ktx *tx, bool progress)
{
	u64 pause = YIELD_NS;

	if (!progress) {
		tx->pauses = clamp(2 * tx->pauses, 1u, REFUSED_PAUSES);
		pause = (u64)tx->pauses * REFUSED_PAUSE_NS;
	}
	return kt_tx_clock(tx) + pause;
}

/* What the timer's interrupt could not finish. Lock held. */
static void take_over(struct ktx *tx, bool *progress)
{
	tx->handed = false;
	/* It had the queue if it has tried any. */
	tx->st.batches += !!tx->left_tried.n;
	tx->st.irq_batches += !!tx->left_tried.n;
	kt_tx_settle(tx, &tx->left, &tx->left_tried, false, progress);
	put_back(tx, &tx->left);
}

static void run(struct ktx *tx)
{
	u64 at, next = 0, end = 0;
	bool progress = false;
	struct kt_tx_list b;
	u32 kick;

	kt_tx_list_init(&b);
	spin_lock_bh(&tx->lock);
	/* One at a time: whoever is at it looks at the schedule again before it ends. */
	if (tx->launching && !kt_load_acquire(&tx->handed))
		goto out;
	if (tx->launching)
		take_over(tx, &progress);
	tx->launching = true;
	while (!next && (at = kt_tx_take_due(tx, &b, tx->setup.spin_ns))) {
		kick = tx->kick;
		/* The packets of others would otherwise be received on top of a thread that spins. */
		local_bh_disable();
		spin_unlock_bh(&tx->lock);
		if (tx->setup.flags & KTX_SETUP_LAUNCH)
			at = 0; /* the device waits for it */
		if (kt_tx_spin(tx, at, kick)) {
			if (!end)
				end = max(kt_tx_clock(tx), at) + (tx->pauses ? REFUSED_BUDGET_NS : BUDGET_NS);
			if (!launch(tx, &b, at, end, &progress))
				next = rest(tx, progress);
			spin_lock_bh(&tx->lock);
		} else {
			spin_lock_bh(&tx->lock);
			put_back(tx, &b);
		}
		local_bh_enable();
	}
	if (progress)
		tx->pauses = 0;
	if (next && tx->schedule.n)
		arm(tx, max(next, kt_schedule_first(&tx->schedule)->time_ns));
	tx->launching = false;
out:
	spin_unlock_bh(&tx->lock);
}

static void run_tasklet(struct tasklet_struct *t)
{
	run(container_of(t, struct ktx, tasklet));
}

static int run_thread(void *arg)
{
	struct ktx *tx = arg;

	for (;;) {
		set_current_state(TASK_IDLE);
		if (kthread_should_stop())
			break;
		if (!READ_ONCE(tx->poked)) {
			schedule();
			continue;
		}
		__set_current_state(TASK_RUNNING);
		WRITE_ONCE(tx->poked, false);
		run(tx);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

/* The kernel gives modules two priorities: 50, and 1. */
static int make_thread(struct ktx *tx)
{
	struct task_struct *t = kthread_create(run_thread, tx, "ktx/%s", tx->ifname);

	if (IS_ERR(t))
		return (int)PTR_ERR(t);
	if (tx->setup.fifo_priority && tx->setup.fifo_priority < 50) {
		sched_set_fifo_low(t);
		tx->setup.fifo_priority = 1;
	} else {
		sched_set_fifo(t);
		tx->setup.fifo_priority = 50;
	}
	kthread_bind(t, tx->setup.cpu);
	tx->thread = t;
	wake_up_process(t);
	return 0;
}

int kt_tx_launcher_start(struct ktx *tx)
{
	hrtimer_setup(&tx->timer, timer_fired, tx->setup.clock == KTRXER_ABI_TAI ? CLOCK_TAI : CLOCK_MONOTONIC,
		      HRTIMER_MODE_ABS_PINNED_HARD);
	tasklet_setup(&tx->tasklet, run_tasklet);
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		tx->setup.flags |= KTX_SETUP_FIFO;
	return tx->setup.flags & KTX_SETUP_FIFO ? make_thread(tx) : 0;
}

void kt_tx_launcher_stop(struct ktx *tx)
{
	spin_lock_bh(&tx->lock);
	tx->stop = true; /* from here on nobody arms the timer, and who spins returns */
	WRITE_ONCE(tx->kick, tx->kick + 1);
	spin_unlock_bh(&tx->lock);
	hrtimer_cancel(&tx->timer); /* from here on nobody wakes the launcher */
	if (tx->thread)
		kthread_stop(tx->thread);
	tasklet_kill(&tx->tasklet);
}

bool kt_tx_pause(u32 ns)
{
	ktime_t t = ns_to_ktime(ns);

	if (!ns)
		return !signal_pending(current);
	set_current_state(TASK_INTERRUPTIBLE);
	schedule_hrtimeout_range(&t, 0, HRTIMER_MODE_REL);
	return !signal_pending(current);
}

bool kt_tx_await_queue(struct ktx *tx)
{
	u64 end = ktime_get_ns() + QUEUE_PATIENCE_NS;

	while (kt_tx_stopped(tx)) {
		if (signal_pending(current) || ktime_get_ns() > end)
			return false;
		cond_resched();
		cpu_relax();
	}
	return true;
}

/* Ends what is left as it stands: with the reason of its last refusal, or as cancelled if there was no attempt. Lock held. */
static void give_up(struct ktx *tx, struct kt_tx_list *b)
{
	u32 slot;

	while ((slot = kt_tx_list_get(tx, b)) != KT_NO_SLOT)
		kt_tx_finish(tx, slot, tx->probes[slot].attempts ? KTX_DONE_FAILED : KTX_DONE_CANCELLED);
	kt_tx_publish(tx);
}

static bool was_turned_away(const struct kt_tx_probe *p)
{
	return p->outcome == KT_TX_REFUSED && p->reason == ENOBUFS;
}

/*
 * The queue has been stopped for longer than anybody is patient, and a probe has failed of it: those behind it that have
 * no other attempt left have had theirs by the same wait. Else they would leave before it when it is submitted again, and
 * the call might take the patience for each of them. Lock held.
 */
static void fail_behind(struct ktx *tx, struct kt_tx_list *b)
{
	while (b->n && tx->probes[b->first].attempts + 1 >= tx->probes[b->first].max_attempts) {
		struct kt_tx_probe *p = &tx->probes[kt_tx_list_get(tx, b)];

		p->attempts++;
		p->reason = ENOBUFS;
		kt_tx_end(tx, (u32)(p - tx->probes), KTX_DONE_FAILED);
	}
	kt_tx_publish(tx);
}

/* After a try in the caller's context: false when a signal ends it. */
static bool wait_here(struct ktx *tx, bool refused, u32 pause, bool stopped, bool *patient)
{
	cond_resched();
	*patient = !stopped || kt_tx_await_queue(tx);
	if (!refused && *patient)
		return true;
	return kt_tx_pause(refused ? pause : 0);
}

void kt_tx_launch_here(struct ktx *tx, struct kt_tx_list *b)
{
	bool progress = false, patient = true, go_on = true;
	struct kt_tx_list tried;

	kt_tx_list_init(&tried);
	while (b->n && go_on) {
		bool stopped = false;
		bool locked = kt_tx_stretch(tx, b, &tried, 0, patient ? &stopped : NULL);
		bool turned_away = !patient && was_turned_away(&tx->probes[tried.last]);
		u32 left = b->n, pause;

		spin_lock_bh(&tx->lock);
		tx->st.batches += locked;
		pause = kt_tx_settle(tx, b, &tried, true, &progress);
		if (turned_away && b->n == left)
			fail_behind(tx, b);
		spin_unlock_bh(&tx->lock);
		go_on = wait_here(tx, b->n > left, pause, stopped, &patient);
	}
	if (!b->n)
		return;
	spin_lock_bh(&tx->lock);
	give_up(tx, b);
	spin_unlock_bh(&tx->lock);
}

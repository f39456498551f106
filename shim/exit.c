/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exits: recorded in the ledger when they are reaped, told in the order that clients rely on.
 *
 *   event                     what follows
 *   any of them               first the OOM that may have caused it is looked for, and told
 *   exec exits                ledger; told at once, unless its start is still in flight
 *   init exits                ledger; in a shared pid namespace the rest of its cgroup is killed;
 *                             told when every exec's exit has been told and the cgroup is empty,
 *                             10 s later at most
 *   start ends                reply first, then the exit that came meanwhile
 *   exec missing after 10 s   the init's exit is told without it; the exec's follows, marked late
 *
 * Never waits for streams. Subtle: nothing here allocates; room was reserved before the start.
 */
#include "shim/container_life.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "common/log.h"
#include "shim/shim.h"

static uint64_t to_us(struct timeval tv)
{
	return (uint64_t)tv.tv_sec * 1000000u + (uint64_t)tv.tv_usec;
}

static void write_ledger(struct process *p)
{
	struct shim *shim = p->container->shim;
	const struct exit_entry entry = {
		.id = p->container->id,
		.exec_id = p->exec_id,
		.pid = p->pid,
		.known = p->exit.known,
		.status = p->exit.status,
		.signal = p->exit.signal,
		.started_at = p->started_at,
		.exited_at = p->exit.at,
		.utime_us = p->exit.utime_us,
		.stime_us = p->exit.stime_us,
		.maxrss_kb = p->exit.maxrss_kb,
		.oom = p->exit.oom,
	};
	int r = ledger_append(shim->ledger, &entry);

	p->ledger_reserved = false;
	if (r < 0)
		log_error("an exit could not be recorded", F_STR("id", entry.id),
			F_STR("exec", p->exec_id), F_STR("error", strerror(-r)));
}

void process_exited(struct process *p, const struct reaped *r)
{
	p->exit = (struct process_exit){
		.known = true,
		.status = (uint32_t)(r->signaled ? 128 + r->code : r->code),
		.signal = (uint32_t)(r->signaled ? r->code : 0),
		.at = r->at,
		.utime_us = to_us(r->usage.ru_utime),
		.stime_us = to_us(r->usage.ru_stime),
		.maxrss_kb = (uint64_t)r->usage.ru_maxrss,
		.oom = container_oom_look(p->container, p, r),
	};
	p->exited = true;
	p->status = PROCESS_STOPPED;
	write_ledger(p);
	if (p->stdio)
		stdio_exited(p->stdio);
}

static void on_process_exit(const struct reaped *r, void *userdata)
{
	struct process *p = userdata;

	process_exited(p, r);
}

void process_watch(struct process *p)
{
	reaper_watch(p->container->shim->reaper, &p->child, p->pid, on_process_exit, p);
}

static void announce(struct process *p)
{
	struct container *c = p->container;
	const struct event_args args = {
		.kind = EVENT_EXIT,
		.container_id = c->id,
		.exec_id = p->exec_id,
		.pid = p->pid,
		.exit_status = p->exit.status,
		.exited_at = p->exit.at,
		.late = !p->is_init && c->init->announced,
	};

	/* frozen it could not have ended; the runtime's resume is only slow to say so */
	if (p->is_init && operation_is_running(p, OPERATION_RESUME))
		process_publish(p, EVENT_RESUMED);
	p->announced = true;
	p->forward_reserved = false; /* the event uses it up */
	events_add(c->shim->events, &args);
	process_wake(p, &p->exit);
}

static bool is_starting(const struct process *p)
{
	return p->status == PROCESS_CREATING || operation_is_running(p, OPERATION_START) ||
	       operation_is_running(p, OPERATION_CREATE);
}

/* An exec whose exit must be told before the init's. */
static bool is_owed(const struct process *p)
{
	return is_starting(p) || p->status == PROCESS_RUNNING || (p->exited && !p->announced);
}

static size_t n_owed(const struct container *c)
{
	struct list *pos;
	size_t n = 0;

	list_for_each (pos, &c->processes)
		if (is_owed(list_entry(pos, struct process, processes_link)))
			n++;
	return n;
}

/* Whether something of the container may outlive its init, and is ours to kill. */
static bool drain_kills(const struct container *c)
{
	return !c->pids_private && c->cgroup.fd >= 0;
}

static void drain_timeout(evutil_socket_t fd, short what, void *userdata)
{
	struct container *c = userdata;

	(void)fd;
	(void)what;
	log_warn("the init's exit is told before all of its container has ended",
		F_STR("id", c->id), F_INT("execs", (long long)n_owed(c)));
	c->drain_is_over = true;
	container_announce(c);
}

static void drain_begin(struct container *c)
{
	const struct timeval tv = { STOP_GRACE_MS / 1000, 0 };

	c->draining = true;
	c->drain_timer = evtimer_new(c->shim->base, drain_timeout, c);
	if (!c->drain_timer || evtimer_add(c->drain_timer, &tv) < 0)
		c->drain_is_over = true; /* no memory for patience */
}

/* Whether nothing is left that has to go, or be told, before the init's exit is told. */
static bool drain_is_done(struct container *c)
{
	bool rest = drain_kills(c) && cgroup_kill(&c->cgroup) > 0;

	if (!rest && n_owed(c) == 0)
		return true;
	if (!c->draining)
		drain_begin(c);
	return c->drain_is_over;
}

static void drain_end(struct container *c)
{
	c->draining = false;
	if (c->drain_timer)
		event_free(c->drain_timer);
	c->drain_timer = NULL;
}

void container_announce(struct container *c)
{
	struct process *init = c->init;
	bool told = false;
	struct list *pos;

	container_oom_tell(c);
	list_for_each (pos, &c->processes) {
		struct process *p = list_entry(pos, struct process, processes_link);

		if (p->exited && !p->announced && !is_starting(p)) {
			announce(p);
			told = true;
		}
	}
	if (init->exited && !init->announced && !is_starting(init) && drain_is_done(c)) {
		drain_end(c);
		announce(init);
		told = true;
	}
	if (!told)
		return;
	if (init->announced)
		container_save(c);
	else
		container_save_exec(c);
	shim_container_changed(c->shim);
	operations_advance(c);
}

void container_reaped(struct container *c)
{
	if (c->settling)
		undo_settle(c);
	else
		container_announce(c);
}

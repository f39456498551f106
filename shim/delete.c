/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delete: of an exec, which is forgotten, and of the init, with which the container goes. Waits
 * for the last byte of the streams, for a bounded time, and never longer.
 *
 *   status    an exec                    the init
 *   created   forgotten                  killed, its exit told, then as stopped
 *   the same,                            streams drained, unmount, event, folder
 *   awaiting a restore                   removed, reply
 *   running   refused                    refused
 *   stopped   streams drained, event     streams drained, runtime's delete, unmount, event,
 *                                        folder removed, reply
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/limits.h"
#include "common/log.h"
#include "common/runtime_leftover.h"
#include "shim/container_life.h"
#include "shim/mount.h"
#include "shim/runtime_call.h"
#include "shim/shim.h"

static void publish_delete(const struct process *p)
{
	const struct event_args args = {
		.kind = EVENT_DELETE,
		.container_id = p->container->id,
		.exec_id = p->exec_id,
		.pid = p->pid,
		/* an exec that was never started has none */
		.exit_status = p->exit.known ? p->exit.status : 255,
		.exited_at = p->exit.at,
	};

	events_add(p->container->shim->events, &args);
}

static void finish(struct operation *op)
{
	struct process *p = op->process;
	const struct op_result result = { .pid = p->pid, .exit = p->exit };

	publish_delete(p);
	p->status = PROCESS_DELETED;
	operation_finish(op, &ERROR_INIT, &result);
}

static void give_up_streams(struct operation *op);

/* The Delete of an exec, which is waiting for streams; NULL: there is none. */
static struct operation *find_waiting(const struct container *c)
{
	struct list *pos;

	list_for_each (pos, &c->operations) {
		struct operation *op = list_entry(pos, struct operation, operations_link);

		if (op->kind == OPERATION_DELETE && op->running && !op->process->is_init)
			return op;
	}
	return NULL;
}

/* The id is free for another container from here on. */
static void finish_init(struct operation *op)
{
	struct shim *shim = op->container->shim;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct operation *waiting;

	/* the execs go with the container, and who deletes one is answered before that */
	while ((waiting = find_waiting(op->container)))
		give_up_streams(waiting);
	if (state_dir_remove(&shim->dir, &err) != 0)
		log_error("the container's folder is left", F_STR("id", shim->id),
			F_STR("error", error_message(&err)));
	finish(op);
}

static void on_unmounted(const struct error *err, void *userdata)
{
	struct operation *op = userdata;

	if (err->code != CODE_OK) {
		error_set(&op->error, err->code, "%s", error_message(err));
		operation_fail(op, RUNTIME_DELETE);
		return;
	}
	finish_init(op);
}

static void unmount(struct operation *op)
{
	struct container *c = op->container;

	if (!c->rootfs_mounted)
		finish_init(op);
	else if (unmount_begin(c->shim, c->rootfs_mounted, c->rootfs_made, on_unmounted, op,
			 &op->error) != 0)
		operation_fail(op, RUNTIME_DELETE);
}

/*
 * A runc that was killed once may have left a mount below its root: its delete trips over that
 * after it has forgotten the container. Whether that was all there was left to do.
 */
static bool remove_leftover(const struct container *c)
{
	int r = runtime_leftover_remove(&c->runtime, c->id);

	if (r < 0)
		log_error("the runtime's folder of the container is left", F_STR("id", c->id),
			F_STR("error", strerror(-r)));
	return r > 0;
}

static void on_state(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct operation *op = userdata;

	(void)words;
	(void)outcome;
	if (err->code != CODE_NOT_FOUND) {
		operation_fail(op, RUNTIME_DELETE);
		return;
	}
	remove_leftover(op->container);
	unmount(op);
}

static void call(
	struct operation *op, enum runtime_verb verb, uint32_t deadline_ms, runtime_call_done done)
{
	struct container *c = op->container;
	const struct runtime_request request = {
		.verb = verb, .id = c->id, .force = verb == RUNTIME_DELETE && op->is_forced
	};
	_cleanup_error_ struct error err = ERROR_INIT;

	if (runtime_call_begin(
		    c->shim, &c->runtime, &request, NULL, deadline_ms, done, op, NULL, &err) != 0)
		done(&err, NULL, NULL, op);
}

static void on_deleted(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct operation *op = userdata;
	bool was_killed = outcome && WIFSIGNALED(outcome->wait_status);

	if (remove_leftover(op->container) || err->code == CODE_OK ||
		(words && err->code == CODE_NOT_FOUND)) {
		unmount(op);
		return;
	}
	if (words && !op->is_forced && runtime_dead_stays_paused(&op->container->runtime)) {
		op->is_forced = true;
		call(op, RUNTIME_DELETE, 0, on_deleted);
		return;
	}
	error_set(&op->error, err->code, "%s", error_message(err));
	op->words = words ? strdup(words) : NULL;
	/* what was killed may have done its work */
	if (err->code == CODE_DEADLINE_EXCEEDED || was_killed)
		call(op, RUNTIME_STATE, STOP_GRACE_MS, on_state);
	else
		operation_fail(op, RUNTIME_DELETE);
}

/* --- the streams --- */

/* One that was killed while it was paused. */
static void thaw(struct container *c)
{
	int r = cgroup_thaw(&c->cgroup);

	if (r < 0)
		log_warn("a cgroup cannot be thawed", F_STR("id", c->id),
			F_STR("path", c->cgroup.path), F_STR("error", strerror(-r)));
}

static void drained(struct operation *op)
{
	struct process *p = op->process;

	operation_clear_timer(op);
	if (p->is_init && p->pid == 0) {
		unmount(op); /* what the runtime may have under this id is somebody else's */
		return;
	}
	if (p->is_init) {
		thaw(p->container);
		call(op, RUNTIME_DELETE, 0, on_deleted);
		return;
	}
	ledger_forget(p->container->shim->ledger, p->exec_id, p->pid);
	finish(op);
}

static void on_drained(void *userdata)
{
	drained(userdata);
}

static void give_up_streams(struct operation *op)
{
	log_warn("streams are still held after the process ended; they are given up",
		F_STR("id", op->container->id), F_STR("exec", op->process->exec_id));
	stdio_abandon(op->process->stdio);
	drained(op);
}

static void drain_timeout(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	give_up_streams(userdata);
}

static void drain(struct operation *op)
{
	struct process *p = op->process;

	/* or cut off: a Delete before has waited for them, and failed later */
	if (process_is_drained(p)) {
		drained(op);
		return;
	}
	if (operation_set_timer(op, DRAIN_DEADLINE_MS, drain_timeout) < 0) {
		error_set(&op->error, CODE_RESOURCE_EXHAUSTED, "no memory to wait for streams");
		operation_fail(op, RUNTIME_DELETE);
		return;
	}
	stdio_on_drained(p->stdio, on_drained, op);
}

static void run_delete(struct operation *op)
{
	struct process *p = op->process;

	if (process_check(p, PROCESS_DELETE, &op->error) != 0) {
		operation_fail(op, RUNTIME_DELETE);
		return;
	}
	if (p->is_init && p->status == PROCESS_CREATED && p->pid != 0) {
		/* comes back here once the exit has been told: see is_ready() */
		op->killed = true;
		op->running = false;
		p->kill_sent = true;
		pidref_signal(&p->pidref, SIGKILL);
		return;
	}
	drain(op);
}

void process_delete(struct process *p, op_done done, void *userdata)
{
	operation_begin(p->container, OPERATION_DELETE, p, run_delete, done, userdata);
}

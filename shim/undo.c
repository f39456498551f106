/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a runtime that was to make the container has failed: what it may have made is removed, so
 * that nothing is left of it.
 *
 *   it was not asked, or the id was in use    nothing of it is ours: nothing is done
 *   otherwise                                 `state`, once: what is ours, `delete --force`
 *   then                                      strays killed and awaited, what the runtime could
 *                                             not remove, new cgroups
 *
 * Subtle: a runtime may refuse before it has looked at the id, which then may be that of somebody
 * else's container: nothing is deleted by its id alone.
 */
#include "shim/container_life.h"

#include <string.h>

#include "common/limits.h"
#include "common/log.h"
#include "common/pidref.h"
#include "common/runtime_leftover.h"
#include "shim/runtime_call.h"
#include "shim/shim.h"

static void end(struct operation *op)
{
	struct container *c = op->container;
	int r = 0;

	c->settling = NULL;
	if (op->is_asked && !op->is_anothers)
		r = runtime_leftover_remove(&c->runtime, c->id);
	if (r < 0)
		log_error("the runtime's folder of a failed create is left", F_STR("id", c->id),
			F_STR("error", strerror(-r)));
	cgroup_remove_empty(&c->new_cgroups);
	op->undone(op);
}

static void settle_timeout(evutil_socket_t fd, short what, void *userdata)
{
	struct operation *op = userdata;

	(void)fd;
	(void)what;
	log_error("a process of a failed create does not die", F_STR("id", op->container->id));
	end(op);
}

/* Goes on once no child is left that the runtime may have made. */
static void settle(struct operation *op)
{
	struct container *c = op->container;

	c->settling = NULL;
	if (reaper_kill_strays(c->shim->reaper) > 0 &&
		(op->timer || operation_set_timer(op, STOP_GRACE_MS, settle_timeout) == 0)) {
		c->settling = op;
		return;
	}
	operation_clear_timer(op);
	end(op);
}

void undo_settle(struct container *c)
{
	if (c->settling)
		settle(c->settling);
}

static void on_undeleted(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct operation *op = userdata;

	(void)words;
	(void)outcome;
	if (err->code != CODE_OK)
		log_debug("nothing to delete after a failed create",
			F_STR("error", error_message(err)));
	settle(op);
}

static void undo_runtime(struct operation *op)
{
	struct container *c = op->container;
	const struct runtime_request request = {
		.verb = RUNTIME_DELETE, .id = c->id, .force = true
	};
	_cleanup_error_ struct error err = ERROR_INIT;

	if (runtime_call_begin(c->shim, &c->runtime, &request, NULL, STOP_GRACE_MS, on_undeleted,
		    op, NULL, &err) != 0)
		on_undeleted(&err, NULL, NULL, op);
}

static void count(pid_t pid, const struct proc_stat *stat, void *userdata)
{
	(void)pid;
	(void)stat;
	++*(unsigned *)userdata;
}

/* Whether the run has left a process to us: then it got as far as making a container. */
static bool has_strays(const struct container *c)
{
	unsigned n = 0;

	reaper_each_stray(c->shim->reaper, count, &n);
	return n > 0;
}

/*
 * An init that lives is a child of ours since the run has ended. One that has ended is told by the
 * time at which it was made, where that is known.
 */
static bool is_ours(const struct container *c, const struct runtime_state *s)
{
	struct proc_stat stat;

	if (s->pid > 0 && proc_stat_read(s->pid, &stat) == 0)
		return launch_is_child(c->shim, s->pid);
	return !s->created || s->created >= c->created_at;
}

static void on_state(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct operation *op = userdata;
	struct container *c = op->container;
	struct runtime_state state = { 0 };
	bool is_gone = err->code == CODE_NOT_FOUND;

	(void)words;
	/* one that hangs may have answered before */
	if (outcome && runtime_read_state(&c->runtime, &outcome->out, &state, NULL) == 0)
		op->is_anothers = !is_ours(c, &state);
	else if (!is_gone)
		op->is_anothers = !has_strays(c);
	runtime_state_deinit(&state);
	if (op->is_anothers)
		log_warn("what the runtime has is not of the failed create, and is left alone",
			F_STR("id", c->id), F_STR("error", is_gone ? "" : error_message(err)));
	if (op->is_anothers || (is_gone && !op->was_killed))
		settle(op);
	else
		undo_runtime(op);
}

void undo_begin(struct operation *op, void (*undone)(struct operation *op))
{
	struct container *c = op->container;
	const struct runtime_request request = { .verb = RUNTIME_STATE, .id = c->id };
	_cleanup_error_ struct error err = ERROR_INIT;

	op->undone = undone;
	op->is_anothers = op->error.code == CODE_ALREADY_EXISTS;
	if (!op->is_asked || op->is_anothers) {
		settle(op);
		return;
	}
	if (runtime_call_begin(c->shim, &c->runtime, &request, NULL, STOP_GRACE_MS, on_state, op,
		    NULL, &err) != 0)
		on_state(&err, NULL, NULL, op);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Process, with the rules of containerd's client. Decides what a delete refuses; all else is who
 * is asked. Subtle: the pid is told only once the start has been answered, and a start that fails
 * leaves no stream open behind it.
 */
#include "common/cleat.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/client_dead.h"
#include "common/client_private.h"
#include "common/client_wait.h"
#include "common/limits.h"
#include "common/orphan.h"

struct cleat_wait {
	struct client_wait *wait;
};

PUBLIC const char *cleat_process_id(const struct cleat_process *process)
{
	return process->exec_id;
}

PUBLIC uint32_t cleat_process_pid(const struct cleat_process *process)
{
	return atomic_load(&process->pid);
}

PUBLIC struct cleat_io *cleat_process_io(const struct cleat_process *process)
{
	return process->io;
}

/* --- what it is told --- */

static int start(struct cleat_process *p, struct error *err)
{
	struct client_target t;
	uint32_t pid = 0;
	int r = client_task_living(p->task, &t, err);

	if (r != 0)
		return r;
	r = client_call_start(&t, p->exec_id, &pid, err);
	client_target_close(&t);
	if (r == 0)
		atomic_store(&p->pid, pid);
	return r;
}

PUBLIC int cleat_process_start(struct cleat_process *process, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	int r = start(process, &e.error);

	if (r != 0)
		client_io_undo(process->io);
	return r;
}

static int send_kill(struct cleat_process *p, int sig, struct error *err)
{
	struct client_target t;
	int r = client_task_target(p->task, &t, err);

	if (r != 0)
		return r;
	r = client_target_is_orphan(&t) ? client_dead_kill(&t, p->exec_id, sig, false, err)
					: client_call_kill(&t, p->exec_id, sig, false, err);
	client_target_close(&t);
	return r;
}

PUBLIC int cleat_process_kill(struct cleat_process *process, int signal, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	return send_kill(process, signal, &e.error);
}

PUBLIC int cleat_process_resize(
	struct cleat_process *process, uint32_t width, uint32_t height, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct client_target t;
	int r = client_task_living(process->task, &t, &e.error);

	if (r != 0)
		return r;
	r = client_call_resize(&t, process->exec_id, width, height, &e.error);
	client_target_close(&t);
	return r;
}

PUBLIC int cleat_process_close_io(struct cleat_process *process, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct client_target t;
	int r = client_task_living(process->task, &t, &e.error);

	if (r != 0)
		return r;
	r = client_call_close_io(&t, process->exec_id, &e.error);
	client_target_close(&t);
	if (r == 0)
		client_io_close_stdin(process->io);
	return r;
}

/* --- its status --- */

/* As containerd's client says it. */
static const char *word(Containerd__V1__Types__Status status)
{
	switch (status) {
	case CONTAINERD__V1__TYPES__STATUS__CREATED:
		return "created";
	case CONTAINERD__V1__TYPES__STATUS__RUNNING:
		return "running";
	case CONTAINERD__V1__TYPES__STATUS__STOPPED:
		return "stopped";
	case CONTAINERD__V1__TYPES__STATUS__PAUSED:
		return "paused";
	case CONTAINERD__V1__TYPES__STATUS__PAUSING:
		return "pausing";
	default:
		return "unknown";
	}
}

static int look(struct cleat_process *p, struct client_status *ret, struct error *err)
{
	struct client_target t;
	int r = client_task_target(p->task, &t, err);

	if (r != 0)
		return r;
	r = client_target_is_orphan(&t) ? client_dead_status(&t, p->exec_id, ret, err)
					: client_call_state(&t, p->exec_id, ret, err);
	client_target_close(&t);
	return r;
}

PUBLIC int cleat_process_status(
	struct cleat_process *process, struct cleat_status *ret, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct client_status s = { 0 };
	int r = look(process, &s, &e.error);

	if (r == 0)
		*ret = (struct cleat_status){ word(s.status), s.pid, client_public_exit(&s.exit) };
	return r;
}

/* --- delete --- */

/* What is frozen does not die before it is thawed (cgroup v1). */
static void thaw(struct cleat_process *p)
{
	struct client_status s = { 0 };

	if (look(p, &s, NULL) == 0 && (s.status == CONTAINERD__V1__TYPES__STATUS__PAUSED ||
					      s.status == CONTAINERD__V1__TYPES__STATUS__PAUSING))
		cleat_task_resume(p->task, NULL);
}

static bool has_ended(int code)
{
	return code == CODE_NOT_FOUND || code == CODE_FAILED_PRECONDITION;
}

PUBLIC int cleat_delete_kill(struct cleat_process *process, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct client_wait *w;
	struct client_exit exit;
	int r = client_wait_begin(
		&process->task->client->place, process->task->id, process->exec_id, &w, &e.error);

	if (r != 0)
		return r;
	r = send_kill(process, SIGKILL, &e.error);
	if (has_ended(r)) {
		error_clear(&e.error);
		r = 0;
	} else if (r == 0) {
		thaw(process);
		r = client_wait_take(w, STOP_GRACE_MS, &exit, &e.error);
	}
	client_wait_free(w);
	return r;
}

static int delete_orphan(struct cleat_process *p, struct client_target *t, struct client_exit *ret,
	struct error *err)
{
	if (*p->exec_id)
		return error_set(err, CODE_FAILED_PRECONDITION,
			"container %s: is orphaned: exec %s goes with it", t->id, p->exec_id);
	*ret = (struct client_exit){ .known = false };
	client_dead_exit(&t->dir, "", 0, ret);
	return orphan_delete(&t->dir, false, err);
}

/* The init's takes the shim with it. */
static int delete_living(struct cleat_process *p, struct client_target *t, struct client_exit *ret,
	struct error *err)
{
	int r = client_call_delete(t, p->exec_id, ret, err);

	if (r == 0 && !*p->exec_id)
		client_call_shutdown(t);
	return r;
}

static int delete_stopped(struct cleat_process *p, struct client_exit *ret, struct error *err)
{
	struct client_target t;
	int r = client_task_target(p->task, &t, err);

	if (r != 0)
		return r;
	r = client_target_is_orphan(&t) ? delete_orphan(p, &t, ret, err)
					: delete_living(p, &t, ret, err);
	client_target_close(&t);
	return r == 0 ? 0 : client_wrap(err, p->task->id);
}

static int refuse_living(struct cleat_process *p, struct error *err)
{
	struct client_status s = { 0 };
	int r = look(p, &s, err);

	if (r != 0)
		return r;
	switch (s.status) {
	case CONTAINERD__V1__TYPES__STATUS__RUNNING:
	case CONTAINERD__V1__TYPES__STATUS__PAUSED:
	case CONTAINERD__V1__TYPES__STATUS__PAUSING:
		return error_set(err, CODE_FAILED_PRECONDITION,
			"container %s: %s%s%smust be stopped before deletion", p->task->id,
			*p->exec_id ? "exec " : "", p->exec_id, *p->exec_id ? ": " : "");
	default:
		return 0;
	}
}

PUBLIC int cleat_process_delete(struct cleat_process *process, const cleat_delete_option *options,
	struct cleat_exit *ret, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct client_exit exit = { 0 };
	int r;

	for (; options && *options; options++) {
		struct cleat_error failed = CLEAT_ERROR_INIT;

		r = (*options)(process, &failed);
		if (r != 0) {
			error_set(&e.error, (enum code)r, "%s", cleat_error_message(&failed));
			cleat_error_clear(&failed);
			return r;
		}
	}
	r = refuse_living(process, &e.error);
	if (r != 0)
		return r;
	client_io_drain(process->io);
	r = delete_stopped(process, &exit, &e.error);
	if (r == 0 && ret)
		*ret = client_public_exit(&exit);
	return r;
}

/* --- waiting --- */

static int take(
	struct client_wait *w, int64_t timeout_ms, struct cleat_exit *ret, struct error *err)
{
	struct client_exit exit;
	int r = client_wait_take(w, timeout_ms, &exit, err);

	if (r == 0)
		*ret = client_public_exit(&exit);
	return r;
}

static int begin(struct cleat_process *p, struct client_wait **ret, struct error *err)
{
	return client_wait_begin(&p->task->client->place, p->task->id, p->exec_id, ret, err);
}

PUBLIC int cleat_process_wait(struct cleat_process *process, int64_t timeout_ms,
	struct cleat_exit *ret, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct client_wait *w;
	int r = begin(process, &w, &e.error);

	if (r != 0)
		return r;
	r = take(w, timeout_ms, ret, &e.error);
	client_wait_free(w);
	return r;
}

PUBLIC int cleat_wait_begin(
	struct cleat_process *process, struct cleat_wait **ret, struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	struct cleat_wait *wait = calloc(1, sizeof(*wait));
	int r;

	if (!wait)
		return error_set(&e.error, CODE_RESOURCE_EXHAUSTED, "no memory for a wait");
	r = begin(process, &wait->wait, &e.error);
	if (r != 0)
		free(wait);
	else
		*ret = wait;
	return r;
}

PUBLIC int cleat_wait_fd(struct cleat_wait *wait)
{
	int fd = client_wait_fd(wait->wait);

	return fd < 0 ? -1 : fd;
}

PUBLIC int cleat_wait_take(struct cleat_wait *wait, int64_t timeout_ms, struct cleat_exit *ret,
	struct cleat_error *err)
{
	CLIENT_ERROR(e, err);
	return take(wait->wait, timeout_ms, ret, &e.error);
}

PUBLIC void cleat_wait_cancel(struct cleat_wait *wait)
{
	client_wait_stop(wait->wait);
}

PUBLIC void cleat_wait_free(struct cleat_wait *wait)
{
	if (!wait)
		return;
	client_wait_free(wait->wait);
	free(wait);
}

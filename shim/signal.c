/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals, the list of processes, and what else reaches a running process. None of it waits for
 * an operation: Kill works while a start hangs.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "shim/container_life.h"
#include "shim/runtime_call.h"
#include "shim/shim.h"

static const struct op_result nothing;

static int check_signal(uint32_t signal, struct error *err)
{
	if (signal >= 1 && signal < NSIG)
		return 0;
	return error_set(err, CODE_INVALID_ARGUMENT, "%u is not a signal", signal);
}

static int send_signal(const struct pidref *target, uint32_t signal, struct error *err)
{
	int r = pidref_signal(target, (int)signal);

	if (r == -ESRCH)
		return error_set(err, CODE_NOT_FOUND, "process already finished");
	return r < 0 ? error_errno(err, r, "kill") : 0;
}

/* A signal on its way through the runtime; it outlives the process that it is for. */
struct runtime_kill {
	bool is_sent; /* the signal has reached the init already; the runtime does the rest */
	op_done done;
	void *userdata;
};

static bool means_gone(const char *words)
{
	static const char *const phrases[] = { "not running", "does not exist", "already finished",
		"No such process", "no such process" };

	for (size_t i = 0; words && i < sizeof(phrases) / sizeof(*phrases); i++)
		if (strstr(words, phrases[i]))
			return true;
	return false;
}

static void on_killed(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	_cleanup_error_ struct error gone = ERROR_INIT;
	struct runtime_kill *k = userdata;
	const struct op_result result = { .verb = RUNTIME_KILL, .words = words };

	(void)outcome;
	if (err->code != CODE_OK && means_gone(words) && k->is_sent) {
		k->done(&gone, &nothing, k->userdata);
	} else if (err->code != CODE_OK && means_gone(words)) {
		error_set(&gone, CODE_NOT_FOUND, "process already finished");
		k->done(&gone, &nothing, k->userdata);
	} else {
		k->done(err, err->code == CODE_OK ? &nothing : &result, k->userdata);
	}
	free(k);
}

/* what: all, or the one of that inner pid, or neither for the init; or its verb is RESUME. */
static void kill_by_runtime(struct container *c, const struct runtime_request *what,
	uint32_t signal, bool is_sent, op_done done, void *userdata)
{
	const struct runtime_request request = { .verb = what->verb,
		.id = c->id,
		.signal = (int)signal,
		.all = what->all,
		.kill_pid = what->kill_pid };
	_cleanup_error_ struct error err = ERROR_INIT;
	struct runtime_kill *k = malloc(sizeof(*k));

	if (!k) {
		error_set(&err, CODE_RESOURCE_EXHAUSTED, "no memory");
		done(&err, &nothing, userdata);
		return;
	}
	*k = (struct runtime_kill){ is_sent, done, userdata };
	if (runtime_call_begin(c->shim, &c->runtime, &request, NULL, 0, on_killed, k, NULL, &err) !=
		0) {
		done(&err, &nothing, userdata);
		free(k);
	}
}

static bool is_frozen(const struct process *init)
{
	return init->status == PROCESS_PAUSED || init->status == PROCESS_PAUSING;
}

static void kill_init(struct process *p, uint32_t signal, bool all, op_done done, void *userdata)
{
	struct runtime_request what = { .verb = RUNTIME_KILL, .all = all };
	struct container *c = p->container;
	_cleanup_error_ struct error err = ERROR_INIT;

	if (signal != SIGKILL) {
		kill_by_runtime(c, &what, signal, false, done, userdata);
		return;
	}
	p->kill_sent = true;
	if (all && c->cgroup.fd >= 0)
		cgroup_kill(&c->cgroup);
	send_signal(&p->pidref, signal, &err);
	/* a frozen v1 cgroup lets no signal through: the runtime thaws it. Of a sandbox all is dead */
	if (is_frozen(p) && !runtime_kill_thaws(&c->runtime))
		what.verb = RUNTIME_RESUME;
	if (!runtime_is_sandbox(&c->runtime) && (is_frozen(p) || (all && c->cgroup.fd < 0)))
		kill_by_runtime(c, &what, signal, err.code == CODE_OK, done, userdata);
	else
		done(&err, &nothing, userdata);
}

void process_kill(struct process *p, uint32_t signal, bool all, op_done done, void *userdata)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	int r = check_signal(signal, &err);

	if (r == 0)
		r = process_check(p, PROCESS_KILL, &err);
	if (r == 0 && p->pid == 0 && p->is_init)
		r = error_set(&err, CODE_FAILED_PRECONDITION,
			"process not created: the container was not restored");
	else if (r == 0 && p->pid == 0)
		r = error_set(&err, CODE_FAILED_PRECONDITION,
			"process not created: exec %s was not started", p->exec_id);
	if (r == 0 && p->is_init) {
		kill_init(p, signal, all, done, userdata);
		return;
	}
	if (r == 0) {
		p->kill_sent |= signal == SIGKILL;
		/* whom we know outside would die of it, and leave it alive */
		if (p->inner_pid > 0) {
			kill_by_runtime(p->container,
				&(struct runtime_request){
					.verb = RUNTIME_KILL, .kill_pid = p->inner_pid },
				signal, false, done, userdata);
			return;
		}
		send_signal(&p->pidref, signal, &err);
	}
	done(&err, &nothing, userdata);
}

/* Opened while it was listed, and listed still: the pidfd is of a process of the container. */
int container_kill_pid(struct container *c, pid_t pid, uint32_t signal, struct error *err)
{
	_cleanup_(pidref_close) struct pidref ref = PIDREF_INIT;
	struct process *known = container_find_pid(c, pid);
	int r = check_signal(signal, err);

	if (r != 0)
		return r;
	if (known) {
		r = process_check(known, PROCESS_KILL, err);
		known->kill_sent |= r == 0 && signal == SIGKILL;
		return r != 0 ? r : send_signal(&known->pidref, signal, err);
	}
	if (c->cgroup.fd >= 0 && cgroup_has_pid(&c->cgroup, pid) && pidref_open(pid, &ref) == 0 &&
		cgroup_has_pid(&c->cgroup, pid))
		return send_signal(&ref, signal, err);
	return error_set(err, CODE_NOT_FOUND, "process %d is not in the container", pid);
}

int process_resize(struct process *p, uint32_t width, uint32_t height, struct error *err)
{
	int r = process_check(p, PROCESS_RESIZE, err);

	return r != 0 ? r : stdio_resize(p->stdio, width, height, err);
}

int process_close_stdin(struct process *p, struct error *err)
{
	int r = process_check(p, PROCESS_CLOSE_IO, err);

	if (r == 0 && p->stdio)
		stdio_close_stdin(p->stdio);
	return r;
}

/* --- pids --- */

struct pids_query {
	struct runtime rt;
	pids_done done;
	void *userdata;
};

static void on_ps(const struct error *err, const char *words, const struct runtime_outcome *outcome,
	void *userdata)
{
	struct pids_query *q = userdata;
	_cleanup_error_ struct error bad = ERROR_INIT;
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;

	(void)words;
	if (err->code != CODE_OK)
		q->done(err, NULL, 0, q->userdata);
	else {
		runtime_read_pids(&q->rt, &outcome->out, &pids, &n, &bad);
		q->done(&bad, pids, n, q->userdata);
	}
	runtime_deinit(&q->rt);
	free(q);
}

static void pids_by_runtime(struct container *c, pids_done done, void *userdata)
{
	const struct runtime_request request = { .verb = RUNTIME_PS, .id = c->id };
	_cleanup_error_ struct error err = ERROR_INIT;
	struct pids_query *q = calloc(1, sizeof(*q));
	int r = q ? runtime_copy(&q->rt, &c->runtime) : -ENOMEM;

	if (r < 0)
		error_errno(&err, r, "ps");
	else {
		q->done = done;
		q->userdata = userdata;
		r = runtime_call_begin(
			c->shim, &c->runtime, &request, NULL, 0, on_ps, q, NULL, &err);
	}
	if (r != 0) {
		done(&err, NULL, 0, userdata);
		if (q)
			runtime_deinit(&q->rt);
		free(q);
	}
}

/* In a sandbox nobody else has a pid that would mean something here: what its ps tells are its own. */
static void known_pids(struct container *c, pids_done done, void *userdata)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0, room = 1;
	struct list *pos;

	list_for_each (pos, &c->processes)
		room++;
	pids = calloc(room, sizeof(*pids));
	if (!pids) {
		error_set(&err, CODE_RESOURCE_EXHAUSTED, "no memory for the pids");
		done(&err, NULL, 0, userdata);
		return;
	}
	if (!c->init->exited)
		pids[n++] = c->init->pid;
	list_for_each (pos, &c->processes) {
		const struct process *p = list_entry(pos, struct process, processes_link);

		if (p->pid > 0 && !p->exited)
			pids[n++] = p->pid;
	}
	done(&err, pids, n, userdata);
}

void container_pids(struct container *c, pids_done done, void *userdata)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_free_ pid_t *pids = NULL;
	size_t n = 0;
	int r;

	if ((c->init->exited && c->init->announced) || container_awaits_restore(c)) {
		done(&err, NULL, 0, userdata);
		return;
	}
	if (runtime_is_sandbox(&c->runtime)) {
		known_pids(c, done, userdata);
		return;
	}
	if (c->cgroup.fd < 0) {
		pids_by_runtime(c, done, userdata);
		return;
	}
	r = cgroup_pids(&c->cgroup, &pids, &n);
	if (r < 0)
		error_errno(&err, r, "processes of container %s", c->id);
	done(&err, pids, n, userdata);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting the init, adding and starting execs, pausing and resuming. The order that clients rely
 * on: event, then reply, then the exit that may have come meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/cleanup.h"
#include "common/ids.h"
#include "common/json.h"
#include "common/limits.h"
#include "common/log.h"
#include "shim/container_life.h"
#include "shim/loop_slots.h"
#include "shim/runtime_call.h"
#include "shim/shim.h"

void process_publish(const struct process *p, enum event_kind kind)
{
	const struct event_args args = {
		.kind = kind,
		.container_id = p->container->id,
		.exec_id = p->exec_id,
		.pid = p->pid,
	};

	events_add(p->container->shim->events, &args);
}

/* Ends an operation, then tells the exits that had to wait for its reply. */
static void finish_and_announce(
	struct operation *op, const struct error *err, const struct op_result *result)
{
	struct container *c = op->container;
	struct shim *shim = c->shim;

	operation_finish(op, err, result);
	if (container_is_current(shim, c))
		container_announce(c);
}

static void fail_and_announce(struct operation *op, enum runtime_verb verb)
{
	struct container *c = op->container;
	struct shim *shim = c->shim;

	operation_fail(op, verb);
	if (container_is_current(shim, c))
		container_announce(c);
}

/* Keeps a runtime's failure in the operation. */
static void keep_failure(struct operation *op, const struct error *err, const char *words)
{
	error_set(&op->error, err->code, "%s", error_message(err));
	op->words = words ? strdup(words) : NULL;
}

/* --- what a runtime that was killed, at its deadline or by somebody else, has done --- */

static void adopt(struct process *init, enum process_status status, enum event_kind kind)
{
	if (status == init->status)
		return;
	if (init->status == PROCESS_CREATED)
		init->started_at = clock_now();
	init->status = status;
	process_publish(init, kind);
}

static void adopt_status(struct process *init, const char *status)
{
	bool was_created = init->status == PROCESS_CREATED;

	if (init->exited)
		return;
	if (strcmp(status, "paused") == 0)
		adopt(init, PROCESS_PAUSED, EVENT_PAUSED);
	else if (strcmp(status, "running") == 0)
		adopt(init, PROCESS_RUNNING, was_created ? EVENT_START : EVENT_RESUMED);
}

/* The call that an operation has failed with: what the state was asked after. */
static enum runtime_verb verb_of(const struct operation *op)
{
	switch (op->kind) {
	case OPERATION_PAUSE:
		return RUNTIME_PAUSE;
	case OPERATION_RESUME:
		return RUNTIME_RESUME;
	default:
		return RUNTIME_START;
	}
}

static void on_state(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct operation *op = userdata;
	struct runtime_state state = { 0 };

	(void)words;
	if (err->code == CODE_OK &&
		runtime_read_state(&op->container->runtime, &outcome->out, &state, NULL) == 0)
		adopt_status(op->container->init, state.status);
	runtime_state_deinit(&state);
	container_save(op->container);
	fail_and_announce(op, verb_of(op));
}

/* Asks once; however that ends, the operation fails with what it has. */
static void ask_state(struct operation *op)
{
	struct container *c = op->container;
	const struct runtime_request request = { .verb = RUNTIME_STATE, .id = c->id };
	_cleanup_error_ struct error err = ERROR_INIT;

	if (runtime_call_begin(c->shim, &c->runtime, &request, NULL, STOP_GRACE_MS, on_state, op,
		    NULL, &err) != 0)
		fail_and_announce(op, verb_of(op));
}

static void call_failed(struct operation *op, const struct error *err, const char *words,
	const struct runtime_outcome *outcome)
{
	keep_failure(op, err, words);
	if (err->code == CODE_DEADLINE_EXCEEDED || WIFSIGNALED(outcome->wait_status))
		ask_state(op);
	else
		fail_and_announce(op, verb_of(op));
}

/* --- the init --- */

static void on_started(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct operation *op = userdata;
	struct process *p = op->process;
	const struct op_result result = { .pid = p->pid };

	if (err->code != CODE_OK) {
		call_failed(op, err, words, outcome);
		return;
	}
	p->started_at = clock_now();
	if (!p->exited)
		p->status = PROCESS_RUNNING;
	container_save(p->container);
	process_publish(p, EVENT_START);
	finish_and_announce(op, &ERROR_INIT, &result);
}

static void run_start_init(struct operation *op)
{
	struct container *c = op->container;
	const struct runtime_request request = { .verb = RUNTIME_START, .id = c->id };

	if (process_check(op->process, PROCESS_START, &op->error) != 0 ||
		runtime_call_begin(c->shim, &c->runtime, &request, NULL, 0, on_started, op, NULL,
			&op->error) != 0)
		fail_and_announce(op, RUNTIME_START);
}

/* --- execs --- */

/* One of 2017 whose start failed was never told of: it goes, for nobody could name it to delete it. */
static void fail_exec(struct operation *op)
{
	struct process *p = op->process;

	if (p->named_by_pid && p->status == PROCESS_CREATED)
		p->status = PROCESS_DELETED;
	fail_and_announce(op, RUNTIME_EXEC);
}

static void on_exec_launched(struct operation *op, bool ok)
{
	struct process *p = op->process;
	const struct op_result result = { .pid = p->pid };

	if (!ok) {
		p->start_failed = true;
		fail_exec(op);
		return;
	}
	if (p->named_by_pid)
		process_publish(p, EVENT_EXEC_ADDED);
	container_save(p->container);
	process_publish(p, EVENT_EXEC_STARTED);
	finish_and_announce(op, &ERROR_INIT, &result);
}

static void run_start_exec(struct operation *op)
{
	struct process *p = op->process;
	int r = process_check(p, PROCESS_START, &op->error);

	if (r == 0)
		r = process_check(op->container->init, PROCESS_EXEC, &op->error);
	if (r == 0 && p->start_failed)
		r = error_set(&op->error, CODE_FAILED_PRECONDITION,
			"exec %s could not be started before; delete it", p->exec_id);
	if (r != 0)
		fail_exec(op);
	else
		launch_begin(op, RUNTIME_EXEC, on_exec_launched);
}

void process_start(struct process *p, op_done done, void *userdata)
{
	void (*run)(struct operation * op) = run_start_exec;

	if (p->is_init)
		run = p->container->restore ? restore_run : run_start_init;
	operation_begin(p->container, OPERATION_START, p, run, done, userdata);
}

static int check_exec(struct container *c, const struct exec_params *params, struct error *err)
{
	int r = params->exec_id ? id_check(params->exec_id, "exec id", err) : 0;

	if (r != 0)
		return r;
	/* also while no exec may be added: who asks again after a lost answer learns that it is there */
	if (params->exec_id && container_find(c, params->exec_id))
		return error_set(
			err, CODE_ALREADY_EXISTS, "exec %s already exists", params->exec_id);
	r = process_check(c->init, PROCESS_EXEC, err);
	if (r == 0 && container_awaits_restore(c))
		r = error_set(err, CODE_FAILED_PRECONDITION, "cannot exec in a created state");
	if (r != 0)
		return r;
	if (c->n_processes >= LIMIT_PROCESSES)
		return error_set(err, CODE_RESOURCE_EXHAUSTED,
			"container %s has %u processes, the most that are kept", c->id,
			LIMIT_PROCESSES);
	return 0;
}

static int fill_exec(struct process *p, const struct exec_params *params, struct error *err)
{
	struct stdio_spec spec = {
		.terminal = params->terminal,
		.fds = params->fds,
		.n_fds = params->n_fds,
		.loggers = p->container->shim->loggers,
		.logs = p->container->shim->logs,
		/* a 2017 exec has none that anybody knows before it runs */
		.id = p->named_by_pid ? p->container->id : p->exec_id,
	};
	int r = process_spec_parse(params->spec, params->n_spec, &p->spec, err);

	if (r != 0)
		return r;
	p->terminal = params->terminal;
	json_object_set_new(p->spec, "terminal", json_boolean(p->terminal));
	p->stdin_uri = strdup(params->stdin_uri ? params->stdin_uri : "");
	p->stdout_uri = strdup(params->stdout_uri ? params->stdout_uri : "");
	p->stderr_uri = strdup(params->stderr_uri ? params->stderr_uri : "");
	if (!p->stdin_uri || !p->stdout_uri || !p->stderr_uri)
		return error_set(err, CODE_RESOURCE_EXHAUSTED, "no memory");
	spec.in = p->stdin_uri;
	spec.out = p->stdout_uri;
	spec.err = p->stderr_uri;
	loop_slots_ahead(p->container->shim->base, &p->container->shim->n_slots);
	return stdio_open(p->container->shim->base, &spec, &p->stdio, err);
}

int container_exec(struct container *c, const struct exec_params *params, struct process **ret,
	struct error *err)
{
	struct process *p = NULL;
	char random[17] = "";
	int r = check_exec(c, params, err);

	if (r != 0)
		return r;
	r = random_hex(random, 8);
	if (r == 0)
		r = process_new(c, params->exec_id ? params->exec_id : random, &p);
	if (r < 0)
		return error_errno(err, r, "exec");
	p->status = PROCESS_CREATED;
	p->named_by_pid = !params->exec_id;
	r = fill_exec(p, params, err);
	if (r != 0) {
		process_free(p);
		return r;
	}
	list_append(&c->processes, &p->processes_link);
	c->n_processes++;
	container_save_exec(c);
	if (!p->named_by_pid)
		process_publish(p, EVENT_EXEC_ADDED);
	*ret = p;
	return 0;
}

/* --- pause and resume --- */

/*
 * The runtime has done it. What has ended meanwhile is not told to be paused; that it was resumed is
 * told before its exit, if need be by what tells the exit (exit.c).
 */
static void change_status(struct operation *op, enum process_status status, enum event_kind kind)
{
	struct process *p = op->process;

	if (!p->exited) {
		p->status = status;
		container_save(p->container);
	}
	if (!p->exited || (kind == EVENT_RESUMED && !p->announced))
		process_publish(p, kind);
	finish_and_announce(op, &ERROR_INIT, NULL);
}

static void on_paused(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct operation *op = userdata;
	struct process *p = op->process;

	if (err->code != CODE_OK) {
		if (p->status == PROCESS_PAUSING)
			p->status = PROCESS_RUNNING;
		call_failed(op, err, words, outcome);
		return;
	}
	change_status(op, PROCESS_PAUSED, EVENT_PAUSED);
}

static void run_pause(struct operation *op)
{
	struct container *c = op->container;
	const struct runtime_request request = { .verb = RUNTIME_PAUSE, .id = c->id };

	if (process_check(op->process, PROCESS_PAUSE, &op->error) != 0 ||
		runtime_call_begin(c->shim, &c->runtime, &request, NULL, 0, on_paused, op, NULL,
			&op->error) != 0) {
		fail_and_announce(op, RUNTIME_PAUSE);
		return;
	}
	op->process->status = PROCESS_PAUSING;
	container_save(c);
}

static void on_resumed(const struct error *err, const char *words,
	const struct runtime_outcome *outcome, void *userdata)
{
	struct operation *op = userdata;

	if (err->code != CODE_OK)
		call_failed(op, err, words, outcome);
	else
		change_status(op, PROCESS_RUNNING, EVENT_RESUMED);
}

static void run_resume(struct operation *op)
{
	struct container *c = op->container;
	const struct runtime_request request = { .verb = RUNTIME_RESUME, .id = c->id };

	if (process_check(op->process, PROCESS_RESUME, &op->error) != 0 ||
		runtime_call_begin(c->shim, &c->runtime, &request, NULL, 0, on_resumed, op, NULL,
			&op->error) != 0)
		fail_and_announce(op, RUNTIME_RESUME);
}

void container_pause(struct container *c, op_done done, void *userdata)
{
	operation_begin(c, OPERATION_PAUSE, c->init, run_pause, done, userdata);
}

void container_resume(struct container *c, op_done done, void *userdata)
{
	operation_begin(c, OPERATION_RESUME, c->init, run_resume, done, userdata);
}

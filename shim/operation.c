/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queues of design, section 4, as one list and one question: do these two conflict? Never
 * knows what an operation does. Subtle: a callback may free the container, so nothing is touched
 * after operation_finish() but through the list.
 */
#include "shim/operation.h"

#include <errno.h>
#include <stdlib.h>

#include "shim/container_life.h"

/* Create, Pause, Resume, Update, Checkpoint and the init's Delete follow each other. */
static bool is_container_wide(const struct operation *op)
{
	return op->kind != OPERATION_START && op->process->is_init;
}

static bool operations_conflict(const struct operation *a, const struct operation *b)
{
	if (is_container_wide(a) && is_container_wide(b))
		return true;
	if (a->process == b->process)
		return a->kind <= OPERATION_DELETE && b->kind <= OPERATION_DELETE;
	/* the init's Delete waits for the starts of execs, and they for it */
	if (a->kind == OPERATION_DELETE && a->process->is_init)
		return b->kind == OPERATION_START;
	if (b->kind == OPERATION_DELETE && b->process->is_init)
		return a->kind == OPERATION_START;
	return false;
}

/* A Delete of what has ended waits until that has been told. */
static bool is_ready(const struct operation *op)
{
	const struct process *p = op->process;

	if (op->kind != OPERATION_DELETE)
		return true;
	if (op->killed)
		return p->announced;
	return !p->exited || p->announced;
}

static bool may_run(const struct operation *op)
{
	struct list *pos;

	if (op->running || !is_ready(op))
		return false;
	for (pos = op->container->operations.next; pos != &op->operations_link; pos = pos->next)
		if (operations_conflict(list_entry(pos, struct operation, operations_link), op))
			return false;
	return true;
}

static struct operation *find_runnable(struct container *c)
{
	struct list *pos;

	list_for_each (pos, &c->operations) {
		struct operation *op = list_entry(pos, struct operation, operations_link);

		if (may_run(op))
			return op;
	}
	return NULL;
}

void operations_advance(struct container *c)
{
	struct shim *shim = c->shim;
	struct operation *op;

	/* running one may end it at once, and with it the container */
	while (container_is_current(shim, c) && (op = find_runnable(c))) {
		op->running = true;
		op->run(op);
	}
}

void operation_begin(struct container *c, enum operation_kind kind, struct process *p,
	void (*run)(struct operation *op), op_done done, void *userdata)
{
	struct operation *op = calloc(1, sizeof(*op));

	if (!op) {
		struct error err = { CODE_RESOURCE_EXHAUSTED, NULL };

		done(&err, NULL, userdata);
		if (p->status == PROCESS_CREATING)
			container_free(c);
		return;
	}
	op->kind = kind;
	op->container = c;
	op->process = p;
	op->run = run;
	op->done = done;
	op->userdata = userdata;
	list_append(&c->operations, &op->operations_link);
	operations_advance(c);
}

static void operation_free(struct operation *op)
{
	list_unlink(&op->operations_link);
	error_clear(&op->error);
	free(op->words);
	operation_clear_timer(op);
	free(op);
}

void operation_finish(struct operation *op, const struct error *err, const struct op_result *result)
{
	static const struct op_result nothing = { 0 };
	struct container *c = op->container;
	struct process *p = op->process;

	op->done(err, result ? result : &nothing, op->userdata);
	operation_free(op);
	if (p->status == PROCESS_DELETED && p->is_init) {
		container_free(c);
		return;
	}
	if (p->status == PROCESS_DELETED) {
		operations_cancel(c, p);
		container_drop_exec(c, p);
	}
	operations_advance(c);
}

void operation_fail(struct operation *op, enum runtime_verb verb)
{
	struct op_result result = { .verb = verb, .words = op->words };

	operation_finish(op, &op->error, &result);
}

bool operation_is_running(const struct process *p, enum operation_kind kind)
{
	struct list *pos;

	list_for_each (pos, &p->container->operations) {
		struct operation *op = list_entry(pos, struct operation, operations_link);

		if (op->process == p && op->kind == kind && op->running)
			return true;
	}
	return false;
}

void operations_cancel(struct container *c, const struct process *p)
{
	static const struct op_result nothing = { 0 };
	struct list *pos, *tmp;

	list_for_each_safe (pos, tmp, &c->operations) {
		struct operation *op = list_entry(pos, struct operation, operations_link);
		_cleanup_error_ struct error err = ERROR_INIT;

		if (p && op->process != p)
			continue;
		error_set(&err, CODE_NOT_FOUND, "process does not exist");
		op->done(&err, &nothing, op->userdata);
		operation_free(op);
	}
}

int operation_set_timer(struct operation *op, uint32_t ms, event_callback_fn fn)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	operation_clear_timer(op);
	op->timer = evtimer_new(container_base(op->container), fn, op);
	if (op->timer && evtimer_add(op->timer, &tv) == 0)
		return 0;
	operation_clear_timer(op);
	return -ENOMEM;
}

void operation_clear_timer(struct operation *op)
{
	if (op->timer)
		event_free(op->timer);
	op->timer = NULL;
}

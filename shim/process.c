/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process's record, its state table and its waiters. Never runs or signals anything. Subtle:
 * what is told of an exit (record, event) was allocated before the start; telling cannot fail.
 */
#include "shim/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define OK CODE_OK
#define FP CODE_FAILED_PRECONDITION
#define NF CODE_NOT_FOUND

/* Every pair answered. A process that is still being created is not there for anybody. */
static const uint8_t table[_PROCESS_STATUS_MAX][_PROCESS_EVENT_MAX] = {
	/*                    START KILL DELETE PAUSE RESUME EXEC RESIZE CLOSE_IO WAIT UPDATE
	 * CHECKPOINT */
	[PROCESS_CREATING] = { NF, NF, NF, NF, NF, NF, NF, NF, NF, NF, NF },
	[PROCESS_CREATED] = { OK, OK, OK, FP, FP, OK, OK, OK, OK, OK, FP },
	[PROCESS_RUNNING] = { FP, OK, FP, OK, FP, OK, OK, OK, OK, OK, OK },
	[PROCESS_PAUSING] = { FP, OK, FP, FP, FP, FP, OK, OK, OK, OK, FP },
	[PROCESS_PAUSED] = { FP, OK, FP, FP, OK, FP, OK, OK, OK, OK, OK },
	[PROCESS_STOPPED] = { FP, NF, OK, FP, FP, FP, FP, OK, OK, FP, FP },
	[PROCESS_DELETED] = { NF, NF, NF, NF, NF, NF, NF, NF, NF, NF, NF },
};
_Static_assert(_PROCESS_EVENT_MAX == 11, "a column for every event");

static const char *const event_words[_PROCESS_EVENT_MAX] = {
	[PROCESS_START] = "start",
	[PROCESS_KILL] = "kill",
	[PROCESS_DELETE] = "delete",
	[PROCESS_PAUSE] = "pause",
	[PROCESS_RESUME] = "resume",
	[PROCESS_EXEC] = "exec",
	[PROCESS_RESIZE] = "resize",
	[PROCESS_CLOSE_IO] = "close the stdin of",
	[PROCESS_WAIT] = "wait for",
	[PROCESS_UPDATE] = "update",
	[PROCESS_CHECKPOINT] = "checkpoint",
};

static const char *const status_words[_PROCESS_STATUS_MAX] = {
	[PROCESS_CREATING] = "unknown",
	[PROCESS_CREATED] = "created",
	[PROCESS_RUNNING] = "running",
	[PROCESS_PAUSING] = "pausing",
	[PROCESS_PAUSED] = "paused",
	[PROCESS_STOPPED] = "stopped",
	[PROCESS_DELETED] = "deleted",
};

const char *process_status_word(enum process_status status)
{
	return status_words[status];
}

static bool is_of_container(enum process_event event)
{
	return event == PROCESS_PAUSE || event == PROCESS_RESUME || event == PROCESS_UPDATE ||
	       event == PROCESS_CHECKPOINT;
}

int process_check(const struct process *p, enum process_event event, struct error *err)
{
	int code = table[p->status][event];
	const char *status = status_words[p->status];

	if (code == OK)
		return 0;
	if (code == NF && p->status == PROCESS_STOPPED)
		return error_set(err, NF, "process already finished");
	if (code == NF)
		return error_set(err, NF, "process does not exist");
	if (event == PROCESS_EXEC)
		return error_set(err, FP, "cannot exec in a %s container", status);
	if (event == PROCESS_CHECKPOINT && p->status == PROCESS_CREATED)
		return error_set(err, code, "cannot checkpoint a task in created state");
	return error_set(err, code, "cannot %s a %s %s", event_words[event], status,
		is_of_container(event) ? "container" : "process");
}

int process_new(struct container *container, const char *exec_id, struct process **ret)
{
	struct process *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	list_init(&p->processes_link);
	list_init(&p->waiters);
	p->container = container;
	p->pidref = PIDREF_INIT;
	p->is_init = *exec_id == '\0';
	p->exec_id = strdup(exec_id);
	if (!p->exec_id) {
		process_free(p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

void process_free(struct process *p)
{
	if (!p)
		return;
	process_wake(p, p->exited ? &p->exit : NULL);
	list_unlink(&p->processes_link);
	pidref_close(&p->pidref);
	console_free(p->console);
	stdio_free(p->stdio);
	json_decref(p->spec);
	free(p->exec_id);
	free(p->stdin_uri);
	free(p->stdout_uri);
	free(p->stderr_uri);
	free(p);
}

bool process_is_drained(const struct process *p)
{
	return p->pid == 0 || !p->stdio || stdio_is_cut_off(p->stdio) || stdio_is_drained(p->stdio);
}

void process_wait(struct process *p, struct waiter *waiter,
	void (*on_exit)(const struct process_exit *exit, void *userdata), void *userdata)
{
	waiter->on_exit = on_exit;
	waiter->userdata = userdata;
	list_init(&waiter->waiters_link);
	if (p->announced)
		on_exit(&p->exit, userdata);
	else
		list_append(&p->waiters, &waiter->waiters_link);
}

void process_wake(struct process *p, const struct process_exit *exit)
{
	while (!list_is_empty(&p->waiters)) {
		struct waiter *w = list_first(&p->waiters, struct waiter, waiters_link);

		list_unlink(&w->waiters_link);
		w->on_exit(exit, w->userdata);
	}
}

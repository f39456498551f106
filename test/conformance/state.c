/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that lead to a state, each with the number of events that it makes. Subtle: a state is
 * there once its events are: a shim may forward them after its answer.
 */
#include "test/conformance/state.h"

#include <string.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "test/conformance/ask.h"
#include "test/conformance/launch.h"

static const char *const names[_STATE_MAX] = {
	[STATE_CREATED] = "created",
	[STATE_RUNNING] = "running",
	[STATE_PAUSED] = "paused",
	[STATE_STOPPED] = "stopped",
	[STATE_DELETED] = "deleted",
	[STATE_UNKNOWN] = "unknown",
};

const char *state_name(enum state state)
{
	return names[state];
}

/* Calls on the way; PAUSE is of the container, whoever the cell is about. */
static const enum task_call steps[_STATE_MAX][4] = {
	[STATE_CREATED] = { _CALL_MAX },
	[STATE_RUNNING] = { CALL_START, _CALL_MAX },
	[STATE_PAUSED] = { CALL_START, CALL_PAUSE, _CALL_MAX },
	[STATE_STOPPED] = { CALL_START, CALL_KILL, CALL_WAIT, _CALL_MAX },
	[STATE_DELETED] = { CALL_START, CALL_KILL, CALL_WAIT, CALL_DELETE },
	[STATE_UNKNOWN] = { _CALL_MAX },
};

static size_t n_events(const struct box *box, enum task_call call, enum who who)
{
	if (call == CALL_DELETE && who == EXEC)
		return launch_tells_exec_delete(box->conform);
	return call != CALL_WAIT;
}

static char *take_step(struct box *box, enum task_call call, enum who who, size_t *n)
{
	_cleanup_answer_ struct answer a = { 0 };

	*n += n_events(box, call, who);
	if (ask(box, &(struct ask){ .call = call, .who = who }, &a) == 0)
		return NULL;
	return format("%s: %s %s", call_name(call), code_name(a.code), a.words);
}

static char *enter_own(struct box *box, enum state state, enum who who, size_t *n)
{
	char *fault = NULL;

	if (state != STATE_UNKNOWN)
		fault = take_step(box, who == INIT ? CALL_CREATE : CALL_EXEC, who, n);
	for (size_t i = 0; !fault && i < 4 && steps[state][i] != _CALL_MAX; i++)
		fault = take_step(box, steps[state][i], who, n);
	return fault;
}

char *state_enter(struct box *box, enum state state, enum who who)
{
	size_t n = 0;
	char *fault = NULL;

	if (who == EXEC)
		fault = enter_own(box, STATE_RUNNING, INIT, &n);
	if (!fault)
		fault = enter_own(box, state, who, &n);
	if (!fault && !box_expect_events(box, n))
		fault = format("the events of the state did not come");
	return fault;
}

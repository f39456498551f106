/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's calls about execs. An answer is held against what was known before the call and after
 * it. Subtle: a flag of what is tried is set before the call, of what was done after it.
 */
#include "test/soak/client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/clock.h"

/* --- what an answer may be --- */

/* Whether it was refused because the container is paused, or being so, or had been until now. */
static bool is_state(const struct error *err)
{
	return err->code == CODE_FAILED_PRECONDITION;
}

/* Whether there may have been no such exec: before are its flags from before the call. */
static bool may_lack(
	const struct client *c, uint32_t exec, uint32_t before, const struct error *err)
{
	return err->code == CODE_NOT_FOUND &&
	       (!(before & EXEC_ADDED) || c->life->execs[exec] & EXEC_DELETE_TRIED);
}

static void check_status(struct client *c, uint32_t exec, const char *what, uint32_t status)
{
	c->churn->n_checked++;
	if (!churn_may_end(c->life, exec, status))
		churn_fail(c->churn, "%s e%u: %s tells %u, not %u", c->life->id, exec, what, status,
			churn_exec_fate(exec).status);
}

/* --- execs --- */

struct name {
	char text[16];
};

static struct name exec_name(uint32_t exec)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), "e%u", exec);
	return name;
}

/* The next one from there that is not gone, as far as that is known. */
static uint32_t next_there(const struct life *life, uint32_t from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t exec = (from + i) % n;

		if (!(life->execs[exec] & EXEC_DELETED))
			return exec;
	}
	return from;
}

bool client_choose_exec(struct client *c, uint32_t *ret)
{
	const uint32_t given = c->life->n_execs, n = given < CHURN_EXECS ? given : CHURN_EXECS;
	const uint32_t span = client_below(c, 2) && n > 24 ? 24 : n;

	if (n == 0)
		return false;
	*ret = n - 1 - client_below(c, span);
	/* of what is gone a look now and then is enough; what nobody takes away would be ever more */
	if (client_below(c, 16))
		*ret = next_there(c->life, *ret, n);
	return true;
}

static const char *exec_spec(uint32_t exec)
{
	char args[64];

	switch (churn_exec_fate(exec).way) {
	case FATE_EXITS:
		snprintf(args, sizeof(args), "[\"/bin/tool\",\"exit\",\"%u\"]",
			churn_exec_fate(exec).status);
		return bed_spec(args, false);
	case FATE_CLOSED:
		return bed_spec("[\"/bin/tool\",\"cat\"]", false);
	default:
		return bed_spec(
			"[\"/bin/tool\",\"pause\"]", churn_exec_fate(exec).way == FATE_HUNG_UP);
	}
}

void client_add_exec(struct client *c)
{
	Containerd__Task__V2__ExecProcessRequest r =
		CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	const uint32_t exec = c->life->n_execs >= CHURN_EXECS ? CHURN_EXECS : c->life->n_execs++;
	_cleanup_error_ struct error err = ERROR_INIT;
	_cleanup_free_ char *fifo = NULL;
	struct name name = exec_name(exec);

	if (exec >= CHURN_EXECS)
		return;
	any.type_url = (char *)"types.containerd.io/opencontainers/runtime-spec/1/Process";
	any.value.data = (uint8_t *)exec_spec(exec);
	any.value.len = strlen((char *)any.value.data);
	r.id = c->life->id;
	r.exec_id = name.text;
	r.terminal = churn_exec_fate(exec).way == FATE_HUNG_UP;
	r.spec = &any;
	if (churn_exec_fate(exec).way == FATE_CLOSED) {
		fifo = bed_format("%s/%s-%s", c->churn->bed->dir, c->life->id, name.text);
		if (mkfifo(fifo, 0600) < 0)
			churn_fail(c->churn, "%s: %m", fifo);
		r.stdin = fifo;
	}
	c->life->execs[exec] |= EXEC_ADD_TRIED;
	if (churn_call(c->churn, c->link->client, client_task(c), "Exec", &r, EMPTY, NULL,
		    CHURN_CALL_MS, &err) == 0)
		c->life->execs[exec] |= EXEC_ADDED;
	else
		client_refused(c, is_state(&err), "Exec", name.text, &err);
}

void client_start_exec(struct client *c, uint32_t exec)
{
	Containerd__Task__V2__StartRequest r = CONTAINERD__TASK__V2__START_REQUEST__INIT;
	Containerd__Task__V2__StartResponse *ok = NULL;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct name name = exec_name(exec);
	uint32_t before = c->life->execs[exec];

	r.id = c->life->id;
	r.exec_id = name.text;
	before |= atomic_fetch_or(&c->life->execs[exec], EXEC_START_TRIED);
	if (churn_call(c->churn, c->link->client, client_task(c), "Start", &r,
		    &containerd__task__v2__start_response__descriptor, &ok, CHURN_CALL_MS,
		    &err) == 0) {
		c->life->execs[exec] |= EXEC_STARTED;
		if (before & (EXEC_STARTED | EXEC_DELETED))
			churn_fail(c->churn, "%s %s: started twice", c->life->id, name.text);
		bed_free(ok);
	} else if (strstr(error_message(&err), "paused")) {
		/* runc has looked: it is not started again */
		c->life->execs[exec] |= EXEC_START_FAILED;
		client_refused(c, true, "Start", name.text, &err);
	} else {
		client_refused(c, is_state(&err) || may_lack(c, exec, before, &err), "Start",
			name.text, &err);
	}
}

void client_delete_exec(struct client *c, uint32_t exec)
{
	Containerd__Task__V2__DeleteRequest r = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;
	Containerd__Task__V2__DeleteResponse *ok = NULL;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct name name = exec_name(exec);
	uint32_t flags = atomic_fetch_or(&c->life->execs[exec], EXEC_DELETE_TRIED);

	r.id = c->life->id;
	r.exec_id = name.text;
	if (churn_call(c->churn, c->link->client, client_task(c), "Delete", &r,
		    &containerd__task__v2__delete_response__descriptor, &ok, CHURN_CALL_MS,
		    &err) == 0) {
		c->life->execs[exec] |= EXEC_DELETED;
		if (flags & EXEC_STARTED)
			check_status(c, exec, "Delete", ok->exit_status);
		bed_free(ok);
	} else {
		client_refused(c, is_state(&err) || may_lack(c, exec, flags, &err), "Delete",
			name.text, &err);
	}
}

void client_wait_for(struct client *c, uint32_t exec)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	const uint32_t before = c->life->execs[exec];
	struct name name = exec_name(exec);
	uint32_t status;
	int r = churn_wait(c->churn, c->link->client, c->life, name.text, 1 + client_below(c, 200),
		&status, &err);

	if (r != 0)
		client_refused(c, r == CODE_DEADLINE_EXCEEDED || may_lack(c, exec, before, &err),
			"Wait", name.text, &err);
	else if (!(c->life->execs[exec] & EXEC_START_FAILED))
		check_status(c, exec, "Wait", status);
}

/* The process itself, past the shim: by the number that it says, held against being another's. */
static void shoot(struct client *c, const char *exec_id, uint32_t signal)
{
	Containerd__Task__V2__StateRequest r = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
	Containerd__Task__V2__StateResponse *before = NULL, *after = NULL;
	_cleanup_error_ struct error err = ERROR_INIT;
	const ProtobufCMessageDescriptor *d = &containerd__task__v2__state_response__descriptor;
	struct pidref p = PIDREF_INIT;

	r.id = c->life->id;
	r.exec_id = (char *)exec_id;
	if (churn_call(c->churn, c->link->client, TASK, "State", &r, d, &before, CHURN_CALL_MS,
		    &err) != 0)
		return;
	/* running after it was opened: then that pid was the exec's when it was opened */
	if (before->status == CONTAINERD__V1__TYPES__STATUS__RUNNING &&
		pidref_open((pid_t)before->pid, &p) == 0 &&
		churn_call(c->churn, c->link->client, TASK, "State", &r, d, &after, CHURN_CALL_MS,
			&err) == 0 &&
		after->status == CONTAINERD__V1__TYPES__STATUS__RUNNING)
		pidref_signal(&p, (int)signal);
	pidref_close(&p);
	bed_free(before);
	bed_free(after);
}

static void close_input(struct client *c, uint32_t exec)
{
	Containerd__Task__V2__CloseIORequest r = CONTAINERD__TASK__V2__CLOSE_IOREQUEST__INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	const uint32_t before = c->life->execs[exec];
	struct name name = exec_name(exec);

	r.id = c->life->id;
	r.exec_id = name.text;
	r.stdin = true;
	if (churn_call(c->churn, c->link->client, client_task(c), "CloseIO", &r, EMPTY, NULL,
		    CHURN_CALL_MS, &err) != 0)
		client_refused(c, is_state(&err) || may_lack(c, exec, before, &err), "CloseIO",
			name.text, &err);
}

void client_fulfil(struct client *c, uint32_t exec)
{
	const struct fate fate = churn_exec_fate(exec);
	_cleanup_error_ struct error err = ERROR_INIT;
	struct name name = exec_name(exec);

	/* before its start a signal is an end of its own */
	if (!(c->life->execs[exec] & EXEC_STARTED))
		return;
	if (fate.way == FATE_SHOT)
		shoot(c, name.text, fate.signal);
	else if (fate.way == FATE_CLOSED)
		close_input(c, exec);
	else if (fate.way != FATE_EXITS && churn_kill(c->churn, c->link->client, c->life, name.text,
						   fate.signal, false, &err) != 0)
		client_refused(c, err.code == CODE_NOT_FOUND, "Kill", name.text, &err);
}

void client_resize(struct client *c, uint32_t exec)
{
	Containerd__Task__V2__ResizePtyRequest r = CONTAINERD__TASK__V2__RESIZE_PTY_REQUEST__INIT;
	_cleanup_error_ struct error err = ERROR_INIT;
	const uint32_t before = c->life->execs[exec];
	struct name name = exec_name(exec);

	r.id = c->life->id;
	r.exec_id = name.text;
	r.width = 1 + client_below(c, 200);
	r.height = 1 + client_below(c, 100);
	if (churn_call(c->churn, c->link->client, client_task(c), "ResizePty", &r, EMPTY, NULL,
		    CHURN_CALL_MS, &err) != 0)
		client_refused(c, is_state(&err) || may_lack(c, exec, before, &err), "ResizePty",
			name.text, &err);
}

void client_state_of(struct client *c, uint32_t exec)
{
	Containerd__Task__V2__StateRequest r = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
	Containerd__Task__V2__StateResponse *ok = NULL;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct name name = exec_name(exec);
	const uint32_t flags = c->life->execs[exec];

	r.id = c->life->id;
	r.exec_id = name.text;
	if (churn_call(c->churn, c->link->client, client_task(c), "State", &r,
		    &containerd__task__v2__state_response__descriptor, &ok, CHURN_CALL_MS,
		    &err) != 0)
		return client_refused(c, may_lack(c, exec, flags, &err), "State", name.text, &err);
	if (flags & EXEC_STARTED && ok->status == CONTAINERD__V1__TYPES__STATUS__STOPPED)
		check_status(c, exec, "State", ok->exit_status);
	else if (flags & EXEC_STARTED && ok->status != CONTAINERD__V1__TYPES__STATUS__RUNNING)
		churn_fail(
			c->churn, "%s %s: was started, is %d", c->life->id, name.text, ok->status);
	bed_free(ok);
}

void client_see_it_end(struct client *c, uint32_t exec)
{
	const int64_t end = clock_monotonic_ms() + CHURN_CALL_MS;
	struct name name = exec_name(exec);
	uint32_t status;
	int r;

	do {
		_cleanup_error_ struct error err = ERROR_INIT;

		client_fulfil(c, exec);
		r = churn_wait(c->churn, c->link->client, c->life, name.text, 1000, &status, &err);
	} while (r == CODE_DEADLINE_EXCEEDED && clock_monotonic_ms() < end && !c->churn->failed);
	if (r != 0)
		churn_fail(c->churn, "%s %s: does not end", c->life->id, name.text);
	else
		check_status(c, exec, "Wait", status);
}

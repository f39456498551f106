/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim service of 2017: each call in each state of the init and of an exec that it does not fit,
 * with its code and sentence, and that the shim and the container are none the worse for it.
 * deadline: 120
 */
#include "test/integration/bed.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"

#define ALIVE "[\"/bin/tool\",\"pause\"]"
#define FP    CODE_FAILED_PRECONDITION
#define NF    CODE_NOT_FOUND

union message {
	ProtobufCMessage base;
	Cleat__Shim2017__CreateRequest create;
	Cleat__Shim2017__DeleteRequest delete;
	Cleat__Shim2017__ExecRequest exec;
	Cleat__Shim2017__PtyRequest pty;
	Cleat__Shim2017__KillRequest kill;
	Cleat__Shim2017__CloseStdinRequest close_stdin;
	Cleat__Shim2017__CheckpointRequest checkpoint;
};

#define REQUEST(name)  (&cleat__shim2017__##name##_request__descriptor)
#define RESPONSE(name) (&cleat__shim2017__##name##_response__descriptor)

static const struct {
	const char *method;
	const ProtobufCMessageDescriptor *request, *response;
} calls[] = {
	{ "Create", REQUEST(create), RESPONSE(create) },
	{ "Start", REQUEST(start), EMPTY },
	{ "Delete", REQUEST(delete), RESPONSE(delete) },
	{ "Exec", REQUEST(exec), RESPONSE(exec) },
	{ "Pty", REQUEST(pty), EMPTY },
	{ "State", REQUEST(state), RESPONSE(state) },
	{ "Pause", REQUEST(pause), EMPTY },
	{ "Resume", REQUEST(resume), EMPTY },
	{ "Exit", REQUEST(exit), EMPTY },
	{ "Kill", REQUEST(kill), EMPTY },
	{ "Processes", REQUEST(processes), RESPONSE(processes) },
	{ "CloseStdin", REQUEST(close_stdin), EMPTY },
	{ "Checkpoint", REQUEST(checkpoint), EMPTY },
};

/* One call that must fail; "PID" in the sentence is the pid that it names. */
struct refusal {
	const char *method;
	int code;
	const char
		*sentence; /* after "container ID: ", or, with a space in front, "container ID" */
};

static void fill(struct bed *bed, const char *method, uint32_t pid, union message *m,
	Google__Protobuf__Any *spec)
{
	static const char text[] = "{\"args\":[\"/bin/tool\",\"pause\"],\"cwd\":\"/\"}";

	if (strcmp(method, "Create") == 0) {
		m->create.id = bed->id;
		m->create.bundle = bed->bundle;
		m->create.runtime = bed->fake ? bed->fake_path : bed->real_path;
	} else if (strcmp(method, "Exec") == 0) {
		google__protobuf__any__init(spec);
		spec->value.data = (uint8_t *)text;
		spec->value.len = strlen(text);
		m->exec.spec = spec;
	} else if (strcmp(method, "Delete") == 0) {
		m->delete.pid = pid;
	} else if (strcmp(method, "Pty") == 0) {
		m->pty.pid = pid;
		m->pty.width = m->pty.height = 25;
	} else if (strcmp(method, "Kill") == 0) {
		m->kill.pid = pid;
		m->kill.signal = SIGTERM;
	} else if (strcmp(method, "CloseStdin") == 0) {
		m->close_stdin.pid = pid;
	}
}

static void refused(struct bed *bed, uint32_t pid, const struct refusal *r)
{
	_cleanup_free_ char *sentence = NULL;
	const char *at = strstr(r->sentence, "PID");
	Google__Protobuf__Any spec;
	union message m;
	size_t i = 0;

	while (strcmp(calls[i].method, r->method) != 0)
		i++;
	protobuf_c_message_init(calls[i].request, &m);
	fill(bed, r->method, pid, &m, &spec);
	if (at)
		sentence = bed_format("container ID: %.*s%u%s", (int)(at - r->sentence),
			r->sentence, pid, at + 3);
	else
		sentence = bed_format(
			"container ID%s%s", *r->sentence == ' ' ? "" : ": ", r->sentence);
	bed_refused(bed, SHIM, r->method, &m, calls[i].response, r->code, sentence);
}

/* By its number and, where that stands for the init, by 0. */
static void all_refused(
	struct bed *bed, uint32_t pid, bool by_zero_too, const struct refusal *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		refused(bed, pid, &list[i]);
		if (by_zero_too && !strstr(list[i].sentence, "PID") &&
			strcmp(list[i].method, "Pty") != 0)
			refused(bed, 0, &list[i]);
	}
	bed_assert_alive(bed);
}

#define ALL_REFUSED(bed, pid, by_zero_too, list)                                                   \
	all_refused(bed, pid, by_zero_too, list, sizeof(list) / sizeof(*(list)))

static void call(struct bed *bed, const char *method)
{
	Cleat__Shim2017__PauseRequest r = CLEAT__SHIM2017__PAUSE_REQUEST__INIT;

	bed_done(bed, SHIM, method, &r);
}

/* --- the init --- */

static const struct refusal when_created[] = {
	{ "Create", CODE_ALREADY_EXISTS, " already exists" },
	{ "Pty", FP, "the process has no terminal" },
	{ "Pause", FP, "cannot pause a created container" },
	{ "Resume", FP, "cannot resume a created container" },
	{ "Exit", FP, "process PID is alive" },
	{ "Checkpoint", FP, "cannot checkpoint a task in created state" },
};

static const struct refusal when_running[] = {
	{ "Create", CODE_ALREADY_EXISTS, " already exists" },
	{ "Start", FP, "cannot start a running process" },
	{ "Delete", FP, "cannot delete a running process" },
	{ "Pty", FP, "the process has no terminal" },
	{ "Resume", FP, "cannot resume a running container" },
	{ "Exit", FP, "process PID is alive" },
};

static const struct refusal when_paused[] = {
	{ "Create", CODE_ALREADY_EXISTS, " already exists" },
	{ "Start", FP, "cannot start a paused process" },
	{ "Delete", FP, "cannot delete a paused process" },
	{ "Exec", FP, "cannot exec in a paused container" },
	{ "Pty", FP, "the process has no terminal" },
	{ "Pause", FP, "cannot pause a paused container" },
	{ "Exit", FP, "process PID is alive" },
};

static const struct refusal when_stopped[] = {
	{ "Create", CODE_ALREADY_EXISTS, " already exists" },
	{ "Start", FP, "cannot start a stopped process" },
	{ "Exec", FP, "cannot exec in a stopped container" },
	{ "Pty", FP, "cannot resize a stopped process" },
	{ "Pause", FP, "cannot pause a stopped container" },
	{ "Resume", FP, "cannot resume a stopped container" },
	{ "Exit", FP, "it was not deleted yet" },
	{ "Kill", NF, "process already finished" },
	{ "Checkpoint", FP, "cannot checkpoint a stopped container" },
};

static const struct refusal without_container[] = {
	{ "Start", FP, "not created" },
	{ "Delete", NF, "not created" },
	{ "Exec", FP, "not created" },
	{ "Pty", NF, "not created" },
	{ "State", NF, "not created" },
	{ "Pause", FP, "not created" },
	{ "Resume", FP, "not created" },
	{ "Kill", NF, "not created" },
	{ "Processes", NF, "not created" },
	{ "CloseStdin", NF, "not created" },
	{ "Checkpoint", FP, "not created" },
};

/* A shim has one container in its life. */
static const struct refusal after_delete[] = {
	{ "Create", FP, " was deleted: its shim is about to end" },
};

static void test_init(void **state)
{
	struct bed *bed = *state;
	Cleat__Shim2017__CloseStdinRequest close_ = CLEAT__SHIM2017__CLOSE_STDIN_REQUEST__INIT;
	uint32_t pid;

	bed_lacks(bed, "runsc", "panics at the delete of what was killed while paused");
	ALL_REFUSED(bed, 7, true, without_container);
	pid = bed_create(bed, false);
	ALL_REFUSED(bed, pid, true, when_created);
	assert_int_equal(bed_status(bed, ""), CONTAINERD__V1__TYPES__STATUS__CREATED);
	call(bed, "Start");
	ALL_REFUSED(bed, pid, true, when_running);
	assert_int_equal(bed_status(bed, ""), CONTAINERD__V1__TYPES__STATUS__RUNNING);
	call(bed, "Pause");
	ALL_REFUSED(bed, pid, true, when_paused);
	assert_int_equal(bed_status(bed, ""), CONTAINERD__V1__TYPES__STATUS__PAUSED);
	call(bed, "Resume");
	bed_kill(bed, "", SIGKILL);
	assert_int_equal(bed_wait(bed, ""), 137);
	ALL_REFUSED(bed, pid, true, when_stopped);
	bed_done(bed, SHIM, "CloseStdin", &close_); /* it has none any more: no error */
	assert_int_equal(bed_delete(bed, ""), 137);
	ALL_REFUSED(bed, pid, true, without_container);
	ALL_REFUSED(bed, pid, false, after_delete);
}

/* --- an exec, by its pid --- */

static const struct refusal exec_running[] = {
	{ "Delete", FP, "cannot delete a running process" },
	{ "Pty", FP, "the process has no terminal" },
};

static const struct refusal exec_stopped[] = {
	{ "Pty", FP, "cannot resize a stopped process" },
	{ "Kill", NF, "process already finished" },
};

static const struct refusal exec_deleted[] = {
	{ "Delete", NF, "no process PID" },
	{ "Pty", NF, "no process PID" },
	{ "Kill", NF, "process PID is not in the container" },
	{ "CloseStdin", NF, "no process PID" },
};

static void test_exec(void **state)
{
	struct bed *bed = *state;
	Cleat__Shim2017__CloseStdinRequest close_ = CLEAT__SHIM2017__CLOSE_STDIN_REQUEST__INIT;
	uint32_t pid;

	bed_create(bed, false);
	bed_start(bed, "");
	bed_exec(bed, "e", ALIVE, false);
	pid = bed_start(bed, "e");
	ALL_REFUSED(bed, pid, false, exec_running);
	assert_int_equal(bed_status(bed, "e"), CONTAINERD__V1__TYPES__STATUS__RUNNING);
	bed_kill(bed, "e", SIGKILL);
	assert_int_equal(bed_wait(bed, "e"), 137);
	ALL_REFUSED(bed, pid, false, exec_stopped);
	close_.pid = pid;
	bed_done(bed, SHIM, "CloseStdin", &close_);
	assert_int_equal(bed_delete(bed, "e"), 137);
	ALL_REFUSED(bed, pid, false, exec_deleted);
	assert_int_equal(bed_status(bed, ""), CONTAINERD__V1__TYPES__STATUS__RUNNING);
	bed_finish(bed);
}

int main(void)
{
#define BOTH(name)                                                                                 \
	{ #name " (scripted)", name, bed_setup_fake, bed_teardown, NULL },                         \
	{                                                                                          \
#name " (runc)", name, bed_setup_runc, bed_teardown, NULL                          \
	}
	static const struct CMUnitTest tests[] = {
		BOTH(test_init),
		BOTH(test_exec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Task over a real shim, with runc and with the scripted runtime: every call in every state that
 * it does not fit, each with its code and sentence, and what it does where it fits.
 * deadline: 300
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
#include "common/limits.h"
#include "common/pbtime.h"
#include "events.pb-c.h"

#define NOT_FOUND "container ID: not found"
#define ALIVE	  "[\"/bin/tool\",\"pause\"]"

static const char *service = TASK;

#define RESPONSE(name) (&containerd__task__v2__##name##__descriptor)

/* A call that names nothing but a container and perhaps an exec must fail. */
static void refused(struct bed *bed, const char *method, const char *id, const char *exec_id,
	int code, const char *sentence)
{
	/* these messages all begin with the two names */
	Containerd__Task__V2__StateRequest state = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
	Containerd__Task__V2__KillRequest kill_ = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;
	Containerd__Task__V2__ResizePtyRequest resize =
		CONTAINERD__TASK__V2__RESIZE_PTY_REQUEST__INIT;
	Containerd__Task__V2__CloseIORequest close_ = CONTAINERD__TASK__V2__CLOSE_IOREQUEST__INIT;
	Containerd__Task__V2__PauseRequest pause_ = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;
	const void *message = &state;

	state.id = kill_.id = resize.id = close_.id = pause_.id = (char *)id;
	state.exec_id = kill_.exec_id = resize.exec_id = close_.exec_id = (char *)exec_id;
	kill_.signal = SIGTERM;
	resize.width = 80;
	resize.height = 25;
	close_.stdin = 1;
	if (strcmp(method, "Kill") == 0)
		message = &kill_;
	else if (strcmp(method, "ResizePty") == 0)
		message = &resize;
	else if (strcmp(method, "CloseIO") == 0)
		message = &close_;
	else if (strcmp(method, "Pause") == 0 || strcmp(method, "Resume") == 0 ||
		 strcmp(method, "Pids") == 0 || strcmp(method, "Stats") == 0)
		message = &pause_;
	bed_refused(bed, service, method, message, EMPTY, code, sentence);
}

static void refused_all(struct bed *bed, const char *const *methods, const char *id,
	const char *exec_id, int code, const char *sentence)
{
	for (; *methods; methods++)
		refused(bed, *methods, id, exec_id, code, sentence);
}

static void exec_refused(
	struct bed *bed, const char *exec_id, const char *spec, int code, const char *sentence)
{
	Containerd__Task__V2__ExecProcessRequest r =
		CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	any.value.data = (uint8_t *)spec;
	any.value.len = spec ? strlen(spec) : 0;
	r.id = bed->id;
	r.exec_id = (char *)exec_id;
	r.spec = spec ? &any : NULL;
	bed_refused(bed, service, "Exec", &r, EMPTY, code, sentence);
}

static void create_refused(
	struct bed *bed, const char *id, const char *bundle, int code, const char *beginning)
{
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	Google__Protobuf__Any any;
	uint8_t room[1024];

	r.id = (char *)id;
	r.bundle = (char *)bundle;
	r.options = bed_options(bed, room, &any);
	bed_refused_like(
		bed, service, "Create", &r, RESPONSE(create_task_response), code, beginning);
}

static void pause_container(struct bed *bed)
{
	Containerd__Task__V2__PauseRequest r = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;

	r.id = bed->id;
	bed_done(bed, service, "Pause", &r);
}

static void resume_container(struct bed *bed)
{
	Containerd__Task__V2__ResumeRequest r = CONTAINERD__TASK__V2__RESUME_REQUEST__INIT;

	r.id = bed->id;
	bed_done(bed, service, "Resume", &r);
}

static size_t count_pids(struct bed *bed, const char *exec_id)
{
	Containerd__Task__V2__PidsRequest r = CONTAINERD__TASK__V2__PIDS_REQUEST__INIT;
	Containerd__Task__V2__PidsResponse *ok;
	size_t n;

	r.id = bed->id;
	ok = bed_ok(bed, service, "Pids", &r, RESPONSE(pids_response));
	n = ok->n_processes;
	for (size_t i = 0; exec_id && i < n; i++) {
		const Google__Protobuf__Any *info = ok->processes[i]->info;

		if (info && memmem(info->value.data, info->value.len, exec_id, strlen(exec_id)))
			exec_id = NULL;
	}
	assert_null(exec_id); /* it was among them */
	bed_free(ok);
	return n;
}

/* --- the init's states --- */

static void test_created(void **state)
{
	struct bed *bed = *state;
	uint32_t pid = bed_create(bed, false);

	create_refused(
		bed, bed->id, bed->bundle, CODE_ALREADY_EXISTS, "container ID already exists");
	assert_int_equal(bed_status(bed, ""), CONTAINERD__V1__TYPES__STATUS__CREATED);
	refused(bed, "Pause", bed->id, NULL, CODE_FAILED_PRECONDITION,
		"cannot pause a created container");
	refused(bed, "Resume", bed->id, NULL, CODE_FAILED_PRECONDITION,
		"cannot resume a created container");
	refused(bed, "ResizePty", bed->id, "", CODE_FAILED_PRECONDITION,
		"the process has no terminal");
	assert_int_equal(count_pids(bed, NULL), 1);
	assert_int_equal(bed_start(bed, ""), pid);
	bed_finish(bed);
}

/* Deleting what was only created ends it. */
static void test_delete_created(void **state)
{
	struct bed *bed = *state;

	bed_create(bed, false);
	assert_int_equal(bed_delete(bed, ""), 128 + SIGKILL);
}

static void test_running(void **state)
{
	struct bed *bed = *state;

	bed_config(bed, "[\"/bin/tool\",\"trap\",\"TERM\",\"9\"]", false);
	bed_create(bed, false);
	bed_start(bed, "");
	bed_await_ready(bed);
	assert_int_equal(bed_status(bed, ""), CONTAINERD__V1__TYPES__STATUS__RUNNING);
	create_refused(
		bed, bed->id, bed->bundle, CODE_ALREADY_EXISTS, "container ID already exists");
	refused(bed, "Start", bed->id, "", CODE_FAILED_PRECONDITION,
		"cannot start a running process");
	refused(bed, "Delete", bed->id, "", CODE_FAILED_PRECONDITION,
		"cannot delete a running process");
	refused(bed, "Resume", bed->id, NULL, CODE_FAILED_PRECONDITION,
		"cannot resume a running container");
	refused(bed, "ResizePty", bed->id, "", CODE_FAILED_PRECONDITION,
		"the process has no terminal");
	assert_int_equal(bed_status(bed, ""), CONTAINERD__V1__TYPES__STATUS__RUNNING);
	bed_kill(bed, "", SIGTERM);
	assert_int_equal(bed_wait(bed, ""), 9);
	assert_int_equal(bed_delete(bed, ""), 9);
}

static void test_paused(void **state)
{
	struct bed *bed = *state;

	bed_create(bed, false);
	bed_start(bed, "");
	pause_container(bed);
	assert_int_equal(bed_status(bed, ""), CONTAINERD__V1__TYPES__STATUS__PAUSED);
	refused(bed, "Start", bed->id, "", CODE_FAILED_PRECONDITION,
		"cannot start a paused process");
	refused(bed, "Delete", bed->id, "", CODE_FAILED_PRECONDITION,
		"cannot delete a paused process");
	refused(bed, "Pause", bed->id, NULL, CODE_FAILED_PRECONDITION,
		"cannot pause a paused container");
	exec_refused(bed, "probe", bed_spec(ALIVE, false), CODE_FAILED_PRECONDITION,
		"cannot exec in a paused container");
	assert_int_equal(count_pids(bed, NULL), 1);
	resume_container(bed);
	assert_int_equal(bed_status(bed, ""), CONTAINERD__V1__TYPES__STATUS__RUNNING);
	bed_finish(bed);
}

/* KILL reaches a frozen container, too. */
static void test_kill_paused(void **state)
{
	struct bed *bed = *state;

	bed_lacks(bed, "runsc", "panics at the delete of what was killed while paused");
	bed_create(bed, false);
	bed_start(bed, "");
	pause_container(bed);
	bed_kill(bed, "", SIGKILL);
	assert_int_equal(bed_wait(bed, ""), 128 + SIGKILL);
	assert_int_equal(bed_delete(bed, ""), 128 + SIGKILL);
}

static void test_stopped(void **state)
{
	struct bed *bed = *state;
	Containerd__Task__V2__StateRequest r = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
	Containerd__Task__V2__StateResponse *ok;

	bed_config(bed, "[\"/bin/tool\",\"exit\",\"7\"]", false);
	bed_create(bed, false);
	bed_start(bed, "");
	assert_int_equal(bed_wait(bed, ""), 7);
	r.id = bed->id;
	ok = bed_ok(bed, service, "State", &r, RESPONSE(state_response));
	assert_int_equal(ok->status, CONTAINERD__V1__TYPES__STATUS__STOPPED);
	assert_int_equal(ok->exit_status, 7);
	assert_true(pbtime_get(ok->exited_at) > 0);
	assert_string_equal(ok->id, bed->id);
	assert_string_equal(ok->bundle, bed->bundle);
	bed_free(ok);
	create_refused(
		bed, bed->id, bed->bundle, CODE_ALREADY_EXISTS, "container ID already exists");
	refused(bed, "Start", bed->id, "", CODE_FAILED_PRECONDITION,
		"cannot start a stopped process");
	refused(bed, "Kill", bed->id, "", CODE_NOT_FOUND, "process already finished");
	refused(bed, "Pause", bed->id, NULL, CODE_FAILED_PRECONDITION,
		"cannot pause a stopped container");
	refused(bed, "Resume", bed->id, NULL, CODE_FAILED_PRECONDITION,
		"cannot resume a stopped container");
	refused(bed, "ResizePty", bed->id, "", CODE_FAILED_PRECONDITION,
		"cannot resize a stopped process");
	exec_refused(bed, "probe", bed_spec(ALIVE, false), CODE_FAILED_PRECONDITION,
		"cannot exec in a stopped container");
	assert_int_equal(count_pids(bed, NULL), 0);
	assert_int_equal(bed_wait(bed, ""), 7); /* long after */
	assert_int_equal(bed_delete(bed, ""), 7);
}

/* The figures are tested against the files in cgroup.bats; here is what the call answers. */
static void test_stats(void **state)
{
	Containerd__Task__V2__StatsRequest r = CONTAINERD__TASK__V2__STATS_REQUEST__INIT;
	Containerd__Task__V2__StatsResponse *ok;
	struct bed *bed = *state;

	bed_lacks(bed, "runsc", "--ignore-cgroups has no cgroup");
	r.id = bed->id;
	bed_create(bed, false);
	bed_start(bed, "");
	if (bed->fake) { /* its containers have no cgroup */
		bed_refused(bed, service, "Stats", &r, RESPONSE(stats_response), CODE_NOT_FOUND,
			"cgroup does not exist: not found");
	} else {
		ok = bed_ok(bed, service, "Stats", &r, RESPONSE(stats_response));
		assert_non_null(ok->stats);
		assert_true(strcmp(ok->stats->type_url, "io.containerd.cgroups.v1.Metrics") == 0 ||
			    strcmp(ok->stats->type_url, "io.containerd.cgroups.v2.Metrics") == 0);
		assert_true(ok->stats->value.len > 0);
		bed_free(ok);
	}
	bed_finish(bed);
}

static void test_deleted(void **state)
{
	static const char *const all[] = { "State", "Start", "Delete", "Kill", "ResizePty",
		"CloseIO", "Pause", "Resume", "Pids", "Stats", "Wait", NULL };
	struct bed *bed = *state;

	refused_all(bed, all, bed->id, "", CODE_NOT_FOUND, NOT_FOUND);
	exec_refused(bed, "probe", bed_spec(ALIVE, false), CODE_NOT_FOUND, NOT_FOUND);
	bed_create(bed, false);
	bed_finish(bed);
	refused_all(bed, all, bed->id, "", CODE_NOT_FOUND, NOT_FOUND);
	exec_refused(bed, "probe", bed_spec(ALIVE, false), CODE_NOT_FOUND, NOT_FOUND);
	create_refused(bed, bed->id, bed->bundle, CODE_FAILED_PRECONDITION,
		"container ID was deleted: its shim is about to end");
}

static void test_other_ids(void **state)
{
	static const char *const all[] = { "State", "Start", "Delete", "Kill", "ResizePty",
		"CloseIO", "Pause", "Resume", "Pids", "Stats", "Wait", NULL };
	struct bed *bed = *state;

	bed_create(bed, false);
	refused_all(bed, all, "other", "", CODE_NOT_FOUND, "container other: not found");
	refused_all(bed, all, "", "", CODE_NOT_FOUND, "container : not found");
	refused_all(bed, all, "../x", "", CODE_NOT_FOUND, "container ../x: not found");
	bed_finish(bed);
}

static void test_signals(void **state)
{
	static const uint32_t none[] = { 0, 65, 1000, UINT32_MAX };
	Containerd__Task__V2__KillRequest r = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;
	struct bed *bed = *state;

	bed_lacks(bed, "runsc", "kill knows no signal 64");
	bed_config(bed, "[\"/bin/tool\",\"trap\",\"64\",\"5\"]", false);
	bed_create(bed, false);
	bed_start(bed, "");
	bed_await_ready(bed);
	r.id = bed->id;
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		char sentence[64];

		snprintf(sentence, sizeof(sentence), "%u is not a signal", none[i]);
		r.signal = none[i];
		bed_refused(bed, service, "Kill", &r, EMPTY, CODE_INVALID_ARGUMENT, sentence);
	}
	bed_kill(bed, "", 64); /* the last there is */
	assert_int_equal(bed_wait(bed, ""), 5);
	bed_finish(bed);
}

/* --- execs --- */

static void test_exec_states(void **state)
{
	static const char *const all[] = { "State", "Start", "Delete", "Kill", "ResizePty",
		"CloseIO", "Wait", NULL };
	struct bed *bed = *state;
	char sentence[160];

	bed_create(bed, false);
	bed_start(bed, "");
	refused_all(bed, all, bed->id, "probe", CODE_NOT_FOUND,
		"exec probe in container ID: not found");
	bed_exec(bed, "probe", "[\"/bin/tool\",\"trap\",\"TERM\",\"9\"]", false);
	exec_refused(bed, "probe", bed_spec(ALIVE, false), CODE_ALREADY_EXISTS,
		"exec probe already exists");
	assert_int_equal(bed_status(bed, "probe"), CONTAINERD__V1__TYPES__STATUS__CREATED);
	snprintf(sentence, sizeof(sentence), "process not created: exec probe was not started");
	refused(bed, "Kill", bed->id, "probe", CODE_FAILED_PRECONDITION, sentence);
	bed_start(bed, "probe");
	assert_int_equal(bed_status(bed, "probe"), CONTAINERD__V1__TYPES__STATUS__RUNNING);
	refused(bed, "Start", bed->id, "probe", CODE_FAILED_PRECONDITION,
		"cannot start a running process");
	refused(bed, "Delete", bed->id, "probe", CODE_FAILED_PRECONDITION,
		"cannot delete a running process");
	refused(bed, "ResizePty", bed->id, "probe", CODE_FAILED_PRECONDITION,
		"the process has no terminal");
	assert_int_equal(count_pids(bed, "probe"), 2);
	bed_kill(bed, "probe", SIGKILL);
	assert_int_equal(bed_wait(bed, "probe"), 128 + SIGKILL);
	assert_int_equal(bed_status(bed, "probe"), CONTAINERD__V1__TYPES__STATUS__STOPPED);
	refused(bed, "Start", bed->id, "probe", CODE_FAILED_PRECONDITION,
		"cannot start a stopped process");
	refused(bed, "Kill", bed->id, "probe", CODE_NOT_FOUND, "process already finished");
	assert_int_equal(bed_delete(bed, "probe"), 128 + SIGKILL);
	refused_all(bed, all, bed->id, "probe", CODE_NOT_FOUND,
		"exec probe in container ID: not found");
	assert_int_equal(bed_status(bed, ""), CONTAINERD__V1__TYPES__STATUS__RUNNING);
	bed_finish(bed);
}

/* One that never ran has no exit status: 255 says so on this wire. */
static void test_delete_created_exec(void **state)
{
	struct bed *bed = *state;

	bed_create(bed, false);
	bed_start(bed, "");
	bed_exec(bed, "probe", ALIVE, false);
	assert_int_equal(bed_delete(bed, "probe"), 255);
	bed_exec(bed, "probe", "[\"/bin/tool\",\"exit\",\"3\"]", false); /* the id is free again */
	bed_start(bed, "probe");
	assert_int_equal(bed_wait(bed, "probe"), 3);
	bed_finish(bed);
}

static void test_exec_bad_input(void **state)
{
	static const struct {
		const char *spec, *sentence;
	} bad[] = {
		{ "", "process spec: line 1, column 0: '[' or '{' expected near end of file" },
		{ "[]", "process spec: must be an object" },
		{ "{\"args\":[\"x\"],",
			"process spec: line 1, column 14: string or '}' expected near "
			"end of file" },
		{ "{\"args\":[\"x\"]}", "process spec: cwd must be an absolute path" },
		{ "{\"args\":[\"x\"],\"cwd\":\"tmp\"}",
			"process spec: cwd must be an absolute path" },
		{ "{\"args\":[],\"cwd\":\"/\"}", "process spec: args must not be empty" },
		{ "{\"args\":\"x\",\"cwd\":\"/\"}", "process spec: args must be an array" },
		{ "{\"args\":[\"x\",2],\"cwd\":\"/\"}", "process spec: args[1] must be a string" },
	};
	char longest[LIMIT_ID + 2];
	char sentence[400];
	struct bed *bed = *state;

	bed_create(bed, false);
	bed_start(bed, "");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		exec_refused(bed, "probe", bad[i].spec, CODE_INVALID_ARGUMENT, bad[i].sentence);
	exec_refused(bed, "", bed_spec(ALIVE, false), CODE_INVALID_ARGUMENT,
		"exec id must not be empty");
	exec_refused(bed, "../x", bed_spec(ALIVE, false), CODE_INVALID_ARGUMENT,
		"exec id \"../x\" must be letters and digits with single '.', '_' or '-' between "
		"them");
	memset(longest, 'e', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	snprintf(sentence, sizeof(sentence), "exec id \"%s\" is longer than %u bytes", longest,
		LIMIT_ID);
	exec_refused(bed, longest, bed_spec(ALIVE, false), CODE_INVALID_ARGUMENT, sentence);
	longest[LIMIT_ID] = '\0';
	bed_exec(bed, longest, "[\"/bin/tool\",\"exit\",\"5\"]", false);
	bed_start(bed, longest);
	assert_int_equal(bed_wait(bed, longest), 5);
	bed_finish(bed);
}

/* A program that is not there is the runtime's to find out, in its own words. */
static void test_exec_missing_program(void **state)
{
	Containerd__Task__V2__StartRequest r = CONTAINERD__TASK__V2__START_REQUEST__INIT;
	struct bed *bed = *state;

	bed_create(bed, false);
	bed_start(bed, "");
	bed_exec(bed, "probe", "[\"/bin/nope\"]", false);
	r.id = bed->id;
	r.exec_id = (char *)"probe";
	bed_refused_like(bed, service, "Start", &r, RESPONSE(start_response), CODE_UNKNOWN,
		"OCI runtime exec failed: ");
	refused(bed, "Start", bed->id, "probe", CODE_FAILED_PRECONDITION,
		"exec probe could not be started before; delete it");
	bed_delete(bed, "probe");
	assert_int_equal(count_pids(bed, NULL), 1);
	bed_finish(bed);
}

/* --- order --- */

static void check_exit_event(struct bed *bed, uint32_t stream, const char *id, uint32_t status)
{
	Containerd__Events__TaskExit *e;

	bed_expect_event(
		bed, stream, "/tasks/exit", &e, &containerd__events__task_exit__descriptor);
	assert_string_equal(e->container_id, bed->id);
	assert_string_equal(e->id, id);
	assert_int_equal(e->exit_status, status);
	assert_true(pbtime_get(e->exited_at) > 0);
	bed_free(e);
}

/* Each thing once, in the order that clients rely on; exactly one exit for each process. */
static void test_events(void **state)
{
	struct bed *bed = *state;
	uint32_t stream = bed_subscribe(bed, 0);
	Containerd__Events__TaskCreate *create;
	Containerd__Events__TaskExecStarted *started;
	Containerd__Events__TaskDelete *deleted;
	uint32_t pid = bed_create(bed, false), exec_pid;

	bed_expect_event(bed, stream, "/tasks/create", &create,
		&containerd__events__task_create__descriptor);
	assert_int_equal(create->pid, pid);
	assert_string_equal(create->bundle, bed->bundle);
	bed_free(create);
	bed_start(bed, "");
	bed_expect_event(bed, stream, "/tasks/start", NULL, NULL);
	bed_exec(bed, "probe", "[\"/bin/tool\",\"exit\",\"4\"]", false);
	bed_expect_event(bed, stream, "/tasks/exec-added", NULL, NULL);
	exec_pid = bed_start(bed, "probe");
	bed_expect_event(bed, stream, "/tasks/exec-started", &started,
		&containerd__events__task_exec_started__descriptor);
	assert_int_equal(started->pid, exec_pid);
	assert_string_equal(started->exec_id, "probe");
	bed_free(started);
	check_exit_event(bed, stream, "probe", 4);
	bed_delete(bed, "probe");
	bed_expect_event(bed, stream, "/tasks/delete", &deleted,
		&containerd__events__task_delete__descriptor);
	assert_string_equal(deleted->id, "probe");
	assert_int_equal(deleted->exit_status, 4);
	bed_free(deleted);
	pause_container(bed);
	bed_expect_event(bed, stream, "/tasks/paused", NULL, NULL);
	resume_container(bed);
	bed_expect_event(bed, stream, "/tasks/resumed", NULL, NULL);
	bed_kill(bed, "", SIGKILL);
	check_exit_event(bed, stream, bed->id, 128 + SIGKILL);
	bed_delete(bed, "");
	bed_expect_event(bed, stream, "/tasks/delete", &deleted,
		&containerd__events__task_delete__descriptor);
	assert_string_equal(deleted->id, "");
	assert_int_equal(deleted->pid, pid);
	bed_free(deleted);
	bed_expect_quiet(bed, stream);
}

/* An init that takes its execs along: theirs are told first. */
static void test_execs_exit_first(void **state)
{
	struct bed *bed = *state;
	uint32_t stream;

	bed_lacks(bed, "runsc", "tells 128 of an exec whose sandbox was killed");
	bed_create(bed, false);
	bed_start(bed, "");
	bed_exec(bed, "a", ALIVE, false);
	bed_start(bed, "a");
	bed_exec(bed, "b", ALIVE, false);
	bed_start(bed, "b");
	stream = bed_subscribe(bed, 6); /* what is new after create, start and two execs */
	if (bed->fake) { /* its containers have no pid namespace that ends with the init */
		bed_kill(bed, "a", SIGKILL);
		bed_kill(bed, "b", SIGKILL);
	}
	bed_kill(bed, "", SIGKILL);
	for (int i = 0; i < 3; i++) {
		Containerd__Events__TaskExit *e;

		bed_expect_event(
			bed, stream, "/tasks/exit", &e, &containerd__events__task_exit__descriptor);
		assert_int_equal(strcmp(e->id, bed->id) == 0, i == 2);
		assert_int_equal(e->exit_status, 128 + SIGKILL);
		bed_free(e);
	}
	bed_delete(bed, "");
}

/* --- Shutdown --- */

static void test_shutdown(void **state)
{
	Containerd__Task__V2__ShutdownRequest r = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;
	struct bed *bed = *state;

	r.id = bed->id;
	bed_create(bed, false);
	bed_done(bed, service, "Shutdown", &r);
	bed_start(bed, "");
	bed_done(bed, service, "Shutdown", &r);
	assert_int_equal(bed_status(bed, ""), CONTAINERD__V1__TYPES__STATUS__RUNNING);
	bed_finish(bed);
	bed_done(bed, service, "Shutdown", &r);
	bed_await_end(bed);
}

/* After Delete the id is free, and the old shim's end does the new one no harm. */
static void test_id_is_free_after_delete(void **state)
{
	Containerd__Task__V2__ShutdownRequest r = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;
	struct bed *bed = *state, next = *bed;

	bed_create(bed, false);
	bed_finish(bed);
	bed_start_shim(&next);
	r.id = bed->id;
	bed_done(bed, service, "Shutdown", &r);
	bed_await_end(bed);
	ttrpc_client_free(bed->client);
	free(bed->socket);
	bed->client = next.client;
	bed->socket = next.socket;
	bed->shim = next.shim;
	bed_create(bed, false);
	bed_start(bed, "");
	assert_int_equal(bed_status(bed, ""), CONTAINERD__V1__TYPES__STATUS__RUNNING);
	bed_finish(bed);
}

/* Version 3 is the same under another name. */
static void test_v3(void **state)
{
	service = TASK3;
	test_exec_states(state);
	service = TASK;
}

int main(void)
{
#define BOTH(name)                                                                                 \
	{ #name " (scripted)", name, bed_setup_fake, bed_teardown, NULL },                         \
	{                                                                                          \
#name " (runc)", name, bed_setup_runc, bed_teardown, NULL                          \
	}
	static const struct CMUnitTest tests[] = {
		BOTH(test_created),
		BOTH(test_delete_created),
		BOTH(test_running),
		BOTH(test_paused),
		BOTH(test_kill_paused),
		BOTH(test_stopped),
		BOTH(test_stats),
		BOTH(test_deleted),
		BOTH(test_other_ids),
		BOTH(test_signals),
		BOTH(test_exec_states),
		BOTH(test_delete_created_exec),
		BOTH(test_exec_bad_input),
		BOTH(test_exec_missing_program),
		BOTH(test_events),
		BOTH(test_execs_exit_first),
		BOTH(test_shutdown),
		BOTH(test_id_is_free_after_delete),
		BOTH(test_v3),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

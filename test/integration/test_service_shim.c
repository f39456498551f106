/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim service of 2017 over a real shim, with runc and with the scripted runtime: every row of
 * its contract, what each call answers to bad input and in a state that it does not fit, and that
 * the same processes are seen through Task.
 * deadline: 300
 */
#include "test/integration/bed.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/pbtime.h"
#include "events.pb-c.h"

#define RESPONSE(name) (&cleat__shim2017__##name##__descriptor)
#define STATUS(name)   CLEAT__SHIM2017__TYPES__STATUS__##name
#define TYPE(name)     CLEAT__SHIM2017__TYPES__EVENT__EVENT_TYPE__##name
#define ALIVE	       "[\"/bin/tool\",\"pause\"]"

/* --- the calls --- */

static void fill_create(struct bed *bed, Cleat__Shim2017__CreateRequest *r)
{
	cleat__shim2017__create_request__init(r);
	r->id = bed->id;
	r->bundle = bed->bundle;
	r->runtime = bed->fake ? bed->fake_path : bed->real_path;
	r->stdout = bed->out;
}

static uint32_t create(struct bed *bed)
{
	Cleat__Shim2017__CreateRequest r;
	Cleat__Shim2017__CreateResponse *ok;
	uint32_t pid;

	fill_create(bed, &r);
	ok = bed_ok(bed, SHIM, "Create", &r, RESPONSE(create_response));
	pid = ok->pid;
	bed_free(ok);
	assert_true(pid > 0);
	return pid;
}

static void start(struct bed *bed)
{
	Cleat__Shim2017__StartRequest r = CLEAT__SHIM2017__START_REQUEST__INIT;

	bed_done(bed, SHIM, "Start", &r);
}

static uint32_t delete_pid(struct bed *bed, uint32_t pid)
{
	Cleat__Shim2017__DeleteRequest r = CLEAT__SHIM2017__DELETE_REQUEST__INIT;
	Cleat__Shim2017__DeleteResponse *ok;
	uint32_t status;

	r.pid = pid;
	ok = bed_ok(bed, SHIM, "Delete", &r, RESPONSE(delete_response));
	status = ok->exit_status;
	assert_true(pbtime_get(ok->exited_at) > 0);
	bed_free(ok);
	return status;
}

static void set_spec(Cleat__Shim2017__ExecRequest *r, Google__Protobuf__Any *any, const char *spec)
{
	cleat__shim2017__exec_request__init(r);
	google__protobuf__any__init(any);
	any->type_url = (char *)"types.containerd.io/opencontainers/runtime-spec/1/Process";
	any->value.data = (uint8_t *)spec;
	any->value.len = strlen(spec);
	r->spec = any;
}

static uint32_t exec(struct bed *bed, const char *args)
{
	Cleat__Shim2017__ExecRequest r;
	Cleat__Shim2017__ExecResponse *ok;
	Google__Protobuf__Any any;
	uint32_t pid;

	set_spec(&r, &any, bed_spec(args, false));
	ok = bed_ok(bed, SHIM, "Exec", &r, RESPONSE(exec_response));
	pid = ok->pid;
	bed_free(ok);
	assert_true(pid > 0);
	return pid;
}

static void kill_pid(struct bed *bed, uint32_t pid, uint32_t signal, bool all)
{
	Cleat__Shim2017__KillRequest r = CLEAT__SHIM2017__KILL_REQUEST__INIT;

	r.pid = pid;
	r.signal = signal;
	r.all = all;
	bed_done(bed, SHIM, "Kill", &r);
}

static Cleat__Shim2017__StateResponse *get_state(struct bed *bed)
{
	Cleat__Shim2017__StateRequest r = CLEAT__SHIM2017__STATE_REQUEST__INIT;

	return bed_ok(bed, SHIM, "State", &r, RESPONSE(state_response));
}

static void expect_status(struct bed *bed, Cleat__Shim2017__Types__Status want)
{
	Cleat__Shim2017__StateResponse *ok = get_state(bed);

	assert_int_equal(ok->status, want);
	assert_string_equal(ok->id, bed->id);
	assert_string_equal(ok->bundle, bed->bundle);
	bed_free(ok);
}

/* The pids in the container; at most max of them are put into ret. */
static size_t get_pids(struct bed *bed, uint32_t *ret, size_t max)
{
	Cleat__Shim2017__ProcessesRequest r = CLEAT__SHIM2017__PROCESSES_REQUEST__INIT;
	Cleat__Shim2017__ProcessesResponse *ok;
	size_t n;

	r.id = bed->id;
	ok = bed_ok(bed, SHIM, "Processes", &r, RESPONSE(processes_response));
	n = ok->n_processes;
	for (size_t i = 0; i < n && i < max; i++)
		ret[i] = ok->processes[i]->pid;
	bed_free(ok);
	return n;
}

static void simple(struct bed *bed, const char *method)
{
	Cleat__Shim2017__PauseRequest r = CLEAT__SHIM2017__PAUSE_REQUEST__INIT;

	bed_done(bed, SHIM, method, &r);
}

/* Of calls whose message has a pid at most: it is the first field of each but Kill. */
static void refused(
	struct bed *bed, const char *method, uint32_t pid, int code, const char *sentence)
{
	Cleat__Shim2017__DeleteRequest r = CLEAT__SHIM2017__DELETE_REQUEST__INIT;
	Cleat__Shim2017__KillRequest kill_ = CLEAT__SHIM2017__KILL_REQUEST__INIT;
	Cleat__Shim2017__PauseRequest none = CLEAT__SHIM2017__PAUSE_REQUEST__INIT;
	const void *message = &r;

	r.pid = kill_.pid = pid;
	kill_.signal = SIGTERM;
	if (strcmp(method, "Kill") == 0)
		message = &kill_;
	else if (pid == 0 && strcmp(method, "Delete") != 0 && strcmp(method, "CloseStdin") != 0 &&
		 strcmp(method, "Pty") != 0)
		message = &none;
	bed_refused(bed, SHIM, method, message, EMPTY, code, sentence);
}

static void exec_refused(struct bed *bed, const char *spec, int code, const char *sentence)
{
	Cleat__Shim2017__ExecRequest r;
	Google__Protobuf__Any any;

	set_spec(&r, &any, spec);
	bed_refused(bed, SHIM, "Exec", &r, RESPONSE(exec_response), code, sentence);
}

/* --- events --- */

static uint32_t follow(struct bed *bed)
{
	Cleat__Shim2017__EventsRequest r = CLEAT__SHIM2017__EVENTS_REQUEST__INIT;
	const struct ttrpc_request request = {
		.service = SHIM,
		.method = "Events",
		.message = &r.base,
		.response = &cleat__shim2017__types__event__descriptor,
	};
	_cleanup_error_ struct error err = ERROR_INIT;
	uint32_t stream = 0;

	if (ttrpc_client_stream(bed->client, &request, &stream, &err) != 0)
		fail_msg("%s", error_message(&err));
	return stream;
}

static void expect_event(
	struct bed *bed, uint32_t stream, int type, uint32_t pid, uint32_t exit_status)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	Cleat__Shim2017__Types__Event *e;
	ProtobufCMessage *m = NULL;

	if (ttrpc_client_next(bed->client, stream, CALL_MS, &m, &err) != 0 || !m)
		fail_msg("instead of an event: %s", m ? error_message(&err) : "the end");
	e = (void *)m;
	assert_int_equal(e->type, type);
	assert_string_equal(e->id, bed->id);
	assert_int_equal(e->pid, pid);
	assert_int_equal(e->exit_status, exit_status);
	assert_int_equal(pbtime_get(e->exited_at) > 0, type == TYPE(EXIT));
	bed_free(m);
}

static void expect_end(struct bed *bed, uint32_t stream)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *m = NULL;

	if (ttrpc_client_next(bed->client, stream, CALL_MS, &m, &err) != 0)
		fail_msg("instead of the end: %s", error_message(&err));
	assert_null(m);
}

/* --- one life --- */

/* Each event once, before the reply of what made it, and the stream's end with the shim's. */
static void test_life(void **state)
{
	Cleat__Shim2017__ExitRequest exit_ = CLEAT__SHIM2017__EXIT_REQUEST__INIT;
	struct bed *bed = *state;
	uint32_t stream = follow(bed), pid = create(bed), exec_pid;

	expect_event(bed, stream, TYPE(CREATE), pid, 0);
	expect_status(bed, STATUS(CREATED));
	start(bed);
	expect_event(bed, stream, TYPE(START), pid, 0);
	expect_status(bed, STATUS(RUNNING));
	exec_pid = exec(bed, "[\"/bin/tool\",\"exit\",\"4\"]");
	expect_event(bed, stream, TYPE(EXEC_ADDED), exec_pid, 0);
	expect_event(bed, stream, TYPE(EXIT), exec_pid, 4);
	assert_int_equal(delete_pid(bed, exec_pid), 4);
	simple(bed, "Pause");
	expect_event(bed, stream, TYPE(PAUSED), pid, 0);
	expect_status(bed, STATUS(PAUSED));
	simple(bed, "Resume");
	expect_status(bed, STATUS(RUNNING));
	kill_pid(bed, 0, SIGKILL, true);
	expect_event(bed, stream, TYPE(EXIT), pid, 128 + SIGKILL);
	expect_status(bed, STATUS(STOPPED));
	assert_int_equal(delete_pid(bed, 0), 128 + SIGKILL);
	bed_done(bed, SHIM, "Exit", &exit_);
	expect_end(bed, stream);
	bed_await_end(bed);
}

/* --- State, Processes, Kill --- */

static void test_state(void **state)
{
	struct bed *bed = *state;
	uint32_t pid = create(bed), exec_pid, pids[3];
	Cleat__Shim2017__StateResponse *ok;

	start(bed);
	exec_pid = exec(bed, ALIVE);
	ok = get_state(bed);
	assert_int_equal(ok->pid, pid);
	assert_int_equal(ok->n_processes, 2);
	assert_int_equal(ok->processes[0]->pid, pid);
	assert_int_equal(ok->processes[0]->status, STATUS(RUNNING));
	assert_int_equal(ok->processes[1]->pid, exec_pid);
	assert_int_equal(ok->processes[1]->status, STATUS(RUNNING));
	bed_free(ok);
	assert_int_equal(get_pids(bed, pids, 3), 2);
	assert_true(
		(pids[0] == pid && pids[1] == exec_pid) || (pids[1] == pid && pids[0] == exec_pid));
	kill_pid(bed, exec_pid, SIGKILL, false);
	bed_wait_pid(bed, exec_pid);
	ok = get_state(bed);
	assert_int_equal(ok->processes[1]->status, STATUS(STOPPED));
	assert_int_equal(ok->processes[1]->exit_status, 128 + SIGKILL);
	bed_free(ok);
	assert_int_equal(get_pids(bed, pids, 3), 1);
	bed_finish(bed);
}

/* Processes that we did not start are told and can be killed; those of others cannot. */
static void test_strays(void **state)
{
	Cleat__Shim2017__KillRequest r = CLEAT__SHIM2017__KILL_REQUEST__INIT;
	struct bed *bed = *state;
	uint32_t pid, pids[4], stray;
	char sentence[128];
	pid_t other;

	bed_lacks(bed, "runsc", "has no pid outside for what runs in the sandbox");
	/* the init is the parent of one that waits for TERM, and then waits itself */
	bed_config(bed, "[\"/bin/tool\",\"seq\",\"trap\",\"TERM\",\"3\",\"--\",\"pause\"]", false);
	pid = create(bed);
	start(bed);
	bed_await_ready(bed);
	assert_int_equal(get_pids(bed, pids, 4), 2);
	stray = pids[0] == pid ? pids[1] : pids[0];
	other = fork();
	if (other == 0) {
		pause();
		_exit(0);
	}
	r.pid = (uint32_t)other;
	r.signal = SIGKILL;
	snprintf(sentence, sizeof(sentence), "container ID: process %d is not in the container",
		other);
	bed_refused(bed, SHIM, "Kill", &r, EMPTY, CODE_NOT_FOUND, sentence);
	assert_int_equal(waitpid(other, NULL, WNOHANG), 0);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	if (bed->fake) { /* without a cgroup nothing says that it is one of the container */
		r.pid = stray;
		snprintf(sentence, sizeof(sentence),
			"container ID: process %u is not in the container", stray);
		bed_refused(bed, SHIM, "Kill", &r, EMPTY, CODE_NOT_FOUND, sentence);
		kill((pid_t)stray, SIGKILL);
		bed_finish(bed);
		return;
	}
	kill_pid(bed, stray, SIGKILL, false);
	kill_pid(bed, 0, SIGKILL, false);
	assert_int_equal(bed_wait(bed, ""), 128 + SIGKILL);
	bed_finish(bed);
}

static void test_kill(void **state)
{
	static const uint32_t none[] = { 0, 65, UINT32_MAX };
	Cleat__Shim2017__KillRequest r = CLEAT__SHIM2017__KILL_REQUEST__INIT;
	struct bed *bed = *state;
	uint32_t pid, exec_pid;

	bed_config(bed, "[\"/bin/tool\",\"trap\",\"TERM\",\"9\"]", false);
	pid = create(bed);
	start(bed);
	bed_await_ready(bed);
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
		char sentence[64];

		snprintf(sentence, sizeof(sentence), "container ID: %u is not a signal", none[i]);
		r.signal = none[i];
		r.pid = 0;
		bed_refused(bed, SHIM, "Kill", &r, EMPTY, CODE_INVALID_ARGUMENT, sentence);
		r.pid = pid;
		bed_refused(bed, SHIM, "Kill", &r, EMPTY, CODE_INVALID_ARGUMENT, sentence);
	}
	refused(bed, "Kill", UINT32_MAX, CODE_NOT_FOUND,
		"container ID: process -1 is not in the container");
	exec_pid = exec(bed, ALIVE);
	kill_pid(bed, exec_pid, SIGKILL, false);
	bed_wait_pid(bed, exec_pid);
	refused(bed, "Kill", exec_pid, CODE_NOT_FOUND, "container ID: process already finished");
	kill_pid(bed, pid, SIGTERM, false);
	assert_int_equal(bed_wait(bed, ""), 9);
	refused(bed, "Kill", 0, CODE_NOT_FOUND, "container ID: process already finished");
	refused(bed, "Kill", pid, CODE_NOT_FOUND, "container ID: process already finished");
	assert_int_equal(delete_pid(bed, exec_pid), 128 + SIGKILL);
	assert_int_equal(delete_pid(bed, pid), 9);
}

/* --- Exec --- */

/* On the Task side it is pid-N from its first event on, and in the ledger, however short it was. */
static void test_exec_names(void **state)
{
	Cleat__Shim__V1__ExitRecordsRequest r = CLEAT__SHIM__V1__EXIT_RECORDS_REQUEST__INIT;
	Cleat__Shim__V1__ExitRecordsResponse *records;
	struct bed *bed = *state;
	Containerd__Events__TaskExecAdded *added;
	Containerd__Events__TaskExecStarted *started;
	Containerd__Events__TaskExit *exited;
	uint32_t stream, pid;
	char name[32];

	create(bed);
	start(bed);
	stream = bed_subscribe(bed, 2);
	if (bed->fake) /* ended, and reaped, before the runtime has returned */
		bed_script(bed, "exec await-exit\n");
	pid = exec(bed, "[\"/bin/tool\",\"exit\",\"3\"]");
	snprintf(name, sizeof(name), "pid-%u", pid);
	bed_expect_event(bed, stream, "/tasks/exec-added", &added,
		&containerd__events__task_exec_added__descriptor);
	assert_string_equal(added->exec_id, name);
	bed_expect_event(bed, stream, "/tasks/exec-started", &started,
		&containerd__events__task_exec_started__descriptor);
	assert_string_equal(started->exec_id, name);
	assert_int_equal(started->pid, pid);
	bed_expect_event(
		bed, stream, "/tasks/exit", &exited, &containerd__events__task_exit__descriptor);
	assert_string_equal(exited->id, name);
	assert_int_equal(exited->exit_status, 3);
	bed_free(added);
	bed_free(started);
	bed_free(exited);
	r.exec_id = name;
	records = bed_ok(bed, MONITOR, "ExitRecords", &r,
		&cleat__shim__v1__exit_records_response__descriptor);
	assert_int_equal(records->n_records, 1);
	assert_int_equal(records->records[0]->status, 3);
	assert_int_equal(records->records[0]->pid, pid);
	bed_free(records);
	assert_int_equal(bed_wait(bed, name), 3);
	assert_int_equal(bed_delete(bed, name), 3);
	refused(bed, "Delete", pid, CODE_NOT_FOUND,
		bed_sentence("container ID: no process %u", pid));
	bed_finish(bed);
}

/* What the shim has written down of its container. */
static bool record_has(struct bed *bed, const char *text)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_buf_ struct buf record = BUF_INIT;

	if (asprintf(&path, "%s/c/default/%s/state.json", bed->root, bed->id) < 0)
		abort();
	assert_int_equal(fd_read_file(AT_FDCWD, path, &record, 1u << 20), 0);
	return memmem(buf_head(&record), record.len, text, strlen(text));
}

/* One that could not be started is told to nobody and leaves nothing. */
static void test_exec_fails(void **state)
{
	Cleat__Shim2017__ExecRequest r;
	Google__Protobuf__Any any;
	struct bed *bed = *state;
	Cleat__Shim2017__StateResponse *ok;
	Cleat__Shim__V1__InfoRequest info_request = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	Cleat__Shim__V1__InfoResponse *info;
	char sentence[64];
	uint32_t stream;

	create(bed);
	start(bed);
	stream = bed_subscribe(bed, 2);
	snprintf(sentence, sizeof(sentence),
		"container ID: %s exec: ", bed->fake ? "runc" : bed_runtime());
	set_spec(&r, &any, bed_spec("[\"/bin/nope\"]", false));
	bed_refused_like(bed, SHIM, "Exec", &r, RESPONSE(exec_response), CODE_UNKNOWN, sentence);
	ok = get_state(bed);
	assert_int_equal(ok->n_processes, 1);
	bed_free(ok);
	info = bed_ok(
		bed, MONITOR, "Info", &info_request, &cleat__shim__v1__info_response__descriptor);
	assert_int_equal(info->n_processes, 1);
	bed_free(info);
	bed_expect_quiet(bed, stream);
	assert_false(record_has(bed, "\"exec_id\""));
	exec(bed, ALIVE);
	assert_true(record_has(bed, "\"exec_id\""));
	kill_pid(bed, 0, SIGKILL, true);
	bed_wait(bed, "");
	bed_finish(bed);
}

static void test_exec_bad_input(void **state)
{
	struct bed *bed = *state;
	Cleat__Shim2017__ExecRequest r = CLEAT__SHIM2017__EXEC_REQUEST__INIT;

	bed_lacks(bed, "runsc", "panics at the delete of what was killed while paused");
	exec_refused(bed, "{}", CODE_FAILED_PRECONDITION, "container ID: not created");
	create(bed);
	start(bed);
	exec_refused(bed, "{}", CODE_INVALID_ARGUMENT,
		"container ID: process spec: args must not be empty");
	exec_refused(bed, "{\"args\":[\"x\",2],\"cwd\":\"/\"}", CODE_INVALID_ARGUMENT,
		"container ID: process spec: args[1] must be a string");
	exec_refused(bed, "{\"args\":[\"x\"],\"cwd\":\"x\"}", CODE_INVALID_ARGUMENT,
		"container ID: process spec: cwd must be an absolute path");
	bed_refused_like(bed, SHIM, "Exec", &r, RESPONSE(exec_response), CODE_INVALID_ARGUMENT,
		"container ID: process spec: line 1");
	simple(bed, "Pause");
	exec_refused(bed, bed_spec(ALIVE, false), CODE_FAILED_PRECONDITION,
		"container ID: cannot exec in a paused container");
	bed_finish(bed);
}

/* --- Create --- */

static void create_refused(
	struct bed *bed, const Cleat__Shim2017__CreateRequest *r, int code, const char *beginning)
{
	bed_refused_like(bed, SHIM, "Create", r, RESPONSE(create_response), code, beginning);
}

static void test_create_bad_input(void **state)
{
	struct bed *bed = *state;
	Cleat__Shim2017__CreateRequest r;
	char sentence[64];

	bed_lacks(bed, "runsc", "looks for the program at start, not at create");
	fill_create(bed, &r);
	r.id = (char *)"../x";
	create_refused(bed, &r, CODE_INVALID_ARGUMENT, "container ID: container id \"../x\" must");
	fill_create(bed, &r);
	r.bundle = (char *)"/nonexistent";
	create_refused(bed, &r, CODE_NOT_FOUND, "container ID: ");
	fill_create(bed, &r);
	r.runtime = (char *)"no-such-runtime";
	create_refused(bed, &r, CODE_NOT_FOUND,
		"container ID: runtime \"no-such-runtime\": no program of this name in PATH");
	fill_create(bed, &r);
	r.checkpoint = (char *)"/image";
	create_refused(bed, &r, CODE_NOT_FOUND, "container ID: checkpoint \"/image\": ");
	r.checkpoint = (char *)"image";
	create_refused(bed, &r, CODE_INVALID_ARGUMENT,
		"container ID: checkpoint \"image\" is not an absolute path");
	fill_create(bed, &r);
	r.parent_checkpoint = (char *)"/parent";
	create_refused(bed, &r, CODE_UNIMPLEMENTED,
		"container ID: parent_checkpoint \"/parent\": no runtime's restore takes one");
	bed_config(bed, "[\"/bin/nope\"]", false);
	fill_create(bed, &r);
	snprintf(sentence, sizeof(sentence),
		"container ID: %s create: ", bed->fake ? "runc" : bed_runtime());
	create_refused(bed, &r, CODE_UNKNOWN, sentence);
	bed_config(bed, ALIVE, false);
	r.no_pivot = 1; /* honoured */
	bed_free(bed_ok(bed, SHIM, "Create", &r, RESPONSE(create_response)));
	create_refused(bed, &r, CODE_ALREADY_EXISTS, "container ID already exists");
	bed_finish(bed);
}

/* --- wrong states --- */

static void test_not_created(void **state)
{
	struct bed *bed = *state;
	static const char *const precondition[] = { "Start", "Pause", "Resume" };
	static const char *const not_found[] = { "Delete", "Kill", "CloseStdin", "State",
		"Processes" };

	for (size_t i = 0; i < 3; i++)
		refused(bed, precondition[i], 0, CODE_FAILED_PRECONDITION,
			"container ID: not created");
	for (size_t i = 0; i < 5; i++)
		refused(bed, not_found[i], 0, CODE_NOT_FOUND, "container ID: not created");
	refused(bed, "Pty", 7, CODE_NOT_FOUND, "container ID: not created");
	refused(bed, "Pty", 0, CODE_INVALID_ARGUMENT, "container ID: pid must not be 0");
}

static void test_wrong_states(void **state)
{
	Cleat__Shim2017__ProcessesRequest other = CLEAT__SHIM2017__PROCESSES_REQUEST__INIT;
	struct bed *bed = *state;
	uint32_t pid = create(bed);

	refused(bed, "Pause", 0, CODE_FAILED_PRECONDITION,
		"container ID: cannot pause a created container");
	refused(bed, "Resume", 0, CODE_FAILED_PRECONDITION,
		"container ID: cannot resume a created container");
	refused(bed, "Exit", 0, CODE_FAILED_PRECONDITION,
		bed_sentence("container ID: process %u is alive", pid));
	start(bed);
	refused(bed, "Start", 0, CODE_FAILED_PRECONDITION,
		"container ID: cannot start a running process");
	refused(bed, "Resume", 0, CODE_FAILED_PRECONDITION,
		"container ID: cannot resume a running container");
	refused(bed, "Delete", 0, CODE_FAILED_PRECONDITION,
		"container ID: cannot delete a running process");
	refused(bed, "Delete", pid, CODE_FAILED_PRECONDITION,
		"container ID: cannot delete a running process");
	/* an unknown pid is nobody, and not the init */
	refused(bed, "Delete", 1, CODE_NOT_FOUND, "container ID: no process 1");
	refused(bed, "CloseStdin", 1, CODE_NOT_FOUND, "container ID: no process 1");
	refused(bed, "Pty", 1, CODE_NOT_FOUND, "container ID: no process 1");
	refused(bed, "Pty", 0, CODE_INVALID_ARGUMENT, "container ID: pid must not be 0");
	refused(bed, "Pty", pid, CODE_FAILED_PRECONDITION,
		"container ID: the process has no terminal");
	refused(bed, "Exit", 0, CODE_FAILED_PRECONDITION,
		bed_sentence("container ID: process %u is alive", pid));
	other.id = (char *)"other";
	bed_refused(bed, SHIM, "Processes", &other, RESPONSE(processes_response), CODE_NOT_FOUND,
		"container ID: container other is not here");
	simple(bed, "Pause");
	refused(bed, "Pause", 0, CODE_FAILED_PRECONDITION,
		"container ID: cannot pause a paused container");
	refused(bed, "Delete", 0, CODE_FAILED_PRECONDITION,
		"container ID: cannot delete a paused process");
	simple(bed, "Resume");
	kill_pid(bed, 0, SIGKILL, true);
	bed_wait(bed, "");
	refused(bed, "Start", 0, CODE_FAILED_PRECONDITION,
		"container ID: cannot start a stopped process");
	refused(bed, "Pause", 0, CODE_FAILED_PRECONDITION,
		"container ID: cannot pause a stopped container");
	refused(bed, "Exit", 0, CODE_FAILED_PRECONDITION, "container ID: it was not deleted yet");
	assert_int_equal(delete_pid(bed, pid), 128 + SIGKILL);
	test_not_created(state);
}

/* --- Pty and CloseStdin where they fit --- */

static void test_pty(void **state)
{
	struct bed *bed = *state;
	Cleat__Shim2017__CreateRequest r;
	Cleat__Shim2017__CreateResponse *ok;
	Cleat__Shim2017__PtyRequest pty = CLEAT__SHIM2017__PTY_REQUEST__INIT;

	bed_config(bed, "[\"/bin/tool\",\"winsize-follow\"]", true);
	fill_create(bed, &r);
	r.terminal = 1;
	ok = bed_ok(bed, SHIM, "Create", &r, RESPONSE(create_response));
	pty.pid = ok->pid;
	bed_free(ok);
	pty.width = 70000;
	pty.height = 25;
	bed_refused_like(bed, SHIM, "Pty", &pty, EMPTY, CODE_INVALID_ARGUMENT, "container ID: ");
	pty.width = 101;
	pty.height = 31;
	bed_done(bed, SHIM, "Pty", &pty); /* before the start */
	start(bed);
	bed_await_text(bed, "31 101");
	pty.width = 99;
	bed_done(bed, SHIM, "Pty", &pty);
	bed_await_text(bed, "31 99");
	bed_finish(bed);
}

static void test_close_stdin(void **state)
{
	struct bed *bed = *state;
	_cleanup_free_ char *fifo = NULL;
	Cleat__Shim2017__CloseStdinRequest close_ = CLEAT__SHIM2017__CLOSE_STDIN_REQUEST__INIT;
	Cleat__Shim2017__CreateRequest r;
	FILE *in;

	if (asprintf(&fifo, "%s/in", bed->dir) < 0)
		abort();
	assert_int_equal(mkfifo(fifo, 0600), 0);
	bed_config(bed, "[\"/bin/tool\",\"cat\"]", false);
	fill_create(bed, &r);
	r.stdin = fifo;
	bed_free(bed_ok(bed, SHIM, "Create", &r, RESPONSE(create_response)));
	start(bed);
	in = fopen(fifo, "we");
	assert_non_null(in);
	fputs("what is queued", in);
	fflush(in);
	bed_done(bed, SHIM, "CloseStdin", &close_); /* though we still hold it open */
	assert_int_equal(bed_wait(bed, ""), 0);
	fclose(in);
	bed_await_text(bed, "what is queued");
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
		BOTH(test_life),
		BOTH(test_state),
		BOTH(test_strays),
		BOTH(test_kill),
		BOTH(test_exec_names),
		BOTH(test_exec_fails),
		BOTH(test_exec_bad_input),
		BOTH(test_create_bad_input),
		BOTH(test_not_created),
		BOTH(test_wrong_states),
		BOTH(test_pty),
		BOTH(test_close_stdin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

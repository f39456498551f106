/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The services over a real shim without a runtime: what they answer while there is no container,
 * how they word errors, callers that leave. Streams and endings are in test_services_streams.c.
 */
#include "shim/shim.h"

#include "common/pbtime.h"
#include "shim/request.h"
#include "shim2017.pb-c.h"
#include "test/unit/services_bed.h"

/* --- no container --- */

static void test_task_without_container(void **state)
{
	static const char *const no = "container web: not found";
	struct fixture *f = *state;
#define ID(type, NAME)                                                                             \
	Containerd__Task__V2__##type r_##type = CONTAINERD__TASK__V2__##NAME##__INIT;              \
	r_##type.id = (char *)"web"
#define REFUSED(type, method, response)                                                            \
	expect(f, TASK, method, &r_##type.base, response, CODE_NOT_FOUND, no);                     \
	expect(f, TASK3, method, &r_##type.base, response, CODE_NOT_FOUND, no)
	ID(StateRequest, STATE_REQUEST);
	ID(StartRequest, START_REQUEST);
	ID(DeleteRequest, DELETE_REQUEST);
	ID(PidsRequest, PIDS_REQUEST);
	ID(PauseRequest, PAUSE_REQUEST);
	ID(ResumeRequest, RESUME_REQUEST);
	ID(KillRequest, KILL_REQUEST);
	ID(ExecProcessRequest, EXEC_PROCESS_REQUEST);
	ID(ResizePtyRequest, RESIZE_PTY_REQUEST);
	ID(CloseIORequest, CLOSE_IOREQUEST);
	ID(WaitRequest, WAIT_REQUEST);
	ID(UpdateTaskRequest, UPDATE_TASK_REQUEST);
	ID(StatsRequest, STATS_REQUEST);

	REFUSED(StateRequest, "State", &containerd__task__v2__state_response__descriptor);
	REFUSED(StartRequest, "Start", &containerd__task__v2__start_response__descriptor);
	REFUSED(DeleteRequest, "Delete", &containerd__task__v2__delete_response__descriptor);
	REFUSED(PidsRequest, "Pids", &containerd__task__v2__pids_response__descriptor);
	REFUSED(PauseRequest, "Pause", EMPTY);
	REFUSED(ResumeRequest, "Resume", EMPTY);
	REFUSED(KillRequest, "Kill", EMPTY);
	REFUSED(ExecProcessRequest, "Exec", EMPTY);
	REFUSED(ResizePtyRequest, "ResizePty", EMPTY);
	REFUSED(CloseIORequest, "CloseIO", EMPTY);
	REFUSED(WaitRequest, "Wait", &containerd__task__v2__wait_response__descriptor);
	REFUSED(UpdateTaskRequest, "Update", EMPTY);
	REFUSED(StatsRequest, "Stats", &containerd__task__v2__stats_response__descriptor);
}

static void test_checkpoint_without_container(void **state)
{
	struct fixture *f = *state;
	Containerd__Task__V2__CheckpointTaskRequest checkpoint =
		CONTAINERD__TASK__V2__CHECKPOINT_TASK_REQUEST__INIT;
	Cleat__Shim2017__CheckpointRequest old = CLEAT__SHIM2017__CHECKPOINT_REQUEST__INIT;

	checkpoint.id = (char *)"web";
	expect(f, TASK, "Checkpoint", &checkpoint.base, EMPTY, CODE_NOT_FOUND,
		"container web: not found");
	expect(f, SHIM, "Checkpoint", &old.base, EMPTY, CODE_FAILED_PRECONDITION,
		"container web: not created");
}

static void test_connect_without_container(void **state)
{
	Containerd__Task__V2__ConnectRequest r = CONTAINERD__TASK__V2__CONNECT_REQUEST__INIT;
	struct fixture *f = *state;
	const Containerd__Task__V2__ConnectResponse *ok;
	struct answer a;

	r.id = (char *)"web";
	call(f, TASK3, "Connect", &r.base, &containerd__task__v2__connect_response__descriptor, &a);
	assert_int_equal(a.code, 0);
	ok = (const void *)a.ok;
	assert_int_equal(ok->shim_pid, getpid());
	assert_int_equal(ok->task_pid, 0);
	assert_string_equal(ok->version, CLEAT_VERSION);
	answer_free(&a);
}

static void test_2017_without_container(void **state)
{
	static const char *const no = "container web: not created";
	struct fixture *f = *state;
#define OLD(type, NAME) Cleat__Shim2017__##type r_##type = CLEAT__SHIM2017__##NAME##__INIT
#define REFUSED_2017(type, method, response, code)                                                 \
	expect(f, SHIM, method, &r_##type.base, response, code, no)
	OLD(StartRequest, START_REQUEST);
	OLD(DeleteRequest, DELETE_REQUEST);
	OLD(ExecRequest, EXEC_REQUEST);
	OLD(StateRequest, STATE_REQUEST);
	OLD(ProcessesRequest, PROCESSES_REQUEST);
	OLD(PauseRequest, PAUSE_REQUEST);
	OLD(ResumeRequest, RESUME_REQUEST);
	OLD(KillRequest, KILL_REQUEST);
	OLD(PtyRequest, PTY_REQUEST);
	OLD(CloseStdinRequest, CLOSE_STDIN_REQUEST);

	REFUSED_2017(StartRequest, "Start", EMPTY, CODE_FAILED_PRECONDITION);
	REFUSED_2017(DeleteRequest, "Delete", &cleat__shim2017__delete_response__descriptor,
		CODE_NOT_FOUND);
	REFUSED_2017(ExecRequest, "Exec", &cleat__shim2017__exec_response__descriptor,
		CODE_FAILED_PRECONDITION);
	REFUSED_2017(StateRequest, "State", &cleat__shim2017__state_response__descriptor,
		CODE_NOT_FOUND);
	REFUSED_2017(ProcessesRequest, "Processes",
		&cleat__shim2017__processes_response__descriptor, CODE_NOT_FOUND);
	REFUSED_2017(PauseRequest, "Pause", EMPTY, CODE_FAILED_PRECONDITION);
	REFUSED_2017(ResumeRequest, "Resume", EMPTY, CODE_FAILED_PRECONDITION);
	REFUSED_2017(KillRequest, "Kill", EMPTY, CODE_NOT_FOUND);
	REFUSED_2017(CloseStdinRequest, "CloseStdin", EMPTY, CODE_NOT_FOUND);
	expect(f, SHIM, "Pty", &r_PtyRequest.base, EMPTY, CODE_INVALID_ARGUMENT,
		"container web: pid must not be 0");
	r_PtyRequest.pid = 1;
	REFUSED_2017(PtyRequest, "Pty", EMPTY, CODE_NOT_FOUND);
}

static void test_create_refused(void **state)
{
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	const ProtobufCMessageDescriptor *response =
		&containerd__task__v2__create_task_response__descriptor;
	Cleat__Shim2017__CreateRequest old = CLEAT__SHIM2017__CREATE_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	struct fixture *f = *state;

	expect(f, TASK, "Create", &r.base, response, CODE_INVALID_ARGUMENT,
		"container id must not be empty");
	r.id = (char *)"other";
	r.bundle = (char *)"/b";
	expect(f, TASK, "Create", &r.base, response, CODE_INVALID_ARGUMENT,
		"this shim is for container web, not for \"other\"");
	r.id = (char *)"web";
	r.checkpoint = (char *)"/c";
	expect(f, TASK, "Create", &r.base, response, CODE_NOT_FOUND,
		"checkpoint \"/c\": No such file or directory");
	r.checkpoint = (char *)"";
	r.parent_checkpoint = (char *)"/p";
	expect(f, TASK, "Create", &r.base, response, CODE_UNIMPLEMENTED,
		"parent_checkpoint \"/p\": no runtime's restore takes one");
	r.parent_checkpoint = (char *)"";
	any.type_url = (char *)"a.b.C";
	r.options = &any;
	expect(f, TASK, "Create", &r.base, response, CODE_INVALID_ARGUMENT,
		"options of type \"a.b.C\" are not known");
	old.id = (char *)"web";
	old.bundle = (char *)"/nonexistent/bundle";
	old.checkpoint = (char *)"/c";
	expect(f, SHIM, "Create", &old.base, &cleat__shim2017__create_response__descriptor,
		CODE_NOT_FOUND, "container web: checkpoint \"/c\": No such file or directory");
	old.checkpoint = (char *)"";
	old.parent_checkpoint = (char *)"/p";
	expect(f, SHIM, "Create", &old.base, &cleat__shim2017__create_response__descriptor,
		CODE_UNIMPLEMENTED,
		"container web: parent_checkpoint \"/p\": no runtime's restore takes one");
	assert_null(f->shim->container);
}

static void test_unknown_calls(void **state)
{
	Containerd__Task__V2__StateRequest r = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
	struct fixture *f = *state;

	expect(f, "containerd.task.v4.Task", "State", &r.base, EMPTY, CODE_UNIMPLEMENTED,
		"service containerd.task.v4.Task");
	expect(f, TASK, "Sate", &r.base, EMPTY, CODE_UNIMPLEMENTED, "method Sate");
	expect(f, MONITOR, "State", &r.base, EMPTY, CODE_UNIMPLEMENTED, "method State");
}

/* --- requests --- */

static void begin_wait(struct fixture *f, const char *exec_id, struct answer *a)
{
	Containerd__Task__V2__WaitRequest r = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;

	r.id = (char *)"web";
	r.exec_id = (char *)exec_id;
	begin(f, TASK, "Wait", &r.base, &containerd__task__v2__wait_response__descriptor, a);
	for (int i = 0; i < 3; i++)
		turn(f);
}

static void check_exit(struct answer *a, uint32_t status)
{
	const Containerd__Task__V2__WaitResponse *ok = (const void *)a->ok;

	assert_true(a->ended);
	assert_int_equal(a->code, 0);
	assert_int_equal(ok->exit_status, status);
	assert_int_equal(pbtime_get(ok->exited_at), 1000000001);
	answer_free(a);
}

static void test_waits(void **state)
{
	struct fixture *f = *state;
	struct process *p = add_container(f);
	struct answer a, b, late, none;

	begin_wait(f, "", &a);
	begin_wait(f, "", &b);
	begin_wait(f, "probe", &none);
	assert_false(a.ended || b.ended);
	assert_int_equal(none.code, CODE_NOT_FOUND);
	assert_string_equal(none.message, "exec probe in container web: not found");
	answer_free(&none);
	tell_exit(p, 7);
	for (int i = 0; i < 3; i++)
		turn(f);
	check_exit(&a, 7);
	check_exit(&b, 7);
	begin_wait(f, "", &late);
	check_exit(&late, 7);
}

/* Unknown is 255 on this wire, its clients' own word for it. */
static void test_wait_for_unknown(void **state)
{
	struct fixture *f = *state;
	struct process *p = add_container(f);
	struct answer a;

	begin_wait(f, "", &a);
	tell_exit(p, 0);
	turn(f);
	answer_free(&a);
	p->exit.known = false;
	begin_wait(f, "", &a);
	check_exit(&a, 255);
}

/* A caller that has left is not waited for; the others are answered. */
static void test_caller_leaves(void **state)
{
	struct fixture *f = *state;
	struct process *p = add_container(f);
	struct ttrpc_client *mine = f->client;
	struct answer a, gone = { 0 };

	f->client = connect_to(f->shim);
	begin_wait(f, "", &gone);
	ttrpc_client_free(f->client);
	f->client = mine;
	begin_wait(f, "", &a);
	assert_int_equal(ttrpc_server_n_connections(f->shim->server), 1);
	tell_exit(p, 3);
	turn(f);
	turn(f);
	check_exit(&a, 3);
	assert_false(gone.ended);
}

/* A process that goes away without ever having run leaves nobody waiting. */
static void test_wait_for_deleted(void **state)
{
	struct fixture *f = *state;
	struct process *p = add_container(f);
	struct answer a;

	begin_wait(f, "", &a);
	process_wake(p, NULL);
	turn(f);
	turn(f);
	assert_int_equal(a.code, CODE_NOT_FOUND);
	assert_string_equal(a.message, "the process was deleted without having been started");
	answer_free(&a);
}

/* --- the limit of processes --- */

static void begin_exec(struct fixture *f, const char *exec_id, struct answer *a)
{
	static const char spec[] = "{\"args\":[\"x\"],\"cwd\":\"/\"}";
	Containerd__Task__V2__ExecProcessRequest r =
		CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;

	any.value.data = (uint8_t *)spec;
	any.value.len = strlen(spec);
	r.id = (char *)"web";
	r.exec_id = (char *)exec_id;
	r.spec = &any;
	call(f, TASK, "Exec", &r.base, EMPTY, a);
}

static void delete_exec(struct fixture *f, const char *exec_id)
{
	Containerd__Task__V2__DeleteRequest r = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;

	r.id = (char *)"web";
	r.exec_id = (char *)exec_id;
	expect(f, TASK, "Delete", &r.base, &containerd__task__v2__delete_response__descriptor,
		CODE_OK, NULL);
}

/* The last there may be is added as through any client; those before it would take their time. */
static void test_process_limit(void **state)
{
	struct fixture *f = *state;
	struct container *c = add_container(f)->container;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct answer a;
	char id[16];

	assert_int_equal(ledger_open(f->shim->dir.fd, &f->shim->ledger, &err), 0);
	c->n_processes = LIMIT_PROCESSES - 2;
	for (unsigned i = 3; i < LIMIT_PROCESSES; i++) {
		struct process *p;

		snprintf(id, sizeof(id), "e%u", i);
		assert_int_equal(process_new(c, id, &p), 0);
		p->status = PROCESS_CREATED;
		list_append(&c->processes, &p->processes_link);
	}
	begin_exec(f, "one-below", &a);
	assert_int_equal(a.code, CODE_OK);
	answer_free(&a);
	begin_exec(f, "at", &a);
	assert_int_equal(a.code, CODE_OK);
	answer_free(&a);
	for (unsigned i = 0; i < 50; i++) {
		begin_exec(f, "above", &a);
		assert_int_equal(a.code, CODE_RESOURCE_EXHAUSTED);
		assert_string_equal(
			a.message, "container web has 4096 processes, the most that are kept");
		answer_free(&a);
	}
	delete_exec(f, "at");
	begin_exec(f, "again", &a);
	assert_int_equal(a.code, CODE_OK);
	answer_free(&a);
	begin_exec(f, "above", &a);
	assert_int_equal(a.code, CODE_RESOURCE_EXHAUSTED);
	answer_free(&a);
}

/* --- wording, with a service that fails as the core would --- */

struct failing {
	struct shim *shim;
	enum wording wording;
	enum code code;
	const char *message, *words;
	enum runtime_verb verb;
};

static void failing_call(struct ttrpc_call *c, const ProtobufCMessage *request, void *userdata)
{
	const struct failing *t = userdata;
	const struct op_result result = { .verb = t->verb, .words = t->words };
	struct error err = { t->code, (char *)t->message };
	struct request *r = request_new(t->shim, c, t->wording, request_reply_empty);

	(void)request;
	request_done(&err, &result, r);
}

static const struct ttrpc_method failing_methods[] = {
	{ "Fail", &google__protobuf__empty__descriptor, &google__protobuf__empty__descriptor, false,
		failing_call },
};

static void test_wording(void **state)
{
	static const struct {
		enum wording wording;
		enum code code;
		const char *message, *words;
		enum runtime_verb verb;
		const char *want;
	} tries[] = {
		{ WORDING_TASK, CODE_UNKNOWN, "runc create: no such file", "no such file",
			RUNTIME_CREATE, "OCI runtime create failed: no such file" },
		{ WORDING_TASK, CODE_UNKNOWN, "runc start: x", "x", RUNTIME_START,
			"OCI runtime start failed: x" },
		{ WORDING_TASK, CODE_UNKNOWN, "runc exec: x", "x", RUNTIME_EXEC,
			"OCI runtime exec failed: x" },
		{ WORDING_TASK, CODE_NOT_FOUND, "runc kill: x", "x", RUNTIME_KILL,
			"OCI runtime kill failed: x" },
		{ WORDING_TASK, CODE_DEADLINE_EXCEEDED, "runc create: no answer in 60 s", NULL,
			RUNTIME_CREATE, "runc create: no answer in 60 s" },
		{ WORDING_TASK, CODE_NOT_FOUND, "process already finished", NULL, RUNTIME_CREATE,
			"process already finished" },
		{ WORDING_NAMED, CODE_UNKNOWN, "runc create: no such file", "no such file",
			RUNTIME_CREATE, "container web: runc create: no such file" },
		{ WORDING_NAMED, CODE_ALREADY_EXISTS, "container web already exists", NULL,
			RUNTIME_CREATE, "container web already exists" },
		{ WORDING_NAMED, CODE_NOT_FOUND, "container website is not here", NULL,
			RUNTIME_CREATE, "container web: container website is not here" },
		{ WORDING_NAMED, CODE_UNKNOWN, NULL, NULL, RUNTIME_CREATE,
			"container web: UNKNOWN" },
	};
	Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct fixture *f = *state;
	struct failing t = { .shim = f->shim };

	ttrpc_server_add_service(f->shim->server, "test.Failing", failing_methods, 1, &t);
	for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
		t.wording = tries[i].wording;
		t.code = tries[i].code;
		t.message = tries[i].message;
		t.words = tries[i].words;
		t.verb = tries[i].verb;
		expect(f, "test.Failing", "Fail", &empty.base, EMPTY, t.code, tries[i].want);
	}
}

/* How many execs the file of the state tells. */
static size_t n_saved(const struct fixture *f)
{
	_cleanup_(container_record_deinit) struct container_record r = { 0 };
	_cleanup_error_ struct error err = ERROR_INIT;

	if (container_record_read(&f->shim->dir, &r, &err) != 0)
		fail_msg("%s", error_message(&err));
	return r.n_execs;
}

static void add_execs(struct container *c, size_t n)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct process *p;
	char exec_id[32];

	while (c->n_processes < n + 1) {
		struct exec_params params = { .exec_id = exec_id,
			.spec = "{\"args\":[\"x\"],\"cwd\":\"/\"}" };

		params.n_spec = strlen(params.spec);
		snprintf(exec_id, sizeof(exec_id), "e%zu", c->n_processes);
		if (container_exec(c, &params, &p, &err) != 0)
			fail_msg("%s", error_message(&err));
	}
}

/* Of few execs each change is written at once; of many it is written soon, and not each by itself. */
static void test_state_of_many_execs(void **state)
{
	struct fixture *f = *state;
	struct container *c = add_container(f)->container;

	add_execs(c, 63);
	assert_int_equal(n_saved(f), 63);
	add_execs(c, 500);
	assert_int_equal(n_saved(f), 63);
	event_base_loop(f->shim->base, EVLOOP_ONCE); /* nothing else happens there */
	assert_int_equal(n_saved(f), 500);
	/* what is said about the init is written at once, and all the rest with it */
	add_execs(c, 501);
	assert_int_equal(n_saved(f), 500);
	container_save(c);
	assert_int_equal(n_saved(f), 501);
	/* and nothing is owed when the shim ends in order */
	add_execs(c, 502);
	container_free(c);
	assert_int_equal(n_saved(f), 502);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_task_without_container),
		TEST(test_checkpoint_without_container),
		TEST(test_connect_without_container),
		TEST(test_2017_without_container),
		TEST(test_create_refused),
		TEST(test_unknown_calls),
		TEST(test_waits),
		TEST(test_wait_for_unknown),
		TEST(test_caller_leaves),
		TEST(test_wait_for_deleted),
		TEST(test_process_limit),
		TEST(test_wording),
		TEST(test_state_of_many_execs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

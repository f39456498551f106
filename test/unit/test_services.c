/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The services over a real shim without a runtime: what they answer while there is no container,
 * how they word errors, callers that leave, and streams of events with slow readers. The shim runs
 * in this process, on the same loop as its clients.
 */
#include "shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "common/file.h"
#include "common/limits.h"
#include "common/pbtime.h"
#include "common/ttrpc_client.h"
#include "events.pb-c.h"
#include "monitor.pb-c.h"
#include "shim/container_life.h"
#include "shim/request.h"
#include "shim2017.pb-c.h"
#include "task.pb-c.h"

#define TASK	"containerd.task.v2.Task"
#define TASK3	"containerd.task.v3.Task"
#define SHIM	"containerd.v1.services.shim.Shim"
#define MONITOR "cleat.shim.v1.Monitor"
#define EMPTY	(&google__protobuf__empty__descriptor)

struct fixture {
	char root[64];
	struct shim *shim;
	struct ttrpc_client *client;
};

/* One answer, or the last of a stream. */
struct answer {
	bool ended;
	int code;
	char *message;	      /* of an error */
	ProtobufCMessage *ok; /* a copy */
};

static struct ttrpc_client *connect_to(struct shim *shim)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct ttrpc_client *client;
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(ttrpc_server_adopt(shim->server, fds[0]), 0);
	assert_int_equal(ttrpc_client_new(fds[1], shim->base, &client, &err), 0);
	return client;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	_cleanup_error_ struct error err = ERROR_INIT;
	struct state_dir dir = STATE_DIR_INIT;
	struct shim_options o = { .ns = "default", .id = "web", .lock_fd = -1 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(f->root, "/tmp/cleat-test-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	o.root = f->root;
	assert_int_equal(state_prepare(f->root, o.ns, &err), 0);
	assert_int_equal(state_dir_create(f->root, o.ns, o.id, &dir, &err), 0);
	o.lock_fd = TAKE_FD(dir.lock_fd);
	state_dir_close(&dir);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", f->root);
	o.socket_path = address.sun_path;
	o.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(o.listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(o.listen_fd, 1), 0);
	if (shim_new(&o, &f->shim, &err) != 0)
		fail_msg("%s", error_message(&err));
	f->client = connect_to(f->shim);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ttrpc_client_free(f->client);
	shim_free(f->shim);
	remove_tree(AT_FDCWD, f->root);
	free(f);
	return 0;
}

static ProtobufCMessage *copy_of(const ProtobufCMessage *m)
{
	size_t n = protobuf_c_message_get_packed_size(m);
	_cleanup_free_ uint8_t *bytes = malloc(n + 1);

	protobuf_c_message_pack(m, bytes);
	return protobuf_c_message_unpack(m->descriptor, NULL, n, bytes);
}

static void answer_free(struct answer *a)
{
	free(a->message);
	if (a->ok)
		protobuf_c_message_free_unpacked(a->ok, NULL);
	*a = (struct answer){ 0 };
}

static void on_answer(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct answer *a = userdata;

	a->ended = true;
	a->code = code;
	if (code)
		a->message = strdup(error_message(err));
	else
		a->ok = copy_of(message);
}

static void begin(struct fixture *f, const char *service, const char *method,
	const ProtobufCMessage *message, const ProtobufCMessageDescriptor *response,
	struct answer *a)
{
	const struct ttrpc_request request = {
		.service = service, .method = method, .message = message, .response = response
	};
	_cleanup_error_ struct error err = ERROR_INIT;

	*a = (struct answer){ 0 };
	assert_int_equal(ttrpc_client_begin(f->client, &request, 0, on_answer, a, NULL, &err), 0);
}

static void turn(struct fixture *f)
{
	event_base_loop(f->shim->base, EVLOOP_NONBLOCK);
}

static void call(struct fixture *f, const char *service, const char *method,
	const ProtobufCMessage *message, const ProtobufCMessageDescriptor *response,
	struct answer *a)
{
	begin(f, service, method, message, response, a);
	while (!a->ended)
		event_base_loop(f->shim->base, EVLOOP_ONCE);
}

static void expect(struct fixture *f, const char *service, const char *method,
	const ProtobufCMessage *message, const ProtobufCMessageDescriptor *response, int code,
	const char *sentence)
{
	struct answer a;

	call(f, service, method, message, response, &a);
	if (a.code != code || (code && strcmp(a.message, sentence) != 0))
		fail_msg("%s %s: %s \"%s\" instead of %s \"%s\"", service, method,
			code_name(a.code), a.message ? a.message : "", code_name(code),
			sentence ? sentence : "");
	answer_free(&a);
}

/* A container as Create leaves it, without the runtime; it goes with the shim. */
static struct process *add_container(struct fixture *f)
{
	struct container *c = container_new(f->shim);
	struct process *p;

	assert_int_equal(process_new(c, "", &p), 0);
	c->init = p;
	c->id = strdup("web");
	c->bundle_path = strdup("/b");
	c->n_processes = 1;
	c->runtime.command = strdup("/usr/bin/runc");
	c->bundle.path = strdup(f->root);
	p->stdin_uri = strdup("");
	p->stdout_uri = strdup("/o");
	p->stderr_uri = strdup("");
	p->pid = 42;
	p->status = PROCESS_RUNNING;
	return p;
}

static void tell_exit(struct process *p, uint32_t status)
{
	p->exit = (struct process_exit){ .known = true, .status = status, .at = 1000000001 };
	p->exited = p->announced = true;
	p->status = PROCESS_STOPPED;
	process_wake(p, &p->exit);
}

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
}

static void test_task_not_there_yet(void **state)
{
	struct fixture *f = *state;
	Containerd__Task__V2__CheckpointTaskRequest checkpoint =
		CONTAINERD__TASK__V2__CHECKPOINT_TASK_REQUEST__INIT;
	Containerd__Task__V2__UpdateTaskRequest update =
		CONTAINERD__TASK__V2__UPDATE_TASK_REQUEST__INIT;
	Containerd__Task__V2__StatsRequest stats = CONTAINERD__TASK__V2__STATS_REQUEST__INIT;
	Cleat__Shim2017__CheckpointRequest old = CLEAT__SHIM2017__CHECKPOINT_REQUEST__INIT;

	expect(f, TASK, "Checkpoint", &checkpoint.base, EMPTY, CODE_UNIMPLEMENTED,
		"Checkpoint is not implemented");
	expect(f, TASK, "Update", &update.base, EMPTY, CODE_UNIMPLEMENTED,
		"Update is not implemented");
	expect(f, TASK, "Stats", &stats.base, &containerd__task__v2__stats_response__descriptor,
		CODE_UNIMPLEMENTED, "Stats is not implemented");
	expect(f, SHIM, "Checkpoint", &old.base, EMPTY, CODE_UNIMPLEMENTED,
		"container web: Checkpoint is not implemented");
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
	expect(f, TASK, "Create", &r.base, response, CODE_UNIMPLEMENTED,
		"restoring a container (checkpoint \"/c\") is not implemented");
	r.checkpoint = (char *)"";
	r.parent_checkpoint = (char *)"/p";
	expect(f, TASK, "Create", &r.base, response, CODE_UNIMPLEMENTED,
		"parent_checkpoint \"/p\" is not implemented");
	r.parent_checkpoint = (char *)"";
	any.type_url = (char *)"a.b.C";
	r.options = &any;
	expect(f, TASK, "Create", &r.base, response, CODE_INVALID_ARGUMENT,
		"options of type \"a.b.C\" are not known");
	old.id = (char *)"web";
	old.bundle = (char *)"/nonexistent/bundle";
	old.checkpoint = (char *)"/c";
	expect(f, SHIM, "Create", &old.base, &cleat__shim2017__create_response__descriptor,
		CODE_UNIMPLEMENTED,
		"container web: restoring a container (checkpoint \"/c\") is not implemented");
	old.checkpoint = (char *)"";
	old.parent_checkpoint = (char *)"/p";
	expect(f, SHIM, "Create", &old.base, &cleat__shim2017__create_response__descriptor,
		CODE_UNIMPLEMENTED, "container web: parent_checkpoint \"/p\" is not implemented");
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

/* --- streams --- */

struct stream {
	struct fixture *f;
	unsigned n;
	uint64_t last_seq, n_missed, epoch;
	bool ended, is_2017;
	int code;
	char message[256];
};

static void on_event(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct stream *s = userdata;
	const Cleat__Shim__V1__Event *e = (const void *)message;

	if (!message) {
		s->ended = true;
		s->code = code;
		snprintf(s->message, sizeof(s->message), "%s", code ? error_message(err) : "");
		return;
	}
	s->n++;
	if (s->is_2017)
		return;
	s->epoch = e->epoch;
	assert_int_equal(e->seq, s->last_seq + e->missed + 1);
	assert_string_equal(e->namespace_, "default");
	assert_true(pbtime_get(e->time) != 0);
	s->last_seq = e->seq;
	s->n_missed += e->missed;
}

static void subscribe(struct fixture *f, struct ttrpc_client *client, uint64_t epoch,
	uint64_t since, struct stream *s)
{
	Cleat__Shim__V1__SubscribeRequest r = CLEAT__SHIM__V1__SUBSCRIBE_REQUEST__INIT;
	const struct ttrpc_request request = {
		.service = MONITOR,
		.method = "Subscribe",
		.message = &r.base,
		.response = &cleat__shim__v1__event__descriptor,
	};
	_cleanup_error_ struct error err = ERROR_INIT;

	*s = (struct stream){ .f = f, .last_seq = since };
	r.epoch = epoch;
	r.since = since;
	assert_int_equal(ttrpc_client_begin(client, &request, 1, on_event, s, NULL, &err), 0);
	for (int i = 0; i < 5; i++)
		turn(f);
}

static void subscribe_2017(struct fixture *f, struct stream *s)
{
	Cleat__Shim2017__EventsRequest r = CLEAT__SHIM2017__EVENTS_REQUEST__INIT;
	const struct ttrpc_request request = {
		.service = SHIM,
		.method = "Events",
		.message = &r.base,
		.response = &cleat__shim2017__types__event__descriptor,
	};
	_cleanup_error_ struct error err = ERROR_INIT;

	*s = (struct stream){ .f = f, .is_2017 = true };
	assert_int_equal(ttrpc_client_begin(f->client, &request, 1, on_event, s, NULL, &err), 0);
	for (int i = 0; i < 5; i++)
		turn(f);
}

static void add(struct fixture *f, enum event_kind kind)
{
	const struct event_args args = { .kind = kind, .container_id = "web", .pid = 42 };

	assert_int_equal(events_add(f->shim->events, &args), 0);
}

/* Turns the loop until nothing happens any more. */
static void settle(struct fixture *f, const struct stream *s)
{
	for (unsigned quiet = 0, n = s->n; quiet < 5; quiet++) {
		turn(f);
		if (s->n != n)
			quiet = 0;
		n = s->n;
	}
}

static void test_subscribe(void **state)
{
	struct fixture *f = *state;
	uint64_t epoch = events_epoch(f->shim->events);
	struct stream all, some, other;

	for (int i = 0; i < 5; i++)
		add(f, EVENT_PAUSED);
	subscribe(f, f->client, 0, 0, &all);
	subscribe(f, f->client, epoch, 3, &some);
	assert_int_equal(all.n, 5);
	assert_int_equal(all.epoch, epoch);
	assert_int_equal(some.n, 2);
	/* a number of another epoch says nothing */
	subscribe(f, f->client, epoch + 1, 0, &other);
	assert_int_equal(other.n, 5);
	add(f, EVENT_RESUMED);
	settle(f, &all);
	assert_int_equal(all.n, 6);
	assert_int_equal(some.n, 3);
	assert_int_equal(all.n_missed + some.n_missed, 0);
	events_end(f->shim->events);
	settle(f, &all);
	assert_true(all.ended && some.ended && other.ended);
	assert_int_equal(all.code + some.code + other.code, 0);
}

static void test_another_epoch_is_from_the_start(void **state)
{
	struct fixture *f = *state;
	struct stream s;

	for (int i = 0; i < 3; i++)
		add(f, EVENT_PAUSED);
	s.last_seq = 0;
	{
		Cleat__Shim__V1__SubscribeRequest r = CLEAT__SHIM__V1__SUBSCRIBE_REQUEST__INIT;
		const struct ttrpc_request request = {
			.service = MONITOR,
			.method = "Subscribe",
			.message = &r.base,
			.response = &cleat__shim__v1__event__descriptor,
		};
		_cleanup_error_ struct error err = ERROR_INIT;

		s = (struct stream){ .f = f };
		r.epoch = events_epoch(f->shim->events) ^ 1;
		r.since = 2;
		assert_int_equal(
			ttrpc_client_begin(f->client, &request, 1, on_event, &s, NULL, &err), 0);
	}
	for (int i = 0; i < 5; i++)
		turn(f);
	assert_int_equal(s.n, 3);
}

/* One that does not read for a while is told how much it missed, and costs nobody anything. */
static void test_slow_reader(void **state)
{
	const unsigned n = 30000;
	struct fixture *f = *state;
	struct stream s;

	subscribe(f, f->client, 0, 0, &s);
	for (unsigned i = 0; i < n; i++)
		add(f, EVENT_PAUSED); /* the client reads nothing: its loop does not turn */
	settle(f, &s);
	assert_false(s.ended);
	assert_true(s.n_missed > 0);
	assert_int_equal(s.n + s.n_missed, n);
	assert_int_equal(s.last_seq, n);
	add(f, EVENT_PAUSED);
	settle(f, &s);
	assert_int_equal(s.last_seq, n + 1);
}

/* At the end a slow reader still gets all that is kept. */
static void test_end_with_slow_reader(void **state)
{
	struct fixture *f = *state;
	struct stream s;

	subscribe(f, f->client, 0, 0, &s);
	for (unsigned i = 0; i < 30000; i++)
		add(f, EVENT_PAUSED);
	events_end(f->shim->events);
	settle(f, &s);
	assert_true(s.ended);
	assert_int_equal(s.code, 0);
	assert_int_equal(s.last_seq, 30000);
}

static void test_2017_events(void **state)
{
	static const enum event_kind kinds[] = { EVENT_CREATE, EVENT_START, EVENT_EXEC_ADDED,
		EVENT_EXEC_STARTED, EVENT_PAUSED, EVENT_RESUMED, EVENT_DELETE, EVENT_EXIT };
	struct fixture *f = *state;
	struct stream s;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		add(f, kinds[i]);
	subscribe_2017(f, &s);
	assert_int_equal(s.n, 5); /* create, start, exec-started, paused, exit */
	events_end(f->shim->events);
	settle(f, &s);
	assert_true(s.ended);
	assert_int_equal(s.code, 0);
}

static void test_2017_overrun(void **state)
{
	struct fixture *f = *state;
	unsigned long long n;
	struct stream s;

	subscribe_2017(f, &s);
	for (unsigned i = 0; i < 50000; i++)
		add(f, EVENT_PAUSED);
	settle(f, &s);
	assert_true(s.ended);
	assert_int_equal(s.code, CODE_DATA_LOSS);
	assert_int_equal(
		sscanf(s.message, "container web: %llu events were lost to this reader", &n), 1);
	assert_true(n > 0 && n + s.n <= 50000);
	/* who comes later than the oldest kept has lost nothing */
	subscribe_2017(f, &s);
	settle(f, &s);
	assert_false(s.ended);
	assert_true(s.n > 1000);
}

/* A reader that leaves in the middle takes only itself along. */
static void test_reader_leaves(void **state)
{
	struct fixture *f = *state;
	struct ttrpc_client *other = connect_to(f->shim);
	struct stream s, gone;

	subscribe(f, f->client, 0, 0, &s);
	subscribe(f, other, 0, 0, &gone);
	add(f, EVENT_PAUSED);
	ttrpc_client_free(other);
	add(f, EVENT_PAUSED);
	settle(f, &s);
	add(f, EVENT_PAUSED);
	settle(f, &s);
	assert_int_equal(s.n, 3);
	assert_int_equal(ttrpc_server_n_connections(f->shim->server), 1);
}

/* --- Monitor's other calls --- */

static void test_info(void **state)
{
	Cleat__Shim__V1__InfoRequest r = CLEAT__SHIM__V1__INFO_REQUEST__INIT;
	const ProtobufCMessageDescriptor *response = &cleat__shim__v1__info_response__descriptor;
	const Cleat__Shim__V1__InfoResponse *ok;
	struct fixture *f = *state;
	struct process *p;
	struct answer a;
	int root;

	call(f, MONITOR, "Info", &r.base, response, &a);
	ok = (const void *)a.ok;
	assert_string_equal(ok->id, "web");
	assert_string_equal(ok->namespace_, "default");
	assert_string_equal(ok->version, CLEAT_VERSION);
	assert_string_equal(ok->status, "");
	assert_string_equal(ok->socket, f->shim->socket_path);
	assert_non_null(strstr(ok->state_dir, "/c/default/web"));
	assert_int_equal(ok->shim_pid, getpid());
	assert_int_equal(ok->epoch, events_epoch(f->shim->events));
	assert_int_equal(ok->next_seq, 1);
	assert_int_equal(ok->connections, 1);
	assert_int_equal(ok->n_processes, 0);
	answer_free(&a);

	p = add_container(f);
	root = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(file_write_atomic(root, "config.json", "{ }", 3, 0600), 0);
	close(root);
	call(f, MONITOR, "Info", &r.base, response, &a);
	ok = (const void *)a.ok;
	assert_string_equal(ok->status, "running");
	assert_string_equal(ok->runtime, "/usr/bin/runc");
	assert_string_equal(ok->bundle, "/b");
	assert_string_equal(ok->stdout, "/o");
	assert_int_equal(ok->pid, 42);
	assert_int_equal(ok->n_processes, 1);
	assert_string_equal(ok->processes[0]->status, "running");
	assert_int_equal(ok->spec.len, 3);
	assert_memory_equal(ok->spec.data, "{ }", 3);
	assert_null(ok->exited_at);
	assert_false(ok->exit_known);
	answer_free(&a);

	tell_exit(p, 7);
	call(f, MONITOR, "Info", &r.base, response, &a);
	ok = (const void *)a.ok;
	assert_string_equal(ok->status, "stopped");
	assert_true(ok->exit_known);
	assert_int_equal(ok->exit_status, 7);
	assert_int_equal(pbtime_get(ok->exited_at), 1000000001);
	answer_free(&a);
}

static size_t n_records(struct fixture *f, const char *exec_id, bool all, uint32_t *status)
{
	Cleat__Shim__V1__ExitRecordsRequest r = CLEAT__SHIM__V1__EXIT_RECORDS_REQUEST__INIT;
	const Cleat__Shim__V1__ExitRecordsResponse *ok;
	struct answer a;
	size_t n;

	r.exec_id = (char *)exec_id;
	r.all = all;
	call(f, MONITOR, "ExitRecords", &r.base,
		&cleat__shim__v1__exit_records_response__descriptor, &a);
	assert_int_equal(a.code, 0);
	ok = (const void *)a.ok;
	n = ok->n_records;
	if (n)
		*status = ok->records[n - 1]->status;
	for (size_t i = 0; i < n; i++)
		assert_string_equal(ok->records[i]->id, "web");
	answer_free(&a);
	return n;
}

static void test_exit_records(void **state)
{
	struct fixture *f = *state;
	struct exit_entry e = { .id = (char *)"web",
		.exec_id = (char *)"probe",
		.pid = 5,
		.known = true,
		.status = 137,
		.signal = 9,
		.exited_at = 1000000001 };
	_cleanup_error_ struct error err = ERROR_INIT;
	uint32_t status = 0;

	assert_int_equal(n_records(f, "", true, &status), 0);
	assert_int_equal(ledger_open(f->shim->dir.fd, &f->shim->ledger, &err), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ledger_reserve(f->shim->ledger, &err), 0);
	assert_int_equal(ledger_append(f->shim->ledger, &e), 0);
	e.exec_id = (char *)"";
	e.status = 3;
	assert_int_equal(ledger_append(f->shim->ledger, &e), 0);
	e.exec_id = (char *)"x";
	e.known = false;
	e.status = 255;
	assert_int_equal(ledger_append(f->shim->ledger, &e), 0);
	assert_int_equal(n_records(f, "", true, &status), 3);
	assert_int_equal(n_records(f, "probe", false, &status), 1);
	assert_int_equal(status, 137);
	assert_int_equal(n_records(f, "", false, &status), 1);
	assert_int_equal(status, 3);
	/* what is not known is never told as a number */
	assert_int_equal(n_records(f, "x", false, &status), 1);
	assert_int_equal(status, 0);
	assert_int_equal(n_records(f, "none", false, &status), 0);
	ledger_free(f->shim->ledger);
	f->shim->ledger = NULL;
}

/* --- Exit and Shutdown --- */

static void test_exit_with_container(void **state)
{
	Cleat__Shim2017__ExitRequest r = CLEAT__SHIM2017__EXIT_REQUEST__INIT;
	Containerd__Task__V2__ShutdownRequest shutdown =
		CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;
	struct fixture *f = *state;
	struct process *p = add_container(f), *exec;

	expect(f, SHIM, "Exit", &r.base, EMPTY, CODE_FAILED_PRECONDITION,
		"container web: process 42 is alive");
	assert_int_equal(process_new(p->container, "probe", &exec), 0);
	exec->pid = 43;
	exec->status = PROCESS_RUNNING;
	list_append(&p->container->processes, &exec->processes_link);
	p->container->n_processes++;
	expect(f, SHIM, "Exit", &r.base, EMPTY, CODE_FAILED_PRECONDITION,
		"container web: processes 42, 43 are alive");
	exec->exited = true;
	tell_exit(p, 0);
	expect(f, SHIM, "Exit", &r.base, EMPTY, CODE_FAILED_PRECONDITION,
		"container web: it was not deleted yet");
	p->status = PROCESS_CREATING;
	expect(f, SHIM, "Exit", &r.base, EMPTY, CODE_FAILED_PRECONDITION,
		"container web: it is being created");
	expect(f, TASK, "Shutdown", &shutdown.base, EMPTY, CODE_OK, NULL);
	assert_false(f->shim->ending);
}

/* The answer comes before the end, and what is asked after it is refused. */
static void check_ending(
	struct fixture *f, const char *service, const char *method, const ProtobufCMessage *message)
{
	Containerd__Task__V2__ConnectRequest r = CONTAINERD__TASK__V2__CONNECT_REQUEST__INIT;
	struct answer ended, after;

	begin(f, service, method, message, EMPTY, &ended);
	begin(f, TASK, "Connect", &r.base, &containerd__task__v2__connect_response__descriptor,
		&after);
	while (!ended.ended || !after.ended)
		event_base_loop(f->shim->base, EVLOOP_ONCE);
	assert_int_equal(ended.code, 0);
	assert_int_equal(after.code, CODE_UNAVAILABLE);
	assert_true(f->shim->ending);
	answer_free(&ended);
	answer_free(&after);
}

static void test_2017_exit(void **state)
{
	Cleat__Shim2017__ExitRequest r = CLEAT__SHIM2017__EXIT_REQUEST__INIT;

	check_ending(*state, SHIM, "Exit", &r.base);
}

static void test_shutdown(void **state)
{
	Containerd__Task__V2__ShutdownRequest r = CONTAINERD__TASK__V2__SHUTDOWN_REQUEST__INIT;

	check_ending(*state, TASK, "Shutdown", &r.base);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_task_without_container),
		TEST(test_task_not_there_yet),
		TEST(test_connect_without_container),
		TEST(test_2017_without_container),
		TEST(test_create_refused),
		TEST(test_unknown_calls),
		TEST(test_waits),
		TEST(test_wait_for_unknown),
		TEST(test_caller_leaves),
		TEST(test_wait_for_deleted),
		TEST(test_wording),
		TEST(test_subscribe),
		TEST(test_another_epoch_is_from_the_start),
		TEST(test_slow_reader),
		TEST(test_end_with_slow_reader),
		TEST(test_2017_events),
		TEST(test_2017_overrun),
		TEST(test_reader_leaves),
		TEST(test_info),
		TEST(test_exit_records),
		TEST(test_exit_with_container),
		TEST(test_2017_exit),
		TEST(test_shutdown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

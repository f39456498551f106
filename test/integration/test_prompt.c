/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State, Connect, Pids and Wait are answered at once, whatever else the shim has to do: a runtime
 * that hangs in any of its calls, and 60 connections with 256 streams each that never rest.
 *
 * At once is 10 ms, as the median of many calls. A machine that is busy with other things does not
 * fail this: each call alternates with the same one on an idle shim, and where that one's median is
 * over 5 ms, twice its is the limit.
 * deadline: 120
 */
#include "test/integration/bed.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/file.h"

#define LIMIT_US  10000
#define ROUNDS	  41
#define N_CLIENTS 60
#define N_STREAMS 256

#define RESPONSE(name) (&containerd__task__v2__##name##__descriptor)

struct pair {
	struct bed *busy, *idle;
	char *gate, *hang, *began; /* files of the runtime that hangs */
};

/* --- the runtime: the real one, which waits at a gate in one of its calls --- */

static void write_runtime(struct pair *p)
{
	struct bed *bed = p->busy;
	_cleanup_free_ char *text = bed_format("#!/bin/sh\n"
					       "read -r verb <%s\n"
					       "case \" $* \" in *\" $verb \"*)\n"
					       "	: >%s; read -r line <%s ;;\n"
					       "esac\n"
					       "exec %s \"$@\"\n",
		p->hang, p->began, p->gate, bed->real_path);

	bed->command = bed_format("%s/slow-%s", bed->dir, bed_runtime());
	assert_int_equal(file_write_atomic(AT_FDCWD, bed->command, text, strlen(text), 0755), 0);
}

static void set_hang(struct pair *p, const char *verb)
{
	_cleanup_free_ char *line = bed_format("%s\n", verb);

	assert_int_equal(file_write_atomic(AT_FDCWD, p->hang, line, strlen(line), 0644), 0);
}

static void await_hang(struct pair *p)
{
	int64_t end = clock_monotonic_ms() + CALL_MS;

	while (access(p->began, F_OK) < 0) {
		if (clock_monotonic_ms() > end)
			fail_msg("the runtime never came to its gate");
		poll(NULL, 0, 2);
	}
	unlink(p->began);
}

/* The one that waits reads a line; nobody else is there to read it. */
static void open_gate(struct pair *p)
{
	_cleanup_close_ int fd = open(p->gate, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "\n", 1), 1);
}

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	void *bed;

	assert_int_equal(bed_setup_runc(&bed), 0);
	p->idle = bed;
	assert_int_equal(bed_setup_runc(&bed), 0);
	p->busy = bed;
	p->gate = bed_format("%s/gate", p->busy->dir);
	p->hang = bed_format("%s/hang", p->busy->dir);
	p->began = bed_format("%s/began", p->busy->dir);
	assert_int_equal(mkfifo(p->gate, 0600), 0);
	set_hang(p, "nothing");
	write_runtime(p);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;
	void *busy = p->busy, *idle = p->idle;
	int r;

	set_hang(p, "nothing");
	r = bed_teardown(&busy) | bed_teardown(&idle);
	free(p->gate);
	free(p->hang);
	free(p->began);
	free(p);
	return r;
}

/* --- how long a call takes --- */

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static const struct call {
	const char *method, *exec_id;
	const ProtobufCMessageDescriptor *request, *response;
} calls[] = {
	{ "State", "", RESPONSE(state_request), RESPONSE(state_response) },
	{ "Connect", "", RESPONSE(connect_request), RESPONSE(connect_response) },
	{ "Pids", "", RESPONSE(pids_request), RESPONSE(pids_response) },
	/* an exec that has ended: the answer is there */
	{ "Wait", "done", RESPONSE(wait_request), RESPONSE(wait_response) },
};
#define N_CALLS (sizeof(calls) / sizeof(*calls))

/* The answer may be that there is no such thing (yet): it is how long it takes that counts. */
static int64_t measure(struct bed *bed, const struct call *call)
{
	union {
		ProtobufCMessage base;
		Containerd__Task__V2__StateRequest state; /* these all begin with the two names */
		uint8_t room[256];
	} message;
	struct ttrpc_request request = { .service = TASK,
		.method = call->method,
		.message = &message.base,
		.response = call->response,
		.timeout_ms = CALL_MS };
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *answer = NULL;
	int64_t begun;
	int r;

	protobuf_c_message_init(call->request, &message);
	message.state.id = bed->id;
	if (*call->exec_id)
		message.state.exec_id = (char *)call->exec_id;
	begun = now_us();
	r = ttrpc_client_call(bed->client, &request, &answer, &err);
	begun = now_us() - begun;
	if (r == CODE_OK)
		bed_free(answer);
	else if (r != CODE_NOT_FOUND)
		fail_msg("%s: %s: %s", call->method, code_name(r), error_message(&err));
	return begun;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t median(int64_t *v)
{
	qsort(v, ROUNDS, sizeof(*v), by_size);
	return v[ROUNDS / 2];
}

static void assert_prompt(struct pair *p, const struct call *call, const char *when)
{
	int64_t busy[ROUNDS], idle[ROUNDS], b, i, limit;

	for (int n = 0; n < ROUNDS; n++) {
		busy[n] = measure(p->busy, call);
		idle[n] = measure(p->idle, call);
	}
	b = median(busy);
	i = median(idle);
	limit = 2 * i > LIMIT_US ? 2 * i : LIMIT_US;
	print_message("# %-8s %-8s %6lld us, idle %6lld us\n", when, call->method, (long long)b,
		(long long)i);
	if (b > limit)
		fail_msg("%s while %s: %lld us, over %lld us", call->method, when, (long long)b,
			(long long)limit);
}

static void assert_all_prompt(struct pair *p, const char *when)
{
	for (size_t i = 0; i < N_CALLS; i++)
		assert_prompt(p, &calls[i], when);
}

/* --- the runtime hangs --- */

/* A call on a connection of its own that is under way, and ends well once the gate is open. */
struct under_way {
	struct event_base *base;
	struct ttrpc_client *client;
	bool ended;
	int code;
	char words[200];
};

static void on_reply(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct under_way *u = userdata;

	(void)message;
	u->ended = true;
	u->code = code;
	if (code != 0)
		snprintf(u->words, sizeof(u->words), "%s", error_message(err));
}

static void begin(struct pair *p, struct under_way *u, const char *method, const void *message,
	const ProtobufCMessageDescriptor *response)
{
	const struct ttrpc_request request = { .service = TASK,
		.method = method,
		.message = message,
		.response = response,
		.timeout_ms = CALL_MS };
	_cleanup_error_ struct error err = ERROR_INIT;

	*u = (struct under_way){ .base = event_base_new() };
	if (ttrpc_client_connect(p->busy->socket, u->base, &u->client, &err) != 0 ||
		ttrpc_client_begin(u->client, &request, false, on_reply, u, NULL, &err) != 0)
		fail_msg("%s: %s", method, error_message(&err));
	event_base_loop(u->base, EVLOOP_NONBLOCK);
}

static void land(struct under_way *u, const char *method)
{
	while (!u->ended && event_base_loop(u->base, EVLOOP_ONCE) == 0)
		;
	if (u->code != 0)
		fail_msg("%s: %s: %s", method, code_name(u->code), u->words);
	ttrpc_client_free(u->client);
	event_base_free(u->base);
}

/* The call begins, its runtime hangs, everything else is answered; then the call ends well. */
static void hangs(struct pair *p, const char *verb, const char *method, const void *message,
	const ProtobufCMessageDescriptor *response)
{
	struct under_way u;

	set_hang(p, verb);
	begin(p, &u, method, message, response);
	await_hang(p);
	assert_all_prompt(p, verb);
	assert_false(u.ended);
	set_hang(p, "nothing");
	open_gate(p);
	land(&u, method);
}

static void run_done_exec(struct bed *bed)
{
	bed_exec(bed, "done", "[\"/bin/tool\",\"exit\",\"3\"]", false);
	bed_start(bed, "done");
	assert_int_equal(bed_wait(bed, "done"), 3);
}

static void create_hangs(struct pair *p)
{
	Containerd__Task__V2__CreateTaskRequest r = CONTAINERD__TASK__V2__CREATE_TASK_REQUEST__INIT;
	Google__Protobuf__Any any;
	uint8_t room[1024];

	r.id = p->busy->id;
	r.bundle = p->busy->bundle;
	r.stdout = p->busy->out;
	r.options = bed_options(p->busy, room, &any);
	hangs(p, "create", "Create", &r, RESPONSE(create_task_response));
}

static void start_hangs(struct pair *p, const char *verb, const char *exec_id)
{
	Containerd__Task__V2__StartRequest r = CONTAINERD__TASK__V2__START_REQUEST__INIT;

	r.id = p->busy->id;
	r.exec_id = (char *)exec_id;
	hangs(p, verb, "Start", &r, RESPONSE(start_response));
}

static void test_runtime_hangs(void **state)
{
	Containerd__Task__V2__PauseRequest pause = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;
	Containerd__Task__V2__ResumeRequest resume = CONTAINERD__TASK__V2__RESUME_REQUEST__INIT;
	Containerd__Task__V2__KillRequest term = CONTAINERD__TASK__V2__KILL_REQUEST__INIT;
	Containerd__Task__V2__DeleteRequest delete = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;
	struct pair *p = *state;

	pause.id = resume.id = term.id = delete.id = p->busy->id;
	term.signal = SIGTERM;
	bed_create(p->idle, false);
	bed_start(p->idle, "");
	run_done_exec(p->idle);
	create_hangs(p);
	start_hangs(p, "start", "");
	run_done_exec(p->busy);
	bed_exec(p->busy, "e", "[\"/bin/tool\",\"pause\"]", false);
	start_hangs(p, "exec", "e");
	hangs(p, "pause", "Pause", &pause, EMPTY);
	hangs(p, "resume", "Resume", &resume, EMPTY);
	hangs(p, "kill", "Kill", &term, EMPTY);
	bed_wait(p->busy, "");
	hangs(p, "delete", "Delete", &delete, RESPONSE(delete_response));
}

/* --- many clients --- */

struct client {
	struct ttrpc_client *client;
	struct crowd *crowd;
};

struct crowd {
	struct bed *bed;
	struct event_base *base;
	struct client clients[N_CLIENTS];
	size_t n_states;
	int tell; /* a pipe to the test: a byte once every stream is open */
};

static void on_wait(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	(void)message;
	(void)userdata;
	if (code != 0) {
		fprintf(stderr, "Wait: %s\n", error_message(err));
		_exit(2);
	}
}

static void ask_state(struct client *c);

/* Each answer is the next question. The first one of all clients says that their Waits were read. */
static void on_state(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct client *c = userdata;

	(void)message;
	if (code != 0) {
		fprintf(stderr, "State: %s\n", error_message(err));
		_exit(3);
	}
	if (++c->crowd->n_states == 4 * N_CLIENTS && write(c->crowd->tell, "", 1) != 1)
		_exit(4);
	ask_state(c);
}

static void ask(struct client *c, const char *method, const void *message,
	const ProtobufCMessageDescriptor *response, ttrpc_reply_fn on_reply_fn)
{
	const struct ttrpc_request request = {
		.service = TASK, .method = method, .message = message, .response = response
	};
	_cleanup_error_ struct error err = ERROR_INIT;

	if (ttrpc_client_begin(c->client, &request, false, on_reply_fn, c, NULL, &err) != 0) {
		fprintf(stderr, "%s: %s\n", method, error_message(&err));
		_exit(5);
	}
}

static void ask_state(struct client *c)
{
	Containerd__Task__V2__StateRequest r = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;

	r.id = c->crowd->bed->id;
	ask(c, "State", &r, RESPONSE(state_response), on_state);
}

static void join(struct client *c)
{
	Containerd__Task__V2__WaitRequest r = CONTAINERD__TASK__V2__WAIT_REQUEST__INIT;
	_cleanup_error_ struct error err = ERROR_INIT;

	if (ttrpc_client_connect(c->crowd->bed->socket, c->crowd->base, &c->client, &err) != 0) {
		fprintf(stderr, "connect: %s\n", error_message(&err));
		_exit(6);
	}
	r.id = c->crowd->bed->id;
	for (int i = 0; i < N_STREAMS - 1; i++)
		ask(c, "Wait", &r, RESPONSE(wait_response), on_wait);
	ask_state(c);
}

/* The test closes its end of stop, and is told how many answers there were. */
static void on_stop(evutil_socket_t fd, short what, void *userdata)
{
	struct crowd *crowd = userdata;

	(void)fd;
	(void)what;
	_exit(write(crowd->tell, &crowd->n_states, sizeof(crowd->n_states)) < 0);
}

static void be_crowd(struct bed *bed, int tell, int stop)
{
	struct crowd crowd = { .bed = bed, .tell = tell, .base = event_base_new() };

	event_add(event_new(crowd.base, stop, EV_READ, on_stop, &crowd), NULL);
	for (size_t i = 0; i < N_CLIENTS; i++) {
		crowd.clients[i].crowd = &crowd;
		join(&crowd.clients[i]);
	}
	event_base_dispatch(crowd.base);
	_exit(7);
}

static void test_many_clients(void **state)
{
	struct pair *p = *state;
	int tell[2], stop[2], status;
	size_t n_states = 0;
	int64_t begun;
	char byte;
	struct pollfd told;
	pid_t crowd;

	for (int i = 0; i < 2; i++) {
		struct bed *bed = i ? p->busy : p->idle;

		bed_create(bed, false);
		bed_start(bed, "");
		run_done_exec(bed);
	}
	assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
	assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
	crowd = fork();
	if (crowd == 0) {
		close(stop[1]);
		be_crowd(p->busy, tell[1], stop[0]);
	}
	close(tell[1]);
	close(stop[0]);
	told = (struct pollfd){ .fd = tell[0], .events = POLLIN };
	assert_int_equal(poll(&told, 1, CALL_MS), 1);
	assert_int_equal(read(tell[0], &byte, 1), 1); /* and not its end */
	begun = now_us();
	assert_all_prompt(p, "crowded");
	assert_int_equal(waitpid(crowd, &status, WNOHANG), 0); /* it was busy all the time */
	close(stop[1]);
	assert_int_equal(waitpid(crowd, &status, 0), crowd);
	assert_int_equal(status, 0);
	assert_int_equal(read(tell[0], &n_states, sizeof(n_states)), sizeof(n_states));
	close(tell[0]);
	print_message(
		"# %zu answers to the crowd in %lld us\n", n_states, (long long)(now_us() - begun));
	assert_true(n_states > 10 * N_CLIENTS); /* it was not idle */
	bed_assert_alive(p->busy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ "test_runtime_hangs (runc)", test_runtime_hangs, setup, teardown, NULL },
		{ "test_many_clients (runc)", test_many_clients, setup, teardown, NULL },
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client against our server: blocking use against a forked one, asynchronous use in the same
 * loop. Each test leaves no process and no file behind.
 */
#include "common/ttrpc_client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/limits.h"
#include "common/ttrpc_frame.h"
#include "test/unit/ttrpc_echo.h"
#include "test/unit/ttrpc_raw.h"

/* --- a server in a process of its own --- */

struct remote {
	char folder[64];
	char path[128];
	pid_t pid;
};

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static _Noreturn void serve(int listen_fd, pid_t parent)
{
	struct event_base *base = event_base_new();
	struct echo *echo = calloc(1, sizeof(*echo));
	struct ttrpc_server *server = NULL;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || ttrpc_server_new(base, listen_fd, &server) < 0 ||
		echo_add(server, echo) < 0)
		_exit(1);
	event_base_dispatch(base);
	_exit(0);
}

static int remote_setup(void **state)
{
	struct remote *r = calloc(1, sizeof(*r));
	pid_t parent = getpid();
	int fd;

	strcpy(r->folder, "/tmp/cleat-client-XXXXXX");
	assert_non_null(mkdtemp(r->folder));
	snprintf(r->path, sizeof(r->path), "%s/s", r->folder);
	fd = listen_at(r->path);
	r->pid = fork();
	assert_true(r->pid >= 0);
	if (r->pid == 0)
		serve(fd, parent);
	close(fd);
	*state = r;
	return 0;
}

static int remote_teardown(void **state)
{
	struct remote *r = *state;

	kill(r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
	unlink(r->path);
	rmdir(r->folder);
	free(r);
	return 0;
}

static struct ttrpc_client *remote_client(const struct remote *r)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct ttrpc_client *client = NULL;

	if (ttrpc_client_connect(r->path, NULL, &client, &err) != 0)
		fail_msg("%s", error_message(&err));
	return client;
}

static int call(struct ttrpc_client *client, const char *method, const char *key, const char *value,
	int64_t timeout_ms, Ttrpc__KeyValue **ret, struct error *err)
{
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	struct ttrpc_request request = {
		.service = ECHO_SERVICE,
		.method = method,
		.message = &m.base,
		.response = &ttrpc__key_value__descriptor,
		.timeout_ms = timeout_ms,
	};

	m.key = (char *)key;
	m.value = (char *)value;
	return ttrpc_client_call(client, &request, (ProtobufCMessage **)ret, err);
}

static void assert_echo(struct ttrpc_client *client, const char *value)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue *answer = NULL;

	if (call(client, "Echo", "k", value, 10000, &answer, &err) != 0)
		fail_msg("%s", error_message(&err));
	assert_string_equal(answer->key, "k");
	assert_string_equal(answer->value, value);
	ttrpc__key_value__free_unpacked(answer, NULL);
}

static void assert_fails(int code, int expected, const struct error *err, const char *part)
{
	assert_int_equal(code, expected);
	assert_int_equal(err->code, expected);
	if (!strstr(error_message(err), part))
		fail_msg("\"%s\" is not in \"%s\"", part, error_message(err));
}

/* --- blocking --- */

static void a_call_returns_the_answer(void **state)
{
	struct ttrpc_client *client = remote_client(*state);

	assert_echo(client, "hello");
	assert_echo(client, "");
	for (int i = 0; i < 100; i++)
		assert_echo(client, "again");
	ttrpc_client_free(client);
}

static void a_long_call_goes_both_ways(void **state)
{
	struct ttrpc_client *client = remote_client(*state);
	char *value = malloc(4000001);

	memset(value, 'v', 4000000);
	value[4000000] = '\0';
	assert_echo(client, value);
	free(value);
	ttrpc_client_free(client);
}

static void a_failure_has_the_servers_words(void **state)
{
	struct ttrpc_client *client = remote_client(*state);
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue *answer = NULL;

	assert_fails(call(client, "Fail", "9", "task web is not running", 0, &answer, &err),
		CODE_FAILED_PRECONDITION, &err, "task web is not running");
	assert_fails(call(client, "Fail", "77", "strange", 0, &answer, &err), CODE_UNKNOWN, &err,
		"strange");
	assert_fails(
		call(client, "Fail", "-1", "", 0, &answer, &err), CODE_UNKNOWN, &err, "UNKNOWN");
	assert_fails(call(client, "Nothing", "", "", 0, &answer, &err), CODE_UNIMPLEMENTED, &err,
		"method Nothing");
	assert_null(answer);
	assert_echo(client, "still there");
	ttrpc_client_free(client);
}

static void a_request_over_the_limit_is_not_sent(void **state)
{
	struct ttrpc_client *client = remote_client(*state);
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue *answer = NULL;
	size_t n = 3 * (size_t)LIMIT_FRAME_DATA;
	char *value = malloc(n + 1);

	memset(value, 'v', n);
	value[n] = '\0';
	assert_fails(call(client, "Echo", "", value, 0, &answer, &err), CODE_RESOURCE_EXHAUSTED,
		&err, "longer than a frame");
	value[LIMIT_FRAME_DATA - 10] = '\0';
	assert_fails(call(client, "Echo", "", value, 0, &answer, &err), CODE_RESOURCE_EXHAUSTED,
		&err, "longer than a frame");
	free(value);
	assert_echo(client, "still there");
	ttrpc_client_free(client);
}

static void the_server_keeps_the_deadline(void **state)
{
	struct ttrpc_client *client = remote_client(*state);
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue *answer = NULL;
	int64_t began = clock_monotonic_ms();

	assert_fails(call(client, "Hold", "", "", 30, &answer, &err), CODE_DEADLINE_EXCEEDED, &err,
		"Hold");
	assert_in_range(clock_monotonic_ms() - began, 30, 15000);
	assert_echo(client, "still there");
	ttrpc_client_free(client);
}

static void a_server_that_hangs_is_given_up(void **state)
{
	struct remote *r = *state;
	struct ttrpc_client *client = remote_client(r);
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue *answer = NULL;
	int64_t began;

	assert_echo(client, "hello");
	kill(r->pid, SIGSTOP);
	began = clock_monotonic_ms();
	assert_fails(call(client, "Echo", "", "", 50, &answer, &err), CODE_DEADLINE_EXCEEDED, &err,
		"no answer in time");
	assert_in_range(clock_monotonic_ms() - began, 1050, 15000);
	kill(r->pid, SIGCONT);
	/* the late answer is nobody's */
	assert_echo(client, "still there");
	ttrpc_client_free(client);
}

static void a_server_that_dies_is_unavailable(void **state)
{
	struct remote *r = *state;
	struct ttrpc_client *client = remote_client(r);
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue *answer = NULL;
	struct ttrpc_client *other;

	assert_echo(client, "hello");
	kill(r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
	/* also if nothing can be sent any more: no SIGPIPE */
	for (int i = 0; i < 3; i++)
		assert_fails(call(client, "Echo", "", "", 0, &answer, &err), CODE_UNAVAILABLE, &err,
			"closed the connection");
	assert_fails(ttrpc_client_connect(r->path, NULL, &other, &err), CODE_UNAVAILABLE, &err,
		"nobody listens");
	unlink(r->path);
	assert_fails(
		ttrpc_client_connect(r->path, NULL, &other, &err), CODE_NOT_FOUND, &err, r->path);
	assert_fails(ttrpc_client_connect("", NULL, &other, &err), CODE_NOT_FOUND, &err, "");
	ttrpc_client_free(client);
	r->pid = fork(); /* for the teardown */
	if (r->pid == 0)
		_exit(0);
}

static void metadata_reaches_the_server(void **state)
{
	static const struct ttrpc_metadata pairs[] = { { "a", "1" },
		{ "containerd-namespace-ttrpc", "moby" } };
	struct ttrpc_client *client = remote_client(*state);
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT, *answer = NULL;
	struct ttrpc_request request = {
		.service = ECHO_SERVICE,
		.method = "Meta",
		.message = &m.base,
		.response = &ttrpc__key_value__descriptor,
		.metadata = pairs,
		.n_metadata = 2,
	};

	m.key = (char *)"containerd-namespace-ttrpc";
	assert_int_equal(
		ttrpc_client_call(client, &request, (ProtobufCMessage **)&answer, &err), 0);
	assert_string_equal(answer->value, "moby");
	ttrpc__key_value__free_unpacked(answer, NULL);
	ttrpc_client_free(client);
}

static void descriptors_reach_the_server(void **state)
{
	struct ttrpc_client *client = remote_client(*state);
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT, *answer = NULL;
	int pipes[2], fds[5];
	struct ttrpc_request request = {
		.service = ECHO_SERVICE,
		.method = "Fds",
		.message = &m.base,
		.response = &ttrpc__key_value__descriptor,
		.fds = fds,
	};
	char bytes[32];

	assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
	for (int i = 0; i < 5; i++)
		fds[i] = pipes[1];
	m.key = (char *)"9";
	m.value = (char *)"!";
	for (size_t n = 1; n <= 4; n++) {
		request.n_fds = n;
		assert_int_equal(
			ttrpc_client_call(client, &request, (ProtobufCMessage **)&answer, &err), 0);
		assert_int_equal(atoi(answer->key), n);
		ttrpc__key_value__free_unpacked(answer, NULL);
		assert_int_equal(read(pipes[0], bytes, sizeof(bytes)), n);
	}
	request.n_fds = 5;
	assert_fails(ttrpc_client_call(client, &request, (ProtobufCMessage **)&answer, &err),
		CODE_INVALID_ARGUMENT, &err, "descriptors");
	close(pipes[0]);
	close(pipes[1]);
	ttrpc_client_free(client);
}

static uint32_t stream(struct ttrpc_client *client, const char *method, const char *key,
	const char *value, int64_t timeout_ms)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	struct ttrpc_request request = {
		.service = ECHO_SERVICE,
		.method = method,
		.message = &m.base,
		.response = &ttrpc__key_value__descriptor,
		.timeout_ms = timeout_ms,
	};
	uint32_t id = 0;

	m.key = (char *)key;
	m.value = (char *)value;
	if (ttrpc_client_stream(client, &request, &id, &err) != 0)
		fail_msg("%s", error_message(&err));
	return id;
}

static void assert_next(struct ttrpc_client *client, uint32_t id, const char *key)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *message = NULL;

	if (ttrpc_client_next(client, id, 10000, &message, &err) != 0)
		fail_msg("%s", error_message(&err));
	if (!key) {
		assert_null(message);
		return;
	}
	assert_non_null(message);
	assert_string_equal(((Ttrpc__KeyValue *)message)->key, key);
	protobuf_c_message_free_unpacked(message, NULL);
}

static void a_stream_is_read_to_its_end(void **state)
{
	struct ttrpc_client *client = remote_client(*state);
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *message;
	uint32_t id = stream(client, "Count", "1000", "5000", 0);
	char key[16];

	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "%d", i);
		assert_next(client, id, key);
	}
	assert_next(client, id, NULL);
	assert_fails(ttrpc_client_next(client, id, 10000, &message, &err), CODE_FAILED_PRECONDITION,
		&err, "not open");
	ttrpc_client_free(client);
}

static void streams_and_calls_share_the_connection(void **state)
{
	struct ttrpc_client *client = remote_client(*state);
	uint32_t one = stream(client, "Count", "3", "10", 0);
	uint32_t two = stream(client, "Count", "2", "10", 0);

	assert_echo(client, "between");
	assert_next(client, two, "0");
	assert_next(client, one, "0");
	assert_echo(client, "between");
	assert_next(client, one, "1");
	assert_next(client, one, "2");
	assert_next(client, one, NULL);
	assert_next(client, two, "1");
	assert_next(client, two, NULL);
	ttrpc_client_free(client);
}

static void a_stream_that_fails_tells_what_came_before(void **state)
{
	struct ttrpc_client *client = remote_client(*state);
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *message;
	uint32_t id = stream(client, "CountFail", "2", "overrun", 0);

	assert_next(client, id, "2");
	assert_next(client, id, "2");
	assert_fails(ttrpc_client_next(client, id, 10000, &message, &err), CODE_DATA_LOSS, &err,
		"overrun");
	assert_fails(ttrpc_client_next(client, id, 10000, &message, &err), CODE_FAILED_PRECONDITION,
		&err, "not open");
	ttrpc_client_free(client);
}

static void waiting_for_a_message_has_a_limit(void **state)
{
	struct remote *r = *state;
	struct ttrpc_client *client = remote_client(r);
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *message;
	uint32_t id = stream(client, "Hold", "", "", 0);
	uint32_t soon = stream(client, "Hold", "", "", 30);

	assert_fails(ttrpc_client_next(client, id, 0, &message, &err), CODE_DEADLINE_EXCEEDED, &err,
		"no answer in time");
	assert_fails(ttrpc_client_next(client, id, 10, &message, &err), CODE_DEADLINE_EXCEEDED,
		&err, "no answer in time");
	/* here the server says so, and the stream is over */
	assert_fails(ttrpc_client_next(client, soon, -1, &message, &err), CODE_DEADLINE_EXCEEDED,
		&err, "Hold");
	assert_fails(ttrpc_client_next(client, soon, -1, &message, &err), CODE_FAILED_PRECONDITION,
		&err, "not open");
	kill(r->pid, SIGKILL);
	assert_fails(ttrpc_client_next(client, id, -1, &message, &err), CODE_UNAVAILABLE, &err,
		"closed the connection");
	ttrpc_client_free(client);
}

static void what_nobody_reads_is_bounded(void **state)
{
	struct ttrpc_client *client = remote_client(*state);
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue *answer = NULL;
	int code;

	/* its messages pile up here while other calls are made */
	stream(client, "Count", "1000000", "100000", 0);
	do
		code = call(client, "Echo", "k", "v", 10000, &answer, &err);
	while (code == 0 && (ttrpc__key_value__free_unpacked(answer, NULL), true));
	assert_fails(code, CODE_RESOURCE_EXHAUSTED, &err, "wait to be read");
	ttrpc_client_free(client);
}

static void a_long_path_is_reached_through_its_folder(void **state)
{
	struct remote *r = *state;
	_cleanup_error_ struct error err = ERROR_INIT;
	struct ttrpc_client *client = NULL;
	char deep[160], path[512];
	int n_open = fd_count();

	memset(deep, 'd', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	snprintf(path, sizeof(path), "%s/%.150s", r->folder, deep);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%.150s/s", r->folder, deep);
	assert_int_equal(rename(r->path, path), 0);
	if (ttrpc_client_connect(path, NULL, &client, &err) != 0)
		fail_msg("%s", error_message(&err));
	assert_int_equal(fd_count(), n_open + 1);
	assert_echo(client, "through the folder");
	ttrpc_client_free(client);

	snprintf(path, sizeof(path), "%s/%.150s/nothing", r->folder, deep);
	assert_fails(ttrpc_client_connect(path, NULL, &client, &err), CODE_NOT_FOUND, &err, path);
	snprintf(path, sizeof(path), "%s/%.150s/%.120s", r->folder, deep, deep);
	assert_fails(ttrpc_client_connect(path, NULL, &client, &err), CODE_INVALID_ARGUMENT, &err,
		"cannot connect");
	snprintf(path, sizeof(path), "%s/nowhere/%.150s/s", r->folder, deep);
	assert_fails(ttrpc_client_connect(path, NULL, &client, &err), CODE_NOT_FOUND, &err, path);
	assert_fails(ttrpc_client_connect(deep, NULL, &client, &err), CODE_INVALID_ARGUMENT, &err,
		"cannot connect");

	snprintf(path, sizeof(path), "%s/%.150s/s", r->folder, deep);
	assert_int_equal(rename(path, r->path), 0);
	*strrchr(path, '/') = '\0';
	assert_int_equal(rmdir(path), 0);
}

/* --- against a server that is not ours: answers by hand --- */

struct pair {
	struct ttrpc_client *client;
	struct event_base *base;
	int theirs;
	size_t n_replies;
	int last_code;
	char last_key[32];
	char words[64];
	struct ttrpc_pending *cancel; /* in the next callback */
	bool free_client;	      /* likewise */
	bool begin_again;
	bool beginning;
};

static int pair_setup(void **state, bool with_base)
{
	struct pair *p = calloc(1, sizeof(*p));
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	p->base = with_base ? event_base_new() : NULL;
	p->theirs = fds[1];
	assert_int_equal(ttrpc_client_new(fds[0], p->base, &p->client, NULL), 0);
	*state = p;
	return 0;
}

static int pair_setup_blocking(void **state)
{
	return pair_setup(state, false);
}

static int pair_setup_async(void **state)
{
	return pair_setup(state, true);
}

static int pair_teardown(void **state)
{
	struct pair *p = *state;

	ttrpc_client_free(p->client);
	fd_close(&p->theirs);
	if (p->base)
		event_base_free(p->base);
	free(p);
	return 0;
}

static void put_message(
	struct buf *b, uint32_t id, int type, int flags, const char *key, bool in_response)
{
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	Ttrpc__Response r = TTRPC__RESPONSE__INIT;
	uint8_t payload[256], data[512];
	size_t n;

	m.key = (char *)key;
	n = ttrpc__key_value__pack(&m, payload);
	r.payload.data = payload;
	r.payload.len = n;
	if (in_response) {
		n = ttrpc__response__pack(&r, data);
		raw_put(b, (uint32_t)n, id, type, flags, data, n);
	} else {
		raw_put(b, (uint32_t)n, id, type, flags, payload, n);
	}
}

/* What a peculiar server may send before, or instead of, the answer to stream 1. */
static void a_client_bears_peculiar_answers(void **state)
{
	static const struct {
		const char *data; /* of a Response on stream 1 */
		size_t n;
		int type, flags, code;
	} cases[] = {
		{ "\x12\x03\x0a\x01k", 5, TTRPC_RESPONSE, 0, 0 },
		{ "", 0, TTRPC_RESPONSE, 0, 0 },
		{ "\x0a\x00", 2, TTRPC_RESPONSE, 0, 0 }, /* a status with code 0 */
		{ "\x0a\x02\x08\x05", 4, TTRPC_RESPONSE, 0, CODE_NOT_FOUND },
		{ "\x0a\x7f", 2, TTRPC_RESPONSE, 0, CODE_INTERNAL },
		{ "\x12\x02\x0a\x7f", 4, TTRPC_RESPONSE, 0, CODE_INTERNAL },
		{ "x", 1, TTRPC_DATA, 0, CODE_INTERNAL },
		{ "", 0, TTRPC_DATA, TTRPC_REMOTE_CLOSED | TTRPC_NO_DATA, CODE_INTERNAL },
	};
	struct pair *p = *state;
	uint32_t id = 1;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++, id += 2) {
		_cleanup_error_ struct error err = ERROR_INIT;
		_cleanup_buf_ struct buf b = BUF_INIT;
		Ttrpc__KeyValue *answer = NULL;

		raw_put(&b, 3, 777, TTRPC_RESPONSE, 0, "odd", 3);
		raw_put(&b, 3, id, TTRPC_REQUEST, 0, "odd", 3);
		raw_put(&b, 3, id, 99, 0, "odd", 3);
		raw_put(&b, (uint32_t)cases[i].n, id, cases[i].type, cases[i].flags, cases[i].data,
			cases[i].n);
		assert_true(raw_send_buf(NULL, p->theirs, &b));
		assert_int_equal(
			call(p->client, "Echo", "", "", 10000, &answer, &err), cases[i].code);
		if (answer)
			ttrpc__key_value__free_unpacked(answer, NULL);
	}
}

static void a_client_drops_what_is_not_ttrpc(void **state)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue *answer = NULL;
	struct pair *p = *state;

	assert_true(raw_send(NULL, p->theirs, "HTTP/1.1 400", 12));
	assert_fails(call(p->client, "Echo", "", "", 10000, &answer, &err), CODE_UNAVAILABLE, &err,
		"not ttrpc");
	assert_fails(call(p->client, "Echo", "", "", 10000, &answer, &err), CODE_UNAVAILABLE, &err,
		"closed");
}

static void the_last_message_of_a_stream_may_end_it(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct pair *p = *state;
	uint32_t one = stream(p->client, "Count", "", "", 0);
	uint32_t two = stream(p->client, "Count", "", "", 0);
	uint32_t three = stream(p->client, "Count", "", "", 0);

	put_message(&b, one, TTRPC_DATA, TTRPC_REMOTE_CLOSED, "last", false);
	put_message(&b, two, TTRPC_RESPONSE, 0, "answer", true);
	raw_put(&b, 0, three, TTRPC_DATA, 0, NULL, 0);
	raw_put(&b, 0, three, TTRPC_RESPONSE, 0, NULL, 0);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	assert_next(p->client, one, "last");
	assert_next(p->client, one, NULL);
	assert_next(p->client, two, "answer");
	assert_next(p->client, two, NULL);
	assert_next(p->client, three, ""); /* no bytes are an empty message */
	assert_next(p->client, three, NULL);
}

/* The bytes that leave: what a Go server reads. */
static void requests_look_as_the_protocol_says(void **state)
{
	struct pair *p = *state;
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue *answer = NULL;
	struct raw_frame frame;
	Ttrpc__Request *r;

	assert_int_equal(
		call(p->client, "Echo", "k", "v", 20, &answer, &err), CODE_DEADLINE_EXCEEDED);
	assert_int_equal(raw_recv(NULL, p->theirs, &frame), RAW_FRAME);
	assert_int_equal(frame.header.type, TTRPC_REQUEST);
	assert_int_equal(frame.header.flags, 0);
	assert_int_equal(frame.header.stream, 1);
	r = ttrpc__request__unpack(NULL, frame.header.length, frame.data);
	assert_non_null(r);
	assert_string_equal(r->service, ECHO_SERVICE);
	assert_string_equal(r->method, "Echo");
	assert_int_equal(r->timeout_nano, 20000000);
	ttrpc__request__free_unpacked(r, NULL);
	raw_frame_free(&frame);
	stream(p->client, "Count", "", "", 0);
	assert_int_equal(raw_recv(NULL, p->theirs, &frame), RAW_FRAME);
	assert_int_equal(frame.header.flags, TTRPC_REMOTE_CLOSED);
	assert_int_equal(frame.header.stream, 3);
	raw_frame_free(&frame);
}

/* --- asynchronous --- */

static int begin(struct pair *p, int is_stream, const char *key, int64_t timeout_ms,
	struct ttrpc_pending **ret);

static void on_reply(
	int code, const ProtobufCMessage *message, const struct error *err, void *userdata)
{
	struct pair *p = userdata;

	assert_false(p->beginning);
	p->n_replies++;
	p->last_code = code;
	assert_true((code == 0) == (err == NULL));
	snprintf(p->last_key, sizeof(p->last_key), "%s",
		message ? ((const Ttrpc__KeyValue *)message)->key : "(none)");
	snprintf(p->words, sizeof(p->words), "%s", err ? error_message(err) : "");
	if (p->cancel)
		ttrpc_client_cancel(TAKE_PTR(p->cancel));
	if (p->begin_again) {
		p->begin_again = false;
		assert_int_equal(begin(p, 0, "again", 0, NULL), 0);
	}
	if (p->free_client)
		ttrpc_client_free(TAKE_PTR(p->client));
}

static int begin(struct pair *p, int is_stream, const char *key, int64_t timeout_ms,
	struct ttrpc_pending **ret)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	struct ttrpc_request request = {
		.service = ECHO_SERVICE,
		.method = is_stream ? "Count" : "Echo",
		.message = &m.base,
		.response = &ttrpc__key_value__descriptor,
		.timeout_ms = timeout_ms,
	};
	int code;

	m.key = (char *)key;
	p->beginning = true;
	code = ttrpc_client_begin(p->client, &request, is_stream, on_reply, p, ret, &err);
	p->beginning = false;
	return code;
}

static void await_replies(struct pair *p, size_t n)
{
	int64_t deadline = clock_monotonic_ms() + RAW_DEADLINE_MS;

	while (p->n_replies < n) {
		assert_true(clock_monotonic_ms() < deadline);
		event_base_loop(p->base, EVLOOP_ONCE);
	}
	event_base_loop(p->base, EVLOOP_NONBLOCK);
	assert_int_equal(p->n_replies, n);
}

static void answers_arrive_by_callback(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct pair *p = *state;

	for (int i = 0; i < 3; i++)
		assert_int_equal(begin(p, 0, "k", 0, NULL), 0);
	put_message(&b, 3, TTRPC_RESPONSE, 0, "second", true);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	await_replies(p, 1);
	assert_string_equal(p->last_key, "second");
	put_message(&b, 1, TTRPC_RESPONSE, 0, "first", true);
	put_message(&b, 5, TTRPC_RESPONSE, 0, "third", true);
	put_message(&b, 5, TTRPC_RESPONSE, 0, "too many", true);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	await_replies(p, 3);
	assert_string_equal(p->last_key, "third");
}

static void a_callback_may_begin_the_next_call(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct pair *p = *state;

	p->begin_again = true;
	assert_int_equal(begin(p, 0, "k", 0, NULL), 0);
	put_message(&b, 1, TTRPC_RESPONSE, 0, "first", true);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	await_replies(p, 1);
	put_message(&b, 3, TTRPC_RESPONSE, 0, "second", true);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	await_replies(p, 2);
	assert_string_equal(p->last_key, "second");
}

static void a_stream_calls_back_for_each_and_the_end(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct pair *p = *state;

	assert_int_equal(begin(p, 1, "k", 0, NULL), 0);
	put_message(&b, 1, TTRPC_DATA, 0, "a", false);
	put_message(&b, 1, TTRPC_DATA, 0, "b", false);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	await_replies(p, 2);
	assert_string_equal(p->last_key, "b");
	raw_put(&b, 0, 1, TTRPC_DATA, TTRPC_REMOTE_CLOSED | TTRPC_NO_DATA, NULL, 0);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	await_replies(p, 3);
	assert_string_equal(p->last_key, "(none)");
	assert_int_equal(p->last_code, 0);
}

static void a_cancelled_call_hears_nothing(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct pair *p = *state;
	struct ttrpc_pending *pending;

	assert_int_equal(begin(p, 0, "k", 50, &pending), 0);
	assert_int_equal(begin(p, 0, "k", 0, NULL), 0);
	ttrpc_client_cancel(pending);
	/* a stream that is cancelled in its own callback, with the end behind it */
	assert_int_equal(begin(p, 1, "k", 0, &p->cancel), 0);
	put_message(&b, 1, TTRPC_RESPONSE, 0, "cancelled", true);
	put_message(&b, 5, TTRPC_DATA, TTRPC_REMOTE_CLOSED, "message", false);
	put_message(&b, 5, TTRPC_DATA, 0, "too late", false);
	put_message(&b, 3, TTRPC_RESPONSE, 0, "other", true);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	await_replies(p, 2);
	assert_string_equal(p->last_key, "other");
	/* no timer is left */
	assert_int_equal(event_base_get_num_events(p->base, EVENT_BASE_COUNT_ADDED), 1);
}

static void a_client_may_be_freed_in_a_callback(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct pair *p = *state;

	p->free_client = true;
	for (int i = 0; i < 3; i++)
		assert_int_equal(begin(p, 1, "k", 0, NULL), 0);
	put_message(&b, 1, TTRPC_DATA, TTRPC_REMOTE_CLOSED, "a", false);
	put_message(&b, 3, TTRPC_DATA, 0, "b", false);
	assert_true(raw_send_buf(NULL, p->theirs, &b));
	await_replies(p, 1);
	assert_null(p->client);
	/* nor in the callback that tells of the connection's end */
	assert_int_equal(event_base_get_num_events(p->base, EVENT_BASE_COUNT_ADDED), 0);
}

static void a_client_may_be_freed_when_the_server_has_gone(void **state)
{
	struct pair *p = *state;

	p->free_client = true;
	for (int i = 0; i < 3; i++)
		assert_int_equal(begin(p, 1, "k", 0, NULL), 0);
	fd_close(&p->theirs);
	await_replies(p, 1);
	assert_int_equal(p->last_code, CODE_UNAVAILABLE);
}

static void the_end_of_the_server_ends_every_call(void **state)
{
	struct pair *p = *state;

	for (int i = 0; i < 5; i++)
		assert_int_equal(begin(p, i % 2, "k", i % 3 ? 100000 : 0, NULL), 0);
	fd_close(&p->theirs);
	await_replies(p, 5);
	assert_int_equal(p->last_code, CODE_UNAVAILABLE);
	assert_int_equal(begin(p, 0, "k", 0, NULL), CODE_UNAVAILABLE);
	assert_int_equal(event_base_get_num_events(p->base, EVENT_BASE_COUNT_ADDED), 0);
}

/* The failure shows while sending: every earlier call still hears of it, from the loop. */
static void a_failed_send_ends_every_call(void **state)
{
	struct pair *p = *state;

	assert_int_equal(begin(p, 0, "k", 0, NULL), 0);
	fd_close(&p->theirs);
	assert_int_equal(begin(p, 0, "k", 0, NULL), CODE_UNAVAILABLE);
	assert_int_equal(p->n_replies, 0);
	await_replies(p, 1);
	assert_int_equal(p->last_code, CODE_UNAVAILABLE);
}

static void a_deadline_of_our_own_follows_the_servers(void **state)
{
	struct pair *p = *state;
	int64_t began = clock_monotonic_ms();

	p->free_client = true; /* in the timer's callback */
	assert_int_equal(begin(p, 0, "k", 20, NULL), 0);
	await_replies(p, 1);
	assert_int_equal(p->last_code, CODE_DEADLINE_EXCEEDED);
	assert_in_range(clock_monotonic_ms() - began, 1020, 15000);
}

static void an_answer_too_long_fails_its_call_alone(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct pair *p = *state;
	uint8_t *data = calloc(1, LIMIT_FRAME_DATA + 1);

	assert_int_equal(begin(p, 0, "k", 0, NULL), 0);
	assert_int_equal(begin(p, 0, "k", 0, NULL), 0);
	raw_put(&b, LIMIT_FRAME_DATA + 1, 1, TTRPC_RESPONSE, 0, data, LIMIT_FRAME_DATA + 1);
	free(data);
	assert_true(raw_send_buf(p->base, p->theirs, &b));
	await_replies(p, 1);
	assert_int_equal(p->last_code, CODE_RESOURCE_EXHAUSTED);
	put_message(&b, 3, TTRPC_RESPONSE, 0, "fine", true);
	assert_true(raw_send_buf(p->base, p->theirs, &b));
	await_replies(p, 2);
	assert_string_equal(p->last_key, "fine");
}

/* Against our own server in the same loop: more than the socket holds, descriptors included. */
static void many_calls_at_once_are_all_answered(void **state)
{
	struct pair *p = *state;
	struct ttrpc_server *server;
	struct echo *echo = calloc(1, sizeof(*echo));
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue m = TTRPC__KEY_VALUE__INIT;
	int pipes[2], n_open;
	struct ttrpc_request request = {
		.service = ECHO_SERVICE,
		.method = "Fds",
		.message = &m.base,
		.response = &ttrpc__key_value__descriptor,
	};
	char *value = malloc(2001), bytes[4096];
	size_t got = 0;

	assert_int_equal(ttrpc_server_new(p->base, -1, &server), 0);
	assert_int_equal(echo_add(server, echo), 0);
	assert_int_equal(ttrpc_server_adopt(server, p->theirs), 0);
	p->theirs = -1;
	assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
	n_open = fd_count();
	memset(value, 'v', 2000);
	value[2000] = '\0';
	for (size_t i = 0; i < 1000; i++) {
		/* of every hundredth the server writes a byte to the descriptor it got */
		request.fds = &pipes[1];
		request.n_fds = i % 100 == 0;
		m.key = (char *)(request.n_fds ? "4" : "0");
		m.value = (char *)(request.n_fds ? "!" : value);
		assert_int_equal(
			ttrpc_client_begin(p->client, &request, 0, on_reply, p, NULL, &err), 0);
	}
	await_replies(p, 1000);
	assert_int_equal(p->last_code, 0);
	got = (size_t)read(pipes[0], bytes, sizeof(bytes));
	assert_int_equal(got, 10);
	assert_int_equal(fd_count(), n_open);
	close(pipes[0]);
	close(pipes[1]);
	free(value);
	ttrpc_server_free(server);
	free(echo);
}

static void a_queue_that_is_full_ends_the_connection(void **state)
{
	struct pair *p = *state;
	size_t n = 0;
	char *key = malloc(1000001);
	int code;

	memset(key, 'k', 1000000);
	key[1000000] = '\0';
	do
		code = begin(p, 0, key, 0, NULL);
	while (code == 0 && ++n < 100);
	free(key);
	assert_int_equal(code, CODE_UNAVAILABLE);
	assert_in_range(n, 8, 12);
	assert_int_equal(p->n_replies, 0);
	await_replies(p, n);
	assert_int_equal(p->last_code, CODE_UNAVAILABLE);
}

#define REMOTE(name) cmocka_unit_test_setup_teardown(name, remote_setup, remote_teardown)
#define BYHAND(name) cmocka_unit_test_setup_teardown(name, pair_setup_blocking, pair_teardown)
#define ASYNC(name)  cmocka_unit_test_setup_teardown(name, pair_setup_async, pair_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		REMOTE(a_call_returns_the_answer),
		REMOTE(a_long_call_goes_both_ways),
		REMOTE(a_failure_has_the_servers_words),
		REMOTE(a_request_over_the_limit_is_not_sent),
		REMOTE(the_server_keeps_the_deadline),
		REMOTE(a_server_that_hangs_is_given_up),
		REMOTE(a_server_that_dies_is_unavailable),
		REMOTE(metadata_reaches_the_server),
		REMOTE(descriptors_reach_the_server),
		REMOTE(a_stream_is_read_to_its_end),
		REMOTE(streams_and_calls_share_the_connection),
		REMOTE(a_stream_that_fails_tells_what_came_before),
		REMOTE(waiting_for_a_message_has_a_limit),
		REMOTE(what_nobody_reads_is_bounded),
		REMOTE(a_long_path_is_reached_through_its_folder),
		BYHAND(a_client_bears_peculiar_answers),
		BYHAND(a_client_drops_what_is_not_ttrpc),
		BYHAND(the_last_message_of_a_stream_may_end_it),
		BYHAND(requests_look_as_the_protocol_says),
		ASYNC(answers_arrive_by_callback),
		ASYNC(a_callback_may_begin_the_next_call),
		ASYNC(a_stream_calls_back_for_each_and_the_end),
		ASYNC(a_cancelled_call_hears_nothing),
		ASYNC(a_client_may_be_freed_in_a_callback),
		ASYNC(a_client_may_be_freed_when_the_server_has_gone),
		ASYNC(the_end_of_the_server_ends_every_call),
		ASYNC(a_failed_send_ends_every_call),
		ASYNC(a_deadline_of_our_own_follows_the_servers),
		ASYNC(an_answer_too_long_fails_its_call_alone),
		ASYNC(many_calls_at_once_are_all_answered),
		ASYNC(a_queue_that_is_full_ends_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

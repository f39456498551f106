/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's blocking use, against our server in a process of its own. Each test leaves no
 * process and no file behind. Asynchronous use, and servers that are not ours, are in
 * test_ttrpc_client_pair.c.
 */
#include "common/ttrpc_client.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/limits.h"
#include "test/unit/precise_base.h"
#include "test/unit/ttrpc_client_bed.h"

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
	struct event_base *base = precise_base_new();
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

static void what_waits_can_be_interrupted(void **state)
{
	struct ttrpc_client *client = remote_client(*state);
	_cleanup_error_ struct error err = ERROR_INIT;
	Ttrpc__KeyValue *answer = NULL;
	int reader, writer;

	assert_int_equal(fd_pipe(&reader, &writer, 0), 0);
	ttrpc_client_interrupt_by(client, reader);
	assert_echo(client, "nobody minds");
	assert_int_equal(write(writer, "x", 1), 1);
	assert_fails(call(client, "Hold", "", "", 0, &answer, &err), CODE_CANCELLED, &err, "Hold");
	assert_fails(call(client, "Echo", "", "", 0, &answer, &err), CODE_UNAVAILABLE, &err, "");
	assert_null(answer);
	ttrpc_client_free(client);
	close(reader);
	close(writer);
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

#define REMOTE(name) cmocka_unit_test_setup_teardown(name, remote_setup, remote_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		REMOTE(a_call_returns_the_answer),
		REMOTE(a_long_call_goes_both_ways),
		REMOTE(what_waits_can_be_interrupted),
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
		REMOTE(a_long_path_is_reached_through_its_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

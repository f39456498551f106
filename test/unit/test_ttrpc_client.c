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

static void blocking_call_returns_the_answer(void **state)
{
	struct ttrpc_client *client = remote_client(*state);

	assert_echo(client, "hello");
	assert_echo(client, "");
	ttrpc_client_free(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			blocking_call_returns_the_answer, remote_setup, remote_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server and descriptors: those that travel with a call, those that it has not left, those of a
 * peer that may not be here; and what a connection costs.
 */
#include "common/ttrpc_server.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/ttrpc_server_private.h"
#include "test/unit/ttrpc_server_bed.h"

/* --- descriptors --- */

static void send_with_fds(struct fixture *f, uint32_t stream, const char *method, const char *max,
	const int *fds, size_t n_fds)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	put(&b, stream, method, max, "x");
	assert_true(raw_send_fds(f->client, buf_head(&b), b.len, fds, n_fds));
}

static void assert_fds(struct fixture *f, uint32_t stream, const char *n)
{
	struct raw_answer a = raw_answer(f->base, f->client);

	assert_int_equal(a.code, 0);
	assert_int_equal(a.stream, stream);
	assert_string_equal(a.key, n);
	raw_answer_free(&a);
}

static void a_handler_gets_what_was_sent(void **state)
{
	static const char *const n[] = { "0", "1", "2", "3", "4", "4", "4" };
	struct fixture *f = *state;
	int pipes[2], fds[6], n_open;
	char bytes[64];
	uint32_t stream = 1;

	assert_serves(f, f->client, stream);
	assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
	for (size_t i = 0; i < 6; i++)
		fds[i] = pipes[1];
	n_open = fd_count();
	for (size_t i = 0; i <= 6; i++) {
		stream += 2;
		send_with_fds(f, stream, "Fds", "16", fds, i);
		assert_fds(f, stream, n[i]);
		assert_int_equal(fd_count(), n_open);
	}
	assert_int_equal(read(pipes[0], bytes, sizeof(bytes)), 1 + 2 + 3 + 4 + 4 + 4);
	/* what it leaves is closed with the call; so is what comes with a call that fails */
	send_with_fds(f, 101, "Fds", "1", fds, 3);
	assert_fds(f, 101, "1");
	send_with_fds(f, 103, "Echo", "16", fds, 3);
	assert_answer(f, f->client, 103, 0, NULL);
	send_with_fds(f, 105, "Nothing", "16", fds, 3);
	assert_answer(f, f->client, 105, CODE_UNIMPLEMENTED, NULL);
	send_with_fds(f, 104, "Fds", "16", fds, 3);
	assert_answer(f, f->client, 104, CODE_INVALID_ARGUMENT, NULL);
	assert_int_equal(fd_count(), n_open);
	/* a kept call keeps them until it is over */
	send_with_fds(f, 107, "Hold", "", fds, 3);
	await(f, &f->echo.n_held, 1);
	assert_int_equal(fd_count(), n_open + 3);
	echo_reply(f->echo.held[0], "", "");
	assert_answer(f, f->client, 107, 0, NULL);
	assert_int_equal(fd_count(), n_open);
	close(pipes[0]);
	close(pipes[1]);
}

static void back_to_back_calls_keep_their_own(void **state)
{
	struct fixture *f = *state;
	int pipes[2], fds[4];
	static const size_t sent[] = { 0, 2, 0, 0, 4, 1, 0, 3 };
	const size_t n = sizeof(sent) / sizeof(*sent);
	int n_open;

	assert_serves(f, f->client, 1);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	for (size_t i = 0; i < 4; i++)
		fds[i] = pipes[1];
	n_open = fd_count();
	for (uint32_t i = 0; i < n; i++)
		send_with_fds(f, 2 * i + 3, "Fds", "16", fds, sent[i]);
	for (uint32_t i = 0; i < n; i++) {
		char key[8];

		snprintf(key, sizeof(key), "%zu", sent[i]);
		assert_fds(f, 2 * i + 3, key);
	}
	assert_int_equal(fd_count(), n_open);
	close(pipes[0]);
	close(pipes[1]);
}

/* From now on nothing can be opened whose number would be n or above. */
static void limit_descriptors(int n)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void without_descriptors_a_client_is_turned_away(void **state)
{
	struct fixture *f = *state;
	int clients[3];

	assert_serves(f, f->client, 1);
	for (size_t i = 0; i < 3; i++)
		clients[i] = connect_to(f);
	limit_descriptors(clients[2] + 1); /* all below are taken */
	for (size_t i = 0; i < 3; i++)
		assert_closed(f, clients[i]);
	assert_serves(f, f->client, 3);
	/* and nothing spins: there is no client left to be accepted */
	turn(f);
	assert_int_equal(event_base_get_num_events(f->base, EVENT_BASE_COUNT_ACTIVE), 0);
	assert_false(event_pending(&f->server->resume_timer, EV_TIMEOUT, NULL));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &f->nofile), 0);
	for (size_t i = 0; i < 3; i++) {
		close(clients[i]);
		clients[i] = connect_to(f);
		assert_serves(f, clients[i], 1);
		close(clients[i]);
	}
}

/*
 * valgrind keeps the limit itself: its accept4() takes the client, drops it and says EMFILE. So
 * these tests let two wait, where the kernel leaves both.
 */
static bool is_under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload");
}

/* Not even the reserve is there: accepting rests until a connection ends, or a moment. */
static void without_its_reserve_the_server_pauses(void **state)
{
	struct fixture *f = *state;
	int waiting, another, taken;

	assert_serves(f, f->client, 1);
	waiting = connect_to(f);
	another = connect_to(f);
	taken = f->server->reserve_fd;
	f->server->reserve_fd = -1;
	limit_descriptors(another + 1);
	turn(f);
	assert_false(event_pending(&f->server->listen_event, EV_READ, NULL));
	assert_true(event_pending(&f->server->resume_timer, EV_TIMEOUT, NULL));
	assert_serves(f, f->client, 3);
	fd_close(&f->client);
	await(f, &f->n_changes, 2);
	assert_true(f->was_listening);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &f->nofile), 0);
	close(taken);
	/* the reserve came first: the two that waited were perhaps turned away */
	close(waiting);
	close(another);
	f->client = connect_to(f);
	assert_serves(f, f->client, 1);
	assert_true(event_pending(&f->server->listen_event, EV_READ, NULL));
	assert_false(event_pending(&f->server->resume_timer, EV_TIMEOUT, NULL));
	assert_true(f->server->reserve_fd >= 0);
}

/* Also without anything that ends. */
static void a_pause_ends_by_itself(void **state)
{
	struct fixture *f = *state;
	int taken = f->server->reserve_fd, other, another;

	assert_serves(f, f->client, 1);
	f->server->reserve_fd = -1;
	other = connect_to(f);
	another = connect_to(f);
	limit_descriptors(another + 1);
	turn(f);
	assert_true(event_pending(&f->server->resume_timer, EV_TIMEOUT, NULL));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &f->nofile), 0);
	close(taken);
	if (!is_under_valgrind())
		assert_serves(f, other, 1);
	close(other);
	close(another);
	other = connect_to(f);
	assert_serves(f, other, 1);
	close(other);
}

static void a_peer_of_another_uid_is_refused(void **state)
{
	struct fixture *f = *state;
	pid_t pid;
	int status;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(f->folder, 0755), 0);
	assert_int_equal(chmod(f->path, 0666), 0);
	pid = fork();
	if (pid == 0) {
		struct sockaddr_un address = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		char byte;

		strcpy(address.sun_path, f->path);
		if (setresuid(65534, 65534, 65534) < 0 ||
			connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
			_exit(1);
		_exit(read(fd, &byte, 1) == 0 ? 42 : 2);
	}
	assert_true(pid > 0);
	while (waitpid(pid, &status, WNOHANG) == 0)
		raw_turn(f->base, f->client, POLLIN);
	assert_int_equal(WEXITSTATUS(status), 42);
	assert_int_equal(f->echo.n_calls, 0);
	assert_serves(f, f->client, 1);
	assert_int_equal(f->n_changes, 1);
}

/* --- cost --- */

static void connections_leave_nothing_behind(void **state)
{
	struct fixture *f = *state;

	fd_close(&f->client);
	await(f, &f->n_changes, 2);
	for (size_t i = 0; i < 200; i++) {
		int fd = connect_to(f);

		assert_serves(f, fd, 1);
		ask(f, fd, 3, "Hold", "", "");
		await(f, &f->echo.n_held, i + 1);
		close(fd);
		await(f, &f->n_changes, 2 * i + 4);
	}
	assert_int_equal(fd_count(), f->n_open);
	assert_int_equal(ttrpc_server_n_connections(f->server), 0);
}

/* Also after they have been busy. Counts the loop's own share of each too. */
static void an_idle_connection_holds_under_a_kibibyte(void **state)
{
	struct fixture *f = *state;
	int fds[100];
	size_t before, after;

	assert_serves(f, f->client, 1);
	/* what the loop and the C library keep for later is theirs already */
	for (size_t i = 0; i < 100; i++) {
		fds[i] = connect_to(f);
		assert_serves(f, fds[i], 1);
	}
	for (size_t i = 0; i < 100; i++)
		close(fds[i]);
	await(f, &f->n_changes, 201);
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	for (size_t i = 0; i < 100; i++) {
		struct raw_answer a;

		fds[i] = connect_to(f);
		ask(f, fds[i], 1, "Big", "k", "500000");
		a = raw_answer(f->base, fds[i]);
		assert_int_equal(a.code, 0);
		raw_answer_free(&a);
		assert_serves(f, fds[i], 3);
	}
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	assert_in_range((after - before) / 100, 0, 1023);
	for (size_t i = 0; i < 100; i++)
		close(fds[i]);
}

static void an_idle_server_has_no_timer(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct fixture *f = *state;

	raw_put_request(&b, 1, ECHO_SERVICE, "Echo", "k", "v", 1000000000, 0);
	assert_true(raw_send_buf(f->base, f->client, &b));
	assert_answer(f, f->client, 1, 0, "v");
	ask(f, f->client, 3, "Hold", "", "");
	await(f, &f->echo.n_held, 1);
	/* the listening socket and the connection, nothing else */
	assert_int_equal(event_base_get_num_events(f->base, EVENT_BASE_COUNT_ADDED), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_handler_gets_what_was_sent),
		TEST(back_to_back_calls_keep_their_own),
		TEST(without_descriptors_a_client_is_turned_away),
		TEST(without_its_reserve_the_server_pauses),
		TEST(a_pause_ends_by_itself),
		TEST(a_peer_of_another_uid_is_refused),
		TEST(connections_leave_nothing_behind),
		TEST(an_idle_connection_holds_under_a_kibibyte),
		TEST(an_idle_server_has_no_timer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcleat against a shim and a cleatd that are played: every rule of the Process, and the race
 * between a wait's two questions, forced both ways 1,000 times.
 */
#include "common/cleat.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/fd.h"
#include "test/unit/scripted_server.h"

#define ROUNDS 1000

struct fixture {
	struct scripted server;
	struct cleat_client *client;
	struct cleat_task *task;
	bool is_hub;
	int n_fds;
};

#define OK(call)                                                                                   \
	do {                                                                                       \
		struct cleat_error err_ = CLEAT_ERROR_INIT, *e = &err_;                            \
		if ((call) != 0)                                                                   \
			fail_msg("%s: %d %s", #call, err_.code, cleat_error_message(e));           \
	} while (0)

#define REFUSED(expected, part, call)                                                              \
	do {                                                                                       \
		struct cleat_error err_ = CLEAT_ERROR_INIT, *e = &err_;                            \
		assert_int_equal(call, expected);                                                  \
		assert_int_equal(e->code, expected);                                               \
		if (!strstr(cleat_error_message(e), part))                                         \
			fail_msg("\"%s\" is not in \"%s\"", part, cleat_error_message(e));         \
		cleat_error_clear(e);                                                              \
	} while (0)

static int setup(void **state, bool is_hub)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct cleat_client_options o = CLEAT_CLIENT_OPTIONS_INIT;

	f->is_hub = is_hub;
	f->n_fds = fd_count();
	scripted_start(&f->server, NULL);
	o.ns = "scripted";
	o.root = "/nowhere";
	*(is_hub ? &o.socket : &o.shim) = f->server.path;
	OK(cleat_client_open(&o, &f->client, e));
	assert_int_equal(cleat_client_via(f->client), is_hub ? CLEAT_VIA_CLEATD : CLEAT_VIA_SHIM);
	OK(cleat_task_open(f->client, "web", &f->task, e));
	f->server.log->words[0] = '\0';
	*state = f;
	return 0;
}

static int setup_shim(void **state)
{
	return setup(state, false);
}

static int setup_hub(void **state)
{
	return setup(state, true);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	cleat_task_free(f->task);
	cleat_client_close(f->client);
	scripted_stop(&f->server);
	assert_int_equal(fd_count(), f->n_fds);
	free(f);
	return 0;
}

static void assert_log(struct fixture *f, const char *words)
{
	assert_string_equal(f->server.log->words, words);
	f->server.log->words[0] = '\0';
}

static struct cleat_process *process(struct fixture *f, const char *exec_id)
{
	struct cleat_process *p = NULL;

	OK(cleat_task_process(f->task, exec_id, &p, e));
	f->server.log->words[0] = '\0';
	return p;
}

static struct cleat_process *added(struct fixture *f, const char *exec_id, struct cleat_io *io)
{
	struct cleat_exec_options o = CLEAT_EXEC_OPTIONS_INIT;
	struct cleat_process *p = NULL;

	o.process = "{\"args\":[\"x\"],\"cwd\":\"/\"}";
	OK(cleat_task_exec(f->task, exec_id, &o, io, &p, e));
	return p;
}

/* --- the race --- */

static void assert_exit(const struct cleat_exit *exit, uint32_t status)
{
	assert_true(exit->known);
	assert_int_equal(exit->status, status);
}

/* Waits as the round's turn is: blocking, or by the descriptor. */
static void wait_for(struct cleat_process *p, int round, struct cleat_exit *ret)
{
	struct pollfd ready = { .events = POLLIN };
	struct cleat_wait *wait;
	int r;

	if (round % 2 == 0) {
		OK(cleat_process_wait(p, 10000, ret, e));
		return;
	}
	OK(cleat_wait_begin(p, &wait, e));
	ready.fd = cleat_wait_fd(wait);
	do {
		assert_int_equal(poll(&ready, 1, 10000), 1);
		r = cleat_wait_take(wait, 0, ret, NULL);
	} while (r == CLEAT_EDEADLINE_EXCEEDED);
	assert_int_equal(r, 0);
	cleat_wait_free(wait);
}

/* An exec of that name, whose status nobody has asked for yet. */
static struct cleat_process *racer(struct fixture *f, const char *kind, int round)
{
	struct cleat_process *p;
	char id[64];

	snprintf(id, sizeof(id), "%s%d", kind, round);
	p = added(f, id, NULL);
	f->server.log->words[0] = '\0';
	return p;
}

static void race(struct fixture *f, const char *kind, uint32_t status)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct cleat_exit exit = { 0 };
		struct cleat_process *p = racer(f, kind, i);

		wait_for(p, i, &exit);
		assert_exit(&exit, status);
		assert_log(f, f->is_hub ? "Wait Get " : "Wait State ");
		cleat_process_free(p);
	}
}

/* The exit comes between the two, and the status that is told after it is older than that. */
static void test_exit_before_status(void **state)
{
	race(*state, "event", 7);
}

/* The exit is told by the status alone. */
static void test_exit_by_status(void **state)
{
	race(*state, "status", 8);
}

/* The exit comes right behind the status that says that it runs. */
static void test_exit_after_status(void **state)
{
	race(*state, "later", 9);
}

/* It exits and is deleted between the two: the status is an error, and the exit is known. */
static void test_exit_and_gone(void **state)
{
	race(*state, "gone", 5);
}

static void test_unknown(void **state)
{
	struct fixture *f = *state;
	struct cleat_process *p = process(f, "unknown");
	struct cleat_status status;
	struct cleat_exit exit;

	OK(cleat_process_wait(p, 10000, &exit, e));
	assert_false(exit.known);
	assert_int_equal(exit.status, 0);
	OK(cleat_process_status(p, &status, e));
	assert_string_equal(status.status, "stopped");
	assert_false(status.exit.known);
	cleat_process_free(p);
	p = process(f, "real");
	OK(cleat_process_wait(p, 10000, &exit, e));
	assert_exit(&exit, 255);
	cleat_process_free(p);
}

/* However often one is given up, one call is open: ttrpc could not take it back. */
static void test_waits_are_shared(void **state)
{
	struct fixture *f = *state;
	struct cleat_process *p = process(f, "running");
	struct cleat_exit exit;
	unsigned before = f->server.log->n_waits;

	for (int i = 0; i < 20; i++)
		REFUSED(CLEAT_EDEADLINE_EXCEEDED, "not ended",
			cleat_process_wait(p, i % 3, &exit, e));
	assert_int_equal(f->server.log->n_waits, before + 1);
	cleat_process_free(p);
}

struct waiter {
	struct cleat_wait *wait;
	pthread_t thread;
	int result;
};

static void *wait_long(void *userdata)
{
	struct waiter *w = userdata;
	struct cleat_exit exit;

	w->result = cleat_wait_take(w->wait, -1, &exit, NULL);
	return NULL;
}

/* Each is cancelled by itself, and what waits beside it goes on. */
static void test_cancel_one_of_many(void **state)
{
	struct fixture *f = *state;
	struct cleat_process *p = process(f, "running");
	struct waiter waiters[8] = { 0 };
	struct cleat_exit exit;

	for (int i = 0; i < 8; i++) {
		struct waiter *w = &waiters[i];

		OK(cleat_wait_begin(p, &w->wait, e));
		assert_int_equal(pthread_create(&w->thread, NULL, wait_long, w), 0);
	}
	for (int i = 0; i < 8; i++) {
		struct waiter *w = &waiters[i];

		cleat_wait_cancel(w->wait);
		pthread_join(w->thread, NULL);
		assert_int_equal(w->result, CLEAT_ECANCELLED);
		REFUSED(CLEAT_ECANCELLED, "cancelled", cleat_wait_take(w->wait, -1, &exit, e));
		/* calls go on meanwhile, whoever of the others reads for all */
		OK(cleat_process_kill(p, 10, e));
	}
	for (int i = 0; i < 8; i++)
		cleat_wait_free(waiters[i].wait);
	cleat_process_free(p);
}

/* --- the other rows --- */

static void test_start(void **state)
{
	struct fixture *f = *state;
	struct cleat_process *p = process(f, "created");

	assert_int_equal(cleat_process_pid(p), 0);
	OK(cleat_process_start(p, e));
	assert_int_equal(cleat_process_pid(p), 4711);
	assert_log(f, "Start ");
	cleat_process_free(p);
}

/* Cancelled, waited for and closed, and then the error; the pid stays 0. */
static void test_start_fails(void **state)
{
	struct fixture *f = *state;
	struct cleat_process *p;
	struct cleat_io *io;

	OK(cleat_io_new_fifos(f->server.folder, &io, e));
	p = added(f, "fail", io);
	assert_true(cleat_io_fd(io, CLEAT_STDOUT) >= 0);
	REFUSED(CLEAT_EUNKNOWN, "container web: no such program", cleat_process_start(p, e));
	assert_int_equal(cleat_process_pid(p), 0);
	assert_int_equal(cleat_io_fd(io, CLEAT_STDIN), -1);
	assert_int_equal(cleat_io_fd(io, CLEAT_STDOUT), -1);
	assert_int_equal(cleat_io_fd(io, CLEAT_STDERR), -1);
	cleat_process_free(p);
}

static void test_kill_resize_close(void **state)
{
	struct fixture *f = *state;
	struct cleat_process *p = process(f, "running");

	OK(cleat_process_kill(p, 15, e));
	OK(cleat_process_resize(p, 80, 24, e));
	OK(cleat_process_close_io(p, e));
	OK(cleat_task_kill_all(f->task, 9, e));
	assert_log(f, "Kill(web,running,15,0) Resize(web,running,80,24) CloseIO(web,running,1) "
		      "Kill(web,,9,1) ");
	cleat_process_free(p);
}

static void test_status_words(void **state)
{
	static const char *const words[] = { "created", "running", "stopped", "paused", "pausing" };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		struct cleat_process *p = process(f, words[i]);
		struct cleat_status s;

		OK(cleat_process_status(p, &s, e));
		assert_string_equal(s.status, words[i]);
		assert_int_equal(s.pid, 4711);
		assert_int_equal(cleat_process_pid(p), strcmp(words[i], "created") == 0 ? 0 : 4711);
		cleat_process_free(p);
	}
}

static int note_option(struct cleat_process *p, struct cleat_error *err)
{
	return cleat_process_kill(p, 1, err);
}

static void test_delete(void **state)
{
	static const char *const refused[] = { "running", "paused", "pausing" };
	const cleat_delete_option options[] = { note_option, note_option, NULL };
	struct fixture *f = *state;
	struct cleat_exit exit = { 0 };
	struct cleat_process *p;

	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		p = process(f, refused[i]);
		REFUSED(CLEAT_EFAILED_PRECONDITION, "must be stopped before deletion",
			cleat_process_delete(p, NULL, &exit, e));
		assert_log(f, f->is_hub ? "Get " : "State ");
		cleat_process_free(p);
	}
	p = process(f, "stopped");
	OK(cleat_process_delete(p, options, &exit, e));
	assert_exit(&exit, 3);
	assert_log(f, f->is_hub ? "Kill(web,stopped,1,0) Kill(web,stopped,1,0) Get DeleteProcess "
				: "Kill(web,stopped,1,0) Kill(web,stopped,1,0) State Delete ");
	cleat_process_free(p);
	/* one that has not been started may be deleted */
	p = process(f, "created");
	OK(cleat_process_delete(p, NULL, NULL, e));
	cleat_process_free(p);
}

/* What is in the FIFOs goes where it was to be copied, then they are closed, then it is deleted. */
static void test_delete_drains(void **state)
{
	struct fixture *f = *state;
	struct cleat_process *p;
	struct cleat_io *io;
	char path[200], text[8] = "";
	int out[2], writer;

	OK(cleat_io_new_fifos(f->server.folder, &io, e));
	p = added(f, "stopped", io);
	/* Exec(FOLDER/stdin,FOLDER/stdout,FOLDER/stderr) */
	assert_int_equal(sscanf(f->server.log->words, "Exec(%*[^,],%199[^,],", path), 1);
	assert_int_equal(pipe(out), 0);
	cleat_io_copy_to(io, CLEAT_STDOUT, out[1]);
	writer = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(writer, "last", 4), 4);
	close(writer);
	strcpy(strrchr(path, '/'), "/stderr");
	writer = open(path, O_WRONLY | O_CLOEXEC);
	close(writer);
	OK(cleat_process_delete(p, NULL, NULL, e));
	assert_int_equal(read(out[0], text, sizeof(text)), 4);
	assert_string_equal(text, "last");
	assert_int_equal(cleat_io_fd(io, CLEAT_STDOUT), -1);
	assert_int_equal(access(path, F_OK), -1);
	close(out[0]);
	close(out[1]);
	cleat_process_free(p);
}

static void test_streams(void **state)
{
	struct fixture *f = *state;
	struct cleat_process *p;
	struct cleat_io *io;

	p = added(f, "none", NULL);
	assert_log(f, "Exec(,,) ");
	cleat_process_free(p);
	OK(cleat_io_new_fds(0, -1, 2, &io, e));
	p = added(f, "fds", io);
	assert_log(f, "Exec(fd:0,,fd:1) ");
	cleat_process_free(p);
	OK(cleat_io_new_terminal(&io, e));
	p = added(f, "tty", io);
	assert_log(f, "Exec(fd:0,fd:1,) ");
	cleat_process_free(p);
	OK(cleat_io_new_log("file:///log", &io, e));
	p = added(f, "log", io);
	assert_log(f, "Exec(,file:///log,file:///log) ");
	cleat_process_free(p);
}

/* --- who does not answer --- */

static void test_server_dies(void **state)
{
	struct fixture *f = *state;
	struct cleat_process *p = process(f, "running");
	struct cleat_wait *wait;
	struct cleat_exit exit;

	OK(cleat_wait_begin(p, &wait, e));
	scripted_kill(&f->server);
	if (!f->is_hub) {
		REFUSED(CLEAT_EUNAVAILABLE, "container web", cleat_wait_take(wait, -1, &exit, e));
		REFUSED(CLEAT_EUNAVAILABLE, "nobody listens", cleat_process_kill(p, 15, e));
	} else {
		/* its shim is looked for where cleatd had its folders */
		REFUSED(CLEAT_ENOT_FOUND, "web", cleat_wait_take(wait, -1, &exit, e));
	}
	cleat_wait_free(wait);
	cleat_process_free(p);
}

/* One that is stopped: an error after two seconds, and never taken for none. */
static void test_hub_hangs(void **state)
{
	struct fixture *f = *state;
	struct cleat_client_options o = CLEAT_CLIENT_OPTIONS_INIT;
	char at_root[120];
	struct cleat_client *client;

	snprintf(at_root, sizeof(at_root), "%s/cleatd.sock", f->server.folder);
	assert_int_equal(rename(f->server.path, at_root), 0);
	strcpy(f->server.path, at_root);
	o.root = f->server.folder;
	OK(cleat_client_open(&o, &client, e));
	assert_int_equal(cleat_client_via(client), CLEAT_VIA_CLEATD);
	cleat_client_close(client);
	kill(f->server.pid, SIGSTOP);
	REFUSED(CLEAT_EDEADLINE_EXCEEDED, at_root, cleat_client_open(&o, &client, e));
	scripted_kill(&f->server);
	/* it has left its socket, and nobody listens there; or not even that */
	for (int i = 0; i < 2; i++) {
		OK(cleat_client_open(&o, &client, e));
		assert_int_equal(cleat_client_via(client), CLEAT_VIA_DIRECT);
		cleat_client_close(client);
		unlink(at_root);
	}
}

#define SHIM(test)                                                                                 \
	{                                                                                          \
#test " shim", test, setup_shim, teardown, NULL                                    \
	}
#define HUB(test)                                                                                  \
	{                                                                                          \
#test " cleatd", test, setup_hub, teardown, NULL                                   \
	}
#define BOTH(test) SHIM(test), HUB(test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_exit_before_status),
		BOTH(test_exit_by_status),
		BOTH(test_exit_after_status),
		BOTH(test_exit_and_gone),
		BOTH(test_unknown),
		BOTH(test_waits_are_shared),
		BOTH(test_cancel_one_of_many),
		BOTH(test_start),
		BOTH(test_start_fails),
		BOTH(test_kill_resize_close),
		BOTH(test_status_words),
		BOTH(test_delete),
		BOTH(test_delete_drains),
		BOTH(test_streams),
		BOTH(test_server_dies),
		HUB(test_hub_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

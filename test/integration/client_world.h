/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the tests of libcleat stand on: a bed, a client that reaches containers in it straight or by
 * the bed's shim, and the usual steps. A header, since each test is one program of one file.
 */

#include "test/integration/bed.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/cleat.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/pidref.h"
#include "common/spawn.h"
#include "common/ttrpc_client.h"

#define WAIT_MS 30000

struct world {
	struct bed *bed;
	struct cleat_client *client;
	char *id;
	enum cleat_via via;
	struct pidref cleatd;
	int n_fds;
};

static inline void check(int r, const struct cleat_error *err, const char *what)
{
	if (r != 0)
		fail_msg("%s: %d %s", what, r, cleat_error_message(err));
}

#define OK(call)                                                                                   \
	do {                                                                                       \
		struct cleat_error err = CLEAT_ERROR_INIT, *e = &err;                              \
		check(call, e, #call);                                                             \
		cleat_error_clear(e);                                                              \
	} while (0)

#define REFUSED(expected, part, call)                                                              \
	do {                                                                                       \
		struct cleat_error err = CLEAT_ERROR_INIT, *e = &err;                              \
		assert_int_equal(call, expected);                                                  \
		assert_int_equal(err.code, expected);                                              \
		if (!strstr(cleat_error_message(&err), part))                                      \
			fail_msg("\"%s\" is not in \"%s\"", part, cleat_error_message(&err));      \
		cleat_error_clear(&err);                                                           \
	} while (0)

static inline struct cleat_client *open_client(struct world *w)
{
	struct cleat_client_options o = CLEAT_CLIENT_OPTIONS_INIT;
	struct cleat_client *client = NULL;

	o.root = w->bed->root;
	if (w->via == CLEAT_VIA_SHIM)
		o.shim = w->bed->socket;
	OK(cleat_client_open(&o, &client, e));
	assert_int_equal(cleat_client_via(client), w->via);
	return client;
}

/* One with the bed's root; serving once this returns. */
static inline void start_cleatd(struct world *w)
{
	_cleanup_free_ char *socket = bed_format("%s/cleatd.sock", w->bed->root);
	_cleanup_free_ char *program = NULL;
	char *argv[] = { NULL, (char *)"--root", w->bed->root, NULL };
	int64_t deadline = clock_monotonic_ms() + WAIT_MS;
	struct ttrpc_client *first;
	pid_t pid;

	assert_int_equal(spawn_find_program("cleatd", &program), 0);
	argv[0] = program;
	pid = fork();
	if (pid == 0) {
		int log = open("/dev/null", O_WRONLY | O_CLOEXEC);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(log, STDERR_FILENO);
		execv(program, argv);
		_exit(127);
	}
	assert_int_equal(pidref_open(pid, &w->cleatd), 0);
	while (ttrpc_client_connect(socket, NULL, &first, NULL) != 0) {
		assert_true(clock_monotonic_ms() < deadline);
		usleep(1000);
	}
	ttrpc_client_free(first);
}

/* As a crash would. */
static inline void kill_cleatd(struct world *w)
{
	pid_t pid = w->cleatd.pid;

	if (pid == 0)
		return;
	pidref_signal(&w->cleatd, SIGKILL);
	waitpid(pid, NULL, 0);
	pidref_close(&w->cleatd);
}

static inline int setup(void **state, enum cleat_via via)
{
	struct world *w = calloc(1, sizeof(*w));
	void *bed;

	if (bed_setup_runc(&bed) != 0)
		return -1;
	w->bed = bed;
	w->via = via;
	w->cleatd = PIDREF_INIT;
	w->id = via == CLEAT_VIA_SHIM ? strdup(w->bed->id) : bed_format("%s-2", w->bed->id);
	w->n_fds = fd_count();
	if (via == CLEAT_VIA_CLEATD)
		start_cleatd(w);
	w->client = open_client(w);
	*state = w;
	return 0;
}

static inline int setup_direct(void **state)
{
	return setup(state, CLEAT_VIA_DIRECT);
}

static inline int setup_shim(void **state)
{
	return setup(state, CLEAT_VIA_SHIM);
}

static inline int setup_cleatd(void **state)
{
	return setup(state, CLEAT_VIA_CLEATD);
}

/* What a failed test left. */
static inline void sweep(struct world *w)
{
	const cleat_delete_option kill[] = { cleat_delete_kill, NULL };
	struct cleat_task *task;

	if (cleat_task_open(w->client, w->id, &task, NULL) != 0)
		return;
	cleat_process_delete(cleat_task_init(task), kill, NULL, NULL);
	cleat_task_free(task);
}

static inline int teardown(void **state)
{
	struct world *w = *state;
	void *bed = w->bed;

	sweep(w);
	cleat_client_close(w->client);
	kill_cleatd(w);
	assert_int_equal(fd_count(), w->n_fds);
	/* whose container was deleted ends with it */
	if (w->via == CLEAT_VIA_SHIM)
		bed_await_end(w->bed);
	free(w->id);
	free(w);
	return bed_teardown(&bed);
}

/* --- steps --- */

static inline struct cleat_task *create(struct world *w, const char *args, struct cleat_io *io)
{
	struct cleat_create_options o = CLEAT_CREATE_OPTIONS_INIT;
	struct cleat_task *task = NULL;

	bed_config(w->bed, args, false);
	o.bundle = w->bed->bundle;
	o.runtime = w->bed->real_path;
	OK(cleat_task_create(w->client, w->id, &o, io, &task, e));
	return task;
}

static inline struct cleat_task *run(struct world *w, const char *args, struct cleat_io *io)
{
	struct cleat_task *task = create(w, args, io);

	OK(cleat_process_start(cleat_task_init(task), e));
	return task;
}

static inline struct cleat_process *add(
	struct cleat_task *task, const char *exec_id, const char *const *args, struct cleat_io *io)
{
	struct cleat_exec_options o = CLEAT_EXEC_OPTIONS_INIT;
	struct cleat_process *p = NULL;

	o.args = args;
	OK(cleat_task_exec(task, exec_id, &o, io, &p, e));
	return p;
}

static inline void assert_status(struct cleat_process *p, const char *word)
{
	struct cleat_status s = { 0 };

	OK(cleat_process_status(p, &s, e));
	assert_string_equal(s.status, word);
}

static inline void assert_exit(const struct cleat_exit *exit, uint32_t status)
{
	assert_true(exit->known);
	assert_int_equal(exit->status, status);
	assert_true(exit->exited_at > 0);
}

static inline void finish(struct cleat_task *task)
{
	const cleat_delete_option kill[] = { cleat_delete_kill, NULL };

	OK(cleat_process_delete(cleat_task_init(task), kill, NULL, e));
	cleat_task_free(task);
}

/* All that comes until the end of the file. */
static inline void read_text(int fd, char *text, size_t size)
{
	size_t n = 0;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t r;

		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		r = read(fd, text + n, size - n - 1);
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	text[n] = '\0';
}

#define DIRECT(test)                                                                               \
	{                                                                                          \
#test " (runc) direct", test, setup_direct, teardown, NULL                         \
	}
#define BY_SHIM(test)                                                                              \
	{                                                                                          \
#test " (runc) shim", test, setup_shim, teardown, NULL                             \
	}
#define BY_CLEATD(test)                                                                            \
	{                                                                                          \
#test " (runc) cleatd", test, setup_cleatd, teardown, NULL                         \
	}

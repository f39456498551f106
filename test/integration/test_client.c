/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deadline: 240
 * libcleat over a real shim and runtime, straight through the state folders, by a shim's socket and by a cleatd:
 * the life of a process, its streams, what is refused.
 */
#include "test/integration/client_world.h"

/* --- the life of a process --- */

static void test_life(void **state)
{
	struct world *w = *state;
	struct cleat_task *task, *other;
	struct cleat_process *init;
	struct cleat_container *list;
	struct cleat_exit exit;
	struct cleat_io *io;
	uint32_t *pids;
	char text[8];
	int out[2];
	size_t n;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	OK(cleat_io_new_fds(-1, out[1], -1, &io, e));
	task = create(w, "[\"/bin/tool\",\"trap\",\"TERM\",\"3\"]", io);
	init = cleat_task_init(task);
	assert_string_equal(cleat_task_id(task), w->id);
	assert_string_equal(cleat_process_id(init), "");
	assert_ptr_equal(cleat_process_io(init), io);
	assert_int_equal(cleat_process_pid(init), 0);
	assert_status(init, "created");
	OK(cleat_process_start(init, e));
	assert_true(cleat_process_pid(init) > 0);
	assert_status(init, "running");
	OK(cleat_client_list(w->client, &list, &n, e));
	assert_int_equal(n, 1);
	assert_string_equal(list[0].id, w->id);
	assert_string_equal(list[0].ns, "default");
	assert_string_equal(list[0].status, "running");
	assert_int_equal(list[0].pid, cleat_process_pid(init));
	assert_false(list[0].exited);
	cleat_containers_free(list, n);
	OK(cleat_task_open(w->client, w->id, &other, e));
	assert_int_equal(cleat_process_pid(cleat_task_init(other)), cleat_process_pid(init));
	cleat_task_free(other);
	OK(cleat_task_pids(task, &pids, &n, e));
	assert_int_equal(n, 1);
	assert_int_equal(pids[0], cleat_process_pid(init));
	free(pids);
	REFUSED(CLEAT_EDEADLINE_EXCEEDED, w->id, cleat_process_wait(init, 1, &exit, e));
	REFUSED(CLEAT_EFAILED_PRECONDITION, "must be stopped before deletion",
		cleat_process_delete(init, NULL, &exit, e));
	assert_true(read(out[0], text, sizeof(text)) > 0); /* "ready" */
	close(out[0]);
	close(out[1]);
	OK(cleat_process_kill(init, SIGTERM, e));
	OK(cleat_process_wait(init, WAIT_MS, &exit, e));
	assert_exit(&exit, 3);
	assert_status(init, "stopped");
	REFUSED(CLEAT_ENOT_FOUND, "", cleat_process_kill(init, SIGTERM, e));
	memset(&exit, 0, sizeof(exit));
	OK(cleat_process_delete(init, NULL, &exit, e));
	assert_exit(&exit, 3);
	cleat_task_free(task);
	if (w->via != CLEAT_VIA_SHIM)
		REFUSED(CLEAT_ENOT_FOUND, "does not exist",
			cleat_task_open(w->client, w->id, &other, e));
}

static void test_delete_refuses(void **state)
{
	struct world *w = *state;
	struct cleat_task *task = run(w, "[\"/bin/tool\",\"ignore-term\"]", NULL);
	const cleat_delete_option kill[] = { cleat_delete_kill, NULL };
	const char *const args[] = { "/bin/tool", "ignore-term", NULL };
	struct cleat_process *init = cleat_task_init(task), *exec = add(task, "one", args, NULL);
	struct cleat_exit exit;

	OK(cleat_process_start(exec, e));
	REFUSED(CLEAT_EFAILED_PRECONDITION, "exec one: must be stopped",
		cleat_process_delete(exec, NULL, &exit, e));
	OK(cleat_task_pause(task, e));
	assert_status(init, "paused");
	REFUSED(CLEAT_EFAILED_PRECONDITION, "must be stopped",
		cleat_process_delete(init, NULL, &exit, e));
	OK(cleat_task_resume(task, e));
	OK(cleat_process_delete(exec, kill, &exit, e));
	assert_exit(&exit, 128 + SIGKILL);
	cleat_process_free(exec);
	REFUSED(CLEAT_ENOT_FOUND, "", cleat_task_process(task, "one", &exec, e));
	/* frozen, it would not die of its own accord */
	OK(cleat_task_pause(task, e));
	OK(cleat_process_delete(init, kill, &exit, e));
	assert_exit(&exit, 128 + SIGKILL);
	cleat_task_free(task);
}

/* An own option runs first, and one that fails ends the delete. */
static int refuse(struct cleat_process *p, struct cleat_error *err)
{
	(void)p;
	err->code = CLEAT_EABORTED;
	err->message = strdup("not today");
	return CLEAT_EABORTED;
}

static void test_delete_option_fails(void **state)
{
	struct world *w = *state;
	struct cleat_task *task = run(w, "[\"/bin/tool\",\"exit\",\"7\"]", NULL);
	const cleat_delete_option options[] = { refuse, NULL };
	struct cleat_process *init = cleat_task_init(task);
	struct cleat_exit exit;

	OK(cleat_process_wait(init, WAIT_MS, &exit, e));
	assert_exit(&exit, 7);
	REFUSED(CLEAT_EABORTED, "not today", cleat_process_delete(init, options, &exit, e));
	assert_status(init, "stopped");
	finish(task);
}

/* --- streams --- */

static void test_fds(void **state)
{
	struct world *w = *state;
	struct cleat_task *task;
	struct cleat_exit exit;
	struct cleat_io *io;
	char text[256];
	int out[2];

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	OK(cleat_io_new_fds(-1, out[1], -1, &io, e));
	assert_int_equal(cleat_io_fd(io, CLEAT_STDOUT), -1);
	task = run(w, "[\"/bin/tool\",\"lines\",\"2\"]", io);
	close(out[1]);
	read_text(out[0], text, sizeof(text));
	assert_string_equal(text, "line 1\nline 2\n");
	close(out[0]);
	OK(cleat_process_wait(cleat_task_init(task), WAIT_MS, &exit, e));
	assert_exit(&exit, 0);
	finish(task);
}

static void test_fifos(void **state)
{
	struct world *w = *state;
	struct cleat_task *task = run(w, "[\"/bin/tool\",\"pause\"]", NULL);
	const char *const args[] = { "/bin/tool", "tee2", NULL };
	struct cleat_process *exec;
	struct cleat_exit exit;
	struct cleat_io *io;
	char text[256];
	int sink[2];

	assert_int_equal(pipe2(sink, O_CLOEXEC), 0);
	OK(cleat_io_new_fifos(w->bed->dir, &io, e));
	exec = add(task, "cat", args, io);
	assert_ptr_equal(cleat_process_io(exec), io);
	cleat_io_copy_to(io, CLEAT_STDERR, sink[1]);
	REFUSED(CLEAT_EDEADLINE_EXCEEDED, "not ended", cleat_io_wait(io, 1, e));
	OK(cleat_process_start(exec, e));
	assert_int_equal(write(cleat_io_fd(io, CLEAT_STDIN), "hello\n", 6), 6);
	OK(cleat_process_close_io(exec, e));
	assert_int_equal(cleat_io_fd(io, CLEAT_STDIN), -1);
	read_text(cleat_io_fd(io, CLEAT_STDOUT), text, sizeof(text));
	assert_string_equal(text, "hello\n");
	OK(cleat_process_wait(exec, WAIT_MS, &exit, e));
	assert_exit(&exit, 0);
	/* what nobody has read by then goes to where it was to be copied */
	OK(cleat_process_delete(exec, NULL, NULL, e));
	close(sink[1]);
	read_text(sink[0], text, sizeof(text));
	assert_string_equal(text, "hello\n");
	close(sink[0]);
	cleat_process_free(exec);
	finish(task);
}

static void test_terminal(void **state)
{
	struct world *w = *state;
	struct cleat_task *task = run(w, "[\"/bin/tool\",\"pause\"]", NULL);
	const char *const args[] = { "/bin/tool", "winsize", NULL };
	struct cleat_process *exec;
	struct cleat_exit exit;
	struct cleat_io *io;
	char text[256];

	OK(cleat_io_new_terminal(&io, e));
	exec = add(task, "tty", args, io);
	OK(cleat_process_resize(exec, 132, 43, e));
	OK(cleat_process_start(exec, e));
	read_text(cleat_io_fd(io, CLEAT_STDOUT), text, sizeof(text));
	assert_string_equal(text, "43 132\r\n");
	OK(cleat_process_wait(exec, WAIT_MS, &exit, e));
	assert_exit(&exit, 0);
	OK(cleat_process_delete(exec, NULL, NULL, e));
	cleat_process_free(exec);
	finish(task);
}

static void test_log(void **state)
{
	struct world *w = *state;
	_cleanup_free_ char *path = bed_format("%s/log", w->bed->dir);
	_cleanup_free_ char *uri = bed_format("file://%s", path);
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct cleat_task *task;
	struct cleat_exit exit;
	struct cleat_io *io;

	OK(cleat_io_new_log(uri, &io, e));
	OK(cleat_io_wait(io, -1, e));
	task = run(w, "[\"/bin/tool\",\"lines\",\"2\"]", io);
	OK(cleat_process_wait(cleat_task_init(task), WAIT_MS, &exit, e));
	finish(task);
	assert_int_equal(fd_read_file(AT_FDCWD, path, &text, 4096), 0);
	assert_int_equal(text.len, 14);
}

/* A start that fails: its streams are cancelled, waited for and closed, and then it is told. */
static void test_start_fails(void **state)
{
	struct world *w = *state;
	struct cleat_task *task = run(w, "[\"/bin/tool\",\"pause\"]", NULL);
	const char *const args[] = { "/bin/nope", NULL };
	struct cleat_process *exec;
	struct cleat_io *io;

	OK(cleat_io_new_fifos(w->bed->dir, &io, e));
	exec = add(task, "nope", args, io);
	REFUSED(CLEAT_EUNKNOWN, "/bin/nope", cleat_process_start(exec, e));
	assert_int_equal(cleat_process_pid(exec), 0);
	for (int i = CLEAT_STDIN; i <= CLEAT_STDERR; i++)
		assert_int_equal(cleat_io_fd(io, (enum cleat_stream)i), -1);
	OK(cleat_process_delete(exec, NULL, NULL, e));
	cleat_process_free(exec);
	finish(task);
}

/* --- names --- */

static void test_refusals(void **state)
{
	struct world *w = *state;
	struct cleat_create_options o = CLEAT_CREATE_OPTIONS_INIT;
	struct cleat_client_options c = CLEAT_CLIENT_OPTIONS_INIT;
	struct cleat_client *client;
	struct cleat_task *task;

	REFUSED(CLEAT_EINVALID_ARGUMENT, "container id",
		cleat_task_open(w->client, "../x", &task, e));
	REFUSED(CLEAT_ENOT_FOUND, "no-such", cleat_task_open(w->client, "no-such", &task, e));
	o.bundle = "/no/such/bundle";
	REFUSED(CLEAT_ENOT_FOUND, "/no/such/bundle",
		cleat_task_create(w->client, w->id, &o, NULL, &task, e));
	o.bundle = w->bed->bundle;
	o.runtime = "nope";
	REFUSED(CLEAT_EINVALID_ARGUMENT, "runtime \"nope\"",
		cleat_task_create(w->client, w->id, &o, NULL, &task, e));
	c.root = "relative";
	REFUSED(CLEAT_EINVALID_ARGUMENT, "relative", cleat_client_open(&c, &client, e));
	c.root = w->bed->root;
	c.socket = "/no/such/socket";
	REFUSED(CLEAT_ENOT_FOUND, "/no/such/socket", cleat_client_open(&c, &client, e));
	assert_string_equal(cleat_version(), CLEAT_VERSION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DIRECT(test_life),
		BY_SHIM(test_life),
		BY_CLEATD(test_life),
		DIRECT(test_delete_refuses),
		BY_CLEATD(test_delete_refuses),
		DIRECT(test_delete_option_fails),
		DIRECT(test_fds),
		BY_SHIM(test_fds),
		BY_CLEATD(test_fds),
		DIRECT(test_fifos),
		BY_CLEATD(test_fifos),
		DIRECT(test_terminal),
		BY_CLEATD(test_terminal),
		DIRECT(test_log),
		BY_CLEATD(test_log),
		DIRECT(test_start_fails),
		BY_CLEATD(test_start_fails),
		DIRECT(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

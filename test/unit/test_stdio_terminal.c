/* SPDX-License-Identifier: Apache-2.0 */
/* The streams of a process with a terminal, over FIFOs. Callers' descriptors: test_stdio_callers.c. */
#include "shim/stdio.h"

#include <sys/ioctl.h>
#include <termios.h>

#include "test/unit/terminal_bed.h"

/* --- size --- */

static void print_size(int signal)
{
	struct winsize size = { 0 };

	(void)signal;
	ioctl(0, TIOCGWINSZ, &size);
	dprintf(1, "%ux%u\n", size.ws_col, size.ws_row);
}

static int tell_sizes(void *arg)
{
	char c;

	(void)arg;
	sigaction(SIGWINCH, &(struct sigaction){ .sa_handler = print_size, .sa_flags = SA_RESTART },
		NULL);
	print_size(0);
	return read(0, &c, 1) == 1 && c == '\n' ? 0 : 1;
}

static void test_size(void **state)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct bed *b = *state;
	const char *in = bed_fifo(b, "in"), *out = bed_fifo(b, "out");
	struct term t = open_term(b, &(struct stdio_spec){ .in = in, .out = out });
	_cleanup_close_ int reader = open_reader(out), writer = open(in, O_WRONLY | O_CLOEXEC);
	unsigned w = 0, h = 0;
	pid_t pid;

	assert_false(stdio_size(t.s, &w, &h));
	assert_int_equal(stdio_resize(t.s, 65536, 1, &err), CODE_INVALID_ARGUMENT);
	assert_int_equal(stdio_resize(t.s, 1, 65536, &err), CODE_INVALID_ARGUMENT);
	assert_false(stdio_size(t.s, &w, &h));
	assert_int_equal(stdio_resize(t.s, 132, 43, &err), 0);
	assert_true(stdio_size(t.s, &w, &h));
	assert_true(w == 132 && h == 43);
	attach(&t);
	pid = start_on(b, &t, false, tell_sizes, NULL);
	expect(b, reader, "132x43"); /* from the first line */
	assert_int_equal(stdio_resize(t.s, 65535, 1, &err), 0);
	expect(b, reader, "65535x1");
	say(writer, "\n");
	bed_join_ok(b, pid);
	stdio_exited(t.s);
	assert_true(bed_until(b, is_drained, t.s));
	assert_int_equal(stdio_resize(t.s, 80, 24, &err), 0); /* too late is no error */
	stdio_free(t.s);
}

/* --- bytes --- */

static int raw_container(void *arg)
{
	struct bytes *bytes = arg;
	pid_t out = fork();
	int r, status;

	if (out == 0)
		_exit(write_pattern(1, &bytes[1]));
	r = check_pattern(0, &bytes[0]);
	return waitpid(out, &status, 0) == out && status == 0 ? r : 9;
}

static void test_raw_bytes_both_ways(void **state)
{
	struct bed *b = *state;
	/* A terminal has no end: the container reads as much as it knows will come. */
	struct bytes bytes[2] = { { .seed = 1, .n = 8 * MIB, .open_end = true },
		{ .seed = 2, .n = 8 * MIB } };
	struct bytes in = bytes[0], out = bytes[1];
	pid_t pids[3];
	struct term t;

	in.path = bed_fifo(b, "in");
	out.path = bed_fifo(b, "out");
	t = open_term(b, &(struct stdio_spec){ .in = in.path, .out = out.path });
	attach(&t);
	pids[0] = start_on(b, &t, true, raw_container, bytes);
	pids[1] = bed_fork(b, bed_no_fds, write_actor, &in);
	pids[2] = bed_fork(b, bed_no_fds, check_actor, &out);
	bed_join_ok(b, pids[0]);
	bed_join_ok(b, pids[1]);
	stdio_exited(t.s);
	bed_join_ok(b, pids[2]); /* sees the end */
	assert_true(stdio_is_drained(t.s));
	assert_int_equal(counters(t.s).in_in, 8 * MIB);
	assert_int_equal(counters(t.s).in_out, 8 * MIB);
	assert_int_equal(counters(t.s).out_in, 8 * MIB);
	assert_int_equal(counters(t.s).out_out, 8 * MIB);
	stdio_free(t.s);
}

static int write_and_leave(void *arg)
{
	return write_pattern(1, arg);
}

/* What is written last is not lost, however fast the process goes: 20 rounds. */
static void test_burst_before_exit(void **state)
{
	struct bed *b = *state;
	struct bytes out = { .seed = 3, .n = 200000 }, all = out;
	_cleanup_free_ char *uri = NULL;

	assert_true(asprintf(&uri, "file://%s/log", b->dir) > 0);
	for (int i = 0; i < 20; i++) {
		struct term t = open_term(b, &(struct stdio_spec){ .out = uri });
		_cleanup_close_ int log = -1;

		attach(&t);
		b->n_actors = 0;
		finish(b, &t, start_on(b, &t, true, write_and_leave, &out));
		log = open(bed_path(b, "log"), O_RDONLY | O_CLOEXEC);
		assert_int_equal(check_pattern(log, &all), 0);
		assert_int_equal(truncate(bed_path(b, "log"), 0), 0);
	}
}

/* --- the slave comes and goes --- */

static int close_and_reopen(void *arg)
{
	char name[64] = "";
	int null = open("/dev/null", O_RDWR), fd;

	if (ttyname_r(0, name, sizeof(name)) != 0)
		return 9;
	dprintf(1, "one\n");
	/* Nobody in the container has it open then; the reader has to see "one" before we go on. */
	for (int i = 0; i < 3; i++)
		if (dup2(null, i) < 0)
			return 1;
	fd = open(arg, O_RDONLY); /* a FIFO: waits for the test */
	if (fd < 0 || read(fd, name + 60, 1) != 0)
		return 2;
	fd = open(name, O_RDWR | O_NOCTTY);
	return fd >= 0 && dprintf(fd, "two\n") == 4 ? 0 : 3;
}

static void test_process_reopens_its_terminal(void **state)
{
	struct bed *b = *state;
	const char *out = bed_fifo(b, "out"), *go = bed_fifo(b, "go");
	struct term t = open_term(b, &(struct stdio_spec){ .out = out });
	_cleanup_close_ int reader = open_reader(out), gate = -1;
	pid_t pid;

	attach(&t);
	bed_assert_idle(b); /* nobody has opened the slave yet: not the end */
	assert_false(stdio_is_drained(t.s));
	pid = start_on(b, &t, false, close_and_reopen, (void *)go);
	expect(b, reader, "one\r\n");
	gate = open(go, O_WRONLY | O_CLOEXEC); /* the process has closed everything */
	bed_assert_idle(b);
	assert_false(stdio_is_drained(t.s));
	fd_close(&gate);
	expect(b, reader, "two\r\n");
	finish(b, &t, pid);
	assert_int_equal(read(reader, &(char){ 0 }, 1), 0);
}

static void test_process_gone_before_the_console_came(void **state)
{
	struct bed *b = *state;

	for (int opened = 0; opened < 2; opened++) {
		const char *out = bed_fifo(b, opened ? "a" : "b");
		struct term t = open_term(b, &(struct stdio_spec){ .out = out });
		_cleanup_close_ int reader = open_reader(out);

		if (opened) {
			int slave = open(t.slave, O_RDWR | O_NOCTTY | O_CLOEXEC);

			say(slave, "last words");
			close(slave);
		}
		stdio_exited(t.s);
		assert_false(stdio_is_drained(t.s));
		attach(&t);
		assert_true(bed_until(b, is_drained, t.s));
		assert_int_equal(counters(t.s).out_out, opened ? 10 : 0);
		if (opened)
			expect(b, reader, "last words");
		stdio_free(t.s);
	}
}

static int hold_terminal(void *arg)
{
	int fd = open(arg, O_RDONLY);

	return fd >= 0 && read(fd, &(char){ 0 }, 1) == 0 ? 0 : 1;
}

static int fork_and_leave(void *arg)
{
	signal(SIGHUP, SIG_IGN); /* or the grandchild would not outlive its session's leader */
	dprintf(1, "here\n");
	if (fork() == 0)
		_exit(hold_terminal(arg));
	return 0;
}

static void test_grandchild_holds_the_terminal(void **state)
{
	struct bed *b = *state;
	const char *out = bed_fifo(b, "out"), *go = bed_fifo(b, "go");
	struct term t = open_term(b, &(struct stdio_spec){ .out = out });
	_cleanup_close_ int reader = open_reader(out), gate = -1;
	pid_t pid;

	attach(&t);
	pid = start_on(b, &t, false, fork_and_leave, (void *)go);
	gate = open(go, O_WRONLY | O_CLOEXEC); /* the grandchild is there */
	bed_join_ok(b, pid);
	stdio_exited(t.s);
	expect(b, reader, "here\r\n");
	bed_assert_idle(b);
	assert_false(stdio_is_drained(t.s));
	stdio_abandon(t.s);
	assert_false(stdio_is_drained(t.s));
	assert_int_equal(read(reader, &(char){ 0 }, 1), 0);
	stdio_free(t.s);
}

/* --- input --- */

static void test_input_outlives_a_client(void **state)
{
	struct bed *b = *state;
	const char *in = bed_fifo(b, "in"), *out = bed_fifo(b, "out");
	struct term t = open_term(b, &(struct stdio_spec){ .in = in, .out = out });
	_cleanup_close_ int reader = open_reader(out);
	pid_t pid;
	int writer;

	attach(&t);
	pid = start_on(b, &t, false, echo_lines, NULL);
	writer = open(in, O_WRONLY | O_CLOEXEC);
	say(writer, "first\n");
	close(writer);
	expect(b, reader, "got first\r\n");
	bed_assert_idle(b);
	writer = open(in, O_WRONLY | O_CLOEXEC);
	say(writer, "second\n");
	expect(b, reader, "got second\r\n");
	say(writer, "quit\n");
	finish(b, &t, pid);
	assert_int_equal(write(writer, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	close(writer);
}

/* One line, then nothing: neither bytes nor an end. The size tells when to stop looking. */
static int expect_quiet(void *arg)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };
	char line[100];

	(void)arg;
	signal(SIGWINCH, print_size);
	if (read(0, line, sizeof(line)) != 7 || memcmp(line, "queued\n", 7) != 0)
		return 1;
	dprintf(1, "one line\n");
	return poll(&p, 1, BED_DEADLINE_MS) < 0 && errno == EINTR ? 0 : 2;
}

static void test_close_stdin_just_stops(void **state)
{
	for (int before = 0; before < 2; before++) {
		_cleanup_error_ struct error err = ERROR_INIT;
		struct bed *b = *state;
		const char *in = bed_fifo(b, before ? "in1" : "in2");
		const char *out = bed_fifo(b, before ? "out1" : "out2");
		struct term t = open_term(b, &(struct stdio_spec){ .in = in, .out = out });
		_cleanup_close_ int reader = open_reader(out);
		_cleanup_close_ int writer = open(in, O_WRONLY | O_CLOEXEC);
		pid_t pid;

		say(writer, "queued\n");
		if (before)
			stdio_close_stdin(t.s);
		attach(&t);
		if (!before)
			stdio_close_stdin(t.s);
		pid = start_on(b, &t, false, expect_quiet, NULL);
		expect(b, reader, "one line\r\n");
		bed_settle(b);
		assert_int_equal(write(writer, "late\n", 5), -1);
		assert_int_equal(errno, EPIPE);
		bed_assert_idle(b);
		assert_int_equal(stdio_resize(t.s, 7, 8, &err), 0);
		expect(b, reader, "7x8");
		finish(b, &t, pid);
	}
}

/* --- other ends --- */

static void test_no_output_wanted(void **state)
{
	struct bed *b = *state;
	struct term t = open_term(b, &(struct stdio_spec){ .err = "not looked at" });

	attach(&t);
	bed_join_ok(b, start_on(b, &t, true, write_a_lot, NULL));
	stdio_exited(t.s);
	assert_true(bed_until(b, is_drained, t.s));
	assert_int_equal(counters(t.s).out_in, MIB);
	assert_int_equal(counters(t.s).out_out, MIB);
	stdio_free(t.s);
}

static void test_terminal_without_a_reader(void **state)
{
	struct bed *b = *state;
	struct bytes out = { .seed = 4, .n = MIB, .path = bed_fifo(b, "out") };
	struct term t = open_term(b, &(struct stdio_spec){ .out = out.path });
	pid_t pid, reader;

	attach(&t);
	pid = start_on(b, &t, true, write_a_lot, NULL);
	assert_true(bed_until(b, some_read, t.s));
	bed_assert_idle(b);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	reader = bed_fork(b, bed_no_fds, check_actor, &out);
	finish(b, &t, pid);
	bed_join_ok(b, reader);
}

static void test_freed_in_the_middle(void **state)
{
	struct bed *b = *state;
	const char *in = bed_fifo(b, "in"), *out = bed_fifo(b, "out");
	struct term t = open_term(b, &(struct stdio_spec){ .in = in, .out = out });
	_cleanup_error_ struct error err = ERROR_INIT;
	int status;
	pid_t pid;

	stdio_free(t.s);
	fd_close(&t.master);
	t = open_term(b, &(struct stdio_spec){ .in = in, .out = out });
	stdio_abandon(t.s);
	assert_int_equal(stdio_attach_console(t.s, t.master, &err), CODE_FAILED_PRECONDITION);
	stdio_free(t.s);
	t = open_term(b, &(struct stdio_spec){ .in = in, .out = out });
	attach(&t);
	pid = start_on(b, &t, true, write_a_lot, NULL);
	assert_true(bed_until(b, some_read, t.s));
	stdio_free(t.s);
	status = bed_join(b, pid); /* its terminal is hung up */
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_size),
		bed_test(test_raw_bytes_both_ways),
		bed_test(test_burst_before_exit),
		bed_test(test_process_reopens_its_terminal),
		bed_test(test_process_gone_before_the_console_came),
		bed_test(test_grandchild_holds_the_terminal),
		bed_test(test_input_outlives_a_client),
		bed_test(test_close_stdin_just_stops),
		bed_test(test_no_output_wanted),
		bed_test(test_terminal_without_a_reader),
		bed_test(test_freed_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

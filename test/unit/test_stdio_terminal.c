/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The streams of a process with a terminal. A forked child stands for the container: it opens the
 * slave, as a runtime's init does, some time after the master has been handed over.
 */
#include "shim/stdio.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

#include "test/unit/stdio_bed.h"

struct term {
	struct stdio *s;
	int master; /* not yet attached */
	char slave[64];
};

static struct term open_term(struct bed *b, const struct stdio_spec *spec)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct stdio_spec with = *spec;
	struct term t = { .master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC) };
	int fds[3];

	assert_true(t.master >= 0);
	assert_int_equal(grantpt(t.master) | unlockpt(t.master), 0);
	assert_int_equal(ptsname_r(t.master, t.slave, sizeof(t.slave)), 0);
	with.terminal = true;
	if (stdio_open(b->base, &with, &t.s, &err))
		fail_msg("%s", error_message(&err));
	stdio_child_fds(t.s, fds);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fds[i], -1);
	if (stdio_begin(t.s, &err))
		fail_msg("%s", error_message(&err));
	return t;
}

static void attach(struct term *t)
{
	_cleanup_error_ struct error err = ERROR_INIT;

	if (stdio_attach_console(t->s, t->master, &err))
		fail_msg("%s", error_message(&err));
}

struct job {
	const char *slave;
	bool raw;
	int (*fn)(void *arg);
	void *arg;
};

/* What a runtime's init does with the slave before it becomes the container. */
static int on_terminal(void *arg)
{
	const struct job *job = arg;
	struct termios mode;
	int fd;

	setsid();
	fd = open(job->slave, O_RDWR);
	if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) < 0)
		return 100;
	if (job->raw) {
		tcgetattr(fd, &mode);
		cfmakeraw(&mode);
		if (tcsetattr(fd, TCSANOW, &mode) < 0)
			return 101;
	}
	/* 1 tells a test that waits for it that the terminal is as it should be. */
	if (write(1, "", 1) < 0 && errno != EPIPE)
		return 102;
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	close(fd);
	return job->fn(job->arg);
}

/* Starts the container and waits until it has its terminal. */
static pid_t start_on(struct bed *b, struct term *t, bool raw, int (*fn)(void *arg), void *arg)
{
	struct job job = { t->slave, raw, fn, arg };
	int ready[2], fds[3] = { -1, -1, -1 };
	pid_t pid;
	char c;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	fds[1] = ready[1];
	pid = bed_fork(b, fds, on_terminal, &job);
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void finish(struct bed *b, struct term *t, pid_t pid)
{
	bed_join_ok(b, pid);
	stdio_exited(t->s);
	assert_true(bed_until(b, is_drained, t->s));
	stdio_free(t->s);
}

struct line {
	int fd;
	char text[4096];
	size_t n;
	const char *wanted;
};

static bool line_came(void *userdata)
{
	struct line *l = userdata;
	ssize_t n = read(l->fd, l->text + l->n, sizeof(l->text) - 1 - l->n);

	l->n += n > 0 ? (size_t)n : 0;
	l->text[l->n] = '\0';
	return strstr(l->text, l->wanted);
}

/* Reads on from a non-blocking descriptor until these words have come. */
static void expect(struct bed *b, int fd, const char *words)
{
	struct line l = { .fd = fd, .wanted = words };

	if (!bed_until(b, line_came, &l))
		fail_msg("not \"%s\" but \"%s\"", words, l.text);
}

static int open_reader(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void say(int fd, const char *words)
{
	assert_int_equal(write(fd, words, strlen(words)), strlen(words));
}

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

static int echo_lines(void *arg)
{
	char line[100];
	ssize_t n;

	(void)arg;
	while ((n = read(0, line, sizeof(line) - 1)) > 0) {
		line[n] = '\0';
		if (strcmp(line, "quit\n") == 0)
			return 0;
		dprintf(1, "got %s", line);
	}
	return 1; /* an end of file that nobody typed */
}

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

static int write_a_lot(void *arg)
{
	(void)arg;
	return write_pattern(1, &(struct bytes){ .seed = 4, .n = MIB });
}

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

static bool some_read(void *userdata)
{
	return counters(userdata).out_in > 20000;
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

struct pipes {
	int in[2], out[2];
	int fds[2]; /* as sent with the call */
};

static struct stdio_spec make_pipes(struct pipes *p)
{
	assert_int_equal(pipe2(p->in, O_CLOEXEC) | pipe2(p->out, O_CLOEXEC), 0);
	p->fds[0] = p->out[1];
	p->fds[1] = p->in[0];
	return (struct stdio_spec){ .in = "fd:1", .out = "fd:0", .fds = p->fds, .n_fds = 2 };
}

/* After stdio_open() the call's own descriptors are closed; ours have to do. */
static void drop_sent(struct pipes *p)
{
	fd_close(&p->in[0]);
	fd_close(&p->out[1]);
}

static void test_callers_pipes(void **state)
{
	struct bed *b = *state;
	struct pipes p;
	struct stdio_spec spec = make_pipes(&p);
	struct term t = open_term(b, &spec);
	pid_t pid;

	attach(&t);
	for (int i = 0; i < 2; i++)
		assert_false(fcntl(p.fds[i], F_GETFL) & O_NONBLOCK);
	drop_sent(&p);
	assert_int_equal(fd_set_nonblock(p.out[0], true), 0);
	pid = start_on(b, &t, false, echo_lines, NULL);
	say(p.in[1], "hello\n");
	expect(b, p.out[0], "got hello\r\n");
	say(p.in[1], "quit\n");
	fd_close(&p.in[1]);
	finish(b, &t, pid);
	expect(b, p.out[0], "quit");
	assert_int_equal(read(p.out[0], &(char){ 0 }, 1), 0);
	fd_close(&p.out[0]);
}

/* The caller died: what the process prints is discarded, and the process is not held up. */
static void test_caller_gone(void **state)
{
	for (int before = 0; before < 3; before++) {
		struct bed *b = *state;
		struct pipes p;
		struct stdio_spec spec = make_pipes(&p);
		struct term t;
		pid_t pid;

		if (before == 2) { /* a named pipe cannot be opened again without a reader */
			const char *path = bed_fifo(b, "named");

			fd_close(&p.out[0]);
			fd_close(&p.out[1]);
			p.out[0] = open_reader(path);
			p.fds[0] = p.out[1] = open(path, O_WRONLY | O_CLOEXEC);
		}
		if (before)
			fd_close(&p.out[0]);
		t = open_term(b, &spec);
		drop_sent(&p);
		attach(&t);
		pid = start_on(b, &t, true, write_a_lot, NULL);
		if (!before)
			assert_true(bed_until(b, some_read, t.s));
		fd_close(&p.out[0]);
		fd_close(&p.in[1]);
		bed_join_ok(b, pid);
		stdio_exited(t.s);
		assert_true(bed_until(b, is_drained, t.s));
		assert_int_equal(counters(t.s).out_in, MIB);
		assert_true(counters(t.s).out_out < MIB);
		assert_true(before ? counters(t.s).out_out == 0 : counters(t.s).out_out > 0);
		stdio_free(t.s);
	}
}

static void test_callers_sockets(void **state)
{
	struct bed *b = *state;
	int pair[2], fds[1];
	struct stdio_spec spec = { .in = "fd:0", .out = "fd:0", .fds = fds, .n_fds = 1 };
	struct term t;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fds[0] = pair[1];
	t = open_term(b, &spec);
	assert_false(fcntl(pair[1], F_GETFL) & O_NONBLOCK);
	fd_close(&pair[1]);
	attach(&t);
	assert_int_equal(fd_set_nonblock(pair[0], true), 0);
	pid = start_on(b, &t, false, echo_lines, NULL);
	say(pair[0], "hello\n");
	expect(b, pair[0], "got hello\r\n");
	say(pair[0], "quit\n");
	finish(b, &t, pid);
	fd_close(&pair[0]);
}

/* A file as input is always ready, and epoll does not take it. */
static void test_callers_file_and_terminal(void **state)
{
	struct bed *b = *state;
	int input = open(bed_path(b, "input"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave, fds[2];
	struct stdio_spec spec = { .in = "fd:0", .out = "fd:1", .fds = fds, .n_fds = 2 };
	struct term t;
	char name[64];

	assert_int_equal(grantpt(master) | unlockpt(master), 0);
	ptsname_r(master, name, sizeof(name));
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	say(input, "a\nb\nquit\n");
	assert_int_equal(lseek(input, 0, SEEK_SET), 0);
	fds[0] = input;
	fds[1] = slave;
	t = open_term(b, &spec);
	attach(&t);
	assert_false(fcntl(slave, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_nonblock(master, true), 0);
	finish(b, &t, start_on(b, &t, false, echo_lines, NULL));
	expect(b, master, "got b");
	close(input);
	close(slave);
	close(master);
}

static void refused(struct bed *b, int fd, bool output, const char *words)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct stdio_spec spec = { .terminal = true, .fds = &fd, .n_fds = 1 };
	struct stdio *s;

	*(output ? &spec.out : &spec.in) = "fd:0";
	assert_int_equal(stdio_open(b->base, &spec, &s, &err), CODE_INVALID_ARGUMENT);
	assert_non_null(strstr(error_message(&err), words));
	assert_non_null(strstr(error_message(&err), output ? "stdout fd:0: " : "stdin fd:0: "));
}

static void test_descriptors_that_cannot_be_copied(void **state)
{
	struct bed *b = *state;
	_cleanup_close_ int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	_cleanup_close_ int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	_cleanup_close_ int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int folder = open(b->dir, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int path = open(b->dir, O_PATH | O_CLOEXEC);

	refused(b, master, true, "master");
	refused(b, null, false, "not open for reading");
	refused(b, zero, true, "not open for writing");
	refused(b, folder, false, "neither");
	refused(b, path, true, "not open for writing");
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
		bed_test(test_callers_pipes),
		bed_test(test_caller_gone),
		bed_test(test_callers_sockets),
		bed_test(test_callers_file_and_terminal),
		bed_test(test_descriptors_that_cannot_be_copied),
		bed_test(test_freed_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

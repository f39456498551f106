/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal whose bytes are copied to and from descriptors that the caller sent: pipes, sockets, a
 * file, another terminal; a caller that is gone; and those that cannot be copied.
 */
#include "shim/stdio.h"

#include <sys/socket.h>

#include "test/unit/terminal_bed.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_callers_pipes),
		bed_test(test_caller_gone),
		bed_test(test_callers_sockets),
		bed_test(test_callers_file_and_terminal),
		bed_test(test_descriptors_that_cannot_be_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process's stdin over a FIFO: its writers come and go, and its end is told by CloseIO, by the
 * process and by its exit, each once all that was queued before has been read.
 */
#include "shim/stdio.h"

#include "test/unit/stdio_bed.h"

#include "common/cleanup.h"

static void test_writer_comes_late(void **state)
{
	struct bed *b = *state;
	struct bytes in = { .seed = 7, .n = 300000 }, all;
	const char *path = bed_fifo(b, "in");
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .in = path });
	pid_t pid = start(b, s, check_actor, &in), writer;

	bed_assert_idle(b);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* no end of file yet */
	all = in;
	all.path = path;
	writer = bed_fork(b, bed_no_fds, write_actor, &all);
	bed_join_ok(b, writer);
	bed_join_ok(b, pid);
	assert_int_equal(counters(s).in_out, 300000);
	stdio_free(s);
}

static int open_writer(const char *path)
{
	int fd = open(path, O_WRONLY | O_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

/* n bytes of the pattern into a FIFO that has room for them. */
static void put(int fd, uint64_t seed, size_t n)
{
	assert_int_equal(write_pattern(fd, &(struct bytes){ .seed = seed, .n = n }), 0);
}

static void test_close_stdin_before_begin(void **state)
{
	struct bed *b = *state;
	struct bytes in = { .seed = 8, .n = 50000 };
	const char *path = bed_fifo(b, "in");
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .in = path });
	_cleanup_close_ int writer = open_writer(path); /* stays open all the time */

	put(writer, in.seed, in.n);
	stdio_close_stdin(s);
	bed_join_ok(b, start(b, s, check_actor, &in));
	assert_int_equal(write(writer, "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(counters(s).in_out, 50000);
	stdio_free(s);
}

static void test_close_stdin_with_nothing_queued(void **state)
{
	for (int before = 0; before < 2; before++) {
		struct bed *b = *state;
		struct bytes in = { .n = 0 };
		const char *path = bed_fifo(b, before ? "before" : "after");
		struct stdio *s = open_stdio(b, &(struct stdio_spec){ .in = path });
		pid_t pid;

		if (before)
			stdio_close_stdin(s);
		pid = start(b, s, check_actor, &in);
		stdio_close_stdin(s);
		stdio_close_stdin(s);
		bed_join_ok(b, pid);
		stdio_free(s);
	}
}

/* Reads nothing until a byte comes on descriptor 1, then all of its stdin. */
static int slow_reader(void *arg)
{
	struct pollfd go = { .fd = 1, .events = POLLIN };

	return poll(&go, 1, BED_DEADLINE_MS) == 1 ? check_pattern(0, arg) : 7;
}

static bool pipe_is_full(void *userdata)
{
	return counters(userdata).in_out >= 65536;
}

/* What lies in the process's pipe, in our hands and in the FIFO arrives before the end does. */
static void test_close_stdin_with_bytes_queued(void **state)
{
	struct bed *b = *state;
	struct bytes in = { .seed = 9, .n = 65536 + 30000 };
	const char *path = bed_fifo(b, "in");
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .in = path });
	_cleanup_close_ int writer = open_writer(path);
	uint8_t data[65536 + 30000];
	uint64_t seed = pattern_state(in.seed);
	int go[2], fds[3];
	pid_t pid;

	assert_int_equal(pipe(go), 0);
	stdio_child_fds(s, fds);
	fds[1] = go[0];
	pid = bed_fork(b, fds, slow_reader, &in);
	begin(s);
	pattern_fill(data, sizeof(data), &seed);
	assert_int_equal(write(writer, data, 65536), 65536);
	assert_true(bed_until(b, pipe_is_full, s));
	assert_int_equal(write(writer, data + 65536, 30000), 30000);
	bed_assert_idle(b);
	stdio_close_stdin(s);
	bed_settle(b);
	assert_true(counters(s).in_out < sizeof(data));
	assert_int_equal(write(writer, "late", 4), 4); /* taken by the FIFO, by nobody else */
	assert_int_equal(write(go[1], "", 1), 1);
	bed_join_ok(b, pid);
	assert_int_equal(counters(s).in_in, sizeof(data));
	assert_int_equal(counters(s).in_out, sizeof(data));
	stdio_free(s);
	close(go[0]);
	close(go[1]);
}

/* As much as is moved in one go: no byte is left whose coming would tell that it is over. */
static void test_close_stdin_with_a_burst_queued(void **state)
{
	struct bed *b = *state;
	struct bytes in = {
		.seed = 14, .n = MIB, .piece = 65536
	}; /* whole pages: all of it fits */
	const char *path = bed_fifo(b, "in");
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .in = path });
	_cleanup_close_ int writer = open_writer(path);
	int fds[3];

	stdio_child_fds(s, fds);
	assert_int_equal(fcntl(writer, F_SETPIPE_SZ, (int)MIB), (int)MIB);
	assert_int_equal(fcntl(fds[0], F_SETPIPE_SZ, (int)MIB), (int)MIB);
	assert_int_equal(write_pattern(writer, &in), 0);
	stdio_close_stdin(s);
	bed_join_ok(b, start(b, s, check_actor, &in));
	stdio_free(s);
}

static int sees_sigpipe(void *arg)
{
	signal(SIGPIPE, SIG_IGN);
	return write_actor(arg) == 2 && errno == EPIPE ? 0 : 8;
}

static int closes_stdin(void *arg)
{
	(void)arg;
	close(0);
	return read(1, &(char){ 0 }, 1) == 0 ? 0 : 1;
}

/* As with a plain pipe: who writes to a process that does not read any more gets EPIPE. */
static void test_process_closes_its_stdin(void **state)
{
	struct bed *b = *state;
	struct bytes in = { .seed = 10, .n = MIB, .path = bed_fifo(b, "in") };
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .in = in.path });
	int hold[2], fds[3];
	pid_t pid;

	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	stdio_child_fds(s, fds);
	fds[1] = hold[0];
	pid = bed_fork(b, fds, closes_stdin, NULL);
	begin(s);
	bed_join_ok(b, bed_fork(b, bed_no_fds, sees_sigpipe, &in));
	bed_assert_idle(b);
	close(hold[1]);
	bed_join_ok(b, pid);
	close(hold[0]);
	stdio_free(s);
}

/* After the exit nobody waits on stdin, though a grandchild still could read it. */
static void test_exit_ends_stdin(void **state)
{
	struct bed *b = *state;
	struct bytes in = { .seed = 11, .n = MIB, .path = bed_fifo(b, "in") };
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .in = in.path });
	int hold[2], fds[3];
	pid_t pid, writer;

	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	stdio_child_fds(s, fds);
	fds[1] = hold[0];
	pid = bed_fork(b, fds, slow_reader, &(struct bytes){ .seed = 11, .open_end = true });
	begin(s);
	writer = bed_fork(b, bed_no_fds, sees_sigpipe, &in);
	assert_true(bed_until(b, pipe_is_full, s));
	stdio_exited(s);
	bed_join_ok(b, writer);
	assert_true(counters(s).in_in < MIB);
	assert_int_equal(write(hold[1], "", 1), 1);
	bed_join_ok(b, pid);
	close(hold[0]);
	close(hold[1]);
	stdio_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_writer_comes_late),
		bed_test(test_close_stdin_before_begin),
		bed_test(test_close_stdin_with_nothing_queued),
		bed_test(test_close_stdin_with_bytes_queued),
		bed_test(test_close_stdin_with_a_burst_queued),
		bed_test(test_process_closes_its_stdin),
		bed_test(test_exit_ends_stdin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

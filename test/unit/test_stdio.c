/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The standard streams of a process without a terminal, over each scheme: a forked child stands
 * for the container, others for the clients at the FIFOs' other ends.
 */
#include "shim/stdio.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "test/unit/stdio_bed.h"

#include "common/cleanup.h"

/* --- what cannot be meant --- */

static void expect_refused(struct bed *b, const struct stdio_spec *spec, int code,
	const char *stream, const char *words)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct stdio *s = NULL;
	int n_fds = fd_count();

	if (stdio_open(b->base, spec, &s, &err) != code)
		fail_msg("not %s but %s: %s", code_name(code), code_name(err.code),
			error_message(&err));
	assert_int_equal(err.code, code);
	assert_null(s);
	if (strncmp(error_message(&err), stream, strlen(stream)) != 0 ||
		!strstr(error_message(&err), words))
		fail_msg("not \"%s\" and \"%s\": %s", stream, words, error_message(&err));
	assert_int_equal(fd_count(), n_fds);
}

static void test_bad_uris(void **state)
{
	static const struct {
		const char *uri;
		int code;
		const char *words;
	} cases[] = {
		{ "binary:///bin/logger?id=1", CODE_UNIMPLEMENTED, "no loggers" },
		{ "binary-v2:///bin/logger", CODE_UNIMPLEMENTED, "no loggers" },
		{ "binary:/bin/logger", CODE_UNIMPLEMENTED, "\"binary\"" },
		{ "binary://", CODE_INVALID_ARGUMENT, "binary:// wants an absolute path" },
		{ "binary://host/p", CODE_INVALID_ARGUMENT, "as in binary:///path" },
		{ "binary-v2://p", CODE_INVALID_ARGUMENT, "as in binary-v2:///path" },
		{ "binary:///p%zz", CODE_INVALID_ARGUMENT, "escape" },
		{ "binary:///p?a=b&c%=d", CODE_INVALID_ARGUMENT, "escape in \"c%\"" },
		{ "binary:///bin/", CODE_INVALID_ARGUMENT, "folder" },
		{ "cri:///var/log/x", CODE_UNIMPLEMENTED, "no formatted logs" },
		{ "json:///var/log/x", CODE_UNIMPLEMENTED, "no formatted logs" },
		{ "cri:/var/log/x", CODE_UNIMPLEMENTED, "\"cri\"" },
		{ "json://x", CODE_INVALID_ARGUMENT, "as in json:///path" },
		{ "cri:///p?direct=1", CODE_INVALID_ARGUMENT, "no option \"direct=1\"" },
		{ "cri:///p?max-size=1x", CODE_INVALID_ARGUMENT, "\"max-size=1x\"" },
		{ "cri:///p?max-size=", CODE_INVALID_ARGUMENT, "max-size wants" },
		{ "cri:///p?max-size=k", CODE_INVALID_ARGUMENT, "max-size wants" },
		{ "cri:///p?max-size=-1", CODE_INVALID_ARGUMENT, "max-size wants" },
		{ "cri:///p?max-size=4095", CODE_INVALID_ARGUMENT, "4096 or more" },
		{ "cri:///p?max-size=99999999999g", CODE_INVALID_ARGUMENT, "max-size wants" },
		{ "json:///p?max-size=1m&max-files=1", CODE_INVALID_ARGUMENT, "from 2 to 1000" },
		{ "json:///p?max-files=1001", CODE_INVALID_ARGUMENT, "from 2 to 1000" },
		{ "journald:", CODE_UNIMPLEMENTED, "\"journald\"" },
		{ "relative/path", CODE_INVALID_ARGUMENT, "absolute" },
		{ "./fifo", CODE_INVALID_ARGUMENT, "absolute" },
		{ ":", CODE_INVALID_ARGUMENT, "absolute" },
		{ "fd:", CODE_INVALID_ARGUMENT, "number" },
		{ "fd:-1", CODE_INVALID_ARGUMENT, "number" },
		{ "fd: 1", CODE_INVALID_ARGUMENT, "number" },
		{ "fd:1x", CODE_INVALID_ARGUMENT, "number" },
		{ "fd:99999999999999999999", CODE_INVALID_ARGUMENT, "number" },
		{ "fd:4294967296", CODE_INVALID_ARGUMENT, "number" },
		{ "fd:0", CODE_INVALID_ARGUMENT, "0 descriptors" },
		{ "file://", CODE_INVALID_ARGUMENT, "absolute" },
		{ "file://host/path", CODE_INVALID_ARGUMENT, "absolute" },
		{ "file:/path", CODE_UNIMPLEMENTED, "\"file\"" },
		{ "file:///p?nosuch=1", CODE_INVALID_ARGUMENT, "nosuch=1" },
		{ "file:///p?direct=2", CODE_INVALID_ARGUMENT, "direct=2" },
		{ "file:///p%zz", CODE_INVALID_ARGUMENT, "escape" },
		{ "file:///p%0", CODE_INVALID_ARGUMENT, "escape" },
		{ "file:///p%00", CODE_INVALID_ARGUMENT, "escape" },
		{ "file:///tmp/", CODE_INVALID_ARGUMENT, "folder" },
		{ "file:///tmp", CODE_INVALID_ARGUMENT, "folder" },
		{ "/tmp", CODE_INVALID_ARGUMENT, "folder" },
		{ "/etc/passwd", CODE_INVALID_ARGUMENT, "not a FIFO" },
		{ "/dev/null", CODE_INVALID_ARGUMENT, "not a FIFO" },
		{ "/etc/passwd/x", CODE_INVALID_ARGUMENT, "Not a directory" },
		{ "/nonexistent/fifo", CODE_NOT_FOUND, "No such file" },
	};
	struct bed *b = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char stream[300];
		struct stdio_spec spec = { .out = cases[i].uri };

		snprintf(stream, sizeof(stream), "stdout %s: ", cases[i].uri);
		expect_refused(b, &spec, cases[i].code, stream, cases[i].words);
		spec = (struct stdio_spec){ .in = "", .err = cases[i].uri };
		snprintf(stream, sizeof(stream), "stderr %s: ", cases[i].uri);
		expect_refused(b, &spec, cases[i].code, stream, cases[i].words);
		spec = (struct stdio_spec){ .in = cases[i].uri, .terminal = true };
		snprintf(stream, sizeof(stream), "stdin %s: ", cases[i].uri);
		if (strncmp(cases[i].uri, "file:///t", 9) != 0)
			expect_refused(b, &spec, cases[i].code, stream, cases[i].words);
	}
	for (int terminal = 0; terminal < 2; terminal++)
		expect_refused(b,
			&(struct stdio_spec){ .in = "file:///etc/passwd", .terminal = terminal },
			CODE_INVALID_ARGUMENT, "stdin file:///etc/passwd: ", "output only");
}

/* Whatever was opened before the bad one is closed again; nothing is made. */
static void test_bad_one_after_good_ones(void **state)
{
	struct bed *b = *state;
	const char *in = bed_fifo(b, "in"), *out = bed_fifo(b, "out");
	int fds[2] = { 0, 1 };
	struct stdio_spec spec = { .in = in, .out = out, .err = "fd:2", .fds = fds, .n_fds = 2 };
	char long_path[PATH_MAX + 10];

	expect_refused(b, &spec, CODE_INVALID_ARGUMENT, "stderr fd:2: ", "2 descriptors");
	spec.err = in;
	expect_refused(b, &spec, CODE_INVALID_ARGUMENT, "stderr /tmp", "same FIFO as stdin");
	spec.terminal = true;
	spec.err = NULL;
	spec.out = in;
	expect_refused(b, &spec, CODE_INVALID_ARGUMENT, "stdout /tmp", "same FIFO as stdin");

	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	long_path[0] = '/';
	spec = (struct stdio_spec){ .out = long_path };
	expect_refused(b, &spec, CODE_INVALID_ARGUMENT, "stdout /xxx", "longer");
	long_path[300] = '\0';
	expect_refused(b, &spec, CODE_INVALID_ARGUMENT, "stdout /xxx", "too long");
}

static void test_socket_is_no_fifo(void **state)
{
	struct bed *b = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char uri[200];

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", bed_path(b, "socket"));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	expect_refused(b, &(struct stdio_spec){ .out = address.sun_path }, CODE_INVALID_ARGUMENT,
		"stdout ", "not a FIFO");
	snprintf(uri, sizeof(uri), "file://%s", address.sun_path);
	expect_refused(
		b, &(struct stdio_spec){ .out = uri }, CODE_INVALID_ARGUMENT, "stdout ", "socket");
	/* A FIFO is no log file: opening it for writing would wait for its reader. */
	snprintf(uri, sizeof(uri), "file://%s", bed_fifo(b, "fifo"));
	expect_refused(
		b, &(struct stdio_spec){ .out = uri }, CODE_INVALID_ARGUMENT, "stdout ", "FIFO");
}

/* --- nothing, and descriptors --- */

struct told {
	struct stdio *s;
	int times;
	bool frees;
};

static void tell_drained(void *userdata)
{
	struct told *told = userdata;

	told->times++;
	if (told->frees)
		stdio_free(told->s);
}

static bool was_told(void *userdata)
{
	return ((struct told *)userdata)->times > 0;
}

static void test_nothing(void **state)
{
	struct bed *b = *state;
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .in = "", .out = NULL });
	struct told told = { .s = s, .frees = true };
	int fds[3] = { 7, 7, 7 };

	stdio_child_fds(s, fds);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fds[i], -1);
	begin(s);
	stdio_close_stdin(s);
	assert_true(stdio_is_drained(s));
	stdio_on_drained(s, tell_drained, &told);
	assert_int_equal(told.times, 0); /* never from within */
	assert_true(bed_until(b, was_told, &told));
	bed_settle(b);
	assert_int_equal(told.times, 1);
}

static int echo_once(void *arg)
{
	char c;

	(void)arg;
	return read(0, &c, 1) == 1 && write(1, &c, 1) == 1 && write(2, "e", 1) == 1 ? 0 : 1;
}

static void test_descriptors_are_handed_over(void **state)
{
	struct bed *b = *state;
	int in[2], out[2], ends[3], fds[3];
	struct stdio_spec spec = {
		.in = "fd:2", .out = "fd:0", .err = "fd:0", .fds = fds, .n_fds = 3
	};
	struct stdio *s;
	char got[3] = "";
	pid_t pid;

	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(fd_set_nonblock(in[0], true), 0); /* a sender's whim is kept too */
	fds[0] = out[1];
	fds[1] = 0;
	fds[2] = in[0];
	assert_int_equal(write(in[1], "x", 1), 1);
	s = open_stdio(b, &spec);
	stdio_child_fds(s, ends);
	for (int i = 0; i < 3; i++) {
		struct stat a, c;

		assert_true(ends[i] != fds[0] && ends[i] != fds[2]); /* ours, not the caller's */
		assert_true(fcntl(ends[i], F_GETFD) & FD_CLOEXEC);
		assert_int_equal(fstat(ends[i], &a) | fstat(i ? out[1] : in[0], &c), 0);
		assert_int_equal(a.st_ino, c.st_ino);
	}
	pid = start(b, s, echo_once, NULL);
	assert_true(stdio_is_drained(s));
	bed_join_ok(b, pid);
	stdio_close_stdin(s);
	stdio_exited(s);
	assert_true(fcntl(in[0], F_GETFL) & O_NONBLOCK);
	assert_false(fcntl(out[1], F_GETFL) & O_NONBLOCK);
	assert_int_equal(counters(s).out_in, 0);
	stdio_free(s);
	close(out[1]);
	assert_int_equal(read(out[0], got, 3), 2);
	assert_string_equal(got, "xe");
	assert_int_equal(read(out[0], got, 3), 0); /* nobody of ours holds it */
	close(in[0]);
	close(in[1]);
	close(out[0]);
}

/* --- FIFOs --- */

struct container {
	struct bytes in, out, err;
};

static int busy_container(void *arg)
{
	struct container *c = arg;
	pid_t out = fork(), err;
	int a, b, r;

	if (out == 0)
		_exit(write_pattern(1, &c->out));
	err = fork();
	if (err == 0)
		_exit(write_pattern(2, &c->err));
	r = check_pattern(0, &c->in);
	return waitpid(out, &a, 0) == out && waitpid(err, &b, 0) == err && !a && !b ? r : 9;
}

/* piece: how much the writers write at once. */
static void three_fifos(struct bed *b, size_t n, size_t piece)
{
	struct bytes in = { .seed = 1, .n = n, .piece = piece, .path = bed_fifo(b, "in") };
	struct bytes out = { .seed = 2, .n = n + 1, .piece = piece, .path = bed_fifo(b, "out") };
	struct bytes err = { .seed = 3, .n = n + 2, .piece = piece, .path = bed_fifo(b, "err") };
	struct stdio_spec spec = { .in = in.path, .out = out.path, .err = err.path };
	struct stdio *s = open_stdio(b, &spec);
	struct container c = { in, out, err };
	pid_t pids[4];

	pids[0] = start(b, s, busy_container, &c);
	pids[1] = bed_fork(b, bed_no_fds, write_actor, &in);
	pids[2] = bed_fork(b, bed_no_fds, check_actor, &out);
	pids[3] = bed_fork(b, bed_no_fds, check_actor, &err);
	for (int i = 0; i < 4; i++)
		bed_join_ok(b, pids[i]);
	stdio_exited(s);
	assert_true(bed_until(b, is_drained, s));
	assert_int_equal(counters(s).in_in, n);
	assert_int_equal(counters(s).in_out, n);
	assert_int_equal(counters(s).out_in, n + 1);
	assert_int_equal(counters(s).out_out, n + 1);
	assert_int_equal(counters(s).err_in, n + 2);
	assert_int_equal(counters(s).err_out, n + 2);
	stdio_free(s);
}

static void test_three_fifos(void **state)
{
	three_fifos(*state, 8 * MIB, 0);
}

static void test_three_fifos_in_small_pieces(void **state)
{
	three_fifos(*state, MIB / 4, 7);
}

/* Each line by itself: the next one when the one before has been taken. */
static int write_paced(void *arg)
{
	const struct bytes *bytes = arg;
	uint64_t state = pattern_state(bytes->seed);

	for (size_t done = 0; done < bytes->n; done += bytes->piece) {
		uint8_t line[64];
		int queued = 1;

		pattern_fill(line, bytes->piece, &state);
		if (write(1, line, bytes->piece) != (ssize_t)bytes->piece)
			return 2;
		while (queued > 0) {
			if (ioctl(1, FIONREAD, &queued) < 0)
				return 3;
			sched_yield();
		}
	}
	return 0;
}

/*
 * Short lines share the FIFO's pages (a spliced one would have one of 16 for itself), and what is
 * in it is there for a reader that comes late.
 */
static void test_reader_after_the_end(void **state)
{
	struct bed *b = *state;
	struct bytes out = { .seed = 4, .n = 20000, .piece = 20 }, all;
	const char *path = bed_fifo(b, "out");
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .out = path });
	pid_t pid = start(b, s, write_paced, &out);

	bed_join_ok(b, pid);
	stdio_exited(s);
	assert_true(bed_until(b, is_drained, s));
	bed_assert_idle(b);
	all = out;
	all.path = path;
	all.late = true;
	bed_join_ok(b, bed_fork(b, bed_no_fds, check_actor, &all)); /* with its end */
	stdio_free(s);
}

static bool pipes_are_full(void *userdata)
{
	return counters(userdata).out_in >= 65536;
}

/* Nobody reads: the process waits, the loop sleeps, and later every byte is there. */
static void test_no_reader_for_a_while(void **state)
{
	struct bed *b = *state;
	struct bytes out = { .seed = 5, .n = MIB }, all;
	const char *path = bed_fifo(b, "out");
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .out = path });
	pid_t pid = start(b, s, write_actor, &out), reader;

	assert_true(bed_until(b, pipes_are_full, s));
	bed_assert_idle(b);
	assert_true(counters(s).out_in < MIB / 2);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	all = out;
	all.path = path;
	reader = bed_fork(b, bed_no_fds, check_actor, &all);
	bed_join_ok(b, pid);
	bed_join_ok(b, reader);
	assert_true(bed_until(b, is_drained, s));
	stdio_free(s);
}

/* Reads half of it, leaves, and comes back for the rest. */
static int leaving_reader(void *arg)
{
	struct bytes *bytes = arg;
	uint64_t state = pattern_state(bytes->seed);
	int fd = open(bytes->path, O_RDONLY);

	for (size_t done = 0, n; done < bytes->n; done += n) {
		uint8_t got[1000] = { 0 }, want[1000];
		size_t have = 0;

		if (done > 0 && done % 100000 == 0) {
			close(fd);
			fd = open(bytes->path, O_RDONLY);
		}
		n = bytes->n - done < sizeof(got) ? bytes->n - done : sizeof(got);
		while (have < n) {
			ssize_t r = read(fd, got + have, n - have);

			if (r <= 0)
				return 6;
			have += (size_t)r;
		}
		pattern_fill(want, n, &state);
		if (memcmp(got, want, n) != 0)
			return 4;
	}
	return read(fd, &(char){ 0 }, 1) == 0 ? 0 : 5;
}

static void test_reader_leaves_and_returns(void **state)
{
	struct bed *b = *state;
	struct bytes out = { .seed = 6, .n = 500000 }, all;
	const char *path = bed_fifo(b, "out");
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .out = path });
	pid_t pid, reader;

	all = out;
	all.path = path;
	reader = bed_fork(b, bed_no_fds, leaving_reader, &all);
	pid = start(b, s, write_actor, &out);
	bed_join_ok(b, pid);
	bed_join_ok(b, reader);
	stdio_free(s);
}

/* --- the end --- */

static int hold_until_eof(void *arg)
{
	(void)arg;
	return read(0, &(char){ 0 }, 1) == 0 ? 0 : 1;
}

static void test_grandchild_holds_the_pipe(void **state)
{
	struct bed *b = *state;
	struct bytes out = { .seed = 18, .n = 1000 };
	const char *path = bed_fifo(b, "out");
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .out = path });
	struct told told = { .s = s };
	int hold[2], fds[3];
	pid_t pid, grandchild;

	assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
	stdio_child_fds(s, fds);
	pid = bed_fork(b, fds, write_actor, &out);
	fds[0] = hold[0];
	grandchild = bed_fork(b, fds, hold_until_eof, NULL);
	begin(s);
	bed_join_ok(b, pid);
	stdio_exited(s);
	stdio_on_drained(s, tell_drained, &told);
	bed_assert_idle(b);
	assert_false(stdio_is_drained(s));
	assert_int_equal(counters(s).out_out, 1000); /* what there is has been passed on */
	assert_false(stdio_is_cut_off(s));
	stdio_abandon(s);
	assert_false(stdio_is_drained(s));
	assert_true(stdio_is_cut_off(s));
	bed_settle(b);
	assert_int_equal(told.times, 0);
	out.path = path; /* still in the FIFO, and the reader sees an end */
	out.late = true;
	bed_join_ok(b, bed_fork(b, bed_no_fds, check_actor, &out));
	stdio_free(s);
	close(hold[1]);
	bed_join_ok(b, grandchild);
	close(hold[0]);
}

static void test_drained_is_told_once(void **state)
{
	struct bed *b = *state;
	struct bytes out = { .seed = 19, .n = 1000 };
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .out = bed_fifo(b, "out") });
	struct told told = { .s = s, .frees = true };
	pid_t pid;

	stdio_on_drained(s, tell_drained, &told);
	bed_settle(b);
	assert_int_equal(told.times, 0); /* the pipe has not even been used */
	pid = start(b, s, write_actor, &out);
	assert_true(bed_until(b, was_told, &told));
	bed_settle(b);
	assert_int_equal(told.times, 1);
	bed_join_ok(b, pid);
}

static void test_abandoned_before_it_was_told(void **state)
{
	struct bed *b = *state;
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .in = NULL });
	struct told told = { .s = s };

	begin(s);
	stdio_on_drained(s, tell_drained, &told);
	stdio_abandon(s);
	bed_settle(b);
	assert_int_equal(told.times, 0);
	assert_true(stdio_is_drained(s));
	assert_false(stdio_is_cut_off(s));
	stdio_free(s);
}

static void test_freed_at_any_time(void **state)
{
	struct bed *b = *state;
	const char *in = bed_fifo(b, "in"), *out = bed_fifo(b, "out");
	_cleanup_free_ char *uri = file_uri(b, "log", "");
	struct bytes bytes = { .seed = 20, .n = MIB };
	struct stdio_spec spec = { .in = in, .out = out, .err = uri };
	struct stdio *s = open_stdio(b, &spec);
	int status;
	pid_t pid;

	stdio_free(NULL);
	stdio_free(s);
	s = open_stdio(b, &spec);
	stdio_abandon(s);
	stdio_exited(s);
	stdio_free(s);
	s = open_stdio(b, &spec);
	pid = start(b, s, write_actor, &bytes);
	assert_true(bed_until(b, pipes_are_full, s));
	stdio_free(s);
	status = bed_join(b, pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

static void test_no_size_without_a_terminal(void **state)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	struct bed *b = *state;
	struct stdio *s = open_stdio(b, &(struct stdio_spec){ .in = NULL });
	unsigned w, h;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	assert_int_equal(stdio_resize(s, 80, 24, &err), CODE_FAILED_PRECONDITION);
	assert_false(stdio_size(s, &w, &h));
	assert_int_equal(stdio_attach_console(s, fd, &err), CODE_FAILED_PRECONDITION);
	stdio_free(s); /* and fd was consumed: the bed counts */
}

static void test_pipes_belong_to_the_user(void **state)
{
	struct bed *b = *state;
	struct stdio_spec spec = {
		.in = bed_fifo(b, "in"), .out = bed_fifo(b, "out"), .io_uid = 1234, .io_gid = 4321
	};
	struct stdio *s;
	int fds[3];

	if (geteuid() != 0)
		skip();
	s = open_stdio(b, &spec);
	stdio_child_fds(s, fds);
	for (int i = 0; i < 2; i++) {
		struct stat st;

		assert_int_equal(fstat(fds[i], &st), 0);
		assert_int_equal(st.st_uid, 1234);
		assert_int_equal(st.st_gid, 4321);
	}
	stdio_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_bad_uris),
		bed_test(test_bad_one_after_good_ones),
		bed_test(test_socket_is_no_fifo),
		bed_test(test_nothing),
		bed_test(test_descriptors_are_handed_over),
		bed_test(test_three_fifos),
		bed_test(test_three_fifos_in_small_pieces),
		bed_test(test_reader_after_the_end),
		bed_test(test_no_reader_for_a_while),
		bed_test(test_reader_leaves_and_returns),
		bed_test(test_grandchild_holds_the_pipe),
		bed_test(test_drained_is_told_once),
		bed_test(test_abandoned_before_it_was_told),
		bed_test(test_freed_at_any_time),
		bed_test(test_no_size_without_a_terminal),
		bed_test(test_pipes_belong_to_the_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded runs: what is kept, what is dropped, what is killed, and what is not waited for. */
#include "common/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/pidref.h"
#include "test/unit/unit.h"

static struct run_result run(const char *script, size_t limit, uint32_t deadline_ms)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
	const struct run_options options = {
		.argv = argv,
		.out_limit = limit,
		.err_limit = limit,
		.deadline_ms = deadline_ms,
	};
	struct run_result result;

	assert_int_equal(run_program(&options, &result), 0);
	return result;
}

static void assert_buf(const struct buf *b, const char *expected)
{
	assert_int_equal(b->len, strlen(expected));
	if (b->len > 0)
		assert_memory_equal(buf_head(b), expected, b->len);
}

static void test_output_and_status(void **state)
{
	struct run_result r = run("echo out; echo err >&2; exit 7", 100, 10000);

	(void)state;
	assert_buf(&r.out, "out\n");
	assert_buf(&r.err, "err\n");
	assert_true(WIFEXITED(r.wait_status));
	assert_int_equal(WEXITSTATUS(r.wait_status), 7);
	assert_false(r.timed_out);
	run_result_deinit(&r);
	r = run("kill -TERM $$", 100, 10000);
	assert_true(WIFSIGNALED(r.wait_status));
	assert_int_equal(WTERMSIG(r.wait_status), SIGTERM);
	run_result_deinit(&r);
}

/* Whatever our own is. */
static void test_stdin_is_empty(void **state)
{
	struct bed *bed = *state;
	int before = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3), ours;
	struct run_result r;

	write_text(bed->dir, "ours", "ours\n");
	ours = openat(bed->dir, "ours", O_RDONLY | O_CLOEXEC);
	assert_int_equal(dup2(ours, STDIN_FILENO), STDIN_FILENO);
	r = run("cat; readlink /proc/self/fd/0", 100, 10000);
	assert_int_equal(dup2(before, STDIN_FILENO), STDIN_FILENO);
	close(before);
	close(ours);
	assert_buf(&r.out, "/dev/null\n");
	run_result_deinit(&r);
}

/* Also one that we forgot to mark as close-on-exec stays ours. */
static void test_inherits_no_descriptor(void **state)
{
	struct bed *bed = *state;
	int fd = fcntl(bed->dir, F_DUPFD, 200);
	struct run_result r;

	assert_int_equal(fd, 200);
	r = run("test -e /proc/$$/fd/1 && echo one; test -e /proc/$$/fd/200 && echo leaked", 100,
		10000);
	assert_buf(&r.out, "one\n");
	close(fd);
	run_result_deinit(&r);
}

static void test_limits(void **state)
{
	struct run_result r = run("printf 12345; printf 12345 >&2", 5, 10000);

	(void)state;
	assert_buf(&r.out, "12345");
	assert_false(r.out_overflow);
	run_result_deinit(&r);
	r = run("printf 123456; printf 123456 >&2", 5, 10000);
	assert_buf(&r.out, "12345");
	assert_buf(&r.err, "12345");
	assert_true(r.out_overflow);
	assert_true(r.err_overflow);
	run_result_deinit(&r);
	/* far more than a pipe holds: read to its end, not blocked on */
	r = run("head -c 20000000 /dev/zero; head -c 20000000 /dev/zero >&2; exit 3", 1000, 60000);
	assert_int_equal(r.out.len, 1000);
	assert_int_equal(r.err.len, 1000);
	assert_true(r.out_overflow);
	assert_int_equal(WEXITSTATUS(r.wait_status), 3);
	run_result_deinit(&r);
}

/* What was written just before the end is not lost, however much a pipe holds. */
static void test_last_words(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		struct run_result r = run("head -c 60000 /dev/zero", 100000, 10000);

		assert_int_equal(r.out.len, 60000);
		run_result_deinit(&r);
	}
}

/* Waits for its end, with a deadline. Process 1 may be slow to reap it. */
static void wait_gone(pid_t pid)
{
	struct pidref p = PIDREF_INIT;
	struct pollfd end = { .events = POLLIN };

	if (pidref_open(pid, &p) == -ESRCH)
		return;
	end.fd = p.fd;
	assert_true(end.fd >= 0);
	assert_int_equal(poll(&end, 1, 10000), 1);
	pidref_close(&p);
}

static void test_deadline_kills_the_group(void **state)
{
	int64_t begun = clock_monotonic_ms(), took;
	struct run_result r = run("sleep 100 & echo $!; wait", 100, 200);
	pid_t grandchild = atoi((const char *)buf_head(&r.out));

	(void)state;
	took = clock_monotonic_ms() - begun;
	assert_true(r.timed_out);
	assert_true(took >= 200 && took < 5000);
	assert_true(WIFSIGNALED(r.wait_status));
	assert_int_equal(WTERMSIG(r.wait_status), SIGKILL);
	assert_true(grandchild > 1);
	wait_gone(grandchild);
	run_result_deinit(&r);
}

/* In our own group it alone is killed: not us, nor what it left. */
static void test_deadline_in_our_group(void **state)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)"sleep 100 & echo $!; wait",
		NULL };
	const struct run_options options = {
		.argv = argv, .out_limit = 100, .deadline_ms = 200, .same_group = true
	};
	struct run_result r;
	pid_t grandchild;

	(void)state;
	assert_int_equal(run_program(&options, &r), 0);
	grandchild = atoi((const char *)buf_head(&r.out));
	assert_true(r.timed_out);
	assert_int_equal(WTERMSIG(r.wait_status), SIGKILL);
	assert_true(grandchild > 1);
	assert_int_equal(kill(grandchild, SIGKILL), 0);
	wait_gone(grandchild);
	run_result_deinit(&r);
}

static bool until_two(const void *data, size_t n, void *userdata)
{
	const char *p = data;
	int *n_lines = userdata;

	for (size_t i = 0; i < n; i++)
		*n_lines += p[i] == '\n';
	return *n_lines < 2;
}

/* Who is told what is printed may have enough of it: that is no deadline missed. */
static void test_stopped_by_its_reader(void **state)
{
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)"echo 1; echo 2; exec sleep 100",
		NULL };
	int n_lines = 0;
	const struct run_options options = {
		.argv = argv, .deadline_ms = 20000, .on_out = until_two, .userdata = &n_lines
	};
	struct run_result r;

	(void)state;
	assert_int_equal(run_program(&options, &r), 0);
	assert_int_equal(n_lines, 2);
	assert_true(r.stopped);
	assert_false(r.timed_out);
	assert_int_equal(WTERMSIG(r.wait_status), SIGKILL);
	assert_int_equal(r.out.len, 0);
	run_result_deinit(&r);
}

static void test_deadline_of_the_stubborn(void **state)
{
	struct run_result r = run("trap '' TERM INT HUP; while :; do :; done", 100, 100);

	(void)state;
	assert_true(r.timed_out);
	run_result_deinit(&r);
}

/* It prints all the time: that is no reason to miss the deadline. */
static void test_deadline_of_the_talkative(void **state)
{
	struct run_result r = run("yes", 100, 200);

	(void)state;
	assert_true(r.timed_out);
	assert_true(r.out_overflow);
	run_result_deinit(&r);
}

/* What a `create` leaves behind holds our pipes for as long as it lives. */
static void test_grandchild_holds_the_pipes(void **state)
{
	int64_t begun = clock_monotonic_ms();
	struct run_result r = run("sleep 100 & echo $!", 100, 10000);
	pid_t grandchild = atoi((const char *)buf_head(&r.out));

	(void)state;
	assert_true(clock_monotonic_ms() - begun < 5000);
	assert_false(r.timed_out);
	assert_int_equal(r.wait_status, 0);
	assert_true(grandchild > 1);
	assert_int_equal(kill(grandchild, SIGKILL), 0); /* it was left alone */
	wait_gone(grandchild);
	run_result_deinit(&r);
}

/* It also writes without end: what is in the pipe at the exit is all that is read. */
static void test_grandchild_floods(void **state)
{
	struct run_result r = run("yes & echo $! >&2", 100, 10000);
	pid_t grandchild = atoi((const char *)buf_head(&r.err));

	(void)state;
	assert_int_equal(r.wait_status, 0);
	assert_true(grandchild > 1);
	kill(grandchild, SIGKILL); /* or SIGPIPE was faster */
	wait_gone(grandchild);
	run_result_deinit(&r);
}

static void test_what_cannot_be_run(void **state)
{
	struct bed *bed = *state;
	char path[128];
	char *argv[] = { path, NULL };
	const struct run_options options = { .argv = argv, .deadline_ms = 1000 };
	struct run_result r;

	snprintf(path, sizeof(path), "%s/none", bed->path);
	assert_int_equal(run_program(&options, &r), -ENOENT);
	write_text(bed->dir, "none", "x");
	assert_int_equal(run_program(&options, &r), -EACCES);
	write_script(bed->dir, "none", "no magic");
	assert_int_equal(run_program(&options, &r), -ENOEXEC);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* A caller with signal handlers of its own. */
static void test_interrupted_calls(void **state)
{
	struct sigaction act = { .sa_handler = on_alarm }, old;
	const struct itimerval often = { { 0, 2000 }, { 0, 2000 } }, never = { 0 };
	struct run_result r;

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &act, &old), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	r = run("sleep 0.3; echo done", 100, 10000);
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	assert_int_equal(sigaction(SIGALRM, &old, NULL), 0);
	assert_buf(&r.out, "done\n");
	assert_int_equal(r.wait_status, 0);
	run_result_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_output_and_status),
		bed_test(test_stdin_is_empty),
		bed_test(test_inherits_no_descriptor),
		bed_test(test_limits),
		bed_test(test_last_words),
		bed_test(test_deadline_kills_the_group),
		bed_test(test_deadline_in_our_group),
		bed_test(test_stopped_by_its_reader),
		bed_test(test_deadline_of_the_stubborn),
		bed_test(test_deadline_of_the_talkative),
		bed_test(test_grandchild_holds_the_pipes),
		bed_test(test_grandchild_floods),
		bed_test(test_what_cannot_be_run),
		bed_test(test_interrupted_calls),
	};

	if (!has_pidfds())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

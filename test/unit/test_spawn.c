/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fork: what the child gets and what it does not, and that a failure leaves nothing. The
 * children are the multi-tool (build/test/tool) and small shell commands.
 */
#include "common/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/fd.h"
#include "common/file.h"

#define TOOL	  "build/test/tool"
#define ARGS(...) ((char *const *)(const char *const[]){ __VA_ARGS__, NULL })

static char folder[] = "/tmp/test-spawn-XXXXXX";
static char said[65536]; /* by the last child that run() ran */

static int setup(void **state)
{
	(void)state;
	alarm(50); /* whatever hangs ends the test, not the machine */
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return remove_tree(AT_FDCWD, folder);
}

static const char *in_folder(const char *name)
{
	static char paths[4][256];
	static unsigned int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	return path;
}

static const char *make_file(const char *name, const char *text, mode_t mode)
{
	const char *path = in_folder(name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	return path;
}

static int wait_status(struct pidref *ref)
{
	int status;

	assert_int_equal(waitpid(ref->pid, &status, 0), ref->pid);
	pidref_close(ref);
	return status;
}

/* Runs to its end with stdout to said; 0 or spawn()'s error. The exit status goes to *status. */
static int run_status(struct spawn_options o, int *status)
{
	_cleanup_close_ int r = -1;
	_cleanup_close_ int w = -1;
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct pidref ref = PIDREF_INIT;
	struct spawn_fd fds[32];
	int error;

	assert_int_equal(fd_pipe(&r, &w, 0), 0);
	if (o.n_fds > 0)
		memcpy(fds, o.fds, o.n_fds * sizeof(*fds));
	fds[o.n_fds++] = (struct spawn_fd){ w, 1 };
	o.fds = fds;
	error = spawn(&o, &ref);
	fd_close(&w);
	if (error < 0)
		return error;
	assert_int_equal(fd_read_all(r, &text, sizeof(said) - 1), 0);
	memcpy(said, buf_head(&text) ? (char *)buf_head(&text) : "", text.len);
	said[text.len] = '\0';
	*status = wait_status(&ref);
	return 0;
}

static const char *run(struct spawn_options o)
{
	int status = -1;

	assert_int_equal(run_status(o, &status), 0);
	assert_int_equal(status, 0);
	return said;
}

static const char *shell(const char *command)
{
	return run((struct spawn_options){ .argv = ARGS("/bin/sh", "-c", command) });
}

static void assert_no_child(void)
{
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void assert_refused(struct spawn_options o, int wanted)
{
	struct pidref ref = PIDREF_INIT;
	int before = fd_count();

	assert_int_equal(spawn(&o, &ref), wanted);
	assert_int_equal(ref.pid, 0);
	assert_int_equal(ref.fd, -1);
	assert_int_equal(fd_count(), before);
	assert_no_child();
}

static void test_exit_status_and_output(void **state)
{
	struct spawn_options o = { .argv = ARGS(TOOL, "exit", "7") };
	int status;

	(void)state;
	assert_int_equal(run_status(o, &status), 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	assert_string_equal(shell("echo hello"), "hello\n");
	o.argv = ARGS(TOOL, "kill-self", "KILL");
	assert_int_equal(run_status(o, &status), 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_the_reference_is_of_the_child(void **state)
{
	struct spawn_options o = { .argv = ARGS(TOOL, "pause") };
	struct pidref ref = PIDREF_INIT;
	struct proc_stat stat;

	(void)state;
	assert_int_equal(spawn(&o, &ref), 0);
	assert_int_equal(proc_stat_read(ref.pid, &stat), 0);
	assert_int_equal(stat.ppid, getpid());
	assert_true(stat.start_time == ref.start_time);
	assert_int_equal(pidref_signal(&ref, SIGKILL), 0);
	wait_status(&ref);
}

static void test_a_program_that_cannot_be_executed(void **state)
{
	const char *text = make_file("text", "no program\n", 0644);
	const char *script = make_file("script", "echo no shebang\n", 0755);
	const char *lost = make_file("lost", "#!/nonexistent/shell\n", 0755);

	(void)state;
	assert_refused((struct spawn_options){ .argv = ARGS("/nonexistent") }, -ENOENT);
	assert_refused((struct spawn_options){ .argv = ARGS("nonexistent-program") }, -ENOENT);
	assert_refused((struct spawn_options){ .argv = ARGS(text) }, -EACCES);
	assert_refused((struct spawn_options){ .argv = ARGS(folder) }, -EACCES);
	assert_refused((struct spawn_options){ .argv = ARGS(script) }, -ENOEXEC);
	assert_refused((struct spawn_options){ .argv = ARGS(lost) }, -ENOENT);
	assert_refused((struct spawn_options){ .argv = ARGS(TOOL, "pause"), .cwd = "/nonexistent" },
		-ENOENT);
}

/* A file that is being written cannot be executed: only execve itself can tell. */
static void test_an_error_of_execve_itself(void **state)
{
	const char *path = make_file("busy", "#!/bin/sh\n", 0755);
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_refused((struct spawn_options){ .argv = ARGS(path) }, -ETXTBSY);
	close(fd);
	run((struct spawn_options){ .argv = ARGS(path) });
}

static void test_argv0_is_not_the_path(void **state)
{
	struct spawn_options o = { .path = "sh", .argv = ARGS("-my name", "-c", "echo \"$0\"") };

	(void)state;
	assert_string_equal(run(o), "-my name\n");
}

/* "N TARGET" of descriptor n in what `tool fds` said. */
static const char *line_of(int n)
{
	static char line[512];
	char start[16];
	const char *p = said;
	size_t length = (size_t)snprintf(start, sizeof(start), "%d ", n);

	for (; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (strncmp(p, start, length) == 0) {
			snprintf(line, sizeof(line), "%.*s", (int)strcspn(p, "\n"), p);
			return line;
		}
	return "";
}

static int count_lines(void)
{
	int n = 0;

	for (const char *p = said; *p; p++)
		n += *p == '\n';
	return n;
}

static void assert_fd(int n, const char *path)
{
	char wanted[512];

	snprintf(wanted, sizeof(wanted), "%d %s", n, path);
	assert_string_equal(line_of(n), wanted);
}

static void test_nothing_but_stdio(void **state)
{
	int low = open("/dev/zero", O_RDONLY); /* without CLOEXEC, on purpose */
	int high = fcntl(low, F_DUPFD, 500);

	(void)state;
	assert_true(low >= 0 && high >= 500);
	run((struct spawn_options){ .argv = ARGS(TOOL, "fds") });
	assert_int_equal(count_lines(), 3);
	assert_fd(0, "/dev/null");
	assert_fd(2, "/dev/null");
	assert_true(fcntl(low, F_GETFD) == 0 && fcntl(high, F_GETFD) == 0);
	close(low);
	close(high);
}

static void test_dev_null_can_be_read_and_written(void **state)
{
	(void)state;
	assert_string_equal(shell("cat; echo lost >&2 && echo written"), "written\n");
}

static void test_swapped_and_repeated(void **state)
{
	int a = open(make_file("a", "", 0600), O_RDWR | O_CLOEXEC);
	int b = open(make_file("b", "", 0600), O_RDWR | O_CLOEXEC);
	const struct spawn_fd fds[] = { { a, b }, { b, a }, { a, 0 }, { a, 2 }, { b, 77 },
		{ b, 78 } };
	struct spawn_options o = { .argv = ARGS(TOOL, "fds"), .fds = fds, .n_fds = 6 };

	(void)state;
	run(o);
	assert_fd(b, in_folder("a"));
	assert_fd(a, in_folder("b"));
	assert_fd(0, in_folder("a"));
	assert_fd(2, in_folder("a"));
	assert_fd(77, in_folder("b"));
	assert_fd(78, in_folder("b"));
	assert_int_equal(count_lines(), 7);
	/* ours are where they were, and as they were */
	assert_int_equal(fcntl(a, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(b, F_GETFD), FD_CLOEXEC);
	close(a);
	close(b);
}

/* A target may be a number that we use ourselves in between: for the errors, or for /dev/null. */
static void test_targets_in_our_way(void **state)
{
	int a = open(make_file("a", "", 0600), O_RDWR | O_CLOEXEC);

	(void)state;
	for (int to = a + 1; to < a + 12; to++) {
		const struct spawn_fd fds[] = { { a, to } };
		struct spawn_options o = { .argv = ARGS(TOOL, "fds"), .fds = fds, .n_fds = 1 };

		run(o);
		assert_fd(to, in_folder("a"));
		assert_fd(0, "/dev/null");
		assert_int_equal(count_lines(), 4);
		o.argv = ARGS("/nonexistent");
		assert_refused(o, -ENOENT);
		o.argv = ARGS(in_folder("a"));
		assert_refused(o, -EACCES);
	}
	close(a);
}

static void test_sixteen_descriptors_and_one_more(void **state)
{
	struct spawn_fd fds[17];
	struct spawn_options o = { .argv = ARGS(TOOL, "fds"), .fds = fds, .n_fds = 15 };
	int a = open(make_file("a", "", 0600), O_RDWR | O_CLOEXEC);

	(void)state;
	for (int i = 0; i < 17; i++)
		fds[i] = (struct spawn_fd){ a, 10 + i };
	run(o); /* and run()'s own is the 16th */
	assert_int_equal(count_lines(), 15 + 3);
	assert_fd(24, in_folder("a"));
	o.n_fds = 17;
	assert_refused(o, -E2BIG);
	close(a);
}

static void test_a_descriptor_that_is_none(void **state)
{
	const struct spawn_fd fds[] = { { 999, 3 } };
	struct spawn_options o = { .argv = ARGS(TOOL, "fds"), .fds = fds, .n_fds = 1 };

	(void)state;
	assert_refused(o, -EBADF);
}

/* In a process whose own stdio is closed, pipes get the numbers 0, 1 and 2. */
static void test_without_stdio_of_our_own(void **state)
{
	int out = open(make_file("out", "", 0600), O_RDWR | O_CLOEXEC);
	struct spawn_fd fds[] = { { out, 1 } };
	struct spawn_options o = { .argv = ARGS(TOOL, "fds"), .fds = fds, .n_fds = 1 };
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct pidref ref = PIDREF_INIT;
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0) {
		close(0);
		close(1);
		close(2);
		if (spawn(&o, &ref) < 0)
			_exit(1);
		if (waitpid(ref.pid, &status, 0) != ref.pid || status != 0)
			_exit(2);
		o.argv = ARGS("/bin/../nonexistent");
		_exit(spawn(&o, &ref) == -ENOENT ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(lseek(out, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(out, &text, sizeof(said) - 1), 0);
	memcpy(said, buf_head(&text), text.len);
	said[text.len] = '\0';
	assert_fd(0, "/dev/null");
	assert_fd(1, in_folder("out"));
	assert_fd(2, "/dev/null");
	assert_int_equal(count_lines(), 3);
	close(out);
}

/* Of libc's own two as well, which it hides: glibc's posix_spawn(3) leaves them ignored. */
static void set_internal_signals(unsigned long handler)
{
	const unsigned long action[8] = { handler };

	for (int sig = 32; sig < SIGRTMIN; sig++)
		assert_int_equal(syscall(SYS_rt_sigaction, sig, action, NULL, 8), 0);
}

static void test_signals_are_as_new(void **state)
{
	sigset_t blocked, before, after;

	(void)state;
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGRTMIN + 5, SIG_IGN);
	set_internal_signals((unsigned long)SIG_IGN);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGCHLD);
	sigaddset(&blocked, SIGRTMAX);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	run((struct spawn_options){ .argv = ARGS("grep", "^Sig[BI]", "/proc/self/status") });
	sigprocmask(SIG_SETMASK, &before, &after);
	assert_string_equal(said, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	assert_true(sigismember(&after, SIGTERM) && sigismember(&after, SIGRTMAX));
	assert_false(sigismember(&after, SIGUSR1));
	assert_ptr_equal(signal(SIGINT, SIG_DFL), SIG_IGN);
	signal(SIGHUP, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGRTMIN + 5, SIG_DFL);
	set_internal_signals((unsigned long)SIG_DFL);
}

static void assert_family(bool group, bool session)
{
	struct spawn_options o = {
		.argv = ARGS(TOOL, "pause"), .new_group = group, .new_session = session
	};
	struct pidref ref = PIDREF_INIT;
	struct proc_stat stat;

	assert_int_equal(spawn(&o, &ref), 0);
	assert_int_equal(proc_stat_read(ref.pid, &stat), 0);
	assert_int_equal(stat.pgrp, group || session ? ref.pid : getpgrp());
	assert_int_equal(stat.session, session ? ref.pid : getsid(0));
	assert_int_equal(pidref_signal(&ref, SIGKILL), 0);
	wait_status(&ref);
}

static void test_group_and_session(void **state)
{
	(void)state;
	assert_family(false, false);
	assert_family(true, false);
	assert_family(false, true);
	assert_family(true, true);
}

/* The child of a parent that ends gets the signal: here it lets go of the pipe. */
static void test_death_signal(void **state)
{
	_cleanup_close_ int r = -1;
	_cleanup_close_ int w = -1;
	struct pidref ref = PIDREF_INIT;
	char c;
	pid_t pid;

	(void)state;
	assert_int_equal(fd_pipe(&r, &w, 0), 0);
	pid = fork();
	if (pid == 0) {
		const struct spawn_fd fds[] = { { w, 9 } };
		struct spawn_options o = { .argv = ARGS(TOOL, "ignore-term"),
			.fds = fds,
			.n_fds = 1,
			.death_signal = SIGKILL };

		_exit(spawn(&o, &ref) < 0);
	}
	fd_close(&w);
	assert_int_equal(waitpid(pid, &(int){ 0 }, 0), pid);
	assert_int_equal(read(r, &c, 1), 0); /* the alarm of setup() ends a wait that is in vain */
}

static void test_descriptor_limit(void **state)
{
	const struct rlimit limit = { 9, 99 };
	int a = open(make_file("a", "", 0600), O_RDWR | O_CLOEXEC);
	const struct spawn_fd fds[] = { { a, 50 } };
	struct spawn_options o = { .argv = ARGS("/bin/sh", "-c", "ulimit -Sn; ulimit -Hn"),
		.fds = fds,
		.n_fds = 1,
		.nofile = &limit };
	struct rlimit before, after;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_string_equal(run(o), "9\n99\n");
	o.argv = ARGS(TOOL, "fds");
	run(o); /* what was placed above the limit is there all the same */
	assert_fd(50, in_folder("a"));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
	assert_true(before.rlim_cur == after.rlim_cur && before.rlim_max == after.rlim_max);
	close(a);
}

/* The program's own path is one from where we are, though. */
static void test_working_directory(void **state)
{
	_cleanup_free_ char *here = getcwd(NULL, 0);
	_cleanup_free_ char *after = NULL;
	struct spawn_options o = { .argv = ARGS(TOOL, "cwd"), .cwd = folder };
	char wanted[64];

	(void)state;
	snprintf(wanted, sizeof(wanted), "%s\n", folder);
	assert_string_equal(run(o), wanted);
	after = getcwd(NULL, 0);
	assert_string_equal(after, here);
}

static void test_environment(void **state)
{
	struct spawn_options o = { .argv = ARGS(TOOL, "env"), .env = ARGS("A=1", "B=two words") };

	(void)state;
	assert_string_equal(run(o), "A=1\nB=two words\n");
	o.env = (char *const[]){ NULL };
	assert_string_equal(run(o), "");
	o.env = NULL;
	setenv("TEST_SPAWN", "inherited", 1);
	assert_non_null(strstr(run(o), "\nTEST_SPAWN=inherited\n"));
	unsetenv("TEST_SPAWN");
}

static void test_many_leave_nothing(void **state)
{
	int before = fd_count();

	(void)state;
	for (int i = 0; i < 200; i++) {
		int status;

		assert_int_equal(
			run_status(
				(struct spawn_options){ .argv = ARGS(TOOL, "exit", "0") }, &status),
			0);
		assert_refused((struct spawn_options){ .argv = ARGS("/nonexistent") }, -ENOENT);
	}
	assert_int_equal(fd_count(), before);
	assert_no_child();
}

static void assert_found(const char *name, const char *wanted)
{
	_cleanup_free_ char *path = NULL;

	assert_int_equal(spawn_find_program(name, &path), 0);
	assert_string_equal(path, wanted);
}

/* The first executable file of that name: folders, other files and missing places are passed over. */
static void test_find_program(void **state)
{
	_cleanup_free_ char *old = strdup(getenv("PATH"));
	char path[1024], *none = NULL;

	(void)state;
	for (int i = 1; i <= 4; i++) {
		char name[8];

		snprintf(name, sizeof(name), "p%d", i);
		assert_int_equal(mkdir(in_folder(name), 0755), 0);
	}
	make_file("p1/prog", "text", 0644);
	assert_int_equal(mkdir(in_folder("p2/prog"), 0755), 0);
	make_file("p3/prog", "#!/bin/sh\n", 0755);
	make_file("p4/prog", "#!/bin/sh\n", 0755);
	make_file("p1/text", "text", 0644);
	snprintf(path, sizeof(path), "/nonexistent:%s/p1:%s/p2:%s/p3:%s/p4", folder, folder, folder,
		folder);
	setenv("PATH", path, 1);
	assert_found("prog", in_folder("p3/prog"));
	assert_found("/bin/sh", "/bin/sh");
	assert_int_equal(spawn_find_program("text", &none), -EACCES);
	assert_int_equal(spawn_find_program("nonexistent", &none), -ENOENT);
	assert_int_equal(spawn_find_program("", &none), -ENOENT);
	assert_int_equal(spawn_find_program(folder, &none), -EACCES);
	assert_null(none);
	unsetenv("PATH");
	assert_found("sh", "/usr/bin/sh");
	setenv("PATH", old, 1);
}

/* A program that lies in the working folder by chance is never run by its name. */
static void test_the_working_directory_is_no_place_to_look(void **state)
{
	_cleanup_free_ char *old = strdup(getenv("PATH"));
	_cleanup_free_ char *here = getcwd(NULL, 0);
	static const char *const paths[] = { "", ":", ":/nonexistent:", ".", "./:." };
	char *none = NULL;

	(void)state;
	make_file("here-only", "#!/bin/sh\n", 0755);
	assert_int_equal(chdir(folder), 0);
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		setenv("PATH", paths[i], 1);
		assert_int_equal(spawn_find_program("here-only", &none), -ENOENT);
	}
	setenv("PATH", old, 1);
	assert_int_equal(chdir(here), 0);
}

static int has_pidfds(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_status_and_output),
		cmocka_unit_test(test_the_reference_is_of_the_child),
		cmocka_unit_test(test_a_program_that_cannot_be_executed),
		cmocka_unit_test(test_an_error_of_execve_itself),
		cmocka_unit_test(test_argv0_is_not_the_path),
		cmocka_unit_test(test_nothing_but_stdio),
		cmocka_unit_test(test_dev_null_can_be_read_and_written),
		cmocka_unit_test(test_swapped_and_repeated),
		cmocka_unit_test(test_targets_in_our_way),
		cmocka_unit_test(test_sixteen_descriptors_and_one_more),
		cmocka_unit_test(test_a_descriptor_that_is_none),
		cmocka_unit_test(test_without_stdio_of_our_own),
		cmocka_unit_test(test_signals_are_as_new),
		cmocka_unit_test(test_group_and_session),
		cmocka_unit_test(test_death_signal),
		cmocka_unit_test(test_descriptor_limit),
		cmocka_unit_test(test_working_directory),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_many_leave_nothing),
		cmocka_unit_test(test_find_program),
		cmocka_unit_test(test_the_working_directory_is_no_place_to_look),
	};

	if (!has_pidfds()) {
		printf("1..0 # SKIP no pidfd_open(2) here: an old valgrind\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}

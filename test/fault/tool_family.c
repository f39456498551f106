/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The multi-tool's children: those it leaves behind on purpose, those it runs in turn, and those
 * that it adopts as a subreaper. Nothing outlives its command but what `hold` and `sibling` leave.
 */

#include "test/fault/tool.h"

#include "common/cleanup.h"
#include "test/fault/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int status_to_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int wait_for(pid_t pid, int *ret_status)
{
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int tool_hold(int n_args, char **args)
{
	uint64_t seconds;
	pid_t pid;

	(void)n_args;
	if (!parse_size(args[0], &seconds) || seconds > 86400)
		return tool_fail("hold: not a number of seconds");
	pid = fork();
	if (pid < 0)
		return tool_fail("fork: %s", strerror(errno));
	if (pid > 0)
		return 0;
	close(STDIN_FILENO);
	if (close_range(STDERR_FILENO, ~0U, 0) < 0) /* runsc (2022-12) has no such call */
		for (int fd = STDERR_FILENO; fd < 1024; fd++)
			close(fd);
	while (poll(NULL, 0, (int)seconds * 1000) < 0)
		;
	_exit(0);
}

/* A child of our own parent, in our session: it runs a command, and we end at once. */
int tool_sibling(int n_args, char **args)
{
	long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid < 0)
		return tool_fail("clone: %s", strerror(errno));
	if (pid > 0)
		return 0;
	_exit(tool_run(n_args, args));
}

/* The grandchild reads the gate, which ends only when the tool has reaped the parent: it is an
 * orphan before it ends. */
static int make_orphan(int gate_read, int gate_write)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (pid > 0)
		return wait_for(pid, &status) < 0 || status != 0 ? -ECHILD : 0;
	pid = fork();
	if (pid != 0)
		_exit(pid < 0);
	close(gate_write);
	for (char byte; read(gate_read, &byte, 1) < 0 && errno == EINTR;)
		;
	_exit(0);
}

int tool_orphan(int n_args, char **args)
{
	uint64_t n;
	int gate[2];

	(void)n_args;
	if (!parse_size(args[0], &n))
		return tool_fail("orphan: not a number");
	if (pipe2(gate, O_CLOEXEC) < 0)
		return tool_fail("pipe: %s", strerror(errno));
	for (uint64_t i = 0; i < n; i++) {
		int r = make_orphan(gate[0], gate[1]);

		if (r < 0)
			return tool_fail("orphan %llu: %s", (unsigned long long)i, strerror(-r));
	}
	close(gate[0]);
	close(gate[1]);
	if (emitf(STDOUT_FILENO, "ready\n") < 0)
		return 1;
	return tool_pause(0, NULL);
}

/* What seq passes on, and SIGCHLD, which ends its wait. */
static void family_signals(sigset_t *ret_set)
{
	static const int passed_on[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1,
		SIGUSR2 };

	sigemptyset(ret_set);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		sigaddset(ret_set, passed_on[i]);
}

/* Runs one command as a child with the mask that we came with; signals go through to it. */
static int run_child(int n_args, char **args, const sigset_t *set, const sigset_t *mask)
{
	pid_t pid = fork();

	if (pid < 0)
		return tool_fail("fork: %s", strerror(errno));
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, mask, NULL);
		_exit(tool_run(n_args, args));
	}
	for (;;) {
		int status, sig;
		pid_t ended = waitpid(-1, &status, WNOHANG);

		if (ended == pid)
			return status_to_code(status);
		if (ended > 0)
			continue;
		sig = sigwaitinfo(set, NULL);
		if (sig > 0 && sig != SIGCHLD)
			kill(pid, sig);
	}
}

/* Runs the commands between the "--". The last one in this process where in_place. */
static int run_sequence(int n_args, char **args, bool in_place)
{
	sigset_t set, mask;
	int code = 0;

	family_signals(&set);
	sigprocmask(SIG_BLOCK, &set, &mask);
	for (int from = 0, to; from < n_args; from = to + 1) {
		for (to = from; to < n_args && strcmp(args[to], "--") != 0; to++)
			;
		args[to] = NULL;
		if (to == from)
			return tool_fail("an empty command between two \"--\"");
		if (in_place && to == n_args) {
			sigprocmask(SIG_SETMASK, &mask, NULL);
			return tool_run(to - from, args + from);
		}
		code = run_child(to - from, args + from, &set, &mask);
	}
	return code;
}

int tool_seq(int n_args, char **args)
{
	return run_sequence(n_args, args, false);
}

int tool_chain(int n_args, char **args)
{
	return run_sequence(n_args, args, true);
}

static void log_end(int log, pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		(void)emitf(log, "signal %d %d\n", (int)pid, WTERMSIG(status));
	else
		(void)emitf(log, "exit %d %d\n", (int)pid, WEXITSTATUS(status));
}

/* Names the children that are still there and fails for them. */
static int report_left(int log)
{
	char path[64], line[4096];
	_cleanup_fclose_ FILE *children = NULL;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	children = fopen(path, "re");
	while (children && fscanf(children, "%4095s", line) == 1)
		(void)emitf(log, "left %s\n", line);
	tool_fail("reaper: children left");
	return 125;
}

/* Reaps until no child is left, or 10 s after the main one. The main one's code. */
static int reap_all(int log, pid_t main_pid, const sigset_t *chld)
{
	int64_t end = INT64_MAX;
	int code = 0, status;

	for (;;) {
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid < 0)
			return code;
		if (pid > 0) {
			log_end(log, pid, status);
			if (pid == main_pid) {
				code = status_to_code(status);
				end = monotonic_ms() + 10000;
			}
			continue;
		}
		if (monotonic_ms() > end)
			return report_left(log);
		(void)sigtimedwait(chld, NULL, &(struct timespec){ .tv_sec = 1 });
	}
}

int tool_reaper(int n_args, char **args)
{
	_cleanup_close_ int log = open(args[0], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	sigset_t chld, mask;
	pid_t pid;

	(void)n_args;
	if (log < 0)
		return tool_fail("%s: %s", args[0], strerror(errno));
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, &mask);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return tool_fail("subreaper: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		return tool_fail("fork: %s", strerror(errno));
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, &mask, NULL);
		execvp(args[1], args + 1);
		tool_fail("%s: %s", args[1], strerror(errno));
		_exit(127);
	}
	return reap_all(log, pid, &chld);
}

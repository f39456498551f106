/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that cannot be mistaken. Subtle: the number of a reaped process is brought back with
 * clone3(2)'s set_tid (Linux 5.5), so that reuse is a fact here and not a chance.
 */
#include "common/pidref.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/cleanup.h"

struct clone3_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
		set_tid_size, cgroup;
};

static _Noreturn void child_waits(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static pid_t start(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		child_waits();
	return pid;
}

static int start_as(pid_t wanted)
{
	pid_t tids[1] = { wanted };
	struct clone3_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)tids, .set_tid_size = 1
	};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		child_waits();
	return pid < 0 ? -errno : 0;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Waits until the child has ended, and leaves it unreaped. */
static void wait_for_zombie(pid_t pid)
{
	siginfo_t info;

	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

static int has_pidfds(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void test_a_living_one(void **state)
{
	struct pidref ref = PIDREF_INIT;
	pid_t pid = start();
	int status;

	(void)state;
	assert_int_equal(pidref_open(pid, &ref), 0);
	assert_int_equal(ref.pid, pid);
	assert_true(ref.start_time > 0);
	assert_int_equal(fcntl(ref.fd, F_GETFD), FD_CLOEXEC);
	assert_true(pidref_exists(&ref));
	assert_int_equal(pidref_signal(&ref, 0), 0);
	assert_int_equal(pidref_signal(&ref, 999), -EINVAL);
	assert_int_equal(pidref_signal(&ref, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	pidref_close(&ref);
}

static void test_a_zombie_is_there_until_it_is_reaped(void **state)
{
	struct pidref before = PIDREF_INIT, zombie = PIDREF_INIT;
	pid_t pid = start();

	(void)state;
	assert_int_equal(pidref_open(pid, &before), 0);
	kill(pid, SIGKILL);
	wait_for_zombie(pid);
	assert_true(pidref_exists(&before));
	assert_int_equal(pidref_open(pid, &zombie), 0);
	assert_true(zombie.start_time == before.start_time);
	assert_true(pidref_exists(&zombie));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(pidref_exists(&before));
	assert_false(pidref_exists(&zombie));
	assert_int_equal(pidref_signal(&zombie, SIGKILL), -ESRCH);
	pidref_close(&before);
	assert_int_equal(pidref_open(pid, &before), -ESRCH);
	assert_int_equal(before.fd, -1);
	pidref_close(&zombie);
}

static void test_another_start_time_is_another_process(void **state)
{
	struct pidref ref = PIDREF_INIT, same = PIDREF_INIT;
	pid_t pid = start();

	(void)state;
	assert_int_equal(pidref_open(pid, &ref), 0);
	assert_int_equal(pidref_open_same(pid, ref.start_time, &same), 0);
	assert_int_equal(same.pid, pid);
	pidref_close(&same);
	assert_int_equal(pidref_open_same(pid, ref.start_time + 1, &same), -ESRCH);
	assert_int_equal(pidref_open_same(pid, 0, &same), -ESRCH);
	assert_int_equal(same.pid, 0);
	assert_int_equal(same.fd, -1);
	pidref_close(&ref);
	end(pid);
}

/* Gives the pid of a new process that has it from old, which is gone, and a later start time. */
static int reuse(const struct pidref *old)
{
	struct proc_stat stat;

	for (;;) {
		int r = start_as(old->pid);

		if (r < 0)
			return r;
		assert_int_equal(proc_stat_read(old->pid, &stat), 0);
		if (stat.start_time != old->start_time)
			return 0;
		end(old->pid); /* within one tick of the clock: not told apart by time */
	}
}

static void test_a_reused_number_is_refused(void **state)
{
	struct pidref old = PIDREF_INIT, now = PIDREF_INIT;
	int r = -EEXIST;

	(void)state;
	for (int i = 0; i < 20 && r == -EEXIST; i++) {
		pid_t pid = start();

		pidref_close(&old);
		assert_int_equal(pidref_open(pid, &old), 0);
		end(pid);
		r = reuse(&old);
	}
	if (r == -EPERM || r == -ENOSYS) {
		pidref_close(&old);
		skip();
	}
	assert_int_equal(r, 0);
	assert_false(pidref_exists(&old));
	assert_int_equal(pidref_signal(&old, SIGKILL), -ESRCH);
	assert_int_equal(pidref_open_same(old.pid, old.start_time, &now), -ESRCH);
	assert_int_equal(pidref_open(old.pid, &now), 0);
	assert_true(pidref_exists(&now));
	pidref_close(&now);
	end(old.pid);
	pidref_close(&old);
}

static void test_what_is_no_process(void **state)
{
	struct pidref ref = PIDREF_INIT, none = PIDREF_INIT;

	(void)state;
	assert_int_equal(pidref_open(0, &ref), -ESRCH);
	assert_int_equal(pidref_open(-1, &ref), -ESRCH);
	assert_true(pidref_open(INT32_MAX, &ref) < 0);
	assert_int_equal(ref.pid, 0);
	assert_int_equal(pidref_signal(&none, SIGKILL), -ESRCH);
	assert_false(pidref_exists(&none));
	/* a number alone is never signalled, not even our own */
	none.pid = getpid();
	assert_int_equal(pidref_signal(&none, SIGKILL), -ESRCH);
	pidref_close(&none);
	assert_int_equal(none.pid, 0);
	pidref_close(&none);
}

static void test_close_forgets(void **state)
{
	struct pidref ref = PIDREF_INIT;
	int fd;

	(void)state;
	assert_int_equal(pidref_open(getpid(), &ref), 0);
	fd = ref.fd;
	pidref_close(&ref);
	assert_int_equal(ref.fd, -1);
	assert_int_equal(ref.pid, 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	pidref_close(&ref);
}

/* The name of a command may look like the rest of the line. */
static void test_stat_of_a_strange_name(void **state)
{
	static const char *const names[] = { "a) S 1 2 3", "((", ")", "a b\nc", "" };
	struct proc_stat stat;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		prctl(PR_SET_NAME, names[i]);
		assert_int_equal(proc_stat_read(getpid(), &stat), 0);
		assert_int_equal(stat.state, 'R');
		assert_int_equal(stat.ppid, getppid());
		assert_int_equal(stat.pgrp, getpgrp());
		assert_int_equal(stat.session, getsid(0));
		assert_true(stat.start_time > 0);
	}
	prctl(PR_SET_NAME, "test_pidref");
}

static void test_stat_of_a_zombie_and_of_nobody(void **state)
{
	struct proc_stat alive, dead;
	pid_t pid = start();

	(void)state;
	assert_int_equal(proc_stat_read(pid, &alive), 0);
	kill(pid, SIGKILL);
	wait_for_zombie(pid);
	assert_int_equal(proc_stat_read(pid, &dead), 0);
	assert_int_equal(dead.state, 'Z');
	assert_true(dead.start_time == alive.start_time);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(proc_stat_read(pid, &dead), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_living_one),
		cmocka_unit_test(test_a_zombie_is_there_until_it_is_reaped),
		cmocka_unit_test(test_another_start_time_is_another_process),
		cmocka_unit_test(test_a_reused_number_is_refused),
		cmocka_unit_test(test_what_is_no_process),
		cmocka_unit_test(test_close_forgets),
		cmocka_unit_test(test_stat_of_a_strange_name),
		cmocka_unit_test(test_stat_of_a_zombie_and_of_nobody),
	};

	if (!has_pidfds()) {
		printf("1..0 # SKIP no pidfd_open(2) here: an old valgrind\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* How a process of somebody else ended: known where it is certain, and not a number otherwise. */
#include "common/ending.h"

#include <errno.h>
#include <poll.h>
#include <sys/wait.h>

#include "test/unit/unit.h"

/* A child that exits with status once its gate is closed; with status < 0 it waits to be killed. */
static pid_t child(int status, int *ret_gate)
{
	int gate[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(gate[1]);
		while (status < 0 ? pause() : read(gate[0], &byte, 1) < 0)
			;
		_exit(status);
	}
	close(gate[0]);
	*ret_gate = gate[1];
	return pid;
}

static void await_end(const struct pidref *p)
{
	struct pollfd poll_fd = { .fd = p->fd, .events = POLLIN };

	assert_int_equal(poll(&poll_fd, 1, 10000), 1);
}

static void test_killed(void **state)
{
	struct pidref p = PIDREF_INIT;
	struct ending ending;
	int gate, status;
	pid_t pid = child(-1, &gate);

	(void)state;
	assert_int_equal(pidref_open(pid, &p), 0);
	assert_int_equal(ending_kill(&p, &ending), 0);
	assert_true(ending.is_known);
	assert_int_equal(ending.wait_status, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, SIGKILL);
	assert_int_equal(ending_kill(&p, &ending), -ESRCH);
	assert_false(ending.is_known);
	pidref_close(&p);
	close(gate);
}

/* What has exited by itself is not made into one that was killed. */
static void test_killed_too_late(void **state)
{
	struct pidref p = PIDREF_INIT;
	struct ending ending;
	int gate, status;
	pid_t pid = child(7, &gate);

	(void)state;
	assert_int_equal(pidref_open(pid, &p), 0);
	close(gate);
	await_end(&p);
	assert_int_equal(ending_kill(&p, &ending), 0); /* a zombie takes signals */
	assert_false(ending.is_known);
	ending_learn(&p, &ending);
	assert_true(ending.is_known);
	assert_int_equal(ending.wait_status, 7 << 8);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 7 << 8);
	pidref_close(&p);
}

/* Once it is reaped the kernel still tells who had it open (Linux 6.15), or nobody knows. */
static void test_reaped(void **state)
{
	struct pidref p = PIDREF_INIT;
	struct ending ending;
	int gate, status;
	pid_t pid = child(9, &gate);

	(void)state;
	assert_int_equal(pidref_open(pid, &p), 0);
	close(gate);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	ending_learn(&p, &ending);
	if (ending.is_known)
		assert_int_equal(ending.wait_status, 9 << 8);
	else
		assert_int_equal(ending.wait_status, 0);
	pidref_close(&p);
}

static void test_lives(void **state)
{
	struct pidref p = PIDREF_INIT;
	struct ending ending;

	(void)state;
	assert_int_equal(pidref_open(getpid(), &p), 0);
	ending_learn(&p, &ending);
	assert_false(ending.is_known);
	pidref_close(&p);
}

/* Without the right to look into it /proc says 0, which is not taken for a success. */
static void test_no_permission(void **state)
{
	struct pidref p = PIDREF_INIT;
	struct ending ending;
	int gate, status;
	pid_t pid = child(5, &gate), asker;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(pidref_open(pid, &p), 0);
	close(gate);
	await_end(&p);
	asker = fork();
	assert_true(asker >= 0);
	if (asker == 0) {
		if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		fd_close(&p.fd); /* the kernel's answer by the descriptor asks for no right */
		p.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		ending_learn(&p, &ending);
		_exit(ending.is_known ? 2 : 0);
	}
	assert_int_equal(waitpid(asker, &status, 0), asker);
	assert_int_equal(status, 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	pidref_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_killed),
		bed_test(test_killed_too_late),
		bed_test(test_reaped),
		bed_test(test_lives),
		bed_test(test_no_permission),
	};

	if (!has_pidfds())
		return 0;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

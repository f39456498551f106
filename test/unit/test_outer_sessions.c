/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions that were begun outside of a pid namespace: told from others, noted, and forgotten only when
 * nobody is in them.
 */
#include "shim/outer_sessions.h"

#include <sched.h>
#include <sys/wait.h>

#include "test/unit/unit.h"

/* A process that waits for its end to be closed; in a session of its own with leads. */
struct sleeper {
	pid_t pid;
	int gate;
};

static struct sleeper sleeper(bool leads)
{
	int gate[2], ready[2];
	struct sleeper s;
	char byte = 0;

	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	s.gate = gate[1];
	s.pid = fork();
	assert_true(s.pid >= 0);
	if (s.pid == 0) {
		close(gate[1]);
		if (leads)
			setsid();
		if (write(ready[1], &byte, 1) == 1)
			while (read(gate[0], &byte, 1) < 0)
				;
		_exit(0);
	}
	close(gate[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return s;
}

static void wake(struct sleeper *s)
{
	close(s->gate);
	assert_int_equal(waitpid(s->pid, NULL, 0), s->pid);
}

static void test_noted(void **state)
{
	struct outer_sessions s = { 0 };

	(void)state;
	assert_false(outer_sessions_have(&s, 5));
	outer_sessions_note(&s, 5);
	outer_sessions_note(&s, 5);
	assert_true(outer_sessions_have(&s, 5));
	assert_int_equal(s.n, 1);
	outer_sessions_deinit(&s);
	outer_sessions_deinit(&s);
	assert_false(outer_sessions_have(&s, 5));
}

/* Numbers above every pid: nobody can be in them. */
static void test_bounded(void **state)
{
	struct outer_sessions s = { 0 };
	struct sleeper lives = sleeper(true);

	(void)state;
	outer_sessions_note(&s, lives.pid);
	for (pid_t i = 0; i < 1000; i++)
		outer_sessions_note(&s, (1 << 23) + i);
	assert_true(outer_sessions_have(&s, lives.pid));
	assert_true(s.room <= 128);
	wake(&lives);
	for (pid_t i = 0; i < 1000; i++)
		outer_sessions_note(&s, (1 << 23) + i);
	assert_false(outer_sessions_have(&s, lives.pid));
	outer_sessions_deinit(&s);
}

/* What could not be noted may be any: nothing is taken for unknown any more. */
static void test_incomplete(void **state)
{
	struct outer_sessions s = { .is_incomplete = true };

	(void)state;
	assert_true(outer_sessions_have(&s, 5));
}

/* 0 where all is as it should be. The session of the tests may itself be an outer one: it has its own. */
static int look_from_own_session(void)
{
	struct sleeper leader, member;
	int wrong;

	setsid();
	leader = sleeper(true);
	member = sleeper(false);
	wrong = session_is_outer(leader.pid) || session_is_outer(member.pid);
	wake(&member); /* the later one first: it has the gate of the other open */
	wake(&leader);
	return wrong || session_is_outer(leader.pid);
}

/* As look_from_own_session(), one namespace further in, where its later children have nowhere to go. */
static int look_from_outside(void)
{
	struct sleeper leader, member;
	int wrong;

	if (unshare(CLONE_NEWPID) < 0)
		return 77;
	member = sleeper(false); /* process 1, in our session */
	leader = sleeper(true);
	wrong = !session_is_outer(member.pid) || session_is_outer(leader.pid);
	wake(&leader);
	wake(&member);
	return wrong;
}

static void passes_in_child(int (*look)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(look());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_own_namespace(void **state)
{
	(void)state;
	passes_in_child(look_from_own_session);
}

static void test_of_another_namespace(void **state)
{
	(void)state;
	passes_in_child(look_from_outside);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(test_noted),
		bed_test(test_bounded),
		bed_test(test_incomplete),
		bed_test(test_own_namespace),
		bed_test(test_of_another_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

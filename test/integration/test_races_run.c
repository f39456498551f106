/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Create that starts as well, by one call of the runtime, or over crun by two: the same events in
 * the same order, the same exits, and nothing left of one that failed, hung or was killed on the way.
 * deadline: 60
 */
#include "test/integration/races.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define HANG_MS 1000

#define RUNNING CONTAINERD__V1__TYPES__STATUS__RUNNING

static int setup_fake(void **state)
{
	int r = race_setup_fake(state);

	((struct race *)*state)->bed->run = true;
	return r;
}

static int setup_runc(void **state)
{
	int r = race_setup_runc(state);

	((struct race *)*state)->bed->run = true;
	return r;
}

static void run_well(struct race *race)
{
	unsigned answered;

	assert_true(race_ok_order(race_create(race, false), &answered) > 0);
	assert_true(race_await_event(race, "create", "")->order <
		    race_await_event(race, "start", "")->order);
	assert_true(race_await_event(race, "start", "")->order < answered);
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
	race_refused(race_call(race, "Start", ""), CODE_FAILED_PRECONDITION,
		"cannot start a running process");
}

/* With execs, pause and all: it is a container like any other. */
static void test_runs(void **state)
{
	struct race *race = *state;

	run_well(race);
	bed_exec(race->bed, "e", "[\"/bin/tool\",\"exit\",\"6\"]", false);
	race_ok(race_call(race, "Start", "e"));
	assert_int_equal(race_ok(race_call(race, "Wait", "e")), 6);
	race_ok(race_call(race, "Pause", ""));
	race_ok(race_call(race, "Resume", ""));
	race_ok(race_kill(race, "", SIGKILL));
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 137);
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 137);
}

static void dead_before_it_returns(struct race *race, const char *script, uint32_t status)
{
	race_script(race, script);
	race_dead_early(race, race_create(race, false), status);
}

static void test_dead_before_it_returns(void **state)
{
	dead_before_it_returns(*state, "run init-exits 3\n", 3);
}

static void test_killed_before_it_returns(void **state)
{
	dead_before_it_returns(*state, "run init-killed 15\n", 143);
}

static void test_reaped_before_it_returns(void **state)
{
	dead_before_it_returns(*state, "run early-orphan\nrun init-exits 4\n", 4);
}

/*
 * A process between the runtime and the init lives on when the runtime has returned, as crun's does
 * for a moment. The init is the container's all the same, and its exit is told once it is ours.
 */
static void test_parent_between(void **state)
{
	struct race *race = *state;

	race_script(race, "run late-orphan @/go\n");
	race_ok(race_create(race, false));
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
	race_touch(race, "go");
	race_ok(race_kill(race, "", SIGKILL));
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 137);
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 137);
}

static void test_real_one_that_ends_at_once(void **state)
{
	struct race *race = *state;

	bed_config(race->bed, "[\"/bin/tool\",\"exit\",\"9\"]", false);
	dead_before_it_returns(race, "", 9);
}

static void test_hangs(void **state)
{
	struct race *race = *state;
	struct flight *f;

	race->bed->deadline_ms = HANG_MS;
	race_script(race, "run after:touch @/began\nrun after:hang\n");
	f = race_create(race, false);
	race_await_file(race, "began");
	race_assert_answers(race);
	assert_true(race_pending(f));
	race_refused(f, CODE_DEADLINE_EXCEEDED, "runc run: no answer in 1 s");
	race_await_no_children(race);
	race_refused(race_call(race, "State", ""), CODE_NOT_FOUND, "container ID: not found");
	/* the id is free */
	race_script(race, "");
	run_well(race);
}

static void fails(struct race *race, const char *script, const char *sentence)
{
	race_script(race, script);
	race_refused(race_create(race, false), CODE_UNKNOWN, sentence);
	race_await_no_children(race);
	assert_int_equal(race_count_events(race, "create", ""), 0);
	assert_int_equal(race_count_events(race, "start", ""), 0);
	race_script(race, "");
	run_well(race);
}

static void test_fails(void **state)
{
	fails(*state, "run fail no luck\n", "OCI runtime run failed: *");
}

static void test_crashes_after_its_fork(void **state)
{
	fails(*state, "run crash-after-fork\n", "runc run: killed by signal 9 without a word");
}

static void test_crashes_after_its_pid_file(void **state)
{
	fails(*state, "run crash-after-pid\n", "runc run: killed by signal 9 without a word");
}

/* A size could not be told before the start. */
static void test_not_with_a_terminal(void **state)
{
	struct race *race = *state;

	race_refused(race_create(race, true), CODE_INVALID_ARGUMENT,
		"run does not go with a terminal: create, resize, start");
}

/* --- in two calls --- */

static int setup_fake_crun(void **state)
{
	int r = setup_fake(state);

	((struct race *)*state)->bed->fake_kind = (char *)"crun";
	return r;
}

static void test_two_calls(void **state)
{
	struct race *race = *state;

	race_script(
		race, "create touch @/created\nstart touch @/started\nrun fail it is not asked\n");
	test_runs(state);
	race_await_file(race, "created");
	race_await_file(race, "started");
}

/* Between the two the container is there for nobody. */
static void test_between_two_calls(void **state)
{
	struct race *race = *state;
	struct flight *f;

	race_script(race, "start touch @/began\nstart wait @/go\n");
	f = race_create(race, false);
	race_await_file(race, "began");
	race_refused(race_call(race, "State", ""), CODE_NOT_FOUND, "container ID: not found");
	assert_true(race_pending(f));
	assert_int_equal(race_count_events(race, "create", ""), 0);
	race_touch(race, "go");
	race_ok(f);
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
}

static void test_start_fails(void **state)
{
	fails(*state, "start fail no luck\n", "OCI runtime start failed: *");
}

static void test_start_crashes(void **state)
{
	fails(*state, "start crash\n", "crun start: killed by signal 9 without a word");
}

static void test_start_crashes_after_its_work(void **state)
{
	fails(*state, "start crash-after-fork\n", "crun start: killed by signal 9 without a word");
}

/* It is gone by the time that it is to be started. */
static void test_dead_between(void **state)
{
	fails(*state, "create init-exits 3\n", "OCI runtime start failed: *");
}

static void test_start_hangs(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = HANG_MS;
	race_script(race, "start hang\n");
	race_refused(
		race_create(race, false), CODE_DEADLINE_EXCEEDED, "crun start: no answer in 1 s");
	race_await_no_children(race);
	race_script(race, "");
	run_well(race);
}

static void test_dead_before_start_returns(void **state)
{
	dead_before_it_returns(*state, "start init-exits 5\n", 5);
}

#define FAKE(test) cmocka_unit_test_setup_teardown(test, setup_fake, race_teardown)
#define CRUN(test) cmocka_unit_test_setup_teardown(test, setup_fake_crun, race_teardown)
#define RUNC(test)                                                                                 \
	{                                                                                          \
#test " (runc)", test, setup_runc, race_teardown, NULL                             \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUNC(test_runs),
		FAKE(test_dead_before_it_returns),
		FAKE(test_killed_before_it_returns),
		FAKE(test_reaped_before_it_returns),
		FAKE(test_parent_between),
		RUNC(test_real_one_that_ends_at_once),
		FAKE(test_hangs),
		FAKE(test_fails),
		FAKE(test_crashes_after_its_fork),
		FAKE(test_crashes_after_its_pid_file),
		FAKE(test_not_with_a_terminal),
		CRUN(test_two_calls),
		CRUN(test_between_two_calls),
		CRUN(test_start_fails),
		CRUN(test_start_crashes),
		CRUN(test_start_crashes_after_its_work),
		CRUN(test_dead_between),
		CRUN(test_start_hangs),
		CRUN(test_dead_before_start_returns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

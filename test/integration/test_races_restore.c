/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restores over the scripted runtime, at Start and by a Create that starts as well: the events in
 * their order, the same exits, and nothing left of one that failed, hung or was killed on the way.
 * deadline: 120
 */
#include "test/integration/races.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"

#define HANG_MS 1000

#define CREATED CONTAINERD__V1__TYPES__STATUS__CREATED
#define RUNNING CONTAINERD__V1__TYPES__STATUS__RUNNING

/* An image as the scripted runtime writes them. */
static int setup(void **state)
{
	int r = race_setup_fake(state);
	struct bed *bed = ((struct race *)*state)->bed;
	_cleanup_free_ char *command = NULL;

	bed->checkpoint = bed_format("%s/image", bed->dir);
	command =
		bed_format("mkdir %s && echo image >%s/fake.img", bed->checkpoint, bed->checkpoint);
	assert_int_equal(system(command), 0);
	return r;
}

static int setup_at_once(void **state)
{
	int r = setup(state);

	((struct race *)*state)->bed->run = true;
	return r;
}

static void create(struct race *race)
{
	assert_int_equal(race_ok(race_create(race, false)), 0);
	race_await_event(race, "create", "");
	assert_int_equal(bed_status(race->bed, ""), CREATED);
}

/* Before its Start it is there, and has no process. */
static void test_waits_for_its_start(void **state)
{
	struct race *race = *state;
	Containerd__Task__V2__ExecProcessRequest r =
		CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
	struct flight *wait;
	unsigned answered;

	/* the runtime is not asked: nothing is there that could be in its way */
	race_script(race, "* fail asked too early\n");
	create(race);
	assert_int_equal(race_ok(race_call(race, "Pids", "")), 0);
	race_refused(race_kill(race, "", SIGKILL), CODE_FAILED_PRECONDITION,
		"process not created: the container was not restored");
	race_refused(race_call(race, "Pause", ""), CODE_FAILED_PRECONDITION,
		"cannot pause a created container");
	r.id = race->bed->id;
	r.exec_id = (char *)"early";
	bed_refused(race->bed, TASK, "Exec", &r, EMPTY, CODE_FAILED_PRECONDITION,
		"cannot exec in a created state");
	wait = race_call(race, "Wait", "");
	race_script(race, "");
	assert_true(race_ok_order(race_call(race, "Start", ""), &answered) > 0);
	assert_true(race_await_event(race, "start", "")->order < answered);
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
	race_refused(race_call(race, "Start", ""), CODE_FAILED_PRECONDITION,
		"cannot start a running process");
	bed_exec(race->bed, "e", "[\"/bin/tool\",\"exit\",\"6\"]", false);
	race_ok(race_call(race, "Start", "e"));
	assert_int_equal(race_ok(race_call(race, "Wait", "e")), 6);
	race_ok(race_kill(race, "", SIGTERM));
	assert_int_equal(race_ok(wait), 0);
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 0);
}

/* Deleted without a Start: nothing ever ran, and the runtime hears nothing of it. */
static void test_deleted_before_its_start(void **state)
{
	struct race *race = *state;
	struct flight *wait;

	race_script(race, "* fail asked in vain\n");
	create(race);
	wait = race_call(race, "Wait", "");
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 255);
	race_refused(wait, CODE_NOT_FOUND, "the process was deleted without having been started");
	race_await_event(race, "delete", "");
}

static void test_shim_told_to_end_before(void **state)
{
	struct race *race = *state;

	create(race);
	pidref_signal(&race->bed->shim, SIGTERM);
	race_await_end(race, "unknown");
}

/* What restores it: Create, or Start. */
static struct flight *begin(struct race *race)
{
	if (race->bed->run)
		return race_create(race, false);
	create(race);
	return race_call(race, "Start", "");
}

static void dead_before_it_returns(struct race *race, const char *script, uint32_t status)
{
	race_script(race, script);
	race_dead_early(race, begin(race), status);
}

static void test_dead_before_it_returns(void **state)
{
	dead_before_it_returns(*state, "restore init-exits 3\n", 3);
}

static void test_killed_before_it_returns(void **state)
{
	dead_before_it_returns(*state, "restore init-killed 15\n", 143);
}

static void test_reaped_before_it_returns(void **state)
{
	dead_before_it_returns(*state, "restore early-orphan\nrestore init-exits 4\n", 4);
}

/* A restore that failed is not tried again, and its container goes without the runtime. */
static void undone(struct race *race)
{
	race_await_no_children(race);
	assert_int_equal(race_count_events(race, "start", ""), 0);
	if (race->bed->run) {
		assert_int_equal(race_count_events(race, "create", ""), 0);
		race_refused(
			race_call(race, "State", ""), CODE_NOT_FOUND, "container ID: not found");
		race_script(race, "");
		race_ok(race_create(race, false)); /* the id is free */
		return;
	}
	assert_int_equal(bed_status(race->bed, ""), CREATED);
	race_refused(race_call(race, "Start", ""), CODE_FAILED_PRECONDITION,
		"container ID could not be restored before; delete it");
	race_script(race, "* fail asked in vain\n");
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 255);
}

static void test_hangs(void **state)
{
	struct race *race = *state;
	struct flight *f;

	race->bed->deadline_ms = HANG_MS;
	race_script(race, "restore after:touch @/began\nrestore after:hang\n");
	f = begin(race);
	race_await_file(race, "began");
	race_assert_answers(race);
	assert_true(race_pending(f));
	race_refused(f, CODE_DEADLINE_EXCEEDED, "runc restore: no answer in 1 s");
	undone(race);
}

/* As on junk: before there is a process. */
static void test_hangs_early(void **state)
{
	struct race *race = *state;

	race->bed->deadline_ms = HANG_MS;
	race_script(race, "restore grandchild-hang\n");
	race_refused(begin(race), CODE_DEADLINE_EXCEEDED, "runc restore: no answer in 1 s");
	undone(race);
}

static void fails(struct race *race, const char *script, const char *sentence)
{
	race_script(race, script);
	race_refused(begin(race), CODE_UNKNOWN, sentence);
	undone(race);
}

static void test_fails(void **state)
{
	fails(*state, "restore fail no luck\n", "OCI runtime restore failed: no luck");
}

static void test_crashes_after_its_fork(void **state)
{
	fails(*state, "restore crash-after-fork\n",
		"runc restore: killed by signal 9 without a word");
}

static void test_crashes_after_its_pid_file(void **state)
{
	fails(*state, "restore crash-after-pid\n",
		"runc restore: killed by signal 9 without a word");
}

static void test_no_pid_file(void **state)
{
	struct race *race = *state;

	race_script(race, "restore no-pid-file\n");
	race_refused(begin(race), CODE_INTERNAL, "runc restore wrote no pid file");
	undone(race);
}

/* Told to end while it is being restored: stopped once it is there. */
static void test_shim_told_to_end_meanwhile(void **state)
{
	struct race *race = *state;
	struct flight *f;
	char status[16];

	race_script(race, "restore touch @/began\nrestore wait @/go\n");
	f = begin(race);
	race_await_file(race, "began");
	pidref_signal(&race->bed->shim, SIGTERM);
	race_touch(race, "go");
	race_ok(f);
	/* by the signal, or by itself once it heeds that: it was sent as early as could be */
	snprintf(status, sizeof(status), "%u", race_await_event(race, "exit", "")->exit_status);
	assert_true(strcmp(status, "143") == 0 || strcmp(status, "0") == 0);
	race_await_end(race, status);
}

static void test_with_a_terminal(void **state)
{
	struct race *race = *state;

	bed_config(race->bed, "[\"/bin/tool\",\"pause\"]", true);
	if (race->bed->run) {
		assert_true(race_ok(race_create(race, true)) > 0);
	} else {
		assert_int_equal(race_ok(race_create(race, true)), 0);
		race_ok(race_call(race, "Start", ""));
	}
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
}

#define LATER(test)   cmocka_unit_test_setup_teardown(test, setup, race_teardown)
#define AT_ONCE(test) cmocka_unit_test_setup_teardown(test, setup_at_once, race_teardown)
#define BOTH(test)    LATER(test), AT_ONCE(test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LATER(test_waits_for_its_start),
		LATER(test_deleted_before_its_start),
		LATER(test_shim_told_to_end_before),
		BOTH(test_dead_before_it_returns),
		BOTH(test_killed_before_it_returns),
		BOTH(test_reaped_before_it_returns),
		BOTH(test_hangs),
		BOTH(test_hangs_early),
		BOTH(test_fails),
		BOTH(test_crashes_after_its_fork),
		BOTH(test_crashes_after_its_pid_file),
		BOTH(test_no_pid_file),
		BOTH(test_shim_told_to_end_meanwhile),
		BOTH(test_with_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

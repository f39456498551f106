/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which operation an Update waits for, and what is told while one is under way: statuses, and
 * events before the answers of their calls.
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

#define ALIVE "[\"/bin/tool\",\"pause\"]"

static void create_running(struct race *race)
{
	race_ok(race_create(race, false));
	race_ok(race_call(race, "Start", ""));
}

/* A call of the runtime's under way: it has begun, and waits for the file "go". */
static struct flight *pause_waiting(struct race *race)
{
	struct flight *pause;

	create_running(race);
	race_script(race, "pause touch @/began\npause wait @/go\nupdate touch @/updating\n"
			  "update wait @/update\n");
	pause = race_call(race, "Pause", NULL);
	race_await_file(race, "began");
	return pause;
}

static struct flight *update_waiting(struct race *race)
{
	struct flight *update;

	create_running(race);
	race_script(race, "update touch @/updating\nupdate wait @/update\n");
	update = race_update(race, "{}");
	race_await_file(race, "updating");
	return update;
}

/* --- who waits --- */

static void test_update_waits_for_pause(void **state)
{
	struct race *race = *state;
	struct flight *pause = pause_waiting(race), *update = race_update(race, "{}");
	unsigned paused, updated;

	/* were it not to wait, it would end before the pause does */
	race_touch(race, "update");
	assert_true(race_pending(update));
	race_touch(race, "go");
	race_ok_order(pause, &paused);
	race_ok_order(update, &updated);
	assert_true(paused < updated);
	race_ok(race_call(race, "Resume", NULL));
}

static void test_pause_waits_for_update(void **state)
{
	struct race *race = *state;
	struct flight *update = update_waiting(race), *pause = race_call(race, "Pause", NULL);
	unsigned paused, updated;

	race_assert_answers(race);
	assert_true(race_pending(pause));
	assert_int_equal(race_count_events(race, "paused", ""), 0);
	race_touch(race, "update");
	race_ok_order(update, &updated);
	race_ok_order(pause, &paused);
	assert_true(updated < paused);
	race_ok(race_call(race, "Resume", NULL));
}

/* An exec's life and Kill go on beside it. */
static void test_exec_and_kill_beside_update(void **state)
{
	struct race *race = *state;
	struct flight *update = update_waiting(race);

	bed_exec(race->bed, "probe", ALIVE, false);
	assert_true(race_ok(race_call(race, "Start", "probe")) > 0);
	race_ok(race_kill(race, "probe", SIGKILL));
	assert_int_equal(race_ok(race_call(race, "Wait", "probe")), 137);
	race_ok(race_call(race, "Delete", "probe"));
	assert_true(race_pending(update));
	race_touch(race, "update");
	race_ok(update);
}

static void test_delete_waits_for_update(void **state)
{
	struct race *race = *state;
	struct flight *update = update_waiting(race), *delete;

	race_ok(race_kill(race, "", SIGKILL));
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 137);
	delete = race_call(race, "Delete", "");
	assert_true(race_pending(delete));
	race_touch(race, "update");
	race_land(update); /* the runtime may find it stopped */
	assert_int_equal(race_ok(delete), 137);
}

/* --- a runtime that hangs, or dies --- */

static void test_update_hangs(void **state)
{
	struct race *race = *state;
	struct flight *update;

	race->bed->deadline_ms = 1000;
	create_running(race);
	race_script(race, "update touch @/began\nupdate hang\n");
	update = race_update(race, "{}");
	race_await_file(race, "began");
	race_assert_answers(race);
	assert_true(race_pending(update));
	race_refused(update, CODE_DEADLINE_EXCEEDED, "runc update: no answer in 1 s");
	race_script(race, "");
	race_ok(race_update(race, "{}"));
	assert_int_equal(bed_status(race->bed, ""), CONTAINERD__V1__TYPES__STATUS__RUNNING);
}

static void test_update_crashes(void **state)
{
	struct race *race = *state;

	create_running(race);
	race_script(race, "update once:crash\nupdate once:after:crash\n");
	for (int i = 0; i < 2; i++)
		race_refused(race_update(race, "{}"), CODE_UNKNOWN,
			"runc update: killed by signal 9 without a word");
	race_ok(race_update(race, "{}"));
	assert_int_equal(bed_status(race->bed, ""), CONTAINERD__V1__TYPES__STATUS__RUNNING);
}

/* --- what is told --- */

static void test_pausing(void **state)
{
	struct race *race = *state;
	struct flight *pause = pause_waiting(race);
	Cleat__Shim2017__StateRequest r = CLEAT__SHIM2017__STATE_REQUEST__INIT;
	Cleat__Shim2017__StateResponse *old;

	assert_int_equal(bed_status(race->bed, ""), CONTAINERD__V1__TYPES__STATUS__PAUSING);
	old = bed_ok(race->bed, SHIM, "State", &r, &cleat__shim2017__state_response__descriptor);
	assert_int_equal(old->status, CLEAT__SHIM2017__TYPES__STATUS__RUNNING);
	bed_free(old);
	race_touch(race, "go");
	race_ok(pause);
	assert_int_equal(bed_status(race->bed, ""), CONTAINERD__V1__TYPES__STATUS__PAUSED);
	race_ok(race_call(race, "Resume", NULL));
}

/* What pauses or resumes it has done its work and is slow to say so; until then the init is killed. */
static void end_meanwhile(struct race *race, const char *method, const char *script)
{
	struct flight *call;

	race_script(race, script);
	call = race_call(race, method, NULL);
	race_await_file(race, "began");
	race_ok(race_kill(race, "", SIGKILL));
	assert_int_equal(race_await_event(race, "exit", "")->exit_status, 137);
	race_touch(race, "go");
	race_land(call);
	assert_int_equal(bed_status(race->bed, ""), CONTAINERD__V1__TYPES__STATUS__STOPPED);
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 137);
}

/* Who follows the events would take it for alive. */
static void test_nothing_is_paused_after_its_exit(void **state)
{
	struct race *race = *state;

	create_running(race);
	end_meanwhile(race, "Pause", "pause after:touch @/began\npause after:wait @/go\n");
	assert_int_equal(race_count_events(race, "paused", ""), 0);
}

/* A frozen process does not end: that it was resumed is told, and first. */
static void test_what_ends_was_resumed_before(void **state)
{
	struct race *race = *state;

	create_running(race);
	race_ok(race_call(race, "Pause", NULL));
	end_meanwhile(race, "Resume", "resume after:touch @/began\nresume after:wait @/go\n");
	assert_int_equal(race_count_events(race, "resumed", ""), 1);
	assert_true(race_await_event(race, "resumed", "")->order <
		    race_await_event(race, "exit", "")->order);
}

static void check_told(
	struct race *race, struct flight *call, const char *topic, const char *exec_id)
{
	const struct race_event *event;
	unsigned answered;

	race_ok_order(call, &answered);
	event = race_await_event(race, topic, exec_id);
	if (event->order > answered)
		fail_msg("%s came after the answer", topic);
}

static void test_event_before_answer(void **state)
{
	struct race *race = *state;

	check_told(race, race_create(race, false), "create", "");
	check_told(race, race_call(race, "Start", ""), "start", "");
	bed_exec(race->bed, "probe", ALIVE, false);
	check_told(race, race_call(race, "Start", "probe"), "exec-started", "probe");
	check_told(race, race_call(race, "Pause", NULL), "paused", "");
	check_told(race, race_call(race, "Resume", NULL), "resumed", "");
	race_ok(race_kill(race, "probe", SIGKILL));
	check_told(race, race_call(race, "Wait", "probe"), "exit", "probe");
	check_told(race, race_call(race, "Delete", "probe"), "delete", "probe");
}

int main(void)
{
#define FAKE(test) cmocka_unit_test_setup_teardown(test, race_setup_fake, race_teardown)
#define RUNC(test)                                                                                 \
	{                                                                                          \
#test " (runc)", test, race_setup_runc, race_teardown, NULL                        \
	}
	const struct CMUnitTest tests[] = {
		FAKE(test_update_waits_for_pause),
		FAKE(test_pause_waits_for_update),
		FAKE(test_exec_and_kill_beside_update),
		FAKE(test_delete_waits_for_update),
		FAKE(test_update_hangs),
		FAKE(test_update_crashes),
		FAKE(test_pausing),
		FAKE(test_nothing_is_paused_after_its_exit),
		FAKE(test_what_ends_was_resumed_before),
		FAKE(test_event_before_answer),
		RUNC(test_event_before_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that meet each other, callers that leave, and a shim that is told to end in each state of
 * its container.
 * deadline: 120
 */
#include "test/integration/races.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"

#define ALIVE	"[\"/bin/tool\",\"pause\"]"
#define CREATED CONTAINERD__V1__TYPES__STATUS__CREATED
#define RUNNING CONTAINERD__V1__TYPES__STATUS__RUNNING
#define STOPPED CONTAINERD__V1__TYPES__STATUS__STOPPED

static void create_running(struct race *race)
{
	race_ok(race_create(race, false));
	race_ok(race_call(race, "Start", ""));
}

/* The same with a program that says when it is ready for a signal. */
static void create_ready(struct race *race, const char *args)
{
	bed_config(race->bed, args, false);
	create_running(race);
	bed_await_ready(race->bed);
}

/* A Start of the init that waits for the file "go"; it has begun. */
static struct flight *start_waiting(struct race *race)
{
	struct flight *start;

	race_ok(race_create(race, false));
	race_script(race, "start touch @/began\nstart wait @/go\n");
	start = race_call(race, "Start", "");
	race_await_file(race, "began");
	return start;
}

/* --- calls that meet --- */

static void test_delete_during_start(void **state)
{
	struct race *race = *state;
	struct flight *start = start_waiting(race);
	struct flight *delete = race_call(race, "Delete", "");

	assert_true(race_pending(delete));
	race_touch(race, "go");
	race_ok(start);
	race_refused(delete, CODE_FAILED_PRECONDITION, "cannot delete a running process");
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
}

/* The start fails at its deadline; what is deleted then is a created container. */
static void test_delete_during_start_that_hangs(void **state)
{
	struct race *race = *state;
	struct flight *start, *delete;

	race->bed->deadline_ms = 1000;
	start = start_waiting(race);
	delete = race_call(race, "Delete", "");
	race_refused(start, CODE_DEADLINE_EXCEEDED, "runc start: no answer in 1 s");
	assert_int_equal(race_ok(delete), 137);
	assert_int_equal(race_count_events(race, "start", ""), 0);
	assert_int_equal(race_await_event(race, "exit", "")->exit_status, 137);
}

static void test_delete_during_start_of_exec(void **state)
{
	struct race *race = *state;
	struct flight *start, *delete;

	create_running(race);
	bed_exec(race->bed, "e", ALIVE, false);
	race_script(race, "exec touch @/began\nexec wait @/go\n");
	start = race_call(race, "Start", "e");
	race_await_file(race, "began");
	delete = race_call(race, "Delete", "e");
	assert_true(race_pending(delete));
	race_touch(race, "go");
	race_ok(start);
	race_refused(delete, CODE_FAILED_PRECONDITION, "cannot delete a running process");
	race_ok(race_kill(race, "e", SIGKILL));
	assert_int_equal(race_ok(race_call(race, "Wait", "e")), 137);
	assert_int_equal(race_ok(race_call(race, "Delete", "e")), 137);
}

/* The init's Delete waits for the start of an exec, and so does the init's exit. */
static void test_delete_of_init_during_start_of_exec(void **state)
{
	struct race *race = *state;
	struct flight *start, *wait, *delete;

	create_running(race);
	bed_exec(race->bed, "e", ALIVE, false);
	race_script(race, "exec after:touch @/began\nexec after:wait @/go\n");
	start = race_call(race, "Start", "e");
	race_await_file(race, "began");
	wait = race_call(race, "Wait", "");
	race_ok(race_kill(race, "", SIGKILL));
	while (bed_status(race->bed, "") != STOPPED)
		;
	delete = race_call(race, "Delete", "");
	assert_true(race_pending(delete));
	assert_true(race_pending(wait));
	race_touch(race, "go");
	race_ok(start);
	assert_true(race_pending(delete));
	race_ok(race_kill(race, "e", SIGKILL));
	assert_int_equal(race_ok(wait), 137);
	assert_int_equal(race_ok(delete), 137);
	assert_int_equal(race_count_events(race, "exit", "e"), 1);
}

/* The init died before the runtime looked: the exec fails in the runtime's words. */
static void test_init_dies_before_exec_begins(void **state)
{
	struct race *race = *state;
	struct flight *start, *delete;

	create_running(race);
	bed_exec(race->bed, "e", ALIVE, false);
	race_script(race, "exec touch @/began\nexec wait @/go\n");
	start = race_call(race, "Start", "e");
	race_await_file(race, "began");
	race_ok(race_kill(race, "", SIGKILL));
	while (bed_status(race->bed, "") != STOPPED)
		;
	delete = race_call(race, "Delete", "");
	assert_true(race_pending(delete));
	race_touch(race, "go");
	race_refused(start, CODE_UNKNOWN,
		"OCI runtime exec failed: exec failed: cannot exec in a stopped container");
	assert_int_equal(race_ok(delete), 137);
}

static void test_delete_of_created(void **state)
{
	struct race *race = *state;
	struct flight *wait;

	race_ok(race_create(race, false));
	wait = race_call(race, "Wait", "");
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 137);
	assert_int_equal(race_ok(wait), 137);
	assert_int_equal(race_await_event(race, "exit", "")->exit_status, 137);
	race_await_event(race, "delete", "");
}

/*
 * A grandchild holds the pipe, so that Delete gives the streams up after its ten seconds; then the
 * runtime's delete fails. The next Delete has no reason to wait again.
 */
static void test_delete_that_failed_does_not_wait_again(void **state)
{
	struct race *race = *state;
	int64_t begun;

	bed_config(race->bed, "[\"/bin/tool\",\"hold\",\"60\"]", false);
	create_running(race);
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 0);
	race_script(race, "delete once:fail no such luck\n");
	race_refused(race_call(race, "Delete", ""), CODE_UNKNOWN,
		"OCI runtime delete failed: no such luck");
	assert_int_equal(bed_status(race->bed, ""), STOPPED);
	begun = clock_monotonic_ms();
	assert_int_equal(race_ok(race_call(race, "Delete", "")), 0);
	assert_in_range(clock_monotonic_ms() - begun, 0, 5000);
}

static void test_two_deletes(void **state)
{
	struct race *race = *state;
	struct flight *first, *second;

	create_running(race);
	race_ok(race_kill(race, "", SIGKILL));
	race_ok(race_call(race, "Wait", ""));
	race_script(race, "delete touch @/began\ndelete wait @/go\n");
	first = race_call(race, "Delete", "");
	second = race_call(race, "Delete", "");
	race_await_file(race, "began");
	assert_true(race_pending(first));
	assert_true(race_pending(second));
	race_touch(race, "go");
	assert_int_equal(race_ok(first), 137);
	race_refused(second, CODE_NOT_FOUND, "process does not exist");
	assert_int_equal(race_count_events(race, "delete", ""), 1);
}

static void test_two_creates(void **state)
{
	struct race *race = *state;
	struct flight *first;

	race_script(race, "create touch @/began\ncreate wait @/go\n");
	first = race_create(race, false);
	race_await_file(race, "began");
	race_refused(race_create(race, false), CODE_ALREADY_EXISTS, "container ID already exists");
	assert_true(race_pending(first));
	race_touch(race, "go");
	race_ok(first);
	race_ok(race_call(race, "Start", ""));
}

/* It reaches the init at once; the exit is told when the start has been answered. */
static void test_kill_while_start_hangs(void **state)
{
	struct race *race = *state;
	struct flight *start, *wait;

	race->bed->deadline_ms = 1000;
	start = start_waiting(race);
	wait = race_call(race, "Wait", "");
	race_ok(race_kill(race, "", SIGKILL));
	while (bed_status(race->bed, "") != STOPPED)
		assert_false(start->ended);
	assert_true(race_pending(start));
	race_refused(start, CODE_DEADLINE_EXCEEDED, "runc start: no answer in 1 s");
	assert_int_equal(race_ok(wait), 137);
}

static void test_kill_while_create_hangs(void **state)
{
	struct race *race = *state;
	struct flight *create;

	race_script(race, "create touch @/began\ncreate wait @/go\n");
	create = race_create(race, false);
	race_await_file(race, "began");
	race_refused(race_kill(race, "", SIGTERM), CODE_NOT_FOUND, "container ID: not found");
	race_refused(race_kill(race, "", SIGKILL), CODE_NOT_FOUND, "container ID: not found");
	race_touch(race, "go");
	race_ok(create);
	assert_int_equal(bed_status(race->bed, ""), CREATED);
}

/* --- callers that leave --- */

static void test_caller_leaves_create(void **state)
{
	struct race *race = *state;
	struct flight *create;

	race_script(race, "create touch @/began\ncreate wait @/go\n");
	create = race_create_apart(race, 0);
	race_await_file(race, "began");
	race_leave(create);
	race_touch(race, "go");
	race_await_event(race, "create", "");
	race_ok(race_call(race, "Start", ""));
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
}

static void test_deadline_of_caller_passes_in_create(void **state)
{
	struct race *race = *state;
	struct flight *create;

	race_script(race, "create touch @/began\ncreate wait @/go\n");
	create = race_create_apart(race, 200);
	race_await_file(race, "began");
	race_refused(create, CODE_DEADLINE_EXCEEDED, "*");
	race_touch(race, "go");
	race_await_event(race, "create", "");
	race_ok(race_call(race, "Start", ""));
	assert_int_equal(bed_status(race->bed, ""), RUNNING);
}

/* --- Shutdown --- */

/* With a container, or one that is being made, it does nothing, and is no error. */
static void test_shutdown_with_calls_running(void **state)
{
	struct race *race = *state;
	struct flight *create, *start, *wait;

	race_script(race, "create touch @/began\ncreate wait @/go\nstart touch @/started\n"
			  "start wait @/go-on\n");
	create = race_create(race, false);
	race_await_file(race, "began");
	race_ok(race_call(race, "Shutdown", NULL));
	assert_true(race_pending(create));
	race_touch(race, "go");
	race_ok(create);
	start = race_call(race, "Start", "");
	wait = race_call(race, "Wait", "");
	race_await_file(race, "started");
	race_ok(race_call(race, "Shutdown", NULL));
	assert_true(race_pending(start));
	race_touch(race, "go-on");
	race_ok(start);
	race_ok(race_kill(race, "", SIGKILL));
	assert_int_equal(race_ok(wait), 137);
}

/* Without one it ends in order: what was asked before is answered, and nothing after. */
static void test_shutdown_answers_before_it_ends(void **state)
{
	struct race *race = *state;

	race_script(race, "create fail no such luck\n");
	race_refused(
		race_create(race, false), CODE_UNKNOWN, "OCI runtime create failed: no such luck");
	race_ok(race_call(race, "Shutdown", NULL));
	race_await_line(race);
	bed_await_end(race->bed);
}

/* --- SIGTERM to the shim --- */

static void terminate(struct race *race)
{
	assert_int_equal(pidref_signal(&race->bed->shim, SIGTERM), 0);
}

/* The same with an operation in flight, which keeps the shim: until it has taken the signal up. */
static void terminate_in_flight(struct race *race)
{
	int code = CODE_OK;

	terminate(race);
	for (int i = 0; i < 10000 && code != CODE_UNAVAILABLE; i++)
		code = race_land(race_call(race, "Connect", ""));
	assert_int_equal(code, CODE_UNAVAILABLE);
}

static void test_sigterm_without_container(void **state)
{
	struct race *race = *state;

	terminate(race);
	race_await_line(race);
	bed_await_end(race->bed);
}

/* The shim gets SIGTERM: a Wait that was there before tells the init's exit, and so does the ledger. */
static void sigterm_ends(struct race *race, uint32_t status)
{
	struct flight *wait = race_call(race, "Wait", "");
	char text[16];

	assert_true(race_pending(wait));
	terminate(race);
	assert_int_equal(race_ok(wait), status);
	snprintf(text, sizeof(text), "%u", status);
	race_await_end(race, text);
}

static void test_sigterm_when_created(void **state)
{
	race_ok(race_create(*state, false));
	sigterm_ends(*state, 137);
}

static void test_sigterm_when_running(void **state)
{
	create_ready(*state, "[\"/bin/tool\",\"trap\",\"TERM\",\"21\"]");
	sigterm_ends(*state, 21);
}

/* The one test that takes the ten seconds of grace. */
static void test_sigterm_when_init_ignores_it(void **state)
{
	create_ready(*state, "[\"/bin/tool\",\"ignore-term\"]");
	sigterm_ends(*state, 137);
}

static void test_sigterm_with_exec(void **state)
{
	struct race *race = *state;
	struct flight *wait_exec;

	create_running(race);
	bed_exec(race->bed, "e", ALIVE, false);
	race_ok(race_call(race, "Start", "e"));
	wait_exec = race_call(race, "Wait", "e");
	sigterm_ends(race, 0);
	assert_int_equal(race_ok(wait_exec), 137);
}

static void test_sigterm_when_stopped(void **state)
{
	struct race *race = *state;

	bed_config(race->bed, "[\"/bin/tool\",\"exit\",\"5\"]", false);
	create_running(race);
	assert_int_equal(race_ok(race_call(race, "Wait", "")), 5);
	terminate(race);
	race_await_end(race, "5");
}

/* A create that such a script holds up is under way; SIGTERM comes, and then it may go on. */
static struct flight *sigterm_in_create(struct race *race, const char *script)
{
	struct flight *create;

	race_script(race, script);
	create = race_create(race, false);
	race_await_file(race, "began");
	terminate_in_flight(race);
	race_refused(race_call(race, "Start", ""), CODE_UNAVAILABLE, "the shim is ending");
	race_touch(race, "go");
	return create;
}

/* The create runs to its end, is answered, and what it made is ended. */
static void test_sigterm_during_create(void **state)
{
	struct race *race = *state;

	race_ok(sigterm_in_create(race, "create touch @/began\ncreate wait @/go\n"));
	race_await_end(race, "137");
	assert_int_equal(race_count_events(race, "exit", ""), 1);
}

static void test_sigterm_during_create_that_fails(void **state)
{
	struct race *race = *state;

	race_refused(sigterm_in_create(race, "create touch @/began\ncreate wait @/go\n"
					     "create fail no such luck\n"),
		CODE_UNKNOWN, "OCI runtime create failed: no such luck");
	race_await_line(race);
	bed_await_end(race->bed);
}

static void test_sigterm_during_start(void **state)
{
	struct race *race = *state;
	struct flight *start = start_waiting(race);

	terminate_in_flight(race);
	race_refused(race_call(race, "State", ""), CODE_UNAVAILABLE, "the shim is ending");
	race_touch(race, "go");
	/* the init may have been killed before it came through the gate */
	race_land(start);
	race_await_end(race, "137");
}

/* --- subscribers of a shim that is told to end --- */

/* A stream on a connection of its own, which nobody reads but ttrpc_client_next(). */
static uint32_t begin_stream(struct ttrpc_client *client, const struct ttrpc_request *request)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	uint32_t stream = 0;

	if (ttrpc_client_stream(client, request, &stream, &err) != 0)
		fail_msg("%s", error_message(&err));
	return stream;
}

static void expect_2017(struct ttrpc_client *client, uint32_t stream, int type, uint32_t status)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	Cleat__Shim2017__Types__Event *e;
	ProtobufCMessage *m = NULL;

	if (ttrpc_client_next(client, stream, CALL_MS, &m, &err) != 0)
		fail_msg("no event of type %d: %s", type, error_message(&err));
	assert_non_null(m);
	e = (void *)m;
	assert_int_equal(e->type, type);
	assert_int_equal(e->exit_status, status);
	bed_free(m);
}

/* Each stream tells the exit, and then its end: not that the connection broke. */
static void test_sigterm_ends_streams(void **state)
{
	struct race *race = *state;
	struct ttrpc_client *client = bed_connect(race->bed);
	Cleat__Shim2017__EventsRequest r = CLEAT__SHIM2017__EVENTS_REQUEST__INIT;
	const struct ttrpc_request request = {
		.service = SHIM,
		.method = "Events",
		.message = &r.base,
		.response = &cleat__shim2017__types__event__descriptor,
	};
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *m = NULL;
	uint32_t stream = begin_stream(client, &request);

	create_ready(race, "[\"/bin/tool\",\"trap\",\"TERM\",\"21\"]");
	terminate(race);
	race_await_end(race, "21");
	assert_int_equal(race->n_events, 3);
	assert_string_equal(race->events[2].topic, "exit");
	assert_int_equal(race->events[2].exit_status, 21);
	expect_2017(client, stream, CLEAT__SHIM2017__TYPES__EVENT__EVENT_TYPE__CREATE, 0);
	expect_2017(client, stream, CLEAT__SHIM2017__TYPES__EVENT__EVENT_TYPE__START, 0);
	expect_2017(client, stream, CLEAT__SHIM2017__TYPES__EVENT__EVENT_TYPE__EXIT, 21);
	assert_int_equal(ttrpc_client_next(client, stream, CALL_MS, &m, &err), 0);
	assert_null(m);
	ttrpc_client_free(client);
}

/* It holds the shim up for the two seconds that it may, and takes nothing from the others. */
static void test_sigterm_with_reader_that_does_not_read(void **state)
{
	struct race *race = *state;
	struct ttrpc_client *client = bed_connect(race->bed);
	Cleat__Shim__V1__SubscribeRequest r = CLEAT__SHIM__V1__SUBSCRIBE_REQUEST__INIT;
	const struct ttrpc_request request = {
		.service = MONITOR,
		.method = "Subscribe",
		.message = &r.base,
		.response = &cleat__shim__v1__event__descriptor,
	};
	char exec_id[LIMIT_ID + 1];
	int64_t told_to, begun;

	begin_stream(client, &request);
	create_running(race);
	/* more than its socket takes */
	for (int i = 0; i < 700; i++) {
		snprintf(exec_id, sizeof(exec_id), "%076d", i);
		bed_exec(race->bed, exec_id, ALIVE, false);
	}
	told_to = clock_monotonic_ms();
	terminate(race);
	race_await_event(race, "exit", "");
	begun = clock_monotonic_ms();
	race_await_line(race);
	assert_in_range(clock_monotonic_ms() - begun, 0, 1500);
	bed_await_end(race->bed);
	/* its 2 s began after the first moment, however late this process looks; its clock is coarse */
	assert_true(clock_monotonic_ms() - told_to >= 1900);
	assert_true(clock_monotonic_ms() - begun <= 6000);
	assert_int_equal(race_count_events(race, "exit", ""), 1);
	race_await_end(race, "0");
	ttrpc_client_free(client);
}

#define FAKE(test) cmocka_unit_test_setup_teardown(test, race_setup_fake, race_teardown)
#define RUNC(test)                                                                                 \
	{                                                                                          \
#test " (runc)", test, race_setup_runc, race_teardown, NULL                        \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAKE(test_delete_during_start),
		FAKE(test_delete_during_start_that_hangs),
		FAKE(test_delete_during_start_of_exec),
		FAKE(test_delete_of_init_during_start_of_exec),
		FAKE(test_init_dies_before_exec_begins),
		FAKE(test_delete_of_created),
		RUNC(test_delete_of_created),
		FAKE(test_delete_that_failed_does_not_wait_again),
		FAKE(test_two_deletes),
		FAKE(test_two_creates),
		FAKE(test_kill_while_start_hangs),
		FAKE(test_kill_while_create_hangs),
		FAKE(test_caller_leaves_create),
		FAKE(test_deadline_of_caller_passes_in_create),
		FAKE(test_shutdown_with_calls_running),
		FAKE(test_shutdown_answers_before_it_ends),
		FAKE(test_sigterm_without_container),
		RUNC(test_sigterm_when_created),
		RUNC(test_sigterm_when_running),
		RUNC(test_sigterm_when_init_ignores_it),
		RUNC(test_sigterm_with_exec),
		RUNC(test_sigterm_when_stopped),
		FAKE(test_sigterm_during_create),
		FAKE(test_sigterm_during_create_that_fails),
		FAKE(test_sigterm_during_start),
		RUNC(test_sigterm_ends_streams),
		FAKE(test_sigterm_with_reader_that_does_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

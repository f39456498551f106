/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim service of 2017 where several processes, or their memory, are at stake: Kill with all,
 * whom Exit names, OOM before the exit that it caused; and no_pivot, which Create passes on.
 * deadline: 120
 */
#include "test/integration/bed.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <jansson.h>

#include "common/cleanup.h"

#define TYPE(name) CLEAT__SHIM2017__TYPES__EVENT__EVENT_TYPE__##name
#define ALIVE	   "[\"/bin/tool\",\"pause\"]"

static void kill_init(struct bed *bed, uint32_t signal, bool all)
{
	Cleat__Shim2017__KillRequest r = CLEAT__SHIM2017__KILL_REQUEST__INIT;

	r.signal = signal;
	r.all = all;
	bed_done(bed, SHIM, "Kill", &r);
}

/* A process 1 takes no signal that it does not handle: the exec alone ends by it. */
static void test_kill_all(void **state)
{
	struct bed *bed = *state;

	bed_lacks(bed, "runsc", "ends a process 1 that does not handle the signal");
	bed_create(bed, false);
	bed_start(bed, "");
	bed_exec(bed, "probe", ALIVE, false);
	bed_start(bed, "probe");
	kill_init(bed, SIGUSR1, true);
	assert_int_equal(bed_wait(bed, "probe"), 128 + SIGUSR1);
	bed_exec(bed, "other", ALIVE, false);
	bed_start(bed, "other");
	kill_init(bed, SIGUSR1, false);
	/* had it got that one too, it would have ended by it: the lower number is delivered first */
	bed_kill(bed, "other", SIGTERM);
	assert_int_equal(bed_wait(bed, "other"), 0);
	bed_finish(bed);
}

static void test_exit_names_all(void **state)
{
	struct bed *bed = *state;
	Cleat__Shim2017__ExitRequest r = CLEAT__SHIM2017__EXIT_REQUEST__INIT;
	_cleanup_free_ char *sentence = NULL;
	uint32_t init, one, two;

	init = bed_create(bed, false);
	bed_start(bed, "");
	bed_exec(bed, "one", ALIVE, false);
	bed_exec(bed, "two", ALIVE, false);
	bed_exec(bed, "not-started", ALIVE, false);
	one = bed_start(bed, "one");
	two = bed_start(bed, "two");
	sentence = bed_format("container ID: processes %u, %u, %u are alive", init, one, two);
	bed_refused(bed, SHIM, "Exit", &r, EMPTY, CODE_FAILED_PRECONDITION, sentence);
	bed_assert_alive(bed);
	bed_finish(bed);
}

/* Create hands no_pivot on to the runtime, and does not make it up. */
static void check_no_pivot(struct bed *bed, bool wanted)
{
	Cleat__Shim2017__CreateRequest r = CLEAT__SHIM2017__CREATE_REQUEST__INIT;
	_cleanup_free_ char *path = bed_format("%s/argv", bed->dir);
	_cleanup_free_ char *script = bed_format("create argv-to %s\ncreate fail no\n", path);
	json_t *argv;
	bool found = false;

	bed_script(bed, script);
	r.id = bed->id;
	r.bundle = bed->bundle;
	r.runtime = bed->fake_path;
	r.no_pivot = wanted;
	bed_refused_like(bed, SHIM, "Create", &r, &cleat__shim2017__create_response__descriptor,
		CODE_UNKNOWN, "container ID: runc create: no");
	argv = json_load_file(path, 0, NULL);
	assert_true(json_array_size(argv) > 0);
	for (size_t i = 0; i < json_array_size(argv); i++)
		found |= strcmp(json_string_value(json_array_get(argv, i)), "--no-pivot") == 0;
	json_decref(argv);
	assert_int_equal(found, wanted);
	assert_int_equal(unlink(path), 0);
}

static void test_no_pivot(void **state)
{
	check_no_pivot(*state, true);
	check_no_pivot(*state, false);
	bed_script(*state, "");
	bed_create(*state, false);
	bed_finish(*state);
}

static void limit_memory(struct bed *bed, json_int_t bytes)
{
	_cleanup_free_ char *path = bed_format("%s/config.json", bed->bundle);
	json_t *config = json_load_file(path, 0, NULL);

	assert_non_null(config);
	assert_int_equal(
		json_object_set_new(json_object_get(config, "linux"), "resources",
			json_pack("{s:{s:I,s:I}}", "memory", "limit", bytes, "swap", bytes)),
		0);
	assert_int_equal(json_dump_file(config, path, 0), 0);
	json_decref(config);
}

static Cleat__Shim2017__Types__Event *next_event(struct bed *bed, uint32_t stream)
{
	_cleanup_error_ struct error err = ERROR_INIT;
	ProtobufCMessage *m = NULL;

	if (ttrpc_client_next(bed->client, stream, CALL_MS, &m, &err) != 0)
		fail_msg("%s", error_message(&err));
	assert_non_null(m);
	return (void *)m;
}

static void test_oom(void **state)
{
	static const Cleat__Shim2017__Types__Event__EventType want[] = { TYPE(CREATE), TYPE(START),
		TYPE(OOM), TYPE(EXIT) };
	struct bed *bed = *state;
	Cleat__Shim2017__EventsRequest r = CLEAT__SHIM2017__EVENTS_REQUEST__INIT;
	const struct ttrpc_request request = {
		.service = SHIM,
		.method = "Events",
		.message = &r.base,
		.response = &cleat__shim2017__types__event__descriptor,
	};
	uint32_t stream = 0;

	bed_lacks(bed, "runsc", "--ignore-cgroups has no cgroup");
	bed_config(bed, "[\"/bin/tool\",\"mem\",\"200\"]", false);
	limit_memory(bed, 24 << 20);
	assert_int_equal(ttrpc_client_stream(bed->client, &request, &stream, NULL), 0);
	bed_create(bed, false);
	bed_start(bed, "");
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		Cleat__Shim2017__Types__Event *e = next_event(bed, stream);

		assert_int_equal(e->type, want[i]);
		assert_string_equal(e->id, bed->id);
		if (e->type == TYPE(EXIT))
			assert_int_equal(e->exit_status, 137);
		bed_free(e);
	}
	bed_finish(bed);
}

/* Task's State tells a terminal, where there is one. */
static void test_terminal_is_told(void **state)
{
	struct bed *bed = *state;
	Containerd__Task__V2__StateRequest r = CONTAINERD__TASK__V2__STATE_REQUEST__INIT;
	Containerd__Task__V2__StateResponse *ok;

	bed_config(bed, ALIVE, true);
	bed_create(bed, true);
	bed_start(bed, "");
	bed_exec(bed, "plain", ALIVE, false);
	r.id = bed->id;
	ok = bed_ok(bed, TASK, "State", &r, &containerd__task__v2__state_response__descriptor);
	assert_true(ok->terminal);
	bed_free(ok);
	r.exec_id = (char *)"plain";
	ok = bed_ok(bed, TASK, "State", &r, &containerd__task__v2__state_response__descriptor);
	assert_false(ok->terminal);
	bed_free(ok);
	bed_finish(bed);
}

int main(void)
{
#define RUNC(name)                                                                                 \
	{                                                                                          \
#name " (runc)", name, bed_setup_runc, bed_teardown, NULL                          \
	}
	static const struct CMUnitTest tests[] = {
		{ "test_no_pivot (scripted)", test_no_pivot, bed_setup_fake, bed_teardown, NULL },
		RUNC(test_kill_all),
		RUNC(test_exit_names_all),
		RUNC(test_oom),
		RUNC(test_terminal_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
